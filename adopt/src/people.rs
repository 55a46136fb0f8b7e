//! Who the old users are here: new, there already, or taken over before; and from what their meters go on.

use crate::deployment::Deployment;
use crate::source::Source;
use anyhow::Result;
use legis_core::adoption::history::whose;
use legis_core::adoption::opening::{self, Charged, OldCounters, Opening};
use legis_core::adoption::plans::PlanNames;
use legis_core::adoption::shape::OldTable;
use legis_core::adoption::users::{self, OldUser};
use legis_core::adoption::{Reason, Refused};
use legis_core::entitlement::{Subscription, entitlement};
use legis_core::plan::PlanId;
use legis_core::quota::{Balance, Usage, balance};
use legis_core::subscription::Grace;
use legis_core::time::Timestamp;
use std::collections::{HashMap, HashSet};

/// Everybody in an old database.
#[derive(Default)]
pub struct People {
    pub all: Vec<Person>,
    /// Who a row of another table belongs to, by the old id.
    by_old_id: HashMap<String, usize>,
    /// What became of each row of `users`, by its key.
    rows: HashMap<String, Fate>,
    /// How many share an e-mail address with somebody.
    pub sharing_an_address: usize,
}

/// What became of a row of `users`.
#[derive(Debug, Clone)]
pub enum Fate {
    /// It is the row of that person.
    Person(usize),
    /// It is another row of somebody.
    Duplicate,
    /// It is nobody's.
    Refused(Refused),
}

/// Somebody, with all their rows.
pub struct Person {
    pub user: OldUser,
    /// What the rows of other tables call them, the first of `user` first.
    pub old_ids: Vec<String>,
    /// Their id here.
    pub id: u64,
    pub here: Here,
    /// What is stored of their subscription, where it is from the old database.
    pub subscription: Subscription,
    /// Where they stand here, before what was used elsewhere.
    pub balance: Balance,
    pub counters: OldCounters,
    pub charged: Charged,
    /// Whether their customer is somebody else's too, and stays theirs.
    pub customer: Option<String>,
}

/// Whether somebody is here already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Here {
    /// They are new.
    New,
    /// They registered here before. They take over what they paid for elsewhere, unless something is known of that here.
    Registered { takes_subscription: bool },
    /// They were taken over before, with so many calls.
    Adopted { used: u64 },
}

impl Person {
    /// What they used of the old services in all.
    pub fn used(&self) -> u64 {
        opening::used(self.counters, self.charged)
    }

    /// What is added to what is counted here. Of what was taken over before only what is more; that is of now, because it
    /// was not there then.
    pub fn opening(&self) -> Opening {
        let used = self.used();
        let now = opening::used_now(self.counters, self.charged);
        match self.here {
            Here::Adopted { used: before } => {
                let more = used.saturating_sub(before);
                opening::opening(&self.balance, more, more)
            }
            Here::New | Here::Registered { .. } => opening::opening(&self.balance, used, now),
        }
    }

    /// Whether something is added.
    pub fn adds(&self) -> bool {
        let opening = self.opening();
        opening.lifetime > 0 || opening.month.is_some_and(|month| month.used > 0)
    }

    /// Since when calls count as made in the running period.
    fn running_since(&self) -> Timestamp {
        self.balance.period.start
    }
}

