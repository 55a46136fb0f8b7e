//! From an `Authorization` header to a caller.

use crate::clock;
use crate::configuration::Configuration;
use crate::database::within;
use crate::failure::{Failure, Outcome};
use crate::signature;
use legis_core::auth::Unauthenticated;
use legis_core::auth::claims::{self, Caller};
use legis_core::auth::issuer::{jwks_url, trusting};
use legis_core::auth::jwks::{KeyChoice, KeySet, RsaKey, choose};
use legis_core::auth::token::{self, UnverifiedToken};
use legis_core::problem::{Dependency, Problem};
use legis_core::time::Timestamp;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;
use worker::{Fetch, Method, Request};

/// How long an issuer may take to send its keys.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// What this isolate knows of an issuer. Bytes and times only: promises belong to one request.
#[derive(Clone, Default)]
struct Known {
    keys: Option<KeySet>,
    asked_at: Option<Timestamp>,
}

thread_local! {
    static ISSUERS: RefCell<BTreeMap<String, Known>> = const { RefCell::new(BTreeMap::new()) };
}

/// How many verified tokens are remembered; then the memory begins anew.
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
    /// By the whole header: what differs in one character was not verified.
    static VERIFIED: RefCell<HashMap<String, Verified>> = RefCell::default();
}

/// Who calls.
pub(crate) async fn authenticate(
    authorization: Option<&str>,
    configuration: &Configuration,
) -> Outcome<Rc<Caller>> {
    let refuse = |reason| Failure::from(Problem::Unauthenticated(reason));
    let now = clock::now();
    if let Some(caller) = authorization.and_then(|header| verified(header, configuration, now)) {
        caller.check_times(now).map_err(refuse)?;
        return Ok(caller);
    }
    let token = token::parse(authorization).map_err(refuse)?;
    let issuer = token
        .claimed_issuer()
        .ok_or_else(|| refuse(Unauthenticated::Issuer))?;
    let config = trusting(&configuration.issuers, &issuer)
        .next()
        .ok_or_else(|| refuse(Unauthenticated::Issuer))?;
    let domain = config.auth0_domain.as_str();
    let key = key(domain, &token).await?;
    if !signature::fits(&key, token.signed, &token.signature).await? {
        return Err(refuse(Unauthenticated::Signature));
    }
    let claims = token.into_claims_json();
    let caller = claims::verify(&claims, &configuration.issuers, clock::now()).map_err(refuse)?;
    let caller = Rc::new(caller);
    if let (Some(header), Some(keys)) = (authorization, known(domain).keys) {
        VERIFIED.with_borrow_mut(|tokens| {
            if tokens.len() >= MAX_VERIFIED {
                tokens.clear();
            }
            let verified = Verified {
                caller: Rc::clone(&caller),
                keys,
                domain: domain.to_owned(),
                read_at: configuration.read_at,
            };
            tokens.insert(header.to_owned(), verified);
        });
    }
    Ok(caller)
}

/// Who calls, if this very token was verified before and nothing has changed since.
fn verified(
    authorization: &str,
    configuration: &Configuration,
    now: Timestamp,
) -> Option<Rc<Caller>> {
    VERIFIED.with_borrow(|tokens| {
        let verified = tokens.get(authorization)?;
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

/// The published key that a token names.
async fn key(domain: &str, token: &UnverifiedToken<'_>) -> Outcome<RsaKey> {
    let known = known(domain);
    let now = clock::now();
    match choose(known.keys.as_ref(), &token.key_id, known.asked_at, now) {
        KeyChoice::Use(key) => return Ok(key.clone()),
        KeyChoice::Unknown if known.keys.is_none() => {
            return Err(Failure::unavailable(Dependency::Issuer, "no keys yet"));
        }
        KeyChoice::Unknown => {
            return Err(Problem::Unauthenticated(Unauthenticated::KeyUnknown).into());
        }
        KeyChoice::Fetch => {}
    }
    let (keys, failure) = match fetch(domain, now).await {
        Ok(keys) => (Some(keys), None),
        // The keys we have outlive an outage of the issuer.
        Err(failure) => (
            known.keys.filter(|keys| keys.usable_in_outage(now)),
            Some(failure),
        ),
    };
    remember(domain, keys.clone(), now);
    match (
        choose(keys.as_ref(), &token.key_id, Some(now), now),
        failure,
    ) {
        (KeyChoice::Use(key), _) => Ok(key.clone()),
        // Whether the issuer publishes the key is not known while it does not answer.
        (_, Some(failure)) => Err(failure),
        (_, None) => Err(Problem::Unauthenticated(Unauthenticated::KeyUnknown).into()),
    }
}

/// Whether the issuer's keys are at hand, or can be fetched.
pub(crate) async fn check_keys(domain: &str) -> Outcome<()> {
    let now = clock::now();
    let known = known(domain);
    if known.keys.is_some_and(|keys| keys.fresh(now)) {
        return Ok(());
    }
    remember(domain, Some(fetch(domain, now).await?), now);
    Ok(())
}

fn remember(domain: &str, keys: Option<KeySet>, asked_at: Timestamp) {
    let known = Known {
        keys,
        asked_at: Some(asked_at),
    };
    ISSUERS.with_borrow_mut(|issuers| issuers.insert(domain.to_owned(), known));
}

async fn fetch(domain: &str, now: Timestamp) -> Outcome<KeySet> {
    let unavailable = |error: &str| Failure::unavailable(Dependency::Issuer, error);
    let answer = async {
        let request = Request::new(&jwks_url(domain), Method::Get)?;
        let mut response = Fetch::Request(request).send().await?;
        let body = response.bytes().await?;
        Ok::<_, worker::Error>((response.status_code(), body))
    };
    let (status, body) = within(TIME_LIMIT, Dependency::Issuer, answer)
        .await?
        .map_err(|error| unavailable(&error.to_string()))?;
    if status != 200 {
        return Err(unavailable(&format!("keys: status {status}")));
    }
    KeySet::parse(&body, now).map_err(|_| unavailable("keys: not a key set"))
}
