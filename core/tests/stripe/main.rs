//! The laws of money: whatever order, however often and however late events come, the truth is the same.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    unreachable_pub,
    reason = "a test that fails should stop"
)]

mod account;
mod adopted;
mod agreed;
mod links;
mod prices;
mod signature;
mod store;

use account::{Account, DAY, Generation, START, Step, interval, paid_plan, step};
use legis_core::change::preview;
use legis_core::entitlement::Entitlement;
use legis_core::plan::{Interval, PlanId};
use legis_core::quota::{Usage, balance};
use legis_core::stripe::event::{Event, fetched};
use legis_core::stripe::order::{Certainty, Ordered};
use legis_core::stripe::snapshot::{Snapshot, SnapshotKind};
use legis_core::stripe::timeline::held;
use legis_core::subscription::Standing;
use legis_core::time::Timestamp;
use proptest::prelude::*;
use store::{Store, prices, read};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000).unwrap()
}

fn generation() -> impl Strategy<Value = Generation> {
    prop_oneof![Just(Generation::Old), Just(Generation::New)]
}

/// Steps, and how long the account waits before each: often not at all.
fn life() -> impl Strategy<Value = Vec<(Step, i64)>> {
    let wait = prop_oneof![3 => Just(0), 2 => 1_i64..5, 2 => 1_i64..40 * DAY];
    prop::collection::vec((step(), wait), 1..14)
}

fn events(account: &Account) -> Vec<Event> {
    account.events.iter().map(read).collect()
}

/// A store that has taken the events one by one.
fn taken(events: &[Event], now: Timestamp) -> Store {
    let mut store = Store::with_user("auth0|payer", at(START - DAY));
    for event in events {
        store.take(std::slice::from_ref(event), now);
    }
    store
}

/// In an order that the seed decides.
fn shuffled(events: impl Iterator<Item = Event>, seed: u64) -> Vec<Event> {
    let mut state = seed | 1;
    let mut keyed: Vec<(u64, Event)> = events
        .map(|event| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 20, event)
        })
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, event)| event).collect()
}

