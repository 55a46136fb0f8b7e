//! `cargo xtask backup` and `cargo xtask restore`: around wrangler's export and execute, with what they do not keep.

mod dump;
mod target;

use crate::{report, setup};
use anyhow::{Context, Result, bail, ensure};
use dump::{Strays, Table, Tables, Texts};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
pub use target::Target;
use tempfile::TempDir;

/// What is there: tables and views that are ours.
const SCHEMA: &str = "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') \
    AND name NOT LIKE 'sqlite!_%' ESCAPE '!' AND name NOT LIKE '!_cf!_%' ESCAPE '!' ORDER BY rowid";

/// Meters believe the higher version; without this they would go on with what they knew before. What a meter can know is not in
/// the database any more, so the clock says what is newer, however often an older backup is restored: nobody's subscription
/// changes every millisecond.
const NEWER: &str =
    "UPDATE users SET entitlement_version = max(entitlement_version + 1, unixepoch() * 1000);";

/// Writes a backup.
pub fn backup(to: &Path, target: &Target) -> Result<()> {
    setup::node()?;
    ensure!(
        !to.exists(),
        "{} is there already. Name another file.",
        to.display()
    );
    report::step(&format!("Exporting {}", target.name()));
    let tables = tables(target)?;
    ensure!(
        tables.contains_key("d1_migrations"),
        "{} is empty: there is nothing to keep.",
        target.name()
    );
    let before = counts(target, tables.keys())?;
    // It is removed with its folder, whatever happens.
    let private = private_folder()?;
    let exported = private.path().join("export.sql");
    target.export(&exported)?;
    let export = fs::read_to_string(&exported)?;
    drop(private);
    let mended = dump::mend(&export, &tables, &strays(target, &tables)?)?;
    for (table, rows) in &before {
        let kept = mended.rows.get(table).copied().unwrap_or(0);
        // Rows that came meanwhile are in it; old ones may have been pruned.
        ensure!(
            kept > 0 || *rows == 0,
            "the export has no row of {table}, of which there are {rows}"
        );
    }
    // Personal data: nobody else on this machine reads it.
    let mut private = fs::OpenOptions::new();
    private.write(true).create_new(true).mode(0o600);
    let written = private
        .open(to)
        .and_then(|mut file| file.write_all(mended.sql.as_bytes()));
    written.with_context(|| format!("cannot write {}", to.display()))?;
    print_counts(&before, &mended.rows, ["in the database", "in the backup"]);
    println!("\nWritten: {}. It holds personal data.", to.display());
    Ok(())
}

/// Brings a database to what a backup has.
pub fn restore(from: &Path, target: &Target, replace: bool) -> Result<()> {
    setup::node()?;
    let backup =
        fs::read_to_string(from).with_context(|| format!("cannot read {}", from.display()))?;
    ensure!(
        backup.contains("d1_migrations") && backup.trim_start().starts_with("PRAGMA"),
        "{} is no backup of this product.",
        from.display()
    );
    let there = target.query(SCHEMA)?.into_iter().next().unwrap_or_default();
    if !there.is_empty() && !replace {
        bail!(
            "{} is not empty.\n  Restore into an empty one, or add --replace: everything in it is then dropped, in the same transaction. Back it up first: cargo xtask backup --to before.sql",
            target.name()
        );
    }
    let mut sql = String::from("PRAGMA defer_foreign_keys = TRUE;\n");
    // What was made last refers to what was made first.
    for row in there.iter().rev() {
        let text = |member: &str| row[member].as_str().unwrap_or_default();
        sql.push_str(&format!("DROP {} \"{}\";\n", text("type"), text("name")));
    }
    sql.push_str(&backup);
    sql.push_str(&format!("\n{NEWER}\n"));
    report::step(&format!("Restoring {}", target.name()));
    let private = private_folder()?;
    let file = private.path().join("restore.sql");
    fs::write(&file, sql)?;
    target
        .run(&file)
        .context("Nothing was changed: it is one transaction.")?;
    drop(private);
    let expected = dump::count(&backup);
    let restored = counts(target, dump::tables(&backup).iter())?;
    print_counts(&expected, &restored, ["in the backup", "restored"]);
    for (table, rows) in &expected {
        let there = restored.get(table).copied().unwrap_or(0);
        ensure!(there >= *rows, "{table} has fewer rows than the backup");
        if there > *rows {
            println!(
                "{table} has more rows than the backup: calls or events have come since it was restored."
            );
        }
    }
    println!(
        "\nRestored. What meters know, and what is sent again: docs/operating.md, \"After a restoration\"."
    );
    Ok(())
}

