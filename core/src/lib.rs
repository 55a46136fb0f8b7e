//! What is true about plans, quotas and payloads: no I/O, no clock, no randomness, no JavaScript, no panic.
//!
//! Everything here is a function of its arguments. `now` and every id come from the caller, so the same
//! compiled code answers in a browser, in Node and inside the Worker, and can be tested without any of them.
//! Native builds also have `openapi` (feature `schema`): the HTTP API, described.
//!
//! Its rooms, roughly from the bottom up: [`money`], [`time`], [`fnv`], [`violation`], [`plan`], [`subscription`], [`entitlement`], [`quota`],
//! [`meter`], [`account`], [`counters`], [`payload`], [`idempotency`], [`call`], [`history`], [`report`], [`ledger`],
//! [`auth`], [`problem`], [`refusal`], [`route`], [`evaluate`], [`contract`], [`migration`], [`adoption`], [`audit`],
//! [`doctor`].

pub mod account;
pub mod adoption;
pub mod audit;
pub mod auth;
pub mod burst;
pub mod call;
pub mod called_off;
pub mod change;
pub mod contract;
pub mod counters;
pub mod digits;
pub mod doctor;
pub mod entitlement;
pub mod evaluate;
pub mod fnv;
pub mod header;
pub mod history;
pub mod idempotency;
pub mod json;
pub mod ledger;
pub mod mcp;
pub mod meter;
pub mod metrics;
pub mod migration;
pub mod money;
#[cfg(feature = "schema")]
pub mod openapi;
pub mod outbox;
pub mod payload;
pub mod plan;
pub mod problem;
pub mod quota;
pub mod refusal;
pub mod report;
pub mod route;
pub mod row;
pub mod rows;
pub mod schema;
pub mod settings;
pub mod stripe;
pub mod subscription;
pub mod time;
pub mod violation;
pub mod whole;
