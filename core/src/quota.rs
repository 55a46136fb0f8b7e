//! The decision: may this call be made, and what is left.

mod charge;

use crate::digits::push_group;
use crate::entitlement::Entitlement;
use crate::plan::{self, Allowance, PlanId};
use crate::subscription::Standing;
use crate::time::{Period, Timestamp, month_around, month_containing};
use serde::{Deserialize, Serialize};

pub use charge::{Channel, Charge, ToolCall, charge, decide_within, refund, settled};

/// How many calls were used, in the only two places they are counted: for a lifetime, and by the month.
///
/// The meter keeps it; a counter belongs to its period, so nothing ever has to be reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Usage {
    /// What was used of a one-time allowance. It stays used after an upgrade and a later return.
    pub lifetime: LifetimeUsage,
    /// What was used in the latest monthly period that had a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub period: Option<PeriodUsage>,
}

/// The counter that never ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LifetimeUsage {
    /// When counting began: the registration.
    pub start: Timestamp,
    /// Calls charged and not refunded.
    #[serde(deserialize_with = "crate::whole::required")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = crate::whole::MAX)))]
    pub used: u64,
    /// The part of them made by MCP tools.
    #[serde(deserialize_with = "crate::whole::required")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = crate::whole::MAX)))]
    pub mcp: u64,
}

/// The counter of one monthly period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PeriodUsage {
    /// The first moment of the period.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
    /// Calls charged and not refunded.
    #[serde(deserialize_with = "crate::whole::required")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = crate::whole::MAX)))]
    pub used: u64,
    /// The part of them made by MCP tools.
    #[serde(deserialize_with = "crate::whole::required")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = crate::whole::MAX)))]
    pub mcp: u64,
}

impl Usage {
    /// Nothing used yet.
    #[must_use]
    pub const fn none(registered_at: Timestamp) -> Self {
        Self {
            lifetime: LifetimeUsage {
                start: registered_at,
                used: 0,
                mcp: 0,
            },
            period: None,
        }
    }
}

/// How many calls a call costs: at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Cost(u32);

impl TryFrom<u32> for Cost {
    type Error = &'static str;

    fn try_from(calls: u32) -> Result<Self, Self::Error> {
        Self::new(calls).ok_or("a call costs 1 to 1,000,000 calls")
    }
}

impl From<Cost> for u32 {
    fn from(cost: Cost) -> Self {
        cost.0
    }
}

impl Cost {
    /// One call.
    pub const ONE: Self = Self(1);
    /// The highest cost of a single call.
    pub const MAX: u32 = 1_000_000;

    /// `calls` calls; `None` unless 1 to 1,000,000.
    #[must_use]
    pub const fn new(calls: u32) -> Option<Self> {
        if calls == 0 || calls > Self::MAX {
            return None;
        }
        Some(Self(calls))
    }

    /// The number of calls.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Reason {
    /// Nothing, or too little, is left.
    AllowanceExhausted,
    /// One call asks for more than a whole period allows; waiting does not help.
    CostExceedsAllowance,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::AllowanceExhausted, Self::CostExceedsAllowance];

    /// The name used everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AllowanceExhausted => "allowance_exhausted",
            Self::CostExceedsAllowance => "cost_exceeds_allowance",
        }
    }
}

/// Where an account stands in its period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// The plan that holds.
    pub plan: PlanId,
    /// What it allows.
    pub allowance: Allowance,
    /// Calls used in `period`.
    pub used: u64,
    /// The part of them made by MCP tools.
    pub mcp: u64,
    /// The period the calls are counted in.
    pub period: Period,
}

impl Balance {
    /// The calls allowed in the period; `None` when unlimited.
    #[must_use]
    pub const fn limit(&self) -> Option<u64> {
        match self.allowance {
            Allowance::Once { calls } | Allowance::Monthly { calls } => Some(calls as u64),
            Allowance::Unlimited => None,
        }
    }

    /// The calls left; `None` when unlimited.
    #[must_use]
    pub const fn remaining(&self) -> Option<u64> {
        match self.limit() {
            Some(limit) => Some(limit.saturating_sub(self.used)),
            None => None,
        }
    }
}

/// How far a clock may run behind without being taken for another period.
const SKEW_MILLIS: i64 = 60 * 60 * 1000;

