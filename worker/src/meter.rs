//! The meter: one Durable Object for each user. It alone admits calls; one object is one thread, so admission is
//! exact. Between reading what is used and writing what is used, nothing is awaited.

pub(crate) mod client;
mod ledger;
pub(crate) mod message;

use crate::clock;
use crate::configuration;
use crate::database::Database;
use crate::failure::{Failure, Outcome};
use crate::registration;
use crate::reports;
use crate::respond;
use js_sys::{Function, Reflect};
use ledger::{Admitted, Ledger, OpenCall, Pending};
use legis_core::account::{Account, Identity};
use legis_core::history::{self, CallEnd};
use legis_core::problem::{Dependency, Problem};
use legis_core::quota::{Cost, Decision, Usage, charge, decide, refund};
use legis_core::time::Timestamp;
use message::{Admission, Charging, Decided, Knowledge, Message, Reply, Settlement};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

/// How long an entitlement is believed without asking the database, should nobody tell the meter of a change.
const MAX_AGE_MILLIS: i64 = 10 * 60 * 1000;

/// How long rows wait in the outbox, so that several go together.
const FLUSH_AFTER_MILLIS: i64 = 5_000;
/// How long after a failure the history is tried again.
const RETRY_AFTER_MILLIS: i64 = 30_000;
/// How long a call may stay open before it is closed with its outcome unknown.
const UNSETTLED_AFTER_MILLIS: i64 = 10 * 60 * 1000;
/// How long a key is remembered: longer than any monthly period.
const KEYS_KEPT_MILLIS: i64 = 62 * 24 * 60 * 60 * 1000;
/// How many rows go to D1 at once.
const ROWS_AT_ONCE: u32 = 500;

/// The object.
#[durable_object(alarm)]
pub struct Meter {
    state: State,
    env: Env,
    /// When the alarm goes off, as far as this instance knows; it may have been set by an earlier one.
    alarm: Cell<Option<Timestamp>>,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Meter")
    }
}

impl DurableObject for Meter {
    fn new(state: State, env: Env) -> Self {
        Self {
            state,
            env,
            alarm: Cell::new(None),
        }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let answer = async {
            let body = request.bytes().await?;
            let message: Message = serde_json::from_slice(&body)
                .map_err(|error| Failure::corrupt("message to the meter", error))?;
            self.handle(message).await
        };
        let reply = answer.await.unwrap_or_else(|failure| {
            // The object's own log has the reason; the asking worker turns the problem into its answer.
            worker::console_error!("{}", failure.reason);
            Reply::failed(&failure)
        });
        respond::json(200, &reply)
    }

    /// Brings the history to D1 and closes what nobody settled. A failure is tried again later; it is never the
    /// platform's to count, because after a few it would give up.
    async fn alarm(&self) -> Result<Response> {
        self.alarm.set(None);
        let again = match self.flush().await {
            Ok(Pending::Nothing) => None,
            Ok(Pending::Rows) => Some(FLUSH_AFTER_MILLIS),
            Ok(Pending::Calls) => Some(UNSETTLED_AFTER_MILLIS),
            Err(failure) => {
                worker::console_error!("the history could not be written: {}", failure.reason);
                Some(RETRY_AFTER_MILLIS)
            }
        };
        if let Some(millis) = again {
            self.wake_after(millis).await?;
        }
        Response::empty()
    }
}

impl Meter {
    async fn handle(&self, message: Message) -> Outcome<Reply> {
        let ledger = Ledger::open(self.state.storage().sql())?;
        match message {
            Message::Admit(admission) => self.admit(&ledger, admission).await,
            Message::Settle(settlement) => {
                self.settle(&ledger, settlement)?;
                self.wake_after(FLUSH_AFTER_MILLIS).await?;
                Ok(Reply::Settled)
            }
            Message::Account {
                identity,
                knowledge,
            } => {
                let account = self.account(&ledger, &identity, knowledge).await?;
                Ok(Reply::Account { account })
            }
        }
    }

