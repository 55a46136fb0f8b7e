//! What a meter keeps, in the object's own SQLite.

use super::message::Admission;
use crate::failure::{Failure, Outcome};
use legis_core::account::Account;
use legis_core::history::{CallStart, HistoryRow};
use legis_core::problem::{Dependency, Problem};
use legis_core::quota::{Charge, Decision};
use legis_core::time::Timestamp;
use serde::Deserialize;
use worker::{SqlStorage, SqlStorageValue};

/// The tables: the account as one row, the calls that are not settled yet, those given up before they came, and the
/// outbox: rows of the history that D1 does not have yet. A key is kept with the decision it got; its call is running while it is
/// among the open ones.
const SCHEMA: [&str; 6] = [
    "CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL, \
     asked_at INTEGER NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS abandoned_calls (id TEXT PRIMARY KEY, abandoned_at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS open_calls (id TEXT PRIMARY KEY, charge TEXT NOT NULL, start TEXT NOT NULL, \
     admitted_at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS keys (key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, call TEXT NOT NULL, \
     decision TEXT NOT NULL, admitted_at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS keys_by_call ON keys (call)",
    "CREATE TABLE IF NOT EXISTS outbox (id TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT, WITHOUT ROWID",
];

#[derive(Clone)]
pub(super) struct Ledger {
    sql: SqlStorage,
}

fn fault(error: worker::Error) -> Failure {
    Failure::new(Problem::Unavailable(Dependency::Meter), error.to_string())
}

#[derive(Deserialize)]
struct Json {
    json: String,
}

/// The account, and when the database was last asked about it.
pub(super) struct Known {
    pub(super) account: Account,
    pub(super) asked_at: Timestamp,
}

impl Ledger {
    pub(super) fn open(sql: SqlStorage) -> Outcome<Self> {
        for statement in SCHEMA {
            sql.exec(statement, None).map_err(fault)?;
        }
        Ok(Self { sql })
    }

    fn write(&self, sql: &str, values: Vec<SqlStorageValue>) -> Outcome<()> {
        self.sql.exec(sql, values).map_err(fault)?;
        Ok(())
    }

    pub(super) fn account(&self) -> Outcome<Option<Known>> {
        #[derive(Deserialize)]
        struct Row {
            json: String,
            asked_at: f64,
        }
        let rows: Vec<Row> = self
            .sql
            .exec("SELECT json, asked_at FROM account", None)
            .and_then(|cursor| cursor.to_array())
            .map_err(fault)?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let account = serde_json::from_str(&row.json)
            .map_err(|error| Failure::corrupt("row of a meter", error))?;
        let asked_at = Timestamp::from_js(row.asked_at).unwrap_or(Timestamp::EPOCH);
        Ok(Some(Known { account, asked_at }))
    }

    /// Stores what the database said.
    pub(super) fn learn(&self, account: &Account, asked_at: Timestamp) -> Outcome<()> {
        self.write(
            "INSERT INTO account (id, json, asked_at) VALUES (1, ?, ?) \
             ON CONFLICT (id) DO UPDATE SET json = excluded.json, asked_at = excluded.asked_at",
            vec![text(account), moment(asked_at)?],
        )
    }

    fn store(&self, account: &Account) -> Outcome<()> {
        self.write("UPDATE account SET json = ?", vec![text(account)])
    }

    /// Notes that nobody waits for a call any more, should it still come.
    pub(super) fn abandon(&self, call: &str, now: Timestamp) -> Outcome<()> {
        self.write(
            "INSERT INTO abandoned_calls (id, abandoned_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
            vec![id(call), moment(now)?],
        )
    }

    /// Whether nobody waits for a call that just came.
    pub(super) fn forget_abandoned(&self, call: &str) -> Outcome<bool> {
        let deleted = self
            .sql
            .exec("DELETE FROM abandoned_calls WHERE id = ?", vec![id(call)])
            .map_err(fault)?;
        Ok(deleted.rows_written() > 0)
    }

