//! One user for one `sub`, whichever path comes first and however many at once.

use crate::database::{Database, Statement, Value, first};
use crate::failure::{Failure, Outcome};
use crate::log;
use crate::stripe;
use legis_core::account::Identity;
use legis_core::payload::Registration;
use legis_core::plan::{PlanId, row_id};
use legis_core::problem::Problem;
use legis_core::row;
use legis_core::rows::users::{StoredUser, UserRow};
use legis_core::subscription::Grace;
use legis_core::time::Timestamp;
use worker::Env;

/// Users as their rows and their plans say; a condition follows.
pub(crate) const SELECT: &str = "SELECT users.id, users.auth0_user_id, users.email, users.name, users.stripe_customer_id, \
     plans.slug AS plan_slug, plans.billing_frequency, plans.amount AS plan_amount, users.subscription_status, \
     users.subscription_period_end, users.billing_interval, users.billing_anchor, users.past_due_since, scheduled.slug AS scheduled_plan_slug, \
     users.scheduled_at, users.entitlement_version, users.api_calls_count, users.mcp_calls_count, \
     users.api_calls_reset_at, users.lifetime_calls_count, users.lifetime_mcp_count, users.created_at, users.updated_at \
     FROM users JOIN plans ON plans.id = users.current_plan_id \
     LEFT JOIN plans AS scheduled ON scheduled.id = users.scheduled_plan_id";

/// Registers whoever is not registered yet and refreshes what a verified token says. One transaction, repeatable:
/// however many of them race, there is one row.
pub(crate) async fn ensure(
    env: &Env,
    database: &Database,
    identity: &Identity,
    said: Option<&Registration>,
    grace: Grace,
    now: Timestamp,
) -> Outcome<StoredUser> {
    let (email, name) = (identity.email.as_deref(), identity.name.as_deref());
    // What a caller says of themselves fills a gap; it never replaces what the issuer says.
    let said_email = said.and_then(|said| said.email.as_ref().map(|email| email.as_str()));
    let said_name = said.and_then(|said| said.name.as_ref().map(|name| name.as_str()));
    let values = [
        Value::Text(&identity.sub),
        Value::OptionalText(email),
        Value::OptionalText(name),
        Value::OptionalText(said_email),
        Value::OptionalText(said_name),
        Value::Moment(now),
    ];
    let results = database
        .batch(vec![
            Statement::new(
                "INSERT INTO users (auth0_user_id, current_plan_id, created_at, updated_at) VALUES (?1, ?2, ?3, ?3) \
                 ON CONFLICT (auth0_user_id) DO NOTHING",
                &[
                    Value::Text(&identity.sub),
                    Value::Id(row_id(PlanId::Free)),
                    Value::Moment(now),
                ],
            ),
            Statement::new(
                "UPDATE users SET email = coalesce(?2, email, ?4), name = coalesce(?3, name, ?5), updated_at = ?6 \
                 WHERE auth0_user_id = ?1 \
                 AND (email IS NOT coalesce(?2, email, ?4) OR name IS NOT coalesce(?3, name, ?5))",
                &values,
            ),
            Statement::new(
                &format!("{SELECT} WHERE users.auth0_user_id = ?1"),
                &[Value::Text(&identity.sub)],
            ),
            Statement::new(
                "SELECT stripe_webhook_logs.id FROM stripe_customers JOIN stripe_webhook_logs \
                 ON customer_id = stripe_customers.id AND processing_status = 'pending' WHERE sub = ?1 LIMIT 1",
                &[Value::Text(&identity.sub)],
            ),
        ])
        .await?;
    // Whoever paid before they registered has what they paid for.
    let waits: Option<Waiting> = first("rows of stripe_webhook_logs", results.get(3))?;
    if waits.is_some() {
        match stripe::reconcile(env, &identity.sub, stripe::Asking::Nobody).await {
            Ok(Some(user)) => return Ok(user),
            Ok(None) => {}
            // The cron tries again; meanwhile the user is as the row says.
            Err(failure) => log::event("waiting_events_not_applied", &failure),
        }
    }
    let row: Option<UserRow> = first("row of users", results.get(2))?;
    let missing = || Failure::new(Problem::Internal, "registered, yet not there");
    Ok(row.ok_or_else(missing)?.decode(grace)?)
}

row! {
    /// An event that waits for whoever registers.
    struct Waiting {}
}
