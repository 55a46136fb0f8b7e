//! The adoption itself: every row is looked at twice, once to find out what becomes of it and what was used, and once to
//! write it.

use crate::count::Counts;
use crate::deployment::{Deployment, Opening};
use crate::people::{Fate, Here, People, Person};
use crate::script::{Rows, Script, Sql, pieces, text};
use crate::source::{Source, Table};
use crate::target::{Columns, Target};
use anyhow::{Context, Result, bail};
use legis_core::adoption::identity::{call_id, quarantine_id};
use legis_core::adoption::plans::{self, PlanNames};
use legis_core::adoption::shape::OldTable;
use legis_core::adoption::{OldRow, Reason, Refused, clients, events, history, payments, users};
use legis_core::history::days_before;
use legis_core::plan::Sold;
use legis_core::time::Timestamp;
use serde_json::json;
use std::collections::{HashMap, HashSet};

/// The largest row that D1 keeps, with room for what is written beside it.
const LARGEST_ROW: usize = 1_800_000;
/// A row in quarantine that is larger is kept in parts.
const LARGEST_PART: usize = 900_000;
/// How often progress is told, in rows.
const STRIDE: u64 = 100_000;
/// How long the worker keeps the history unless it is told otherwise.
const RETENTION_DAYS: u32 = 400;

const USERS: Rows = Rows {
    rank: 0,
    head: "INSERT INTO users (id, auth0_user_id, email, name, stripe_customer_id, current_plan_id, subscription_status, \
           subscription_period_end, billing_anchor, past_due_since, billing_interval, entitlement_version, api_calls_count, \
           api_calls_reset_at, lifetime_calls_count, created_at, updated_at) VALUES ",
    tail: " ON CONFLICT DO NOTHING",
};
// Only where the user is the one that was meant: somebody may have registered meanwhile.
const OPENINGS: Rows = Rows {
    rank: 1,
    head: "INSERT INTO opening_balances (user_id, lifetime_used, lifetime_mcp, period_end, period_used, period_mcp, opened_at) \
           SELECT users.id, column3, 0, column4, column5, 0, column6 FROM (VALUES ",
    tail: ") JOIN users ON users.id = column1 AND auth0_user_id = column2 WHERE true ON CONFLICT DO NOTHING",
};
const ADOPTED: Rows = Rows {
    rank: 2,
    head: "INSERT INTO adopted_users (source, old_id, user_id, used) SELECT column3, column4, users.id, column5 FROM (VALUES ",
    tail: ") JOIN users ON users.id = column1 AND auth0_user_id = column2 WHERE true ON CONFLICT DO NOTHING",
};
const CUSTOMERS: Rows = Rows {
    rank: 3,
    head: "INSERT INTO stripe_customers (id, sub, linked_kind, linked_at, linked_by, version) \
           SELECT column1, column2, 'users', 0, '', 1 FROM (VALUES ",
    tail: ") JOIN users ON auth0_user_id = column2 AND stripe_customer_id = column1 WHERE true ON CONFLICT DO NOTHING",
};
const CLIENTS: Rows = Rows {
    rank: 0,
    head: "INSERT INTO auth_config (config_name, auth0_domain, auth0_client_id, auth0_audience, auth0_scope, \
           allowed_callback_urls, allowed_logout_urls, allowed_origins, is_active) VALUES ",
    tail: " ON CONFLICT DO NOTHING",
};
const EVENTS: Rows = Rows {
    rank: 0,
    head: "INSERT INTO stripe_webhook_logs (stripe_event_id, event_type, processing_status, error_message, raw_payload, \
           processed_at, created_at) VALUES ",
    tail: " ON CONFLICT DO NOTHING",
};
const PAYMENTS: Rows = Rows {
    rank: 0,
    head: "INSERT INTO payment_history (user_id, stripe_invoice_id, amount, currency, status, created_at) VALUES ",
    tail: " ON CONFLICT DO NOTHING",
};
const API_USAGE: Rows = Rows {
    rank: 0,
    head: "INSERT INTO api_usage (id, user_id, endpoint, method, status_code, response_time_ms, error_message, ip_address, \
           user_agent, timestamp, status, cost, channel, opening) SELECT *, 'rest', 1 FROM (VALUES ",
    tail: ") WHERE true ON CONFLICT DO NOTHING",
};
const MCP_LOGS: Rows = Rows {
    rank: 0,
    head: "INSERT INTO mcp_logs (id, user_id, tool_name, request_data, response_data, status, error_message, response_time_ms, \
           tokens_used, timestamp, cost, opening) SELECT *, 0, 1 FROM (VALUES ",
    tail: ") WHERE true ON CONFLICT DO NOTHING",
};
const QUARANTINE: Rows = Rows {
    rank: 9,
    head: "INSERT INTO quarantine (id, source, table_name, reason, detail, row_data, quarantined_at) VALUES ",
    tail: " ON CONFLICT DO NOTHING",
};

