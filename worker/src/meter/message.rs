//! What is said to a meter and what it answers.

use crate::failure::Failure;
use legis_core::account::{Account, Identity};
use legis_core::history::{CallEnd, CallStart};
use legis_core::idempotency::KeyedCall;
use legis_core::problem::{Dependency, Problem};
use legis_core::quota::{Channel, Decision};
use legis_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What is said.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Message {
    /// May this call be made?
    Admit(Admission),
    /// This call is over.
    Settle(Settlement),
    /// Where does the user stand? Costs nothing.
    Account {
        identity: Identity,
        knowledge: Knowledge,
    },
}

/// How new what is known of a user must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Knowledge {
    /// As the meter has it, if it is not old.
    Recent,
    /// As the database has it now.
    Fresh,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Admission {
    pub(crate) call: String,
    pub(crate) identity: Identity,
    pub(crate) cost: u32,
    pub(crate) channel: Channel,
    pub(crate) start: CallStart,
    /// The caller's name for the call, where it may be sent twice.
    pub(crate) keyed: Option<KeyedCall>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Settlement {
    pub(crate) call: String,
    pub(crate) end: CallEnd,
}

/// What a meter answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Reply {
    Decided(Decided),
    Settled,
    Account { account: Account },
    Failed { fault: Fault, reason: String },
}

/// A decision about a call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Decided {
    pub(crate) decision: Decision,
    /// The meter's time, from which waiting is counted.
    pub(crate) now: Timestamp,
    /// The call's id: the first one's, where the call was sent before.
    pub(crate) call: String,
    pub(crate) charge: Charging,
}

/// Whether a decided call is charged now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Charging {
    /// It is, and must be settled.
    Now,
    /// It was, when it was sent first.
    Before,
}

/// The failures of a meter that its asker must tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    KeyReused,
    CallInProgress,
    MeterUnavailable,
    DatabaseUnavailable,
    DatabaseTimedOut,
    SchemaMismatch,
    Misconfigured,
    Internal,
}

impl Reply {
    pub(crate) fn failed(failure: &Failure) -> Self {
        let fault = match failure.problem {
            Problem::KeyReused => Fault::KeyReused,
            Problem::CallInProgress => Fault::CallInProgress,
            Problem::Unavailable(Dependency::Meter) => Fault::MeterUnavailable,
            Problem::Unavailable(_) => Fault::DatabaseUnavailable,
            Problem::TimedOut(_) => Fault::DatabaseTimedOut,
            Problem::SchemaMismatch => Fault::SchemaMismatch,
            Problem::Misconfigured => Fault::Misconfigured,
            _ => Fault::Internal,
        };
        Self::Failed {
            fault,
            reason: failure.reason.clone(),
        }
    }
}

impl Fault {
    pub(crate) const fn problem(self) -> Problem {
        match self {
            Self::KeyReused => Problem::KeyReused,
            Self::CallInProgress => Problem::CallInProgress,
            Self::MeterUnavailable => Problem::Unavailable(Dependency::Meter),
            Self::DatabaseUnavailable => Problem::Unavailable(Dependency::Database),
            Self::DatabaseTimedOut => Problem::TimedOut(Dependency::Database),
            Self::SchemaMismatch => Problem::SchemaMismatch,
            Self::Misconfigured => Problem::Misconfigured,
            Self::Internal => Problem::Internal,
        }
    }
}
