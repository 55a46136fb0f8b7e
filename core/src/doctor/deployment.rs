//! What the worker sees of its own deployment.

use super::sales::{self, Sales};
use super::{Check, Code, change_rows, set_variable};
use crate::migration::Unfit;
use crate::payload::format::loopback;
use crate::payload::{AuthClient, AuthConfig};
use crate::time::Timestamp;

/// How old the last run of a task may be: the cron is hourly.
const CRON_MILLIS: i64 = 2 * 60 * 60 * 1000;

/// What was found. No secret is in it, and nobody's name.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When, by the worker's clock.
    pub now: Timestamp,
    /// The address it was asked at.
    pub origin: String,
    /// Whether the meter of whoever asked has answered; otherwise why not.
    pub meter: Result<(), String>,
    /// Whether bursts are counted; otherwise why not.
    pub bursts: Result<(), String>,
    /// The newest migration.
    pub schema: String,
    /// When it was applied.
    pub migrated_at: Option<Timestamp>,
    /// The rows of `plans` that differ from the catalog.
    pub differing_plans: Vec<u32>,
    /// Its variables.
    pub settings: Settings,
    /// The rows of `auth_config`.
    pub clients: Vec<AuthConfig>,
    /// What each issuer of an active row published.
    pub issuers: Vec<Issuer>,
    /// Whom the token of whoever asked is for.
    pub audiences: Vec<String>,
    /// What is done by the clock.
    pub tasks: Vec<Task>,
    /// What waits for somebody.
    pub backlog: Backlog,
    /// What is sold.
    pub sales: Sales,
}

/// The variables: what is wrong with each.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `UPSTREAM_URL`, and whether anything answers there
    pub upstream: Result<(), String>,
    /// `GRACE_DAYS`
    pub grace: Result<(), String>,
    /// `RETENTION_DAYS`
    pub retention: Result<(), String>,
    /// `MCP_…`: whether there is a server behind the gateway, which then answers.
    pub mcp: Result<bool, String>,
}

/// An identity issuer.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// Its host.
    pub domain: String,
    /// How many keys can be used; otherwise why none.
    pub keys: Result<usize, String>,
}

/// A task of the cron.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// Its last run.
    pub last: Option<Run>,
}

/// A run of the cron.
#[derive(Debug, Clone)]
pub struct Run {
    /// When it began.
    pub started_at: Timestamp,
    /// `running`, `succeeded` or `failed`.
    pub outcome: String,
}

/// What waits for somebody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backlog {
    /// Events that could not be applied.
    pub failed: u64,
    /// Events whose user has not come.
    pub pending: u64,
    /// Users whose billing has an alert.
    pub alerting: u64,
}

/// What it means that a service behind the gateway answers a `HEAD` so. A redirection is none that a call is passed on by; who does
/// not know the method (501) is there.
///
/// ```
/// use legis_core::doctor::deployment::answered;
/// assert!(answered("https://a.example", 404).is_ok() && answered("https://a.example", 501).is_ok());
/// assert_eq!(answered("https://a.example", 301).unwrap_err(), "https://a.example answers 301");
/// assert!(answered("https://a.example", 503).is_err());
/// ```
///
/// # Errors
/// What is wrong, in words for an operator.
pub fn answered(url: &str, status: u16) -> Result<(), String> {
    match status {
        501 => Ok(()),
        300..=399 | 500.. => Err(format!("{url} answers {status}")),
        _ => Ok(()),
    }
}

/// Everything that can be said of a deployment from the inside.
#[must_use]
pub fn examine(found: &Snapshot) -> Vec<Check> {
    let mut checks = vec![
        Check::fine(
            Code::Schema,
            format!(
                "every migration is applied as it was released, up to {}",
                found.schema
            ),
        ),
        plans(&found.differing_plans),
        meter(&found.meter),
        bursts(&found.bursts),
    ];
    checks.extend(settings(&found.settings));
    checks.push(clients(&found.clients));
    checks.extend(found.issuers.iter().map(issuer));
    checks.push(audience(&found.clients, &found.audiences));
    checks.push(origins(found));
    checks.extend(found.tasks.iter().map(|task| cron(task, found)));
    checks.push(backlog(found.backlog));
    checks.extend(sales::examine(&found.sales));
    checks
}

