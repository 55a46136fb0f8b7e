//! What a meter knows of its user, and when it asks the database.

use super::Meter;
use super::ledger::Ledger;
use super::message::Knowledge;
use super::outbox::Columns;
use crate::clock;
use crate::configuration;
use crate::database::Database;
use crate::failure::{Failure, Outcome};
use crate::log;
use crate::registration;
use futures_util::lock::Mutex;
use legis_core::account::Identity;
use legis_core::ledger::{Known, is_believed, learn, names_wait, outlives_outage};
use legis_core::outbox::FLUSH_AFTER_MILLIS;
use legis_core::payload::Registration;
use legis_core::problem::Problem;
use legis_core::time::Timestamp;
use std::cell::{Cell, RefCell};

/// How long a database that did not answer is left alone.
const PAUSE_MILLIS: i64 = 5_000;

/// Questions to the database: one at a time, and those who wait share the next answer.
#[derive(Default)]
pub(super) struct Questions {
    turn: Mutex<()>,
    /// How many were begun.
    begun: Cell<u64>,
    /// The last one that got an answer: its number.
    answered: Cell<u64>,
    /// The last one that got none.
    failed: RefCell<Option<Failed>>,
}

struct Failed {
    number: u64,
    at: Timestamp,
    problem: Problem,
    reason: String,
}

impl Questions {
    /// The failure that answers whoever came when `arrived` questions were begun.
    fn failure(&self, arrived: u64, now: Timestamp) -> Option<Failure> {
        let failed = self.failed.borrow();
        let failed = failed.as_ref()?;
        let paused = (0..PAUSE_MILLIS).contains(&now.since(failed.at));
        (failed.number > arrived || paused)
            .then(|| Failure::new(failed.problem.clone(), failed.reason.clone()))
    }
}

impl Meter {
    /// Sees to it that the ledger knows the user: from before, or as the database has it when that is old, when the token
    /// says other things about the user, or when it must be fresh.
    pub(super) async fn know(
        &self,
        ledger: &Ledger,
        identity: &Identity,
        knowledge: Knowledge,
        said: Option<&Registration>,
    ) -> Outcome<()> {
        if knowledge != Knowledge::Fresh && is_recent(ledger, identity, knowledge) {
            return Ok(());
        }
        match (
            self.question(ledger, identity, knowledge, said).await,
            knowledge,
        ) {
            (Err(failure), Knowledge::Recent | Knowledge::Enough)
                if failure.is_outage() && outlives(ledger) =>
            {
                log::event("older_entitlement_used", &failure);
                Ok(())
            }
            (answer, _) => answer,
        }
    }

    async fn question(
        &self,
        ledger: &Ledger,
        identity: &Identity,
        knowledge: Knowledge,
        said: Option<&Registration>,
    ) -> Outcome<()> {
        let questions = &self.questions;
        let arrived = questions.begun.get();
        let _turn = questions.turn.lock().await;
        // Others may have asked while we waited. Only a question that was begun after we came has a fresh answer.
        let answered = match knowledge {
            Knowledge::Fresh => questions.answered.get() > arrived && said.is_none(),
            recent => is_recent(ledger, identity, recent),
        };
        let says_otherwise = |known: &Known| identity.says_otherwise(&known.account.user);
        let otherwise = ledger.with_known(|known| known.is_some_and(says_otherwise));
        if answered && (knowledge == Knowledge::Enough || !otherwise) {
            return Ok(());
        }
        if let Some(failure) = questions.failure(arrived, clock::now()) {
            return Err(failure);
        }
        let number = questions.begun.get().saturating_add(1);
        questions.begun.set(number);
        let answer = self.learn(ledger, identity, said).await;
        match &answer {
            Ok(()) => questions.answered.set(number),
            Err(failure) if failure.is_outage() => {
                questions.failed.replace(Some(Failed {
                    number,
                    at: clock::now(),
                    problem: failure.problem.clone(),
                    reason: failure.reason.clone(),
                }));
            }
            Err(_) => {}
        }
        answer
    }

    async fn learn(
        &self,
        ledger: &Ledger,
        identity: &Identity,
        said: Option<&Registration>,
    ) -> Outcome<()> {
        let database = Database::open(&self.env)?;
        let grace = configuration::grace(&self.env)?;
        let now = clock::now();
        let stored = registration::ensure(&self.env, &database, identity, said, grace, now).await?;
        self.believe(
            ledger,
            Known {
                account: stored.account(),
                columns: stored.columns,
                asked_at: now,
            },
        )
        .await
    }
}

impl Meter {
    /// Stores what the database says. Another plan is reported otherwise, though no call was made.
    pub(super) async fn believe(&self, ledger: &Ledger, said: Known) -> Outcome<()> {
        let known = learn(ledger.known(), said);
        let entitlement = &known.account.entitlement;
        let changed = ledger.with_known(|before| match before {
            Some(before) => before.account.entitlement != *entitlement,
            // Whoever is new has nothing to report.
            None => entitlement.version > 0,
        });
        ledger.learn(known)?;
        if changed {
            self.columns.set(Columns::Outdated);
            self.wake_after(FLUSH_AFTER_MILLIS).await;
        }
        Ok(())
    }
}

fn is_recent(ledger: &Ledger, identity: &Identity, knowledge: Knowledge) -> bool {
    let now = clock::now();
    ledger.with_known(|known| {
        known.is_some_and(|known| {
            let says_otherwise = identity.says_otherwise(&known.account.user);
            let waits = knowledge == Knowledge::Enough && names_wait(known.asked_at, now);
            is_believed(known.asked_at, now) && (waits || !says_otherwise)
        })
    })
}

/// Whether what is known may be used though the database does not answer.
fn outlives(ledger: &Ledger) -> bool {
    let now = clock::now();
    ledger.with_known(|known| known.is_some_and(|known| outlives_outage(known.asked_at, now)))
}
