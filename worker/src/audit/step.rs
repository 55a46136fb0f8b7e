//! One step of an audit: a page of what its position names, read and handed to core.

use super::Step;
use super::identities;
use super::run::{self, Kind, Run};
use super::users;
use crate::configuration;
use crate::database::{Database, Statement, Value, rows};
use crate::failure::{Failure, Outcome};
use crate::log;
use crate::stripe::settings::ApiSettings;
use legis_core::audit::billing::{
    self, CustomerSnapshot, EventSnapshot, EventState, KnownSubscription,
};
use legis_core::audit::position::Position;
use legis_core::audit::repair::UsageTable;
use legis_core::audit::storage::{self, Unreadable};
use legis_core::audit::{Finding, identity};
use legis_core::history::first_id;
use legis_core::json;
use legis_core::problem::{Dependency, Problem};
use legis_core::row;
use legis_core::stripe::event::envelope;
use legis_core::time::Timestamp;
use worker::Env;

/// Customers and events at once.
const PAGE: u32 = 200;
/// Logs and users of calls at once: nothing but their ids is read.
const LONG_PAGE: u32 = 2_000;
/// How long a night's audit tries to have a list of somebody else's.
const PATIENCE_MILLIS: i64 = 60 * 60 * 1000;
/// How much further back a nightly audit looks than the last one began: rows come late.
const OVERLAP_MILLIS: i64 = 60 * 60 * 1000;

/// Takes the step at the run's position.
pub(super) async fn take(
    env: &Env,
    database: &Database,
    run: &Run,
    now: Timestamp,
) -> Outcome<Step> {
    let at = &run.position;
    match at {
        Position::Plans => plans(env, at, now).await,
        Position::Users { after } => users::page(env, database, at, *after, now).await,
        Position::Usage { after } => usage(database, at, *after).await,
        Position::Logs { after } => logs(database, run, after).await,
        Position::Customers { after } => customers(database, at, after).await,
        Position::Events { after } => events(database, at, *after, now).await,
        Position::Listing {
            listing,
            from,
            page,
        } => {
            let fetched =
                identities::fetch(env, database, at, listing.as_deref(), from, *page, now);
            or_not_examined(fetched.await, "identities", run, now)
        }
        Position::Identities { after } => unregistered(database, at, after).await,
        Position::Unlisted { after } => unlisted(database, at, *after).await,
        Position::Subscriptions { after } => {
            let listed = subscriptions(env, database, at, after).await;
            or_not_examined(listed, "subscriptions", run, now)
        }
        Position::Done => Ok(step(Vec::new(), 0, Position::Done)),
    }
}

/// Somebody else who refuses, or does not answer, does not keep an audit from what is left. At night they have an hour.
fn or_not_examined(step: Outcome<Step>, source: &str, run: &Run, now: Timestamp) -> Outcome<Step> {
    let Err(failure) = &step else {
        return step;
    };
    let is_others = matches!(
        failure.problem,
        Problem::Unavailable(Dependency::Issuer | Dependency::Stripe)
            | Problem::TimedOut(Dependency::Issuer | Dependency::Stripe)
            | Problem::Misconfigured
    );
    let has_time = run.kind == Kind::Cron && now.since(run.started_at) < PATIENCE_MILLIS;
    if !is_others || has_time {
        return step;
    }
    log::event("audit_source_not_examined", failure);
    let finding = Finding::source_not_examined(source, &failure.reason);
    Ok(self::step(vec![finding], 0, run.position.next()))
}

pub(super) fn step(findings: Vec<Finding>, checked: usize, next: Position) -> Step {
    Step {
        findings,
        checked: u64::try_from(checked).unwrap_or(u64::MAX),
        next,
    }
}

/// Where to go on after a page: with its last row, where it was full.
fn after_page<T>(
    page: &[T],
    limit: u32,
    at: &Position,
    from: impl FnOnce(&T) -> Position,
) -> Position {
    let full = u32::try_from(page.len()).unwrap_or(u32::MAX) >= limit;
    page.last().filter(|_| full).map_or_else(|| at.next(), from)
}

async fn plans(env: &Env, at: &Position, now: Timestamp) -> Outcome<Step> {
    let configuration = configuration::read(env, now).await?;
    let differing = configuration.differing_plans().iter().copied();
    let unreadable = configuration.unreadable.iter().map(storage::unreadable);
    let findings: Vec<Finding> = differing.map(storage::plan).chain(unreadable).collect();
    Ok(step(findings, 1, at.next()))
}

