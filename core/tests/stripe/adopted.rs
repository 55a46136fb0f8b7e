//! Payers whose plan is from before the first event: adopted, with a customer that is linked and no subscription known.

use super::account::{Account, DAY, START};
use super::store::{Store, read};
use super::{at, generation, life, shuffled};
use legis_core::plan::{PlanId, Sold};
use legis_core::stripe::customer::{Customer, Life, Link, LinkKind};
use legis_core::stripe::event::Event;
use legis_core::time::Timestamp;
use proptest::prelude::*;
use serde_json::json;

const CREATED: &str = "customer.subscription.created";
const UPDATED: &str = "customer.subscription.updated";

fn adopted() -> Store {
    let mut store = Store::with_user("auth0|payer", at(START - 100 * DAY));
    let billing = &mut store.stored.users[0].billing;
    billing.sold = Sold::of_row(30).unwrap();
    billing.status = "active".to_owned();
    billing.customer = Some("cus_1".to_owned());
    store.stored.customers.push(Customer {
        id: "cus_1".to_owned(),
        link: Some(Link {
            sub: "auth0|payer".to_owned(),
            kind: LinkKind::Users,
            at: at(0),
            event: String::new(),
        }),
        life: Life::Alive,
        version: 1,
    });
    store
}

/// An event of a subscription whose price nobody knows.
fn unknown(id: &str, subscription: &str, kind: &str, status: &str, seconds: i64) -> Event {
    read(&json!({
        "id": id, "type": kind, "created": seconds, "livemode": false,
        "data": { "object": {
            "id": subscription, "object": "subscription", "customer": "cus_1", "status": status,
            "billing_cycle_anchor": START, "metadata": {},
            "items": { "data": [{
                "price": { "id": "price_nobody_knows", "recurring": { "interval": "month" } },
                "current_period_start": START, "current_period_end": START + 30 * DAY,
            }] },
        } },
    }))
}

fn taken(events: &[Event], now: Timestamp) -> Store {
    let mut store = adopted();
    for event in events {
        store.take(std::slice::from_ref(event), now);
    }
    store
}

#[test]
fn an_unknown_price_does_not_take_the_plan_when_another_subscription_is_heard_of() {
    let mut store = adopted();
    store.take(
        &[unknown("evt_1", "sub_a", UPDATED, "active", START)],
        at(START),
    );
    assert_eq!(store.billing().sold.plan, PlanId::Professional);
    let second = unknown("evt_2", "sub_b", CREATED, "incomplete", START + DAY);
    store.take(&[second], at(START + DAY));
    assert_eq!(store.billing().sold.plan, PlanId::Professional);
}

#[test]
fn an_unknown_price_does_not_take_the_plan_of_whoever_paid_late() {
    let mut store = adopted();
    store.take(
        &[unknown("evt_1", "sub_a", UPDATED, "past_due", START)],
        at(START),
    );
    store.take(&[], at(START + 15 * DAY));
    assert_eq!(store.billing().sold.plan, PlanId::Free, "the grace is over");
    let paid = unknown("evt_2", "sub_a", UPDATED, "active", START + 16 * DAY);
    store.take(&[paid], at(START + 16 * DAY));
    assert_eq!(store.billing().sold.plan, PlanId::Professional);
}

#[test]
fn an_adopted_plan_ends_with_its_subscription() {
    let ended = "customer.subscription.deleted";
    let events = [
        unknown("evt_1", "sub_a", UPDATED, "active", START),
        unknown("evt_2", "sub_a", ended, "canceled", START + DAY),
    ];
    let store = taken(&events, at(START + DAY));
    assert_eq!(store.billing().sold.plan, PlanId::Free);
}

/// Whose plan had ended before anything was heard of has nothing to keep.
#[test]
fn an_unknown_price_gives_nothing_to_whoever_was_not_entitled() {
    let over = [
        ("canceled", None),
        ("unpaid", None),
        ("free", None),
        ("past_due", Some(at(START - 30 * DAY))),
    ];
    for (status, due) in over {
        let mut store = adopted();
        let billing = &mut store.stored.users[0].billing;
        billing.status = status.to_owned();
        billing.past_due_since = due;
        store.take(
            &[unknown("evt_1", "sub_a", CREATED, "active", START)],
            at(START),
        );
        assert_eq!(store.billing().sold.plan, PlanId::Free, "{status}");
    }
}

#[test]
fn the_grace_of_whoever_was_adopted_while_a_payment_was_due_begins_once() {
    let mut store = adopted();
    let billing = &mut store.stored.users[0].billing;
    billing.status = "past_due".to_owned();
    billing.past_due_since = Some(at(START - 13 * DAY));
    for (id, day) in [("evt_1", 0), ("evt_2", 1)] {
        let due = unknown(id, "sub_a", UPDATED, "past_due", START + day * DAY);
        store.take(&[due], at(START));
        assert_eq!(store.billing().past_due_since, Some(at(START - 13 * DAY)));
    }
}

#[test]
fn whoever_was_adopted_and_whose_customer_is_deleted_has_no_plan() {
    let mut store = adopted();
    let deleted = read(&json!({
        "id": "evt_1", "type": "customer.deleted", "created": START, "livemode": false,
        "data": { "object": { "id": "cus_1", "object": "customer" } },
    }));
    store.take(&[deleted], at(START));
    assert_eq!(store.billing().sold.plan, PlanId::Free);
    assert!(store.take(&[], at(START + DAY)).users.is_empty());
}

/// As an adoption leaves it that found the customer there already: an event had come before.
#[test]
fn a_customer_that_was_linked_to_nobody_stays_the_users() {
    let mut store = adopted();
    store.stored.customers[0].link = None;
    assert!(store.take(&[], at(START)).users.is_empty());
    store.stored.customers.clear();
    assert!(store.take(&[], at(START)).users.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Invariant 5, whatever the prices are called and whatever was held before.
    #[test]
    fn any_order_of_events_ends_in_the_same_state_for_whoever_was_adopted(
        life in life(),
        generation in generation(),
        seed in any::<u64>(),
        unheard in prop::sample::select(vec!["price_", "price_developer", "price_professional", "price_none"]),
    ) {
        let account = Account::live(&life, generation);
        let now = at(account.now + 60);
        let events: Vec<Event> = account
            .events
            .iter()
            .map(|event| event.to_string().replace(&format!("\"{unheard}"), "\"price_unheard_of_"))
            .map(|event| read(&serde_json::from_str(&event).unwrap()))
            .collect();
        let truth = taken(&events, now);
        let shuffled = shuffled(events.iter().cloned(), seed);
        prop_assert_eq!(truth.state(), taken(&shuffled, now).state());
        let mut at_once = adopted();
        at_once.take(&shuffled, now);
        prop_assert_eq!(truth.state(), at_once.state());
        // While the last subscription is paid, nobody is free because a price is not configured.
        let pays = account.subscriptions().last().is_some_and(|object| object["status"] == "active"
            && object["cancel_at_period_end"] == false);
        let only = account.subscriptions().len() == 1;
        if pays && only && unheard == "price_" {
            prop_assert_ne!(truth.billing().sold.plan, PlanId::Free);
        }
    }
}
