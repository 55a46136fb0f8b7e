//! What only an outsider sees of a deployment.

use super::{Check, Code, change_rows, set_secret};
use crate::contract;

/// From which difference of clocks on somebody should know.
const NOTICED_MILLIS: u64 = 10_000;
/// From which one tokens are refused that are valid.
const REFUSED_MILLIS: u64 = 60_000;

/// The type of the event that a doctor sends: none of Stripe's, so nothing is done about it. Its row says so.
pub const EVENT: &str = "legis.doctor";

/// What was answered: the status, and what the problem document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The `detail` of the problem document.
    pub detail: String,
}

/// Whether something answers at `url`: what was answered at `/api/health`, or why nothing was.
#[must_use]
pub fn reachable(url: &str, health: &Result<Answered, String>) -> Check {
    match health {
        Ok(answered) if answered.status == 200 => {
            Check::fine(Code::Reachable, format!("{url} answers"))
        }
        Ok(answered) => Check::failure(
            Code::Reachable,
            format!("{url}/api/health answers {}", answered.status),
            "Something else listens there, or stands in between. Check the address, and the routes of the worker",
        ),
        Err(reason) => Check::failure(
            Code::Reachable,
            format!("{url} does not answer: {reason}"),
            "Check the address. On this machine: cargo xtask dev. At Cloudflare: cargo xtask deploy",
        ),
    }
}

/// Whether it says that it can serve.
#[must_use]
pub fn ready(ready: &Answered) -> Check {
    match ready.status {
        200 => Check::fine(Code::Ready, "it says that it is ready"),
        429 => Check::failure(
            Code::Ready,
            "too much was asked from your address a moment ago",
            format!(
                "Wait {} seconds, and examine it again",
                crate::burst::SECONDS
            ),
        ),
        _ => Check::failure(
            Code::Ready,
            format!("it is not ready: {}", ready.detail),
            "docs/operating.md, \"When it is not ready\", has a line for each reason",
        ),
    }
}

/// Whether an administrator is let in.
#[must_use]
pub fn administrator(answered: &Answered) -> Check {
    match answered.status {
        200 => Check::fine(Code::Administrator, "you are let in as an administrator"),
        401 => Check::failure(
            Code::Administrator,
            format!("your token is not accepted: {}", answered.detail),
            "Put an access token into LEGIS_TOKEN that Auth0 issued for the audience of auth_config, not long ago",
        ),
        403 => Check::failure(
            Code::Administrator,
            format!("you are not let in: {}", answered.detail),
            format!(
                "The token needs the scope admin, and the user must be one: {}",
                change_rows("UPDATE users SET is_admin = 1 WHERE auth0_user_id = '…'")
            ),
        ),
        404 => Check::failure(
            Code::Administrator,
            "the worker cannot examine itself: it is older than this command",
            "cargo xtask deploy",
        ),
        status => Check::failure(
            Code::Administrator,
            format!(
                "the worker cannot examine itself (status {status}): {}",
                answered.detail
            ),
            "What can be seen from outside is above; mend that first",
        ),
    }
}

/// Nobody can ask as an administrator.
#[must_use]
pub fn nobody(reason: &str) -> Check {
    Check::failure(
        Code::Administrator,
        "the worker was not asked to examine itself",
        reason,
    )
}

/// Whether a page is there: the status and the media type of the answer to `GET /`.
#[must_use]
pub fn page(status: u16, media_type: &str) -> Check {
    if status == 200 && media_type.starts_with("text/html") {
        return Check::fine(Code::Page, "the page is served");
    }
    Check::warning(
        Code::Page,
        format!("no page is served at / (status {status})"),
        "If the worker shall serve the page: cargo xtask build, then cargo xtask deploy",
    )
}

