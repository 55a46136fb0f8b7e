//! What a usage bar shows.

use crate::digits::group;
use crate::entitlement::Entitlement;
use crate::plan::Allowance;
use crate::quota::{Cost, Usage, balance, renewal};
use crate::time::Timestamp;
use serde::Serialize;

/// How close an account is to its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
pub enum Level {
    /// No limit to come close to.
    Unlimited,
    /// Less than 80 % used.
    Normal,
    /// 80 % used or more.
    Low,
    /// Nothing left.
    Exhausted,
}

impl Level {
    /// Every level, from the least to the most urgent.
    pub const ALL: [Self; 4] = [Self::Unlimited, Self::Normal, Self::Low, Self::Exhausted];
}

/// Figures and words for a usage bar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
pub struct Meter {
    /// Calls used in the period.
    pub used: u64,
    /// The part of them made by MCP tools.
    pub mcp: u64,
    /// Calls allowed in the period; absent when unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub limit: Option<u64>,
    /// Calls left in the period; absent when unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub remaining: Option<u64>,
    /// How full the bar is, 0 to 100, rounded down: 100 means nothing is left. 0 when unlimited.
    pub percent: u64,
    /// How close to the limit.
    pub level: Level,
    /// When calls become available again; absent when they never do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub resets_at: Option<Timestamp>,
    /// One line for people.
    pub text: String,
}

/// The usage bar at `now` of whoever has used so much of what they are entitled to.
#[must_use]
pub fn meter(entitlement: &Entitlement, usage: &Usage, now: Timestamp) -> Meter {
    let balance = balance(entitlement, usage, now);
    let (limit, remaining) = (balance.limit(), balance.remaining());
    let percent = limit.map_or(0, |limit| {
        balance
            .used
            .saturating_mul(100)
            .checked_div(limit)
            .unwrap_or(100)
            .min(100)
    });
    let level = match remaining {
        None => Level::Unlimited,
        Some(0) => Level::Exhausted,
        Some(_) if percent >= 80 => Level::Low,
        Some(_) => Level::Normal,
    };
    let used = group(balance.used);
    let resets_at = renewal(entitlement, usage, &balance, Cost::ONE);
    // What ends does not renew.
    let changes = entitlement.changes.iter().map(|change| change.at);
    let ends = changes
        .filter(|at| *at > now && resets_at.is_some_and(|end| *at <= end))
        .min();
    let text = match (balance.allowance, limit, resets_at) {
        (Allowance::Monthly { .. }, Some(limit), Some(end)) => format!(
            "{used} of {} calls used this month, {} {}",
            group(limit),
            if ends.is_some() { "until" } else { "renews on" },
            ends.unwrap_or(end).text()
        ),
        (Allowance::Monthly { .. }, Some(limit), None) => {
            format!("{used} of {} calls used this month", group(limit))
        }
        (_, Some(limit), _) => format!("{used} of {} calls used", group(limit)),
        (_, None, _) => format!("{used} calls used this month, no limit"),
    };
    Meter {
        used: balance.used,
        mcp: balance.mcp,
        limit,
        remaining,
        percent,
        level,
        resets_at,
        text,
    }
}
