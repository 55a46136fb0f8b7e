//! Rows of the database, decoded and validated. A row that breaks a rule is a typed error, never a panic.

use crate::database::row;
use crate::failure::{Failure, Outcome};
use legis_core::account::{Account, ProfileColumns, User};
use legis_core::counters::Counters;
use legis_core::entitlement::{Entitlement, ScheduledChange, Subscription, entitlement};
use legis_core::evaluate;
use legis_core::json;
use legis_core::payload::AuthConfig;
use legis_core::plan::{self, PlanId, PlanRow};
use legis_core::schema::Origin;
use legis_core::subscription::{Grace, Status};
use legis_core::time::Timestamp;
use serde::Serialize;

row! {
    /// A row of `users` joined with its plan.
    #[derive(Debug, Clone, garde::Validate)]
    pub(crate) struct UserRow {
        #[garde(range(min = 1))]
        id: u32,
        #[garde(length(bytes, min = 1, max = 255))]
        auth0_user_id: String,
        #[garde(skip)]
        email: Option<String>,
        #[garde(skip)]
        name: Option<String>,
        #[garde(skip)]
        stripe_customer_id: Option<String>,
        #[garde(length(min = 1))]
        plan_slug: String,
        #[garde(length(min = 1))]
        billing_frequency: String,
        #[garde(skip)]
        plan_amount: Option<u32>,
        #[garde(length(min = 1))]
        subscription_status: String,
        #[garde(skip)]
        subscription_period_end: Option<f64>,
        #[garde(skip)]
        billing_anchor: Option<f64>,
        #[garde(skip)]
        billing_interval: Option<String>,
        #[garde(skip)]
        past_due_since: Option<f64>,
        #[garde(skip)]
        scheduled_plan_slug: Option<String>,
        #[garde(skip)]
        scheduled_at: Option<f64>,
        #[garde(range(min = 0.0))]
        entitlement_version: f64,
        #[garde(range(min = 0.0))]
        api_calls_count: f64,
        #[garde(range(min = 0.0))]
        mcp_calls_count: f64,
        #[garde(skip)]
        api_calls_reset_at: Option<f64>,
        #[garde(range(min = 0.0))]
        lifetime_calls_count: f64,
        #[garde(range(min = 0.0))]
        lifetime_mcp_count: f64,
        #[garde(skip)]
        created_at: f64,
        #[garde(skip)]
        updated_at: f64,
    }
}

/// What is stored of a user: who, what they may do, what was reported of their use, and what only a profile shows.
#[derive(Debug, Clone)]
pub(crate) struct StoredUser {
    pub(crate) user: User,
    pub(crate) entitlement: Entitlement,
    pub(crate) counters: Counters,
    pub(crate) columns: ProfileColumns,
}

impl StoredUser {
    /// The account as far as the database knows it.
    pub(crate) fn account(&self) -> Account {
        Account {
            usage: self.counters.usage(&self.entitlement, self.user.created_at),
            user: self.user.clone(),
            entitlement: self.entitlement.clone(),
        }
    }
}

fn count(column: &str, value: f64) -> Outcome<u64> {
    legis_core::whole::from_f64(value)
        .ok_or_else(|| Failure::corrupt("row of users", format!("{column} is not a count")))
}

fn moment(column: &str, millis: f64) -> Outcome<Timestamp> {
    Timestamp::from_js(millis)
        .ok_or_else(|| Failure::corrupt("row of users", format!("{column} is not a moment")))
}

fn optional(column: &str, millis: Option<f64>) -> Outcome<Option<Timestamp>> {
    millis.map(|millis| moment(column, millis)).transpose()
}

fn plan(name: &str) -> Outcome<PlanId> {
    PlanId::resolve(name).map_err(|_| Failure::corrupt("row of users", format!("plan {name}")))
}

impl UserRow {
    pub(crate) fn id(&self) -> u64 {
        u64::from(self.id)
    }

    pub(crate) fn sub(&self) -> &str {
        &self.auth0_user_id
    }