impl People {
    /// Reads `users` and finds out who they are here.
    pub fn read(
        source: &Source,
        plans: &PlanNames,
        deployment: &Deployment,
        now: Timestamp,
    ) -> Result<Self> {
        let mut people = Self::default();
        let Some(table) = source.table(OldTable::Users) else {
            return Ok(people);
        };
        let mut by_sub: HashMap<String, usize> = HashMap::new();
        let mut keys: Vec<String> = Vec::new();
        source.each(table, |row| {
            let user = match users::read(row, plans) {
                Ok(carried) => carried.row,
                Err(refused) => {
                    people.rows.insert(row.key.clone(), Fate::Refused(refused));
                    return Ok(());
                }
            };
            let found = by_sub.get(&user.sub).copied();
            let index = found.unwrap_or(people.all.len());
            let old_id = people.name(&user.id, &row.key, index);
            match found {
                None => {
                    by_sub.insert(user.sub.clone(), index);
                    people.rows.insert(row.key.clone(), Fate::Person(index));
                    people.all.push(Person::new(user, old_id, now));
                    keys.push(row.key.clone());
                }
                // The oldest row is theirs, unless only a later one is paid for.
                Some(_) if user.is_payer() && !people.all[index].user.is_payer() => {
                    people.rows.insert(keys[index].clone(), Fate::Duplicate);
                    people.rows.insert(row.key.clone(), Fate::Person(index));
                    keys[index].clone_from(&row.key);
                    people.all[index].also(user, old_id, now, true);
                }
                Some(_) => {
                    people.rows.insert(row.key.clone(), Fate::Duplicate);
                    people.all[index].also(user, old_id, now, false);
                }
            }
            Ok(())
        })?;
        people.date(source, now)?;
        people.place(deployment, now);
        people.count_shared_addresses();
        Ok(people)
    }

    /// The old id by which somebody's rows are found; one that two rows share is the first one's.
    fn name(&mut self, id: &str, key: &str, index: usize) -> String {
        if self.by_old_id.contains_key(id) {
            return format!("{id} (row {key})");
        }
        self.by_old_id.insert(id.to_owned(), index);
        id.to_owned()
    }

    /// Gives those of whom nobody knows when they registered a date: that of their first call, else of their last change,
    /// else now.
    fn date(&mut self, source: &Source, now: Timestamp) -> Result<()> {
        let undated: HashSet<usize> = (0..self.all.len())
            .filter(|index| self.all[*index].user.created_at.is_none())
            .collect();
        if undated.is_empty() {
            return Ok(());
        }
        let mut first: HashMap<usize, Timestamp> = HashMap::new();
        for known in [OldTable::ApiUsage, OldTable::McpLogs] {
            let Some(table) = source.table(known) else {
                continue;
            };
            source.each(table, |row| {
                let person = whose(row).and_then(|id| self.by_old_id.get(&id).copied());
                let at = row.read().moment("timestamp");
                if let (Some(person), Some(at)) = (person, at)
                    && undated.contains(&person)
                {
                    let first = first.entry(person).or_insert(at);
                    *first = at.min(*first);
                }
                Ok(())
            })?;
        }
        for index in undated {
            let person = &mut self.all[index];
            let registered = first.get(&index).copied().or(person.user.updated_at);
            person.register(registered.unwrap_or(now), now);
        }
        Ok(())
    }

    /// Finds out who is here already, and gives the others their ids.
    fn place(&mut self, deployment: &Deployment, now: Timestamp) {
        let mut taken = deployment.ids.clone();
        let mut customers = deployment.customers.clone();
        for person in &mut self.all {
            person.meet(deployment, now);
            if person.here == Here::New {
                let wanted = person.user.id.parse::<u32>().map_or(0, u64::from);
                if wanted > 0 && taken.insert(wanted) {
                    person.id = wanted;
                }
            }
            let customer = person.user.customer.clone();
            person.customer = customer.filter(|customer| customers.insert(customer.clone()));
        }
        let mut next = taken.iter().copied().max().unwrap_or(0);
        for person in self.all.iter_mut().filter(|person| person.id == 0) {
            next += 1;
            person.id = next;
        }
    }

    fn count_shared_addresses(&mut self) {
        let mut by_address: HashMap<String, usize> = HashMap::new();
        for email in self
            .all
            .iter()
            .filter_map(|person| person.user.email.as_ref())
        {
            *by_address.entry(email.to_lowercase()).or_default() += 1;
        }
        let shared = by_address.values().filter(|count| **count > 1);
        self.sharing_an_address = shared.sum();
    }

