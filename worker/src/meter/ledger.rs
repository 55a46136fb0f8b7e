//! What a meter keeps, in the object's own SQLite.

use crate::failure::{Failure, Outcome};
use legis_core::account::Account;
use legis_core::problem::{Dependency, Problem};
use legis_core::quota::Charge;
use legis_core::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use worker::{SqlStorage, SqlStorageValue};

/// The tables: the account as one row, and the calls that are not settled yet.
const SCHEMA: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL) STRICT",
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

    pub(super) fn account(&self) -> Outcome<Option<Account>> {
        self.read("SELECT json FROM account", Vec::new())
    }

    pub(super) fn store(&self, account: &Account) -> Outcome<()> {
        self.write(
            "INSERT INTO account (id, json) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET json = excluded.json",
            vec![text(account)],
        )
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
        let at = SqlStorageValue::try_from_i64(now.millis()).map_err(fault)?;
        self.write(
            "INSERT INTO open_calls (id, charge, admitted_at) VALUES (?, ?, ?)",
            vec![SqlStorageValue::String(call.to_owned()), text(charge), at],
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

fn text<T: serde::Serialize>(value: &T) -> SqlStorageValue {
    SqlStorageValue::String(
        String::from_utf8_lossy(&legis_core::evaluate::json(value)).into_owned(),
    )
}
