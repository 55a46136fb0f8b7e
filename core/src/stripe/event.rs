//! An event, read: what it is about and what it says.

use super::customer::{Link, LinkKind};
use super::payment::{Payment, PaymentStatus, Reversal, ReversalKind};
use super::snapshot::{Facts, Snapshot, SnapshotKind, moment, moment_of};
use crate::account::is_sub;
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
    (StripeId::holds(&envelope.id) && StripeId::holds(&envelope.r#type)).then_some(envelope)
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
    let needless = |envelope: &Envelope| reading(&envelope.r#type).is_none();
    if let Some(envelope) = envelope(text).filter(needless) {
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
    let subject = match reading(event.r#type.as_str()) {
        Some(reading) => reading(&event)?,
        None => Subject::Nothing,
    };
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

/// What an event says of a subject.
type Reading = fn(&StripeEvent) -> Result<Subject, Unreadable>;

/// Every type that something is done about, and what it says.
const READINGS: [(&str, Reading); 21] = {
    const UPDATED: Reading = |event| subscription(event, SnapshotKind::Updated);
    const PAID: Reading = |event| payment(event, PaymentStatus::Succeeded);
    [
        ("checkout.session.completed", checkout),
        ("checkout.session.async_payment_succeeded", checkout),
        ("checkout.session.async_payment_failed", checkout),
        ("customer.created", customer),
        ("customer.updated", customer),
        ("customer.deleted", |event| {
            let customer = id(&event.data.object)?;
            Ok(Subject::CustomerDeleted { customer })
        }),
        ("customer.subscription.created", |event| {
            subscription(event, SnapshotKind::Created)
        }),
        ("customer.subscription.updated", UPDATED),
        ("customer.subscription.deleted", |event| {
            subscription(event, SnapshotKind::Deleted)
        }),
        ("customer.subscription.paused", UPDATED),
        ("customer.subscription.resumed", UPDATED),
        ("customer.subscription.trial_will_end", UPDATED),
        ("customer.subscription.pending_update_applied", UPDATED),
        ("customer.subscription.pending_update_expired", UPDATED),
        ("invoice.paid", PAID),
        ("invoice.payment_succeeded", PAID),
        ("invoice.payment_failed", |event| {
            payment(event, PaymentStatus::Failed)
        }),
        ("invoice.voided", |event| {
            payment(event, PaymentStatus::Voided)
        }),
        ("charge.refunded", |event| {
            reversal(event, ReversalKind::Refund)
        }),
        ("charge.dispute.created", |event| {
            reversal(event, ReversalKind::Dispute)
        }),
        ("charge.dispute.closed", |event| {
            reversal(event, ReversalKind::ClosedDispute)
        }),
    ]
};

/// Every type that something is done about.
pub fn needed() -> impl Iterator<Item = &'static str> {
    READINGS.iter().map(|(kind, _)| *kind)
}

fn reading(kind: &str) -> Option<Reading> {
    let known = READINGS.iter().find(|(known, _)| *known == kind);
    known.map(|(_, reading)| *reading)
}

fn customer(event: &StripeEvent) -> Result<Subject, Unreadable> {
    Ok(Subject::Linked(Linked {
        customer: id(&event.data.object)?,
        link: stated(event),
    }))
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
fn checkout(event: &StripeEvent) -> Result<Subject, Unreadable> {
    let session = &event.data.object;
    let mode = session.mode.as_ref().map(StripeWord::as_str);
    if mode.is_some_and(|mode| mode != "subscription") {
        return Ok(Subject::Nothing);
    }
    let reference = session.client_reference_id.as_ref();
    let Some(customer) = session.customer.as_ref() else {
        return Ok(Subject::Nothing);
    };
    Ok(Subject::Linked(Linked {
        customer: customer.as_str().to_owned(),
        // Metadata is stronger: the reference may be something else of the shop's, such as a cart's.
        link: stated(event).or_else(|| link(event, reference?.as_str(), LinkKind::Checkout)),
    }))
}

/// The `sub` in the metadata. Every event of an object repeats it; a word that is only repeated is as old as the object,
/// so that a subscription's does not take back a customer who was given to somebody else meanwhile.
fn stated(event: &StripeEvent) -> Option<Link> {
    let JsonObject(metadata) = event.data.object.metadata.as_ref()?;
    let sub = metadata.get("sub")?.as_str()?;
    let link = link(event, sub, LinkKind::Metadata)?;
    let made = event.data.object.created.filter(|_| is_repeated(event));
    Some(Link {
        at: made.map_or(link.at, moment),
        ..link
    })
}

/// Whether an event is about something else than the `sub` in its metadata.
fn is_repeated(event: &StripeEvent) -> bool {
    match event.r#type.as_str() {
        "customer.updated" | "customer.subscription.updated" => {
            let previous = event.data.previous_attributes.as_ref();
            previous.is_some_and(|JsonObject(previous)| {
                let metadata = previous.get("metadata");
                metadata.is_none_or(|metadata| metadata.get("sub").is_none())
            })
        }
        _ => true,
    }
}

fn link(event: &StripeEvent, sub: &str, kind: LinkKind) -> Option<Link> {
    is_sub(sub).then(|| Link {
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
    let Some(customer) = invoice.customer.as_ref() else {
        // An invoice of an account of Stripe's own kind (`customer_account`): nobody here has one.
        return Ok(Subject::Nothing);
    };
    let customer = customer.as_str().to_owned();
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
