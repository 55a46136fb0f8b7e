//! Answers, as plain values until the last moment.

use crate::failure::{Failure, Outcome};
use crate::platform;
use js_sys::Uint8Array;
use legis_core::problem::{MEDIA_TYPE, Problem};
use legis_core::schema::Violations;
use legis_core::violation::Code;
use serde::Serialize;
use wasm_bindgen::JsValue;

const JSON: &str = "application/json";

/// Names and values.
pub(crate) type Headers = Vec<(&'static str, String)>;

/// What a caller is answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Body,
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Body {
    Empty,
    Bytes(Vec<u8>),
    /// Somebody else's, passed through without being looked at.
    Stream(web_sys::ReadableStream),
}

impl Answer {
    /// A JSON answer. Nothing of it may be kept by others: it is about one user, or changes with a release.
    pub(crate) fn json<T: Serialize>(status: u16, value: &T) -> Self {
        Self::bytes(status, JSON, legis_core::evaluate::json(value))
    }

    /// A JSON answer that core wrote.
    pub(crate) fn written(body: Vec<u8>) -> Self {
        Self::bytes(200, JSON, body)
    }

    /// The problem document, and what belongs to the answer beside it.
    pub(crate) fn problem(failure: &Failure) -> Self {
        let problem = &failure.problem;
        let body = legis_core::evaluate::json(&problem.document());
        let mut answer = Self::bytes(problem.status(), MEDIA_TYPE, body);
        answer.headers.extend(problem.headers());
        for (name, value) in &failure.headers {
            answer.set(name, value.clone());
        }
        answer
    }

    /// The problem document of a failure that whoever asks may know the reason of.
    pub(crate) fn explained(failure: &Failure) -> Self {
        let mut document = failure.problem.document();
        if !failure.reason.is_empty() {
            document.detail.clone_from(&failure.reason);
        }
        let mut answer = Self::problem(failure);
        answer.body = Body::Bytes(legis_core::evaluate::json(&document));
        answer
    }

    /// An answer of another type.
    pub(crate) fn bytes(status: u16, media_type: &str, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![
                ("Content-Type", media_type.to_owned()),
                ("Cache-Control", "no-store".to_owned()),
                ("X-Content-Type-Options", "nosniff".to_owned()),
            ],
            body: Body::Bytes(body),
        }
    }

    /// Sets a header, in the place of one of that name.
    pub(crate) fn set(&mut self, name: &'static str, value: String) {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
    }

    /// The answer with more headers.
    pub(crate) fn with(mut self, headers: Headers) -> Self {
        self.headers.extend(headers);
        self
    }

    /// The answer as the platform sends it.
    pub(crate) fn into_response(self) -> Result<web_sys::Response, JsValue> {
        let headers = self.headers.iter();
        let lines = platform::lines(headers.map(|(name, value)| (*name, value.as_str())));
        let body = match self.body {
            Body::Empty => JsValue::NULL,
            Body::Bytes(bytes) => Uint8Array::from(bytes.as_slice()).into(),
            Body::Stream(stream) => stream.into(),
        };
        platform::respond(self.status, &lines, &body)
    }
}

/// What a payload holds, or the problem it is: text that is not JSON at all is another kind than JSON that breaks rules.
pub(crate) fn decoded<T>(payload: Result<T, Violations>) -> Outcome<T> {
    payload.map_err(|violations| {
        let malformed = violations.iter().any(|violation| {
            matches!(
                violation.code,
                Code::Malformed { .. } | Code::TooDeep { .. }
            )
        });
        let codes: Vec<&str> = violations
            .iter()
            .map(|violation| violation.code.name())
            .collect();
        let reason = codes.join(" ");
        let problem = if malformed {
            Problem::MalformedJson(violations)
        } else {
            Problem::InvalidPayload(violations)
        };
        Failure::new(problem, reason)
    })
}
