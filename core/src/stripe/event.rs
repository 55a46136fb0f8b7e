//! An event, read: what it is about and what it says.

use super::customer::{Link, LinkKind};
use super::payment::{Payment, PaymentStatus, Reversal, ReversalKind};
use super::snapshot::{Facts, Snapshot, SnapshotKind, moment, moment_of};
use crate::evaluate;
use crate::json;
use crate::payload::json::JsonObject;
use crate::payload::stripe::{Amount, StripeEvent, StripeObject};
use crate::payload::text::{StripeId, StripeWord};
use crate::schema::{Origin, Violations};
use crate::subscription::Status;
use crate::time::Timestamp;
use serde::Deserialize;

/// Whether real money moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Live,
    /// It does not.
    Test,
}

impl Mode {
    /// The mode of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "live" => Some(Self::Live),
            "test" => Some(Self::Test),
            _ => None,
        }
    }

    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

/// Something that happened at Stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Stripe's id; the same event may come more than once.
    pub id: String,
    /// Stripe's word for what happened.
    pub kind: String,
    /// When, to the second.
    pub at: Timestamp,
    /// Whether real money moved.
    pub mode: Mode,
    /// What it says.
    pub subject: Subject,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Whose customer this is.
    Linked(Linked),
    /// The customer is gone.
    CustomerDeleted {
        /// Which.
        customer: String,
    },
    /// How a subscription is.
    Subscription {
        /// Its state.
        snapshot: Box<Snapshot>,
        /// Whose customer it says it belongs to.
        link: Option<Link>,
    },
    /// How the payment of an invoice is.
    Payment {
        /// Who pays.
        customer: String,
        /// The payment.
        payment: Box<Payment>,
    },
    /// Money goes back, or may have to.
    Reversal {
        /// Who paid, where the event says so.
        customer: Option<String>,
        /// What goes back.
        reversal: Box<Reversal>,
    },
    /// Nothing that a rule needs.
    Nothing,
}

/// A customer, and whose it is where the event says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// The customer.
    pub customer: String,
    /// Whose.
    pub link: Option<Link>,
}

impl Subject {
    /// The customer it is about.
    #[must_use]
    pub fn customer(&self) -> Option<&str> {
        match self {
            Self::Linked(linked) => Some(&linked.customer),
            Self::CustomerDeleted { customer } | Self::Payment { customer, .. } => Some(customer),
            Self::Subscription { snapshot, .. } => Some(&snapshot.customer),
            Self::Reversal { customer, .. } => customer.as_deref(),
            Self::Nothing => None,
        }
    }

    /// Whose customer it says it is about.
    #[must_use]
    pub fn link(&self) -> Option<&Link> {
        match self {
            Self::Linked(linked) => linked.link.as_ref(),
            Self::Subscription { link, .. } => link.as_ref(),
            _ => None,
        }
    }
}

/// Why an event cannot be applied. Stored all the same: what is wrong is for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// Its members are not what Stripe documents.
    Shape(Violations),
    /// A member that its type needs is missing.
    Missing(&'static str),
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shape(violations) => {
                let places: Vec<String> = violations.iter().map(|v| v.pointer()).collect();
                write!(out, "not as Stripe documents it: {}", places.join(", "))
            }
            Self::Missing(member) => write!(out, "{member} is missing"),
        }
    }
}

/// What is known of a text that is an event, even where it cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Envelope {
    /// Stripe's id.
    pub id: String,
    /// What happened.
    pub r#type: String,
    /// Whether real money moved.
    pub livemode: bool,
    /// When, in seconds since 1970.
    #[serde(default)]
    pub created: u64,
}

/// Reads what every event has; `None` when the text is no event at all.
#[must_use]
pub fn envelope(text: &[u8]) -> Option<Envelope> {
    let envelope: Envelope = json::read(text).ok()?;
    (StripeLike(&envelope.id).is_id() && StripeLike(&envelope.r#type).is_id()).then_some(envelope)
}

/// A text that may be an id or a type: visible ASCII of a decent length.
struct StripeLike<'t>(&'t str);

impl StripeLike<'_> {
    fn is_id(&self) -> bool {
        (1..=255).contains(&self.0.len()) && self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

impl Envelope {
    /// Whether real money moved.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        match self.livemode {
            true => Mode::Live,
            false => Mode::Test,
        }
    }
}

