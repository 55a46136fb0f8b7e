//! `cargo xtask fmt` and `cargo xtask lint`.

use crate::process::{command, quiet};
use crate::{report, setup};
use anyhow::Result;
use std::process::Command;

/// Formats everything.
pub fn format() -> Result<()> {
    setup::node()?;
    quiet(command("cargo").args(["fmt", "--all"]))?;
    quiet(command("biome").args(["format", "--write", "."]))
}

/// Checks everything; how many checks passed.
pub fn run() -> Result<usize> {
    let checks: [(&str, Command); 8] = [
        (
            "cargo fmt",
            arguments("cargo", &["fmt", "--all", "--check"]),
        ),
        (
            "clippy",
            arguments(
                "cargo",
                &[
                    "clippy",
                    "--quiet",
                    "--workspace",
                    "--all-targets",
                    "--",
                    "--deny",
                    "warnings",
                ],
            ),
        ),
        (
            "biome",
            arguments("biome", &["check", "--error-on-warnings", "."]),
        ),
        (
            "tsc pkg",
            arguments(
                "tsc",
                &[
                    "--project",
                    "pkg",
                    "--noEmit",
                    "--emitDeclarationOnly",
                    "false",
                ],
            ),
        ),
        ("tsc web", arguments("tsc", &["--project", "web"])),
        ("tsc tests", arguments("tsc", &["--project", "tests"])),
        ("tsc bench", arguments("tsc", &["--project", "bench"])),
        (
            "rustdoc",
            arguments(
                "cargo",
                &["doc", "--quiet", "--no-deps", "--package", "legis-core"],
            ),
        ),
    ];
    let count = checks.len();
    for (name, mut check) in checks {
        report::step(name);
        quiet(check.env("RUSTDOCFLAGS", "--deny warnings"))?;
    }
    Ok(count)
}

fn arguments(program: &str, arguments: &[&str]) -> Command {
    let mut command = command(program);
    command.args(arguments);
    command
}
