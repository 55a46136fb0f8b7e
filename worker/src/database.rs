//! D1 with a time limit, typed values in and typed rows out. The only way to the database.

use crate::failure::{Failure, Outcome};
use crate::platform;
use legis_core::problem::{Dependency, Problem};
use legis_core::time::Timestamp;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::time::Duration;
use wasm_bindgen::JsValue;
use worker::{D1Database, D1PreparedStatement, D1Result, Env};

/// How long the database may take.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// `future`, or a failure when it takes longer than `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    dependency: Dependency,
    future: impl Future<Output = T>,
) -> Outcome<T> {
    platform::within(limit, future).await.ok_or_else(|| {
        Failure::new(
            Problem::TimedOut(dependency),
            format!("no answer within {limit:?}"),
        )
    })
}

/// A value of a statement. D1 takes no BigInt, so whole numbers go as doubles, which hold them exactly up to 2^53.
pub(crate) enum Value<'v> {
    Text(&'v str),
    OptionalText(Option<&'v str>),
    Moment(Timestamp),
    OptionalMoment(Option<Timestamp>),
    Count(u64),
    Id(u32),
    OptionalId(Option<u32>),
}

impl From<&Value<'_>> for JsValue {
    fn from(value: &Value<'_>) -> Self {
        match value {
            Value::Text(text) | Value::OptionalText(Some(text)) => Self::from_str(text),
            Value::OptionalText(None) | Value::OptionalMoment(None) | Value::OptionalId(None) => {
                Self::NULL
            }
            #[allow(
                clippy::cast_precision_loss,
                reason = "moments end in 9999, far below 2^53"
            )]
            Value::Moment(moment) | Value::OptionalMoment(Some(moment)) => {
                Self::from_f64(moment.millis() as f64)
            }
            #[allow(clippy::cast_precision_loss, reason = "core counts to 2^53 at most")]
            Value::Count(count) => Self::from_f64(*count as f64),
            Value::Id(id) | Value::OptionalId(Some(id)) => Self::from_f64(f64::from(*id)),
        }
    }
}

/// The database of this deployment.
pub(crate) struct Database(D1Database);

impl Database {
    pub(crate) fn open(env: &Env) -> Outcome<Self> {
        env.d1("DB")
            .map(Self)
            .map_err(|error| Failure::new(Problem::Misconfigured, format!("binding DB: {error}")))
    }

    pub(crate) fn statement(
        &self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Outcome<D1PreparedStatement> {
        let values: Vec<JsValue> = values.iter().map(JsValue::from).collect();
        let statement = self.0.prepare(sql);
        if values.is_empty() {
            return Ok(statement);
        }
        statement.bind(&values).map_err(Failure::from)
    }

    /// Runs the statements as one transaction.
    pub(crate) async fn batch(
        &self,
        statements: Vec<D1PreparedStatement>,
    ) -> Outcome<Vec<D1Result>> {
        within(TIME_LIMIT, Dependency::Database, self.0.batch(statements))
            .await?
            .map_err(failed)
    }

    /// Runs the statements as one transaction; how many rows they changed.
    pub(crate) async fn changes(&self, statements: Vec<D1PreparedStatement>) -> Outcome<u64> {
        let results = self.batch(statements).await?;
        results.iter().try_fold(0_u64, |sum, result| {
            Ok(sum.saturating_add(changes(Some(result))?))
        })
    }
}

/// How many rows a statement changed.
pub(crate) fn changes(result: Option<&D1Result>) -> Outcome<u64> {
    let meta = result.map(|result| result.meta().map_err(failed));
    let changed = meta.transpose()?.flatten().and_then(|meta| meta.changes);
    Ok(changed
        .and_then(|changed| u64::try_from(changed).ok())
        .unwrap_or(0))
}

/// The rows of a result, decoded.
pub(crate) fn rows<T: DeserializeOwned>(what: &str, result: Option<&D1Result>) -> Outcome<Vec<T>> {
    let result = result.ok_or_else(|| Failure::corrupt(what, "no result"))?;
    result
        .results()
        .map_err(|error| Failure::corrupt(what, error))
}

/// The one row of a result that has at most one.
pub(crate) fn row<T: DeserializeOwned>(
    what: &str,
    result: Option<&D1Result>,
) -> Outcome<Option<T>> {
    Ok(rows(what, result)?.into_iter().next())
}

/// The message of an error of D1; the error's own text does not have it.
fn failed(error: worker::Error) -> Failure {
    let message = match &error {
        worker::Error::D1(error) => error.cause(),
        other => other.to_string(),
    };
    if message.contains("no such table") || message.contains("no such column") {
        return Failure::new(Problem::SchemaMismatch, message);
    }
    Failure::unavailable(Dependency::Database, message)
}
