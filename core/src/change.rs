//! What a change of plan does, before it is made: the same rule that the webhooks apply ([`crate::stripe::timeline`]).

use crate::account::Account;
use crate::digits::group;
use crate::entitlement::{Entitlement, ScheduledChange};
use crate::payload::text::PlanName;
use crate::plan::{Allowance, Interval, PlanId, Sold};
use crate::quota::{Usage, balance};
use crate::stripe::timeline::{Running, change};
use crate::subscription::Standing;
use crate::time::{Timestamp, month_around};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A change that a user thinks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlanChange {
    /// The plan, by any of its names. `free` cancels; the plan that holds takes back what was decided before.
    pub plan: PlanName,
    /// How often it is to be paid; as now when absent, by the month for whoever pays nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub interval: Option<Interval>,
}

/// A question about a change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChangeRequest {
    /// The account, as `GET /api/account` returns it.
    pub account: Account,
    /// The change.
    pub to: PlanChange,
    /// The moment it is made.
    pub now: crate::time::Moment,
}

/// What kind of change it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ChangeKind {
    /// Nothing changes.
    None,
    /// A first subscription, or one after another has ended.
    Subscribe,
    /// To a larger plan, at once.
    Upgrade,
    /// To a smaller plan, when what is paid runs out.
    Downgrade,
    /// The same plan, paid by another interval.
    Interval,
    /// To the free plan, when what is paid runs out.
    Cancel,
    /// What was decided before is taken back.
    Resume,
}

impl ChangeKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Subscribe,
        Self::Upgrade,
        Self::Downgrade,
        Self::Interval,
        Self::Cancel,
        Self::Resume,
    ];
}

/// Where the account stands on a plan at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlanBalance {
    /// The moment.
    pub at: Timestamp,
    /// The plan that holds.
    pub plan: PlanId,
    /// Calls allowed in the period; absent when unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub limit: Option<u64>,
    /// Calls used in the period.
    pub used: u64,
    /// Calls left in the period; absent when unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub remaining: Option<u64>,
    /// When the period ends; absent for a one-time allowance.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub period_end: Option<Timestamp>,
}

/// What a change does now, and at the next renewal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChangePreview {
    /// What kind of change it is.
    pub kind: ChangeKind,
    /// When the plan that was asked for holds; absent where that is when a payment comes that is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub effective_at: Option<Timestamp>,
    /// Right after the change.
    pub now: PlanBalance,
    /// When the plan changes or the period renews, whichever the change decides; absent when neither ever happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub renewal: Option<PlanBalance>,
    /// The entitlement after the change. Its version is the one before it.
    pub entitlement: Entitlement,
    /// The change in a sentence.
    pub text: String,
}

/// What a change to `plan`, paid by `interval`, does at `now` to whoever has used so much of what they are entitled to.
#[must_use]
pub fn preview(
    before: &Entitlement,
    usage: &Usage,
    plan: PlanId,
    interval: Option<Interval>,
    now: Timestamp,
) -> ChangePreview {
    let (kind, entitlement) = decided(before, plan, interval, now);
    let effective_at = match kind {
        ChangeKind::Upgrade if entitlement.plan_at(now) != plan => None,
        ChangeKind::Cancel => Some(cancellation(before, now).at),
        ChangeKind::Downgrade => entitlement
            .changes
            .iter()
            .find(|change| change.plan == plan)
            .map_or(Some(now), |change| Some(change.at)),
        _ => Some(now),
    };
    let present = standing_at(&entitlement, usage, now);
    let later = effective_at.filter(|effective_at| *effective_at > now);
    let then = match kind {
        // Another plan may come before it.
        ChangeKind::Cancel => &Entitlement {
            changes: vec![cancellation(before, now)],
            ..entitlement.clone()
        },
        _ => &entitlement,
    };
    let renewal = later
        .or(present.period_end)
        .map(|moment| standing_at(then, usage, moment));
    ChangePreview {
        kind,
        effective_at,
        text: text(
            kind,
            stays(before, &entitlement, now),
            &present,
            renewal.as_ref(),
            plan,
        ),
        now: present,
        renewal,
        entitlement,
    }
}

