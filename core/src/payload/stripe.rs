//! What of Stripe's events is read: the members that a rule needs, of both payload generations. Stripe may send more.
//!
//! <https://docs.stripe.com/api/events/object>

use super::json::JsonObject;
use super::text::{StripeId, StripeReference, StripeWord};
use serde::{Deserialize, Serialize};

/// The last second of the year 9999.
const MAX_SECONDS: u64 = 253_402_300_799;

/// A moment as Stripe writes it: seconds since 1970.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, garde::Validate,
)]
#[serde(transparent)]
#[garde(transparent)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(inline))]
pub struct Seconds(
    #[garde(range(min = 0, max = MAX_SECONDS))]
    #[serde(deserialize_with = "crate::whole::required")]
    u64,
);

impl Seconds {
    /// So many seconds after 1970 began.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// An amount in the smallest unit of its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, garde::Validate)]
#[serde(transparent)]
#[garde(transparent)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(inline))]
pub struct Amount(
    #[garde(range(min = 0, max = crate::whole::MAX))]
    #[serde(deserialize_with = "crate::whole::required")]
    u64,
);

impl Amount {
    /// So many cents.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Declares an object of Stripe: what is always there, and what may be absent or `null`.
macro_rules! objects {
    ($(
        $(#[$doc:meta])*
        $name:ident {
            $($(#[$required_doc:meta])* $required:ident: $required_type:ty,)*
            ; $($(#[$optional_doc:meta])* $optional:ident: $optional_type:ty,)*
        }
    )+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, garde::Validate)]
        #[cfg_attr(feature = "ts", derive(tsify::Tsify))]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub struct $name {
            $(
                $(#[$required_doc])*
                #[garde(dive)]
                pub $required: $required_type,
            )*
            $(
                $(#[$optional_doc])*
                #[garde(dive)]
                #[serde(default, skip_serializing_if = "Option::is_none")]
                #[cfg_attr(feature = "ts", tsify(optional))]
                pub $optional: Option<$optional_type>,
            )*
        }
    )+};
}

/// An event, as it is delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, garde::Validate)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StripeEvent {
    /// The event's id.
    #[garde(dive)]
    pub id: StripeId,
    /// What happened.
    #[garde(dive)]
    pub r#type: StripeWord,
    /// When.
    #[garde(dive)]
    pub created: Seconds,
    /// Whether real money moves.
    #[garde(skip)]
    pub livemode: bool,
    /// To what.
    #[garde(dive)]
    pub data: StripeEventData,
}

objects! {
    /// What an event is about.
    StripeEventData {
        /// The object as it is after the event.
        object: StripeObject,
        ;
        /// What the changed members were before; `null` where there was nothing.
        previous_attributes: JsonObject,
    }

    /// A customer, subscription, invoice, Checkout session, charge or dispute.
    StripeObject {
        ;
        /// Its id.
        id: StripeId,
        /// Its kind.
        object: StripeWord,
        /// The customer it belongs to.
        customer: StripeId,
        /// What the Checkout session was given to tell whose it is.
        client_reference_id: StripeReference,
        /// What whoever made it wrote down.
        metadata: JsonObject,
        /// What a Checkout session is for: `payment`, `setup` or `subscription`.
        mode: StripeWord,
        /// Its status; the words depend on the kind.
        status: StripeWord,
        /// Whether a Checkout session is paid.
        payment_status: StripeWord,
        /// What a subscription consists of.
        items: StripeItems,
        /// Before 2025-03-31 a subscription's period is its own; later, its items'.
        current_period_start: Seconds,
        /// The first moment after the period.
        current_period_end: Seconds,
        /// Where billing periods are counted from.
        billing_cycle_anchor: Seconds,
        /// When a subscription will end.
        cancel_at: Seconds,
        /// Whether a subscription ends with its period.
        cancel_at_period_end: Flag,
        /// When it was made.
        created: Seconds,
        /// The currency of amounts, in lower case.
        currency: StripeWord,
        /// What is to be paid of an invoice.
        amount_due: Amount,
        /// What was paid of an invoice.
        amount_paid: Amount,
        /// The amount of a charge or a dispute.
        amount: Amount,
        /// What of a charge was given back.
        amount_refunded: Amount,
        /// The charge of a dispute, and of an invoice before 2025-03-31.
        charge: StripeId,
        /// The invoice of a charge, before 2025-03-31.
        invoice: StripeId,
        /// The payment of a charge, a dispute, and of an invoice before 2025-03-31.
        payment_intent: StripeId,
    }

    /// The items of a subscription.
    StripeItems {
        /// The first of them; a subscription has twenty at most.
        data: ItemList,
        ;
    }

    /// An item of a subscription.
    StripeItem {
        ;
        /// The price that is paid.
        price: StripePrice,
        /// The price, as it was called before 2020.
        plan: StripePrice,
        /// Since 2025-03-31, the first moment of the period.
        current_period_start: Seconds,
        /// Since 2025-03-31, the first moment after it.
        current_period_end: Seconds,
    }

    /// A price.
    StripePrice {
        /// Its id.
        id: StripeId,
        ;
        /// How often it is paid.
        recurring: StripeRecurring,
        /// How often it is paid, as it was written before 2020.
        interval: StripeWord,
    }

    /// How often a price is paid.
    StripeRecurring {
        ;
        /// `day`, `week`, `month` or `year`.
        interval: StripeWord,
    }
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, garde::Validate)]
#[serde(transparent)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(inline))]
pub struct Flag(#[garde(skip)] pub bool);

/// Items in Stripe's order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, garde::Validate)]
#[serde(transparent)]
#[garde(transparent)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(inline))]
pub struct ItemList(#[garde(length(max = 100), dive)] pub Vec<StripeItem>);
