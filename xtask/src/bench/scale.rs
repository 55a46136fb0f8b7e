//! `cargo xtask bench scale`: what a deployment costs and which limit it meets first, computed from published prices and
//! from simulated days of its meters. The same figures each time; they are written into `docs/scale.md`, and a test
//! fails when they are not those.

mod prices;
mod traffic;

use super::Tables;
use crate::generate::{self, Generated};
use anyhow::Result;
use legis_core::outbox::FLUSH_AFTER_MILLIS;
use prices::{
    DATABASE_BYTES, DATABASE_STORAGE, MONTH, OBJECT_CALLS_PER_SECOND, OBJECT_DURATION,
    OBJECT_REQUESTS, PLAN, ROWS_WRITTEN, WORKER_CPU, WORKER_REQUESTS,
};
use std::fmt::Write;
use traffic::{Counted, Habits, days};

/// How many users are simulated; the others are like them.
const SAMPLE: u32 = 100;
/// `legis_core::history::Retention::default()`.
const RETENTION_DAYS: f64 = 400.0;
/// Bytes of a row of `api_usage` with its indexes, where callers are browsers: 200,000 rows in SQLite with the schema.
const ROW_BYTES: f64 = 309.0;
/// Rows that D1 counts for a call: the row, its id and its place in `api_usage_by_user`.
const ROWS_PER_CALL: f64 = 3.0;
/// And for a report: the user's counters, and what operators watch.
const ROWS_PER_REPORT: f64 = 2.0;
/// And when a row has been kept as long as it is.
const ROWS_PER_DELETION: f64 = 1.0;

// What is assumed.

/// Milliseconds of CPU for a call, in the worker.
const CPU: f64 = 2.0;
/// Milliseconds that a message keeps an object at work, and a report.
const MESSAGE_MILLIS: f64 = 2.0;
const REPORT_MILLIS: f64 = 40.0;
/// Reports that one database takes in a second: four statements, one after the other, in ten milliseconds.
const REPORTS_PER_SECOND: f64 = 100.0;
/// How much busier the busiest hour is than the mean.
const PEAK: f64 = 3.0;

struct Deployment {
    calls_a_day: f64,
    habits: Habits,
}

const fn deployment(calls_a_day: f64, calls_of_a_user: u32) -> Deployment {
    Deployment {
        calls_a_day,
        habits: Habits {
            calls_a_day: calls_of_a_user,
            calls_a_session: 20,
            gap: 3_000,
            duration: 300,
        },
    }
}

const DEPLOYMENTS: [Deployment; 3] = [
    deployment(10_000.0, 50),
    deployment(1_000_000.0, 200),
    deployment(100_000_000.0, 1_000),
];

/// Prints the tables, and writes them into the document where that is asked for.
pub fn run(tables: Tables) -> Result<()> {
    for (_, table) in self::tables()? {
        println!("{table}");
    }
    match tables {
        Tables::Written => document()?.write(),
        Tables::Printed => Ok(()),
    }
}

/// The document with the tables as they should be.
pub fn document() -> Result<Generated> {
    let tables = tables()?;
    let tables: Vec<_> = tables
        .iter()
        .map(|(name, rows)| (*name, rows.clone()))
        .collect();
    generate::document("docs/scale.md", "cargo xtask bench scale --write`", &tables)
}

