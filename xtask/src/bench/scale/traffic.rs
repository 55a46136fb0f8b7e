//! Plays the day of a user's meter with core's own steps, and counts what it asks of the platform. It waits for nothing:
//! time is an argument. What the worker does around core (`worker/src/meter/client.js`, `worker/src/meter/outbox.rs`) is
//! played here as well.

use anyhow::{Context, Result, bail};
use legis_core::account::{Account, User};
use legis_core::call::{CallEnd, CallStart, Called, Settler, Toll};
use legis_core::called_off::CalledOffLately;
use legis_core::entitlement::Entitlement;
use legis_core::ledger::{Candidate, OpenCall, Step, admit, close};
use legis_core::plan::PlanId;
use legis_core::quota::{Channel, Cost, LifetimeUsage, Usage};
use legis_core::subscription::Standing;
use legis_core::time::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

const SECOND: i64 = 1_000;
const DAY: i64 = 24 * 60 * 60 * SECOND;
/// How long an end that makes no difference waits to be told.
const TOLD_AFTER: i64 = SECOND;
/// When a meter looks again at calls that are open.
const OPEN_CALLS_AFTER: i64 = 10 * 60 * SECOND;

/// How users call, on average.
#[derive(Clone, Copy)]
pub struct Habits {
    pub calls_a_day: u32,
    pub calls_a_session: u32,
    /// Milliseconds from one call of a session to the next.
    pub gap: i64,
    /// Milliseconds that a call takes.
    pub duration: i64,
}

/// What was asked of the platform.
#[derive(Clone, Copy, Default)]
pub struct Counted {
    pub calls: u64,
    /// Requests to meters: admissions, and ends that found nobody to go with.
    pub messages: u64,
    pub alarms: u64,
    /// Rows that meters wrote, those of their alarms among them.
    pub meter_rows: u64,
    /// Transactions that brought rows to the database.
    pub reports: u64,
    /// The most calls of one user within a second.
    pub busiest: u64,
}

/// Many users, each for a day.
pub fn days(users: u32, habits: Habits, flush_after: i64) -> Result<Counted> {
    let mut all = Counted::default();
    for user in 0..users {
        let one = Meter::new(u64::from(user) + 1, flush_after)?.day(habits)?;
        all.calls += one.calls;
        all.messages += one.messages;
        all.alarms += one.alarms;
        all.meter_rows += one.meter_rows;
        all.reports += one.reports;
        all.busiest = all.busiest.max(one.busiest);
    }
    Ok(all)
}

/// What happens, in the order of time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Call,
    End(u64),
    /// Ends have waited long enough to be told.
    Tell,
    Alarm,
}

struct Meter {
    account: Account,
    flush_after: i64,
    random: Random,
    events: BinaryHeap<Reverse<(i64, Event)>>,
    open: BTreeMap<u64, OpenCall>,
    /// Ended, and not told yet.
    ended: Vec<u64>,
    is_to_tell: bool,
    alarm: Option<i64>,
    outbox: u64,
    charged: u64,
    counted: Counted,
}

impl Meter {
    fn new(id: u64, flush_after: i64) -> Result<Self> {
        let start = moment(0)?;
        Ok(Self {
            account: Account {
                user: User {
                    id,
                    sub: format!("auth0|{id}"),
                    email: None,
                    name: None,
                    created_at: start,
                    updated_at: start,
                },
                entitlement: Entitlement {
                    plan: PlanId::Enterprise,
                    standing: Standing::Active,
                    ..Entitlement::free(start)
                },
                usage: Usage {
                    lifetime: LifetimeUsage {
                        start,
                        used: 0,
                        mcp: 0,
                    },
                    period: None,
                },
            },
            flush_after,
            random: Random(id),
            events: BinaryHeap::new(),
            open: BTreeMap::new(),
            ended: Vec::new(),
            is_to_tell: false,
            alarm: None,
            outbox: 0,
            charged: 0,
            counted: Counted::default(),
        })
    }

    fn day(mut self, habits: Habits) -> Result<Counted> {
        self.counted.busiest = self.plan(habits);
        while let Some(Reverse((now, event))) = self.events.pop() {
            match event {
                Event::Call => self.call(now, habits.duration)?,
                Event::End(call) => self.end(now, call),
                Event::Tell => {
                    self.is_to_tell = false;
                    if !self.ended.is_empty() {
                        self.counted.messages += 1;
                        self.settle()?;
                    }
                }
                Event::Alarm if self.alarm == Some(now) => self.report(now),
                Event::Alarm => {}
            }
        }
        self.check()?;
        Ok(self.counted)
    }

