//! A small model of a Stripe account: one customer's life, told in events as Stripe tells it.

use legis_core::plan::{Interval, PlanId};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

pub const START: i64 = 1_790_000_000;
pub const DAY: i64 = 86_400;

/// What happens to the customer.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    Checkout {
        plan: PlanId,
        interval: Interval,
        trial: bool,
    },
    TrialEnds,
    Renewal {
        paid: bool,
    },
    RetryPays,
    GivesUp,
    Change {
        plan: PlanId,
        interval: Interval,
    },
    CancelAtEnd,
    TakesBack,
    CancelNow,
    Pause,
    Resume,
    Touch,
    Refund,
    Dispute,
    UnknownPrice,
    UnknownStatus,
}

/// Which members a payload has: Stripe moved the period to the items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    Old,
    New,
}

pub fn interval() -> impl Strategy<Value = Interval> {
    prop_oneof![3 => Just(Interval::Month), 1 => Just(Interval::Year)]
}

pub fn paid_plan() -> impl Strategy<Value = PlanId> {
    prop::sample::select(vec![
        PlanId::Developer,
        PlanId::Professional,
        PlanId::Enterprise,
    ])
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (paid_plan(), interval(), any::<bool>())
            .prop_map(|(plan, interval, trial)| Step::Checkout { plan, interval, trial }),
        2 => Just(Step::TrialEnds),
        3 => prop::bool::weighted(0.6).prop_map(|paid| Step::Renewal { paid }),
        2 => Just(Step::RetryPays),
        1 => Just(Step::GivesUp),
        4 => (paid_plan(), interval()).prop_map(|(plan, interval)| Step::Change { plan, interval }),
        2 => Just(Step::CancelAtEnd),
        2 => Just(Step::TakesBack),
        1 => Just(Step::CancelNow),
        1 => Just(Step::Pause),
        1 => Just(Step::Resume),
        1 => Just(Step::Touch),
        1 => Just(Step::Refund),
        1 => Just(Step::Dispute),
        1 => Just(Step::UnknownPrice),
        1 => Just(Step::UnknownStatus),
    ]
}

#[derive(Debug, Clone)]
struct Subscription {
    id: String,
    status: &'static str,
    price: String,
    interval: Interval,
    start: i64,
    end: i64,
    anchor: i64,
    cancel: bool,
    notes: u32,
}

/// The account as it is, and every event it sent.
#[derive(Debug, Clone)]
pub struct Account {
    pub now: i64,
    pub sub: String,
    pub customer: String,
    generation: Generation,
    subscriptions: Vec<Subscription>,
    invoices: u32,
    pub events: Vec<Value>,
}

fn months(from: i64, count: u32) -> i64 {
    let at = legis_core::time::Timestamp::from_millis(from * 1000).unwrap();
    at.plus_months(count).seconds()
}

pub fn price(plan: PlanId, interval: Interval) -> String {
    format!("price_{}_{}", plan.as_str(), interval.months())
}

impl Account {
    pub fn new(sub: &str, customer: &str, generation: Generation) -> Self {
        let mut account = Self {
            now: START,
            sub: sub.to_owned(),
            customer: customer.to_owned(),
            generation,
            subscriptions: Vec::new(),
            invoices: 0,
            events: Vec::new(),
        };
        let object =
            json!({ "id": customer, "object": "customer", "metadata": {}, "created": START });
        account.emit("customer.created", object, None);
        account
    }

    pub fn live(steps: &[(Step, i64)], generation: Generation) -> Self {
        let mut account = Self::new("auth0|payer", "cus_1", generation);
        for (step, wait) in steps {
            account.now += wait;
            account.step(*step);
        }
        account
    }

