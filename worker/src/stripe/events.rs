//! Events as an administrator sees them.

use crate::administration::{Action, look};
use crate::answer::Answer;
use crate::database::{Database, Statement, Value, first, rows};
use crate::failure::{Failure, Outcome};
use legis_core::auth::claims::Caller;
use legis_core::json;
use legis_core::problem::Problem;
use legis_core::row;
use legis_core::time::Timestamp;
use serde::Serialize;
use serde_json::json;
use worker::Env;

/// Which events are asked for.
enum Filter {
    /// All that somebody should look at.
    Attention,
    Failed,
    Pending,
    Alerting,
    All,
}

impl Filter {
    fn parse(word: Option<&str>) -> Outcome<Self> {
        match word {
            None => Ok(Self::Attention),
            Some("failed") => Ok(Self::Failed),
            Some("pending") => Ok(Self::Pending),
            Some("alerting") => Ok(Self::Alerting),
            Some("all") => Ok(Self::All),
            Some(_) => Err(Problem::InvalidParameter(
                "status must be failed, pending, alerting or all.",
            )
            .into()),
        }
    }

    const fn condition(&self) -> &'static str {
        match self {
            Self::Attention => "(processing_status <> 'processed' OR alerts IS NOT NULL)",
            Self::Failed => "processing_status = 'failed'",
            Self::Pending => "processing_status = 'pending'",
            Self::Alerting => "alerts IS NOT NULL",
            Self::All => "TRUE",
        }
    }
}

row! {
    struct EventRow {
        id: u32,
        stripe_event_id: String,
        event_type: String,
        processing_status: String,
        error_message: Option<String>,
        customer_id: Option<String>,
        attempts: u32,
        next_attempt_at: Option<Timestamp>,
        alerts: Option<String>,
        processed_at: Option<Timestamp>,
        created_at: Timestamp,
    }
}

/// An event and what became of it. The payload stays in the database: it has names and addresses.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownEvent {
    event: String,
    r#type: String,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<String>,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
    alerts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processed_at: Option<Timestamp>,
    received_at: Timestamp,
}

impl EventRow {
    fn shown(self) -> Outcome<ShownEvent> {
        let alerts = self
            .alerts
            .as_deref()
            .map(|alerts| json::read(alerts.as_bytes()));
        Ok(ShownEvent {
            event: self.stripe_event_id,
            r#type: self.event_type,
            status: self.processing_status,
            error: self.error_message,
            customer: self.customer_id,
            attempts: self.attempts,
            next_attempt_at: self.next_attempt_at,
            alerts: alerts
                .transpose()
                .map_err(|error| Failure::corrupt("row of stripe_webhook_logs", error))?
                .unwrap_or_default(),
            processed_at: self.processed_at,
            received_at: self.created_at,
        })
    }
}

/// `GET /api/admin/webhooks?status=&limit=&before=`: the latest first.
pub(crate) async fn list(query: &str, env: &Env, administrator: &Caller) -> Outcome<Answer> {
    let parameter = |name| crate::request::parameter(query, name);
    let filter = Filter::parse(parameter("status"))?;
    let number = |name, default: u32, max: u32, expected| match parameter(name) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .ok()
            .filter(|number| (1..=max).contains(number))
            .ok_or(Problem::InvalidParameter(expected)),
    };
    let limit = number("limit", 50, 200, "limit must be 1 to 200.")?;
    let before = number(
        "before",
        u32::MAX,
        u32::MAX,
        "before must be the next of an answer.",
    )?;
    let asked = parameter("status").unwrap_or("attention");
    look(env, administrator, Action::ViewWebhooks, asked).await?;
    let database = Database::open(env)?;
    let sql = format!(
        "SELECT id, stripe_event_id, event_type, processing_status, error_message, customer_id, attempts, next_attempt_at, \
         alerts, processed_at, created_at FROM stripe_webhook_logs WHERE id < ?1 AND {} ORDER BY id DESC LIMIT ?2",
        filter.condition()
    );
    let statement = Statement::new(&sql, &[Value::Id(before), Value::Id(limit)]);
    let results = database.batch(vec![statement]).await?;
    let found: Vec<EventRow> = rows("rows of stripe_webhook_logs", results.first())?;
    let full = u32::try_from(found.len()).unwrap_or(u32::MAX) == limit;
    let next = found.last().map(|row| row.id).filter(|_| full);
    let events = found
        .into_iter()
        .map(EventRow::shown)
        .collect::<Outcome<Vec<_>>>()?;
    let mut body = json!({ "events": events });
    if let (Some(next), Some(body)) = (next, body.as_object_mut()) {
        body.insert("next".to_owned(), next.into());
    }
    Ok(Answer::json(200, &body))
}

row! {
    /// How many events wait or failed.
    #[derive(Serialize)]
    pub(crate) struct Backlog {
        failed: u32,
        pending: u32,
    }
}

/// What waits for somebody, as columns of a query; [`OF_EVENTS`] follows.
pub(crate) const FIGURES: &str = "count(*) FILTER (WHERE processing_status = 'failed') AS failed, \
     count(*) FILTER (WHERE processing_status = 'pending') AS pending, \
     (SELECT count(*) FROM users WHERE billing_alerts IS NOT NULL) AS alerting";
/// Where they are found: by an index that has none of the events that were applied.
pub(crate) const OF_EVENTS: &str =
    "FROM stripe_webhook_logs WHERE processing_status <> 'processed'";

/// How many events are stored and not applied.
pub(crate) async fn backlog(env: &Env) -> Outcome<Backlog> {
    let database = Database::open(env)?;
    let statement = Statement::new(&format!("SELECT {FIGURES} {OF_EVENTS}"), &[]);
    let results = database.batch(vec![statement]).await?;
    first("row of stripe_webhook_logs", results.first())?
        .ok_or_else(|| Failure::corrupt("stripe_webhook_logs", "no count"))
}
