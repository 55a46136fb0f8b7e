//! From Stripe's word for a subscription to what it entitles to.

use crate::time::{DAY_MILLIS, Timestamp};
use serde::{Deserialize, Serialize};

/// The status of a subscription, as Stripe names it.
///
/// <https://docs.stripe.com/api/subscriptions/object#subscription_object-status>
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Never subscribed; the value old databases hold for it.
    Free,
    /// Paid.
    Active,
    /// Not paid yet, and not due.
    Trialing,
    /// A payment failed and is being retried.
    PastDue,
    /// The first payment is open.
    Incomplete,
    /// The first payment never came.
    IncompleteExpired,
    /// All retries of a payment failed.
    Unpaid,
    /// Ended.
    Canceled,
    /// The trial ended without a means of payment.
    Paused,
    /// A word nobody here knows, kept as it came.
    Unknown(String),
}

impl Status {
    /// Reads Stripe's word.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "free" => Self::Free,
            "active" => Self::Active,
            "trialing" => Self::Trialing,
            "past_due" => Self::PastDue,
            "incomplete" => Self::Incomplete,
            "incomplete_expired" => Self::IncompleteExpired,
            "unpaid" => Self::Unpaid,
            "canceled" => Self::Canceled,
            "paused" => Self::Paused,
            other => Self::Unknown(other.to_owned()),
        }
    }

    /// The word as it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Free => "free",
            Self::Active => "active",
            Self::Trialing => "trialing",
            Self::PastDue => "past_due",
            Self::Incomplete => "incomplete",
            Self::IncompleteExpired => "incomplete_expired",
            Self::Unpaid => "unpaid",
            Self::Canceled => "canceled",
            Self::Paused => "paused",
            Self::Unknown(word) => word,
        }
    }

    /// What the status means for the allowance.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        match self {
            Self::Active => Standing::Active,
            Self::Trialing => Standing::Trialing,
            Self::PastDue => Standing::PastDue,
            Self::Unknown(_) => Standing::Unknown,
            Self::Free
            | Self::Incomplete
            | Self::IncompleteExpired
            | Self::Unpaid
            | Self::Canceled
            | Self::Paused => Standing::Free,
        }
    }
}

/// What a user's subscription is worth right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Standing {
    /// Nothing paid: the free plan.
    Free,
    /// Paid: entitled.
    Active,
    /// On trial: entitled.
    Trialing,
    /// Entitled while the grace lasts.
    PastDue,
    /// A status nobody knows: the plan is kept, an operator is told.
    Unknown,
}

impl Standing {
    /// Every standing.
    pub const ALL: [Self; 5] = [
        Self::Free,
        Self::Active,
        Self::Trialing,
        Self::PastDue,
        Self::Unknown,
    ];

    /// The name used everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Active => "active",
            Self::Trialing => "trialing",
            Self::PastDue => "past_due",
            Self::Unknown => "unknown",
        }
    }
}

/// How long a subscription that is past due stays entitled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Grace {
    /// Not at all.
    None,
    /// Two days.
    Days2,
    /// Seven days.
    Days7,
    /// Fourteen days.
    #[default]
    Days14,
    /// Twenty-one days.
    Days21,
}

impl Grace {
    /// The grace of so many days, if it is one that can be configured.
    #[must_use]
    pub const fn from_days(days: u32) -> Option<Self> {
        match days {
            0 => Some(Self::None),
            2 => Some(Self::Days2),
            7 => Some(Self::Days7),
            14 => Some(Self::Days14),
            21 => Some(Self::Days21),
            _ => None,
        }
    }

    /// The grace that a setting names in days.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse(days: &str) -> Result<Self, String> {
        let grace = days.parse().ok().and_then(Self::from_days);
        grace.ok_or_else(|| format!("GRACE_DAYS is {days}; it must be 0, 2, 7, 14 or 21"))
    }

    /// The moment the grace of a subscription that became past due at `since` ends.
    ///
    /// ```
    /// use legis_core::subscription::Grace;
    /// let since = "2026-03-01T08:00:00Z".parse().unwrap();
    /// assert_eq!(Grace::default().end(since).to_string(), "2026-03-15T08:00:00.000Z");
    /// ```
    #[must_use]
    pub fn end(self, since: Timestamp) -> Timestamp {
        since.plus_millis(self.millis())
    }

    /// The moment at which, or before which, graces began that are over at `now`.
    #[must_use]
    pub fn over_since(self, now: Timestamp) -> Timestamp {
        now.plus_millis(self.millis().saturating_neg())
    }

    const fn millis(self) -> i64 {
        let days = match self {
            Self::None => 0,
            Self::Days2 => 2,
            Self::Days7 => 7,
            Self::Days14 => 14,
            Self::Days21 => 21,
        };
        DAY_MILLIS.saturating_mul(days)
    }
}
