//! What a client sends: which message it is, read from the very bytes that are passed on.

use crate::call::cut;
use crate::json;
use crate::payload::text::ToolName;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the headers say of a message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headers<'h> {
    /// `MCP-Protocol-Version`
    pub version: Option<&'h str>,
    /// `Mcp-Method`
    pub method: Option<&'h str>,
    /// `Mcp-Name`
    pub name: Option<&'h str>,
}

/// The kinds of revisions, as far as they differ for a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revision {
    /// Until 2025-11-25: with sessions. Also where no version is named, which means 2025-03-26.
    Sessions,
    /// Since 2026-07-28: without sessions, with headers that repeat what a message is.
    Stateless,
}

impl Revision {
    /// The revision that a header names. Versions are dates, so they are ordered as texts are.
    ///
    /// ```
    /// use legis_core::mcp::message::Revision;
    /// assert_eq!(Revision::of(None), Revision::Sessions);
    /// assert_eq!(Revision::of(Some("2025-11-25")), Revision::Sessions);
    /// assert_eq!(Revision::of(Some("2026-07-28")), Revision::Stateless);
    /// ```
    #[must_use]
    pub fn of(version: Option<&str>) -> Self {
        match version {
            Some(version) if version >= "2026-07-28" => Self::Stateless,
            _ => Self::Sessions,
        }
    }
}

/// A message, as far as it matters.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// It calls a tool, which costs.
    Call(Box<Call>),
    /// It calls a request off, by its id.
    CallOff(Value),
    /// It asks for something that costs nothing, under an id.
    Ask(Value),
    /// A notification, or the answer to a question of the server's.
    Free,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// What the answer will be known by: a text or a number.
    pub id: Value,
    /// The tool.
    pub tool: String,
    /// What it is told.
    pub arguments: Option<Value>,
    /// Of which revision the call is.
    pub revision: Revision,
}

/// Why a message is not passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// It is not JSON, or a member comes twice: then the server might read another message than we do.
    Malformed,
    /// Several messages at once. Only 2025-03-26 had them, and each would have to be admitted for itself.
    Batch,
    /// It is no message of JSON-RPC 2.0.
    Invalid(&'static str),
    /// A header says something else than the body.
    Header {
        /// Which.
        name: &'static str,
        /// The message's id.
        id: Value,
    },
}

impl Unreadable {
    /// The code of JSON-RPC or of MCP.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self {
            Self::Malformed => -32700,
            Self::Batch | Self::Invalid(_) => -32600,
            Self::Header { .. } => -32020,
        }
    }

    /// What to do.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Malformed => "The body is not JSON, or has a member twice.".to_owned(),
            Self::Batch => "Send one message at a time: batches are not accepted.".to_owned(),
            Self::Invalid(what) => format!("This is no message of JSON-RPC 2.0: {what}."),
            Self::Header { name, .. } => {
                format!("The header {name} is missing or says something else than the body.")
            }
        }
    }

    /// The answer. Where which message it is about is known, it says so: clients of 2026-07-28 understand no other.
    #[must_use]
    pub fn answer(&self) -> Value {
        let id = match self {
            Self::Header { id, .. } => id,
            Self::Malformed | Self::Batch | Self::Invalid(_) => &Value::Null,
        };
        json!({
            "jsonrpc": "2.0",
            "id": id,
            "error": { "code": self.code(), "message": self.message() },
        })
    }
}

/// The members of JSON-RPC. One that comes twice is an error here, as everywhere where two programs read one text.
#[derive(Deserialize)]
struct Envelope {
    jsonrpc: String,
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    params: Option<Params>,
    #[serde(flatten)]
    others: BTreeMap<String, IgnoredAny>,
}

/// What of a message's parameters is looked at.
#[derive(Default, Deserialize)]
struct Params {
    #[serde(default)]
    name: Option<Value>,
    #[serde(default)]
    uri: Option<Value>,
    #[serde(default)]
    arguments: Option<Value>,
    #[serde(default, rename = "requestId")]
    request_id: Option<Value>,
    #[serde(default, rename = "_meta")]
    meta: Option<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, IgnoredAny>,
}

/// Whether some servers would read one of these names for one of `known`: those that take names in any case.
fn has_alias(names: &BTreeMap<String, IgnoredAny>, known: &[&str]) -> bool {
    names.keys().any(|name| {
        // Of the letters beyond ASCII two are another case of one within.
        let folded = name.to_lowercase().replace('\u{17f}', "s");
        known.contains(&folded.as_str())
    })
}

/// The requests whose target `Mcp-Name` repeats, and where the body has it.
const NAMED: [(&str, Target); 3] = [
    ("tools/call", |params| params.name.as_ref()),
    ("prompts/get", |params| params.name.as_ref()),
    ("resources/read", |params| params.uri.as_ref()),
];

