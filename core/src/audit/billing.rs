//! What Stripe said against what is stored of it.

use super::repair::Repair;
use super::{CRON_MILLIS, Code, Finding, text};
use crate::entitlement::ScheduledChange;
use crate::stripe::apply::Payer;
use crate::stripe::billing::Billing;
use crate::stripe::prices::Prices;
use crate::subscription::{Grace, Standing, Status};
use crate::time::{DAY_MILLIS, Timestamp};
use serde_json::{Value, json};

/// How long somebody may take to register who has paid.
const WAITING_MILLIS: i64 = 7 * DAY_MILLIS;

/// How long Stripe sends an event again: <https://docs.stripe.com/api/events>.
const RESENT_MILLIS: i64 = 30 * DAY_MILLIS;

/// A user whose columns are not what the events, or Stripe itself, make them.
#[must_use]
pub fn standing(
    stored: &Payer,
    right: &Payer,
    repair: Repair,
    grace: Grace,
    now: Timestamp,
) -> Option<Finding> {
    let (was, is) = (&stored.billing, &right.billing);
    // A decided change whose moment has come, and a grace that is over, are the cron's.
    let change = was.scheduled.map(|change| change.at);
    let lapse = was.past_due_since.map(|since| grace.end(since));
    let is_crons = [change, lapse]
        .into_iter()
        .flatten()
        .any(|at| (0..CRON_MILLIS).contains(&now.since(at)));
    let alerts_only = Billing {
        alerts: is.alerts.clone(),
        ..was.clone()
    } == *is;
    if was == is || is_crons || alerts_only {
        return None;
    }
    let shown = |billing: &Billing| {
        json!({
            "plan": billing.sold.plan,
            "status": billing.status,
            "period_end": text(billing.period_end),
            "anchor": text(billing.anchor),
            "past_due_since": text(billing.past_due_since),
            "scheduled": billing.scheduled.map(|change| ScheduledChange { plan: change.sold.plan, at: change.at }),
            "customer": billing.customer,
        })
    };
    let facts = json!({ "userId": stored.id, "columns": shown(was), "stripe": shown(is) });
    Some(Finding::new(Code::StandingDiffers, &stored.sub, facts).repaired_by(repair))
}

/// Prices of a user's subscriptions that were not known when they were applied.
#[must_use]
pub fn prices(payer: &Payer, prices: &Prices) -> Vec<Finding> {
    let unknown = |alert: &String| Some(alert.strip_prefix("unknown_price ")?.to_owned());
    payer
        .billing
        .alerts
        .iter()
        .filter_map(unknown)
        .map(|price| {
            let facts = json!({ "userId": payer.id, "price": price });
            let finding = Finding::new(Code::PriceUnknown, format!("{} {price}", payer.sub), facts);
            match prices.pays_for(&price) {
                // The configuration names it meanwhile.
                Some(_) => finding.repaired_by(Repair::Reconcile {
                    sub: payer.sub.clone(),
                }),
                None => finding,
            }
        })
        .collect()
}

/// A customer and the latest of its subscriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerSnapshot {
    /// Stripe's id.
    pub id: String,
    /// Whose it is said to be.
    pub sub: Option<String>,
    /// The user of that `sub`.
    pub user_id: Option<u64>,
    /// The statuses of its subscriptions, as last heard, by their ids.
    pub subscriptions: Vec<(String, String)>,
}

/// A customer that is nobody's; and, where it pays, who pays for nothing.
#[must_use]
pub fn customer(customer: &CustomerSnapshot) -> Vec<Finding> {
    if customer.user_id.is_some() {
        return Vec::new();
    }
    let mut findings: Vec<Finding> = customer
        .subscriptions
        .iter()
        .filter_map(|(id, status)| subscription(customer, id, status))
        .collect();
    if customer.sub.is_none() && findings.is_empty() {
        findings.push(Finding::new(
            Code::CustomerWithoutUser,
            &customer.id,
            json!({ "customer": customer.id }),
        ));
    }
    findings
}

/// Whether events about a subscription are stored, or what was agreed instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownSubscription {
    /// Some are, or an agreement.
    Known,
    /// Neither.
    Unknown,
}

/// A subscription that Stripe lists: of a customer without a user, or one of which no event ever came.
#[must_use]
pub fn listed(
    customer: &CustomerSnapshot,
    id: &str,
    status: &str,
    known: KnownSubscription,
) -> Option<Finding> {
    let (Some(user), Some(sub)) = (customer.user_id, &customer.sub) else {
        return subscription(customer, id, status);
    };
    (entitles(status) && known == KnownSubscription::Unknown).then(|| {
        let facts = json!({ "userId": user, "subscription": id, "status": status, "customer": customer.id });
        Finding::new(Code::StandingDiffers, sub, facts).repaired_by(Repair::FetchSubscription {
            sub: sub.clone(),
            subscription: id.to_owned(),
        })
    })
}

fn entitles(status: &str) -> bool {
    Status::parse(status).standing() != Standing::Free
}

/// A subscription of a customer without a user.
#[must_use]
fn subscription(customer: &CustomerSnapshot, id: &str, status: &str) -> Option<Finding> {
    (customer.user_id.is_none() && entitles(status)).then(|| {
        Finding::new(
            Code::SubscriptionWithoutUser,
            id,
            json!({ "subscription": id, "status": status, "customer": customer.id, "sub": customer.sub }),
        )
    })
}

/// An event that is stored and not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSnapshot {
    /// Stripe's id.
    pub id: String,
    /// What kind.
    pub kind: String,
    /// Whether it failed, or waits for somebody.
    pub state: EventState,
    /// When it came.
    pub received_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
}

/// Why an event is not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventState {
    /// Applying it failed, and is tried again.
    Failed,
    /// It is not applied by itself: it came with an adopted database, whose columns are later than it.
    SetAside,
    /// It waits for somebody who has registered meanwhile.
    PendingForUser,
    /// It waits for somebody who has not.
    PendingForNobody,
}

/// An event that should have been applied.
#[must_use]
pub fn event(event: &EventSnapshot, now: Timestamp) -> Option<Finding> {
    let age = now.since(event.received_at);
    let facts: Value = json!({
        "event": event.id,
        "type": event.kind,
        "receivedAt": event.received_at,
        "attempts": event.attempts,
        "state": match event.state {
            EventState::Failed | EventState::SetAside => "failed",
            EventState::PendingForUser | EventState::PendingForNobody => "pending",
        },
    });
    match event.state {
        EventState::Failed | EventState::PendingForUser if age >= CRON_MILLIS => Some(
            Finding::new(Code::EventStuck, &event.id, facts).repaired_by(Repair::ApplyEvent {
                event: event.id.clone(),
            }),
        ),
        EventState::SetAside if age < RESENT_MILLIS => {
            Some(Finding::new(Code::EventStuck, &event.id, facts))
        }
        EventState::PendingForNobody if age >= WAITING_MILLIS => {
            Some(Finding::new(Code::EventWaiting, &event.id, facts))
        }
        _ => None,
    }
}
