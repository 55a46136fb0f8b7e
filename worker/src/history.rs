//! The history in D1: what a meter reports, and what its user can read of it.

use crate::database::{Database, Statement, Value, changes, first, rows};
use crate::failure::{Failure, Outcome};
use legis_core::call::CallStatus;
use legis_core::counters::Counters;
use legis_core::ledger::Outcome as CallOutcome;
use legis_core::report::{Counted, EndpointUsage, ReportPeriod, ReportRequest};
use legis_core::report::{ToolCallLog, ToolCalls, ToolUsage};
use legis_core::row;
use legis_core::time::Timestamp;

/// Whether a row is part of its user's opening balance: one of a call that was admitted before the balance was opened, or by a
/// release that did not write what it was charged to.
macro_rules! opening {
    () => {
        "json_type(value, '$.period_start') IS NULL OR value ->> 'timestamp' < coalesce(opened_at, 0)"
    };
}

/// Rows of tools are the ones with a tool; the rest are the REST API's. Whose they are is the row of `users` that is there
/// now: an id could have been given anew.
const API_USAGE: &str = concat!(
    "INSERT INTO api_usage (id, user_id, endpoint, method, channel, status, cost, status_code, response_time_ms, \
     error_message, ip_address, user_agent, timestamp, period_start, opening) \
     SELECT value ->> 'id', users.id, value ->> 'endpoint', value ->> 'method', value ->> 'channel', \
     value ->> 'status', value ->> 'cost', value ->> 'status_code', value ->> 'response_time_ms', \
     value ->> 'error_message', value ->> 'ip_address', value ->> 'user_agent', value ->> 'timestamp', \
     value ->> 'period_start', ",
    opening!(),
    " FROM json_each(?1), users LEFT JOIN opening_balances ON user_id = users.id \
     WHERE auth0_user_id = ?2 AND value ->> 'tool_name' IS NULL ON CONFLICT (id) DO NOTHING"
);

const MCP_LOGS: &str = concat!(
    "INSERT INTO mcp_logs (id, user_id, tool_name, request_data, response_data, status, cost, over_limit, status_code, \
     error_message, response_time_ms, tokens_used, ip_address, user_agent, timestamp, period_start, opening) \
     SELECT value ->> 'id', users.id, value ->> 'tool_name', value -> 'request_data', value -> 'response_data', \
     value ->> 'status', value ->> 'cost', value ->> 'over_limit', value ->> 'status_code', value ->> 'error_message', \
     value ->> 'response_time_ms', value ->> 'tokens_used', value ->> 'ip_address', value ->> 'user_agent', \
     value ->> 'timestamp', value ->> 'period_start', ",
    opening!(),
    " FROM json_each(?1), users LEFT JOIN opening_balances ON user_id = users.id \
     WHERE auth0_user_id = ?2 AND value ->> 'tool_name' IS NOT NULL ON CONFLICT (id) DO NOTHING"
);

/// Each call once, like its row: what is there already was counted. `?4` are refusals, which have no rows.
const COUNTS: &str = "INSERT INTO call_counts (outcome, channel, count, delay) \
     SELECT outcome, channel, sum(count), sum(delay) FROM (\
     SELECT coalesce(value ->> 'counted', iif(value ->> 'cost' > 0, 'charged', 'refunded')) AS outcome, value ->> 'channel' AS channel, \
     1 AS count, max(0, ?3 - (value ->> 'timestamp') - coalesce(value ->> 'response_time_ms', 0)) AS delay FROM json_each(?1) \
     WHERE NOT EXISTS (SELECT 1 FROM api_usage WHERE id = value ->> 'id') \
     AND NOT EXISTS (SELECT 1 FROM mcp_logs WHERE id = value ->> 'id') \
     UNION ALL SELECT value ->> 0, value ->> 1, value ->> 2, 0 FROM json_each(?4)) \
     WHERE EXISTS (SELECT 1 FROM users WHERE auth0_user_id = ?2) GROUP BY outcome, channel \
     ON CONFLICT (outcome, channel) DO UPDATE SET count = count + excluded.count, delay = delay + excluded.delay";

const COUNTERS: &str = "UPDATE users SET api_calls_count = ?2, mcp_calls_count = ?3, api_calls_reset_at = ?4, \
     lifetime_calls_count = ?5, lifetime_mcp_count = ?6 WHERE auth0_user_id = ?1";

/// What a meter reports.
pub(crate) struct Report<'r> {
    /// Whose.
    pub(crate) sub: &'r str,
    /// Calls that ended, a JSON array of rows.
    pub(crate) rows: &'r str,
    /// Calls that were refused, a JSON array: outcome, channel, how many.
    pub(crate) refusals: &'r str,
    pub(crate) counters: Counters,
    pub(crate) now: Timestamp,
}

/// Writes a report in one transaction. Rows that are there already stay as they are, so it may be repeated when its answer
/// got lost; of refusals that repeats the count.
pub(crate) async fn write(database: &Database, report: &Report<'_>) -> Outcome<()> {
    let &Report {
        sub,
        rows: json_rows,
        refusals,
        counters,
        now,
    } = report;
    let results = database
        .batch(vec![
            Statement::new(
                COUNTS,
                &[
                    Value::Text(json_rows),
                    Value::Text(sub),
                    Value::Moment(now),
                    Value::Text(refusals),
                ],
            ),
            Statement::new(API_USAGE, &[Value::Text(json_rows), Value::Text(sub)]),
            Statement::new(MCP_LOGS, &[Value::Text(json_rows), Value::Text(sub)]),
            Statement::new(
                COUNTERS,
                &[
                    Value::Text(sub),
                    Value::Count(counters.used),
                    Value::Count(counters.mcp),
                    Value::OptionalMoment(counters.resets_at),
                    Value::Count(counters.lifetime_used),
                    Value::Count(counters.lifetime_mcp),
                ],
            ),
        ])
        .await?;
    // Rows go beside their user; without one they would go nowhere, and must not be forgotten.
    match changes(results.get(3)) {
        0 => Err(Failure::corrupt(
            "history",
            "its user is not in the database",
        )),
        _ => Ok(()),
    }
}

