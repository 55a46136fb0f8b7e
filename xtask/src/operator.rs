//! A deployment, as its administrator reaches it from the outside.

use crate::dev::{self, Token};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Where an administrator's token is looked for; it is no argument, which others on the machine could read.
pub const TOKEN_VARIABLE: &str = "LEGIS_TOKEN";

/// A deployment and who asks it.
pub struct Operator {
    url: String,
    token: String,
}

/// What a deployment answered.
#[derive(Deserialize)]
pub struct Answer {
    pub status: u16,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// When, in milliseconds since 1970 by this machine's clock: half-way between question and answer.
    pub at: i64,
    /// Null when it was no JSON.
    pub body: Value,
}

impl Answer {
    /// The body of a success; otherwise an error that says what the problem document says.
    pub fn success(self) -> Result<Value> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        let text = |member: &str| self.body[member].as_str().unwrap_or_default().to_owned();
        bail!(
            "status {}: {} {}",
            self.status,
            text("title"),
            text("detail")
        )
    }
}

impl Operator {
    /// The administrator of the deployment at `url`, with the token of `LEGIS_TOKEN`; of a local one, the administrator that
    /// `dev` made there.
    pub fn of(url: &str, state: &Path) -> Result<Self> {
        crate::setup::node()?;
        let token = match std::env::var(TOKEN_VARIABLE) {
            Ok(token) => token,
            Err(_) if is_local(url) => dev::signed(&Token::administrator(), state)?,
            Err(_) => bail!(
                "{TOKEN_VARIABLE} is not set.\n  Put an access token there whose scope has `admin`, of a user with is_admin = 1."
            ),
        };
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            token,
        })
    }

    pub fn get(&self, path: &str) -> Result<Answer> {
        self.ask("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.ask("POST", path, Some(body))
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        request(&json!({
            "method": method,
            "url": format!("{}{path}", self.url),
            "headers": { "Authorization": format!("Bearer {}", self.token), "Content-Type": "application/json" },
            "body": body.map(Value::to_string),
        }))
    }
}

/// Sends a request: `{method, url, headers, body}`. It goes through standard input, where nobody else sees the token.
pub fn request(asked: &Value) -> Result<Answer> {
    let printed = crate::process::filter(
        "node",
        &["--disable-warning=ExperimentalWarning", "xtask/request.mjs"],
        &asked.to_string(),
    )
    .with_context(|| format!("cannot reach {}", asked["url"].as_str().unwrap_or_default()))?;
    Ok(serde_json::from_str(&printed)?)
}

/// Whether a deployment runs on this machine.
pub fn is_local(url: &str) -> bool {
    let host = url.trim_start_matches("http://");
    ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|local| host.starts_with(local))
}
