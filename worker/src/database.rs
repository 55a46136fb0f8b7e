//! D1 with a time limit, typed values in and typed rows out. The only way to the database (`database.js`).

use crate::failure::{Failure, Outcome};
use crate::platform::{self, in_time};
use js_sys::Promise;
use legis_core::problem::{Dependency, Problem};
use legis_core::row::{self, Row, Unfit};
use legis_core::time::Timestamp;
use serde_json::Value as Json;
use std::time::Duration;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::JsFuture;
use worker::Env;

#[wasm_bindgen(module = "/src/database.js")]
extern "C" {
    fn batch(database: &JsValue, statements: &str) -> Promise;
}

/// How long the database may take.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// A value of a statement. Whole numbers arrive as doubles, which hold them exactly up to 2^53; core counts no further.
pub(crate) enum Value<'v> {
    Text(&'v str),
    OptionalText(Option<&'v str>),
    Moment(Timestamp),
    OptionalMoment(Option<Timestamp>),
    Count(u64),
    Id(u32),
    OptionalId(Option<u32>),
}

impl Value<'_> {
    fn json(&self) -> Json {
        match *self {
            Self::Text(text) | Self::OptionalText(Some(text)) => text.into(),
            Self::OptionalText(None) | Self::OptionalMoment(None) | Self::OptionalId(None) => {
                Json::Null
            }
            Self::Moment(moment) | Self::OptionalMoment(Some(moment)) => moment.millis().into(),
            Self::Count(count) => count.into(),
            Self::Id(id) | Self::OptionalId(Some(id)) => id.into(),
        }
    }
}

/// A statement with its values.
pub(crate) struct Statement(Json);

impl Statement {
    pub(crate) fn new(sql: &str, values: &[Value<'_>]) -> Self {
        let values = values.iter().map(Value::json);
        Self(std::iter::once(Json::from(sql)).chain(values).collect())
    }
}

/// What a statement did.
pub(crate) struct StatementResult {
    /// How many rows it changed.
    changes: u64,
    /// The rows it has, as JSON.
    rows: String,
}

/// The database of this deployment.
pub(crate) struct Database(JsValue);

impl Database {
    pub(crate) fn open(env: &Env) -> Outcome<Self> {
        platform::binding(env, "DB")
            .map(Self)
            .ok_or_else(|| Failure::new(Problem::Misconfigured, "binding DB"))
    }

    /// Runs the statements as one transaction.
    pub(crate) async fn batch(&self, statements: Vec<Statement>) -> Outcome<Vec<StatementResult>> {
        let statements: Json = statements.into_iter().map(|Statement(json)| json).collect();
        let answer = JsFuture::from(batch(&self.0, &statements.to_string()));
        let answer = in_time(TIME_LIMIT, Dependency::Database, answer)
            .await?
            .map_err(|error| failed(platform::message(&error)))?;
        answered(&answer.as_string().unwrap_or_default())
            .ok_or_else(|| Failure::corrupt("answer of the database", "not as asked for"))
    }

    /// Runs the statements as one transaction; how many rows they changed.
    pub(crate) async fn changes(&self, statements: Vec<Statement>) -> Outcome<u64> {
        let results = self.batch(statements).await?;
        Ok(results
            .iter()
            .fold(0, |sum, result| result.changes.saturating_add(sum)))
    }
}

/// The results of a batch, as `database.js` writes them.
fn answered(text: &str) -> Option<Vec<StatementResult>> {
    text.split('\x1e')
        .map(|result| {
            let (changes, rows) = result.split_once('\x1f')?;
            Some(StatementResult {
                changes: changes.parse().ok()?,
                rows: rows.to_owned(),
            })
        })
        .collect()
}

/// How many rows a statement changed.
pub(crate) fn changes(result: Option<&StatementResult>) -> u64 {
    result.map_or(0, |result| result.changes)
}

/// The rows of a result, decoded.
pub(crate) fn rows<T: Row>(what: &str, result: Option<&StatementResult>) -> Outcome<Vec<T>> {
    let result = result.ok_or_else(|| Failure::corrupt(what, "no result"))?;
    row::read(&result.rows).map_err(|unfit| Failure::corrupt(what, unfit))
}

/// The same, and what each of them says.
pub(crate) fn decoded<R: Row, T>(
    what: &str,
    result: Option<&StatementResult>,
    decode: impl Fn(R) -> Result<T, Unfit>,
) -> Outcome<Vec<T>> {
    let mut all = Vec::new();
    for row in rows(what, result)? {
        all.push(decode(row)?);
    }
    Ok(all)
}

/// The one row of a result that has at most one.
pub(crate) fn first<T: Row>(what: &str, result: Option<&StatementResult>) -> Outcome<Option<T>> {
    Ok(rows(what, result)?.into_iter().next())
}

fn failed(message: String) -> Failure {
    if message.contains("no such table") || message.contains("no such column") {
        return Failure::new(Problem::SchemaMismatch, message);
    }
    Failure::unavailable(Dependency::Database, message)
}
