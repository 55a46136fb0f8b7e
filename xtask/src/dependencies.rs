//! `cargo xtask test dependencies`: under which licences everything is that is built from, and whether anything of it is
//! known to be unsafe, where lists of that can be reached.

use crate::paths;
use crate::process::{command, output};
use crate::report;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use spdx::{Expression, ParseMode};
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

/// Licences of packages that only tests and tools use, none of which is shipped: sharp's native library, which Next brings
/// along; lightningcss and axe-core; a list of characters; what typedoc reads arguments and file names with.
const OF_TOOLS: [&str; 5] = [
    "LGPL-3.0-or-later",
    "MPL-2.0",
    "CC0-1.0",
    "Python-2.0",
    "BlueOak-1.0.0",
];

/// How many checks passed.
pub fn run() -> Result<usize> {
    let allowed = allowed()?;
    let crates = crates()?;
    report::step(&format!("Licences of {} crates", crates.len()));
    check(&crates, &allowed)?;
    let (shipped, tools) = packages()?;
    report::step(&format!(
        "Licences of {} npm packages, {} of them only for tests and tools",
        shipped.len() + tools.len(),
        tools.len()
    ));
    check(&shipped, &allowed)?;
    let of_tools = OF_TOOLS.map(str::to_owned);
    check(&tools, &[allowed.as_slice(), &of_tools].concat())?;
    npm_advisories()?;
    cargo_deny()?;
    Ok(3)
}

/// A dependency and its licence.
struct Dependency {
    name: String,
    licence: Option<String>,
}

fn allowed() -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Deny {
        licenses: Licenses,
    }
    #[derive(Deserialize)]
    struct Licenses {
        allow: Vec<String>,
    }
    let text = fs::read_to_string(paths::root().join("deny.toml"))?;
    let deny: Deny = toml::from_str(&text).context("deny.toml")?;
    Ok(deny.licenses.allow)
}

fn crates() -> Result<Vec<Dependency>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: String,
        license: Option<String>,
    }
    let metadata =
        output(command("cargo").args(["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("cargo metadata")?;
    let packages = metadata.packages.into_iter();
    Ok(packages
        .map(|package| Dependency {
            name: format!("{} {}", package.name, package.version),
            licence: package.license,
        })
        .collect())
}

/// The npm packages that are shipped, and those that are not.
fn packages() -> Result<(Vec<Dependency>, Vec<Dependency>)> {
    #[derive(Deserialize)]
    struct Lock {
        packages: BTreeMap<String, Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        license: Option<String>,
        #[serde(default)]
        link: bool,
        #[serde(default)]
        dev: bool,
    }
    let text = fs::read_to_string(paths::root().join("package-lock.json"))?;
    let lock: Lock = serde_json::from_str(&text).context("package-lock.json")?;
    let foreign = lock
        .packages
        .into_iter()
        // The workspace itself, and links to it.
        .filter(|(place, package)| place.contains("node_modules/") && !package.link);
    let (tools, shipped): (Vec<_>, Vec<_>) = foreign.partition(|(_, package)| package.dev);
    let named = |packages: Vec<(String, Package)>| {
        let packages = packages.into_iter();
        packages
            .map(|(name, package)| Dependency {
                name,
                licence: package.license,
            })
            .collect()
    };
    Ok((named(shipped), named(tools)))
}

fn check(dependencies: &[Dependency], allowed: &[String]) -> Result<()> {
    let wrong: Vec<String> = dependencies
        .iter()
        .filter_map(|dependency| {
            let licence = dependency.licence.as_deref().unwrap_or("none");
            (!fits(licence, allowed)).then(|| format!("{}: {licence}", dependency.name))
        })
        .collect();
    ensure!(
        wrong.is_empty(),
        "licences that deny.toml does not allow:\n  {}\nUse another library, or allow the licence with a reason.",
        wrong.join("\n  ")
    );
    Ok(())
}

/// Whether a licence leaves a choice that is allowed.
fn fits(licence: &str, allowed: &[String]) -> bool {
    Expression::parse_mode(licence, ParseMode::LAX).is_ok_and(|expression| {
        expression.evaluate(|required| {
            let required = required.to_string();
            allowed.contains(&required)
        })
    })
}

/// What npm's registry knows to be unsafe, where it can be asked.
fn npm_advisories() -> Result<()> {
    #[derive(Deserialize)]
    struct Audit {
        metadata: Found,
    }
    #[derive(Deserialize)]
    struct Found {
        vulnerabilities: BTreeMap<String, u32>,
    }
    report::step("Advisories about npm packages");
    let said = command("npm").args(["audit", "--json"]).output()?;
    let Ok(audit) = serde_json::from_slice::<Audit>(&said.stdout) else {
        eprintln!("  the registry has no list that can be asked; not checked");
        return Ok(());
    };
    let found = &audit.metadata.vulnerabilities;
    let severe: u32 = ["high", "critical"]
        .iter()
        .filter_map(|severity| found.get(*severity))
        .sum();
    ensure!(severe == 0, "{severe} severe advisories. See: npm audit");
    Ok(())
}

/// cargo-deny, where it is installed: bans and sources, and advisories where their list can be fetched.
fn cargo_deny() -> Result<()> {
    report::step("Advisories about crates");
    let deny = || command("cargo-deny");
    if !deny()
        .arg("--version")
        .output()
        .is_ok_and(|said| said.status.success())
    {
        eprintln!("  cargo-deny is not installed; not checked");
        return Ok(());
    }
    let check = |mut deny: Command, what: &[&str]| deny.args(["check"]).args(what).output();
    let said = check(deny(), &["licenses", "bans", "sources"])?;
    if !said.status.success() {
        bail!("cargo-deny:\n{}", String::from_utf8_lossy(&said.stderr));
    }
    let said = check(deny(), &["advisories"])?;
    let text = String::from_utf8_lossy(&said.stderr);
    if !said.status.success() && text.contains("failed to fetch") {
        eprintln!("  the list of advisories cannot be fetched; not checked");
        return Ok(());
    }
    ensure!(said.status.success(), "cargo-deny:\n{text}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_licence_must_leave_a_choice_that_is_allowed() {
        let allowed = ["MIT".to_owned(), "Unicode-3.0".to_owned()];
        for (licence, right) in [
            ("MIT", true),
            ("MIT OR GPL-3.0-only", true),
            ("MIT/Apache-2.0", true),
            ("MIT AND Unicode-3.0", true),
            ("MIT AND GPL-3.0-only", false),
            ("GPL-3.0-only", false),
            ("none", false),
            ("SEE LICENSE IN LICENSE", false),
        ] {
            assert_eq!(fits(licence, &allowed), right, "{licence}");
        }
    }
}
