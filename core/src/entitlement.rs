//! What a user may do, derived from what is stored about the subscription.

use crate::plan::{Interval, PlanId};
use crate::subscription::{Grace, Standing, Status};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a user is entitled to, now and after the next change that is already known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Entitlement {
    /// The plan until the first of `changes`.
    pub plan: PlanId,
    /// What the subscription is worth.
    pub standing: Standing,
    /// Where monthly periods are counted from: the subscription's billing anchor; for the free plan, the registration.
    pub anchor: Timestamp,
    /// How often is paid, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub interval: Option<Interval>,
    /// The end of the period that is paid; absent where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub paid_until: Option<Timestamp>,
    /// The changes of plan that are already decided, the earliest first: the end of a cancelled or downgraded
    /// subscription's paid period, and of a grace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    #[cfg_attr(feature = "schema", schemars(length(max = 4)))]
    pub changes: Vec<ScheduledChange>,
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
    pub fn free(registered_at: Timestamp) -> Self {
        Self {
            plan: PlanId::Free,
            standing: Standing::Free,
            anchor: registered_at,
            interval: None,
            paid_until: None,
            changes: Vec::new(),
            version: 0,
        }
    }

    /// The plan that holds at `now`.
    #[must_use]
    pub fn plan_at(&self, now: Timestamp) -> PlanId {
        self.changes
            .iter()
            .filter(|change| change.at <= now)
            .max_by_key(|change| change.at)
            .map_or(self.plan, |change| change.plan)
    }
}

/// What is stored about a user's subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The plan of `users.current_plan_id`.
    pub plan: PlanId,
    /// Stripe's word.
    pub status: Status,
    /// How often it is paid.
    pub interval: Option<Interval>,
    /// When its period ends.
    pub period_end: Option<Timestamp>,
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
    let scheduled = subscription.scheduled.into_iter();
    let (plan, changes) = match standing {
        Standing::Free => (PlanId::Free, Vec::new()),
        // A status nobody knows changes nothing: what was due before it still is.
        Standing::Unknown | Standing::PastDue if subscription.past_due_since.is_some() => {
            (subscription.plan, until_lapse(subscription, grace))
        }
        // Without a moment to count a grace from, the plan is kept: our bookkeeping never locks a payer out, and the
        // audit reports the gap.
        Standing::Active | Standing::Trialing | Standing::Unknown | Standing::PastDue => {
            (subscription.plan, scheduled.collect())
        }
    };
    let paid = plan != PlanId::Free;
    Entitlement {
        plan,
        standing,
        anchor,
        interval: subscription.interval.filter(|_| paid),
        paid_until: subscription.period_end.filter(|_| paid),
        changes,
        version: subscription.version,
    }
}

/// The changes up to the end of the grace, which is the last: what was scheduled for later is not entitled any more.
fn until_lapse(subscription: &Subscription, grace: Grace) -> Vec<ScheduledChange> {
    let end = subscription.past_due_since.map(|since| grace.end(since));
    let follows = subscription.scheduled.filter(|next| Some(next.at) == end);
    let lapse = end.map(|at| ScheduledChange {
        // Another subscription may go on.
        plan: follows.map_or(PlanId::Free, |next| next.plan),
        at,
    });
    subscription
        .scheduled
        .into_iter()
        .filter(|scheduled| lapse.is_none_or(|lapse| scheduled.at < lapse.at))
        .chain(lapse)
        .collect()
}
