//! Rows that are not what every row must be.

use super::repair::{Repair, UsageTable};
use super::{Code, Finding};
use serde_json::json;

/// A row of `plans` that is not the catalog's.
#[must_use]
pub fn plan(id: u32) -> Finding {
    Finding::new(Code::PlanRowDiffers, id.to_string(), json!({ "id": id }))
        .repaired_by(Repair::RestorePlan { id })
}

/// Calls of a user who is not there.
#[must_use]
pub fn orphans(table: UsageTable, user_id: u64, rows: u64) -> Finding {
    Finding::new(
        Code::UsageWithoutUser,
        format!("{} {user_id}", table.as_str()),
        json!({ "table": table.as_str(), "userId": user_id, "rows": rows }),
    )
    .repaired_by(Repair::QuarantineUsage { table, user_id })
}

/// A column that does not decode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// Of a user's row as a whole; why.
    User {
        /// Whose.
        sub: String,
        /// Why.
        reason: String,
    },
    /// The alerts of a user.
    UserAlerts {
        /// Whose.
        sub: String,
    },
    /// A row of `auth_config`.
    AuthConfig {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// A row of `plans` that the catalog does not have.
    Plan {
        /// Its id.
        id: u32,
    },
    /// The data of a tool call.
    Log {
        /// Its id.
        id: String,
    },
    /// The payload of an event.
    Event {
        /// Its id at Stripe.
        event: String,
    },
    /// The alerts of an event.
    EventAlerts {
        /// Its id at Stripe.
        event: String,
    },
    /// The facts of a subscription.
    Snapshot {
        /// Its id.
        id: String,
    },
}

/// The finding about a column that does not decode.
#[must_use]
pub fn unreadable(what: &Unreadable) -> Finding {
    let finding = |table: &str, id: &str, column: &str, reason: &str| {
        Finding::new(
            Code::ColumnUnreadable,
            format!("{table} {id} {column}").trim_end().to_owned(),
            json!({ "table": table, "id": id, "column": column, "reason": reason }),
        )
    };
    match what {
        Unreadable::User { sub, reason } => finding("users", sub, "", reason),
        Unreadable::UserAlerts { sub } => {
            finding("users", sub, "billing_alerts", "no list of texts")
                .repaired_by(Repair::ClearUserAlerts { sub: sub.clone() })
        }
        Unreadable::AuthConfig { name, reason } => finding("auth_config", name, "", reason),
        Unreadable::Plan { id } => {
            finding("plans", &id.to_string(), "features", "no list of texts")
        }
        Unreadable::Log { id } => finding("mcp_logs", id, "request_data, response_data", "no JSON")
            .repaired_by(Repair::QuoteLog { id: id.clone() }),
        Unreadable::Event { event } => {
            finding("stripe_webhook_logs", event, "raw_payload", "no event")
        }
        Unreadable::EventAlerts { event } => {
            finding("stripe_webhook_logs", event, "alerts", "no list of texts").repaired_by(
                Repair::ClearEventAlerts {
                    event: event.clone(),
                },
            )
        }
        Unreadable::Snapshot { id } => finding(
            "subscription_snapshots",
            id,
            "facts",
            "no facts of a subscription",
        )
        .repaired_by(Repair::QuarantineSnapshot { id: id.clone() }),
    }
}
