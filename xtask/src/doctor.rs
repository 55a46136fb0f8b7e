//! `cargo xtask doctor`: a deployment as its owner would want it, from the inside and from the outside. What the checks
//! mean is in `legis_core::doctor`.

use crate::dev::{self, WEBHOOK_SECRET};
use crate::operator::{Answer, Operator, is_local, request};
use crate::process::{command, output, quiet};
use crate::{paths, setup};
use anyhow::{Context, Result, bail};
use legis_core::doctor::outside::{self, Answered};
use legis_core::doctor::{Check, Outcome};
use legis_core::stripe::signature::sign;
use legis_core::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

/// Where the signing secret of a deployment that is not on this machine is looked for.
const SECRET_VARIABLE: &str = "STRIPE_WEBHOOK_SECRET";

/// An origin that no deployment allows.
const FOREIGN: &str = "https://foreign.example";

/// What was examined, as it is printed.
struct Report {
    failures: usize,
    warnings: usize,
    made: usize,
}

/// A check that the worker made. It may be of another release, with checks that are not known here.
#[derive(Deserialize)]
struct Told {
    outcome: Outcome,
    what: String,
    todo: Option<String>,
}

/// What the worker tells of itself.
#[derive(Deserialize)]
struct Inside {
    origins: Vec<String>,
    mode: Option<String>,
    checks: Vec<Told>,
}

impl From<Check> for Told {
    fn from(check: Check) -> Self {
        Self {
            outcome: check.outcome,
            what: check.what,
            todo: check.todo,
        }
    }
}

impl Report {
    fn add(&mut self, check: impl Into<Told>) {
        let check = check.into();
        let sign = match check.outcome {
            Outcome::Fine => '✓',
            Outcome::Warning => '!',
            Outcome::Failure => '✗',
        };
        println!("{sign} {}", check.what);
        if let Some(todo) = check.todo {
            println!("  → {todo}");
        }
        self.made += 1;
        self.warnings += usize::from(check.outcome == Outcome::Warning);
        self.failures += usize::from(check.outcome == Outcome::Failure);
    }
}

/// Examines the deployment at `url`; an error when anything failed.
pub fn run(url: &str, state: &Path, package: &str) -> Result<()> {
    setup::node()?;
    let url = url.trim_end_matches('/');
    let mut report = Report {
        failures: 0,
        warnings: 0,
        made: 0,
    };
    examine(&mut report, url, state, package)?;
    println!(
        "\n{} checks, {} failed, {} warnings",
        report.made, report.failures, report.warnings
    );
    if report.failures > 0 {
        bail!("{} of the checks failed", report.failures);
    }
    Ok(())
}

fn examine(report: &mut Report, url: &str, state: &Path, package: &str) -> Result<()> {
    let health = get(&format!("{url}/api/health"));
    let said = match &health {
        Ok(answer) => Ok(answered(answer)),
        Err(error) => Err(format!("{error:#}")),
    };
    report.add(outside::reachable(url, &said));
    let Some(health) = health.ok().filter(|answer| answer.status == 200) else {
        return Ok(());
    };
    let timestamp = health.body["timestamp"].as_str().unwrap_or_default();
    if let Ok(theirs) = timestamp.parse::<Timestamp>() {
        report.add(outside::clock(theirs.millis() - health.at));
    }
    let header = health.headers.get("legis-contract").map(String::as_str);
    let packaged = fingerprint(package).map_err(|error| format!("{error:#}"));
    report.add(outside::contract(header, &packaged));
    let page = get(&format!("{url}/"))?;
    let media_type = page.headers.get("content-type").map_or("", String::as_str);
    report.add(outside::page(page.status, media_type));
    report.add(outside::ready(&answered(&get(&format!(
        "{url}/api/ready"
    ))?)));
    let inside = inside(report, url, state)?;
    let (origins, mode) = inside.unwrap_or_default();
    for origin in &origins {
        report.add(outside::origin(origin, preflight(url, origin)?.as_deref()));
    }
    report.add(outside::foreign(preflight(url, FOREIGN)?.as_deref()));
    report.add(webhook(url, &mode, health.at)?);
    Ok(())
}

