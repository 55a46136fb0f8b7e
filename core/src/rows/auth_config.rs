//! Rows of `auth_config`.

use crate::evaluate;
use crate::json;
use crate::payload::AuthConfig;
use crate::row;
use crate::row::Unfit;
use crate::schema::Origin;
use serde::Serialize;

row! {
    /// A row of `auth_config`. Its JSON columns are decoded by the schema that the npm package has.
    #[derive(Debug)]
    pub struct AuthConfigRow {
        config_name: String,
        auth0_domain: String,
        auth0_client_id: String,
        auth0_audience: String,
        auth0_scope: String,
        allowed_callback_urls: String,
        allowed_logout_urls: String,
        allowed_origins: String,
        is_active: u8,
    }
}

#[derive(Serialize)]
struct AuthConfigJson<'r> {
    config_name: &'r str,
    auth0_domain: &'r str,
    auth0_client_id: &'r str,
    auth0_audience: &'r str,
    auth0_scope: &'r str,
    allowed_callback_urls: serde_json::Value,
    allowed_logout_urls: serde_json::Value,
    allowed_origins: serde_json::Value,
    is_active: bool,
}

impl AuthConfigRow {
    /// Which row it is, decoded or not.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config_name
    }

    /// What it says.
    ///
    /// # Errors
    /// [`Unfit`] when the row breaks a rule.
    pub fn decode(&self) -> Result<AuthConfig, Unfit> {
        let json = |column: &str, text: &str| {
            json::read(text.as_bytes())
                .map_err(|error| Unfit::row("auth_config", format!("{column}: {error}")))
        };
        let row = AuthConfigJson {
            config_name: &self.config_name,
            auth0_domain: &self.auth0_domain,
            auth0_client_id: &self.auth0_client_id,
            auth0_audience: &self.auth0_audience,
            auth0_scope: &self.auth0_scope,
            allowed_callback_urls: json("allowed_callback_urls", &self.allowed_callback_urls)?,
            allowed_logout_urls: json("allowed_logout_urls", &self.allowed_logout_urls)?,
            allowed_origins: json("allowed_origins", &self.allowed_origins)?,
            is_active: self.is_active == 1,
        };
        evaluate::decode("authConfig", &evaluate::json(&row), Origin::Text).map_err(|violations| {
            let places: Vec<String> = violations.iter().map(|v| v.pointer()).collect();
            Unfit::row("auth_config", places.join(", "))
        })
    }
}