    /// Admits a call, or refuses it with everything the refusal needs.
    async fn admit(&self, ledger: &Ledger, admission: Admission) -> Outcome<Reply> {
        let cost = Cost::new(admission.cost)
            .ok_or_else(|| Failure::new(Problem::Internal, "a call without cost"))?;
        let known = self
            .account(ledger, &admission.identity, Knowledge::Recent)
            .await?;
        let now = clock::now();
        if let Decision::Refuse(_) = decide(&known.entitlement, &known.usage, cost, now) {
            // A paid upgrade must work on the very next call: nobody is refused on old knowledge.
            self.account(ledger, &admission.identity, Knowledge::Fresh)
                .await?;
        }
        // From here to the last write nothing is awaited. What was read before an await may be old by now.
        let mut account = ledger
            .account()?
            .ok_or_else(|| Failure::new(Problem::Internal, "the account is gone"))?
            .account;
        if ledger.forget_abandoned(&admission.call)? {
            return Err(Failure::new(
                Problem::Internal,
                "the caller gave the call up",
            ));
        }
        let now = clock::now();
        if let Some(decided) = sent_before(ledger, &admission, now)? {
            return Ok(Reply::Decided(decided));
        }
        let (decision, charged) = charge(
            &account.entitlement,
            &account.usage,
            cost,
            admission.channel,
            now,
        );
        let decided = Decided {
            decision: decision.clone(),
            now,
            call: admission.call.clone(),
            charge: Charging::Now,
        };
        if let Some((usage, charge)) = charged {
            account.usage = usage;
            let admitted = Admitted {
                account,
                charge,
                admission,
                decision,
                now,
            };
            self.atomically(ledger, move |ledger| ledger.admit(&admitted))?;
            // The call is charged: an alarm that cannot be set must not make its answer a failure.
            if let Err(error) = self.wake_after(UNSETTLED_AFTER_MILLIS).await {
                worker::console_error!("the alarm could not be set: {error}");
            }
        }
        Ok(Reply::Decided(decided))
    }

    /// The account: as it is known here, or as the database has it when it is not known, when the token says other
    /// things about the user, or when it must be fresh.
    async fn account(
        &self,
        ledger: &Ledger,
        identity: &Identity,
        knowledge: Knowledge,
    ) -> Outcome<Account> {
        let now = clock::now();
        if let Some(known) = ledger.account()?
            && knowledge == Knowledge::Recent
            && (0..MAX_AGE_MILLIS).contains(&now.since(known.asked_at))
            && !says_otherwise(identity, &known.account)
        {
            return Ok(known.account);
        }
        let database = Database::open(&self.env)?;
        let grace = configuration::grace(&self.env)?;
        let stored = registration::ensure(&database, identity, None, grace, now).await?;
        // Others may have been here during the wait: usage is theirs and ours, and an older entitlement never
        // replaces a newer one.
        let account = match ledger.account()?.map(|known| known.account) {
            Some(known) if known.entitlement.version > stored.entitlement.version => Account {
                user: stored.user,
                ..known
            },
            Some(known) => Account {
                user: stored.user,
                entitlement: stored.entitlement,
                usage: known.usage,
            },
            None => Account {
                usage: Usage::none(stored.user.created_at),
                user: stored.user,
                entitlement: stored.entitlement,
            },
        };
        ledger.learn(&account, now)?;
        Ok(account)
    }

    /// Closes a call: charged, or taken back when our side or the upstream failed. Again changes nothing.
    fn settle(&self, ledger: &Ledger, settlement: Settlement) -> Outcome<()> {
        let Settlement { call, end } = settlement;
        match ledger.open_call(&call)? {
            Some(open) => self.close(ledger, open, &end),
            // The admission may still be on its way: it must not charge a call that nobody waits for.
            None if end.is_refunded() => ledger.abandon(&call, clock::now()),
            None => Ok(()),
        }
    }