    /// When the user calls; how often within the busiest second.
    fn plan(&mut self, habits: Habits) -> u64 {
        let mut times = Vec::new();
        let mut left = self.random.around(f64::from(habits.calls_a_day));
        while left > 0 {
            let mut at = self.random.below(DAY);
            let session = self.random.around(f64::from(habits.calls_a_session));
            for _ in 0..session.clamp(1, left) {
                times.push(at);
                at += self.random.around(habits.gap as f64);
                left -= 1;
            }
        }
        times.sort_unstable();
        for at in &times {
            self.events.push(Reverse((*at, Event::Call)));
        }
        let within = |from: usize| {
            let until = times[from] + SECOND;
            times[from..].iter().take_while(|at| **at < until).count()
        };
        (0..times.len()).map(within).max().unwrap_or(0) as u64
    }

    fn call(&mut self, now: i64, duration: i64) -> Result<()> {
        let number = self.counted.calls;
        self.counted.calls += 1;
        self.counted.messages += 1;
        // What waited to be told goes with it.
        self.settle()?;
        let candidate = Candidate {
            exchange: None,
            id: number.to_string(),
            toll: Toll::Charged {
                cost: Cost::ONE,
                channel: Channel::Rest,
            },
            start: CallStart {
                called: Called::Endpoint {
                    method: "GET".to_owned(),
                    path: "/api/bills".to_owned(),
                },
                ip_address: None,
                user_agent: None,
            },
            settler: Settler::Gateway,
            keyed: None,
        };
        let open = self.open.values();
        let Step::Open(opening) = admit(
            &self.account,
            candidate,
            None,
            open,
            &CalledOffLately::default(),
            moment(now)?,
        ) else {
            bail!("a call without a limit was refused");
        };
        self.account.usage = opening.usage;
        self.open.insert(number, opening.open);
        self.counted.meter_rows += 1;
        self.wake(now, self.flush_after);
        let ends = now + self.random.around(duration as f64);
        self.events.push(Reverse((ends, Event::End(number))));
        Ok(())
    }

    fn end(&mut self, now: i64, call: u64) {
        self.ended.push(call);
        if !self.is_to_tell {
            self.is_to_tell = true;
            self.events.push(Reverse((now + TOLD_AFTER, Event::Tell)));
        }
    }

    /// Closes what ended and was told.
    fn settle(&mut self) -> Result<()> {
        for call in self.ended.drain(..) {
            let open = self.open.remove(&call).context("a call ended twice")?;
            let closing = close(&self.account, open, CallEnd::answered(200, 1));
            self.charged += u64::from(closing.row.cost);
            self.counted.meter_rows += 1;
            self.outbox += 1;
        }
        Ok(())
    }

    fn wake(&mut self, now: i64, after: i64) {
        let at = now + after;
        if self.alarm.is_none_or(|known| known > at) {
            self.alarm = Some(at);
            self.counted.meter_rows += 1;
            self.events.push(Reverse((at, Event::Alarm)));
        }
    }

    /// Brings what is in the outbox to the database, and forgets it.
    fn report(&mut self, now: i64) {
        self.alarm = None;
        self.counted.alarms += 1;
        if self.outbox > 0 {
            self.counted.reports += 1;
            self.counted.meter_rows += self.outbox + 1;
            self.outbox = 0;
        }
        if !self.open.is_empty() {
            self.wake(now, OPEN_CALLS_AFTER);
        }
    }

    /// Whether core counted each call once, and all of them are in the database.
    fn check(&self) -> Result<()> {
        let used = self
            .account
            .usage
            .period
            .as_ref()
            .map_or(0, |period| period.used);
        let calls = self.counted.calls;
        if (used, self.charged) != (calls, calls) || self.outbox > 0 || !self.open.is_empty() {
            bail!(
                "of {calls} calls {used} were counted and {} charged",
                self.charged
            );
        }
        Ok(())
    }
}

/// The moments of a day.
fn moment(millis: i64) -> Result<Timestamp> {
    Timestamp::from_millis(1_790_000_000_000 + millis).context("a moment")
}

/// The same numbers each time (SplitMix64), so that a figure in the docs can be computed again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: i64) -> i64 {
        (self.next() % most.unsigned_abs()) as i64
    }

    /// A number with this mean, often smaller and sometimes much larger.
    fn around(&mut self, mean: f64) -> i64 {
        let part = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (-mean * (1.0 - part).ln()).round() as i64
    }
}
