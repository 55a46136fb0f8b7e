//! Calls that other services meter: reserved before they are made, settled when they are over.

use crate::answer::{Answer, decoded};
use crate::database::Database;
use crate::failure::Outcome;
use crate::history;
use crate::log::Line;
use crate::meter::client::{self, Settlement};
use crate::metered;
use crate::platform::Deadline;
use crate::request::Request;
use legis_core::auth::claims::Caller;
use legis_core::call::{CallEnd, CallStatus, Settler};
use legis_core::evaluate;
use legis_core::payload::text::IdempotencyKey;
use legis_core::payload::{CallRequest, CallSettlement};
use legis_core::problem::Problem;
use legis_core::quota::Decision;
use legis_core::schema::Origin;
use serde::Serialize;
use serde_json::json;
use worker::Env;
use worker::worker_sys::Context;

/// `POST /api/calls`: may this call be made? Charges it, until it is settled otherwise.
pub(crate) async fn reserve(
    request: &Request,
    env: &Env,
    context: &Context,
    caller: &Caller,
    line: &mut Line,
) -> Outcome<Answer> {
    let body = request.json().await?;
    let asked: CallRequest = match body.is_empty() {
        true => CallRequest::default(),
        false => decoded(evaluate::decode("callRequest", &body, Origin::Text))?,
    };
    let key = match (metered::key(request), &asked.idempotency_key) {
        (Some(header), Some(member)) if header != member.as_str() => {
            return Err(Problem::InvalidParameter(
                "Idempotency-Key and idempotencyKey must be the same, or one of them absent.",
            )
            .into());
        }
        (header, member) => header.or(member.as_ref().map(IdempotencyKey::as_str)),
    };
    let named = CallRequest {
        idempotency_key: None,
        ..asked.clone()
    };
    let keyed = key
        .map(|key| metered::keyed(key, "POST", "calls", &evaluate::json(&named)))
        .transpose()?;
    let settler = match caller.settler() {
        Settler::Nobody => return Err(Problem::UnknownClient.into()),
        settler => settler,
    };
    let candidate = metered::candidate(request, line, asked.called(), asked.toll(), settler, keyed);
    let deadline = Deadline::outliving(client::TIME_LIMIT_MILLIS, context);
    let identity = &caller.identity;
    let decided = metered::admit(env, identity, candidate, &deadline, line).await?;
    match decided.decision {
        Decision::Refuse(refusal) => Err(metered::refused(refusal, decided.now)),
        decision @ Decision::Admit(_) => {
            let headers = metered::headers(&decision, decided.call.clone(), decided.now);
            let answer = json!({ "id": decided.call, "decision": decision });
            Ok(Answer::json(201, &answer).with(headers))
        }
    }
}

/// The answer of `PATCH /api/calls/{id}`.
#[derive(Serialize)]
struct SettledCall<'c> {
    id: &'c str,
    status: CallStatus,
    /// What the call cost in the end: 0 when it was refunded.
    cost: u32,
}

/// `PATCH /api/calls/{id}`: how a reserved call ended. The same again is answered the same; another outcome is refused.
pub(crate) async fn settle(
    request: &Request,
    env: &Env,
    caller: &Caller,
    call: String,
) -> Outcome<Answer> {
    let body = request.json().await?;
    let said: CallSettlement = decoded(evaluate::decode("callSettlement", &body, Origin::Text))?;
    let end = CallEnd::reported(said);
    let sub = &caller.identity.sub;
    let settled = client::settle(env, sub, call.clone(), caller.settler(), end.clone()).await?;
    let outcome = match settled {
        Settlement::Closed(outcome) => outcome,
        Settlement::ClosedBefore(outcome) => outcome.again(&end).map_err(Problem::CallSettled)?,
        Settlement::Unknown => {
            let stored = history::outcome(&Database::open(env)?, sub, &call).await?;
            let outcome = stored.ok_or(Problem::UnknownCall)?;
            outcome.again(&end).map_err(Problem::CallSettled)?
        }
    };
    let answer = SettledCall {
        id: &call,
        status: outcome.status,
        cost: outcome.cost,
    };
    Ok(Answer::json(200, &answer))
}
