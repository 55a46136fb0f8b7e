//! The program behind `cargo xtask adopt`, which prepares the target and passes the arguments on.

use anyhow::{Context, Result};
use clap::Parser;
use legis_adopt::adoption::{Does, Order, run};
use legis_adopt::deployment::check_schema;
use legis_adopt::report;
use legis_adopt::source::Source;
use legis_adopt::target::{Place, Wrangler};
use legis_core::adoption::plans::PlanNames;
use legis_core::plan::PlanId;
use legis_core::time::Timestamp;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask adopt", bin_name = "cargo xtask adopt")]
struct Arguments {
    #[arg(long)]
    from: PathBuf,
    // Rows without a source are pieces of others while they are written (script.rs).
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    source: Option<String>,
    #[arg(long, conflicts_with = "remote")]
    state: Option<PathBuf>,
    #[arg(long)]
    remote: Option<String>,
    // Wrangler's, of the deployment that has the database.
    #[arg(long)]
    config: PathBuf,
    #[arg(long, value_parser = plan)]
    plan: Vec<(String, PlanId)>,
    #[arg(long)]
    apply: bool,
}

fn plan(text: &str) -> Result<(String, PlanId), String> {
    let (old, name) = text
        .split_once('=')
        .ok_or("OLD=NAME is expected, such as 3=professional")?;
    let plan = PlanId::resolve(name).map_err(|unknown| unknown.to_string())?;
    Ok((old.to_owned(), plan))
}

fn main() -> ExitCode {
    match adopt(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n✗ {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn adopt(arguments: Arguments) -> Result<()> {
    let source = Source::open(&arguments.from)?;
    let name = match arguments.source {
        Some(name) => name,
        None => stem(&arguments.from)?,
    };
    let file = arguments
        .from
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    println!("{}", report::shape(&file, &name, &source.recognised));
    let place = match (arguments.remote, arguments.state) {
        (Some(name), _) => Place::Remote(name),
        (None, state) => Place::Local(state.context("--state or --remote is missing")?),
    };
    let mut target = Wrangler::new(place, arguments.config);
    check_schema(&mut target, Path::new("worker/migrations"))?;
    let does = if arguments.apply {
        Does::Apply
    } else {
        Does::Tell
    };
    let now = now()?;
    let order = Order {
        source: name,
        plans: PlanNames::new(arguments.plan),
        now,
        does,
    };
    let outcome = run(&source, &mut target, order)?;
    println!("\n{}", report::outcome(&outcome, does, now));
    println!(
        "{}",
        match does {
            Does::Tell => "Nothing was written. To do it: the same with --apply.",
            Does::Apply =>
                "Done. The same again changes nothing; rows that are new in the file are added.",
        }
    );
    Ok(())
}

fn stem(path: &Path) -> Result<String> {
    let stem = path
        .file_stem()
        .context("--from has no file name; say --source NAME")?;
    Ok(stem.to_string_lossy().into_owned())
}

fn now() -> Result<Timestamp> {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place where the clock is read"
    )]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    i64::try_from(since.as_millis())
        .ok()
        .and_then(Timestamp::from_millis)
        .context("this machine's clock is wrong")
}
