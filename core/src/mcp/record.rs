//! What is kept of a tool call's arguments and result: bounded, and without what is secret.

use crate::json;
use crate::payload::json::MAX_DEPTH;
use serde_json::{Map, Value, json};

/// The most bytes of JSON that are kept of arguments, and of a result.
pub const MAX_BYTES: usize = 16 * 1024;

/// Instead of what is secret.
pub const REDACTED: &str = "[redacted]";

/// Keeps what may be kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorder {
    /// Names of members, in lower case.
    secret: Vec<String>,
}

impl Recorder {
    /// One that keeps no member of these names, separated by commas, whatever their case and however deep they are.
    ///
    /// ```
    /// use legis_core::mcp::record::Recorder;
    /// use serde_json::json;
    /// let recorder = Recorder::parse("password, apiKey");
    /// let kept = recorder.record(&json!({"user": "ada", "login": {"PASSWORD": {"old": 1}}, "keys": [{"apikey": "k"}]}));
    /// assert_eq!(kept, json!({"user": "ada", "login": {"PASSWORD": "[redacted]"}, "keys": [{"apikey": "[redacted]"}]}));
    /// ```
    #[must_use]
    pub fn parse(names: &str) -> Self {
        let names = names.split(',').map(|name| name.trim().to_lowercase());
        Self {
            secret: names.filter(|name| !name.is_empty()).collect(),
        }
    }

    /// What is kept of `value`: all of it or, where it is too long or too deep, its size.
    #[must_use]
    pub fn record(&self, value: &Value) -> Value {
        let kept = self.redacted(value);
        let bytes = serde_json::to_vec(&kept).map_or(0, |text| text.len());
        if bytes > MAX_BYTES || is_deeper(&kept, MAX_DEPTH) {
            return json!({ "truncated": true, "bytes": bytes });
        }
        kept
    }

    fn redacted(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(|item| self.redacted(item)).collect(),
            Value::Object(members) => {
                // To collect them would sort them, which they are.
                let mut kept = Map::new();
                for (name, value) in members {
                    let value = match self.secret.contains(&name.to_lowercase()) {
                        true => Value::from(REDACTED),
                        false => self.redacted(value),
                    };
                    kept.insert(name.clone(), value);
                }
                Value::Object(kept)
            }
            Value::String(text) => Value::String(self.text(text)),
            other => other.clone(),
        }
    }

    /// What is kept of a text: servers repeat structured content as JSON in a text.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let is_json = !self.secret.is_empty() && text.trim_start().starts_with(['{', '[']);
        match is_json.then(|| json::read::<Value>(text.as_bytes())) {
            Some(Ok(value)) => self.redacted(&value).to_string(),
            _ => text.to_owned(),
        }
    }
}

/// Whether objects and lists are in each other more than `levels` deep: what carries them adds some of its own, and no reader
/// follows for ever.
fn is_deeper(value: &Value, levels: u32) -> bool {
    let inner = |value: &Value| is_deeper(value, levels.saturating_sub(1));
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(inner),
        Value::Object(members) => levels == 0 || members.values().any(inner),
        _ => false,
    }
}
