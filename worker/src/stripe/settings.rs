//! What a deployment says of its payments. A secret that is missing is named; it is never shown.

use crate::failure::{Failure, Outcome};
use crate::variable::text;
use legis_core::doctor::sales::{KeyKind, ModeFound, SecretFound};
use legis_core::problem::Problem;
use legis_core::stripe::event::Mode;
use legis_core::stripe::signature::Secrets;
use worker::Env;

const WEBHOOK_SECRET: &str = "STRIPE_WEBHOOK_SECRET";
const MODE: &str = "STRIPE_MODE";
const API_KEY: &str = "STRIPE_API_KEY";
const API_URL: &str = "STRIPE_API_URL";
const PRICES: &str = "STRIPE_PRICES";

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
        let secrets = text(env, WEBHOOK_SECRET).and_then(|secrets| Secrets::parse(&secrets));
        let mode = text(env, MODE).ok_or_else(|| missing(MODE))?;
        Ok(Self {
            secrets: secrets.ok_or_else(|| missing(WEBHOOK_SECRET))?,
            mode: Mode::parse(&mode).ok_or_else(|| {
                let reason = format!("{MODE} is {mode}; it must be live or test");
                Failure::new(Problem::Misconfigured, reason)
            })?,
        })
    }

    /// Whether anything is sold, and if so, whether payments can be heard of.
    pub(crate) fn check(env: &Env) -> Outcome<()> {
        let sells = [WEBHOOK_SECRET, MODE, API_KEY];
        match sells.iter().any(|name| text(env, name).is_some()) {
            true => Self::read(env).map(drop),
            false => Ok(()),
        }
    }
}

impl ApiSettings {
    /// `None` where Stripe is never asked.
    pub(crate) fn read(env: &Env) -> Option<Self> {
        let url = text(env, API_URL).unwrap_or_else(|| "https://api.stripe.com".to_owned());
        Some(Self {
            key: text(env, API_KEY)?,
            url: url.trim_end_matches('/').to_owned(),
        })
    }
}

/// Prices beside those of `plans`: a JSON object of plan names by price id.
pub(crate) fn further_prices(env: &Env) -> String {
    text(env, PRICES).unwrap_or_default()
}

// How the settings look, for whoever examines the deployment.

pub(crate) fn webhook_secret_found(env: &Env) -> SecretFound {
    match text(env, WEBHOOK_SECRET).map(|secrets| Secrets::parse(&secrets)) {
        None => SecretFound::Missing,
        Some(Some(secrets)) if secrets.are_well_formed() => SecretFound::WellFormed,
        Some(_) => SecretFound::Odd,
    }
}

pub(crate) fn mode_found(env: &Env) -> ModeFound {
    match text(env, MODE) {
        None => ModeFound::Missing,
        Some(word) => Mode::parse(&word).map_or(ModeFound::Odd(word), ModeFound::Is),
    }
}

pub(crate) fn key_kind(env: &Env) -> Option<KeyKind> {
    text(env, API_KEY).map(|key| KeyKind::of(&key))
}
