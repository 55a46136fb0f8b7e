//! Which plan a price pays for. Price ids are a deployment's own: they differ between test and live mode.

use crate::json;
use crate::plan::{BillingFrequency, Interval, PlanId, PlanRow};
use std::collections::BTreeMap;

/// The prices of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prices {
    known: BTreeMap<String, PlanId>,
    /// What each row of `plans` is sold at.
    sold: Vec<(PlanId, BillingFrequency, String)>,
}

impl Prices {
    /// Puts together what rows of `plans` are sold at, and further prices, such as retired ones and those of contracts:
    /// a JSON object of plan names by price id.
    ///
    /// # Errors
    /// What is wrong, in words for an operator.
    pub fn new(rows: &[(PlanRow, Option<String>)], further: &str) -> Result<Self, String> {
        let mut prices = Self::default();
        for (row, price) in rows {
            if let Some(price) = price {
                prices.add(price, row.plan)?;
                prices
                    .sold
                    .push((row.plan, row.billing_frequency, price.clone()));
            }
        }
        let further = match further.trim() {
            "" => BTreeMap::new(),
            text => json::read::<BTreeMap<String, String>>(text.as_bytes())
                .map_err(|error| format!("is no JSON object of plan names by price id: {error}"))?,
        };
        for (price, name) in &further {
            let plan = PlanId::resolve(name).map_err(|unknown| format!("{price}: {unknown}"))?;
            prices.add(price, plan)?;
        }
        Ok(prices)
    }

    fn add(&mut self, price: &str, plan: PlanId) -> Result<(), String> {
        if plan == PlanId::Free {
            return Err(format!("{price}: nobody pays for the free plan"));
        }
        match self.known.insert(price.to_owned(), plan) {
            Some(other) if other != plan => Err(format!(
                "{price} pays for {} and for {}",
                other.slug(),
                plan.slug()
            )),
            _ => Ok(()),
        }
    }

    /// The plan that a price pays for.
    #[must_use]
    pub fn plan(&self, price: &str) -> Option<PlanId> {
        self.known.get(price).copied()
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
