//! Which plan a price pays for: as configured now, or as was configured once.

use super::account::{self, DAY, START};
use super::at;
use super::store::{Store, read};
use legis_core::plan::{Interval, PlanId, rows};
use legis_core::stripe::event::Event;
use legis_core::stripe::prices::{PaysFor, Prices};
use serde_json::json;

const CREATED: &str = "customer.subscription.created";
const UPDATED: &str = "customer.subscription.updated";
const DELETED: &str = "customer.subscription.deleted";

/// An event of a subscription whose period is the one in which it happens.
fn event(id: &str, subscription: &str, kind: &str, status: &str, price: &str, day: i64) -> Event {
    let start = START + day.div_euclid(30) * 30 * DAY;
    read(&json!({
        "id": id, "type": kind, "created": START + day * DAY, "livemode": false,
        "data": { "object": {
            "id": subscription, "object": "subscription", "customer": "cus_1", "status": status,
            "billing_cycle_anchor": START, "metadata": { "sub": "auth0|payer" },
            "items": { "data": [{
                "price": { "id": price, "recurring": { "interval": "month" } },
                "current_period_start": start, "current_period_end": start + 30 * DAY,
            }] },
        } },
    }))
}

fn configured(further: &serde_json::Value) -> Prices {
    let rows: Vec<_> = rows().into_iter().map(|row| (row, None)).collect();
    Prices::new(&rows, &further.to_string()).unwrap()
}

/// A release in which the price of Professional is another; the old one is remembered.
fn after_an_increase(before: &Prices) -> Prices {
    let old = account::price(PlanId::Professional, Interval::Month);
    let developer = account::price(PlanId::Developer, Interval::Month);
    let prices = configured(&json!({ developer: "starter", "price_new": "pro" }));
    assert_eq!(prices.plan(&old), None, "configured no more");
    let known = before
        .news()
        .map(|(price, pays_for)| (price.to_owned(), pays_for));
    prices.remembering(known.collect())
}

/// What comes, then the price goes up, then what comes.
fn told(before: &[Event], after: &[Event], now: i64) -> Store {
    let mut store = Store::with_user("auth0|payer", at(START));
    for event in before {
        let now = event.at;
        store.take(std::slice::from_ref(event), now);
    }
    store.prices = after_an_increase(&store.prices);
    assert!(
        store.take(&[], at(START + now * DAY)).users.is_empty(),
        "an audit finds nothing"
    );
    for event in after {
        store.take(std::slice::from_ref(event), event.at);
    }
    store
}

#[test]
fn a_payer_keeps_the_plan_when_its_price_goes_up() {
    let pro = account::price(PlanId::Professional, Interval::Month);
    let developer = account::price(PlanId::Developer, Interval::Month);
    let renewed = |subscription| event("evt_9", subscription, UPDATED, "active", &pro, 31);
    let histories = [
        // Paid a smaller plan before.
        vec![
            event("evt_1", "sub_1", CREATED, "active", &developer, 0),
            event("evt_2", "sub_1", UPDATED, "active", &pro, 5),
        ],
        // Had a subscription before, which ended.
        vec![
            event("evt_1", "sub_0", CREATED, "active", &developer, 0),
            event("evt_2", "sub_0", DELETED, "canceled", &developer, 3),
            event("evt_3", "sub_1", CREATED, "active", &pro, 5),
        ],
        // The first Checkout failed.
        vec![
            event("evt_1", "sub_0", CREATED, "incomplete", &pro, 0),
            event("evt_2", "sub_0", UPDATED, "incomplete_expired", &pro, 1),
            event("evt_3", "sub_1", CREATED, "active", &pro, 5),
        ],
    ];
    for history in histories {
        let store = told(&history, &[renewed("sub_1")], 20);
        assert_eq!(store.billing().sold.plan, PlanId::Professional);
        assert!(
            store.billing().alerts.is_empty(),
            "what is known is no alert"
        );
    }
}

