//! `cargo xtask test`: every suite, or the named ones, and one line that says how it went.

mod vitest;

use crate::process::{command, filter_lines};
use crate::{build, generate, lint, report, setup};
use anyhow::{Result, bail};
use std::time::Instant;
use vitest::vitest;

/// A suite: its name, what it shows, and how it runs.
struct Suite {
    name: &'static str,
    shows: &'static str,
    /// With the generated files that were not fresh before anything was built.
    run: fn(&[String]) -> Result<Count>,
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
        run: |_| vitest("package"),
    },
    Suite {
        name: "schema",
        shows: "migrations, and a database that does not fit",
        run: |_| vitest("schema"),
    },
    Suite {
        name: "trap",
        shows: "a module that stops while a request waits",
        run: |_| vitest("trap"),
    },
    Suite {
        name: "gateway",
        shows: "the running product over HTTP",
        run: |_| vitest("gateway"),
    },
    Suite {
        name: "openapi",
        shows: "the description of the API, and the worker held to it by Schemathesis",
        run: openapi,
    },
    Suite {
        name: "calls",
        shows: "calls that other services meter, and the old MCP server",
        run: |_| vitest("calls"),
    },
    Suite {
        name: "money",
        shows: "Stripe's events, in any order, signed by the official package",
        run: |_| vitest("money"),
    },
    Suite {
        name: "faults",
        shows: "a database that fails, a meter evicted, an alarm twice, a clock that is set",
        run: |_| vitest("faults"),
    },
    Suite {
        name: "mcp",
        shows: "the MCP gateway, message by message",
        run: |_| vitest("mcp"),
    },
    Suite {
        name: "agents",
        shows: "the official MCP clients, of both majors, through the gateway",
        run: |_| vitest("agents"),
    },
    Suite {
        name: "conformance",
        shows: "the official MCP conformance suite, directly and through the gateway",
        run: |_| vitest("conformance"),
    },
    Suite {
        name: "watched",
        shows: "an answer that passes by and is looked at, whatever becomes of it",
        run: |_| vitest("watched"),
    },
    Suite {
        name: "metrics",
        shows: "what Prometheus scrapes: each call counted once as what became of it",
        run: |_| vitest("metrics"),
    },
    Suite {
        name: "audit",
        shows: "every fault is found and nothing else, and every repair converges",
        run: |_| vitest("audit"),
    },
    Suite {
        name: "histories",
        shows: "random histories beside a model, and many callers at once",
        run: |_| vitest("histories"),
    },
    Suite {
        name: "crash",
        shows: "kill -9 under load, and what is left of it",
        run: |_| vitest("crash"),
    },
    Suite {
        name: "operations",
        shows: "the doctor, backups, migrations that fail half-way, and the operators' guide, done as it says",
        run: |_| vitest("operations"),
    },
    Suite {
        name: "readme",
        shows: "the README, done as it says",
        run: |_| vitest("readme"),
    },
    Suite {
        name: "agreement",
        shows: "five sides, one answer",
        run: |_| vitest("agreement"),
    },
    Suite {
        name: "client",
        shows: "legis-edge/client: decides first, learns, tries again, gives up",
        run: |_| vitest("client"),
    },
    Suite {
        name: "wrapper",
        shows: "legis-edge/mcp: the tools of both MCP SDKs, admitted, run, settled and logged",
        run: |_| vitest("wrapper"),
    },
    Suite {
        name: "frameworks",
        shows: "the schemas in tRPC, TanStack Form, react-hook-form and Hono, as they are",
        run: |_| vitest("frameworks"),
    },
    Suite {
        name: "runtimes",
        shows: "the published package in fresh projects of every kind",
        run: |_| vitest("runtimes"),
    },
    Suite {
        name: "page",
        shows: "the page in Chromium",
        run: |_| vitest("page"),
    },
];

#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
    /// What failed, by name and with the first line of why; fewer where that is not known.
    failures: Vec<String>,
}

impl Count {
    fn passed(passed: usize) -> Self {
        Self {
            passed,
            ..Self::default()
        }
    }

    fn and(mut self, more: Self) -> Self {
        self.passed += more.passed;
        self.failed += more.failed;
        self.failures.extend(more.failures);
        self
    }
}

/// The names of all suites.
pub fn names() -> String {
    SUITES.map(|suite| suite.name).join(", ")
}

/// Runs the suites; an error when anything failed.
pub fn run(names: &[String]) -> Result<()> {
    for name in names {
        if !SUITES.iter().any(|suite| suite.name == name) {
            bail!(
                "There is no suite {name}. The suites are: {}.",
                self::names()
            );
        }
    }
    // Building writes what is not fresh, so this is the first thing that is looked at.
    setup::node()?;
    let stale = generate::stale()?;
    build::all()?;
    let mut total = Count::default();
    for suite in SUITES {
        if !names.is_empty() && !names.iter().any(|name| name == suite.name) {
            continue;
        }
        report::step(&format!("{}: {}", suite.name, suite.shows));
        let start = Instant::now();
        let count = (suite.run)(&stale).unwrap_or_else(|error| {
            eprintln!("  ✗ {error:#}");
            Count {
                passed: 0,
                failed: 1,
                failures: vec![format!("{error:#}")],
            }
        });
        eprintln!(
            "  {} passed, {} failed in {:.1} s",
            count.passed,
            count.failed,
            start.elapsed().as_secs_f32()
        );
        let failures = count.failures.iter();
        let named = failures.map(|failure| format!("{}: {failure}", suite.name));
        total = total.and(Count {
            failures: named.collect(),
            ..count
        });
    }
    println!("\n{} passed, {} failed", total.passed, total.failed);
    // Once more, as the end is what is read first.
    for failure in &total.failures {
        println!("✗ {failure}");
    }
    if total.failed > 0 {
        bail!("{} of the tests failed", total.failed);
    }
    Ok(())
}

fn checks(_: &[String]) -> Result<Count> {
    Ok(Count::passed(lint::run()?))
}

/// The rules for licences, then what is there.
fn dependencies(_: &[String]) -> Result<Count> {
    let rules = rust("xtask")?;
    Ok(rules.and(Count::passed(crate::dependencies::run()?)))
}

fn generated(stale: &[String]) -> Result<Count> {
    if !stale.is_empty() {
        bail!("not fresh: {}. Run: cargo xtask generate", stale.join(", "));
    }
    Ok(Count::passed(1))
}

fn core(_: &[String]) -> Result<Count> {
    rust("legis-core")
}

/// Generated old databases, then one through the commands that a person types.
fn adoption(_: &[String]) -> Result<Count> {
    Ok(rust("legis-adopt")?.and(vitest("adoption")?))
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
            let name = line.strip_prefix("---- ");
            let name = name.and_then(|name| name.strip_suffix(" stdout ----"));
            count.failures.extend(name.map(str::to_owned));
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
fn openapi(_: &[String]) -> Result<Count> {
    setup::python()?;
    vitest("openapi")
}
