//! What every metered request has in common: the candidate it becomes, and the answer to a decision.

use crate::clock;
use crate::failure::{Failure, Outcome};
use crate::log::{CallLine, Line};
use crate::meter::client;
use crate::meter::message::Decided;
use legis_core::account::Identity;
use legis_core::call::{CallEnd, CallStart, Called, Settler, Toll};
use legis_core::idempotency::{self, KeyedCall};
use legis_core::ledger::Candidate;
use legis_core::problem::{Dependency, Problem};
use legis_core::quota::{Decision, Refusal};
use legis_core::refusal;
use legis_core::time::Timestamp;
use uuid::Uuid;
use worker::{Context, Env, Headers, Request};

/// The header with the call's id.
pub(crate) const CALL: &str = "Legis-Call";

/// A call that asks to be admitted, with what the request tells of it.
pub(crate) fn candidate(
    request: &Request,
    called: Called,
    toll: Toll,
    settler: Settler,
    keyed: Option<KeyedCall>,
) -> Outcome<Candidate> {
    let header = |name| request.headers().get(name);
    Ok(Candidate {
        id: Uuid::now_v7().to_string(),
        toll,
        start: CallStart::new(
            called,
            header("CF-Connecting-IP")?.as_deref(),
            header("User-Agent")?.as_deref(),
        ),
        settler,
        keyed,
    })
}

/// The caller's name for the call.
pub(crate) fn key(request: &Request) -> Outcome<Option<String>> {
    Ok(request.headers().get(idempotency::HEADER)?)
}

/// The call that a key names: what is asked for in full.
pub(crate) fn keyed(key: &str, method: &str, target: &str, body: &[u8]) -> Outcome<KeyedCall> {
    KeyedCall::new(key, method, target, body).map_err(|_| {
        Problem::InvalidParameter("Idempotency-Key must be 1 to 255 visible ASCII characters.")
            .into()
    })
}

/// Asks the meter, and notes what it decided. A call that was admitted without our hearing of it is given up.
pub(crate) async fn admit(
    env: &Env,
    context: &Context,
    identity: &Identity,
    candidate: Candidate,
    line: &mut Line,
) -> Outcome<Decided> {
    let begun = clock::now();
    let call = candidate.id.clone();
    let decided = client::admit(env, identity, candidate)
        .await
        .inspect_err(|failure| {
            if let Problem::Unavailable(Dependency::Meter)
            | Problem::TimedOut(Dependency::Meter)
            | Problem::Internal = failure.problem
            {
                give_up(env, context, identity, call, &failure.problem);
            }
        })?;
    line.call = Some(CallLine::new(&decided, clock::now().since(begun)));
    Ok(decided)
}

/// Without an answer of the meter, it may have admitted the call: nobody pays for that.
fn give_up(env: &Env, context: &Context, identity: &Identity, call: String, problem: &Problem) {
    let (env, sub) = (env.clone(), identity.sub.clone());
    let end = CallEnd::failed(problem.status(), 0, problem.code());
    context.wait_until(async move {
        if let Err(failure) = client::give_up(&env, &sub, call, end).await {
            crate::log::event("give_up_failed", &failure);
        }
    });
}

/// The headers of a metered answer.
pub(crate) fn headers(
    decision: &Decision,
    call: String,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let mut headers = refusal::headers(decision, now);
    headers.push((CALL, call));
    headers
}

/// A refusal for lack of quota.
pub(crate) fn refused(refusal: Refusal, now: Timestamp) -> Failure {
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

/// Sets headers on an answer.
pub(crate) fn set(headers: &Headers, values: &[(&str, String)]) -> worker::Result<()> {
    for (name, value) in values {
        headers.set(name, value)?;
    }
    Ok(())
}
