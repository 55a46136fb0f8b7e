//! The migrations that this release knows, with the checksums that they write into the database themselves.

use std::fmt::Write;
use std::fs;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=migrations");
    let mut released = Vec::new();
    let mut names = Vec::new();
    for entry in fs::read_dir("migrations")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            names.extend(
                path.file_name()
                    .and_then(|name| name.to_str())
                    .map(str::to_owned),
            );
            released.extend(checksums(&fs::read_to_string(path)?));
        }
    }
    names.sort();
    released.sort();
    if !names.iter().eq(released.iter().map(|(name, _)| name)) {
        return Err(format!(
            "a migration has no checksum; run `cargo xtask generate`: {names:?} {released:?}"
        )
        .into());
    }
    let mut rust = String::from("const RELEASED: &[(&str, &str)] = &[\n");
    for (name, sha256) in &released {
        writeln!(rust, "    ({name:?}, {sha256:?}),")?;
    }
    rust.push_str("];\n");
    let out = std::env::var("OUT_DIR")?;
    fs::write(format!("{out}/migrations.rs"), rust)?;
    Ok(())
}

/// The pairs of name and checksum that a migration writes: its lines `('NAME', 'SHA256')`.
fn checksums(sql: &str) -> Vec<(String, String)> {
    let pair = |line: &str| {
        let (name, sha256) = line
            .trim()
            .trim_end_matches([',', ';'])
            .strip_prefix("('")?
            .strip_suffix("')")?
            .split_once("', '")?;
        let is_checksum = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_checksum.then(|| (name.to_owned(), sha256.to_owned()))
    };
    sql.lines().filter_map(pair).collect()
}
