//! What is said to a meter and what it answers.

use crate::failure::Failure;
use legis_core::account::{Identity, SessionProps};
use legis_core::audit::repair::Tally;
use legis_core::call::{CallEnd, Settler};
use legis_core::called_off::CalledOff;
use legis_core::entitlement::Entitlement;
use legis_core::ledger::{Candidate, Known, Outcome};
use legis_core::payload::Registration;
use legis_core::problem::{Dependency, Problem};
use legis_core::quota::{Decision, Usage};
use legis_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What is said.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    /// May this call be made?
    Admit {
        identity: Identity,
        candidate: Candidate,
    },
    /// This call was made already, and ended so.
    Report {
        identity: Identity,
        candidate: Candidate,
        end: CallEnd,
    },
    /// This call is over, as the service says that reserved it.
    Settle {
        call: String,
        by: Settler,
        end: CallEnd,
    },
    /// This call is over, as the gateway saw.
    End { call: String, end: CallEnd },
    /// Nobody waits for this call any more.
    GiveUp { call: String, end: CallEnd },
    /// Where does the user stand? Costs nothing.
    Account {
        identity: Identity,
        knowledge: Knowledge,
        said: Option<Registration>,
        /// What they call off by what they ask.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        called_off: Option<CalledOff>,
    },
    /// This is what the database says of the user now.
    Learn { known: Box<Known> },
    /// Bring the history to the database now.
    Flush,
    /// Bring the history to the database, then say what is counted and held.
    Inspect,
    /// Count `to` from now on, if `from` is what is counted, and report it.
    Correct { from: Usage, to: Usage },
}

/// How new what is known of a user must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Knowledge {
    /// What a decision needs: as the meter has it, if it is not old. A new name or address may wait a minute.
    Enough,
    /// As the meter has it, if it is not old and the token says nothing else.
    Recent,
    /// As the database has it now.
    Fresh,
}

/// What a meter answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Decided(Box<Decided>),
    Settled {
        outcome: Outcome,
    },
    /// No such call is open; if it waits in the outbox, so it ended.
    NotOpen {
        outcome: Option<Outcome>,
    },
    /// It was told; there is nothing to answer.
    Told,
    Account(Box<Known>),
    Flushed,
    /// None from a meter that never heard of its user.
    Inspected {
        meter: Option<Box<Inspected>>,
    },
    Corrected(Corrected),
    Failed {
        fault: Fault,
        reason: String,
    },
}

/// What a meter has.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Inspected {
    pub(crate) entitlement: Entitlement,
    pub(crate) usage: Usage,
    #[serde(with = "millis")]
    pub(crate) asked_at: Timestamp,
    /// What calls that are open were charged of the one-time allowance.
    pub(crate) lifetime_open: Tally,
    /// What they were charged in the period of `usage`.
    pub(crate) period_open: Tally,
}

/// What became of a correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Corrected {
    /// It is counted so now, and the reported columns say so.
    Done,
    /// Something else is counted meanwhile.
    Stale,
}

/// A decision about a call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Decided {
    pub(crate) decision: Decision,
    /// The meter's time, from which waiting is counted.
    #[serde(with = "millis")]
    pub(crate) now: Timestamp,
    /// The call's id: the first one's, where the call was sent before.
    pub(crate) call: String,
    /// When it was decided on: the first time, where the call was sent before.
    #[serde(with = "millis")]
    pub(crate) at: Timestamp,
    pub(crate) charging: Charging,
    /// The version of the entitlement that was decided on.
    pub(crate) version: u64,
    /// When the database was last asked about it.
    #[serde(with = "millis")]
    pub(crate) asked_at: Timestamp,
    /// Whose call it is, where a tool is called: its server is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<Box<SessionProps>>,
}

/// Moments as numbers: both ends are ours, and texts cost.
mod millis {
    use legis_core::time::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_i64(at.millis())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Timestamp, D::Error> {
        Timestamp::from_millis(i64::deserialize(input)?).ok_or_else(|| D::Error::custom("moment"))
    }
}

/// Whether a decided call is charged now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Charging {
    /// It is, and must be settled.
    Now,
    /// It is not: it was when it was sent first, or it is refused.
    NotNow,
}

/// The failures of a meter that its asker must tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    KeyReused,
    KeyWornOut,
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
            Problem::KeyWornOut => Fault::KeyWornOut,
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
            Self::KeyWornOut => Problem::KeyWornOut,
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
