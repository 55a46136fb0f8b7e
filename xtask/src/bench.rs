//! `cargo xtask bench`: each benchmark measures us and the peer in one run and prints the ratio. Nothing is written into
//! the tree.

use crate::process::{command, quiet, shown};
use crate::{build, paths, report, setup};
use anyhow::{Result, bail};
use std::fs;
use std::process::Command;

const NAMES: [&str; 2] = ["meter", "package"];

/// Runs the named benchmarks, or all; `options` are for the program that measures.
pub fn run(names: &[String], options: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        bail!(
            "There is no benchmark {unknown}. There are: {}.",
            NAMES.join(", ")
        );
    }
    build::all()?;
    let asked = |name: &str| names.is_empty() || names.iter().any(|known| known == name);
    if asked("meter") {
        meter(options)?;
    }
    if asked("package") {
        package(options)?;
    }
    Ok(())
}

fn meter(options: &[String]) -> Result<()> {
    // What the bundler of wrangler makes of the worker is what is deployed.
    let bundle = paths::root().join("target/bench/worker");
    let _ = fs::remove_dir_all(&bundle);
    report::timed("Bundling the worker", || {
        quiet(
            command("wrangler")
                .args(["deploy", "--dry-run", "--config", "worker/wrangler.jsonc"])
                .arg("--outdir")
                .arg(&bundle),
        )
    })?;
    report::step("The metered path beside its peers");
    program(&mut command("node"), "bench/meter/run.ts", options)
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
        .args(options);
    if !shown(node)? {
        bail!("the benchmark failed");
    }
    Ok(())
}
