//! The ledger in the object's own SQLite, and what of it is held in memory: one object is one thread, so what it wrote
//! last is what it would read. Memory changes only after the write succeeded.

use super::message::Known;
use crate::failure::{Failure, Outcome};
use js_sys::{Function, Reflect};
use legis_core::call::Called;
use legis_core::evaluate::json;
use legis_core::history::HistoryRow;
use legis_core::ledger::{Closing, KnownKey, OpenCall, Opening, OverLimit, StoredKey};
use legis_core::problem::Dependency;
use legis_core::quota::{ToolCall, Usage};
use legis_core::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use worker::{SqlStorage, SqlStorageValue, Storage};

/// The schema, version by version. What was applied is never edited.
///
/// A call is a row of `calls` from its admission until the database has it: open while `row` is empty, in the outbox
/// from then on.
const VERSIONS: [&[&str]; 1] = [&[
    "CREATE TABLE known (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL, usage TEXT NOT NULL) STRICT",
    "CREATE TABLE calls (id TEXT PRIMARY KEY, admitted_at INTEGER NOT NULL, charge TEXT NOT NULL, start TEXT NOT NULL, \
     settler TEXT NOT NULL, row TEXT) STRICT, WITHOUT ROWID",
    "CREATE TABLE keys (key TEXT PRIMARY KEY, stored TEXT NOT NULL, call TEXT NOT NULL, admitted_at INTEGER NOT NULL) \
     STRICT, WITHOUT ROWID",
    "CREATE INDEX keys_by_call ON keys (call)",
    "CREATE TABLE given_up (id TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
]];

/// How many bytes of rows go to the database at once; a single row may be longer.
const BYTES_AT_ONCE: i64 = 500_000;
/// How many rows go to the database at once.
const ROWS_AT_ONCE: i64 = 500;

pub(super) struct Ledger {
    storage: Storage,
    sql: SqlStorage,
    memory: RefCell<Memory>,
}

#[derive(Default)]
struct Memory {
    known: Option<Known>,
    open: BTreeMap<String, OpenCall>,
    /// Calls that nobody waits for any more, should their admission still come.
    given_up: BTreeSet<String>,
}

fn fault(error: worker::Error) -> Failure {
    Failure::unavailable(Dependency::Meter, error)
}

fn decode<T: DeserializeOwned>(text: &str) -> Outcome<T> {
    serde_json::from_str(text).map_err(|error| Failure::corrupt("row of a meter", error))
}

impl Ledger {
    /// Brings the schema up to date and loads what is held in memory.
    pub(super) fn open(storage: Storage) -> Outcome<Self> {
        let ledger = Self {
            sql: storage.sql(),
            storage,
            memory: RefCell::default(),
        };
        ledger.migrate()?;
        ledger.memory.replace(ledger.load()?);
        Ok(ledger)
    }

    fn migrate(&self) -> Outcome<()> {
        #[derive(Deserialize)]
        struct Version {
            version: f64,
        }
        let applied = "CREATE TABLE IF NOT EXISTS applied (version INTEGER PRIMARY KEY) STRICT";
        self.write(applied, Vec::new())?;
        let rows: Vec<Version> = self.read("SELECT version FROM applied", Vec::new())?;
        for (version, statements) in (1_i32..).zip(VERSIONS) {
            if rows.iter().any(|row| row.version == f64::from(version)) {
                continue;
            }
            let sql = self.sql.clone();
            self.atomically(move || {
                for statement in statements {
                    sql.exec(statement, None).map_err(fault)?;
                }
                let version = vec![SqlStorageValue::Integer(version.into())];
                sql.exec("INSERT INTO applied (version) VALUES (?)", version)
                    .map_err(fault)?;
                Ok(())
            })?;
        }
        Ok(())
    }

