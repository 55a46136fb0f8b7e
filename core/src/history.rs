//! The history of calls: the rows of `api_usage` and `mcp_logs`, and how long they are kept.

use crate::call::{CallEnd, CallStart, CallStatus, Called, Settled, cut};
use crate::metrics::Outcome;
use crate::payload::text::ErrorText;
use crate::quota::{Channel, Charge};
use crate::time::{DAY_MILLIS, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A call that ended, as it is stored: a row of `mcp_logs` when a tool was called, of `api_usage` otherwise.
///
/// The same columns for both, so that one list of them can be sent to the database; the tables take what is theirs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// The call's id: writing the row again changes nothing.
    pub id: String,
    /// Whose call.
    pub user_id: u64,
    /// The tool that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<String>,
    /// The path that was called, without its query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Who made the call.
    pub channel: Channel,
    /// How it ended.
    pub status: CallStatus,
    /// What it costs in the end: 0 when it was taken back, when it was made on the way of a tool call, and when it was
    /// reported with nothing left.
    pub cost: u32,
    /// Whether it was reported with nothing left.
    pub over_limit: bool,
    /// The start of the monthly period it was charged to, in milliseconds since 1970; none for the one-time allowance. It is
    /// always written: a row that says nothing is from a release that did not know.
    #[serde(default)]
    pub period_start: Option<i64>,
    /// The status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_time_ms: Option<u32>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// What the tool was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_data: Option<Value>,
    /// What the tool answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_data: Option<Value>,
    /// Tokens of the language model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_used: Option<u32>,
    /// The caller's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// The caller's program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// When the call was admitted, in milliseconds since 1970.
    pub timestamp: i64,
    /// As what it is counted; a release that did not count says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<Outcome>,
}

/// What became of the charge of a call that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paid {
    /// It was put on a counter when the call was admitted.
    From(Charge),
    /// There was nothing left to charge.
    OverLimit(Channel),
}

/// The row of a call of `user_id` that was admitted at `at`.
///
/// ```
/// use legis_core::call::{CallEnd, CallStart, Called};
/// use legis_core::history::{row, Paid};
/// use legis_core::quota::Channel;
/// let start = CallStart::new(Called::Tool("get-bill".into()), None, None);
/// let at = "2026-01-01T00:00:00Z".parse().unwrap();
/// let row = row("c1", 7, start, CallEnd::unknown(), Paid::OverLimit(Channel::Mcp), at);
/// assert_eq!((row.status.as_str(), row.cost, row.over_limit), ("unknown", 0, true));
/// ```
#[must_use]
pub fn row(
    id: &str,
    user_id: u64,
    start: CallStart,
    end: CallEnd,
    paid: Paid,
    at: Timestamp,
) -> HistoryRow {
    let (tool_name, endpoint, method) = match start.called {
        Called::Tool(name) => (Some(name), None, None),
        Called::Endpoint { method, path } => (None, Some(path), Some(method)),
    };
    let (channel, cost, over_limit, period) = match (paid, end.settled) {
        (Paid::From(charge), Settled::Charged) => {
            (charge.channel, charge.cost, false, charge.period)
        }
        (Paid::From(charge), Settled::Refunded) => (charge.channel, 0, false, charge.period),
        (Paid::OverLimit(channel), _) => (channel, 0, true, None),
    };
    let counted = match (paid, end.settled) {
        (Paid::From(charge), _) if charge.cost == 0 => Outcome::Free,
        (Paid::From(_), Settled::Charged) => Outcome::Charged,
        (Paid::From(_), Settled::Refunded) => Outcome::Refunded,
        (Paid::OverLimit(_), _) => Outcome::OverLimit,
    };
    HistoryRow {
        id: id.to_owned(),
        user_id,
        tool_name,
        endpoint,
        method,
        channel,
        status: end.status,
        cost,
        over_limit,
        period_start: period.map(Timestamp::millis),
        status_code: end.status_code,
        response_time_ms: end.millis,
        error_message: end.error.map(|error| cut(&error, ErrorText::MAX)),
        request_data: end.request_data,
        response_data: end.response_data,
        tokens_used: end.tokens_used,
        ip_address: start.ip_address,
        user_agent: start.user_agent,
        timestamp: at.millis(),
        counted: Some(counted),
    }
}

/// For how many days rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention(u32);

impl Default for Retention {
    fn default() -> Self {
        Self(400)
    }
}

impl Retention {
    /// The fewest days: longer than a month, so that the history of a period is whole while it runs.
    pub const MIN: u32 = 32;
    /// The most days: ten years.
    pub const MAX: u32 = 3660;

    /// So many days, if that may be configured.
    #[must_use]
    pub const fn from_days(days: u32) -> Option<Self> {
        if days < Self::MIN || days > Self::MAX {
            return None;
        }
        Some(Self(days))
    }

    /// The retention that a setting names in days.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse(days: &str) -> Result<Self, String> {
        let retention = days.parse().ok().and_then(Self::from_days);
        retention.ok_or_else(|| {
            format!(
                "RETENTION_DAYS is {days}; it must be {} to {}",
                Self::MIN,
                Self::MAX
            )
        })
    }

    /// The moment from which on rows are kept.
    #[must_use]
    pub fn since(self, now: Timestamp) -> Timestamp {
        days_before(now, self.0)
    }
}

/// The moment `days` days before `now`.
#[must_use]
pub fn days_before(now: Timestamp, days: u32) -> Timestamp {
    now.plus_millis(i64::from(days).saturating_mul(DAY_MILLIS).saturating_neg())
}

/// The smallest id that a call admitted at `at` or later can have: ids are UUIDs of version 7, which begin with the
/// moment they were made. The old end of a table is found by its primary key, without an index of moments.
///
/// ```
/// use legis_core::history::first_id;
/// assert_eq!(first_id("2026-01-01T00:00:00Z".parse().unwrap()), "019b76da-a800-7000-8000-000000000000");
/// ```
#[must_use]
pub fn first_id(at: Timestamp) -> String {
    let hex = format!("{:012x}", at.millis().max(0));
    let (high, low) = hex.split_at_checked(8).unwrap_or((&hex, ""));
    format!("{high}-{low}-7000-8000-000000000000")
}
