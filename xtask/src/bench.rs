//! `cargo xtask bench`: each benchmark measures us and the peer in one run and prints the ratio. Nothing is written into
//! the tree.

use crate::process::{command, quiet, shown};
use crate::{build, paths, report};
use anyhow::{Result, bail};
use std::fs;

const NAMES: [&str; 1] = ["meter"];

/// Runs the named benchmarks, or all; `options` are for the program that measures.
pub fn run(names: &[String], options: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        bail!(
            "There is no benchmark {unknown}. There are: {}.",
            NAMES.join(", ")
        );
    }
    build::all()?;
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
    let mut node = command("node");
    node.args([
        "--disable-warning=ExperimentalWarning",
        "bench/meter/run.ts",
    ])
    .args(options);
    if !shown(&mut node)? {
        bail!("the benchmark failed");
    }
    Ok(())
}
