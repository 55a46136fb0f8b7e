//! Names of rows that are the same whenever an old database is read: adopting again changes nothing.

use super::value::hex;
use crate::time::Timestamp;
use sha2::{Digest, Sha256};

/// Names what belongs to a row of an old database: the parts are told apart by their lengths.
fn digest(parts: [&str; 4]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// The id of a call of the history: a UUID of version 7, in the order of time, as pruning needs it.
///
/// ```
/// use legis_core::{adoption::identity::call_id, history::first_id};
/// let at = "2026-01-01T00:00:00Z".parse().unwrap();
/// let id = call_id("old", "api_usage", "7", at);
/// assert_eq!(id, call_id("old", "api_usage", "7", at));
/// assert!(id >= first_id(at) && id < first_id(at.plus_millis(1)));
/// ```
#[must_use]
pub fn call_id(source: &str, table: &str, key: &str, at: Timestamp) -> String {
    let hash = u128::from_be_bytes(
        <[u8; 16]>::try_from(digest([source, table, key, "call"]).split_at(16).0)
            .unwrap_or_default(),
    );
    let millis = u128::from(u64::try_from(at.millis()).unwrap_or_default());
    const VERSION: u128 = 0x7000_u128.wrapping_shl(64);
    const VARIANT: u128 = 0x8000_u128.wrapping_shl(48);
    // 48 bits of time, 4 of version, 12 of chance, 2 of variant, 62 of chance (RFC 9562, section 5.7).
    let chance = 0x0fff_3fff_ffff_ffff_ffff_u128;
    let number = millis.wrapping_shl(80) | VERSION | VARIANT | (hash & chance);
    let hex = format!("{number:032x}");
    let mut text = String::with_capacity(36);
    for (index, digit) in hex.chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

/// The id in quarantine of a row, or of a part of it.
#[must_use]
pub fn quarantine_id(source: &str, table: &str, key: &str, part: &str) -> String {
    let digest = digest([source, table, key, part]);
    hex(digest.split_at(16).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_version_7_and_of_the_right_variant() {
        for key in 0..200 {
            let at = Timestamp::EPOCH.plus_millis(1_700_000_000_000 + i64::from(key));
            let id = call_id("source", "api_usage", &key.to_string(), at);
            let bytes = id.as_bytes();
            assert_eq!(id.len(), 36);
            assert_eq!(bytes[14], b'7', "{id}");
            assert!(matches!(bytes[19], b'8' | b'9' | b'a' | b'b'), "{id}");
        }
    }

    #[test]
    fn no_two_rows_share_a_name() {
        let at = Timestamp::EPOCH;
        assert_ne!(call_id("a", "bc", "1", at), call_id("ab", "c", "1", at));
        assert_ne!(
            quarantine_id("a", "b", "1", "row"),
            quarantine_id("a", "b", "1", "aside")
        );
    }
}
