//! What each route answers: parse, authorise, load, decide, store, respond.

use crate::answer::{Answer, Body, decoded};
use crate::audit;
use crate::burst;
use crate::calls;
use crate::clock;
use crate::configuration::{self, Configuration};
use crate::cron;
use crate::doctor;
use crate::failure::{Failure, Outcome};
use crate::identity::{self, authenticate};
use crate::log::{self, Line};
use crate::mcp;
use crate::meter::client;
use crate::meter::message::Knowledge;
use crate::metrics;
use crate::reports;
use crate::request::{Header, Request, parameter};
use crate::stripe::{self, settings::WebhookSettings};
use crate::support;
use crate::upstream;
use legis_core::account;
use legis_core::auth::Scope;
use legis_core::auth::claims::{Caller, CallerKind};
use legis_core::auth::issuer::{PublicAuthConfig, allows_origin};
use legis_core::contract;
use legis_core::evaluate;
use legis_core::header::{self, EXPOSED};
use legis_core::mcp::resource::metadata;
use legis_core::payload::{AuthClient, Registration};
use legis_core::plan::{self, PlanId};
use legis_core::problem::Problem;
use legis_core::report::ReportRequest;
use legis_core::route::{Administrative, NoRoute, Personal, Resource, Route, route};
use legis_core::schema::{Origin, Schema};
use serde_json::{Value, json};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use worker::Env;
use worker::worker_sys::Context;

/// Answers every request: the outermost handler, which turns every failure into a problem document and a line.
pub(crate) async fn answer(
    request: web_sys::Request,
    env: Env,
    context: Context,
) -> Result<web_sys::Response, JsValue> {
    let start = clock::now();
    let request = Request::new(request);
    let mut line = Line {
        request: clock::id(),
        method: request.method.clone(),
        ..Line::default()
    };
    let outcome = match dispatch(&request, &env, &context, &mut line).await {
        // Who proved who they are is not counted.
        Err(failure) if line.user.is_none() => Err(burst::answered(&request, &env, failure).await),
        answered => answered,
    };
    let mut answer = outcome.unwrap_or_else(|failure| {
        line.problem = Some(failure.problem.code());
        let answer = Answer::problem(&failure);
        line.reason = failure.told().reason;
        answer
    });
    answer.set(header::CONTRACT, contract::header());
    answer.set(header::REQUEST_ID, line.request.clone());
    if let Some(origin) = request.header(Header::Origin) {
        // Health is about the process alone, who just waited for the database in vain does not wait again, and for whom
        // sends too much nothing is asked.
        let configuration = match line.route {
            "health" => configuration::known(),
            _ if answer.status >= 500 => configuration::known(),
            _ if line.problem == Some(Problem::TooManyRequests.code()) => configuration::known(),
            _ => configuration::load(&env).await.ok(),
        };
        share(&mut answer, origin, configuration.as_deref());
    }
    line.status = answer.status;
    line.milliseconds = clock::now().since(start);
    line.write();
    answer.into_response()
}

/// Lets a page of a configured origin read the answer (CORS).
fn share(answer: &mut Answer, origin: &str, configuration: Option<&Configuration>) {
    answer.set("Vary", "Origin".to_owned());
    // Without a configuration nobody is allowed; the answer itself tells what is wrong.
    if configuration.is_some_and(|known| allows_origin(&known.issuers, origin)) {
        answer.set("Access-Control-Allow-Origin", origin.to_owned());
        let exposed = [EXPOSED.as_slice(), &header::HANDED_ON, &[header::DATE]].concat();
        answer.set("Access-Control-Expose-Headers", exposed.join(", "));
    }
}

/// The headers that a page of another origin may send.
const ALLOWED: [Header; 15] = [
    Header::Accept,
    Header::Authorization,
    Header::ContentEncoding,
    Header::ContentType,
    Header::IdempotencyKey,
    Header::IfModifiedSince,
    Header::IfNoneMatch,
    Header::LastEventId,
    Header::McpProtocolVersion,
    Header::McpMethod,
    Header::McpName,
    Header::McpSessionId,
    Header::Range,
    Header::Traceparent,
    Header::Tracestate,
];

