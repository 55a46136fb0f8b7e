//! For any counters, rows, opening balance and period: what the audit finds wrong about usage its repair mends, nobody is given
//! calls by it, and a second audit finds nothing.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test stops where something is wrong"
)]

use legis_core::account::User;
use legis_core::audit::billing::{CustomerSnapshot, KnownSubscription, listed};
use legis_core::audit::repair::{OpeningBalance, Repair, Tally, UsageCorrection};
use legis_core::audit::usage::{MeterSnapshot, UserSnapshot, audit, rows_since};
use legis_core::audit::{Code, Severity};
use legis_core::counters::Counters;
use legis_core::entitlement::Entitlement;
use legis_core::plan::PlanId;
use legis_core::quota::{LifetimeUsage, PeriodUsage, Usage};
use legis_core::subscription::Standing;
use legis_core::time::{Timestamp, month_containing};
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn tally() -> impl Strategy<Value = Tally> {
    (0_u64..40)
        .prop_flat_map(|used| (Just(used), 0..=used).prop_map(|(used, mcp)| Tally { used, mcp }))
}

const DAY: i64 = 86_400_000;

fn user(created_at: Timestamp) -> User {
    User {
        id: 7,
        sub: "auth0|7".into(),
        email: None,
        name: None,
        created_at,
        updated_at: created_at,
    }
}

/// The entitlement of a user, an hour or up to four months after the anchor.
fn entitlement() -> impl Strategy<Value = Entitlement> {
    let paid = prop_oneof![
        Just(PlanId::Free),
        Just(PlanId::Developer),
        Just(PlanId::Enterprise)
    ];
    (paid, 0_i64..120).prop_map(|(plan, days)| Entitlement {
        plan,
        standing: match plan {
            PlanId::Free => Standing::Free,
            _ => Standing::Active,
        },
        anchor: at("2026-05-31T10:00:00Z").plus_millis(-days * DAY),
        interval: None,
        paid_until: None,
        changes: Vec::new(),
        version: 3,
    })
}

/// Of the right period, or of one that somebody changed.
fn period(entitlement: &Entitlement) -> impl Strategy<Value = Option<PeriodUsage>> + use<> {
    let month = month_containing(entitlement.anchor, now());
    let off = prop_oneof![
        Just(0_i64),
        Just(0),
        -5 * DAY..5 * DAY,
        Just(400 * DAY),
        Just(-400 * DAY)
    ];
    let shown = prop_oneof![Just(false), Just(true)];
    (tally(), off.clone(), off, shown).prop_map(move |(counted, start, end, shown)| {
        shown.then_some(PeriodUsage {
            start: month.start.plus_millis(start),
            end: month.end.plus_millis(end),
            used: counted.used,
            mcp: counted.mcp,
        })
    })
}

fn now() -> Timestamp {
    at("2026-06-10T12:00:00Z")
}

fn snapshot() -> impl Strategy<Value = UserSnapshot> {
    entitlement().prop_flat_map(|entitlement| {
        let month = month_containing(entitlement.anchor, now());
        let opening_end = prop_oneof![Just(None), Just(Some(month.end)), Just(Some(month.start))];
        (
            Just(entitlement.clone()),
            (tally(), period(&entitlement)),
            (tally(), tally(), opening_end),
            (tally(), tally(), tally(), tally()),
            (tally(), prop_oneof![Just(true), Just(false)]),
        )
            .prop_map(
                move |(entitlement, (lifetime, period), opening, rows, (columns, known))| {
                    let created_at = at("2026-01-01T00:00:00Z");
                    let usage = Usage {
                        lifetime: LifetimeUsage {
                            start: created_at,
                            used: lifetime.used,
                            mcp: lifetime.mcp,
                        },
                        period,
                    };
                    let reported = Counters {
                        used: columns.used,
                        ..Counters::new(&entitlement, &usage, now())
                    };
                    let mut rows_of = vec![(month.start, rows.1)];
                    // Rows of a period that somebody changed name it.
                    rows_of.extend(period.map(|period| (period.start, rows.3)));
                    UserSnapshot {
                        user: user(created_at),
                        plan: entitlement.plan,
                        past_due_since: None,
                        counters: reported,
                        opening: OpeningBalance {
                            lifetime: opening.0,
                            period_end: opening.2,
                            period: opening.2.map_or(Tally::default(), |_| opening.1),
                        },
                        lifetime_rows: rows.0,
                        period_rows: rows_of,
                        meter: known.then(|| MeterSnapshot {
                            entitlement: entitlement.clone(),
                            usage,
                            asked_at: now(),
                            lifetime_open: Tally::default(),
                            period_open: rows.2,
                        }),
                        entitlement,
                        subscription: KnownSubscription::Known,
                        missing_customer: None,
                        kept_since: at("2025-06-01T00:00:00Z"),
                    }
                },
            )
    })
}

