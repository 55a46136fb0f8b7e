//! The rows of the `plans` table, generated from the catalog.

use super::{Allowance, CATALOG, Cost, Interval, PlanId};
use crate::money::{Cents, Currency};

/// How often a row of the `plans` table is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillingFrequency {
    /// Nothing to bill, the allowance is given once.
    OneTime,
    /// Every month.
    Monthly,
    /// Every year.
    Yearly,
}

impl BillingFrequency {
    /// The value of the column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneTime => "one_time",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
        }
    }
}

/// A row of the `plans` table, as the catalog says it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRow {
    /// Primary key; stable, because users refer to it.
    pub id: u32,
    /// Which plan.
    pub plan: PlanId,
    /// Display name.
    pub name: &'static str,
    /// Slug; the monthly and the yearly row of a plan share it.
    pub slug: &'static str,
    /// How often it is billed.
    pub billing_frequency: BillingFrequency,
    /// Amount in cents; `None` when agreed by contract.
    pub amount: Option<Cents>,
    /// Currency of the amount.
    pub currency: Currency,
    /// JSON array of text.
    pub features: String,
    /// JSON array of text.
    pub highlighted_features: String,
    /// One sentence.
    pub description: &'static str,
    /// Position on the page.
    pub display_order: u32,
    /// Calls as the old column says it: -1 for unlimited.
    pub mcp_calls_limit: i64,
}

/// The calls of an allowance as old columns and the old wire write them: -1 for unlimited.
#[must_use]
pub fn legacy_limit(allowance: Allowance) -> i64 {
    match allowance {
        Allowance::Once { calls } | Allowance::Monthly { calls } => i64::from(calls),
        Allowance::Unlimited => -1,
    }
}

/// The rows of the `plans` table, generated from the catalog. The first row of a plan is the one that a user
/// without a known billing interval refers to.
#[must_use]
pub fn rows() -> Vec<PlanRow> {
    use BillingFrequency::{Monthly, OneTime, Yearly};
    let text = |features: &[&str]| serde_json::json!(features).to_string();
    let mut rows = Vec::new();
    for (order, entry) in (1_u32..).zip(&CATALOG) {
        let plan = entry.id.plan();
        let billed: Vec<(BillingFrequency, Option<Cents>)> = match entry.cost {
            Cost::Nothing => vec![(OneTime, Some(Cents::new(0)))],
            Cost::Subscription { month, year } => {
                vec![(Monthly, Some(month)), (Yearly, Some(year))]
            }
            Cost::Contract => vec![(Monthly, None)],
        };
        for (variant, (billing_frequency, amount)) in (0_u32..).zip(billed) {
            rows.push(PlanRow {
                id: row_id(entry.id).saturating_add(variant),
                plan: entry.id,
                name: entry.name,
                slug: entry.slug,
                billing_frequency,
                amount,
                currency: Currency::Usd,
                features: text(&plan.features),
                highlighted_features: text(&plan.highlighted_features),
                description: entry.description,
                display_order: order,
                mcp_calls_limit: legacy_limit(entry.allowance),
            });
        }
    }
    rows
}

/// The id of the row that a user of `plan` refers to when the billing interval is not known: the plan's first.
#[must_use]
pub const fn row_id(plan: PlanId) -> u32 {
    plan.entry().row
}

/// A plan as it is paid for: what a row of `plans` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sold {
    /// Which plan.
    pub plan: PlanId,
    /// How often it is paid, where that is known.
    pub interval: Option<Interval>,
}

impl Sold {
    /// The free plan.
    pub const FREE: Self = Self {
        plan: PlanId::Free,
        interval: None,
    };

    /// The id of its row of `plans`; the plan's first where the plan is not sold by that interval.
    #[must_use]
    pub fn row_id(self) -> u32 {
        let frequency = self.interval.map(Interval::frequency);
        rows()
            .iter()
            .find(|row| row.plan == self.plan && Some(row.billing_frequency) == frequency)
            .map_or_else(|| row_id(self.plan), |row| row.id)
    }

    /// As it is read back: a plan that is not sold by the interval has the plan's first row.
    #[must_use]
    pub fn listed(self) -> Self {
        Self::of_row(self.row_id()).unwrap_or(self)
    }

    /// What a row of `plans` stands for.
    #[must_use]
    pub fn of_row(id: u32) -> Option<Self> {
        let row = rows().into_iter().find(|row| row.id == id)?;
        let interval = match row.billing_frequency {
            BillingFrequency::OneTime => None,
            BillingFrequency::Monthly => Some(Interval::Month),
            BillingFrequency::Yearly => Some(Interval::Year),
        };
        Some(Self {
            plan: row.plan,
            interval,
        })
    }
}

/// The statement that brings the `plans` table to the catalog; running it again changes nothing.
#[must_use]
pub fn seed_sql() -> String {
    upsert(&rows())
}

/// The statement that brings one row of it to the catalog.
#[must_use]
pub fn row_sql(id: u32) -> String {
    let row = rows().into_iter().filter(|row| row.id == id);
    upsert(&row.collect::<Vec<_>>())
}

fn upsert(rows: &[PlanRow]) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let rows: Vec<String> = rows
        .iter()
        .map(|row| {
            format!(
                "  ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})",
                row.id,
                quote(row.name),
                quote(row.slug),
                quote(row.billing_frequency.as_str()),
                row.amount
                    .map_or_else(|| "NULL".to_owned(), |amount| amount.get().to_string()),
                quote(row.currency.code()),
                quote(&row.features),
                quote(&row.highlighted_features),
                quote(row.description),
                row.display_order,
                row.mcp_calls_limit,
            )
        })
        .collect();
    format!(
        "INSERT INTO plans\n  (id, name, slug, billing_frequency, amount, currency, features, highlighted_features, \
         description, display_order, mcp_calls_limit)\nVALUES\n{}\nON CONFLICT (id) DO UPDATE SET\n  name = excluded.name, \
         slug = excluded.slug, billing_frequency = excluded.billing_frequency, amount = excluded.amount,\n  \
         currency = excluded.currency, features = excluded.features, highlighted_features = excluded.highlighted_features,\n  \
         description = excluded.description, display_order = excluded.display_order, mcp_calls_limit = excluded.mcp_calls_limit;\n",
        rows.join(",\n")
    )
}

#[cfg(test)]
mod tests {
    use super::{PlanId, row_id, rows};

    #[test]
    fn each_plan_has_ten_rows_of_its_own() {
        for row in rows() {
            for plan in PlanId::ALL {
                let first = row_id(plan);
                assert_eq!(
                    (first..first + 10).contains(&row.id),
                    plan == row.plan,
                    "{row:?}"
                );
            }
        }
    }
}
