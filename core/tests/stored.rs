//! What an audit stores is read as it was written, and only whole.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test stops where something is wrong"
)]

use legis_core::audit::position::Position;
use legis_core::audit::repair::{OpeningBalance, Repair, UsageCorrection, UsageTable};
use legis_core::json;
use legis_core::quota::{LifetimeUsage, Usage};
use legis_core::time::Timestamp;
use serde_json::Value;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A repair of every kind; the compiler asks for the next one.
fn repairs() -> Vec<Repair> {
    let text = || "x".to_owned();
    let usage = |used| Usage {
        lifetime: LifetimeUsage {
            start: at("2026-01-01T00:00:00Z"),
            used,
            mcp: 0,
        },
        period: None,
    };
    let kinds = vec![
        Repair::RestorePlan { id: 20 },
        Repair::SetUsage(Box::new(UsageCorrection {
            sub: text(),
            from: usage(1),
            to: usage(2),
            opening_from: OpeningBalance::default(),
            opening_to: OpeningBalance::default(),
        })),
        Repair::TellMeter {
            sub: text(),
            version: 7,
        },
        Repair::BeginGrace { sub: text() },
        Repair::Reconcile { sub: text() },
        Repair::FetchSubscription {
            sub: text(),
            subscription: text(),
        },
        Repair::ApplyEvent { event: text() },
        Repair::LinkCustomer {
            customer: text(),
            sub: text(),
        },
        Repair::QuarantineUsage {
            table: UsageTable::McpLogs,
            user_id: 7,
        },
        Repair::QuarantineSnapshot { id: text() },
        Repair::ClearUserAlerts { sub: text() },
        Repair::ClearEventAlerts { event: text() },
        Repair::QuoteLog { id: text() },
        Repair::RegisterUser { sub: text() },
    ];
    for kind in &kinds {
        match kind {
            Repair::RestorePlan { .. }
            | Repair::SetUsage(_)
            | Repair::TellMeter { .. }
            | Repair::BeginGrace { .. }
            | Repair::Reconcile { .. }
            | Repair::FetchSubscription { .. }
            | Repair::ApplyEvent { .. }
            | Repair::LinkCustomer { .. }
            | Repair::QuarantineUsage { .. }
            | Repair::QuarantineSnapshot { .. }
            | Repair::ClearUserAlerts { .. }
            | Repair::ClearEventAlerts { .. }
            | Repair::QuoteLog { .. }
            | Repair::RegisterUser { .. } => {}
        }
    }
    kinds
}

/// What is written is read, and only whole.
fn stays<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(
    value: &T,
) {
    let written = serde_json::to_value(value).unwrap();
    let read = |value: &Value| json::read::<T>(value.to_string().as_bytes());
    assert_eq!(&read(&written).unwrap(), value);
    let Value::Object(members) = &written else {
        panic!("{written} is no object");
    };
    for (name, member) in members {
        let mut without = members.clone();
        without.remove(name);
        if !member.is_null() {
            assert!(
                read(&Value::Object(without.clone())).is_err(),
                "{written} without {name}"
            );
        }
        without.insert(name.clone(), Value::Bool(true));
        assert!(
            read(&Value::Object(without)).is_err(),
            "{written} with another {name}"
        );
    }
}

#[test]
fn a_repair_is_read_as_it_was_written() {
    repairs().iter().for_each(stays);
}

#[test]
fn a_position_is_read_as_it_was_written() {
    let mut position = Position::FIRST;
    let mut seen = 0;
    while position != Position::Done {
        stays(&position);
        position = position.next();
        seen += 1;
    }
    stays(&position);
    assert!(seen > 8, "{seen}");
}
