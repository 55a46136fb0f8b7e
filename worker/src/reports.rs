//! The history in D1: what a meter reports, and what its user can read of it.

use crate::database::{Database, Value, rows};
use crate::failure::Outcome;
use legis_core::account::Account;
use legis_core::history::EndpointUsage;
use legis_core::time::Timestamp;

/// Writes `json_rows`, a JSON array, and the counters in one transaction. Rows that are there already stay as they are, so
/// it may be repeated when its answer got lost.
pub(crate) async fn write(
    database: &Database,
    json_rows: &str,
    account: &Account,
    now: Timestamp,
) -> Outcome<()> {
    let balance = account.balance(now);
    database
        .batch(vec![
            database.statement(
                "INSERT INTO api_usage (id, user_id, endpoint, method, status_code, response_time_ms, error_message, \
                 ip_address, user_agent, timestamp) \
                 SELECT value ->> 'id', value ->> 'user_id', value ->> 'endpoint', value ->> 'method', \
                 value ->> 'status_code', value ->> 'response_time_ms', value ->> 'error_message', \
                 value ->> 'ip_address', value ->> 'user_agent', value ->> 'timestamp' \
                 FROM json_each(?1) WHERE true ON CONFLICT (id) DO NOTHING",
                &[Value::Text(json_rows)],
            )?,
            database.statement(
                "UPDATE users SET api_calls_count = ?2, api_calls_reset_at = ?3 WHERE auth0_user_id = ?1",
                &[
                    Value::Text(&account.user.sub),
                    Value::Count(balance.used),
                    Value::OptionalMoment(balance.period.end),
                ],
            )?,
        ])
        .await?;
    Ok(())
}

/// What `sub` called since a moment, by endpoint and method, the most called first.
pub(crate) async fn usage(
    database: &Database,
    sub: &str,
    since: Timestamp,
) -> Outcome<Vec<EndpointUsage>> {
    let results = database
        .batch(vec![database.statement(
            "SELECT endpoint, method, count(*) AS total_calls, avg(response_time_ms) AS avg_response_time \
             FROM api_usage JOIN users ON users.id = user_id \
             WHERE auth0_user_id = ?1 AND timestamp >= ?2 GROUP BY endpoint, method ORDER BY total_calls DESC, endpoint, method",
            &[Value::Text(sub), Value::Moment(since)],
        )?])
        .await?;
    rows("rows of api_usage", results.first())
}
