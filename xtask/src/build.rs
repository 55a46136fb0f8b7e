//! The npm package, the worker's bundle and the page; nothing is built again when nothing changed.

use crate::process::{command, quiet};
use crate::setup::{self, Profile, Wasm32};
use crate::{generate, paths, report};
use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Everything, in order.
pub fn all() -> Result<()> {
    setup::node()?;
    let wasm32 = setup::wasm32()?;
    generate::write()?;
    let package = stamped(
        "package",
        "pkg/dist/index.js",
        &[
            "core",
            "wasm",
            "pkg",
            "xtask/src",
            "Cargo.toml",
            "Cargo.lock",
            "package-lock.json",
        ],
        || package(&wasm32),
    )?;
    let worker = stamped(
        "worker",
        "worker/build/glue.js",
        &[
            "core",
            "worker",
            "xtask/src",
            "Cargo.toml",
            "Cargo.lock",
            "package-lock.json",
        ],
        || worker(&wasm32),
    )?;
    let page = stamped(
        "page",
        "web/dist/index.html",
        &[
            "core",
            "wasm",
            "pkg",
            "web",
            "Cargo.lock",
            "package-lock.json",
        ],
        page,
    )?;
    if package || worker || page {
        sizes()?;
    }
    Ok(())
}

/// Prints how large what ships is.
pub fn sizes() -> Result<()> {
    let root = paths::root();
    let module = gzip(&fs::read(root.join("pkg/dist/core.wasm"))?)?;
    let inline = gzip(&fs::read(root.join("pkg/dist/index.js"))?)?;
    let worker = gzip(&fs::read(root.join("worker/build/worker.wasm"))?)?
        + gzip(&fs::read(root.join("worker/build/glue.js"))?)?;
    println!(
        "  npm package: {} kB gzip with the module inlined ({} kB the module alone)",
        kb(inline),
        kb(module)
    );
    println!("  worker:      {} kB gzip", kb(worker));
    Ok(())
}

fn kb(bytes: usize) -> String {
    format!("{:.1}", bytes as f64 / 1000.0)
}

fn gzip(bytes: &[u8]) -> Result<usize> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

// The npm package.

fn package(wasm32: &Wasm32) -> Result<()> {
    let root = paths::root();
    let module = report::timed("Building the WASM module", || {
        quiet(
            wasm32
                .cargo(Profile::Package)
                .args(["--package", "legis-wasm"]),
        )?;
        bindgen(
            &wasm32.module("legis_wasm", Profile::Package),
            Flavour::Package,
        )
    })?;
    let dist = root.join("pkg/dist");
    let _ = fs::remove_dir_all(&dist);
    fs::create_dir_all(&dist)?;
    optimise(&module.wasm, &dist.join("core.wasm"), "-O3")?;
    report::timed("Building the npm package", || {
        quiet(command("node").arg("pkg/build.ts"))
    })
}

// The worker.

fn worker(wasm32: &Wasm32) -> Result<()> {
    let build = paths::root().join("worker/build");
    let module = report::timed("Building the worker", || {
        quiet(
            wasm32
                .cargo(Profile::Release)
                .args(["--package", "legis-worker"]),
        )?;
        bindgen(
            &wasm32.module("legis_worker", Profile::Release),
            Flavour::Worker,
        )
    })?;
    let _ = fs::remove_dir_all(&build);
    fs::create_dir_all(&build)?;
    optimise(&module.wasm, &build.join("worker.wasm"), "-Oz")?;
    fs::write(build.join("glue.js"), module.glue)?;
    copy(
        &paths::root().join("target/bindgen/snippets"),
        &build.join("snippets"),
    )
}

/// JavaScript that crates bring; the glue imports it by its place beside it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

// The page.

fn page() -> Result<()> {
    report::timed("Building the page", || {
        quiet(command("vite").args(["build", "--logLevel", "warn", "web"]))
    })
}

// What wasm-bindgen and wasm-opt make of a module.

