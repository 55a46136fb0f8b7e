//! Stripe's events, and what becomes of them: from bytes to the truth in the database, without waiting for anything.
//!
//! [`signature`] → [`event`] → [`order`] → [`timeline`] → [`billing`] → [`apply`]. What is stored of a subscription is
//! every snapshot that an event brought; what holds is computed from all of them, so neither order, nor repetition, nor
//! delay of events makes a difference.

pub mod apply;
pub mod billing;
pub mod checkout;
pub mod customer;
pub mod event;
pub mod order;
pub mod outcomes;
pub mod payment;
pub mod prices;
pub mod retry;
pub mod signature;
pub mod snapshot;
pub mod timeline;
