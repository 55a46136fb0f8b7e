//! The laws of the decision (docs/rules.md): what is admitted, what is refused, and what never happens.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test that fails should stop"
)]

use legis_core::account::{Account, User, session_props};
use legis_core::entitlement::{Entitlement, ScheduledChange, Subscription, entitlement};
use legis_core::plan::{Allowance, PlanId, plans, recommend};
use legis_core::quota::{
    Channel, Cost, Decision, PeriodUsage, Reason, Usage, balance, charge, decide, refund,
};
use legis_core::subscription::{Grace, Standing, Status};
use legis_core::time::Timestamp;
use legis_core::{meter, refusal};
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn moment() -> impl Strategy<Value = Timestamp> {
    (1_700_000_000_000_i64..1_900_000_000_000)
        .prop_map(|millis| Timestamp::from_millis(millis).unwrap())
}

fn plan() -> impl Strategy<Value = PlanId> {
    prop::sample::select(PlanId::ALL.to_vec())
}

fn channel() -> impl Strategy<Value = Channel> {
    prop_oneof![Just(Channel::Rest), Just(Channel::Mcp)]
}

prop_compose! {
    fn some_entitlement()(
        plan in plan(),
        anchor in moment(),
        change in prop::option::of((plan_strategy(), moment())),
        version in 0_u64..100,
    ) -> Entitlement {
        Entitlement {
            plan,
            standing: Standing::Active,
            anchor,
            interval: None,
            paid_until: None,
            changes: change.map(|(plan, at)| ScheduledChange { plan, at }).into_iter().collect(),
            version,
        }
    }
}

fn plan_strategy() -> impl Strategy<Value = PlanId> {
    plan()
}

fn on(plan: PlanId, anchor: Timestamp) -> Entitlement {
    Entitlement {
        plan,
        standing: Standing::Active,
        anchor,
        interval: None,
        paid_until: None,
        changes: Vec::new(),
        version: 1,
    }
}

/// Calls admitted of `attempts` at one moment.
fn admitted(entitlement: &Entitlement, usage: &mut Usage, attempts: u64, now: Timestamp) -> u64 {
    let mut count = 0;
    for _ in 0..attempts {
        if let (_, Some((after, _))) = charge(entitlement, usage, Cost::ONE, Channel::Rest, now) {
            *usage = after;
            count += 1;
        }
    }
    count
}

#[test]
fn each_plan_admits_exactly_its_allowance() {
    let now = at("2026-03-10T00:00:00Z");
    for (plan, limit) in [
        (PlanId::Free, 100),
        (PlanId::Developer, 1_000),
        (PlanId::Professional, 10_000),
    ] {
        let mut usage = Usage::none(now);
        assert_eq!(admitted(&on(plan, now), &mut usage, limit + 50, now), limit);
    }
    let mut usage = Usage::none(now);
    assert_eq!(
        admitted(&on(PlanId::Enterprise, now), &mut usage, 20_000, now),
        20_000
    );
}

#[test]
fn a_monthly_allowance_renews_at_the_anchor_and_a_one_time_allowance_never() {
    let anchor = at("2026-01-31T12:00:00Z");
    let developer = on(PlanId::Developer, anchor);
    let mut usage = Usage::none(anchor);
    assert_eq!(admitted(&developer, &mut usage, 2_000, anchor), 1_000);
    let before = at("2026-02-28T11:59:59.999Z");
    assert_eq!(admitted(&developer, &mut usage, 10, before), 0);
    let renewal = at("2026-02-28T12:00:00Z");
    assert_eq!(admitted(&developer, &mut usage, 2_000, renewal), 1_000);

    let free = Entitlement::free(anchor);
    let mut usage = Usage::none(anchor);
    assert_eq!(admitted(&free, &mut usage, 200, anchor), 100);
    assert_eq!(
        admitted(&free, &mut usage, 200, at("2099-01-01T00:00:00Z")),
        0
    );
}

