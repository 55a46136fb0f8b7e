//! `cargo xtask bench`: each benchmark measures us and the peer in one run and prints the ratio. All of them together
//! write the tables in `docs/performance.md` and in the package's README, where they are told to.

mod scale;
mod speed;

use crate::process::{command, quiet, shown};
use crate::{build, generate, paths, report, setup};
use anyhow::{Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const NAMES: [&str; 4] = ["scale", "meter", "cold", "package"];

/// What becomes of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    Printed,
    /// Written into the documents too.
    Written,
}

/// Runs the named benchmarks, or all; `options` are for the program that measures.
pub fn run(names: &[String], options: &[String], tables: Tables) -> Result<()> {
    let whole = names.is_empty() || names == ["scale"];
    if tables == Tables::Written && (!whole || !options.is_empty()) {
        bail!(
            "A part of the benchmarks, or an unusual way to run them, is no table for the docs.\n  Write all of them: cargo xtask bench --write"
        );
    }
    if let Some(unknown) = names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        bail!(
            "There is no benchmark {unknown}. There are: {}.",
            NAMES.join(", ")
        );
    }
    let asked = |name: &str| names.is_empty() || names.iter().any(|known| known == name);
    if asked("scale") {
        report::step("What a deployment costs and holds");
        scale::run(tables)?;
    }
    if names == ["scale"] {
        return Ok(());
    }
    build::all()?;
    let results = results()?;
    if asked("meter") || asked("cold") {
        bundle()?;
    }
    if asked("meter") {
        report::step("The metered path beside its peers");
        program(&mut command("node"), "bench/meter/run.ts", options)?;
    }
    if asked("cold") {
        report::step("A cold start beside a TypeScript worker's");
        program(&mut command("node"), "bench/cold/run.ts", options)?;
    }
    if asked("package") {
        package(options)?;
    }
    match tables {
        Tables::Written => write(&results),
        Tables::Printed => Ok(()),
    }
}

/// Where the programs note their ratios; empty.
fn results() -> Result<PathBuf> {
    let file = paths::root().join("target/bench/results.md");
    fs::create_dir_all(paths::root().join("target/bench"))?;
    fs::write(&file, "")?;
    Ok(file)
}

/// The tables in `docs/performance.md` and in the package's README. What is measured differs from machine to machine, so no test holds it.
fn write(results: &Path) -> Result<()> {
    let rows = fs::read_to_string(results)?;
    let table = format!("| Measured | Beside | Ratio |\n|---|---|--:|\n{rows}");
    generate::document(
        "docs/performance.md",
        "cargo xtask bench --write`",
        &[("measured", table)],
    )?
    .write()?;
    speed::document(&rows)?.write()
}

/// What the bundler of wrangler makes of the worker is what is deployed.
fn bundle() -> Result<()> {
    let bundle = paths::root().join("target/bench/worker");
    let _ = fs::remove_dir_all(&bundle);
    report::timed("Bundling the worker", || {
        quiet(
            command("wrangler")
                .args(["deploy", "--dry-run", "--config", "worker/wrangler.jsonc"])
                .arg("--outdir")
                .arg(&bundle),
        )
    })
}

fn package(options: &[String]) -> Result<()> {
    let chromium = setup::chromium()?;
    report::timed("Compiling typia's validators", || {
        quiet(
            command("node")
                .current_dir(paths::root().join("bench"))
                .args(["node_modules/typia/lib/executable/typia.js", "generate"])
                .args(["--input", "package/typia", "--output", "package/generated"])
                .args(["--project", "tsconfig.typia.json"]),
        )
    })?;
    report::step("The npm package beside its peers");
    let mut node = command("node");
    node.arg("--expose-gc").env("CHROMIUM_BIN", chromium);
    program(&mut node, "bench/package/run.ts", options)
}

/// Runs a program that measures, and shows what it prints.
fn program(node: &mut Command, file: &str, options: &[String]) -> Result<()> {
    node.args(["--disable-warning=ExperimentalWarning", file])
        .env(
            "LEGIS_BENCH_RESULTS",
            paths::root().join("target/bench/results.md"),
        )
        .args(options);
    if !shown(node)? {
        bail!("the benchmark failed");
    }
    Ok(())
}