/// What is to be done.
pub struct Order {
    /// What the old database is called here.
    pub source: String,
    /// What the operator says of plans that nobody knows.
    pub plans: PlanNames,
    pub now: Timestamp,
    pub does: Does,
}

/// Whether anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    Tell,
    Apply,
}

/// What was found, and what was done.
pub struct Outcome {
    pub counts: Counts,
    pub people: People,
    pub notes: Notes,
    /// How many rows of the history are new, where they were written.
    pub new: Option<Opening>,
    /// When the source was first taken over, if it was.
    pub earlier: Option<Timestamp>,
}

/// What an operator should know beside the counts.
#[derive(Debug, Default)]
pub struct Notes {
    /// Prices of Stripe's that differ from the ones that are configured here, by their plan's row.
    pub prices: Vec<u32>,
    /// Clients whose configuration here is kept.
    pub clients: Vec<String>,
    /// Calls that are older than the worker keeps them.
    pub old_calls: u64,
    /// Events that had not been dealt with.
    pub open_events: u64,
}

/// Looks at an old database, and takes it over if that is ordered.
pub fn run(source: &Source, target: &mut dyn Target, mut order: Order) -> Result<Outcome> {
    let deployment = Deployment::read(target, &order.source)?;
    if let Some(table) = source.table(OldTable::Plans) {
        source.each(table, |row| {
            if let Ok(plan) = plans::read(row) {
                order.plans.learn(&plan.row);
            }
            Ok(())
        })?;
    }
    let mut people = People::read(source, &order.plans, &deployment, order.now)?;
    let mut scan = Pass::new(source, &order, &deployment, &mut people, None);
    scan.walk("read")?;
    let (counts, notes) = (scan.counts, scan.notes);
    for (table, count) in &counts.0 {
        if !count.is_whole() {
            bail!("rows of {table} went nowhere: {count:?}; nothing was written");
        }
    }
    let new = match order.does {
        Does::Tell => None,
        Does::Apply => Some(apply(
            source,
            target,
            &order,
            &deployment,
            &mut people,
            &counts,
        )?),
    };
    Ok(Outcome {
        counts,
        people,
        notes,
        new,
        earlier: deployment
            .earlier
            .as_ref()
            .and_then(|row| row.moment("started_at")),
    })
}

