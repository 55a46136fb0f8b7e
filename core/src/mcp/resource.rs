//! Where a client finds who issues tokens for this resource (RFC 9728).

use crate::auth::Scope;
use crate::auth::issuer::issuer;
use crate::payload::AuthConfig;
use serde::Serialize;

/// Where the document is; the path of the resource follows.
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The scope that a caller of the MCP gateway needs. What the tools then do with the user's data is the server's to ask.
pub const SCOPE: Scope = Scope::ReadBills;

/// The metadata of a protected resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResourceMetadata {
    /// The resource.
    pub resource: String,
    /// Who issues tokens for it.
    pub authorization_servers: Vec<String>,
    /// What can be asked for.
    pub scopes_supported: Vec<&'static str>,
    /// How tokens are sent.
    pub bearer_methods_supported: [&'static str; 1],
}

/// The metadata of the resource at `path` of `origin`.
#[must_use]
pub fn metadata(origin: &str, path: &str, configs: &[AuthConfig]) -> ResourceMetadata {
    let active = configs.iter().filter(|config| config.is_active);
    let mut authorization_servers: Vec<String> = active
        .map(|config| issuer(config.auth0_domain.as_str()))
        .collect();
    authorization_servers.sort_unstable();
    authorization_servers.dedup();
    ResourceMetadata {
        resource: format!("{origin}{path}"),
        authorization_servers,
        scopes_supported: Scope::READING.iter().map(|scope| scope.as_str()).collect(),
        bearer_methods_supported: ["header"],
    }
}

/// A challenge (`WWW-Authenticate`) that also says where the metadata is.
#[must_use]
pub fn challenge(known: &str, origin: &str, path: &str) -> String {
    let separator = if known.contains('=') { ", " } else { " " };
    let scope = match known.contains("scope=") {
        true => String::new(),
        false => format!(", scope=\"{}\"", SCOPE.as_str()),
    };
    format!("{known}{separator}resource_metadata=\"{origin}{WELL_KNOWN}{path}\"{scope}")
}