/// The entitlement after the change, and what kind of change that is.
fn decided(
    before: &Entitlement,
    plan: PlanId,
    interval: Option<Interval>,
    now: Timestamp,
) -> (ChangeKind, Entitlement) {
    let current = before.plan_at(now);
    match (current, plan) {
        (PlanId::Free, PlanId::Free) => (ChangeKind::None, before.clone()),
        // The grace is over, and what is due comes first.
        (PlanId::Free, _) if before.standing == Standing::PastDue => {
            (ChangeKind::Upgrade, before.clone())
        }
        (PlanId::Free, _) => (
            ChangeKind::Subscribe,
            subscribed(before, plan, interval, now),
        ),
        (_, PlanId::Free) => (ChangeKind::Cancel, cancelled(before, now)),
        _ => changed(before, plan, interval, now),
    }
}

/// A new subscription: its first period begins with it.
fn subscribed(
    before: &Entitlement,
    plan: PlanId,
    interval: Option<Interval>,
    now: Timestamp,
) -> Entitlement {
    let interval = interval.unwrap_or(Interval::Month);
    Entitlement {
        plan,
        standing: Standing::Active,
        anchor: now,
        interval: Some(interval),
        paid_until: Some(now.plus_months(interval.months())),
        changes: Vec::new(),
        version: before.version,
    }
}

/// The end of what is paid; where that is not known, of the month.
fn paid_until(entitlement: &Entitlement, now: Timestamp) -> Timestamp {
    entitlement
        .paid_until
        .filter(|until| *until > now)
        .unwrap_or_else(|| month_around(entitlement.anchor, now).end)
}

/// The end of a grace that runs, after which nothing else matters.
fn lapse(entitlement: &Entitlement) -> Option<ScheduledChange> {
    match entitlement.standing {
        Standing::PastDue => entitlement.changes.last().copied(),
        _ => None,
    }
}

/// The change that is decided and not made yet.
fn pending(entitlement: &Entitlement, now: Timestamp) -> Option<ScheduledChange> {
    let lapse = lapse(entitlement);
    entitlement
        .changes
        .iter()
        .copied()
        .find(|change| change.at > now && Some(*change) != lapse)
}

/// `next`, and the end of a grace, if that is not before it.
fn scheduled(
    next: Option<ScheduledChange>,
    lapse: Option<ScheduledChange>,
) -> Vec<ScheduledChange> {
    next.into_iter()
        .filter(|next| lapse.is_none_or(|lapse| next.at < lapse.at))
        .chain(lapse)
        .collect()
}

/// When whoever cancels is free: at the end of what is paid, or of a grace before it, or when that was decided before.
fn cancellation(before: &Entitlement, now: Timestamp) -> ScheduledChange {
    let end = ScheduledChange {
        plan: PlanId::Free,
        at: paid_until(before, now),
    };
    let ends = pending(before, now).filter(|change| change.plan == PlanId::Free);
    let lapses = lapse(before).filter(|lapse| lapse.plan == PlanId::Free);
    [Some(end), lapses, ends]
        .into_iter()
        .flatten()
        .min_by_key(|change| change.at)
        .unwrap_or(end)
}

fn cancelled(before: &Entitlement, now: Timestamp) -> Entitlement {
    let end = cancellation(before, now);
    // A smaller plan that begins earlier begins all the same.
    let next = pending(before, now)
        .filter(|change| change.at < end.at)
        .unwrap_or(end);
    Entitlement {
        plan: before.plan_at(now),
        changes: scheduled(Some(next), lapse(before)),
        ..before.clone()
    }
}