/// Writes everything, and makes sure that it is there.
fn apply(
    source: &Source,
    target: &mut dyn Target,
    order: &Order,
    deployment: &Deployment,
    people: &mut People,
    counts: &Counts,
) -> Result<Opening> {
    let name = text(&order.source);
    let now = order.now.millis();
    let mut script = Script::new(target);
    script.statement(&format!(
        "INSERT INTO adoptions (source, shape, started_at) VALUES ({name}, {}, {now}) ON CONFLICT DO NOTHING",
        text(source.recognised.shape.as_str())
    ));
    let mut pass = Pass::new(source, order, deployment, people, Some(script));
    pass.walk("written")?;
    let written = pass.counts;
    let mut script = pass.script.context("nothing to write with")?;
    if written != *counts {
        bail!("the file changed while it was read; run it again");
    }
    let new = verify(script.target()?, &order.source, deployment, people, counts)?;
    let told = text(&counts.json().to_string());
    script.statement(&format!(
        "UPDATE adoptions SET counts = {told}, finished_at = {now} \
         WHERE source = {name} AND (finished_at IS NULL OR counts IS NOT {told})"
    ));
    script.apply()?;
    Ok(new)
}

/// Counts in the target what was counted in the source.
fn verify(
    target: &mut dyn Target,
    source: &str,
    deployment: &Deployment,
    people: &People,
    counts: &Counts,
) -> Result<Opening> {
    let after = Opening::read(target)?;
    let new = Opening {
        api_usage: after.api_usage.saturating_sub(deployment.opening.api_usage),
        mcp_logs: after.mcp_logs.saturating_sub(deployment.opening.mcp_logs),
    };
    let here = |table: OldTable| {
        let count = counts
            .0
            .iter()
            .find(|(name, _)| OldTable::parse(name) == Some(table));
        count.map_or(0, |(_, count)| count.here())
    };
    let is_first = deployment.earlier.is_none();
    for (table, carried, new, after) in [
        (
            OldTable::ApiUsage,
            here(OldTable::ApiUsage),
            new.api_usage,
            after.api_usage,
        ),
        (
            OldTable::McpLogs,
            here(OldTable::McpLogs),
            new.mcp_logs,
            after.mcp_logs,
        ),
    ] {
        if (is_first && new != carried) || after < carried {
            bail!(
                "{}: {carried} rows were written, {new} are new in the target, {after} in all. Run it again.",
                table.as_str()
            );
        }
    }
    let named: usize = people.all.iter().map(|person| person.old_ids.len()).sum();
    let stored = target.rows(&format!(
        "SELECT (SELECT count(*) FROM adopted_users WHERE source = {0}) AS users, \
         (SELECT count(*) FROM quarantine WHERE source = {0} AND reason <> 'values_aside' \
         AND (detail IS NULL OR detail NOT LIKE 'part %')) AS quarantined",
        text(source)
    ))?;
    let stored = stored
        .first()
        .context("the target did not count its rows")?;
    let quarantined: u64 = counts
        .0
        .iter()
        .map(|(_, count)| count.in_quarantine())
        .sum();
    if stored.count("users") < u64::try_from(named)? || stored.count("quarantined") < quarantined {
        bail!(
            "of {named} users {} are in the target, of {quarantined} rows in quarantine {}. Run it again: nothing is taken over twice.",
            stored.count("users"),
            stored.count("quarantined")
        );
    }
    Ok(new)
}

/// One look at every row.
struct Pass<'a, 't> {
    source: &'a Source,
    order: &'a Order,
    deployment: &'a Deployment,
    people: &'a mut People,
    /// Where it is written; on the first look, nowhere.
    script: Option<Script<'t>>,
    counts: Counts,
    notes: Notes,
    /// What there is once, and was seen.
    seen: HashSet<(OldTable, String)>,
    /// Prices that rows of `plans` were given in this pass.
    prices: HashMap<u32, String>,
}

impl<'a, 't> Pass<'a, 't> {
    fn new(
        source: &'a Source,
        order: &'a Order,
        deployment: &'a Deployment,
        people: &'a mut People,
        script: Option<Script<'t>>,
    ) -> Self {
        Self {
            source,
            order,
            deployment,
            people,
            script,
            counts: Counts::default(),
            notes: Notes::default(),
            seen: HashSet::new(),
            prices: HashMap::new(),
        }
    }