#[test]
fn an_upgrade_carries_the_usage_of_the_period() {
    let anchor = at("2026-01-10T00:00:00Z");
    let mut usage = Usage::none(anchor);
    admitted(&on(PlanId::Developer, anchor), &mut usage, 1_000, anchor);
    let upgraded = balance(&on(PlanId::Professional, anchor), &usage, anchor);
    assert_eq!((upgraded.used, upgraded.remaining()), (1_000, Some(9_000)));
}

#[test]
fn what_was_used_of_the_free_calls_stays_used_after_an_upgrade_and_a_return() {
    let start = at("2026-01-10T00:00:00Z");
    let mut usage = Usage::none(start);
    admitted(&Entitlement::free(start), &mut usage, 70, start);
    let paid = at("2026-02-01T00:00:00Z");
    assert_eq!(
        admitted(&on(PlanId::Developer, paid), &mut usage, 5_000, paid),
        1_000
    );
    let back = at("2026-06-01T00:00:00Z");
    assert_eq!(
        admitted(&Entitlement::free(start), &mut usage, 500, back),
        30
    );
}

#[test]
fn down_and_up_again_inside_one_period_yields_nothing_extra() {
    let anchor = at("2026-01-10T00:00:00Z");
    let mut usage = Usage::none(anchor);
    admitted(&on(PlanId::Developer, anchor), &mut usage, 1_000, anchor);
    let again = at("2026-01-20T00:00:00Z");
    // Cancelled at once and subscribed anew: Stripe gives a new anchor, the running period does not care.
    assert_eq!(
        admitted(&on(PlanId::Developer, again), &mut usage, 10, again),
        0
    );
    let old_end = at("2026-02-10T00:00:00Z");
    assert_eq!(
        admitted(&on(PlanId::Developer, again), &mut usage, 5_000, old_end),
        1_000
    );
}

#[test]
fn a_scheduled_change_holds_from_its_moment_on() {
    let change = at("2026-02-10T00:00:00Z");
    let entitlement = Entitlement {
        changes: vec![ScheduledChange {
            plan: PlanId::Free,
            at: change,
        }],
        ..on(PlanId::Professional, at("2026-01-10T00:00:00Z"))
    };
    assert_eq!(
        entitlement.plan_at(change.plus_millis(-1)),
        PlanId::Professional
    );
    assert_eq!(entitlement.plan_at(change), PlanId::Free);
}

#[test]
fn a_refusal_tells_reason_reset_and_the_cheapest_plan_that_would_do() {
    let anchor = at("2026-01-10T00:00:00Z");
    let mut usage = Usage::none(anchor);
    admitted(&on(PlanId::Developer, anchor), &mut usage, 1_000, anchor);
    let Decision::Refuse(refusal) =
        decide(&on(PlanId::Developer, anchor), &usage, Cost::ONE, anchor)
    else {
        panic!("must be refused");
    };
    assert_eq!(refusal.reason, Reason::AllowanceExhausted);
    assert_eq!(refusal.suggested_plan, Some(PlanId::Professional));
    assert_eq!(refusal.resets_at, Some(at("2026-02-10T00:00:00Z")));
    assert_eq!(
        refusal.message,
        "You have used 1,000 of the 1,000 calls a month of the Developer plan. More become available on 10 February \
         2026, 00:00 UTC. Professional includes 10,000 calls a month."
    );
}

#[test]
fn a_call_that_costs_more_than_a_period_allows_is_not_told_to_wait() {
    let now = at("2026-01-10T00:00:00Z");
    let decision = decide(
        &on(PlanId::Developer, now),
        &Usage::none(now),
        Cost::new(1_001).unwrap(),
        now,
    );
    let Decision::Refuse(refusal) = &decision else {
        panic!("must be refused");
    };
    assert_eq!(refusal.reason, Reason::CostExceedsAllowance);
    assert_eq!(refusal.resets_at, None);
    let headers = refusal::headers(&decision, now);
    assert!(!headers.iter().any(|(name, _)| *name == "Retry-After"));
}