fn snapshots(events: &[Event]) -> Vec<Snapshot> {
    let store = taken(events, at(START));
    let mut snapshots = store.stored.snapshots;
    let order = |id: &str| events.iter().position(|event| event.id == id);
    snapshots.sort_by_key(|snapshot| order(&snapshot.id));
    snapshots
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_global_rejects: 65_536, ..ProptestConfig::default() })]

    /// Invariant 5.
    #[test]
    fn any_order_and_any_repetition_of_events_ends_in_the_same_state(
        life in life(),
        generation in generation(),
        seed in any::<u64>(),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let account = Account::live(&life, generation);
        let now = at(account.now + 60);
        let events = events(&account);
        let truth = taken(&events, now).state();
        let repeated = again.iter().map(|index| index.get(&events));
        let shuffled = shuffled(events.iter().chain(repeated).cloned(), seed);
        let store = taken(&shuffled, now);
        prop_assert_eq!(&truth, &store.state());
        // All of it once more changes nothing, not even a version.
        let mut again = store.clone();
        for event in &events {
            let applied = again.take(std::slice::from_ref(event), now);
            prop_assert!(applied.users.is_empty() && applied.snapshots.is_empty() && applied.payments.is_empty());
        }
        // At once or one by one.
        let mut at_once = Store::with_user("auth0|payer", at(START - DAY));
        at_once.take(&shuffled, now);
        prop_assert_eq!(truth, at_once.state());
    }

    #[test]
    fn events_that_were_lost_and_come_later_end_in_the_same_state(
        life in life(),
        generation in generation(),
        lost in prop::collection::vec(any::<bool>(), 120),
    ) {
        let account = Account::live(&life, generation);
        let now = at(account.now + 60);
        let events = events(&account);
        let (late, in_time): (Vec<_>, Vec<_>) =
            events.iter().cloned().zip(lost).partition(|(_, lost)| *lost);
        let delivered: Vec<Event> = in_time.into_iter().chain(late).map(|(event, _)| event).collect();
        prop_assert_eq!(taken(&events, now).state(), taken(&delivered, now).state());
    }

    #[test]
    fn the_order_is_the_true_one_or_stripe_is_asked(life in life(), generation in generation()) {
        let account = Account::live(&life, generation);
        let now = at(account.now + 60);
        let mut reversed = events(&account);
        let true_order = snapshots(&reversed);
        reversed.reverse();
        let mut store = taken(&reversed, now);
        // What the subscriptions are worth when their snapshots are folded as they happened.
        let mut truth = Store::with_user("auth0|payer", at(START - DAY));
        truth.take(&reversed, now);
        for object in account.subscriptions() {
            let id = object["id"].as_str().unwrap().to_owned();
            let own: Vec<Snapshot> =
                true_order.iter().filter(|snapshot| snapshot.subscription == id).cloned().collect();
            let folded = |snapshots: Vec<Snapshot>| {
                let ordered = Ordered { snapshots, certainty: Certainty::Known };
                held(&ordered, &prices()).unwrap()
            };
            let found = legis_core::stripe::order::order(own.clone());
            if found.certainty == Certainty::Known {
                let mut found = folded(found.snapshots);
                let mut expected = folded(own);
                // Equal states of one second are the same to whoever looks.
                (found.at, expected.at) = (at(0), at(0));
                prop_assert_eq!(found, expected);
            } else {
                // In the same second, at the worst.
                let seen = own.iter().map(|snapshot| snapshot.id.clone()).collect();
                let snapshot = fetched(object.to_string().as_bytes(), at(account.now), seen).unwrap();
                let facts = snapshot.facts.clone();
                prop_assert_eq!(snapshot.kind, SnapshotKind::Fetched);
                let mut asked = own;
                asked.push(snapshot);
                let found = legis_core::stripe::order::order(asked);
                prop_assert_eq!(found.certainty, Certainty::Known);
                prop_assert_eq!(&found.snapshots.last().unwrap().facts, &facts);
            }
        }
        prop_assert!(store.take(&[], now).users.is_empty());
    }

    #[test]
    fn a_crash_between_any_two_events_and_a_redelivery_of_all_change_nothing(
        life in life(),
        cut in any::<prop::sample::Index>(),
    ) {
        let account = Account::live(&life, Generation::New);
        let now = at(account.now + 60);
        let events = events(&account);
        // A batch is stored whole or not at all, so a crash is a prefix.
        let mut store = taken(&events[..cut.index(events.len() + 1)], now);
        for event in &events {
            store.take(std::slice::from_ref(event), now);
        }
        prop_assert_eq!(taken(&events, now).state(), store.state());
    }

    #[test]
    fn whoever_registers_after_paying_has_what_they_paid_for(life in life(), cut in any::<prop::sample::Index>()) {
        let account = Account::live(&life, Generation::New);
        let now = at(account.now + 60);
        let events = events(&account);
        let mut store = Store::with_user("auth0|somebody", at(START));
        let cut = cut.index(events.len() + 1);
        for (index, event) in events.iter().enumerate() {
            if index == cut {
                store.register("auth0|payer");
            }
            store.take(std::slice::from_ref(event), now);
        }
        if cut == events.len() {
            store.register("auth0|payer");
        }
        store.take(&[], now);
        let payer = |store: &Store, sub: &str| {
            store.stored.users.iter().find(|user| user.sub == sub).unwrap().billing.clone()
        };
        prop_assert_eq!(payer(&store, "auth0|payer"), payer(&taken(&events, now), "auth0|payer"));
        prop_assert_eq!(payer(&store, "auth0|somebody"), legis_core::stripe::billing::Billing::none());
    }

    #[test]
    fn a_paying_customer_is_never_on_the_free_plan(life in life(), generation in generation()) {
        let account = Account::live(&life, generation);
        let now = at(account.now + 1);
        let store = taken(&events(&account), now);
        let pays = account.subscriptions().last().is_some_and(|object| {
            let until = object["current_period_end"].as_i64()
                .or(object["items"]["data"][0]["current_period_end"].as_i64()).unwrap();
            object["status"] == "active" && until > account.now + 1
                && object["items"]["data"][0]["price"]["id"] != "price_nobody_knows"
        });
        if pays {
            prop_assert_ne!(store.entitlement().plan_at(now), PlanId::Free);
        }
    }

    /// `previewChange` shows what the worker then does.
    #[test]
    fn a_preview_is_what_the_events_then_do(
        life in life(),
        generation in generation(),
        plan in paid_plan(),
        interval in interval(),
        wait in 0_i64..20 * DAY,
        what in 0..3,
    ) {
        let mut account = Account::live(&life, generation);
        account.now += 1 + wait;
        let now = at(account.now);
        // As the hourly cron leaves it: what was decided for a moment that has passed is done.
        let mut store = taken(&events(&account), now);
        // Where the order is a guess, the next event may say better.
        prop_assume!(store.take(&[], now).unclear.is_empty());
        let before = store.entitlement();
        let subscription = account.subscriptions().last().cloned();
        let status = subscription.as_ref().map(|object| object["status"].as_str().unwrap().to_owned());
        let running = matches!(status.as_deref(), Some("active" | "trialing" | "past_due"));
        let ended = subscription.as_ref().is_none_or(|object| matches!(object["status"].as_str(), Some("canceled")));
        // What Stripe would have done meanwhile has been done.
        let period_runs = subscription.as_ref().is_none_or(|object| {
            object["current_period_end"].as_i64()
                .or(object["items"]["data"][0]["current_period_end"].as_i64()).unwrap() > account.now
        });
        let known = subscription.as_ref().is_none_or(|object| object["items"]["data"][0]["price"]["id"] != "price_nobody_knows");
        prop_assume!((running && period_runs && known && before.plan_at(now) != PlanId::Free) || ended);
        prop_assume!(before.plan_at(now) == before.plan);
        let (to, interval) = match (running, what) {
            (true, 0) => (PlanId::Free, None),
            _ => (plan, Some(interval)),
        };
        let shown = preview(&before, &Usage::none(at(START - DAY)), to, interval, now);
        match (running, to) {
            (true, PlanId::Free) => account.step(Step::CancelAtEnd),
            (true, _) => {
                account.step(Step::TakesBack);
                account.change(to, interval.unwrap());
            }
            (false, _) => account.step(Step::Checkout { plan: to, interval: interval.unwrap(), trial: false }),
        }
        let after = taken(&events(&account), now).entitlement();
        prop_assert_eq!(&shown.entitlement, &after, "{:?} of {:?}", shown.kind, before);
        prop_assert_eq!(shown.now.plan, balance(&after, &Usage::none(at(START)), now).plan);
        // What is said to stay is what holds, and is another plan than the one that follows.
        if shown.text.contains(" stays ") {
            prop_assert!(shown.text.starts_with(shown.now.plan.name()), "{}", shown.text);
            prop_assert_ne!(shown.now.plan, to, "{}", shown.text);
        }
    }
}

