//! Every command a person types: `cargo xtask --help`.

mod adopt;
mod audit;
mod backup;
mod bench;
mod build;
mod database;
mod dependencies;
mod deploy;
mod dev;
mod doctor;
mod generate;
mod lint;
mod operator;
mod paths;
mod process;
mod report;
mod setup;
mod test;
mod webhook;

use clap::{Parser, Subcommand};
use database::Place;
use std::path::{Path, PathBuf};
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
    /// Run the whole product on this machine, until Ctrl-C
    Dev {
        /// Where the gateway listens; the issuer, the data service and the MCP server take the next three ports
        #[arg(long, default_value_t = dev::PORT, value_parser = clap::value_parser!(u16).range(1..=65532))]
        port: u16,
        /// Where the databases are kept
        #[arg(long, value_name = "DIR", default_value = dev::STATE)]
        state: PathBuf,
        /// Start with empty databases
        #[arg(long)]
        reset: bool,
    },
    /// Print an access token of the local issuer
    Token {
        /// Who the token speaks for
        #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
        sub: String,
        /// The e-mail address the issuer vouches for
        #[arg(long)]
        email: Option<String>,
        /// The name the issuer vouches for
        #[arg(long)]
        name: Option<String>,
        /// Scopes, separated by spaces; by default those of the data routes
        #[arg(long)]
        scope: Option<String>,
        /// The client the token was issued to
        #[arg(long, value_name = "CLIENT_ID")]
        azp: Option<String>,
        /// How long it is valid; below -60 for one that is over already (clocks may be a minute apart)
        #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
        expires: Option<i64>,
        /// When it was issued; now by default
        #[arg(long, value_name = "UNIX", allow_negative_numbers = true)]
        issued_at: Option<i64>,
        /// The state of the `dev` whose issuer signs
        #[arg(long, value_name = "DIR", default_value = dev::STATE)]
        state: PathBuf,
    },
    /// Make a signed event of a local account at Stripe, print it or send it
    Webhook {
        /// What happens: customer.subscription.created, customer.subscription.updated, invoice.paid, … (any other word lists them)
        #[arg(value_name = "TYPE")]
        kind: String,
        /// To whom: the user's `sub`
        #[arg(long, value_name = "SUB", value_parser = clap::builder::NonEmptyStringValueParser::new())]
        user: String,
        /// Which plan is paid from now on, by any of its names
        #[arg(long)]
        plan: Option<String>,
        /// How often it is paid
        #[arg(long, value_parser = ["month", "year"])]
        interval: Option<String>,
        /// The subscription's status, in Stripe's words
        #[arg(long)]
        status: Option<String>,
        /// Whether it ends with its period
        #[arg(long, value_name = "BOOL")]
        cancel_at_period_end: Option<bool>,
        /// Its next period begins
        #[arg(long)]
        renew: bool,
        /// When it happens; now by default
        #[arg(long, value_name = "UNIX")]
        at: Option<i64>,
        /// The secret that signs it; that of `dev` by default
        #[arg(long)]
        secret: Option<String>,
        /// Where to send it, such as http://localhost:8787; printed when absent
        #[arg(long, value_name = "URL")]
        send: Option<String>,
        /// The state of the `dev` whose account it is
        #[arg(long, value_name = "DIR", default_value = dev::STATE)]
        state: PathBuf,
    },
    /// Take over an old database: says what it finds and would do, and does it with --apply
    Adopt(adopt::Adopt),
    /// Find every lie in a deployment's data; what can be repaired is repaired with --repair
    Audit {
        /// Make the repairs that are shown, and audit again
        #[arg(long)]
        repair: bool,
        /// Whose data; another one than `dev` needs an administrator's token in LEGIS_TOKEN
        #[arg(long, default_value = "http://localhost:8787")]
        url: String,
        /// An export of the identity issuer's users: JSON with `user_id`, one object a line or an array
        #[arg(long, value_name = "FILE")]
        identities: Option<PathBuf>,
        /// The state of the `dev` whose administrator asks
        #[arg(long, value_name = "DIR", default_value = dev::STATE)]
        state: PathBuf,
    },
    /// Prove it: every suite, or the named ones
    Test {
        #[arg(help = test::names())]
        names: Vec<String>,
    },
    /// Measure us beside the peers, in one run: meter, cold, package; and compute what a deployment costs: scale
    Bench {
        /// Which; all when none is named
        names: Vec<String>,
        /// Write the tables in docs/performance.md, docs/scale.md and pkg/README.md; nothing is written without it
        #[arg(long)]
        write: bool,
        /// For the program that measures, after `--`: --rounds N; meter: --calls N, --disk, --logs; package: --node, --only TEXT
        #[arg(last = true)]
        options: Vec<String>,
    },
    /// Examine a deployment: everything its owner would want to be right, and what to do where it is not
    Doctor {
        /// Where it is
        #[arg(long, default_value = "http://localhost:8787")]
        url: String,
        /// The state of the `dev` whose administrator asks; elsewhere the token is taken from LEGIS_TOKEN
        #[arg(long, value_name = "DIR", default_value = dev::STATE)]
        state: PathBuf,
        /// The package that must agree with it: a folder, or what npm knows it by, such as legis-edge@latest
        #[arg(long, value_name = "FOLDER or SPEC", default_value = doctor::PACKAGE)]
        package: String,
    },
    /// Write everything the database has into a file
    Backup {
        /// The file, which must not be there yet
        #[arg(long, value_name = "FILE.sql")]
        to: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Bring a database to what a backup has
    Restore {
        /// The backup
        #[arg(long, value_name = "FILE.sql")]
        from: PathBuf,
        #[command(flatten)]
        place: Place,
        /// Drop everything that is there, in the same transaction
        #[arg(long)]
        replace: bool,
    },
    /// Apply the migrations, deploy, and examine what was deployed
    Deploy {
        /// What differs from worker/wrangler.jsonc: database_id, url, vars, name, routes
        #[arg(long, value_name = "FILE.json", default_value = deploy::DEPLOYMENT)]
        deployment: PathBuf,
        /// Only bundle, as for a deployment
        #[arg(long)]
        dry_run: bool,
    },
    /// Build pkg/dist, the worker's bundle and the page
    Build,
    /// Write what is derived from core: the reader's tables, the TypeScript types, the plan rows
    Generate,
    /// Format Rust and TypeScript
    Fmt,
    /// Check formatting, clippy, types and docs
    Lint,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain of causes, without a backtrace: it is a message, not a crash.
            eprintln!("\n✗ {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Dev { port, state, reset } => dev::run(port, &state, reset),
        Task::Token {
            sub,
            email,
            name,
            scope,
            azp,
            expires,
            issued_at,
            state,
        } => dev::token(
            &dev::Token {
                sub,
                email,
                name,
                scope,
                azp,
                expires,
                issued_at,
            },
            &state,
        ),
        Task::Webhook {
            kind,
            user,
            plan,
            interval,
            status,
            cancel_at_period_end,
            renew,
            at,
            secret,
            send,
            state,
        } => webhook::run(
            webhook::Webhook {
                kind,
                user,
                plan,
                interval,
                status,
                cancel: cancel_at_period_end,
                renew,
                at,
                secret,
                send,
            },
            &state,
        ),
        Task::Adopt(asked) => adopt::run(&asked),
        Task::Audit {
            repair,
            url,
            identities,
            state,
        } => audit::run(&audit::Asked {
            url: &url,
            state: &state,
            repair,
            identities: identities.as_deref(),
        }),
        Task::Bench {
            names,
            write,
            options,
        } => {
            let tables = match write {
                true => bench::Tables::Written,
                false => bench::Tables::Printed,
            };
            bench::run(&names, &options, tables)
        }
        Task::Doctor {
            url,
            state,
            package,
        } => doctor::run(&url, &state, &package),
        Task::Backup { to, place } => backup::backup(&to, &backup::Target::of(&place)?),
        Task::Restore {
            from,
            place,
            replace,
        } => backup::restore(&from, &backup::Target::of(&place)?, replace),
        Task::Deploy {
            deployment,
            dry_run,
        } => deploy::run(&deployment, dry_run, Path::new(dev::STATE)),
        Task::Build => build::all(),
        Task::Generate => generate::write(),
        Task::Test { names } => test::run(&names),
        Task::Fmt => lint::format(),
        Task::Lint => build::all().and_then(|()| lint::run()).map(drop),
    }
}
