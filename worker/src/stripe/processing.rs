//! Events on their way into the database: load, decide, store, tell the meters. Repeatable at every point.

use super::review;
use super::settings::ApiSettings;
use super::store::{self, Before, Concerned, Incoming, Written};
use crate::clock;
use crate::configuration;
use crate::database::{Database, Statement, Value, first, rows};
use crate::failure::{Failure, Outcome};
use crate::log;
use crate::meter::client;
use legis_core::plan::{PlanId, row_id};
use legis_core::problem::Problem;
use legis_core::row;
use legis_core::rows::users::StoredUser;
use legis_core::stripe::apply::{Applied, Verdict, apply};
use legis_core::stripe::customer::Customer;
use legis_core::stripe::event::{Envelope, Event, read};
use legis_core::stripe::prices::Prices;
use legis_core::subscription::Grace;
use legis_core::time::Timestamp;
use serde::Serialize;
use worker::Env;

/// How often somebody may be overtaken: each time, somebody else got on. A test clock, or a resend of what was missed, sends
/// dozens of events of one customer at once. A try is some fifteen statements, of which D1 takes a thousand.
pub(super) const TRIES: u32 = 40;

/// What the log says of an event.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) id: String,
    pub(crate) r#type: String,
    /// `processed`, `pending` or `duplicate`.
    pub(crate) outcome: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) alerts: Vec<String>,
}

/// Applies an event that came, and stores it whatever becomes of it.
pub(super) async fn take(
    env: &Env,
    prices: &Prices,
    envelope: &Envelope,
    text: &str,
) -> Outcome<Report> {
    let database = Database::open(env)?;
    let event = StoredEvent {
        stripe_event_id: envelope.id.clone(),
        event_type: envelope.r#type.clone(),
        raw_payload: text.to_owned(),
    };
    let (changed, report) = stored(env, &database, prices, &event).await?;
    tell(env, changed).await;
    Ok(report)
}

/// Applies an event, or stores that it failed.
async fn stored(
    env: &Env,
    database: &Database,
    prices: &Prices,
    stored: &StoredEvent,
) -> Outcome<(Vec<StoredUser>, Report)> {
    let mut incoming = Incoming {
        id: &stored.stripe_event_id,
        kind: &stored.event_type,
        customer: None,
        payload: &stored.raw_payload,
    };
    let event = match read(stored.raw_payload.as_bytes()) {
        Ok(event) => event,
        Err(unreadable) => {
            let reason = unreadable.to_string();
            store::fail(database, &incoming, &reason).await?;
            return Err(Failure::new(Problem::EventNotApplied, reason));
        }
    };
    incoming.customer = event.subject.customer();
    let grace = configuration::grace(env)?;
    let work = Work {
        env,
        database,
        prices,
        grace,
        asking: Asking::Stripe,
    };
    match work.run(Some((&event, &incoming)), None).await {
        Ok(done) => {
            let report = done.report(&event);
            Ok((done.changed, report))
        }
        Err(failure) => {
            // Where the database is away this fails too; then it is the sender who has the event still.
            store::fail(database, &incoming, &failure.reason).await?;
            Err(Failure::new(
                Problem::EventNotApplied,
                failure.told().reason,
            ))
        }
    }
}

struct Work<'w> {
    env: &'w Env,
    database: &'w Database,
    prices: &'w Prices,
    grace: Grace,
    asking: Asking,
}

/// Whether Stripe may be asked: not while somebody's call waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    Stripe,
    Nobody,
}

/// What became of something.
struct Done {
    changed: Vec<StoredUser>,
    outcome: &'static str,
    alerts: Vec<String>,
}

impl Done {
    fn report(&self, event: &Event) -> Report {
        Report {
            id: event.id.clone(),
            r#type: event.kind.clone(),
            outcome: self.outcome,
            alerts: self.alerts.clone(),
        }
    }
}