    fn walk(&mut self, done: &str) -> Result<()> {
        let source = self.source;
        for table in &source.tables {
            self.counts.of(&table.name);
            let total = source.count(table)?;
            source.each(table, |row| {
                let count = self.counts.of(&table.name);
                count.rows += 1;
                if count.rows.is_multiple_of(STRIDE) {
                    eprintln!("  {}: {} of {total} rows {done}", table.name, count.rows);
                }
                if let Err(refused) = self.take(table, row) {
                    self.quarantine(table, row, &refused);
                }
                self.script.as_mut().map_or(Ok(()), Script::checkpoint)
            })?;
            if let Some(script) = &mut self.script {
                script.apply()?;
            }
            if table.known == Some(OldTable::Users) {
                // After what of their rows is kept beside: who is here has all of it, wherever this is broken off.
                self.write_people()?;
            }
        }
        Ok(())
    }

    /// Finds a place for a row.
    fn take(&mut self, table: &Table, row: &OldRow) -> Result<(), Refused> {
        let size = row.size();
        if size > LARGEST_ROW {
            return Err(Refused::new(Reason::TooLarge, format!("{size} bytes")));
        }
        match table.known {
            Some(OldTable::Plans) => self.plan(table, row),
            Some(OldTable::Users) => self.user(table, row),
            Some(OldTable::AuthConfig) => self.client(table, row),
            Some(OldTable::Events) => self.event(table, row),
            Some(OldTable::Payments) => self.payment(table, row),
            Some(OldTable::ApiUsage) => self.call(table, row),
            Some(OldTable::McpLogs) => self.tool_call(table, row),
            None => Err(Refused::new(Reason::UnknownTable, "")),
        }
    }

