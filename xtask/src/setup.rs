//! What a fresh machine lacks: Node packages, the wasm32 target, a browser, Python packages. Each step looks first and does nothing
//! when nothing is missing.

use crate::process::{command, output, quiet};
use crate::{paths, report};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";

/// The compiler that can build for wasm32: rustup's, or Debian's with its own standard library.
pub struct Wasm32 {
    debian: Option<PathBuf>,
}

/// What a module is made for (`Cargo.toml`).
#[derive(Clone, Copy)]
pub enum Profile {
    /// The worker: small.
    Release,
    /// The npm package: fast, for it is small anyway.
    Package,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Package => "fast",
        }
    }
}

impl Wasm32 {
    /// `cargo build --target wasm32-unknown-unknown`, with the compiler that can.
    pub fn cargo(&self, profile: Profile) -> Command {
        let mut cargo = command("cargo");
        cargo.args(["build", "--quiet", "--target", TARGET]);
        cargo.args(["--profile", profile.name()]);
        cargo.env("CARGO_TARGET_DIR", self.target_dir());
        if let Some(linker) = &self.debian {
            cargo
                .env("RUSTC", DEBIAN_RUSTC)
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        cargo
    }

    /// Where the build puts `crate_name`'s module. Debian's compiler has a directory of its own, or the two would
    /// throw away each other's work.
    pub fn module(&self, crate_name: &str, profile: Profile) -> PathBuf {
        self.target_dir()
            .join(TARGET)
            .join(profile.name())
            .join(format!("{crate_name}.wasm"))
    }

    fn target_dir(&self) -> PathBuf {
        let name = match self.debian {
            None => "target",
            Some(_) => "target/debian",
        };
        paths::root().join(name)
    }
}

/// Node 22 or later, and what `package-lock.json` names.
pub fn node() -> Result<()> {
    let root = paths::root();
    let mut digest = Sha256::new();
    for file in [
        "package.json",
        "package-lock.json",
        "pkg/package.json",
        "web/package.json",
        "samples/package.json",
        "tests/package.json",
        "bench/package.json",
    ] {
        digest.update(fs::read(root.join(file)).unwrap_or_default());
    }
    let wanted: String = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let stamp = root.join("node_modules/.legis-installed");
    if fs::read_to_string(&stamp).ok().as_deref() == Some(&wanted) {
        return Ok(());
    }
    if Command::new("npm").arg("--version").output().is_err() {
        bail!(
            "npm is not installed.\n  Install Node.js (any version that has npm 10 or later) from your system's packages, then run this again."
        );
    }
    report::step("Installing the npm packages of package-lock.json");
    // Not `npm ci`: it refuses a lock file made where the packages of other platforms could not be seen.
    quiet(command("npm").args(["install", "--no-save", "--no-audit", "--no-fund"]))?;
    let version = output(command("node").arg("--version"))?;
    let major: u32 = version
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|major| major.parse().ok())
        .unwrap_or(0);
    if major < 22 {
        bail!(
            "node_modules/.bin/node is {version}, but wrangler needs 22 or later.\n  Delete node_modules and run this again; if it stays, install Node.js 22 or later."
        );
    }
    fs::write(&stamp, wanted).context("cannot write to node_modules")
}

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// The wasm32 standard library: what is there, else rustup's, else built once from Debian's source.
pub fn wasm32() -> Result<Wasm32> {
    // For trying the other ways on a machine that has this one.
    let skip = std::env::var("LEGIS_WASM32").unwrap_or_default();
    if skip != "debian" {
        if has_target("rustc") {
            return Ok(Wasm32 { debian: None });
        }
        report::step("Adding the wasm32 target with rustup");
        let added = quiet(command("rustup").args(["target", "add", TARGET]));
        if added.is_ok() && has_target("rustc") {
            return Ok(Wasm32 { debian: None });
        }
    }
    if !has_target(DEBIAN_RUSTC) {
        report::step(
            "rustup cannot reach its server; building the wasm32 library from Debian's source",
        );
        build_from_debian().map_err(|error| {
            anyhow::anyhow!(
                "The wasm32 target is missing and could not be set up.\n  Either: rustup target add {TARGET}\n  \
                 Or, on Debian as root: apt-get install rustc-web rust-web-src\n  Then run this again.\n\n{error:#}"
            )
        })?;
    }
    let sysroot = output(command("rustc").args(["--print", "sysroot"]))?;
    Ok(Wasm32 {
        debian: Some(Path::new(&sysroot).join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld")),
    })
}

fn has_target(rustc: &str) -> bool {
    target_libdir(rustc).is_some_and(|folder| {
        fs::read_dir(folder).is_ok_and(|mut entries| {
            entries.any(|entry| {
                entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
            })
        })
    })
}

fn target_libdir(rustc: &str) -> Option<PathBuf> {
    let printed = command(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .ok()?;
    Some(PathBuf::from(
        String::from_utf8(printed.stdout).ok()?.trim(),
    ))
}

/// Debian packages a compiler with the source of its library, but not the library for wasm32.
fn build_from_debian() -> Result<()> {
    apt(&["rustc-web", "rust-web-src"])?;
    let folder = paths::root().join("target/debian-std");
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("src/lib.rs"), "")?;
    fs::write(
        folder.join("Cargo.toml"),
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n",
    )?;
    quiet(
        command("cargo")
            .current_dir(&folder)
            .args(["build", "--release", "--target", TARGET])
            .arg("-Zbuild-std=std,panic_abort,proc_macro")
            .env("RUSTC", DEBIAN_RUSTC)
            .env("RUSTC_BOOTSTRAP", "1")
            // Without it, link-time optimisation fails later.
            .env("RUSTFLAGS", "-Cembed-bitcode=yes")
            .env("CARGO_TARGET_DIR", folder.join("target")),
    )?;
    let library = target_libdir(DEBIAN_RUSTC).context("Debian's rustc does not know wasm32")?;
    fs::create_dir_all(&library)?;
    for entry in fs::read_dir(folder.join("target").join(TARGET).join("release/deps"))? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.ends_with(".rlib") && !name.starts_with("libempty-") {
            fs::copy(&path, library.join(name))?;
        }
    }
    Ok(())
}