/// What is there once the repair is made.
fn repaired(user: &UserSnapshot, repair: &Repair) -> UserSnapshot {
    let Repair::SetUsage(correction) = repair else {
        panic!("another repair");
    };
    let UsageCorrection {
        to,
        opening_from,
        opening_to,
        from,
        ..
    } = &**correction;
    assert_eq!(*from, user.usage(), "it stands on what is counted");
    assert_eq!(*opening_from, user.opening, "and on what is carried");
    let mut after = user.clone();
    after.opening = *opening_to;
    after.counters = Counters::new(&user.entitlement, to, now());
    if let Some(meter) = &mut after.meter {
        meter.usage = to.clone();
        // Calls that are open were charged to the period that was counted in.
        if from.period.map(|period| period.start) != to.period.map(|period| period.start) {
            meter.period_open = Tally::default();
        }
    }
    after
}

proptest! {
    #[test]
    fn every_repair_of_usage_converges_and_gives_nobody_calls(user in snapshot()) {
        let findings = audit(&user, now());
        for finding in &findings {
            let repair = finding.repair.as_ref().unwrap();
            prop_assert_eq!(repair, findings[0].repair.as_ref().unwrap(), "one repair for all of them");
            let Repair::SetUsage(correction) = repair else {
                panic!("another repair");
            };
            let UsageCorrection { from, to, opening_to, .. } = &**correction;
            prop_assert!(to.lifetime.used >= from.lifetime.used && to.lifetime.mcp >= from.lifetime.mcp);
            let running = |usage: &Usage| usage.period.filter(|period| period.end > now());
            let used = |usage: &Usage| running(usage).map_or((0, 0), |period| (period.used, period.mcp));
            prop_assert!(used(to).0 >= used(from).0 && used(to).1 >= used(from).1);
            // What the tables demand.
            prop_assert!(opening_to.period_end.is_some() || opening_to.period == Tally::default());
        }
        if let Some(finding) = findings.first() {
            let after = repaired(&user, finding.repair.as_ref().unwrap());
            let again = audit(&after, now());
            prop_assert_eq!(again, Vec::new());
        }
    }
}

/// Somebody who pays for a plan by the month, and whose meter counts in a period.
fn subscriber(anchor: &str, now: &str, period: Option<(&str, &str)>) -> UserSnapshot {
    let created_at = at("2026-01-01T00:00:00Z");
    let entitlement = Entitlement {
        plan: PlanId::Developer,
        standing: Standing::Active,
        anchor: at(anchor),
        interval: None,
        paid_until: None,
        changes: Vec::new(),
        version: 3,
    };
    let mut usage = Usage::none(created_at);
    usage.period = period.map(|(start, end)| PeriodUsage {
        start: at(start),
        end: at(end),
        used: 5,
        mcp: 1,
    });
    UserSnapshot {
        user: user(created_at),
        plan: entitlement.plan,
        past_due_since: None,
        counters: Counters::new(&entitlement, &usage, at(now)),
        opening: OpeningBalance::default(),
        lifetime_rows: Tally::default(),
        period_rows: period
            .map(|(start, _)| (at(start), Tally { used: 5, mcp: 1 }))
            .into_iter()
            .collect(),
        meter: Some(MeterSnapshot {
            entitlement: entitlement.clone(),
            usage,
            asked_at: at(now),
            lifetime_open: Tally::default(),
            period_open: Tally::default(),
        }),
        entitlement,
        subscription: KnownSubscription::Known,
        missing_customer: None,
        kept_since: at("2025-06-01T00:00:00Z"),
    }
}

fn codes(user: &UserSnapshot, now: &str) -> Vec<Code> {
    audit(user, at(now))
        .iter()
        .map(|found| found.code)
        .collect()
}

#[test]
fn a_period_that_some_anchor_makes_is_right() {
    // A trial that ends on a 29th to 31st has months of 28 to 31 days before it.
    for (anchor, now, start, end) in [
        (
            "2026-03-31T00:00:00Z",
            "2026-03-05T00:00:00Z",
            "2026-02-28T00:00:00Z",
            "2026-03-31T00:00:00Z",
        ),
        (
            "2026-03-30T00:00:00Z",
            "2026-03-05T00:00:00Z",
            "2026-02-28T00:00:00Z",
            "2026-03-30T00:00:00Z",
        ),
        (
            "2026-03-29T00:00:00Z",
            "2026-03-05T00:00:00Z",
            "2026-02-28T00:00:00Z",
            "2026-03-29T00:00:00Z",
        ),
        // One that began under another anchor rules until it ends.
        (
            "2026-03-10T00:00:00Z",
            "2026-03-12T00:00:00Z",
            "2026-02-20T00:00:00Z",
            "2026-03-20T00:00:00Z",
        ),
        // What is left of it before the anchor that is there now.
        (
            "2026-03-10T00:00:00Z",
            "2026-03-08T00:00:00Z",
            "2026-03-01T00:00:00Z",
            "2026-03-10T00:00:00Z",
        ),
    ] {
        assert_eq!(
            codes(&subscriber(anchor, now, Some((start, end))), now),
            [],
            "{anchor}"
        );
    }
}

