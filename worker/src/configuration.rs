//! What a deployment is made of: the version of its database, its plan rows, its trusted issuers, its variables.
//! Read once a minute in each isolate; data is shared between requests, never promises.

use crate::clock;
use crate::database::{Database, Statement, Value, decoded, rows};
use crate::failure::{Failure, Outcome};
use crate::log;
use crate::stripe::settings::further_prices;
use crate::variable;
use legis_core::audit::storage::Unreadable;
use legis_core::evaluate::json_text;
use legis_core::history::Retention;
use legis_core::ledger::outlives_outage;
use legis_core::migration::{Migration, Unfit, fits};
use legis_core::payload::{AuthClient, AuthConfig};
use legis_core::plan;
use legis_core::problem::Problem;
use legis_core::rows::auth_config::AuthConfigRow;
use legis_core::rows::billing::KnownPriceRow;
use legis_core::rows::plans::StoredPlan;
use legis_core::settings;
use legis_core::stripe::prices::Prices;
use legis_core::subscription::Grace;
use legis_core::time::Timestamp;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use worker::Env;

include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// The migrations that this release was built with.
fn released() -> Vec<Migration> {
    let migration = |(name, sha256): &(&str, &str)| Migration {
        name: (*name).to_owned(),
        sha256: (*sha256).to_owned(),
    };
    RELEASED.iter().map(migration).collect()
}

/// The newest of them.
pub(crate) fn schema_version() -> &'static str {
    RELEASED.last().map_or("none", |(name, _)| *name)
}

const MAX_AGE_MILLIS: i64 = 60_000;

/// A deployment that was checked and may serve.
#[derive(Debug)]
pub(crate) struct Configuration {
    pub(crate) issuers: Vec<AuthConfig>,
    /// Where the data service is; a text that says what is wrong when that is not known.
    upstream: Result<String, String>,
    /// Which prices pay for which plan; a text that says what is wrong when that is not known.
    prices: Result<Prices, String>,
    /// The rows of `plans` that differ from the catalog.
    differing_plans: Vec<u32>,
    /// Rows of `plans` and `auth_config` that do not decode.
    pub(crate) unreadable: Vec<Unreadable>,
    /// The rows of `plans` that have a price, and the price.
    priced: Vec<(u32, String)>,
    /// When the database said so.
    pub(crate) read_at: Timestamp,
}

impl Configuration {
    /// Where the data service is.
    pub(crate) fn upstream(&self) -> Outcome<&str> {
        self.upstream
            .as_deref()
            .map_err(|reason| Failure::new(Problem::Misconfigured, reason.clone()))
    }

    /// Which prices pay for which plan.
    pub(crate) fn prices(&self) -> Outcome<&Prices> {
        self.prices
            .as_ref()
            .map_err(|reason| Failure::new(Problem::Misconfigured, reason.clone()))
    }

    /// Whether its plans are the catalog's and all of it could be read.
    pub(crate) fn check_rows(&self) -> Outcome<()> {
        if !self.differing_plans.is_empty() {
            return Err(unfit(Unfit::Plans(self.differing_plans.clone())));
        }
        let broken = self.unreadable.iter().find_map(|row| match row {
            Unreadable::AuthConfig { name, reason } => Some((name, reason)),
            _ => None,
        });
        match broken {
            Some((name, reason)) => Err(Failure::new(
                Problem::Misconfigured,
                format!("the row {name} of auth_config: {reason}"),
            )),
            None => Ok(()),
        }
    }

    /// The rows of `plans` that differ from the catalog.
    pub(crate) fn differing_plans(&self) -> &[u32] {
        &self.differing_plans
    }

    /// The rows of `plans` that have a price, and the price.
    pub(crate) fn priced(&self) -> &[(u32, String)] {
        &self.priced
    }

    pub(crate) fn client(&self, client: AuthClient) -> Option<&AuthConfig> {
        self.issuers
            .iter()
            .find(|config| config.is_active && config.config_name == client)
    }
}

thread_local! {
    static KNOWN: RefCell<Option<Rc<Configuration>>> = const { RefCell::new(None) };
    /// When the database was last asked.
    static ASKED_AT: Cell<Option<Timestamp>> = const { Cell::new(None) };
}

