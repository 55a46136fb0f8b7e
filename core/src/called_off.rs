//! Calls whose callers saw to it that nobody gets an answer. Such a call may have run all the same, so it is charged.
//!
//! Three things do that: a cancellation, the end of the session, and a second request under the same id, whose answer
//! then goes where the first one's should have gone: many servers know by the id alone whom they answer.

use crate::ledger::OpenCall;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::VecDeque;

/// A request to an MCP server. In one session an id is used once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The server's id of the session, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The request's id, as a text: some servers do not tell `3` from `"3"`.
    pub id: String,
}

impl Exchange {
    /// The request `id` of a session.
    ///
    /// ```
    /// use legis_core::called_off::Exchange;
    /// use serde_json::json;
    /// assert_eq!(Exchange::new(Some("s"), &json!(3)), Exchange::new(Some("s"), &json!("3")));
    /// ```
    #[must_use]
    pub fn new(session: Option<&str>, id: &Value) -> Self {
        Self {
            session: session.map(str::to_owned),
            id: name(id),
        }
    }
}

fn name(id: &Value) -> String {
    match id {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What a caller has called off: a request, or a session with all that is under way in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalledOff {
    /// The server's id of the session, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The request's id, as a text; all of them where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl CalledOff {
    /// The request `id` of a session.
    #[must_use]
    pub fn request(session: Option<&str>, id: &Value) -> Self {
        Self {
            session: session.map(str::to_owned),
            id: Some(name(id)),
        }
    }

    /// What a request that costs nothing calls off by its `id`: in a session that is used once. Clients of one server without
    /// sessions may have the same ids.
    ///
    /// ```
    /// use legis_core::called_off::CalledOff;
    /// use serde_json::json;
    /// assert!(CalledOff::by_reuse(Some("s"), &json!(3)).is_some());
    /// assert!(CalledOff::by_reuse(None, &json!(3)).is_none());
    /// ```
    #[must_use]
    pub fn by_reuse(session: Option<&str>, id: &Value) -> Option<Self> {
        session.map(|session| Self::request(Some(session), id))
    }

    /// A session.
    #[must_use]
    pub fn session(session: &str) -> Self {
        Self {
            session: Some(session.to_owned()),
            id: None,
        }
    }

    /// Whether it is about this call.
    #[must_use]
    pub fn is_about(&self, call: &OpenCall) -> bool {
        call.exchange
            .as_ref()
            .is_some_and(|exchange| self.names(exchange))
    }

    fn names(&self, exchange: &Exchange) -> bool {
        exchange.session == self.session && self.id.as_ref().is_none_or(|id| *id == exchange.id)
    }
}

/// Whether a caller waits for a call that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// They do.
    #[default]
    Still,
    /// They called it off. The tool may have run: without an answer nobody can tell.
    NoMore,
}

impl Awaited {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
    pub(crate) const fn is_still(&self) -> bool {
        matches!(self, Self::Still)
    }
}

/// For how long what was called off is remembered: requests that were sent together reach the gateway in one order, and the
/// server in another.
const REMEMBERED_MILLIS: i64 = 60 * 1000;
/// How much of it.
const REMEMBERED: usize = 1_000;

/// What a user called off in the last minute.
#[derive(Debug, Default)]
pub struct CalledOffLately(VecDeque<(CalledOff, Timestamp)>);

impl CalledOffLately {
    /// Remembers what was called off in a session. Clients of one server without sessions may have the same ids.
    pub fn note(&mut self, what: CalledOff, now: Timestamp) {
        if what.session.is_none() {
            return;
        }
        let is_recent =
            |at: &Timestamp| (-REMEMBERED_MILLIS..REMEMBERED_MILLIS).contains(&now.since(*at));
        while self
            .0
            .front()
            .is_some_and(|(_, at)| self.0.len() >= REMEMBERED || !is_recent(at))
        {
            self.0.pop_front();
        }
        self.0.push_back((what, now));
    }

    /// Whether anybody will wait for a call that is admitted now.
    #[must_use]
    pub fn awaited(&self, exchange: Option<&Exchange>, now: Timestamp) -> Awaited {
        let Some(exchange) = exchange else {
            return Awaited::Still;
        };
        let concerns = |(what, at): &(CalledOff, Timestamp)| {
            what.names(exchange) && now.since(*at) < REMEMBERED_MILLIS
        };
        match self.0.iter().any(concerns) {
            true => Awaited::NoMore,
            false => Awaited::Still,
        }
    }
}
