//! What D1 is told of a meter: the rows of the history, and the reported counters.

use crate::database::{Database, Value};
use crate::failure::Outcome;
use legis_core::account::Account;
use legis_core::time::Timestamp;

/// Writes `rows`, a JSON array, and the counters in one transaction. Rows that are there already stay as they are, so
/// it may be repeated when its answer got lost.
pub(super) async fn write(
    database: &Database,
    rows: &str,
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
                &[Value::Text(rows)],
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
