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

/// A subscription goes on saying who bought it.
#[test]
fn a_customer_that_was_given_to_somebody_else_stays_theirs_at_the_next_renewal() {
    let mut store = Store::with_user("auth0|payer", at(START));
    store.register("auth0|other");
    let subscription = |id: &str, kind: &str, seconds: i64, previous: serde_json::Value| {
        read(&json!({
            "id": id, "type": kind, "created": seconds, "livemode": false,
            "data": { "previous_attributes": previous, "object": {
                "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active", "created": START,
                "billing_cycle_anchor": START, "metadata": { "sub": "auth0|payer" },
                "items": { "data": [{
                    "price": { "id": account::price(PlanId::Developer, Interval::Month) },
                    "current_period_start": START, "current_period_end": START + 30 * DAY,
                }] },
            } },
        }))
    };
    let events = [
        subscription(
            "evt_1",
            "customer.subscription.created",
            START,
            serde_json::Value::Null,
        ),
        linked("evt_2", "cus_1", "auth0|other", START + DAY),
        subscription(
            "evt_3",
            "customer.subscription.updated",
            START + 30 * DAY,
            json!({ "latest_invoice": "in_1" }),
        ),
        subscription(
            "evt_4",
            "customer.subscription.paused",
            START + 31 * DAY,
            serde_json::Value::Null,
        ),
    ];
    for event in &events {
        store.take(std::slice::from_ref(event), event.at);
    }
    let owner = |store: &Store| store.stored.customers[0].sub().map(str::to_owned);
    assert_eq!(owner(&store), Some("auth0|other".to_owned()));
    // Said anew, it counts.
    let back = subscription(
        "evt_5",
        "customer.subscription.updated",
        START + 32 * DAY,
        json!({ "metadata": { "sub": "auth0|other" } }),
    );
    store.take(&[back], at(START + 32 * DAY));
    assert_eq!(owner(&store), Some("auth0|payer".to_owned()));
}

/// The reference may be something else of the shop's.
#[test]
fn what_a_sessions_metadata_says_is_stronger_than_its_reference() {
    let mut store = Store::with_user("auth0|payer", at(START));
    let session = read(&json!({
        "id": "evt_1", "type": "checkout.session.completed", "created": START, "livemode": false,
        "data": { "object": {
            "id": "cs_1", "object": "checkout.session", "mode": "subscription", "customer": "cus_1",
            "client_reference_id": "cart_17", "metadata": { "sub": "auth0|payer" },
        } },
    }));
    store.take(&[session], at(START));
    assert_eq!(store.stored.customers[0].sub(), Some("auth0|payer"));
}
