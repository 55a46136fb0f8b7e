//! Whose a customer is, and what goes along with it.

use super::account::{self, DAY, START};
use super::store::{Store, prices, read};
use super::{at, other};
use legis_core::plan::{Interval, PlanId};
use legis_core::stripe::apply::apply;
use legis_core::stripe::event::Event;
use legis_core::subscription::Grace;
use serde_json::json;

fn linked(id: &str, customer: &str, sub: &str, seconds: i64) -> Event {
    read(&json!({
        "id": id, "type": "customer.updated", "created": seconds, "livemode": false,
        "data": { "object": { "id": customer, "metadata": { "sub": sub } } },
    }))
}

#[test]
fn what_the_audit_advises_links_a_customer() {
    for code in ["customer_without_user", "subscription_without_user"] {
        let advice = legis_core::audit::Code::parse(code).unwrap().remedy();
        let (_, rest) = advice.split_once("`metadata.").unwrap();
        let (member, _) = rest.split_once('`').unwrap();
        let mut store = Store::with_user("auth0|payer", at(START));
        let event = read(&json!({
            "id": "evt_1", "type": "customer.updated", "created": START, "livemode": false,
            "data": { "object": { "id": "cus_1", "metadata": { member: "auth0|payer" } } },
        }));
        store.take(&[event], at(START));
        assert!(store.pending.is_empty(), "{advice}");
    }
}

#[test]
fn whoever_loses_a_customer_keeps_the_others() {
    let mut store = Store::with_user("auth0|payer", at(START));
    store.register("auth0|other");
    let developer = account::price(PlanId::Developer, Interval::Month);
    let created = "customer.subscription.created";
    let payers = |store: &Store| -> Vec<_> {
        let mut users = store.stored.users.clone();
        users.sort_by_key(|user| user.id);
        let billing = users.into_iter().map(|user| user.billing);
        billing
            .map(|billing| (billing.sold.plan, billing.customer))
            .collect()
    };
    store.take(
        &[linked("evt_1", "cus_0", "auth0|payer", START - 5)],
        at(START),
    );
    let subscribed = other("evt_2", created, "active", &developer, "cus_1", START);
    store.take(&[subscribed], at(START));
    assert_eq!(
        payers(&store),
        [
            (PlanId::Developer, Some("cus_1".to_owned())),
            (PlanId::Free, None)
        ]
    );
    let moved = linked("evt_3", "cus_1", "auth0|other", START + DAY);
    store.take(&[moved], at(START + DAY));
    assert_eq!(
        payers(&store),
        [
            (PlanId::Free, Some("cus_0".to_owned())),
            (PlanId::Developer, Some("cus_1".to_owned()))
        ]
    );
    let again = apply(
        &store.stored,
        &[],
        &prices(),
        Grace::default(),
        at(START + DAY),
    );
    assert!(again.users.is_empty(), "{:?}", again.users);
}
