//! A metered call on its way to the data service and back: streamed both ways, admitted before, settled after.

use crate::body;
use crate::clock;
use crate::configuration;
use crate::database::within;
use crate::failure::{Failure, Outcome};
use crate::log::{self, Line};
use crate::meter::message::Charging;
use crate::meter::{client, settled};
use crate::metered;
use futures_channel::oneshot;
use js_sys::Uint8Array;
use legis_core::auth::claims::Caller;
use legis_core::call::{CallEnd, Called, Settler};
use legis_core::idempotency::KeyedCall;
use legis_core::problem::{Dependency, Problem};
use legis_core::quota::Decision;
use std::time::Duration;
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
    env: &Env,
    context: &Context,
    caller: &Caller,
    line: &mut Line,
) -> Outcome<Response> {
    // What is missing is found before anything is charged.
    let base = configuration::upstream(env)?;
    let (keyed, body) = keyed(request, target).await?;
    let url = format!("{}/{target}", base.trim_end_matches('/'));
    let outbound = outbound(request, &url, body)?;
    let path = target.split('?').next().unwrap_or_default();
    let called = Called::Endpoint {
        method: request.method().as_ref().to_owned(),
        path: format!("/api/{path}"),
    };
    let candidate =
        metered::candidate(request, called, caller.data_toll(), Settler::Gateway, keyed)?;
    let decided = metered::admit(env, context, &caller.identity, candidate, line).await?;
    let (now, call) = (decided.now, decided.call);
    let decision = match decided.decision {
        Decision::Refuse(refusal) => return Err(metered::refused(refusal, now)),
        admitted @ Decision::Admit(_) => admitted,
    };
    if decided.charging == Charging::Before {
        let metered = metered::headers(&decision, call, now);
        return answered(send(outbound).await, &metered);
    }
    let passed = pass_on(outbound, env, context, &caller.identity.sub, call.clone()).await?;
    if let Some(line) = &mut line.call {
        line.upstream_status = passed.end.status_code;
        line.upstream_ms = passed.end.millis;
    }
    let decision = settled(decision, passed.end.settled);
    answered(passed.answer, &metered::headers(&decision, call, now))
}

/// What came of a call that was passed on.
struct Passed {
    answer: Outcome<Response>,
    end: CallEnd,
}

/// Passes an admitted call on and settles it, whether or not its caller still waits: a caller who hangs up has been
/// served, and the outcome is known. Settling is nobody's wait.
async fn pass_on(
    outbound: Outbound,
    env: &Env,
    context: &Context,
    sub: &str,
    call: String,
) -> Outcome<Passed> {
    let (tell, told) = oneshot::channel();
    let (env, sub) = (env.clone(), sub.to_owned());
    context.wait_until(async move {
        let begun = clock::now();
        let answer = send(outbound).await;
        let millis = u32::try_from(clock::now().since(begun)).unwrap_or(0);
        let end = match &answer {
            Ok(response) => CallEnd::answered(response.status_code(), millis),
            Err(failure) => {
                CallEnd::failed(failure.problem.status(), millis, failure.problem.code())
            }
        };
        let passed = Passed {
            answer,
            end: end.clone(),
        };
        // When nobody listens any more, the answer is dropped and its connection with it.
        drop(tell.send(passed));
        if let Err(failure) = client::settle(&env, &sub, call, Settler::Gateway, end).await {
            // The meter closes the call later, with its outcome unknown.
            log::event("settling_failed", &failure);
        }
    });
    told.await
        .map_err(|_| Failure::new(Problem::Internal, "the call was cut off"))
}

fn answered(answer: Outcome<Response>, metered: &[(&'static str, String)]) -> Outcome<Response> {
    match answer {
        Ok(response) => inbound(response, metered),
        Err(mut failure) => {
            failure.headers = metered.to_vec();
            Err(failure)
        }
    }
}

/// The caller's name for the call, if there is one, and the body where it had to be read to know which call it names.
async fn keyed(
    request: &mut Request,
    target: &str,
) -> Outcome<(Option<KeyedCall>, Option<Vec<u8>>)> {
    let Some(key) = metered::key(request)? else {
        return Ok((None, None));
    };
    let method = request.method();
    let body = match method {
        Method::Post => Some(body::limited(request).await?),
        _ => None,
    };
    let sent = body.as_deref().unwrap_or_default();
    let keyed = metered::keyed(&key, method.as_ref(), target, sent)?;
    Ok((Some(keyed), body))
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
    metered::set(&headers, metered)?;
    let status = response.status_code();
    let (_, body) = response.into_parts();
    Ok(worker::ResponseBuilder::new()
        .with_status(status)
        .with_headers(headers)
        .body(body))
}
