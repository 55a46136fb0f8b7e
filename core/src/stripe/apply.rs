//! From what is stored, and events, to what is to be stored: the whole of a webhook, without the waiting.

use super::billing::{Agreed, Alert, Billing, alerts, billing};
use super::customer::{Customer, Life, Link};
use super::event::{Event, Subject};
use super::order::{Certainty, order};
use super::payment::{Payment, Reversal};
use super::prices::Prices;
use super::snapshot::Snapshot;
use super::timeline::{Held, held, is_about_plans};
use crate::plan::{PlanId, Sold};
use crate::subscription::{Grace, Standing, Status};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// What is stored about everybody an event may concern.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// The customers that an event is about, and all others of the same users.
    pub customers: Vec<Customer>,
    /// Every snapshot of their subscriptions.
    pub snapshots: Vec<Snapshot>,
    /// The users whose customers they are, or are said to be, as far as they registered.
    pub users: Vec<Payer>,
    /// What is known of the payments that events are about.
    pub payments: Vec<Payment>,
    /// What is known of the reversals that events are about.
    pub reversals: Vec<Reversal>,
}

/// A user, as far as money is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payer {
    /// The database's id.
    pub id: u64,
    /// The identity provider's id.
    pub sub: String,
    /// The version of the entitlement.
    pub version: u64,
    /// The billing columns.
    pub billing: Billing,
    /// The plan that was held before the first subscription was heard of, of whoever had one: adopted, or agreed.
    pub prior: Option<Sold>,
    /// The plan that was agreed otherwise than at Stripe.
    pub agreed: Option<Agreed>,
}

/// What is to be stored, all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Every customer that is concerned; each is to replace the one of the version it has.
    pub customers: Vec<Customer>,
    /// Snapshots that are new.
    pub snapshots: Vec<Snapshot>,
    /// Payments that are new or changed, with the id of the user who paid. Whose customer moves takes theirs along.
    pub payments: Vec<(u64, Payment)>,
    /// Reversals that are new or changed.
    pub reversals: Vec<Reversal>,
    /// Users whose billing changed; each is to replace the one of the version it has.
    pub users: Vec<Payer>,
    /// What became of each event.
    pub verdicts: Vec<(String, Verdict)>,
    /// What an operator must look at.
    pub alerts: Vec<Alert>,
    /// Subscriptions whose last state the events do not tell: Stripe has to be asked. With each the snapshots that are
    /// known of it.
    pub unclear: Vec<(String, Vec<String>)>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is applied.
    Processed,
    /// It waits until its customer is known to be somebody's who registered.
    Pending,
}

/// Applies events. What is stored afterwards depends on which events were applied, not on their order, and applying one
/// again changes nothing.
#[must_use]
pub fn apply(
    stored: &Stored,
    events: &[Event],
    prices: &Prices,
    grace: Grace,
    now: Timestamp,
) -> Applied {
    let mut work = Work::new(stored);
    for event in events {
        work.link(event);
    }
    for event in events {
        work.take(event);
    }
    work.settle(events, prices, grace, now)
}

/// The state on its way.
struct Work<'s> {
    stored: &'s Stored,
    customers: BTreeMap<String, Customer>,
    snapshots: Vec<Snapshot>,
    applied: Applied,
}

impl<'s> Work<'s> {
    fn new(stored: &'s Stored) -> Self {
        let mut customers = BTreeMap::new();
        for customer in &stored.customers {
            customers.insert(customer.id.clone(), customer.clone());
        }
        Self {
            stored,
            customers,
            snapshots: stored.snapshots.clone(),
            applied: Applied::default(),
        }
    }

    /// Whose customers they are has to be known before anything else is.
    fn link(&mut self, event: &Event) {
        let Some(id) = event.subject.customer() else {
            return;
        };
        let customer = self
            .customers
            .entry(id.to_owned())
            .or_insert_with(|| Customer::new(id));
        let was = customer.sub().map(str::to_owned);
        if let Some(link) = event.subject.link() {
            customer.learn(Link::clone(link));
        }
        if was.is_some() && customer.sub() != was.as_deref() {
            self.applied.alerts.push(Alert::LinkMoved);
        }
        if let Subject::CustomerDeleted { .. } = event.subject {
            customer.life = Life::Deleted;
        }
    }

