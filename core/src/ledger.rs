//! What a meter does with a call, step by step. Each step takes what was found and yields what is to be stored and
//! answered; whoever keeps the ledger stores all of it or none, and waits for nothing in between.
//!
//! A call is admitted, which opens it and charges it; it is settled, which closes it and may take the charge back; its
//! row then waits in the outbox until the database has it. So a call is in one place at a time, and its charge is taken
//! back at most once: when it is closed.

use crate::account::{Account, ProfileColumns};
use crate::call::{CallEnd, CallStart, CallStatus, Called, Settled, Settler, Toll};
use crate::called_off::{Awaited, CalledOffLately, Exchange};
use crate::history::{HistoryRow, Paid, row};
use crate::idempotency::KeyedCall;
use crate::quota::{Charge, Decision, ToolCall, Usage, charge, decide_within, refund};
use crate::time::{DAY_MILLIS, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a call may stay open before it is closed with its outcome unknown.
pub const UNSETTLED_AFTER_MILLIS: i64 = 10 * 60 * 1000;

/// How long a key is remembered: longer than any monthly period.
pub const KEYS_KEPT_MILLIS: i64 = 62 * DAY_MILLIS;

/// How often a call may be sent again under its key. Retries, many at once among them, need far fewer; a caller who sends
/// every call under one key would be served without end for the price of one.
pub const MAX_REPEATS: u32 = 100;

/// A call that asks to be admitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The id it will have.
    pub id: String,
    /// What it takes.
    pub toll: Toll,
    /// What is known of it.
    pub start: CallStart,
    /// Who will say how it ended.
    pub settler: Settler,
    /// The caller's name for it, where it may be sent twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyed: Option<KeyedCall>,
    /// The request that it is to an MCP server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
}

/// A call that was admitted and has no outcome yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenCall {
    /// Its id.
    pub id: String,
    /// What was charged.
    pub charge: Charge,
    /// What is known of it.
    pub start: CallStart,
    /// Who may settle it.
    pub settler: Settler,
    /// When it was admitted.
    pub admitted_at: Timestamp,
    /// The request that it is to an MCP server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
    /// Whether its caller waits for it.
    #[serde(default, skip_serializing_if = "Awaited::is_still")]
    pub awaited: Awaited,
}

/// A key that names a call, and what was decided about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredKey {
    /// The caller's name and what identifies the call.
    pub keyed: KeyedCall,
    /// The call it names.
    pub call: String,
    /// What was decided.
    pub decision: Decision,
    /// When.
    pub at: Timestamp,
}

/// What was found of a key.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownKey {
    /// As it was stored.
    pub stored: StoredKey,
    /// Its call, while that is open.
    pub open: Option<OpenCall>,
    /// How often it was sent again.
    pub repeats: u32,
}

/// A call that is admitted now: all of it is to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// What to answer.
    pub decision: Decision,
    /// The usage with the charge.
    pub usage: Usage,
    /// The call.
    pub open: OpenCall,
    /// Its key.
    pub key: Option<StoredKey>,
}

/// What becomes of a candidate.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It is admitted.
    Open(Box<Opening>),
    /// It was admitted before, under its key: nothing is charged.
    Repeat {
        /// The first decision.
        decision: Decision,
        /// The first call.
        call: String,
        /// When it was decided.
        at: Timestamp,
    },
    /// It is refused for lack of quota.
    Refuse(Decision),
    /// Its key names another call.
    KeyReused,
    /// Its key was sent too often.
    KeyWornOut,
    /// The call of its key, or of its id in its session, has no outcome yet.
    InProgress,
}