// The rules of plan changes, one by one.

fn after(steps: &[(Step, i64)]) -> (Account, Store) {
    let account = Account::live(steps, Generation::New);
    let store = taken(&events(&account), at(account.now));
    (account, store)
}

const DEVELOPER: Step = Step::Checkout {
    plan: PlanId::Developer,
    interval: Interval::Month,
    trial: false,
};
const PROFESSIONAL: Step = Step::Checkout {
    plan: PlanId::Professional,
    interval: Interval::Month,
    trial: false,
};

fn to(plan: PlanId) -> Step {
    Step::Change {
        plan,
        interval: Interval::Month,
    }
}

#[test]
fn an_upgrade_holds_at_once() {
    let (account, store) = after(&[(DEVELOPER, 0), (to(PlanId::Professional), DAY)]);
    assert_eq!(
        store.entitlement().plan_at(at(account.now)),
        PlanId::Professional
    );
    assert_eq!(store.entitlement().anchor, at(START));
}

#[test]
fn a_downgrade_holds_when_what_is_paid_runs_out() {
    let (account, store) = after(&[(PROFESSIONAL, 0), (to(PlanId::Developer), 3 * DAY)]);
    let entitlement = store.entitlement();
    let end = at(START).plus_months(1);
    assert_eq!(entitlement.plan_at(at(account.now)), PlanId::Professional);
    assert_eq!(
        entitlement.plan_at(end.plus_millis(-1)),
        PlanId::Professional
    );
    assert_eq!(entitlement.plan_at(end), PlanId::Developer);
    // And after the renewal it is the plan.
    let (_, store) = after(&[
        (PROFESSIONAL, 0),
        (to(PlanId::Developer), 3 * DAY),
        (Step::Renewal { paid: true }, 0),
    ]);
    assert_eq!(store.entitlement().plan, PlanId::Developer);
    assert!(store.entitlement().changes.is_empty());
}

