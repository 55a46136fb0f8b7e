//! Random histories of a meter against a small reference model that keeps nothing but a list of charges (docs/rules.md,
//! "Refund", "A call that may be sent twice", "History"): what is admitted, what is counted, and what the history says.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails should stop"
)]

use legis_core::account::{Account, ProfileColumns, User};
use legis_core::call::{CallEnd, CallStart, Called, Settled, Settler, Toll};
use legis_core::called_off::{Awaited, CalledOff, CalledOffLately, Exchange};
use legis_core::counters::Counters;
use legis_core::entitlement::Entitlement;
use legis_core::history::HistoryRow;
use legis_core::idempotency::KeyedCall;
use legis_core::ledger::{
    Candidate, Closing, KeyAfter, Known, KnownKey, MAX_REPEATS, OpenCall, Step, StoredKey,
    UNSETTLED_AFTER_MILLIS, admit, close, close_reported, learn, over_limit,
};
use legis_core::outbox::Setback;
use legis_core::plan::{Allowance, PlanId};
use legis_core::quota::{Channel, Cost, Decision, Usage};
use legis_core::subscription::Standing;
use legis_core::time::{Timestamp, month_containing};
use proptest::prelude::*;
use std::collections::BTreeMap;

const DAY: i64 = 86_400_000;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn registered() -> Timestamp {
    at("2026-01-31T10:15:30Z")
}

fn account(plan: PlanId) -> Account {
    Account {
        user: User {
            id: 7,
            sub: "auth0|7".to_owned(),
            email: None,
            name: None,
            created_at: registered(),
            updated_at: registered(),
        },
        entitlement: entitlement(plan, 0),
        usage: Usage::none(registered()),
    }
}

fn entitlement(plan: PlanId, version: u64) -> Entitlement {
    Entitlement {
        plan,
        standing: Standing::Active,
        anchor: registered(),
        interval: None,
        paid_until: None,
        changes: Vec::new(),
        version,
    }
}

fn known(account: Account, asked_at: Timestamp) -> Known {
    Known {
        columns: ProfileColumns {
            plan: account.entitlement.plan,
            stripe_customer_id: None,
            billing_frequency: "monthly".to_owned(),
            plan_amount: None,
            subscription_status: "active".to_owned(),
            subscription_period_end: None,
        },
        account,
        asked_at,
    }
}

/// What a meter stores, in memory; the steps are core's.
struct Meter {
    account: Account,
    open: BTreeMap<String, OpenCall>,
    keys: BTreeMap<String, (StoredKey, u32)>,
    called_off: CalledOffLately,
    outbox: BTreeMap<String, HistoryRow>,
    /// The database: rows are written once, whatever is sent twice.
    history: BTreeMap<String, HistoryRow>,
    ids: u32,
}

/// What came of a candidate.
#[derive(Debug, PartialEq)]
enum Came {
    Admitted(String),
    Repeated(String),
    Refused,
    KeyReused,
    KeyWornOut,
    InProgress,
}

impl Meter {
    fn new(plan: PlanId) -> Self {
        Self {
            account: account(plan),
            open: BTreeMap::new(),
            keys: BTreeMap::new(),
            called_off: CalledOffLately::default(),
            outbox: BTreeMap::new(),
            history: BTreeMap::new(),
            ids: 0,
        }
    }

    fn candidate(&mut self, toll: Toll, settler: Settler, key: Option<(u8, bool)>) -> Candidate {
        self.ids += 1;
        let called = match toll.channel() {
            Channel::Mcp if toll != Toll::WithinToolCall => Called::Tool("get-bill".to_owned()),
            _ => Called::Endpoint {
                method: "GET".to_owned(),
                path: "/api/bills".to_owned(),
            },
        };
        Candidate {
            exchange: None,
            id: format!("c{:05}", self.ids),
            toll,
            start: CallStart::new(called, None, None),
            settler,
            keyed: key.map(|(key, other)| {
                let body: &[u8] = if other { b"other" } else { b"" };
                KeyedCall::new(&format!("k{key}"), "GET", "bills", body).unwrap()
            }),
        }
    }

