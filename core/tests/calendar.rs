//! The billing calendar: half-open monthly periods, counted from the anchor (docs/rules.md, "Period").
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a test that fails should stop"
)]

use legis_core::time::{Timestamp, month_around, month_containing, month_start};
use proptest::prelude::*;
use serde::Deserialize;

/// 2000 to 2100, every millisecond possible.
fn moment() -> impl Strategy<Value = Timestamp> {
    (946_684_800_000_i64..4_102_444_800_000)
        .prop_map(|millis| Timestamp::from_millis(millis).unwrap())
}

#[test]
fn every_vector_of_the_independent_implementation_holds() {
    #[derive(Deserialize)]
    struct Vectors {
        cases: Vec<Case>,
    }
    #[derive(Deserialize)]
    struct Case {
        anchor: Timestamp,
        now: Timestamp,
        index: u32,
        start: Timestamp,
        end: Timestamp,
    }
    let vectors: Vectors =
        serde_json::from_str(include_str!("data/billing-calendar.json")).unwrap();
    assert_eq!(vectors.cases.len(), 240);
    for case in vectors.cases {
        let month = month_containing(case.anchor, case.now);
        assert_eq!(
            (month.index, month.start, month.end),
            (case.index, case.start, case.end),
            "anchor {} now {}",
            case.anchor,
            case.now
        );
    }
}

#[test]
fn the_day_of_the_anchor_is_kept_through_shorter_months() {
    let anchor: Timestamp = "2026-01-31T09:00:00Z".parse().unwrap();
    let starts: Vec<String> = (0..5).map(|k| anchor.plus_months(k).to_string()).collect();
    assert_eq!(
        starts,
        [
            "2026-01-31T09:00:00.000Z",
            "2026-02-28T09:00:00.000Z",
            "2026-03-31T09:00:00.000Z",
            "2026-04-30T09:00:00.000Z",
            "2026-05-31T09:00:00.000Z"
        ]
    );
}

#[test]
fn a_clock_before_the_anchor_is_in_the_first_period() {
    let anchor: Timestamp = "2026-05-10T00:00:00Z".parse().unwrap();
    let month = month_containing(anchor, "2026-01-01T00:00:00Z".parse().unwrap());
    assert_eq!((month.index, month.start), (0, anchor));
}

#[test]
fn only_moments_in_utc_are_read() {
    for text in [
        "",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+01:00",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.1234Z",
        "1969-12-31T23:59:59Z",
        "２026-01-01T00:00:00Z",
    ] {
        assert!(text.parse::<Timestamp>().is_err(), "{text}");
    }
    let short: Timestamp = "2028-02-29T00:00:00.5Z".parse().unwrap();
    assert_eq!(short.to_string(), "2028-02-29T00:00:00.500Z");
}

proptest! {
    #[test]
    fn a_period_contains_its_moment(anchor in moment(), now in moment()) {
        let month = month_containing(anchor, now);
        prop_assert!(month.start < month.end);
        if now >= anchor {
            prop_assert!(month.start <= now && now < month.end);
        }
    }

    #[test]
    fn periods_follow_each_other_without_gap(anchor in moment(), now in moment()) {
        let month = month_containing(anchor, now);
        let next = month_containing(anchor, month.end);
        prop_assert_eq!(next.start, month.end);
        prop_assert_eq!(next.index, month.index + 1);
    }

    /// Of a user whose anchor is another one since, too.
    #[test]
    fn a_period_that_runs_and_is_known_by_its_end_alone_has_begun(then in moment(), anchor in moment(), now in moment()) {
        let month = month_around(then, now);
        prop_assert_eq!(month_start(then, month.end), month.start);
        let start = month_start(anchor, month.end);
        prop_assert!(start <= now && start < month.end);
    }

    #[test]
    fn a_moment_reads_as_it_is_written(now in moment()) {
        prop_assert_eq!(now.to_string().parse::<Timestamp>(), Ok(now));
    }
}
