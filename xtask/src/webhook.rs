//! `cargo xtask webhook`: signed events of a local account at Stripe.

use crate::dev::{WEBHOOK_SECRET, absolute, present};
use crate::process::{command, shown};
use anyhow::{Result, bail};
use std::path::Path;

/// What an event is asked for.
pub struct Webhook {
    pub kind: String,
    pub user: String,
    pub plan: Option<String>,
    pub interval: Option<String>,
    pub status: Option<String>,
    pub cancel: Option<bool>,
    pub renew: bool,
    pub at: Option<i64>,
    pub secret: Option<String>,
    pub send: Option<String>,
}

/// Makes a signed event of the local account, prints or sends it.
pub fn run(asked: Webhook, state: &Path) -> Result<()> {
    crate::setup::node()?;
    let plan = asked
        .plan
        .as_deref()
        .map(|name| {
            legis_core::plan::PlanId::resolve(name)
                .map(legis_core::plan::PlanId::slug)
                .map_err(|unknown| anyhow::anyhow!("{unknown}"))
        })
        .transpose()?;
    let wish = serde_json::json!({
        "type": asked.kind,
        "user": asked.user,
        "plan": plan,
        "interval": asked.interval,
        "status": asked.status,
        "cancel": asked.cancel,
        "renew": asked.renew,
        "at": asked.at,
    });
    let arguments = serde_json::json!({
        "file": absolute(state).join("stripe.json"),
        "secret": asked.secret.as_deref().unwrap_or(WEBHOOK_SECRET),
        "send": asked.send,
        "wish": present(&wish),
    });
    let done = shown(
        command("node")
            .args([
                "--disable-warning=ExperimentalWarning",
                "samples/stripe/cli.ts",
            ])
            .arg(present(&arguments).to_string()),
    )?;
    if !done {
        bail!("the event was not sent");
    }
    Ok(())
}