    fn row(&mut self, rows: &'static Rows, values: &[Sql<'_>]) {
        if let Some(script) = &mut self.script {
            script.row(rows, values);
        }
    }

    fn carried(&mut self, table: &Table, row: &OldRow, aside: Option<String>) {
        self.counts.of(&table.name).carried += 1;
        self.set_aside(table, row, aside);
    }

    fn set_aside(&mut self, table: &Table, row: &OldRow, aside: Option<String>) {
        if let Some(aside) = aside {
            self.counts.of(&table.name).aside += 1;
            self.keep(
                table,
                row,
                "aside",
                Reason::ValuesAside,
                &format!("row {}", row.key),
                &aside,
            );
        }
    }

    fn quarantine(&mut self, table: &Table, row: &OldRow, refused: &Refused) {
        let count = self.counts.of(&table.name);
        *count.quarantined.entry(refused.reason).or_default() += 1;
        if self.script.is_some() {
            self.keep(
                table,
                row,
                "row",
                refused.reason,
                &refused.detail,
                &row.json(),
            );
        }
    }

    /// Puts a row, or a part of it, into quarantine.
    fn keep(
        &mut self,
        table: &Table,
        row: &OldRow,
        what: &str,
        reason: Reason,
        detail: &str,
        data: &str,
    ) {
        let (source, now) = (&self.order.source, self.order.now);
        let Some(script) = &mut self.script else {
            return;
        };
        let id = quarantine_id(source, &table.name, &row.key, what);
        let mut write = |id: &str, detail: &str, data: &str| {
            let detail = (!detail.is_empty()).then_some(detail);
            script.row(
                &QUARANTINE,
                &[
                    Sql::Text(id),
                    Sql::Text(source),
                    Sql::Text(&table.name),
                    Sql::Text(reason.as_str()),
                    detail.into(),
                    Sql::Text(data),
                    now.into(),
                ],
            );
        };
        if data.len() <= LARGEST_PART {
            write(&id, detail, data);
            return;
        }
        let parts = pieces(data, LARGEST_PART / 2);
        for (index, part) in parts.iter().enumerate() {
            let (number, of) = (index + 1, parts.len());
            let data = json!({ "part": number, "of": of, "text": part }).to_string();
            match index {
                0 => write(&id, detail, &data),
                _ => write(
                    &format!("{id}-{number}"),
                    &format!("part {number} of {of} of {id}"),
                    &data,
                ),
            }
        }
    }

    /// Refuses a second row of what there is once.
    fn once(&mut self, table: OldTable, name: &str) -> Result<(), Refused> {
        match self.seen.insert((table, name.to_owned())) {
            true => Ok(()),
            false => Err(Refused::new(Reason::Duplicate, name)),
        }
    }

    fn plan(&mut self, table: &Table, row: &OldRow) -> Result<(), Refused> {
        let carried = plans::read(row)?;
        self.counts.of(&table.name).merged += 1;
        self.set_aside(table, row, carried.aside);
        let plan = carried.row;
        let Some(price) = plan.price.filter(|_| plan.sold.interval.is_some()) else {
            return Ok(());
        };
        let id = plan.sold.row_id();
        let here = self.deployment.prices.get(&id).cloned().flatten();
        let here = here.or_else(|| self.prices.get(&id).cloned());
        let is_taken = |other: &String| *other == price;
        let used = self.deployment.prices.values().flatten().any(is_taken)
            || self.prices.values().any(is_taken);
        match here {
            Some(here) if here == price => {}
            None if !used => {
                if let Some(script) = &mut self.script {
                    let product = plan.product.as_deref().map_or("NULL".to_owned(), text);
                    script.statement(&format!(
                        "UPDATE plans SET stripe_price_id = {0}, stripe_product_id = coalesce(stripe_product_id, {product}) \
                         WHERE id = {id} AND stripe_price_id IS NULL",
                        text(&price)
                    ));
                }
                self.prices.insert(id, price);
            }
            _ => self.notes.prices.push(id),
        }
        Ok(())
    }

    /// A row of `users`. Who it is was found out before, and is written by [`Pass::write_people`].
    fn user(&mut self, table: &Table, row: &OldRow) -> Result<(), Refused> {
        let index = match self.people.fate(&row.key) {
            Some(Fate::Person(index)) => *index,
            Some(Fate::Duplicate) => return Err(Refused::new(Reason::DuplicateUser, "")),
            Some(Fate::Refused(refused)) => return Err(refused.clone()),
            None => return Err(Refused::new(Reason::InvalidValue, "the file changed")),
        };
        let person = &self.people.all[index];
        let count = self.counts.of(&table.name);
        let aside = match person.here {
            Here::New => {
                count.carried += 1;
                // A customer who is somebody else's too is kept beside.
                match person.customer == person.user.customer {
                    true => users::read(row, &self.order.plans)?.aside,
                    false => Some(row.json()),
                }
            }
            Here::Registered { .. } => {
                count.merged += 1;
                Some(row.json())
            }
            Here::Adopted { .. } => {
                count.there += 1;
                users::read(row, &self.order.plans)?.aside
            }
        };
        self.set_aside(table, row, aside);
        Ok(())
    }

    fn write_people(&mut self) -> Result<()> {
        for index in 0..self.people.all.len() {
            let person = &self.people.all[index];
            let Some(script) = &mut self.script else {
                return Ok(());
            };
            match person.here {
                Here::New => write_new(script, self.order, person),
                Here::Registered { takes_subscription } => {
                    write_registered(script, self.order, person, takes_subscription);
                }
                Here::Adopted { used } if person.used() > used => {
                    write_more(script, self.order, person, used);
                }
                Here::Adopted { .. } => {}
            }
            script.checkpoint()?;
        }
        if let Some(script) = &mut self.script {
            script.apply()?;
        }
        Ok(())
    }

    fn client(&mut self, table: &Table, row: &OldRow) -> Result<(), Refused> {
        let carried = clients::read(row)?;
        let config = carried.row;
        let name = config.config_name.as_str();
        self.once(OldTable::AuthConfig, name)?;
        let list = |list: serde_json::Value| list.to_string();
        let lists = [
            list(json!(config.allowed_callback_urls)),
            list(json!(config.allowed_logout_urls)),
            list(json!(config.allowed_origins)),
        ];
        let texts = [
            ("auth0_domain", config.auth0_domain.as_str()),
            ("auth0_client_id", config.auth0_client_id.as_str()),
            ("auth0_audience", config.auth0_audience.as_str()),
            ("auth0_scope", config.auth0_scope.as_str()),
            ("allowed_callback_urls", lists[0].as_str()),
            ("allowed_logout_urls", lists[1].as_str()),
            ("allowed_origins", lists[2].as_str()),
        ];
        if let Some(here) = self.deployment.clients.get(name) {
            let same = texts
                .iter()
                .all(|(column, text)| here.text(column) == Some(text))
                && here.number("is_active") == Some(i64::from(config.is_active));
            if same {
                self.counts.of(&table.name).there += 1;
                self.set_aside(table, row, carried.aside);
            } else {
                self.counts.of(&table.name).merged += 1;
                self.notes.clients.push(name.to_owned());
                self.set_aside(table, row, Some(row.json()));
            }
            return Ok(());
        }
        let mut values = vec![Sql::Text(name)];
        values.extend(texts.iter().map(|(_, text)| Sql::Text(text)));
        values.push(Sql::Number(i64::from(config.is_active)));
        self.row(&CLIENTS, &values);
        self.carried(table, row, carried.aside);
        Ok(())
    }

    fn event(&mut self, table: &Table, row: &OldRow) -> Result<(), Refused> {
        let carried = events::read(row)?;
        let event = carried.row;
        self.once(OldTable::Events, event.id)?;
        self.notes.open_events += u64::from(event.processing == events::Processing::Failed);
        self.row(
            &EVENTS,
            &[
                Sql::Text(event.id),
                Sql::Text(event.event_type),
                Sql::Text(event.processing.as_str()),
                event.error_message.into(),
                Sql::Text(event.raw_payload),
                event.processed_at.into(),
                event.created_at.into(),
            ],
        );
        self.carried(table, row, carried.aside);
        Ok(())
    }

    fn payment(&mut self, table: &Table, row: &OldRow) -> Result<(), Refused> {
        let owner = self.people.owner(history::whose(row))?;
        let carried = payments::read(row)?;
        let payment = carried.row;
        self.once(OldTable::Payments, payment.invoice)?;
        let user = Sql::count(self.people.all[owner].id);
        self.row(
            &PAYMENTS,
            &[
                user,
                Sql::Text(payment.invoice),
                Sql::Number(payment.amount),
                Sql::Text(&payment.currency),
                Sql::Text(payment.status),
                payment.created_at.into(),
            ],
        );
        self.carried(table, row, carried.aside);
        Ok(())
    }

    fn call(&mut self, table: &Table, row: &OldRow) -> Result<(), Refused> {
        let owner = self.people.owner(history::whose(row))?;
        let carried = history::call(row)?;
        let call = carried.row;
        self.note_age(call.at);
        if self.script.is_none() {
            self.people
                .charge(owner, call.cost, call.at, self.order.now);
        } else {
            let id = call_id(&self.order.source, &table.name, &row.key, call.at);
            let user = Sql::count(self.people.all[owner].id);
            self.row(
                &API_USAGE,
                &[
                    Sql::Text(&id),
                    user,
                    Sql::Text(call.endpoint),
                    Sql::Text(call.method),
                    call.status_code.into(),
                    call.response_time_ms.into(),
                    call.error_message.into(),
                    call.ip_address.into(),
                    call.user_agent.into(),
                    call.at.into(),
                    Sql::Text(call.status.as_str()),
                    Sql::Number(i64::from(call.cost)),
                ],
            );
        }
        self.carried(table, row, carried.aside);
        Ok(())
    }

    fn tool_call(&mut self, table: &Table, row: &OldRow) -> Result<(), Refused> {
        let owner = self.people.owner(history::whose(row))?;
        let carried = history::tool_call(row)?;
        let call = carried.row;
        self.note_age(call.at);
        if self.script.is_some() {
            let id = call_id(&self.order.source, &table.name, &row.key, call.at);
            let user = Sql::count(self.people.all[owner].id);
            self.row(
                &MCP_LOGS,
                &[
                    Sql::Text(&id),
                    user,
                    Sql::Text(call.tool_name),
                    call.request_data.into(),
                    call.response_data.into(),
                    Sql::Text(call.status.as_str()),
                    call.error_message.into(),
                    call.response_time_ms.into(),
                    call.tokens_used.into(),
                    call.at.into(),
                ],
            );
        }
        self.carried(table, row, carried.aside);
        Ok(())
    }

    fn note_age(&mut self, at: Timestamp) {
        let is_old = at < days_before(self.order.now, RETENTION_DAYS);
        self.notes.old_calls += u64::from(is_old);
    }
}

