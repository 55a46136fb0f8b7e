//! What is derived from core and committed: the reader's tables, the TypeScript types, the plan rows.
//! `cargo xtask generate` writes them, `cargo xtask test` fails when one is not fresh.

mod documents;
mod facts;
mod migrations;
mod openapi;
mod reader;
mod reference;
mod types;

use crate::paths;
use anyhow::{Context, Result};
use legis_core::{account, change, contract, evaluate, payload, plan};
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

pub use documents::document_of as document;

/// A file and what it must hold.
pub struct Generated {
    path: PathBuf,
    content: String,
}

/// Writes every generated file that is not fresh.
pub fn write() -> Result<()> {
    for file in files()? {
        file.write()?;
    }
    let pages = reference::pages()?;
    for page in &pages {
        page.write()?;
    }
    for stray in reference::strays(&pages)? {
        fs::remove_file(&stray)?;
        println!("  removed {}", paths::short(&stray));
    }
    Ok(())
}

/// The generated files that are not fresh.
pub fn stale() -> Result<Vec<String>> {
    let pages = reference::pages()?;
    let strays = reference::strays(&pages)?.into_iter();
    let generated = files()?.into_iter().chain(pages);
    let stale = generated.filter(|file| !file.is_fresh());
    Ok(stale
        .map(|file| file.path)
        .chain(strays)
        .map(|path| paths::short(&path))
        .collect())
}

impl Generated {
    pub fn is_fresh(&self) -> bool {
        fs::read_to_string(&self.path).ok().as_deref() == Some(&self.content)
    }

    pub fn write(&self) -> Result<()> {
        if self.is_fresh() {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&self.path, &self.content)
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        println!("  wrote {}", paths::short(&self.path));
        Ok(())
    }
}

fn files() -> Result<Vec<Generated>> {
    let schemas = schemas();
    Ok([
        Generated {
            path: paths::root().join("core/src/schema/tables.rs"),
            content: reader::tables(&schemas)?,
        },
        Generated {
            path: paths::root().join("pkg/src/types.ts"),
            content: types::types(),
        },
        Generated {
            path: paths::root().join("pkg/src/facts.ts"),
            content: facts::facts(&schemas)?,
        },
        migrations::plan_rows()?,
        openapi::document(&schemas),
        openapi::headers(&fingerprint(&schemas))?,
    ]
    .into_iter()
    .chain(documents::documents()?)
    .chain(migrations::checksummed()?)
    .collect())
}

/// The schemas of everything that is read from outside, by name, without references.
fn schemas() -> BTreeMap<&'static str, Value> {
    macro_rules! schemas {
        ($($name:literal: $type:ty,)+) => {
            BTreeMap::from([$(($name, {
                let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
                settings.into_generator().into_root_schema_for::<$type>().to_value()
            })),+])
        };
    }
    schemas! {
        "account": account::Account,
        "authConfig": payload::AuthConfig,
        "changeRequest": change::ChangeRequest,
        "callRequest": payload::CallRequest,
        "callSettlement": payload::CallSettlement,
        "checkoutRequest": payload::CheckoutRequest,
        "portalRequest": payload::PortalRequest,
        "decisionRequest": evaluate::DecisionRequest,
        "planFeatures": payload::PlanFeatures,
        "registration": payload::Registration,
        "stripeEvent": payload::stripe::StripeEvent,
        "toolCall": payload::ToolCall,
        "usageRecord": payload::UsageRecord,
        "usageRecords": payload::UsageRecords,
    }
}

fn fingerprint(schemas: &BTreeMap<&str, Value>) -> String {
    let agreed = json!({
        "rules": contract::RULES_VERSION,
        "plans": plan::plans(),
        "schemas": schemas,
    });
    let digest = Sha256::digest(agreed.to_string());
    digest.iter().take(8).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