/// What a page of another origin may send.
fn preflight(request: &Request) -> Answer {
    let mut allowed = ALLOWED.map(Header::name).join(", ");
    // Those of a tool's own parameters, which MCP repeats in headers.
    let asked = request.header(Header::AccessControlRequestHeaders);
    for name in asked.unwrap_or_default().split(',').map(str::trim) {
        if name.to_ascii_lowercase().starts_with("mcp-param-") {
            allowed.push_str(", ");
            allowed.push_str(name);
        }
    }
    Answer {
        status: 204,
        headers: vec![
            (
                "Access-Control-Allow-Methods",
                "GET, HEAD, POST, PATCH, DELETE".to_owned(),
            ),
            ("Access-Control-Allow-Headers", allowed),
            ("Access-Control-Max-Age", "600".to_owned()),
        ],
        body: Body::Empty,
    }
}

async fn dispatch(
    request: &Request,
    env: &Env,
    context: &Context,
    line: &mut Line,
) -> Outcome<Answer> {
    if request.method == "OPTIONS" {
        line.route = "preflight";
        burst::admit_preflight(request, env).await?;
        return Ok(preflight(request));
    }
    let route = route(&request.method, &request.path);
    burst::admit(request, env, route.as_ref().ok()).await?;
    let route = route.map_err(|none| match none {
        NoRoute::NotFound => Problem::NotFound,
        NoRoute::Method(allow) => Problem::MethodNotAllowed(allow),
    })?;
    line.route = route.name();
    let answer: Answering<'_> = match route {
        Route::Health => return health(),
        // Whoever asks whether it is ready must hear why not.
        Route::Ready => return explained(ready(env).await, line),
        Route::Plans => Box::pin(plans(env)),
        Route::Plan(name) => Box::pin(one_plan(env, name)),
        Route::AuthConfig(client) => Box::pin(auth_config(env, client)),
        Route::EvaluateDecision => Box::pin(evaluate_decision(request)),
        Route::EvaluateChange => Box::pin(evaluate_change(request)),
        Route::EvaluatePayload(schema) => Box::pin(evaluate_payload(request, schema)),
        Route::ResourceMetadata(resource) => Box::pin(resource_metadata(request, env, resource)),
        Route::StripeWebhook => Box::pin(stripe::receive(request, env, line)),
        Route::Metrics => {
            if !metrics::is_scraper(request, env)? {
                administrator(request, env, line).await?;
            }
            Box::pin(metrics::answer(env))
        }
        Route::Mcp => Box::pin(mcp::answer(request, env, context, line)),
        Route::Person(asked) => {
            let caller = person(request, env, line).await?;
            return personal(asked, request, env, context, &caller, line)?.await;
        }
        Route::Administrator(asked) => {
            let caller = administrator(request, env, line).await?;
            return administrative(asked, request, env, &caller, line).await;
        }
    };
    answer.await
}

/// An answer that is on its way. Each has its own place in memory: in one for all of them every request would carry the
/// largest, and the code would begin, poll and drop each of them where it is chosen.
type Answering<'a> = Pin<Box<dyn Future<Output = Outcome<Answer>> + 'a>>;

/// What only people are served.
fn personal<'a>(
    asked: Personal,
    request: &'a Request,
    env: &'a Env,
    context: &'a Context,
    caller: &'a Caller,
    line: &'a mut Line,
) -> Outcome<Answering<'a>> {
    let query = request.query.as_str();
    Ok(match asked {
        Personal::Register => Box::pin(register(request, env, caller)),
        Personal::Me => Box::pin(me(query, env, caller)),
        Personal::Profile => Box::pin(profile(env, caller)),
        Personal::Account => Box::pin(own_account(env, caller)),
        Personal::Usage => Box::pin(reports::usage(report(query)?, env, caller)),
        Personal::ToolCalls => Box::pin(reports::tool_calls(report(query)?, env, caller)),
        Personal::LogToolCall => Box::pin(reports::log(request, env, caller, line)),
        Personal::ReserveCall => Box::pin(calls::reserve(request, env, context, caller, line)),
        Personal::SettleCall(call) => Box::pin(calls::settle(request, env, caller, call)),
        Personal::Checkout => Box::pin(stripe::checkout::begin(request, env, caller)),
        Personal::Portal => Box::pin(stripe::checkout::portal(request, env, caller)),
        Personal::Data { scope, path } => {
            if !caller.may(scope) {
                return Err(Problem::InsufficientScope(scope).into());
            }
            Box::pin(upstream::call(request, path, env, context, caller, line))
        }
    })
}