/// Where the account stands at `now`.
///
/// A recorded period rules until it ends, whatever the clock or the anchor do meanwhile: a clock that steps back, or
/// a subscription that ends and begins again, never yields a second allowance (rules: `docs/rules.md`, "Period").
#[must_use]
pub fn balance(entitlement: &Entitlement, usage: &Usage, now: Timestamp) -> Balance {
    let plan = entitlement.plan_at(now);
    let allowance = plan.allowance();
    let (used, mcp, period) = match (allowance, usage.period) {
        (Allowance::Once { .. }, _) => (
            usage.lifetime.used,
            usage.lifetime.mcp,
            Period {
                start: usage.lifetime.start,
                end: None,
            },
        ),
        (_, Some(recorded)) if now < recorded.end => (
            recorded.used,
            recorded.mcp,
            Period {
                start: recorded.start,
                end: Some(recorded.end),
            },
        ),
        _ => {
            // What comes before the anchor, such as a trial, has periods of its own, the last of which ends there. A clock
            // that runs behind is not meant.
            let ahead = entitlement.anchor.since(now);
            let month = match entitlement.standing == Standing::Trialing || ahead > SKEW_MILLIS {
                true => month_around(entitlement.anchor, now),
                false => month_containing(entitlement.anchor, now),
            };
            let period = Period {
                start: month.start,
                end: Some(month.end),
            };
            (0, 0, period)
        }
    };
    Balance {
        plan,
        allowance,
        used,
        mcp,
        period,
    }
}

/// The answer to "may this call be made?". The figures stand as they are after the decision: an admitted call is
/// counted in `used`, a refused one is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Decision {
    /// The call may be made.
    Admit(Admission),
    /// It may not.
    Refuse(Refusal),
}

/// What is left after an admitted call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Admission {
    /// The plan that holds.
    pub plan: PlanId,
    /// Calls allowed in the period; absent when unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub limit: Option<u64>,
    /// Calls used in the period, this one included.
    pub used: u64,
    /// Calls left in the period; absent when unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub remaining: Option<u64>,
    /// What the call costs; 0 when it is made on the way of a tool call.
    pub cost: u32,
    /// When the period began.
    pub period_start: Timestamp,
    /// When it ends; absent for a one-time allowance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub period_end: Option<Timestamp>,
    /// When calls become available again; absent when they never do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub resets_at: Option<Timestamp>,
}

/// Why a call is refused, and what would help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Refusal {
    /// For programs.
    pub reason: Reason,
    /// For people.
    pub message: String,
    /// The cheapest plan that would have admitted the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub suggested_plan: Option<PlanId>,
    /// The plan that holds.
    pub plan: PlanId,
    /// Calls allowed in the period. (An unlimited allowance never refuses.)
    pub limit: u64,
    /// Calls used in the period.
    pub used: u64,
    /// Calls left in the period.
    pub remaining: u64,
    /// What the call would have cost.
    pub cost: u32,
    /// When the period began.
    pub period_start: Timestamp,
    /// When it ends; absent for a one-time allowance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub period_end: Option<Timestamp>,
    /// When calls become available again; absent when they never do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub resets_at: Option<Timestamp>,
}

/// Decides on a call that costs `cost`, at `now`.
///
/// ```
/// use legis_core::{entitlement::Entitlement, quota::{decide, Cost, Decision, Usage}};
/// let now = "2026-03-01T00:00:00Z".parse().unwrap();
/// let (entitlement, mut usage) = (Entitlement::free(now), Usage::none(now));
/// assert!(matches!(decide(&entitlement, &usage, Cost::ONE, now), Decision::Admit(_)));
/// usage.lifetime.used = 100;
/// assert!(matches!(decide(&entitlement, &usage, Cost::ONE, now), Decision::Refuse(_)));
/// ```
#[must_use]
pub fn decide(entitlement: &Entitlement, usage: &Usage, cost: Cost, now: Timestamp) -> Decision {
    let balance = balance(entitlement, usage, now);
    let after = balance.used.saturating_add(u64::from(cost.get()));
    match balance.limit() {
        Some(limit) if after > limit => {
            Decision::Refuse(refuse(entitlement, usage, &balance, limit, cost, now))
        }
        _ => Decision::Admit(admit(entitlement, usage, &balance, cost.get())),
    }
}

/// What is left after a call that takes `cost`.
fn admit(entitlement: &Entitlement, usage: &Usage, balance: &Balance, cost: u32) -> Admission {
    let used = balance.used.saturating_add(u64::from(cost));
    let limit = balance.limit();
    Admission {
        plan: balance.plan,
        limit,
        used,
        remaining: limit.map(|limit| limit.saturating_sub(used)),
        cost,
        period_start: balance.period.start,
        period_end: balance.period.end,
        resets_at: renewal(entitlement, usage, balance, Cost::ONE),
    }
}

fn refuse(
    entitlement: &Entitlement,
    usage: &Usage,
    balance: &Balance,
    limit: u64,
    cost: Cost,
    now: Timestamp,
) -> Refusal {
    let reason = if u64::from(cost.get()) > limit {
        Reason::CostExceedsAllowance
    } else {
        Reason::AllowanceExhausted
    };
    let suggested_plan = suggest(entitlement, usage, cost, now);
    let resets_at = change_that_helps(entitlement, usage, balance, cost, now)
        .or_else(|| renewal(entitlement, usage, balance, cost));
    Refusal {
        reason,
        message: message(reason, balance, limit, cost, resets_at, suggested_plan),
        suggested_plan,
        plan: balance.plan,
        limit,
        used: balance.used,
        remaining: limit.saturating_sub(balance.used),
        cost: cost.get(),
        period_start: balance.period.start,
        period_end: balance.period.end,
        resets_at,
    }
}

