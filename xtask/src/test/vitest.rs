//! The tests that are written in TypeScript.

use super::Count;
use crate::paths;
use crate::process::{command, shown};
use crate::setup;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::fs;

/// What vitest reports.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    num_passed_tests: usize,
    num_failed_tests: usize,
    test_results: Vec<File>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    /// Why it could not be loaded.
    #[serde(default)]
    message: String,
    assertion_results: Vec<Test>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    full_name: String,
    #[serde(default)]
    failure_messages: Vec<String>,
}

/// One file of `tests/`, against the running product.
pub(super) fn vitest(name: &str) -> Result<Count> {
    let json = paths::root().join("target/vitest.json");
    let _ = fs::remove_file(&json);
    let mut vitest = command("vitest");
    vitest
        .args([
            "run",
            "--root",
            "tests",
            "--reporter=default",
            "--reporter=json",
        ])
        .arg(format!("--outputFile.json={}", json.display()))
        .arg(format!("{name}.test"))
        .env("CHROMIUM_BIN", setup::chromium()?)
        .env("LEGIS_XTASK", std::env::current_exe()?);
    let succeeded = shown(&mut vitest)?;
    let report: Report =
        serde_json::from_slice(&fs::read(&json).context("vitest wrote no report")?)?;
    // A file that cannot be loaded, or a hook that fails, has no failed test; it is a failure all the same.
    let failed = match succeeded {
        true => report.num_failed_tests,
        false => report.num_failed_tests.max(1),
    };
    Ok(Count {
        passed: report.num_passed_tests,
        failed,
        failures: report.test_results.iter().flat_map(failures).collect(),
    })
}

/// The tests of a file that failed, and why.
fn failures(file: &File) -> Vec<String> {
    let first_line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    let tests = file.assertion_results.iter();
    let failed = tests.filter_map(|test| Some((test, test.failure_messages.first()?)));
    let named = failed.map(|(test, why)| format!("{}: {}", test.full_name, first_line(why)));
    let whole = Some(first_line(&file.message)).filter(|why| !why.is_empty());
    named.chain(whole).collect()
}
