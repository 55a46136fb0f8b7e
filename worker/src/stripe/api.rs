//! Asking Stripe, where the deployment has a key.

use super::settings::ApiSettings;
use crate::clock;
use crate::failure::{Failure, Outcome};
use crate::platform::{self, Outbound};
use legis_core::doctor::sales::{Listed, StripePrice};
use legis_core::header;
use legis_core::json;
use legis_core::problem::{Dependency, Problem};
use legis_core::stripe::event::fetched;
use legis_core::stripe::snapshot::Snapshot;
use serde::Deserialize;
use std::time::Duration;
use wasm_bindgen::JsValue;
use web_sys::UrlSearchParams;

/// How long Stripe may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// What Stripe says is wrong with a request.
#[derive(Deserialize)]
struct Refused {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    code: String,
    #[serde(default)]
    r#type: String,
}

/// Subscriptions as Stripe lists them.
#[derive(Deserialize)]
pub(crate) struct SubscriptionPage {
    pub(crate) data: Vec<ListedSubscription>,
    pub(crate) has_more: bool,
}

/// What of a listed subscription is compared.
#[derive(Deserialize)]
pub(crate) struct ListedSubscription {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) customer: String,
}

/// A price, as far as it is compared.
#[derive(Deserialize)]
struct PriceObject {
    active: bool,
    unit_amount: Option<u64>,
    currency: String,
    recurring: Option<Recurring>,
}

#[derive(Deserialize)]
struct Recurring {
    interval: String,
    interval_count: u32,
}

impl From<PriceObject> for StripePrice {
    fn from(price: PriceObject) -> Self {
        Self {
            active: price.active,
            amount: price.unit_amount,
            currency: price.currency,
            interval: match price.recurring {
                None => "once".to_owned(),
                Some(Recurring {
                    interval,
                    interval_count: 1,
                }) => interval,
                Some(Recurring {
                    interval,
                    interval_count,
                }) => format!("{interval_count} {interval}"),
            },
        }
    }
}

/// What Stripe answered.
enum Answered {
    Made(Vec<u8>),
    /// The status, and the kind of error.
    Refused(u16, String),
}

/// How often a request is repeated that another one with the same key is under way for.
const CONFLICTS: u32 = 5;

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::unavailable(Dependency::Stripe, error)
}

impl ApiSettings {
    /// The subscription as it is now.
    pub(crate) async fn subscription(&self, id: &str, seen: Vec<String>) -> Outcome<Snapshot> {
        let found = self.find_subscription(id, seen).await?;
        found.ok_or_else(|| failed(format!("there is no subscription {id}")))
    }

    /// The subscription as it is now, if there is one. The time is taken before Stripe is asked: what happens meanwhile comes
    /// after it.
    pub(crate) async fn find_subscription(
        &self,
        id: &str,
        seen: Vec<String>,
    ) -> Outcome<Option<Snapshot>> {
        let at = clock::now();
        match self.get(&format!("/v1/subscriptions/{id}")).await? {
            Some(body) => fetched(&body, at, seen).map(Some).map_err(failed),
            None => Ok(None),
        }
    }

    /// Subscriptions that are not over, after one of them.
    pub(crate) async fn subscriptions(&self, after: &str) -> Outcome<SubscriptionPage> {
        let after = match after {
            "" => String::new(),
            after => format!("&starting_after={after}"),
        };
        let body = self
            .get(&format!("/v1/subscriptions?limit=100{after}"))
            .await?;
        json::read(&body.unwrap_or_default()).map_err(failed)
    }

    /// What is at a path, if anything is.
    async fn get(&self, path: &str) -> Outcome<Option<Vec<u8>>> {
        match self.ask(path, None, None).await? {
            Answered::Made(body) => Ok(Some(body)),
            Answered::Refused(404, _) => Ok(None),
            Answered::Refused(status, reason) => {
                Err(failed(format!("{path}: status {status} {reason}")))
            }
        }
    }

    /// What Stripe says of a price.
    pub(crate) async fn price(&self, id: &str) -> Listed {
        let path = format!(
            "/v1/prices/{}",
            String::from(js_sys::encode_uri_component(id))
        );
        match self.ask(&path, None, None).await {
            Ok(Answered::Made(body)) => match json::read::<PriceObject>(&body) {
                Ok(price) => Listed::Is(price.into()),
                Err(error) => Listed::Silent(error.to_string()),
            },
            Ok(Answered::Refused(404, _)) => Listed::Missing,
            Ok(Answered::Refused(403, _)) => Listed::Forbidden,
            Ok(Answered::Refused(401, _)) => Listed::KeyRefused,
            Ok(Answered::Refused(status, reason)) => {
                Listed::Silent(format!("status {status} {reason}"))
            }
            Err(failure) => Listed::Silent(failure.told().reason),
        }
    }

    /// Makes something; the same key makes it once. Stripe answers a key as it answered it first, its own faults included,
    /// so after such a fault another key is tried, the same for a minute.
    pub(crate) async fn create<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        form: &[(&str, &str)],
        key: &str,
    ) -> Outcome<T> {
        let mut key = key.to_owned();
        let (mut conflicts, mut faults) = (0..CONFLICTS, 0..1);
        let body = loop {
            let (status, reason) = match self.post(path, form, &key).await? {
                Answered::Made(body) => break body,
                Answered::Refused(status, reason) => {
                    (status, format!("{path}: status {status} {reason}"))
                }
            };
            match status {
                // Another request with this key is under way.
                409 if conflicts.next().is_some() => {
                    platform::wait(Duration::from_millis(300)).await;
                }
                500.. if faults.next().is_some() => {
                    let minute = clock::now().seconds() / 60;
                    key = format!("{key}-{minute}");
                }
                409 | 429 | 500.. => return Err(failed(reason)),
                _ => return Err(Failure::new(Problem::PaymentRefused, reason)),
            }
        };
        json::read(&body).map_err(|error| failed(format!("{path}: {error}")))
    }

    async fn post(&self, path: &str, form: &[(&str, &str)], key: &str) -> Outcome<Answered> {
        let parameters = UrlSearchParams::new().map_err(|_| failed("no form"))?;
        for (name, value) in form {
            parameters.append(name, value);
        }
        let text = String::from(parameters.to_string());
        self.ask(path, Some(&text), Some(key)).await
    }

    /// Asks for what is at a path, or sends a form there.
    async fn ask(
        &self,
        path: &str,
        form: Option<&str>,
        idempotency_key: Option<&str>,
    ) -> Outcome<Answered> {
        let authorization = format!("Bearer {}", self.key);
        let headers = [
            ("Authorization", authorization.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let key = idempotency_key.map(|key| (header::IDEMPOTENCY_KEY, key));
        let request = Outbound {
            url: format!("{}{path}", self.url),
            method: if form.is_some() { "POST" } else { "GET" }.to_owned(),
            headers: platform::lines(headers.into_iter().chain(key)),
            body: form.map_or(JsValue::UNDEFINED, JsValue::from_str),
        };
        let (status, body) = request.ask(TIME_LIMIT, Dependency::Stripe).await?;
        if !(200..300).contains(&status) {
            let reason = json::read::<Refused>(&body)
                .map(|refused| format!("{} {}", refused.error.r#type, refused.error.code))
                .unwrap_or_default();
            return Ok(Answered::Refused(status, reason));
        }
        Ok(Answered::Made(body))
    }
}
