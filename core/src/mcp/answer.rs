//! How a tool call ended, read from what passed by: the answer itself goes to the caller untouched.

use super::record::Recorder;
use crate::call::{CallEnd, CallStatus, Settled, cut};
use crate::json;
use crate::payload::text::ErrorText;
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
    let mut end = match seen.status {
        200..=299 => match find(seen, id) {
            Found::Answer(message) => told(&message, recorder),
            Found::Nothing => untold(seen.close),
            Found::Doubt => doubtful(seen),
        },
        status => CallEnd::answered(status, millis),
    };
    end.status_code = Some(seen.status);
    end.millis = Some(millis);
    end.request_data = arguments.map(|arguments| recorder.record(arguments));
    end
}

/// What was found of the answer to a call.
enum Found {
    Answer(Value),
    /// There is none: all that came was understood, and it was not among it.
    Nothing,
    /// There may be one: some of what came was not kept, or not understood, or the stream can be taken up again.
    Doubt,
}

fn find(seen: Seen<'_>, id: &Value) -> Found {
    let is_answer =
        |message: &Value| message.get("result").is_some() || message.get("error").is_some();
    let answers = |message: &Value| message.get("id") == Some(id) && is_answer(message);
    // Another request's answer where this one's belongs: this one's may have gone elsewhere.
    let is_strange =
        |message: &Value| is_answer(message) && message.get("id").is_some_and(|id| !id.is_null());
    let whole = seen.length <= seen.bytes.len();
    match seen.form {
        Form::Json if seen.length == 0 => Found::Nothing,
        Form::Json => match json::read(seen.bytes) {
            Ok(message) if answers(&message) => Found::Answer(message),
            // Half of a message is none.
            Err(_) if whole && seen.close != Close::Complete => Found::Nothing,
            _ => Found::Doubt,
        },
        Form::Events => {
            let text = String::from_utf8_lossy(seen.bytes);
            let mut understood = whole;
            for event in events(&text).rev() {
                match event {
                    Event::Message(message) if answers(&message) => return Found::Answer(message),
                    Event::Message(message) => understood &= !is_strange(&message),
                    Event::Unclear => understood = false,
                }
            }
            match understood {
                true => Found::Nothing,
                false => Found::Doubt,
            }
        }
    }
}

/// An event of a stream.
enum Event {
    Message(Value),
    /// It is not understood, or has an id, from which on the stream can be asked for again: the answer may come there.
    Unclear,
}

/// The complete events of a stream (HTML, section 9.2.6). The first may be the rest of one.
fn events(text: &str) -> impl DoubleEndedIterator<Item = Event> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let complete = text
        .rsplit_once("\n\n")
        .map_or("", |(complete, _)| complete);
    let events: Vec<Event> = complete.split("\n\n").flat_map(event).collect();
    events.into_iter()
}

/// What an event says: that it can be asked for again, and a message.
fn event(text: &str) -> impl Iterator<Item = Event> {
    let field = |name: &'static str| {
        let lines = text
            .split('\n')
            .filter_map(move |line| line.strip_prefix(name)?.strip_prefix(':'));
        lines.map(|rest| rest.strip_prefix(' ').unwrap_or(rest))
    };
    let id = field("id").next().map(|_| Event::Unclear);
    let data = field("data").collect::<Vec<_>>().join("\n");
    let message = (!data.is_empty()).then(|| match json::read::<Value>(data.as_bytes()) {
        Ok(message) if message.is_object() => Event::Message(message),
        // Several at once, as 2025-03-26 had them, among them.
        _ => Event::Unclear,
    });
    id.into_iter().chain(message)
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
            error: text(error.get("message"), recorder),
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
            true => text(first_text(result), recorder),
            false => None,
        },
        response_data: Some(recorder.record(result)),
        tokens_used: tokens(result),
        ..CallEnd::bare(status, Settled::Charged)
    }
}

/// The end of a call that was not answered.
fn untold(close: Close) -> CallEnd {
    let (status, settled, error) = match close {
        Close::Complete => (
            CallStatus::Error,
            Settled::Refunded,
            "the server did not answer the call",
        ),
        Close::Broken => (CallStatus::Error, Settled::Refunded, "the answer broke off"),
        Close::Silent => (
            CallStatus::Timeout,
            Settled::Refunded,
            "the server fell silent",
        ),
        Close::Cancelled => (
            CallStatus::Error,
            Settled::Charged,
            "cancelled by the caller",
        ),
    };
    CallEnd {
        error: Some(error.to_owned()),
        ..CallEnd::bare(status, settled)
    }
}

/// The end of a call that may have been answered: what cannot be told from an answer is paid, or nobody would pay who knows
/// how to make answers unclear.
fn doubtful(seen: Seen<'_>) -> CallEnd {
    let truncated = json!({ "truncated": true, "bytes": seen.length });
    let end = |status, error: &str| CallEnd {
        error: Some(error.to_owned()),
        response_data: Some(truncated.clone()),
        ..CallEnd::bare(status, Settled::Charged)
    };
    match seen.close {
        // Larger than what is kept to look at.
        Close::Complete if seen.length > seen.bytes.len() => CallEnd {
            response_data: Some(truncated),
            ..CallEnd::bare(CallStatus::Success, Settled::Charged)
        },
        Close::Cancelled => end(CallStatus::Error, "cancelled by the caller"),
        _ => end(
            CallStatus::Unknown,
            "the answer was not understood, or goes on in another stream",
        ),
    }
}

/// The first text of a result.
fn first_text(result: &Value) -> Option<&Value> {
    let content = result.get("content")?.as_array()?;
    let mut texts = content.iter().filter_map(|block| block.get("text"));
    texts.find(|text| text.is_string())
}

fn text(value: Option<&Value>, recorder: &Recorder) -> Option<String> {
    let text = value.and_then(Value::as_str)?;
    Some(cut(&recorder.text(text), ErrorText::MAX))
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