fn changed(
    before: &Entitlement,
    plan: PlanId,
    interval: Option<Interval>,
    now: Timestamp,
) -> (ChangeKind, Entitlement) {
    let current = before.plan_at(now);
    let pending = pending(before, now);
    let switches = interval.is_some_and(|interval| Some(interval) != before.interval);
    // Another interval begins a new cycle; a trial goes on as it is.
    let begins_anew = switches && before.standing != Standing::Trialing;
    let (anchor, until) = match (begins_anew, interval) {
        (true, Some(interval)) => (now, Some(now.plus_months(interval.months()))),
        _ => (before.anchor, before.paid_until),
    };
    let running = Running {
        sold: Sold {
            plan: current,
            interval: before.interval,
        },
        paid_until: match before.standing {
            // What is due is not paid.
            Standing::PastDue => None,
            _ => pending
                .filter(|change| change.plan != PlanId::Free)
                .map(|change| change.at)
                .or(before.paid_until),
        },
        downgrade: None,
    };
    let offered = Sold {
        plan,
        interval: interval.or(before.interval),
    };
    // A larger plan begins when what is due is paid.
    let waits = before.standing == Standing::PastDue && plan > current;
    let after = match waits {
        true => running,
        false => change(Some(running), offered, now, until),
    };
    let next = after.downgrade.map(|downgrade| ScheduledChange {
        plan: downgrade.sold.plan,
        at: downgrade.at,
    });
    let kind = match (plan.cmp(&current), next) {
        (std::cmp::Ordering::Greater, _) => ChangeKind::Upgrade,
        (std::cmp::Ordering::Less, _) => ChangeKind::Downgrade,
        _ if switches => ChangeKind::Interval,
        _ if pending.is_some() => ChangeKind::Resume,
        _ => ChangeKind::None,
    };
    let entitlement = Entitlement {
        plan: after.sold.plan,
        standing: before.standing,
        anchor,
        interval: interval.or(before.interval),
        paid_until: until,
        changes: scheduled(next, lapse(before)),
        version: before.version,
    };
    (kind, entitlement)
}

fn standing_at(entitlement: &Entitlement, usage: &Usage, at: Timestamp) -> PlanBalance {
    let balance = balance(entitlement, usage, at);
    PlanBalance {
        at,
        plan: balance.plan,
        limit: balance.limit(),
        used: balance.used,
        remaining: balance.remaining(),
        period_end: balance.period.end,
    }
}

/// Until when a plan stays that another follows.
fn stays(before: &Entitlement, after: &Entitlement, now: Timestamp) -> Cow<'static, str> {
    let paid = before.paid_until.filter(|until| *until > now);
    match (before.standing, paid, after.paid_until) {
        (Standing::PastDue, ..) => "while what is due is awaited".into(),
        (Standing::Trialing, ..) => "until the trial ends".into(),
        (_, None, _) => "until the period ends".into(),
        // A shorter interval begins at once, and what is left of the longer one is given back; or it waits for its end.
        (_, Some(paid), Some(until)) if until < paid => {
            format!("until {} at least", until.text()).into()
        }
        (_, Some(_), _) => "until what you paid for runs out".into(),
    }
}

fn text(
    kind: ChangeKind,
    stays: Cow<'static, str>,
    now: &PlanBalance,
    renewal: Option<&PlanBalance>,
    plan: PlanId,
) -> String {
    let name = plan.name();
    let left = |balance: &PlanBalance| match (balance.remaining, balance.plan.allowance()) {
        (None, _) => "unlimited calls".to_owned(),
        (Some(left), allowance) => {
            let calls = if left == 1 { "call" } else { "calls" };
            let once = match allowance {
                Allowance::Once { .. } => ", once",
                _ => "",
            };
            format!("{} {calls} left{once}", group(left))
        }
    };
    let then = renewal.map_or_else(String::new, |then| {
        format!(" on {}: {}", then.at.text(), left(then))
    });
    match kind {
        ChangeKind::None => format!("You are on {name} already: {}.", left(now)),
        ChangeKind::Upgrade if now.plan != plan => {
            format!(
                "{name} begins when what is due is paid: {} until then.",
                left(now)
            )
        }
        ChangeKind::Subscribe | ChangeKind::Upgrade => {
            format!("{name} begins at once: {} in this period.", left(now))
        }
        ChangeKind::Interval | ChangeKind::Resume => {
            format!("{name} goes on: {} in this period.", left(now))
        }
        ChangeKind::Downgrade if now.plan != plan => {
            format!(
                "{} stays {stays}, with {}. {name} begins{then}.",
                now.plan.name(),
                left(now)
            )
        }
        ChangeKind::Downgrade => format!("{name} begins at once: {} in this period.", left(now)),
        ChangeKind::Cancel => format!(
            "{} stays {stays}, with {}. {name} begins{then}.",
            now.plan.name(),
            left(now)
        ),
    }
}