/// Decides on a candidate. `known` is what was found of its key; `open` are the calls of its user that are under way;
/// `lately` is what they called off, before it came or while it is on its way.
#[must_use]
pub fn admit<'o>(
    account: &Account,
    candidate: Candidate,
    known: Option<KnownKey>,
    open: impl Iterator<Item = &'o OpenCall> + Clone,
    lately: &CalledOffLately,
    now: Timestamp,
) -> Step {
    if let (Some(keyed), Some(known)) = (&candidate.keyed, known) {
        return repeat(keyed, &candidate.settler, known);
    }
    let is_twin = |exchange: &Exchange| {
        let mut open = open.clone();
        exchange.session.is_some() && open.any(|call| call.exchange.as_ref() == Some(exchange))
    };
    if candidate.exchange.as_ref().is_some_and(is_twin) {
        return Step::InProgress;
    }
    let (entitlement, usage) = (&account.entitlement, &account.usage);
    let (decision, charged) = match candidate.toll {
        Toll::Charged { cost, channel } => charge(entitlement, usage, cost, channel, now),
        Toll::WithinToolCall => within(account, open, now),
    };
    let Some((usage, charge)) = charged else {
        return Step::Refuse(decision);
    };
    let key = candidate.keyed.map(|keyed| StoredKey {
        keyed,
        call: candidate.id.clone(),
        decision: decision.clone(),
        at: now,
    });
    Step::Open(Box::new(Opening {
        decision,
        usage,
        open: OpenCall {
            id: candidate.id,
            charge,
            start: candidate.start,
            settler: candidate.settler,
            admitted_at: now,
            awaited: lately.awaited(candidate.exchange.as_ref(), now),
            exchange: candidate.exchange,
        },
        key,
    }))
}

/// A call under a key that was seen before.
fn repeat(keyed: &KeyedCall, settler: &Settler, known: KnownKey) -> Step {
    let KnownKey {
        stored,
        open,
        repeats,
    } = known;
    if stored.keyed.fingerprint != keyed.fingerprint {
        return Step::KeyReused;
    }
    // A reservation has its answer as soon as it is made; a call that is passed on has it when it is over.
    match (settler, open) {
        (Settler::Gateway, Some(_)) => Step::InProgress,
        _ if repeats >= MAX_REPEATS => Step::KeyWornOut,
        _ => Step::Repeat {
            decision: stored.decision,
            call: stored.call,
            at: stored.at,
        },
    }
}

fn within<'o>(
    account: &Account,
    mut open: impl Iterator<Item = &'o OpenCall>,
    now: Timestamp,
) -> (Decision, Option<(Usage, Charge)>) {
    let tool_call = match open.any(|call| matches!(call.start.called, Called::Tool(_))) {
        true => ToolCall::UnderWay,
        false => ToolCall::None,
    };
    let decision = decide_within(&account.entitlement, &account.usage, tool_call, now);
    let charged = match &decision {
        Decision::Admit(admission) => {
            let charge = Charge {
                cost: 0,
                channel: Toll::WithinToolCall.channel(),
                period: admission.period_end.map(|_| admission.period_start),
            };
            Some((account.usage.clone(), charge))
        }
        Decision::Refuse(_) => None,
    };
    (decision, charged)
}

/// A call that ended: all of it is to be stored, and the call is open no more.
#[derive(Debug, Clone, PartialEq)]
pub struct Closing {
    /// What the history says.
    pub row: HistoryRow,
    /// The usage with the charge taken back, where it was.
    pub refunded: Option<Usage>,
    /// What becomes of the call's key.
    pub key: KeyAfter,
}

/// What becomes of the key of a call that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAfter {
    /// It names the call still.
    Kept,
    /// It is free again: a call that was taken back never was, and may be tried again.
    Freed,
}

/// Closes an open call. One that its caller called off is charged, however it ended: that no answer came may be their doing.
#[must_use]
pub fn close(account: &Account, open: OpenCall, end: CallEnd) -> Closing {
    let end = match (open.awaited, end.settled) {
        (Awaited::NoMore, Settled::Refunded) => CallEnd {
            settled: Settled::Charged,
            error: Some("called off by the caller".to_owned()),
            ..end
        },
        _ => end,
    };
    let refunded = (end.settled == Settled::Refunded).then(|| refund(&account.usage, open.charge));
    Closing {
        key: match refunded {
            Some(_) => KeyAfter::Freed,
            None => KeyAfter::Kept,
        },
        row: row(
            &open.id,
            account.user.id,
            open.start,
            end,
            Paid::From(open.charge),
            open.admitted_at,
        ),
        refunded,
    }
}