    fn take(&mut self, event: &Event) {
        let payer = event.subject.customer().and_then(|id| self.payer(id));
        let verdict = match (&event.subject, payer) {
            (Subject::Nothing, _) => Verdict::Processed,
            (Subject::Reversal { reversal, .. }, _) => {
                self.reverse(reversal);
                Verdict::Processed
            }
            (_, None) => Verdict::Pending,
            (Subject::Linked(_) | Subject::CustomerDeleted { .. }, Some(_)) => Verdict::Processed,
            (Subject::Subscription { snapshot, .. }, Some(_)) => {
                self.snapshot(snapshot);
                Verdict::Processed
            }
            (Subject::Payment { payment, .. }, Some(payer)) => {
                self.pay(payer, payment);
                Verdict::Processed
            }
        };
        self.applied.verdicts.push((event.id.clone(), verdict));
    }

    /// The registered user whose customer this is.
    fn payer(&self, customer: &str) -> Option<u64> {
        let sub = self.customers.get(customer)?.sub()?;
        let users = &self.stored.users;
        users
            .iter()
            .find(|user| user.sub == sub)
            .map(|user| user.id)
    }

    fn snapshot(&mut self, snapshot: &Snapshot) {
        if self.snapshots.iter().all(|known| known.id != snapshot.id) {
            self.snapshots.push(snapshot.clone());
            self.applied.snapshots.push(snapshot.clone());
        }
    }

    fn pay(&mut self, payer: u64, payment: &Payment) {
        let mut paid = self.applied.payments.iter().map(|(_, payment)| payment);
        let known = paid
            .find(|known| known.invoice == payment.invoice)
            .or_else(|| {
                let mut stored = self.stored.payments.iter();
                stored.find(|known| known.invoice == payment.invoice)
            });
        let counts = match known {
            Some(known) => known.clone().or(payment.clone()),
            None => payment.clone(),
        };
        if known != Some(&counts) {
            let payments = &mut self.applied.payments;
            payments.retain(|(_, known)| known.invoice != payment.invoice);
            payments.push((payer, counts));
        }
    }

    fn reverse(&mut self, reversal: &Reversal) {
        let known = self
            .applied
            .reversals
            .iter()
            .chain(&self.stored.reversals)
            .find(|known| known.id == reversal.id);
        let counts = match known {
            Some(known) => known.clone().or(reversal.clone()),
            None => reversal.clone(),
        };
        if known != Some(&counts) {
            let reversals = &mut self.applied.reversals;
            reversals.retain(|known| known.id != reversal.id);
            reversals.push(counts);
        }
        self.applied.alerts.push(match reversal.kind {
            super::payment::ReversalKind::Refund => Alert::Refunded,
            _ => Alert::Disputed,
        });
    }

    fn settle(
        mut self,
        events: &[Event],
        prices: &Prices,
        grace: Grace,
        now: Timestamp,
    ) -> Applied {
        let subscriptions = self.subscriptions();
        let all: Vec<Held> = subscriptions
            .values()
            .filter(|snapshots| is_about_plans(snapshots, prices))
            .filter_map(|snapshots| held(&order(snapshots.clone()), prices))
            .collect();
        // What tells nothing of subscriptions leaves alone what it does not know of: a plan that was agreed otherwise.
        let tells = events.is_empty()
            || !self.applied.snapshots.is_empty()
            || events
                .iter()
                .any(|event| matches!(event.subject, Subject::CustomerDeleted { .. }))
            || self.applied.alerts.contains(&Alert::LinkMoved);
        for payer in &self.stored.users {
            let own: Vec<Customer> = self
                .customers
                .values()
                .filter(|customer| customer.sub() == Some(&payer.sub))
                .cloned()
                .collect();
            let mut held: Vec<Held> = all
                .iter()
                .filter(|held| own.iter().any(|customer| customer.id == held.customer))
                .cloned()
                .collect();
            let prior = self.prior(payer, &own, grace, now);
            keep(&mut held, &subscriptions, prior, prices, grace);
            let before = match held.is_empty() && (self.has_lost(payer) || self.is_deleted(payer)) {
                true => &Billing::with_customers(&own),
                false => &payer.billing,
            };
            let agreed = payer.agreed;
            let known = match tells || agreed.is_some() {
                true => held.as_slice(),
                false => &[],
            };
            let mut after = billing(before, known, agreed, &own, grace, now);
            after.customer = after.customer.or_else(|| self.unlinked(payer));
            if after != payer.billing || prior != payer.prior {
                self.applied.users.push(Payer {
                    billing: after,
                    prior,
                    ..payer.clone()
                });
            }
            self.applied.alerts.extend(alerts(&held, grace, now));
        }
        self.applied.unclear = all
            .iter()
            .filter(|held| held.certainty == Certainty::Guessed)
            .map(|held| {
                let known = subscriptions.get(held.subscription.as_str());
                let ids = known
                    .into_iter()
                    .flatten()
                    .map(|snapshot| snapshot.id.clone());
                (held.subscription.clone(), ids.collect())
            })
            .collect();
        self.applied.alerts.sort();
        self.applied.alerts.dedup();
        // All of them, touched or not: two events of two customers of one user must not pass each other by.
        self.applied.customers = self.customers.into_values().collect();
        self.applied
    }

