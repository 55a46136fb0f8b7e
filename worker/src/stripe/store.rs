//! What an event concerns, read in one batch and written in one batch. Whoever was overtaken meanwhile writes nothing.

use crate::clock;
use crate::database::{Database, Statement, StatementResult, Value, decoded, first, rows};
use crate::failure::{Failure, Outcome};
use crate::registration::SELECT;
use legis_core::evaluate::json_text;
use legis_core::plan::Sold;
use legis_core::row;
use legis_core::rows::billing::{CustomerRow, PayerRow, PaymentRow, ReversalRow, SnapshotRow};
use legis_core::rows::users::{StoredUser, UserRow};
use legis_core::stripe::apply::{Applied, Payer, Stored, Verdict};
use legis_core::stripe::customer::{Customer, Life};
use legis_core::stripe::event::Subject;
use legis_core::stripe::payment::{Payment, PaymentStatus, Reversal};
use legis_core::stripe::retry::next_attempt;
use legis_core::stripe::snapshot::Snapshot;
use legis_core::subscription::Grace;

/// How many of a customer's waiting events are applied together, and how many characters of them: what is beyond is the
/// cron's.
const WAITING: u32 = 200;
const WAITING_CHARACTERS: u32 = 4_000_000;
/// So many snapshots of one user are looked at, the newest: decades of a subscription.
const SNAPSHOTS: u32 = 2_000;

/// An event as it came.
pub(super) struct Incoming<'e> {
    pub(super) id: &'e str,
    pub(super) kind: &'e str,
    pub(super) customer: Option<&'e str>,
    pub(super) payload: &'e str,
}

/// Whom something concerns.
#[derive(Default)]
pub(super) struct Concerned<'c> {
    pub(super) event: Option<&'c str>,
    pub(super) customer: Option<&'c str>,
    pub(super) sub: Option<&'c str>,
    pub(super) invoice: Option<&'c str>,
    pub(super) reversal: Option<&'c str>,
}

impl<'c> Concerned<'c> {
    pub(super) fn by(event: &'c str, subject: &'c Subject) -> Self {
        Self {
            event: Some(event),
            customer: subject.customer(),
            sub: subject.link().map(|link| link.sub.as_str()),
            invoice: match subject {
                Subject::Payment { payment, .. } => Some(&payment.invoice),
                _ => None,
            },
            reversal: match subject {
                Subject::Reversal { reversal, .. } => Some(&reversal.id),
                _ => None,
            },
        }
    }
}

/// What is stored.
pub(super) struct Loaded {
    pub(super) stored: Stored,
    /// Whether the event was applied before.
    pub(super) before: Before,
    /// Events of the same customers that wait, as they came.
    pub(super) waiting: Vec<String>,
}

/// Whether an event was applied before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    Applied,
    NotApplied,
}

/// The subjects that are concerned, and the customers: theirs, and those that stand in their rows.
const SUBS: &str = "(SELECT sub FROM stripe_customers WHERE id = ?1 AND sub IS NOT NULL UNION SELECT ?2 WHERE ?2 IS NOT NULL)";

fn customers_of(columns: &str) -> String {
    format!(
        "SELECT {columns} FROM stripe_customers WHERE id = ?1 OR sub IN {SUBS} \
         OR id IN (SELECT stripe_customer_id FROM users WHERE auth0_user_id IN {SUBS})"
    )
}

