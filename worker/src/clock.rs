//! The one place that reads the clock.

use legis_core::time::Timestamp;

/// The time. A clock outside of 1970 to 9999 counts as 1970.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_js(js_sys::Date::now()).unwrap_or(Timestamp::EPOCH)
}

/// A new id: a UUID of version 7, so ids are in the order of time.
pub(crate) fn id() -> String {
    let millis = u64::try_from(now().millis()).unwrap_or(0);
    let nanos = u32::try_from(millis % 1000)
        .unwrap_or(0)
        .saturating_mul(1_000_000);
    let at = uuid::Timestamp::from_unix(uuid::NoContext, millis / 1000, nanos);
    uuid::Uuid::new_v7(at).to_string()
}