    /// The customer that a user has and that was linked to nobody yet.
    fn unlinked(&self, payer: &Payer) -> Option<String> {
        let id = payer.billing.customer.as_ref()?;
        let known = self.customers.get(id).and_then(Customer::sub);
        known.is_none().then(|| id.clone())
    }

    /// The plan that a user was entitled to before the first subscription was heard of. It is looked at when that is,
    /// whichever of the events comes first.
    fn prior(&self, payer: &Payer, own: &[Customer], grace: Grace, now: Timestamp) -> Option<Sold> {
        let was_own = |id: &str| {
            let mut customers = self.stored.customers.iter();
            customers.any(|customer| customer.id == id && customer.sub() == Some(&payer.sub))
        };
        let is_own = |id: &str| own.iter().any(|customer| customer.id == id);
        let mut before = self.stored.snapshots.iter();
        let mut after = self.snapshots.iter();
        if payer.prior.is_some()
            || payer.agreed.is_some()
            || self.has_lost(payer)
            || before.any(|snapshot| was_own(&snapshot.customer))
            || !after.any(|snapshot| is_own(&snapshot.customer))
        {
            return payer.prior;
        }
        let billing = &payer.billing;
        let is_over = match Status::parse(&billing.status).standing() {
            Standing::Free => true,
            _ => billing
                .past_due_since
                .is_some_and(|since| grace.end(since) <= now),
        };
        Some(billing.sold).filter(|sold| sold.plan != PlanId::Free && !is_over)
    }

    /// Whether the customer that gave a user their plan has turned out to be somebody else's.
    fn has_lost(&self, payer: &Payer) -> bool {
        let customer = payer.billing.customer.as_ref();
        customer
            .and_then(|id| self.customers.get(id)?.sub())
            .is_some_and(|sub| sub != payer.sub)
    }

    /// Whether the customer that gave a user their plan exists no more: its subscriptions, heard of or not, ended with it.
    fn is_deleted(&self, payer: &Payer) -> bool {
        let customer = payer.billing.customer.as_ref();
        let customer = customer.and_then(|id| self.customers.get(id));
        customer.is_some_and(|customer| customer.life == Life::Deleted)
    }

    /// The snapshots of each subscription.
    fn subscriptions(&self) -> BTreeMap<String, Vec<Snapshot>> {
        let mut subscriptions: BTreeMap<String, Vec<Snapshot>> = BTreeMap::new();
        for snapshot in &self.snapshots {
            let own = subscriptions
                .entry(snapshot.subscription.clone())
                .or_default();
            own.push(snapshot.clone());
        }
        subscriptions
    }
}

/// For a subscription whose price nobody knows: the plan that was held when it began, by the others or else before any. So
/// what is kept does not depend on which event came first.
fn keep(
    held: &mut [Held],
    subscriptions: &BTreeMap<String, Vec<Snapshot>>,
    prior: Option<Sold>,
    prices: &Prices,
    grace: Grace,
) {
    let prior = prior.unwrap_or(Sold::FREE);
    let ids: Vec<String> = held.iter().map(|held| held.subscription.clone()).collect();
    for own in held.iter_mut().filter(|own| own.sold.is_none()) {
        let others = ids.iter().filter(|id| **id != own.subscription);
        let theirs = others
            .filter_map(|id| {
                let then = subscriptions.get(id)?.iter();
                let then: Vec<Snapshot> = then
                    .filter(|snapshot| snapshot.at <= own.begun_at)
                    .cloned()
                    .collect();
                self::held(&order(then), prices)?.plan_at(own.begun_at, grace)
            })
            .max_by_key(|sold| sold.plan);
        own.kept = theirs.unwrap_or(prior);
    }
}
