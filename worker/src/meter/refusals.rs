//! Calls that were refused and are not reported yet. They are only held in memory: a refusal writes no row, it only sees
//! to it that an alarm is set.

use legis_core::metrics::Outcome;
use legis_core::quota::{Channel, Reason};
use std::cell::RefCell;

/// How many, by outcome and channel.
#[derive(Default)]
pub(super) struct Refusals(RefCell<Vec<(Outcome, Channel, u64)>>);

impl Refusals {
    pub(super) fn count(&self, reason: Reason, channel: Channel) {
        self.plus(reason.into(), channel, 1);
    }

    /// Takes what is counted.
    pub(super) fn take(&self) -> Self {
        Self(RefCell::new(self.0.take()))
    }

    /// Puts back what was taken and could not be reported.
    pub(super) fn add(&self, others: &Self) {
        for (outcome, channel, count) in others.listed() {
            self.plus(outcome, channel, count);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub(super) fn listed(&self) -> Vec<(Outcome, Channel, u64)> {
        self.0.borrow().clone()
    }

    fn plus(&self, outcome: Outcome, channel: Channel, more: u64) {
        let mut counted = self.0.borrow_mut();
        let mut known = counted.iter_mut();
        match known.find(|known| (known.0, known.1) == (outcome, channel)) {
            Some((_, _, count)) => *count = count.saturating_add(more),
            None => counted.push((outcome, channel, more)),
        }
    }
}
