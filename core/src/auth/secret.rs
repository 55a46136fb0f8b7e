//! Secrets that two sides share.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Whether somebody has the secret. How long that takes tells nothing of it but its length.
///
/// ```
/// use legis_core::auth::secret::is_same;
/// assert!(is_same("0123456789", "0123456789"));
/// assert!(!is_same("0123456780", "0123456789"));
/// assert!(!is_same("", "0123456789"));
/// ```
#[must_use]
pub fn is_same(said: &str, secret: &str) -> bool {
    let pairs = said.bytes().zip(secret.bytes());
    let differing = pairs.fold(0, |differing, (one, other)| differing | (one ^ other));
    said.len() == secret.len() && std::hint::black_box(differing) == 0
}

/// HMAC-SHA256 (RFC 2104) over `parts`, to be written, or compared with what was sent.
#[must_use]
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let hashed = Sha256::digest(key);
    let mut block = [0; 64];
    let key = match key.len() > block.len() {
        true => hashed.as_slice(),
        false => key,
    };
    for (place, byte) in block.iter_mut().zip(key) {
        *place = *byte;
    }
    let mut mac = Hmac::new(&block.into());
    for part in parts {
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::hmac;
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::Sha256;

    #[test]
    fn a_key_may_have_any_length() {
        for length in [0, 1, 32, 63, 64, 65, 200] {
            let key = vec![0x5a; length];
            let mut other = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            other.update(b"one part, another");
            let ours = hmac(&key, &[b"one part", b", another"]);
            assert_eq!(ours.finalize().into_bytes(), other.finalize().into_bytes());
        }
    }
}