impl Work<'_> {
    /// Brings the users whom an event, or a subject, concerns to what the events say.
    async fn run(
        &self,
        incoming: Option<(&Event, &Incoming<'_>)>,
        sub: Option<&str>,
    ) -> Outcome<Done> {
        let mut fetched = Vec::new();
        let mut changed = Vec::new();
        for _ in 0..TRIES {
            let concerned = match incoming {
                Some((event, _)) => Concerned::by(&event.id, &event.subject),
                None => Concerned {
                    sub,
                    ..Concerned::default()
                },
            };
            let loaded = store::load(self.database, &concerned).await?;
            if incoming.is_some() && loaded.before == Before::Applied && fetched.is_empty() {
                let outcome = match changed.is_empty() {
                    true => "duplicate",
                    false => "processed",
                };
                return Ok(Done {
                    changed,
                    outcome,
                    alerts: Vec::new(),
                });
            }
            let mut events: Vec<Event> =
                incoming.iter().map(|(event, _)| (*event).clone()).collect();
            // What is stored was read before it was stored as waiting.
            let waiting = loaded.waiting.iter();
            events.extend(waiting.filter_map(|text| read(text.as_bytes()).ok()));
            events.extend(fetched.iter().cloned());
            let now = clock::now();
            let applied = apply(&loaded.stored, &events, self.prices, self.grace, now);
            if let Some(asked) = self.ask(&applied, &fetched).await {
                fetched = asked;
                continue;
            }
            let incoming = incoming.map(|(_, incoming)| incoming);
            if incoming.is_none() && is_nothing(&applied) {
                return Ok(Done {
                    changed,
                    outcome: "processed",
                    alerts: Vec::new(),
                });
            }
            match store::write(self.database, &applied, incoming, self.grace).await? {
                Written::Overtaken => {}
                Written::Stored(users) => {
                    changed.extend(users);
                    let waits = is_waiting(&applied, incoming);
                    // Whoever registered while we wrote has found nothing that waits for them.
                    if waits && !self.is_settled(&applied, incoming).await? {
                        continue;
                    }
                    return Ok(Done {
                        changed,
                        outcome: if waits { "pending" } else { "processed" },
                        alerts: applied.alerts.iter().map(ToString::to_string).collect(),
                    });
                }
            }
        }
        Err(Failure::new(Problem::Internal, "overtaken again and again"))
    }

    /// Whether the one whose event waits is still not registered, or not known.
    async fn is_settled(
        &self,
        applied: &Applied,
        incoming: Option<&Incoming<'_>>,
    ) -> Outcome<bool> {
        row! {
            struct Registered {}
        }
        let id = incoming.and_then(|incoming| incoming.customer);
        let mut customers = applied.customers.iter();
        let customer = customers.find(|customer| Some(customer.id.as_str()) == id);
        let Some(sub) = customer.and_then(Customer::sub) else {
            return Ok(true);
        };
        let statement = Statement::new(
            "SELECT id FROM users WHERE auth0_user_id = ?1",
            &[Value::Text(sub)],
        );
        let results = self.database.batch(vec![statement]).await?;
        let users: Vec<Registered> = rows("rows of users", results.first())?;
        Ok(users.is_empty())
    }

    /// Where the events do not tell which state is the last, Stripe does, once: a snapshot for each such subscription.
    /// Where it cannot be asked the order that everybody guesses holds, and the alert stays.
    async fn ask(&self, applied: &Applied, fetched: &[Event]) -> Option<Vec<Event>> {
        if applied.unclear.is_empty() || !fetched.is_empty() || self.asking == Asking::Nobody {
            return None;
        }
        let api = ApiSettings::read(self.env)?;
        let mut events = Vec::new();
        for (subscription, known) in &applied.unclear {
            match api.subscription(subscription, known.clone()).await {
                Ok(snapshot) => events.push(review::fetched(snapshot)),
                Err(failure) => log::event("subscription_not_fetched", &failure),
            }
        }
        (!events.is_empty()).then_some(events)
    }
}

/// Whether there is nothing to store.
fn is_nothing(applied: &Applied) -> bool {
    let waits = |(_, verdict): &(String, Verdict)| *verdict == Verdict::Pending;
    applied.users.is_empty() && applied.snapshots.is_empty() && applied.verdicts.iter().all(waits)
}

fn is_waiting(applied: &Applied, incoming: Option<&Incoming<'_>>) -> bool {
    incoming.is_some_and(|incoming| {
        applied
            .verdicts
            .iter()
            .any(|(id, verdict)| id == incoming.id && *verdict == Verdict::Pending)
    })
}

/// Tells the meters of users what they are entitled to now. A meter that cannot be told finds out when it asks the
/// database: before it refuses a call, and after ten minutes at the latest.
async fn tell(env: &Env, users: Vec<StoredUser>) {
    for user in users {
        if let Err(failure) = client::learn(env, user).await {
            log::event("meter_not_told", &failure);
        }
    }
}

/// Brings a user to what the events say that waited for them, or whose moment has come; the user as they are then, where
/// that changed something. Their meter is not told.
pub(crate) async fn reconcile(env: &Env, sub: &str, asking: Asking) -> Outcome<Option<StoredUser>> {
    let database = Database::open(env)?;
    let configuration = configuration::load(env).await?;
    let work = Work {
        env,
        database: &database,
        prices: configuration.prices()?,
        grace: configuration::grace(env)?,
        asking,
    };
    let done = work.run(None, Some(sub)).await?;
    Ok(done.changed.into_iter().next_back())
}

// What the cron does.

/// How many at once; the rest is the next run's.
const AT_ONCE: u32 = 100;

