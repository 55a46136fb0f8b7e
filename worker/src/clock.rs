//! The one place that reads the clock.

use legis_core::time::Timestamp;

/// The time. A clock outside of 1970 to 9999 counts as 1970.
pub(crate) fn now() -> Timestamp {
    i64::try_from(worker::Date::now().as_millis())
        .ok()
        .and_then(Timestamp::from_millis)
        .unwrap_or(Timestamp::EPOCH)
}
