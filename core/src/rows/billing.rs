//! Rows about money.

use super::interval;
use crate::json;
use crate::plan::{PlanId, Sold};
use crate::row;
use crate::row::Unfit;
use crate::stripe::apply::Payer;
use crate::stripe::billing::{Agreed, Billing};
use crate::stripe::customer::{Customer, Life, Link, LinkKind};
use crate::stripe::payment::{Payment, PaymentStatus, Reversal, ReversalKind};
use crate::stripe::prices::PaysFor;
use crate::stripe::snapshot::{Facts, Snapshot, SnapshotKind};
use crate::stripe::timeline::Scheduled;
use crate::time::Timestamp;
use crate::whole;

fn moment(what: &str, millis: f64) -> Result<Timestamp, Unfit> {
    Timestamp::from_js(millis).ok_or_else(|| Unfit::row(what, "not a moment"))
}

fn optional(what: &str, millis: Option<f64>) -> Result<Option<Timestamp>, Unfit> {
    millis.map(|millis| moment(what, millis)).transpose()
}

fn count(what: &str, number: f64) -> Result<u64, Unfit> {
    whole::from_f64(number).ok_or_else(|| Unfit::row(what, "not a whole number"))
}

row! {
    /// A row of `stripe_customers`.
    #[derive(Debug, Clone)]
    pub struct CustomerRow {
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
    /// What it says.
    ///
    /// # Errors
    /// [`Unfit`] when the row breaks a rule.
    pub fn decode(self) -> Result<Customer, Unfit> {
        let what = "stripe_customers";
        let kind = self.linked_kind.as_deref().and_then(LinkKind::parse);
        let link = match (self.sub, kind, self.linked_at, self.linked_by) {
            (Some(sub), Some(kind), Some(at), Some(event)) => Some(Link {
                sub,
                kind,
                at: moment(what, at)?,
                event,
            }),
            (None, None, None, None) => None,
            _ => return Err(Unfit::row(what, "half a link")),
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
    /// A row of `known_prices`.
    #[derive(Debug, Clone)]
    pub struct KnownPriceRow {
        price_id: String,
        plan: Option<String>,
    }
}

impl KnownPriceRow {
    /// What it says.
    ///
    /// # Errors
    /// [`Unfit`] when the row breaks a rule.
    pub fn decode(self) -> Result<(String, PaysFor), Unfit> {
        let pays_for = match self.plan {
            None => PaysFor::NoPlan,
            Some(name) => PlanId::resolve(&name)
                .map(PaysFor::Plan)
                .map_err(|unknown| Unfit::row("known_prices", unknown))?,
        };
        Ok((self.price_id, pays_for))
    }

    /// The columns of a row that says so.
    #[must_use]
    pub fn values((price, pays_for): (&str, PaysFor)) -> (&str, Option<&'static str>) {
        match pays_for {
            PaysFor::Plan(plan) => (price, Some(plan.as_str())),
            PaysFor::NoPlan => (price, None),
        }
    }
}

row! {
    /// A row of `subscription_snapshots`.
    #[derive(Debug, Clone)]
    pub struct SnapshotRow {
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
    /// What it says.
    ///
    /// # Errors
    /// [`Unfit`] when the row breaks a rule.
    pub fn decode(self) -> Result<Snapshot, Unfit> {
        let what = "subscription_snapshots";
        let facts = |json: &str| {
            json::read::<Facts>(json.as_bytes()).map_err(|error| Unfit::row(what, error))
        };
        Ok(Snapshot {
            kind: SnapshotKind::parse(&self.kind)
                .ok_or_else(|| Unfit::row(what, "unknown kind"))?,
            facts: facts(&self.facts)?,
            before: self.facts_before.as_deref().map(facts).transpose()?,
            seen: match &self.seen {
                Some(json) => {
                    json::read(json.as_bytes()).map_err(|error| Unfit::row(what, error))?
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
    #[derive(Debug, Clone)]
    pub struct PayerRow {
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
        prior_plan_id: Option<u32>,
        agreed_plan_id: Option<u32>,
        agreed_until: Option<f64>,
    }
}

impl PayerRow {
    /// What it says.
    ///
    /// # Errors
    /// [`Unfit`] when the row breaks a rule.
    pub fn decode(self) -> Result<Payer, Unfit> {
        let what = "users";
        let scheduled = match (self.scheduled_plan_id, self.scheduled_at) {
            (Some(id), Some(at)) => Some(Scheduled {
                sold: sold(id)?,
                at: moment(what, at)?,
            }),
            // Half of a change is none here: an event must not be stopped by it, and what is written after it is whole.
            _ => None,
        };
        // A plan that left the catalog's rows is still a plan by its name.
        let sold = match Sold::of_row(self.current_plan_id) {
            Some(sold) => sold,
            None => Sold {
                plan: PlanId::resolve(&self.plan_slug)
                    .map_err(|unknown| Unfit::row(what, unknown))?,
                interval: None,
            },
        };
        Ok(Payer {
            id: u64::from(self.id),
            sub: self.auth0_user_id,
            version: count(what, self.entitlement_version)?,
            // One that left the catalog's rows is kept by nobody.
            prior: self.prior_plan_id.and_then(Sold::of_row),
            agreed: match self.agreed_plan_id.and_then(Sold::of_row) {
                Some(sold) => Some(Agreed {
                    sold,
                    until: optional(what, self.agreed_until)?,
                }),
                None => None,
            },
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
                    Some(json) => {
                        json::read(json.as_bytes()).map_err(|error| Unfit::row(what, error))?
                    }
                    None => Vec::new(),
                },
            },
        })
    }
}

fn sold(id: u32) -> Result<Sold, Unfit> {
    Sold::of_row(id).ok_or_else(|| Unfit::row("users", format!("plan {id}")))
}

row! {
    /// A row of `payment_history` that an event made.
    #[derive(Debug, Clone)]
    pub struct PaymentRow {
        stripe_invoice_id: String,
        stripe_customer_id: Option<String>,
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
    /// What it says.
    ///
    /// # Errors
    /// [`Unfit`] when the row breaks a rule.
    pub fn decode(self) -> Result<Payment, Unfit> {
        let what = "payment_history";
        Ok(Payment {
            status: PaymentStatus::of_row(&self.status, self.voided == 1)
                .ok_or_else(|| Unfit::row(what, "status"))?,
            amount: count(what, self.amount)?,
            created_at: moment(what, self.created_at)?,
            at: moment(what, self.event_at)?,
            invoice: self.stripe_invoice_id,
            customer: self.stripe_customer_id,
            currency: self.currency,
            charge: self.stripe_charge_id,
            payment_intent: self.stripe_payment_intent_id,
            event: self.stripe_event_id,
        })
    }
}

row! {
    /// A row of `payment_reversals`.
    #[derive(Debug, Clone)]
    pub struct ReversalRow {
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
    /// What it says.
    ///
    /// # Errors
    /// [`Unfit`] when the row breaks a rule.
    pub fn decode(self) -> Result<Reversal, Unfit> {
        let what = "payment_reversals";
        Ok(Reversal {
            kind: ReversalKind::parse(&self.kind)
                .ok_or_else(|| Unfit::row(what, "unknown kind"))?,
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
