//! The table of the package's README, made of what one run of all benchmarks noted.

use crate::generate::{self, Generated};
use anyhow::{Context, Result};
use std::fmt::Write;

const PLACES: [&str; 2] = ["Node", "Chromium"];
const FORMS: [&str; 3] = ["bytes", "text", "object"];

/// What is measured, and how the README calls it.
const PAYLOADS: [(&str, &str); 6] = [
    ("registration, valid", "a registration (90 bytes)"),
    ("stripe, valid", "a Stripe event (3 KB)"),
    ("records, valid", "100 usage records (21 KB)"),
    ("registration, invalid", "a refused registration"),
    ("stripe, invalid", "a refused Stripe event"),
    ("records, invalid", "refused usage records"),
];
const DECISIONS: [&str; 3] = [
    "one account, admitted",
    "256 accounts, admitted",
    "256 accounts, refused",
];

/// The README with the figures of `results`, a line each: what was measured, beside whom, the ratio.
pub fn document(results: &str) -> Result<Generated> {
    let table = table(results)?;
    generate::document(
        "pkg/README.md",
        "cargo xtask bench --write`",
        &[("speed", table)],
    )
}

fn table(results: &str) -> Result<String> {
    let mut table = String::from("| | Node | Chromium |\n|---|---|---|\n");
    for (what, name) in PAYLOADS {
        let measured = FORMS.map(|form| format!("{what}, from {form} "));
        row(
            &mut table,
            &format!("{name}, from bytes / text / object"),
            &measured,
            results,
        )?;
    }
    let measured = DECISIONS.map(|what| format!("decide, {what} "));
    let name =
        "`decide`, beside the same rules in TypeScript: one account / many / many that are refused";
    row(&mut table, name, &measured, results)?;
    Ok(table)
}

fn row(table: &mut String, name: &str, measured: &[String], results: &str) -> Result<()> {
    write!(table, "| {name} |")?;
    for place in PLACES {
        let ratios = measured
            .iter()
            .map(|what| ratio(results, &format!("| {place}: {what}")))
            .collect::<Result<Vec<_>>>()?;
        write!(table, " {} |", ratios.join(" / "))?;
    }
    table.push('\n');
    Ok(())
}

fn ratio(results: &str, line: &str) -> Result<String> {
    let missing = || format!("the benchmarks noted no line that begins with {line}");
    let found = results
        .lines()
        .find(|known| known.starts_with(line))
        .with_context(missing)?;
    let figure = found.trim_end_matches('|').rsplit('|').next();
    let figure: f64 = figure.with_context(missing)?.trim().parse()?;
    Ok(format!("{figure:.1}"))
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn every_figure_of_the_readme_is_one_that_was_noted() {
        let mut results = String::new();
        for (at, place) in [(0.0, "Node"), (50.0, "Chromium")] {
            for (payload, form) in [("registration", 0.0), ("stripe", 3.0), ("records", 6.0)] {
                for (validity, more) in [("valid", 0.0), ("invalid", 9.0)] {
                    for (way, name) in [(0.0, "object"), (1.0, "text"), (2.0, "bytes")] {
                        let figure = at + form + more + way + 0.26;
                        results += &format!(
                            "| {place}: {payload}, {validity}, from {name} (90 bytes) | zod 4 | {figure:.2} |\n"
                        );
                    }
                }
            }
            for what in [
                "one account, admitted",
                "256 accounts, admitted",
                "256 accounts, refused",
            ] {
                results += &format!(
                    "| {place}: decide, {what} | TypeScript | {:.2} |\n",
                    at + 30.0
                );
            }
        }
        let table = table(&results).unwrap();
        assert!(table.contains(
            "| a Stripe event (3 KB), from bytes / text / object | 5.3 / 4.3 / 3.3 | 55.3 / 54.3 / 53.3 |\n"
        ));
        assert!(table.contains("refused | 30.0 / 30.0 / 30.0 | 80.0 / 80.0 / 80.0 |\n"));
        let without = results.replace("| Node: stripe, valid, from text", "|");
        assert!(super::table(&without).is_err());
    }
}