    fn close(&self, ledger: &Ledger, open: OpenCall, end: &CallEnd) -> Outcome<()> {
        let account = ledger
            .account()?
            .ok_or_else(|| Failure::new(Problem::Internal, "a call without an account"))?
            .account;
        let row = history::row(&open.id, account.user.id, open.start, end, open.admitted_at);
        let refunded = end.is_refunded().then(|| Account {
            usage: refund(&account.usage, open.charge),
            ..account
        });
        self.atomically(ledger, move |ledger| ledger.close(&row, refunded.as_ref()))
    }

    /// Closes what nobody settled, sends the oldest rows, and says what is left to do.
    async fn flush(&self) -> Outcome<Pending> {
        let ledger = Ledger::open(self.state.storage().sql())?;
        let now = clock::now();
        let overdue = now.plus_millis(UNSETTLED_AFTER_MILLIS.saturating_neg());
        for open in ledger.open_since(overdue)? {
            self.close(&ledger, open, &CallEnd::Unknown)?;
        }
        ledger.forget_abandoned_before(overdue)?;
        // A one-time allowance has one period without end; its keys are as few as its calls, and are kept.
        if let Some(known) = ledger.account()?
            && known.account.balance(now).period.end.is_some()
        {
            ledger.forget_keys(now.plus_millis(KEYS_KEPT_MILLIS.saturating_neg()))?;
        }
        let rows = ledger.outbox(ROWS_AT_ONCE)?;
        if let (Some(known), false) = (ledger.account()?, rows.is_empty()) {
            let rows = format!("[{}]", rows.join(","));
            let database = Database::open(&self.env)?;
            reports::write(&database, &rows, &known.account, now).await?;
            // Only now, when D1 has answered: rows that were sent twice are there once.
            ledger.sent(&rows)?;
        }
        ledger.pending()
    }

    /// Sees to it that the alarm goes off in `millis` at the latest.
    async fn wake_after(&self, millis: i64) -> Result<()> {
        let at = clock::now().plus_millis(millis);
        if self.alarm.get().is_some_and(|known| known <= at) {
            return Ok(());
        }
        self.state.storage().set_alarm(millis).await?;
        self.alarm.set(Some(at));
        Ok(())
    }

    /// All writes of `step`, or none.
    fn atomically(
        &self,
        ledger: &Ledger,
        step: impl FnOnce(&Ledger) -> Outcome<()> + 'static,
    ) -> Outcome<()> {
        let refused = Rc::new(RefCell::new(None));
        let (told, ledger) = (Rc::clone(&refused), ledger.clone());
        let closure = Closure::once(move || {
            step(&ledger).map_err(|failure| {
                let reason = JsValue::from_str(&failure.reason);
                told.replace(Some(failure));
                reason
            })
        });
        // workers-rs has no transactionSync; without it, an exception after a write would leave that write standing.
        let storage = self.state.storage();
        let thrown = Reflect::get(storage.as_raw(), &JsValue::from_str("transactionSync"))
            .and_then(|transact| {
                transact
                    .unchecked_into::<Function>()
                    .call1(storage.as_raw(), closure.as_ref())
            })
            .err();
        match (refused.take(), thrown) {
            (Some(failure), _) => Err(failure),
            (None, Some(error)) => Err(Failure::unavailable(
                Dependency::Meter,
                format!("{error:?}"),
            )),
            (None, None) => Ok(()),
        }
    }
}

/// The first decision about a call, if it was sent before under the same key.
fn sent_before(ledger: &Ledger, admission: &Admission, now: Timestamp) -> Outcome<Option<Decided>> {
    let Some(keyed) = &admission.keyed else {
        return Ok(None);
    };
    match ledger.key(&keyed.key)? {
        None => Ok(None),
        Some(known) if known.fingerprint != keyed.fingerprint => Err(Problem::KeyReused.into()),
        Some(known) if known.running => Err(Problem::CallInProgress.into()),
        Some(known) => Ok(Some(Decided {
            decision: known.decision,
            now,
            call: known.call,
            charge: Charging::Before,
        })),
    }
}

fn says_otherwise(identity: &Identity, account: &Account) -> bool {
    let differs = |said: &Option<String>, known: &Option<String>| said.is_some() && said != known;
    differs(&identity.email, &account.user.email) || differs(&identity.name, &account.user.name)
}
