//! Rows that cannot stay where they are go to the quarantine, as they are.

use super::repair::{Made, Recorded, Work};
use super::run::Unrepaired;
use crate::database::{Statement, Value, changes, first};
use crate::failure::Outcome;
use crate::log;
use legis_core::audit::Code;
use legis_core::audit::repair::UsageTable;
use legis_core::plan::{PlanId, row_id};
use legis_core::row;

/// How many rows go there at once, and how often in one repair.
const MOVED_AT_ONCE: u32 = 2_000;
const MOVES: u32 = 20;

impl Work<'_> {
    /// The rows of somebody who is not there go to the quarantine, as they are: so many at once as one statement can move.
    pub(super) async fn quarantine_usage(
        &self,
        table: UsageTable,
        user_id: u64,
        finding: &Unrepaired,
    ) -> Outcome<Made> {
        for _ in 0..MOVES {
            let results = self
                .recorded(self.quarantine(table, user_id), finding, Recorded::Always)
                .await?;
            if changes(results.get(1)) < u64::from(MOVED_AT_ONCE) {
                return Ok(Made::Repaired);
            }
        }
        // What is left the next audit finds.
        Ok(Made::Stale)
    }

    fn quarantine(&self, table: UsageTable, user_id: u64) -> Vec<Statement> {
        let columns: &[&str] = match table {
            UsageTable::ApiUsage => &[
                "id",
                "user_id",
                "endpoint",
                "method",
                "channel",
                "status",
                "cost",
                "status_code",
                "response_time_ms",
                "error_message",
                "ip_address",
                "user_agent",
                "timestamp",
                "period_start",
                "opening",
            ],
            UsageTable::McpLogs => &[
                "id",
                "user_id",
                "tool_name",
                "request_data",
                "response_data",
                "status",
                "cost",
                "over_limit",
                "status_code",
                "error_message",
                "response_time_ms",
                "tokens_used",
                "ip_address",
                "user_agent",
                "timestamp",
                "period_start",
                "opening",
            ],
        };
        let name = table.as_str();
        let condition = format!(
            "id IN (SELECT id FROM {name} WHERE user_id = ?1 AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = user_id) \
             ORDER BY timestamp, id LIMIT {MOVED_AT_ONCE})"
        );
        let value = Value::Count(user_id);
        self.moved(name, columns, Code::UsageWithoutUser, &condition, &value)
    }

    /// Rows of a table that go to the quarantine. The two statements see the same rows: they are one transaction.
    fn moved(
        &self,
        table: &str,
        columns: &[&str],
        reason: Code,
        condition: &str,
        value: &Value<'_>,
    ) -> Vec<Statement> {
        let members: Vec<String> = columns
            .iter()
            .map(|column| format!("'{column}', {column}"))
            .collect();
        let copy = format!(
            "INSERT INTO quarantine (id, source, table_name, reason, row_data, quarantined_at) \
             SELECT 'audit/{table}/' || id, 'audit', '{table}', '{}', json_object({}), {} FROM {table} WHERE {condition} \
             ON CONFLICT DO NOTHING",
            reason.as_str(),
            members.join(", "),
            self.now.millis(),
        );
        let delete = format!("DELETE FROM {table} WHERE {condition}");
        let values = std::slice::from_ref(value);
        vec![
            Statement::new(&copy, values),
            Statement::new(&delete, values),
        ]
    }

    /// The event that brought the snapshot still says it, as long as it is kept: it is applied again.
    pub(super) async fn quarantine_snapshot(
        &self,
        id: &str,
        finding: &Unrepaired,
    ) -> Outcome<Made> {
        let columns = [
            "id",
            "customer_id",
            "subscription_id",
            "kind",
            "facts",
            "facts_before",
            "seen",
            "created_at",
        ];
        let reason = Code::ColumnUnreadable;
        // What is held now was not held before the first subscription was heard of.
        let prior = Statement::new(
            "UPDATE users SET prior_plan_id = coalesce(prior_plan_id, ?2) WHERE auth0_user_id = \
             (SELECT sub FROM subscription_snapshots JOIN stripe_customers ON stripe_customers.id = customer_id \
             WHERE subscription_snapshots.id = ?1)",
            &[Value::Text(id), Value::Id(row_id(PlanId::Free))],
        );
        let moved = self.moved(
            "subscription_snapshots",
            &columns,
            reason,
            "id = ?1",
            &Value::Text(id),
        );
        let again = Statement::new(
            "UPDATE stripe_webhook_logs SET processing_status = 'pending', processed_at = NULL WHERE stripe_event_id = ?1",
            &[Value::Text(id)],
        );
        let statements = [vec![prior], moved, vec![again]]
            .into_iter()
            .flatten()
            .collect();
        let made = self.write(statements, finding).await?;
        // It waits now, so the cron comes to it as well.
        if let Err(failure) = self.apply_waiting(id).await {
            log::event("event_not_applied", &failure);
        }
        Ok(made)
    }

    /// Brings whoever an event waits for to what it says.
    async fn apply_waiting(&self, event: &str) -> Outcome<()> {
        row! {
            struct Owner {
                sub: String,
            }
        }
        let owner = Statement::new(
            "SELECT sub FROM stripe_webhook_logs JOIN stripe_customers ON stripe_customers.id = customer_id \
             WHERE stripe_event_id = ?1 AND sub IS NOT NULL",
            &[Value::Text(event)],
        );
        let results = self.database.batch(vec![owner]).await?;
        let Some(owner) = first::<Owner>("row of stripe_customers", results.first())? else {
            return Ok(());
        };
        self.reconcile(&owner.sub).await
    }
}