#[test]
fn down_and_up_again_in_one_period_takes_the_downgrade_back() {
    let (_, store) = after(&[
        (PROFESSIONAL, 0),
        (to(PlanId::Developer), DAY),
        (to(PlanId::Professional), DAY),
    ]);
    assert_eq!(store.entitlement().plan, PlanId::Professional);
    assert!(store.entitlement().changes.is_empty());
    assert_eq!(store.entitlement().anchor, at(START));
}

#[test]
fn a_cancelled_subscription_runs_until_its_period_ends() {
    let (account, store) = after(&[(DEVELOPER, 0), (Step::CancelAtEnd, DAY)]);
    let entitlement = store.entitlement();
    assert_eq!(entitlement.plan_at(at(account.now)), PlanId::Developer);
    assert_eq!(entitlement.plan_at(at(START).plus_months(1)), PlanId::Free);
    let (account, store) = after(&[
        (DEVELOPER, 0),
        (Step::CancelAtEnd, DAY),
        (Step::Renewal { paid: true }, 0),
    ]);
    assert_eq!(store.billing().status, "canceled");
    assert_eq!(store.entitlement().plan_at(at(account.now)), PlanId::Free);
}

#[test]
fn a_payment_that_is_due_leaves_fourteen_days() {
    let (account, store) = after(&[
        (DEVELOPER, 0),
        (Step::Renewal { paid: false }, 0),
        (Step::Touch, DAY),
    ]);
    let entitlement = store.entitlement();
    let since = at(account.now - DAY);
    assert_eq!(entitlement.standing, Standing::PastDue);
    assert_eq!(
        entitlement.plan_at(since.plus_millis(14 * DAY * 1000 - 1)),
        PlanId::Developer
    );
    assert_eq!(
        entitlement.plan_at(since.plus_millis(14 * DAY * 1000)),
        PlanId::Free
    );
}

#[test]
fn an_unpaid_period_of_a_larger_plan_is_none_to_run_on_in() {
    let (_, store) = after(&[
        (PROFESSIONAL, 0),
        (Step::Renewal { paid: false }, 0),
        (to(PlanId::Developer), DAY),
        (Step::RetryPays, DAY),
    ]);
    assert_eq!(store.entitlement().plan, PlanId::Developer);
}

#[test]
fn an_unknown_price_keeps_the_plan_and_alerts() {
    let (account, mut store) = after(&[(DEVELOPER, 0), (Step::UnknownPrice, DAY)]);
    assert_eq!(store.entitlement().plan, PlanId::Developer);
    let last = read(account.events.last().unwrap());
    let alerts = store.take(&[last], at(account.now)).alerts;
    assert_eq!(
        alerts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["unknown_price price_nobody_knows"]
    );
}

#[test]
fn yearly_billing_has_monthly_allowances() {
    let yearly = Step::Checkout {
        plan: PlanId::Developer,
        interval: Interval::Year,
        trial: false,
    };
    let (account, store) = after(&[(yearly, 0)]);
    let entitlement = store.entitlement();
    assert_eq!(entitlement.paid_until, Some(at(START).plus_months(12)));
    let balance = balance(
        &entitlement,
        &Usage::none(at(START)),
        at(account.now + 70 * DAY),
    );
    assert_eq!(balance.limit(), Some(1_000));
    assert_eq!(balance.period.start, at(START).plus_months(2));
}

#[test]
fn the_first_paid_period_begins_where_the_trial_ends() {
    let trial = Step::Checkout {
        plan: PlanId::Developer,
        interval: Interval::Month,
        trial: true,
    };
    let (account, store) = after(&[(trial, 0)]);
    let end = at(START + 14 * DAY);
    let period = balance(
        &store.entitlement(),
        &Usage::none(at(START)),
        at(account.now),
    )
    .period;
    assert_eq!(period.end, Some(end));
    let (account, store) = after(&[(trial, 0), (Step::TrialEnds, 0)]);
    let period = balance(
        &store.entitlement(),
        &Usage::none(at(START)),
        at(account.now),
    )
    .period;
    assert_eq!((period.start, period.end), (end, Some(end.plus_months(1))));
}

