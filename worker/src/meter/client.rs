//! Asking a user's meter.

use super::message::{Decided, Knowledge, Known, Message, Reply};
use crate::database::within;
use crate::failure::{Failure, Outcome};
use legis_core::account::Identity;
use legis_core::call::{CallEnd, Settler};
use legis_core::ledger::{Candidate, Outcome as CallOutcome};
use legis_core::payload::Registration;
use legis_core::problem::{Dependency, Problem};
use std::time::Duration;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::JsFuture;
use worker::Env;

/// How long a meter may take: longer than the two questions it may have to ask the database, so that its own answer
/// about them comes first.
const TIME_LIMIT: Duration = Duration::from_secs(12);

#[wasm_bindgen]
extern "C" {
    /// A meter's stub: its methods are calls to the object.
    type MeterStub;

    #[wasm_bindgen(method, catch)]
    fn ask(this: &MeterStub, message: &str) -> Result<js_sys::Promise, JsValue>;
}

async fn ask(env: &Env, sub: &str, message: &Message) -> Outcome<Reply> {
    let namespace = env
        .durable_object("METER")
        .map_err(|error| Failure::new(Problem::Misconfigured, format!("binding METER: {error}")))?;
    let message = legis_core::evaluate::json(message);
    let answer = async {
        let stub: MeterStub = namespace.get_by_name(sub)?.into_rpc();
        let asked = stub.ask(&String::from_utf8_lossy(&message))?;
        Ok::<_, worker::Error>(JsFuture::from(asked).await?)
    };
    let reply = within(TIME_LIMIT, Dependency::Meter, answer)
        .await?
        .map_err(|error| Failure::unavailable(Dependency::Meter, error))?;
    let reply = reply.as_string().unwrap_or_default();
    match serde_json::from_str(&reply) {
        Ok(Reply::Failed { fault, reason }) => Err(Failure::new(fault.problem(), reason)),
        Ok(reply) => Ok(reply),
        Err(error) => Err(Failure::corrupt("answer of a meter", error)),
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
) -> Outcome<Decided> {
    let message = Message::Admit {
        identity: identity.clone(),
        candidate,
    };
    decided(ask(env, &identity.sub, &message).await?)
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
    decided(ask(env, &identity.sub, &message).await?)
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

/// This call is over.
pub(crate) async fn settle(
    env: &Env,
    sub: &str,
    call: String,
    by: Settler,
    end: CallEnd,
) -> Outcome<Settlement> {
    match ask(env, sub, &Message::Settle { call, by, end }).await? {
        Reply::Settled { outcome } => Ok(Settlement::Closed(outcome)),
        Reply::NotOpen {
            outcome: Some(outcome),
        } => Ok(Settlement::ClosedBefore(outcome)),
        Reply::NotOpen { outcome: None } => Ok(Settlement::Unknown),
        _ => Err(unexpected()),
    }
}

/// Nobody waits for this call: whether it was admitted or will be, nobody pays for it.
pub(crate) async fn give_up(env: &Env, sub: &str, call: String, end: CallEnd) -> Outcome<()> {
    match ask(env, sub, &Message::GiveUp { call, end }).await? {
        Reply::GivenUp => Ok(()),
        _ => Err(unexpected()),
    }
}

/// Where does the user stand? Registers whoever is new, with what they say of themselves.
pub(crate) async fn account(
    env: &Env,
    identity: &Identity,
    knowledge: Knowledge,
    said: Option<Registration>,
) -> Outcome<Known> {
    let message = Message::Account {
        identity: identity.clone(),
        knowledge,
        said,
    };
    match ask(env, &identity.sub, &message).await? {
        Reply::Account(known) => Ok(*known),
        _ => Err(unexpected()),
    }
}

/// Brings a user's history to the database, so that a report about it is complete.
pub(crate) async fn flush(env: &Env, sub: &str) -> Outcome<()> {
    match ask(env, sub, &Message::Flush).await? {
        Reply::Flushed => Ok(()),
        _ => Err(unexpected()),
    }
}
