//! The MCP gateway: any server of Streamable HTTP behind the caller's allowance. Tool calls are admitted before the server
//! hears of them; everything else passes free. Both ways the bytes are the sender's own, and streams are not held up.

mod passing;
pub(crate) mod settings;

use crate::answer::Answer;
use crate::clock;
use crate::configuration;
use crate::failure::{Failure, Outcome};
use crate::handlers::person;
use crate::log::Line;
use crate::meter::client::{self, Urgency};
use crate::meter::message::{Charging, Decided};
use crate::metered;
use crate::platform::{self, Deadline};
use crate::request::{Header, Request};
use legis_core::account::{SessionProps, session_props};
use legis_core::auth::claims::Caller;
use legis_core::auth::issuer::allows_origin;
use legis_core::call::{CallEnd, Called, Settler, Toll};
use legis_core::called_off::{CalledOff, Exchange};
use legis_core::header;
use legis_core::ledger::Candidate;
use legis_core::mcp::message::{Call, Headers as Said, Message, read};
use legis_core::mcp::resource::{SCOPE, challenge};
use legis_core::mcp::{RefusalForm, refused, session};
use legis_core::payload::format::loopback;
use legis_core::problem::Problem;
use legis_core::quota::{Decision, Refusal, settled};
use legis_core::route::Resource;
use legis_core::time::Timestamp;
use passing::Passing;
use settings::Settings;
use worker::Env;
use worker::worker_sys::Context;

/// How long the answer may take to begin, the meter's part included.
const TIME_LIMIT_MILLIS: u32 = 30_000;

/// Answers a request to `/mcp`. Who may not come in is told where tokens come from (RFC 9728, section 5.1).
pub(crate) async fn answer(
    request: &Request,
    env: &Env,
    context: &Context,
    line: &mut Line,
) -> Outcome<Answer> {
    let passed = pass(request, env, context, line).await;
    passed.map_err(|mut failure| {
        let known = failure.problem.headers();
        let asked = known.iter().find(|(name, _)| *name == header::AUTHENTICATE);
        if let Some((name, known)) = asked {
            let told = challenge(known, &request.origin, Resource::Mcp.path());
            failure.headers.push((name, told));
        }
        failure
    })
}

async fn pass(request: &Request, env: &Env, context: &Context, line: &mut Line) -> Outcome<Answer> {
    let settings = Settings::read(env)?.ok_or(Problem::NotFound)?;
    check_origin(request, env).await?;
    let caller = person(request, env, line).await?;
    if !caller.may(SCOPE) {
        return Err(Problem::InsufficientScope(SCOPE).into());
    }
    let session = match request.header(Header::McpSessionId) {
        None => None,
        Some(sealed) => Some(
            session::open(sealed, &caller.identity.sub, &settings.secret)
                .ok_or(Problem::UnknownSession)?,
        ),
    };
    let body = match request.method.as_str() {
        "POST" => Some(message(request).await?),
        _ => None,
    };
    let passing = Passing {
        request,
        settings: &settings,
        sub: &caller.identity.sub,
        session,
        body: body.as_deref(),
    };
    let Some(body) = &body else {
        let called_off = match request.method.as_str() {
            "DELETE" => session.map(CalledOff::session),
            _ => None,
        };
        return free(&passing, env, &caller, called_off).await;
    };
    let said = Said {
        version: request.header(Header::McpProtocolVersion),
        method: request.header(Header::McpMethod),
        name: request.header(Header::McpName),
    };
    match read(body, said) {
        Ok(Message::Call(call)) => metered_call(&passing, *call, env, context, &caller, line).await,
        Ok(Message::CallOff(id)) => {
            let called_off = CalledOff::request(session, &id);
            free(&passing, env, &caller, Some(called_off)).await
        }
        Ok(Message::Ask(id)) => {
            let called_off = CalledOff::by_reuse(session, &id);
            free(&passing, env, &caller, called_off).await
        }
        Ok(Message::Free) => free(&passing, env, &caller, None).await,
        Err(unreadable) => {
            line.problem = Some("unreadable_message");
            line.reason = unreadable.message();
            Ok(Answer::json(400, &unreadable.answer()))
        }
    }
}

/// The bytes of a message, which are UTF-8, whatever the caller calls them.
async fn message(request: &Request) -> Outcome<Vec<u8>> {
    let media_type = request.header(Header::ContentType).unwrap_or_default();
    let charset = media_type.to_ascii_lowercase();
    let named = charset.split_once("charset=").map(|(_, rest)| {
        let named = rest.split(';').next().unwrap_or_default();
        named.trim().trim_matches('"')
    });
    match named {
        None | Some("utf-8" | "utf8" | "us-ascii") => request.json().await,
        Some(_) => Err(Problem::UnsupportedMediaType.into()),
    }
}

