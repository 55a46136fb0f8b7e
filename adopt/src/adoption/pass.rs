//! One look at every row: what becomes of it, and where it is kept that has no place.

use super::rows::QUARANTINE;
use super::{Notes, Order};
use crate::count::Counts;
use crate::deployment::Deployment;
use crate::people::People;
use crate::script::{Rows, Script, Sql, pieces};
use crate::source::{Source, Table};
use anyhow::Result;
use legis_core::adoption::identity::quarantine_id;
use legis_core::adoption::shape::OldTable;
use legis_core::adoption::{OldRow, Reason, Refused};
use serde_json::json;
use std::collections::{HashMap, HashSet};

/// The largest row that D1 keeps, with room for what is written beside it.
const LARGEST_ROW: usize = 1_800_000;
/// A row in quarantine that is larger is kept in parts.
const LARGEST_PART: usize = 900_000;
/// How often progress is told, in rows.
const STRIDE: u64 = 100_000;

/// One look at every row.
pub(super) struct Pass<'a, 't> {
    pub(super) source: &'a Source,
    pub(super) order: &'a Order,
    pub(super) deployment: &'a Deployment,
    pub(super) people: &'a mut People,
    /// Where it is written; on the first look, nowhere.
    pub(super) script: Option<Script<'t>>,
    pub(super) counts: Counts,
    pub(super) notes: Notes,
    /// What there is once, and was seen.
    pub(super) seen: HashSet<(OldTable, String)>,
    /// Prices that rows of `plans` were given in this pass.
    pub(super) prices: HashMap<u32, String>,
}

impl<'a, 't> Pass<'a, 't> {
    pub(super) fn new(
        source: &'a Source,
        order: &'a Order,
        deployment: &'a Deployment,
        people: &'a mut People,
        script: Option<Script<'t>>,
    ) -> Self {
        Self {
            source,
            order,
            deployment,
            people,
            script,
            counts: Counts::default(),
            notes: Notes::default(),
            seen: HashSet::new(),
            prices: HashMap::new(),
        }
    }

    pub(super) fn walk(&mut self, done: &str) -> Result<()> {
        let source = self.source;
        for table in &source.tables {
            self.counts.of(&table.name);
            let total = source.count(table)?;
            source.each(table, |row| {
                let count = self.counts.of(&table.name);
                count.rows += 1;
                if count.rows.is_multiple_of(STRIDE) {
                    eprintln!("  {}: {} of {total} rows {done}", table.name, count.rows);
                }
                if let Err(refused) = self.take(table, row) {
                    self.quarantine(table, row, &refused);
                }
                self.script.as_mut().map_or(Ok(()), Script::checkpoint)
            })?;
            if let Some(script) = &mut self.script {
                script.apply()?;
            }
            if table.known == Some(OldTable::Users) {
                // After what of their rows is kept beside: who is here has all of it, wherever this is broken off.
                self.write_people()?;
            }
        }
        Ok(())
    }

    /// Finds a place for a row.
    fn take(&mut self, table: &Table, row: &OldRow) -> Result<(), Refused> {
        let size = row.size();
        if size > LARGEST_ROW {
            return Err(Refused::new(Reason::TooLarge, format!("{size} bytes")));
        }
        match table.known {
            Some(OldTable::Plans) => self.plan(table, row),
            Some(OldTable::Users) => self.user(table, row),
            Some(OldTable::AuthConfig) => self.client(table, row),
            Some(OldTable::Events) => self.event(table, row),
            Some(OldTable::Payments) => self.payment(table, row),
            Some(OldTable::ApiUsage) => self.call(table, row),
            Some(OldTable::McpLogs) => self.tool_call(table, row),
            None => Err(Refused::new(Reason::UnknownTable, "")),
        }
    }

    pub(super) fn row(&mut self, rows: &'static Rows, values: &[Sql<'_>]) {
        if let Some(script) = &mut self.script {
            script.row(rows, values);
        }
    }

    pub(super) fn carried(&mut self, table: &Table, row: &OldRow, aside: Option<String>) {
        self.counts.of(&table.name).carried += 1;
        self.set_aside(table, row, aside);
    }

    pub(super) fn set_aside(&mut self, table: &Table, row: &OldRow, aside: Option<String>) {
        if let Some(aside) = aside {
            self.counts.of(&table.name).aside += 1;
            self.keep(
                table,
                row,
                "aside",
                Reason::ValuesAside,
                &format!("row {}", row.key),
                &aside,
            );
        }
    }

    pub(super) fn quarantine(&mut self, table: &Table, row: &OldRow, refused: &Refused) {
        let count = self.counts.of(&table.name);
        *count.quarantined.entry(refused.reason).or_default() += 1;
        if self.script.is_some() {
            self.keep(
                table,
                row,
                "row",
                refused.reason,
                &refused.detail,
                &row.json(),
            );
        }
    }

    /// Puts a row, or a part of it, into quarantine.
    pub(super) fn keep(
        &mut self,
        table: &Table,
        row: &OldRow,
        what: &str,
        reason: Reason,
        detail: &str,
        data: &str,
    ) {
        let (source, now) = (&self.order.source, self.order.now);
        let Some(script) = &mut self.script else {
            return;
        };
        let id = quarantine_id(source, &table.name, &row.key, what);
        let mut write = |id: &str, detail: &str, data: &str| {
            let detail = (!detail.is_empty()).then_some(detail);
            script.row(
                &QUARANTINE,
                &[
                    Sql::Text(id),
                    Sql::Text(source),
                    Sql::Text(&table.name),
                    Sql::Text(reason.as_str()),
                    detail.into(),
                    Sql::Text(data),
                    now.into(),
                ],
            );
        };
        if data.len() <= LARGEST_PART {
            write(&id, detail, data);
            return;
        }
        let parts = pieces(data, LARGEST_PART / 2);
        for (index, part) in parts.iter().enumerate() {
            let (number, of) = (index + 1, parts.len());
            let data = json!({ "part": number, "of": of, "text": part }).to_string();
            match index {
                0 => write(&id, detail, &data),
                _ => write(
                    &format!("{id}-{number}"),
                    &format!("part {number} of {of} of {id}"),
                    &data,
                ),
            }
        }
    }

    /// Refuses a second row of what there is once.
    pub(super) fn once(&mut self, table: OldTable, name: &str) -> Result<(), Refused> {
        match self.seen.insert((table, name.to_owned())) {
            true => Ok(()),
            false => Err(Refused::new(Reason::Duplicate, name)),
        }
    }
}
