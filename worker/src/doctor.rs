//! `GET /api/admin/doctor`: what the worker sees of its own deployment, read anew. What it means is core's to say; no
//! secret leaves this file, only how it looks.

use crate::answer::Answer;
use crate::burst;
use crate::clock;
use crate::configuration::{self, Configuration};
use crate::cron;
use crate::database::{Database, Statement, first};
use crate::failure::{Failure, Outcome};
use crate::identity;
use crate::mcp;
use crate::meter::client;
use crate::meter::message::Knowledge;
use crate::platform::Outbound;
use crate::stripe::events::{FIGURES, OF_EVENTS};
use crate::stripe::settings;
use legis_core::auth::claims::Caller;
use legis_core::doctor::deployment::{
    Backlog, Issuer, Settings, Snapshot, allowed, answered, examine,
};
use legis_core::doctor::sales::{ModeFound, Sales};
use legis_core::json;
use legis_core::plan;
use legis_core::problem::Dependency;
use legis_core::row;
use legis_core::time::Timestamp;
use serde_json::{Value as Json, json};
use std::time::Duration;
use wasm_bindgen::JsValue;
use worker::Env;

/// How long what stands behind the gateway may take to say anything.
const PATIENCE: Duration = Duration::from_secs(5);

/// Examines the deployment.
pub(crate) async fn answer(origin: &str, env: &Env, caller: &Caller) -> Outcome<Answer> {
    let configuration = configuration::read(env, clock::now()).await?;
    let found = snapshot(origin, env, &configuration, caller).await?;
    let body = json!({
        "timestamp": clock::now(),
        "origins": allowed(&found.clients),
        "mode": match &found.sales.mode {
            ModeFound::Is(mode) => Some(mode.as_str()),
            ModeFound::Missing | ModeFound::Odd(_) => None,
        },
        "checks": examine(&found),
    });
    Ok(Answer::json(200, &body))
}

async fn snapshot(
    origin: &str,
    env: &Env,
    configuration: &Configuration,
    caller: &Caller,
) -> Outcome<Snapshot> {
    let counted = counted(env).await?;
    let meter = client::account(env, &caller.identity, Knowledge::Recent, None).await;
    Ok(Snapshot {
        meter: meter.map(drop).map_err(reason),
        bursts: burst::examined(env).await,
        schema: configuration::schema_version().to_owned(),
        migrated_at: counted
            .migrated_at
            .and_then(|seconds| Timestamp::from_js(seconds * 1000.0)),
        differing_plans: configuration.differing_plans().to_vec(),
        settings: Settings {
            upstream: match configuration.upstream() {
                Ok(url) => answers(url, Dependency::Upstream).await,
                Err(failure) => Err(reason(failure)),
            },
            grace: configuration::grace(env).map(drop).map_err(reason),
            retention: configuration::retention(env).map(drop).map_err(reason),
            mcp: match mcp::settings::Settings::read(env) {
                Ok(Some(settings)) => answers(&settings.upstream, Dependency::McpServer)
                    .await
                    .map(|()| true),
                Ok(None) => Ok(false),
                Err(failure) => Err(reason(failure)),
            },
        },
        issuers: issuers(configuration).await,
        clients: configuration.issuers.clone(),
        audiences: audiences(caller),
        tasks: cron::examined(env).await?,
        backlog: Backlog {
            failed: counted.failed,
            pending: counted.pending,
            alerting: counted.alerting,
        },
        sales: sales(env, configuration).await,
        now: clock::now(),
        origin: origin.to_owned(),
    })
}

/// Whether something answers at an address: what it says of a request that asks for nothing is its own.
async fn answers(url: &str, service: Dependency) -> Result<(), String> {
    let asked = Outbound {
        url: url.to_owned(),
        method: "HEAD".to_owned(),
        headers: String::new(),
        body: JsValue::UNDEFINED,
    };
    match asked.ask(PATIENCE, service).await {
        Ok((status, _)) => answered(url, status),
        Err(failure) => Err(format!("nothing answers at {url}: {}", reason(failure))),
    }
}

fn reason(failure: Failure) -> String {
    match failure.reason.is_empty() {
        true => failure.problem.code().to_owned(),
        false => failure.told().reason,
    }
}

row! {
    struct Counted {
        /// In seconds.
        migrated_at: Option<f64>,
        failed: u64,
        pending: u64,
        alerting: u64,
    }
}

async fn counted(env: &Env) -> Outcome<Counted> {
    let database = Database::open(env)?;
    let sql = format!(
        "SELECT {FIGURES}, (SELECT max(unixepoch(applied_at)) FROM d1_migrations) AS migrated_at {OF_EVENTS}"
    );
    let statement = Statement::new(&sql, &[]);
    let results = database.batch(vec![statement]).await?;
    first("figures of the database", results.first())?
        .ok_or_else(|| Failure::corrupt("figures of the database", "no row"))
}

async fn issuers(configuration: &Configuration) -> Vec<Issuer> {
    let mut domains: Vec<&str> = configuration
        .issuers
        .iter()
        .filter(|client| client.is_active)
        .map(|client| client.auth0_domain.as_str())
        .collect();
    domains.sort_unstable();
    domains.dedup();
    let mut issuers = Vec::new();
    for domain in domains {
        issuers.push(Issuer {
            domain: domain.to_owned(),
            keys: identity::count_keys(domain).await.map_err(reason),
        });
    }
    issuers
}

/// Whom a token is for, as it says.
fn audiences(caller: &Caller) -> Vec<String> {
    let text = |value: &Json| value.as_str().map(str::to_owned);
    match caller.claims.get("aud") {
        Some(Json::Array(many)) => many.iter().filter_map(text).collect(),
        Some(one) => text(one).into_iter().collect(),
        None => Vec::new(),
    }
}

/// How many prices Stripe is asked about: a deployment has some ten, and a request may ask a thousand questions.
const MAX_PRICES: usize = 100;

async fn sales(env: &Env, configuration: &Configuration) -> Sales {
    let priced = configuration.priced();
    let price = |id: u32| {
        let found = priced.iter().find(|(row, _)| *row == id);
        found.map(|(_, price)| price.clone())
    };
    let rows = plan::rows();
    let strays = priced.iter().map(|(id, _)| *id);
    let strays = strays.filter(|id| !rows.iter().any(|row| row.id == *id));
    let further = settings::further_prices(env);
    let mut listed = Vec::new();
    if let Some(api) = settings::ApiSettings::read(env) {
        let ids = priced.iter().map(|(_, price)| price.clone());
        let more = json::read::<serde_json::Map<String, Json>>(further.as_bytes());
        let more = more.unwrap_or_default().into_iter().map(|(price, _)| price);
        for id in ids.chain(more).take(MAX_PRICES) {
            let said = api.price(&id).await;
            listed.push((id, said));
        }
    }
    Sales {
        webhook_secret: settings::webhook_secret_found(env),
        mode: settings::mode_found(env),
        key: settings::key_kind(env),
        strays: strays.collect(),
        rows: rows
            .into_iter()
            .map(|row| {
                let price = price(row.id);
                (row, price)
            })
            .collect(),
        further,
        listed,
    }
}