#[test]
fn whoever_pays_late_has_the_plan_again_though_its_price_went_up() {
    let pro = account::price(PlanId::Professional, Interval::Month);
    let before = [
        event("evt_1", "sub_1", CREATED, "active", &pro, 0),
        event("evt_2", "sub_1", UPDATED, "past_due", &pro, 30),
    ];
    let paid = event("evt_3", "sub_1", UPDATED, "active", &pro, 50);
    let store = told(&before, &[paid], 31);
    assert_eq!(store.billing().sold.plan, PlanId::Professional);
}

#[test]
fn what_is_configured_now_counts_more_than_what_was() {
    let was = configured(&json!({ "price_1": "starter", "price_2": "pro" }));
    let known: Vec<_> = was
        .news()
        .map(|(price, pays_for)| (price.to_owned(), pays_for))
        .collect();
    let is = configured(&json!({ "price_1": "pro", "price_3": null })).remembering(known);
    assert_eq!(is.plan("price_1"), Some(PlanId::Professional));
    assert_eq!(is.plan("price_2"), Some(PlanId::Professional));
    assert_eq!(is.pays_for("price_3"), Some(PaysFor::NoPlan));
    assert_eq!(is.pays_for("price_4"), None);
    let news: Vec<_> = is.news().collect();
    let expected = [
        ("price_1", PaysFor::Plan(PlanId::Professional)),
        ("price_3", PaysFor::NoPlan),
    ];
    assert_eq!(news, expected, "what is remembered already is no news");
}

#[test]
fn a_price_pays_for_one_thing() {
    let rows: Vec<_> = rows()
        .into_iter()
        .map(|row| (row, Some("price_1".to_owned())))
        .collect();
    let refused = Prices::new(&rows[1..2], r#"{"price_1": null}"#).unwrap_err();
    assert_eq!(refused, "price_1 pays for starter and for no plan");
}

/// A newsletter that is sold to the same customers neither keeps a plan nor alerts.
#[test]
fn what_is_no_plans_price_is_none_of_ours() {
    let pro = account::price(PlanId::Professional, Interval::Month);
    let mut store = Store::with_user("auth0|payer", at(START));
    store.prices = configured(&json!({ &pro: "pro", "price_newsletter": null }));
    let history = [
        event("evt_1", "sub_1", CREATED, "active", &pro, 0),
        event(
            "evt_2",
            "sub_news",
            CREATED,
            "active",
            "price_newsletter",
            2,
        ),
        event("evt_3", "sub_1", DELETED, "canceled", &pro, 5),
        event(
            "evt_4",
            "sub_news",
            UPDATED,
            "active",
            "price_newsletter",
            32,
        ),
    ];
    for (event, plan) in history.iter().zip([
        PlanId::Professional,
        PlanId::Professional,
        PlanId::Free,
        PlanId::Free,
    ]) {
        store.take(std::slice::from_ref(event), event.at);
        assert_eq!(store.billing().sold.plan, plan, "{}", event.id);
        assert!(store.billing().alerts.is_empty());
    }
    assert_eq!(store.billing().status, "canceled");
}

/// A subscription from which the plan was taken, and something else was left.
#[test]
fn a_subscription_that_pays_for_no_plan_any_more_ends_it_when_what_is_paid_runs_out() {
    let pro = account::price(PlanId::Professional, Interval::Month);
    let mut store = Store::with_user("auth0|payer", at(START));
    store.prices = configured(&json!({ &pro: "pro", "price_newsletter": null }));
    for event in [
        event("evt_1", "sub_1", CREATED, "active", &pro, 0),
        event("evt_2", "sub_1", UPDATED, "active", "price_newsletter", 2),
    ] {
        store.take(std::slice::from_ref(&event), event.at);
        assert_eq!(store.billing().sold.plan, PlanId::Professional);
    }
    store.take(&[], at(START + 30 * DAY));
    assert_eq!(store.billing().sold.plan, PlanId::Free);
}
