//! Where an audit goes on: it is done in steps, each small enough for one request.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// What is looked at next, and after which id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Position {
    /// The rows of `plans`.
    Plans,
    /// Users, their meters and their subscriptions.
    Users {
        /// The last user that was looked at.
        after: u64,
    },
    /// Whose calls are of users who are not there.
    Usage {
        /// The last user that was looked at.
        after: u64,
    },
    /// The JSON of tool calls.
    Logs {
        /// The last log that was looked at.
        after: String,
    },
    /// Customers.
    Customers {
        /// The last one that was looked at.
        after: String,
    },
    /// Events that were not applied, and what is stored with events.
    Events {
        /// The last row that was looked at.
        after: u64,
    },
    /// Whom the identity issuer knows: its listing is fetched.
    Listing {
        /// The listing's id; none before the first page.
        listing: Option<String>,
        /// From which moment of registration on.
        from: String,
        /// The page from there.
        page: u32,
    },
    /// Whom the listing has.
    Identities {
        /// The last one that was looked at.
        after: String,
    },
    /// Users whom the listing does not have.
    Unlisted {
        /// The last user that was looked at.
        after: u64,
    },
    /// Subscriptions, as Stripe lists them.
    Subscriptions {
        /// The last one that was looked at.
        after: String,
    },
    /// Everything was looked at.
    Done,
}

/// A position as it is stored. It has the members of every phase: a decoder for each of them would be ten times as large.
#[derive(Deserialize)]
struct Stored {
    phase: String,
    after: Option<Value>,
    listing: Option<String>,
    from: Option<String>,
    page: Option<u32>,
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Stored::deserialize(deserializer)?
            .position()
            .ok_or_else(|| D::Error::custom("no position"))
    }
}

impl Stored {
    fn position(self) -> Option<Position> {
        let id = || self.after.as_ref().and_then(Value::as_u64);
        let text = || {
            self.after
                .as_ref()
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        Some(match self.phase.as_str() {
            "plans" => Position::Plans,
            "users" => Position::Users { after: id()? },
            "usage" => Position::Usage { after: id()? },
            "logs" => Position::Logs { after: text()? },
            "customers" => Position::Customers { after: text()? },
            "events" => Position::Events { after: id()? },
            "listing" => Position::Listing {
                listing: self.listing,
                from: self.from?,
                page: self.page?,
            },
            "identities" => Position::Identities { after: text()? },
            "unlisted" => Position::Unlisted { after: id()? },
            "subscriptions" => Position::Subscriptions { after: text()? },
            "done" => Position::Done,
            _ => return None,
        })
    }
}

impl Position {
    /// Where an audit begins.
    pub const FIRST: Self = Self::Plans;

    /// What comes when all of this was looked at.
    #[must_use]
    pub const fn next(&self) -> Self {
        match self {
            Self::Plans => Self::Users { after: 0 },
            Self::Users { .. } => Self::Usage { after: 0 },
            Self::Usage { .. } => Self::Logs {
                after: String::new(),
            },
            Self::Logs { .. } => Self::Customers {
                after: String::new(),
            },
            Self::Customers { .. } => Self::Events { after: 0 },
            Self::Events { .. } => Self::Listing {
                listing: None,
                from: String::new(),
                page: 0,
            },
            Self::Listing { .. } => Self::Identities {
                after: String::new(),
            },
            Self::Identities { .. } => Self::Unlisted { after: 0 },
            Self::Unlisted { .. } => Self::Subscriptions {
                after: String::new(),
            },
            Self::Subscriptions { .. } | Self::Done => Self::Done,
        }
    }
}
