//! Sessions of the older revisions, bound to one user. The client gets the server's id with a seal that only this user's
//! requests fit; nothing has to be stored, and nobody can use another's session.

use super::SigningSecret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The header it comes in, both ways.
pub const HEADER: &str = "Mcp-Session-Id";

/// Between the server's id and the seal.
const MARK: char = '.';

/// The session `id` of the server's, for the user `sub`.
///
/// ```
/// use legis_core::mcp::{SigningSecret, session::{open, seal}};
/// let secret = SigningSecret::parse("0123456789abcdef0123456789abcdef").unwrap();
/// let sealed = seal("s-1", "auth0|ada", &secret);
/// assert_eq!(open(&sealed, "auth0|ada", &secret), Some("s-1"));
/// assert_eq!(open(&sealed, "auth0|eve", &secret), None);
/// assert_eq!(open("s-1", "auth0|ada", &secret), None);
/// ```
#[must_use]
pub fn seal(id: &str, sub: &str, secret: &SigningSecret) -> String {
    let seal = mac(id, sub, secret).finalize().into_bytes();
    format!("{id}{MARK}{}", URL_SAFE_NO_PAD.encode(seal))
}

/// The server's id of a session, if it is this user's.
#[must_use]
pub fn open<'s>(sealed: &'s str, sub: &str, secret: &SigningSecret) -> Option<&'s str> {
    let (id, given) = sealed.rsplit_once(MARK)?;
    let given = URL_SAFE_NO_PAD.decode(given).ok()?;
    mac(id, sub, secret).verify_slice(&given).ok()?;
    Some(id)
}

fn mac(id: &str, sub: &str, secret: &SigningSecret) -> Hmac<Sha256> {
    // Neither an id nor a `sub` has a line's end, so no two pairs are one text.
    secret.sign(&[b"session\n", sub.as_bytes(), b"\n", id.as_bytes()])
}
