//! One user model, from the verified token to the browser and the MCP session:
//! [`Identity`] (claims) → [`User`] (row) → [`Account`] → [`Profile`] and [`SessionProps`].

use crate::entitlement::Entitlement;
use crate::plan::{Allowance, PlanId, legacy_limit};
use crate::quota::{Admission, Balance, Cost, Usage, balance, renewal};
use crate::subscription::Standing;
use crate::time::{DAY_MILLIS, Timestamp};
use serde::{Deserialize, Serialize};

/// What an issuer can have called somebody.
#[must_use]
pub fn is_sub(text: &str) -> bool {
    (1..=255).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Who a verified token speaks for. `sub` is the key; the e-mail never is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The `sub` claim.
    pub sub: String,
    /// The e-mail address, if the token carries one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The name, if the token carries one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Identity {
    /// Whether the token says other things about the user than is known.
    #[must_use]
    pub fn says_otherwise(&self, user: &User) -> bool {
        let differs =
            |said: &Option<String>, known: &Option<String>| said.is_some() && said != known;
        differs(&self.email, &user.email) || differs(&self.name, &user.name)
    }
}

/// A registered user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct User {
    /// The database's id.
    #[serde(deserialize_with = "crate::whole::required")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = crate::whole::MAX)))]
    pub id: u64,
    /// The identity provider's id.
    pub sub: String,
    /// The e-mail address last verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub email: Option<String>,
    /// The name last verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub name: Option<String>,
    /// When the user registered.
    pub created_at: Timestamp,
    /// When the row last changed.
    pub updated_at: Timestamp,
}

/// Everything a decision needs. Exactly what `GET /api/account` returns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Account {
    /// Who.
    pub user: User,
    /// What they may do.
    pub entitlement: Entitlement,
    /// What they did.
    pub usage: Usage,
}

impl Account {
    /// Where the account stands at `now`.
    #[must_use]
    pub fn balance(&self, now: Timestamp) -> Balance {
        balance(&self.entitlement, &self.usage, now)
    }
}

/// What an MCP server keeps in its session about the user: plan, standing and quota included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
pub struct SessionProps {
    /// The identity provider's id.
    pub sub: String,
    /// The database's id.
    pub user_id: u64,
    /// The e-mail address last verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub email: Option<String>,
    /// The name last verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub name: Option<String>,
    /// The plan that holds.
    pub plan: PlanId,
    /// What the subscription is worth.
    pub standing: Standing,
    /// Calls allowed in the period; absent when unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub limit: Option<u64>,
    /// Calls used in the period.
    pub used: u64,
    /// Calls left in the period; absent when unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub remaining: Option<u64>,
    /// When calls become available again; absent when they never do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub resets_at: Option<Timestamp>,
}

/// The session props of `account` at `now`.
#[must_use]
pub fn session_props(account: &Account, now: Timestamp) -> SessionProps {
    let balance = account.balance(now);
    let user = account.user.clone();
    SessionProps {
        sub: user.sub,
        user_id: user.id,
        email: user.email,
        name: user.name,
        plan: balance.plan,
        standing: account.entitlement.standing,
        limit: balance.limit(),
        used: balance.used,
        remaining: balance.remaining(),
        resets_at: renewal(&account.entitlement, &account.usage, &balance, Cost::ONE),
    }
}

impl SessionProps {
    /// The props once a call was admitted.
    #[must_use]
    pub fn after(self, admission: &Admission) -> Self {
        Self {
            plan: admission.plan,
            limit: admission.limit,
            used: admission.used,
            remaining: admission.remaining,
            resets_at: admission.resets_at,
            ..self
        }
    }
}

/// The answer of `POST /api/users/register`, in the words of the old wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RegisteredUser {
    /// The database's id.
    pub id: u64,
    /// The identity provider's id.
    pub auth0_user_id: String,
    /// The e-mail address last verified.
    pub email: Option<String>,
    /// The name last verified.
    pub name: Option<String>,
    /// The plan's slug.
    pub plan: &'static str,
    /// Calls used in the period.
    pub api_calls_count: u64,
    /// Calls allowed in the period; -1 when unlimited.
    pub api_calls_limit: i64,
    /// When the user registered.
    pub created_at: Timestamp,
    /// When the row last changed.
    pub updated_at: Timestamp,
}

/// The registered user of `account` at `now`.
#[must_use]
pub fn registered_user(account: &Account, now: Timestamp) -> RegisteredUser {
    let balance = account.balance(now);
    let user = account.user.clone();
    RegisteredUser {
        id: user.id,
        auth0_user_id: user.sub,
        email: user.email,
        name: user.name,
        plan: balance.plan.slug(),
        api_calls_count: balance.used,
        api_calls_limit: legacy_limit(balance.allowance),
        created_at: user.created_at,
        updated_at: user.updated_at,
    }
}

/// The quota members that `GET /api/me` adds to the token's claims, in the words of the old wire.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MeQuota {
    /// The plan's slug.
    pub plan: &'static str,
    /// Calls used in the period.
    pub api_calls_count: u64,
    /// Calls allowed in the period; -1 when unlimited.
    pub api_calls_limit: i64,
    /// The part of the calls made by MCP tools.
    pub mcp_calls_count: u64,
    /// The same bucket as `api_calls_limit`.
    pub mcp_calls_limit: i64,
}

