//! What two sides must agree on, in one short text: the npm package has it, the worker sends it with every response.

use crate::schema::FINGERPRINT;
use serde::Serialize;

/// The version of the rules. Raise it when a rule changes without a plan or a schema changing.
pub const RULES_VERSION: u32 = 3;

/// Version and fingerprint of a side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Contract {
    /// The release.
    pub version: &'static str,
    /// Of the catalog, the version of the rules and the schemas. Equal on two sides that agree.
    pub fingerprint: &'static str,
}

/// The contract of this build.
#[must_use]
pub const fn contract() -> Contract {
    Contract {
        version: env!("CARGO_PKG_VERSION"),
        fingerprint: FINGERPRINT,
    }
}

/// The value of the `Legis-Contract` header.
#[must_use]
pub fn header() -> String {
    header_of(FINGERPRINT)
}

/// The value of the `Legis-Contract` header of a build of this release that has another fingerprint.
#[must_use]
pub fn header_of(fingerprint: &str) -> String {
    format!(
        "{}; fingerprint=\"{fingerprint}\"",
        env!("CARGO_PKG_VERSION")
    )
}
