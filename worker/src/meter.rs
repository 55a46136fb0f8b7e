//! The meter: one Durable Object for each user. It alone admits calls; one object is one thread, so admission is
//! exact. Between reading what is used and writing what is used, nothing is awaited.

pub(crate) mod client;
mod knowledge;
mod ledger;
pub(crate) mod message;
mod outbox;

use crate::clock;
use crate::failure::{Failure, Outcome};
use crate::log;
use futures_util::lock::Mutex;
use knowledge::{Questions, is_outage};
use ledger::Ledger;
use legis_core::account::Identity;
use legis_core::call::{CallEnd, Settled, Settler};
use legis_core::evaluate::json;
use legis_core::ledger::{Candidate, Step, admit, over_limit};
use legis_core::problem::Problem;
use legis_core::quota::{Decision, returned};
use legis_core::time::Timestamp;
use message::{Charging, Decided, Knowledge, Message, Reply};
use outbox::Pending;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::worker_sys::DurableObjectState;
use worker::{Env, State};

/// How long rows wait in the outbox, so that several go together.
const FLUSH_AFTER_MILLIS: i64 = 5_000;
/// How long after a failure the history is tried again.
const RETRY_AFTER_MILLIS: i64 = 30_000;

/// The object, as `entry.js` holds it.
#[wasm_bindgen]
pub struct Meter {
    state: State,
    env: Env,
    ledger: RefCell<Option<Rc<Ledger>>>,
    questions: Questions,
    flushing: Mutex<()>,
    /// When the alarm goes off, as far as this instance knows; it may have been set by an earlier one.
    alarm: Cell<Option<i64>>,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Meter")
    }
}

#[wasm_bindgen]
impl Meter {
    /// A meter on the storage of an object.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        Self {
            state: State::from(state),
            env,
            ledger: RefCell::default(),
            questions: Questions::default(),
            flushing: Mutex::default(),
            alarm: Cell::default(),
        }
    }

    /// Answers a message; both are JSON. Every failure is an answer too.
    pub async fn ask(&self, message: String) -> String {
        let answer = async {
            let message = serde_json::from_str(&message)
                .map_err(|error| Failure::corrupt("message to the meter", error))?;
            self.handle(message).await
        };
        // The asking worker has the log line of the call; the reason goes there.
        let reply = answer
            .await
            .unwrap_or_else(|failure| Reply::failed(&failure));
        String::from_utf8(json(&reply)).unwrap_or_default()
    }

    /// Does what is due. A failure is tried again later; it is never the platform's to count, because after a few it
    /// would give up.
    pub async fn alarm(&self) {
        self.alarm.set(None);
        let again = match self.tidy().await {
            Ok(Pending::Nothing) => return,
            Ok(Pending::Rows) => FLUSH_AFTER_MILLIS,
            Ok(Pending::Calls) => legis_core::ledger::UNSETTLED_AFTER_MILLIS,
            Err(failure) => {
                log::event("history_not_written", &failure);
                RETRY_AFTER_MILLIS
            }
        };
        self.wake_after(again).await;
    }
}

impl Meter {
    async fn handle(&self, message: Message) -> Outcome<Reply> {
        let ledger = self.ledger()?;
        match message {
            Message::Admit {
                identity,
                candidate,
            } => self.admit(&ledger, &identity, candidate).await,
            Message::Report {
                identity,
                candidate,
                end,
            } => self.report(&ledger, &identity, candidate, end).await,
            Message::Settle { call, by, end } => self.settle(&ledger, &call, &by, end).await,
            Message::GiveUp { call, end } => self.give_up(&ledger, &call, end).await,
            Message::Account {
                identity,
                knowledge,
                said,
            } => {
                self.know(&ledger, &identity, knowledge, said.as_ref())
                    .await?;
                let known = ledger.known().ok_or_else(unregistered)?;
                Ok(Reply::Account(Box::new(known)))
            }
            Message::Flush => {
                self.flush(&ledger).await?;
                Ok(Reply::Flushed)
            }
        }
    }

    /// The ledger, opened once in the life of this instance.
    fn ledger(&self) -> Outcome<Rc<Ledger>> {
        if let Some(ledger) = self.ledger.borrow().as_ref() {
            return Ok(Rc::clone(ledger));
        }
        let ledger = Rc::new(Ledger::open(self.state.storage())?);
        self.ledger.replace(Some(Rc::clone(&ledger)));
        Ok(ledger)
    }

    /// Admits a call, or refuses it with everything the refusal needs.
    async fn admit(
        &self,
        ledger: &Ledger,
        identity: &Identity,
        candidate: Candidate,
    ) -> Outcome<Reply> {
        self.learn_before(ledger, identity, &candidate).await?;
        if ledger.is_given_up(&candidate.id) {
            return Err(Failure::new(
                Problem::Internal,
                "the caller gave the call up",
            ));
        }
        // From here to the last write nothing is awaited. What was read before an await may be old by now.
        let (step, reply) = decide(ledger, &candidate)?;
        match step {
            Step::Open(opening) => {
                ledger.store(&opening)?;
                self.wake_after(FLUSH_AFTER_MILLIS).await;
                Ok(reply.admitted(opening.decision, candidate.id))
            }
            Step::Repeat { decision, call, at } => Ok(reply.repeated(decision, call, at)),
            Step::Refuse(decision) => Ok(reply.refused(decision, candidate.id)),
            Step::KeyReused => Err(Problem::KeyReused.into()),
            Step::InProgress => Err(Problem::CallInProgress.into()),
        }
    }