#[test]
fn an_email_links_nobody() {
    let mut store = Store::with_user("auth0|payer", at(START));
    let event = serde_json::json!({
        "id": "evt_1", "type": "customer.created", "created": START, "livemode": false,
        "data": { "object": { "id": "cus_1", "object": "customer", "email": "payer@example.com", "metadata": {} } },
    });
    store.take(&[read(&event)], at(START));
    assert_eq!(store.pending.len(), 1);
    assert_eq!(store.billing().customer, None);
}

/// An event about something nobody needs may look like anything.
#[test]
fn what_nobody_needs_is_read_whatever_it_looks_like() {
    for (kind, object) in [
        (
            "invoiceitem.created",
            serde_json::json!({ "id": "ii_1", "amount": -500 }),
        ),
        ("payout.paid", serde_json::json!({ "amount": -1 })),
        (
            "billing.credit_grant.created",
            serde_json::json!({ "amount": { "type": "monetary" } }),
        ),
        ("coupon.created", serde_json::json!({ "id": "SUMMER SALE" })),
    ] {
        let event = serde_json::json!({
            "id": "evt_1", "type": kind, "created": START, "livemode": false, "data": { "object": object },
        });
        assert_eq!(
            read(&event).subject,
            legis_core::stripe::event::Subject::Nothing
        );
    }
}

/// A second customer's subscription, as an event.
fn other(id: &str, kind: &str, status: &str, price: &str, customer: &str, seconds: i64) -> Event {
    read(&serde_json::json!({
        "id": id, "type": kind, "created": seconds, "livemode": false,
        "data": { "object": {
            "id": format!("sub_of_{customer}"), "object": "subscription", "customer": customer, "status": status,
            "billing_cycle_anchor": START, "metadata": { "sub": "auth0|payer" },
            "items": { "data": [{
                "price": { "id": price, "recurring": { "interval": "month" } },
                "current_period_start": START, "current_period_end": START + 30 * DAY,
            }] },
        } },
    }))
}

/// Something else on the bill may be due for a day, such as an addition: the period that was paid before runs on.
#[test]
fn a_downgrade_that_was_decided_holds_when_it_was_decided_for_whatever_is_due_meanwhile() {
    let (created, updated) = (
        "customer.subscription.created",
        "customer.subscription.updated",
    );
    let professional = account::price(PlanId::Professional, Interval::Month);
    let developer = account::price(PlanId::Developer, Interval::Month);
    let event = |id, kind, status, price: &str, day: i64| {
        other(id, kind, status, price, "cus_1", START + day * DAY)
    };
    let mut store = Store::with_user("auth0|payer", at(START));
    let mut heard = Vec::new();
    for (event, plan) in [
        (
            event("evt_1", created, "active", &professional, 0),
            PlanId::Professional,
        ),
        (
            event("evt_2", updated, "active", &developer, 10),
            PlanId::Professional,
        ),
        (
            event("evt_3", updated, "past_due", &developer, 20),
            PlanId::Developer,
        ),
        (
            event("evt_4", updated, "past_due", &developer, 20),
            PlanId::Developer,
        ),
        (
            event("evt_5", updated, "active", &developer, 21),
            PlanId::Professional,
        ),
    ] {
        store.take(std::slice::from_ref(&event), event.at);
        assert_eq!(store.entitlement().plan_at(event.at), plan, "{}", event.id);
        heard.push(event);
    }
    let end = at(START + 30 * DAY);
    assert_eq!(
        store.entitlement().plan_at(end.plus_millis(-1)),
        PlanId::Professional
    );
    assert_eq!(store.entitlement().plan_at(end), PlanId::Developer);
    heard.reverse();
    let reversed = taken(&heard, at(START + 22 * DAY));
    assert_eq!(
        reversed.entitlement().plan_at(at(START + 22 * DAY)),
        PlanId::Professional
    );
}

