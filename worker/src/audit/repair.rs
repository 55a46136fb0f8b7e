//! Repairs, made exactly as they are shown, each recorded with who had it made. One whose ground is gone is not made.

use super::run::{self, Unrepaired};
use crate::answer::Answer;
use crate::clock;
use crate::configuration;
use crate::database::{Database, Statement, StatementResult, Value, changes, first};
use crate::failure::{Failure, Outcome};
use crate::log;
use crate::meter::client;
use crate::meter::message::Corrected;
use crate::registration::SELECT;
use crate::request::parameter;
use crate::stripe::review::Reviewer;
use crate::stripe::{self, Asking};
use legis_core::audit::Code;
use legis_core::audit::repair::{OpeningBalance, Repair, UsageCorrection};
use legis_core::auth::claims::Caller;
use legis_core::counters::Counters;
use legis_core::json;
use legis_core::plan::{PlanId, row_id, row_sql};
use legis_core::problem::Problem;
use legis_core::quota::Usage;
use legis_core::route::decode;
use legis_core::rows::users::{StoredUser, UserRow};
use legis_core::time::Timestamp;
use serde::Serialize;
use serde_json::json;
use worker::Env;

/// How many repairs a request makes at most; the rest is the next one's.
const AT_ONCE: u32 = 40;

/// What became of a repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Made {
    /// It is made, or what it would make is there.
    Repaired,
    /// What was found is not so any more: audit again.
    Stale,
    /// It failed; the log says why.
    Failed,
}

/// A repair and what became of it.
#[derive(Serialize)]
struct Report {
    code: Code,
    subject: String,
    repair: &'static str,
    outcome: Made,
}

/// `POST /api/admin/repair?run=&code=&subject=`: makes the repairs of a finished audit, or one of them.
pub(crate) async fn repair(query: &str, env: &Env, administrator: &Caller) -> Outcome<Answer> {
    let database = Database::open(env)?;
    let expected = "run must be the id of a finished audit.";
    let id = parameter(query, "run").ok_or(Problem::InvalidParameter(expected))?;
    let run = run::load(&database, id).await?.ok_or(Problem::NotFound)?;
    if !run.is_done() {
        return Err(Problem::InvalidParameter(expected).into());
    }
    let subject = parameter(query, "subject").map(decode);
    let asked = match (parameter(query, "code"), subject.as_deref()) {
        (None, None) => None,
        (Some(code), Some(subject)) => {
            let expected = "code must be one of docs/audit.md.";
            let code = Code::parse(code).ok_or(Problem::InvalidParameter(expected))?;
            Some((code, subject))
        }
        _ => {
            let expected = "code and subject name a finding together.";
            return Err(Problem::InvalidParameter(expected).into());
        }
    };
    let work = Work {
        env,
        database: &database,
        run: &run.id,
        by: &administrator.identity.sub,
        now: clock::now(),
    };
    let mut reports = Vec::new();
    let after = decode(parameter(query, "after").unwrap_or_default());
    let found = run::unrepaired(&database, &run.id, asked, &after, AT_ONCE).await?;
    let next = match found.len() >= AT_ONCE as usize {
        true => found.last().map(Unrepaired::place),
        false => None,
    };
    for finding in found {
        reports.push(work.make(finding).await?);
    }
    let mut body = json!({ "repairs": reports });
    if let (Some(next), Some(body)) = (next, body.as_object_mut()) {
        body.insert("next".to_owned(), next.into());
    }
    Ok(Answer::json(200, &body))
}

pub(super) struct Work<'w> {
    env: &'w Env,
    pub(super) database: &'w Database,
    run: &'w str,
    by: &'w str,
    pub(super) now: Timestamp,
}