pub(super) async fn load(database: &Database, concerned: &Concerned<'_>) -> Outcome<Loaded> {
    let keys = [
        Value::OptionalText(concerned.customer),
        Value::OptionalText(concerned.sub),
    ];
    let ids = customers_of("id");
    let users = format!("SELECT id FROM users WHERE auth0_user_id IN {SUBS}");
    let results = database
        .batch(vec![
            Statement::new(
                "SELECT processing_status FROM stripe_webhook_logs WHERE stripe_event_id = ?1",
                &[Value::OptionalText(concerned.event)],
            ),
            Statement::new(
                &customers_of("id, sub, linked_kind, linked_at, linked_by, deleted, version"),
                &keys,
            ),
            Statement::new(
                &format!(
                    "SELECT users.id, auth0_user_id, entitlement_version, current_plan_id, plans.slug AS plan_slug, \
                     billing_interval, subscription_status, subscription_period_end, billing_anchor, past_due_since, \
                     scheduled_plan_id, scheduled_at, stripe_customer_id, billing_alerts, prior_plan_id, agreed_plan_id, agreed_until \
                     FROM users JOIN plans ON plans.id = current_plan_id WHERE auth0_user_id IN {SUBS}"
                ),
                &keys,
            ),
            Statement::new(
                &format!(
                    "SELECT id, customer_id, subscription_id, kind, facts, facts_before, seen, created_at \
                     FROM subscription_snapshots WHERE customer_id IN ({ids}) ORDER BY created_at DESC LIMIT {SNAPSHOTS}"
                ),
                &keys,
            ),
            Statement::new(
                &format!(
                    "SELECT raw_payload FROM (SELECT raw_payload, sum(length(raw_payload)) OVER (ORDER BY id) AS characters \
                     FROM stripe_webhook_logs WHERE processing_status = 'pending' AND customer_id IN ({ids}) \
                     ORDER BY id LIMIT {WAITING}) WHERE characters <= {WAITING_CHARACTERS}"
                ),
                &keys,
            ),
            Statement::new(
                &format!(
                    "SELECT stripe_invoice_id, stripe_customer_id, status, voided, amount, currency, stripe_charge_id, stripe_payment_intent_id, \
                     stripe_event_id, event_at, created_at FROM payment_history WHERE stripe_event_id IS NOT NULL \
                     AND (stripe_invoice_id = ?3 OR user_id IN ({users})) ORDER BY created_at DESC LIMIT 500"
                ),
                &[
                    Value::OptionalText(concerned.customer),
                    Value::OptionalText(concerned.sub),
                    Value::OptionalText(concerned.invoice),
                ],
            ),
            Statement::new(
                "SELECT id, kind, stripe_customer_id, stripe_charge_id, stripe_invoice_id, stripe_payment_intent_id, amount, \
                 currency, status, stripe_event_id, created_at FROM payment_reversals WHERE id = ?1",
                &[Value::OptionalText(concerned.reversal)],
            ),
        ])
        .await?;
    decode(&results)
}

fn decode(results: &[StatementResult]) -> Outcome<Loaded> {
    row! {
        struct Logged {
            processing_status: String,
        }
    }
    row! {
        struct Waiting {
            raw_payload: String,
        }
    }
    let logged: Option<Logged> = first("row of stripe_webhook_logs", results.first())?;
    let waiting: Vec<Waiting> = rows("rows of stripe_webhook_logs", results.get(4))?;
    Ok(Loaded {
        stored: Stored {
            customers: decoded(
                "rows of stripe_customers",
                results.get(1),
                CustomerRow::decode,
            )?,
            users: decoded("rows of users", results.get(2), PayerRow::decode)?,
            snapshots: decoded(
                "rows of subscription_snapshots",
                results.get(3),
                SnapshotRow::decode,
            )?,
            payments: decoded(
                "rows of payment_history",
                results.get(5),
                PaymentRow::decode,
            )?,
            reversals: decoded(
                "rows of payment_reversals",
                results.get(6),
                ReversalRow::decode,
            )?,
        },
        before: match logged {
            Some(logged) if logged.processing_status == "processed" => Before::Applied,
            _ => Before::NotApplied,
        },
        waiting: waiting.into_iter().map(|row| row.raw_payload).collect(),
    })
}

/// How writing went.
pub(super) enum Written {
    /// All of it is stored; the users whose billing changed, as they are now.
    Stored(Vec<StoredUser>),
    /// Somebody else wrote first; nothing is stored.
    Overtaken,
}