/// A page of another origin could use the token of a user who only looks at it (the specification's rule).
async fn check_origin(request: &Request, env: &Env) -> Outcome<()> {
    let Some(origin) = request.header(Header::Origin) else {
        return Ok(());
    };
    let configuration = configuration::load(env).await?;
    // Without TLS a foreign name may have been pointed at this machine, and both would be the foreigner's.
    let host = request.origin.strip_prefix("http://");
    let is_own = origin == request.origin && host.is_none_or(loopback);
    match is_own || allows_origin(&configuration.issuers, origin) {
        true => Ok(()),
        false => Err(Problem::ForeignOrigin.into()),
    }
}

/// What costs nothing. The meter knows what is called off by it before the server does, which then owes no answer: that none
/// comes is not its failure.
async fn free(
    passing: &Passing<'_>,
    env: &Env,
    caller: &Caller,
    called_off: Option<CalledOff>,
) -> Outcome<Answer> {
    let known = client::account_calling_off(env, &caller.identity, called_off).await?;
    let props = session_props(&known.account, clock::now());
    let deadline = Deadline::new(TIME_LIMIT_MILLIS);
    let reached = passing.on(&props, &deadline).await?;
    Ok(reached.answer())
}

/// A tool call: admitted, passed on, looked at while it is answered, and settled.
async fn metered_call(
    passing: &Passing<'_>,
    call: Call,
    env: &Env,
    context: &Context,
    caller: &Caller,
    line: &mut Line,
) -> Outcome<Answer> {
    let request = passing.request;
    let keyed = metered::key(request)
        .map(|key| metered::keyed(key, "POST", &request.path, passing.body.unwrap_or_default()))
        .transpose()?;
    let keyless = keyed.is_none();
    let called = Called::Tool(call.tool.clone());
    let settler = Settler::Gateway;
    let candidate = Candidate {
        exchange: Some(Exchange::new(passing.session, &call.id)),
        ..metered::candidate(request, line, called, Toll::TOOL, settler, keyed)
    };
    let deadline = Deadline::outliving(TIME_LIMIT_MILLIS, context);
    let decided = metered::admit(env, &caller.identity, candidate, &deadline, line).await?;
    if let Decision::Refuse(refusal) = decided.decision {
        return refuse(&call, refusal, decided.now, passing.settings);
    }
    // A tool may do something in the world: it is not run twice for one call, and its result is not kept.
    if decided.charging == Charging::NotNow {
        let made = Failure::from(Problem::CallMade);
        return Err(made.with(vec![(header::CALL, decided.call)]));
    }
    let begun = clock::now();
    let reached = match props(&decided) {
        Ok(props) => passing.on(&props, &deadline).await,
        Err(failure) => Err(failure),
    };
    match reached {
        Ok(reached) => {
            let millis = u32::try_from(clock::now().since(begun)).ok();
            metered::note_upstream(line, Some(reached.status()), millis);
            let (answer, end) = reached.watched(call, passing.settings.recorder.clone(), begun);
            let headers = metered::headers(&decided.decision, decided.call.clone(), decided.now);
            let (env, sub) = (env.clone(), caller.identity.sub.clone());
            platform::afterwards(context, async move {
                let end = end.await;
                let urgency = metered::urgency(end.settled, keyless);
                client::end(&env, &sub, decided.call, end, urgency);
            });
            Ok(answer.with(headers))
        }
        Err(failure) => Err(unreached(failure, call, decided, begun, passing, env)),
    }
}

/// The failure of an admitted call that got no answer: nobody pays for it.
fn unreached(
    failure: Failure,
    call: Call,
    decided: Decided,
    begun: Timestamp,
    passing: &Passing<'_>,
    env: &Env,
) -> Failure {
    let millis = u32::try_from(clock::now().since(begun)).unwrap_or(0);
    let arguments = call.arguments.as_ref();
    let end = CallEnd {
        request_data: arguments.map(|arguments| passing.settings.recorder.record(arguments)),
        ..CallEnd::failed(failure.problem.status(), millis, failure.problem.code())
    };
    let decision = settled(decided.decision, end.settled);
    let headers = metered::headers(&decision, decided.call.clone(), decided.now);
    client::end(env, passing.sub, decided.call, end, Urgency::Now);
    failure.with(headers)
}

/// The user as they are once the call is admitted.
fn props(decided: &Decided) -> Outcome<SessionProps> {
    match (&decided.session, &decided.decision) {
        (Some(session), Decision::Admit(admission)) => {
            Ok(SessionProps::clone(session).after(admission))
        }
        _ => Err(Failure::corrupt("answer of a meter", "no session props")),
    }
}

/// A refusal, in the form that the deployment chose.
fn refuse(call: &Call, refusal: Refusal, now: Timestamp, settings: &Settings) -> Outcome<Answer> {
    let answer = Answer::json(200, &refused(call, &refusal, settings.refusals));
    let failure = metered::refused(refusal, now);
    match settings.refusals {
        RefusalForm::Status => Err(failure),
        RefusalForm::Result | RefusalForm::Text => Ok(answer.with(failure.told().headers)),
    }
}
