//! A database of D1, as wrangler reaches it: that of a local state, or one at Cloudflare.

use crate::database::Place;
use crate::dev::absolute;
use crate::paths;
use crate::process::{command, quiet};
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which database.
pub enum Target {
    /// That of `dev` on a state.
    Local(PathBuf),
    /// One at Cloudflare, by its name or binding, and wrangler's configuration for it.
    Remote(String, PathBuf),
}

/// A row, by the names of its columns.
pub type Row = Map<String, Value>;

impl Target {
    pub fn of(place: &Place) -> Result<Self> {
        Ok(match &place.remote {
            Some(name) => Self::Remote(name.clone(), place.config()?),
            None => Self::Local(absolute(&place.state)),
        })
    }

    pub fn name(&self) -> String {
        match self {
            Self::Local(state) => format!("the local database in {}", paths::short(state)),
            Self::Remote(name, _) => format!("the database {name} at Cloudflare"),
        }
    }

    /// The rows of each of the statements, which are one transaction.
    pub fn query(&self, sql: &str) -> Result<Vec<Vec<Row>>> {
        #[derive(serde::Deserialize)]
        struct Answered {
            results: Vec<Row>,
        }
        let said = self
            .execute()
            .args(["--json", "--command", sql])
            .output()
            .context("cannot start wrangler")?;
        let text = String::from_utf8_lossy(&said.stdout);
        if !said.status.success() {
            bail!(
                "{} cannot be read: {} {}",
                self.name(),
                text.trim(),
                String::from_utf8_lossy(&said.stderr).trim()
            );
        }
        let start = text.find('[').context("wrangler printed no rows")?;
        let answered: Vec<Answered> = serde_json::from_str(text.split_at(start).1)?;
        Ok(answered.into_iter().map(|one| one.results).collect())
    }

    /// Runs a file as one transaction.
    pub fn run(&self, file: &Path) -> Result<()> {
        quiet(self.execute().arg("--yes").arg("--file").arg(file))
    }

    fn execute(&self) -> Command {
        let mut wrangler = command("wrangler");
        wrangler.args(["d1", "execute"]);
        match self {
            Self::Local(state) => wrangler
                .args(["DB", "--local", "--config", "worker/wrangler.jsonc"])
                .arg("--persist-to")
                .arg(state),
            Self::Remote(name, config) => wrangler
                .args([name.as_str(), "--remote", "--config"])
                .arg(config),
        };
        wrangler
    }

    /// Writes wrangler's own export.
    pub fn export(&self, file: &Path) -> Result<()> {
        let mut wrangler = command("wrangler");
        wrangler.args(["d1", "export"]);
        match self {
            Self::Local(state) => {
                // It exports what lies beside the configuration, and knows no other place.
                let beside = paths::root().join("target/backup");
                let _ = fs::remove_dir_all(&beside);
                fs::create_dir_all(beside.join(".wrangler"))?;
                std::os::unix::fs::symlink(state, beside.join(".wrangler/state"))?;
                let config = beside.join("wrangler.jsonc");
                fs::copy(paths::root().join("worker/wrangler.jsonc"), &config)?;
                wrangler.args(["DB", "--local", "--config"]).arg(config);
            }
            Self::Remote(name, config) => {
                wrangler
                    .args([name.as_str(), "--remote", "--skip-confirmation", "--config"])
                    .arg(config);
            }
        }
        quiet(wrangler.arg("--output").arg(file))
    }
}