pub(super) async fn write(
    database: &Database,
    applied: &Applied,
    incoming: Option<&Incoming<'_>>,
    grace: Grace,
) -> Outcome<Written> {
    let mut statements = Vec::new();
    for customer in &applied.customers {
        statements.push(customer_statement(customer));
    }
    if let Some(incoming) = incoming {
        statements.push(log_statement(incoming, applied));
    }
    for snapshot in &applied.snapshots {
        statements.push(snapshot_statement(snapshot));
    }
    for (user, payment) in &applied.payments {
        statements.push(payment_statement(*user, payment));
    }
    statements.push(moved_statement(&applied.customers));
    for reversal in &applied.reversals {
        statements.push(reversal_statement(reversal));
    }
    // A customer that goes from one user to another must not be both's in between.
    for user in &applied.users {
        statements.push(Statement::new(
            "UPDATE users SET stripe_customer_id = NULL WHERE id = ?1",
            &[Value::Count(user.id)],
        ));
    }
    for user in &applied.users {
        statements.push(user_statement(user));
    }
    statements.push(processed_statement(applied));
    let written = statements.len();
    for user in &applied.users {
        let sql = format!("{SELECT} WHERE users.id = ?1");
        statements.push(Statement::new(&sql, &[Value::Count(user.id)]));
    }
    match database.batch(statements).await {
        Ok(results) => results
            .get(written..)
            .unwrap_or_default()
            .iter()
            .filter_map(|result| first::<UserRow>("row of users", Some(result)).transpose())
            .map(|row| Ok(row?.decode(grace)?))
            .collect::<Outcome<_>>()
            .map(Written::Stored),
        // The versions' guards; nothing else there can fail this way.
        Err(failure) if is_overtaken(&failure) => Ok(Written::Overtaken),
        Err(failure) => Err(failure),
    }
}

fn is_overtaken(failure: &Failure) -> bool {
    ["overtaken", "entitlement_version >= 0"]
        .iter()
        .any(|guard| {
            failure
                .reason
                .contains(&format!("CHECK constraint failed: {guard}"))
        })
}

fn customer_statement(customer: &Customer) -> Statement {
    let link = customer.link.as_ref();
    Statement::new(
        "INSERT INTO stripe_customers (id, sub, linked_kind, linked_at, linked_by, deleted, version) \
         VALUES (?1, ?2, ?7, ?3, ?4, ?5, 1) \
         ON CONFLICT (id) DO UPDATE SET sub = excluded.sub, linked_kind = excluded.linked_kind, linked_at = excluded.linked_at, linked_by = excluded.linked_by, \
         deleted = excluded.deleted, version = CASE WHEN version = ?6 THEN version + 1 ELSE -1 END",
        &[
            Value::Text(&customer.id),
            Value::OptionalText(customer.sub()),
            Value::OptionalMoment(link.map(|link| link.at)),
            Value::OptionalText(link.map(|link| link.event.as_str())),
            Value::Count(u64::from(customer.life == Life::Deleted)),
            Value::Count(customer.version),
            Value::OptionalText(link.map(|link| link.kind.as_str())),
        ],
    )
}

fn log_statement(incoming: &Incoming<'_>, applied: &Applied) -> Statement {
    let pending = applied
        .verdicts
        .iter()
        .any(|(id, verdict)| id == incoming.id && *verdict == Verdict::Pending);
    let now = clock::now();
    Statement::new(
        "INSERT INTO stripe_webhook_logs (stripe_event_id, event_type, processing_status, raw_payload, processed_at, \
         created_at, customer_id, alerts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, nullif(?8, '[]')) \
         ON CONFLICT (stripe_event_id) DO UPDATE SET processing_status = excluded.processing_status, error_message = NULL, \
         processed_at = excluded.processed_at, customer_id = excluded.customer_id, alerts = excluded.alerts, \
         next_attempt_at = NULL, event_type = excluded.event_type, raw_payload = excluded.raw_payload",
        &[
            Value::Text(incoming.id),
            Value::Text(incoming.kind),
            Value::Text(if pending { "pending" } else { "processed" }),
            Value::Text(incoming.payload),
            Value::OptionalMoment((!pending).then_some(now)),
            Value::Moment(now),
            Value::OptionalText(incoming.customer),
            Value::Text(&alerts(applied)),
        ],
    )
}

fn alerts(applied: &Applied) -> String {
    let alerts: Vec<String> = applied.alerts.iter().map(ToString::to_string).collect();
    json_text(&alerts)
}

