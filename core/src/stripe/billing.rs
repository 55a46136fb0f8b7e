//! What a user's subscriptions come to: the columns of `users` that the entitlement is made of.

use super::customer::{Customer, Life};
use super::order::Certainty;
use super::timeline::{Held, Scheduled};
use crate::plan::{Interval, PlanId, Sold};
use crate::subscription::{Grace, Standing, Status};
use crate::time::Timestamp;

/// The billing columns of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Billing {
    /// The plan that holds.
    pub sold: Sold,
    /// How often is paid.
    pub interval: Option<Interval>,
    /// Stripe's word for the subscription; `free` without one.
    pub status: String,
    /// When the paid period ends.
    pub period_end: Option<Timestamp>,
    /// Where monthly periods are counted from.
    pub anchor: Option<Timestamp>,
    /// Since when a payment is due.
    pub past_due_since: Option<Timestamp>,
    /// The plan that follows, and when.
    pub scheduled: Option<Scheduled>,
    /// Stripe's customer.
    pub customer: Option<String>,
    /// What an operator must look at, as long as it is so.
    pub alerts: Vec<String>,
}

impl Billing {
    /// The columns of a user who never subscribed.
    #[must_use]
    pub fn none() -> Self {
        Self {
            sold: Sold::FREE,
            interval: None,
            status: Status::Free.as_str().to_owned(),
            period_end: None,
            anchor: None,
            past_due_since: None,
            scheduled: None,
            customer: None,
            alerts: Vec::new(),
        }
    }

    /// The columns of a user who has customers and no subscription.
    pub(super) fn with_customers(customers: &[Customer]) -> Self {
        Self {
            customer: customer(None, customers),
            ..Self::none()
        }
    }
}

/// What an operator must look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alert {
    /// A price that no configuration names; the plan was kept.
    UnknownPrice(String),
    /// A status nobody knows; it changed nothing.
    UnknownStatus(String),
    /// More than one subscription is paid at once.
    SeveralSubscriptions,
    /// Events of one second whose order nobody can tell; the ids decided.
    OrderGuessed,
    /// A customer was somebody else's before.
    LinkMoved,
    /// Money was given back.
    Refunded,
    /// A payer disputes a charge, or did.
    Disputed,
}

impl Alert {
    /// One of each kind.
    #[must_use]
    pub fn every() -> [Self; 7] {
        [
            Self::UnknownPrice("price_…".to_owned()),
            Self::UnknownStatus("…".to_owned()),
            Self::SeveralSubscriptions,
            Self::OrderGuessed,
            Self::LinkMoved,
            Self::Refunded,
            Self::Disputed,
        ]
    }

    /// The name of its kind.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::UnknownPrice(_) => "unknown_price",
            Self::UnknownStatus(_) => "unknown_status",
            Self::SeveralSubscriptions => "several_subscriptions",
            Self::OrderGuessed => "order_guessed",
            Self::LinkMoved => "link_moved",
            Self::Refunded => "refunded",
            Self::Disputed => "disputed",
        }
    }

    /// What it means.
    #[must_use]
    pub const fn meaning(&self) -> &'static str {
        match self {
            Self::UnknownPrice(_) => {
                "A subscription has a price that no configuration ever named. The user keeps the plan they had."
            }
            Self::UnknownStatus(_) => {
                "Stripe has a status that this release does not know. It changed nothing."
            }
            Self::SeveralSubscriptions => {
                "A user pays for more than one subscription. The best one holds."
            }
            Self::OrderGuessed => {
                "Two events of one second contradict each other, and Stripe was not asked or did not answer. Their ids decided."
            }
            Self::LinkMoved => "A customer at Stripe was one user's and is another's now.",
            Self::Refunded => "Money was given back. The plan stays as the subscription says.",
            Self::Disputed => {
                "A payer disputes a charge, or the dispute was closed. The plan stays as the subscription says."
            }
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn todo(&self) -> &'static str {
        match self {
            Self::UnknownPrice(_) => {
                "Name the price in `stripe_price_id` of `plans`, or in `STRIPE_PRICES`, there with `null` if it is no plan's. The next hour's cron applies it."
            }
            Self::UnknownStatus(_) => {
                "Look the subscription up at Stripe; upgrade to a release that knows the status."
            }
            Self::SeveralSubscriptions => {
                "Cancel all but one at Stripe, and give back what was paid twice."
            }
            Self::OrderGuessed => {
                "Set `STRIPE_API_KEY`: the next hour's cron asks Stripe. Without one, compare the user's plan with Stripe's."
            }
            Self::LinkMoved => {
                "Ask who moved it: metadata of the customer, or a Checkout session that another user began."
            }
            Self::Refunded => "If the plan shall end, cancel the subscription at Stripe.",
            Self::Disputed => {
                "Answer the dispute at Stripe; if the plan shall end, cancel the subscription there."
            }
        }
    }
}

impl std::fmt::Display for Alert {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name())?;
        match self {
            Self::UnknownPrice(word) | Self::UnknownStatus(word) => write!(out, " {word}"),
            _ => Ok(()),
        }
    }
}

/// A plan that was agreed otherwise than at Stripe, such as by contract. It holds beside what is paid there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// The plan.
    pub sold: Sold,
    /// When it ends, if that was agreed.
    pub until: Option<Timestamp>,
}

