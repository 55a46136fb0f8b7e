//! The plan catalog: the one place where a plan, a price or an allowance is written.

mod rows;

use crate::money::{self, Cents, Currency};
use serde::{Deserialize, Serialize};

pub use rows::{BillingFrequency, PlanRow, Sold, legacy_limit, row_id, row_sql, rows, seed_sql};

/// Which plan, whatever it is called. Ordered from the smallest to the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum PlanId {
    /// 100 calls, once in a lifetime.
    Free,
    /// Displayed as "Developer", called "starter" by the frontend and by old databases.
    Developer,
    /// The plan for teams.
    Professional,
    /// Unlimited, by contract.
    Enterprise,
}

/// What a plan allows. Never a number that means something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Allowance {
    /// So many calls in a lifetime.
    Once {
        /// Number of calls.
        calls: u32,
    },
    /// So many calls in each monthly period, counted from the billing anchor.
    Monthly {
        /// Number of calls.
        calls: u32,
    },
    /// As many calls as wanted, counted by the month.
    Unlimited,
}

/// How often a price is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Interval {
    /// Every month.
    Month,
    /// Every year; the allowance stays monthly.
    Year,
}

impl Interval {
    /// Every interval, the shortest first.
    pub const ALL: [Self; 2] = [Self::Month, Self::Year];

    /// The interval that Stripe's word stands for, if plans are sold by it.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "month" => Some(Self::Month),
            "year" => Some(Self::Year),
            _ => None,
        }
    }

    /// Stripe's word, and the name everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// How the `plans` table says it.
    #[must_use]
    pub const fn frequency(self) -> BillingFrequency {
        match self {
            Self::Month => BillingFrequency::Monthly,
            Self::Year => BillingFrequency::Yearly,
        }
    }

    /// In months.
    #[must_use]
    pub const fn months(self) -> u32 {
        match self {
            Self::Month => 1,
            Self::Year => 12,
        }
    }
}

/// What a plan costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Price {
    /// How often it is paid.
    pub interval: Interval,
    /// The amount in cents.
    pub amount: Cents,
    /// ISO 4217 code in lower case.
    pub currency: Currency,
    /// The amount as people read it.
    pub text: String,
    /// What the year saves against twelve months, in whole percent, rounded down. Computed, never written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub saving_percent: Option<u32>,
}

/// A plan as everyone outside of core sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Plan {
    /// The identity.
    pub id: PlanId,
    /// The name in addresses, on the old wire and in old databases.
    pub slug: &'static str,
    /// The display name.
    pub name: &'static str,
    /// Every name that resolves to this plan.
    pub names: Vec<&'static str>,
    /// What it allows.
    pub allowance: Allowance,
    /// What it costs; empty when the price is agreed by contract.
    pub prices: Vec<Price>,
    /// What it includes.
    pub features: Vec<&'static str>,
    /// The features shown first.
    pub highlighted_features: Vec<&'static str>,
    /// One sentence.
    pub description: &'static str,
}

/// What is written down of a plan; everything else is derived.
struct Entry {
    id: PlanId,
    /// The id of its first row in `plans`; nine more are kept for it. Users refer to them: a plan keeps its rows, and no
    /// other ever gets them, wherever it stands among the plans.
    row: u32,
    slug: &'static str,
    name: &'static str,
    /// Names beside the slug and the display name.
    also: &'static [&'static str],
    allowance: Allowance,
    cost: Cost,
    features: &'static [&'static str],
    /// How many of the features are shown first.
    highlights: usize,
    description: &'static str,
}

/// How a plan is paid for.
enum Cost {
    Nothing,
    Subscription { month: Cents, year: Cents },
    Contract,
}