/// Events that waited, and wait no more.
fn processed_statement(applied: &Applied) -> Statement {
    let done: Vec<&str> = applied
        .verdicts
        .iter()
        .filter(|(_, verdict)| *verdict == Verdict::Processed)
        .map(|(id, _)| id.as_str())
        .collect();
    let done = json_text(&done);
    Statement::new(
        "UPDATE stripe_webhook_logs SET processing_status = 'processed', processed_at = ?2, error_message = NULL, \
         next_attempt_at = NULL, alerts = nullif(?3, '[]') WHERE processing_status = 'pending' AND stripe_event_id IN (SELECT value FROM json_each(?1))",
        &[
            Value::Text(&done),
            Value::Moment(clock::now()),
            Value::Text(&alerts(applied)),
        ],
    )
}

fn snapshot_statement(snapshot: &Snapshot) -> Statement {
    let before = snapshot.before.as_ref().map(json_text);
    Statement::new(
        "INSERT INTO subscription_snapshots (id, customer_id, subscription_id, kind, facts, facts_before, seen, \
         created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, nullif(?7, '[]'), ?8) ON CONFLICT (id) DO NOTHING",
        &[
            Value::Text(&snapshot.id),
            Value::Text(&snapshot.customer),
            Value::Text(&snapshot.subscription),
            Value::Text(snapshot.kind.as_str()),
            Value::Text(&json_text(&snapshot.facts)),
            Value::OptionalText(before.as_deref()),
            Value::Text(&json_text(&snapshot.seen)),
            Value::Moment(snapshot.at),
        ],
    )
}

/// One that was taken over from an old database has no event; what it says is paid stays paid.
fn payment_statement(user: u64, payment: &Payment) -> Statement {
    Statement::new(
        "INSERT INTO payment_history (user_id, stripe_invoice_id, amount, currency, status, voided, stripe_charge_id, \
         stripe_payment_intent_id, stripe_event_id, event_at, created_at, stripe_customer_id) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
         ON CONFLICT (stripe_invoice_id) DO UPDATE SET amount = excluded.amount, currency = excluded.currency, \
         status = excluded.status, voided = excluded.voided, stripe_charge_id = excluded.stripe_charge_id, \
         stripe_payment_intent_id = excluded.stripe_payment_intent_id, stripe_event_id = excluded.stripe_event_id, \
         event_at = excluded.event_at, created_at = excluded.created_at, stripe_customer_id = excluded.stripe_customer_id \
         WHERE stripe_event_id IS NOT NULL OR status <> 'succeeded' OR excluded.status = 'succeeded'",
        &[
            Value::Count(user),
            Value::Text(&payment.invoice),
            Value::Count(payment.amount),
            Value::Text(&payment.currency),
            Value::Text(payment.status.as_str()),
            Value::Count(u64::from(payment.status == PaymentStatus::Voided)),
            Value::OptionalText(payment.charge.as_deref()),
            Value::OptionalText(payment.payment_intent.as_deref()),
            Value::Text(&payment.event),
            Value::Moment(payment.at),
            Value::Moment(payment.created_at),
            Value::OptionalText(payment.customer.as_deref()),
        ],
    )
}

/// The payments of customers are those users' whose customers they are now.
fn moved_statement(customers: &[Customer]) -> Statement {
    let ids: Vec<&str> = customers
        .iter()
        .map(|customer| customer.id.as_str())
        .collect();
    let owner = "SELECT users.id FROM stripe_customers JOIN users ON auth0_user_id = sub \
                 WHERE stripe_customers.id = payment_history.stripe_customer_id";
    Statement::new(
        &format!(
            "UPDATE payment_history SET user_id = ({owner}) WHERE stripe_customer_id IN (SELECT value FROM json_each(?1)) \
             AND user_id <> ({owner})"
        ),
        &[Value::Text(&json_text(&ids))],
    )
}

fn reversal_statement(reversal: &Reversal) -> Statement {
    Statement::new(
        "INSERT INTO payment_reversals (id, kind, stripe_customer_id, stripe_charge_id, stripe_invoice_id, \
         stripe_payment_intent_id, amount, currency, status, stripe_event_id, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, \
         stripe_customer_id = excluded.stripe_customer_id, amount = excluded.amount, currency = excluded.currency, \
         status = excluded.status, stripe_event_id = excluded.stripe_event_id, created_at = excluded.created_at \
         WHERE (excluded.kind = 'closed_dispute', excluded.amount, excluded.created_at, excluded.stripe_event_id) > \
         (payment_reversals.kind = 'closed_dispute', payment_reversals.amount, payment_reversals.created_at, \
         payment_reversals.stripe_event_id)",
        &[
            Value::Text(&reversal.id),
            Value::Text(reversal.kind.as_str()),
            Value::OptionalText(reversal.customer.as_deref()),
            Value::Text(&reversal.charge),
            Value::OptionalText(reversal.invoice.as_deref()),
            Value::OptionalText(reversal.payment_intent.as_deref()),
            Value::Count(reversal.amount),
            Value::Text(&reversal.currency),
            Value::Text(&reversal.status),
            Value::Text(&reversal.event),
            Value::Moment(reversal.created_at),
        ],
    )
}

