//! Running other programs: quietly when they succeed, with everything they said when they fail.

use crate::paths;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A command in the project's root. What npm installed is found first, so `node` is the pinned one.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    let mut path: Vec<PathBuf> = vec![paths::root().join("node_modules/.bin")];
    path.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    if let Ok(path) = std::env::join_paths(path) {
        command.env("PATH", path);
    }
    command
        .current_dir(paths::root())
        .env("CI", "1")
        .env("NO_COLOR", "1")
        .env("WRANGLER_SEND_METRICS", "false")
        .env("WRANGLER_HIDE_BANNER", "true");
    command
}

/// Runs to the end, showing nothing unless it fails.
pub fn quiet(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let output = command
        .output()
        .with_context(|| format!("cannot start {shown}"))?;
    if !output.status.success() {
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{shown} failed\n{}\n{}",
            stdout.trim_end(),
            stderr.trim_end()
        );
    }
    Ok(())
}

/// Runs to the end, showing everything; whether it succeeded.
pub fn shown(command: &mut Command) -> Result<bool> {
    let shown = show(command);
    let status = command
        .status()
        .with_context(|| format!("cannot start {shown}"))?;
    Ok(status.success())
}

/// Runs to the end, showing the lines that `keep` wants; whether it succeeded.
pub fn filter_lines(command: &mut Command, mut keep: impl FnMut(&str) -> bool) -> Result<bool> {
    let shown = show(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {shown}"))?;
    let stdout = child.stdout.take().context("no standard output")?;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        if keep(&line) {
            eprintln!("  {line}");
        }
    }
    Ok(child.wait()?.success())
}

/// What the program prints.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {shown}"))?;
    if !output.status.success() {
        bail!("{shown} failed");
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What the program makes of `input`.
pub fn filter(program: &str, arguments: &[&str], input: &str) -> Result<String> {
    let mut child = command(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    child
        .stdin
        .take()
        .context("no standard input")?
        .write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{program} failed");
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn show(command: &Command) -> String {
    let mut words = vec![paths::short(command.get_program().as_ref())];
    words.extend(
        command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned()),
    );
    words.join(" ")
}
