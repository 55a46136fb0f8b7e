//! What a deployment says of itself, in variables and secrets: their names, and what each may be. The worker reads them;
//! whoever deploys is told before.

use crate::history::Retention;
use crate::mcp::{RefusalForm, SigningSecret};
use crate::payload::format::Format;
use crate::stripe::event::Mode;
use crate::stripe::prices::Prices;
use crate::subscription::Grace;

/// Where the data service is.
pub const UPSTREAM_URL: &str = "UPSTREAM_URL";
/// How long a payment may be due, in days.
pub const GRACE_DAYS: &str = "GRACE_DAYS";
/// For how many days the history is kept.
pub const RETENTION_DAYS: &str = "RETENTION_DAYS";
/// What Prometheus shows.
pub const METRICS_TOKEN: &str = "METRICS_TOKEN";
/// What webhooks are signed with.
pub const STRIPE_WEBHOOK_SECRET: &str = "STRIPE_WEBHOOK_SECRET";
/// Whether real money moves.
pub const STRIPE_MODE: &str = "STRIPE_MODE";
/// What Stripe is asked with.
pub const STRIPE_API_KEY: &str = "STRIPE_API_KEY";
/// Where Stripe is asked.
pub const STRIPE_API_URL: &str = "STRIPE_API_URL";
/// Prices beside those of `plans`.
pub const STRIPE_PRICES: &str = "STRIPE_PRICES";
/// Where the MCP server is.
pub const MCP_UPSTREAM_URL: &str = "MCP_UPSTREAM_URL";
/// What it is told is signed with.
pub const MCP_SIGNING_SECRET: &str = "MCP_SIGNING_SECRET";
/// How a tool call is refused.
pub const MCP_REFUSAL: &str = "MCP_REFUSAL";
/// What of tool calls is never stored.
pub const MCP_SECRET_FIELDS: &str = "MCP_SECRET_FIELDS";
/// Where users are listed: where the domain of the tokens is a name of its own, the Management API has the tenant's.
pub const AUTH0_MANAGEMENT_DOMAIN: &str = "AUTH0_MANAGEMENT_DOMAIN";
/// Who lists them.
pub const AUTH0_MANAGEMENT_CLIENT_ID: &str = "AUTH0_MANAGEMENT_CLIENT_ID";
/// What they prove it with.
pub const AUTH0_MANAGEMENT_CLIENT_SECRET: &str = "AUTH0_MANAGEMENT_CLIENT_SECRET";

/// Where a setting may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    Variable,
    /// In no file.
    Secret,
}

/// A setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// Where it may stand.
    pub place: Place,
    check: fn(&str) -> Result<(), String>,
}

impl Setting {
    /// The setting of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// Whether it may be so. Space around it does not count, and an empty one is none.
    ///
    /// ```
    /// use legis_core::settings::Setting;
    /// let grace = Setting::named("GRACE_DAYS").unwrap();
    /// assert_eq!(grace.check(" 14 "), Ok(()));
    /// assert_eq!(grace.check("13").unwrap_err(), "GRACE_DAYS is 13; it must be 0, 2, 7, 14 or 21");
    /// ```
    ///
    /// # Errors
    /// What it must be.
    pub fn check(&self, value: &str) -> Result<(), String> {
        match value.trim() {
            "" => Ok(()),
            value => (self.check)(value),
        }
    }
}

/// All of them.
pub const SETTINGS: [Setting; 16] = [
    variable(UPSTREAM_URL, |url| upstream_url(url).map(drop)),
    variable(GRACE_DAYS, |days| Grace::parse(days).map(drop)),
    variable(RETENTION_DAYS, |days| Retention::parse(days).map(drop)),
    secret(METRICS_TOKEN),
    secret(STRIPE_WEBHOOK_SECRET),
    variable(STRIPE_MODE, |mode| stripe_mode(mode).map(drop)),
    secret(STRIPE_API_KEY),
    variable(STRIPE_API_URL, anything),
    variable(STRIPE_PRICES, |prices| {
        Prices::new(&[], prices)
            .map(drop)
            .map_err(|reason| format!("{STRIPE_PRICES}: {reason}"))
    }),
    variable(MCP_UPSTREAM_URL, |url| mcp_upstream_url(url).map(drop)),
    secret(MCP_SIGNING_SECRET),
    variable(MCP_REFUSAL, |name| mcp_refusal(name).map(drop)),
    variable(MCP_SECRET_FIELDS, anything),
    variable(AUTH0_MANAGEMENT_DOMAIN, anything),
    variable(AUTH0_MANAGEMENT_CLIENT_ID, anything),
    secret(AUTH0_MANAGEMENT_CLIENT_SECRET),
];

const fn variable(name: &'static str, check: fn(&str) -> Result<(), String>) -> Setting {
    Setting {
        name,
        place: Place::Variable,
        check,
    }
}

const fn secret(name: &'static str) -> Setting {
    Setting {
        name,
        place: Place::Secret,
        check: anything,
    }
}

const fn anything(_: &str) -> Result<(), String> {
    Ok(())
}

/// Reads `UPSTREAM_URL`.
///
/// # Errors
/// What it must be.
pub fn upstream_url(url: &str) -> Result<String, String> {
    match url.starts_with("https://") || url.starts_with("http://") {
        true => Ok(url.to_owned()),
        false => Err(format!(
            "{UPSTREAM_URL} must begin with https:// or http://"
        )),
    }
}

/// Reads `STRIPE_MODE`.
///
/// # Errors
/// What it must be.
pub fn stripe_mode(mode: &str) -> Result<Mode, String> {
    Mode::parse(mode).ok_or_else(|| format!("{STRIPE_MODE} is {mode}; it must be live or test"))
}

/// Reads `MCP_UPSTREAM_URL`: the server there is told who calls.
///
/// # Errors
/// What it must be.
pub fn mcp_upstream_url(url: &str) -> Result<String, String> {
    match Format::Url.holds(url) {
        true => Ok(url.to_owned()),
        false => Err(format!(
            "{MCP_UPSTREAM_URL} must be an address that begins with https://, or with http:// on this machine"
        )),
    }
}

/// Reads `MCP_REFUSAL`.
///
/// # Errors
/// What it must be.
pub fn mcp_refusal(name: &str) -> Result<RefusalForm, String> {
    RefusalForm::parse(name)
        .ok_or_else(|| format!("{MCP_REFUSAL} is {name}; it must be result, text or status"))
}

/// Reads `METRICS_TOKEN`, which must not be guessed.
///
/// # Errors
/// What it must be.
pub fn metrics_token(secret: String) -> Result<String, String> {
    const MIN: usize = 32;
    match secret.len() >= MIN {
        true => Ok(secret),
        false => Err(format!("{METRICS_TOKEN} has fewer than {MIN} characters")),
    }
}

/// Reads `MCP_SIGNING_SECRET`.
///
/// # Errors
/// What it must be.
pub fn mcp_signing_secret(secret: &str) -> Result<SigningSecret, String> {
    SigningSecret::parse(secret).ok_or_else(|| {
        format!(
            "{MCP_SIGNING_SECRET} is missing or shorter than {} bytes",
            SigningSecret::MIN
        )
    })
}