/// The first change of plan inside the period after which a call of that cost could be made: what a smaller plan allows
/// once may be there still when the larger one lapses.
fn change_that_helps(
    entitlement: &Entitlement,
    usage: &Usage,
    balance: &Balance,
    cost: Cost,
    now: Timestamp,
) -> Option<Timestamp> {
    let end = balance.period.end?;
    let changes = entitlement.changes.iter().map(|change| change.at);
    let helps = |at: &Timestamp| {
        let then = self::balance(entitlement, usage, *at);
        let left = then.remaining();
        then.plan != balance.plan && left.is_none_or(|left| left >= u64::from(cost.get()))
    };
    changes
        .filter(|at| now < *at && *at < end)
        .filter(helps)
        .min()
}

/// The end of the period, if a call of that cost could be made then. Waiting must not be advised where the plan ends
/// with the period, or where the call costs more than any period of it allows.
#[must_use]
pub fn renewal(
    entitlement: &Entitlement,
    usage: &Usage,
    balance: &Balance,
    cost: Cost,
) -> Option<Timestamp> {
    let end = balance.period.end?;
    // A new period begins with nothing used; what comes once may be used already.
    let left = match entitlement.plan_at(end).allowance() {
        Allowance::Once { calls } => Some(u64::from(calls).saturating_sub(usage.lifetime.used)),
        Allowance::Monthly { calls } => Some(u64::from(calls)),
        Allowance::Unlimited => None,
    };
    left.is_none_or(|left| left >= u64::from(cost.get()))
        .then_some(end)
}

/// The cheapest larger plan that would have admitted the call, had the account been on it: usage of the period is
/// carried. Nobody is advised to a smaller plan, even where an unused one-time allowance would do for a while.
fn suggest(entitlement: &Entitlement, usage: &Usage, cost: Cost, now: Timestamp) -> Option<PlanId> {
    let current = entitlement.plan_at(now);
    plan::cheapest(|plan| {
        if plan <= current {
            return false;
        }
        let upgraded = Entitlement {
            plan,
            changes: Vec::new(),
            ..entitlement.clone()
        };
        let balance = self::balance(&upgraded, usage, now);
        balance
            .remaining()
            .is_none_or(|remaining| remaining >= u64::from(cost.get()))
    })
}

/// It is about nothing that the refusal does not say: the npm package remembers messages by what it says.
fn message(
    reason: Reason,
    balance: &Balance,
    limit: u64,
    cost: Cost,
    resets_at: Option<Timestamp>,
    suggested: Option<PlanId>,
) -> String {
    let plan = balance.plan.name();
    // Mostly enough for all of it.
    let mut text = String::with_capacity(200);
    match (reason, balance.allowance) {
        (Reason::CostExceedsAllowance, _) => {
            text.push_str("This call costs ");
            push_group(&mut text, u64::from(cost.get()));
            text.push_str(" calls, more than the ");
            push_group(&mut text, limit);
            text.push_str(" that ");
            text.push_str(plan);
            text.push_str(" allows.");
        }
        (Reason::AllowanceExhausted, allowance) => {
            let once = matches!(allowance, Allowance::Once { .. });
            text.push_str("You have used ");
            push_group(&mut text, balance.used);
            text.push_str(" of the ");
            push_group(&mut text, limit);
            text.push_str(" calls");
            if !once {
                text.push_str(" a month");
            }
            text.push_str(" of the ");
            text.push_str(plan);
            text.push_str(" plan.");
            let left = limit.saturating_sub(balance.used);
            if left > 0 {
                text.push(' ');
                push_group(&mut text, left);
                text.push_str(if left == 1 { " is" } else { " are" });
                text.push_str(" left, and this call costs ");
                push_group(&mut text, u64::from(cost.get()));
                text.push('.');
            }
            if once {
                text.push_str(" They do not renew.");
            } else if let Some(end) = resets_at {
                text.push_str(" More become available on ");
                end.push_text(&mut text);
                text.push('.');
            }
        }
    }
    if let Some(plan) = suggested {
        push_suggestion(&mut text, plan);
    }
    text
}

fn push_suggestion(text: &mut String, plan: PlanId) {
    text.push(' ');
    text.push_str(plan.name());
    text.push_str(" includes ");
    match plan.allowance() {
        Allowance::Once { calls } => {
            push_group(text, u64::from(calls));
            text.push_str(" calls once");
        }
        Allowance::Monthly { calls } => {
            push_group(text, u64::from(calls));
            text.push_str(" calls a month");
        }
        Allowance::Unlimited => text.push_str("unlimited calls"),
    }
    text.push('.');
}
