//! What every event comes to in every status: computed by applying it, for `docs/billing.md`.

use super::apply::{Applied, Payer, Stored, Verdict, apply};
use super::billing::Billing;
use super::event::{Event, needed, read};
use super::prices::Prices;
use crate::entitlement::{Subscription, entitlement};
use crate::plan::{Interval, PlanId, rows};
use crate::subscription::{Grace, Status};
use crate::time::Timestamp;
use serde_json::{Value, json};

/// Every status, and one that nobody knows.
pub const STATUSES: [&str; 9] = [
    "trialing",
    "active",
    "past_due",
    "unpaid",
    "paused",
    "incomplete",
    "incomplete_expired",
    "canceled",
    "unheard_of",
];

/// What an event comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The event.
    pub event: &'static str,
    /// What holds afterwards, in each status.
    pub holds: Vec<String>,
    /// What is written beside.
    pub writes: String,
}

const SECONDS: i64 = 1_800_000_000;
const PRICE: &str = "price_developer";

/// A row for each event: a user on Developer, whose subscription is in a status that a subscription's event brings, or
/// that it had before any other.
#[must_use]
pub fn table() -> Vec<Row> {
    needed()
        .chain(["any other"])
        .map(|event| {
            let outcomes: Vec<(String, String)> = STATUSES
                .into_iter()
                .map(|status| outcome(event, status))
                .collect();
            Row {
                event,
                holds: outcomes.iter().map(|(holds, _)| holds.clone()).collect(),
                writes: outcomes
                    .into_iter()
                    .next()
                    .map(|(_, writes)| writes)
                    .unwrap_or_default(),
            }
        })
        .collect()
}

fn now() -> Timestamp {
    Timestamp::EPOCH.plus_millis(SECONDS.saturating_add(60).saturating_mul(1000))
}

fn prices() -> Prices {
    let rows: Vec<_> = rows()
        .into_iter()
        .map(|row| {
            let sold = row.plan == PlanId::Developer
                && row.billing_frequency == Interval::Month.frequency();
            (row, sold.then(|| PRICE.to_owned()))
        })
        .collect();
    Prices::new(&rows, "").unwrap_or_default()
}

fn event(kind: &str, id: &str, at: i64, object: Value) -> Option<Event> {
    let event = json!({
        "id": id, "type": kind, "created": at, "livemode": false, "data": { "object": object },
    });
    read(event.to_string().as_bytes()).ok()
}

fn subscription(status: &str) -> Value {
    json!({
        "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": status,
        "billing_cycle_anchor": SECONDS, "metadata": { "sub": "user" },
        "items": { "data": [{
            "price": { "id": PRICE, "recurring": { "interval": "month" } },
            "current_period_start": SECONDS, "current_period_end": SECONDS.saturating_add(30 * 86_400),
        }] },
    })
}

fn object(kind: &str, status: &str) -> Value {
    match kind {
        _ if kind.starts_with("customer.subscription") => subscription(status),
        _ if kind.starts_with("customer") => {
            json!({ "id": "cus_1", "metadata": { "sub": "user" } })
        }
        _ if kind.starts_with("checkout") => {
            json!({ "id": "cs_1", "customer": "cus_1", "client_reference_id": "user" })
        }
        // A dispute does not say whose it is.
        "charge.dispute.created" | "charge.dispute.closed" => json!({
            "id": "dp_1", "charge": "ch_1", "currency": "usd", "amount": 999, "status": "open",
        }),
        "charge.refunded" => json!({
            "id": "ch_1", "customer": "cus_1", "currency": "usd", "amount_refunded": 999,
        }),
        _ => json!({
            "id": "in_1", "customer": "cus_1", "currency": "usd", "amount_due": 999, "amount_paid": 999,
        }),
    }
}

fn outcome(kind: &str, status: &str) -> (String, String) {
    let before = SECONDS.saturating_sub(86_400);
    let mut store = Stored {
        users: vec![Payer {
            id: 1,
            sub: "user".to_owned(),
            version: 0,
            billing: Billing::none(),
            prior: None,
            agreed: None,
        }],
        ..Stored::default()
    };
    // Whoever is in a status was a customer before.
    take(
        &mut store,
        event(
            "customer.subscription.updated",
            "1",
            before,
            subscription("active"),
        ),
    );
    let brings = kind.starts_with("customer.subscription");
    if !brings {
        take(
            &mut store,
            event(
                "customer.subscription.updated",
                "2",
                SECONDS,
                subscription(status),
            ),
        );
    }
    let applied = take(
        &mut store,
        event(kind, "3", SECONDS.saturating_add(1), object(kind, status)),
    );
    (holds(&store), writes(&applied))
}

fn take(store: &mut Stored, event: Option<Event>) -> Applied {
    let events: Vec<Event> = event.into_iter().collect();
    let applied = apply(store, &events, &prices(), Grace::default(), now());
    for user in &applied.users {
        store.users = vec![user.clone()];
    }
    for customer in &applied.customers {
        store.customers = vec![customer.clone()];
    }
    store.snapshots.extend(applied.snapshots.iter().cloned());
    applied
}

fn holds(store: &Stored) -> String {
    let Some(billing) = store.users.first().map(|user| &user.billing) else {
        return String::new();
    };
    let entitlement = entitlement(
        &Subscription {
            plan: billing.sold.plan,
            status: Status::parse(&billing.status),
            interval: billing.interval,
            period_end: billing.period_end,
            anchor: billing.anchor,
            past_due_since: billing.past_due_since,
            scheduled: None,
            registered_at: now(),
            version: 0,
        },
        Grace::default(),
    );
    let plan = entitlement.plan_at(now()).name();
    match entitlement.changes.first() {
        Some(change) => {
            let days = change.at.since(now()).saturating_add(86_399_999) / 86_400_000;
            format!("{plan}, {days} days")
        }
        None => plan.to_owned(),
    }
}

fn writes(applied: &Applied) -> String {
    let mut written = Vec::new();
    if !applied.customers.is_empty() {
        written.push("customer".to_owned());
    }
    if !applied.snapshots.is_empty() {
        written.push("snapshot".to_owned());
    }
    for (_, payment) in &applied.payments {
        written.push(format!("payment {}", payment.status.as_str()));
    }
    for reversal in &applied.reversals {
        written.push(reversal.kind.as_str().replace('_', " "));
    }
    if applied
        .verdicts
        .iter()
        .any(|(_, verdict)| *verdict == Verdict::Pending)
    {
        written.push("waits".to_owned());
    }
    match written.is_empty() {
        true => "–".to_owned(),
        false => written.join(", "),
    }
}
