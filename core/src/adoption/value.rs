//! Values and rows of an old database, where any column can hold anything.

use super::moment;
use crate::time::Timestamp;
use serde_json::{Map, Value, json};
use std::rc::Rc;

/// What a column of a row holds, whatever was declared.
#[derive(Debug, Clone, PartialEq)]
pub enum OldValue {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
    /// Text whose bytes are not UTF-8.
    BrokenText(Vec<u8>),
}

impl OldValue {
    /// Whether it says nothing: null, or text without a character that shows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.trim().is_empty(),
            _ => false,
        }
    }

    /// As a name of a row, by which others refer to it: `7`, `7.0` and `'7'` are one.
    ///
    /// ```
    /// use legis_core::adoption::OldValue;
    /// assert_eq!(OldValue::Integer(7).key(), OldValue::Text(" 7".into()).key());
    /// assert_eq!(OldValue::Null.key(), None);
    /// ```
    #[must_use]
    pub fn key(&self) -> Option<String> {
        match self {
            Self::Integer(number) => Some(number.to_string()),
            Self::Real(number) if number.is_finite() => Some(number.to_string()),
            Self::Text(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            _ => None,
        }
    }

    /// As JSON that loses nothing: what JSON has no value for is an object that names its kind.
    #[must_use]
    pub fn json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Integer(number) => json!(number),
            Self::Real(number) if number.is_finite() => json!(number),
            Self::Real(number) => json!({ "real": number.to_string() }),
            Self::Text(text) => json!(text),
            Self::Blob(bytes) => json!({ "blob": hex(bytes) }),
            Self::BrokenText(bytes) => json!({ "text": hex(bytes) }),
        }
    }

    /// A whole number from 0 to `max`, however it is written.
    #[must_use]
    pub fn whole(&self, max: u64) -> Option<u64> {
        let number = match self {
            Self::Integer(number) => u64::try_from(*number).ok(),
            Self::Real(number) => crate::whole::from_f64(*number),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.filter(|number| *number <= max)
    }
}

/// Hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The names of a table's columns, shared by its rows.
pub type Columns = Rc<[String]>;

/// A row of an old database.
#[derive(Debug, Clone)]
pub struct OldRow {
    /// What it is known by in its table, the same whenever it is read.
    pub key: String,
    /// The names of its columns.
    pub columns: Columns,
    /// What they hold.
    pub values: Vec<OldValue>,
}

impl OldRow {
    /// All of it as a JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        let pairs = self.columns.iter().zip(&self.values);
        let object: Map<String, Value> = pairs
            .map(|(column, value)| (column.clone(), value.json()))
            .collect();
        Value::Object(object).to_string()
    }

    /// How many bytes its values take.
    #[must_use]
    pub fn size(&self) -> usize {
        let sizes = self.values.iter().map(|value| match value {
            OldValue::Null => 0,
            OldValue::Integer(_) | OldValue::Real(_) => 8,
            OldValue::Text(text) => text.len(),
            OldValue::Blob(bytes) | OldValue::BrokenText(bytes) => bytes.len(),
        });
        sizes.fold(0, usize::saturating_add)
    }

    /// Begins to read it.
    #[must_use]
    pub fn read(&self) -> Reading<'_> {
        Reading {
            row: self,
            placed: vec![false; self.columns.len()],
        }
    }
}

/// Reads a row column by column, and remembers what of it found no place.
#[derive(Debug)]
pub struct Reading<'r> {
    row: &'r OldRow,
    placed: Vec<bool>,
}

const NULL: &OldValue = &OldValue::Null;

impl<'r> Reading<'r> {
    fn index(&self, column: &str) -> Option<usize> {
        self.row
            .columns
            .iter()
            .position(|name| name.eq_ignore_ascii_case(column))
    }

    /// Says whether what a column holds has a place in the new row.
    pub fn place(&mut self, column: &str, has_place: bool) {
        let index = self.index(column);
        if let Some(placed) = index.and_then(|index| self.placed.get_mut(index)) {
            *placed = has_place;
        }
    }

    /// What a column holds; it stays without a place until one is said.
    #[must_use]
    pub fn peek(&self, column: &str) -> &'r OldValue {
        self.index(column)
            .and_then(|index| self.row.values.get(index))
            .unwrap_or(NULL)
    }

    /// What `read` makes of a column; what it makes nothing of has no place.
    pub fn value<T>(
        &mut self,
        column: &str,
        read: impl FnOnce(&'r OldValue) -> Option<T>,
    ) -> Option<T> {
        let found = read(self.peek(column));
        self.place(column, found.is_some());
        found
    }

    /// The text of a column.
    pub fn text(&mut self, column: &str) -> Option<&'r str> {
        self.text_that(column, |_| true)
    }

    /// The text of a column, if it is one that may be carried over. One with a NUL would end there for some who read it.
    pub fn text_that(&mut self, column: &str, may: impl FnOnce(&str) -> bool) -> Option<&'r str> {
        self.value(column, |value| match value {
            OldValue::Text(text)
                if !text.trim().is_empty() && !text.contains('\0') && may(text) =>
            {
                Some(text.as_str())
            }
            _ => None,
        })
    }

    /// The whole number of a column, from 0 to `max`.
    pub fn whole(&mut self, column: &str, max: u64) -> Option<u64> {
        self.value(column, |value| value.whole(max))
    }

    /// The moment of a column.
    pub fn moment(&mut self, column: &str) -> Option<Timestamp> {
        self.value(column, moment::read)
    }

    /// The JSON of a column.
    pub fn json(&mut self, column: &str) -> Option<&'r str> {
        self.text_that(column, |text| {
            serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
        })
    }

    /// What found no place, as a JSON object; nothing when all did.
    #[must_use]
    pub fn aside(self) -> Option<String> {
        let columns = self.row.columns.iter().zip(&self.row.values);
        let left: Map<String, Value> = columns
            .zip(&self.placed)
            .filter(|((_, value), placed)| !**placed && !value.is_empty())
            .map(|((column, value), _)| (column.clone(), value.json()))
            .collect();
        (!left.is_empty()).then(|| Value::Object(left).to_string())
    }
}
