//! From what the meters go on: nobody gets a fresh allowance by the move.

use crate::plan::{Allowance, PlanId};
use crate::quota::Balance;
use crate::time::Timestamp;

/// What old rows of `users` counted. The services counted without dating, so a count is of the running period only
/// where it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OldCounters {
    /// Of the running period: they were to begin anew at a moment that is still to come.
    pub running: u64,
    /// Of nobody knows when.
    pub undated: u64,
}

impl OldCounters {
    /// With one more row: one user may have had several.
    #[must_use]
    pub fn with(self, count: u64, resets_at: Option<Timestamp>, now: Timestamp) -> Self {
        match resets_at.is_some_and(|at| at > now) {
            true => Self {
                running: self.running.saturating_add(count),
                ..self
            },
            false => Self {
                undated: self.undated.saturating_add(count),
                ..self
            },
        }
    }
}

/// What the rows of the history say was charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Charged {
    /// Ever.
    pub ever: u64,
    /// Since the running period began.
    pub running: u64,
}

/// What was used of the old services in all.
///
/// ```
/// use legis_core::adoption::opening::{used, Charged, OldCounters};
/// let counters = OldCounters { running: 0, undated: 40 };
/// assert_eq!(used(counters, Charged { ever: 57, running: 3 }), 57);
/// assert_eq!(used(counters, Charged { ever: 12, running: 3 }), 40);
/// ```
#[must_use]
pub fn used(counters: OldCounters, charged: Charged) -> u64 {
    counters
        .running
        .saturating_add(counters.undated)
        .max(charged.ever)
        .min(crate::whole::MAX)
}

/// What of it belongs to the running period: what the rows date there, at least what a counter of it says, and what was
/// counted and no row dates.
///
/// ```
/// use legis_core::adoption::opening::{used_now, Charged, OldCounters};
/// let charged = Charged { ever: 50, running: 8 };
/// // Dated by rows: the counter went on from month to month.
/// assert_eq!(used_now(OldCounters { running: 0, undated: 50 }, charged), 8);
/// // Seven more were counted than rows tell of.
/// assert_eq!(used_now(OldCounters { running: 0, undated: 57 }, charged), 15);
/// // The counter is of this period.
/// assert_eq!(used_now(OldCounters { running: 20, undated: 0 }, charged), 20);
/// assert_eq!(used_now(OldCounters { running: 5, undated: 0 }, charged), 8);
/// ```
#[must_use]
pub fn used_now(counters: OldCounters, charged: Charged) -> u64 {
    let dated = charged.running.max(counters.running);
    let undated = counters.undated.saturating_sub(charged.ever);
    dated.saturating_add(undated).min(crate::whole::MAX)
}

/// What an opening balance begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// Of the one-time allowance.
    pub lifetime: u64,
    /// Of the running month, where the plan has one.
    pub month: Option<OpeningMonth>,
}

/// What an opening balance begins with in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpeningMonth {
    /// Its end.
    pub end: Timestamp,
    /// What was used in it.
    pub used: u64,
}

/// The opening balance of a user who stands at `balance` here, and used `in_all` elsewhere, of which `now` belongs to the
/// running period.
///
/// On a one-time allowance all of it counts. Whoever pays has used the free allowance up at most, because everybody began
/// with it.
#[must_use]
pub fn opening(balance: &Balance, in_all: u64, now: u64) -> Opening {
    match (balance.allowance, balance.period.end) {
        (Allowance::Once { .. }, _) | (_, None) => Opening {
            lifetime: in_all,
            month: None,
        },
        (_, Some(end)) => Opening {
            lifetime: in_all.min(free_calls()),
            month: Some(OpeningMonth { end, used: now }),
        },
    }
}

/// The calls of the free plan.
fn free_calls() -> u64 {
    match PlanId::Free.allowance() {
        Allowance::Once { calls } | Allowance::Monthly { calls } => u64::from(calls),
        Allowance::Unlimited => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entitlement::Entitlement;
    use crate::quota::{Usage, balance};
    use crate::subscription::Standing;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn stands(plan: PlanId, standing: Standing) -> Balance {
        let anchor = at("2026-01-10T00:00:00Z");
        let entitlement = Entitlement {
            plan,
            standing,
            ..Entitlement::free(anchor)
        };
        balance(
            &entitlement,
            &Usage::none(anchor),
            at("2026-03-15T00:00:00Z"),
        )
    }

    #[test]
    fn of_a_one_time_allowance_everything_counts() {
        let opening = opening(&stands(PlanId::Free, Standing::Free), 130, 4);
        assert_eq!((opening.lifetime, opening.month), (130, None));
    }

    #[test]
    fn whoever_pays_began_free_and_goes_on_with_the_month() {
        let opening = opening(&stands(PlanId::Developer, Standing::Active), 530, 44);
        assert_eq!(opening.lifetime, 100);
        let month = opening.month.unwrap();
        assert_eq!((month.end, month.used), (at("2026-04-10T00:00:00Z"), 44));
    }

    #[test]
    fn an_unlimited_plan_is_counted_by_the_month_too() {
        let opening = super::opening(&stands(PlanId::Enterprise, Standing::Active), 12, 12);
        assert_eq!(opening.lifetime, 12);
        assert_eq!(opening.month.unwrap().used, 12);
    }

    #[test]
    fn a_counter_is_of_this_period_while_its_reset_is_to_come() {
        let now = at("2026-03-15T00:00:00Z");
        let none = OldCounters::default();
        assert_eq!(
            none.with(7, Some(at("2026-03-16T00:00:00Z")), now).running,
            7
        );
        assert_eq!(none.with(7, Some(now), now).undated, 7);
        assert_eq!(none.with(7, None, now).undated, 7);
    }
}
