//! What the server behind the gateway is told of the user: the session props, signed. The caller's own token stays here.

use super::SigningSecret;
use crate::account::SessionProps;
use crate::time::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;
use serde::Serialize;

/// The header it comes in.
pub const HEADER: &str = "Legis-Identity";

/// How long it is believed, in seconds: longer than any request waits to begin.
const LIFETIME: i64 = 60;

/// `{"alg":"HS256","typ":"legis-identity+jwt"}`: a type of its own, so that it is taken for no other token (RFC 8725).
const HEAD: &str = r#"{"alg":"HS256","typ":"legis-identity+jwt"}"#;

#[derive(Serialize)]
struct Claims<'c> {
    /// The gateway's origin.
    iss: &'c str,
    iat: i64,
    exp: i64,
    #[serde(flatten)]
    props: &'c SessionProps,
}

/// The identity as a compact JWS (RFC 7515).
#[must_use]
pub fn sign(props: &SessionProps, issuer: &str, secret: &SigningSecret, now: Timestamp) -> String {
    let seconds = now.seconds();
    let claims = Claims {
        iss: issuer,
        iat: seconds,
        exp: seconds.saturating_add(LIFETIME),
        props,
    };
    let mut token = URL_SAFE_NO_PAD.encode(HEAD);
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(crate::evaluate::json(&claims)));
    let signature = secret.sign(&[token.as_bytes()]).finalize().into_bytes();
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature));
    token
}
