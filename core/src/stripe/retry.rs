//! When an event that could not be applied is tried again.

use crate::time::{DAY_MILLIS, Timestamp};

/// The first wait; each later one is twice as long.
const FIRST_MILLIS: i64 = 15 * 60 * 1000;
/// The longest wait.
const LONGEST_MILLIS: i64 = DAY_MILLIS;

/// When an event is tried again that was tried so often, the last time at `now`.
///
/// ```
/// use legis_core::stripe::retry::next_attempt;
/// let now = "2026-03-01T00:00:00Z".parse().unwrap();
/// assert_eq!(next_attempt(1, now).to_string(), "2026-03-01T00:15:00.000Z");
/// assert_eq!(next_attempt(3, now).to_string(), "2026-03-01T01:00:00.000Z");
/// assert_eq!(next_attempt(99, now).to_string(), "2026-03-02T00:00:00.000Z");
/// ```
#[must_use]
pub fn next_attempt(attempts: u32, now: Timestamp) -> Timestamp {
    let doubled = 1_i64
        .checked_shl(attempts.saturating_sub(1).min(20))
        .and_then(|factor| FIRST_MILLIS.checked_mul(factor))
        .unwrap_or(LONGEST_MILLIS);
    now.plus_millis(doubled.min(LONGEST_MILLIS))
}
