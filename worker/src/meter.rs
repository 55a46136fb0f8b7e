//! The meter: one Durable Object for each user. It alone admits calls; one object is one thread, so admission is
//! exact. Between reading what is used and writing what is used, nothing is awaited.

pub(crate) mod client;
mod knowledge;
mod ledger;
pub(crate) mod message;
mod outbox;
mod refusals;
mod storage;

use crate::clock;
use crate::failure::{Failure, Outcome};
use crate::log;
use futures_util::lock::Mutex;
use js_sys::Promise;
use knowledge::Questions;
use ledger::Ledger;
use legis_core::account::{Identity, SessionProps, session_props};
use legis_core::call::{CallEnd, Called, Settler};
use legis_core::evaluate::json_text;
use legis_core::json;
use legis_core::ledger::{Candidate, Step, UNSETTLED_AFTER_MILLIS, close_reported, over_limit};
use legis_core::outbox::{FLUSH_AFTER_MILLIS, Setback};
use legis_core::problem::{Dependency, Problem};
use legis_core::quota::{Decision, settled};
use legis_core::time::Timestamp;
use message::{Charging, Corrected, Decided, Knowledge, Message, Reply};
use outbox::{Columns, Pending};
use refusals::Refusals;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::future_to_promise;
use worker::worker_sys::DurableObjectState;
use worker::{Env, State};

/// The object, as `entry.js` holds it.
#[wasm_bindgen(js_name = Meter)]
pub struct Object(Rc<Meter>);

impl std::fmt::Debug for Object {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Meter")
    }
}

#[wasm_bindgen(js_class = Meter)]
impl Object {
    /// A meter on the storage of an object.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        Self(Rc::new(Meter {
            state: State::from(state),
            env,
            ledger: RefCell::default(),
            questions: Questions::default(),
            flushing: Mutex::default(),
            columns: Cell::default(),
            refusals: Refusals::default(),
            forgot_keys: Cell::default(),
            alarm: Cell::default(),
        }))
    }

    /// Answers a message; both are JSON. Every failure is an answer too. Where nothing has to be waited for, which is
    /// nearly always, the answer is the text itself; otherwise a promise of it.
    #[must_use]
    pub fn ask(&self, message: String) -> JsValue {
        let meter = Rc::clone(&self.0);
        let mut answer = Box::pin(async move { meter.answer(&message).await });
        match answer
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(reply) => JsValue::from_str(&reply),
            Poll::Pending => {
                future_to_promise(async move { Ok(JsValue::from_str(&answer.await)) }).into()
            }
        }
    }

    /// Does what is due. A failure is tried again later; it is never the platform's to count, because after a few it
    /// would give up.
    pub fn alarm(&self) -> Promise {
        let meter = Rc::clone(&self.0);
        future_to_promise(async move {
            // An alarm that cannot be set again is the platform's to repeat.
            meter.due().await.map(|()| JsValue::UNDEFINED)
        })
    }
}

struct Meter {
    state: State,
    env: Env,
    ledger: RefCell<Option<Rc<Ledger>>>,
    questions: Questions,
    flushing: Mutex<()>,
    columns: Cell<Columns>,
    refusals: Refusals,
    /// When old keys were last forgotten.
    forgot_keys: Cell<Option<Timestamp>>,
    /// When the alarm goes off, as far as this instance knows; it may have been set by an earlier one.
    alarm: Cell<Option<i64>>,
}

impl Meter {
    async fn answer(&self, message: &str) -> String {
        let answer = async {
            let message = json::read(message.as_bytes())
                .map_err(|error| Failure::corrupt("message to the meter", error))?;
            self.handle(message).await
        };
        // The asking worker has the log line of the call; the reason goes there.
        match answer.await {
            Ok(Reply::Told) => String::new(),
            Ok(reply) => json_text(&reply),
            Err(failure) => json_text(&Reply::failed(&failure)),
        }
    }

    async fn due(&self) -> Result<(), JsValue> {
        self.alarm.set(None);
        let again = match self.tidy().await {
            Ok(Pending::Nothing) => return Ok(()),
            Ok(Pending::Rows) => FLUSH_AFTER_MILLIS,
            Ok(Pending::Calls) => UNSETTLED_AFTER_MILLIS,
            Err(failure) => {
                log::event("history_not_written", &failure);
                self.set_back();
                FLUSH_AFTER_MILLIS
            }
        };
        self.set_alarm(again).await.map_err(JsValue::from)
    }

