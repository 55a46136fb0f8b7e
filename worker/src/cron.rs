//! What is done by the clock: nothing that a decision needs, so a run that is missed or doubled costs nobody a call.
//! Each run and its outcome is a row of `cron_runs`, because the platform is not told when a cron fails.

use crate::audit;
use crate::clock;
use crate::configuration;
use crate::database::{Database, Statement, Value, rows};
use crate::failure::Outcome;
use crate::log;
use crate::registration::SELECT;
use crate::stripe;
use legis_core::counters::Counters;
use legis_core::doctor::deployment as doctor;
use legis_core::evaluate::json_text;
use legis_core::history::first_id;
use legis_core::metrics::{TaskOutcome, TaskRun};
use legis_core::quota::Usage;
use legis_core::row;
use legis_core::rows::users::UserRow;
use legis_core::time::Timestamp;
use serde::Serialize;
use serde_json::json;
use worker::Env;

/// What a cron does.
#[derive(Debug, Clone, Copy)]
enum Task {
    /// The reported columns of users who made no call since their period ended.
    ClosePeriods,
    /// Events of Stripe's that failed.
    ApplyEvents,
    /// Changes of plan whose moment has come, and events whose user has come.
    ReconcileBilling,
    /// Rows that are older than they are kept.
    PruneHistory,
    /// Whether all tables, meters and services say the same.
    Audit,
}

impl Task {
    const ALL: [Self; 5] = [
        Self::ApplyEvents,
        Self::ReconcileBilling,
        Self::ClosePeriods,
        Self::PruneHistory,
        Self::Audit,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::ClosePeriods => "close_periods",
            Self::ApplyEvents => "apply_events",
            Self::ReconcileBilling => "reconcile_billing",
            Self::PruneHistory => "prune_history",
            Self::Audit => "audit",
        }
    }

    async fn run(self, env: &Env, database: &Database) -> Outcome<u64> {
        match self {
            Self::ClosePeriods => close_periods(env, database, clock::now()).await,
            Self::ApplyEvents => stripe::overdue(env, database, clock::now()).await,
            Self::ReconcileBilling => stripe::reconcile_due(env, database, clock::now()).await,
            Self::PruneHistory => prune(env, database, clock::now()).await,
            Self::Audit => audit::cron(env, database, clock::now()).await,
        }
    }
}

/// The trigger that goes on with an audit; all others run every task.
const AUDIT_TRIGGER: &str = "*/2 3-8 * * *";

/// Runs what a trigger is for. A task that fails does not keep the others from running.
pub(crate) async fn run(env: &Env, trigger: &str, scheduled: f64) {
    let scheduled = Timestamp::from_js(scheduled).unwrap_or_else(clock::now);
    let tasks: &[Task] = match trigger {
        AUDIT_TRIGGER => match audit::is_unfinished(env).await {
            Ok(true) => &[Task::Audit],
            Ok(false) => &[],
            Err(failure) => {
                log::event(Task::Audit.name(), &failure);
                &[]
            }
        },
        _ => &Task::ALL,
    };
    for task in tasks.iter().copied() {
        if let Err(failure) = recorded(env, task, scheduled).await {
            log::event(task.name(), &failure);
        }
    }
}

async fn recorded(env: &Env, task: Task, scheduled: Timestamp) -> Outcome<()> {
    let database = Database::open(env)?;
    let id = clock::id();
    let begin = Statement::new(
        "INSERT INTO cron_runs (id, task, scheduled_at, started_at, outcome) VALUES (?1, ?2, ?3, ?4, 'running')",
        &[
            Value::Text(&id),
            Value::Text(task.name()),
            Value::Moment(scheduled),
            Value::Moment(clock::now()),
        ],
    );
    database.batch(vec![begin]).await?;
    let done = task.run(env, &database).await;
    if let Err(failure) = &done {
        log::event(task.name(), failure);
    }
    let (outcome, changed, error) = match &done {
        Ok(changed) => ("succeeded", *changed, None),
        Err(failure) => ("failed", 0, Some(failure.reason.as_str())),
    };
    let end = Statement::new(
        "UPDATE cron_runs SET finished_at = ?2, outcome = ?3, changed = ?4, error_message = ?5 WHERE id = ?1",
        &[
            Value::Text(&id),
            Value::Moment(clock::now()),
            Value::Text(outcome),
            Value::Count(changed),
            Value::OptionalText(error),
        ],
    );
    database.batch(vec![end]).await?;
    Ok(())
}

row! {
    /// The last run of a task.
    #[derive(Debug, Serialize)]
    pub(crate) struct LatestRun {
        task: String,
        outcome: String,
        #[serde(rename = "startedAt")]
        started_at: Timestamp,
        #[serde(rename = "finishedAt")]
        finished_at: Option<Timestamp>,
    }
}

/// The last run of each task; none before the first.
pub(crate) async fn latest(env: &Env) -> Outcome<Vec<LatestRun>> {
    let database = Database::open(env)?;
    let tasks = json!(Task::ALL.map(Task::name)).to_string();
    // Of years of runs the index has the last of each.
    let results = database
        .batch(vec![Statement::new(
            "SELECT task, outcome, started_at, finished_at FROM json_each(?1) JOIN cron_runs ON cron_runs.id = \
             (SELECT run.id FROM cron_runs AS run WHERE run.task = value ORDER BY run.started_at DESC LIMIT 1) ORDER BY task",
            &[Value::Text(&tasks)],
        )])
        .await?;
    rows("rows of cron_runs", results.first())
}

