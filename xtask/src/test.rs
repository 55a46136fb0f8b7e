//! `cargo xtask test`: every suite, or the named ones, and one line that says how it went.

use crate::process::{command, filter_lines};
use crate::{build, generate, lint, report, setup};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::fs;
use std::process::Command;
use std::time::Instant;

/// A suite: its name, what it shows, and how it runs.
struct Suite {
    name: &'static str,
    shows: &'static str,
    run: fn() -> Result<Count>,
}

const SUITES: [Suite; 29] = [
    Suite {
        name: "lint",
        shows: "formatting, clippy and the TypeScript checks",
        run: checks,
    },
    Suite {
        name: "generated",
        shows: "what is derived from core is fresh",
        run: generated,
    },
    Suite {
        name: "dependencies",
        shows: "licences of everything it is built from, and advisories where they can be reached",
        run: dependencies,
    },
    Suite {
        name: "core",
        shows: "the laws, the calendar, the reader against garde, the examples in the docs",
        run: core,
    },
    Suite {
        name: "adoption",
        shows: "old databases of every kind, taken over: nothing lost, twice is once, the meters go on",
        run: adoption,
    },
    Suite {
        name: "package",
        shows: "the npm package: importable, small, safe",
        run: || vitest("package"),
    },
    Suite {
        name: "schema",
        shows: "migrations, and a database that does not fit",
        run: || vitest("schema"),
    },
    Suite {
        name: "trap",
        shows: "a module that stops while a request waits",
        run: || vitest("trap"),
    },
    Suite {
        name: "gateway",
        shows: "the running product over HTTP",
        run: || vitest("gateway"),
    },
    Suite {
        name: "openapi",
        shows: "the description of the API, and the worker held to it by Schemathesis",
        run: openapi,
    },
    Suite {
        name: "calls",
        shows: "calls that other services meter, and the old MCP server",
        run: || vitest("calls"),
    },
    Suite {
        name: "money",
        shows: "Stripe's events, in any order, signed by the official package",
        run: || vitest("money"),
    },
    Suite {
        name: "faults",
        shows: "a database that fails, a meter evicted, an alarm twice, a clock that is set",
        run: || vitest("faults"),
    },
    Suite {
        name: "mcp",
        shows: "the MCP gateway, message by message",
        run: || vitest("mcp"),
    },
    Suite {
        name: "agents",
        shows: "the official MCP clients, of both majors, through the gateway",
        run: || vitest("agents"),
    },
    Suite {
        name: "conformance",
        shows: "the official MCP conformance suite, directly and through the gateway",
        run: || vitest("conformance"),
    },
    Suite {
        name: "watched",
        shows: "an answer that passes by and is looked at, whatever becomes of it",
        run: || vitest("watched"),
    },
    Suite {
        name: "metrics",
        shows: "what Prometheus scrapes: each call counted once as what became of it",
        run: || vitest("metrics"),
    },
    Suite {
        name: "audit",
        shows: "every fault is found and nothing else, and every repair converges",
        run: || vitest("audit"),
    },
    Suite {
        name: "histories",
        shows: "random histories beside a model, and many callers at once",
        run: || vitest("histories"),
    },
    Suite {
        name: "crash",
        shows: "kill -9 under load, and what is left of it",
        run: || vitest("crash"),
    },
    Suite {
        name: "operations",
        shows: "the doctor, backups, migrations that fail half-way, and the operators' guide, done as it says",
        run: || vitest("operations"),
    },
    Suite {
        name: "readme",
        shows: "the README, done as it says",
        run: || vitest("readme"),
    },
    Suite {
        name: "agreement",
        shows: "five sides, one answer",
        run: || vitest("agreement"),
    },
    Suite {
        name: "client",
        shows: "legis-edge/client: decides first, learns, tries again, gives up",
        run: || vitest("client"),
    },
    Suite {
        name: "wrapper",
        shows: "legis-edge/mcp: the tools of both MCP SDKs, admitted, run, settled and logged",
        run: || vitest("wrapper"),
    },
    Suite {
        name: "frameworks",
        shows: "the schemas in tRPC, TanStack Form, react-hook-form and Hono, as they are",
        run: || vitest("frameworks"),
    },
    Suite {
        name: "runtimes",
        shows: "the published package in fresh projects of every kind",
        run: || vitest("runtimes"),
    },
    Suite {
        name: "page",
        shows: "the page in Chromium",
        run: || vitest("page"),
    },
];