    /// What became of a row of `users`.
    pub fn fate(&self, key: &str) -> Option<&Fate> {
        self.rows.get(key)
    }

    /// Whose a row is.
    pub fn owner(&self, old_id: Option<String>) -> Result<usize, Refused> {
        let old_id = old_id.ok_or_else(|| Refused::new(Reason::NoSuchUser, "user_id is empty"))?;
        let found = self.by_old_id.get(&old_id).copied();
        found.ok_or_else(|| Refused::new(Reason::NoSuchUser, "user_id"))
    }

    /// Counts a call of the old history.
    pub fn charge(&mut self, person: usize, cost: u32, at: Timestamp, now: Timestamp) {
        let person = &mut self.all[person];
        let cost = u64::from(cost);
        person.charged.ever += cost;
        // What is dated later than now was made with a clock that ran ahead.
        if at >= person.running_since() || at > now {
            person.charged.running += cost;
        }
    }
}

impl Person {
    fn new(user: OldUser, old_id: String, now: Timestamp) -> Self {
        let registered_at = user.created_at.unwrap_or(now);
        let subscription = user.subscription(registered_at, now);
        let mut person = Self {
            balance: stands(&subscription, now),
            counters: OldCounters::default().with(user.counter, user.resets_at, now),
            charged: Charged::default(),
            customer: None,
            old_ids: vec![old_id],
            id: 0,
            here: Here::New,
            subscription,
            user,
        };
        person.register(registered_at, now);
        person
    }

    /// Another row of theirs, which may be the one that holds from now on.
    fn also(&mut self, user: OldUser, old_id: String, now: Timestamp, holds: bool) {
        self.counters = self.counters.with(user.counter, user.resets_at, now);
        let first = self
            .user
            .created_at
            .into_iter()
            .chain(user.created_at)
            .min();
        if holds {
            self.old_ids.insert(0, old_id);
            self.user = user;
        } else {
            self.old_ids.push(old_id);
        }
        self.user.created_at = first;
        self.register(first.unwrap_or(now), now);
    }

    fn register(&mut self, at: Timestamp, now: Timestamp) {
        self.subscription = self.user.subscription(at, now);
        self.balance = stands(&self.subscription, now);
    }

    fn meet(&mut self, deployment: &Deployment, now: Timestamp) {
        let Some(known) = deployment.users.get(&self.user.sub) else {
            return;
        };
        self.id = known.id;
        let before: Vec<u64> = self
            .old_ids
            .iter()
            .filter_map(|id| deployment.adopted.get(id).copied())
            .collect();
        self.here = match before.is_empty() {
            false => Here::Adopted {
                used: before.iter().sum(),
            },
            true => Here::Registered {
                takes_subscription: known.never_subscribed() && self.user.is_payer(),
            },
        };
        let registered_at = known.subscription.registered_at;
        if self.here
            != (Here::Registered {
                takes_subscription: true,
            })
        {
            let entitlement = known.entitlement();
            let usage = known.counters.usage(&entitlement, registered_at);
            self.balance = balance(&entitlement, &usage, now);
            return;
        }
        // Whoever never paid here has no month here; theirs is counted as elsewhere.
        let anchor = self.subscription.anchor.or(self.user.created_at);
        self.subscription = Subscription {
            anchor: Some(anchor.unwrap_or(registered_at)),
            registered_at,
            ..self.subscription.clone()
        };
        self.balance = stands(&self.subscription, now);
    }

    /// Whether the plan that they have is not the one that holds: nothing is paid.
    pub fn lacks_payment(&self) -> bool {
        self.user.sold.plan != PlanId::Free && !self.user.is_payer()
    }
}

/// Where whoever has a subscription stands, before anything was used.
fn stands(subscription: &Subscription, now: Timestamp) -> Balance {
    let entitlement = entitlement(subscription, Grace::default());
    balance(&entitlement, &Usage::none(subscription.registered_at), now)
}
