//! A metered call on its way to the data service and back: streamed both ways, admitted before, settled after.

use crate::body;
use crate::clock;
use crate::configuration;
use crate::database::within;
use crate::failure::{Failure, Outcome};
use crate::meter::client;
use crate::meter::message::Charging;
use js_sys::Uint8Array;
use legis_core::account::Identity;
use legis_core::history::{CallEnd, CallStart};
use legis_core::idempotency::{self, KeyedCall};
use legis_core::problem::{Dependency, Problem};
use legis_core::quota::{self, Decision, Refusal};
use legis_core::refusal;
use legis_core::time::Timestamp;
use std::time::Duration;
use uuid::Uuid;
use wasm_bindgen::JsValue;
use worker::{
    AbortController, Context, Env, Fetch, Headers, Method, Request, RequestInit, RequestRedirect,
    Response,
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

/// What the data service's headers may tell the caller. What is said of quotas, origins and caches is ours to say.
const HANDED_ON: [&str; 10] = [
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "ETag",
    "Last-Modified",
    "Link",
];

/// Admits the call, passes it on and settles it. A refused call never reaches the data service.
pub(crate) async fn call(
    request: &mut Request,
    target: &str,
    env: Env,
    context: &Context,
    identity: &Identity,
) -> Outcome<Response> {
    // What is missing is found before anything is charged.
    let base = configuration::upstream(&env)?;
    let (keyed, body) = keyed(request, target).await?;
    let url = format!("{}/{target}", base.trim_end_matches('/'));
    let outbound = outbound(request, &url, body)?;
    let call = Uuid::now_v7().to_string();
    let begun = clock::now();
    let millis = || u32::try_from(clock::now().since(begun)).unwrap_or(0);
    let settle = |end| {
        let (env, sub, call) = (env.clone(), identity.sub.clone(), call.clone());
        context.wait_until(async move {
            if let Err(failure) = client::settle(&env, &sub, call, end).await {
                worker::console_error!("settling failed: {}", failure.reason);
            }
        });
    };
    let failed = |problem: &Problem| CallEnd::Failed {
        status: problem.status(),
        millis: millis(),
        error: problem.code().to_owned(),
    };
    let start = start(request, target)?;
    let admitted = client::admit(&env, identity, &call, start, keyed).await;
    let decided = admitted.inspect_err(|failure| {
        // Without an answer of the meter, it may have admitted the call: nobody pays for that.
        if let Problem::Unavailable(Dependency::Meter)
        | Problem::TimedOut(Dependency::Meter)
        | Problem::Internal = failure.problem
        {
            settle(failed(&failure.problem));
        }
    })?;
    let now = decided.now;
    let admission = match decided.decision {
        Decision::Admit(admission) => admission,
        Decision::Refuse(refusal) => return Err(refused(refusal, now)),
    };
    if decided.charge == Charging::Before {
        let mut metered = refusal::headers(&Decision::Admit(admission), now);
        metered.push(("Legis-Call", decided.call));
        return answered(send(outbound).await, metered);
    }
    let answer = send(outbound).await;
    let end = match &answer {
        Ok(response) if response.status_code() < 500 => CallEnd::Answered {
            status: response.status_code(),
            millis: millis(),
        },
        Ok(response) => CallEnd::Failed {
            status: response.status_code(),
            millis: millis(),
            error: "the data service failed".to_owned(),
        },
        Err(failure) => failed(&failure.problem),
    };
    let left = if end.is_refunded() {
        quota::returned(&admission)
    } else {
        admission
    };
    settle(end);
    let mut metered = refusal::headers(&Decision::Admit(left), now);
    metered.push(("Legis-Call", call));
    answered(answer, metered)
}

fn answered(answer: Outcome<Response>, metered: Vec<(&'static str, String)>) -> Outcome<Response> {
    match answer {
        Ok(response) => inbound(response, &metered),
        Err(mut failure) => {
            failure.headers = metered;
            Err(failure)
        }
    }
}

/// The caller's name for the call, if there is one, and the body where it had to be read to know which call it names.
async fn keyed(
    request: &mut Request,
    target: &str,
) -> Outcome<(Option<KeyedCall>, Option<Vec<u8>>)> {
    let Some(key) = request.headers().get(idempotency::HEADER)? else {
        return Ok((None, None));
    };
    let method = request.method();
    let body = match method {
        Method::Post => Some(body::limited(request).await?),
        _ => None,
    };
    let sent = body.as_deref().unwrap_or_default();
    let keyed = KeyedCall::new(&key, method.as_ref(), target, sent).map_err(|_| {
        Problem::InvalidParameter("Idempotency-Key must be 1 to 255 visible ASCII characters.")
    })?;
    Ok((Some(keyed), body))
}

fn refused(refusal: Refusal, now: Timestamp) -> Failure {
    let reason = format!(
        "{}: {} of {} used on {}",
        refusal.reason.as_str(),
        refusal.used,
        refusal.limit,
        refusal.plan.as_str()
    );
    let headers = refusal::headers(&Decision::Refuse(refusal.clone()), now);
    Failure {
        headers,
        ..Failure::new(Problem::QuotaExceeded(Box::new(refusal)), reason)
    }
}

/// What the history says of the call.
fn start(request: &Request, target: &str) -> Outcome<CallStart> {
    let path = target.split('?').next().unwrap_or_default();
    let header = |name| request.headers().get(name);
    Ok(CallStart::new(
        request.method().as_ref(),
        &format!("/api/{path}"),
        header("CF-Connecting-IP")?.as_deref(),
        header("User-Agent")?.as_deref(),
    ))
}

/// The request to the data service.
fn outbound(request: &Request, url: &str, body: Option<Vec<u8>>) -> Outcome<Outbound> {
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
    // Some clients send a body with GET; it means nothing there, and fetch refuses it.
    if request.method() == Method::Post {
        let streamed = || request.inner().body().map(JsValue::from);
        let read = body.map(|body| JsValue::from(Uint8Array::from(body.as_slice())));
        init.with_body(read.or_else(streamed));
    }
    Ok(Outbound(Request::new_with_init(url, &init)?))
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
        Ok(Ok(response)) => match response.status_code() {
            // A redirection would show the caller an address they cannot reach.
            200..=299 | 304 | 400..=599 => Ok(response),
            status => {
                let reason = format!("the data service answered {status}");
                Err(Failure::new(Problem::BadGateway, reason))
            }
        },
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
    for name in HANDED_ON {
        if let Some(value) = response.headers().get(name)? {
            headers.set(name, &value)?;
        }
    }
    headers.set("Cache-Control", "private, no-cache")?;
    headers.set("X-Content-Type-Options", "nosniff")?;
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