    fn known_key(&self, candidate: &Candidate) -> Option<KnownKey> {
        let (stored, repeats) = self.keys.get(&candidate.keyed.as_ref()?.key)?.clone();
        Some(KnownKey {
            open: self.open.get(&stored.call).cloned(),
            stored,
            repeats,
        })
    }

    fn step(&self, candidate: &Candidate, now: Timestamp) -> Step {
        admit(
            &self.account,
            candidate.clone(),
            self.known_key(candidate),
            self.open.values(),
            &self.called_off,
            now,
        )
    }

    fn admit(&mut self, candidate: Candidate, now: Timestamp) -> Came {
        match self.step(&candidate, now) {
            Step::Open(opening) => {
                let id = opening.open.id.clone();
                self.account.usage = opening.usage;
                self.open.insert(id.clone(), opening.open);
                if let Some(key) = opening.key {
                    self.keys.insert(key.keyed.key.clone(), (key, 0));
                }
                Came::Admitted(id)
            }
            Step::Repeat { call, .. } => {
                if let Some(keyed) = &candidate.keyed {
                    self.keys.get_mut(&keyed.key).unwrap().1 += 1;
                }
                Came::Repeated(call)
            }
            Step::Refuse(Decision::Refuse(_)) => Came::Refused,
            Step::Refuse(Decision::Admit(_)) => panic!("a refusal that admits"),
            Step::KeyReused => Came::KeyReused,
            Step::KeyWornOut => Came::KeyWornOut,
            Step::InProgress => Came::InProgress,
        }
    }

    fn report(&mut self, candidate: Candidate, end: CallEnd, now: Timestamp) -> Came {
        let came = self.admit(candidate.clone(), now);
        match &came {
            Came::Admitted(id) => {
                let open = self.open.remove(id).unwrap();
                self.close(&close_reported(&self.account, open, end));
            }
            Came::Refused => {
                let Step::Refuse(decision) = self.step(&candidate, now) else {
                    panic!("refused a moment ago");
                };
                let kept = over_limit(&self.account, candidate, end, decision, now);
                self.outbox.insert(kept.row.id.clone(), kept.row);
                if let Some(key) = kept.key {
                    self.keys.insert(key.keyed.key.clone(), (key, 0));
                }
            }
            _ => {}
        }
        came
    }

    /// Again changes nothing, because the call is not open any more.
    fn settle(&mut self, id: &str, end: CallEnd) {
        let Some(open) = self.open.remove(id) else {
            return;
        };
        self.close(&close(&self.account, open, end));
    }

    fn close(&mut self, closing: &Closing) {
        let id = &closing.row.id;
        if let Some(usage) = &closing.refunded {
            self.account.usage = usage.clone();
        }
        if closing.key == KeyAfter::Freed {
            self.keys.retain(|_, (key, _)| key.call != *id);
        }
        self.outbox.insert(id.clone(), closing.row.clone());
    }

    fn close_overdue(&mut self, now: Timestamp) -> Vec<String> {
        let overdue: Vec<String> = self
            .open
            .values()
            .filter(|open| now.since(open.admitted_at) > UNSETTLED_AFTER_MILLIS)
            .map(|open| open.id.clone())
            .collect();
        for id in &overdue {
            self.settle(id, CallEnd::unknown());
        }
        overdue
    }

