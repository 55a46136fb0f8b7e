//! Audits: begun by the cron every night or by an administrator, done in steps, their findings kept and repaired on demand.
//! What is a finding and what would mend it core says.

mod identities;
mod quarantine;
mod repair;
mod run;
mod step;
mod users;

pub(crate) use identities::{check as check_identities, receive as receive_identities};
pub(crate) use repair::repair;

use crate::administration::{Action, look};
use crate::answer::Answer;
use crate::clock;
use crate::database::Database;
use crate::failure::Outcome;
use crate::log;
use crate::request::parameter;
use legis_core::audit::Code;
use legis_core::audit::position::Position;
use legis_core::auth::claims::Caller;
use legis_core::problem::Problem;
use legis_core::route::decode;
use legis_core::time::Timestamp;
use run::{Kind, Run};
use serde_json::json;
use worker::Env;

/// How long a request goes on with an audit; the rest is the next one's.
const REQUEST_MILLIS: i64 = 8_000;
/// How many steps at most: one asks for a hundred things at worst, and an invocation may ask for a thousand.
const STEPS: u32 = 6;
/// How long the cron does, for whom nobody waits.
const CRON_MILLIS: i64 = 60_000;
/// How long ago the cron's last audit began when it begins another one.
const NIGHTLY_MILLIS: i64 = 20 * 60 * 60 * 1000;
/// When it does: at night where most of the users are.
const NIGHT: std::ops::Range<i64> = 3..9;

/// `POST /api/admin/audit?run=`: begins an audit, or goes on with one, for some seconds.
pub(crate) async fn go_on(query: &str, env: &Env, administrator: &Caller) -> Outcome<Answer> {
    let database = Database::open(env)?;
    let sub = &administrator.identity.sub;
    let run = match parameter(query, "run") {
        Some(id) => run::load(&database, id).await?.ok_or(Problem::NotFound)?,
        None => run::begin(&database, Kind::Administrator, sub, clock::now()).await?,
    };
    let run = steps(env, &database, run, REQUEST_MILLIS).await?;
    let counts = run::counts(&database, &run.id).await?;
    Ok(Answer::json(
        200,
        &json!({ "run": run.shown(), "done": run.is_done(), "counts": counts }),
    ))
}

async fn steps(env: &Env, database: &Database, mut run: Run, millis: i64) -> Outcome<Run> {
    let start = clock::now();
    for _ in 0..STEPS {
        if run.is_done() || clock::now().since(start) > millis {
            break;
        }
        let done = step::take(env, database, &run, clock::now()).await?;
        run = run::advance(database, run, done, clock::now()).await?;
    }
    Ok(run)
}

/// Whether an audit of the cron's was begun and is not done.
pub(crate) async fn is_unfinished(env: &Env) -> Outcome<bool> {
    let latest = run::latest(&Database::open(env)?, Kind::Cron).await?;
    Ok(latest.is_some_and(|run| !run.is_done()))
}

/// What the cron does: goes on with its audit, and begins one every night.
pub(crate) async fn cron(env: &Env, database: &Database, now: Timestamp) -> Outcome<u64> {
    let latest = run::latest(database, Kind::Cron).await?;
    let hour = now.seconds().div_euclid(3600).rem_euclid(24);
    let run = match latest {
        Some(run) if !run.is_done() => run,
        Some(run) if now.since(run.started_at) < NIGHTLY_MILLIS || !NIGHT.contains(&hour) => {
            return Ok(0);
        }
        _ => run::begin(database, Kind::Cron, "cron", now).await?,
    };
    let before = run.checked;
    let run = steps(env, database, run, CRON_MILLIS).await?;
    if run.is_done() {
        let counts = run::counts(database, &run.id).await?;
        log::audited(&run.id, &counts);
        run::forget_old(database, now).await?;
    }
    Ok(run.checked.saturating_sub(before))
}

/// `GET /api/admin/audit?run=&code=&after=&limit=`: the last finished audit, or the one of that id, and what it found.
pub(crate) async fn show(query: &str, env: &Env, administrator: &Caller) -> Outcome<Answer> {
    let database = Database::open(env)?;
    let code = match parameter(query, "code") {
        None => None,
        Some(name) => {
            let expected = "code must be one of docs/audit.md.";
            Some(Code::parse(name).ok_or(Problem::InvalidParameter(expected))?)
        }
    };
    let limit = match parameter(query, "limit") {
        None => 100,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=500).contains(limit))
            .ok_or(Problem::InvalidParameter("limit must be 1 to 500."))?,
    };
    let found = match parameter(query, "run") {
        Some(id) => Some(run::load(&database, id).await?.ok_or(Problem::NotFound)?),
        None => run::latest_finished(&database).await?,
    };
    let Some(run) = found else {
        return Ok(Answer::json(200, &json!({ "counts": [], "findings": [] })));
    };
    look(env, administrator, Action::ViewFindings, &run.id).await?;
    let counts = run::counts(&database, &run.id).await?;
    let after = decode(parameter(query, "after").unwrap_or_default());
    let (findings, next) = run::findings(&database, &run.id, code, &after, limit).await?;
    let mut body = json!({
        "run": run.shown(),
        "done": run.is_done(),
        "counts": counts,
        "findings": findings,
    });
    if let (Some(next), Some(body)) = (next, body.as_object_mut()) {
        body.insert("next".to_owned(), next.into());
    }
    Ok(Answer::json(200, &body))
}

/// What a step came to.
pub(crate) struct Step {
    /// What was found.
    pub(crate) findings: Vec<legis_core::audit::Finding>,
    /// How much was looked at.
    pub(crate) checked: u64,
    /// Where to go on.
    pub(crate) next: Position,
}
