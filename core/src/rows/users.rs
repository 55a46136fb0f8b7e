//! Rows of `users`.

use super::interval;
use crate::account::{Account, ProfileColumns, User};
use crate::counters::Counters;
use crate::entitlement::{Entitlement, ScheduledChange, Subscription, entitlement};
use crate::plan::PlanId;
use crate::row;
use crate::row::Unfit;
use crate::subscription::{Grace, Status};
use crate::time::Timestamp;

row! {
    /// A row of `users` joined with its plan.
    #[derive(Debug, Clone, garde::Validate)]
    pub struct UserRow {
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

/// What is stored of a user.
#[derive(Debug, Clone)]
pub struct StoredUser {
    /// Who.
    pub user: User,
    /// What they may do.
    pub entitlement: Entitlement,
    /// What was reported of their use.
    pub counters: Counters,
    /// What only a profile shows.
    pub columns: ProfileColumns,
}

impl StoredUser {
    /// The account as far as the database knows it.
    #[must_use]
    pub fn account(&self) -> Account {
        Account {
            usage: self.counters.usage(&self.entitlement, self.user.created_at),
            user: self.user.clone(),
            entitlement: self.entitlement.clone(),
        }
    }
}

fn count(column: &str, value: f64) -> Result<u64, Unfit> {
    crate::whole::from_f64(value)
        .ok_or_else(|| Unfit::row("users", format!("{column} is not a count")))
}

fn moment(column: &str, millis: f64) -> Result<Timestamp, Unfit> {
    Timestamp::from_js(millis)
        .ok_or_else(|| Unfit::row("users", format!("{column} is not a moment")))
}

fn optional(column: &str, millis: Option<f64>) -> Result<Option<Timestamp>, Unfit> {
    millis.map(|millis| moment(column, millis)).transpose()
}

fn plan(name: &str) -> Result<PlanId, Unfit> {
    PlanId::resolve(name).map_err(|_| Unfit::row("users", format!("plan {name}")))
}

impl UserRow {
    /// The user's id.
    #[must_use]
    pub fn id(&self) -> u64 {
        u64::from(self.id)
    }

    /// Whose it is.
    #[must_use]
    pub fn sub(&self) -> &str {
        &self.auth0_user_id
    }

    /// What it says. After `grace` a payment that is past due does not count any more.
    ///
    /// # Errors
    /// [`Unfit`] when the row breaks a rule.
    pub fn decode(self, grace: Grace) -> Result<StoredUser, Unfit> {
        garde::Validate::validate(&self).map_err(|report| Unfit::row("users", report))?;
        let created_at = moment("created_at", self.created_at)?;
        let scheduled = match (&self.scheduled_plan_slug, self.scheduled_at) {
            (Some(slug), Some(at)) => Some(ScheduledChange {
                plan: plan(slug)?,
                at: moment("scheduled_at", at)?,
            }),
            (None, None) => None,
            _ => return Err(Unfit::row("users", "half a scheduled change")),
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
            interval: interval(self.billing_interval.as_deref())?,
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