    fn flush(&mut self, fault: Fault) {
        if fault == Fault::BeforeCommit {
            return;
        }
        for (id, row) in &self.outbox {
            self.history
                .entry(id.clone())
                .or_insert_with(|| row.clone());
        }
        // The commit's answer got lost: everything is sent again.
        if fault != Fault::AfterCommit {
            self.outbox.clear();
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    BeforeCommit,
    AfterCommit,
}

/// The counter a charge was put on: a month by its start, or the lifetime.
type Counter = Option<Timestamp>;

#[derive(Debug, Clone)]
struct ChargeNote {
    counter: Counter,
    cost: u64,
    mcp: bool,
    refunded: bool,
    over: bool,
}

/// The reference: every charge ever made, and the month that runs. Sums are made anew each time.
#[derive(Default)]
struct Reference {
    charges: BTreeMap<String, ChargeNote>,
    /// Its call, whether its payload was the other one, and how often it was sent again.
    keys: BTreeMap<u8, (String, bool, u32)>,
    month: Option<(Timestamp, Timestamp)>,
}

impl Reference {
    fn sum(&self, counter: Counter) -> u64 {
        self.charges
            .values()
            .filter(|charge| charge.counter == counter && !charge.refunded && !charge.over)
            .map(|charge| charge.cost)
            .sum()
    }

    fn mcp(&self, counter: Counter) -> u64 {
        self.charges
            .values()
            .filter(|charge| {
                charge.counter == counter && !charge.refunded && !charge.over && charge.mcp
            })
            .map(|charge| charge.cost)
            .sum()
    }

    /// The counter that a call on `plan` goes to now, and what it may hold.
    fn counter(&self, plan: PlanId, now: Timestamp) -> (Counter, Option<u64>) {
        match plan.allowance() {
            Allowance::Once { calls } => (None, Some(u64::from(calls))),
            monthly => {
                let start = match self.month {
                    Some((start, end)) if now < end => start,
                    _ => month_containing(registered(), now).start,
                };
                let limit = match monthly {
                    Allowance::Monthly { calls } => Some(u64::from(calls)),
                    _ => None,
                };
                (Some(start), limit)
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Act {
    Call {
        toll: u8,
        cost: u32,
        gateway: bool,
        key: Option<(u8, bool)>,
    },
    Report {
        key: Option<(u8, bool)>,
        timeout: bool,
    },
    Settle {
        which: usize,
        refund: bool,
    },
    Wait(i64),
    ChangePlan(PlanId),
    LateNews(PlanId),
    CloseOverdue,
    Flush(Fault),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::None),
        1 => Just(Fault::BeforeCommit),
        1 => Just(Fault::AfterCommit),
    ]
}

fn plan() -> impl Strategy<Value = PlanId> {
    prop::sample::select(PlanId::ALL.to_vec())
}

fn act() -> impl Strategy<Value = Act> {
    let key = || prop::option::weighted(0.3, (0_u8..3, prop::bool::weighted(0.1)));
    let cost = prop_oneof![
        6 => 1_u32..4,
        2 => 20_u32..60,
        1 => 500_u32..1200,
        1 => Just(9_000_u32),
    ];
    prop_oneof![
        12 => (0_u8..3, cost, any::<bool>(), key())
            .prop_map(|(toll, cost, gateway, key)| Act::Call { toll, cost, gateway, key }),
        3 => (key(), any::<bool>()).prop_map(|(key, timeout)| Act::Report { key, timeout }),
        10 => (any::<usize>(), any::<bool>()).prop_map(|(which, refund)| Act::Settle { which, refund }),
        2 => (0..UNSETTLED_AFTER_MILLIS * 2).prop_map(Act::Wait),
        2 => (-40 * DAY..40 * DAY).prop_map(Act::Wait),
        1 => plan().prop_map(Act::ChangePlan),
        1 => plan().prop_map(Act::LateNews),
        2 => Just(Act::CloseOverdue),
        3 => fault().prop_map(Act::Flush),
    ]
}

/// A meter and its reference, going through a history together.
struct Run {
    meter: Meter,
    reference: Reference,
    now: Timestamp,
    version: u64,
}

impl Run {
    fn new(plan: PlanId) -> Self {
        Self {
            meter: Meter::new(plan),
            reference: Reference::default(),
            now: at("2026-02-27T23:00:00Z"),
            version: 0,
        }
    }

    fn step(&mut self, act: Act) {
        match act {
            Act::Call {
                toll,
                cost,
                gateway,
                key,
            } => {
                let cost = Cost::new(cost).unwrap();
                let toll = match toll {
                    0 => Toll::Charged {
                        cost,
                        channel: Channel::Rest,
                    },
                    1 => Toll::Charged {
                        cost,
                        channel: Channel::Mcp,
                    },
                    _ => Toll::WithinToolCall,
                };
                let settler = match gateway {
                    true => Settler::Gateway,
                    false => Settler::Client("svc".to_owned()),
                };
                let candidate = self.meter.candidate(toll, settler, key);
                let id = candidate.id.clone();
                let expected = self.expect(&id, toll, gateway, key);
                assert_eq!(self.meter.admit(candidate, self.now), expected);
                self.note(&expected, toll, key);
            }
            Act::Report { key, timeout } => {
                let settler = Settler::Client("svc".to_owned());
                let candidate = self.meter.candidate(Toll::TOOL, settler, key);
                let id = candidate.id.clone();
                let expected = self.expect(&id, Toll::TOOL, false, key);
                let end = match timeout {
                    true => CallEnd::failed(504, 1, "too late"),
                    false => CallEnd::answered(200, 1),
                };
                assert_eq!(self.meter.report(candidate, end, self.now), expected);
                self.note(&expected, Toll::TOOL, key);
                match expected {
                    // What was reported keeps its key: it is over, and is not tried again.
                    Came::Admitted(id) if timeout => self.take_back(&id),
                    Came::Refused => {
                        self.reference.charges.insert(
                            id.clone(),
                            ChargeNote {
                                counter: None,
                                cost: 0,
                                mcp: true,
                                refunded: false,
                                over: true,
                            },
                        );
                        if let Some((key, other)) = key {
                            self.reference.keys.insert(key, (id, other, 0));
                        }
                    }
                    _ => {}
                }
            }
            Act::Settle { which, refund } => {
                // Any call ever made, most of them closed already.
                let ids: Vec<String> = self.reference.charges.keys().cloned().collect();
                let open: Vec<String> = self.meter.open.keys().cloned().collect();
                let pick = |ids: &[String]| ids.get(which % ids.len().max(1)).cloned();
                let id = match which % 3 {
                    0 => pick(&ids),
                    _ => pick(&open),
                };
                let Some(id) = id else { return };
                let end = match refund {
                    true => CallEnd::answered(503, 1),
                    false => CallEnd::answered(404, 1),
                };
                if refund && self.meter.open.contains_key(&id) {
                    self.refund(&id);
                }
                self.meter.settle(&id, end);
            }
            Act::Wait(millis) => {
                let then = self.now.millis() + millis;
                self.now = Timestamp::from_millis(then.max(registered().millis())).unwrap();
            }
            Act::ChangePlan(plan) => {
                self.version += 1;
                self.learn(entitlement(plan, self.version));
            }
            Act::LateNews(plan) => {
                if self.version > 0 {
                    self.learn(entitlement(plan, self.version - 1));
                }
            }
            Act::CloseOverdue => {
                self.meter.close_overdue(self.now);
            }
            Act::Flush(fault) => self.meter.flush(fault),
        }
        self.check();
    }

    fn learn(&mut self, entitlement: Entitlement) {
        let known = known(self.meter.account.clone(), registered());
        let said = Account {
            entitlement,
            ..account(PlanId::Free)
        };
        self.meter.account = learn(Some(known), self::known(said, self.now)).account;
        assert_eq!(self.meter.account.entitlement.version, self.version);
    }

    fn expect(&self, id: &str, toll: Toll, gateway: bool, key: Option<(u8, bool)>) -> Came {
        if let Some((key, other)) = key
            && let Some((call, first, repeats)) = self.reference.keys.get(&key)
        {
            let open = self.meter.open.contains_key(call);
            return match (*first == other, gateway && open) {
                (false, _) => Came::KeyReused,
                (true, true) => Came::InProgress,
                (true, false) if *repeats >= MAX_REPEATS => Came::KeyWornOut,
                (true, false) => Came::Repeated(call.clone()),
            };
        }
        let plan = self.meter.account.entitlement.plan;
        let (counter, limit) = self.reference.counter(plan, self.now);
        let used = self.reference.sum(counter);
        let fits = |cost: u64| limit.is_none_or(|limit| used + cost <= limit);
        let tool_open = self
            .meter
            .open
            .values()
            .any(|open| matches!(open.start.called, Called::Tool(_)));
        let admitted = match toll {
            Toll::Charged { cost, .. } => fits(u64::from(cost.get())),
            Toll::WithinToolCall => fits(1) || tool_open,
        };
        match admitted {
            true => Came::Admitted(id.to_owned()),
            false => Came::Refused,
        }
    }

    fn note(&mut self, came: &Came, toll: Toll, key: Option<(u8, bool)>) {
        if let (Came::Repeated(_), Some((key, _))) = (came, key) {
            self.reference.keys.get_mut(&key).unwrap().2 += 1;
        }
        let Came::Admitted(id) = came else { return };
        let plan = self.meter.account.entitlement.plan;
        let (counter, limit) = self.reference.counter(plan, self.now);
        let cost = match toll {
            Toll::Charged { cost, .. } => u64::from(cost.get()),
            Toll::WithinToolCall => 0,
        };
        if let (Some(start), true) = (counter, cost > 0) {
            let same = self
                .reference
                .month
                .is_some_and(|(known, _)| known == start);
            if !same {
                let month = month_containing(registered(), self.now);
                self.reference.month = Some((month.start, month.end));
            }
        }
        self.reference.charges.insert(
            id.clone(),
            ChargeNote {
                counter,
                cost,
                mcp: toll.channel() == Channel::Mcp,
                refunded: false,
                over: false,
            },
        );
        if let Some((key, other)) = key {
            self.reference.keys.insert(key, (id.clone(), other, 0));
        }
        // 1. Never more than the limit, at the moment of admission.
        if cost > 0 {
            assert!(limit.is_none_or(|limit| self.reference.sum(counter) <= limit));
        }
    }

    fn take_back(&mut self, id: &str) {
        self.reference.charges.get_mut(id).unwrap().refunded = true;
    }

    fn refund(&mut self, id: &str) {
        self.take_back(id);
        self.reference.keys.retain(|_, (call, ..)| call != id);
    }

    fn check(&self) {
        let usage = &self.meter.account.usage;
        // 2. used = charges − refunds, in the meter.
        assert_eq!(usage.lifetime.used, self.reference.sum(None));
        assert_eq!(usage.lifetime.mcp, self.reference.mcp(None));
        if let Some(period) = usage.period {
            assert_eq!(period.used, self.reference.sum(Some(period.start)));
            assert_eq!(period.mcp, self.reference.mcp(Some(period.start)));
            assert_eq!(
                (period.start, period.end),
                self.reference.month.unwrap(),
                "the month that runs"
            );
        }
        // 3. Every call is open, or has exactly one row.
        for (id, charge) in &self.reference.charges {
            let open = self.meter.open.contains_key(id);
            let row = self.meter.history.get(id).or(self.meter.outbox.get(id));
            assert_ne!(open, row.is_some(), "{id} is open or has a row");
            if let Some(row) = row {
                let cost = if charge.refunded { 0 } else { charge.cost };
                assert_eq!(u64::from(row.cost), cost);
                assert_eq!(row.over_limit, charge.over);
            }
        }
        assert!(
            self.meter
                .history
                .keys()
                .all(|id| self.reference.charges.contains_key(id)),
            "no row is invented"
        );
    }

    /// Everything is over: the history alone tells what was used.
    fn finish(&mut self) {
        self.now = self.now.plus_millis(UNSETTLED_AFTER_MILLIS + 1);
        let latest = self
            .meter
            .open
            .values()
            .map(|open| open.admitted_at.plus_millis(UNSETTLED_AFTER_MILLIS + 1))
            .max();
        self.now = self.now.max(latest.unwrap_or(self.now));
        self.meter.close_overdue(self.now);
        self.meter.flush(Fault::AfterCommit);
        self.meter.flush(Fault::None);
        assert!(self.meter.open.is_empty() && self.meter.outbox.is_empty());
        self.check();
        let rows: u64 = self
            .meter
            .history
            .values()
            .map(|row| u64::from(row.cost))
            .sum();
        let charges: u64 = self
            .reference
            .charges
            .values()
            .filter(|charge| !charge.refunded)
            .map(|charge| charge.cost)
            .sum();
        assert_eq!(rows, charges);
        assert_eq!(self.meter.history.len(), self.reference.charges.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_meter_does_what_a_list_of_charges_says(
        first in plan(),
        acts in prop::collection::vec(act(), 1..120),
    ) {
        let mut run = Run::new(first);
        for act in acts {
            run.step(act);
        }
        run.finish();
    }

    /// Of twelve readings of the database, each a minute later than the one before, every third sees another plan.
    #[test]
    fn of_answers_in_any_order_the_newest_stays_and_usage_with_it(
        readings in Just((0_i64..12).collect::<Vec<_>>()).prop_shuffle(),
        used in 0_u64..100,
    ) {
        let reading = |number: i64| {
            let version = u64::try_from(number / 3).unwrap();
            let mut account = Account { entitlement: entitlement(PlanId::ALL[usize::try_from(version).unwrap()], version), ..account(PlanId::Free) };
            account.user.name = Some(format!("name {number}"));
            known(account, registered().plus_millis(number * 60_000))
        };
        let mut held = None;
        for number in readings {
            let mut learnt = learn(held, reading(number));
            learnt.account.usage.lifetime.used = used;
            held = Some(learnt);
        }
        let mut newest = reading(11);
        newest.account.usage.lifetime.used = used;
        prop_assert_eq!(held, Some(newest));
    }

    /// A restored database has older versions: they do not hold, and it is not asked again with every call for that.
    #[test]
    fn an_older_entitlement_that_is_told_later_counts_as_asked(later in 1_i64..1_000_000) {
        let before = known(Account { entitlement: entitlement(PlanId::Professional, 7), ..account(PlanId::Free) }, registered());
        let said = known(account(PlanId::Free), registered().plus_millis(later));
        let after = learn(Some(before.clone()), said.clone());
        prop_assert_eq!(after, Known { asked_at: said.asked_at, ..before });
    }

    /// A meter that lost everything begins where the columns of the database stand.
    #[test]
    fn the_reported_columns_are_enough_to_begin_again(
        plan in plan(),
        calls in 0_u32..90,
        days in 0_i64..300,
    ) {
        let now = registered().plus_millis(days * DAY + 1);
        let mut meter = Meter::new(plan);
        for _ in 0..calls {
            let candidate = meter.candidate(Toll::TOOL, Settler::Gateway, None);
            meter.admit(candidate, now);
        }
        let Account { entitlement, usage, .. } = &meter.account;
        let counters = Counters::new(entitlement, usage, now);
        let begun = Account {
            usage: counters.usage(entitlement, registered()),
            ..meter.account.clone()
        };
        let soon = now.plus_millis(1);
        prop_assert_eq!(begun.balance(soon), meter.account.balance(soon));
        let next_month = now.plus_millis(32 * DAY);
        prop_assert_eq!(begun.balance(next_month), meter.account.balance(next_month));
    }
}

#[test]
fn a_key_is_of_one_call() {
    // Two whose 64-bit FNV-1a is one: found in seconds.
    let calls = [
        "votes/119-2024?x=LxYK6kmKHlB",
        "bills/118-hr-1?x=4Pw8bRjqd2A",
    ];
    let fingerprints = calls.map(|call| KeyedCall::new("k", "GET", call, b"").unwrap().fingerprint);
    assert_ne!(fingerprints[0], fingerprints[1]);
}

#[test]
fn an_id_names_one_call_of_a_session_at_a_time() {
    let mut meter = Meter::new(PlanId::Free);
    let now = registered();
    let ask = |meter: &mut Meter, session: &str, id: &str| {
        let toll = Toll::Charged {
            cost: Cost::ONE,
            channel: Channel::Mcp,
        };
        let id: serde_json::Value = serde_json::from_str(id).unwrap();
        let exchange = Some(Exchange::new(Some(session), &id));
        let candidate = meter.candidate(toll, Settler::Gateway, None);
        meter.admit(
            Candidate {
                exchange,
                ..candidate
            },
            now,
        )
    };
    let Came::Admitted(first) = ask(&mut meter, "s1", "1") else {
        panic!("the first call of a session is refused");
    };
    assert_eq!(ask(&mut meter, "s1", "1"), Came::InProgress);
    // Some servers take a number for its text; another session counts for itself.
    assert_eq!(ask(&mut meter, "s1", "\"1\""), Came::InProgress);
    for (session, id) in [("s1", "2"), ("s2", "1")] {
        assert!(matches!(ask(&mut meter, session, id), Came::Admitted(_)));
    }
    meter.settle(&first, CallEnd::answered(200, 5));
    assert!(matches!(ask(&mut meter, "s1", "1"), Came::Admitted(_)));
}

/// A tool that ran was not answered where we look, because its caller used its id for something else at the same time.
#[test]
fn a_call_whose_id_is_used_for_another_request_is_charged_however_it_ends() {
    let now = registered();
    let failed = CallEnd::failed(504, 30_000, "timed_out");
    let exchange = |session| Exchange::new(session, &serde_json::json!(3));
    // Without sessions another client may come with the same id: what it calls later is its own.
    for (noted, session, open, later_called) in [
        (Some("s1"), Some("s1"), true, true),
        (Some("s2"), Some("s1"), false, false),
        (None, Some("s1"), false, false),
        (None, None, true, false),
    ] {
        let off = CalledOff::request(noted, &serde_json::json!("3"));
        for (order, late) in [(0, false), (1, false), (1, true)] {
            let mut meter = Meter::new(PlanId::Free);
            let later = if late { now.plus_millis(60_000) } else { now };
            if order == 1 {
                meter.called_off.note(off.clone(), now);
            }
            let candidate = Candidate {
                exchange: Some(exchange(session)),
                ..meter.candidate(Toll::TOOL, Settler::Gateway, None)
            };
            let Came::Admitted(id) = meter.admit(candidate, later) else {
                panic!("a call of a free user is refused");
            };
            if order == 0 {
                for open in meter.open.values_mut().filter(|open| off.is_about(open)) {
                    open.awaited = Awaited::NoMore;
                }
            }
            meter.settle(&id, failed.clone());
            let used = meter.account.usage.lifetime.used;
            let charged = if order == 0 {
                open
            } else {
                later_called && !late
            };
            assert_eq!(
                used,
                u64::from(charged),
                "{noted:?} {session:?} {order} {late}"
            );
        }
    }
}

#[test]
fn meters_that_failed_together_come_back_apart() {
    let now = registered();
    for failures in 1_u32..40 {
        let longest = (30_000_i64 << (failures - 1).min(10)).min(600_000);
        let mut by_tenth = [0_u32; 10];
        for meter in 0..2_000 {
            let setback = (0..failures).fold(None, |before, _| {
                Some(Setback::after(before, &format!("{meter:064x}"), now))
            });
            let wait = setback.unwrap().wait_millis(now);
            assert!(
                (longest / 2..=longest).contains(&wait),
                "{wait} of {longest}"
            );
            let tenth = (wait - longest / 2) * 10 / (longest / 2);
            by_tenth[usize::try_from(tenth).unwrap().min(9)] += 1;
        }
        // Two hundred each would be even.
        assert!(
            by_tenth.iter().all(|meters| (140..260).contains(meters)),
            "{by_tenth:?}"
        );
    }
    // A clock that was set back keeps nobody waiting for longer.
    let setback = Setback::after(None, "a", now.plus_millis(DAY));
    assert!(setback.wait_millis(now) <= 600_000);
    assert_eq!(setback.wait_millis(now.plus_millis(2 * DAY)), 0);
}

/// A key is for sending one call again; after so many times it is worn out, and nothing is charged.
#[test]
fn a_key_wears_out() {
    let mut meter = Meter::new(PlanId::Free);
    let now = registered();
    let first = meter.candidate(Toll::REST, Settler::Gateway, Some((1, false)));
    let id = first.id.clone();
    assert_eq!(meter.admit(first, now), Came::Admitted(id.clone()));
    meter.settle(&id, CallEnd::answered(200, 1));
    for _ in 0..MAX_REPEATS {
        let again = meter.candidate(Toll::REST, Settler::Gateway, Some((1, false)));
        assert_eq!(meter.admit(again, now), Came::Repeated(id.clone()));
    }
    let again = meter.candidate(Toll::REST, Settler::Gateway, Some((1, false)));
    assert_eq!(meter.admit(again, now), Came::KeyWornOut);
    assert_eq!(meter.account.usage.lifetime.used, 1);
    // A service that passes on its callers' keys would serve them without end.
    let service = || Settler::Client("service".to_owned());
    let reserved = meter.candidate(Toll::REST, service(), Some((2, false)));
    let id = reserved.id.clone();
    assert_eq!(meter.admit(reserved, now), Came::Admitted(id.clone()));
    for repeat in 0..MAX_REPEATS {
        if repeat == 50 {
            meter.settle(&id, CallEnd::answered(200, 1));
        }
        let again = meter.candidate(Toll::REST, service(), Some((2, false)));
        assert_eq!(meter.admit(again, now), Came::Repeated(id.clone()));
    }
    let again = meter.candidate(Toll::REST, service(), Some((2, false)));
    assert_eq!(meter.admit(again, now), Came::KeyWornOut);
    assert_eq!(meter.account.usage.lifetime.used, 2);
}

/// What the columns of an idle user say once their period is over: the next one, unused; and where the plan went back to
/// the one-time allowance, what was used of that.
#[test]
fn the_columns_of_an_idle_user_follow_the_calendar() {
    let mut account = account(PlanId::Developer);
    account.usage.lifetime.used = 57;
    let later = at("2026-05-02T00:00:00Z");
    let counters = Counters::new(&account.entitlement, &account.usage, later);
    assert_eq!(
        (counters.used, counters.resets_at),
        (0, Some(at("2026-05-31T10:15:30Z")))
    );
    account.entitlement.plan = PlanId::Free;
    let counters = Counters::new(&account.entitlement, &account.usage, later);
    assert_eq!((counters.used, counters.resets_at), (57, None));
}

/// The cost of a call does not grow with the number of users: each has a meter of their own. Prints what was measured.
#[test]
fn a_million_users_cost_no_more_a_call_than_a_thousand() {
    let calls = 400_000_u32;
    let mut measured = Vec::new();
    for users in [1_000_u32, 1_000_000] {
        let plan = |user: u32| PlanId::ALL[user as usize % PlanId::ALL.len()];
        let mut usages: Vec<Usage> = (0..users).map(|_| Usage::none(registered())).collect();
        let entitlements = PlanId::ALL.map(|plan| entitlement(plan, 0));
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut admitted = vec![0_u64; users as usize];
        let start = std::time::Instant::now();
        for _ in 0..calls {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let user = u32::try_from(random % u64::from(users)).unwrap();
            let entitlement = &entitlements[PlanId::ALL
                .iter()
                .position(|known| *known == plan(user))
                .unwrap()];
            let usage = &mut usages[user as usize];
            let now = at_fast(random);
            let (decision, charged) =
                legis_core::quota::charge(entitlement, usage, Cost::ONE, Channel::Rest, now);
            if let Some((after, _)) = charged {
                *usage = after;
                admitted[user as usize] += 1;
            }
            let _ = decision;
        }
        measured.push(start.elapsed().as_nanos() / u128::from(calls));
        for (user, count) in admitted.iter().enumerate() {
            let limit = match plan(u32::try_from(user).unwrap()).allowance() {
                Allowance::Once { calls } | Allowance::Monthly { calls } => u64::from(calls),
                Allowance::Unlimited => u64::MAX,
            };
            assert!(*count <= limit);
        }
    }
    println!(
        "a call costs {} ns with 1,000 users, {} ns with 1,000,000",
        measured[0], measured[1]
    );
    // Room for memory that no cache holds; a cost that grew with the users would be a thousandfold.
    assert!(measured[1] < measured[0] * 10 + 2_000);
}

/// A moment of the one month in which the simulation takes place.
fn at_fast(random: u64) -> Timestamp {
    let millis = i64::try_from(random % 1_000_000_000).unwrap();
    at_base().plus_millis(millis)
}

fn at_base() -> Timestamp {
    Timestamp::from_millis(1_770_000_000_000).unwrap()
}

/// Who refunds what: a failure of ours or of the upstream, and nothing else.
#[test]
fn a_failure_is_refunded_and_an_answer_is_charged() {
    let refunded = |end: CallEnd| end.settled == Settled::Refunded;
    for status in [200, 204, 302, 304, 400, 401, 404, 409, 422, 429, 499] {
        assert!(!refunded(CallEnd::answered(status, 1)), "{status}");
    }
    for status in [500, 501, 502, 503, 504, 599] {
        assert!(refunded(CallEnd::answered(status, 1)), "{status}");
        assert!(
            refunded(CallEnd::failed(status, 1, "unavailable")),
            "{status}"
        );
    }
    assert!(!refunded(CallEnd::unknown()));
}
