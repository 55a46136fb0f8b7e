//! Rows of the database, decoded and validated. A row that breaks a rule is a typed error, never a panic.

pub mod auth_config;
pub mod billing;
pub mod plans;
pub mod users;

use crate::plan::Interval;
use crate::row::Unfit;

/// The value of `users.billing_interval`.
fn interval(column: Option<&str>) -> Result<Option<Interval>, Unfit> {
    column
        .map(|word| Interval::parse(word).ok_or_else(|| Unfit::row("users", "interval")))
        .transpose()
}
