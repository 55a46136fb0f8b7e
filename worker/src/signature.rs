//! RS256 by WebCrypto: forty times faster than in WASM, and no byte of code.

use crate::failure::{Failure, Outcome};
use js_sys::{Array, JSON, Uint8Array};
use legis_core::auth::jwks::RsaKey;
use legis_core::problem::Problem;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{CryptoKey, SubtleCrypto, WorkerGlobalScope};

const ALGORITHM: &str = r#"{"name":"RSASSA-PKCS1-v1_5","hash":"SHA-256"}"#;

fn fault(error: JsValue) -> Failure {
    Failure::new(Problem::Internal, format!("WebCrypto: {error:?}"))
}

fn object(json: &str) -> Outcome<js_sys::Object> {
    JSON::parse(json).map(JsCast::unchecked_into).map_err(fault)
}

/// Whether `signature` over `signed` was made with `key`.
pub(crate) async fn fits(key: &RsaKey, signed: &[u8], signature: &[u8]) -> Outcome<bool> {
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let subtle: SubtleCrypto = scope.crypto().map_err(fault)?.subtle();
    let algorithm = object(ALGORITHM)?;
    let jwk = object(&String::from_utf8_lossy(&legis_core::evaluate::json(key)))?;
    let usages = Array::of1(&JsValue::from_str("verify"));
    let import = subtle
        .import_key_with_object("jwk", &jwk, &algorithm, false, &usages)
        .map_err(fault)?;
    // The issuer published it as a key for RS256; when it is none, no signature fits it.
    let Ok(key) = JsFuture::from(import).await else {
        return Ok(false);
    };
    let key: CryptoKey = key.unchecked_into();
    let (signature, signed) = (Uint8Array::from(signature), Uint8Array::from(signed));
    let verify = subtle
        .verify_with_object_and_buffer_source_and_buffer_source(
            &algorithm, &key, &signature, &signed,
        )
        .map_err(fault)?;
    let verdict = JsFuture::from(verify).await.map_err(fault)?;
    Ok(verdict.is_truthy())
}
