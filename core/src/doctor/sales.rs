//! What is sold, and whether Stripe and the catalog mean the same by it.

use super::{Check, Code, change_rows, set_secret, set_variable};
use crate::plan::{BillingFrequency, PlanRow};
use crate::stripe::event::Mode;
use crate::stripe::prices::Prices;

/// What was found.
#[derive(Debug, Clone)]
pub struct Sales {
    /// `STRIPE_WEBHOOK_SECRET`
    pub webhook_secret: SecretFound,
    /// `STRIPE_MODE`
    pub mode: ModeFound,
    /// `STRIPE_API_KEY`
    pub key: Option<KeyKind>,
    /// The catalog's rows, each with what it is sold at.
    pub rows: Vec<(PlanRow, Option<String>)>,
    /// Other rows of `plans` that have a price.
    pub strays: Vec<u32>,
    /// `STRIPE_PRICES`
    pub further: String,
    /// What Stripe says of the configured prices, where it could be asked.
    pub listed: Vec<(String, Listed)>,
}

/// How a secret looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretFound {
    /// There is none.
    Missing,
    /// There is something else.
    Odd,
    /// It looks like one.
    WellFormed,
}

/// What `STRIPE_MODE` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModeFound {
    /// Nothing.
    Missing,
    /// Something else than a mode.
    Odd(String),
    /// A mode.
    Is(Mode),
}

/// What a key of Stripe's is good for, as it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// Everything.
    Secret(Mode),
    /// What it was given.
    Restricted(Mode),
    /// For pages; it may ask for nothing.
    Publishable,
    /// It does not begin as keys do.
    Unknown,
}

impl KeyKind {
    /// The kind of a key.
    ///
    /// ```
    /// use legis_core::doctor::sales::KeyKind;
    /// use legis_core::stripe::event::Mode;
    /// assert_eq!(KeyKind::of("rk_live_x"), KeyKind::Restricted(Mode::Live));
    /// assert_eq!(KeyKind::of("pk_test_x"), KeyKind::Publishable);
    /// ```
    #[must_use]
    pub fn of(key: &str) -> Self {
        let mut words = key.split('_');
        let (kind, mode) = (words.next(), words.next().and_then(Mode::parse));
        match (kind, mode) {
            (Some("sk"), Some(mode)) => Self::Secret(mode),
            (Some("rk"), Some(mode)) => Self::Restricted(mode),
            (Some("pk"), _) => Self::Publishable,
            _ => Self::Unknown,
        }
    }
}

/// What Stripe says of a price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// It is there.
    Is(StripePrice),
    /// It is not there, in this account and mode.
    Missing,
    /// The key may not ask.
    Forbidden,
    /// The key is none.
    KeyRefused,
    /// No answer that says anything.
    Silent(String),
}

/// A price, as Stripe has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripePrice {
    /// Whether it can still be bought.
    pub active: bool,
    /// In the smallest unit; absent where it is not one amount.
    pub amount: Option<u64>,
    /// In lower case.
    pub currency: String,
    /// `month` or `year`, once; another text where it is otherwise.
    pub interval: String,
}

/// Everything that can be said of what is sold.
#[must_use]
pub fn examine(found: &Sales) -> Vec<Check> {
    let unset = found.webhook_secret == SecretFound::Missing
        && found.key.is_none()
        && found.rows.iter().all(|(_, price)| price.is_none());
    if unset {
        return vec![Check::warning(
            Code::Payments,
            "nothing is sold here: there is no webhook secret, no API key and no price",
            "If plans shall be sold: docs/operating.md, \"Stripe\"",
        )];
    }
    let mut checks = vec![
        webhook_secret(found.webhook_secret),
        mode(&found.mode),
        key(found.key, &found.mode),
        sold(&found.rows),
        known(found),
    ];
    checks.extend(listed(found));
    checks
}