/// Whether two clocks agree; `ahead` is how many milliseconds the worker's is ahead.
#[must_use]
pub fn clock(ahead: i64) -> Check {
    const SET: &str = "Cloudflare's clocks are right: set this machine's (timedatectl set-ntp true). On local workerd both are the same";
    let seconds = ahead.unsigned_abs().div_euclid(1000);
    let what = format!("the worker's clock and this machine's are {seconds} s apart");
    match ahead.unsigned_abs() {
        REFUSED_MILLIS.. => Check::failure(
            Code::Clock,
            format!("{what}: valid tokens and events are refused"),
            SET,
        ),
        NOTICED_MILLIS.. => Check::warning(Code::Clock, what, SET),
        _ => Check::fine(Code::Clock, "the clocks agree"),
    }
}

/// Whether the worker and a package have the same contract: its header, and the package's fingerprint or why there is none.
#[must_use]
pub fn contract(header: Option<&str>, package: &Result<String, String>) -> Check {
    let worker = header.and_then(|header| {
        let (_, rest) = header.split_once("fingerprint=\"")?;
        rest.strip_suffix('"')
    });
    match (worker, package) {
        (None, _) => Check::failure(
            Code::Contract,
            "the worker sends no Legis-Contract",
            "Something in between takes it away, or something else answers there",
        ),
        (_, Err(reason)) => Check::warning(
            Code::Contract,
            format!("the package was not compared: {reason}"),
            "cargo xtask build, or name it: cargo xtask doctor --package FOLDER",
        ),
        (Some(worker), Ok(package)) if worker == package => Check::fine(
            Code::Contract,
            format!("worker and package have the contract {worker}"),
        ),
        (Some(worker), Ok(package)) => Check::failure(
            Code::Contract,
            format!(
                "the worker has the contract {worker}, the package {package} ({} here)",
                contract::contract().fingerprint
            ),
            "Pages would show prices or limits that do not hold. Deploy the worker of this release (cargo xtask deploy), and publish its package",
        ),
    }
}

/// Whether a page of `origin` may call: what `Access-Control-Allow-Origin` of the answer to its preflight says.
#[must_use]
pub fn origin(origin: &str, allowed: Option<&str>) -> Check {
    if allowed == Some(origin) {
        return Check::fine(Code::Cors, format!("a page of {origin} may call"));
    }
    Check::failure(
        Code::Cors,
        format!("a page of {origin} may not call, though auth_config allows it"),
        "Something in between answers preflights or takes Access-Control-Allow-Origin away; look at the zone's rules",
    )
}

/// Whether a page of a foreign origin is kept out.
#[must_use]
pub fn foreign(allowed: Option<&str>) -> Check {
    match allowed {
        None => Check::fine(Code::Cors, "a page of a foreign origin may not call"),
        Some(allowed) => Check::failure(
            Code::Cors,
            format!("a page of a foreign origin may call (Access-Control-Allow-Origin: {allowed})"),
            "The worker never allows that: look for a rule of the zone that adds the header",
        ),
    }
}

/// Whether events are verified: what became of one that the secret signed, and of one that another did.
#[must_use]
pub fn webhook(signed: &Answered, forged: &Answered) -> Check {
    match (signed.status, forged.status) {
        (_, 200..300) => Check::failure(
            Code::Webhook,
            "an event that others signed was taken",
            "Anybody can give anybody a plan. Stop the worker, and deploy this release: cargo xtask deploy",
        ),
        // Who sent much from this address a moment ago is refused without being looked at.
        (200, 400 | 429) => Check::fine(
            Code::Webhook,
            format!("an event of type {EVENT} was taken, one that others signed was not"),
        ),
        (400, _) => Check::failure(
            Code::Webhook,
            format!("a signed event was refused: {}", signed.detail),
            format!(
                "The worker has another secret than you gave, or another mode. {}",
                set_secret("STRIPE_WEBHOOK_SECRET")
            ),
        ),
        (status, _) => Check::failure(
            Code::Webhook,
            format!("a signed event was answered {status}: {}", signed.detail),
            "Stripe sends events again for three days. Until then nobody gets what they paid for; the reason is in the worker's log",
        ),
    }
}

/// Events were not tried, because nobody said the secret.
#[must_use]
pub fn webhook_untried() -> Check {
    Check::warning(
        Code::Webhook,
        "no event was sent: the signing secret is not known here",
        "Put it into STRIPE_WEBHOOK_SECRET of the environment, then run this again",
    )
}