impl Work<'_> {
    async fn make(&self, finding: Unrepaired) -> Outcome<Report> {
        let repair: Repair = json::read(finding.repair.as_bytes())
            .map_err(|error| Failure::corrupt("row of audit_findings", error))?;
        let outcome = match self.repair(&repair, &finding).await {
            Ok(made) => made,
            Err(failure) => {
                log::event("repair_failed", &failure);
                Made::Failed
            }
        };
        Ok(Report {
            repair: repair.name(),
            code: finding.code,
            subject: finding.subject,
            outcome,
        })
    }

    async fn repair(&self, repair: &Repair, finding: &Unrepaired) -> Outcome<Made> {
        let text = Value::Text;
        match repair {
            Repair::RestorePlan { id } => {
                let restore = Statement::new(&row_sql(*id), &[]);
                self.write(vec![restore], finding).await
            }
            Repair::SetUsage(correction) => self.set_usage(correction, finding).await,
            Repair::TellMeter { sub, version } => self.tell_meter(sub, *version, finding).await,
            Repair::BeginGrace { sub } => {
                let update = Statement::new(
                    "UPDATE users SET past_due_since = ?2, entitlement_version = entitlement_version + 1, updated_at = ?2 \
                     WHERE auth0_user_id = ?1 AND past_due_since IS NULL AND subscription_status = 'past_due'",
                    &[text(sub), Value::Moment(self.now)],
                );
                let made = self.write_guarded(vec![update], finding).await?;
                self.tell(sub).await?;
                Ok(made)
            }
            Repair::Reconcile { sub } => {
                self.reconcile(sub).await?;
                self.write(Vec::new(), finding).await
            }
            Repair::FetchSubscription { sub, subscription } => {
                let configuration = configuration::load(self.env).await?;
                let reviewer = Reviewer {
                    env: self.env,
                    database: self.database,
                    prices: configuration.prices()?,
                    grace: configuration::grace(self.env)?,
                    now: self.now,
                };
                reviewer.refetch(sub, subscription).await?;
                self.write(Vec::new(), finding).await
            }
            Repair::ApplyEvent { event } => {
                stripe::apply_again(self.env, self.database, event).await?;
                self.write(Vec::new(), finding).await
            }
            Repair::LinkCustomer { customer, sub } => {
                let insert = Statement::new(
                    "INSERT INTO stripe_customers (id, sub, linked_kind, linked_at, linked_by, version) \
                     SELECT ?1, auth0_user_id, 'users', 0, '', 1 FROM users WHERE auth0_user_id = ?2 \
                     AND stripe_customer_id = ?1 ON CONFLICT (id) DO UPDATE SET sub = excluded.sub, \
                     linked_kind = excluded.linked_kind, linked_at = excluded.linked_at, linked_by = excluded.linked_by, \
                     version = version + 1 WHERE stripe_customers.sub IS NULL",
                    &[text(customer), text(sub)],
                );
                self.write_guarded(vec![insert], finding).await
            }
            Repair::QuarantineUsage { table, user_id } => {
                self.quarantine_usage(*table, *user_id, finding).await
            }
            Repair::QuarantineSnapshot { id } => self.quarantine_snapshot(id, finding).await,
            Repair::ClearUserAlerts { sub } => {
                let clear = "UPDATE users SET billing_alerts = NULL WHERE auth0_user_id = ?1";
                let clear = Statement::new(clear, &[text(sub)]);
                let made = self.write(vec![clear], finding).await?;
                self.reconcile(sub).await?;
                Ok(made)
            }
            Repair::ClearEventAlerts { event } => {
                let clear =
                    "UPDATE stripe_webhook_logs SET alerts = NULL WHERE stripe_event_id = ?1";
                let clear = Statement::new(clear, &[text(event)]);
                self.write(vec![clear], finding).await
            }
            Repair::QuoteLog { id } => {
                let quote = |column: &str| {
                    Statement::new(
                        &format!(
                            "UPDATE mcp_logs SET {column} = json_quote({column}) WHERE id = ?1 AND NOT json_valid({column})"
                        ),
                        &[text(id)],
                    )
                };
                let statements = vec![quote("request_data"), quote("response_data")];
                self.write(statements, finding).await
            }
            Repair::RegisterUser { sub } => {
                let insert = Statement::new(
                    "INSERT INTO users (auth0_user_id, current_plan_id, created_at, updated_at) VALUES (?1, ?2, ?3, ?3) \
                     ON CONFLICT (auth0_user_id) DO NOTHING",
                    &[
                        text(sub),
                        Value::Id(row_id(PlanId::Free)),
                        Value::Moment(self.now),
                    ],
                );
                self.write(vec![insert], finding).await
            }
        }
    }

    /// Brings a user to what the events say, and tells their meter.
    pub(super) async fn reconcile(&self, sub: &str) -> Outcome<()> {
        match stripe::reconcile(self.env, sub, Asking::Stripe).await? {
            Some(user) => client::learn(self.env, user).await,
            None => Ok(()),
        }
    }

    /// The meter first: it alone knows whether what was found is still so, and it alone writes the reported columns.
    async fn set_usage(&self, correction: &UsageCorrection, finding: &Unrepaired) -> Outcome<Made> {
        let UsageCorrection { sub, from, to, .. } = correction;
        let opening = (correction.opening_from, correction.opening_to);
        let Some(stored) = self.user(sub).await? else {
            return Ok(Made::Stale);
        };
        let mut statements = Vec::new();
        if client::inspect(self.env, sub).await?.is_some() {
            if client::correct(self.env, sub, from, to).await? == Corrected::Stale {
                return Ok(Made::Stale);
            }
        } else if stored.account().usage == *from {
            statements.push(self.columns(&stored, to));
        } else {
            return Ok(Made::Stale);
        }
        if opening.0 != opening.1 {
            let is_first = statements.is_empty();
            statements.push(self.opening_balance(stored.user.id, opening, is_first));
        }
        match statements.is_empty() {
            true => self.write(statements, finding).await,
            false => self.write_guarded(statements, finding).await,
        }
    }

    /// The reported columns of a user without a meter, which begins with them, as long as they are as they were.
    fn columns(&self, stored: &StoredUser, to: &Usage) -> Statement {
        let values = |counters: Counters| {
            [
                Value::Count(counters.used),
                Value::Count(counters.mcp),
                Value::OptionalMoment(counters.resets_at),
                Value::Count(counters.lifetime_used),
                Value::Count(counters.lifetime_mcp),
            ]
        };
        let after = values(Counters::new(&stored.entitlement, to, self.now));
        let before = values(stored.counters);
        let id = [Value::Count(stored.user.id)];
        let values: Vec<Value<'_>> = id.into_iter().chain(after).chain(before).collect();
        Statement::new(
            "UPDATE users SET api_calls_count = ?2, mcp_calls_count = ?3, api_calls_reset_at = ?4, \
             lifetime_calls_count = ?5, lifetime_mcp_count = ?6 WHERE id = ?1 AND api_calls_count = ?7 \
             AND mcp_calls_count = ?8 AND api_calls_reset_at IS ?9 AND lifetime_calls_count = ?10 AND lifetime_mcp_count = ?11",
            &values,
        )
    }

    /// The opening balance of a user, as long as it is as it was; unless `is_first`, only where the statement before it
    /// changed something.
    fn opening_balance(
        &self,
        user: u64,
        (from, to): (OpeningBalance, OpeningBalance),
        is_first: bool,
    ) -> Statement {
        let values = |opening: OpeningBalance| {
            [
                Value::Count(opening.lifetime.used),
                Value::Count(opening.lifetime.mcp),
                Value::OptionalMoment(opening.period_end),
                Value::Count(opening.period.used),
                Value::Count(opening.period.mcp),
            ]
        };
        let id = [Value::Count(user)];
        let values: Vec<Value<'_>> = id
            .into_iter()
            .chain(values(to))
            .chain(values(from))
            .collect();
        let condition = match is_first {
            true => "",
            false => "changes() > 0 AND ",
        };
        // Calls that are open are not part of it, so none is from before it was opened.
        Statement::new(
            &format!(
                "INSERT INTO opening_balances (user_id, lifetime_used, lifetime_mcp, period_end, period_used, period_mcp, opened_at) \
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, 0 WHERE {condition}((?7 + ?8 + ?10 + ?11 = 0 AND ?9 IS NULL) \
                 OR EXISTS (SELECT 1 FROM opening_balances WHERE user_id = ?1)) \
                 ON CONFLICT (user_id) DO UPDATE SET lifetime_used = excluded.lifetime_used, lifetime_mcp = excluded.lifetime_mcp, \
                 period_end = excluded.period_end, period_used = excluded.period_used, period_mcp = excluded.period_mcp \
                 WHERE lifetime_used = ?7 AND lifetime_mcp = ?8 AND period_end IS ?9 AND period_used = ?10 AND period_mcp = ?11"
            ),
            &values,
        )
    }

    /// A meter that is ahead of the database would not listen, so the database's version is raised above it.
    async fn tell_meter(&self, sub: &str, version: u64, finding: &Unrepaired) -> Outcome<Made> {
        let raise = Statement::new(
            "UPDATE users SET entitlement_version = ?2 WHERE auth0_user_id = ?1 AND entitlement_version < ?2",
            &[Value::Text(sub), Value::Count(version)],
        );
        let made = self.write(vec![raise], finding).await?;
        self.tell(sub).await?;
        Ok(made)
    }

    async fn tell(&self, sub: &str) -> Outcome<()> {
        match self.user(sub).await? {
            Some(user) => client::learn(self.env, user).await,
            None => Ok(()),
        }
    }

    async fn user(&self, sub: &str) -> Outcome<Option<StoredUser>> {
        let grace = configuration::grace(self.env)?;
        let sql = format!("{SELECT} WHERE auth0_user_id = ?1");
        let statement = Statement::new(&sql, &[Value::Text(sub)]);
        let results = self.database.batch(vec![statement]).await?;
        let found: Option<UserRow> = first("row of users", results.first())?;
        Ok(found.map(|row| row.decode(grace)).transpose()?)
    }

    /// Writes, with the record of it, in one transaction.
    pub(super) async fn write(
        &self,
        statements: Vec<Statement>,
        finding: &Unrepaired,
    ) -> Outcome<Made> {
        self.recorded(statements, finding, Recorded::Always).await?;
        Ok(Made::Repaired)
    }

    /// The same where the last statement changes nothing when its ground is gone; then nothing is recorded.
    async fn write_guarded(
        &self,
        statements: Vec<Statement>,
        finding: &Unrepaired,
    ) -> Outcome<Made> {
        let guard = statements.len().saturating_sub(1);
        let results = self
            .recorded(statements, finding, Recorded::WhereChanged)
            .await?;
        Ok(match changes(results.get(guard)) {
            0 => Made::Stale,
            _ => Made::Repaired,
        })
    }

    pub(super) async fn recorded(
        &self,
        mut statements: Vec<Statement>,
        finding: &Unrepaired,
        recorded: Recorded,
    ) -> Outcome<Vec<StatementResult>> {
        let id = clock::id();
        // Each looks at what the statement before it did.
        let condition = match recorded {
            Recorded::Always => "true",
            Recorded::WhereChanged => "changes() > 0",
        };
        statements.push(Statement::new(
            &format!(
                "INSERT INTO admin_actions (id, at, sub, action, subject, detail) \
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE {condition}"
            ),
            &[
                Value::Text(&id),
                Value::Moment(self.now),
                Value::Text(self.by),
                Value::Text("repair"),
                Value::Text(&finding.subject),
                Value::Text(&finding.repair),
            ],
        ));
        statements.push(Statement::new(
            &format!(
                "UPDATE audit_findings SET repaired_at = ?4 WHERE run_id = ?1 AND code = ?2 AND subject = ?3 AND {condition}"
            ),
            &[
                Value::Text(self.run),
                Value::Text(finding.code.as_str()),
                Value::Text(&finding.subject),
                Value::Moment(self.now),
            ],
        ));
        self.database.batch(statements).await
    }
}

/// When a repair is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recorded {
    /// Whatever it changed.
    Always,
    /// Where its last statement changed something.
    WhereChanged,
}
