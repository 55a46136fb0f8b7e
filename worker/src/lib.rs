//! `legis-core` on the edge. The worker waits, core thinks: each handler parses, authorises, loads, lets core decide,
//! stores and answers.

mod body;
mod calls;
mod clock;
mod configuration;
mod cron;
mod database;
mod failure;
mod handlers;
mod history;
mod identity;
mod log;
mod meter;
mod metered;
mod registration;
mod reports;
mod respond;
mod rows;
mod signature;
mod upstream;

use worker::{Context, Env, Request, Response, Result, ScheduleContext, ScheduledEvent, event};

/// Every request.
#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    handlers::answer(request, env, context).await
}

/// The cron.
#[event(scheduled)]
async fn scheduled(event: ScheduledEvent, env: Env, _: ScheduleContext) {
    cron::run(&env, event.schedule()).await;
}
