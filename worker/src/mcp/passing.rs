//! A message on its way to the MCP server, and its answer on the way back.

use super::settings::Settings;
use crate::answer::{Answer, Body, Headers};
use crate::clock;
use crate::failure::{Failure, Outcome};
use crate::platform::{self, Deadline, Outbound, Watched};
use crate::request::{Header, Request};
use crate::upstream::unanswered;
use js_sys::{Array, Uint8Array};
use legis_core::account::SessionProps;
use legis_core::call::CallEnd;
use legis_core::header;
use legis_core::ledger::UNSETTLED_AFTER_MILLIS;
use legis_core::mcp::answer::{Close, Form, Seen, end};
use legis_core::mcp::message::Call;
use legis_core::mcp::record::Recorder;
use legis_core::mcp::{identity, session};
use legis_core::problem::{Dependency, Problem};
use legis_core::time::Timestamp;
use std::future::Future;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

/// How much of an answer's end is kept to look at.
const KEPT_BYTES: usize = 256 * 1024;
/// How long nothing may come.
const SILENCE_MILLIS: u32 = 120_000;
/// How long an answer may take in all: a minute less than after what time the meter closes a call by itself.
const LONGEST_MILLIS: u32 = UNSETTLED_AFTER_MILLIS as u32 - 60_000;

/// What a caller's headers may tell the server, beside those of MCP. The caller's token is not among them.
const PASSED_ON: [Header; 6] = [
    Header::Accept,
    Header::AcceptLanguage,
    Header::LastEventId,
    Header::Traceparent,
    Header::Tracestate,
    Header::UserAgent,
];

/// What the server's headers may tell the caller; the first says what form the answer has.
const HANDED_ON: [&str; 5] = [
    "Content-Type",
    "MCP-Protocol-Version",
    "Allow",
    header::RETRY_AFTER,
    session::HEADER,
];

thread_local! {
    static NAMES: Array = platform::names(&HANDED_ON);
}

/// A message that may be passed on.
pub(super) struct Passing<'p> {
    pub(super) request: &'p Request,
    pub(super) settings: &'p Settings,
    /// Whose it is.
    pub(super) sub: &'p str,
    /// The server's id of the session.
    pub(super) session: Option<&'p str>,
    pub(super) body: Option<&'p [u8]>,
}

/// The server's answer: its head, and its body to come.
pub(super) struct Reached {
    status: u16,
    headers: Headers,
    form: Form,
    body: Option<web_sys::ReadableStream>,
}

impl Passing<'_> {
    /// Passes it on, with a word from us about the user.
    pub(super) async fn on(&self, props: &SessionProps, deadline: &Deadline) -> Outcome<Reached> {
        let issuer = &self.request.origin;
        let identity = identity::sign(props, issuer, &self.settings.secret, clock::now());
        let own = [
            Some((identity::HEADER, identity.as_str())),
            self.session.map(|id| (session::HEADER, id)),
            // Ours, not the caller's: a server must not read the bytes in another alphabet than we did.
            self.body.map(|_| ("Content-Type", "application/json")),
        ];
        let passed_on = PASSED_ON
            .into_iter()
            .filter_map(|header| Some((header.name(), self.request.header(header)?)));
        let outbound = Outbound {
            url: self.settings.upstream.clone(),
            method: self.request.method.clone(),
            headers: platform::lines(own.into_iter().flatten().chain(passed_on)),
            body: self
                .body
                .map_or(JsValue::UNDEFINED, |body| Uint8Array::from(body).into()),
        };
        let sent = outbound.send_message(self.request.inner(), deadline).await;
        let response = sent.map_err(|error| unanswered(&error, Dependency::McpServer))?;
        self.reached(&response)
    }

    fn reached(&self, response: &web_sys::Response) -> Outcome<Reached> {
        let head = NAMES.with(|names| platform::read_response(response, names));
        // The server trusts us or nobody; a caller who is sent to log in again could not help it.
        if !matches!(head.status, 200..=299 | 400..=599) || matches!(head.status, 401 | 403) {
            let reason = format!("the MCP server answered {}", head.status);
            return Err(Failure::new(
                Problem::BadGateway(Dependency::McpServer),
                reason,
            ));
        }
        let form = Form::of(head.headers.first().and_then(Option::as_deref));
        let mut headers: Headers = vec![
            ("Cache-Control", "no-store, no-transform".to_owned()),
            ("X-Content-Type-Options", "nosniff".to_owned()),
            ("X-Accel-Buffering", "no".to_owned()),
        ];
        for (name, value) in HANDED_ON.into_iter().zip(head.headers) {
            match value {
                Some(id) if name == session::HEADER => {
                    headers.push((name, session::seal(&id, self.sub, &self.settings.secret)));
                }
                Some(value) => headers.push((name, value)),
                None => {}
            }
        }
        Ok(Reached {
            status: head.status,
            headers,
            form,
            body: response.body(),
        })
    }
}

impl Reached {
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// The answer as it comes.
    pub(super) fn answer(self) -> Answer {
        Answer {
            status: self.status,
            headers: self.headers,
            body: self.body.map_or(Body::Empty, Body::Stream),
        }
    }

    /// The answer as it comes, and, when it has come, how the call ended.
    pub(super) fn watched(
        self,
        call: Call,
        recorder: Recorder,
        begun: Timestamp,
    ) -> (Answer, impl Future<Output = CallEnd> + 'static) {
        let (status, form) = (self.status, self.form);
        let watched = self
            .body
            .as_ref()
            .map(|body| Watched::watch(body, KEPT_BYTES, SILENCE_MILLIS, LONGEST_MILLIS));
        let passed = Self {
            body: watched.as_ref().map(Watched::body),
            ..self
        };
        let ended = async move {
            let (bytes, length, close) = match &watched {
                None => (Vec::new(), 0, Close::Complete),
                Some(watched) => {
                    // It is never rejected.
                    let _ = JsFuture::from(watched.end()).await;
                    (
                        watched.bytes(),
                        watched.length(),
                        Close::parse(&watched.close()),
                    )
                }
            };
            let seen = Seen {
                status,
                form,
                bytes: &bytes,
                length,
                close,
            };
            let millis = u32::try_from(clock::now().since(begun)).unwrap_or(0);
            end(seen, &call.id, call.arguments.as_ref(), millis, &recorder)
        };
        (passed.answer(), ended)
    }
}
