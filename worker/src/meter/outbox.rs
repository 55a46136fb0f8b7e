//! From the ledger to the history in the database, and what else is done when nobody waits.

use super::Meter;
use super::ledger::Ledger;
use crate::clock;
use crate::database::Database;
use crate::failure::{Failure, Outcome};
use crate::history::{self, Report};
use legis_core::account::Account;
use legis_core::call::CallEnd;
use legis_core::counters::Counters;
use legis_core::evaluate::json_text;
use legis_core::ledger::{Closing, KEYS_KEPT_MILLIS, OpenCall, UNSETTLED_AFTER_MILLIS, close};
use legis_core::time::DAY_MILLIS;

/// How often the outbox is emptied in one go, before others get their turn.
const ROUNDS: usize = 20;

/// What a meter still has to do.
pub(super) enum Pending {
    /// Rows to send.
    Rows,
    /// Calls to wait for.
    Calls,
    Nothing,
}

/// Whether the reported columns of the database are what is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Columns {
    /// An earlier instance may have left them outdated.
    #[default]
    Unknown,
    /// They are not.
    Outdated,
    /// They are.
    Reported,
}

impl Meter {
    /// Closes what nobody settled, forgets what need not be known any more, and brings the history to the database.
    pub(super) async fn tidy(&self) -> Outcome<Pending> {
        let ledger = self.ledger()?;
        let now = clock::now();
        let overdue = now.plus_millis(UNSETTLED_AFTER_MILLIS.saturating_neg());
        for open in ledger.open_since(overdue) {
            self.close(&ledger, open, CallEnd::unknown())?;
        }
        ledger.forget_given_up(overdue)?;
        // A one-time allowance has one period without end; its keys are as few as its calls, and are kept.
        let renews = ledger.with_known(|known| {
            known.is_some_and(|known| known.account.balance(now).period.end.is_some())
        });
        // It looks at every key, so once a day is enough.
        let due = self
            .forgot_keys
            .get()
            .is_none_or(|at| !(0..DAY_MILLIS).contains(&now.since(at)));
        if renews && due {
            self.forgot_keys.set(Some(now));
            ledger.forget_keys(now.plus_millis(KEYS_KEPT_MILLIS.saturating_neg()))?;
        }
        if self.columns.get() == Columns::Unknown {
            self.columns.set(Columns::Outdated);
        }
        self.flush(&ledger).await
    }

    /// Brings the history to the database, and the reported columns where they are known to be outdated.
    pub(super) async fn flush(&self, ledger: &Ledger) -> Outcome<Pending> {
        // One at a time, or counters that were read earlier could be written later.
        let _turn = self.flushing.lock().await;
        for _ in 0..ROUNDS {
            let Some(known) = ledger.known() else {
                return Ok(Pending::Nothing);
            };
            let batch = ledger.outbox()?;
            let refusals = self.refusals.take();
            if batch.is_none() && refusals.is_empty() && self.columns.get() != Columns::Outdated {
                return Ok(match ledger.has_open_calls() {
                    true => Pending::Calls,
                    false => Pending::Nothing,
                });
            }
            let account = known.account;
            let now = clock::now();
            let report = Report {
                sub: &account.user.sub,
                rows: batch.as_ref().map_or("[]", |batch| batch.rows.as_str()),
                refusals: &json_text(&refusals.listed()),
                counters: Counters::new(&account.entitlement, &account.usage, now),
                now,
            };
            // Said first: what changes while the database writes is not in the report.
            self.columns.set(Columns::Reported);
            if let Err(failure) = self.write(&report).await {
                self.columns.set(Columns::Outdated);
                self.refusals.add(&refusals);
                return Err(failure);
            }
            ledger.recover()?;
            // Only now, when the database has answered: rows that were sent twice are there once.
            if let Some(batch) = &batch {
                ledger.sent(batch)?;
            }
        }
        Ok(Pending::Rows)
    }

    async fn write(&self, report: &Report<'_>) -> Outcome<()> {
        history::write(&Database::open(&self.env)?, report).await
    }

    /// Closes an open call.
    pub(super) fn close(
        &self,
        ledger: &Ledger,
        open: OpenCall,
        end: CallEnd,
    ) -> Outcome<legis_core::ledger::Outcome> {
        self.closed(ledger, |account| close(account, open, end))
    }

    /// Closes a call with what is decided about it.
    pub(super) fn closed(
        &self,
        ledger: &Ledger,
        decide: impl FnOnce(&Account) -> Closing,
    ) -> Outcome<legis_core::ledger::Outcome> {
        let closing = ledger.with_known(|known| {
            let known = known.ok_or_else(super::unregistered)?;
            Ok::<_, Failure>(decide(&known.account))
        })?;
        ledger.close(&closing)?;
        Ok((&closing.row).into())
    }
}
