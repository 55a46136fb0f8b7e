//! Payments of invoices, and money that goes back.

use crate::time::Timestamp;

/// How the payment of an invoice ended, from the least to the most final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PaymentStatus {
    /// It failed; it may be tried again.
    Failed,
    /// It never will be paid.
    Voided,
    /// It was paid.
    Succeeded,
}

impl PaymentStatus {
    /// The value of the column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed | Self::Voided => "failed",
            Self::Succeeded => "succeeded",
        }
    }

    /// What a row says.
    #[must_use]
    pub fn of_row(status: &str, voided: bool) -> Option<Self> {
        match (status, voided) {
            ("failed", false) => Some(Self::Failed),
            ("failed", true) => Some(Self::Voided),
            ("succeeded", _) => Some(Self::Succeeded),
            _ => None,
        }
    }
}

/// The payment of an invoice, as the event says that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The invoice.
    pub invoice: String,
    /// Who paid, at Stripe; not known of rows from before that was stored.
    pub customer: Option<String>,
    /// How it ended.
    pub status: PaymentStatus,
    /// What was paid, or was to be, in the smallest unit.
    pub amount: u64,
    /// The currency, in lower case.
    pub currency: String,
    /// When the invoice was made.
    pub created_at: Timestamp,
    /// The charge, where the event says so.
    pub charge: Option<String>,
    /// The payment, where the event says so.
    pub payment_intent: Option<String>,
    /// When the event happened.
    pub at: Timestamp,
    /// The event.
    pub event: String,
}

impl Payment {
    /// Of two words about the same invoice the one that counts, whatever came first: a payment is not undone by an
    /// attempt that failed before it and is heard of after it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let order = |payment: &Self| (payment.status, payment.at, payment.event.clone());
        if order(&self) < order(&other) {
            other
        } else {
            self
        }
    }
}

/// Why money goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReversalKind {
    /// We gave it back.
    Refund,
    /// The payer disputes the charge.
    Dispute,
    /// The dispute is decided; the status says how.
    ClosedDispute,
}

impl ReversalKind {
    /// The value of the column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refund => "refund",
            Self::Dispute => "dispute",
            Self::ClosedDispute => "closed_dispute",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Refund, Self::Dispute, Self::ClosedDispute]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// Money that goes back, or may have to. It changes no plan: what a refund or a dispute means for a subscription is an
/// operator's to decide, and Stripe tells when it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reversal {
    /// The charge that was refunded, or the dispute.
    pub id: String,
    /// Why.
    pub kind: ReversalKind,
    /// Who paid, where the event says so.
    pub customer: Option<String>,
    /// The charge.
    pub charge: String,
    /// Its invoice, where the event says so.
    pub invoice: Option<String>,
    /// Its payment, where the event says so.
    pub payment_intent: Option<String>,
    /// How much, in the smallest unit.
    pub amount: u64,
    /// The currency, in lower case.
    pub currency: String,
    /// Stripe's word for how it stands.
    pub status: String,
    /// When that was said.
    pub created_at: Timestamp,
    /// By which event.
    pub event: String,
}

impl Reversal {
    /// Of two words about the same one that counts, whatever came first. What was refunded only grows.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let order = |reversal: &Self| {
            (
                reversal.kind,
                reversal.amount,
                reversal.created_at,
                reversal.event.clone(),
            )
        };
        if order(&self) < order(&other) {
            other
        } else {
            self
        }
    }
}