    fn load(&self) -> Outcome<Memory> {
        #[derive(Deserialize)]
        struct KnownRow {
            json: String,
            usage: String,
        }
        #[derive(Deserialize)]
        struct CallRow {
            id: String,
            admitted_at: f64,
            charge: String,
            start: String,
            settler: String,
        }
        #[derive(Deserialize)]
        struct GivenUp {
            id: String,
        }
        let known: Vec<KnownRow> = self.read("SELECT json, usage FROM known", Vec::new())?;
        let known = match known.first() {
            None => None,
            Some(row) => {
                let mut known: Known = decode(&row.json)?;
                known.account.usage = decode(&row.usage)?;
                Some(known)
            }
        };
        let calls: Vec<CallRow> = self.read(
            "SELECT id, admitted_at, charge, start, settler FROM calls WHERE row IS NULL",
            Vec::new(),
        )?;
        let mut open = BTreeMap::new();
        for row in calls {
            let call = OpenCall {
                charge: decode(&row.charge)?,
                start: decode(&row.start)?,
                settler: decode(&row.settler)?,
                admitted_at: Timestamp::from_js(row.admitted_at)
                    .ok_or_else(|| Failure::corrupt("row of a meter", "admitted_at"))?,
                id: row.id.clone(),
            };
            open.insert(row.id, call);
        }
        let given_up: Vec<GivenUp> = self.read("SELECT id FROM given_up", Vec::new())?;
        Ok(Memory {
            known,
            open,
            given_up: given_up.into_iter().map(|row| row.id).collect(),
        })
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
            "INSERT INTO known (id, json, usage) VALUES (1, ?, ?) \
             ON CONFLICT (id) DO UPDATE SET json = excluded.json, usage = excluded.usage",
            vec![text(&known), text(&known.account.usage)],
        )?;
        self.memory.borrow_mut().known = Some(known);
        Ok(())
    }

    // Calls.

    /// Stores an admitted call: what is used, the call, and its key.
    pub(super) fn store(&self, opening: &Opening) -> Outcome<()> {
        let Opening {
            usage, open, key, ..
        } = opening;
        let mut statements = vec![
            (
                "INSERT INTO calls (id, admitted_at, charge, start, settler) VALUES (?, ?, ?, ?, ?)",
                vec![
                    id(&open.id),
                    moment(open.admitted_at)?,
                    text(&open.charge),
                    text(&open.start),
                    text(&open.settler),
                ],
            ),
            (USE, vec![text(usage)]),
        ];
        let remember = |key| remember(key, open.admitted_at);
        statements.extend(key.as_ref().map(remember).transpose()?);
        self.write_all(statements)?;
        let mut memory = self.memory.borrow_mut();
        memory.open.insert(open.id.clone(), open.clone());
        memory.use_up(usage);
        Ok(())
    }

    pub(super) fn open_call(&self, call: &str) -> Option<OpenCall> {
        self.memory.borrow().open.get(call).cloned()
    }

    /// The calls that were admitted before a moment and that nobody settled.
    pub(super) fn open_since(&self, before: Timestamp) -> Vec<OpenCall> {
        let memory = self.memory.borrow();
        let overdue = |call: &&OpenCall| call.admitted_at < before;
        memory.open.values().filter(overdue).cloned().collect()
    }

    /// Whether a call to a tool is open.
    pub(super) fn tool_call(&self) -> ToolCall {
        let memory = self.memory.borrow();
        let is_tool = |call: &OpenCall| matches!(call.start.called, Called::Tool(_));
        if memory.open.values().any(is_tool) {
            ToolCall::UnderWay
        } else {
            ToolCall::None
        }
    }

    /// Closes a call: its row goes to the outbox, and its charge is taken back where it was.
    pub(super) fn close(&self, closing: &Closing) -> Outcome<()> {
        let Closing { row, refunded } = closing;
        let mut statements = vec![(
            "UPDATE calls SET row = ?2, start = '', settler = '' WHERE id = ?1",
            vec![id(&row.id), text(row)],
        )];
        if let Some(usage) = refunded {
            statements.push((USE, vec![text(usage)]));
            statements.push(("DELETE FROM keys WHERE call = ?", vec![id(&row.id)]));
        }
        self.write_all(statements)?;
        let mut memory = self.memory.borrow_mut();
        memory.open.remove(&row.id);
        if let Some(usage) = refunded {
            memory.use_up(usage);
        }
        Ok(())
    }

    /// Puts the row of a call that was never open into the outbox.
    pub(super) fn keep(&self, kept: &OverLimit) -> Outcome<()> {
        let OverLimit { row, key, at } = kept;
        let mut statements = vec![(
            "INSERT INTO calls (id, admitted_at, charge, start, settler, row) VALUES (?, ?, '', '', '', ?)",
            vec![id(&row.id), moment(*at)?, text(row)],
        )];
        statements.extend(key.as_ref().map(|key| remember(key, *at)).transpose()?);
        self.write_all(statements)
    }

    // Calls that nobody waits for.

    /// Notes that nobody waits for a call any more, should its admission still come.
    pub(super) fn give_up(&self, call: &str, now: Timestamp) -> Outcome<()> {
        self.write(
            "INSERT INTO given_up (id, at) VALUES (?, ?) ON CONFLICT DO NOTHING",
            vec![id(call), moment(now)?],
        )?;
        self.memory.borrow_mut().given_up.insert(call.to_owned());
        Ok(())
    }

    pub(super) fn is_given_up(&self, call: &str) -> bool {
        self.memory.borrow().given_up.contains(call)
    }

    /// Forgets the calls that were given up before a moment and never came.
    pub(super) fn forget_given_up(&self, before: Timestamp) -> Outcome<()> {
        if self.memory.borrow().given_up.is_empty() {
            return Ok(());
        }
        self.write("DELETE FROM given_up WHERE at < ?", vec![moment(before)?])?;
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
        }
        let rows: Vec<Row> = self.read("SELECT stored FROM keys WHERE key = ?", vec![id(key)])?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let stored: StoredKey = decode(&row.stored)?;
        Ok(Some(KnownKey {
            open: self.open_call(&stored.call),
            stored,
        }))
    }

    /// Forgets the keys of calls that were admitted before a moment.
    pub(super) fn forget_keys(&self, before: Timestamp) -> Outcome<()> {
        self.write(
            "DELETE FROM keys WHERE admitted_at < ?",
            vec![moment(before)?],
        )
    }

    // The outbox.

    /// The oldest rows that the database does not have, as a JSON array; none when there are none.
    pub(super) fn outbox(&self) -> Outcome<Option<String>> {
        #[derive(Deserialize)]
        struct Row {
            row: String,
        }
        let rows: Vec<Row> = self.read(
            "SELECT row FROM (SELECT row, row_number() OVER w AS number, sum(length(row)) OVER w AS bytes \
             FROM calls WHERE row IS NOT NULL WINDOW w AS (ORDER BY id)) WHERE number = 1 OR (number <= ? AND bytes <= ?)",
            vec![
                SqlStorageValue::Integer(ROWS_AT_ONCE),
                SqlStorageValue::Integer(BYTES_AT_ONCE),
            ],
        )?;
        if rows.is_empty() {
            return Ok(None);
        }
        let rows: Vec<String> = rows.into_iter().map(|row| row.row).collect();
        Ok(Some(format!("[{}]", rows.join(","))))
    }

    /// How a call ended whose row waits in the outbox.
    pub(super) fn unsent(&self, call: &str) -> Outcome<Option<HistoryRow>> {
        #[derive(Deserialize)]
        struct Row {
            row: String,
        }
        let rows: Vec<Row> = self.read(
            "SELECT row FROM calls WHERE id = ? AND row IS NOT NULL",
            vec![id(call)],
        )?;
        rows.first().map(|row| decode(&row.row)).transpose()
    }

    /// Removes rows that the database has; `sent` is the JSON array that was sent.
    pub(super) fn sent(&self, sent: &str) -> Outcome<()> {
        self.write(
            "DELETE FROM calls WHERE row IS NOT NULL AND id IN (SELECT value ->> 'id' FROM json_each(?))",
            vec![SqlStorageValue::String(sent.to_owned())],
        )
    }

    pub(super) fn has_open_calls(&self) -> bool {
        !self.memory.borrow().open.is_empty()
    }

    // SQL.

    fn read<T: DeserializeOwned>(
        &self,
        sql: &str,
        values: Vec<SqlStorageValue>,
    ) -> Outcome<Vec<T>> {
        self.sql
            .exec(sql, values)
            .and_then(|cursor| cursor.to_array())
            .map_err(fault)
    }

    fn write(&self, sql: &str, values: Vec<SqlStorageValue>) -> Outcome<()> {
        self.sql.exec(sql, values).map_err(fault)?;
        Ok(())
    }

    /// All of the statements, or none.
    fn write_all(&self, statements: Vec<Statement>) -> Outcome<()> {
        let sql = self.sql.clone();
        self.atomically(move || {
            for (statement, values) in statements {
                sql.exec(statement, values).map_err(fault)?;
            }
            Ok(())
        })
    }

    /// All writes of `step`, or none.
    fn atomically(&self, step: impl FnOnce() -> Outcome<()> + 'static) -> Outcome<()> {
        let refused = Rc::new(RefCell::new(None));
        let told = Rc::clone(&refused);
        let closure = Closure::once(move || {
            step().map_err(|failure| {
                let reason = JsValue::from_str(&failure.reason);
                told.replace(Some(failure));
                reason
            })
        });
        // workers-rs has no transactionSync; without it, an exception after a write would leave that write standing.
        let storage = self.storage.as_raw();
        let thrown = Reflect::get(storage, &JsValue::from_str("transactionSync"))
            .and_then(|transact| {
                transact
                    .unchecked_into::<Function>()
                    .call1(storage, closure.as_ref())
            })
            .err();
        match (refused.take(), thrown) {
            (Some(failure), _) => Err(failure),
            (None, Some(error)) => Err(Failure::unavailable(
                Dependency::Meter,
                format!("{error:?}"),
            )),
            (None, None) => Ok(()),
        }
    }
}

type Statement = (&'static str, Vec<SqlStorageValue>);

const USE: &str = "UPDATE known SET usage = ?";

fn remember(key: &StoredKey, at: Timestamp) -> Outcome<Statement> {
    Ok((
        "INSERT INTO keys (key, stored, call, admitted_at) VALUES (?, ?, ?, ?)",
        vec![id(&key.keyed.key), text(key), id(&key.call), moment(at)?],
    ))
}

impl Memory {
    fn use_up(&mut self, usage: &Usage) {
        if let Some(known) = &mut self.known {
            known.account.usage = usage.clone();
        }
    }
}

fn id(text: &str) -> SqlStorageValue {
    SqlStorageValue::String(text.to_owned())
}

fn moment(at: Timestamp) -> Outcome<SqlStorageValue> {
    SqlStorageValue::try_from_i64(at.millis()).map_err(fault)
}

fn text<T: serde::Serialize>(value: &T) -> SqlStorageValue {
    SqlStorageValue::String(String::from_utf8_lossy(&json(value)).into_owned())
}
