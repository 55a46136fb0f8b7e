//! `cargo xtask audit`: what a deployment finds wrong with its data, and the repairs of it.

use crate::operator::Operator;
use crate::{dev, report};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// How many findings of a code are shown one by one.
const SHOWN: usize = 20;
/// How many identities go in one message.
const AT_ONCE: usize = 5_000;

/// What is asked for.
pub struct Asked<'a> {
    pub url: &'a str,
    pub state: &'a Path,
    pub repair: bool,
    /// An export of the identity issuer's users.
    pub identities: Option<&'a Path>,
}

/// Audits; repairs and audits again where that is asked for. An error when something is left that is more than a notice.
pub fn run(asked: &Asked<'_>) -> Result<()> {
    let operator = Operator::of(asked.url, asked.state)?;
    if let Some(file) = asked.identities {
        send_identities(&operator, file)?;
    }
    report::step(&format!("Auditing {}", asked.url));
    let mut run = audit(&operator)?;
    let mut findings = show(&operator, &run)?;
    if asked.repair && findings.iter().any(is_repairable) {
        report::step("Repairing");
        repair(&operator, &run)?;
        report::step("Auditing again");
        run = audit(&operator)?;
        findings = show(&operator, &run)?;
    }
    let repairable = findings
        .iter()
        .filter(|finding| is_repairable(finding))
        .count();
    let serious = findings
        .iter()
        .filter(|finding| finding["severity"] != "notice")
        .count();
    println!(
        "\n{} findings, {repairable} of them can be repaired (audit {run})",
        findings.len()
    );
    if repairable > 0 && !asked.repair {
        println!(
            "Repair them: cargo xtask audit --repair --url {}{}",
            asked.url,
            dev::option(asked.state)
        );
    }
    if serious > 0 {
        bail!("{serious} findings are left that are more than a notice");
    }
    Ok(())
}

fn is_repairable(finding: &Value) -> bool {
    finding["repair"].is_object()
}

/// Runs an audit to its end; its id.
fn audit(operator: &Operator) -> Result<String> {
    let mut path = "/api/admin/audit".to_owned();
    loop {
        let said = operator.post(&path, &json!(null))?.success()?;
        let run = said["run"]["id"]
            .as_str()
            .context("an audit without an id")?;
        eprintln!("  {} looked at", said["run"]["checked"]);
        if said["done"] == true {
            return Ok(run.to_owned());
        }
        path = format!("/api/admin/audit?run={run}");
    }
}

/// Prints what an audit found; all of it.
fn show(operator: &Operator, run: &str) -> Result<Vec<Value>> {
    let mut findings: Vec<Value> = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!(
            "/api/admin/audit?run={run}&limit=500&after={}",
            encoded(&after)
        );
        let mut said = operator.get(&path)?.success()?;
        if let Some(page) = said["findings"].as_array_mut() {
            findings.append(page);
        }
        match said["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => break,
        }
    }
    let mut last = Value::Null;
    let mut shown = 0;
    for finding in &findings {
        if finding["code"] != last {
            last = finding["code"].clone();
            shown = 0;
            println!(
                "\n  {} ({}): {}",
                text(finding, "code"),
                text(finding, "severity"),
                text(finding, "meaning")
            );
            println!("    {}", text(finding, "remedy"));
        }
        shown += 1;
        match shown.cmp(&(SHOWN + 1)) {
            std::cmp::Ordering::Less => {
                println!("    - {} {}", text(finding, "subject"), finding["facts"])
            }
            std::cmp::Ordering::Equal => println!(
                "    - … and more: GET /api/admin/audit?code={}",
                text(finding, "code")
            ),
            std::cmp::Ordering::Greater => {}
        }
    }
    Ok(findings)
}

fn repair(operator: &Operator, run: &str) -> Result<()> {
    let mut after = String::new();
    loop {
        let path = format!("/api/admin/repair?run={run}&after={}", encoded(&after));
        let said = operator.post(&path, &json!(null))?.success()?;
        for made in said["repairs"].as_array().into_iter().flatten() {
            let mark = match made["outcome"].as_str() {
                Some("repaired") => "✓",
                _ => "✗",
            };
            println!(
                "  {mark} {} {}: {} {}",
                text(made, "code"),
                text(made, "subject"),
                text(made, "repair"),
                text(made, "outcome")
            );
        }
        match said["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => return Ok(()),
        }
    }
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_default()
}

/// A value of a query.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Sends whom the identity issuer knows: an export with a JSON object, or a JSON array of them, that have `user_id`.
fn send_identities(operator: &Operator, file: &Path) -> Result<()> {
    let subs = identities(
        &fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?,
    )
    .with_context(|| format!("{} is no export of users in JSON", file.display()))?;
    report::step(&format!("Sending {} identities", subs.len()));
    let mut listing = String::new();
    let chunks = subs.chunks(AT_ONCE).count().max(1);
    for number in 0..chunks {
        let part = subs.chunks(AT_ONCE).nth(number).unwrap_or_default();
        let path = format!(
            "/api/admin/identities?last={}{listing}",
            number + 1 == chunks
        );
        let said = operator.post(&path, &json!(part))?.success()?;
        listing = format!("&listing={}", text(&said, "listing"));
    }
    Ok(())
}

/// The subjects of an export: one JSON object in each line, as Auth0 exports, or one array.
fn identities(export: &str) -> Result<Vec<String>> {
    let users: Vec<Value> = match export.trim_start().starts_with('[') {
        true => serde_json::from_str(export)?,
        false => export
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?,
    };
    users
        .iter()
        .map(|user| {
            let sub = user["user_id"]
                .as_str()
                .or(user["Id"].as_str())
                .or(user.as_str());
            Ok(sub.context("a user without user_id")?.to_owned())
        })
        .collect()
}