    /// Stores a charge: what is used, the open call, and its key.
    pub(super) fn admit(&self, admitted: &Admitted) -> Outcome<()> {
        let Admitted {
            account,
            charge,
            admission,
            decision,
            now,
        } = admitted;
        self.write(
            "INSERT INTO open_calls (id, charge, start, admitted_at) VALUES (?, ?, ?, ?)",
            vec![
                id(&admission.call),
                text(charge),
                text(&admission.start),
                moment(*now)?,
            ],
        )?;
        if let Some(keyed) = &admission.keyed {
            self.write(
                "INSERT INTO keys (key, fingerprint, call, decision, admitted_at) VALUES (?, ?, ?, ?, ?)",
                vec![
                    SqlStorageValue::String(keyed.key.clone()),
                    SqlStorageValue::String(keyed.fingerprint.clone()),
                    id(&admission.call),
                    text(decision),
                    moment(*now)?,
                ],
            )?;
        }
        self.store(account)
    }

    /// What is known of a key.
    pub(super) fn key(&self, key: &str) -> Outcome<Option<KnownKey>> {
        #[derive(Deserialize)]
        struct Row {
            fingerprint: String,
            call: String,
            decision: String,
        }
        let rows: Vec<Row> = self
            .sql
            .exec(
                "SELECT fingerprint, call, decision FROM keys WHERE key = ?",
                vec![SqlStorageValue::String(key.to_owned())],
            )
            .and_then(|cursor| cursor.to_array())
            .map_err(fault)?;
        let Some(row) = rows.into_iter().next() else {
            return Ok(None);
        };
        let decision = serde_json::from_str(&row.decision)
            .map_err(|error| Failure::corrupt("key of a meter", error))?;
        Ok(Some(KnownKey {
            running: self.open_call(&row.call)?.is_some(),
            fingerprint: row.fingerprint,
            call: row.call,
            decision,
        }))
    }

    /// Forgets calls that were given up before `moment` and never came.
    pub(super) fn forget_abandoned_before(&self, before: Timestamp) -> Outcome<()> {
        self.write(
            "DELETE FROM abandoned_calls WHERE abandoned_at < ?",
            vec![moment(before)?],
        )
    }

    /// Forgets the keys of calls that were admitted before `moment`.
    pub(super) fn forget_keys(&self, before: Timestamp) -> Outcome<()> {
        self.write(
            "DELETE FROM keys WHERE admitted_at < ?",
            vec![moment(before)?],
        )
    }

    pub(super) fn open_call(&self, call: &str) -> Outcome<Option<OpenCall>> {
        let calls = self.open_calls("WHERE id = ?", id(call))?;
        Ok(calls.into_iter().next())
    }

    /// The calls admitted before `moment` that nobody settled.
    pub(super) fn open_since(&self, before: Timestamp) -> Outcome<Vec<OpenCall>> {
        self.open_calls("WHERE admitted_at < ? LIMIT 500", moment(before)?)
    }

    fn open_calls(&self, condition: &str, value: SqlStorageValue) -> Outcome<Vec<OpenCall>> {
        #[derive(Deserialize)]
        struct Row {
            id: String,
            charge: String,
            start: String,
            admitted_at: f64,
        }
        let corrupt = |error| Failure::corrupt("open call of a meter", error);
        let rows: Vec<Row> = self
            .sql
            .exec(
                &format!("SELECT id, charge, start, admitted_at FROM open_calls {condition}"),
                vec![value],
            )
            .and_then(|cursor| cursor.to_array())
            .map_err(fault)?;
        rows.into_iter()
            .map(|row| {
                Ok(OpenCall {
                    charge: serde_json::from_str(&row.charge).map_err(corrupt)?,
                    start: serde_json::from_str(&row.start).map_err(corrupt)?,
                    admitted_at: Timestamp::from_js(row.admitted_at).unwrap_or(Timestamp::EPOCH),
                    id: row.id,
                })
            })
            .collect()
    }

