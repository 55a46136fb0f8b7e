//! Every command a person types: `cargo xtask --help`.

mod build;
mod generate;
mod paths;
mod process;
mod report;
mod setup;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Build, run and prove the product. Every command sets up what is missing first.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build pkg/dist, the worker's bundle and the page
    Build,
    /// Write what is derived from core: the reader's tables, the TypeScript types, the plan rows
    Generate,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Task::Build => build::all(),
        Task::Generate => generate::write(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain of causes, without a backtrace: it is a message, not a crash.
            eprintln!("\n✗ {error:#}");
            ExitCode::FAILURE
        }
    }
}
