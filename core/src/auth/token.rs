//! The outside of a JSON Web Token: what can be said of it before its signature is checked.

use super::Unauthenticated;
use crate::json;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// The longest token that is looked at, in bytes.
pub const MAX_LENGTH: usize = 8192;

/// A token whose form is right and whose signature nobody has checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedToken<'t> {
    /// Which of the issuer's keys signed it.
    pub key_id: String,
    /// The bytes that were signed.
    pub signed: &'t [u8],
    /// The signature, RSASSA-PKCS1-v1_5 with SHA-256.
    pub signature: Vec<u8>,
    /// The claims, to be read only after the signature was found right.
    payload: Vec<u8>,
}

impl UnverifiedToken<'_> {
    /// The issuer the token names. It only chooses whose published keys to check the signature with.
    #[must_use]
    pub fn claimed_issuer(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Claimed {
            iss: String,
        }
        json::read::<Claimed>(&self.payload)
            .ok()
            .map(|claims| claims.iss)
    }

    /// The claims as JSON. Call it after the signature was found right.
    #[must_use]
    pub fn into_claims_json(self) -> Vec<u8> {
        self.payload
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default)]
    crit: Extensions,
}

/// Whether a header names extensions that must be understood (`crit`). We understand none, so what it says does not
/// matter, `null` included.
#[derive(Default, PartialEq)]
enum Extensions {
    #[default]
    None,
    Some,
}

impl<'de> Deserialize<'de> for Extensions {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self::Some)
    }
}

/// The token of an `Authorization` header.
///
/// # Errors
/// The first thing that is wrong with the header.
pub fn bearer(authorization: Option<&str>) -> Result<&str, Unauthenticated> {
    let authorization = authorization.ok_or(Unauthenticated::Missing)?;
    let (scheme, token) = authorization
        .split_once(' ')
        .ok_or(Unauthenticated::Scheme)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Unauthenticated::Scheme);
    }
    let token = token.trim();
    if token.len() > MAX_LENGTH {
        return Err(Unauthenticated::TooLong);
    }
    Ok(token)
}

/// Reads a token.
///
/// The algorithm is RS256 by our choice, never by the token's (RFC 8725 §3.1), so `none` and an HMAC keyed with the
/// public key are refused before any key is looked at.
///
/// # Errors
/// The first thing that is wrong.
pub fn parse(token: &str) -> Result<UnverifiedToken<'_>, Unauthenticated> {
    let (signed, signature) = token.rsplit_once('.').ok_or(Unauthenticated::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(Unauthenticated::Malformed)?;
    let decode = |part: &str| {
        URL_SAFE_NO_PAD
            .decode(part)
            .map_err(|_| Unauthenticated::Malformed)
    };
    let header: Header = json::read(&decode(header)?).map_err(|_| Unauthenticated::Malformed)?;
    if header.alg != "RS256" {
        return Err(Unauthenticated::Algorithm);
    }
    if header.crit == Extensions::Some {
        return Err(Unauthenticated::Critical);
    }
    if let Some(typ) = header.typ {
        let known = ["JWT", "at+jwt", "application/at+jwt"];
        if !known.iter().any(|known| known.eq_ignore_ascii_case(&typ)) {
            return Err(Unauthenticated::Kind);
        }
    }
    let key_id = header
        .kid
        .filter(|kid| !kid.is_empty())
        .ok_or(Unauthenticated::KeyIdMissing)?;
    Ok(UnverifiedToken {
        key_id,
        signed: signed.as_bytes(),
        signature: decode(signature)?,
        payload: decode(payload)?,
    })
}