/// What only administrators are served.
async fn administrative(
    asked: Administrative,
    request: &Request,
    env: &Env,
    caller: &Caller,
    line: &mut Line,
) -> Outcome<Answer> {
    let query = request.query.as_str();
    let answer: Answering<'_> = match asked {
        Administrative::Webhooks => Box::pin(stripe::events::list(query, env, caller)),
        Administrative::Audit => Box::pin(audit::show(query, env, caller)),
        Administrative::RunAudit => Box::pin(audit::go_on(query, env, caller)),
        Administrative::Repair => Box::pin(audit::repair(query, env, caller)),
        Administrative::Identities => Box::pin(audit::receive_identities(request, env, caller)),
        Administrative::Doctor => {
            return explained(doctor::answer(&request.origin, env, caller).await, line);
        }
        Administrative::UserOf(sub) => Box::pin(support::user(sub, env, caller)),
    };
    answer.await
}

/// The answer to an operator, who is told why there is none.
fn explained(answer: Outcome<Answer>, line: &mut Line) -> Outcome<Answer> {
    answer.or_else(|failure| {
        line.problem = Some(failure.problem.code());
        line.reason.clone_from(&failure.reason);
        Ok(Answer::explained(&failure))
    })
}

/// Who calls, where only people are served.
pub(crate) async fn person(request: &Request, env: &Env, line: &mut Line) -> Outcome<Rc<Caller>> {
    let configuration = configuration::load(env).await?;
    known_person(request, &configuration, line).await
}

async fn known_person(
    request: &Request,
    configuration: &Configuration,
    line: &mut Line,
) -> Outcome<Rc<Caller>> {
    let caller = authenticate(request.header(Header::Authorization), configuration).await?;
    line.user = Some(log::pseudonym(&caller.identity.sub));
    line.client = Some(caller.through.map_or("other", AuthClient::as_str));
    match caller.kind {
        CallerKind::Person => Ok(caller),
        CallerKind::Machine => Err(Problem::MachineCaller.into()),
    }
}

/// Who calls, where only administrators are served: the token and the database must agree.
async fn administrator(request: &Request, env: &Env, line: &mut Line) -> Outcome<Rc<Caller>> {
    let configuration = configuration::load_for_repair(env).await?;
    let caller = known_person(request, &configuration, line).await?;
    if !caller.may(Scope::Admin) {
        return Err(Problem::InsufficientScope(Scope::Admin).into());
    }
    match identity::is_administrator(env, &caller.identity.sub).await? {
        true => Ok(caller),
        false => Err(Problem::NotAdministrator.into()),
    }
}

fn health() -> Outcome<Answer> {
    let body = json!({ "status": "ok", "timestamp": clock::now() });
    Ok(Answer::json(200, &body))
}

/// Whether everything that is needed is there. Reads anew: an operator who asks wants to know how it is now.
async fn ready(env: &Env) -> Outcome<Answer> {
    let configuration = configuration::read(env, clock::now()).await?;
    configuration.check_rows()?;
    configuration::grace(env)?;
    configuration::retention(env)?;
    configuration.upstream()?;
    configuration.prices()?;
    WebhookSettings::check(env)?;
    mcp::settings::Settings::check(env)?;
    audit::check_identities(env)?;
    metrics::token(env)?;
    let mut active = configuration
        .issuers
        .iter()
        .filter(|config| config.is_active)
        .peekable();
    if active.peek().is_none() {
        let reason = "auth_config has no active row";
        return Err(Failure::new(Problem::Misconfigured, reason));
    }
    for config in active {
        identity::check_keys(config.auth0_domain.as_str()).await?;
    }
    let body = json!({
        "status": "ok",
        "timestamp": clock::now(),
        "schema": configuration::schema_version(),
        "contract": contract::contract(),
        "cron": cron::latest(env).await?,
        "webhooks": stripe::events::backlog(env).await?,
    });
    Ok(Answer::json(200, &body))
}

async fn plans(env: &Env) -> Outcome<Answer> {
    configuration::load(env).await?;
    let body = json!({ "success": true, "plans": plan::plans() });
    Ok(Answer::json(200, &body))
}

async fn one_plan(env: &Env, name: String) -> Outcome<Answer> {
    configuration::load(env).await?;
    let plan = PlanId::resolve(&name).map_err(Problem::UnknownPlan)?;
    let body = json!({ "success": true, "plan": plan.plan() });
    Ok(Answer::json(200, &body))
}

