//! A plan that was agreed otherwise than at Stripe holds beside what is paid there.

use super::account::{self, DAY, START};
use super::store::{Store, prices};
use super::{at, other};
use legis_core::plan::{Interval, PlanId, Sold};
use legis_core::stripe::apply::apply;
use legis_core::stripe::billing::Agreed;
use legis_core::stripe::event::Event;
use legis_core::subscription::Grace;

const CREATED: &str = "customer.subscription.created";
const UPDATED: &str = "customer.subscription.updated";
const DELETED: &str = "customer.subscription.deleted";

fn pro(id: &str, kind: &str, status: &str, day: i64) -> Event {
    let price = account::price(PlanId::Professional, Interval::Month);
    other(id, kind, status, &price, "cus_1", START + day * DAY)
}

/// Enterprise by contract, for a number of days.
fn agree(store: &mut Store, days: Option<i64>) {
    store.stored.users[0].agreed = Some(Agreed {
        sold: Sold::of_row(40).unwrap(),
        until: days.map(|days| at(START + days * DAY)),
    });
}

fn plan(store: &Store, day: i64) -> PlanId {
    let now = at(START + day * DAY);
    store.entitlement().plan_at(now)
}

#[test]
fn it_holds_whatever_is_heard_of_a_subscription() {
    let mut store = Store::with_user("auth0|payer", at(START));
    for event in [
        pro("evt_1", CREATED, "active", 0),
        pro("evt_2", DELETED, "canceled", 3),
    ] {
        store.take(std::slice::from_ref(&event), event.at);
    }
    assert_eq!(plan(&store, 3), PlanId::Free);
    agree(&mut store, None);
    store.take(&[], at(START + 4 * DAY));
    assert_eq!(plan(&store, 4), PlanId::Enterprise);
    // An audit finds nothing, and what comes late takes nothing.
    assert!(store.take(&[], at(START + 5 * DAY)).users.is_empty());
    store.take(&[pro("evt_3", UPDATED, "canceled", 6)], at(START + 6 * DAY));
    assert_eq!(plan(&store, 6), PlanId::Enterprise);
    assert_eq!(plan(&store, 600), PlanId::Enterprise);
}

/// The larger of both holds, whatever the standing of what is paid.
#[test]
fn a_larger_plan_that_is_paid_holds_beside_it() {
    for status in ["active", "trialing", "past_due"] {
        let mut store = Store::with_user("auth0|payer", at(START));
        store.stored.users[0].agreed = Some(Agreed {
            sold: Sold::of_row(20).unwrap(),
            until: None,
        });
        store.take(&[pro("evt_1", CREATED, "active", 0)], at(START));
        store.take(&[pro("evt_2", UPDATED, status, 5)], at(START + 5 * DAY));
        assert_eq!(plan(&store, 5), PlanId::Professional, "{status}");
    }
    // Whose grace is over has what was agreed.
    let mut store = Store::with_user("auth0|payer", at(START));
    store.stored.users[0].agreed = Some(Agreed {
        sold: Sold::of_row(20).unwrap(),
        until: None,
    });
    store.take(&[pro("evt_1", CREATED, "past_due", 0)], at(START));
    assert_eq!(plan(&store, 13), PlanId::Professional);
    assert_eq!(plan(&store, 14), PlanId::Developer, "known beforehand");
    store.take(&[], at(START + 14 * DAY));
    assert_eq!(plan(&store, 14), PlanId::Developer);
}

#[test]
fn when_it_ends_what_is_paid_goes_on() {
    let mut store = Store::with_user("auth0|payer", at(START));
    agree(&mut store, Some(10));
    store.take(&[pro("evt_1", CREATED, "active", 0)], at(START));
    assert_eq!(plan(&store, 9), PlanId::Enterprise);
    assert_eq!(plan(&store, 10), PlanId::Professional, "known beforehand");
    store.take(&[], at(START + 10 * DAY));
    assert_eq!(plan(&store, 10), PlanId::Professional);
    assert_eq!(store.billing().status, "active");
}

#[test]
fn when_it_ends_and_nothing_is_paid_nothing_holds() {
    let mut store = Store::with_user("auth0|payer", at(START));
    agree(&mut store, Some(10));
    store.take(&[], at(START));
    assert_eq!(plan(&store, 9), PlanId::Enterprise);
    assert_eq!(plan(&store, 10), PlanId::Free, "known beforehand");
    store.take(&[], at(START + 10 * DAY));
    assert_eq!(plan(&store, 10), PlanId::Free);
    assert_eq!(store.billing().status, "canceled");
    assert!(store.take(&[], at(START + 11 * DAY)).users.is_empty());
}

/// It is nothing that a price nobody knows could keep.
#[test]
fn it_is_no_plan_that_was_held_before() {
    let mut store = Store::with_user("auth0|payer", at(START));
    agree(&mut store, Some(10));
    store.take(&[], at(START));
    let unknown = other(
        "evt_1",
        CREATED,
        "active",
        "price_nobody_knows",
        "cus_1",
        START,
    );
    store.take(&[unknown], at(START));
    store.take(&[], at(START + 10 * DAY));
    assert_eq!(plan(&store, 10), PlanId::Free);
}

#[test]
fn it_is_no_second_subscription() {
    let mut store = Store::with_user("auth0|payer", at(START));
    agree(&mut store, None);
    store.take(&[pro("evt_1", CREATED, "active", 0)], at(START));
    assert!(store.billing().alerts.is_empty());
    let again = apply(
        &store.stored,
        &[],
        &prices(),
        Grace::default(),
        at(START + DAY),
    );
    assert!(again.users.is_empty());
}
