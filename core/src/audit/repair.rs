//! What mends a finding: data, so that what is shown is exactly what is done.

use crate::quota::Usage;
use crate::time::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Calls, and the part of them made by MCP tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tally {
    /// Calls charged and not refunded.
    pub used: u64,
    /// The part of them made by MCP tools.
    pub mcp: u64,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            used: self.used.saturating_add(other.used),
            mcp: self.mcp.saturating_add(other.mcp),
        }
    }

    /// What `self` has more than `other`; never less than nothing.
    #[must_use]
    pub fn over(self, other: Self) -> Self {
        Self {
            used: self.used.saturating_sub(other.used),
            mcp: self.mcp.saturating_sub(other.mcp),
        }
    }

    /// The larger figure of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            used: self.used.max(other.used),
            mcp: self.mcp.max(other.mcp),
        }
    }
}

/// What was used before rows told it, or is told by none: a row of `opening_balances`. It evens out two figures that are
/// independent of each other, so its part of MCP tools may be the larger one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OpeningBalance {
    /// Of the one-time allowance.
    pub lifetime: Tally,
    /// The end of the monthly period that ran then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period_end: Option<Timestamp>,
    /// What was used in it.
    pub period: Tally,
}

/// What is counted and carried, and what shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageCorrection {
    /// Whose.
    pub sub: String,
    /// What the meter counts now.
    pub from: Usage,
    /// What it shall count.
    pub to: Usage,
    /// The opening balance now.
    pub opening_from: OpeningBalance,
    /// What it shall be.
    pub opening_to: OpeningBalance,
}

/// What would mend a finding. Each stands on what was found: where that is not so any more, nothing is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(
    tag = "type",
    rename_all = "snake_case",
    rename_all_fields = "camelCase"
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Repair {
    /// Writes a row of `plans` from the catalog.
    RestorePlan {
        /// The row's.
        id: u32,
    },
    /// Sets what a meter counts, and with it the reported columns and the opening balance.
    SetUsage(Box<UsageCorrection>),
    /// Tells a meter what the database says of its user.
    TellMeter {
        /// Whose.
        sub: String,
        /// The version that the database's entitlement must have to be heard.
        version: u64,
    },
    /// Counts the grace of a payment from the moment of the repair: it gives the whole of it, however late it is made.
    BeginGrace {
        /// Whose.
        sub: String,
    },
    /// Applies the stored events of a user again.
    Reconcile {
        /// Whose.
        sub: String,
    },
    /// Stores what Stripe says of a subscription now, and applies it.
    FetchSubscription {
        /// Whose.
        sub: String,
        /// Which.
        subscription: String,
    },
    /// Applies an event again.
    ApplyEvent {
        /// Its id at Stripe.
        event: String,
    },
    /// Writes a customer, linked to a user.
    LinkCustomer {
        /// Stripe's customer.
        customer: String,
        /// Whose.
        sub: String,
    },
    /// Moves the rows of a user who is not there to the quarantine.
    QuarantineUsage {
        /// `api_usage` or `mcp_logs`.
        table: UsageTable,
        /// The id that they refer to.
        user_id: u64,
    },
    /// Moves a snapshot that does not decode to the quarantine, and applies the event that brought it again, where that is
    /// kept still.
    QuarantineSnapshot {
        /// Its id.
        id: String,
    },
    /// Clears a user's alerts, which are computed anew.
    ClearUserAlerts {
        /// Whose.
        sub: String,
    },
    /// Clears an event's alerts.
    ClearEventAlerts {
        /// Its id at Stripe.
        event: String,
    },
    /// Makes the columns of a log that are no JSON a JSON text of what they are.
    QuoteLog {
        /// The log's id.
        id: String,
    },
    /// Registers somebody.
    RegisterUser {
        /// Whom.
        sub: String,
    },
}

/// A repair as it is stored. It has the members of every kind: a decoder for each of them would be ten times as large.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    r#type: String,
    id: Option<Value>,
    sub: Option<String>,
    version: Option<u64>,
    subscription: Option<String>,
    event: Option<String>,
    customer: Option<String>,
    table: Option<UsageTable>,
    user_id: Option<u64>,
    from: Option<Usage>,
    to: Option<Usage>,
    opening_from: Option<OpeningBalance>,
    opening_to: Option<OpeningBalance>,
}

impl<'de> Deserialize<'de> for Repair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Stored::deserialize(deserializer)?
            .repair()
            .ok_or_else(|| D::Error::custom("no repair"))
    }
}

impl Stored {
    fn repair(self) -> Option<Repair> {
        let id = || self.id.as_ref().and_then(Value::as_str).map(str::to_owned);
        Some(match self.r#type.as_str() {
            "restore_plan" => Repair::RestorePlan {
                id: self.id?.as_u64()?.try_into().ok()?,
            },
            "set_usage" => Repair::SetUsage(Box::new(UsageCorrection {
                sub: self.sub?,
                from: self.from?,
                to: self.to?,
                opening_from: self.opening_from?,
                opening_to: self.opening_to?,
            })),
            "tell_meter" => Repair::TellMeter {
                sub: self.sub?,
                version: self.version?,
            },
            "begin_grace" => Repair::BeginGrace { sub: self.sub? },
            "reconcile" => Repair::Reconcile { sub: self.sub? },
            "fetch_subscription" => Repair::FetchSubscription {
                sub: self.sub?,
                subscription: self.subscription?,
            },
            "apply_event" => Repair::ApplyEvent { event: self.event? },
            "link_customer" => Repair::LinkCustomer {
                customer: self.customer?,
                sub: self.sub?,
            },
            "quarantine_usage" => Repair::QuarantineUsage {
                table: self.table?,
                user_id: self.user_id?,
            },
            "quarantine_snapshot" => Repair::QuarantineSnapshot { id: id()? },
            "clear_user_alerts" => Repair::ClearUserAlerts { sub: self.sub? },
            "clear_event_alerts" => Repair::ClearEventAlerts { event: self.event? },
            "quote_log" => Repair::QuoteLog { id: id()? },
            "register_user" => Repair::RegisterUser { sub: self.sub? },
            _ => return None,
        })
    }
}

/// A table of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum UsageTable {
    /// Calls of the REST API.
    ApiUsage,
    /// Calls of tools.
    McpLogs,
}

impl UsageTable {
    /// Both.
    pub const ALL: [Self; 2] = [Self::ApiUsage, Self::McpLogs];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiUsage => "api_usage",
            Self::McpLogs => "mcp_logs",
        }
    }
}

impl Repair {
    /// The name in the record of what administrators did.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RestorePlan { .. } => "restore_plan",
            Self::SetUsage(_) => "set_usage",
            Self::TellMeter { .. } => "tell_meter",
            Self::BeginGrace { .. } => "begin_grace",
            Self::Reconcile { .. } => "reconcile",
            Self::FetchSubscription { .. } => "fetch_subscription",
            Self::ApplyEvent { .. } => "apply_event",
            Self::LinkCustomer { .. } => "link_customer",
            Self::QuarantineUsage { .. } => "quarantine_usage",
            Self::QuarantineSnapshot { .. } => "quarantine_snapshot",
            Self::ClearUserAlerts { .. } => "clear_user_alerts",
            Self::ClearEventAlerts { .. } => "clear_event_alerts",
            Self::QuoteLog { .. } => "quote_log",
            Self::RegisterUser { .. } => "register_user",
        }
    }
}