/// Reads an event.
///
/// # Errors
/// [`Unreadable`] when it is not what Stripe documents, or lacks what its type needs.
pub fn read(text: &[u8]) -> Result<Event, Unreadable> {
    // What nobody needs may look like anything.
    if let Some(envelope) = envelope(text).filter(|envelope| !is_needed(&envelope.r#type)) {
        return Ok(Event {
            at: moment_of(envelope.created),
            mode: envelope.mode(),
            id: envelope.id,
            kind: envelope.r#type,
            subject: Subject::Nothing,
        });
    }
    let event: StripeEvent =
        evaluate::decode("stripeEvent", text, Origin::Text).map_err(Unreadable::Shape)?;
    let subject = subject(&event)?;
    Ok(Event {
        id: event.id.into_string(),
        kind: event.r#type.into_string(),
        at: moment(event.created),
        mode: match event.livemode {
            true => Mode::Live,
            false => Mode::Test,
        },
        subject,
    })
}

/// Every type that something is done about.
pub const NEEDED: [&str; 21] = [
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "customer.created",
    "customer.updated",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "invoice.paid",
    "invoice.payment_succeeded",
    "invoice.payment_failed",
    "invoice.voided",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.closed",
];

fn is_needed(kind: &str) -> bool {
    NEEDED.contains(&kind)
}

fn subject(event: &StripeEvent) -> Result<Subject, Unreadable> {
    Ok(match event.r#type.as_str() {
        "checkout.session.completed"
        | "checkout.session.async_payment_succeeded"
        | "checkout.session.async_payment_failed" => checkout(event),
        "customer.created" | "customer.updated" => Subject::Linked(Linked {
            customer: id(&event.data.object)?,
            link: stated(event),
        }),
        "customer.deleted" => Subject::CustomerDeleted {
            customer: id(&event.data.object)?,
        },
        "customer.subscription.created" => subscription(event, SnapshotKind::Created)?,
        "customer.subscription.updated"
        | "customer.subscription.paused"
        | "customer.subscription.resumed"
        | "customer.subscription.trial_will_end"
        | "customer.subscription.pending_update_applied"
        | "customer.subscription.pending_update_expired" => {
            subscription(event, SnapshotKind::Updated)?
        }
        "customer.subscription.deleted" => subscription(event, SnapshotKind::Deleted)?,
        "invoice.paid" | "invoice.payment_succeeded" => payment(event, PaymentStatus::Succeeded)?,
        "invoice.payment_failed" => payment(event, PaymentStatus::Failed)?,
        "invoice.voided" => payment(event, PaymentStatus::Voided)?,
        "charge.refunded" => reversal(event, ReversalKind::Refund)?,
        "charge.dispute.created" => reversal(event, ReversalKind::Dispute)?,
        "charge.dispute.closed" => reversal(event, ReversalKind::ClosedDispute)?,
        _ => Subject::Nothing,
    })
}

fn id(object: &StripeObject) -> Result<String, Unreadable> {
    owned(object.id.as_ref(), "data.object.id")
}

fn owned(id: Option<&StripeId>, member: &'static str) -> Result<String, Unreadable> {
    id.map(|id| id.as_str().to_owned())
        .ok_or(Unreadable::Missing(member))
}

/// A session without a customer was paid by a guest, who has no subscription; one that sells something else tells nothing
/// of whose subscriptions the customer has.
fn checkout(event: &StripeEvent) -> Subject {
    let session = &event.data.object;
    let mode = session.mode.as_ref().map(StripeWord::as_str);
    if mode.is_some_and(|mode| mode != "subscription") {
        return Subject::Nothing;
    }
    let reference = session.client_reference_id.as_ref();
    let Some(customer) = session.customer.as_ref() else {
        return Subject::Nothing;
    };
    Subject::Linked(Linked {
        customer: customer.as_str().to_owned(),
        link: reference
            .and_then(|reference| link(event, reference.as_str(), LinkKind::Checkout))
            .or_else(|| stated(event)),
    })
}

/// The `sub` in the metadata.
fn stated(event: &StripeEvent) -> Option<Link> {
    let JsonObject(metadata) = event.data.object.metadata.as_ref()?;
    link(event, metadata.get("sub")?.as_str()?, LinkKind::Metadata)
}

fn link(event: &StripeEvent, sub: &str, kind: LinkKind) -> Option<Link> {
    (1..=255).contains(&sub.len()).then(|| Link {
        sub: sub.to_owned(),
        kind,
        at: moment(event.created),
        event: event.id.as_str().to_owned(),
    })
}

