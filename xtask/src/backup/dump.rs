//! What wrangler's export does not keep, mended: a text that holds a line break and the two characters `\n` (all line
//! breaks are written as these), one with a NUL, one that says BEGIN TRANSACTION (which `wrangler d1 execute` cuts out or
//! refuses), and a row of more than 100 kB, which is no statement that D1 takes.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The longest statement that is written; D1 takes 100 kB.
const MAX_STATEMENT: usize = 90_000;
/// How much of a text goes into one statement, and from which length on a text is taken apart.
const PIECE: usize = 30_000;
const LEAST: usize = 1_000;

/// The table that texts are put together in while a backup is restored.
pub const PIECES: &str = "restore_pieces";

/// The texts of a row as the database has them, by column.
pub type Texts = BTreeMap<String, String>;

/// The rows whose texts an export does not keep: by table, and by the values of the primary key.
pub type Strays = BTreeMap<String, BTreeMap<Vec<String>, Texts>>;

/// A table: its columns, and which of them are its primary key.
#[derive(Default, Clone)]
pub struct Table {
    pub columns: Vec<String>,
    pub texts: Vec<String>,
    pub key: Vec<String>,
}

pub type Tables = BTreeMap<String, Table>;

/// An export that was mended.
pub struct Mended {
    pub sql: String,
    /// How many rows each table has.
    pub rows: BTreeMap<String, u64>,
}

/// Mends `export`.
pub fn mend(export: &str, tables: &Tables, strays: &Strays) -> Result<Mended> {
    let mut mended = Mended {
        sql: String::with_capacity(export.len()),
        rows: tables.keys().map(|name| (name.clone(), 0)).collect(),
    };
    let mut pieces = 0;
    for line in export.split('\n') {
        match insert(line) {
            Some((table, columns, values)) if tables.contains_key(table) => {
                *mended.rows.entry(table.to_owned()).or_default() += 1;
                let table_strays = strays.get(table);
                let cells = cells(values);
                let mut texts = Vec::new();
                for (column, cell) in columns.iter().zip(&cells) {
                    texts.push((*column, *cell, text(cell)));
                }
                let key: Vec<String> = tables[table]
                    .key
                    .iter()
                    .filter_map(|name| {
                        let (_, cell, text) = texts.iter().find(|(column, ..)| column == name)?;
                        Some(text.clone().unwrap_or_else(|| (*cell).to_owned()))
                    })
                    .collect();
                let known = table_strays.and_then(|rows| rows.get(&key));
                let statement = row(table, &texts, known, &mut mended.sql, &mut pieces)?;
                mended.sql.push_str(&statement);
            }
            _ => mended.sql.push_str(line),
        }
        mended.sql.push('\n');
    }
    if pieces > 0 {
        let _ = writeln!(mended.sql, "DROP TABLE {PIECES};");
    }
    Ok(mended)
}

/// How many rows a backup has of each table.
pub fn count(backup: &str) -> BTreeMap<String, u64> {
    let mut rows = BTreeMap::new();
    let tables = backup.split('\n').filter_map(|line| Some(insert(line)?.0));
    for table in tables.filter(|table| *table != "sqlite_sequence" && *table != PIECES) {
        *rows.entry(table.to_owned()).or_default() += 1;
    }
    rows
}

/// The tables that a backup makes.
pub fn tables(backup: &str) -> Vec<String> {
    let name = |line: &str| {
        let rest = line.strip_prefix("CREATE TABLE ")?;
        let rest = rest.strip_prefix("IF NOT EXISTS ").unwrap_or(rest);
        let name = rest.split(['(', ' ']).next()?.trim_matches('"');
        (name != PIECES).then(|| name.to_owned())
    };
    backup.split('\n').filter_map(name).collect()
}

/// Table, columns and values of an `INSERT` as an export writes it: one line.
fn insert(line: &str) -> Option<(&str, Vec<&str>, &str)> {
    let rest = line.strip_prefix("INSERT INTO \"")?;
    let (table, rest) = rest.split_once("\" (")?;
    let (columns, values) = rest.split_once(") VALUES(")?;
    let columns = columns.split(',').map(|column| column.trim_matches('"'));
    Some((table, columns.collect(), values.strip_suffix(");")?))
}

