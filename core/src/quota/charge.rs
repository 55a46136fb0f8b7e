//! What an admitted call does to the counters, and what takes it back.

use super::{Admission, Cost, Decision, PeriodUsage, Usage, admit, balance, decide};
use crate::call::Settled;
use crate::entitlement::Entitlement;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A decision as it stands once the call is over.
#[must_use]
pub fn settled(decision: Decision, settled: Settled) -> Decision {
    match (decision, settled) {
        (Decision::Admit(admission), Settled::Refunded) => Decision::Admit(returned(&admission)),
        (decision, _) => decision,
    }
}

/// What is left after an admitted call was taken back.
fn returned(admission: &Admission) -> Admission {
    let cost = u64::from(admission.cost);
    Admission {
        used: admission.used.saturating_sub(cost),
        remaining: admission
            .remaining
            .map(|remaining| remaining.saturating_add(cost)),
        ..admission.clone()
    }
}

/// Who made a charged call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// The REST API.
    Rest,
    /// An MCP tool.
    Mcp,
}

impl Channel {
    /// The name used everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Mcp => "mcp",
        }
    }
}

/// Whether a tool call of the user is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolCall {
    /// One is.
    UnderWay,
    /// None is, as far as is known.
    None,
}

/// May a call be made on the way of a tool call? It takes nothing, because one tool call costs one call however many
/// calls it makes; but it needs a call left for the tool call to take, or one that is under way and has taken it.
#[must_use]
pub fn decide_within(
    entitlement: &Entitlement,
    usage: &Usage,
    tool_call: ToolCall,
    now: Timestamp,
) -> Decision {
    match (decide(entitlement, usage, Cost::ONE, now), tool_call) {
        (Decision::Refuse(refusal), ToolCall::None) => Decision::Refuse(refusal),
        _ => {
            let balance = balance(entitlement, usage, now);
            Decision::Admit(admit(entitlement, usage, &balance, 0))
        }
    }
}

/// Which counter a charge was put on; a refund goes back to the same one, and nowhere when its period is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Charge {
    /// How many calls; 0 for a call on the way of a tool call.
    pub cost: u32,
    /// Who made them.
    pub channel: Channel,
    /// The start of the monthly period; `None` for the lifetime counter.
    pub period: Option<Timestamp>,
}

/// The usage after an admitted call, and the charge that undoes it. `None` when the call is refused.
#[must_use]
pub fn charge(
    entitlement: &Entitlement,
    usage: &Usage,
    cost: Cost,
    channel: Channel,
    now: Timestamp,
) -> (Decision, Option<(Usage, Charge)>) {
    let decision = decide(entitlement, usage, cost, now);
    let Decision::Admit(admission) = &decision else {
        return (decision, None);
    };
    let balance = balance(entitlement, usage, now);
    let used = admission.used;
    let mcp = balance.mcp.saturating_add(match channel {
        Channel::Rest => 0,
        Channel::Mcp => u64::from(cost.get()),
    });
    let mut after = usage.clone();
    let period = match balance.period.end {
        None => {
            after.lifetime.used = used;
            after.lifetime.mcp = mcp;
            None
        }
        Some(end) => {
            let start = balance.period.start;
            after.period = Some(PeriodUsage {
                start,
                end,
                used,
                mcp,
            });
            Some(start)
        }
    };
    let charge = Charge {
        cost: cost.get(),
        channel,
        period,
    };
    (decision, Some((after, charge)))
}

/// The usage after `charge` was taken back.
#[must_use]
pub fn refund(usage: &Usage, charge: Charge) -> Usage {
    let cost = u64::from(charge.cost);
    let mcp = match charge.channel {
        Channel::Rest => 0,
        Channel::Mcp => cost,
    };
    let mut after = usage.clone();
    match (charge.period, &mut after.period) {
        (None, _) => {
            after.lifetime.used = after.lifetime.used.saturating_sub(cost);
            after.lifetime.mcp = after.lifetime.mcp.saturating_sub(mcp);
        }
        (Some(start), Some(period)) if period.start == start => {
            period.used = period.used.saturating_sub(cost);
            period.mcp = period.mcp.saturating_sub(mcp);
        }
        (Some(_), _) => {}
    }
    after
}