    fn emit(&mut self, kind: &str, object: Value, previous: Option<Value>) {
        // Ids that say nothing about the order.
        let number = self.events.len() as u64 + 1;
        let id = format!("evt_{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut data = json!({ "object": object });
        if let Some(previous) = previous {
            data["previous_attributes"] = previous;
        }
        self.events.push(json!({
            "id": id, "object": "event", "api_version": "2026-07-29", "created": self.now, "livemode": false,
            "pending_webhooks": 1, "request": { "id": null, "idempotency_key": null }, "type": kind, "data": data,
        }));
    }

    fn object(&self, subscription: &Subscription) -> Value {
        let period = json!({
            "current_period_start": subscription.start, "current_period_end": subscription.end,
        });
        let mut item = json!({
            "id": format!("si_{}", subscription.id), "object": "subscription_item", "quantity": 1,
            "price": {
                "id": subscription.price, "object": "price", "unit_amount": 999, "currency": "usd",
                "recurring": { "interval": match subscription.interval { Interval::Month => "month", Interval::Year => "year" }, "interval_count": 1 },
            },
        });
        let mut object = json!({
            "id": subscription.id, "object": "subscription", "customer": self.customer, "status": subscription.status,
            "billing_cycle_anchor": subscription.anchor, "cancel_at_period_end": subscription.cancel,
            "cancel_at": if subscription.cancel { json!(subscription.end) } else { Value::Null },
            "metadata": { "sub": self.sub, "notes": subscription.notes.to_string() }, "currency": "usd", "livemode": false,
        });
        let target = match self.generation {
            Generation::Old => &mut object,
            Generation::New => &mut item,
        };
        target
            .as_object_mut()
            .unwrap()
            .extend(period.as_object().unwrap().clone());
        object["items"] = json!({ "object": "list", "has_more": false, "data": [item] });
        object
    }

    fn update(&mut self, kind: &str, change: impl FnOnce(&mut Subscription, i64)) {
        let now = self.now;
        let Some(subscription) = self.subscriptions.last().cloned() else {
            return;
        };
        let mut after = subscription.clone();
        change(&mut after, now);
        let (was, is) = (self.object(&subscription), self.object(&after));
        let mut previous = Map::new();
        for (name, value) in was.as_object().unwrap() {
            if is.get(name) != Some(value) {
                previous.insert(name.clone(), value.clone());
            }
        }
        *self.subscriptions.last_mut().unwrap() = after;
        let previous = kind.ends_with("updated").then_some(Value::Object(previous));
        self.emit(kind, is, previous);
    }

    fn updated(&mut self, change: impl FnOnce(&mut Subscription, i64)) {
        self.update("customer.subscription.updated", change);
    }

    fn invoice(&mut self, kinds: &[&str], amount: u32) {
        self.invoices += 1;
        let paid = kinds
            .iter()
            .any(|kind| kind.contains("paid") || kind.contains("succeeded"));
        let object = json!({
            "id": format!("in_{}", self.invoices), "object": "invoice", "customer": self.customer, "currency": "usd",
            "created": self.now, "amount_due": amount, "amount_paid": if paid { amount } else { 0 },
            "status": if paid { "paid" } else { "open" },
        });
        for kind in kinds {
            self.emit(kind, object.clone(), None);
        }
    }

    fn status(&self) -> Option<&'static str> {
        self.subscriptions
            .last()
            .map(|subscription| subscription.status)
    }

    fn is_running(&self) -> bool {
        matches!(self.status(), Some("active" | "trialing" | "past_due"))
    }

