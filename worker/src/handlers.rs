//! What each route answers: parse, authorise, load, decide, store, respond.

use crate::body;
use crate::calls;
use crate::clock;
use crate::configuration::{self, Configuration};
use crate::cron;
use crate::failure::{Failure, Outcome};
use crate::identity::{self, authenticate};
use crate::log::{self, Line};
use crate::meter::client;
use crate::meter::message::Knowledge;
use crate::reports;
use crate::respond;
use crate::upstream;
use legis_core::account;
use legis_core::auth::claims::{Caller, CallerKind};
use legis_core::auth::issuer::{PublicAuthConfig, allows_origin};
use legis_core::contract;
use legis_core::evaluate;
use legis_core::payload::{AuthClient, Registration};
use legis_core::plan::{self, PlanId};
use legis_core::problem::Problem;
use legis_core::report::ReportRequest;
use legis_core::route::{NoRoute, Route, route};
use legis_core::schema::{Origin, Schema};
use serde_json::{Value, json};
use uuid::Uuid;
use worker::{Context, Env, Headers, Request, Response, ResponseBuilder, Result};

/// What a page of another origin may read of an answer.
const EXPOSED: &str = "Legis-Contract, Legis-Call, RateLimit, RateLimit-Policy, Retry-After, X-RateLimit-Limit, \
     X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id";

/// Answers every request: the outermost handler, which turns every failure into a problem document and a line.
pub(crate) async fn answer(mut request: Request, env: Env, context: Context) -> Result<Response> {
    let start = clock::now();
    let mut line = Line {
        request: Uuid::now_v7().to_string(),
        method: request.inner().method(),
        ..Line::default()
    };
    let origin = request.headers().get("Origin")?;
    let outcome = dispatch(&mut request, env.clone(), &context, &mut line).await;
    let mut response = match outcome {
        Ok(response) => response,
        Err(failure) => {
            line.problem = Some(failure.problem.code());
            line.reason = failure.reason;
            let response = respond::problem(&failure.problem)?;
            for (name, value) in failure.headers {
                response.headers().set(name, &value)?;
            }
            response
        }
    };
    let headers = response.headers_mut();
    headers.set("Legis-Contract", &contract::header())?;
    headers.set("X-Request-Id", &line.request)?;
    if let Some(origin) = origin {
        // Health is about the process alone: it waits for nothing.
        let configuration = match line.route {
            "health" => configuration::known(),
            _ => configuration::load(&env).await.ok(),
        };
        share(headers, &origin, configuration.as_deref())?;
    }
    line.status = response.status_code();
    line.milliseconds = clock::now().since(start);
    line.write();
    Ok(response)
}

/// Lets a page of a configured origin read the answer (CORS).
fn share(headers: &Headers, origin: &str, configuration: Option<&Configuration>) -> Result<()> {
    headers.append("Vary", "Origin")?;
    // Without a configuration nobody is allowed; the answer itself tells what is wrong.
    if configuration.is_some_and(|known| allows_origin(&known.issuers, origin)) {
        headers.set("Access-Control-Allow-Origin", origin)?;
        headers.set("Access-Control-Expose-Headers", EXPOSED)?;
    }
    Ok(())
}

/// What a page of another origin may send.
fn preflight() -> Outcome<Response> {
    let headers = Headers::new();
    headers.set(
        "Access-Control-Allow-Methods",
        "GET, HEAD, POST, PATCH, DELETE",
    )?;
    headers.set(
        "Access-Control-Allow-Headers",
        "Authorization, Content-Type, Idempotency-Key, If-Modified-Since, If-None-Match, Range, Traceparent, Tracestate",
    )?;
    headers.set("Access-Control-Max-Age", "600")?;
    Ok(ResponseBuilder::new()
        .with_status(204)
        .with_headers(headers)
        .empty())
}

async fn dispatch(
    request: &mut Request,
    env: Env,
    context: &Context,
    line: &mut Line,
) -> Outcome<Response> {
    // As it came: the platform's own type takes every method it does not know for GET.
    if line.method == "OPTIONS" {
        line.route = "preflight";
        return preflight();
    }
    let (path, query) = target(request);
    let route = route(&line.method, &path).map_err(|none| match none {
        NoRoute::NotFound => Problem::NotFound,
        NoRoute::Method(allow) => Problem::MethodNotAllowed(allow),
    })?;
    line.route = route.name();
    match route {
        Route::Health => health(),
        Route::Ready => ready(&env).await,
        Route::EvaluateDecision => evaluate_decision(request).await,
        Route::EvaluatePayload(schema) => evaluate_payload(request, schema).await,
        Route::Plans => configuration::load(&env).await.and_then(|_| plans()),
        Route::Plan(name) => configuration::load(&env)
            .await
            .and_then(|_| one_plan(&name)),
        Route::AuthConfig(client) => auth_config(&*configuration::load(&env).await?, client),
        Route::Register => {
            let caller = person(request, &env, line).await?;
            register(request, &env, &caller).await
        }
        Route::Me => me(&query, &env, &person(request, &env, line).await?).await,
        Route::Profile => profile(&env, &person(request, &env, line).await?).await,
        Route::Account => own_account(&env, &person(request, &env, line).await?).await,
        Route::Usage => {
            let caller = person(request, &env, line).await?;
            reports::usage(report(&query)?, &env, &caller).await
        }
        Route::ToolCalls => {
            let caller = person(request, &env, line).await?;
            reports::tool_calls(report(&query)?, &env, &caller).await
        }
        Route::LogToolCall => {
            let caller = person(request, &env, line).await?;
            reports::log(request, &env, &caller, line).await
        }
        Route::ReserveCall => {
            let caller = person(request, &env, line).await?;
            calls::reserve(request, &env, context, &caller, line).await
        }
        Route::SettleCall(call) => {
            let caller = person(request, &env, line).await?;
            calls::settle(request, &env, &caller, &call).await
        }
        Route::Data { scope, path } => {
            let caller = person(request, &env, line).await?;
            if !caller.may(scope) {
                return Err(Problem::InsufficientScope(scope).into());
            }
            let target = match query.as_str() {
                "" => path,
                query => format!("{path}?{query}"),
            };
            upstream::call(request, &target, &env, context, &caller, line).await
        }
    }
}