#[test]
fn the_headers_of_a_refusal_say_when_to_come_back() {
    let anchor = at("2026-01-10T00:00:00Z");
    let mut usage = Usage::none(anchor);
    admitted(&on(PlanId::Developer, anchor), &mut usage, 1_000, anchor);
    let now = at("2026-02-09T23:59:58.500Z");
    let decision = decide(&on(PlanId::Developer, anchor), &usage, Cost::ONE, now);
    let mut headers = refusal::headers(&decision, now);
    headers.sort();
    assert_eq!(
        headers,
        [
            ("RateLimit", "\"plan\";r=0;t=2".to_owned()),
            ("RateLimit-Policy", "\"plan\";q=1000;w=2678400".to_owned()),
            ("Retry-After", "2".to_owned()),
            ("X-RateLimit-Limit", "1000".to_owned()),
            ("X-RateLimit-Remaining", "0".to_owned()),
            ("X-RateLimit-Reset", "1770681600".to_owned()),
        ]
    );
}

#[test]
fn every_status_has_its_standing() {
    for (word, standing) in [
        ("active", Standing::Active),
        ("trialing", Standing::Trialing),
        ("past_due", Standing::PastDue),
        ("incomplete", Standing::Free),
        ("incomplete_expired", Standing::Free),
        ("unpaid", Standing::Free),
        ("canceled", Standing::Free),
        ("paused", Standing::Free),
        ("free", Standing::Free),
        ("quantum", Standing::Unknown),
    ] {
        let status = Status::parse(word);
        assert_eq!(status.standing(), standing, "{word}");
        assert_eq!(status.as_str(), word, "a word is kept as it came");
    }
}

#[test]
fn past_due_is_entitled_for_the_grace_and_free_after_it() {
    let since = at("2026-03-01T08:00:00Z");
    for (days, end) in [
        (0, "2026-03-01T08:00:00Z"),
        (2, "2026-03-03T08:00:00Z"),
        (7, "2026-03-08T08:00:00Z"),
        (14, "2026-03-15T08:00:00Z"),
        (21, "2026-03-22T08:00:00Z"),
    ] {
        let subscription = Subscription {
            plan: PlanId::Developer,
            status: Status::PastDue,
            anchor: Some(at("2026-01-01T00:00:00Z")),
            interval: None,
            period_end: None,
            past_due_since: Some(since),
            scheduled: None,
            registered_at: at("2025-12-01T00:00:00Z"),
            version: 3,
        };
        let entitlement = entitlement(&subscription, Grace::from_days(days).unwrap());
        assert_eq!(
            entitlement.plan_at(at(end).plus_millis(-1)),
            PlanId::Developer
        );
        assert_eq!(entitlement.plan_at(at(end)), PlanId::Free);
    }
    assert_eq!(Grace::from_days(3), None);
}

#[test]
fn a_downgrade_that_comes_first_does_not_outlive_the_grace() {
    let subscription = Subscription {
        plan: PlanId::Professional,
        status: Status::PastDue,
        anchor: Some(at("2026-01-10T00:00:00Z")),
        interval: None,
        period_end: None,
        past_due_since: Some(at("2026-03-01T00:00:00Z")),
        scheduled: Some(ScheduledChange {
            plan: PlanId::Developer,
            at: at("2026-03-10T00:00:00Z"),
        }),
        registered_at: at("2025-12-01T00:00:00Z"),
        version: 3,
    };
    let entitlement = entitlement(&subscription, Grace::default());
    for (moment, plan) in [
        ("2026-03-09T23:59:59Z", PlanId::Professional),
        ("2026-03-10T00:00:00Z", PlanId::Developer),
        ("2026-03-14T23:59:59Z", PlanId::Developer),
        ("2026-03-15T00:00:00Z", PlanId::Free),
        ("2027-01-01T00:00:00Z", PlanId::Free),
    ] {
        assert_eq!(entitlement.plan_at(at(moment)), plan, "{moment}");
    }
}