    /// Closes a call: its row goes to the outbox, and its charge is taken back where `refunded` has the usage without it.
    pub(super) fn close(&self, row: &HistoryRow, refunded: Option<&Account>) -> Outcome<()> {
        self.write(
            "INSERT INTO outbox (id, json) VALUES (?, ?) ON CONFLICT DO NOTHING",
            vec![id(&row.id), text(row)],
        )?;
        self.write("DELETE FROM open_calls WHERE id = ?", vec![id(&row.id)])?;
        let Some(account) = refunded else {
            return Ok(());
        };
        // A call that was taken back never was: the next one under its key is charged.
        self.write("DELETE FROM keys WHERE call = ?", vec![id(&row.id)])?;
        self.store(account)
    }

    /// The oldest rows that D1 does not have yet, as the items of a JSON array.
    pub(super) fn outbox(&self, limit: u32) -> Outcome<Vec<String>> {
        let rows: Vec<Json> = self
            .sql
            .exec(
                "SELECT json FROM outbox ORDER BY id LIMIT ?",
                vec![SqlStorageValue::Integer(i64::from(limit))],
            )
            .and_then(|cursor| cursor.to_array())
            .map_err(fault)?;
        Ok(rows.into_iter().map(|row| row.json).collect())
    }

    /// Removes rows that D1 has; `sent` is the JSON array that was sent.
    pub(super) fn sent(&self, sent: &str) -> Outcome<()> {
        self.write(
            "DELETE FROM outbox WHERE id IN (SELECT value ->> 'id' FROM json_each(?))",
            vec![SqlStorageValue::String(sent.to_owned())],
        )
    }

    /// Whether a call is open or a row is not sent.
    pub(super) fn pending(&self) -> Outcome<Pending> {
        #[derive(Deserialize)]
        struct Row {
            unsent: f64,
            open: f64,
        }
        let rows: Vec<Row> = self
            .sql
            .exec(
                "SELECT EXISTS (SELECT 1 FROM outbox) AS unsent, EXISTS (SELECT 1 FROM open_calls) AS open",
                None,
            )
            .and_then(|cursor| cursor.to_array())
            .map_err(fault)?;
        Ok(match rows.first() {
            Some(row) if row.unsent > 0.0 => Pending::Rows,
            Some(row) if row.open > 0.0 => Pending::Calls,
            _ => Pending::Nothing,
        })
    }
}

/// Everything that is stored of an admitted call.
pub(super) struct Admitted {
    pub(super) account: Account,
    pub(super) charge: Charge,
    pub(super) admission: Admission,
    pub(super) decision: Decision,
    pub(super) now: Timestamp,
}

/// A key that was sent before.
pub(super) struct KnownKey {
    pub(super) fingerprint: String,
    /// The call it named.
    pub(super) call: String,
    /// Whether that call has no outcome yet.
    pub(super) running: bool,
    /// What was decided.
    pub(super) decision: Decision,
}

/// A call that was admitted and not settled.
pub(super) struct OpenCall {
    pub(super) id: String,
    pub(super) charge: Charge,
    pub(super) start: CallStart,
    pub(super) admitted_at: Timestamp,
}

/// What a meter still has to do.
pub(super) enum Pending {
    /// Rows to send.
    Rows,
    /// Calls to wait for.
    Calls,
    Nothing,
}

fn id(call: &str) -> SqlStorageValue {
    SqlStorageValue::String(call.to_owned())
}

fn moment(at: Timestamp) -> Outcome<SqlStorageValue> {
    SqlStorageValue::try_from_i64(at.millis()).map_err(fault)
}

fn text<T: serde::Serialize>(value: &T) -> SqlStorageValue {
    SqlStorageValue::String(
        String::from_utf8_lossy(&legis_core::evaluate::json(value)).into_owned(),
    )
}
