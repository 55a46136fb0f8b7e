//! Rows about money, decoded and validated.

use crate::database::row;
use crate::failure::{Failure, Outcome};
use legis_core::json;
use legis_core::plan::{Interval, PlanId, Sold};
use legis_core::stripe::apply::Payer;
use legis_core::stripe::billing::Billing;
use legis_core::stripe::customer::{Customer, Life, Link, LinkKind};
use legis_core::stripe::payment::{Payment, PaymentStatus, Reversal, ReversalKind};
use legis_core::stripe::snapshot::{Facts, Snapshot, SnapshotKind};
use legis_core::stripe::timeline::Scheduled;
use legis_core::time::Timestamp;
use legis_core::whole;

fn moment(what: &str, millis: f64) -> Outcome<Timestamp> {
    Timestamp::from_js(millis).ok_or_else(|| Failure::corrupt(what, "not a moment"))
}

fn optional(what: &str, millis: Option<f64>) -> Outcome<Option<Timestamp>> {
    millis.map(|millis| moment(what, millis)).transpose()
}

fn count(what: &str, number: f64) -> Outcome<u64> {
    whole::from_f64(number).ok_or_else(|| Failure::corrupt(what, "not a whole number"))
}

row! {
    /// A row of `stripe_customers`.
    pub(super) struct CustomerRow {
        id: String,
        sub: Option<String>,
        linked_kind: Option<String>,
        linked_at: Option<f64>,
        linked_by: Option<String>,
        deleted: u8,
        version: f64,
    }
}

impl CustomerRow {
    pub(super) fn decode(self) -> Outcome<Customer> {
        let what = "row of stripe_customers";
        let kind = self.linked_kind.as_deref().and_then(LinkKind::parse);
        let link = match (self.sub, kind, self.linked_at, self.linked_by) {
            (Some(sub), Some(kind), Some(at), Some(event)) => Some(Link {
                sub,
                kind,
                at: moment(what, at)?,
                event,
            }),
            (None, None, None, None) => None,
            _ => return Err(Failure::corrupt(what, "half a link")),
        };
        Ok(Customer {
            id: self.id,
            link,
            life: match self.deleted {
                0 => Life::Alive,
                _ => Life::Deleted,
            },
            version: count(what, self.version)?,
        })
    }
}

row! {
    /// A row of `subscription_snapshots`.
    #[derive(Clone)]
    pub(super) struct SnapshotRow {
        id: String,
        customer_id: String,
        subscription_id: String,
        kind: String,
        facts: String,
        facts_before: Option<String>,
        seen: Option<String>,
        created_at: f64,
    }
}

impl SnapshotRow {
    pub(super) fn decode(self) -> Outcome<Snapshot> {
        let what = "row of subscription_snapshots";
        let facts = |json: &str| {
            json::read::<Facts>(json.as_bytes()).map_err(|error| Failure::corrupt(what, error))
        };
        Ok(Snapshot {
            kind: SnapshotKind::parse(&self.kind)
                .ok_or_else(|| Failure::corrupt(what, "unknown kind"))?,
            facts: facts(&self.facts)?,
            before: self.facts_before.as_deref().map(facts).transpose()?,
            seen: match &self.seen {
                Some(json) => {
                    json::read(json.as_bytes()).map_err(|error| Failure::corrupt(what, error))?
                }
                None => Vec::new(),
            },
            at: moment(what, self.created_at)?,
            id: self.id,
            customer: self.customer_id,
            subscription: self.subscription_id,
        })
    }
}

row! {
    /// The billing columns of a row of `users`.
    pub(super) struct PayerRow {
        id: u32,
        auth0_user_id: String,
        entitlement_version: f64,
        current_plan_id: u32,
        plan_slug: String,
        billing_interval: Option<String>,
        subscription_status: String,
        subscription_period_end: Option<f64>,
        billing_anchor: Option<f64>,
        past_due_since: Option<f64>,
        scheduled_plan_id: Option<u32>,
        scheduled_at: Option<f64>,
        stripe_customer_id: Option<String>,
        billing_alerts: Option<String>,
    }
}

