//! How many cases a parser is fuzzed with.

use proptest::prelude::ProptestConfig;

/// As many as `LEGIS_FUZZ` says.
pub(crate) fn cases() -> ProptestConfig {
    ProptestConfig {
        cases: std::env::var("LEGIS_FUZZ")
            .ok()
            .and_then(|cases| cases.parse().ok())
            .unwrap_or(3_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