#[test]
fn nobody_is_told_to_wait_for_a_renewal_that_does_not_come() {
    let anchor = at("2026-01-10T00:00:00Z");
    let ending = Entitlement {
        changes: vec![ScheduledChange {
            plan: PlanId::Free,
            at: at("2026-02-10T00:00:00Z"),
        }],
        ..on(PlanId::Developer, anchor)
    };
    let mut usage = Usage::none(anchor);
    usage.lifetime.used = 100;
    admitted(&ending, &mut usage, 1_000, anchor);
    let Decision::Refuse(refusal) = decide(&ending, &usage, Cost::ONE, anchor) else {
        panic!("must be refused");
    };
    assert_eq!(refusal.resets_at, None);
    assert!(
        !refusal.message.contains("become available"),
        "{}",
        refusal.message
    );
    // Nor is a tool that looks at who calls.
    let account = Account {
        user: user(anchor),
        entitlement: ending.clone(),
        usage: usage.clone(),
    };
    assert_eq!(session_props(&account, anchor).resets_at, None);
    // With free calls left, waiting does help: until the plan ends, which may be before the period does.
    usage.lifetime.used = 99;
    let lapsing = Entitlement {
        changes: vec![ScheduledChange {
            plan: PlanId::Free,
            at: at("2026-01-20T00:00:00Z"),
        }],
        ..ending.clone()
    };
    let Decision::Refuse(refusal) = decide(&lapsing, &usage, Cost::ONE, anchor) else {
        panic!("must be refused");
    };
    assert_eq!(refusal.resets_at, Some(at("2026-01-20T00:00:00Z")));
    let then = decide(&lapsing, &usage, Cost::ONE, at("2026-01-20T00:00:00Z"));
    assert!(matches!(then, Decision::Admit(_)));
    let Decision::Refuse(refusal) = decide(&ending, &usage, Cost::ONE, anchor) else {
        panic!("must be refused");
    };
    assert_eq!(refusal.resets_at, Some(at("2026-02-10T00:00:00Z")));
}

#[test]
fn a_status_nobody_knows_keeps_the_plan() {
    let subscription = Subscription {
        plan: PlanId::Professional,
        status: Status::parse("quantum"),
        anchor: Some(at("2026-01-01T00:00:00Z")),
        interval: None,
        period_end: None,
        past_due_since: None,
        scheduled: None,
        registered_at: at("2025-12-01T00:00:00Z"),
        version: 3,
    };
    let entitlement = entitlement(&subscription, Grace::default());
    assert_eq!(
        entitlement.plan_at(at("2030-01-01T00:00:00Z")),
        PlanId::Professional
    );
}

#[test]
fn any_known_name_resolves_and_no_other_does() {
    for plan in plans() {
        for name in plan.names {
            for spelling in [name.to_owned(), name.to_uppercase(), format!("  {name}\n")] {
                assert_eq!(PlanId::resolve(&spelling), Ok(plan.id), "{spelling:?}");
            }
        }
        assert_eq!(PlanId::resolve(plan.id.as_str()), Ok(plan.id));
    }
    for name in ["", " ", "platinum", "develop er", "starter\u{0}"] {
        assert!(PlanId::resolve(name).is_err(), "{name:?}");
    }
}

fn user(registered: Timestamp) -> User {
    User {
        id: 1,
        sub: "local|ada".to_owned(),
        email: None,
        name: None,
        created_at: registered,
        updated_at: registered,
    }
}

#[test]
fn what_ends_is_not_said_to_renew() {
    let anchor = at("2026-01-10T00:00:00Z");
    let usage = Usage::none(anchor);
    let text = |entitlement: &Entitlement| meter::meter(entitlement, &usage, anchor).text;
    let paid = on(PlanId::Developer, anchor);
    assert_eq!(
        text(&paid),
        "0 of 1,000 calls used this month, renews on 10 February 2026, 00:00 UTC"
    );
    for (ends, said) in [
        ("2026-02-10T00:00:00Z", "10 February 2026, 00:00 UTC"),
        ("2026-01-20T00:00:00Z", "20 January 2026, 00:00 UTC"),
    ] {
        let changes = vec![ScheduledChange {
            plan: PlanId::Free,
            at: at(ends),
        }];
        let ending = Entitlement {
            changes,
            ..paid.clone()
        };
        assert_eq!(
            text(&ending),
            format!("0 of 1,000 calls used this month, until {said}")
        );
    }
}

