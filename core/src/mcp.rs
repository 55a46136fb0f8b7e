//! The Model Context Protocol, as far as a gateway must understand it: which messages are tool calls, how they ended, and
//! what the server behind it is told of the user. Everything else passes as it came.
//!
//! Revisions 2025-03-26 to 2025-11-25 have sessions; 2026-07-28 has none and repeats in headers what a message is
//! (<https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http>).

pub mod answer;
pub mod identity;
pub mod message;
pub mod record;
pub mod resource;
pub mod session;

use crate::auth::secret::hmac;
use crate::quota::{Decision, Refusal};
use crate::refusal::{TextContent, ToolRefusal, tool_result};
use hmac::Hmac;
use message::{Call, Revision};
use serde::Serialize;
use serde_json::Value;
use sha2::Sha256;
use std::collections::BTreeMap;

/// The secret that the gateway and the server behind it share; what is signed with it cannot be made by others.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SigningSecret")
    }
}

impl SigningSecret {
    /// The fewest bytes: as many as HMAC-SHA256 yields (RFC 7518, section 3.2).
    pub const MIN: usize = 32;

    /// The secret, if it is long enough.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        (text.len() >= Self::MIN).then(|| Self(text.as_bytes().to_vec()))
    }

    fn sign(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        hmac(&self.0, parts)
    }
}

/// How a refused tool call is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RefusalForm {
    /// As the tool's result, which the model reads and can act on, with the decision as structured content.
    #[default]
    Result,
    /// The same, with the decision in `_meta` alone: for servers whose tools have output schemas, to which clients hold
    /// structured content also of an error.
    Text,
    /// As HTTP 429 with a problem document.
    Status,
}

impl RefusalForm {
    /// The form of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "result" => Some(Self::Result),
            "text" => Some(Self::Text),
            "status" => Some(Self::Status),
            _ => None,
        }
    }
}

/// A refusal as the answer to a tool call.
#[derive(Debug, Serialize)]
pub struct RefusedCall<'c> {
    jsonrpc: &'static str,
    id: &'c Value,
    result: RefusedResult,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RefusedResult {
    is_error: bool,
    content: [TextContent; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<Decision>,
    #[serde(rename = "_meta")]
    meta: BTreeMap<&'static str, Decision>,
    /// Since 2026-07-28 every result says whether it is the last word.
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
}

/// Where a refused result has the decision in its `_meta`, whatever its form.
pub const DECISION: &str = "legis-edge/decision";

/// The answer to `call` that was refused.
///
/// ```
/// # use legis_core::account::Account;
/// # let account: Account = serde_json::from_str(r#"{"user":{"id":1,"sub":"a","createdAt":"2026-01-01T00:00:00Z",
/// #   "updatedAt":"2026-01-01T00:00:00Z"},"entitlement":{"plan":"free","standing":"free","anchor":"2026-01-01T00:00:00Z",
/// #   "version":0},"usage":{"lifetime":{"start":"2026-01-01T00:00:00Z","used":100,"mcp":100}}}"#).unwrap();
/// use legis_core::mcp::{message::{Headers, Message, read}, refused, RefusalForm};
/// use legis_core::quota::{decide, Cost, Decision};
/// let body = br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get-bill"}}"#;
/// let Message::Call(call) = read(body, Headers::default()).unwrap() else { panic!("a call") };
/// let now = "2026-02-01T00:00:00Z".parse().unwrap();
/// let Decision::Refuse(refusal) = decide(&account.entitlement, &account.usage, Cost::ONE, now) else { panic!("refused") };
/// let answer = serde_json::to_value(refused(&call, &refusal, RefusalForm::Text)).unwrap();
/// assert_eq!((&answer["id"], &answer["result"]["isError"]), (&7.into(), &true.into()));
/// assert_eq!(answer["result"]["_meta"]["legis-edge/decision"]["suggestedPlan"], "developer");
/// ```
#[must_use]
pub fn refused<'c>(call: &'c Call, refusal: &Refusal, form: RefusalForm) -> RefusedCall<'c> {
    let ToolRefusal {
        is_error,
        content,
        structured_content,
    } = tool_result(refusal);
    RefusedCall {
        jsonrpc: "2.0",
        id: &call.id,
        result: RefusedResult {
            is_error,
            content,
            meta: BTreeMap::from([(DECISION, structured_content.clone())]),
            structured_content: (form == RefusalForm::Result).then_some(structured_content),
            result_type: (call.revision == Revision::Stateless).then_some("complete"),
        },
    }
}
