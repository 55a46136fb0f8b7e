//! The way to a subscription, and the portal to change it in: both are Stripe's own pages.

use super::settings::ApiSettings;
use crate::answer::{Answer, decoded};
use crate::clock;
use crate::configuration::{self, Configuration};
use crate::failure::{Failure, Outcome};
use crate::meter::client;
use crate::meter::message::Knowledge;
use crate::request::{Header, Request};
use legis_core::auth::claims::Caller;
use legis_core::auth::issuer::allows_page;
use legis_core::evaluate;
use legis_core::fnv::Fnv;
use legis_core::payload::{AuthClient, CheckoutRequest, PortalRequest};
use legis_core::plan::{Interval, PlanId};
use legis_core::problem::Problem;
use legis_core::schema::Origin;
use legis_core::stripe::checkout::{may_buy, no_portal};
use legis_core::time::Timestamp;
use serde::Deserialize;
use serde_json::json;
use worker::Env;

/// Something that Stripe made.
#[derive(Deserialize)]
struct Made {
    id: String,
}

/// A page of Stripe's.
#[derive(Deserialize)]
struct Page {
    url: String,
}

/// A token that a user gave to an agent is no purse.
fn check_client(caller: &Caller) -> Outcome<()> {
    match caller.through {
        Some(AuthClient::McpServer) => Err(Problem::NotForAgents.into()),
        Some(AuthClient::Frontend) | None => Ok(()),
    }
}

fn api(env: &Env) -> Outcome<ApiSettings> {
    ApiSettings::read(env).ok_or_else(|| Failure::from(Problem::PaymentsNotOffered))
}

/// `POST /api/billing/checkout`: where to pay for a plan. The same again is the same page, until something was paid.
pub(crate) async fn begin(request: &Request, env: &Env, caller: &Caller) -> Outcome<Answer> {
    check_client(caller)?;
    let api = api(env)?;
    let body = request.json().await?;
    let asked: CheckoutRequest = decoded(evaluate::decode("checkoutRequest", &body, Origin::Text))?;
    let configuration = configuration::load(env).await?;
    let plan = PlanId::resolve(asked.plan.as_str()).map_err(Problem::UnknownPlan)?;
    let interval = asked.interval.unwrap_or(Interval::Month);
    let price = configuration
        .prices()?
        .sold(plan, interval)
        .ok_or(Problem::NotSold)?;
    let known = client::account(env, &caller.identity, Knowledge::Fresh, None).await?;
    let entitlement = &known.account.entitlement;
    let customer = known.columns.stripe_customer_id.as_deref();
    may_buy(entitlement, customer, clock::now())?;
    let success = page(request, &configuration, asked.success_url.as_ref())?;
    let cancel = page(request, &configuration, asked.cancel_url.as_ref())?;
    let sub = &caller.identity.sub;
    let user = known.account.user.id;
    let customer = match customer {
        Some(customer) => customer.to_owned(),
        None => {
            // Two that come at once make one customer.
            let form = [("metadata[sub]", sub.as_str())];
            let key = format!(
                "legis-customer-{user}-{}",
                Fnv::default().with(sub.as_bytes()).hex()
            );
            api.create::<Made>("/v1/customers", &form, &key).await?.id
        }
    };
    let form = [
        ("mode", "subscription"),
        ("customer", customer.as_str()),
        ("client_reference_id", sub.as_str()),
        ("line_items[0][price]", price),
        ("line_items[0][quantity]", "1"),
        ("subscription_data[metadata][sub]", sub.as_str()),
        ("success_url", success.as_str()),
        ("cancel_url", cancel.as_str()),
    ];
    let fingerprint = form.iter().fold(Fnv::default(), |hash, (name, value)| {
        hash.with(name.as_bytes())
            .with(b"=")
            .with(value.as_bytes())
            .with(b"&")
    });
    // What a payment changes: after one, it is another page.
    let paid = known
        .columns
        .subscription_period_end
        .map_or(0, Timestamp::millis);
    let status = &known.columns.subscription_status;
    let key = format!(
        "legis-checkout-{user}-{status}-{paid}-{}",
        fingerprint.hex()
    );
    let session: Page = api.create("/v1/checkout/sessions", &form, &key).await?;
    Ok(Answer::json(201, &json!({ "url": session.url })))
}

/// `POST /api/billing/portal`: where to change or cancel a subscription, and where the invoices are.
pub(crate) async fn portal(request: &Request, env: &Env, caller: &Caller) -> Outcome<Answer> {
    check_client(caller)?;
    let api = api(env)?;
    let body = request.json().await?;
    let asked: PortalRequest = match body.is_empty() {
        true => PortalRequest::default(),
        false => decoded(evaluate::decode("portalRequest", &body, Origin::Text))?,
    };
    let configuration = configuration::load(env).await?;
    let known = client::account(env, &caller.identity, Knowledge::Fresh, None).await?;
    let entitlement = &known.account.entitlement;
    let customer = known
        .columns
        .stripe_customer_id
        .ok_or_else(|| no_portal(entitlement, clock::now()))?;
    let back = page(request, &configuration, asked.return_url.as_ref())?;
    let form = [
        ("customer", customer.as_str()),
        ("return_url", back.as_str()),
    ];
    // A page of the portal is made to be used once.
    let key = format!("legis-portal-{}", clock::id());
    let session: Page = api
        .create("/v1/billing_portal/sessions", &form, &key)
        .await?;
    Ok(Answer::json(201, &json!({ "url": session.url })))
}

/// Where a user comes back to: a page of ours, or the page that asks.
fn page(
    request: &Request,
    configuration: &Configuration,
    asked: Option<&legis_core::payload::text::WebUrl>,
) -> Outcome<String> {
    let page = match (asked, request.header(Header::Origin)) {
        (Some(url), _) => url.as_str().to_owned(),
        (None, Some(origin)) => format!("{origin}/"),
        (None, None) => {
            return Err(Problem::InvalidParameter(
                "Say where the user comes back to: successUrl and cancelUrl, or returnUrl.",
            )
            .into());
        }
    };
    match allows_page(&configuration.issuers, &page) {
        true => Ok(page),
        false => Err(Problem::InvalidParameter(
            "A page to come back to must be of an allowed origin (auth_config).",
        )
        .into()),
    }
}
