//! The checksum that each migration writes into the database as its last act. A migration that was released is never
//! edited: a database to which the older file was applied would not be served.

use super::Generated;
use crate::paths;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs;

/// What the part that is written here begins with.
const MARK: &str = "\n-- The checksum of everything above. Written by `cargo xtask generate`; the worker compares it with its own.\n";

/// The first migration that writes checksums; it writes those of its predecessors as well.
const FIRST: &str = "0005_";

/// The migrations that write their checksum, with the right one.
pub(super) fn checksummed() -> Result<Vec<Generated>> {
    let folder = paths::root().join("worker/migrations");
    let mut names: Vec<String> = fs::read_dir(&folder)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".sql"))
        .collect();
    names.sort();
    let mut unwritten = Vec::new();
    let mut files = Vec::new();
    for name in names {
        let path = folder.join(&name);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
        unwritten.push((name.clone(), sha256(what(&text))));
        if name.as_str() < FIRST {
            continue;
        }
        let content = with_checksums(&text, &unwritten);
        unwritten.clear();
        files.push(Generated { path, content });
    }
    Ok(files)
}

/// What a migration does, without the part that is written here.
pub(super) fn what(text: &str) -> &str {
    let what = text.split_once(MARK).map_or(text, |(what, _)| what);
    what.trim_end()
}

/// A migration that writes these checksums in the end.
pub(super) fn with_checksums(text: &str, checksums: &[(String, String)]) -> String {
    let rows: Vec<String> = checksums
        .iter()
        .map(|(name, sha256)| format!("('{name}', '{sha256}')"))
        .collect();
    format!(
        "{}\n{MARK}INSERT INTO migration_checksums (name, sha256) VALUES\n{};\n",
        what(text),
        rows.join(",\n")
    )
}

pub(super) fn sha256(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