    /// Has the next attempt wait. One that cannot be noted waits no longer than ever.
    fn set_back(&self) {
        let noted = self.ledger().and_then(|ledger| {
            let meter = self.state.id().to_string();
            ledger.set_back(Setback::after(ledger.setback(), &meter, clock::now()))
        });
        if let Err(failure) = noted {
            log::event("setback_not_noted", &failure);
        }
    }

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
            Message::End { call, end } => {
                self.settle(&ledger, &call, &Settler::Gateway, end).await?;
                Ok(Reply::Told)
            }
            Message::GiveUp { call, end } => self.give_up(&ledger, &call, end).await,
            Message::Account {
                identity,
                knowledge,
                said,
                called_off,
            } => {
                if let Some(what) = called_off {
                    ledger.call_off(what, clock::now())?;
                }
                self.know(&ledger, &identity, knowledge, said.as_ref())
                    .await?;
                let known = ledger.known().ok_or_else(unregistered)?;
                Ok(Reply::Account(Box::new(known)))
            }
            Message::Learn { known } => {
                self.believe(&ledger, *known).await?;
                Ok(Reply::Told)
            }
            Message::Flush => {
                self.flush(&ledger).await?;
                Ok(Reply::Flushed)
            }
            Message::Inspect => {
                self.flush(&ledger).await?;
                let meter = ledger.inspect().map(Box::new);
                Ok(Reply::Inspected { meter })
            }
            Message::Correct { from, to } => {
                let corrected = ledger.correct(&from, &to)?;
                if corrected == Corrected::Done {
                    self.columns.set(Columns::Outdated);
                    self.flush(&ledger).await?;
                }
                Ok(Reply::Corrected(corrected))
            }
        }
    }

    /// The ledger, opened once in the life of this instance.
    fn ledger(&self) -> Outcome<Rc<Ledger>> {
        if let Some(ledger) = self.ledger.borrow().as_ref() {
            return Ok(Rc::clone(ledger));
        }
        let ledger = Rc::new(Ledger::open(self.state.storage().as_raw().into())?);
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
        // From the decision to the last write nothing is awaited.
        let (step, reply) = self.decide(ledger, identity, &candidate).await?;
        if ledger.is_given_up(&candidate.id) {
            return Err(Failure::new(
                Problem::Internal,
                "the caller gave the call up",
            ));
        }
        match step {
            Step::Open(opening) => {
                ledger.store(&opening)?;
                self.columns.set(Columns::Outdated);
                self.wake_after(FLUSH_AFTER_MILLIS).await;
                Ok(reply.admitted(opening.decision, candidate.id))
            }
            Step::Repeat { decision, call, at } => {
                if let Some(keyed) = &candidate.keyed {
                    ledger.repeated(&keyed.key)?;
                }
                Ok(reply.repeated(decision, call, at))
            }
            Step::Refuse(decision) => {
                if let Decision::Refuse(refusal) = &decision {
                    self.refusals
                        .count(refusal.reason, candidate.toll.channel());
                    self.wake_after(FLUSH_AFTER_MILLIS).await;
                }
                Ok(reply.refused(decision, candidate.id))
            }
            Step::KeyReused => Err(Problem::KeyReused.into()),
            Step::KeyWornOut => Err(Problem::KeyWornOut.into()),
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
        let (step, reply) = match self.decide(ledger, identity, &candidate).await {
            // Nothing is left, and nobody can say whether more was paid for. The call was made; its log is not lost.
            Err(failure) if failure.is_outage() && ledger.with_known(|known| known.is_some()) => {
                decide(ledger, &candidate)?
            }
            decided => decided?,
        };
        let reply = match step {
            Step::Open(mut opening) => {
                let decision = settled(opening.decision, end.settled);
                opening.decision = decision.clone();
                if let Some(key) = &mut opening.key {
                    key.decision = decision.clone();
                }
                ledger.store(&opening)?;
                let open = opening.open;
                self.closed(ledger, |account| close_reported(account, open, end))?;
                reply.admitted(decision, candidate.id)
            }
            Step::Refuse(decision) => {
                let call = candidate.id.clone();
                let known = ledger.known().ok_or_else(unregistered)?;
                // The moment that is told is the moment that is kept.
                let kept = over_limit(&known.account, candidate, end, decision.clone(), reply.now);
                ledger.keep(&kept)?;
                reply.refused(decision, call)
            }
            Step::Repeat { decision, call, at } => return Ok(reply.repeated(decision, call, at)),
            Step::KeyReused => return Err(Problem::KeyReused.into()),
            Step::KeyWornOut => return Err(Problem::KeyWornOut.into()),
            Step::InProgress => return Err(Problem::CallInProgress.into()),
        };
        self.wake_after(FLUSH_AFTER_MILLIS).await;
        Ok(reply)
    }

    /// What becomes of a candidate. A paid upgrade must work on the very next call: nobody is refused on old knowledge.
    async fn decide(
        &self,
        ledger: &Ledger,
        identity: &Identity,
        candidate: &Candidate,
    ) -> Outcome<(Step, Grounds)> {
        self.know(ledger, identity, Knowledge::Enough, None).await?;
        match decide(ledger, candidate)? {
            (Step::Refuse(_), _) => {
                self.know(ledger, identity, Knowledge::Fresh, None).await?;
                decide(ledger, candidate)
            }
            decided => Ok(decided),
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
            // Somebody who sent its key again was told of it, and waits for it.
            Some(_) if ledger.is_repeated(call)? => {}
            Some(open) => drop(self.close(ledger, open, end)?),
            None => ledger.give_up(call, clock::now())?,
        }
        self.wake_after(FLUSH_AFTER_MILLIS).await;
        Ok(Reply::Told)
    }

    /// Sees to it that the alarm goes off in `millis` at the latest. What was done stands, with or without: an alarm
    /// that cannot be set is set with the next call.
    async fn wake_after(&self, millis: i64) {
        if let Err(error) = self.set_alarm(millis).await {
            let failure = Failure::unavailable(Dependency::Meter, error);
            log::event("alarm_not_set", &failure);
        }
    }

    async fn set_alarm(&self, millis: i64) -> worker::Result<()> {
        let now = clock::now();
        let setback = self
            .ledger
            .borrow()
            .as_ref()
            .and_then(|ledger| ledger.setback());
        let held = setback.map_or(0, |setback| setback.wait_millis(now));
        let (now, millis) = (now.millis(), millis.max(held));
        let at = now.saturating_add(millis);
        if self
            .alarm
            .get()
            .is_some_and(|known| (now..=at).contains(&known))
        {
            return Ok(());
        }
        self.state.storage().set_alarm(millis).await?;
        self.alarm.set(Some(at));
        Ok(())
    }
}

