//! What a deployment says of its MCP server. A secret that is missing is named; it is never shown.

use crate::failure::{Failure, Outcome};
use crate::variable::text;
use legis_core::mcp::record::Recorder;
use legis_core::mcp::{RefusalForm, SigningSecret};
use legis_core::payload::format::Format;
use legis_core::problem::Problem;
use worker::Env;

const UPSTREAM: &str = "MCP_UPSTREAM_URL";
const SECRET: &str = "MCP_SIGNING_SECRET";
const REFUSAL: &str = "MCP_REFUSAL";
const SECRET_FIELDS: &str = "MCP_SECRET_FIELDS";

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
        let Some(upstream) = text(env, UPSTREAM) else {
            return Ok(None);
        };
        let secret = text(env, SECRET).and_then(|secret| SigningSecret::parse(&secret));
        let refusals = text(env, REFUSAL).map_or(Ok(RefusalForm::default()), |name| {
            RefusalForm::parse(&name).ok_or_else(|| {
                wrong(format!(
                    "{REFUSAL} is {name}; it must be result, text or status"
                ))
            })
        })?;
        // It is told who calls.
        if !Format::Url.holds(&upstream) {
            return Err(wrong(format!(
                "{UPSTREAM} must be an address that begins with https://, or with http:// on this machine"
            )));
        }
        Ok(Some(Self {
            upstream,
            secret: secret.ok_or_else(|| {
                let least = SigningSecret::MIN;
                wrong(format!("{SECRET} is missing or shorter than {least} bytes"))
            })?,
            refusals,
            recorder: Recorder::parse(&text(env, SECRET_FIELDS).unwrap_or_default()),
        }))
    }

    /// Whether an MCP server is meant to be served, and if so, whether it can be.
    pub(crate) fn check(env: &Env) -> Outcome<()> {
        Self::read(env).map(drop)
    }
}
