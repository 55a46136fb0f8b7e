//! What administrators did and looked at: rows of `admin_actions`, each in the transaction of what it tells of.

use crate::clock;
use crate::database::{Database, Statement, Value};
use crate::failure::Outcome;
use legis_core::auth::claims::Caller;
use worker::Env;

/// What is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    BeginAudit,
    BeginListing,
    FinishListing,
    ViewFindings,
    ViewUser,
    ViewWebhooks,
}

impl Action {
    const fn name(self) -> &'static str {
        match self {
            Self::BeginAudit => "begin_audit",
            Self::BeginListing => "begin_listing",
            Self::FinishListing => "finish_listing",
            Self::ViewFindings => "view_findings",
            Self::ViewUser => "view_user",
            Self::ViewWebhooks => "view_webhooks",
        }
    }
}

/// The record of an action upon `subject`.
pub(crate) fn record(by: &str, action: Action, subject: &str) -> Statement {
    Statement::new(
        "INSERT INTO admin_actions (id, at, sub, action, subject) VALUES (?1, ?2, ?3, ?4, ?5)",
        &[
            Value::Text(&clock::id()),
            Value::Moment(clock::now()),
            Value::Text(by),
            Value::Text(action.name()),
            Value::Text(subject),
        ],
    )
}

/// Records a look before anything is shown.
pub(crate) async fn look(
    env: &Env,
    administrator: &Caller,
    action: Action,
    subject: &str,
) -> Outcome<()> {
    let record = record(&administrator.identity.sub, action, subject);
    let database = Database::open(env)?;
    database.batch(vec![record]).await.map(drop)
}
