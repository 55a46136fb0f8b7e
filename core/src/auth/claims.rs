//! What a token says once its signature was found right.

use super::issuer::trusting;
use super::{Scope, Unauthenticated};
use crate::account::{Identity, is_sub};
use crate::call::{Settler, Toll};
use crate::json;
use crate::payload::text::{Email, PersonName};
use crate::payload::{AuthClient, AuthConfig};
use crate::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// How far clocks may be apart, in seconds (RFC 8725 leaves it to us; a minute is common).
const LEEWAY_SECONDS: i64 = 60;

#[derive(Deserialize)]
struct Raw {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<Audience>,
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    azp: Option<String>,
    client_id: Option<String>,
    gty: Option<String>,
    scope: Option<String>,
    permissions: Option<Vec<String>>,
    email: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// A caller who proved who they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// Who.
    pub identity: Identity,
    /// The client they came through, by its id at the issuer.
    pub client: Option<String>,
    /// Which of the configured clients that is.
    pub through: Option<AuthClient>,
    /// Whether a person or a program.
    pub kind: CallerKind,
    scopes: Vec<String>,
    times: Times,
    /// The claims as they came, for `GET /api/me`.
    pub claims: serde_json::Map<String, Value>,
}

/// Whether a person or a program calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerKind {
    /// A person.
    Person,
    /// A program with its own credentials; never becomes a user.
    Machine,
}

impl Caller {
    /// Whether the token may be used for `scope`.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|held| held == scope.as_str())
    }

    /// Whether the token is valid at `now`: neither over nor to come.
    ///
    /// # Errors
    /// Which of them it is.
    pub fn check_times(&self, now: Timestamp) -> Result<(), Unauthenticated> {
        self.times.check(now)
    }

    /// What a call to a data route takes. The MCP server makes such calls with the user's token on the way of a tool
    /// call, which it reports for itself.
    #[must_use]
    pub const fn data_toll(&self) -> Toll {
        match self.through {
            Some(AuthClient::McpServer) => Toll::WithinToolCall,
            Some(AuthClient::Frontend) | None => Toll::REST,
        }
    }

    /// The caller as the one who settles what they reserve.
    #[must_use]
    pub fn settler(&self) -> Settler {
        self.client
            .clone()
            .filter(|client| !client.is_empty())
            .map_or(Settler::Nobody, Settler::Client)
    }
}

/// Reads the claims of a token whose signature was found right.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(
    claims_json: &[u8],
    configs: &[AuthConfig],
    now: Timestamp,
) -> Result<Caller, Unauthenticated> {
    let malformed = |_| Unauthenticated::Malformed;
    let raw: Raw = json::read(claims_json).map_err(malformed)?;
    let claims = json::read(claims_json).map_err(malformed)?;
    let issuer = raw.iss.as_deref().unwrap_or_default();
    let mut trusting = trusting(configs, issuer).peekable();
    if trusting.peek().is_none() {
        return Err(Unauthenticated::Issuer);
    }
    let addresses = |config: &AuthConfig| match &raw.aud {
        Some(Audience::One(one)) => one == config.auth0_audience.as_str(),
        Some(Audience::Many(many)) => many.iter().any(|one| one == config.auth0_audience.as_str()),
        None => false,
    };
    if !trusting.any(addresses) {
        return Err(Unauthenticated::Audience);
    }
    let client = raw.azp.clone().or_else(|| raw.client_id.clone());
    let through = self::trusting(configs, issuer)
        .find(|config| client.as_deref() == Some(config.auth0_client_id.as_str()))
        .map(|config| config.config_name);
    let times = Times {
        expires: raw.exp.ok_or(Unauthenticated::Malformed)?,
        from: [raw.nbf, raw.iat],
    };
    times.check(now)?;
    let sub = raw
        .sub
        .filter(|sub| is_sub(sub))
        .ok_or(Unauthenticated::Subject)?;
    // Auth0's own words, and what RFC 9068 section 2.2 says of a token without a resource owner.
    let is_client = [&raw.azp, &raw.client_id]
        .iter()
        .any(|client| client.as_deref() == Some(sub.as_str()));
    let kind = if raw.gty.as_deref() == Some("client-credentials")
        || sub.ends_with("@clients")
        || is_client
    {
        CallerKind::Machine
    } else {
        CallerKind::Person
    };
    let scopes = raw
        .scope
        .iter()
        .flat_map(|scope| scope.split_ascii_whitespace())
        .map(str::to_owned)
        .chain(raw.permissions.into_iter().flatten())
        .collect();
    Ok(Caller {
        identity: Identity {
            sub,
            email: raw.email.filter(|email| Email::holds(email)),
            name: raw.name.filter(|name| PersonName::holds(name)),
        },
        client,
        through,
        kind,
        scopes,
        times,
        claims,
    })
}

/// When a token is valid, in seconds since 1970.
#[derive(Debug, Clone, PartialEq)]
struct Times {
    expires: f64,
    from: [Option<f64>; 2],
}

impl Times {
    fn check(&self, now: Timestamp) -> Result<(), Unauthenticated> {
        // Seconds since the epoch fit a double exactly for millions of years.
        #[allow(
            clippy::cast_precision_loss,
            reason = "seconds up to the year 9999 are exact"
        )]
        let (now, leeway) = (now.seconds() as f64, LEEWAY_SECONDS as f64);
        let alive = self.expires + leeway > now;
        if !alive {
            return Err(Unauthenticated::Expired);
        }
        if self
            .from
            .into_iter()
            .flatten()
            .any(|from| from - leeway > now)
        {
            return Err(Unauthenticated::NotYet);
        }
        Ok(())
    }
}
