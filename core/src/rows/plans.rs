//! Rows of `plans`.

use crate::json;
use crate::plan::{self, PlanRow};
use crate::row;

row! {
    /// A row of `plans`, to be compared with the catalog.
    #[derive(Debug, PartialEq)]
    pub struct StoredPlan {
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
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Whether its JSON columns decode. That they are the catalog's is another question.
    #[must_use]
    pub fn has_readable_features(&self) -> bool {
        let known = plan::rows().iter().any(|row| row.id == self.id);
        let texts = |json: &str| json::read::<Vec<String>>(json.as_bytes()).is_ok();
        known || (texts(&self.features) && texts(&self.highlighted_features))
    }

    /// What the plan is sold at.
    #[must_use]
    pub fn price(&self) -> Option<&str> {
        self.stripe_price_id.as_deref()
    }

    /// Its id and what it is sold at, if it is.
    #[must_use]
    pub fn priced(&self) -> Option<(u32, String)> {
        Some((self.id, self.stripe_price_id.clone()?))
    }

    /// Whether it says what the catalog says.
    #[must_use]
    pub fn agrees_with(&self, row: &PlanRow) -> bool {
        self.id == row.id
            && self.name == row.name
            && self.slug == row.slug
            && self.billing_frequency == row.billing_frequency.as_str()
            && self.amount == row.amount.map(crate::money::Cents::get)
            && self.currency == row.currency.code()
            && self.features == row.features
            && self.highlighted_features == row.highlighted_features
            && self.description == row.description
            && self.display_order == row.display_order
            && i64::from(self.mcp_calls_limit) == row.mcp_calls_limit
    }
}