/// Calls whose user is not there. Of each user only one row is looked at.
async fn usage(database: &Database, at: &Position, after: u64) -> Outcome<Step> {
    row! {
        struct Orphans {
            user_id: u32,
            rows: Option<u32>,
        }
    }
    let mut findings = Vec::new();
    let mut last = Vec::new();
    for table in UsageTable::ALL {
        let table_name = table.as_str();
        let sql = format!(
            "WITH RECURSIVE known (user_id) AS (SELECT min(user_id) FROM {table_name} WHERE user_id > ?1 UNION ALL \
             SELECT (SELECT min(user_id) FROM {table_name} WHERE user_id > known.user_id) FROM known \
             WHERE known.user_id IS NOT NULL LIMIT {LONG_PAGE}) \
             SELECT user_id, CASE WHEN user_id NOT IN (SELECT id FROM users) THEN \
             (SELECT count(*) FROM {table_name} AS calls WHERE calls.user_id = known.user_id) END AS rows \
             FROM known WHERE user_id IS NOT NULL"
        );
        let statement = Statement::new(&sql, &[Value::Count(after)]);
        let results = database.batch(vec![statement]).await?;
        let found: Vec<Orphans> = rows("rows of calls", results.first())?;
        // One less than the limit: the last row of the recursion may be the end's.
        if found.len().saturating_add(1) >= LONG_PAGE as usize {
            last.extend(found.last().map(|row| row.user_id));
        }
        findings.extend(found.iter().filter_map(|row| {
            let rows = u64::from(row.rows?);
            Some(storage::orphans(table, u64::from(row.user_id), rows))
        }));
    }
    // The table that is further behind says where to go on; what is found twice is one finding.
    let next = last.iter().min().map_or_else(
        || at.next(),
        |after| Position::Usage {
            after: u64::from(*after),
        },
    );
    let checked = findings.len();
    Ok(step(findings, checked, next))
}

/// Tool calls whose JSON does not decode. Rows never change, so at night only new ones are looked at.
async fn logs(database: &Database, run: &Run, after: &str) -> Outcome<Step> {
    row! {
        struct Log {
            id: String,
            readable: u8,
        }
    }
    let since = match run.kind {
        Kind::Administrator => None,
        Kind::Cron => run::previous_cron(database, &run.id).await?,
    };
    let first = since.map(|since| first_id(since.plus_millis(OVERLAP_MILLIS.saturating_neg())));
    let after = first.as_deref().unwrap_or_default().max(after);
    let sql = format!(
        "SELECT id, (request_data IS NULL OR json_valid(request_data)) AND (response_data IS NULL OR json_valid(response_data)) \
         AS readable FROM mcp_logs WHERE id > ?1 ORDER BY id LIMIT {LONG_PAGE}"
    );
    let statement = Statement::new(&sql, &[Value::Text(after)]);
    let results = database.batch(vec![statement]).await?;
    let page: Vec<Log> = rows("rows of mcp_logs", results.first())?;
    let findings = page
        .iter()
        .filter(|log| log.readable == 0)
        .map(|log| storage::unreadable(&Unreadable::Log { id: log.id.clone() }))
        .collect();
    let next = after_page(&page, LONG_PAGE, &run.position, |last| Position::Logs {
        after: last.id.clone(),
    });
    Ok(step(findings, page.len(), next))
}

row! {
    /// A customer with the statuses of its subscriptions.
    struct CustomerRow {
        id: String,
        sub: Option<String>,
        user_id: Option<u32>,
        subscriptions: String,
    }
}

impl CustomerRow {
    /// What is wrong about it. A subscription whose status cannot be read is no reason to say nothing of the others.
    fn findings(&self) -> Outcome<Vec<Finding>> {
        let read: Vec<(String, Option<String>, String)> = json::read(self.subscriptions.as_bytes())
            .map_err(|error| Failure::corrupt("statuses of subscriptions", error))?;
        let mut subscriptions = Vec::new();
        let mut findings = Vec::new();
        for (subscription, status, id) in read {
            match status {
                Some(status) => subscriptions.push((subscription, status)),
                // Those of a user are told of with the user.
                None if self.user_id.is_none() => {
                    findings.push(storage::unreadable(&Unreadable::Snapshot { id }));
                }
                None => {}
            }
        }
        findings.extend(billing::customer(&self.with(subscriptions)));
        Ok(findings)
    }

    fn with(&self, subscriptions: Vec<(String, String)>) -> CustomerSnapshot {
        CustomerSnapshot {
            id: self.id.clone(),
            sub: self.sub.clone(),
            user_id: self.user_id.map(u64::from),
            subscriptions,
        }
    }
}