#[test]
fn a_call_that_is_refused_for_its_cost_is_told_so() {
    let anchor = at("2026-01-10T00:00:00Z");
    let entitlement = on(PlanId::Developer, anchor);
    let mut usage = Usage::none(anchor);
    admitted(&entitlement, &mut usage, 600, anchor);
    let Decision::Refuse(refusal) = decide(&entitlement, &usage, Cost::new(500).unwrap(), anchor)
    else {
        panic!("must be refused");
    };
    assert!(
        refusal
            .message
            .contains("400 are left, and this call costs 500."),
        "{}",
        refusal.message
    );
}

#[test]
fn the_bar_is_full_only_when_nothing_is_left() {
    let start = at("2026-01-10T00:00:00Z");
    let mut account = Account {
        user: user(start),
        entitlement: on(PlanId::Developer, start),
        usage: Usage::none(start),
    };
    for (used, percent, level) in [
        (0, 0, meter::Level::Normal),
        (799, 79, meter::Level::Normal),
        (800, 80, meter::Level::Low),
        (999, 99, meter::Level::Low),
        (1_000, 100, meter::Level::Exhausted),
    ] {
        account.usage.period = Some(PeriodUsage {
            start,
            end: start.plus_months(1),
            used,
            mcp: 0,
        });
        let bar = meter::meter(&account.entitlement, &account.usage, start);
        assert_eq!((bar.percent, bar.level), (percent, level), "{used} used");
    }
}

proptest! {
    #[test]
    fn never_more_than_the_limit_is_charged(
        entitlement in some_entitlement(),
        calls in prop::collection::vec((moment(), 1_u32..2_000, channel()), 1..60),
    ) {
        let mut usage = Usage::none(at("2023-01-01T00:00:00Z"));
        for (now, cost, channel) in calls {
            let before = balance(&entitlement, &usage, now);
            let (decision, charged) =
                charge(&entitlement, &usage, Cost::new(cost).unwrap(), channel, now);
            // All or nothing: an admitted call fits whole, a refused one leaves everything as it was.
            if let Some((after, _)) = charged {
                usage = after;
                let balance = balance(&entitlement, &usage, now);
                prop_assert!(balance.limit().is_none_or(|limit| balance.used <= limit));
                prop_assert_eq!(balance.used, before.used + u64::from(cost));
            } else {
                prop_assert!(matches!(decision, Decision::Refuse(_)));
                prop_assert!(before.remaining().is_some_and(|left| left < u64::from(cost)));
            }
            let balance = balance(&entitlement, &usage, now);
            prop_assert!(usage.lifetime.used <= 100);
            prop_assert!(balance.mcp <= balance.used);
        }
    }

    #[test]
    fn a_clock_that_steps_back_hands_out_nothing(
        plan in plan(), anchor in moment(), now in moment(), back in 1_i64..40_000_000_000,
    ) {
        let entitlement = on(plan, anchor);
        let mut usage = Usage::none(anchor);
        let limit = balance(&entitlement, &usage, now).limit();
        if let (Some(limit), true) = (limit, limit.is_some_and(|limit| limit <= 1_000)) {
            admitted(&entitlement, &mut usage, limit, now);
            prop_assert_eq!(admitted(&entitlement, &mut usage, 5, now.plus_millis(-back)), 0);
        }
    }

    #[test]
    fn a_refund_undoes_its_charge_and_nothing_else(
        entitlement in some_entitlement(),
        now in moment(),
        cost in 1_u32..100,
        channel in channel(),
    ) {
        let start = Usage::none(at("2023-01-01T00:00:00Z"));
        if let (_, Some((after, charge))) =
            charge(&entitlement, &start, Cost::new(cost).unwrap(), channel, now)
        {
            let undone = refund(&after, charge);
            prop_assert_eq!(undone.lifetime, start.lifetime);
            prop_assert_eq!(undone.period.map_or(0, |period| period.used + period.mcp), 0);
        }
    }

    #[test]
    fn the_suggested_plan_is_the_cheapest_larger_one_that_would_have_admitted_the_call(
        entitlement in some_entitlement(), now in moment(), used in 0_u64..20_000, cost in 1_u32..20_000,
    ) {
        let mut usage = Usage::none(at("2023-01-01T00:00:00Z"));
        usage.lifetime.used = used.min(100);
        let Decision::Refuse(refusal) =
            decide(&entitlement, &usage, Cost::new(cost).unwrap(), now) else { return Ok(()) };
        let admits = |plan| {
            let upgraded = Entitlement { plan, changes: Vec::new(), ..entitlement.clone() };
            matches!(decide(&upgraded, &usage, Cost::new(cost).unwrap(), now), Decision::Admit(_))
        };
        let cheapest = PlanId::ALL.into_iter().find(|plan| *plan > refusal.plan && admits(*plan));
        prop_assert_eq!(refusal.suggested_plan, cheapest);
    }

    #[test]
    fn the_recommended_plan_admits_the_calls_of_every_month(calls in 0_u64..30_000) {
        let plan = recommend(calls);
        let admits = match plan.allowance() {
            Allowance::Once { .. } => calls == 0,
            Allowance::Monthly { calls: limit } => calls <= u64::from(limit),
            Allowance::Unlimited => true,
        };
        prop_assert!(admits);
    }
}