type Target = fn(&Params) -> Option<&Value>;

const CALL: &str = "tools/call";
const CANCELLED: &str = "notifications/cancelled";

/// Where a message of 2026-07-28 says its revision, in `params._meta`.
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// Reads a message.
///
/// # Errors
/// [`Unreadable`] when it must not be passed on.
pub fn read(body: &[u8], headers: Headers<'_>) -> Result<Message, Unreadable> {
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Unreadable::Batch);
    }
    let envelope: Envelope = json::read(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data if !error.to_string().starts_with("duplicate") => {
            Unreadable::Invalid("a member is missing or of another kind")
        }
        _ => Unreadable::Malformed,
    })?;
    if envelope.jsonrpc != "2.0" {
        return Err(Unreadable::Invalid("jsonrpc must be \"2.0\""));
    }
    let params = envelope.params.as_ref();
    let aliases = has_alias(&envelope.others, &["jsonrpc", "id", "method", "params"])
        || params.is_some_and(|params| {
            let known = ["name", "uri", "arguments", "requestid", "_meta"];
            has_alias(&params.others, &known)
        });
    if aliases {
        return Err(Unreadable::Invalid("a member's name is in the wrong case"));
    }
    let meant = params.and_then(|params| params.meta.as_ref()?.get(VERSION)?.as_str());
    let revision = match Revision::of(headers.version) {
        // The body decides; a server that sees the header missing refuses it before it runs anything.
        Revision::Sessions => Revision::of(meant),
        stateless @ Revision::Stateless => stateless,
    };
    if revision == Revision::Stateless {
        let wrong = |name| Unreadable::Header {
            name,
            id: envelope.id.clone().unwrap_or(Value::Null),
        };
        if meant.is_some_and(|meant| headers.version != Some(meant)) {
            return Err(wrong("MCP-Protocol-Version"));
        }
        agree(&envelope, headers).map_err(wrong)?;
    }
    match envelope.method.as_deref() {
        Some(CALL) => {}
        Some(CANCELLED) => {
            return match envelope.params.and_then(|params| params.request_id) {
                None => Ok(Message::Free),
                Some(id) if is_known_by_its_answer(&id) => Ok(Message::CallOff(id)),
                // A server that took it for the id of a call would give that up, and we would not know.
                Some(_) => Err(Unreadable::Invalid(
                    "requestId must be a text or a whole number",
                )),
            };
        }
        method => {
            return match envelope.id {
                Some(id) if method.is_some() && is_known_by_its_answer(&id) => Ok(Message::Ask(id)),
                Some(_) if method.is_some() => Err(Unreadable::Invalid(
                    "an id must be a text or a whole number",
                )),
                _ => Ok(Message::Free),
            };
        }
    }
    match envelope.id {
        Some(id) if is_known_by_its_answer(&id) => call(id, envelope.params, revision),
        // A server that ran it all the same would run it for nothing.
        _ => Err(Unreadable::Invalid(
            "tools/call needs an id, a text or a whole number",
        )),
    }
}

/// Whether an answer will have the id as it is: JavaScript writes `1.0` as `1`, and whole numbers exactly only below 2^53.
fn is_known_by_its_answer(id: &Value) -> bool {
    match id {
        Value::String(_) => true,
        Value::Number(number) => number
            .as_i64()
            .is_some_and(|number| number.unsigned_abs() <= crate::whole::MAX),
        _ => false,
    }
}

fn call(id: Value, params: Option<Params>, revision: Revision) -> Result<Message, Unreadable> {
    let params = params.ok_or(Unreadable::Invalid("tools/call needs params"))?;
    let Some(Value::String(tool)) = params.name else {
        return Err(Unreadable::Invalid("tools/call needs params.name"));
    };
    Ok(Message::Call(Box::new(Call {
        id,
        tool: cut(&tool, ToolName::MAX),
        arguments: params.arguments,
        revision,
    })))
}

/// Whether the headers repeat what the body says, as 2026-07-28 asks for.
fn agree(envelope: &Envelope, headers: Headers<'_>) -> Result<(), &'static str> {
    let Some(method) = envelope.method.as_deref() else {
        return Ok(());
    };
    if headers.method != Some(method) {
        return Err("Mcp-Method");
    }
    let Some((_, target)) = NAMED.iter().find(|(named, _)| *named == method) else {
        return Ok(());
    };
    let params = envelope.params.as_ref();
    let name = params.and_then(|params| target(params)?.as_str());
    let said = headers.name.map(decoded);
    match name {
        Some(_) if said.as_deref() != name => Err("Mcp-Name"),
        _ => Ok(()),
    }
}

/// A header's value; what is beyond ASCII comes as base64 between marks.
fn decoded(value: &str) -> String {
    let encoded = value
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="));
    encoded
        .and_then(|encoded| STANDARD.decode(encoded).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_else(|| value.to_owned())
}
