//! FNV-1a, 64 bits: short names for things. It finds mistakes and groups lines of a log; it keeps no secret.

/// A running hash.
#[derive(Debug, Clone, Copy)]
pub struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// The hash after `bytes`.
    #[must_use]
    pub fn with(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    /// A number from 0 to `limit`, which is not reached: each equally likely.
    #[must_use]
    pub(crate) const fn below(self, limit: i64) -> i64 {
        (self.0 >> 1).cast_signed().rem_euclid(limit)
    }

    /// Sixteen hexadecimal digits.
    ///
    /// ```
    /// use legis_core::fnv::Fnv;
    /// assert_eq!(Fnv::default().with(b"foobar").hex(), "85944171f73967e8");
    /// ```
    #[must_use]
    pub fn hex(self) -> String {
        format!("{:016x}", self.0)
    }
}