/// The row of `plans` that somebody refers to.
fn plan_row(person: &Person) -> u32 {
    Sold {
        plan: person.subscription.plan,
        interval: person.subscription.interval,
    }
    .row_id()
}

fn write_new(script: &mut Script<'_>, order: &Order, person: &Person) {
    let (user, subscription) = (&person.user, &person.subscription);
    let opening = person.opening();
    let (used, end) = match opening.month {
        Some(month) => (month.used, Some(month.end)),
        None => (opening.lifetime, None),
    };
    let (id, sub) = (Sql::count(person.id), Sql::Text(&user.sub));
    script.row(
        &USERS,
        &[
            id,
            sub,
            user.email.as_deref().into(),
            user.name.as_deref().into(),
            person.customer.as_deref().into(),
            Sql::Number(i64::from(plan_row(person))),
            Sql::Text(subscription.status.as_str()),
            subscription.period_end.into(),
            subscription.anchor.into(),
            subscription.past_due_since.into(),
            subscription
                .interval
                .map(legis_core::plan::Interval::as_str)
                .into(),
            Sql::count(subscription.version),
            Sql::count(used),
            end.into(),
            Sql::count(opening.lifetime),
            subscription.registered_at.into(),
            user.updated_at.unwrap_or(subscription.registered_at).into(),
        ],
    );
    if person.adds() {
        let month = opening.month.map_or(0, |month| month.used);
        let values = [
            id,
            sub,
            Sql::count(opening.lifetime),
            end.into(),
            Sql::count(month),
            order.now.into(),
        ];
        script.row(&OPENINGS, &values);
    }
    write_names(script, order, person);
    if let Some(customer) = &person.customer {
        script.row(&CUSTOMERS, &[Sql::Text(customer), sub]);
    }
}

