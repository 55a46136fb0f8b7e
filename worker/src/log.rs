//! One structured line for each request. Ids are hashed; nothing personal and no secret is in it.

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

/// A short name for a subject that cannot be turned back into it by reading the log.
///
/// FNV-1a: it groups lines of one user; it is not a secret and need not resist an attacker who knows the subject.
pub(crate) fn pseudonym(sub: &str) -> String {
    let hash = sub.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
