//! How a tool call ended, read from what passed by: the answer itself goes to the caller untouched.

use super::record::Recorder;
use crate::call::{CallEnd, CallStatus, Settled, cut};
use serde_json::{Value, json};

/// What was seen of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'s> {
    /// The status of the answer.
    pub status: u16,
    /// The form of its body.
    pub form: Form,
    /// The end of the body: all of it, or as much as was kept.
    pub bytes: &'s [u8],
    /// How long the whole body was.
    pub length: usize,
    /// How it ended.
    pub close: Close,
}

/// The form of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One message.
    Json,
    /// A stream of messages (server-sent events).
    Events,
}

impl Form {
    /// The form that a media type names; JSON where it is another.
    #[must_use]
    pub fn of(media_type: Option<&str>) -> Self {
        let essence = media_type
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default();
        match essence.trim().eq_ignore_ascii_case("text/event-stream") {
            true => Self::Events,
            false => Self::Json,
        }
    }
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// It was complete.
    Complete,
    /// The server broke it off.
    Broken,
    /// Nothing came for too long.
    Silent,
    /// The caller went away, which is how a call is cancelled.
    Cancelled,
}

impl Close {
    /// The way of that name in `platform.js`.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        match name {
            "complete" => Self::Complete,
            "silent" => Self::Silent,
            "cancelled" => Self::Cancelled,
            _ => Self::Broken,
        }
    }
}

/// The code of JSON-RPC for a fault of the server's own.
const INTERNAL_ERROR: i64 = -32603;

/// The end of the call `id`, whose arguments were `arguments`.
#[must_use]
pub fn end(
    seen: Seen<'_>,
    id: &Value,
    arguments: Option<&Value>,
    millis: u32,
    recorder: &Recorder,
) -> CallEnd {
    let mut end = match (seen.status, message(seen, id)) {
        (200..=299, Some(message)) => told(&message, recorder),
        (200..=299, None) => untold(seen),
        (status, _) => CallEnd::answered(status, millis),
    };
    end.status_code = Some(seen.status);
    end.millis = Some(millis);
    end.request_data = arguments.map(|arguments| recorder.record(arguments));
    end
}

/// The message that answers the call.
fn message(seen: Seen<'_>, id: &Value) -> Option<Value> {
    let answers = |message: &Value| {
        message.get("id") == Some(id)
            && (message.get("result").is_some() || message.get("error").is_some())
    };
    match seen.form {
        Form::Json => serde_json::from_slice(seen.bytes).ok().filter(answers),
        Form::Events => events(&String::from_utf8_lossy(seen.bytes))
            .rev()
            .filter_map(|data| serde_json::from_str(&data).ok())
            .find(answers),
    }
}

/// The data of the events of a stream (HTML, section 9.2.6). The first may be the rest of one.
fn events(text: &str) -> impl DoubleEndedIterator<Item = String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let events: Vec<String> = text
        .split("\n\n")
        .map(|event| {
            let lines = event
                .split('\n')
                .filter_map(|line| line.strip_prefix("data:"));
            let lines = lines.map(|line| line.strip_prefix(' ').unwrap_or(line));
            lines.collect::<Vec<_>>().join("\n")
        })
        .filter(|data| !data.is_empty())
        .collect();
    events.into_iter()
}

/// The end that an answer tells. A tool that failed was called, as an address that answers 4xx was; a fault of the
/// server's own is nobody's to pay.
fn told(message: &Value, recorder: &Recorder) -> CallEnd {
    if let Some(error) = message.get("error") {
        let settled = match error.get("code").and_then(Value::as_i64) {
            Some(INTERNAL_ERROR) => Settled::Refunded,
            _ => Settled::Charged,
        };
        return CallEnd {
            error: text(error.get("message")),
            response_data: Some(recorder.record(error)),
            ..CallEnd::bare(CallStatus::Error, settled)
        };
    }
    let result = message.get("result").unwrap_or(&Value::Null);
    // Since 2026-07-28 a server may ask for more input; the call is then made again, and paid for when it is answered.
    if result.get("resultType").and_then(Value::as_str) == Some("input_required") {
        return CallEnd {
            error: Some("asked for input".to_owned()),
            ..CallEnd::bare(CallStatus::Error, Settled::Refunded)
        };
    }
    let failed = result.get("isError") == Some(&Value::Bool(true));
    let status = match failed {
        true => CallStatus::Error,
        false => CallStatus::Success,
    };
    CallEnd {
        error: match failed {
            true => text(result.pointer("/content/0/text")),
            false => None,
        },
        response_data: Some(recorder.record(result)),
        tokens_used: tokens(result),
        ..CallEnd::bare(status, Settled::Charged)
    }
}

/// The end of a call whose answer was not seen.
fn untold(seen: Seen<'_>) -> CallEnd {
    let failed = |status, settled, error: &str| CallEnd {
        error: Some(error.to_owned()),
        ..CallEnd::bare(status, settled)
    };
    match seen.close {
        // It was longer than what is kept: answered, and too large to look at.
        Close::Complete if seen.length > seen.bytes.len() => CallEnd {
            response_data: Some(json!({ "truncated": true, "bytes": seen.length })),
            ..CallEnd::bare(CallStatus::Success, Settled::Charged)
        },
        Close::Complete => failed(
            CallStatus::Error,
            Settled::Refunded,
            "the server did not answer the call",
        ),
        Close::Broken => failed(CallStatus::Error, Settled::Refunded, "the answer broke off"),
        Close::Silent => failed(
            CallStatus::Timeout,
            Settled::Refunded,
            "the server fell silent",
        ),
        Close::Cancelled => failed(
            CallStatus::Error,
            Settled::Charged,
            "cancelled by the caller",
        ),
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(|text| cut(text, 2000))
}

/// The tokens of a language model, where the result tells them: `_meta.tokensUsed`, or `_meta.usage` as model APIs have it.
fn tokens(result: &Value) -> Option<u32> {
    let meta = result.get("_meta")?;
    let number = |value: Option<&Value>| u32::try_from(value?.as_u64()?).ok();
    let usage = meta.get("usage");
    let of = |name: &str| number(usage?.get(name));
    number(meta.get("tokensUsed"))
        .or_else(|| of("total_tokens"))
        .or_else(|| of("totalTokens"))
        .or_else(|| of("input_tokens")?.checked_add(of("output_tokens")?))
}