/// What becomes of a candidate as things are now, and what a reply about it says beside.
fn decide(ledger: &Ledger, candidate: &Candidate) -> Outcome<(Step, Grounds)> {
    let now = clock::now();
    let step = ledger.step(candidate, now)?.ok_or_else(unregistered)?;
    ledger.with_known(|known| {
        let known = known.ok_or_else(unregistered)?;
        let grounds = Grounds {
            now,
            version: known.account.entitlement.version,
            asked_at: known.asked_at,
            session: match candidate.start.called {
                Called::Tool(_) => Some(Box::new(session_props(&known.account, now))),
                Called::Endpoint { .. } => None,
            },
        };
        Ok((step, grounds))
    })
}

/// What a decision stands on.
struct Grounds {
    now: Timestamp,
    version: u64,
    asked_at: Timestamp,
    session: Option<Box<SessionProps>>,
}

impl Grounds {
    fn admitted(self, decision: Decision, call: String) -> Reply {
        let now = self.now;
        self.reply(decision, call, now, Charging::Now)
    }

    fn refused(self, decision: Decision, call: String) -> Reply {
        let now = self.now;
        self.reply(decision, call, now, Charging::NotNow)
    }

    fn repeated(self, decision: Decision, call: String, at: Timestamp) -> Reply {
        self.reply(decision, call, at, Charging::NotNow)
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
            session: self.session,
        }))
    }
}

fn unregistered() -> Failure {
    Failure::new(Problem::Internal, "a meter without a user")
}
