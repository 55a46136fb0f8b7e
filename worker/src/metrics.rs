//! `GET /api/admin/metrics`: what an operator watches, for Prometheus to scrape. What is said and how is core's.

use crate::answer::Answer;
use crate::configuration;
use crate::cron;
use crate::database::{Database, Statement, first, rows};
use crate::failure::{Failure, Outcome};
use crate::request::{Header, Request};
use crate::stripe::events::{FIGURES, OF_EVENTS};
use crate::variable;
use legis_core::audit::Code;
use legis_core::auth::secret::is_same;
use legis_core::auth::token::bearer;
use legis_core::contract;
use legis_core::metrics::{self, AuditFound, CallCount, MEDIA_TYPE, Snapshot};
use legis_core::problem::Problem;
use legis_core::quota::Channel;
use legis_core::row;
use legis_core::settings::{METRICS_TOKEN, metrics_token};
use legis_core::time::Timestamp;
use worker::Env;

/// Whether the deployment's own scraper asks: it has no user, but a secret, which opens nothing else.
pub(crate) fn is_scraper(request: &Request, env: &Env) -> Outcome<bool> {
    let Some(secret) = token(env)? else {
        return Ok(false);
    };
    let said = bearer(request.header(Header::Authorization));
    Ok(said.is_ok_and(|said| is_same(said, &secret)))
}

/// The secret, if there is one.
pub(crate) fn token(env: &Env) -> Outcome<Option<String>> {
    let secret = variable::text(env, METRICS_TOKEN).map(metrics_token);
    secret
        .transpose()
        .map_err(|reason| Failure::new(Problem::Misconfigured, reason))
}

row! {
    struct CountRow {
        outcome: metrics::Outcome,
        channel: Channel,
        count: u64,
        delay: u64,
    }
}

row! {
    struct Figures {
        failed: u32,
        pending: u32,
        alerting: u32,
        run: Option<String>,
        finished_at: Option<Timestamp>,
    }
}

row! {
    struct FindingRow {
        code: Code,
        count: u32,
    }
}

/// The last finished audit: ids are in the order of time.
const LATEST: &str =
    "SELECT id, finished_at FROM audit_runs WHERE finished_at IS NOT NULL ORDER BY id DESC LIMIT 1";

/// Everything in one question to the database but the cron's runs.
pub(crate) async fn answer(env: &Env) -> Outcome<Answer> {
    let database = Database::open(env)?;
    let figures = format!(
        "SELECT {FIGURES}, (SELECT id FROM ({LATEST})) AS run, \
         (SELECT finished_at FROM ({LATEST})) AS finished_at {OF_EVENTS}"
    );
    let findings = format!(
        "SELECT code, count(*) AS count FROM audit_findings WHERE run_id = (SELECT id FROM ({LATEST})) \
         AND repaired_at IS NULL GROUP BY code"
    );
    let results = database
        .batch(vec![
            Statement::new(
                "SELECT outcome, channel, count, delay FROM call_counts",
                &[],
            ),
            Statement::new(&figures, &[]),
            Statement::new(&findings, &[]),
        ])
        .await?;
    let calls: Vec<CountRow> = rows("rows of call_counts", results.first())?;
    let figures: Option<Figures> = first("figures of the database", results.get(1))?;
    let figures = figures.ok_or_else(|| Failure::corrupt("figures of the database", "no row"))?;
    let findings: Vec<FindingRow> = rows("rows of audit_findings", results.get(2))?;
    let audit = figures
        .run
        .and(figures.finished_at)
        .map(|finished_at| AuditFound {
            finished_at,
            findings: findings
                .into_iter()
                .map(|row| (row.code, u64::from(row.count)))
                .collect(),
        });
    let found = Snapshot {
        calls: calls
            .into_iter()
            .map(|row| CallCount {
                outcome: row.outcome,
                channel: row.channel,
                count: row.count,
                delay: row.delay,
            })
            .collect(),
        failed_events: u64::from(figures.failed),
        pending_events: u64::from(figures.pending),
        alerting_users: u64::from(figures.alerting),
        audit,
        tasks: cron::measured(env).await?,
        schema: configuration::schema_version().to_owned(),
        contract: contract::contract().fingerprint.to_owned(),
    };
    Ok(Answer::bytes(
        200,
        MEDIA_TYPE,
        metrics::text(&found).into_bytes(),
    ))
}
