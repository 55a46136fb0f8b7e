//! A database for tests: what `Applied` says is stored, all of it or nothing.

use legis_core::entitlement::{Entitlement, ScheduledChange, Subscription, entitlement};
use legis_core::plan::{Interval, PlanId, rows};
use legis_core::stripe::apply::{Applied, Payer, Stored, Verdict, apply};
use legis_core::stripe::billing::Billing;
use legis_core::stripe::event::{self, Event};
use legis_core::stripe::prices::Prices;
use legis_core::subscription::{Grace, Status};
use legis_core::time::Timestamp;
use serde_json::Value;

pub fn prices() -> Prices {
    let plans = [PlanId::Developer, PlanId::Professional, PlanId::Enterprise];
    let further: serde_json::Map<String, Value> = plans
        .into_iter()
        .flat_map(|plan| {
            [Interval::Month, Interval::Year]
                .map(|interval| (super::account::price(plan, interval), plan.slug().into()))
        })
        .collect();
    let rows: Vec<_> = rows().into_iter().map(|row| (row, None)).collect();
    Prices::new(&rows, &Value::Object(further).to_string()).unwrap()
}

pub fn read(event: &Value) -> Event {
    event::read(event.to_string().as_bytes()).unwrap()
}

#[derive(Debug, Clone)]
pub struct Store {
    pub stored: Stored,
    pub pending: Vec<Event>,
    pub grace: Grace,
    pub prices: Prices,
    registered: Timestamp,
}

impl Store {
    /// With one user, who registered.
    pub fn with_user(sub: &str, registered: Timestamp) -> Self {
        let mut store = Self {
            stored: Stored::default(),
            pending: Vec::new(),
            grace: Grace::default(),
            prices: prices(),
            registered,
        };
        store.register(sub);
        store
    }

    pub fn register(&mut self, sub: &str) {
        self.stored.users.push(Payer {
            id: self.stored.users.len() as u64 + 1,
            sub: sub.to_owned(),
            version: 0,
            billing: Billing::none(),
            prior: None,
            agreed: None,
        });
    }

    /// Applies events, and whatever waited for them.
    pub fn take(&mut self, events: &[Event], now: Timestamp) -> Applied {
        let mut all = events.to_vec();
        all.extend(self.pending.clone());
        let applied = apply(&self.stored, &all, &self.prices, self.grace, now);
        self.store(&applied, &all);
        applied
    }

    fn store(&mut self, applied: &Applied, events: &[Event]) {
        for customer in &applied.customers {
            self.stored
                .customers
                .retain(|known| known.id != customer.id);
            self.stored.customers.push(customer.clone());
        }
        self.stored.snapshots.extend(applied.snapshots.clone());
        for (_, payment) in &applied.payments {
            self.stored
                .payments
                .retain(|known| known.invoice != payment.invoice);
            self.stored.payments.push(payment.clone());
        }
        for reversal in &applied.reversals {
            self.stored
                .reversals
                .retain(|known| known.id != reversal.id);
            self.stored.reversals.push(reversal.clone());
        }
        for user in &applied.users {
            self.stored.users.retain(|known| known.id != user.id);
            self.stored.users.push(Payer {
                version: user.version + 1,
                ..user.clone()
            });
        }
        let waits = |id: &str| {
            applied
                .verdicts
                .iter()
                .any(|(event, verdict)| event == id && *verdict == Verdict::Pending)
        };
        self.pending = events
            .iter()
            .filter(|event| waits(&event.id))
            .cloned()
            .collect();
        self.pending.dedup_by(|one, other| one.id == other.id);
    }

    pub fn billing(&self) -> &Billing {
        &self.stored.users[0].billing
    }

    /// Everything that is stored, without what only counts how often.
    pub fn state(&self) -> Stored {
        let mut stored = self.stored.clone();
        stored
            .customers
            .iter_mut()
            .for_each(|customer| customer.version = 0);
        stored.users.iter_mut().for_each(|user| user.version = 0);
        stored.customers.sort_by_key(|customer| customer.id.clone());
        stored.snapshots.sort_by_key(|snapshot| snapshot.id.clone());
        stored
            .payments
            .sort_by_key(|payment| payment.invoice.clone());
        stored.reversals.sort_by_key(|reversal| reversal.id.clone());
        stored.users.sort_by_key(|user| user.id);
        stored
    }

    pub fn entitlement(&self) -> Entitlement {
        entitlement(&row(self.billing(), self.registered), self.grace)
    }
}

/// The columns as the worker reads them back.
pub fn row(billing: &Billing, registered_at: Timestamp) -> Subscription {
    Subscription {
        plan: billing.sold.plan,
        status: Status::parse(&billing.status),
        interval: billing.interval,
        period_end: billing.period_end,
        anchor: billing.anchor,
        past_due_since: billing.past_due_since,
        scheduled: billing.scheduled.map(|scheduled| ScheduledChange {
            plan: scheduled.sold.plan,
            at: scheduled.at,
        }),
        registered_at,
        version: 0,
    }
}
