//! What becomes of a row of each table.

use super::pass::Pass;
use super::person::{write_more, write_new, write_registered};
use super::rows::{API_USAGE, CLIENTS, EVENTS, MCP_LOGS, PAYMENTS};
use crate::people::{Fate, Here};
use crate::script::{Sql, text};
use crate::source::Table;
use crate::target::Columns;
use anyhow::Result;
use legis_core::adoption::identity::call_id;
use legis_core::adoption::plans;
use legis_core::adoption::shape::OldTable;
use legis_core::adoption::{OldRow, Reason, Refused, clients, events, history, payments, users};
use legis_core::history::Retention;
use legis_core::time::Timestamp;
use serde_json::json;

impl Pass<'_, '_> {
    pub(super) fn plan(&mut self, table: &Table, row: &OldRow) -> Result<(), Refused> {
        let carried = plans::read(row, &self.order.plans)?;
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
    pub(super) fn user(&mut self, table: &Table, row: &OldRow) -> Result<(), Refused> {
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

    pub(super) fn write_people(&mut self) -> Result<()> {
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

    pub(super) fn client(&mut self, table: &Table, row: &OldRow) -> Result<(), Refused> {
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

    pub(super) fn event(&mut self, table: &Table, row: &OldRow) -> Result<(), Refused> {
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

    pub(super) fn payment(&mut self, table: &Table, row: &OldRow) -> Result<(), Refused> {
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

    pub(super) fn call(&mut self, table: &Table, row: &OldRow) -> Result<(), Refused> {
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

    pub(super) fn tool_call(&mut self, table: &Table, row: &OldRow) -> Result<(), Refused> {
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

    pub(super) fn note_age(&mut self, at: Timestamp) {
        let is_old = at < Retention::default().since(self.order.now);
        self.notes.old_calls += u64::from(is_old);
    }
}
