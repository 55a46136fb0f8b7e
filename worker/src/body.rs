//! Bodies of requests, never longer than they may be.

use crate::failure::Outcome;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use legis_core::problem::Problem;
use std::pin::pin;
use std::time::Duration;
use worker::{Delay, Request};

/// The longest body that is read.
const MAX_BODY: usize = 1 << 20;
/// How long a body may take to come.
const TIME_LIMIT: Duration = Duration::from_secs(15);

/// The body, if it is JSON of a decent length. Empty when there is none.
pub(crate) async fn json(request: &mut Request) -> Outcome<Vec<u8>> {
    let declared = request.headers().get("Content-Length")?;
    if declared
        .and_then(|length| length.parse::<usize>().ok())
        .is_some_and(|length| length > MAX_BODY)
    {
        return Err(Problem::PayloadTooLarge(MAX_BODY).into());
    }
    let media_type = request.headers().get("Content-Type")?;
    let body = limited(request).await?;
    let is_json = media_type.is_none_or(|media_type| {
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json")
    });
    if !body.is_empty() && !is_json {
        return Err(Problem::UnsupportedMediaType.into());
    }
    Ok(body)
}

/// Reads a body chunk by chunk, so that one of unknown length cannot fill the memory.
pub(crate) async fn limited(request: &mut Request) -> Outcome<Vec<u8>> {
    if request.inner().body().is_none() {
        return Ok(Vec::new());
    }
    let mut stream = request.stream()?;
    let read = async {
        let mut body = Vec::new();
        while let Some(chunk) = stream.next().await {
            body.extend_from_slice(&chunk?);
            if body.len() > MAX_BODY {
                return Err(Problem::PayloadTooLarge(MAX_BODY).into());
            }
        }
        Ok(body)
    };
    match select(pin!(read), pin!(Delay::from(TIME_LIMIT))).await {
        Either::Left((body, _)) => body,
        Either::Right(_) => Err(Problem::BodyTimedOut.into()),
    }
}
