//! `GET /api/admin/users/{sub}`: everything that is known of somebody who asks for help, as the database has it and as their
//! meter has it. That somebody looked is recorded.

use crate::administration::{Action, record};
use crate::answer::Answer;
use crate::configuration;
use crate::database::{Database, Statement, Value, first, rows};
use crate::failure::{Failure, Outcome};
use crate::meter::client;
use crate::registration::SELECT;
use legis_core::account::Account;
use legis_core::audit::Code;
use legis_core::auth::claims::Caller;
use legis_core::json;
use legis_core::problem::Problem;
use legis_core::row;
use legis_core::rows::users::UserRow;
use legis_core::time::Timestamp;
use serde::Serialize;
use serde_json::{Value as Json, json};
use worker::Env;

/// How many of the latest actions and events are shown.
const SHOWN: u32 = 20;

row! {
    struct Known {}
}

row! {
    struct Beside {
        customer: Option<String>,
        status: String,
        alerts: Option<String>,
        is_admin: u8,
    }
}

row! {
    /// An event of Stripe's about the user.
    #[derive(Serialize)]
    struct EventRow {
        event: String,
        #[serde(rename = "type")]
        kind: String,
        status: String,
        #[serde(rename = "receivedAt")]
        received_at: Timestamp,
    }
}

row! {
    /// Something an administrator did about the user.
    #[derive(Serialize)]
    struct ActionRow {
        action: String,
        by: String,
        at: Timestamp,
    }
}

row! {
    /// What the last finished audit found about the user.
    #[derive(Serialize)]
    struct FindingRow {
        code: Code,
        repaired: u8,
    }
}

pub(crate) async fn user(sub: String, env: &Env, administrator: &Caller) -> Outcome<Answer> {
    let sub = sub.as_str();
    let database = Database::open(env)?;
    // No meter is made for somebody who is not there.
    let exists = "SELECT id FROM users WHERE auth0_user_id = ?1";
    let exists = Statement::new(exists, &[Value::Text(sub)]);
    let results = database.batch(vec![exists]).await?;
    first::<Known>("row of users", results.first())?.ok_or(Problem::NotFound)?;
    // It brings its rows to the database, so that both are of now.
    let meter = client::inspect(env, sub).await?;
    let results = database.batch(questions(sub, administrator)).await?;
    let found: Option<UserRow> = first("row of users", results.get(1))?;
    let found = found.ok_or(Problem::NotFound)?;
    let stored = found.decode(configuration::grace(env)?)?;
    let beside: Option<Beside> = first("row of users", results.get(2))?;
    let beside = beside.ok_or_else(|| Failure::corrupt("row of users", "gone"))?;
    let alerts: Option<Vec<String>> = beside
        .alerts
        .map(|alerts| json::read(alerts.as_bytes()))
        .transpose()
        .map_err(|error| Failure::corrupt("billing_alerts", error))?;
    let events: Vec<EventRow> = rows("rows of stripe_webhook_logs", results.get(3))?;
    let actions: Vec<ActionRow> = rows("rows of admin_actions", results.get(4))?;
    let findings: Vec<FindingRow> = rows("rows of audit_findings", results.get(5))?;
    let findings: Vec<_> = findings
        .iter()
        .map(|found| json!({ "code": found.code, "repaired": found.repaired == 1 }))
        .collect();
    let mut body = json!({
        "database": stored.account(),
        "administrator": beside.is_admin == 1,
        "billing": {
            "status": beside.status,
            "alerts": alerts.unwrap_or_default(),
            "events": events,
        },
        "findings": findings,
        "actions": actions,
    });
    let billing = body.get_mut("billing").and_then(Json::as_object_mut);
    if let (Some(customer), Some(billing)) = (beside.customer, billing) {
        billing.insert("customer".to_owned(), customer.into());
    }
    if let (Some(meter), Some(body)) = (meter, body.as_object_mut()) {
        let account = Account {
            user: stored.user,
            entitlement: meter.entitlement,
            usage: meter.usage,
        };
        let meter = json!({ "account": account, "askedAt": meter.asked_at });
        body.insert("meter".to_owned(), meter);
    }
    Ok(Answer::json(200, &body))
}

fn questions(sub: &str, administrator: &Caller) -> Vec<Statement> {
    let of = |sql: &str| Statement::new(sql, &[Value::Text(sub)]);
    vec![
        record(&administrator.identity.sub, Action::ViewUser, sub),
        of(&format!("{SELECT} WHERE users.auth0_user_id = ?1")),
        of(
            "SELECT stripe_customer_id AS customer, subscription_status AS status, billing_alerts AS alerts, is_admin \
            FROM users WHERE auth0_user_id = ?1",
        ),
        of(&format!(
            "SELECT stripe_event_id AS event, event_type AS kind, processing_status AS status, created_at AS received_at \
             FROM stripe_webhook_logs WHERE customer_id IN (SELECT id FROM stripe_customers WHERE sub = ?1) \
             ORDER BY stripe_webhook_logs.id DESC LIMIT {SHOWN}"
        )),
        of(&format!(
            "SELECT action, sub AS by, at FROM admin_actions WHERE subject = ?1 ORDER BY at DESC, id DESC LIMIT {SHOWN}"
        )),
        of(
            "SELECT code, repaired_at IS NOT NULL AS repaired FROM audit_findings WHERE subject = ?1 AND run_id = \
            (SELECT id FROM audit_runs WHERE finished_at IS NOT NULL ORDER BY id DESC LIMIT 1) ORDER BY code",
        ),
    ]
}