fn webhook_secret(found: SecretFound) -> Check {
    match found {
        SecretFound::WellFormed => Check::fine(
            Code::WebhookSecret,
            "STRIPE_WEBHOOK_SECRET looks like a signing secret",
        ),
        SecretFound::Odd => Check::failure(
            Code::WebhookSecret,
            "STRIPE_WEBHOOK_SECRET is no signing secret: those begin with whsec_",
            format!(
                "Copy it from the endpoint's page at Stripe. {}",
                set_secret("STRIPE_WEBHOOK_SECRET")
            ),
        ),
        SecretFound::Missing => Check::failure(
            Code::WebhookSecret,
            "STRIPE_WEBHOOK_SECRET is missing: no event is taken, so nobody gets what they paid for",
            set_secret("STRIPE_WEBHOOK_SECRET"),
        ),
    }
}

fn mode(found: &ModeFound) -> Check {
    match found {
        ModeFound::Is(mode) => Check::fine(
            Code::StripeMode,
            format!("events of {} mode are taken", mode.as_str()),
        ),
        ModeFound::Odd(word) => Check::failure(
            Code::StripeMode,
            format!("STRIPE_MODE is {word}; it must be live or test"),
            set_variable("STRIPE_MODE"),
        ),
        ModeFound::Missing => Check::failure(
            Code::StripeMode,
            "STRIPE_MODE is missing",
            set_variable("STRIPE_MODE"),
        ),
    }
}

fn key(found: Option<KeyKind>, mode: &ModeFound) -> Check {
    let put = set_secret("STRIPE_API_KEY");
    match found {
        None => Check::fine(
            Code::StripeKey,
            "there is no STRIPE_API_KEY: Stripe is never asked, Checkout and the portal are not offered",
        ),
        Some(KeyKind::Publishable) => Check::failure(
            Code::StripeKey,
            "STRIPE_API_KEY is a publishable key, which may ask for nothing",
            format!("Take a restricted one (rk_…), with the rights of docs/operating.md. {put}"),
        ),
        Some(KeyKind::Unknown) => Check::failure(
            Code::StripeKey,
            "STRIPE_API_KEY does not begin as keys do (rk_test_, rk_live_)",
            put,
        ),
        Some(KeyKind::Secret(held) | KeyKind::Restricted(held)) if *mode != ModeFound::Is(held) => {
            Check::failure(
                Code::StripeKey,
                format!(
                    "STRIPE_API_KEY is of {} mode, STRIPE_MODE is not",
                    held.as_str()
                ),
                format!(
                    "One of them is of the other deployment. {put}; or {}",
                    set_variable("STRIPE_MODE")
                ),
            )
        }
        Some(KeyKind::Secret(_)) => Check::warning(
            Code::StripeKey,
            "STRIPE_API_KEY may do everything",
            format!(
                "Take a restricted one (rk_…), which can do less harm, with the rights of docs/operating.md. {put}"
            ),
        ),
        Some(KeyKind::Restricted(_)) => Check::fine(
            Code::StripeKey,
            "STRIPE_API_KEY is a restricted key of that mode",
        ),
    }
}

/// Whether a row of the catalog is sold at an amount.
fn is_sold(row: &PlanRow) -> bool {
    row.amount.is_some_and(|amount| amount.get() > 0)
}

fn sold(rows: &[(PlanRow, Option<String>)]) -> Check {
    let missing: Vec<&PlanRow> = rows
        .iter()
        .filter(|(row, price)| is_sold(row) && price.is_none())
        .map(|(row, _)| row)
        .collect();
    match missing.first() {
        None => Check::fine(
            Code::PricesOfPlans,
            "every plan of the catalog that is sold has a price id",
        ),
        Some(first) => {
            let names: Vec<String> = missing
                .iter()
                .map(|row| format!("{} {}", row.slug, row.billing_frequency.as_str()))
                .collect();
            Check::failure(
                Code::PricesOfPlans,
                format!("no price id: {}", names.join(", ")),
                format!(
                    "For each: {}",
                    change_rows(&format!(
                        "UPDATE plans SET stripe_price_id = 'price_…' WHERE id = {}",
                        first.id
                    ))
                ),
            )
        }
    }
}

