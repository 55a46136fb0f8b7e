//! `legis-core` on the edge. The worker waits, core thinks: each handler parses, authorises, loads, lets core decide,
//! stores and answers.

mod administration;
mod answer;
mod audit;
mod burst;
mod calls;
mod clock;
mod configuration;
mod cron;
mod database;
mod doctor;
mod failure;
mod handlers;
mod history;
mod identity;
mod log;
mod mcp;
mod meter;
mod metered;
mod metrics;
mod platform;
mod registration;
mod reports;
mod request;
mod signature;
mod stripe;
mod support;
mod upstream;
mod variable;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::worker_sys::Context;
use worker::{Env, ScheduleContext, ScheduledEvent, event};

/// As in the npm package: the one that Rust brings along is larger.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// Every request. The types are the browser's own: the crate's would read more of them than is needed.
///
/// # Errors
/// None that a caller can cause; `entry.js` turns it into a problem document.
#[wasm_bindgen]
pub async fn fetch(
    request: web_sys::Request,
    env: Env,
    context: Context,
) -> Result<web_sys::Response, JsValue> {
    handlers::answer(request, env, context).await
}

/// Which rules this worker follows, for an answer that core could not write any more.
#[wasm_bindgen]
#[must_use]
pub fn contract() -> String {
    legis_core::contract::header()
}

/// The cron.
#[event(scheduled)]
async fn scheduled(event: ScheduledEvent, env: Env, _: ScheduleContext) {
    cron::run(&env, &event.cron(), event.schedule()).await;
}
