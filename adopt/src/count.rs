//! Rows in, and where they went.

use legis_core::adoption::Reason;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Where the rows of a table went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableCount {
    /// How many there are.
    pub rows: u64,
    /// Those that are rows of the new database.
    pub carried: u64,
    /// Those whose row was there, and took what it lacked.
    pub merged: u64,
    /// Those that were taken over before.
    pub there: u64,
    /// Those in quarantine, by reason.
    pub quarantined: BTreeMap<Reason, u64>,
    /// Those of which some values are in quarantine. They are carried all the same.
    pub aside: u64,
}

impl TableCount {
    /// Those in quarantine.
    pub fn in_quarantine(&self) -> u64 {
        self.quarantined.values().sum()
    }

    /// Those in the new database.
    pub fn here(&self) -> u64 {
        self.carried + self.merged + self.there
    }

    /// Whether every row went somewhere.
    pub fn is_whole(&self) -> bool {
        self.rows == self.here() + self.in_quarantine()
    }
}

/// Where the rows of all tables went, in the order in which they were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(pub Vec<(String, TableCount)>);

impl Counts {
    pub fn of(&mut self, table: &str) -> &mut TableCount {
        let index = self.0.iter().position(|(name, _)| name == table);
        let index = index.unwrap_or_else(|| {
            self.0.push((table.to_owned(), TableCount::default()));
            self.0.len() - 1
        });
        &mut self.0[index].1
    }

    /// As it is remembered: the same whenever the same rows are read.
    pub fn json(&self) -> Value {
        let tables = self.0.iter().map(|(name, count)| {
            let reasons: serde_json::Map<String, Value> = count
                .quarantined
                .iter()
                .map(|(reason, count)| (reason.as_str().to_owned(), json!(count)))
                .collect();
            let told = json!({ "rows": count.rows, "here": count.here(), "quarantined": reasons });
            (name.clone(), told)
        });
        Value::Object(tables.collect())
    }
}
