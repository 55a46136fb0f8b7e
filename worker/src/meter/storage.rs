//! The object's own SQLite: one crossing for a whole step (`storage.js`).

use crate::failure::Failure;
use crate::platform::failed;
use legis_core::json;
use legis_core::problem::Dependency;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(module = "/src/meter/storage.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn write(storage: &JsValue, statements: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(catch)]
    fn read(storage: &JsValue, statement: &str) -> Result<String, JsValue>;
}

/// Statements for the storage of a Durable Object, each with its values.
pub(super) struct Statements(String);

impl Statements {
    pub(super) fn new(sql: &str, values: &[&str]) -> Self {
        Self(String::new()).and(sql, values)
    }

    /// One more.
    pub(super) fn and(mut self, sql: &str, values: &[&str]) -> Self {
        if !self.0.is_empty() {
            self.0.push('\x1e');
        }
        self.0.push_str(sql);
        for value in values {
            self.0.push('\x1f');
            // No JSON, id or key has these characters; a value that had would be two.
            self.0
                .extend(value.chars().filter(|c| !matches!(c, '\x1e' | '\x1f')));
        }
        self
    }

    /// Runs all of them, or none.
    pub(super) fn write(&self, storage: &JsValue) -> Result<(), Failure> {
        write(storage, &self.0).map_err(|error| failed(&error, Dependency::Meter))
    }

    /// The rows of the only one.
    pub(super) fn read<T: DeserializeOwned>(&self, storage: &JsValue) -> Result<Vec<T>, Failure> {
        let rows = read(storage, &self.0).map_err(|error| failed(&error, Dependency::Meter))?;
        json::read(rows.as_bytes()).map_err(|error| Failure::corrupt("row of a meter", error))
    }
}
