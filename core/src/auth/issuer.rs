//! Where tokens come from, derived from the rows of `auth_config`.

use crate::payload::format::loopback;
use crate::payload::{AuthClient, AuthConfig};
use serde::Serialize;

/// The issuer's address for a configured domain: `https://DOMAIN/`, or `http://` when the domain is this machine.
///
/// ```
/// use legis_core::auth::issuer::issuer;
/// assert_eq!(issuer("example.eu.auth0.com"), "https://example.eu.auth0.com/");
/// assert_eq!(issuer("127.0.0.1:8788"), "http://127.0.0.1:8788/");
/// ```
#[must_use]
pub fn issuer(domain: &str) -> String {
    let scheme = if loopback(domain) { "http" } else { "https" };
    format!("{scheme}://{domain}/")
}

/// Where the issuer of a configured domain publishes its keys.
#[must_use]
pub fn jwks_url(domain: &str) -> String {
    format!("{}.well-known/jwks.json", issuer(domain))
}

/// The part of a row of `auth_config` that anyone may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PublicAuthConfig {
    /// Which kind of client.
    pub config_name: AuthClient,
    /// The issuer's address.
    pub issuer: String,
    /// The issuer's host.
    pub auth0_domain: String,
    /// The client's id at the issuer.
    pub auth0_client_id: String,
    /// The audience to ask for.
    pub auth0_audience: String,
    /// The scopes to ask for.
    pub auth0_scope: String,
}

impl From<&AuthConfig> for PublicAuthConfig {
    fn from(config: &AuthConfig) -> Self {
        Self {
            config_name: config.config_name,
            issuer: issuer(config.auth0_domain.as_str()),
            auth0_domain: config.auth0_domain.as_str().to_owned(),
            auth0_client_id: config.auth0_client_id.as_str().to_owned(),
            auth0_audience: config.auth0_audience.as_str().to_owned(),
            auth0_scope: config.auth0_scope.as_str().to_owned(),
        }
    }
}

/// The active rows that trust `issuer`: one issuer may serve several clients, each with an audience of its own.
pub fn trusting<'c>(
    configs: &'c [AuthConfig],
    token_issuer: &str,
) -> impl Iterator<Item = &'c AuthConfig> {
    configs.iter().filter(move |config| {
        config.is_active && issuer(config.auth0_domain.as_str()) == token_issuer
    })
}

/// Whether a page is one of ours, to which a user may be sent.
#[must_use]
pub fn allows_page(configs: &[AuthConfig], page: &str) -> bool {
    let rest = page
        .find("://")
        .and_then(|at| page.get(at.saturating_add(3)..));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    let origin = host.and_then(|host| {
        let end = page
            .len()
            .checked_sub(rest?.len())?
            .checked_add(host.len())?;
        page.get(..end)
    });
    origin.is_some_and(|origin| allows_origin(configs, origin))
}

/// Whether a page of `origin` may call the API (CORS).
#[must_use]
pub fn allows_origin(configs: &[AuthConfig], origin: &str) -> bool {
    configs.iter().any(|config| {
        config.is_active
            && config
                .allowed_origins
                .iter()
                .any(|allowed| allowed.as_str() == origin)
    })
}