proptest! {
    #[test]
    fn a_number_with_its_thousands_separated_is_the_number(number in any::<u64>(), digits in 0_u32..64) {
        let number = number >> digits;
        let text = legis_core::digits::group(number);
        prop_assert_eq!(text.replace(',', ""), number.to_string());
        let mut groups = text.split(',').rev().map(str::len);
        prop_assert!(groups.next_back().is_some_and(|first| (1..=3).contains(&first)));
        prop_assert!(groups.all(|length| length == 3));
    }
}

/// The npm package remembers messages by what the refusal says beside them.
#[test]
fn a_message_is_about_what_the_refusal_says() {
    let (start, end, now) = (
        at("2026-03-01T00:00:00Z"),
        at("2026-04-01T00:00:00Z"),
        at("2026-03-10T00:00:00Z"),
    );
    let mut told = std::collections::HashMap::new();
    let mut refused = 0;
    for plan in PlanId::ALL {
        for standing in Standing::ALL {
            for next in PlanId::ALL {
                for (from, until) in [
                    (start, end),
                    (at("2026-02-20T00:00:00Z"), end),
                    (start, at("2026-03-20T00:00:00Z")),
                ] {
                    for (used, cost) in [(100, 1), (1_000, 1), (10_000, 7), (10_001, 1_000_000)] {
                        let entitlement = Entitlement {
                            standing,
                            changes: vec![ScheduledChange {
                                plan: next,
                                at: until,
                            }],
                            version: used,
                            ..on(plan, from)
                        };
                        let mut usage = Usage::none(from);
                        usage.lifetime.used = used;
                        usage.period = Some(PeriodUsage {
                            start: from,
                            end: until,
                            used,
                            mcp: used / 2,
                        });
                        let Decision::Refuse(refusal) =
                            decide(&entitlement, &usage, Cost::new(cost).unwrap(), now)
                        else {
                            continue;
                        };
                        refused += 1;
                        let about = (
                            refusal.reason.as_str(),
                            refusal.plan,
                            refusal.used,
                            refusal.cost,
                            refusal.resets_at,
                            refusal.suggested_plan,
                        );
                        let message = told.entry(about).or_insert_with(|| refusal.message.clone());
                        assert_eq!(*message, refusal.message, "{about:?}");
                    }
                }
            }
        }
    }
    // Most were told before, by another account.
    assert!(
        refused > 3 * told.len(),
        "{refused} refusals, {} messages",
        told.len()
    );
}
