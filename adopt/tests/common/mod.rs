//! A new database in memory, with the migrations applied, in place of D1.

use anyhow::{Context, Result, bail};
use legis_adopt::adoption::{Does, Order, Outcome, run};
use legis_adopt::source::Source;
use legis_adopt::target::{Row, Target};
use legis_core::adoption::plans::PlanNames;
use legis_core::time::Timestamp;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::{Value, json};
use std::path::Path;

/// D1 without wrangler.
pub struct Memory {
    pub connection: Connection,
    /// After how many more scripts it fails.
    pub breaks_after: Option<u32>,
}

impl Memory {
    pub fn new() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../worker/migrations");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        connection
            .execute_batch("PRAGMA foreign_keys = ON")
            .unwrap();
        for file in files {
            let sql = std::fs::read_to_string(file).unwrap();
            connection.execute_batch(&sql).unwrap();
        }
        Self {
            connection,
            breaks_after: None,
        }
    }

    /// Everything that is in it, without what says when it was asked.
    pub fn dump(&self) -> Vec<String> {
        let tables = self
            .find("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name");
        let mut lines = Vec::new();
        for table in tables {
            let name = table["name"].as_str().unwrap();
            for row in self.find(&format!("SELECT * FROM \"{name}\" ORDER BY 1, 2")) {
                lines.push(format!("{name}: {}", Value::Object(row)));
            }
        }
        lines
    }

    pub fn number(&self, sql: &str) -> i64 {
        self.connection
            .query_row(sql, [], |row| row.get::<_, Option<i64>>(0))
            .unwrap()
            .unwrap_or(0)
    }

    pub fn find(&self, sql: &str) -> Vec<Row> {
        let mut statement = self.connection.prepare(sql).unwrap();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([]).unwrap();
        let mut found = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let values = names.iter().enumerate().map(|(index, name)| {
                let value = match row.get_ref(index).unwrap() {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(number) => json!(number),
                    ValueRef::Real(number) => json!(number),
                    ValueRef::Text(text) => json!(std::str::from_utf8(text).unwrap()),
                    ValueRef::Blob(_) => panic!("no column holds bytes"),
                };
                (name.clone(), value)
            });
            found.push(values.collect());
        }
        found
    }
}

impl Target for Memory {
    fn ask(&mut self, queries: &[&str]) -> Result<Vec<Vec<Row>>> {
        Ok(queries.iter().map(|query| self.find(query)).collect())
    }

    fn apply(&mut self, sql: &str) -> Result<()> {
        match &mut self.breaks_after {
            Some(0) => bail!("the database is gone"),
            Some(left) => *left -= 1,
            None => {}
        }
        self.connection.execute_batch("BEGIN")?;
        let done = self.connection.execute_batch(sql);
        let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        self.connection.execute_batch(end)?;
        done.with_context(|| sql.chars().take(2000).collect::<String>())
    }
}

pub fn adopt(file: &Path, target: &mut Memory, does: Does, now: Timestamp) -> Result<Outcome> {
    let order = Order {
        source: "old".to_owned(),
        plans: PlanNames::default(),
        now,
        does,
    };
    run(&Source::open(file)?, target, order)
}