/// The configuration as it was a minute ago at most; while the database does not answer, as it was a day ago at most.
/// A database that does not fit is never remembered, so that applying the migrations is enough to go on.
pub(crate) async fn load(env: &Env) -> Outcome<Rc<Configuration>> {
    let configuration = load_for_repair(env).await?;
    configuration.check_rows()?;
    Ok(configuration)
}

/// The same for those who come to repair it: its plans may differ from the catalog.
pub(crate) async fn load_for_repair(env: &Env) -> Outcome<Rc<Configuration>> {
    let now = clock::now();
    let known = known();
    let asked_at = ASKED_AT.replace(Some(now));
    if let Some(known) = &known
        && asked_at.is_some_and(|asked_at| (0..MAX_AGE_MILLIS).contains(&now.since(asked_at)))
    {
        // Who asks is one; whoever comes meanwhile goes on with what is known.
        ASKED_AT.set(asked_at);
        return Ok(Rc::clone(known));
    }
    match (read(env, now).await, known) {
        (Ok(fresh), _) => {
            let fresh = Rc::new(fresh);
            let fits = fresh.check_rows().is_ok();
            KNOWN.set(fits.then(|| Rc::clone(&fresh)));
            Ok(fresh)
        }
        (Err(failure), Some(known))
            if failure.is_outage() && outlives_outage(known.read_at, now) =>
        {
            log::event("configuration_not_read", &failure);
            Ok(known)
        }
        (Err(failure), _) => {
            KNOWN.set(None);
            Err(failure)
        }
    }
}

/// The configuration as it is.
pub(crate) async fn read(env: &Env, now: Timestamp) -> Outcome<Configuration> {
    let database = Database::open(env)?;
    let asked = database
        .batch(vec![
            Statement::new("SELECT name, '' AS sha256 FROM d1_migrations ORDER BY id", &[]),
            Statement::new("SELECT name, sha256 FROM migration_checksums ORDER BY name", &[]),
            Statement::new(
                "SELECT id, name, slug, billing_frequency, amount, currency, features, highlighted_features, description, \
                 display_order, mcp_calls_limit, stripe_price_id FROM plans ORDER BY id",
                &[],
            ),
            Statement::new(
                "SELECT config_name, auth0_domain, auth0_client_id, auth0_audience, auth0_scope, allowed_callback_urls, \
                 allowed_logout_urls, allowed_origins, is_active FROM auth_config ORDER BY id",
                &[],
            ),
            Statement::new("SELECT price_id, plan FROM known_prices", &[]),
        ])
        .await;
    let results = match asked {
        // Some of what is asked for is not there: why is told better by what was applied.
        Err(failure) if failure.problem == Problem::SchemaMismatch => {
            return Err(why_unfit(&database).await);
        }
        results => results?,
    };
    let applied: Vec<Migration> = rows("d1_migrations", results.first())?;
    let stored: Vec<Migration> = rows("migration_checksums", results.get(1))?;
    let names: Vec<&str> = applied.iter().map(|row| row.name.as_str()).collect();
    fits(&names, &stored, &released()).map_err(unfit)?;
    let plans: Vec<StoredPlan> = rows("plans", results.get(2))?;
    let stored: Vec<AuthConfigRow> = rows("auth_config", results.get(3))?;
    let prices = match decoded("known_prices", results.get(4), KnownPriceRow::decode) {
        Ok(known) => prices(env, &plans).map(|prices| prices.remembering(known)),
        // Calls are served all the same.
        Err(failure) => Err(failure.reason.clone()),
    };
    if let Ok(prices) = &prices {
        remember(&database, prices).await;
    }
    let mut unreadable: Vec<Unreadable> = plans
        .iter()
        .filter(|plan| !plan.has_readable_features())
        .map(|plan| Unreadable::Plan { id: plan.id() })
        .collect();
    let mut issuers = Vec::new();
    for row in &stored {
        match row.decode() {
            Ok(issuer) => issuers.push(issuer),
            Err(unfit) => unreadable.push(Unreadable::AuthConfig {
                name: row.name().to_owned(),
                reason: unfit.to_string(),
            }),
        }
    }
    Ok(Configuration {
        issuers,
        upstream: upstream(env),
        prices,
        differing_plans: differing(&plans),
        unreadable,
        priced: plans.iter().filter_map(StoredPlan::priced).collect(),
        read_at: now,
    })
}