async fn auth_config(env: &Env, client: AuthClient) -> Outcome<Answer> {
    let configuration = configuration::load(env).await?;
    let config = configuration.client(client).ok_or(Problem::NotFound)?;
    Ok(Answer::json(200, &PublicAuthConfig::from(config)))
}

async fn resource_metadata(request: &Request, env: &Env, resource: Resource) -> Outcome<Answer> {
    if resource == Resource::Mcp {
        mcp::settings::Settings::read(env)?.ok_or(Problem::NotFound)?;
    }
    let configuration = configuration::load(env).await?;
    let metadata = metadata(&request.origin, resource.path(), &configuration.issuers);
    Ok(Answer::json(200, &metadata))
}

async fn evaluate_decision(request: &Request) -> Outcome<Answer> {
    let body = request.json().await?;
    let asked = decoded(evaluate::decision_request(&body, Origin::Text))?;
    Ok(Answer::json(200, &evaluate::decision(&asked)))
}

async fn evaluate_change(request: &Request) -> Outcome<Answer> {
    let body = request.json().await?;
    let asked = decoded(evaluate::decode("changeRequest", &body, Origin::Text))?;
    let preview = evaluate::change(&asked).map_err(Problem::UnknownPlan)?;
    Ok(Answer::json(200, &preview))
}

async fn evaluate_payload(request: &Request, schema: &Schema) -> Outcome<Answer> {
    let body = request.json().await?;
    Ok(Answer::written(evaluate::payload(
        schema,
        &body,
        Origin::Text,
    )))
}

async fn register(request: &Request, env: &Env, caller: &Caller) -> Outcome<Answer> {
    let body = request.json().await?;
    let said: Option<Registration> = if body.is_empty() {
        None
    } else {
        let said = evaluate::decode("registration", &body, Origin::Text);
        Some(decoded(said)?)
    };
    let known = client::account(env, &caller.identity, Knowledge::Fresh, said).await?;
    let user = account::registered_user(&known.account, clock::now());
    Ok(Answer::json(200, &json!({ "user": user })))
}

async fn own_account(env: &Env, caller: &Caller) -> Outcome<Answer> {
    let known = client::account(env, &caller.identity, Knowledge::Recent, None).await?;
    Ok(Answer::json(200, &known.account))
}

/// What a report is asked for.
fn report(query: &str) -> Outcome<ReportRequest> {
    ReportRequest::read(|name| parameter(query, name))
        .map_err(|expected| Problem::InvalidParameter(expected).into())
}

/// The token's claims and where the user stands, flat, as old clients read it.
async fn me(query: &str, env: &Env, caller: &Caller) -> Outcome<Answer> {
    let cycle = flag(query, "check_billing_cycle")?;
    let known = client::account(env, &caller.identity, Knowledge::Recent, None).await?;
    let (account, now) = (known.account, clock::now());
    let mut answer = caller.claims.clone();
    merge(&mut answer, &account::me_quota(&account, now))?;
    match cycle {
        Flag::On => merge(&mut answer, &account::billing_cycle(&account, now))?,
        Flag::Off => {}
    }
    Ok(Answer::json(200, &answer))
}

enum Flag {
    On,
    Off,
}

fn flag(query: &str, name: &str) -> Outcome<Flag> {
    match parameter(query, name) {
        Some("true" | "1") => Ok(Flag::On),
        None | Some("false" | "0") => Ok(Flag::Off),
        Some(_) => {
            Err(Problem::InvalidParameter("check_billing_cycle must be true or false.").into())
        }
    }
}

fn merge<T: serde::Serialize>(
    answer: &mut serde_json::Map<String, Value>,
    part: &T,
) -> Outcome<()> {
    match serde_json::to_value(part) {
        Ok(Value::Object(members)) => {
            answer.extend(members);
            Ok(())
        }
        _ => Err(Failure::new(Problem::Internal, "a part that is no object")),
    }
}

async fn profile(env: &Env, caller: &Caller) -> Outcome<Answer> {
    let known = client::account(env, &caller.identity, Knowledge::Fresh, None).await?;
    let profile = account::profile(&known.account, known.columns, clock::now());
    Ok(Answer::json(200, &profile))
}
