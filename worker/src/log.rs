//! One structured line for each request. Ids are hashed; nothing personal and no secret is in it.

use legis_core::fnv::Fnv;
use serde::Serialize;

/// What an operator needs to answer "why was this call refused?".
#[derive(Debug, Default, Serialize)]
pub(crate) struct Line {
    pub(crate) request: String,
    pub(crate) method: String,
    pub(crate) route: &'static str,
    pub(crate) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<&'static str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    pub(crate) milliseconds: i64,
}

impl Line {
    pub(crate) fn write(&self) {
        if let Ok(text) = serde_json::to_string(self) {
            if self.status >= 500 {
                worker::console_error!("{text}");
            } else {
                worker::console_log!("{text}");
            }
        }
    }
}

/// A short name for a subject: it groups the lines of one user without naming them.
pub(crate) fn pseudonym(sub: &str) -> String {
    Fnv::default().with(sub.as_bytes()).hex()
}