/// The browser of the tests.
pub fn chromium() -> Result<PathBuf> {
    let known = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ];
    let given = std::env::var_os("CHROMIUM_BIN").map(PathBuf::from);
    let find = || {
        given
            .clone()
            .into_iter()
            .chain(known.iter().map(PathBuf::from))
            .find(|path| path.exists())
    };
    if let Some(path) = find() {
        return Ok(path);
    }
    report::step("Installing Chromium for the browser tests");
    apt(&["chromium"]).context(
        "No Chromium was found.\n  Install Chromium or Chrome, or set CHROMIUM_BIN to its path, then run this again.",
    )?;
    find().context("Chromium was installed but cannot be found; set CHROMIUM_BIN to its path")
}

/// What the description of the API is tested with.
const PYTHON_PACKAGES: [&str; 2] = ["schemathesis==4.32.5", "openapi-spec-validator==0.9.0"];

/// These packages, in an environment of their own: `target/python`, where tests/openapi.test.ts looks for them.
pub fn python() -> Result<()> {
    let folder = paths::root().join("target/python");
    let stamp = folder.join("installed");
    let wanted = PYTHON_PACKAGES.join("\n");
    if fs::read_to_string(&stamp).ok().as_deref() == Some(&wanted) {
        return Ok(());
    }
    report::step("Installing Schemathesis from the Python package index");
    let _ = fs::remove_dir_all(&folder);
    quiet(command("python3").args(["-m", "venv"]).arg(&folder)).context(
        "Python is missing, or its module venv.\n  Install Python 3.10 or later (on Debian: apt-get install python3-venv), then run this again.",
    )?;
    quiet(
        command(folder.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(PYTHON_PACKAGES),
    )
    .with_context(|| {
        format!(
            "The Python packages {} cannot be installed.\n  The test needs them from the Python package index, or from the index that pip is configured with.",
            PYTHON_PACKAGES.join(" and ")
        )
    })?;
    fs::write(stamp, wanted).context("cannot write to target/python")
}

/// Installs Debian packages; needs to be root.
fn apt(packages: &[&str]) -> Result<()> {
    let install = || {
        quiet(
            command("apt-get")
                .args(["install", "-y", "--no-install-recommends"])
                .args(packages)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    // The lists of a fresh machine are empty or old.
    if install().is_err() {
        quiet(command("apt-get").arg("update"))?;
        install()?;
    }
    Ok(())
}
