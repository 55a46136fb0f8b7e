//! Asking a user's meter.

use super::message::{Corrected, Decided, Inspected, Knowledge, Message, Reply};
use crate::clock;
use crate::failure::{Failure, Outcome};
use crate::log;
use crate::platform::{self, Deadline, JsDeadline};
use js_sys::Promise;
use legis_core::account::Identity;
use legis_core::call::{CallEnd, Settler};
use legis_core::called_off::CalledOff;
use legis_core::evaluate::json_text;
use legis_core::json;
use legis_core::ledger::{Candidate, Known, Outcome as CallOutcome};
use legis_core::payload::Registration;
use legis_core::problem::Dependency;
use legis_core::quota::Usage;
use legis_core::rows::users::StoredUser;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::JsFuture;
use worker::Env;

#[wasm_bindgen(module = "/src/meter/client.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = ask)]
    fn ask_meter(
        env: &JsValue,
        sub: &str,
        message: &str,
        deadline: &JsDeadline,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch, js_name = tell)]
    fn tell_now(env: &JsValue, sub: &str, message: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(catch, js_name = tellSoon)]
    fn tell_soon(env: &JsValue, sub: &str, message: &str) -> Result<(), JsValue>;
}

/// How long a meter may take where nothing else is waited for: longer than the two questions it may have to ask the
/// database, so that its own answer about them comes first.
pub(crate) const TIME_LIMIT_MILLIS: u32 = 12_000;

async fn ask(env: &Env, sub: &str, message: &Message, deadline: &Deadline) -> Outcome<Reply> {
    let unavailable = |error| platform::failed(&error, Dependency::Meter);
    let asked = ask_meter(env, sub, &json_text(message), deadline.as_ref()).map_err(unavailable)?;
    let reply = JsFuture::from(asked).await.map_err(unavailable)?;
    let reply = reply.as_string().unwrap_or_default();
    // A meter that was told has nothing to say.
    if reply.is_empty() {
        return Ok(Reply::Told);
    }
    match json::read(reply.as_bytes()) {
        Ok(Reply::Failed { fault, reason }) => Err(Failure::new(fault.problem(), reason)),
        Ok(reply) => Ok(reply),
        Err(error) => Err(Failure::corrupt("answer of a meter", error)),
    }
}

async fn ask_within_limit(env: &Env, sub: &str, message: &Message) -> Outcome<Reply> {
    ask(env, sub, message, &Deadline::new(TIME_LIMIT_MILLIS)).await
}

/// When a meter must hear of something that nobody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// It changes what the next question is answered.
    Now,
    /// It may wait a second for another message to go with.
    Soon,
}

/// Tells a meter something that nobody waits for. What it cannot be told it finds out for itself: it closes the call
/// later, with its outcome unknown.
fn tell(env: &Env, sub: &str, message: &Message, urgency: Urgency) {
    let told = match urgency {
        Urgency::Now => tell_now(env, sub, &json_text(message)),
        Urgency::Soon => tell_soon(env, sub, &json_text(message)),
    };
    if let Err(error) = told {
        let failure = platform::failed(&error, Dependency::Meter);
        log::event("meter_not_told", &failure);
    }
}

fn unexpected() -> Failure {
    Failure::corrupt("answer of a meter", "another question's answer")
}

/// May this call be made?
pub(crate) async fn admit(
    env: &Env,
    identity: &Identity,
    candidate: Candidate,
    deadline: &Deadline,
) -> Outcome<Decided> {
    let message = Message::Admit {
        identity: identity.clone(),
        candidate,
    };
    decided(ask(env, &identity.sub, &message, deadline).await?)
}

/// This call was made already.
pub(crate) async fn report(
    env: &Env,
    identity: &Identity,
    candidate: Candidate,
    end: CallEnd,
) -> Outcome<Decided> {
    let message = Message::Report {
        identity: identity.clone(),
        candidate,
        end,
    };
    decided(ask_within_limit(env, &identity.sub, &message).await?)
}

fn decided(reply: Reply) -> Outcome<Decided> {
    match reply {
        Reply::Decided(decided) => Ok(*decided),
        _ => Err(unexpected()),
    }
}