/// How a call of `sub` ended, if its row is there.
pub(crate) async fn outcome(
    database: &Database,
    sub: &str,
    call: &str,
) -> Outcome<Option<CallOutcome>> {
    let of = |table| {
        format!(
            "SELECT {table}.status, {table}.cost FROM {table} JOIN users ON users.id = user_id \
             WHERE {table}.id = ?2 AND auth0_user_id = ?1"
        )
    };
    let sql = format!("{} UNION ALL {}", of("api_usage"), of("mcp_logs"));
    let results = database
        .batch(vec![Statement::new(
            &sql,
            &[Value::Text(sub), Value::Text(call)],
        )])
        .await?;
    first("row of a call", results.first())
}

/// What `sub` called since a moment, by endpoint and method, the thousand that were called most.
pub(crate) async fn usage(
    database: &Database,
    sub: &str,
    period: ReportPeriod,
) -> Outcome<Vec<EndpointUsage>> {
    let results = database
        .batch(vec![Statement::new(
            "SELECT endpoint, method, count(*) AS total_calls, avg(response_time_ms) AS avg_response_time \
             FROM api_usage JOIN users ON users.id = user_id \
             WHERE auth0_user_id = ?1 AND timestamp >= ?2 GROUP BY endpoint, method ORDER BY total_calls DESC, endpoint, method LIMIT 1000",
            &[Value::Text(sub), Value::Moment(period.start)],
        )])
        .await?;
    rows("rows of api_usage", results.first())
}

/// The tool calls of `sub`: a page of them, and figures over all of the period.
pub(crate) async fn tool_calls(
    database: &Database,
    sub: &str,
    asked: ReportRequest,
    period: ReportPeriod,
) -> Outcome<ToolCalls> {
    const FROM: &str = "FROM mcp_logs JOIN users ON users.id = user_id WHERE auth0_user_id = ?1 AND timestamp >= ?2";
    let values = [Value::Text(sub), Value::Moment(period.start)];
    let results = database
        .batch(vec![
            Statement::new(
                &format!(
                    "SELECT count(*) AS total, coalesce(sum(status = 'success'), 0) AS successful, \
                     coalesce(sum(status IN ('error', 'timeout')), 0) AS failed, avg(response_time_ms) AS average_millis, \
                     coalesce(sum(tokens_used), 0) AS tokens, min(timestamp) AS first, max(timestamp) AS last {FROM}"
                ),
                &values,
            ),
            Statement::new(
                &format!(
                    "SELECT mcp_logs.id, tool_name, status, response_time_ms, error_message, timestamp, tokens_used, over_limit \
                     {FROM} ORDER BY timestamp DESC, mcp_logs.id DESC LIMIT ?3 OFFSET ?4"
                ),
                &[
                    Value::Text(sub),
                    Value::Moment(period.start),
                    Value::Id(asked.limit),
                    Value::Id(asked.offset),
                ],
            ),
            Statement::new(
                &format!(
                    "SELECT tool_name, count(*) AS usage_count, avg(response_time_ms) AS avg_response_time, \
                     sum(status IN ('error', 'timeout')) AS error_count {FROM} \
                     GROUP BY tool_name ORDER BY usage_count DESC, tool_name LIMIT 10"
                ),
                &values,
            ),
        ])
        .await?;
    let counted: Option<CountedRow> = first("figures of mcp_logs", results.first())?;
    let counted = counted.map_or_else(Counted::default, CountedRow::counted);
    let logs: Vec<LogRow> = rows("rows of mcp_logs", results.get(1))?;
    let top_tools: Vec<ToolUsage> = rows("figures of mcp_logs", results.get(2))?;
    Ok(ToolCalls {
        logs: logs.into_iter().map(LogRow::shown).collect(),
        pagination: asked.pagination(counted.total),
        stats: counted.into(),
        top_tools,
        period,
    })
}

row! {
    struct CountedRow {
        total: u64,
        successful: u64,
        failed: u64,
        average_millis: Option<f64>,
        tokens: u64,
        first: Option<Timestamp>,
        last: Option<Timestamp>,
    }
}

impl CountedRow {
    fn counted(self) -> Counted {
        Counted {
            total: self.total,
            successful: self.successful,
            failed: self.failed,
            average_millis: self.average_millis,
            tokens: self.tokens,
            first: self.first,
            last: self.last,
        }
    }
}

row! {
    struct LogRow {
        id: String,
        tool_name: String,
        status: CallStatus,
        response_time_ms: Option<u32>,
        error_message: Option<String>,
        timestamp: Timestamp,
        tokens_used: Option<u32>,
        over_limit: u8,
    }
}

impl LogRow {
    fn shown(self) -> ToolCallLog {
        ToolCallLog {
            id: self.id,
            tool_name: self.tool_name,
            status: self.status,
            response_time_ms: self.response_time_ms,
            error_message: self.error_message,
            timestamp: self.timestamp,
            tokens_used: self.tokens_used,
            over_limit: self.over_limit == 1,
        }
    }
}
