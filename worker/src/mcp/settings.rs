//! What a deployment says of its MCP server. A secret that is missing is named; it is never shown.

use crate::failure::{Failure, Outcome};
use crate::variable::text;
use legis_core::mcp::record::Recorder;
use legis_core::mcp::{RefusalForm, SigningSecret};
use legis_core::problem::Problem;
use legis_core::settings::{
    MCP_REFUSAL, MCP_SECRET_FIELDS, MCP_SIGNING_SECRET, MCP_UPSTREAM_URL, mcp_refusal,
    mcp_signing_secret, mcp_upstream_url,
};
use worker::Env;

/// What the MCP gateway needs.
pub(crate) struct Settings {
    /// Where the server is, with its path.
    pub(crate) upstream: String,
    pub(crate) secret: SigningSecret,
    pub(crate) refusals: RefusalForm,
    pub(crate) recorder: Recorder,
}

fn wrong(reason: String) -> Failure {
    Failure::new(Problem::Misconfigured, reason)
}

impl Settings {
    /// `None` where there is no MCP server.
    pub(crate) fn read(env: &Env) -> Outcome<Option<Self>> {
        let Some(upstream) = text(env, MCP_UPSTREAM_URL) else {
            return Ok(None);
        };
        let refusals = match text(env, MCP_REFUSAL) {
            Some(name) => mcp_refusal(&name).map_err(wrong)?,
            None => RefusalForm::default(),
        };
        Ok(Some(Self {
            upstream: mcp_upstream_url(&upstream).map_err(wrong)?,
            secret: mcp_signing_secret(&text(env, MCP_SIGNING_SECRET).unwrap_or_default())
                .map_err(wrong)?,
            refusals,
            recorder: Recorder::parse(&text(env, MCP_SECRET_FIELDS).unwrap_or_default()),
        }))
    }

    /// Whether an MCP server is meant to be served, and if so, whether it can be.
    pub(crate) fn check(env: &Env) -> Outcome<()> {
        Self::read(env).map(drop)
    }
}
