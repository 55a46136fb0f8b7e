//! Asking a user's meter.

use super::message::{Admission, Decided, Knowledge, Message, Reply, Settlement};
use crate::database::within;
use crate::failure::{Failure, Outcome};
use legis_core::account::{Account, Identity};
use legis_core::history::{CallEnd, CallStart};
use legis_core::idempotency::KeyedCall;
use legis_core::problem::{Dependency, Problem};
use legis_core::quota::{Channel, Cost};
use std::time::Duration;
use wasm_bindgen::JsValue;
use worker::{Env, Method, Request, RequestInit};

/// How long a meter may take: longer than the two questions it may have to ask the database, so that its own answer
/// about them comes first.
const TIME_LIMIT: Duration = Duration::from_secs(12);

async fn ask(env: &Env, sub: &str, message: &Message) -> Outcome<Reply> {
    let unavailable = |error: String| Failure::unavailable(Dependency::Meter, error);
    let namespace = env
        .durable_object("METER")
        .map_err(|error| Failure::new(Problem::Misconfigured, format!("binding METER: {error}")))?;
    let body = legis_core::evaluate::json(message);
    let answer = async {
        let stub = namespace.get_by_name(sub)?;
        let mut init = RequestInit::new();
        init.with_method(Method::Post)
            .with_body(Some(JsValue::from_str(&String::from_utf8_lossy(&body))));
        let request = Request::new_with_init("https://meter/", &init)?;
        stub.fetch_with_request(request).await?.bytes().await
    };
    let bytes = within(TIME_LIMIT, Dependency::Meter, answer)
        .await?
        .map_err(|error| unavailable(error.to_string()))?;
    match serde_json::from_slice(&bytes) {
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
    call: &str,
    start: CallStart,
    keyed: Option<KeyedCall>,
) -> Outcome<Decided> {
    let message = Message::Admit(Admission {
        call: call.to_owned(),
        identity: identity.clone(),
        cost: Cost::ONE.get(),
        channel: Channel::Rest,
        start,
        keyed,
    });
    match ask(env, &identity.sub, &message).await? {
        Reply::Decided(decided) => Ok(decided),
        _ => Err(unexpected()),
    }
}

/// This call is over.
pub(crate) async fn settle(env: &Env, sub: &str, call: String, end: CallEnd) -> Outcome<()> {
    let message = Message::Settle(Settlement { call, end });
    match ask(env, sub, &message).await? {
        Reply::Settled => Ok(()),
        _ => Err(unexpected()),
    }
}

/// Where does the user stand? Registers whoever is new.
pub(crate) async fn account(
    env: &Env,
    identity: &Identity,
    knowledge: Knowledge,
) -> Outcome<Account> {
    let message = Message::Account {
        identity: identity.clone(),
        knowledge,
    };
    match ask(env, &identity.sub, &message).await? {
        Reply::Account { account } => Ok(account),
        _ => Err(unexpected()),
    }
}