fn known(found: &Sales) -> Check {
    match Prices::new(&found.rows, &found.further) {
        Err(reason) => Check::failure(
            Code::PlansOfPrices,
            format!("STRIPE_PRICES or stripe_price_id of plans: {reason}"),
            set_variable("STRIPE_PRICES"),
        ),
        Ok(_) if !found.strays.is_empty() => {
            let ids: Vec<String> = found.strays.iter().map(u32::to_string).collect();
            Check::failure(
                Code::PlansOfPrices,
                format!(
                    "rows of plans have a price, and the catalog does not know them: {}",
                    ids.join(", ")
                ),
                "Who pays such a price keeps the plan they had, with an alert. Name the price and its plan in STRIPE_PRICES \
                 (\"vars\" of worker/deployment.json)",
            )
        }
        Ok(_) => Check::fine(
            Code::PlansOfPrices,
            "every configured price id pays for a plan of the catalog",
        ),
    }
}

const fn interval(row: &PlanRow) -> &'static str {
    match row.billing_frequency {
        BillingFrequency::OneTime => "once",
        BillingFrequency::Monthly => "month",
        BillingFrequency::Yearly => "year",
    }
}

/// What Stripe says of each price: only what is wrong, or one line that nothing is.
fn listed(found: &Sales) -> Vec<Check> {
    if found.listed.is_empty() {
        return Vec::new();
    }
    let mut wrong: Vec<Check> = Vec::new();
    for (id, listed) in &found.listed {
        let row = found
            .rows
            .iter()
            .find(|(_, price)| price.as_ref() == Some(id))
            .map(|(row, _)| row);
        let check = one(id, listed, row);
        // One key, one outage: once is enough.
        if !wrong.iter().any(|known| Some(known) == check.as_ref()) {
            wrong.extend(check);
        }
    }
    if wrong.is_empty() {
        wrong.push(Check::fine(
            Code::StripePrices,
            format!(
                "Stripe has every configured price ({}), as the catalog says",
                found.listed.len()
            ),
        ));
    }
    wrong
}

fn one(id: &str, listed: &Listed, row: Option<&PlanRow>) -> Option<Check> {
    match (listed, row) {
        (Listed::Missing, _) => Some(Check::failure(
            Code::StripePrices,
            format!("Stripe has no price {id}"),
            "Copy the id from the product's page at Stripe, of the account and mode that STRIPE_API_KEY is of",
        )),
        (Listed::Forbidden, _) => Some(Check::warning(
            Code::StripePrices,
            "STRIPE_API_KEY may not read prices, so they were not compared",
            "Give the restricted key the right to read Prices",
        )),
        (Listed::KeyRefused, _) => Some(Check::failure(
            Code::StripeKey,
            "Stripe does not accept STRIPE_API_KEY",
            set_secret("STRIPE_API_KEY"),
        )),
        (Listed::Silent(reason), _) => Some(Check::failure(
            Code::StripeKey,
            format!("Stripe does not answer: {reason}"),
            "Try again in a moment; https://status.stripe.com says whether it is Stripe. STRIPE_API_URL must be absent or right",
        )),
        (Listed::Is(price), Some(row)) if is_sold(row) => differing(id, price, row),
        (Listed::Is(_), _) => None,
    }
}

fn differing(id: &str, price: &StripePrice, row: &PlanRow) -> Option<Check> {
    let expected = row.amount.map(|amount| u64::from(amount.get()));
    let same = price.amount == expected
        && price.currency == row.currency.code()
        && price.interval == interval(row);
    let (slug, every) = (row.slug, interval(row));
    if !same {
        let text = |amount: Option<u64>, currency: &str, every: &str| {
            let amount = amount.map_or_else(|| "no amount".to_owned(), |amount| amount.to_string());
            format!("{amount} {currency} a {every}")
        };
        return Some(Check::failure(
            Code::StripePrices,
            format!(
                "{id} is {} at Stripe, and {} in the catalog ({slug})",
                text(price.amount, &price.currency, &price.interval),
                text(expected, row.currency.code(), every)
            ),
            format!(
                "A price at Stripe is never changed: make one of the catalog's amount (who pays the old one goes on with it), then: {}",
                change_rows(&format!(
                    "UPDATE plans SET stripe_price_id = 'price_…' WHERE id = {}",
                    row.id
                ))
            ),
        ));
    }
    (!price.active).then(|| {
        Check::failure(
            Code::StripePrices,
            format!("{id} is archived at Stripe: nobody can buy {slug} by the {every}"),
            "Make it active again at Stripe, or put another into stripe_price_id of plans",
        )
    })
}