/// Stores what prices pay for. Should that fail, the next minute's reading tries again.
async fn remember(database: &Database, prices: &Prices) {
    let news: Vec<_> = prices.news().map(KnownPriceRow::values).collect();
    if news.is_empty() {
        return;
    }
    let news = json_text(&news);
    let statement = Statement::new(
        "INSERT INTO known_prices (price_id, plan) SELECT value ->> 0, value ->> 1 FROM json_each(?1) WHERE true \
         ON CONFLICT (price_id) DO UPDATE SET plan = excluded.plan",
        &[Value::Text(&news)],
    );
    if let Err(failure) = database.batch(vec![statement]).await {
        log::event("prices_not_remembered", &failure);
    }
}

/// Why a database lacks tables that are asked for.
async fn why_unfit(database: &Database) -> Failure {
    let applied = async {
        let sql = "SELECT name, '' AS sha256 FROM d1_migrations ORDER BY id";
        let results = database.batch(vec![Statement::new(sql, &[])]).await?;
        rows::<Migration>("d1_migrations", results.first())
    };
    let applied = match applied.await {
        Ok(applied) => applied,
        // Nothing was ever applied.
        Err(failure) if failure.problem == Problem::SchemaMismatch => Vec::new(),
        Err(failure) => return failure,
    };
    let names: Vec<&str> = applied.iter().map(|row| row.name.as_str()).collect();
    unfit(
        fits(&names, &released(), &released())
            .err()
            .unwrap_or(Unfit::Altered),
    )
}

fn unfit(unfit: Unfit) -> Failure {
    Failure::new(Problem::SchemaMismatch, unfit.to_string())
}

/// The rows that differ from the catalog's. A row that left the catalog may stay: users may refer to it.
fn differing(stored: &[StoredPlan]) -> Vec<u32> {
    plan::rows()
        .iter()
        .filter(|row| !stored.iter().any(|stored| stored.agrees_with(row)))
        .map(|row| row.id)
        .collect()
}

/// The configuration if it is known here already.
pub(crate) fn known() -> Option<Rc<Configuration>> {
    KNOWN.with_borrow(Clone::clone)
}

/// What the plans are sold at, and further prices of `STRIPE_PRICES`.
fn prices(env: &Env, stored: &[StoredPlan]) -> Result<Prices, String> {
    let further = further_prices(env);
    let rows: Vec<_> = plan::rows()
        .into_iter()
        .map(|row| {
            let price = stored.iter().find(|stored| stored.agrees_with(&row));
            (row, price.and_then(StoredPlan::price).map(str::to_owned))
        })
        .collect();
    Prices::new(&rows, &further).map_err(|reason| format!("STRIPE_PRICES or plans: {reason}"))
}

fn upstream(env: &Env) -> Result<String, String> {
    let url = variable::text(env, settings::UPSTREAM_URL)
        .ok_or_else(|| format!("variable {} is missing", settings::UPSTREAM_URL))?;
    settings::upstream_url(&url)
}

/// The configured grace; fourteen days when nothing is said.
pub(crate) fn grace(env: &Env) -> Outcome<Grace> {
    setting(env, settings::GRACE_DAYS, Grace::parse)
}

/// For how many days the history is kept; 400 when nothing is said.
pub(crate) fn retention(env: &Env) -> Outcome<Retention> {
    setting(env, settings::RETENTION_DAYS, Retention::parse)
}

/// What a variable says; the usual when nothing is said.
fn setting<T: Default>(
    env: &Env,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Outcome<T> {
    let Some(said) = variable::text(env, name) else {
        return Ok(T::default());
    };
    parse(&said).map_err(|reason| Failure::new(Problem::Misconfigured, reason))
}
