//! What a user can read of their history, in the words of the old wire.

use crate::call::CallStatus;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

crate::row! { EndpointUsage { endpoint, method, total_calls, avg_response_time } }
crate::row! { ToolUsage { tool_name, usage_count, avg_response_time, error_count } }

/// One line of `GET /api/usage`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// The answer of `GET /api/mcp/logs`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ToolCalls {
    /// The tool calls of the page, the newest first.
    pub logs: Vec<ToolCallLog>,
    /// Which page it is.
    pub pagination: Pagination,
    /// Over all of the period.
    pub stats: ToolCallStats,
    /// The tools called most, ten at most.
    pub top_tools: Vec<ToolUsage>,
    /// The time it is about.
    pub period: ReportPeriod,
}

/// One tool call.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ToolCallLog {
    /// The call's id.
    pub id: String,
    /// The tool's name.
    pub tool_name: String,
    /// How it ended.
    pub status: CallStatus,
    /// How long it took, in milliseconds.
    pub response_time_ms: Option<u32>,
    /// What went wrong.
    pub error_message: Option<String>,
    /// When.
    pub timestamp: Timestamp,
    /// Tokens of the language model.
    pub tokens_used: Option<u32>,
    /// Whether it was reported with nothing left.
    pub over_limit: bool,
}

/// Which page of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pagination {
    /// How many there are.
    pub total: u64,
    /// How many a page has at most.
    pub limit: u32,
    /// How many come before the page.
    pub offset: u32,
    /// Whether more come after it.
    pub has_more: bool,
}

/// Figures over the tool calls of a period.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ToolCallStats {
    /// All of them.
    pub total_calls: u64,
    /// Those that were answered.
    pub successful_calls: u64,
    /// Those that failed, or were not answered in time.
    pub failed_calls: u64,
    /// How long they took on average, in milliseconds; 0 when no call said.
    pub avg_response_time: f64,
    /// Tokens of the language model.
    pub total_tokens: u64,
    /// When the first was made.
    pub first_call: Option<Timestamp>,
    /// When the last was made.
    pub last_call: Option<Timestamp>,
    /// How many of a hundred were answered, with two decimals; 0 when there were none.
    pub success_rate: f64,
}

/// How often a tool was called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ToolUsage {
    /// The tool's name.
    pub tool_name: String,
    /// How often.
    pub usage_count: u64,
    /// How long it took on average, in milliseconds; `null` when no call said.
    pub avg_response_time: Option<f64>,
    /// How often it failed, or did not answer in time.
    pub error_count: u64,
}

/// The time a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReportPeriod {
    /// Its first moment.
    pub start: Timestamp,
    /// Its last: when it was asked for.
    pub end: Timestamp,
    /// The days between.
    pub days: u32,
}

/// What the database counted over the tool calls of a period.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Counted {
    /// All of them.
    pub total: u64,
    /// Those that were answered.
    pub successful: u64,
    /// Those that failed, or were not answered in time.
    pub failed: u64,
    /// How long they took on average, in milliseconds.
    pub average_millis: Option<f64>,
    /// Tokens of the language model.
    pub tokens: u64,
    /// When the first was made.
    pub first: Option<Timestamp>,
    /// When the last was made.
    pub last: Option<Timestamp>,
}

impl From<Counted> for ToolCallStats {
    fn from(counted: Counted) -> Self {
        Self {
            total_calls: counted.total,
            successful_calls: counted.successful,
            failed_calls: counted.failed,
            avg_response_time: counted.average_millis.unwrap_or(0.0),
            total_tokens: counted.tokens,
            first_call: counted.first,
            last_call: counted.last,
            success_rate: share(counted.successful, counted.total),
        }
    }
}

/// How many of a hundred, with two decimals.
fn share(part: u64, whole: u64) -> f64 {
    let hundredths = part
        .saturating_mul(10_000)
        .checked_div(whole)
        .unwrap_or_default();
    f64::from(u32::try_from(hundredths).unwrap_or(u32::MAX)) / 100.0
}

/// What a report is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportRequest {
    /// How many days back: 1 to 400, 30 when nothing is said.
    pub days: u32,
    /// How many lines at most: 1 to 100, 20 when nothing is said.
    pub limit: u32,
    /// How many lines to leave out: up to a million, none when nothing is said.
    pub offset: u32,
}

impl ReportRequest {
    /// Reads the parameters of a query by their names. What is not understood is refused, and so is what an answer
    /// would silently cut.
    ///
    /// ```
    /// use legis_core::report::ReportRequest;
    /// let query = |name: &str| (name == "days").then_some("7");
    /// let asked = ReportRequest::read(query).unwrap();
    /// assert_eq!((asked.days, asked.limit, asked.offset), (7, 20, 0));
    /// assert!(ReportRequest::read(|_| Some("seven")).is_err());
    /// ```
    ///
    /// # Errors
    /// What the parameter must be.
    pub fn read<'q>(
        parameter: impl Fn(&'static str) -> Option<&'q str>,
    ) -> Result<Self, &'static str> {
        let number =
            |name, default, range: std::ops::RangeInclusive<u32>, expected| match parameter(name) {
                None => Ok(default),
                Some(text) => match text.parse() {
                    Ok(number) if range.contains(&number) => Ok(number),
                    _ => Err(expected),
                },
            };
        Ok(Self {
            days: number("days", 30, 1..=400, "days must be a number from 1 to 400.")?,
            limit: number(
                "limit",
                20,
                1..=100,
                "limit must be a number from 1 to 100.",
            )?,
            offset: number(
                "offset",
                0,
                0..=1_000_000,
                "offset must be a number from 0 to 1000000.",
            )?,
        })
    }

    /// The time it is about, asked at `now`.
    #[must_use]
    pub fn period(self, now: Timestamp) -> ReportPeriod {
        ReportPeriod {
            start: crate::history::days_before(now, self.days),
            end: now,
            days: self.days,
        }
    }

    /// Which page it is, of so many lines in all.
    #[must_use]
    pub fn pagination(self, total: u64) -> Pagination {
        Pagination {
            total,
            limit: self.limit,
            offset: self.offset,
            has_more: u64::from(self.offset).saturating_add(u64::from(self.limit)) < total,
        }
    }
}
