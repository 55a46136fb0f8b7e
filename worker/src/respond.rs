//! Answers.

use crate::failure::{Failure, Outcome};
use legis_core::problem::{MEDIA_TYPE, Problem};
use legis_core::schema::Violations;
use legis_core::violation::Code;
use serde::Serialize;
use worker::{Headers, Response, ResponseBuilder, Result};

const JSON: &str = "application/json";

/// A JSON answer. Nothing of it may be kept by others: it is about one user, or changes with a release.
pub(crate) fn json<T: Serialize>(status: u16, value: &T) -> Result<Response> {
    bytes(status, JSON, legis_core::evaluate::json(value))
}

/// A JSON answer that core wrote.
pub(crate) fn written(body: Vec<u8>) -> Outcome<Response> {
    Ok(bytes(200, JSON, body)?)
}

/// The problem document.
pub(crate) fn problem(problem: &Problem) -> Result<Response> {
    let body = legis_core::evaluate::json(&problem.document());
    let response = bytes(problem.status(), MEDIA_TYPE, body)?;
    for (name, value) in problem.headers() {
        response.headers().set(name, &value)?;
    }
    Ok(response)
}

fn bytes(status: u16, media_type: &str, body: Vec<u8>) -> Result<Response> {
    let headers = Headers::new();
    headers.set("Content-Type", media_type)?;
    headers.set("Cache-Control", "no-store")?;
    headers.set("X-Content-Type-Options", "nosniff")?;
    Ok(ResponseBuilder::new()
        .with_status(status)
        .with_headers(headers)
        .fixed(body))
}

/// What a payload holds, or the problem it is: text that is not JSON at all is another kind than JSON that breaks rules.
pub(crate) fn decoded<T>(payload: std::result::Result<T, Violations>) -> Outcome<T> {
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
