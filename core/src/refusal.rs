//! A decision as others need it: headers for HTTP, a result for MCP. The page shows the decision's own message.

use crate::header;
use crate::quota::{Decision, Refusal};
use crate::time::Timestamp;
use serde::Serialize;

/// The name of the quota in the RateLimit headers.
pub const POLICY: &str = "plan";

/// The headers of a metered answer: `RateLimit-Policy` and `RateLimit` (IETF draft), the older `X-RateLimit-*`, and
/// `Retry-After` where waiting helps. An unlimited allowance has none.
#[must_use]
pub fn headers(decision: &Decision, now: Timestamp) -> Vec<(&'static str, String)> {
    let (limit, remaining, start, end) = match decision {
        Decision::Admit(admission) => match (admission.limit, admission.remaining) {
            (Some(limit), Some(remaining)) => (
                limit,
                remaining,
                admission.period_start,
                admission.period_end,
            ),
            _ => return Vec::new(),
        },
        Decision::Refuse(refusal) => (
            refusal.limit,
            refusal.remaining,
            refusal.period_start,
            refusal.period_end,
        ),
    };
    let mut policy = format!("\"{POLICY}\";q={limit}");
    let mut rate = format!("\"{POLICY}\";r={remaining}");
    let mut headers = Vec::new();
    if let Some(end) = end {
        let window = seconds_up(end.since(start));
        let left = seconds_up(end.since(now));
        policy.push_str(&format!(";w={window}"));
        rate.push_str(&format!(";t={left}"));
        headers.push((header::RESET, seconds_up(end.millis()).to_string()));
    }
    headers.push((header::RATE_LIMIT_POLICY, policy));
    headers.push((header::RATE_LIMIT, rate));
    headers.push((header::LIMIT, limit.to_string()));
    headers.push((header::REMAINING, remaining.to_string()));
    if let Decision::Refuse(Refusal {
        resets_at: Some(reset),
        ..
    }) = decision
    {
        headers.push((
            header::RETRY_AFTER,
            seconds_up(reset.since(now)).to_string(),
        ));
    }
    headers
}

/// Milliseconds as seconds, rounded up: a caller who waits that long has waited long enough.
fn seconds_up(millis: i64) -> i64 {
    millis.max(0).saturating_add(999).div_euclid(1000)
}

/// The result of an MCP tool call that was refused: the model reads the text, programs the rest.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
pub struct ToolRefusal {
    /// Always true.
    #[cfg_attr(feature = "ts", tsify(type = "true"))]
    pub is_error: bool,
    /// The message.
    pub content: [TextContent; 1],
    /// The decision.
    #[cfg_attr(feature = "ts", tsify(type = "Decision & Record<string, unknown>"))]
    pub structured_content: Decision,
}

/// A piece of text in a tool's result.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
pub struct TextContent {
    /// Always `text`.
    #[cfg_attr(feature = "ts", tsify(type = "\"text\""))]
    pub r#type: &'static str,
    /// The text.
    pub text: String,
}

/// The tool result for `refusal`.
#[must_use]
pub fn tool_result(refusal: &Refusal) -> ToolRefusal {
    ToolRefusal {
        is_error: true,
        content: [TextContent {
            r#type: "text",
            text: refusal.message.clone(),
        }],
        structured_content: Decision::Refuse(refusal.clone()),
    }
}