/// Remembers who somebody was, and how much of theirs was taken over.
fn write_names(script: &mut Script<'_>, order: &Order, person: &Person) {
    for (index, old_id) in person.old_ids.iter().enumerate() {
        let used = if index == 0 { person.used() } else { 0 };
        script.row(
            &ADOPTED,
            &[
                Sql::count(person.id),
                Sql::Text(&person.user.sub),
                Sql::Text(&order.source),
                Sql::Text(old_id),
                Sql::count(used),
            ],
        );
    }
}

/// Whoever registered here before: gaps are filled, usage is added, and what they paid for elsewhere holds.
fn write_registered(
    script: &mut Script<'_>,
    order: &Order,
    person: &Person,
    takes_subscription: bool,
) {
    let optional = |value: Option<&str>| value.map_or("NULL".to_owned(), text);
    let moment = |at: Option<Timestamp>| at.map_or("NULL".to_owned(), |at| at.millis().to_string());
    let not_yet = format!(
        "id = {} AND auth0_user_id = {} AND NOT EXISTS (SELECT 1 FROM adopted_users WHERE source = {} AND old_id = {})",
        person.id,
        text(&person.user.sub),
        text(&order.source),
        text(&person.old_ids[0]),
    );
    let mut set = format!(
        "email = coalesce(email, {}), name = coalesce(name, {}), stripe_customer_id = coalesce(stripe_customer_id, {})",
        optional(person.user.email.as_deref()),
        optional(person.user.name.as_deref()),
        optional(person.customer.as_deref()),
    );
    if takes_subscription {
        let subscription = &person.subscription;
        set.push_str(&format!(
            ", current_plan_id = {}, subscription_status = {}, subscription_period_end = {}, billing_anchor = {}, \
             past_due_since = {}, billing_interval = {}, entitlement_version = entitlement_version + 1",
            plan_row(person),
            text(subscription.status.as_str()),
            moment(subscription.period_end),
            moment(subscription.anchor),
            moment(subscription.past_due_since),
            optional(subscription.interval.map(legis_core::plan::Interval::as_str)),
        ));
    }
    script.statement(&format!("UPDATE users SET {set} WHERE {not_yet}"));
    add(script, person, &not_yet);
    write_names(script, order, person);
    if let Some(customer) = &person.customer {
        script.row(
            &CUSTOMERS,
            &[Sql::Text(customer), Sql::Text(&person.user.sub)],
        );
    }
}

