//! The history of tool calls, written and read as the old MCP server does it.

use crate::answer::{Answer, decoded};
use crate::clock;
use crate::database::Database;
use crate::failure::Outcome;
use crate::history;
use crate::log::{self, CallLine, Line};
use crate::meter::client;
use crate::metered;
use crate::request::Request;
use legis_core::auth::claims::Caller;
use legis_core::call::{CallEnd, Toll};
use legis_core::evaluate;
use legis_core::header;
use legis_core::payload::ToolCall;
use legis_core::quota::Decision;
use legis_core::report::ReportRequest;
use legis_core::schema::Origin;
use serde_json::json;
use worker::Env;

/// `POST /api/mcp/logs`: a tool call that was made. It costs one call; when nothing is left it is kept all the same, and
/// marked.
pub(crate) async fn log(
    request: &Request,
    env: &Env,
    caller: &Caller,
    line: &mut Line,
) -> Outcome<Answer> {
    let body = request.json().await?;
    let said: ToolCall = decoded(evaluate::decode("toolCall", &body, Origin::Text))?;
    let keyed = metered::key(request)
        .map(|key| metered::keyed(key, "POST", "mcp/logs", &evaluate::json(&said)))
        .transpose()?;
    let candidate = metered::candidate(
        request,
        line,
        said.called(),
        Toll::TOOL,
        caller.settler(),
        keyed,
    );
    let begun = clock::now();
    let decided = client::report(env, &caller.identity, candidate, CallEnd::logged(said)).await?;
    line.call = Some(CallLine::new(&decided, clock::now().since(begun)));
    let over_limit = matches!(decided.decision, Decision::Refuse(_));
    let answer = json!({
        "success": true,
        "log": { "id": decided.call, "timestamp": decided.at, "over_limit": over_limit },
    });
    let mut headers = metered::headers(&decided.decision, decided.call, decided.now);
    // Nothing was refused, so there is nothing to wait for.
    headers.retain(|(name, _)| *name != header::RETRY_AFTER);
    Ok(Answer::json(201, &answer).with(headers))
}

/// `GET /api/mcp/logs`
pub(crate) async fn tool_calls(
    asked: ReportRequest,
    env: &Env,
    caller: &Caller,
) -> Outcome<Answer> {
    complete(env, caller).await;
    let period = asked.period(clock::now());
    let database = Database::open(env)?;
    let report = history::tool_calls(&database, &caller.identity.sub, asked, period).await?;
    Ok(Answer::json(200, &report))
}

/// `GET /api/usage`
pub(crate) async fn usage(asked: ReportRequest, env: &Env, caller: &Caller) -> Outcome<Answer> {
    complete(env, caller).await;
    let period = asked.period(clock::now());
    let stats = history::usage(&Database::open(env)?, &caller.identity.sub, period).await?;
    Ok(Answer::json(200, &json!({ "stats": stats })))
}

/// Brings what is still on its way to the database there, so that who made a call finds it. Without it the report is
/// a few seconds behind, which is no reason not to answer.
async fn complete(env: &Env, caller: &Caller) {
    if let Err(failure) = client::flush(env, &caller.identity.sub).await {
        log::event("report_behind", &failure);
    }
}