/// Nobody is on Free between two graces.
#[test]
fn when_a_grace_is_over_another_subscription_goes_on() {
    let created = "customer.subscription.created";
    let professional = account::price(PlanId::Professional, Interval::Month);
    let developer = account::price(PlanId::Developer, Interval::Month);
    let mut store = Store::with_user("auth0|payer", at(START));
    for (id, price, customer, day) in [
        ("evt_1", &professional, "cus_1", 0),
        ("evt_2", &developer, "cus_2", 10),
    ] {
        let event = other(id, created, "past_due", price, customer, START + day * DAY);
        store.take(std::slice::from_ref(&event), event.at);
    }
    for (day, plan) in [(13, PlanId::Professional), (14, PlanId::Developer)] {
        assert_eq!(
            store.entitlement().plan_at(at(START + day * DAY)),
            plan,
            "day {day}"
        );
    }
    store.take(&[], at(START + 14 * DAY));
    for (day, plan) in [(23, PlanId::Developer), (24, PlanId::Free)] {
        assert_eq!(
            store.entitlement().plan_at(at(START + day * DAY)),
            plan,
            "day {day}"
        );
    }
}

/// Two events of two customers of one user stand on the same versions, so that one of two at once is done again.
#[test]
fn events_of_two_customers_of_one_user_concern_both_customers() {
    let (created, deleted) = (
        "customer.subscription.created",
        "customer.subscription.deleted",
    );
    let developer = account::price(PlanId::Developer, Interval::Month);
    let mut store = taken(
        &[
            other("evt_1", created, "active", &developer, "cus_1", START),
            other("evt_2", created, "active", &developer, "cus_2", START),
        ],
        at(START + 1),
    );
    for (id, customer) in [("evt_3", "cus_1"), ("evt_4", "cus_2")] {
        let ended = other(id, deleted, "canceled", &developer, customer, START + DAY);
        let applied = store.take(&[ended], at(START + DAY));
        let mut concerned: Vec<String> = applied
            .customers
            .into_iter()
            .map(|customer| customer.id)
            .collect();
        concerned.sort();
        assert_eq!(concerned, ["cus_1", "cus_2"]);
    }
    assert_eq!(store.entitlement().plan, PlanId::Free);
}

