//! The ledger in the object's own SQLite, and what of it is held in memory: one object is one thread, so what it wrote
//! last is what it would read. Memory changes only after the write succeeded.

use super::message::{Corrected, Inspected};
use super::storage::Statements;
use crate::failure::{Failure, Outcome};
use legis_core::audit::repair::Tally;
use legis_core::called_off::{Awaited, CalledOff, CalledOffLately};
use legis_core::evaluate::json_text;
use legis_core::history::HistoryRow;
use legis_core::json;
use legis_core::ledger::{
    Candidate, Closing, KeyAfter, Known, KnownKey, OpenCall, Opening, OverLimit, Step, StoredKey,
    admit,
};
use legis_core::outbox::Setback;
use legis_core::quota::{Channel, Usage};
use legis_core::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::collections::BTreeMap;
use wasm_bindgen::JsValue;

/// The schema, version by version. What was applied is never edited.
///
/// A call is a row of `calls` from its admission until the database has it: first `open`, then as the `row` that the
/// outbox brings there. Admitting writes one row, because it is what a caller waits for: the call, and with it the
/// usage after it. So the usage that holds is the one with the highest `step`, in `known` or in `calls`. Calls have no
/// index of their ids: those that are open are held in memory, and the others are few and soon gone.
const VERSIONS: [&[&str]; 2] = [
    &[
        // What was kept before there were versions, and before there was a release. What was used is in the database.
        "DROP TABLE IF EXISTS account",
        "DROP TABLE IF EXISTS abandoned_calls",
        "DROP TABLE IF EXISTS open_calls",
        "DROP TABLE IF EXISTS keys",
        "DROP TABLE IF EXISTS outbox",
        "CREATE TABLE known (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL, usage TEXT NOT NULL, \
     step INTEGER NOT NULL) STRICT",
        "CREATE TABLE calls (step INTEGER PRIMARY KEY, id TEXT NOT NULL, open TEXT, row TEXT, usage TEXT NOT NULL, \
     CHECK ((open IS NULL) <> (row IS NULL))) STRICT",
        "CREATE TABLE keys (key TEXT PRIMARY KEY, stored TEXT NOT NULL, call TEXT NOT NULL, admitted_at INTEGER NOT NULL, \
     repeats INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID",
        "CREATE INDEX keys_by_call ON keys (call)",
        "CREATE TABLE given_up (id TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    ],
    &[
        // An object that waits is not kept in memory.
        "CREATE TABLE setback (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL) STRICT",
    ],
];

/// The oldest rows of the outbox: 500 at most, and half a megabyte at most but for a single row, because the database
/// takes no text of more than two. (Figures of the statement stand in it: a value would be a text, and no number is
/// larger than a text.)
const OUTBOX: &str = "SELECT step, row FROM (SELECT step, row, row_number() OVER w AS number, \
     sum(octet_length(row)) OVER w AS bytes \
     FROM (SELECT step, row FROM calls WHERE row IS NOT NULL ORDER BY step LIMIT 500) WINDOW w AS (ORDER BY step)) \
     WHERE number = 1 OR bytes <= 500000";

pub(super) struct Ledger {
    storage: JsValue,
    memory: RefCell<Memory>,
}

/// Rows on their way to the database.
pub(super) struct Batch {
    /// A JSON array.
    pub(super) rows: String,
    steps: String,
}

#[derive(Default)]
struct Memory {
    known: Option<Known>,
    /// How often what is used has changed.
    step: u64,
    /// With the step that admitted each.
    open: BTreeMap<String, (u64, OpenCall)>,
    /// Calls that nobody waits for any more, should their admission still come.
    given_up: Vec<String>,
    called_off: CalledOffLately,
    /// The history could not be written when it was tried last.
    setback: Option<Setback>,
}

fn decode<T: DeserializeOwned>(text: &str) -> Outcome<T> {
    json::read(text.as_bytes()).map_err(|error| Failure::corrupt("row of a meter", error))
}

impl Ledger {
    /// Brings the schema up to date and loads what is held in memory.
    pub(super) fn open(storage: JsValue) -> Outcome<Self> {
        let ledger = Self {
            storage,
            memory: RefCell::default(),
        };
        ledger.migrate()?;
        ledger.memory.replace(ledger.load()?);
        Ok(ledger)
    }

    fn migrate(&self) -> Outcome<()> {
        #[derive(Deserialize)]
        struct Applied {
            version: usize,
        }
        let table = "CREATE TABLE IF NOT EXISTS applied (version INTEGER PRIMARY KEY) STRICT";
        self.write(table, &[])?;
        let applied: Vec<Applied> = self.read("SELECT version FROM applied", &[])?;
        for (version, statements) in (1..).zip(VERSIONS) {
            if applied.iter().any(|applied| applied.version == version) {
                continue;
            }
            let note = "INSERT INTO applied (version) VALUES (?)";
            statements
                .iter()
                .fold(
                    Statements::new(note, &[&version.to_string()]),
                    |all, statement| all.and(statement, &[]),
                )
                .write(&self.storage)?;
        }
        Ok(())
    }

    fn load(&self) -> Outcome<Memory> {
        #[derive(Deserialize)]
        struct KnownRow {
            json: String,
            usage: String,
            step: u64,
        }
        #[derive(Deserialize)]
        struct SetbackRow {
            json: String,
        }
        #[derive(Deserialize)]
        struct UsageRow {
            usage: String,
            step: u64,
        }
        #[derive(Deserialize)]
        struct CallRow {
            step: u64,
            open: String,
        }
        #[derive(Deserialize)]
        struct GivenUp {
            id: String,
        }
        let known: Vec<KnownRow> = self.read("SELECT json, usage, step FROM known", &[])?;
        let latest: Vec<UsageRow> = self.read(
            "SELECT usage, step FROM calls ORDER BY step DESC LIMIT 1",
            &[],
        )?;
        let (known, step) = match (known.first(), latest.first()) {
            (None, _) => (None, 0),
            (Some(row), latest) => {
                let mut known: Known = decode(&row.json)?;
                let latest = latest.filter(|latest| latest.step > row.step);
                known.account.usage = decode(latest.map_or(&row.usage, |latest| &latest.usage))?;
                (Some(known), latest.map_or(row.step, |latest| latest.step))
            }
        };
        let calls: Vec<CallRow> =
            self.read("SELECT step, open FROM calls WHERE open IS NOT NULL", &[])?;
        let mut open = BTreeMap::new();
        for row in calls {
            let call: OpenCall = decode(&row.open)?;
            open.insert(call.id.clone(), (row.step, call));
        }
        let given_up: Vec<GivenUp> = self.read("SELECT id FROM given_up", &[])?;
        let setback: Option<SetbackRow> = self.read("SELECT json FROM setback", &[])?.pop();
        let setback = setback.map(|row| decode(&row.json)).transpose()?;
        Ok(Memory {
            known,
            step,
            open,
            given_up: given_up.into_iter().map(|row| row.id).collect(),
            called_off: CalledOffLately::default(),
            setback,
        })
    }

    // What the history waits for.

    pub(super) fn setback(&self) -> Option<Setback> {
        self.memory.borrow().setback
    }

    pub(super) fn set_back(&self, setback: Setback) -> Outcome<()> {
        self.write(
            "INSERT INTO setback (id, json) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET json = excluded.json",
            &[&json_text(&setback)],
        )?;
        self.memory.borrow_mut().setback = Some(setback);
        Ok(())
    }

    pub(super) fn recover(&self) -> Outcome<()> {
        if self.setback().is_some() {
            self.write("DELETE FROM setback", &[])?;
            self.memory.borrow_mut().setback = None;
        }
        Ok(())
    }

    // What is known of the user.

    pub(super) fn known(&self) -> Option<Known> {
        self.memory.borrow().known.clone()
    }

    /// Something of what is known, without a copy of it.
    pub(super) fn with_known<T>(&self, look: impl FnOnce(Option<&Known>) -> T) -> T {
        look(self.memory.borrow().known.as_ref())
    }

    /// Stores what the database said.
    pub(super) fn learn(&self, known: Known) -> Outcome<()> {
        self.write(
            "INSERT INTO known (id, json, usage, step) VALUES (1, ?, ?, ?) ON CONFLICT (id) \
             DO UPDATE SET json = excluded.json, usage = excluded.usage, step = excluded.step",
            &[
                &json_text(&known),
                &json_text(&known.account.usage),
                &self.memory.borrow().step.to_string(),
            ],
        )?;
        self.memory.borrow_mut().known = Some(known);
        Ok(())
    }

    /// What is known and counted.
    pub(super) fn inspect(&self) -> Option<Inspected> {
        let memory = self.memory.borrow();
        let known = memory.known.as_ref()?;
        let usage = known.account.usage.clone();
        let period = usage.period.map(|period| period.start);
        let charged = |to: Option<Timestamp>| {
            let open = memory.open.values().map(|(_, call)| call.charge);
            open.filter(|charge| charge.period == to)
                .fold(Tally::default(), |sum, charge| {
                    let used = u64::from(charge.cost);
                    let mcp = match charge.channel {
                        Channel::Mcp => used,
                        Channel::Rest => 0,
                    };
                    sum.plus(Tally { used, mcp })
                })
        };
        Some(Inspected {
            entitlement: known.account.entitlement.clone(),
            asked_at: known.asked_at,
            lifetime_open: charged(None),
            period_open: period.map(|start| charged(Some(start))).unwrap_or_default(),
            usage,
        })
    }

    /// Counts `to`, if `from` is what is counted.
    pub(super) fn correct(&self, from: &Usage, to: &Usage) -> Outcome<Corrected> {
        let counted = self.with_known(|known| known.map(|known| known.account.usage.clone()));
        // Also where it is `to`: who counted up to it by calls has no fewer rows for that.
        if counted.as_ref() != Some(from) {
            return Ok(Corrected::Stale);
        }
        if from == to {
            return Ok(Corrected::Done);
        }
        let step = self.next_step();
        self.write(USE, &[&json_text(to), &step.to_string()])?;
        self.memory.borrow_mut().use_up(to, step);
        Ok(Corrected::Done)
    }

    // Calls.

    /// What becomes of a candidate; nothing where the user is not known.
    pub(super) fn step(&self, candidate: &Candidate, now: Timestamp) -> Outcome<Option<Step>> {
        let key = match &candidate.keyed {
            Some(keyed) => self.key(&keyed.key)?,
            None => None,
        };
        let memory = self.memory.borrow();
        let open = memory.open.values().map(|(_, call)| call);
        let account = memory.known.as_ref().map(|known| &known.account);
        Ok(account.map(|account| {
            admit(
                account,
                candidate.clone(),
                key,
                open,
                &memory.called_off,
                now,
            )
        }))
    }

    /// Stores an admitted call: what is used, the call, and its key.
    pub(super) fn store(&self, opening: &Opening) -> Outcome<()> {
        let Opening {
            usage, open, key, ..
        } = opening;
        let step = self.next_step();
        let statements = Statements::new(
            "INSERT INTO calls (step, id, open, usage) VALUES (?, ?, ?, ?)",
            &[
                &step.to_string(),
                &open.id,
                &json_text(open),
                &json_text(usage),
            ],
        );
        remember(statements, key.as_ref()).write(&self.storage)?;
        let mut memory = self.memory.borrow_mut();
        memory.open.insert(open.id.clone(), (step, open.clone()));
        memory.use_up(usage, step);
        Ok(())
    }

    pub(super) fn open_call(&self, call: &str) -> Option<OpenCall> {
        let memory = self.memory.borrow();
        memory.open.get(call).map(|(_, call)| call.clone())
    }

    /// The calls that were admitted before a moment and that nobody settled.
    pub(super) fn open_since(&self, before: Timestamp) -> Vec<OpenCall> {
        let memory = self.memory.borrow();
        let calls = memory.open.values().map(|(_, call)| call);
        calls
            .filter(|call| call.admitted_at < before)
            .cloned()
            .collect()
    }

    /// Notes that nobody waits for calls any more.
    pub(super) fn call_off(&self, what: CalledOff, now: Timestamp) -> Outcome<()> {
        let about: Vec<(u64, OpenCall)> = {
            let memory = self.memory.borrow();
            let open = memory.open.values();
            open.filter(|(_, call)| what.is_about(call))
                .cloned()
                .collect()
        };
        for (step, call) in about {
            let call = OpenCall {
                awaited: Awaited::NoMore,
                ..call
            };
            self.write(
                "UPDATE calls SET open = ? WHERE step = ?",
                &[&json_text(&call), &step.to_string()],
            )?;
            let mut memory = self.memory.borrow_mut();
            memory.open.insert(call.id.clone(), (step, call));
        }
        self.memory.borrow_mut().called_off.note(what, now);
        Ok(())
    }

    /// Closes a call: its row goes to the outbox, and its charge is taken back where it was.
    pub(super) fn close(&self, closing: &Closing) -> Outcome<()> {
        let Closing { row, refunded, key } = closing;
        let step = self.next_step();
        let admitted = self
            .memory
            .borrow()
            .open
            .get(&row.id)
            .map(|(step, _)| step.to_string())
            .ok_or_else(|| Failure::corrupt("meter", "a call that is not open"))?;
        let mut statements = Statements::new(
            "UPDATE calls SET open = NULL, row = ? WHERE step = ?",
            &[&json_text(row), &admitted],
        );
        if let Some(usage) = refunded {
            statements = statements.and(USE, &[&json_text(usage), &step.to_string()]);
        }
        if *key == KeyAfter::Freed {
            statements = statements.and("DELETE FROM keys WHERE call = ?", &[&row.id]);
        }
        statements.write(&self.storage)?;
        let mut memory = self.memory.borrow_mut();
        memory.open.remove(&row.id);
        if let Some(usage) = refunded {
            memory.use_up(usage, step);
        }
        Ok(())
    }

    /// Puts the row of a call that was never open into the outbox.
    pub(super) fn keep(&self, kept: &OverLimit) -> Outcome<()> {
        let OverLimit { row, key } = kept;
        let (step, usage) = (self.next_step(), self.usage());
        let statements = Statements::new(
            "INSERT INTO calls (step, id, row, usage) VALUES (?, ?, ?, ?)",
            &[&step.to_string(), &row.id, &json_text(row), &usage],
        );
        remember(statements, key.as_ref()).write(&self.storage)?;
        self.memory.borrow_mut().step = step;
        Ok(())
    }

    // Calls that nobody waits for.

    /// Notes that nobody waits for a call any more, should its admission still come.
    pub(super) fn give_up(&self, call: &str, now: Timestamp) -> Outcome<()> {
        self.write(
            "INSERT INTO given_up (id, at) VALUES (?, ?) ON CONFLICT DO NOTHING",
            &[call, &moment(now)],
        )?;
        self.memory.borrow_mut().given_up.push(call.to_owned());
        Ok(())
    }

    pub(super) fn is_given_up(&self, call: &str) -> bool {
        let memory = self.memory.borrow();
        memory.given_up.iter().any(|given_up| given_up == call)
    }

    /// Forgets the calls that were given up before a moment and never came.
    pub(super) fn forget_given_up(&self, before: Timestamp) -> Outcome<()> {
        if self.memory.borrow().given_up.is_empty() {
            return Ok(());
        }
        self.write("DELETE FROM given_up WHERE at < ?", &[&moment(before)])?;
        let left = self.load()?.given_up;
        self.memory.borrow_mut().given_up = left;
        Ok(())
    }

    // Keys.

    /// What is known of a key.
    pub(super) fn key(&self, key: &str) -> Outcome<Option<KnownKey>> {
        #[derive(Deserialize)]
        struct Row {
            stored: String,
            repeats: u32,
        }
        let rows: Vec<Row> = self.read("SELECT stored, repeats FROM keys WHERE key = ?", &[key])?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let stored: StoredKey = decode(&row.stored)?;
        Ok(Some(KnownKey {
            open: self.open_call(&stored.call),
            repeats: row.repeats,
            stored,
        }))
    }

    /// Whether somebody sent the key of a call again, and was told of the call.
    pub(super) fn is_repeated(&self, call: &str) -> Outcome<bool> {
        #[derive(Deserialize)]
        struct Row {
            repeats: u32,
        }
        let rows: Vec<Row> = self.read("SELECT repeats FROM keys WHERE call = ?", &[call])?;
        Ok(rows.iter().any(|row| row.repeats > 0))
    }

    /// Notes that a key was sent again.
    pub(super) fn repeated(&self, key: &str) -> Outcome<()> {
        self.write(
            "UPDATE keys SET repeats = repeats + 1 WHERE key = ?",
            &[key],
        )
    }

    /// Forgets the keys of calls that were admitted before a moment.
    pub(super) fn forget_keys(&self, before: Timestamp) -> Outcome<()> {
        self.write("DELETE FROM keys WHERE admitted_at < ?", &[&moment(before)])
    }

    // The outbox.

    /// The oldest rows that the database does not have; none when there are none.
    pub(super) fn outbox(&self) -> Outcome<Option<Batch>> {
        #[derive(Deserialize)]
        struct Row {
            step: u64,
            row: String,
        }
        let rows: Vec<Row> = self.read(OUTBOX, &[])?;
        if rows.is_empty() {
            return Ok(None);
        }
        let steps: Vec<u64> = rows.iter().map(|row| row.step).collect();
        let rows: Vec<String> = rows.into_iter().map(|row| row.row).collect();
        Ok(Some(Batch {
            rows: format!("[{}]", rows.join(",")),
            steps: json_text(&steps),
        }))
    }

    /// How a call ended whose row waits in the outbox.
    pub(super) fn unsent(&self, call: &str) -> Outcome<Option<HistoryRow>> {
        #[derive(Deserialize)]
        struct Row {
            row: String,
        }
        let rows: Vec<Row> = self.read(
            "SELECT row FROM calls WHERE id = ? AND row IS NOT NULL",
            &[call],
        )?;
        rows.first().map(|row| decode(&row.row)).transpose()
    }

    /// Removes rows that the database has. What is used stays, in `known`.
    pub(super) fn sent(&self, batch: &Batch) -> Outcome<()> {
        let step = self.memory.borrow().step.to_string();
        Statements::new(USE, &[&self.usage(), &step])
            .and(
                "DELETE FROM calls WHERE row IS NOT NULL AND step IN (SELECT value FROM json_each(?))",
                &[&batch.steps],
            )
            .write(&self.storage)
    }

    /// What is used, as it is stored.
    fn usage(&self) -> String {
        self.with_known(|known| known.map(|known| json_text(&known.account.usage)))
            .unwrap_or_default()
    }

    fn next_step(&self) -> u64 {
        self.memory.borrow().step.saturating_add(1)
    }

    pub(super) fn has_open_calls(&self) -> bool {
        !self.memory.borrow().open.is_empty()
    }

    // SQL.

    fn read<T: DeserializeOwned>(&self, sql: &str, values: &[&str]) -> Outcome<Vec<T>> {
        Statements::new(sql, values).read(&self.storage)
    }

    fn write(&self, sql: &str, values: &[&str]) -> Outcome<()> {
        Statements::new(sql, values).write(&self.storage)
    }
}

const USE: &str = "UPDATE known SET usage = ?, step = ?";

fn remember(statements: Statements, key: Option<&StoredKey>) -> Statements {
    let Some(key) = key else { return statements };
    statements.and(
        "INSERT INTO keys (key, stored, call, admitted_at) VALUES (?, ?, ?, ?)",
        &[&key.keyed.key, &json_text(key), &key.call, &moment(key.at)],
    )
}

impl Memory {
    fn use_up(&mut self, usage: &Usage, step: u64) {
        self.step = step;
        if let Some(known) = &mut self.known {
            known.account.usage = usage.clone();
        }
    }
}

fn moment(at: Timestamp) -> String {
    at.millis().to_string()
}