impl PayerRow {
    pub(super) fn decode(self) -> Outcome<Payer> {
        let what = "row of users";
        let scheduled = match (self.scheduled_plan_id, self.scheduled_at) {
            (Some(id), Some(at)) => Some(Scheduled {
                sold: sold(id)?,
                at: moment(what, at)?,
            }),
            _ => None,
        };
        // A plan that left the catalog's rows is still a plan by its name.
        let sold = match Sold::of_row(self.current_plan_id) {
            Some(sold) => sold,
            None => Sold {
                plan: PlanId::resolve(&self.plan_slug)
                    .map_err(|unknown| Failure::corrupt(what, unknown))?,
                interval: None,
            },
        };
        Ok(Payer {
            id: u64::from(self.id),
            sub: self.auth0_user_id,
            version: count(what, self.entitlement_version)?,
            billing: Billing {
                sold,
                interval: interval(self.billing_interval.as_deref())?,
                status: self.subscription_status,
                period_end: optional(what, self.subscription_period_end)?,
                anchor: optional(what, self.billing_anchor)?,
                past_due_since: optional(what, self.past_due_since)?,
                scheduled,
                customer: self.stripe_customer_id,
                alerts: match &self.billing_alerts {
                    Some(json) => json::read(json.as_bytes())
                        .map_err(|error| Failure::corrupt(what, error))?,
                    None => Vec::new(),
                },
            },
        })
    }
}

fn sold(id: u32) -> Outcome<Sold> {
    Sold::of_row(id).ok_or_else(|| Failure::corrupt("row of users", format!("plan {id}")))
}

/// The value of `users.billing_interval`.
pub(crate) fn interval(column: Option<&str>) -> Outcome<Option<Interval>> {
    column
        .map(|word| {
            Interval::parse(word).ok_or_else(|| Failure::corrupt("row of users", "interval"))
        })
        .transpose()
}

row! {
    /// A row of `payment_history` that an event made.
    pub(super) struct PaymentRow {
        stripe_invoice_id: String,
        status: String,
        voided: u8,
        amount: f64,
        currency: String,
        stripe_charge_id: Option<String>,
        stripe_payment_intent_id: Option<String>,
        stripe_event_id: String,
        event_at: f64,
        created_at: f64,
    }
}

impl PaymentRow {
    pub(super) fn decode(self) -> Outcome<Payment> {
        let what = "row of payment_history";
        Ok(Payment {
            status: PaymentStatus::of_row(&self.status, self.voided == 1)
                .ok_or_else(|| Failure::corrupt(what, "status"))?,
            amount: count(what, self.amount)?,
            created_at: moment(what, self.created_at)?,
            at: moment(what, self.event_at)?,
            invoice: self.stripe_invoice_id,
            currency: self.currency,
            charge: self.stripe_charge_id,
            payment_intent: self.stripe_payment_intent_id,
            event: self.stripe_event_id,
        })
    }
}

row! {
    /// A row of `payment_reversals`.
    pub(super) struct ReversalRow {
        id: String,
        kind: String,
        stripe_customer_id: Option<String>,
        stripe_charge_id: String,
        stripe_invoice_id: Option<String>,
        stripe_payment_intent_id: Option<String>,
        amount: f64,
        currency: String,
        status: String,
        stripe_event_id: String,
        created_at: f64,
    }
}

impl ReversalRow {
    pub(super) fn decode(self) -> Outcome<Reversal> {
        let what = "row of payment_reversals";
        Ok(Reversal {
            kind: ReversalKind::parse(&self.kind)
                .ok_or_else(|| Failure::corrupt(what, "unknown kind"))?,
            amount: count(what, self.amount)?,
            created_at: moment(what, self.created_at)?,
            id: self.id,
            customer: self.stripe_customer_id,
            charge: self.stripe_charge_id,
            invoice: self.stripe_invoice_id,
            payment_intent: self.stripe_payment_intent_id,
            currency: self.currency,
            status: self.status,
            event: self.stripe_event_id,
        })
    }
}
