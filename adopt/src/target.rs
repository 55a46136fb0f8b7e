//! The database that is written: local or remote, through wrangler either way.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// A row that was read.
pub type Row = Map<String, Value>;

/// A database that can be asked, and to which SQL is applied whole or not at all.
pub trait Target {
    /// What each of the queries finds. Asking costs seconds, however much is asked.
    fn ask(&mut self, queries: &[&str]) -> Result<Vec<Vec<Row>>>;
    fn rows(&mut self, query: &str) -> Result<Vec<Row>> {
        Ok(self.ask(&[query])?.into_iter().flatten().collect())
    }
    fn apply(&mut self, sql: &str) -> Result<()>;
}

/// Where a D1 database is.
#[derive(Debug, Clone)]
pub enum Place {
    /// The one of `dev`, kept in a folder.
    Local(PathBuf),
    /// A deployed one, by its name or its binding.
    Remote(String),
}

/// A D1 database, through wrangler.
pub struct Wrangler {
    place: Place,
    config: PathBuf,
}

impl Wrangler {
    pub fn new(place: Place, config: PathBuf) -> Self {
        Self { place, config }
    }

    fn run(&self, arguments: &[OsString]) -> Result<String> {
        let mut command = Command::new("wrangler");
        command.args(["d1", "execute"]);
        match &self.place {
            Place::Local(state) => command.args(["DB", "--local", "--persist-to"]).arg(state),
            Place::Remote(name) => command.args([name.as_str(), "--remote"]),
        };
        command.arg("--config").arg(&self.config);
        command.args(["--json", "--yes"]);
        let output = command
            .args(arguments)
            .output()
            .context("cannot start wrangler; is adopt run by `cargo xtask adopt`?")?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr]
                .map(|said| String::from_utf8_lossy(&said).into_owned());
            bail!(
                "wrangler failed, and nothing of this step is stored:\n{}",
                said.join("\n").trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Vec<Row>,
}

impl Target for Wrangler {
    fn ask(&mut self, queries: &[&str]) -> Result<Vec<Vec<Row>>> {
        let printed = self.run(&["--command".into(), queries.join(";\n").into()])?;
        // Whatever wrangler says beside its answer comes before it.
        let json = printed.find('[').map_or("", |start| &printed[start..]);
        let answers: Vec<Answer> =
            serde_json::from_str(json).context("wrangler's answer is not understood")?;
        if answers.len() != queries.len() {
            bail!(
                "wrangler gave {} answers to {} queries",
                answers.len(),
                queries.len()
            );
        }
        Ok(answers.into_iter().map(|answer| answer.results).collect())
    }

    fn apply(&mut self, sql: &str) -> Result<()> {
        // Readable by nobody else, and removed when it was applied.
        let mut file = tempfile::Builder::new().suffix(".sql").tempfile()?;
        file.write_all(sql.as_bytes())?;
        file.flush()?;
        self.run(&["--file".into(), file.path().into()]).map(drop)
    }
}

/// What a row says, by column.
pub trait Columns {
    fn text(&self, column: &str) -> Option<&str>;
    fn number(&self, column: &str) -> Option<i64>;
    fn count(&self, column: &str) -> u64 {
        self.number(column)
            .and_then(|number| u64::try_from(number).ok())
            .unwrap_or(0)
    }
    fn moment(&self, column: &str) -> Option<legis_core::time::Timestamp> {
        self.number(column)
            .and_then(legis_core::time::Timestamp::from_millis)
    }
}

impl Columns for Row {
    fn text(&self, column: &str) -> Option<&str> {
        self.get(column).and_then(Value::as_str)
    }

    fn number(&self, column: &str) -> Option<i64> {
        let value = self.get(column)?;
        // JavaScript writes whole numbers without a fraction, however they are stored.
        value
            .as_i64()
            .or_else(|| value.as_f64().map(|number| number as i64))
    }
}
