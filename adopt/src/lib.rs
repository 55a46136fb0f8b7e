//! Takes over the databases of the old services: `cargo xtask adopt`, told in `docs/adoption.md`.
//!
//! What becomes of a row is decided in `legis_core::adoption`. Here old databases are read ([`source`]), the new one is
//! read and written ([`target`], [`script`]), and both are brought together: who is who ([`people`]), row by row
//! ([`adoption`]), and told ([`report`]).

pub mod adoption;
pub mod count;
pub mod deployment;
pub mod people;
pub mod report;
pub mod script;
pub mod source;
pub mod target;