/// A subscription's last word is that of the newest snapshot, unless it is over: `max` finds that row, and the bare columns
/// are of it.
const CUSTOMERS: &str = "SELECT stripe_customers.id, sub, users.id AS user_id, \
     (SELECT json_group_array(json_array(subscription_id, status, snapshot)) FROM (SELECT subscription_id, \
     subscription_snapshots.id AS snapshot, iif(json_type(facts, '$.status') = 'text', facts ->> 'status', NULL) AS status, max(created_at + iif(facts ->> 'status' IN ('canceled', 'incomplete_expired'), 1e15, 0)) \
     FROM subscription_snapshots WHERE customer_id = stripe_customers.id AND json_valid(facts) GROUP BY subscription_id)) \
     AS subscriptions FROM stripe_customers LEFT JOIN users ON auth0_user_id = sub";

async fn customers(database: &Database, at: &Position, after: &str) -> Outcome<Step> {
    let sql = format!(
        "{CUSTOMERS} WHERE stripe_customers.id > ?1 AND deleted = 0 ORDER BY stripe_customers.id LIMIT {PAGE}"
    );
    let statement = Statement::new(&sql, &[Value::Text(after)]);
    let results = database.batch(vec![statement]).await?;
    let page: Vec<CustomerRow> = rows("rows of stripe_customers", results.first())?;
    let mut findings = Vec::new();
    for row in &page {
        findings.extend(row.findings()?);
    }
    let next = after_page(&page, PAGE, at, |last| Position::Customers {
        after: last.id.clone(),
    });
    Ok(step(findings, page.len(), next))
}

/// Events that are not applied or carry alerts, and those that are no JSON.
async fn events(database: &Database, at: &Position, after: u64, now: Timestamp) -> Outcome<Step> {
    let sql = format!(
        "SELECT stripe_webhook_logs.id, stripe_event_id, event_type, processing_status, attempts, \
         next_attempt_at IS NOT NULL AS retried, stripe_webhook_logs.created_at, alerts, \
         iif(processing_status = 'processed', NULL, raw_payload) AS payload, \
         EXISTS (SELECT 1 FROM stripe_customers JOIN users ON auth0_user_id = sub WHERE stripe_customers.id = customer_id) \
         AS registered FROM stripe_webhook_logs WHERE stripe_webhook_logs.id > ?1 \
         AND (processing_status <> 'processed' OR alerts IS NOT NULL) ORDER BY stripe_webhook_logs.id LIMIT {PAGE}"
    );
    let statement = Statement::new(&sql, &[Value::Count(after)]);
    let results = database.batch(vec![statement]).await?;
    let page: Vec<EventRow> = rows("rows of stripe_webhook_logs", results.first())?;
    let findings = page.iter().flat_map(|row| row.findings(now)).collect();
    let next = after_page(&page, PAGE, at, |last| Position::Events {
        after: u64::from(last.id),
    });
    Ok(step(findings, page.len(), next))
}

row! {
    struct EventRow {
        id: u32,
        stripe_event_id: String,
        event_type: String,
        processing_status: String,
        attempts: u32,
        retried: u8,
        created_at: f64,
        alerts: Option<String>,
        payload: Option<String>,
        registered: u8,
    }
}

impl EventRow {
    fn findings(&self, now: Timestamp) -> Vec<Finding> {
        let event = || self.stripe_event_id.clone();
        let unreadable_alerts = self
            .alerts
            .as_deref()
            .is_some_and(|alerts| json::read::<Vec<String>>(alerts.as_bytes()).is_err());
        let unreadable_payload = self
            .payload
            .as_deref()
            .is_some_and(|payload| envelope(payload.as_bytes()).is_none());
        let mut findings = Vec::new();
        if unreadable_alerts {
            findings.push(storage::unreadable(&Unreadable::EventAlerts {
                event: event(),
            }));
        }
        if unreadable_payload {
            findings.push(storage::unreadable(&Unreadable::Event { event: event() }));
            return findings;
        }
        let state = match (
            self.processing_status.as_str(),
            self.retried,
            self.registered,
        ) {
            ("failed", 1, _) => EventState::Failed,
            ("failed", _, _) => EventState::SetAside,
            ("pending", _, 1) => EventState::PendingForUser,
            ("pending", _, _) => EventState::PendingForNobody,
            _ => return findings,
        };
        let snapshot = EventSnapshot {
            id: event(),
            kind: self.event_type.clone(),
            state,
            // Of one that came at no moment the audit tells as well.
            received_at: Timestamp::from_js(self.created_at).unwrap_or(Timestamp::EPOCH),
            attempts: self.attempts,
        };
        findings.extend(billing::event(&snapshot, now));
        findings
    }
}

