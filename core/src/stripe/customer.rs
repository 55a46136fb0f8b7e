//! A customer of Stripe's, and whose it is. Never found by e-mail: it changes, and two people may share one.

use crate::time::Timestamp;

/// Who said whose a customer is, from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkKind {
    /// A row of `users` from before there were events.
    Users,
    /// A Checkout session, whose reference may come from the buyer's address line.
    Checkout,
    /// Metadata, which only the account's owner writes.
    Metadata,
}

impl LinkKind {
    const ALL: [Self; 3] = [Self::Users, Self::Checkout, Self::Metadata];

    /// The value of the column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Checkout => "checkout",
            Self::Metadata => "metadata",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// That a customer is somebody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Whose.
    pub sub: String,
    /// Who said so.
    pub kind: LinkKind,
    /// When that was said.
    pub at: Timestamp,
    /// By which event.
    pub event: String,
}

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// Stripe's id.
    pub id: String,
    /// Whose it is, as was said last.
    pub link: Option<Link>,
    /// Whether it still exists.
    pub life: Life,
    /// Grows with every event, so that two that come at once do not overwrite each other. 0: not stored yet.
    pub version: u64,
}

/// Whether a customer still exists. It never does again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It does.
    Alive,
    /// It was deleted, and its subscriptions ended with it.
    Deleted,
}

impl Customer {
    /// A customer of whom nothing is known.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            link: None,
            life: Life::Alive,
            version: 0,
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn sub(&self) -> Option<&str> {
        self.link.as_ref().map(|link| link.sub.as_str())
    }

    /// Notes whose it is; the stronger word holds, of equals the later, whatever came first. The same again is no news.
    pub fn learn(&mut self, link: Link) {
        let order = |link: &Link| (link.kind, link.at, link.event.clone());
        if self
            .link
            .as_ref()
            .is_none_or(|known| order(known) < order(&link))
        {
            self.link = Some(link);
        }
    }
}
