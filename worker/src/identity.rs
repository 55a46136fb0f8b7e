//! From an `Authorization` header to a caller.

use crate::clock;
use crate::configuration::Configuration;
use crate::database::{Database, Statement, Value, first};
use crate::failure::{Failure, Outcome};
use crate::platform::Outbound;
use crate::signature;
use legis_core::auth::Unauthenticated;
use legis_core::auth::claims::{self, Caller};
use legis_core::auth::issuer::{jwks_url, trusting};
use legis_core::auth::jwks::{KeyChoice, KeySet, choose, has_cooled};
use legis_core::auth::token;
use legis_core::problem::{Dependency, Problem};
use legis_core::row;
use legis_core::time::Timestamp;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;
use wasm_bindgen::JsValue;
use worker::Env;

/// How long an issuer may take to send its keys.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// What this isolate knows of an issuer. Bytes and times only: promises belong to one request.
#[derive(Clone, Default)]
struct Known {
    keys: Option<KeySet>,
    asked_at: Option<Timestamp>,
    question: Question,
}

/// The question for an issuer's keys that was asked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Question {
    /// Somebody waits for its answer.
    UnderWay,
    /// It was answered, or failed.
    #[default]
    Over,
}

thread_local! {
    static ISSUERS: RefCell<BTreeMap<String, Known>> = const { RefCell::new(BTreeMap::new()) };
}

thread_local! {
    /// When a check of readiness failed last, by issuer. What callers are answered does not hang on it.
    static CHECKS: RefCell<BTreeMap<String, Timestamp>> = const { RefCell::new(BTreeMap::new()) };
}

/// How many verified tokens are remembered.
const MAX_VERIFIED: usize = 1_000;

/// A token whose signature was found right, and by what.
struct Verified {
    caller: Rc<Caller>,
    /// The keys and the configuration it was held to; with others it is held to them anew.
    keys: KeySet,
    domain: String,
    read_at: Timestamp,
}

thread_local! {
    /// By the whole token: what differs in one character was not verified.
    static VERIFIED: RefCell<HashMap<String, Verified>> = RefCell::default();
}

/// Who calls.
pub(crate) async fn authenticate(
    authorization: Option<&str>,
    configuration: &Configuration,
) -> Outcome<Rc<Caller>> {
    let refuse = |reason| Failure::from(Problem::Unauthenticated(reason));
    let now = clock::now();
    let text = token::bearer(authorization).map_err(refuse)?;
    if let Some(caller) = verified(text, configuration, now) {
        caller.check_times(now).map_err(refuse)?;
        return Ok(caller);
    }
    let token = token::parse(text).map_err(refuse)?;
    let issuer = token
        .claimed_issuer()
        .ok_or_else(|| refuse(Unauthenticated::Issuer))?;
    let config = trusting(&configuration.issuers, &issuer)
        .next()
        .ok_or_else(|| refuse(Unauthenticated::Issuer))?;
    let domain = config.auth0_domain.as_str();
    let keys = keys(domain, &token.key_id).await?;
    let key = keys
        .find(&token.key_id)
        .ok_or_else(|| refuse(Unauthenticated::KeyUnknown))?;
    if !signature::fits(key, token.signed, &token.signature).await? {
        return Err(refuse(Unauthenticated::Signature));
    }
    let claims = token.into_claims_json();
    let caller = claims::verify(&claims, &configuration.issuers, clock::now()).map_err(refuse)?;
    let caller = Rc::new(caller);
    let verified = Verified {
        caller: Rc::clone(&caller),
        keys,
        domain: domain.to_owned(),
        read_at: configuration.read_at,
    };
    VERIFIED.with_borrow_mut(|tokens| {
        if tokens.len() >= MAX_VERIFIED
            && let Some(any) = tokens.keys().next().cloned()
        {
            tokens.remove(&any);
        }
        tokens.insert(text.to_owned(), verified);
    });
    Ok(caller)
}

/// Who calls, if this very token was verified before and nothing has changed since.
fn verified(token: &str, configuration: &Configuration, now: Timestamp) -> Option<Rc<Caller>> {
    VERIFIED.with_borrow(|tokens| {
        let verified = tokens.get(token)?;
        let same_keys = ISSUERS.with_borrow(|issuers| {
            let keys = issuers.get(&verified.domain)?.keys.as_ref()?;
            Some(keys.fresh(now) && *keys == verified.keys)
        });
        let same = same_keys? && configuration.read_at == verified.read_at;
        same.then(|| Rc::clone(&verified.caller))
    })
}

fn known(domain: &str) -> Known {
    ISSUERS.with_borrow(|issuers| issuers.get(domain).cloned().unwrap_or_default())
}