enum Flavour {
    Package,
    Worker,
}

struct Bound {
    /// The module, before wasm-opt.
    wasm: Vec<u8>,
    /// The JavaScript around it; the npm package needs none, because only numbers cross its boundary.
    glue: String,
}

/// The glue for a module, made by the library of the very version the crate was compiled with.
fn bindgen(module: &Path, flavour: Flavour) -> Result<Bound> {
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen
        .input_path(module)
        .typescript(false)
        .remove_producers_section(true)
        .out_name("module");
    match flavour {
        Flavour::Package => bindgen.bundler(true)?,
        // Able to start afresh after a trap, which only this target can.
        Flavour::Worker => bindgen.module(true)?.reset_state_function(true),
    };
    let folder = paths::root().join("target/bindgen");
    let _ = fs::remove_dir_all(&folder);
    bindgen.generate(&folder)?;
    let wasm = fs::read(folder.join("module_bg.wasm"))?;
    let glue = match flavour {
        Flavour::Package => {
            ensure!(
                !folder.join("snippets").exists(),
                "the npm package must not need JavaScript of crates"
            );
            String::new()
        }
        Flavour::Worker => {
            // The bundler of wrangler knows `import`, not yet `import source`; for a module of workerd both are the same.
            let glue = fs::read_to_string(folder.join("module.js"))?;
            let import = "import source wasmModule from \"./module_bg.wasm\";";
            ensure!(
                glue.contains(import),
                "wasm-bindgen writes its import differently now"
            );
            let glue = glue.replace(import, "import wasmModule from \"./worker.wasm\";");
            // Every step of a future is a microtask. The platform's own function for that wraps and unwraps each in an
            // object of its own; a promise costs a tenth of it. And a step that traps is told to `entry.js`.
            let queue = "            queueMicrotask(arg0);";
            ensure!(
                glue.contains(queue),
                "wasm-bindgen queues microtasks differently now"
            );
            glue.replace(
                queue,
                "            Promise.resolve().then(arg0).catch(globalThis.__legisTrapped);",
            )
        }
    };
    Ok(Bound { wasm, glue })
}

/// The features that every supported runtime has; `--all-features` makes modules that Node refuses.
const FEATURES: [&str; 8] = [
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
    "--enable-call-indirect-overlong",
];

fn optimise(wasm: &[u8], to: &Path, level: &str) -> Result<()> {
    let from = paths::root().join("target/bindgen/unoptimised.wasm");
    fs::write(&from, wasm)?;
    report::timed("Optimising it", || {
        quiet(
            command("wasm-opt")
                .arg(&from)
                .args([level, "--strip-debug", "--strip-producers"])
                .args(FEATURES)
                .arg("-o")
                .arg(to),
        )
    })
}

// What need not be built again.

/// Does `work` unless `inputs` are as they were when it last succeeded; whether it was done.
fn stamped(
    name: &str,
    built: &str,
    inputs: &[&str],
    work: impl FnOnce() -> Result<()>,
) -> Result<bool> {
    let root = paths::root();
    let stamp = root.join("target/stamps").join(name);
    let wanted = digest(inputs)?;
    if root.join(built).exists() && fs::read_to_string(&stamp).ok().as_deref() == Some(&wanted) {
        return Ok(false);
    }
    work()?;
    fs::create_dir_all(root.join("target/stamps"))?;
    fs::write(&stamp, wanted)?;
    Ok(true)
}

fn digest(inputs: &[&str]) -> Result<String> {
    let mut files = Vec::new();
    for input in inputs {
        collect(&paths::root().join(input), &mut files)?;
    }
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        digest.update(paths::short(&file));
        digest.update(fs::read(&file).with_context(|| file.display().to_string())?);
    }
    Ok(digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let made = ["dist", "build", "node_modules", ".wrangler", "tests"];
        if made.iter().any(|made| name == *made) {
            continue;
        }
        collect(&entry.path(), files)?;
    }
    Ok(())
}
