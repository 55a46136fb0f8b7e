//! What a subscription is worth, from its beginning on: one step for each snapshot, in their order.

use super::order::{Certainty, Ordered};
use super::prices::{PaysFor, Prices};
use super::snapshot::{Facts, PaidPrice, Snapshot};
use crate::plan::{Interval, Sold};
use crate::subscription::{Grace, Standing, Status};
use crate::time::Timestamp;

/// A subscription as it holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Stripe's id.
    pub subscription: String,
    /// Whose it is.
    pub customer: String,
    /// Stripe's word, whatever it is.
    pub status: Status,
    /// What it is worth; a status nobody knows changes nothing, so `None` where no other was ever heard.
    pub standing: Option<Standing>,
    /// The plan it pays for; `None` while no price of it was ever known.
    pub sold: Option<Sold>,
    /// The plan that the user held when this one began: it is kept while its own is not known.
    pub kept: Sold,
    /// When it was first heard of.
    pub begun_at: Timestamp,
    /// How often is paid now; a smaller plan that follows may be paid otherwise.
    pub interval: Option<Interval>,
    /// Until when that plan is paid.
    pub paid_until: Option<Timestamp>,
    /// The smaller plan that follows it then.
    pub downgrade: Option<Scheduled>,
    /// When it ends, if it was cancelled.
    pub cancel_at: Option<Timestamp>,
    /// The end of its current period.
    pub period_end: Option<Timestamp>,
    /// Where periods are counted from.
    pub anchor: Option<Timestamp>,
    /// Since when a payment is due.
    pub past_due_since: Option<Timestamp>,
    /// What ran before a payment became due, where a smaller plan was to follow it: a period that was paid when that was
    /// decided runs on once nothing is due.
    pub before_due: Option<Running>,
    /// The prices that nobody knows, where it has no other.
    pub unknown_prices: Vec<String>,
    /// When it was last heard of.
    pub at: Timestamp,
    /// Whether that is known to be the last word.
    pub certainty: Certainty,
}

/// A plan and when it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheduled {
    /// The plan.
    pub sold: Sold,
    /// When.
    pub at: Timestamp,
}

/// What a subscription is worth after all its snapshots; `None` without any.
#[must_use]
pub fn held(ordered: &Ordered, prices: &Prices) -> Option<Held> {
    let first = ordered.snapshots.first()?;
    let begun = Held {
        subscription: first.subscription.clone(),
        customer: first.customer.clone(),
        status: Status::Free,
        standing: None,
        sold: None,
        kept: Sold::FREE,
        begun_at: first.at,
        interval: None,
        paid_until: None,
        downgrade: None,
        cancel_at: None,
        period_end: None,
        anchor: None,
        past_due_since: None,
        before_due: None,
        unknown_prices: Vec::new(),
        at: first.at,
        certainty: ordered.certainty,
    };
    let after = ordered
        .snapshots
        .iter()
        .fold(begun, |held, snapshot| held.after(snapshot, prices));
    Some(after)
}

impl Held {
    fn after(self, snapshot: &Snapshot, prices: &Prices) -> Self {
        let facts = &snapshot.facts;
        let status = Status::parse(&facts.status);
        let heard = Self {
            status: status.clone(),
            customer: snapshot.customer.clone(),
            at: snapshot.at,
            ..self
        };
        match status.standing() {
            // Kept as it came; it changes nothing.
            Standing::Unknown => heard,
            standing => heard.knowing(standing, facts, snapshot.at, prices),
        }
    }

    fn knowing(self, standing: Standing, facts: &Facts, at: Timestamp, prices: &Prices) -> Self {
        let paid = paid(facts, prices);
        let offered = match paid {
            Some((sold, _)) => Some(sold),
            None if pays_for_no_plan(facts, prices) => Some(Sold::FREE),
            None => None,
        };
        // A plan is paid as its own price is, whatever else is on the bill.
        let period = paid.and_then(|(_, price)| price.period).or(facts.period);
        let interval = match paid {
            Some((_, price)) => price.interval,
            None => facts.prices.iter().find_map(|price| price.interval),
        };
        let period_end = period.map(|period| period.end);
        let unknown_prices = match offered {
            None => {
                let unknown = unknown(facts, prices);
                unknown.map(|price| price.id.clone()).collect()
            }
            Some(_) => Vec::new(),
        };
        // What was not entitled, or is not paid, has nothing that could run on.
        let paid_until = match standing {
            Standing::PastDue => None,
            _ => period_end,
        };
        let runs = match self.standing {
            None | Some(Standing::Free) => None,
            Some(_) => self.sold.map(|sold| Running {
                sold,
                paid_until: self.paid_until,
                downgrade: self.downgrade,
            }),
        };
        let since = period.map_or(at, |period| period.start.max(at));
        let before_due = match (standing, self.standing) {
            (Standing::PastDue, Some(Standing::PastDue)) => self.before_due,
            (Standing::PastDue, _) => runs.filter(|runs| runs.downgrade.is_some()),
            _ => None,
        };
        let runs = match standing {
            // What is due is not paid.
            Standing::PastDue => runs.map(Running::due),
            // What was due is paid, and so the period that ran before.
            _ => self
                .before_due
                .filter(|before| before.paid_until.is_some_and(|until| since < until))
                .or(runs),
        };
        let running = match (standing, offered, runs) {
            (Standing::Free, offered, _) => Running::unpaid(offered.or(self.sold)),
            (_, None, Some(running)) => Some(running.renewed(since, paid_until)),
            (_, None, None) => Running::unpaid(self.sold),
            // A larger plan that was never paid is none yet.
            (Standing::PastDue, Some(offered), Some(running))
                if offered.plan > running.sold.plan =>
            {
                Some(running.renewed(since, paid_until))
            }
            (_, Some(offered), running) => Some(change(running, offered, since, paid_until)),
        };
        Self {
            standing: Some(standing),
            sold: running.map(|running| running.sold),
            interval: interval.or(self.interval),
            paid_until: running.and_then(|running| running.paid_until),
            downgrade: running.and_then(|running| running.downgrade),
            cancel_at: facts.cancel_at.or(match facts.cancel_at_period_end {
                true => period_end,
                false => None,
            }),
            period_end,
            anchor: facts.anchor.or(self.anchor),
            past_due_since: match standing {
                Standing::PastDue => self.past_due_since.or(Some(at)),
                _ => None,
            },
            unknown_prices,
            before_due,
            ..self
        }
    }

