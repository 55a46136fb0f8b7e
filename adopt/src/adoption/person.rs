//! What is written of somebody: who is new here, who was here, and who goes on using the old services.

use super::Order;
use super::rows::{ADOPTED, CUSTOMERS, OPENINGS, USERS};
use crate::people::Person;
use crate::script::{Script, Sql, text};
use legis_core::plan::Sold;
use legis_core::time::Timestamp;

/// The row of `plans` that somebody refers to.
pub(super) fn plan_row(person: &Person) -> u32 {
    Sold {
        plan: person.subscription.plan,
        interval: person.subscription.interval,
    }
    .row_id()
}

pub(super) fn write_new(script: &mut Script<'_>, order: &Order, person: &Person) {
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
pub(super) fn write_registered(
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
pub(super) fn write_more(script: &mut Script<'_>, order: &Order, person: &Person, before: u64) {
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