/// How settling a call went.
#[derive(Debug)]
pub(crate) enum Settlement {
    /// It was open and is closed now.
    Closed(CallOutcome),
    /// It was closed before, and its row is still on its way to the database.
    ClosedBefore(CallOutcome),
    /// The meter does not have it.
    Unknown,
}

/// This call is over, as the service says that reserved it.
pub(crate) async fn settle(
    env: &Env,
    sub: &str,
    call: String,
    by: Settler,
    end: CallEnd,
) -> Outcome<Settlement> {
    match ask_within_limit(env, sub, &Message::Settle { call, by, end }).await? {
        Reply::Settled { outcome } => Ok(Settlement::Closed(outcome)),
        Reply::NotOpen {
            outcome: Some(outcome),
        } => Ok(Settlement::ClosedBefore(outcome)),
        Reply::NotOpen { outcome: None } => Ok(Settlement::Unknown),
        _ => Err(unexpected()),
    }
}

/// This call is over, as we saw ourselves.
pub(crate) fn end(env: &Env, sub: &str, call: String, end: CallEnd, urgency: Urgency) {
    tell(env, sub, &Message::End { call, end }, urgency);
}

/// Nobody waits for this call: whether it was admitted or will be, nobody pays for it.
pub(crate) fn give_up(env: &Env, sub: &str, call: String, end: CallEnd) {
    tell(env, sub, &Message::GiveUp { call, end }, Urgency::Now);
}

/// Where does the user stand? Registers whoever is new, with what they say of themselves.
pub(crate) async fn account(
    env: &Env,
    identity: &Identity,
    knowledge: Knowledge,
    said: Option<Registration>,
) -> Outcome<Known> {
    asked(env, identity, knowledge, said, None).await
}

/// The same for a request that may call something off, which the meter knows before the server hears of it.
pub(crate) async fn account_calling_off(
    env: &Env,
    identity: &Identity,
    called_off: Option<CalledOff>,
) -> Outcome<Known> {
    asked(env, identity, Knowledge::Recent, None, called_off).await
}

async fn asked(
    env: &Env,
    identity: &Identity,
    knowledge: Knowledge,
    said: Option<Registration>,
    called_off: Option<CalledOff>,
) -> Outcome<Known> {
    let message = Message::Account {
        identity: identity.clone(),
        knowledge,
        said,
        called_off,
    };
    match ask_within_limit(env, &identity.sub, &message).await? {
        Reply::Account(known) => Ok(*known),
        _ => Err(unexpected()),
    }
}

/// Tells a meter what the database says of its user now.
pub(crate) async fn learn(env: &Env, user: StoredUser) -> Outcome<()> {
    let known = Known {
        account: user.account(),
        asked_at: clock::now(),
        columns: user.columns,
    };
    let sub = known.account.user.sub.clone();
    let known = Box::new(known);
    match ask_within_limit(env, &sub, &Message::Learn { known }).await? {
        Reply::Told => Ok(()),
        _ => Err(unexpected()),
    }
}

/// Brings a user's history to the database, so that a report about it is complete.
pub(crate) async fn flush(env: &Env, sub: &str) -> Outcome<()> {
    match ask_within_limit(env, sub, &Message::Flush).await? {
        Reply::Flushed => Ok(()),
        _ => Err(unexpected()),
    }
}

/// What a meter has, once its history is in the database.
pub(crate) async fn inspect(env: &Env, sub: &str) -> Outcome<Option<Inspected>> {
    match ask_within_limit(env, sub, &Message::Inspect).await? {
        Reply::Inspected { meter } => Ok(meter.map(|meter| *meter)),
        _ => Err(unexpected()),
    }
}

/// Has a meter count `to`, if it counts `from`.
pub(crate) async fn correct(env: &Env, sub: &str, from: &Usage, to: &Usage) -> Outcome<Corrected> {
    let message = Message::Correct {
        from: from.clone(),
        to: to.clone(),
    };
    match ask_within_limit(env, sub, &message).await? {
        Reply::Corrected(corrected) => Ok(corrected),
        _ => Err(unexpected()),
    }
}
