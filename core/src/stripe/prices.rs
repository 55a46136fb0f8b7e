//! Which plan a price pays for. Price ids are a deployment's own: they differ between test and live mode.

use crate::json;
use crate::plan::{BillingFrequency, Interval, PlanId, PlanRow};
use std::collections::BTreeMap;

/// What a price pays for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaysFor {
    /// A plan.
    Plan(PlanId),
    /// Something else that is sold to the same customers.
    NoPlan,
}

/// The prices of a deployment. One that was ever configured is known for good: whoever pays it keeps what it gave, and has
/// what it gave, when its plan is sold at another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prices {
    configured: BTreeMap<String, PaysFor>,
    /// The few that there ever were.
    remembered: Vec<(String, PaysFor)>,
    /// What each row of `plans` is sold at.
    sold: Vec<(PlanId, BillingFrequency, String)>,
}

impl Prices {
    /// Puts together what rows of `plans` are sold at, and further prices, such as those of contracts: a JSON object of
    /// plan names by price id, with `null` for prices that are no plan's.
    ///
    /// # Errors
    /// What is wrong, in words for an operator.
    pub fn new(rows: &[(PlanRow, Option<String>)], further: &str) -> Result<Self, String> {
        let mut prices = Self::default();
        for (row, price) in rows {
            if let Some(price) = price {
                prices.add(price, PaysFor::Plan(row.plan))?;
                prices
                    .sold
                    .push((row.plan, row.billing_frequency, price.clone()));
            }
        }
        let further = match further.trim() {
            "" => BTreeMap::new(),
            text => json::read::<BTreeMap<String, Option<String>>>(text.as_bytes())
                .map_err(|error| format!("is no JSON object of plan names by price id: {error}"))?,
        };
        for (price, name) in &further {
            let pays_for = match name {
                None => PaysFor::NoPlan,
                Some(name) => PlanId::resolve(name)
                    .map(PaysFor::Plan)
                    .map_err(|unknown| format!("{price}: {unknown}"))?,
            };
            prices.add(price, pays_for)?;
        }
        Ok(prices)
    }

    fn add(&mut self, price: &str, pays_for: PaysFor) -> Result<(), String> {
        if pays_for == PaysFor::Plan(PlanId::Free) {
            return Err(format!("{price}: nobody pays for the free plan"));
        }
        match self.configured.insert(price.to_owned(), pays_for) {
            Some(other) if other != pays_for => {
                let name = |pays_for| match pays_for {
                    PaysFor::Plan(plan) => plan.slug(),
                    PaysFor::NoPlan => "no plan",
                };
                Err(format!(
                    "{price} pays for {} and for {}",
                    name(other),
                    name(pays_for)
                ))
            }
            _ => Ok(()),
        }
    }

    /// The same, knowing what was configured before. What is configured now counts.
    #[must_use]
    pub fn remembering(self, remembered: Vec<(String, PaysFor)>) -> Self {
        Self { remembered, ..self }
    }

    fn remembered(&self, price: &str) -> Option<PaysFor> {
        let mut known = self.remembered.iter();
        known
            .find(|(known, _)| known == price)
            .map(|(_, pays_for)| *pays_for)
    }

    /// What is configured and was not, or otherwise.
    pub fn news(&self) -> impl Iterator<Item = (&str, PaysFor)> {
        let differs =
            |(price, pays_for): &(&String, &PaysFor)| self.remembered(price) != Some(**pays_for);
        let news = self.configured.iter().filter(differs);
        news.map(|(price, pays_for)| (price.as_str(), *pays_for))
    }

    /// What a price pays for; `None` where nobody knows.
    #[must_use]
    pub fn pays_for(&self, price: &str) -> Option<PaysFor> {
        let known = self.configured.get(price).copied();
        known.or_else(|| self.remembered(price))
    }

    /// The plan that a price pays for.
    #[must_use]
    pub fn plan(&self, price: &str) -> Option<PlanId> {
        match self.pays_for(price)? {
            PaysFor::Plan(plan) => Some(plan),
            PaysFor::NoPlan => None,
        }
    }

    /// The price that a plan is sold at.
    #[must_use]
    pub fn sold(&self, plan: PlanId, interval: Interval) -> Option<&str> {
        self.sold
            .iter()
            .find(|(sold, frequency, _)| *sold == plan && *frequency == interval.frequency())
            .map(|(_, _, price)| price.as_str())
    }
}
