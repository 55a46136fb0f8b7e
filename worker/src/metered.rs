//! What every metered request has in common: the candidate it becomes, and the answer to a decision.

use crate::answer::Headers;
use crate::clock;
use crate::failure::{Failure, Outcome};
use crate::log::{CallLine, Line};
use crate::meter::client::{self, Urgency};
use crate::meter::message::Decided;
use crate::platform::Deadline;
use crate::request::{Header, Request};
use legis_core::account::Identity;
use legis_core::call::{CallEnd, CallStart, Called, Settled, Settler, Toll};
use legis_core::header;
use legis_core::idempotency::KeyedCall;
use legis_core::ledger::Candidate;
use legis_core::problem::{Dependency, Problem};
use legis_core::quota::{Decision, Refusal};
use legis_core::refusal;
use legis_core::time::Timestamp;
use worker::Env;

/// A call that asks to be admitted, with what the request tells of it. A request makes one call at most, so the call
/// has its id.
pub(crate) fn candidate(
    request: &Request,
    line: &Line,
    called: Called,
    toll: Toll,
    settler: Settler,
    keyed: Option<KeyedCall>,
) -> Candidate {
    Candidate {
        id: line.request.clone(),
        toll,
        start: CallStart::new(
            called,
            request.header(Header::ConnectingIp),
            request.header(Header::UserAgent),
        ),
        settler,
        keyed,
        exchange: None,
    }
}

/// The caller's name for the call.
pub(crate) fn key(request: &Request) -> Option<&str> {
    request.header(Header::IdempotencyKey)
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
    identity: &Identity,
    candidate: Candidate,
    deadline: &Deadline,
    line: &mut Line,
) -> Outcome<Decided> {
    let begun = clock::now();
    let call = candidate.id.clone();
    let decided = client::admit(env, identity, candidate, deadline)
        .await
        .inspect_err(|failure| {
            if let Problem::Unavailable(Dependency::Meter)
            | Problem::TimedOut(Dependency::Meter)
            | Problem::Internal = failure.problem
            {
                // Without an answer it may have admitted the call: nobody pays for that.
                let end = CallEnd::failed(failure.problem.status(), 0, failure.problem.code());
                client::give_up(env, &identity.sub, call, end);
            }
        })?;
    line.call = Some(CallLine::new(&decided, clock::now().since(begun)));
    Ok(decided)
}

/// The headers of a metered answer.
pub(crate) fn headers(decision: &Decision, call: String, now: Timestamp) -> Headers {
    let mut headers = refusal::headers(decision, now);
    headers.push((header::CALL, call));
    headers
}

/// When the meter must hear how a call ended. What is taken back may be the call that is missing; a key that is sent again
/// asks how its call ended.
pub(crate) fn urgency(settled: Settled, keyless: bool) -> Urgency {
    match settled {
        Settled::Charged if keyless => Urgency::Soon,
        Settled::Charged | Settled::Refunded => Urgency::Now,
    }
}

/// Notes what the service behind us said, and how long it took.
pub(crate) fn note_upstream(line: &mut Line, status: Option<u16>, millis: Option<u32>) {
    if let Some(line) = &mut line.call {
        line.upstream_status = status;
        line.upstream_ms = millis;
    }
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
    Failure::new(Problem::QuotaExceeded(Box::new(refusal)), reason).with(headers)
}