impl Agreed {
    /// As one subscription more, which nothing is ever heard of.
    fn held(self, now: Timestamp) -> Held {
        let (status, standing) = match self.until {
            Some(until) if until <= now => (Status::Canceled, Standing::Free),
            _ => (Status::Active, Standing::Active),
        };
        Held {
            subscription: String::new(),
            customer: String::new(),
            status,
            standing: Some(standing),
            sold: Some(self.sold),
            kept: Sold::FREE,
            begun_at: Timestamp::EPOCH,
            // Nothing is paid.
            interval: None,
            paid_until: self.until,
            downgrade: None,
            cancel_at: self.until,
            period_end: self.until,
            anchor: None,
            past_due_since: None,
            before_due: None,
            unknown_prices: Vec::new(),
            at: Timestamp::EPOCH,
            certainty: Certainty::Known,
        }
    }
}

/// The billing columns of a user whose `customers` have the subscriptions `held`; `before` is what they are now. The
/// best standing wins; where none entitles, the subscription that was last heard of gives the status.
#[must_use]
pub fn billing(
    before: &Billing,
    held: &[Held],
    agreed: Option<Agreed>,
    customers: &[Customer],
    grace: Grace,
    now: Timestamp,
) -> Billing {
    let is_gone = |customer: &str| {
        customers
            .iter()
            .any(|known| known.id == customer && known.life == Life::Deleted)
    };
    let mut held: Vec<Held> = held
        .iter()
        .filter(|held| held.standing.is_some())
        .map(|held| match is_gone(&held.customer) {
            true => ended(held.clone()),
            false => held.clone(),
        })
        .collect();
    // Who was adopted while a payment was due: the first that is heard begins no other grace.
    if let [only] = held.as_mut_slice()
        && only.past_due_since == Some(only.begun_at)
    {
        let earlier = before.past_due_since.or(only.past_due_since);
        only.past_due_since = earlier.min(only.past_due_since);
    }
    let plan_at = |held: &Held, at| held.plan_at(at, grace).unwrap_or(held.kept);
    let worth = |held: &Held| {
        let plan = plan_at(held, now).plan;
        let rank = match (plan, held.standing) {
            (PlanId::Free, _) => 0,
            (_, Some(Standing::Active)) => 3,
            (_, Some(Standing::Trialing)) => 2,
            _ => 1,
        };
        let last = match rank {
            0 => Some(held.at),
            _ => held.period_end,
        };
        (rank, plan, last, held.subscription.clone())
    };
    let paid = held.iter().max_by_key(|held| worth(held));
    let agreed = agreed.map(|agreed| agreed.held(now));
    // Of what is paid and what is agreed the larger holds, whatever the standing of what is paid.
    let Some(best) = paid
        .into_iter()
        .chain(&agreed)
        .max_by_key(|held| (plan_at(held, now).plan, worth(held)))
    else {
        return Billing {
            customer: customer(None, customers),
            ..before.clone()
        };
    };
    let sold = plan_at(best, now);
    let scheduled = best
        .changes_at(grace)
        .filter(|at| *at > now)
        .min()
        .and_then(|at| {
            // Another subscription may go on.
            let then = held
                .iter()
                .chain(&agreed)
                .map(|held| plan_at(held, at))
                .max_by_key(|sold| sold.plan)?;
            // What follows a grace where nothing does need not be stored.
            let lapses = best
                .past_due_since
                .is_some_and(|since| grace.end(since) == at);
            let is_news = then != sold && !(lapses && then.plan == PlanId::Free);
            is_news.then_some(Scheduled {
                sold: then.listed(),
                at,
            })
        });
    Billing {
        sold: sold.listed(),
        interval: best.interval,
        status: best.status.as_str().to_owned(),
        period_end: best.period_end,
        // An agreement has none of its own.
        anchor: paid.map_or(before.anchor, |paid| paid.anchor),
        past_due_since: best.past_due_since,
        scheduled,
        customer: customer(Some(&best.customer), customers),
        alerts: alerts(&held, grace, now)
            .iter()
            .map(ToString::to_string)
            .collect(),
    }
}

/// Subscriptions end with their customer.
fn ended(held: Held) -> Held {
    Held {
        status: Status::Canceled,
        standing: Some(Standing::Free),
        past_due_since: None,
        downgrade: None,
        cancel_at: None,
        ..held
    }
}

/// The customer that a user is shown the invoices of: the best subscription's, or the one that was first theirs.
fn customer(best: Option<&str>, customers: &[Customer]) -> Option<String> {
    let alive = || customers.iter().filter(|known| known.life == Life::Alive);
    alive()
        .find(|known| Some(known.id.as_str()) == best)
        .or_else(|| {
            alive().min_by_key(|known| {
                let since = known.link.as_ref().map(|link| link.at);
                (since, known.id.clone())
            })
        })
        .map(|known| known.id.clone())
}

/// What of a user's subscriptions an operator must look at.
#[must_use]
pub fn alerts(held: &[Held], grace: Grace, now: Timestamp) -> Vec<Alert> {
    let mut alerts = Vec::new();
    for held in held {
        let is_over = held.standing == Some(Standing::Free);
        if !is_over {
            alerts.extend(held.unknown_prices.iter().cloned().map(Alert::UnknownPrice));
        }
        if let Status::Unknown(word) = &held.status {
            alerts.push(Alert::UnknownStatus(word.clone()));
        }
        if held.certainty == Certainty::Guessed {
            alerts.push(Alert::OrderGuessed);
        }
    }
    let entitles = |held: &&Held| {
        held.plan_at(now, grace)
            .is_some_and(|sold| sold.plan != PlanId::Free)
    };
    if held.iter().filter(entitles).count() > 1 {
        alerts.push(Alert::SeveralSubscriptions);
    }
    alerts
}
