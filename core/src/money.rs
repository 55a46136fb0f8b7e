//! Amounts in the smallest unit of their currency.

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

/// A whole number with thousands separated, as American English writes it.
///
/// ```
/// assert_eq!(legis_core::money::group(1_234_567), "1,234,567");
/// assert_eq!(legis_core::money::group(999), "999");
/// ```
#[must_use]
pub fn group(number: u64) -> String {
    let mut text = String::new();
    push_group(&mut text, number);
    text
}

/// As [`group`], at the end of a text: what is refused is told often.
pub(crate) fn push_group(text: &mut String, number: u64) {
    if number < 1000 {
        push_digits(text, number, 1);
        return;
    }
    push_group(text, number / 1000);
    text.push(',');
    push_digits(text, number % 1000, 3);
}

/// A number of so many digits at least.
pub(crate) fn push_digits(text: &mut String, number: u64, digits: u32) {
    if number >= 10 || digits > 1 {
        push_digits(text, number / 10, digits.saturating_sub(1));
    }
    let digit = u8::try_from(number % 10).unwrap_or(0);
    text.push(char::from(b'0'.saturating_add(digit)));
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