const CATALOG: [Entry; 4] = [
    Entry {
        id: PlanId::Free,
        row: 10,
        slug: "free",
        name: "Free",
        also: &[],
        allowance: Allowance::Once { calls: 100 },
        cost: Cost::Nothing,
        features: &[
            "All legislative tools",
            "Standard rate limiting",
            "Community support",
            "No expiration",
        ],
        highlights: 2,
        description: "Try everything with 100 calls that never expire.",
    },
    Entry {
        id: PlanId::Developer,
        row: 20,
        slug: "starter",
        name: "Developer",
        also: &["developer", "Starter"],
        allowance: Allowance::Monthly { calls: 1_000 },
        cost: Cost::Subscription {
            month: Cents::new(999),
            year: Cents::new(9_999),
        },
        features: &[
            "All legislative tools",
            "Standard rate limiting",
            "Email support",
            "Community access",
        ],
        highlights: 2,
        description: "For building with legislative data every day.",
    },
    Entry {
        id: PlanId::Professional,
        row: 30,
        slug: "professional",
        name: "Professional",
        also: &["pro"],
        allowance: Allowance::Monthly { calls: 10_000 },
        cost: Cost::Subscription {
            month: Cents::new(2_999),
            year: Cents::new(29_999),
        },
        features: &[
            "All legislative tools",
            "Advanced bill analysis",
            "Priority rate limiting",
            "Priority support",
            "Team collaboration",
        ],
        highlights: 3,
        description: "For teams whose product depends on it.",
    },
    Entry {
        id: PlanId::Enterprise,
        row: 40,
        slug: "enterprise",
        name: "Enterprise",
        also: &[],
        allowance: Allowance::Unlimited,
        cost: Cost::Contract,
        features: &[
            "Unlimited MCP calls",
            "Premium tools and features",
            "Real-time data feeds",
            "Custom integrations",
            "Dedicated support",
            "SLA guarantee",
        ],
        highlights: 3,
        description: "Without limits, on terms we agree on together.",
    },
];

/// A name that no plan has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPlan {
    /// The name as it came.
    pub name: String,
}

impl std::fmt::Display for UnknownPlan {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "There is no plan of that name. The plans are: {}.",
            slugs(", ")
        )
    }
}

impl std::error::Error for UnknownPlan {}

/// The plans by their slugs, in a sentence; `last` comes before the last.
pub(crate) fn slugs(last: &str) -> String {
    let [firsts @ .., enterprise] = CATALOG.map(|entry| entry.slug);
    format!("{}{last}{enterprise}", firsts.join(", "))
}

impl PlanId {
    /// Every plan, in display order, which is the catalog's.
    pub const ALL: [Self; CATALOG.len()] = {
        let [free, developer, professional, enterprise] = &CATALOG;
        [free.id, developer.id, professional.id, enterprise.id]
    };

    const fn entry(self) -> &'static Entry {
        let [free, developer, professional, enterprise] = &CATALOG;
        match self {
            Self::Free => free,
            Self::Developer => developer,
            Self::Professional => professional,
            Self::Enterprise => enterprise,
        }
    }

    /// The plan that any of its names stands for: identity, slug, display name or an older name, in any case,
    /// surrounding space ignored.
    ///
    /// ```
    /// use legis_core::plan::PlanId;
    /// assert_eq!(PlanId::resolve(" Developer "), PlanId::resolve("starter"));
    /// assert!(PlanId::resolve("platinum").is_err());
    /// ```
    ///
    /// # Errors
    /// [`UnknownPlan`] when no plan has that name.
    pub fn resolve(name: &str) -> Result<Self, UnknownPlan> {
        let wanted = name.trim();
        CATALOG
            .iter()
            .find(|entry| {
                [entry.slug, entry.name]
                    .iter()
                    .chain(entry.also)
                    .any(|known| known.eq_ignore_ascii_case(wanted))
            })
            .map(|entry| entry.id)
            .ok_or_else(|| UnknownPlan {
                name: name.to_owned(),
            })
    }

    /// Whether this is exactly one of its names.
    pub(crate) fn is_named(self, name: &[u8]) -> bool {
        let entry = self.entry();
        [entry.slug, entry.name]
            .iter()
            .chain(entry.also)
            .any(|known| known.as_bytes() == name)
    }

    /// The identity as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Developer => "developer",
            Self::Professional => "professional",
            Self::Enterprise => "enterprise",
        }
    }

    /// The name in addresses, on the old wire and in old databases.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        self.entry().slug
    }

    /// The display name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.entry().name
    }

    /// What the plan allows.
    #[must_use]
    pub const fn allowance(self) -> Allowance {
        self.entry().allowance
    }

    /// What a month costs; `None` when that is agreed by contract.
    #[must_use]
    pub const fn monthly_amount(self) -> Option<Cents> {
        match self.entry().cost {
            Cost::Nothing => Some(Cents::new(0)),
            Cost::Subscription { month, .. } => Some(month),
            Cost::Contract => None,
        }
    }

    /// The plan as everyone outside of core sees it.
    #[must_use]
    pub fn plan(self) -> Plan {
        let entry = self.entry();
        let mut names: Vec<&'static str> = Vec::new();
        for name in [entry.slug, entry.name].iter().chain(entry.also) {
            if !names.contains(name) {
                names.push(name);
            }
        }
        Plan {
            id: entry.id,
            slug: entry.slug,
            name: entry.name,
            names,
            allowance: entry.allowance,
            prices: entry.prices(),
            features: entry.features.to_vec(),
            highlighted_features: entry
                .features
                .iter()
                .take(entry.highlights)
                .copied()
                .collect(),
            description: entry.description,
        }
    }
}

