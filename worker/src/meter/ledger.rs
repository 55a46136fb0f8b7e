//! What a meter keeps, in the object's own SQLite.

use crate::failure::{Failure, Outcome};
use legis_core::account::Account;
use legis_core::problem::{Dependency, Problem};
use legis_core::quota::Charge;
use legis_core::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use worker::{SqlStorage, SqlStorageValue};

/// The tables: the account as one row, the calls that are not settled yet, and those given up before they came.
const SCHEMA: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL, \
     asked_at INTEGER NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS abandoned_calls (id TEXT PRIMARY KEY, abandoned_at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS open_calls (id TEXT PRIMARY KEY, charge TEXT NOT NULL, admitted_at INTEGER NOT NULL) \
     STRICT, WITHOUT ROWID",
];

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

    fn read<T: DeserializeOwned>(
        &self,
        sql: &str,
        values: Vec<SqlStorageValue>,
    ) -> Outcome<Option<T>> {
        let rows: Vec<Json> = self
            .sql
            .exec(sql, values)
            .and_then(|cursor| cursor.to_array())
            .map_err(fault)?;
        rows.first()
            .map(|row| serde_json::from_str(&row.json))
            .transpose()
            .map_err(|error| Failure::corrupt("row of a meter", error))
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
            vec![SqlStorageValue::String(call.to_owned()), moment(now)?],
        )
    }

    /// Whether nobody waits for a call that just came.
    pub(super) fn forget_abandoned(&self, call: &str) -> Outcome<bool> {
        let deleted = self
            .sql
            .exec(
                "DELETE FROM abandoned_calls WHERE id = ?",
                vec![SqlStorageValue::String(call.to_owned())],
            )
            .map_err(fault)?;
        Ok(deleted.rows_written() > 0)
    }

    /// Stores a charge: what is used and the open call. Both writes lie in one step of the object, which commits
    /// them together.
    pub(super) fn admit(
        &self,
        account: &Account,
        call: &str,
        charge: &Charge,
        now: Timestamp,
    ) -> Outcome<()> {
        self.store(account)?;
        self.write(
            "INSERT INTO open_calls (id, charge, admitted_at) VALUES (?, ?, ?)",
            vec![
                SqlStorageValue::String(call.to_owned()),
                text(charge),
                moment(now)?,
            ],
        )
    }

    pub(super) fn open_call(&self, call: &str) -> Outcome<Option<Charge>> {
        self.read(
            "SELECT charge AS json FROM open_calls WHERE id = ?",
            vec![SqlStorageValue::String(call.to_owned())],
        )
    }

    /// Closes a call, and takes its charge back where `refunded` has the usage without it.
    pub(super) fn close(&self, call: &str, refunded: Option<&Account>) -> Outcome<()> {
        self.write(
            "DELETE FROM open_calls WHERE id = ?",
            vec![SqlStorageValue::String(call.to_owned())],
        )?;
        refunded.map_or(Ok(()), |account| self.store(account))
    }
}

fn moment(at: Timestamp) -> Outcome<SqlStorageValue> {
    SqlStorageValue::try_from_i64(at.millis()).map_err(fault)
}

fn text<T: serde::Serialize>(value: &T) -> SqlStorageValue {
    SqlStorageValue::String(
        String::from_utf8_lossy(&legis_core::evaluate::json(value)).into_owned(),
    )
}