/// Closes a call that was over when it was reported: it is not tried again, whatever it cost, so its key stays its own.
#[must_use]
pub fn close_reported(account: &Account, open: OpenCall, end: CallEnd) -> Closing {
    Closing {
        key: KeyAfter::Kept,
        ..close(account, open, end)
    }
}

/// A call that was reported with nothing left: all of it is to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct OverLimit {
    /// What the history says.
    pub row: HistoryRow,
    /// Its key.
    pub key: Option<StoredKey>,
}

/// Keeps a call that was reported with nothing left: data is never lost.
#[must_use]
pub fn over_limit(
    account: &Account,
    candidate: Candidate,
    end: CallEnd,
    decision: Decision,
    at: Timestamp,
) -> OverLimit {
    let paid = Paid::OverLimit(candidate.toll.channel());
    OverLimit {
        key: candidate.keyed.map(|keyed| StoredKey {
            keyed,
            call: candidate.id.clone(),
            decision,
            at,
        }),
        row: row(
            &candidate.id,
            account.user.id,
            candidate.start,
            end,
            paid,
            at,
        ),
    }
}

crate::row! { Outcome { status, cost } }

/// How a call that is not open ended, as its row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// In one word.
    pub status: CallStatus,
    /// What it cost in the end.
    pub cost: u32,
}

impl From<&HistoryRow> for Outcome {
    fn from(row: &HistoryRow) -> Self {
        Self {
            status: row.status,
            cost: row.cost,
        }
    }
}

impl Outcome {
    /// A settlement of a call that is settled: the same again is answered as the first one was.
    ///
    /// # Errors
    /// What was settled, when it was something else.
    pub fn again(self, end: &CallEnd) -> Result<Self, Self> {
        if self.is_of(end) { Ok(self) } else { Err(self) }
    }

    fn is_of(self, end: &CallEnd) -> bool {
        let charged = match end.settled {
            Settled::Charged => self.cost > 0,
            Settled::Refunded => self.cost == 0,
        };
        self.status == end.status && charged
    }
}

/// How long an entitlement is believed without asking the database, should nobody tell the meter of a change.
const BELIEVED_MILLIS: i64 = 10 * 60 * 1000;
/// How long it is believed while the database does not answer: who paid is not locked out by an outage.
const OUTAGE_MILLIS: i64 = DAY_MILLIS;

/// How long what a token says of its user may wait while calls are made.
const NAMES_WAIT_MILLIS: i64 = 60 * 1000;

/// Whether a call may be decided though its token says another name than the database did at `asked_at`. Two valid tokens
/// can say different things; taking turns they would have the database asked with every call.
#[must_use]
pub fn names_wait(asked_at: Timestamp, now: Timestamp) -> bool {
    (0..NAMES_WAIT_MILLIS).contains(&now.since(asked_at))
}

/// Whether what the database said at `asked_at` is believed at `now`.
#[must_use]
pub fn is_believed(asked_at: Timestamp, now: Timestamp) -> bool {
    (0..BELIEVED_MILLIS).contains(&now.since(asked_at))
}

/// Whether it is while the database does not answer. A clock that was set back is no reason not to.
#[must_use]
pub fn outlives_outage(asked_at: Timestamp, now: Timestamp) -> bool {
    now.since(asked_at) < OUTAGE_MILLIS
}

/// What a meter knows of its user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// Where the user stands.
    pub account: Account,
    /// What only a profile shows.
    pub columns: ProfileColumns,
    /// When the database was last asked.
    pub asked_at: Timestamp,
}

/// What a meter knows after the database was asked. Answers may overtake each other: the one with the newer entitlement holds,
/// and of two with the same the one that was asked for later. Usage is the meter's own; one that is new begins with
/// what the database has of it.
#[must_use]
pub fn learn(known: Option<Known>, said: Known) -> Known {
    let Some(known) = known else {
        return said;
    };
    let asked_at = known.asked_at.max(said.asked_at);
    let age = |known: &Known| (known.account.entitlement.version, known.asked_at);
    let (usage, latest) = match age(&known) > age(&said) {
        true => (known.account.usage.clone(), known),
        false => (known.account.usage, said),
    };
    Known {
        account: Account {
            usage,
            ..latest.account
        },
        asked_at,
        ..latest
    }
}
