//! The history of calls: what a row of `api_usage` says, gathered when a call is admitted and when it ends.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What is known of a call when it is admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallStart {
    /// The path, without its query.
    pub endpoint: String,
    /// The method.
    pub method: String,
    /// The caller's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// The caller's program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

impl CallStart {
    /// The start of a call, its texts held to what the table keeps.
    #[must_use]
    pub fn new(
        method: &str,
        endpoint: &str,
        ip_address: Option<&str>,
        user_agent: Option<&str>,
    ) -> Self {
        Self {
            endpoint: cut(endpoint, 2048),
            method: cut(method, 20),
            ip_address: ip_address.map(|address| cut(address, 45)),
            user_agent: user_agent.map(|agent| cut(agent, 512)),
        }
    }
}

/// The first `chars` characters.
fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
pub enum CallEnd {
    /// The upstream answered; a 4xx is an answer.
    Answered {
        /// The status of the answer.
        status: u16,
        /// How long it took to begin.
        millis: u32,
    },
    /// Our side or the upstream failed: nobody pays for it.
    Failed {
        /// The status the caller got.
        status: u16,
        /// How long it took to fail.
        millis: u32,
        /// Why, by the problem's name.
        error: String,
    },
    /// Nobody ever said. Charged: the call may have been answered.
    Unknown,
}

impl CallEnd {
    /// Whether the charge is taken back.
    #[must_use]
    pub const fn is_refunded(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }
}

/// A row of `api_usage`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// The call's id: writing the row again changes nothing.
    pub id: String,
    /// Whose call.
    pub user_id: u64,
    /// The path, without its query.
    pub endpoint: String,
    /// The method.
    pub method: String,
    /// The status the caller got; absent when nobody ever said.
    pub status_code: Option<u16>,
    /// How long it took, in milliseconds.
    pub response_time_ms: Option<u32>,
    /// What went wrong.
    pub error_message: Option<String>,
    /// The caller's address.
    pub ip_address: Option<String>,
    /// The caller's program.
    pub user_agent: Option<String>,
    /// When the call was admitted, in milliseconds since 1970.
    pub timestamp: i64,
}

/// One line of `GET /api/usage`, in the words of the old wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
pub struct EndpointUsage {
    /// The path, without its query.
    pub endpoint: String,
    /// The method.
    pub method: String,
    /// How many calls were recorded.
    pub total_calls: u64,
    /// How long they took on average, in milliseconds; `null` when no call said.
    pub avg_response_time: Option<f64>,
}

/// The days that a report may reach back: as long as rows are kept.
pub const MAX_DAYS: u32 = 400;

/// The number of days a report is asked for: 30 when nothing is said. `None` when it is no number from 1 to
/// [`MAX_DAYS`].
#[must_use]
pub fn days(text: Option<&str>) -> Option<u32> {
    match text {
        None => Some(30),
        Some(text) => text
            .parse()
            .ok()
            .filter(|days| (1..=MAX_DAYS).contains(days)),
    }
}

/// The row of a call that ended.
///
/// ```
/// use legis_core::history::{row, CallEnd, CallStart};
/// let start = CallStart::new("GET", "/api/bills", None, None);
/// let row = row("c1", 7, start, &CallEnd::Unknown, "2026-01-01T00:00:00Z".parse().unwrap());
/// assert_eq!((row.status_code, row.error_message.as_deref()), (None, Some("outcome unknown")));
/// ```
#[must_use]
pub fn row(id: &str, user_id: u64, start: CallStart, end: &CallEnd, at: Timestamp) -> HistoryRow {
    let (status_code, response_time_ms, error_message) = match end {
        CallEnd::Answered { status, millis } => (Some(*status), Some(*millis), None),
        CallEnd::Failed {
            status,
            millis,
            error,
        } => (Some(*status), Some(*millis), Some(cut(error, 2000))),
        CallEnd::Unknown => (None, None, Some("outcome unknown".to_owned())),
    };
    HistoryRow {
        id: id.to_owned(),
        user_id,
        endpoint: start.endpoint,
        method: start.method,
        status_code,
        response_time_ms,
        error_message,
        ip_address: start.ip_address,
        user_agent: start.user_agent,
        timestamp: at.millis(),
    }
}
