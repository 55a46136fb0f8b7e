//! Rows, each a struct that says which columns it has and of what kind they are.

use legis_core::audit::{Code, Severity};
use legis_core::call::CallStatus;
use legis_core::metrics::Outcome;
use legis_core::quota::Channel;
use legis_core::time::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use std::fmt;

/// A row as the database answers it: its columns by their names.
pub(crate) struct Columns(pub(super) Map<String, Json>);

/// A column that is not there, or not of its kind.
pub(crate) struct Unfit(&'static str);

impl fmt::Display for Unfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "column {}", self.0)
    }
}

impl Columns {
    pub(crate) fn take<T: Column>(&mut self, name: &'static str) -> Result<T, Unfit> {
        let value = self.0.remove(name);
        value.and_then(T::of).ok_or(Unfit(name))
    }
}

/// What is read from a row.
pub(crate) trait Row: Sized {
    fn read(columns: &mut Columns) -> Result<Self, Unfit>;
}

/// A kind of column.
pub(crate) trait Column: Sized {
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
macro_rules! row {
    ($(#[$about:meta])* $seen:vis struct $name:ident { $($(#[$of:meta])* $shown:vis $field:ident: $kind:ty),* $(,)? }) => {
        $(#[$about])*
        $seen struct $name { $($(#[$of])* $shown $field: $kind),* }
        $crate::database::row! { $name { $($field),* } }
    };
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::database::Row for $name {
            #[allow(unused_variables, reason = "some only ask whether there is a row")]
            fn read(columns: &mut $crate::database::Columns) -> Result<Self, $crate::database::Unfit> {
                Ok(Self { $($field: columns.take(stringify!($field))?),* })
            }
        }
    };
}
pub(crate) use row;
