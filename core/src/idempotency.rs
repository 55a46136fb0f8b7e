//! Calls that may be sent twice: the same key is charged once and gets the first decision again
//! (IETF draft "The Idempotency-Key HTTP Header Field").

use crate::payload::text::IdempotencyKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A caller's name for one call, and what identifies the call itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedCall {
    /// The caller's name for it.
    pub key: String,
    /// Of method, target and body. Another call under the same key is a mistake.
    pub fingerprint: String,
}

/// A key that is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAKey;

impl KeyedCall {
    /// The call to `target` under `key`.
    ///
    /// ```
    /// use legis_core::idempotency::KeyedCall;
    /// let one = KeyedCall::new("k1", "GET", "bills?q=tax", b"").unwrap();
    /// assert_eq!(one, KeyedCall::new("k1", "GET", "bills?q=tax", b"").unwrap());
    /// assert_ne!(one, KeyedCall::new("k1", "GET", "votes", b"").unwrap());
    /// assert!(KeyedCall::new("", "GET", "bills", b"").is_err());
    /// ```
    ///
    /// # Errors
    /// [`NotAKey`] unless the key is 1 to 255 visible ASCII characters.
    pub fn new(key: &str, method: &str, target: &str, body: &[u8]) -> Result<Self, NotAKey> {
        if !IdempotencyKey::holds(key) {
            return Err(NotAKey);
        }
        // Lengths go in as well, so that no two calls run together to the same bytes. The hash is a cryptographic one: who
        // made two calls collide would have one of them for nothing.
        let parts = [method.as_bytes(), target.as_bytes(), body];
        let hash = parts.into_iter().fold(Sha256::new(), |hash, part| {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            hash.chain_update(length.to_le_bytes()).chain_update(part)
        });
        Ok(Self {
            key: key.to_owned(),
            fingerprint: URL_SAFE_NO_PAD.encode(hash.finalize()),
        })
    }
}
