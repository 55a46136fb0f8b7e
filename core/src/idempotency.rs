//! Calls that may be sent twice: the same key is charged once and gets the first decision again
//! (IETF draft "The Idempotency-Key HTTP Header Field").

use serde::{Deserialize, Serialize};

/// A caller's name for one call, and what identifies the call itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedCall {
    /// The caller's name for it.
    pub key: String,
    /// Of method, target and body. Another call under the same key is a mistake.
    pub fingerprint: String,
}

/// The header that carries the key.
pub const HEADER: &str = "Idempotency-Key";

/// The longest key, in characters.
const MAX_KEY: usize = 255;

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
        let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
        if key.is_empty() || key.len() > MAX_KEY || !visible {
            return Err(NotAKey);
        }
        let mut hash = Fnv::default();
        // Lengths go in as well, so that no two calls run together to the same bytes.
        for part in [method.as_bytes(), target.as_bytes(), body] {
            hash.write(&part.len().to_le_bytes());
            hash.write(part);
        }
        Ok(Self {
            key: key.to_owned(),
            fingerprint: format!("{:016x}", hash.0),
        })
    }
}

/// FNV-1a. It finds mistakes, not attacks: a caller who makes two calls collide only deceives themselves.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