/// Who calls, where only people are served.
async fn person(request: &Request, env: &Env, line: &mut Line) -> Outcome<Caller> {
    let configuration = configuration::load(env).await?;
    let caller = authenticate(request.headers(), &configuration).await?;
    line.user = Some(log::pseudonym(&caller.identity.sub));
    line.client = Some(caller.through.map_or("other", AuthClient::as_str));
    match caller.kind {
        CallerKind::Person => Ok(caller),
        CallerKind::Machine => Err(Problem::MachineCaller.into()),
    }
}

/// Path and query as they came. The platform has parsed the address; parsing it again would cost as much as the rest.
fn target(request: &Request) -> (String, String) {
    let url = request.inner().url();
    let path = url
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').and_then(|start| rest.get(start..)))
        .unwrap_or("/");
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    (path.to_owned(), query.to_owned())
}

fn health() -> Outcome<Response> {
    let body = json!({ "status": "ok", "timestamp": clock::now() });
    Ok(respond::json(200, &body)?)
}

/// Whether everything that is needed is there. Reads anew: an operator who asks wants to know how it is now.
async fn ready(env: &Env) -> Outcome<Response> {
    let configuration = configuration::read(env, clock::now()).await?;
    configuration::grace(env)?;
    configuration::retention(env)?;
    configuration::upstream(env)?;
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
        "schema": configuration::SCHEMA_VERSION,
        "contract": contract::contract(),
        "cron": cron::latest(env).await?,
    });
    Ok(respond::json(200, &body)?)
}

fn plans() -> Outcome<Response> {
    let body = json!({ "success": true, "plans": plan::plans() });
    Ok(respond::json(200, &body)?)
}

fn one_plan(name: &str) -> Outcome<Response> {
    let plan = PlanId::resolve(name).map_err(Problem::UnknownPlan)?;
    let body = json!({ "success": true, "plan": plan.plan() });
    Ok(respond::json(200, &body)?)
}

fn auth_config(configuration: &Configuration, client: AuthClient) -> Outcome<Response> {
    let config = configuration.client(client).ok_or(Problem::NotFound)?;
    Ok(respond::json(200, &PublicAuthConfig::from(config))?)
}

async fn evaluate_decision(request: &mut Request) -> Outcome<Response> {
    let body = body::json(request).await?;
    let asked = respond::decoded(evaluate::decision_request(&body, Origin::Text))?;
    Ok(respond::json(200, &evaluate::decision(&asked))?)
}

async fn evaluate_payload(request: &mut Request, schema: &Schema) -> Outcome<Response> {
    let body = body::json(request).await?;
    respond::written(evaluate::payload(schema, &body, Origin::Text))
}

async fn register(request: &mut Request, env: &Env, caller: &Caller) -> Outcome<Response> {
    let body = body::json(request).await?;
    let said: Option<Registration> = if body.is_empty() {
        None
    } else {
        let said = evaluate::decode("registration", &body, Origin::Text);
        Some(respond::decoded(said)?)
    };
    let known = client::account(env, &caller.identity, Knowledge::Fresh, said).await?;
    let user = account::registered_user(&known.account, clock::now());
    Ok(respond::json(200, &json!({ "user": user }))?)
}

async fn own_account(env: &Env, caller: &Caller) -> Outcome<Response> {
    let known = client::account(env, &caller.identity, Knowledge::Recent, None).await?;
    Ok(respond::json(200, &known.account)?)
}

/// What a report is asked for.
fn report(query: &str) -> Outcome<ReportRequest> {
    ReportRequest::read(|name| parameter(query, name))
        .map_err(|expected| Problem::InvalidParameter(expected).into())
}

/// The token's claims and where the user stands, flat, as old clients read it.
async fn me(query: &str, env: &Env, caller: &Caller) -> Outcome<Response> {
    let cycle = flag(query, "check_billing_cycle")?;
    let known = client::account(env, &caller.identity, Knowledge::Recent, None).await?;
    let (account, now) = (known.account, clock::now());
    let mut answer = caller.claims.clone();
    merge(&mut answer, &account::me_quota(&account, now))?;
    match cycle {
        Flag::On => merge(&mut answer, &account::billing_cycle(&account, now))?,
        Flag::Off => {}
    }
    Ok(respond::json(200, &answer)?)
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

/// The value of a parameter of the query, as it came.
fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
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

async fn profile(env: &Env, caller: &Caller) -> Outcome<Response> {
    let known = client::account(env, &caller.identity, Knowledge::Fresh, None).await?;
    let profile = account::profile(&known.account, known.columns, clock::now());
    Ok(respond::json(200, &profile)?)
}
