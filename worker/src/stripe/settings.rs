//! What a deployment says of its payments. A secret that is missing is named; it is never shown.

use crate::failure::{Failure, Outcome};
use crate::variable::text;
use legis_core::doctor::sales::{KeyKind, ModeFound, SecretFound};
use legis_core::problem::Problem;
use legis_core::settings::{
    STRIPE_API_KEY, STRIPE_API_URL, STRIPE_MODE, STRIPE_PRICES, STRIPE_WEBHOOK_SECRET, stripe_mode,
};
use legis_core::stripe::event::Mode;
use legis_core::stripe::signature::Secrets;
use worker::Env;

/// What receiving webhooks needs.
pub(crate) struct WebhookSettings {
    pub(crate) secrets: Secrets,
    pub(crate) mode: Mode,
}

/// What asking Stripe needs.
pub(crate) struct ApiSettings {
    pub(crate) key: String,
    pub(crate) url: String,
}

fn missing(name: &str) -> Failure {
    Failure::new(Problem::Misconfigured, format!("{name} is missing"))
}

impl WebhookSettings {
    pub(crate) fn read(env: &Env) -> Outcome<Self> {
        let secrets = text(env, STRIPE_WEBHOOK_SECRET).and_then(|secrets| Secrets::parse(&secrets));
        let mode = text(env, STRIPE_MODE).ok_or_else(|| missing(STRIPE_MODE))?;
        Ok(Self {
            secrets: secrets.ok_or_else(|| missing(STRIPE_WEBHOOK_SECRET))?,
            mode: stripe_mode(&mode)
                .map_err(|reason| Failure::new(Problem::Misconfigured, reason))?,
        })
    }

    /// Whether anything is sold, and if so, whether payments can be heard of.
    pub(crate) fn check(env: &Env) -> Outcome<()> {
        let sells = [STRIPE_WEBHOOK_SECRET, STRIPE_MODE, STRIPE_API_KEY];
        match sells.iter().any(|name| text(env, name).is_some()) {
            true => Self::read(env).map(drop),
            false => Ok(()),
        }
    }
}

impl ApiSettings {
    /// `None` where Stripe is never asked.
    pub(crate) fn read(env: &Env) -> Option<Self> {
        let url = text(env, STRIPE_API_URL).unwrap_or_else(|| "https://api.stripe.com".to_owned());
        Some(Self {
            key: text(env, STRIPE_API_KEY)?,
            url: url.trim_end_matches('/').to_owned(),
        })
    }
}

/// Prices beside those of `plans`: a JSON object of plan names by price id.
pub(crate) fn further_prices(env: &Env) -> String {
    text(env, STRIPE_PRICES).unwrap_or_default()
}

// How the settings look, for whoever examines the deployment.

pub(crate) fn webhook_secret_found(env: &Env) -> SecretFound {
    match text(env, STRIPE_WEBHOOK_SECRET).map(|secrets| Secrets::parse(&secrets)) {
        None => SecretFound::Missing,
        Some(Some(secrets)) if secrets.are_well_formed() => SecretFound::WellFormed,
        Some(_) => SecretFound::Odd,
    }
}

pub(crate) fn mode_found(env: &Env) -> ModeFound {
    match text(env, STRIPE_MODE) {
        None => ModeFound::Missing,
        Some(word) => Mode::parse(&word).map_or(ModeFound::Odd(word), ModeFound::Is),
    }
}

pub(crate) fn key_kind(env: &Env) -> Option<KeyKind> {
    text(env, STRIPE_API_KEY).map(|key| KeyKind::of(&key))
}