    /// Stores a call that was made already. When nothing is left it is stored all the same.
    async fn report(
        &self,
        ledger: &Ledger,
        identity: &Identity,
        candidate: Candidate,
        end: CallEnd,
    ) -> Outcome<Reply> {
        match self.learn_before(ledger, identity, &candidate).await {
            // Nothing is left, and nobody can say whether more was paid for. The call was made; its log is not lost.
            Err(failure) if is_outage(&failure) && ledger.known().is_some() => {}
            learnt => learnt?,
        }
        let (step, reply) = decide(ledger, &candidate)?;
        let reply = match step {
            Step::Open(opening) => {
                let decision = settled(opening.decision.clone(), end.settled);
                ledger.store(&opening)?;
                self.close(ledger, opening.open, end)?;
                reply.admitted(decision, candidate.id)
            }
            Step::Refuse(decision) => {
                let call = candidate.id.clone();
                let known = ledger.known().ok_or_else(unregistered)?;
                ledger.keep(&over_limit(
                    &known.account,
                    candidate,
                    end,
                    decision.clone(),
                    clock::now(),
                ))?;
                reply.refused(decision, call)
            }
            Step::Repeat { decision, call, at } => return Ok(reply.repeated(decision, call, at)),
            Step::KeyReused => return Err(Problem::KeyReused.into()),
            Step::InProgress => return Err(Problem::CallInProgress.into()),
        };
        self.wake_after(FLUSH_AFTER_MILLIS).await;
        Ok(reply)
    }

    /// Learns what a decision needs. A paid upgrade must work on the very next call: nobody is refused on old knowledge.
    async fn learn_before(
        &self,
        ledger: &Ledger,
        identity: &Identity,
        candidate: &Candidate,
    ) -> Outcome<()> {
        self.know(ledger, identity, Knowledge::Recent, None).await?;
        match decide(ledger, candidate)?.0 {
            Step::Refuse(_) => self.know(ledger, identity, Knowledge::Fresh, None).await,
            _ => Ok(()),
        }
    }

    /// Closes a call: charged, or taken back when our side or the upstream failed. Again changes nothing.
    async fn settle(
        &self,
        ledger: &Ledger,
        call: &str,
        by: &Settler,
        end: CallEnd,
    ) -> Outcome<Reply> {
        match ledger.open_call(call) {
            Some(open) if open.settler == *by => {
                let outcome = self.close(ledger, open, end)?;
                self.wake_after(FLUSH_AFTER_MILLIS).await;
                Ok(Reply::Settled { outcome })
            }
            // Somebody else's to settle: for this one it is not there.
            Some(_) => Ok(Reply::NotOpen { outcome: None }),
            None => Ok(Reply::NotOpen {
                outcome: ledger.unsent(call)?.as_ref().map(Into::into),
            }),
        }
    }

    /// Takes a call back whose admission nobody heard of. It may still be on its way; then it must not charge.
    async fn give_up(&self, ledger: &Ledger, call: &str, end: CallEnd) -> Outcome<Reply> {
        match ledger.open_call(call) {
            Some(open) => drop(self.close(ledger, open, end)?),
            None => ledger.give_up(call, clock::now())?,
        }
        self.wake_after(FLUSH_AFTER_MILLIS).await;
        Ok(Reply::GivenUp)
    }

    /// Sees to it that the alarm goes off in `millis` at the latest. What was done stands, with or without: an alarm
    /// that cannot be set is set with the next call.
    async fn wake_after(&self, millis: i64) {
        let at = clock::now().plus_millis(millis).millis();
        if self.alarm.get().is_some_and(|known| known <= at) {
            return;
        }
        match self.state.storage().set_alarm(millis).await {
            Ok(()) => self.alarm.set(Some(at)),
            Err(error) => worker::console_error!("the alarm could not be set: {error}"),
        }
    }
}

/// What becomes of a candidate as things are now, and what a reply about it says beside.
fn decide(ledger: &Ledger, candidate: &Candidate) -> Outcome<(Step, Grounds)> {
    let now = clock::now();
    let key = match &candidate.keyed {
        Some(keyed) => ledger.key(&keyed.key)?,
        None => None,
    };
    let tool_call = ledger.tool_call();
    ledger.with_known(|known| {
        let known = known.ok_or_else(unregistered)?;
        let grounds = Grounds {
            now,
            version: known.account.entitlement.version,
            asked_at: known.asked_at,
        };
        let step = admit(&known.account, candidate.clone(), key, tool_call, now);
        Ok((step, grounds))
    })
}

/// What a decision stands on.
struct Grounds {
    now: Timestamp,
    version: u64,
    asked_at: Timestamp,
}

impl Grounds {
    fn admitted(self, decision: Decision, call: String) -> Reply {
        let now = self.now;
        self.reply(decision, call, now, Charging::Now)
    }

    fn refused(self, decision: Decision, call: String) -> Reply {
        let now = self.now;
        self.reply(decision, call, now, Charging::Before)
    }

    fn repeated(self, decision: Decision, call: String, at: Timestamp) -> Reply {
        self.reply(decision, call, at, Charging::Before)
    }

    fn reply(self, decision: Decision, call: String, at: Timestamp, charging: Charging) -> Reply {
        Reply::Decided(Box::new(Decided {
            decision,
            now: self.now,
            call,
            at,
            charging,
            version: self.version,
            asked_at: self.asked_at,
        }))
    }
}

/// The decision as it stands once the call is over.
pub(crate) fn settled(decision: Decision, settled: Settled) -> Decision {
    match (decision, settled) {
        (Decision::Admit(admission), Settled::Refunded) => Decision::Admit(returned(&admission)),
        (decision, _) => decision,
    }
}

fn unregistered() -> Failure {
    Failure::new(Problem::Internal, "a meter without a user")
}
