//! The version of the database that this release needs: the newest migration.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
    let names = std::fs::read_dir("migrations")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            std::path::Path::new(name)
                .extension()
                .is_some_and(|extension| extension == "sql")
        });
    println!(
        "cargo::rustc-env=LEGIS_SCHEMA_VERSION={}",
        names.max().unwrap_or_default()
    );
}
