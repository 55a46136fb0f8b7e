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
use legis_core::audit::repair::{OpeningBalance, Repair, Tally};
use legis_core::audit::usage::{KnownSubscription, MeterSnapshot, UserSnapshot, audit};
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
    let off = prop_oneof![Just(0_i64), Just(0), -5 * DAY..5 * DAY, Just(400 * DAY)];
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
                        user: User {
                            id: 7,
                            sub: "auth0|7".into(),
                            email: None,
                            name: None,
                            created_at,
                            updated_at: created_at,
                        },
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
    let Repair::SetUsage {
        to, opening, from, ..
    } = repair
    else {
        panic!("another repair");
    };
    assert_eq!(*from, user.usage(), "it stands on what is counted");
    let mut after = user.clone();
    after.opening = *opening;
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
            let Repair::SetUsage { from, to, opening, .. } = repair else {
                panic!("another repair");
            };
            prop_assert!(to.lifetime.used >= from.lifetime.used && to.lifetime.mcp >= from.lifetime.mcp);
            let used = |usage: &Usage| usage.period.map_or((0, 0), |period| (period.used, period.mcp));
            prop_assert!(used(to).0 >= used(from).0 && used(to).1 >= used(from).1);
            // What the tables demand.
            prop_assert!(opening.period_end.is_some() || opening.period == Tally::default());
        }
        if let Some(finding) = findings.first() {
            let after = repaired(&user, finding.repair.as_ref().unwrap());
            let again = audit(&after, now());
            prop_assert_eq!(again, Vec::new());
        }
    }
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