/// The issuer's keys, the one that a token names among them.
async fn keys(domain: &str, key_id: &str) -> Outcome<KeySet> {
    let now = clock::now();
    let unknown = || Failure::from(Problem::Unauthenticated(Unauthenticated::KeyUnknown));
    let before = known(domain);
    match (
        choose(before.keys.as_ref(), key_id, before.asked_at, now),
        before.keys.as_ref(),
    ) {
        (KeyChoice::Use(_), Some(keys)) => return Ok(keys.clone()),
        (KeyChoice::Unknown, None) => {
            return Err(Failure::unavailable(Dependency::Issuer, "no keys yet"));
        }
        // Whether it is a new key of the issuer's its answer will tell.
        (KeyChoice::Unknown, Some(_)) if before.question == Question::UnderWay => {
            return Err(Failure::unavailable(
                Dependency::Issuer,
                "asked for its keys",
            ));
        }
        (KeyChoice::Unknown, Some(_)) => return Err(unknown()),
        _ => {}
    }
    // One asks; whoever comes meanwhile uses the keys that are known.
    if before
        .keys
        .as_ref()
        .is_some_and(|keys| keys.usable_in_outage(now))
    {
        remember(domain, before.keys, now, Question::UnderWay);
    }
    let fetched = fetch(domain, now).await;
    // Others may have asked meanwhile: what they got is not forgotten because we got nothing. And the keys we have
    // outlive an outage of the issuer.
    let (keys, failure) = match fetched {
        Ok(keys) => (Some(keys), None),
        Err(failure) => {
            let known = known(domain).keys;
            (
                known.filter(|keys| keys.usable_in_outage(now)),
                Some(failure),
            )
        }
    };
    remember(domain, keys.clone(), now, Question::Over);
    match (keys, failure) {
        (Some(keys), _) if keys.find(key_id).is_some() => Ok(keys),
        // Whether the issuer publishes the key is not known while it does not answer.
        (_, Some(failure)) => Err(failure),
        (_, None) => Err(unknown()),
    }
}

/// Whether the issuer's keys are at hand, or can be fetched. Anybody may ask, so the issuer is not asked each time.
pub(crate) async fn check_keys(domain: &str) -> Outcome<()> {
    let now = clock::now();
    let known = known(domain);
    if known.keys.as_ref().is_some_and(|keys| keys.fresh(now)) {
        return Ok(());
    }
    let failed_at = CHECKS.with_borrow(|failed| failed.get(domain).copied());
    if !has_cooled(failed_at, now) {
        let reason = "no fresh keys; asked for them in vain moments ago";
        return Err(Failure::unavailable(Dependency::Issuer, reason));
    }
    match fetch(domain, now).await {
        Ok(keys) => {
            remember(domain, Some(keys), now, Question::Over);
            Ok(())
        }
        Err(failure) => {
            CHECKS.with_borrow_mut(|failed| failed.insert(domain.to_owned(), now));
            Err(failure)
        }
    }
}

/// How many of the keys that the issuer publishes now can be used.
pub(crate) async fn count_keys(domain: &str) -> Outcome<usize> {
    let now = clock::now();
    let keys = fetch(domain, now).await?;
    let count = keys.count();
    remember(domain, Some(keys), now, Question::Over);
    Ok(count)
}

fn remember(domain: &str, keys: Option<KeySet>, asked_at: Timestamp, question: Question) {
    let known = Known {
        keys,
        asked_at: Some(asked_at),
        question,
    };
    ISSUERS.with_borrow_mut(|issuers| issuers.insert(domain.to_owned(), known));
}

async fn fetch(domain: &str, now: Timestamp) -> Outcome<KeySet> {
    let unavailable = |error: &str| Failure::unavailable(Dependency::Issuer, error);
    let request = Outbound {
        url: jwks_url(domain),
        method: "GET".to_owned(),
        headers: String::new(),
        body: JsValue::UNDEFINED,
    };
    let (status, body) = request.ask(TIME_LIMIT, Dependency::Issuer).await?;
    if status != 200 {
        return Err(unavailable(&format!("keys: status {status}")));
    }
    KeySet::parse(&body, now).map_err(|_| unavailable("keys: not a key set"))
}

/// Whether the database says that a user is an administrator.
pub(crate) async fn is_administrator(env: &Env, sub: &str) -> Outcome<bool> {
    row! {
        struct Row {
            is_admin: u8,
        }
    }
    let database = Database::open(env)?;
    let statement = Statement::new(
        "SELECT is_admin FROM users WHERE auth0_user_id = ?1",
        &[Value::Text(sub)],
    );
    let results = database.batch(vec![statement]).await?;
    let row: Option<Row> = first("row of users", results.first())?;
    Ok(row.is_some_and(|row| row.is_admin == 1))
}