/// The cells of a row.
fn cells(values: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let (mut depth, mut quoted, mut start) = (0_usize, false, 0);
    for (at, byte) in values.bytes().enumerate() {
        match byte {
            // Two in a row end a text and begin it again.
            b'\'' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth = depth.saturating_sub(1),
            b',' if !quoted && depth == 0 => {
                cells.push(&values[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    cells.push(&values[start..]);
    cells
}

/// The text that a cell writes, if it writes one.
fn text(cell: &str) -> Option<String> {
    let (mut inner, mut breaks) = (cell, Vec::new());
    for (mark, char) in [
        (",'\\n',char(10))", ("\\n", "\n")),
        (",'\\r',char(13))", ("\\r", "\r")),
    ] {
        if let Some(rest) = inner.strip_prefix("replace(")
            && let Some(rest) = rest.strip_suffix(mark)
        {
            inner = rest;
            breaks.push(char);
        }
    }
    let quoted = inner.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut text = quoted.replace("''", "'");
    for (mark, char) in breaks {
        text = text.replace(mark, char);
    }
    Some(text)
}

type Cell<'c> = (&'c str, &'c str, Option<String>);

/// The statement of a row, after those that its long texts need.
fn row(
    table: &str,
    cells: &[Cell<'_>],
    known: Option<&Texts>,
    sql: &mut String,
    pieces: &mut u64,
) -> Result<String> {
    let plain = |(column, cell, text): &Cell<'_>| {
        let known = known.and_then(|texts| texts.get(*column));
        match (text, known) {
            (Some(_), Some(known)) => literal(known),
            (Some(text), None) if text.contains('\0') => {
                bail!("a row of {table} changed while it was exported; run this again")
            }
            (Some(text), None) if text.contains("BEGIN TRANSACTION") => literal(text),
            _ => Ok((*cell).to_owned()),
        }
    };
    let written: Vec<String> = cells.iter().map(plain).collect::<Result<_>>()?;
    let statement = statement(table, cells, &written);
    if statement.len() <= MAX_STATEMENT {
        return Ok(statement);
    }
    let mut shorter = Vec::new();
    for ((column, _, text), written) in cells.iter().zip(written) {
        let known = known.and_then(|texts| texts.get(*column));
        match text.as_ref().map(|text| known.unwrap_or(text)) {
            Some(text) if text.len() >= LEAST => {
                *pieces += 1;
                in_pieces(*pieces, text, sql)?;
                shorter.push(format!(
                    "(SELECT group_concat(piece, '') FROM (SELECT piece FROM {PIECES} WHERE cell = {pieces} ORDER BY part))"
                ));
            }
            _ => shorter.push(written),
        }
    }
    Ok(self::statement(table, cells, &shorter))
}

fn statement(table: &str, cells: &[Cell<'_>], written: &[String]) -> String {
    let columns: Vec<String> = cells
        .iter()
        .map(|(column, ..)| format!("\"{column}\""))
        .collect();
    format!(
        "INSERT INTO \"{table}\" ({}) VALUES({});",
        columns.join(","),
        written.join(",")
    )
}

fn literal(text: &str) -> Result<String> {
    let mut hex = String::with_capacity(text.len() * 2 + 20);
    hex.push_str("CAST(X'");
    for byte in text.bytes() {
        write!(hex, "{byte:02X}")?;
    }
    hex.push_str("' AS TEXT)");
    Ok(hex)
}

/// A text as rows of their own, to be put together again.
fn in_pieces(cell: u64, text: &str, sql: &mut String) -> Result<()> {
    if cell == 1 {
        writeln!(
            sql,
            "CREATE TABLE {PIECES} (cell INTEGER, part INTEGER, piece TEXT, PRIMARY KEY (cell, part));"
        )?;
    }
    let (mut rest, mut part) = (text, 0);
    while !rest.is_empty() {
        let mut end = rest.len().min(PIECE);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, after) = rest.split_at(end);
        writeln!(
            sql,
            "INSERT INTO {PIECES} VALUES ({cell}, {part}, {});",
            literal(piece)?
        )?;
        part += 1;
        rest = after;
    }
    Ok(())
}

/// The text of hexadecimal digits.
pub fn unhex(digits: &str) -> Result<String> {
    let bytes: Option<Vec<u8>> = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    String::from_utf8(bytes.context("no hexadecimal digits")?).context("a text that is not UTF-8")
}
