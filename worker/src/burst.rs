//! Limits what an address may send of which nobody knows who sends it. The platform counts, each of its places for itself.

use crate::configuration;
use crate::failure::{Failure, Outcome};
use crate::identity;
use crate::log;
use crate::platform;
use crate::request::{Header, Request};
use legis_core::burst::{counted_as, counts, counts_failed};
use legis_core::problem::Problem;
use legis_core::route::Route;
use worker::Env;

/// The binding of the platform's counter.
const BINDING: &str = "BURST";

/// Counts a request, before anything is done for it, where its route counts.
pub(crate) async fn admit(request: &Request, env: &Env, route: Option<&Route>) -> Outcome<()> {
    match counts(route) && is_over(env, address(request)).await && !is_known(request, env).await {
        true => Err(Problem::TooManyRequests.into()),
        false => Ok(()),
    }
}

/// Counts a preflight. It cannot say who asks, and the call that it announces may: nobody else's requests stand in its way.
pub(crate) async fn admit_preflight(request: &Request, env: &Env) -> Outcome<()> {
    let name = address(request).map(|address| format!("preflight {address}"));
    match is_over(env, name).await {
        true => Err(Problem::TooManyRequests.into()),
        false => Ok(()),
    }
}

/// Whether somebody says who they are who need not.
async fn is_known(request: &Request, env: &Env) -> bool {
    let token = request.header(Header::Authorization);
    match (token, configuration::load(env).await) {
        (Some(_), Ok(configuration)) => identity::authenticate(token, &configuration).await.is_ok(),
        _ => false,
    }
}

/// What a request that failed is answered: who guesses tokens and signatures is not told for ever that they are wrong.
pub(crate) async fn answered(request: &Request, env: &Env, failure: Failure) -> Failure {
    match counts_failed(&failure.problem) && is_over(env, address(request)).await {
        true => Problem::TooManyRequests.into(),
        false => failure,
    }
}

/// Whether the counter counts; otherwise why not.
pub(crate) async fn examined(env: &Env) -> Result<(), String> {
    if platform::binding(env, BINDING).is_none() {
        return Err(format!("there is no binding {BINDING}"));
    }
    platform::count(env, BINDING, "doctor").await.map(drop)
}

/// What a request is counted under.
fn address(request: &Request) -> Option<String> {
    request.header(Header::ConnectingIp).map(counted_as)
}

/// Whether too much came under that name. Nobody is refused because the counter fails, or where there is none.
async fn is_over(env: &Env, name: Option<String>) -> bool {
    let Some(name) = name else {
        return false;
    };
    match platform::count(env, BINDING, &name).await {
        Ok(fits) => !fits,
        Err(reason) => {
            let failure = Failure::new(Problem::Internal, reason);
            log::event("burst_not_counted", &failure);
            false
        }
    }
}
