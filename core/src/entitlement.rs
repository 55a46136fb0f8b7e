//! What a user may do, derived from what is stored about the subscription.

use crate::plan::PlanId;
use crate::subscription::{Grace, Standing, Status};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a user is entitled to, now and after the next change that is already known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Entitlement {
    /// The plan until `change`.
    pub plan: PlanId,
    /// What the subscription is worth.
    pub standing: Standing,
    /// Where monthly periods are counted from: the subscription's billing anchor; for the free plan, the registration.
    pub anchor: Timestamp,
    /// The change of plan that is already decided: the end of a cancelled or downgraded subscription's paid period,
    /// or of a grace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub change: Option<ScheduledChange>,
    /// Grows with every change; an older one never replaces a newer.
    #[serde(deserialize_with = "crate::whole::required")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = crate::whole::MAX)))]
    pub version: u64,
}

/// A change of plan at a known moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScheduledChange {
    /// The plan from then on.
    pub plan: PlanId,
    /// When.
    pub at: Timestamp,
}

impl Entitlement {
    /// The entitlement of a user who never subscribed.
    #[must_use]
    pub const fn free(registered_at: Timestamp) -> Self {
        Self {
            plan: PlanId::Free,
            standing: Standing::Free,
            anchor: registered_at,
            change: None,
            version: 0,
        }
    }

    /// The plan that holds at `now`.
    #[must_use]
    pub fn plan_at(&self, now: Timestamp) -> PlanId {
        match self.change {
            Some(change) if now >= change.at => change.plan,
            _ => self.plan,
        }
    }
}

/// What is stored about a user's subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The plan of `users.current_plan_id`.
    pub plan: PlanId,
    /// Stripe's word.
    pub status: Status,
    /// The billing anchor, once there was a subscription.
    pub anchor: Option<Timestamp>,
    /// When it became past due.
    pub past_due_since: Option<Timestamp>,
    /// The change that takes effect at the end of the paid period.
    pub scheduled: Option<ScheduledChange>,
    /// When the user registered.
    pub registered_at: Timestamp,
    /// Grows with every change.
    pub version: u64,
}

/// What a stored subscription entitles to (rules: `docs/rules.md`, "Standing").
#[must_use]
pub fn entitlement(subscription: &Subscription, grace: Grace) -> Entitlement {
    let anchor = subscription.anchor.unwrap_or(subscription.registered_at);
    let standing = subscription.status.standing();
    let (plan, change) = match standing {
        Standing::Free => (PlanId::Free, None),
        Standing::Active | Standing::Trialing | Standing::Unknown => {
            (subscription.plan, subscription.scheduled)
        }
        Standing::PastDue => (subscription.plan, end_of_grace(subscription, grace)),
    };
    Entitlement {
        plan,
        standing,
        anchor,
        change,
        version: subscription.version,
    }
}

/// The earlier of the scheduled change and the end of the grace. Without a moment to count from, the plan is kept:
/// our bookkeeping never locks a payer out, and the audit reports the gap.
fn end_of_grace(subscription: &Subscription, grace: Grace) -> Option<ScheduledChange> {
    let lapse = subscription.past_due_since.map(|since| ScheduledChange {
        plan: PlanId::Free,
        at: grace.end(since),
    });
    match (lapse, subscription.scheduled) {
        (Some(lapse), Some(scheduled)) if scheduled.at < lapse.at => Some(scheduled),
        (Some(lapse), _) => Some(lapse),
        (None, scheduled) => scheduled,
    }
}
