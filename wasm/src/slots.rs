//! Accounts and answers as numbers: moments in milliseconds, words by their position, NaN for what is not there.
//! `pkg/src/slots.ts` is the other side.

use legis_core::change::{ChangeKind, ChangePreview, PlanBalance};
use legis_core::entitlement::{Entitlement, ScheduledChange};
use legis_core::meter::{Level, Meter};
use legis_core::plan::{Interval, PlanId};
use legis_core::quota::{Admission, Balance, LifetimeUsage, PeriodUsage, Reason, Refusal, Usage};
use legis_core::subscription::Standing;
use legis_core::time::Timestamp;
use legis_core::whole;

/// How many slots there are.
pub(crate) const SLOTS: usize = 48;

/// What is asked about.
pub(crate) struct Account {
    pub(crate) entitlement: Entitlement,
    pub(crate) usage: Usage,
    pub(crate) now: Timestamp,
}

/// Takes the slots in their order.
struct Reader<'s>(std::slice::Iter<'s, f64>);

impl Reader<'_> {
    fn number(&mut self) -> Option<f64> {
        self.0.next().copied()
    }

    fn count(&mut self) -> Option<u64> {
        whole::from_f64(self.number()?)
    }

    fn moment(&mut self) -> Option<Timestamp> {
        Timestamp::from_js(self.number()?)
    }

    /// The outer `None` is an error, the inner one NaN.
    fn optional_moment(&mut self) -> Option<Option<Timestamp>> {
        let millis = self.number()?;
        match millis.is_nan() {
            true => Some(None),
            false => Timestamp::from_js(millis).map(Some),
        }
    }

    fn word<T: Copy>(&mut self, words: &[T]) -> Option<T> {
        let position = usize::try_from(self.count()?).ok()?;
        words.get(position).copied()
    }
}

impl Account {
    /// Reads the slots; `None` when they do not hold an account.
    pub(crate) fn read(slots: &[f64]) -> Option<Self> {
        let mut slots = Reader(slots.iter());
        let now = slots.moment()?;
        let (plan, standing) = (slots.word(&PlanId::ALL)?, slots.word(&Standing::ALL)?);
        let (anchor, by) = (slots.moment()?, slots.number()?);
        let (paid_until, version) = (slots.optional_moment()?, slots.count()?);
        let lifetime = LifetimeUsage {
            start: slots.moment()?,
            used: slots.count()?,
            mcp: slots.count()?,
        };
        let period = match (slots.optional_moment()?, slots.optional_moment()?) {
            (Some(start), Some(end)) => Some(PeriodUsage {
                start,
                end,
                used: slots.count()?,
                mcp: slots.count()?,
            }),
            _ => {
                slots.number()?;
                slots.number()?;
                None
            }
        };
        let mut changes = Vec::new();
        for _ in 0..slots.count()? {
            changes.push(ScheduledChange {
                plan: slots.word(&PlanId::ALL)?,
                at: slots.moment()?,
            });
        }
        Some(Self {
            entitlement: Entitlement {
                plan,
                standing,
                anchor,
                interval: interval(by),
                paid_until,
                changes,
                version,
            },
            usage: Usage { lifetime, period },
            now,
        })
    }
}

/// 0 for none, then by their position.
pub(crate) fn interval(by: f64) -> Option<Interval> {
    let position = whole::from_f64(by)?.checked_sub(1)?;
    Interval::ALL.get(usize::try_from(position).ok()?).copied()
}

/// The plan at a position.
pub(crate) fn plan_of(position: usize) -> Option<PlanId> {
    PlanId::ALL.get(position).copied()
}

/// The position of a plan.
pub(crate) fn position(plan: PlanId) -> i32 {
    i32::try_from(index(&PlanId::ALL, plan)).unwrap_or(-1)
}

fn index<T: PartialEq>(words: &[T], word: T) -> usize {
    words
        .iter()
        .position(|known| *known == word)
        .unwrap_or(usize::MAX)
}

/// Puts an answer into the slots, in their order.
pub(crate) struct Answer<'s> {
    slots: &'s mut [f64],
    at: usize,
}

