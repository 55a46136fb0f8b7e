//! The reference of the package, from the doc comments of its entries; most of them are core's (`pkg/typedoc.json`).

use super::Generated;
use crate::process::{command, quiet};
use crate::{paths, setup};
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};

/// Where it is kept, and shipped from.
const FOLDER: &str = "pkg/reference";

/// The pages as they should be. They are made from the types that are there, so those come first.
pub(super) fn pages() -> Result<Vec<Generated>> {
    setup::node()?;
    let made = paths::root().join("target/reference");
    let _ = fs::remove_dir_all(&made);
    quiet(
        command("node")
            .current_dir(paths::root().join("pkg"))
            .args(["node_modules/typedoc/bin/typedoc", "--logLevel", "Warn"])
            .arg("--out")
            .arg(&made),
    )?;
    let folder = paths::root().join(FOLDER);
    files(&made)?
        .into_iter()
        .map(|file| {
            Ok(Generated {
                content: fs::read_to_string(&file)?,
                path: folder.join(file.strip_prefix(&made)?),
            })
        })
        .collect()
}

/// Pages that are kept of something that is not there any more.
pub(super) fn strays(pages: &[Generated]) -> Result<Vec<PathBuf>> {
    let folder = paths::root().join(FOLDER);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let kept = files(&folder)?.into_iter();
    Ok(kept
        .filter(|file| !pages.iter().any(|page| page.path == *file))
        .collect())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(files(&path)?),
            false => found.push(path),
        }
    }
    found.sort();
    Ok(found)
}