/// Whoever was taken over before and went on using the old services.
fn write_more(script: &mut Script<'_>, order: &Order, person: &Person, before: u64) {
    let names: Vec<String> = person.old_ids.iter().map(|id| text(id)).collect();
    let as_before = format!(
        "source = {} AND old_id IN ({})",
        text(&order.source),
        names.join(", ")
    );
    let still = format!(
        "id = {} AND (SELECT sum(used) FROM adopted_users WHERE {as_before}) = {before}",
        person.id
    );
    add(script, person, &still);
    script.statement(&format!(
        "UPDATE adopted_users SET used = used + {} WHERE source = {} AND old_id = {} \
         AND (SELECT sum(used) FROM adopted_users WHERE {as_before}) = {before}",
        person.used().saturating_sub(before),
        text(&order.source),
        names[0],
    ));
    write_names(script, order, person);
}

/// Adds what was used elsewhere to what is counted here, where `condition` holds.
fn add(script: &mut Script<'_>, person: &Person, condition: &str) {
    if !person.adds() {
        return;
    }
    let opening = person.opening();
    let lifetime = opening.lifetime;
    let (end, used) = match opening.month {
        Some(month) => (month.end.millis().to_string(), month.used),
        None => ("NULL".to_owned(), 0),
    };
    let counted = match opening.month {
        Some(_) => format!(
            "api_calls_count = iif(api_calls_reset_at IS {end}, api_calls_count, 0) + {used}, \
             mcp_calls_count = iif(api_calls_reset_at IS {end}, mcp_calls_count, 0), api_calls_reset_at = {end}"
        ),
        None => format!(
            "api_calls_count = lifetime_calls_count + {lifetime}, api_calls_reset_at = NULL"
        ),
    };
    // The balance first: both look at what was not yet changed.
    let period = match opening.month {
        Some(_) => {
            ", period_used = iif(period_end IS excluded.period_end, period_used, 0) + excluded.period_used, \
             period_mcp = iif(period_end IS excluded.period_end, period_mcp, 0), period_end = excluded.period_end"
        }
        None => "",
    };
    script.statement(&format!(
        "INSERT INTO opening_balances (user_id, lifetime_used, lifetime_mcp, period_end, period_used, period_mcp, opened_at) \
         SELECT id, {lifetime}, 0, {end}, {used}, 0, 0 FROM users WHERE {condition} \
         ON CONFLICT (user_id) DO UPDATE SET lifetime_used = lifetime_used + excluded.lifetime_used{period}"
    ));
    script.statement(&format!(
        "UPDATE users SET {counted}, lifetime_calls_count = lifetime_calls_count + {lifetime} WHERE {condition}"
    ));
}