fn user_statement(user: &Payer) -> Statement {
    let billing = &user.billing;
    let scheduled = billing.scheduled;
    let scheduled_id = scheduled.map(|scheduled| scheduled.sold.row_id());
    let interval = billing.interval.map(legis_core::plan::Interval::as_str);
    Statement::new(
        "UPDATE users SET current_plan_id = ?2, billing_interval = ?3, subscription_status = ?4, subscription_period_end = ?5, \
         billing_anchor = ?6, past_due_since = ?7, scheduled_plan_id = ?8, scheduled_at = ?9, stripe_customer_id = ?10, \
         entitlement_version = CASE WHEN entitlement_version = ?11 THEN entitlement_version + 1 ELSE -1 END, \
         updated_at = ?12, billing_alerts = nullif(?13, '[]'), prior_plan_id = ?14 WHERE id = ?1",
        &[
            Value::Count(user.id),
            Value::Id(billing.sold.row_id()),
            Value::OptionalText(interval),
            Value::Text(&billing.status),
            Value::OptionalMoment(billing.period_end),
            Value::OptionalMoment(billing.anchor),
            Value::OptionalMoment(billing.past_due_since),
            Value::OptionalId(scheduled_id),
            Value::OptionalMoment(scheduled.map(|scheduled| scheduled.at)),
            Value::OptionalText(billing.customer.as_deref()),
            Value::Count(user.version),
            Value::Moment(clock::now()),
            Value::Text(&json_text(&billing.alerts)),
            Value::OptionalId(user.prior.map(Sold::row_id)),
        ],
    )
}

/// Stores an event that could not be applied, with the reason. One that was applied meanwhile stays so, and one that waits
/// for its user still does.
pub(super) async fn fail(
    database: &Database,
    incoming: &Incoming<'_>,
    reason: &str,
) -> Outcome<()> {
    row! {
        struct Tried {
            attempts: u32,
        }
    }
    let now = clock::now();
    // Whoever brings it, Stripe once more or the cron: what counts is how often it failed.
    let sql = "SELECT attempts FROM stripe_webhook_logs WHERE stripe_event_id = ?1";
    let asked = Statement::new(sql, &[Value::Text(incoming.id)]);
    let results = database.batch(vec![asked]).await?;
    let tried: Option<Tried> = first("row of stripe_webhook_logs", results.first())?;
    let attempts = tried.map_or(0, |tried| tried.attempts);
    let statement = Statement::new(
        "INSERT INTO stripe_webhook_logs (stripe_event_id, event_type, processing_status, error_message, raw_payload, \
         created_at, customer_id, next_attempt_at) VALUES (?1, ?2, 'failed', ?3, ?4, ?5, ?6, ?7) \
         ON CONFLICT (stripe_event_id) DO UPDATE SET processing_status = \
         CASE processing_status WHEN 'pending' THEN 'pending' ELSE 'failed' END, error_message = excluded.error_message, \
         customer_id = coalesce(excluded.customer_id, customer_id), attempts = attempts + 1, \
         next_attempt_at = excluded.next_attempt_at, event_type = excluded.event_type, raw_payload = excluded.raw_payload \
         WHERE processing_status <> 'processed'",
        &[
            Value::Text(incoming.id),
            Value::Text(incoming.kind),
            Value::Text(reason),
            Value::Text(incoming.payload),
            Value::Moment(now),
            Value::OptionalText(incoming.customer),
            Value::Moment(next_attempt(attempts.saturating_add(1), now)),
        ],
    );
    database.batch(vec![statement]).await.map(drop)
}
