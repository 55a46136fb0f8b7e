//! When a meter brings what waits in its outbox to the database.

use crate::fnv::Fnv;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How long rows wait, so that several go together.
pub const FLUSH_AFTER_MILLIS: i64 = 10_000;

/// How long is waited after a first failure.
const FIRST_WAIT_MILLIS: i64 = 30_000;
/// How long at most.
const LONGEST_WAIT_MILLIS: i64 = 10 * 60 * 1000;

/// Failures in a row, and how long after them nothing is tried.
///
/// All meters fail at one moment; a database that comes back must not meet all of them at one. So a meter waits
/// twice as long after each failure, ten minutes at most, and of that a share between half and all, which is its own.
///
/// ```
/// use legis_core::outbox::Setback;
/// use legis_core::time::Timestamp;
/// let now = Timestamp::EPOCH;
/// let first = Setback::after(None, "auth0|7", now);
/// assert!((15_000..=30_000).contains(&first.wait_millis(now)));
/// let second = Setback::after(Some(first), "auth0|7", now);
/// assert!((30_000..=60_000).contains(&second.wait_millis(now)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setback {
    failures: u32,
    until: Timestamp,
}

impl Setback {
    /// What a failure at `now` means for a meter of this name, after those before it.
    #[must_use]
    pub fn after(before: Option<Self>, meter: &str, now: Timestamp) -> Self {
        let failures = before.map_or(1, |before| before.failures.saturating_add(1));
        let longest = FIRST_WAIT_MILLIS
            .saturating_mul(1 << failures.saturating_sub(1).min(16))
            .min(LONGEST_WAIT_MILLIS);
        let name = Fnv::default()
            .with(meter.as_bytes())
            .with(&failures.to_le_bytes());
        let half = longest / 2;
        Self {
            failures,
            until: now.plus_millis(half.saturating_add(name.below(half))),
        }
    }

    /// How long nothing is tried yet. A clock that was set back does not make it longer than it ever is.
    #[must_use]
    pub fn wait_millis(self, now: Timestamp) -> i64 {
        self.until.since(now).clamp(0, LONGEST_WAIT_MILLIS)
    }
}