#[test]
fn a_period_that_no_anchor_makes_is_found() {
    let (anchor, now) = ("2026-03-10T00:00:00Z", "2026-03-12T00:00:00Z");
    for (start, end) in [
        ("2026-03-10T00:00:00Z", "2099-01-01T00:00:00Z"),
        ("2026-03-14T00:00:00Z", "2026-03-13T00:00:00Z"),
        ("2026-03-14T00:00:00Z", "2026-04-10T00:00:00Z"),
    ] {
        let found = codes(&subscriber(anchor, now, Some((start, end))), now);
        assert!(found.contains(&Code::PeriodOffAnchor), "{start}: {found:?}");
    }
}

#[test]
fn a_paid_month_that_was_taken_over_is_counted_by_a_meter_that_ran_already() {
    let (anchor, now) = ("2026-03-10T00:00:00Z", "2026-03-12T00:00:00Z");
    let carried = OpeningBalance {
        period_end: Some(at("2026-04-10T00:00:00Z")),
        period: Tally { used: 500, mcp: 0 },
        ..OpeningBalance::default()
    };
    let of = |period| UserSnapshot {
        opening: carried,
        ..subscriber(anchor, now, period)
    };
    for (user, used) in [
        // It has counted in no month yet,
        (of(None), 500),
        // in one that is over,
        (
            of(Some(("2026-02-10T00:00:00Z", "2026-03-10T00:00:00Z"))),
            500,
        ),
        // in the same one, or in one that began under another anchor.
        (
            of(Some(("2026-03-10T00:00:00Z", "2026-04-10T00:00:00Z"))),
            505,
        ),
        (
            of(Some(("2026-02-20T00:00:00Z", "2026-03-20T00:00:00Z"))),
            505,
        ),
    ] {
        let findings = audit(&user, at(now));
        assert!(
            findings
                .iter()
                .any(|found| found.code == Code::MeterBelowDatabase)
        );
        let repair = findings[0].repair.clone().unwrap();
        let Repair::SetUsage(correction) = &repair else {
            panic!("another repair");
        };
        assert_eq!(correction.to.period.unwrap().used, used);
    }
}

#[test]
fn rows_are_needed_of_the_running_period_and_of_no_plan_without_a_limit() {
    let (anchor, now) = ("2026-03-10T00:00:00Z", "2026-03-12T00:00:00Z");
    let needed = |user: &UserSnapshot| rows_since(&user.entitlement, &user.usage(), at(now));
    let user = subscriber(
        anchor,
        now,
        Some(("2026-02-20T00:00:00Z", "2026-03-20T00:00:00Z")),
    );
    assert_eq!(needed(&user), Some(at("2026-02-19T00:00:00Z")));
    assert_eq!(
        needed(&subscriber(anchor, now, None)),
        Some(at("2026-03-09T00:00:00Z"))
    );
    let mut unlimited = user;
    unlimited.entitlement.plan = PlanId::Enterprise;
    assert_eq!(needed(&unlimited), None);
}

#[test]
fn a_plan_needs_a_subscription_or_an_agreement() {
    let now = "2026-03-12T00:00:00Z";
    let of = |plan, known| {
        let mut user = subscriber("2026-03-10T00:00:00Z", now, None);
        user.subscription = known;
        for entitlement in [
            Some(&mut user.entitlement),
            user.meter.as_mut().map(|meter| &mut meter.entitlement),
        ] {
            entitlement.unwrap().plan = plan;
        }
        user.counters = Counters::new(&user.entitlement, &user.usage(), at(now));
        codes(&user, now)
    };
    for plan in [PlanId::Developer, PlanId::Enterprise] {
        assert_eq!(
            of(plan, KnownSubscription::Unknown),
            [Code::UserWithoutSubscription]
        );
        assert_eq!(of(plan, KnownSubscription::Known), []);
    }
}

#[test]
fn a_subscription_that_stripe_lists_belongs_to_somebody_and_is_known() {
    let owned = CustomerSnapshot {
        id: "cus_1".into(),
        sub: Some("auth0|7".into()),
        user_id: Some(7),
        subscriptions: Vec::new(),
    };
    let nobodys = CustomerSnapshot {
        user_id: None,
        ..owned.clone()
    };
    use KnownSubscription::{Known, Unknown};
    let code = |customer, status, known| {
        listed(customer, "sub_1", status, known).map(|found| (found.code, found.subject))
    };
    assert_eq!(code(&owned, "active", Known), None);
    assert_eq!(code(&owned, "canceled", Unknown), None);
    let differs = Some((Code::StandingDiffers, "auth0|7".to_owned()));
    assert_eq!(code(&owned, "active", Unknown), differs);
    let nobody = Some((Code::SubscriptionWithoutUser, "sub_1".to_owned()));
    assert_eq!(code(&nobodys, "active", Known), nobody);
    assert_eq!(code(&nobodys, "active", Unknown), nobody);
}

#[test]
fn every_code_has_a_name_of_its_own_and_is_found_by_it() {
    for code in Code::ALL {
        assert_eq!(Code::parse(code.as_str()), Some(code));
        assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        assert!(code.meaning().ends_with('.') && code.remedy().ends_with('.'));
    }
    assert!(Severity::Critical < Severity::Notice);
}
