//! Where a plan is paid: at Checkout by whoever has none, and in the customer portal by whoever has a subscription.

use crate::entitlement::Entitlement;
use crate::plan::PlanId;
use crate::problem::Problem;
use crate::subscription::Standing;
use crate::time::Timestamp;

/// Whether somebody whom Stripe knows as `customer` may begin to pay at Checkout.
///
/// # Errors
/// Where the plan is changed instead.
pub fn may_buy(
    entitlement: &Entitlement,
    customer: Option<&str>,
    now: Timestamp,
) -> Result<(), Problem> {
    match (entitlement.standing, customer) {
        (Standing::Free, _) => Ok(()),
        (_, Some(_)) => Err(Problem::AlreadySubscribed),
        // Whose grace is over, and whom the portal cannot help because nobody knows them at Stripe, buys anew.
        (_, None) if entitlement.plan_at(now) == PlanId::Free => Ok(()),
        (_, None) => Err(Problem::NotManagedHere),
    }
}

/// Why there is no portal for somebody whom Stripe does not know.
#[must_use]
pub fn no_portal(entitlement: &Entitlement, now: Timestamp) -> Problem {
    match entitlement.plan_at(now) {
        PlanId::Free => Problem::NoCustomer,
        _ => Problem::NotManagedHere,
    }
}

#[cfg(test)]
mod tests {
    use super::{may_buy, no_portal};
    use crate::entitlement::{Entitlement, ScheduledChange};
    use crate::plan::PlanId;
    use crate::problem::Problem;
    use crate::subscription::Standing;
    use crate::time::Timestamp;

    #[test]
    fn nobody_is_sent_from_checkout_to_the_portal_and_back() {
        let now = Timestamp::EPOCH;
        let free = Entitlement::free(now);
        let paid = Entitlement {
            plan: PlanId::Developer,
            standing: Standing::Active,
            ..free.clone()
        };
        let lapsed = Entitlement {
            standing: Standing::PastDue,
            changes: vec![ScheduledChange {
                plan: PlanId::Free,
                at: now,
            }],
            ..paid.clone()
        };
        let customer = Some("cus_1");
        assert_eq!(may_buy(&free, None, now), Ok(()));
        assert_eq!(may_buy(&free, customer, now), Ok(()));
        assert_eq!(
            may_buy(&paid, customer, now),
            Err(Problem::AlreadySubscribed)
        );
        assert_eq!(
            may_buy(&lapsed, customer, now),
            Err(Problem::AlreadySubscribed)
        );
        assert_eq!(may_buy(&lapsed, None, now), Ok(()));
        assert_eq!(may_buy(&paid, None, now), Err(Problem::NotManagedHere));
        assert_eq!(no_portal(&paid, now), Problem::NotManagedHere);
        for entitlement in [free, lapsed] {
            assert_eq!(no_portal(&entitlement, now), Problem::NoCustomer);
        }
    }
}
