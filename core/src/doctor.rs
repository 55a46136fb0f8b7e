//! Whether a deployment is as its owner would want it: from what was found, check by check, to what it means and what to
//! do about it. What the worker can see of itself is in [`deployment`] and [`sales`], what only an outsider can in
//! [`outside`].

pub mod deployment;
pub mod outside;
pub mod sales;

use serde::{Deserialize, Serialize};

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "CheckCode"))]
pub enum Code {
    /// Something answers at the address.
    Reachable,
    /// The worker says itself that it can serve.
    Ready,
    /// Whoever examines it is let in as an administrator.
    Administrator,
    /// The page is served.
    Page,
    /// The database is at the version this release needs.
    Schema,
    /// The rows of `plans` are the catalog's.
    Plans,
    /// A meter answers.
    Meter,
    /// Bursts from one address are counted.
    Bursts,
    /// Where the data service is.
    Upstream,
    /// For how long a payment may be due.
    Grace,
    /// For how long the history is kept.
    Retention,
    /// The MCP gateway's settings.
    McpGateway,
    /// Both clients are configured.
    Clients,
    /// The issuer's keys can be read.
    IssuerKeys,
    /// Tokens are issued for what the clients are configured with.
    Audience,
    /// Which pages may call.
    Origins,
    /// What is done by the clock is done.
    Cron,
    /// Events of Stripe's that failed or wait, and users whose billing somebody must look at.
    Backlog,
    /// Whether anything is sold.
    Payments,
    /// What verifies Stripe's events.
    WebhookSecret,
    /// Test or live.
    StripeMode,
    /// What Stripe is asked with.
    StripeKey,
    /// What is in the catalog has a price at Stripe.
    PricesOfPlans,
    /// What has a price at Stripe is in the catalog.
    PlansOfPrices,
    /// Stripe's prices are the catalog's.
    StripePrices,
    /// The worker's clock and the examiner's agree.
    Clock,
    /// The worker and the built package agree.
    Contract,
    /// A configured page may call, a foreign one may not.
    Cors,
    /// A signed event is taken, one that others signed is not.
    Webhook,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "CheckOutcome"))]
pub enum Outcome {
    /// As it should be.
    Fine,
    /// It works; somebody should know.
    Warning,
    /// It does not work, or will not.
    Failure,
}

/// A check that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Check {
    /// What was checked.
    pub code: Code,
    /// How it ended.
    pub outcome: Outcome,
    /// What was found.
    pub what: String,
    /// What to do about it; nothing where nothing is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub todo: Option<String>,
}

impl Check {
    /// As it should be.
    #[must_use]
    pub fn fine(code: Code, what: impl Into<String>) -> Self {
        Self {
            code,
            outcome: Outcome::Fine,
            what: what.into(),
            todo: None,
        }
    }

    /// It works; somebody should know.
    #[must_use]
    pub fn warning(code: Code, what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            code,
            outcome: Outcome::Warning,
            what: what.into(),
            todo: Some(todo.into()),
        }
    }

    /// It does not work, or will not.
    #[must_use]
    pub fn failure(code: Code, what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            code,
            outcome: Outcome::Failure,
            what: what.into(),
            todo: Some(todo.into()),
        }
    }
}

/// How a secret is set.
fn set_secret(name: &str) -> String {
    format!("Set it: npx wrangler secret put {name} --config worker/wrangler.deploy.json")
}

/// How a variable is set.
fn set_variable(name: &str) -> String {
    format!("Set {name} under \"vars\" of worker/deployment.json, then: cargo xtask deploy")
}

/// How rows are changed.
fn change_rows(sql: &str) -> String {
    format!(
        "npx wrangler d1 execute DB --remote --config worker/wrangler.deploy.json --command \"{sql}\""
    )
}