impl<'s> Answer<'s> {
    pub(crate) fn new(slots: &'s mut [f64]) -> Self {
        Self { slots, at: 0 }
    }

    fn number(&mut self, number: f64) {
        if let Some(slot) = self.slots.get_mut(self.at) {
            *slot = number;
        }
        self.at = self.at.saturating_add(1);
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "core counts to 2^53 at most, and moments end in 9999"
    )]
    fn count(&mut self, count: u64) {
        self.number(count as f64);
    }

    fn optional_count(&mut self, count: Option<u64>) {
        match count {
            Some(count) => self.count(count),
            None => self.number(f64::NAN),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "moments end in 9999")]
    fn moment(&mut self, moment: Timestamp) {
        self.number(moment.millis() as f64);
    }

    fn optional_moment(&mut self, moment: Option<Timestamp>) {
        match moment {
            Some(moment) => self.moment(moment),
            None => self.number(f64::NAN),
        }
    }

    fn word<T: PartialEq>(&mut self, words: &[T], word: T) {
        self.optional_word(words, Some(word));
    }

    fn optional_word<T: PartialEq>(&mut self, words: &[T], word: Option<T>) {
        self.optional_count(word.and_then(|word| u64::try_from(index(words, word)).ok()));
    }

    pub(crate) fn admission(&mut self, admission: &Admission) {
        self.number(0.0);
        self.word(&PlanId::ALL, admission.plan);
        self.optional_count(admission.limit);
        self.count(admission.used);
        self.optional_count(admission.remaining);
        self.count(u64::from(admission.cost));
        self.moment(admission.period_start);
        self.optional_moment(admission.period_end);
        self.optional_moment(admission.resets_at);
    }

    pub(crate) fn refusal(&mut self, refusal: &Refusal) {
        self.number(1.0);
        self.word(&PlanId::ALL, refusal.plan);
        self.count(refusal.limit);
        self.count(refusal.used);
        self.count(refusal.remaining);
        self.count(u64::from(refusal.cost));
        self.moment(refusal.period_start);
        self.optional_moment(refusal.period_end);
        self.optional_moment(refusal.resets_at);
        self.word(&Reason::ALL, refusal.reason);
        self.optional_word(&PlanId::ALL, refusal.suggested_plan);
    }

    pub(crate) fn meter(&mut self, bar: &Meter) {
        self.count(bar.used);
        self.count(bar.mcp);
        self.optional_count(bar.limit);
        self.optional_count(bar.remaining);
        self.count(bar.percent);
        self.word(&Level::ALL, bar.level);
        self.optional_moment(bar.resets_at);
    }

    pub(crate) fn balance(&mut self, balance: &Balance) {
        self.word(&PlanId::ALL, balance.plan);
        self.optional_count(balance.limit());
        self.count(balance.used);
        self.optional_count(balance.remaining());
        self.optional_moment(balance.period.end);
    }

    fn plan_balance(&mut self, balance: &PlanBalance) {
        self.moment(balance.at);
        self.word(&PlanId::ALL, balance.plan);
        self.optional_count(balance.limit);
        self.count(balance.used);
        self.optional_count(balance.remaining);
        self.optional_moment(balance.period_end);
    }

    pub(crate) fn preview(&mut self, preview: &ChangePreview) {
        self.word(&ChangeKind::ALL, preview.kind);
        self.optional_moment(preview.effective_at);
        self.plan_balance(&preview.now);
        match &preview.renewal {
            Some(renewal) => self.plan_balance(renewal),
            None => (0..6).for_each(|_| self.number(f64::NAN)),
        }
        let entitlement = &preview.entitlement;
        self.word(&PlanId::ALL, entitlement.plan);
        self.word(&Standing::ALL, entitlement.standing);
        self.moment(entitlement.anchor);
        self.optional_word(&Interval::ALL, entitlement.interval);
        self.optional_moment(entitlement.paid_until);
        self.count(u64::try_from(entitlement.changes.len()).unwrap_or(0));
        for change in &entitlement.changes {
            self.word(&PlanId::ALL, change.plan);
            self.moment(change.at);
        }
    }
}