    pub(crate) fn decode(self, grace: Grace) -> Outcome<StoredUser> {
        garde::Validate::validate(&self)
            .map_err(|report| Failure::corrupt("row of users", report))?;
        let created_at = moment("created_at", self.created_at)?;
        let scheduled = match (&self.scheduled_plan_slug, self.scheduled_at) {
            (Some(slug), Some(at)) => Some(ScheduledChange {
                plan: plan(slug)?,
                at: moment("scheduled_at", at)?,
            }),
            (None, None) => None,
            _ => return Err(Failure::corrupt("row of users", "half a scheduled change")),
        };
        let version = count("entitlement_version", self.entitlement_version)?;
        let counters = Counters {
            used: count("api_calls_count", self.api_calls_count)?,
            mcp: count("mcp_calls_count", self.mcp_calls_count)?,
            resets_at: optional("api_calls_reset_at", self.api_calls_reset_at)?,
            lifetime_used: count("lifetime_calls_count", self.lifetime_calls_count)?,
            lifetime_mcp: count("lifetime_mcp_count", self.lifetime_mcp_count)?,
        };
        let subscription = Subscription {
            plan: plan(&self.plan_slug)?,
            status: Status::parse(&self.subscription_status),
            interval: crate::stripe::interval(self.billing_interval.as_deref())?,
            period_end: optional("subscription_period_end", self.subscription_period_end)?,
            anchor: optional("billing_anchor", self.billing_anchor)?,
            past_due_since: optional("past_due_since", self.past_due_since)?,
            scheduled,
            registered_at: created_at,
            version,
        };
        Ok(StoredUser {
            entitlement: entitlement(&subscription, grace),
            counters,
            user: User {
                id: u64::from(self.id),
                sub: self.auth0_user_id,
                email: self.email,
                name: self.name,
                created_at,
                updated_at: moment("updated_at", self.updated_at)?,
            },
            columns: ProfileColumns {
                plan: subscription.plan,
                stripe_customer_id: self.stripe_customer_id,
                billing_frequency: self.billing_frequency,
                plan_amount: self.plan_amount,
                subscription_status: self.subscription_status,
                subscription_period_end: subscription.period_end,
            },
        })
    }
}

row! {
    /// A row of `auth_config`. Its JSON columns are decoded by the schema that the npm package has.
    #[derive(Debug)]
    pub(crate) struct AuthConfigRow {
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
    pub(crate) fn name(&self) -> &str {
        &self.config_name
    }

    pub(crate) fn decode(&self) -> Outcome<AuthConfig> {
        let json = |column: &str, text: &str| {
            json::read(text.as_bytes()).map_err(|error| {
                Failure::corrupt("row of auth_config", format!("{column}: {error}"))
            })
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
            Failure::corrupt("row of auth_config", places.join(", "))
        })
    }
}

row! {
    /// A row of `plans`, to be compared with the catalog.
    #[derive(Debug, PartialEq)]
    pub(crate) struct StoredPlan {
        id: u32,
        name: String,
        slug: String,
        billing_frequency: String,
        amount: Option<u32>,
        currency: String,
        features: String,
        highlighted_features: String,
        description: String,
        display_order: u32,
        mcp_calls_limit: i32,
        /// Deployment data; the catalog does not know it.
        stripe_price_id: Option<String>,
    }
}

impl StoredPlan {
    pub(crate) const fn id(&self) -> u32 {
        self.id
    }

    /// Whether its JSON columns decode. That they are the catalog's is another question.
    pub(crate) fn has_readable_features(&self) -> bool {
        let known = plan::rows().iter().any(|row| row.id == self.id);
        let texts = |json: &str| json::read::<Vec<String>>(json.as_bytes()).is_ok();
        known || (texts(&self.features) && texts(&self.highlighted_features))
    }

    /// What the plan is sold at.
    pub(crate) fn price(&self) -> Option<&str> {
        self.stripe_price_id.as_deref()
    }

    /// Its id and what it is sold at, if it is.
    pub(crate) fn priced(&self) -> Option<(u32, String)> {
        Some((self.id, self.stripe_price_id.clone()?))
    }

    pub(crate) fn agrees_with(&self, row: &PlanRow) -> bool {
        self.id == row.id
            && self.name == row.name
            && self.slug == row.slug
            && self.billing_frequency == row.billing_frequency.as_str()
            && self.amount == row.amount.map(legis_core::money::Cents::get)
            && self.currency == row.currency.code()
            && self.features == row.features
            && self.highlighted_features == row.highlighted_features
            && self.description == row.description
            && self.display_order == row.display_order
            && i64::from(self.mcp_calls_limit) == row.mcp_calls_limit
    }
}