fn plans(differing: &[u32]) -> Check {
    match differing {
        [] => Check::fine(Code::Plans, "the rows of plans are the catalog's"),
        ids => Check::failure(
            Code::Plans,
            Unfit::Plans(ids.to_vec()).to_string(),
            "Until then only administrators are let in, to repair it: cargo xtask audit --repair --url URL",
        ),
    }
}

fn meter(answered: &Result<(), String>) -> Check {
    match answered {
        Ok(()) => Check::fine(
            Code::Meter,
            "a meter answers (binding METER, a Durable Object)",
        ),
        Err(reason) => Check::failure(
            Code::Meter,
            format!("no meter answers: {reason}"),
            "Without meters no call is admitted. The binding METER and its class are in worker/wrangler.jsonc; deploy it unchanged: cargo xtask deploy",
        ),
    }
}

fn bursts(counted: &Result<(), String>) -> Check {
    match counted {
        Ok(()) => Check::fine(
            Code::Bursts,
            "bursts from one address are limited (binding BURST, a rate limit)",
        ),
        Err(reason) => Check::warning(
            Code::Bursts,
            format!("bursts from one address are not limited: {reason}"),
            "The binding BURST is in worker/wrangler.jsonc; deploy it unchanged: cargo xtask deploy",
        ),
    }
}

fn settings(found: &Settings) -> Vec<Check> {
    let variable = |code, name: &'static str, fine: &str, found: &Result<(), String>| match found {
        Ok(()) => Check::fine(code, fine),
        Err(reason) => Check::failure(code, reason.clone(), set_variable(name)),
    };
    let mcp = match &found.mcp {
        Ok(true) => Check::fine(
            Code::McpGateway,
            "the MCP gateway has a signing secret, and its server answers",
        ),
        Ok(false) => Check::fine(
            Code::McpGateway,
            "no MCP server is configured, so there is no /mcp",
        ),
        Err(reason) => Check::failure(
            Code::McpGateway,
            reason.clone(),
            "The secret: npx wrangler secret put MCP_SIGNING_SECRET --config worker/wrangler.deploy.json. \
             The others stand under \"vars\" of worker/deployment.json; docs/mcp.md says what each may be",
        ),
    };
    vec![
        variable(
            Code::Upstream,
            "UPSTREAM_URL",
            "the data service answers at UPSTREAM_URL",
            &found.upstream,
        ),
        variable(
            Code::Grace,
            "GRACE_DAYS",
            "GRACE_DAYS can be read",
            &found.grace,
        ),
        variable(
            Code::Retention,
            "RETENTION_DAYS",
            "RETENTION_DAYS can be read",
            &found.retention,
        ),
        mcp,
    ]
}

fn active(clients: &[AuthConfig]) -> impl Iterator<Item = &AuthConfig> {
    clients.iter().filter(|client| client.is_active)
}

fn clients(clients: &[AuthConfig]) -> Check {
    const ADD: &str = "Add the row to auth_config: docs/operating.md, \"Auth0\"";
    let missing: Vec<&str> = [AuthClient::Frontend, AuthClient::McpServer]
        .into_iter()
        .filter(|kind| !active(clients).any(|client| client.config_name == *kind))
        .map(AuthClient::as_str)
        .collect();
    match missing.as_slice() {
        [] => Check::fine(
            Code::Clients,
            "auth_config has an active row for frontend and for mcp_server",
        ),
        [one] => Check::warning(
            Code::Clients,
            format!("auth_config has no active row {one}"),
            ADD,
        ),
        _ => Check::failure(
            Code::Clients,
            "auth_config has no active row: nobody is trusted",
            ADD,
        ),
    }
}

fn issuer(found: &Issuer) -> Check {
    let domain = &found.domain;
    match &found.keys {
        Ok(count) => Check::fine(
            Code::IssuerKeys,
            format!("{domain} publishes keys that can be used: {count}"),
        ),
        Err(reason) => Check::failure(
            Code::IssuerKeys,
            format!("the keys of {domain} cannot be read: {reason}"),
            format!(
                "No token of it can be verified. See whether {} answers with RSA keys for RS256 of 2048 bits or more; if \
                 the domain is wrong: {}",
                crate::auth::issuer::jwks_url(domain),
                change_rows(
                    "UPDATE auth_config SET auth0_domain = 'TENANT.auth0.com' WHERE config_name = 'frontend'"
                )
            ),
        ),
    }
}