row! {
    /// An event that is stored.
    struct StoredEvent {
        stripe_event_id: String,
        event_type: String,
        raw_payload: String,
    }
}

/// Tries again what failed and is due.
pub(crate) async fn overdue(env: &Env, database: &Database, now: Timestamp) -> Outcome<u64> {
    let configuration = configuration::load(env).await?;
    let prices = configuration.prices()?;
    let statement = Statement::new(
        &format!(
            "SELECT stripe_event_id, event_type, raw_payload FROM stripe_webhook_logs WHERE next_attempt_at <= ?1 \
             ORDER BY next_attempt_at LIMIT {AT_ONCE}"
        ),
        &[Value::Moment(now)],
    );
    let results = database.batch(vec![statement]).await?;
    let events: Vec<StoredEvent> = rows("rows of stripe_webhook_logs", results.first())?;
    let mut changed: u64 = 0;
    for event in events {
        match stored(env, database, prices, &event).await {
            Ok((users, _)) => {
                changed = changed.saturating_add(1);
                tell(env, users).await;
            }
            Err(failure) => log::event("event_not_applied", &failure),
        }
    }
    Ok(changed)
}

/// Applies a stored event again. One that is applied already stays as it is.
pub(crate) async fn apply_again(env: &Env, database: &Database, id: &str) -> Outcome<()> {
    let configuration = configuration::load(env).await?;
    let statement = Statement::new(
        "SELECT stripe_event_id, event_type, raw_payload FROM stripe_webhook_logs WHERE stripe_event_id = ?1",
        &[Value::Text(id)],
    );
    let results = database.batch(vec![statement]).await?;
    let event: Option<StoredEvent> = first("row of stripe_webhook_logs", results.first())?;
    let event = event.ok_or(Problem::NotFound)?;
    let prices = configuration.prices()?;
    let (users, _) = stored(env, database, prices, &event).await?;
    tell(env, users).await;
    Ok(())
}

row! {
    struct Due {
        auth0_user_id: String,
    }
}

/// Who is looked at again: whose decided change has come, whose grace is over, with whom another plan was agreed, whose events
/// wait though they have registered, and whose subscriptions have a price or an order that nobody knew. Each may be more than are
/// done at once, so chance decides.
const DUE: [&str; 5] = [
    "SELECT auth0_user_id FROM users WHERE scheduled_at <= ?1",
    // Of whom nothing was heard since they were adopted, the grace ends without anything to store.
    "SELECT auth0_user_id FROM users WHERE past_due_since <= ?2 AND current_plan_id <> ?3 AND EXISTS \
     (SELECT 1 FROM stripe_customers JOIN subscription_snapshots ON customer_id = stripe_customers.id WHERE sub = auth0_user_id)",
    "SELECT auth0_user_id FROM users WHERE agreed_plan_id IS NOT NULL \
     AND (current_plan_id <> agreed_plan_id) = (agreed_until IS NULL OR agreed_until > ?1)",
    "SELECT DISTINCT auth0_user_id FROM stripe_webhook_logs JOIN stripe_customers ON stripe_customers.id = customer_id \
     JOIN users ON auth0_user_id = sub WHERE processing_status = 'pending'",
    "SELECT auth0_user_id FROM users WHERE billing_alerts IS NOT NULL \
     AND (billing_alerts LIKE '%unknown_price%' OR billing_alerts LIKE '%order_guessed%')",
];

/// Brings users to what the events say. One who cannot be does not keep the others from it.
pub(crate) async fn reconcile_due(env: &Env, database: &Database, now: Timestamp) -> Outcome<u64> {
    // Graces that began then or earlier are over.
    let over_since = configuration::grace(env)?.over_since(now);
    let mut changed: u64 = 0;
    for due in DUE {
        // All of them take the same values, whether they use them or not.
        let sql = format!(
            "WITH due AS ({due}) SELECT auth0_user_id FROM due WHERE ?1 >= 0 AND ?2 <= ?1 AND ?3 > 0 ORDER BY random() LIMIT {AT_ONCE}"
        );
        let values = [
            Value::Moment(now),
            Value::Moment(over_since),
            Value::Id(row_id(PlanId::Free)),
        ];
        let statement = Statement::new(&sql, &values);
        let results = database.batch(vec![statement]).await?;
        let users: Vec<Due> = rows("rows of users", results.first())?;
        for user in users {
            match reconcile(env, &user.auth0_user_id, Asking::Stripe).await {
                Ok(Some(user)) => {
                    changed = changed.saturating_add(1);
                    tell(env, vec![user]).await;
                }
                Ok(None) => {}
                Err(failure) => log::event("billing_not_reconciled", &failure),
            }
        }
    }
    Ok(changed)
}
