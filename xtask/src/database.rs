//! Which database a command works on.

use crate::{deploy, dev};
use anyhow::Result;
use std::path::PathBuf;

/// That of `dev`, or one at Cloudflare.
#[derive(clap::Args)]
pub struct Place {
    /// The state of the `dev` whose database it is
    #[arg(long, value_name = "DIR", default_value = dev::STATE, conflicts_with = "remote")]
    pub state: PathBuf,
    /// A database at Cloudflare instead, by its name
    #[arg(long, value_name = "DB")]
    pub remote: Option<String>,
    /// The deployment that it belongs to, as `deploy` is given it
    #[arg(long, value_name = "FILE.json", default_value = deploy::DEPLOYMENT, requires = "remote")]
    deployment: PathBuf,
}

impl Place {
    /// What wrangler is given for a database at Cloudflare.
    pub fn config(&self) -> Result<PathBuf> {
        deploy::config(&self.deployment)
    }
}
