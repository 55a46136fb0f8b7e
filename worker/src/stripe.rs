//! Stripe's webhooks: verified, stored, applied, answered, in this order. Core decides what becomes of an event.

pub(crate) mod api;
pub(crate) mod checkout;
pub(crate) mod events;
mod processing;
pub(crate) mod review;
pub(crate) mod settings;
mod store;

pub(crate) use processing::{Asking, Report, apply_again, overdue, reconcile, reconcile_due};

use crate::answer::Answer;
use crate::clock;
use crate::configuration;
use crate::failure::{Failure, Outcome};
use crate::log::Line;
use crate::request::{Header, Request};
use legis_core::problem::Problem;
use legis_core::stripe::event::envelope;
use legis_core::stripe::signature::verify;
use serde_json::json;
use settings::WebhookSettings;
use worker::Env;

/// `POST /api/webhooks/stripe`
pub(crate) async fn receive(request: &Request, env: &Env, line: &mut Line) -> Outcome<Answer> {
    let settings = WebhookSettings::read(env)?;
    let configuration = configuration::load(env).await?;
    let prices = configuration.prices()?;
    let body = request.bytes().await?;
    let header = request.header(Header::StripeSignature);
    verify(header, &body, &settings.secrets, clock::now())
        .map_err(|unverified| Failure::new(Problem::Unverified, unverified.name()))?;
    let text = std::str::from_utf8(&body).map_err(|_| Problem::NotAnEvent)?;
    let envelope = envelope(&body).ok_or(Problem::NotAnEvent)?;
    if envelope.mode() != settings.mode {
        let reason = format!("an event of {} mode", envelope.mode().as_str());
        return Err(Failure::new(Problem::WrongMode, reason));
    }
    let report = processing::take(env, prices, &envelope, text).await?;
    line.event = Some(report);
    Ok(Answer::json(200, &json!({ "received": true })))
}