fn subscription(event: &StripeEvent, kind: SnapshotKind) -> Result<Subject, Unreadable> {
    let object = &event.data.object;
    let previous = event.data.previous_attributes.as_ref();
    let mut facts = Facts::of(object).ok_or(Unreadable::Missing("data.object.status"))?;
    if kind == SnapshotKind::Deleted && !facts.is_final() {
        // Whatever else it says: what was deleted has ended.
        Status::Canceled.as_str().clone_into(&mut facts.status);
    }
    let snapshot = Snapshot {
        id: event.id.as_str().to_owned(),
        customer: owned(object.customer.as_ref(), "data.object.customer")?,
        subscription: id(object)?,
        at: moment(event.created),
        kind,
        facts,
        before: previous.and_then(|JsonObject(previous)| Facts::before(object, previous)),
        seen: Vec::new(),
    };
    Ok(Subject::Subscription {
        snapshot: Box::new(snapshot),
        link: stated(event),
    })
}

fn amount(amount: Option<Amount>, member: &'static str) -> Result<u64, Unreadable> {
    amount.map(Amount::get).ok_or(Unreadable::Missing(member))
}

fn currency(object: &StripeObject) -> Result<String, Unreadable> {
    let currency = object.currency.as_ref().map(StripeWord::as_str);
    currency
        .filter(|code| code.len() == 3)
        .map(str::to_owned)
        .ok_or(Unreadable::Missing("data.object.currency"))
}

fn payment(event: &StripeEvent, status: PaymentStatus) -> Result<Subject, Unreadable> {
    let invoice = &event.data.object;
    let paid = match status {
        PaymentStatus::Succeeded => (invoice.amount_paid, "data.object.amount_paid"),
        PaymentStatus::Failed | PaymentStatus::Voided => {
            (invoice.amount_due, "data.object.amount_due")
        }
    };
    let customer = owned(invoice.customer.as_ref(), "data.object.customer")?;
    Ok(Subject::Payment {
        customer: customer.clone(),
        payment: Box::new(Payment {
            invoice: id(invoice)?,
            customer: Some(customer),
            status,
            amount: amount(paid.0, paid.1)?,
            currency: currency(invoice)?,
            created_at: moment(invoice.created.unwrap_or(event.created)),
            charge: invoice.charge.as_ref().map(|id| id.as_str().to_owned()),
            payment_intent: invoice
                .payment_intent
                .as_ref()
                .map(|id| id.as_str().to_owned()),
            at: moment(event.created),
            event: event.id.as_str().to_owned(),
        }),
    })
}

fn reversal(event: &StripeEvent, kind: ReversalKind) -> Result<Subject, Unreadable> {
    let object = &event.data.object;
    let own = id(object)?;
    let (charge, amount) = match kind {
        ReversalKind::Refund => (
            own.clone(),
            amount(object.amount_refunded, "data.object.amount_refunded")?,
        ),
        ReversalKind::Dispute | ReversalKind::ClosedDispute => (
            owned(object.charge.as_ref(), "data.object.charge")?,
            amount(object.amount, "data.object.amount")?,
        ),
    };
    let text = |id: &Option<StripeId>| id.as_ref().map(|id| id.as_str().to_owned());
    Ok(Subject::Reversal {
        customer: text(&object.customer),
        reversal: Box::new(Reversal {
            id: own,
            kind,
            customer: text(&object.customer),
            charge,
            invoice: text(&object.invoice),
            payment_intent: text(&object.payment_intent),
            amount,
            currency: currency(object)?,
            status: object
                .status
                .as_ref()
                .map_or_else(String::new, |status| status.as_str().to_owned()),
            created_at: moment(event.created),
            event: event.id.as_str().to_owned(),
        }),
    })
}

/// Reads a subscription that Stripe was asked for at `at`, when the snapshots `seen` were known.
///
/// # Errors
/// [`Unreadable`] when it is not what Stripe documents.
pub fn fetched(text: &[u8], at: Timestamp, seen: Vec<String>) -> Result<Snapshot, Unreadable> {
    let wrapped = [
        br#"{"id":"fetched","type":"fetched","created":0,"livemode":false,"data":{"object":"#,
        text,
        b"}}",
    ]
    .concat();
    let event: StripeEvent =
        evaluate::decode("stripeEvent", &wrapped, Origin::Text).map_err(Unreadable::Shape)?;
    let object = &event.data.object;
    let subscription = id(object)?;
    Ok(Snapshot {
        id: format!("{subscription}@{}", at.millis()),
        customer: owned(object.customer.as_ref(), "customer")?,
        subscription,
        at: Timestamp::EPOCH.plus_millis(at.seconds().saturating_mul(1000)),
        kind: SnapshotKind::Fetched,
        facts: Facts::of(object).ok_or(Unreadable::Missing("status"))?,
        before: None,
        seen,
    })
}
