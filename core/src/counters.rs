//! The columns of `users` that people and old clients read. The meter decides; these follow.

use crate::entitlement::Entitlement;
use crate::quota::{LifetimeUsage, PeriodUsage, Usage, balance};
use crate::time::{Timestamp, month_start};

/// What the columns say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// `api_calls_count`: calls used in the period.
    pub used: u64,
    /// `mcp_calls_count`: the part of them made by MCP tools.
    pub mcp: u64,
    /// `api_calls_reset_at`: when the period ends; none for a one-time allowance.
    pub resets_at: Option<Timestamp>,
    /// `lifetime_calls_count`: what was used of the one-time allowance. It shows again when the plan returns to it.
    pub lifetime_used: u64,
    /// `lifetime_mcp_count`: the part of them made by MCP tools.
    pub lifetime_mcp: u64,
}

impl Counters {
    /// The columns of a user at `now`. For a user nobody heard of since their period ended, `usage` has no period.
    #[must_use]
    pub fn new(entitlement: &Entitlement, usage: &Usage, now: Timestamp) -> Self {
        let balance = balance(entitlement, usage, now);
        Self {
            used: balance.used,
            mcp: balance.mcp,
            resets_at: balance.period.end,
            lifetime_used: usage.lifetime.used,
            lifetime_mcp: usage.lifetime.mcp,
        }
    }

    /// The usage that the columns of a user tell: what a meter that knows nothing begins with, so that nobody gets a
    /// fresh allowance by a move or a loss.
    ///
    /// ```
    /// use legis_core::{counters::Counters, entitlement::Entitlement, quota::Usage};
    /// let at = "2026-03-01T00:00:00Z".parse().unwrap();
    /// let mut usage = Usage::none(at);
    /// usage.lifetime.used = 57;
    /// let counters = Counters::new(&Entitlement::free(at), &usage, at);
    /// assert_eq!(counters.usage(&Entitlement::free(at), at), usage);
    /// ```
    #[must_use]
    pub fn usage(&self, entitlement: &Entitlement, registered_at: Timestamp) -> Usage {
        let period = self.resets_at.map(|end| PeriodUsage {
            start: month_start(entitlement.anchor, end),
            end,
            used: self.used,
            mcp: self.mcp,
        });
        Usage {
            lifetime: LifetimeUsage {
                start: registered_at,
                used: self.lifetime_used,
                mcp: self.lifetime_mcp,
            },
            period,
        }
    }
}
