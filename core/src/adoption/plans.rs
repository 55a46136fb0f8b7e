//! The old `plans`: which plan here each of them is.

use super::{Carried, OldRow, OldValue, Reason, Refused};
use crate::payload::text::StripeId;
use crate::plan::{Interval, PlanId, Sold};
use std::collections::BTreeMap;

/// What a row of the old `plans` offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldPlan {
    /// What users refer to it by.
    pub id: Option<String>,
    /// Which plan it is, and how often it is paid.
    pub sold: Sold,
    /// Stripe's id of its price.
    pub price: Option<String>,
    /// Stripe's id of its product.
    pub product: Option<String>,
}

/// Reads a row of `plans`. All of it is set aside: what a plan costs and allows is the catalog's to say.
///
/// # Errors
/// When neither its slug nor its name is a plan's, nor one that the operator named.
pub fn read(row: &OldRow, names: &PlanNames) -> Result<Carried<OldPlan>, Refused> {
    let mut reading = row.read();
    let mut named = |column| Some(names.named(reading.text(column)?)?.plan);
    let plan = named("slug")
        .or_else(|| named("name"))
        .ok_or_else(|| Refused::new(Reason::UnknownPlan, "slug"))?;
    let interval = reading
        .text("billing_frequency")
        .and_then(|word| match word.trim().to_ascii_lowercase().as_str() {
            "monthly" | "month" => Some(Interval::Month),
            "yearly" | "year" | "annual" => Some(Interval::Year),
            _ => None,
        })
        .filter(|_| plan != PlanId::Free);
    let mut stripe = |column| {
        reading
            .text_that(column, StripeId::holds)
            .map(str::to_owned)
    };
    Ok(Carried {
        row: OldPlan {
            price: stripe("stripe_price_id"),
            product: stripe("stripe_product_id"),
            id: reading.peek("id").key(),
            sold: Sold { plan, interval },
        },
        aside: Some(row.json()),
    })
}

/// What users say of their plan, and which plan that is.
#[derive(Debug, Clone, Default)]
pub struct PlanNames {
    /// The ids of the old `plans`.
    ids: BTreeMap<String, Sold>,
    /// What the operator said, of ids and of names.
    said: BTreeMap<String, Sold>,
}

impl PlanNames {
    /// The names of the catalog, and what the operator says of others.
    #[must_use]
    pub fn new(said: impl IntoIterator<Item = (String, PlanId)>) -> Self {
        let sold = |plan| Sold {
            plan,
            interval: None,
        };
        Self {
            ids: BTreeMap::new(),
            said: said
                .into_iter()
                .map(|(name, plan)| (name.trim().to_owned(), sold(plan)))
                .collect(),
        }
    }

    /// Learns a row of the old `plans`.
    pub fn learn(&mut self, plan: &OldPlan) {
        if let Some(id) = &plan.id {
            self.ids.entry(id.clone()).or_insert(plan.sold);
        }
    }

    /// The plan of a `current_plan_id`.
    #[must_use]
    pub fn of_id(&self, value: &OldValue) -> Option<Sold> {
        let id = value.key()?;
        self.said.get(&id).or_else(|| self.ids.get(&id)).copied()
    }

    /// The plan of a `plan`. Never an entitlement out of a name nobody knows.
    #[must_use]
    pub fn of_name(&self, value: &OldValue) -> Option<Sold> {
        self.named(&value.key()?)
    }

    /// The plan of that name.
    fn named(&self, name: &str) -> Option<Sold> {
        let known = || {
            let plan = PlanId::resolve(name).ok()?;
            Some(Sold {
                plan,
                interval: None,
            })
        };
        self.said.get(name.trim()).copied().or_else(known)
    }
}
