//! Rows, each a struct that says which columns it has and of what kind they are.

use crate::audit::{Code, Severity};
use crate::call::CallStatus;
use crate::json;
use crate::metrics::Outcome;
use crate::quota::Channel;
use crate::time::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use std::fmt;

/// A row as the database answers it: its columns by their names.
#[derive(Debug, Clone)]
pub struct Columns(Map<String, Json>);

impl Columns {
    /// Takes a column out.
    ///
    /// # Errors
    /// [`Unfit`] when it is not there, or not of its kind.
    pub fn take<T: Column>(&mut self, name: &'static str) -> Result<T, Unfit> {
        let value = self.0.remove(name);
        value.and_then(T::of).ok_or_else(|| Unfit::column(name))
    }
}

/// Reads rows, which the database writes as a JSON list of objects.
///
/// ```
/// legis_core::row! {
///     struct Counted { count: u32 }
/// }
/// let rows: Vec<Counted> = legis_core::row::read(r#"[{"count":3}]"#).unwrap();
/// assert_eq!(rows[0].count, 3);
/// let unfit = legis_core::row::read::<Counted>(r#"[{"count":-3}]"#).err().unwrap();
/// assert_eq!(unfit.to_string(), "column count");
/// ```
///
/// # Errors
/// [`Unfit`] for whatever is no row of that form.
pub fn read<T: Row>(json: &str) -> Result<Vec<T>, Unfit> {
    let mut read = Vec::new();
    for columns in objects(json)? {
        read.push(T::read(&mut Columns(columns))?);
    }
    Ok(read)
}

fn objects(json: &str) -> Result<Vec<Map<String, Json>>, Unfit> {
    json::read(json.as_bytes()).map_err(|error| Unfit(error.to_string()))
}

/// What is stored and breaks a rule that every row keeps: which row, and how. It is for operators, and has no value of a
/// person's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit(String);

impl Unfit {
    #[cold]
    fn column(name: &str) -> Self {
        Self(format!("column {name}"))
    }

    /// A row of a table.
    pub fn row(table: &str, why: impl fmt::Display) -> Self {
        Self(format!("row of {table}: {why}"))
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What is read from a row.
pub trait Row: Sized {
    /// Takes its columns.
    ///
    /// # Errors
    /// [`Unfit`] when one of them is not there, or not of its kind.
    fn read(columns: &mut Columns) -> Result<Self, Unfit>;
}

/// A kind of column.
pub trait Column: Sized {
    /// What a value of the database says, if it is of this kind.
    fn of(value: Json) -> Option<Self>;
}

impl<T: Column> Column for Option<T> {
    fn of(value: Json) -> Option<Self> {
        match value {
            Json::Null => Some(None),
            value => T::of(value).map(Some),
        }
    }
}

impl Column for String {
    fn of(value: Json) -> Option<Self> {
        match value {
            Json::String(text) => Some(text),
            _ => None,
        }
    }
}

impl Column for f64 {
    fn of(value: Json) -> Option<Self> {
        value.as_f64()
    }
}

impl Column for u64 {
    fn of(value: Json) -> Option<Self> {
        value.as_u64()
    }
}

impl Column for u32 {
    fn of(value: Json) -> Option<Self> {
        value.as_u64()?.try_into().ok()
    }
}

impl Column for u8 {
    fn of(value: Json) -> Option<Self> {
        value.as_u64()?.try_into().ok()
    }
}

impl Column for i32 {
    fn of(value: Json) -> Option<Self> {
        value.as_i64()?.try_into().ok()
    }
}

impl Column for Timestamp {
    fn of(value: Json) -> Option<Self> {
        Self::from_js(value.as_f64()?)
    }
}

/// Columns that hold a name of core's.
macro_rules! named {
    ($($kind:ty),*) => {
        $(impl Column for $kind {
            fn of(value: Json) -> Option<Self> {
                Self::deserialize(value).ok()
            }
        })*
    };
}

named!(CallStatus, Channel, Code, Outcome, Severity);

/// Makes a struct one that is read from a row whose columns have the names of its fields.
#[macro_export]
macro_rules! row {
    ($(#[$about:meta])* $seen:vis struct $name:ident { $($(#[$of:meta])* $shown:vis $field:ident: $kind:ty),* $(,)? }) => {
        $(#[$about])*
        $seen struct $name { $($(#[$of])* $shown $field: $kind),* }
        $crate::row! { $name { $($field),* } }
    };
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::row::Row for $name {
            #[allow(unused_variables, reason = "some only ask whether there is a row")]
            fn read(columns: &mut $crate::row::Columns) -> Result<Self, $crate::row::Unfit> {
                Ok(Self { $($field: columns.take(stringify!($field))?),* })
            }
        }
    };
}