impl Entry {
    fn prices(&self) -> Vec<Price> {
        let price = |interval, amount, saving_percent| Price {
            interval,
            amount,
            currency: Currency::Usd,
            text: money::text(amount, Currency::Usd),
            saving_percent,
        };
        match self.cost {
            Cost::Nothing => vec![price(Interval::Month, Cents::new(0), None)],
            Cost::Subscription { month, year } => vec![
                price(Interval::Month, month, None),
                price(Interval::Year, year, money::saving_percent(month, year)),
            ],
            Cost::Contract => Vec::new(),
        }
    }
}

/// Every plan, in display order.
#[must_use]
pub fn plans() -> Vec<Plan> {
    PlanId::ALL.into_iter().map(PlanId::plan).collect()
}

/// The cheapest plan that admits `calls_per_month` calls in every month.
///
/// A one-time allowance does not renew, so the free plan is recommended for no calls at all only.
///
/// ```
/// use legis_core::plan::{recommend, PlanId};
/// assert_eq!(recommend(0), PlanId::Free);
/// assert_eq!(recommend(1_000), PlanId::Developer);
/// assert_eq!(recommend(1_001), PlanId::Professional);
/// assert_eq!(recommend(u64::MAX), PlanId::Enterprise);
/// ```
#[must_use]
pub fn recommend(calls_per_month: u64) -> PlanId {
    cheapest(|plan| match plan.allowance() {
        Allowance::Once { .. } => calls_per_month == 0,
        Allowance::Monthly { calls } => calls_per_month <= u64::from(calls),
        Allowance::Unlimited => true,
    })
    .unwrap_or(PlanId::Enterprise)
}

/// The cheapest plan that `fits`; one priced by contract comes after every other.
pub(crate) fn cheapest(fits: impl Fn(PlanId) -> bool) -> Option<PlanId> {
    PlanId::ALL
        .into_iter()
        .filter(|plan| fits(*plan))
        .min_by_key(|plan| plan.monthly_amount().map_or(u32::MAX, Cents::get))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a test that fails should stop")]

    use super::{Allowance, PlanId};

    /// What an upgrade is, and which plan is advised, hang on it.
    #[test]
    fn plans_stand_in_the_order_of_what_they_allow() {
        let allows = |plan: PlanId| match plan.allowance() {
            Allowance::Once { calls } => (0, calls),
            Allowance::Monthly { calls } => (1, calls),
            Allowance::Unlimited => (2, 0),
        };
        for pair in PlanId::ALL.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
            assert!(allows(pair[0]) < allows(pair[1]), "{pair:?}");
        }
    }
}
