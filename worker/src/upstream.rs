//! A metered call on its way to the data service and back: streamed both ways, admitted before, settled after.

use crate::answer::{Answer, Body, Headers};
use crate::clock;
use crate::configuration;
use crate::failure::{Failure, Outcome};
use crate::log::Line;
use crate::meter::client;
use crate::meter::message::Charging;
use crate::metered;
use crate::platform::{self, Deadline, Outbound};
use crate::request::{Header, Request};
use js_sys::{Array, Uint8Array};
use legis_core::auth::claims::Caller;
use legis_core::call::{CallEnd, Called, Settler};
use legis_core::header;
use legis_core::idempotency::KeyedCall;
use legis_core::problem::{Dependency, Problem};
use legis_core::quota::{Decision, settled};
use wasm_bindgen::JsValue;
use worker::Env;
use worker::worker_sys::Context;

/// How long the answer may take to begin, the meter's part included.
const TIME_LIMIT_MILLIS: u32 = 30_000;

/// What a caller's headers may tell the data service. The caller's token is not among them.
const PASSED_ON: [Header; 10] = [
    Header::Accept,
    Header::AcceptLanguage,
    Header::ContentEncoding,
    Header::ContentType,
    Header::IfModifiedSince,
    Header::IfNoneMatch,
    Header::Range,
    Header::Traceparent,
    Header::Tracestate,
    Header::UserAgent,
];

thread_local! {
    static NAMES: Array = platform::names(&[header::HANDED_ON.as_slice(), &header::HANDED_ON_ANYWAY].concat());
}

/// Admits the call, passes it on and settles it. A refused call never reaches the data service.
pub(crate) async fn call(
    request: &Request,
    path: String,
    env: &Env,
    context: &Context,
    caller: &Caller,
    line: &mut Line,
) -> Outcome<Answer> {
    let target = match request.query.as_str() {
        "" => path,
        query => format!("{path}?{query}"),
    };
    // What is missing is found before anything is charged.
    let configuration = configuration::load(env).await?;
    let base = configuration.upstream()?;
    let (keyed, body) = keyed(request, &target).await?;
    let outbound = outbound(
        request,
        format!("{}/{target}", base.trim_end_matches('/')),
        body,
    );
    let path = target.split('?').next().unwrap_or_default();
    let called = Called::Endpoint {
        method: request.method.clone(),
        path: format!("/api/{path}"),
    };
    let keyless = keyed.is_none();
    let candidate = metered::candidate(
        request,
        line,
        called,
        caller.data_toll(),
        Settler::Gateway,
        keyed,
    );
    let deadline = Deadline::outliving(TIME_LIMIT_MILLIS, context);
    let identity = &caller.identity;
    let decided = metered::admit(env, identity, candidate, &deadline, line).await?;
    let (now, call) = (decided.now, decided.call);
    let decision = match decided.decision {
        Decision::Refuse(refusal) => return Err(metered::refused(refusal, now)),
        admitted @ Decision::Admit(_) => admitted,
    };
    let begun = clock::now();
    let answer = send(&outbound, &deadline).await;
    if decided.charging == Charging::NotNow {
        return answered(answer, metered::headers(&decision, call, now));
    }
    let millis = u32::try_from(clock::now().since(begun)).unwrap_or(0);
    let end = match &answer {
        Ok(answer) => CallEnd::answered(answer.status, millis),
        Err(failure) => CallEnd::failed(failure.problem.status(), millis, failure.problem.code()),
    };
    metered::note_upstream(line, end.status_code, end.millis);
    let headers = metered::headers(&settled(decision, end.settled), call.clone(), now);
    let urgency = metered::urgency(end.settled, keyless);
    client::end(env, &identity.sub, call, end, urgency);
    drop(deadline);
    answered(answer, headers)
}

fn answered(answer: Outcome<Answer>, metered: Headers) -> Outcome<Answer> {
    match answer {
        Ok(answer) => Ok(answer.with(metered)),
        Err(mut failure) => {
            failure.headers = metered;
            Err(failure)
        }
    }
}

/// The caller's name for the call, if there is one, and the body where it had to be read to know which call it names.
async fn keyed(request: &Request, target: &str) -> Outcome<(Option<KeyedCall>, Option<Vec<u8>>)> {
    let Some(key) = metered::key(request) else {
        return Ok((None, None));
    };
    let body = match request.method.as_str() {
        "POST" => Some(request.bytes().await?),
        _ => None,
    };
    let sent = body.as_deref().unwrap_or_default();
    let keyed = metered::keyed(key, &request.method, target, sent)?;
    Ok((Some(keyed), body))
}

/// The request to the data service.
fn outbound(request: &Request, url: String, body: Option<Vec<u8>>) -> Outbound {
    let headers = PASSED_ON
        .into_iter()
        .filter_map(|header| Some((header.name(), request.header(header)?)));
    // Some clients send a body with GET; it means nothing there, and fetch refuses it.
    let body = match (request.method.as_str(), body) {
        ("POST", Some(read)) => Uint8Array::from(read.as_slice()).into(),
        ("POST", None) => request
            .stream()
            .map_or(JsValue::UNDEFINED, |body| body.into()),
        _ => JsValue::UNDEFINED,
    };
    Outbound {
        url,
        method: request.method.clone(),
        headers: platform::lines(headers),
        body,
    }
}

/// The data service's answer as the caller gets it. The body is its own stream; it never enters the WASM module.
async fn send(outbound: &Outbound, deadline: &Deadline) -> Outcome<Answer> {
    let response = outbound
        .send(deadline)
        .await
        .map_err(|error| unanswered(&error, Dependency::Upstream))?;
    let head = NAMES.with(|names| platform::read_response(&response, names));
    // A redirection would show the caller an address they cannot reach.
    if !matches!(head.status, 200..=299 | 304 | 400..=599) {
        let reason = format!("the data service answered {}", head.status);
        return Err(Failure::new(
            Problem::BadGateway(Dependency::Upstream),
            reason,
        ));
    }
    let names = header::HANDED_ON
        .into_iter()
        .chain(header::HANDED_ON_ANYWAY);
    let handed_on = names.zip(head.headers);
    let mut headers: Headers = handed_on
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    headers.push(("Cache-Control", "private, no-cache".to_owned()));
    headers.push(("X-Content-Type-Options", "nosniff".to_owned()));
    Ok(Answer {
        status: head.status,
        headers,
        body: response.body().map_or(Body::Empty, Body::Stream),
    })
}

/// What it means that a service behind us did not answer: it is slow, or cannot be reached.
pub(crate) fn unanswered(error: &JsValue, service: Dependency) -> Failure {
    let mut failure = platform::failed(error, service);
    if !matches!(failure.problem, Problem::TimedOut(_)) {
        failure.problem = Problem::BadGateway(service);
    }
    failure
}
