//! `cargo xtask deploy`: migrates, deploys and examines. What differs between deployments is one untracked file, which is
//! laid over `worker/wrangler.jsonc`.

use crate::process::{command, quiet, shown};
use crate::{build, doctor, paths, report};
use anyhow::{Context, Result, bail, ensure};
use legis_core::settings::{Place, SETTINGS, Setting};
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};

/// What an operator writes.
pub const DEPLOYMENT: &str = "worker/deployment.json";

const EXAMPLE: &str = r#"{
    "database_id": "what `npx wrangler d1 create legis` prints",
    "url": "https://legis-worker.NAME.workers.dev",
    "vars": { "UPSTREAM_URL": "https://data.example.com", "STRIPE_MODE": "test" }
  }"#;

/// What wrangler is given, made anew from what the operator wrote.
pub fn config(deployment: &Path) -> Result<PathBuf> {
    Deployment::read(deployment)?.write("wrangler.deploy.json")
}

/// Migrates, deploys and examines; with `dry_run` only bundles.
pub fn run(deployment: &Path, dry_run: bool, state: &Path) -> Result<()> {
    let overlay = Deployment::read(deployment)?;
    build::all()?;
    if dry_run {
        // Another file than the one that other commands are given.
        return bundle(&overlay.write("wrangler.dry-run.json")?);
    }
    let config = overlay.write("wrangler.deploy.json")?;
    report::step("Applying the migrations");
    let mut migrate = command("wrangler");
    migrate.args(["d1", "migrations", "apply", "DB", "--remote", "--config"]);
    ensure!(
        shown(migrate.arg(&config))?,
        "the migrations were not applied; nothing was deployed"
    );
    report::step("Deploying");
    let mut deploy = command("wrangler");
    deploy.args(["deploy", "--config"]);
    ensure!(shown(deploy.arg(&config))?, "nothing was deployed");
    println!();
    doctor::run(&overlay.url, state, doctor::PACKAGE)
}

fn bundle(config: &Path) -> Result<()> {
    let folder = paths::root().join("target/deploy");
    report::timed("Bundling as wrangler would for a deployment", || {
        quiet(
            command("wrangler")
                .args(["deploy", "--dry-run", "--outdir"])
                .arg(&folder)
                .arg("--config")
                .arg(config),
        )
    })?;
    println!("It can be deployed. Nothing was.");
    Ok(())
}

/// What an operator wrote.
struct Deployment {
    database_id: String,
    url: String,
    /// What replaces wrangler's own settings.
    others: Map<String, Value>,
}

impl Deployment {
    /// Reads the usual file, which is the project's, or one that is named as from where the command is given.
    fn read(file: &Path) -> Result<Self> {
        let usual = paths::root().join(DEPLOYMENT);
        let file = match file == Path::new(DEPLOYMENT) {
            true => &usual,
            false => file,
        };
        let name = paths::short(file);
        let text = fs::read_to_string(file).map_err(|_| {
            anyhow::anyhow!("{name} is missing.\n  Write it; docs/operating.md says what may stand there:\n  {EXAMPLE}")
        })?;
        let mut others: Map<String, Value> =
            serde_json::from_str(&text).with_context(|| format!("{name} is no JSON object"))?;
        let mut take = |member: &str| -> Result<String> {
            match others.remove(member) {
                Some(Value::String(text)) => Ok(text),
                _ => bail!("{name} has no {member}. It looks like this:\n  {EXAMPLE}"),
            }
        };
        let deployment = Self {
            database_id: take("database_id")?,
            url: take("url")?,
            others,
        };
        deployment.check(&name)?;
        Ok(deployment)
    }

    fn check(&self, name: &str) -> Result<()> {
        let is_uuid = self.database_id.len() == 36
            && self
                .database_id
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        ensure!(
            is_uuid,
            "database_id of {name} is no id of a database.\n  npx wrangler d1 create legis prints it; npx wrangler d1 list shows it again."
        );
        for setting in SETTINGS {
            ensure!(
                setting.place == Place::Variable || !has_member(&self.others, setting.name),
                "{0} is a secret, which stands in no file.\n  Take it out of {name}, then: npx wrangler secret put {0} --config worker/wrangler.deploy.json",
                setting.name
            );
        }
        let vars = self.others.get("vars").and_then(Value::as_object);
        for (variable, value) in vars.into_iter().flatten() {
            let Some(setting) = Setting::named(variable) else {
                bail!(
                    "{name} sets {variable}, which nothing reads.\n  There are: {}",
                    variables()
                );
            };
            let said = value.as_str().map(str::to_owned);
            let said = said.unwrap_or_else(|| value.to_string());
            setting.check(&said).map_err(|reason| {
                anyhow::anyhow!(
                    "{reason}.\n  It stands in {name}, and every call would be refused."
                )
            })?;
        }
        let upstream = vars.and_then(|vars| vars.get("UPSTREAM_URL"));
        ensure!(
            upstream.is_some_and(Value::is_string),
            "{name} does not say where the data service is.\n  Add it: \"vars\": {{ \"UPSTREAM_URL\": \"https://data.example.com\" }}"
        );
        Ok(())
    }

    /// Writes wrangler's configuration, beside the one it is made from, so that its paths hold.
    fn write(&self, name: &str) -> Result<PathBuf> {
        let file = paths::root().join("worker").join(name);
        let config = self.laid_over(base()?)?;
        fs::write(&file, serde_json::to_string_pretty(&config)?)?;
        Ok(file)
    }

    fn laid_over(&self, mut base: Value) -> Result<Value> {
        base["d1_databases"][0]["database_id"] = self.database_id.clone().into();
        let members = base
            .as_object_mut()
            .context("worker/wrangler.jsonc is no object")?;
        members.extend(self.others.clone());
        Ok(base)
    }
}

/// Whether a member of that name is anywhere within.
fn has_member(members: &Map<String, Value>, name: &str) -> bool {
    members.iter().any(|(member, value)| {
        member == name
            || value
                .as_object()
                .is_some_and(|within| has_member(within, name))
    })
}

fn variables() -> String {
    let names = SETTINGS
        .iter()
        .filter(|setting| setting.place == Place::Variable)
        .map(|setting| setting.name);
    names.collect::<Vec<_>>().join(", ")
}

/// `worker/wrangler.jsonc`, whose comments are lines of their own.
fn base() -> Result<Value> {
    let text = fs::read_to_string(paths::root().join("worker/wrangler.jsonc"))?;
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    serde_json::from_str(&lines.join("\n")).context("worker/wrangler.jsonc cannot be read")
}