    /// What it entitles to at a moment, as far as is known now; `None` where its price or status was never known.
    #[must_use]
    pub fn plan_at(&self, now: Timestamp, grace: Grace) -> Option<Sold> {
        let lapsed = self
            .past_due_since
            .is_some_and(|since| grace.end(since) <= now);
        let cancelled = self.cancel_at.is_some_and(|at| at <= now);
        if self.standing == Some(Standing::Free) || lapsed || cancelled {
            return Some(Sold::FREE);
        }
        match self.downgrade {
            Some(downgrade) if downgrade.at <= now => Some(downgrade.sold),
            _ => self.sold,
        }
    }

    /// The moments at which it entitles to something else.
    pub fn changes_at(&self, grace: Grace) -> impl Iterator<Item = Timestamp> {
        let downgrade = self.downgrade.map(|downgrade| downgrade.at);
        let lapse = self.past_due_since.map(|since| grace.end(since));
        downgrade.into_iter().chain(self.cancel_at).chain(lapse)
    }
}

/// The prices of which nobody knows what they pay for.
fn unknown<'f>(facts: &'f Facts, prices: &'f Prices) -> impl Iterator<Item = &'f PaidPrice> {
    let is_unknown = |price: &&PaidPrice| prices.pays_for(&price.id).is_none();
    facts.prices.iter().filter(is_unknown)
}

fn pays_for_no_plan(facts: &Facts, prices: &Prices) -> bool {
    let mut all = facts.prices.iter();
    !facts.prices.is_empty() && all.all(|price| prices.pays_for(&price.id) == Some(PaysFor::NoPlan))
}

/// Whether a subscription ever was a plan's, as far as anybody knows: what else is sold to a customer is none of ours.
#[must_use]
pub fn is_about_plans(snapshots: &[Snapshot], prices: &Prices) -> bool {
    let mut all = snapshots.iter();
    all.any(|snapshot| !pays_for_no_plan(&snapshot.facts, prices))
}

/// The largest plan among the prices that are paid, and its price. An item that is no plan's, such as an addition, is
/// passed over.
fn paid<'f>(facts: &'f Facts, prices: &Prices) -> Option<(Sold, &'f PaidPrice)> {
    facts
        .prices
        .iter()
        .filter_map(|price| {
            let sold = Sold {
                plan: prices.plan(&price.id)?,
                interval: price.interval,
            };
            Some((sold, price))
        })
        .max_by_key(|(sold, _)| sold.plan)
}

/// A plan that is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// The plan.
    pub sold: Sold,
    /// Until when it is paid.
    pub paid_until: Option<Timestamp>,
    /// The smaller plan that follows it then.
    pub downgrade: Option<Scheduled>,
}

impl Running {
    fn due(self) -> Self {
        Self {
            paid_until: None,
            ..self
        }
    }

    fn unpaid(sold: Option<Sold>) -> Option<Self> {
        sold.map(|sold| Self {
            sold,
            paid_until: None,
            downgrade: None,
        })
    }

    /// The plan that holds from `at` on.
    fn at(self, at: Timestamp) -> Self {
        match self.downgrade {
            Some(downgrade) if downgrade.at <= at => Self {
                sold: downgrade.sold,
                downgrade: None,
                ..self
            },
            _ => self,
        }
    }

    /// The same plan, paid further.
    fn renewed(self, since: Timestamp, paid_until: Option<Timestamp>) -> Self {
        Self {
            paid_until,
            ..self.at(since)
        }
    }
}

/// What a change of price does: the rule that `previewChange` and the webhooks share (system rule "Plan changes").
/// A plan as large or larger holds at once. A smaller one holds when what is paid runs out; where a new cycle cuts that
/// short, with the end of the new one at the latest, because Stripe gives back what is left of the old.
#[must_use]
pub fn change(
    running: Option<Running>,
    offered: Sold,
    since: Timestamp,
    paid_until: Option<Timestamp>,
) -> Running {
    let at_once = Running {
        sold: offered,
        paid_until,
        downgrade: None,
    };
    let Some(running) = running.map(|running| running.at(since)) else {
        return at_once;
    };
    let runs_until = running.paid_until.min(paid_until.or(running.paid_until));
    match runs_until {
        Some(until) if offered.plan < running.sold.plan && since < until => Running {
            paid_until: Some(until),
            downgrade: Some(Scheduled {
                sold: offered,
                at: until,
            }),
            ..running
        },
        _ => at_once,
    }
}
