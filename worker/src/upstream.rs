//! A metered call on its way to the data service and back: streamed both ways, admitted before, settled after.

use crate::configuration;
use crate::database::within;
use crate::failure::{Failure, Outcome};
use crate::meter::client;
use crate::meter::message::CallOutcome;
use legis_core::account::Identity;
use legis_core::problem::{Dependency, Problem};
use legis_core::quota::{Channel, Decision};
use legis_core::refusal;
use std::time::Duration;
use uuid::Uuid;
use wasm_bindgen::JsValue;
use worker::{
    AbortController, Context, Env, Fetch, Headers, Request, RequestInit, RequestRedirect, Response,
};

/// How long the data service may take to begin its answer.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// What a caller's headers may tell the data service. The caller's token is not among them.
const PASSED_ON: [&str; 9] = [
    "Accept",
    "Accept-Language",
    "Content-Type",
    "If-Modified-Since",
    "If-None-Match",
    "Range",
    "Traceparent",
    "Tracestate",
    "User-Agent",
];

/// Headers of an answer that belong to one connection, or to another origin's cookies.
const KEPT_BACK: [&str; 6] = [
    "Connection",
    "Keep-Alive",
    "Set-Cookie",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

/// Admits the call, passes it on and settles it. A refused call never reaches the data service.
pub(crate) async fn call(
    request: &Request,
    env: Env,
    context: &Context,
    identity: &Identity,
) -> Outcome<Response> {
    // What is missing is found before anything is charged.
    let outbound = outbound(request, &configuration::variable(&env, "UPSTREAM_URL")?)?;
    let call = Uuid::now_v7().to_string();
    let (decision, now) = client::admit(&env, identity, &call, Channel::Rest).await?;
    let headers = refusal::headers(&decision, now);
    if let Decision::Refuse(refusal) = decision {
        let mut failure = Failure::from(Problem::QuotaExceeded(Box::new(refusal.clone())));
        failure.reason = format!(
            "{}: {} of {} used on {}",
            refusal.reason.as_str(),
            refusal.used,
            refusal.limit,
            refusal.plan.as_str()
        );
        failure.headers = headers;
        return Err(failure);
    }
    let answer = send(outbound).await;
    let outcome = match &answer {
        Ok(response) if response.status_code() < 500 => CallOutcome::Answered,
        _ => CallOutcome::Failed,
    };
    let (sub, settled) = (identity.sub.clone(), call.clone());
    context.wait_until(async move {
        if let Err(failure) = client::settle(&env, &sub, settled, outcome).await {
            worker::console_error!("settling failed: {}", failure.reason);
        }
    });
    let mut metered = headers;
    metered.push(("Legis-Call", call));
    match answer {
        Ok(response) => inbound(response, &metered),
        Err(mut failure) => {
            failure.headers = metered;
            Err(failure)
        }
    }
}

/// The request to the data service: `/api/bills?x=1` becomes `BASE/bills?x=1`.
fn outbound(request: &Request, base: &str) -> Outcome<Outbound> {
    let url = request.inner().url();
    let target = url
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('/'))
        .map(|(_, path)| path.strip_prefix("api/").unwrap_or(path))
        .unwrap_or_default();
    let headers = Headers::new();
    for name in PASSED_ON {
        if let Some(value) = request.headers().get(name)? {
            headers.set(name, &value)?;
        }
    }
    let mut init = RequestInit::new();
    init.with_method(request.method())
        .with_headers(headers)
        .with_redirect(RequestRedirect::Manual);
    if let Some(body) = request.inner().body() {
        init.with_body(Some(JsValue::from(body)));
    }
    let url = format!("{}/{target}", base.trim_end_matches('/'));
    Ok(Outbound(Request::new_with_init(&url, &init)?))
}

struct Outbound(Request);

async fn send(Outbound(request): Outbound) -> Outcome<Response> {
    let abort = AbortController::default();
    let signal = abort.signal();
    let fetch = Fetch::Request(request);
    match within(
        TIME_LIMIT,
        Dependency::Upstream,
        fetch.send_with_signal(&signal),
    )
    .await
    {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(Failure::new(Problem::BadGateway, error.to_string())),
        Err(late) => {
            abort.abort();
            Err(late)
        }
    }
}

/// The answer to the caller. The body is the upstream's own stream; it never enters the WASM module.
fn inbound(response: Response, metered: &[(&str, String)]) -> Outcome<Response> {
    let headers = Headers::new();
    for (name, value) in response.headers().entries() {
        if !KEPT_BACK
            .iter()
            .any(|kept| kept.eq_ignore_ascii_case(&name))
        {
            headers.append(&name, &value)?;
        }
    }
    for (name, value) in metered {
        headers.set(name, value)?;
    }
    let status = response.status_code();
    let (_, body) = response.into_parts();
    Ok(worker::ResponseBuilder::new()
        .with_status(status)
        .with_headers(headers)
        .body(body))
}