    pub fn step(&mut self, step: Step) {
        match step {
            Step::Checkout {
                plan,
                interval,
                trial,
            } if !self.is_running() => {
                self.checkout(plan, interval, trial);
            }
            Step::TrialEnds if self.status() == Some("trialing") => {
                let end = self.subscriptions.last().unwrap().end;
                self.now = self.now.max(end);
                self.invoice(&["invoice.paid"], 999);
                self.updated(|subscription, _| {
                    subscription.status = "active";
                    subscription.start = end;
                    subscription.end = months(end, subscription.interval.months());
                });
            }
            Step::Renewal { paid } if self.status() == Some("active") => self.renew(paid),
            Step::RetryPays if matches!(self.status(), Some("past_due" | "unpaid")) => {
                self.invoice(&["invoice.paid", "invoice.payment_succeeded"], 999);
                self.updated(|subscription, _| subscription.status = "active");
            }
            Step::GivesUp if self.status() == Some("past_due") => {
                self.updated(|subscription, _| subscription.status = "unpaid");
            }
            Step::Change { plan, interval } if self.is_running() => self.change(plan, interval),
            Step::CancelAtEnd if self.is_running() => {
                self.updated(|subscription, _| subscription.cancel = true);
            }
            Step::TakesBack if self.is_running() => {
                self.updated(|subscription, _| subscription.cancel = false);
            }
            Step::CancelNow
                if !self.subscriptions.is_empty() && self.status() != Some("canceled") =>
            {
                self.update("customer.subscription.deleted", |subscription, _| {
                    subscription.status = "canceled";
                });
            }
            Step::Pause if self.status() == Some("trialing") => {
                self.updated(|subscription, _| subscription.status = "paused");
                self.update("customer.subscription.paused", |_, _| {});
            }
            Step::Resume if self.status() == Some("paused") => {
                self.updated(|subscription, now| {
                    subscription.status = "active";
                    subscription.start = now;
                    subscription.anchor = now;
                    subscription.end = months(now, subscription.interval.months());
                });
                self.update("customer.subscription.resumed", |_, _| {});
            }
            Step::Touch if self.is_running() => {
                self.updated(|subscription, _| subscription.notes += 1)
            }
            Step::Refund if self.invoices > 0 => {
                let object = json!({
                    "id": format!("ch_{}", self.invoices), "object": "charge", "customer": self.customer, "currency": "usd",
                    "amount": 999, "amount_refunded": 500, "status": "succeeded",
                });
                self.emit("charge.refunded", object, None);
            }
            Step::Dispute if self.invoices > 0 => {
                let charge = format!("ch_{}", self.invoices);
                for (kind, status) in [("created", "needs_response"), ("closed", "won")] {
                    let object = json!({
                        "id": format!("dp_{charge}"), "object": "dispute", "charge": charge, "currency": "usd",
                        "amount": 999, "status": status,
                    });
                    self.emit(&format!("charge.dispute.{kind}"), object, None);
                }
            }
            Step::UnknownPrice if self.is_running() => {
                self.updated(|subscription, _| {
                    subscription.price = "price_nobody_knows".to_owned()
                });
            }
            Step::UnknownStatus if self.is_running() => {
                self.updated(|subscription, _| subscription.status = "on_the_moon");
                self.updated(|subscription, _| subscription.status = "active");
            }
            _ => {}
        }
    }

    fn checkout(&mut self, plan: PlanId, interval: Interval, trial: bool) {
        let number = self.subscriptions.len() + 1;
        let until = if trial {
            self.now + 14 * DAY
        } else {
            months(self.now, interval.months())
        };
        let subscription = Subscription {
            id: format!("sub_{number}"),
            status: if trial { "trialing" } else { "incomplete" },
            price: price(plan, interval),
            interval,
            start: self.now,
            end: until,
            anchor: if trial { until } else { self.now },
            cancel: false,
            notes: 0,
        };
        let object = self.object(&subscription);
        self.subscriptions.push(subscription);
        self.emit("customer.subscription.created", object, None);
        if !trial {
            self.invoice(&["invoice.paid", "invoice.payment_succeeded"], 999);
            self.updated(|subscription, _| subscription.status = "active");
        }
        let session = json!({
            "id": format!("cs_{number}"), "object": "checkout.session", "customer": self.customer,
            "client_reference_id": self.sub, "mode": "subscription", "payment_status": "paid",
            "subscription": format!("sub_{number}"),
        });
        self.emit("checkout.session.completed", session, None);
    }

    fn renew(&mut self, paid: bool) {
        let subscription = self.subscriptions.last().unwrap();
        let (end, cancel) = (subscription.end, subscription.cancel);
        self.now = self.now.max(end);
        if cancel {
            self.update("customer.subscription.deleted", |subscription, _| {
                subscription.status = "canceled";
            });
            return;
        }
        self.updated(|subscription, _| {
            subscription.start = end;
            subscription.end = months(end, subscription.interval.months());
        });
        if paid {
            self.invoice(&["invoice.payment_succeeded", "invoice.paid"], 999);
        } else {
            self.invoice(&["invoice.payment_failed"], 999);
            self.updated(|subscription, _| subscription.status = "past_due");
        }
    }

    pub fn change(&mut self, plan: PlanId, interval: Interval) {
        self.updated(|subscription, now| {
            let begins_anew =
                subscription.interval != interval && subscription.status != "trialing";
            subscription.price = price(plan, interval);
            subscription.interval = interval;
            if begins_anew {
                subscription.start = now;
                subscription.anchor = now;
                subscription.end = months(now, interval.months());
            }
        });
    }

    /// The subscriptions as Stripe's API would answer them.
    pub fn subscriptions(&self) -> Vec<Value> {
        self.subscriptions
            .iter()
            .map(|subscription| self.object(subscription))
            .collect()
    }
}