#[test]
fn the_plan_that_is_kept_for_an_unknown_price_does_not_depend_on_the_order() {
    let (created, deleted) = (
        "customer.subscription.created",
        "customer.subscription.deleted",
    );
    let developer = account::price(PlanId::Developer, Interval::Month);
    let events = [
        other("evt_1", created, "active", &developer, "cus_1", START),
        other(
            "evt_2",
            deleted,
            "canceled",
            &developer,
            "cus_1",
            START + DAY,
        ),
        other(
            "evt_3",
            created,
            "active",
            "price_nobody_knows",
            "cus_2",
            START + 2 * DAY,
        ),
    ];
    let now = at(START + 3 * DAY);
    let states: Vec<_> = [
        [0, 1, 2],
        [0, 2, 1],
        [2, 1, 0],
        [1, 2, 0],
        [2, 0, 1],
        [1, 0, 2],
    ]
    .map(|order| taken(&order.map(|index| events[index].clone()), now).state())
    .into();
    assert!(states.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn what_a_customer_buys_otherwise_does_not_take_their_plan_away() {
    let (account, mut store) = after(&[(DEVELOPER, 0)]);
    let session = serde_json::json!({
        "id": "evt_once", "type": "checkout.session.completed", "created": account.now + 5, "livemode": false,
        "data": { "object": { "id": "cs_9", "customer": "cus_1", "client_reference_id": "order-77", "mode": "payment" } },
    });
    store.take(&[read(&session)], at(account.now + 5));
    assert_eq!(store.entitlement().plan, PlanId::Developer);
    // Nor does a reference that a buyer made up: metadata is the owner's.
    let mut forged = session;
    forged["id"] = "evt_forged".into();
    forged["data"]["object"]["mode"] = "subscription".into();
    store.take(&[read(&forged)], at(account.now + 6));
    assert_eq!(store.entitlement().plan, PlanId::Developer);
}

#[test]
fn an_upgrade_that_is_not_paid_is_none_yet() {
    let steps = [
        (DEVELOPER, 0),
        (Step::Renewal { paid: false }, 0),
        (to(PlanId::Professional), DAY),
    ];
    let (_, store) = after(&steps);
    assert_eq!(store.entitlement().plan, PlanId::Developer);
    let (_, store) = after(&[steps[0], steps[1], steps[2], (Step::RetryPays, DAY)]);
    assert_eq!(store.entitlement().plan, PlanId::Professional);
}

#[test]
fn a_plan_that_was_agreed_otherwise_is_left_alone_by_what_tells_nothing_of_subscriptions() {
    let mut store = taken(
        &events(&Account::live(
            &[(DEVELOPER, 0), (Step::CancelNow, DAY)],
            Generation::New,
        )),
        at(START + 2 * DAY),
    );
    store.stored.users[0].billing.sold = legis_core::plan::Sold::of_row(40).unwrap();
    store.stored.users[0].billing.status = "active".to_owned();
    let touched = serde_json::json!({
        "id": "evt_touched", "type": "customer.updated", "created": START + 3 * DAY, "livemode": false,
        "data": { "object": { "id": "cus_1", "metadata": { "sub": "auth0|payer" } } },
    });
    store.take(&[read(&touched)], at(START + 3 * DAY));
    assert_eq!(store.entitlement().plan, PlanId::Enterprise);
}

#[test]
fn a_stub_before_the_anchor_is_a_period_of_its_own() {
    let (account, store) = after(&[(DEVELOPER, 0)]);
    let mut entitlement = store.entitlement();
    entitlement.anchor = at(account.now + 20 * DAY);
    let period = balance(&entitlement, &Usage::none(at(START)), at(account.now)).period;
    assert!(period.start <= at(account.now));
    assert_eq!(period.end, Some(entitlement.anchor));
}

/// An item that is no plan's may be paid for another period than the plan is.
#[test]
fn a_plan_is_paid_as_its_own_price_is_whatever_else_is_on_the_bill() {
    let event = |id: &str, kind: &str, seconds: i64, plan: PlanId| {
        read(&serde_json::json!({
            "id": id, "type": kind, "created": seconds, "livemode": false,
            "data": { "object": {
                "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active",
                "billing_cycle_anchor": START, "metadata": { "sub": "auth0|payer" },
                "items": { "data": [
                    { "price": { "id": "price_support", "recurring": { "interval": "year" } },
                      "current_period_start": START, "current_period_end": START + 365 * DAY },
                    { "price": { "id": account::price(plan, Interval::Month), "recurring": { "interval": "month" } },
                      "current_period_start": START, "current_period_end": START + 30 * DAY },
                ] },
            } },
        }))
    };
    let created = event(
        "evt_1",
        "customer.subscription.created",
        START,
        PlanId::Professional,
    );
    let mut store = taken(&[created], at(START));
    let billing = store.billing();
    assert_eq!(billing.interval, Some(Interval::Month));
    assert_eq!(billing.period_end, Some(at(START + 30 * DAY)));
    let smaller = event(
        "evt_2",
        "customer.subscription.updated",
        START + DAY,
        PlanId::Developer,
    );
    store.take(&[smaller], at(START + DAY));
    let scheduled = store.billing().scheduled.unwrap();
    assert_eq!(scheduled.at, at(START + 30 * DAY));
}

/// A smaller plan that was decided before begins all the same; free is whoever cancelled when that is not paid any more.
#[test]
fn a_cancellation_after_a_downgrade_tells_when_the_free_plan_holds() {
    let (_, store) = after(&[(PROFESSIONAL, 0)]);
    let usage = Usage::none(at(START));
    let year = Some(Interval::Year);
    let when = at(START + 9 * DAY);
    let smaller = preview(&store.entitlement(), &usage, PlanId::Developer, year, when);
    let now = at(START + 14 * DAY);
    let shown = preview(&smaller.entitlement, &usage, PlanId::Free, None, now);
    let end = when.plus_months(12);
    assert_eq!(shown.effective_at, Some(end));
    let then = shown.renewal.unwrap();
    assert_eq!(
        (then.at, then.plan, then.limit),
        (end, PlanId::Free, Some(100))
    );
    assert!(shown.text.contains("Professional stays"), "{}", shown.text);
    assert!(
        shown.text.ends_with("100 calls left, once."),
        "{}",
        shown.text
    );
}

/// What is due, tried or agreed was not paid for.
#[test]
fn who_changes_is_told_until_when_their_plan_stays() {
    let (_, store) = after(&[(PROFESSIONAL, 0)]);
    let usage = Usage::none(at(START));
    let now = at(START + DAY);
    let paid = store.entitlement();
    let said = |entitlement: &Entitlement, plan, interval| {
        preview(entitlement, &usage, plan, interval, now).text
    };
    let due = Entitlement {
        standing: Standing::PastDue,
        ..paid.clone()
    };
    let tried = Entitlement {
        standing: Standing::Trialing,
        ..paid.clone()
    };
    let agreed = Entitlement {
        paid_until: None,
        interval: None,
        ..paid.clone()
    };
    for (entitlement, words) in [
        (&paid, "stays until what you paid for runs out"),
        (&due, "stays while what is due is awaited"),
        (&tried, "stays until the trial ends"),
        (&agreed, "stays until the period ends"),
    ] {
        let text = said(entitlement, PlanId::Free, None);
        assert!(
            text.starts_with("Professional ") && text.contains(words),
            "{text}"
        );
    }
    // Until when nobody knows what is paid a smaller plan begins at once.
    let month = Some(Interval::Month);
    for (entitlement, words) in [
        (
            &paid,
            "Professional stays until what you paid for runs out, with 10,000 calls left. Developer begins on",
        ),
        (
            &agreed,
            "Developer begins at once: 1,000 calls left in this period.",
        ),
        (
            &due,
            "Developer begins at once: 1,000 calls left in this period.",
        ),
    ] {
        let text = said(entitlement, PlanId::Developer, month);
        assert!(text.starts_with(words), "{text}");
    }
    // A month that begins at once ends before the year does; at Stripe it may wait for the year's end.
    let yearly = Entitlement {
        interval: Some(Interval::Year),
        paid_until: Some(at(START).plus_months(12)),
        ..paid
    };
    let text = said(&yearly, PlanId::Developer, month);
    let month_from_now = now.plus_months(1).text();
    let words =
        format!("Professional stays until {month_from_now} at least, with 10,000 calls left.");
    assert!(text.starts_with(&words), "{text}");
}

/// Nothing that is bought after a grace holds before what is due is paid.
#[test]
fn whose_grace_is_over_pays_what_is_due_first() {
    let (_, store) = after(&[(PROFESSIONAL, 0)]);
    let now = at(START + DAY);
    let lapsed = Entitlement {
        standing: Standing::PastDue,
        changes: vec![legis_core::entitlement::ScheduledChange {
            plan: PlanId::Free,
            at: at(START + 1),
        }],
        ..store.entitlement()
    };
    let usage = Usage::none(at(START));
    let month = Some(Interval::Month);
    for plan in [PlanId::Developer, PlanId::Professional] {
        let shown = preview(&lapsed, &usage, plan, month, now);
        assert_eq!((shown.effective_at, &shown.entitlement), (None, &lapsed));
        let words = format!("{} begins when what is due is paid", plan.name());
        assert!(shown.text.starts_with(&words), "{}", shown.text);
    }
}

/// Stripe may end a subscription at a moment of its own.
#[test]
fn a_cancellation_that_was_decided_before_tells_when_that_is() {
    let year = Step::Checkout {
        plan: PlanId::Professional,
        interval: Interval::Year,
        trial: false,
    };
    let (_, store) = after(&[(year, 0)]);
    let mut entitlement = store.entitlement();
    let ends = at(START + 100 * DAY);
    entitlement.changes = vec![legis_core::entitlement::ScheduledChange {
        plan: PlanId::Free,
        at: ends,
    }];
    let usage = Usage::none(at(START));
    let shown = preview(&entitlement, &usage, PlanId::Free, None, at(START + DAY));
    assert_eq!(shown.effective_at, Some(ends));
    assert_eq!(shown.entitlement.changes, entitlement.changes);
}