fn audience(clients: &[AuthConfig], held: &[String]) -> Check {
    let other = active(clients)
        .find(|client| !held.iter().any(|one| one == client.auth0_audience.as_str()));
    match other {
        None => Check::fine(
            Code::Audience,
            "the token's audience is that of every client",
        ),
        Some(client) => Check::warning(
            Code::Audience,
            format!(
                "the client {} is configured with the audience {}, which your token does not name",
                client.config_name.as_str(),
                client.auth0_audience.as_str()
            ),
            "If the clients shall have audiences of their own, this is right. Otherwise set auth0_audience of auth_config to \
             the identifier of the API at Auth0",
        ),
    }
}

fn origins(found: &Snapshot) -> Check {
    let origins = allowed(&found.clients);
    let live = found.sales.mode == sales::ModeFound::Is(crate::stripe::event::Mode::Live);
    match origins.as_slice() {
        [] => Check::warning(
            Code::Origins,
            "allowed_origins of auth_config is empty: only pages of the worker's own address may call",
            change_rows(
                "UPDATE auth_config SET allowed_origins = '[\\\"https://app.example.com\\\"]' WHERE config_name = 'frontend'",
            ),
        ),
        some if live && some.iter().any(|origin| is_local(origin)) => Check::warning(
            Code::Origins,
            "allowed_origins of auth_config has an address of this machine, in live mode",
            "Whatever runs on a user's own machine may call with that user's token. Take it out of allowed_origins",
        ),
        some => Check::fine(
            Code::Origins,
            format!("pages of these origins may call: {}", some.join(", ")),
        ),
    }
}

/// Whether an address is one of this machine.
fn is_local(origin: &str) -> bool {
    let host = origin.split_once("://");
    host.is_some_and(|(_, host)| loopback(host))
}

/// Which pages may call, each once.
#[must_use]
pub fn allowed(clients: &[AuthConfig]) -> Vec<String> {
    let mut origins: Vec<String> = active(clients)
        .flat_map(|client| &client.allowed_origins)
        .map(|origin| origin.as_str().to_owned())
        .collect();
    origins.sort();
    origins.dedup();
    origins
}

fn cron(task: &Task, found: &Snapshot) -> Check {
    const LOOK: &str = "Look at the worker's triggers (\"crons\" in worker/wrangler.jsonc), then: cargo xtask deploy";
    let name = &task.name;
    let new = found
        .migrated_at
        .is_some_and(|at| found.now.since(at) < CRON_MILLIS);
    let started = task.last.as_ref().map(|run| run.started_at);
    let late = started.is_none_or(|at| found.now.since(at) >= CRON_MILLIS);
    match &task.last {
        _ if late && is_local(&found.origin) => Check::warning(
            Code::Cron,
            format!("{name} has not run in the last two hours"),
            format!(
                "Nothing rings on this machine. To run it: curl '{}/cdn-cgi/handler/scheduled'",
                found.origin
            ),
        ),
        None if new => Check::warning(
            Code::Cron,
            format!("{name} has not run yet"),
            "Look again in an hour: it runs seven minutes past each",
        ),
        None => Check::failure(Code::Cron, format!("{name} has never run"), LOOK),
        Some(run) if late => Check::failure(
            Code::Cron,
            format!("{name} has not run since {}", run.started_at),
            LOOK,
        ),
        Some(run) if run.outcome == "failed" => Check::failure(
            Code::Cron,
            format!("{name} failed at {}", run.started_at),
            change_rows(&format!(
                "SELECT error_message FROM cron_runs WHERE task = '{name}' ORDER BY id DESC LIMIT 1"
            )),
        ),
        Some(run) => Check::fine(Code::Cron, format!("{name} ran at {}", run.started_at)),
    }
}

fn backlog(found: Backlog) -> Check {
    let Backlog {
        failed,
        pending,
        alerting,
    } = found;
    let what = format!(
        "{failed} events of Stripe's failed, {pending} wait for their user, {alerting} users have a billing alert"
    );
    match (failed, alerting) {
        (0, 0) => Check::fine(Code::Backlog, what),
        _ => Check::warning(
            Code::Backlog,
            what,
            "GET /api/admin/webhooks lists the events, users.billing_alerts the users; docs/operating.md, \"What each alert means\"",
        ),
    }
}
