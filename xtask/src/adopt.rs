//! `cargo xtask adopt`: prepares the target, and runs the program that does it. It is a program of its own because it has
//! SQLite in it, which no other command needs.

use crate::database::Place;
use crate::process::{command, shown};
use crate::{dev, report, setup};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;

/// Which old database, and where it goes.
#[derive(clap::Args)]
pub struct Adopt {
    /// The old database: an SQLite file; it is only read
    #[arg(long, value_name = "FILE.sqlite")]
    from: PathBuf,
    /// What it is called here, so that it is known again; the file's name without its extension by default
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    source: Option<String>,
    /// What takes it over
    #[command(flatten)]
    place: Place,
    /// Which plan an old one is that nobody knows: 3=professional, or gold=pro; may be repeated
    #[arg(long, value_name = "OLD=NAME")]
    plan: Vec<String>,
    /// Only say what would be done (the default)
    #[arg(long, conflicts_with = "apply")]
    dry_run: bool,
    /// Do it
    #[arg(long)]
    apply: bool,
}

/// Says what an old database is and what becomes of it, and does it if asked to.
pub fn run(asked: &Adopt) -> Result<()> {
    let from = fs::canonicalize(&asked.from)
        .with_context(|| format!("cannot find {}", asked.from.display()))?;
    setup::node()?;
    let mut adopt = command("cargo");
    adopt
        .args([
            "run",
            "--quiet",
            "--package",
            "legis-adopt",
            "--profile",
            "adopt",
            "--",
            "--from",
        ])
        .arg(from);
    let mut held = None;
    if let Some(name) = &asked.place.remote {
        adopt
            .args(["--remote", name, "--config"])
            .arg(asked.place.config()?);
    } else {
        let state = dev::absolute(&asked.place.state);
        fs::create_dir_all(&state)?;
        if asked.apply {
            held = Some(dev::lock(&state)?);
        }
        dev::migrate(&state)?;
        adopt.arg("--state").arg(state);
        adopt.args(["--config", "worker/wrangler.jsonc"]);
    }
    if let Some(source) = &asked.source {
        adopt.args(["--source", source]);
    }
    for plan in &asked.plan {
        adopt.args(["--plan", plan]);
    }
    if asked.apply {
        adopt.arg("--apply");
    }
    report::step("Adopting (the first time it is compiled, for a minute or two)");
    let succeeded = shown(&mut adopt)?;
    drop(held);
    if !succeeded {
        bail!("The old database was not taken over.");
    }
    Ok(())
}
