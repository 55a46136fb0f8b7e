//! Taking over the databases of the old services: what a table is, what becomes of each of its rows, and from what the
//! meters go on. Told in `docs/adoption.md`.
//!
//! Every row of an old database is carried over, or refused with its [`Reason`] and kept in quarantine. A value of a carried
//! row that has no place in the new one is set aside, likewise in quarantine. Reading and writing are the `adopt` program's.

pub mod clients;
pub mod events;
pub mod history;
pub mod identity;
pub mod moment;
pub mod opening;
pub mod payments;
pub mod plans;
pub mod shape;
pub mod users;
pub mod value;

pub use value::{Columns, OldRow, OldValue};

/// Why a row, or a part of it, is in quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It belongs to a user that the old database does not have.
    NoSuchUser,
    /// A user whom nobody could sign in as.
    NoIdentity,
    /// A second row of one user.
    DuplicateUser,
    /// A second row of what there is once: an event, an invoice, a client.
    Duplicate,
    /// Nobody can tell when it was.
    UnreadableTimestamp,
    /// It lacks what it cannot be without.
    MissingValue,
    /// It says what cannot be.
    InvalidValue,
    /// A plan of a name that no plan has.
    UnknownPlan,
    /// It is larger than a row may be.
    TooLarge,
    /// A row of a table that is not one of the old services'.
    UnknownTable,
    /// No row: what of a row that was carried over has no place in the new one.
    ValuesAside,
}

impl Reason {
    /// The value of the column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoSuchUser => "no_such_user",
            Self::NoIdentity => "no_identity",
            Self::DuplicateUser => "duplicate_user",
            Self::Duplicate => "duplicate",
            Self::UnreadableTimestamp => "unreadable_timestamp",
            Self::MissingValue => "missing_value",
            Self::InvalidValue => "invalid_value",
            Self::UnknownPlan => "unknown_plan",
            Self::TooLarge => "too_large",
            Self::UnknownTable => "unknown_table",
            Self::ValuesAside => "values_aside",
        }
    }
}

/// That a row has no place in the new database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// Which column, or what else helps to mend it.
    pub detail: String,
}

impl Refused {
    /// Refuses for `reason`.
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

/// A row that is carried over.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried<T> {
    /// As it is in the new database.
    pub row: T,
    /// What of it has no place there: a JSON object of the old columns.
    pub aside: Option<String>,
}