/// What the worker tells an administrator: the allowed origins, and Stripe's mode.
fn inside(report: &mut Report, url: &str, state: &Path) -> Result<Option<(Vec<String>, String)>> {
    let operator = match Operator::of(url, state) {
        Ok(operator) => operator,
        Err(error) => {
            report.add(outside::nobody(&format!("{error:#}")));
            return Ok(None);
        }
    };
    let answer = operator.get("/api/admin/doctor")?;
    report.add(outside::administrator(&answered(&answer)));
    if answer.status != 200 {
        return Ok(None);
    }
    let inside: Inside =
        serde_json::from_value(answer.body).context("the worker answered something else")?;
    for check in inside.checks {
        report.add(check);
    }
    Ok(Some((inside.origins, inside.mode.unwrap_or_default())))
}

fn get(url: &str) -> Result<Answer> {
    request(&json!({ "method": "GET", "url": url, "headers": {}, "body": null }))
}

fn answered(answer: &Answer) -> Answered {
    Answered {
        status: answer.status,
        detail: answer.body["detail"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    }
}

/// The `Access-Control-Allow-Origin` of the answer to a page's preflight.
fn preflight(url: &str, origin: &str) -> Result<Option<String>> {
    let mut answer = request(&json!({
        "method": "OPTIONS",
        "url": format!("{url}/api/account"),
        "headers": {
            "Origin": origin,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization",
        },
        "body": null,
    }))?;
    Ok(answer.headers.remove("access-control-allow-origin"))
}

// A signed event, and a forged one.

fn webhook(url: &str, mode: &str, now: i64) -> Result<Check> {
    let secret = match std::env::var(SECRET_VARIABLE) {
        Ok(secrets) => secrets
            .split(|c: char| c == ',' || c.is_whitespace())
            .find(|secret| !secret.is_empty())
            .unwrap_or_default()
            .to_owned(),
        Err(_) if is_local(url) => WEBHOOK_SECRET.to_owned(),
        Err(_) => return Ok(outside::webhook_untried()),
    };
    let now = Timestamp::from_millis(now).context("no clock")?;
    let send = |secret: &str| -> Result<Answered> {
        let body = event(mode, now).to_string();
        let signature = sign(body.as_bytes(), secret, now);
        let answer = request(&json!({
            "method": "POST",
            "url": format!("{url}/api/webhooks/stripe"),
            "headers": { "Stripe-Signature": signature, "Content-Type": "application/json" },
            "body": body,
        }))?;
        Ok(answered(&answer))
    };
    // The forged one first: were it taken, the signed one would be a duplicate of it.
    let forged = send("whsec_of_nobody")?;
    Ok(outside::webhook(&send(&secret)?, &forged))
}

/// An event that nothing is done about. One a day is stored, however often somebody asks; it goes with the history.
fn event(mode: &str, now: Timestamp) -> Value {
    let day: String = now
        .to_string()
        .chars()
        .take(10)
        .filter(char::is_ascii_digit)
        .collect();
    json!({
        "id": format!("evt_legis_doctor_{day}"),
        "object": "event",
        "type": outside::EVENT,
        "created": now.seconds(),
        "livemode": mode == "live",
        "data": { "object": { "object": outside::EVENT } },
    })
}

// The package.

/// The fingerprint of a package: a folder, or what npm knows it by.
fn fingerprint(package: &str) -> Result<String> {
    let folder = dev::absolute(Path::new(package));
    let entry = if folder.is_dir() {
        let built = folder.join("dist/index.js");
        if built.exists() {
            built
        } else {
            folder.join("index.js")
        }
    } else if package == PACKAGE {
        bail!("{package} is not built");
    } else {
        let folder = paths::root().join("target/doctor");
        quiet(
            command("npm")
                .args([
                    "install",
                    "--no-save",
                    "--no-audit",
                    "--no-fund",
                    "--prefix",
                ])
                .arg(&folder)
                .arg(package),
        )?;
        folder.join("node_modules/legis-edge/dist/index.js")
    };
    if !entry.exists() {
        bail!("{} is not there", paths::short(&entry));
    }
    output(command("node").args([
        "--input-type=module",
        "-e",
        "import { pathToFileURL } from 'node:url'; const { contract } = await import(pathToFileURL(process.argv[1])); console.log(contract().fingerprint);",
    ]).arg(&entry))
}

/// The default of `--package`.
pub const PACKAGE: &str = "pkg/dist";