#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
}

/// Runs the suites; an error when anything failed.
pub fn run(names: &[String]) -> Result<()> {
    for name in names {
        if !SUITES.iter().any(|suite| suite.name == name) {
            let known: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
            bail!(
                "There is no suite {name}. The suites are: {}.",
                known.join(", ")
            );
        }
    }
    build::all()?;
    let mut total = Count::default();
    for suite in SUITES {
        if !names.is_empty() && !names.iter().any(|name| name == suite.name) {
            continue;
        }
        report::step(&format!("{}: {}", suite.name, suite.shows));
        let start = Instant::now();
        let count = (suite.run)().unwrap_or_else(|error| {
            eprintln!("  ✗ {error:#}");
            Count {
                passed: 0,
                failed: 1,
            }
        });
        eprintln!(
            "  {} passed, {} failed in {:.1} s",
            count.passed,
            count.failed,
            start.elapsed().as_secs_f32()
        );
        total.passed += count.passed;
        total.failed += count.failed;
    }
    println!("\n{} passed, {} failed", total.passed, total.failed);
    if total.failed > 0 {
        bail!("{} of the tests failed", total.failed);
    }
    Ok(())
}

fn checks() -> Result<Count> {
    Ok(Count {
        passed: lint::run()?,
        failed: 0,
    })
}

/// The rules for licences, then what is there.
fn dependencies() -> Result<Count> {
    let rules = rust("xtask")?;
    Ok(Count {
        passed: rules.passed + crate::dependencies::run()?,
        failed: rules.failed,
    })
}

fn generated() -> Result<Count> {
    let stale = generate::stale()?;
    if !stale.is_empty() {
        bail!("not fresh: {}. Run: cargo xtask generate", stale.join(", "));
    }
    Ok(Count {
        passed: 1,
        failed: 0,
    })
}

fn core() -> Result<Count> {
    rust("legis-core")
}

/// Generated old databases, then one through the commands that a person types.
fn adoption() -> Result<Count> {
    let (rust, product) = (rust("legis-adopt")?, vitest("adoption")?);
    Ok(Count {
        passed: rust.passed + product.passed,
        failed: rust.failed + product.failed,
    })
}

/// The Rust tests of a package; cargo prints a line of figures for each binary.
fn rust(package: &str) -> Result<Count> {
    let mut cargo = command("cargo");
    cargo.args(["test", "--quiet", "--package", package, "--no-fail-fast"]);
    // What is only compiled to be generated from is held to its laws as well.
    if package == "legis-core" {
        cargo.args(["--features", "schema"]);
    }
    let mut count = Count::default();
    let succeeded = filter_lines(&mut cargo, |line| {
        let Some(figures) = line.strip_prefix("test result: ") else {
            // Dots and headings of cargo's quiet form.
            return !line.is_empty() && !line.starts_with("running ") && !line.starts_with('.');
        };
        count.passed += figure(figures, " passed");
        count.failed += figure(figures, " failed");
        false
    })?;
    if !succeeded && count.failed == 0 {
        bail!("the Rust tests do not compile");
    }
    Ok(count)
}

fn figure(text: &str, of: &str) -> usize {
    text.split(of)
        .next()
        .and_then(|before| before.rsplit(' ').next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// It needs what is written in Python.
fn openapi() -> Result<Count> {
    setup::python()?;
    vitest("openapi")
}

/// One file of `tests/`, against the running product.
fn vitest(name: &str) -> Result<Count> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Report {
        num_passed_tests: usize,
        num_failed_tests: usize,
        num_failed_test_suites: usize,
    }
    let json = crate::paths::root().join("target/vitest.json");
    let _ = fs::remove_file(&json);
    let mut vitest: Command = command("vitest");
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
    let succeeded = crate::process::shown(&mut vitest)?;
    let report: Report =
        serde_json::from_slice(&fs::read(&json).context("vitest wrote no report")?)?;
    // A file that cannot be loaded, or a hook that fails, has no failed test; it is a failure all the same.
    let failed = report
        .num_failed_tests
        .max(usize::from(!succeeded || report.num_failed_test_suites > 0));
    Ok(Count {
        passed: report.num_passed_tests,
        failed: if succeeded {
            report.num_failed_tests
        } else {
            failed
        },
    })
}