fn tables() -> Result<[(&'static str, String); 4]> {
    let simulated = DEPLOYMENTS
        .iter()
        .map(|known| Ok((known, days(SAMPLE, known.habits, FLUSH_AFTER_MILLIS)?)))
        .collect::<Result<Vec<_>>>()?;
    Ok([
        ("simulated", asked(&simulated)),
        ("costs", costs(&simulated)),
        ("limits", limits(&simulated)),
        ("outbox", outbox()?),
    ])
}

/// What a call asks of the platform.
fn asked(simulated: &[(&Deployment, Counted)]) -> String {
    let mut table = String::from(
        "| Calls a day | Users | Calls of each | Requests to a meter for a call | Rows a meter writes for a call | Calls in a report | Rows D1 writes for a call |\n|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (deployment, counted) in simulated {
        let per_call = |amount: u64| amount as f64 / counted.calls as f64;
        let users = deployment.calls_a_day / f64::from(deployment.habits.calls_a_day);
        let _ = writeln!(
            table,
            "| {} | {} | {} | {:.2} | {:.2} | {:.1} | {:.2} |",
            large(deployment.calls_a_day),
            large(users),
            large(deployment.habits.calls_a_day.into()),
            per_call(counted.messages + counted.alarms),
            per_call(counted.meter_rows),
            counted.calls as f64 / counted.reports as f64,
            database_rows(counted),
        );
    }
    table
}

/// Rows that D1 writes for a call, once as many are deleted as are added.
fn database_rows(counted: &Counted) -> f64 {
    ROWS_PER_CALL
        + ROWS_PER_DELETION
        + ROWS_PER_REPORT * counted.reports as f64 / counted.calls as f64
}

/// Dollars a month.
fn costs(simulated: &[(&Deployment, Counted)]) -> String {
    let mut table = String::from(
        "| Calls a day | Plan | Worker: requests, CPU | Meters: requests, time | Meters: rows | D1: rows | D1: storage | In all | For a million calls |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (deployment, counted) in simulated {
        let calls = deployment.calls_a_day * MONTH;
        let of = |amount: f64| amount / counted.calls as f64 * calls;
        let (messages, alarms) = (counted.messages as f64, counted.alarms as f64);
        let busy = messages * MESSAGE_MILLIS + alarms * REPORT_MILLIS;
        let kept = deployment.calls_a_day * RETENTION_DAYS * ROW_BYTES;
        let parts = [
            PLAN,
            WORKER_REQUESTS.of(calls) + WORKER_CPU.of(calls * CPU),
            OBJECT_REQUESTS.of(of(messages + alarms))
                + OBJECT_DURATION.of(of(busy) / 1_000.0 / 8.0),
            ROWS_WRITTEN.of(of(counted.meter_rows as f64)),
            ROWS_WRITTEN.of(database_rows(counted) * calls),
            DATABASE_STORAGE.of(kept),
        ];
        let all: f64 = parts.iter().sum();
        let _ = write!(table, "| {} |", large(deployment.calls_a_day));
        for part in parts {
            let _ = write!(table, " {} |", large(part));
        }
        let _ = writeln!(table, " {} | {:.2} |", large(all), all / calls * 1e6);
    }
    table
}

/// How far it is to each limit.
fn limits(simulated: &[(&Deployment, Counted)]) -> String {
    let mut table = format!(
        "| Calls a day | Busiest meter, calls a second (limit {}) | Reports a second at the peak (about {REPORTS_PER_SECOND:.0} for a database) | A day's history | Days until a database is full | Databases for {RETENTION_DAYS:.0} days | Met first |\n|--:|--:|--:|--:|--:|--:|---|\n",
        large(OBJECT_CALLS_PER_SECOND as f64)
    );
    for (deployment, counted) in simulated {
        let a_day = deployment.calls_a_day * ROW_BYTES;
        let reports = reports_at_peak(deployment, counted);
        let full = DATABASE_BYTES / a_day;
        let databases = (a_day * RETENTION_DAYS / DATABASE_BYTES)
            .max(reports / REPORTS_PER_SECOND)
            .ceil();
        let first = match () {
            () if reports > REPORTS_PER_SECOND => "reports, at once",
            () if full < RETENTION_DAYS => "the size of the database",
            () => "none",
        };
        let _ = writeln!(
            table,
            "| {} | {} | {reports:.1} | {:.3} GB | {} | {databases} | {first} |",
            large(deployment.calls_a_day),
            counted.busiest,
            a_day / 1e9,
            large(full.floor()),
        );
    }
    table
}

fn reports_at_peak(deployment: &Deployment, counted: &Counted) -> f64 {
    let a_day = deployment.calls_a_day * counted.reports as f64 / counted.calls as f64;
    a_day / (24.0 * 60.0 * 60.0) * PEAK
}

/// What it changes to let rows wait longer.
fn outbox() -> Result<String> {
    let mut table = String::from(
        "| Rows wait | Calls a day | Calls in a report | Reports a second at the peak | Requests to a meter for a call | Rows written for a call, meter and D1 |\n|---|--:|--:|--:|--:|--:|\n",
    );
    for (name, millis) in [("10 s", 10_000), ("1 min", 60_000), ("10 min", 600_000)] {
        for deployment in &DEPLOYMENTS[1..] {
            let counted = days(SAMPLE, deployment.habits, millis)?;
            let calls = counted.calls as f64;
            let _ = writeln!(
                table,
                "| {name} | {} | {:.1} | {:.1} | {:.2} | {:.2} |",
                large(deployment.calls_a_day),
                calls / counted.reports as f64,
                reports_at_peak(deployment, &counted),
                (counted.messages + counted.alarms) as f64 / calls,
                counted.meter_rows as f64 / calls + database_rows(&counted),
            );
        }
    }
    Ok(table)
}

/// A figure, its thousands apart.
fn large(figure: f64) -> String {
    legis_core::digits::group(figure.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::{DEPLOYMENTS, RETENTION_DAYS, SAMPLE, document};
    use legis_core::history::Retention;
    use legis_core::outbox::FLUSH_AFTER_MILLIS;
    use legis_core::time::Timestamp;

    #[test]
    fn the_document_says_what_is_computed() {
        let document = document().unwrap();
        assert!(document.is_fresh(), "run: cargo xtask bench scale --write");
    }

    #[test]
    fn it_is_computed_with_what_the_product_does() {
        let now = Timestamp::from_millis(1_790_000_000_000).unwrap();
        let kept = now.since(Retention::default().since(now)) as f64 / 86_400_000.0;
        assert!((kept - RETENTION_DAYS).abs() < 2.0, "{kept} days");
    }

    /// Every call of every user is counted once and arrives once; the simulation fails otherwise.
    #[test]
    fn more_users_change_no_figure_by_much() {
        let habits = DEPLOYMENTS[1].habits;
        let few = super::days(SAMPLE, habits, FLUSH_AFTER_MILLIS).unwrap();
        let many = super::days(4 * SAMPLE, habits, FLUSH_AFTER_MILLIS).unwrap();
        let messages = |counted: &super::Counted| counted.messages as f64 / counted.calls as f64;
        assert!((messages(&few) / messages(&many) - 1.0).abs() < 0.02);
    }
}