row! {
    struct Listed {
        sub: String,
        missing: u8,
    }
}

/// Whom the newest finished listing has, and who is not registered.
async fn unregistered(database: &Database, at: &Position, after: &str) -> Outcome<Step> {
    let sql = format!(
        "SELECT sub, NOT EXISTS (SELECT 1 FROM users WHERE auth0_user_id = sub) AS missing FROM auth0_identities \
         WHERE sub > ?1 AND listing = ({NEWEST}) ORDER BY sub LIMIT {LONG_PAGE}"
    );
    let statement = Statement::new(&sql, &[Value::Text(after)]);
    let results = database.batch(vec![statement]).await?;
    let page: Vec<Listed> = rows("rows of auth0_identities", results.first())?;
    let findings = page
        .iter()
        .filter(|row| row.missing == 1)
        .map(|row| identity::unregistered(&row.sub))
        .collect();
    let next = after_page(&page, LONG_PAGE, at, |last| Position::Identities {
        after: last.sub.clone(),
    });
    Ok(step(findings, page.len(), next))
}

/// The newest listing that is finished.
const NEWEST: &str =
    "SELECT id FROM auth0_listings WHERE finished_at IS NOT NULL ORDER BY id DESC LIMIT 1";

/// Users who were there before the newest listing began, and whom it does not have.
async fn unlisted(database: &Database, at: &Position, after: u64) -> Outcome<Step> {
    row! {
        struct Unlisted {
            id: u32,
            auth0_user_id: String,
            missing: u8,
        }
    }
    let sql = format!(
        "SELECT users.id, auth0_user_id, users.created_at < started_at AND NOT EXISTS (SELECT 1 FROM auth0_identities \
         WHERE sub = auth0_user_id AND listing = newest.id) AS missing \
         FROM users JOIN ({NEWEST}) AS newest JOIN auth0_listings ON auth0_listings.id = newest.id \
         WHERE users.id > ?1 ORDER BY users.id LIMIT {LONG_PAGE}"
    );
    let statement = Statement::new(&sql, &[Value::Count(after)]);
    let results = database.batch(vec![statement]).await?;
    let page: Vec<Unlisted> = rows("rows of users", results.first())?;
    let findings = page
        .iter()
        .filter(|row| row.missing == 1)
        .map(|row| identity::unlisted(u64::from(row.id), &row.auth0_user_id))
        .collect();
    let next = after_page(&page, LONG_PAGE, at, |last| Position::Unlisted {
        after: u64::from(last.id),
    });
    Ok(step(findings, page.len(), next))
}

row! {
    /// Whether events of a subscription that Stripe lists are stored.
    struct KnownRow {
        known: u8,
    }
}

/// Subscriptions that Stripe lists, where there is a key: whether each belongs to somebody, and is known.
async fn subscriptions(
    env: &Env,
    database: &Database,
    at: &Position,
    after: &str,
) -> Outcome<Step> {
    let Some(api) = ApiSettings::read(env) else {
        return Ok(step(Vec::new(), 0, at.next()));
    };
    let page = api.subscriptions(after).await?;
    let asked: Vec<(&str, &str)> = page
        .data
        .iter()
        .map(|row| (row.customer.as_str(), row.id.as_str()))
        .collect();
    let asked = serde_json::json!(asked).to_string();
    let sql = "SELECT value ->> 0 AS id, sub, users.id AS user_id, '[]' AS subscriptions, \
               EXISTS (SELECT 1 FROM subscription_snapshots WHERE customer_id = value ->> 0 AND subscription_id = value ->> 1) AS known \
               FROM json_each(?1) LEFT JOIN stripe_customers ON stripe_customers.id = value ->> 0 \
               LEFT JOIN users ON auth0_user_id = sub ORDER BY json_each.key";
    let statement = Statement::new(sql, &[Value::Text(&asked)]);
    let results = database.batch(vec![statement]).await?;
    let owners: Vec<CustomerRow> = rows("rows of stripe_customers", results.first())?;
    let known: Vec<KnownRow> = rows("rows of subscription_snapshots", results.first())?;
    let findings = page
        .data
        .iter()
        .zip(owners.iter().zip(known))
        .filter_map(|(listed, (owner, known))| {
            let known = match known.known {
                0 => KnownSubscription::Unknown,
                _ => KnownSubscription::Known,
            };
            billing::listed(&owner.with(Vec::new()), &listed.id, &listed.status, known)
        })
        .collect();
    let next = match page.data.last() {
        Some(last) if page.has_more => Position::Subscriptions {
            after: last.id.clone(),
        },
        _ => at.next(),
    };
    Ok(step(findings, page.data.len(), next))
}