/// The quota members of `GET /api/me` for `account` at `now`.
#[must_use]
pub fn me_quota(account: &Account, now: Timestamp) -> MeQuota {
    let balance = account.balance(now);
    let limit = legacy_limit(balance.allowance);
    MeQuota {
        plan: balance.plan.slug(),
        api_calls_count: balance.used,
        api_calls_limit: limit,
        mcp_calls_count: balance.mcp,
        mcp_calls_limit: limit,
    }
}

/// What `GET /api/me?check_billing_cycle=true` adds further.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BillingCycle {
    /// When the period ends; `null` for a one-time allowance.
    pub billing_cycle_end: Option<Timestamp>,
    /// Whole days until then, rounded up; `null` for a one-time allowance.
    pub days_until_reset: Option<i64>,
    /// Whether one more call would be admitted.
    pub has_usage_left: bool,
    /// How much is used, in percent with one decimal; 0 when unlimited.
    pub usage_percent: f64,
}

/// The billing cycle of `account` at `now`.
#[must_use]
pub fn billing_cycle(account: &Account, now: Timestamp) -> BillingCycle {
    let balance = account.balance(now);
    let permille = balance.limit().map_or(0, |limit| {
        balance
            .used
            .saturating_mul(1000)
            .checked_div(limit)
            .unwrap_or(1000)
    });
    let end = balance.period.end;
    BillingCycle {
        billing_cycle_end: end,
        days_until_reset: end
            .map(|end| end.since(now).max(0).saturating_add(DAY_MILLIS - 1) / DAY_MILLIS),
        has_usage_left: balance.remaining() != Some(0),
        usage_percent: f64::from(u32::try_from(permille).unwrap_or(u32::MAX)) / 10.0,
    }
}

/// The answer of `GET /api/user/profile`, in the words of the old wire: the user's row joined with the plan's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Profile {
    /// The database's id.
    pub id: u64,
    /// The identity provider's id.
    pub auth0_user_id: String,
    /// The e-mail address last verified.
    pub email: Option<String>,
    /// The name last verified.
    pub name: Option<String>,
    /// Stripe's customer, once there is one.
    pub stripe_customer_id: Option<String>,
    /// The plan's display name.
    pub plan_name: &'static str,
    /// The plan's slug.
    pub plan_slug: &'static str,
    /// How the plan is billed.
    pub billing_frequency: String,
    /// What it costs in cents; `null` when agreed by contract.
    pub plan_amount: Option<u32>,
    /// Calls allowed in the period; -1 when unlimited.
    pub mcp_calls_limit: i64,
    /// The part of the calls made by MCP tools.
    pub mcp_calls_count: u64,
    /// Calls used in the period.
    pub api_calls_count: u64,
    /// Stripe's word for the subscription.
    pub subscription_status: String,
    /// When the paid period ends.
    pub subscription_period_end: Option<Timestamp>,
    /// When the allowance renews; `null` for a one-time allowance.
    pub api_calls_reset_at: Option<Timestamp>,
    /// Calls left in the period; -1 when unlimited.
    pub calls_remaining: i64,
    /// When the user registered.
    pub created_at: Timestamp,
    /// When the row last changed.
    pub updated_at: Timestamp,
}

/// What a profile shows beside the account: columns that no decision needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileColumns {
    /// The plan of the row, which frequency and amount belong to.
    pub plan: PlanId,
    /// Stripe's customer.
    pub stripe_customer_id: Option<String>,
    /// How the plan is billed.
    pub billing_frequency: String,
    /// What the plan costs in cents.
    pub plan_amount: Option<u32>,
    /// Stripe's word for the subscription.
    pub subscription_status: String,
    /// When the paid period ends.
    pub subscription_period_end: Option<Timestamp>,
}

fn first_row(plan: PlanId) -> (String, Option<u32>) {
    crate::plan::rows()
        .into_iter()
        .find(|row| row.plan == plan)
        .map(|row| {
            let amount = row.amount.map(crate::money::Cents::get);
            (row.billing_frequency.as_str().to_owned(), amount)
        })
        .unwrap_or_default()
}

/// The profile of `account` at `now`.
#[must_use]
pub fn profile(account: &Account, columns: ProfileColumns, now: Timestamp) -> Profile {
    let balance = account.balance(now);
    let user = account.user.clone();
    let calls_remaining = match balance.allowance {
        Allowance::Unlimited => -1,
        Allowance::Once { .. } | Allowance::Monthly { .. } => balance
            .remaining()
            .and_then(|remaining| i64::try_from(remaining).ok())
            .unwrap_or(0),
    };
    // Where another plan holds than the row's, its own figures belong beside its name.
    let (billing_frequency, plan_amount) = if columns.plan == balance.plan {
        (columns.billing_frequency, columns.plan_amount)
    } else {
        first_row(balance.plan)
    };
    Profile {
        id: user.id,
        auth0_user_id: user.sub,
        email: user.email,
        name: user.name,
        stripe_customer_id: columns.stripe_customer_id,
        plan_name: balance.plan.name(),
        plan_slug: balance.plan.slug(),
        billing_frequency,
        plan_amount,
        mcp_calls_limit: legacy_limit(balance.allowance),
        mcp_calls_count: balance.mcp,
        api_calls_count: balance.used,
        subscription_status: columns.subscription_status,
        subscription_period_end: columns.subscription_period_end,
        api_calls_reset_at: balance.period.end,
        calls_remaining,
        created_at: user.created_at,
        updated_at: user.updated_at,
    }
}