/// Every task with its last run, for whoever examines the deployment.
pub(crate) async fn examined(env: &Env) -> Outcome<Vec<doctor::Task>> {
    let runs = latest(env).await?;
    let last = |task: Task| {
        let run = runs.iter().find(|run| run.task == task.name())?;
        Some(doctor::Run {
            started_at: run.started_at,
            outcome: run.outcome.clone(),
        })
    };
    let examined = Task::ALL.map(|task| doctor::Task {
        name: task.name().to_owned(),
        last: last(task),
    });
    Ok(examined.into())
}

/// The last run of each task, to be watched.
pub(crate) async fn measured(env: &Env) -> Outcome<Vec<TaskRun>> {
    let runs = latest(env).await?.into_iter();
    Ok(runs
        .map(|run| TaskRun {
            started_at: run.started_at,
            outcome: match run.outcome.as_str() {
                "succeeded" => TaskOutcome::Succeeded,
                _ => TaskOutcome::Failed,
            },
            task: run.task,
        })
        .collect())
}

// Periods that are over.

/// How many users at once.
const USERS_AT_ONCE: u32 = 200;
/// How many times in one run, which may ask the database a thousand times; who is left is the next run's.
const ROUNDS: u32 = 150;

/// A user's columns as they were and as they shall be.
#[derive(Serialize)]
struct Closed {
    id: u64,
    was: Option<i64>,
    used: u64,
    mcp: u64,
    resets_at: Option<i64>,
}

/// Brings the columns of users to the period that runs now. The guard leaves alone whoever's meter has reported since.
async fn close_periods(env: &Env, database: &Database, now: Timestamp) -> Outcome<u64> {
    let grace = configuration::grace(env)?;
    let mut after = 0;
    let mut changed: u64 = 0;
    for _ in 0..ROUNDS {
        let sql = format!(
            "{SELECT} WHERE users.api_calls_reset_at <= ?1 AND users.id > ?2 ORDER BY users.id LIMIT {USERS_AT_ONCE}"
        );
        let values = [Value::Moment(now), Value::Count(after)];
        let results = database.batch(vec![Statement::new(&sql, &values)]).await?;
        let page: Vec<UserRow> = rows("rows of users", results.first())?;
        let Some(last) = page.last() else { break };
        after = last.id();
        let mut closed = Vec::new();
        for row in page {
            match row.decode(grace) {
                Ok(stored) => {
                    let usage = Usage {
                        period: None,
                        ..stored.account().usage
                    };
                    let counters = Counters::new(&stored.entitlement, &usage, now);
                    closed.push(Closed {
                        id: stored.user.id,
                        was: stored.counters.resets_at.map(Timestamp::millis),
                        used: counters.used,
                        mcp: counters.mcp,
                        resets_at: counters.resets_at.map(Timestamp::millis),
                    });
                }
                // One corrupt row does not hold up the others.
                Err(unfit) => log::event("close_periods_row", &unfit.into()),
            }
        }
        let update = Statement::new(
            "UPDATE users SET api_calls_count = closed.used, mcp_calls_count = closed.mcp, api_calls_reset_at = closed.resets_at \
             FROM (SELECT value ->> 'id' AS id, value ->> 'was' AS was, value ->> 'used' AS used, value ->> 'mcp' AS mcp, \
             value ->> 'resets_at' AS resets_at FROM json_each(?1)) AS closed \
             WHERE users.id = closed.id AND users.api_calls_reset_at = closed.was",
            &[Value::Text(&json_text(&closed))],
        );
        changed = changed.saturating_add(database.changes(vec![update]).await?);
    }
    Ok(changed)
}

// Rows that are older than they are kept.

/// Deletes the old end of the tables that grow, some thousand rows at a time, so that no statement runs long.
async fn prune(env: &Env, database: &Database, now: Timestamp) -> Outcome<u64> {
    let since = configuration::retention(env)?.since(now);
    let id = first_id(since);
    let mut changed: u64 = 0;
    for (table, moment) in [
        ("api_usage", "timestamp"),
        ("mcp_logs", "timestamp"),
        ("cron_runs", "started_at"),
    ] {
        let sql = format!(
            "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE id < ?1 AND {moment} < ?2 ORDER BY id LIMIT 5000)"
        );
        for _ in 0..ROUNDS {
            let values = [Value::Text(&id), Value::Moment(since)];
            let deleted = database
                .changes(vec![Statement::new(&sql, &values)])
                .await?;
            changed = changed.saturating_add(deleted);
            if deleted == 0 {
                break;
            }
        }
    }
    let sql = "DELETE FROM stripe_webhook_logs WHERE id IN (SELECT id FROM stripe_webhook_logs \
               WHERE processing_status = 'processed' AND created_at < ?1 ORDER BY created_at LIMIT 500)";
    for _ in 0..ROUNDS {
        let statement = Statement::new(sql, &[Value::Moment(since)]);
        let deleted = database.changes(vec![statement]).await?;
        changed = changed.saturating_add(deleted);
        if deleted == 0 {
            break;
        }
    }
    Ok(changed)
}
