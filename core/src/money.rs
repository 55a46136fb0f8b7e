//! Amounts in the smallest unit of their currency.

use crate::digits::group;
use serde::Serialize;

/// An amount in cents. Prices are never fractions of a cent and never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cents(u32);

impl Cents {
    /// `amount` cents.
    #[must_use]
    pub const fn new(amount: u32) -> Self {
        Self(amount)
    }

    /// The number of cents.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The currencies prices are quoted in, by their ISO 4217 code in lower case, as Stripe writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Currency {
    /// United States dollar.
    Usd,
}

impl Currency {
    /// The ISO 4217 code in lower case.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Usd => "usd",
        }
    }
}

/// The amount as people read it.
///
/// ```
/// use legis_core::money::{text, Cents, Currency};
/// assert_eq!(text(Cents::new(999), Currency::Usd), "$9.99");
/// assert_eq!(text(Cents::new(299_990), Currency::Usd), "$2,999.90");
/// assert_eq!(text(Cents::new(0), Currency::Usd), "$0");
/// ```
#[must_use]
pub fn text(amount: Cents, currency: Currency) -> String {
    let Currency::Usd = currency;
    let whole = group(u64::from(amount.0 / 100));
    match amount.0 % 100 {
        0 => format!("${whole}"),
        cents => format!("${whole}.{cents:02}"),
    }
}

/// What a year paid at once saves against twelve months, in whole percent, rounded down: a saving is never overstated.
///
/// ```
/// use legis_core::money::{saving_percent, Cents};
/// assert_eq!(saving_percent(Cents::new(999), Cents::new(9_999)), Some(16)); // 16.59 %
/// assert_eq!(saving_percent(Cents::new(999), Cents::new(12_000)), None);
/// ```
#[must_use]
pub fn saving_percent(monthly: Cents, yearly: Cents) -> Option<u32> {
    let twelve = u64::from(monthly.0).saturating_mul(12);
    let saved = twelve.checked_sub(u64::from(yearly.0))?;
    let percent = saved.saturating_mul(100).checked_div(twelve)?;
    u32::try_from(percent).ok().filter(|percent| *percent > 0)
}