/// A folder for personal data, which nobody else on this machine reads: only its owner may enter it.
fn private_folder() -> Result<TempDir> {
    Ok(tempfile::Builder::new()
        .prefix("legis-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir()?)
}

fn print_counts(left: &BTreeMap<String, u64>, right: &BTreeMap<String, u64>, heads: [&str; 2]) {
    println!("{:<28}{:>16}{:>16}", "", heads[0], heads[1]);
    for (table, rows) in right {
        let other = left.get(table).copied().unwrap_or(0);
        println!("{table:<28}{other:>16}{rows:>16}");
    }
}

/// How many rows each table has.
fn counts<'t>(
    target: &Target,
    tables: impl Iterator<Item = &'t String>,
) -> Result<BTreeMap<String, u64>> {
    let (mut names, mut sql) = (Vec::new(), String::new());
    for name in tables {
        sql.push_str(&format!("SELECT count(*) AS rows FROM \"{name}\"; "));
        names.push(name.clone());
    }
    let results = target.query(&sql)?;
    let rows = results
        .iter()
        .map(|rows| rows.first().and_then(|row| row["rows"].as_u64()));
    let rows: Option<Vec<u64>> = rows.collect();
    Ok(names.into_iter().zip(rows.context("no counts")?).collect())
}

fn tables(target: &Target) -> Result<Tables> {
    let sql = "SELECT o.name AS \"table\", p.name AS \"column\", p.pk, p.type FROM sqlite_schema AS o JOIN pragma_table_info(o.name) AS p \
        WHERE o.type = 'table' AND o.name NOT LIKE 'sqlite!_%' ESCAPE '!' AND o.name NOT LIKE '!_cf!_%' ESCAPE '!' ORDER BY o.name, p.cid";
    let mut tables = Tables::new();
    for row in target.query(sql)?.into_iter().flatten() {
        let text = |member: &str| row[member].as_str().unwrap_or_default().to_owned();
        let table: &mut Table = tables.entry(text("table")).or_default();
        table.columns.push(text("column"));
        if row["pk"].as_u64().unwrap_or(0) > 0 {
            table.key.push(text("column"));
        }
        if text("type").eq_ignore_ascii_case("TEXT") {
            table.texts.push(text("column"));
        }
    }
    Ok(tables)
}

/// The rows whose texts an export does not keep.
fn strays(target: &Target, tables: &Tables) -> Result<Strays> {
    let (mut asked, mut sql) = (Vec::new(), String::new());
    for (name, table) in tables.iter().filter(|(_, table)| !table.texts.is_empty()) {
        let quoted = |columns: &[String]| -> Vec<String> {
            columns
                .iter()
                .map(|column| format!("\"{column}\""))
                .collect()
        };
        let texts = quoted(&table.texts);
        let is_stray: Vec<String> = texts
            .iter()
            .map(|column| {
                format!(
                    "(instr({column}, char(10)) AND instr({column}, '\\n')) OR (instr({column}, char(13)) AND instr({column}, '\\r')) \
                     OR instr(CAST({column} AS BLOB), X'00')"
                )
            })
            .collect();
        let read = |columns: Vec<String>, by: &str| -> Vec<String> {
            columns
                .iter()
                .map(|column| by.replace('?', column))
                .collect()
        };
        let keys = read(quoted(&table.key), "hex(CAST(? AS TEXT)) AS ?");
        let hex = texts.iter().zip(&table.texts);
        let hex: Vec<String> = hex
            .map(|(column, name)| format!("hex({column}) AS \"hex {name}\""))
            .collect();
        sql.push_str(&format!(
            "SELECT {} FROM \"{name}\" WHERE {}; ",
            keys.into_iter().chain(hex).collect::<Vec<_>>().join(", "),
            is_stray.join(" OR ")
        ));
        asked.push((name, table));
    }
    let results = target.query(&sql)?;
    let mut strays = Strays::new();
    for ((name, table), rows) in asked.into_iter().zip(results) {
        for row in rows {
            let text = |member: &str| dump::unhex(row[member].as_str().unwrap_or_default());
            let key: Vec<String> = table
                .key
                .iter()
                .map(|column| text(column))
                .collect::<Result<_>>()?;
            let texts: Texts = table
                .texts
                .iter()
                .map(|column| Ok((column.clone(), text(&format!("hex {column}"))?)))
                .collect::<Result<_>>()?;
            strays.entry(name.clone()).or_default().insert(key, texts);
        }
    }
    Ok(strays)
}
