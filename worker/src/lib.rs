//! `legis-core` on the edge. The worker waits, core thinks: each handler parses, authorises, loads, lets core decide,
//! stores and answers.

mod body;
mod clock;
mod configuration;
mod database;
mod failure;
mod handlers;
mod identity;
mod log;
mod meter;
mod registration;
mod reports;
mod respond;
mod rows;
mod signature;
mod upstream;

use worker::{Context, Env, Request, Response, Result, event};

/// Every request.
#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    handlers::answer(request, env, context).await
}
