//! Users: their rows, their meters, their subscriptions.

use super::Step;
use super::step::step;
use crate::configuration;
use crate::database::{Database, Statement, Value, decoded, rows};
use crate::failure::{Failure, Outcome};
use crate::log;
use crate::meter::client;
use crate::meter::message::Inspected;
use crate::registration::SELECT;
use crate::stripe::review::{Review, Reviewer};
use futures_util::future::join_all;
use legis_core::audit::billing::KnownSubscription;
use legis_core::audit::position::Position;
use legis_core::audit::repair::{OpeningBalance, Repair, Tally};
use legis_core::audit::storage::{self, Unreadable};
use legis_core::audit::usage::{self, MeterSnapshot, UserSnapshot};
use legis_core::audit::{Code, Finding, billing};
use legis_core::json;
use legis_core::row;
use legis_core::rows::users::{StoredUser, UserRow};
use legis_core::time::Timestamp;
use serde_json::json;
use std::collections::BTreeMap;
use worker::Env;

/// Users at once: each is a question to a meter, and who pays another two to the database.
const PAGE: u32 = 25;

/// How often a user is looked at again who makes calls meanwhile.
const LOOKS: u32 = 3;

/// Looks at the users after one of them.
pub(super) async fn page(
    env: &Env,
    database: &Database,
    at: &Position,
    after: u64,
    now: Timestamp,
) -> Outcome<Step> {
    let configuration = configuration::read(env, now).await?;
    let grace = configuration::grace(env)?;
    let sql = format!("{SELECT} WHERE users.id > ?1 ORDER BY users.id LIMIT {PAGE}");
    let statement = Statement::new(&sql, &[Value::Count(after)]);
    let results = database.batch(vec![statement]).await?;
    let found: Vec<UserRow> = rows("rows of users", results.first())?;
    let next = match found.last() {
        Some(last) if found.len() >= PAGE as usize => Position::Users { after: last.id() },
        _ => at.next(),
    };
    let checked = found.len();
    let mut findings = Vec::new();
    let mut users = Vec::new();
    for row in found {
        let sub = row.sub().to_owned();
        match row.decode(grace) {
            Ok(user) => users.push(user),
            Err(unfit) => findings.push(storage::unreadable(&Unreadable::User {
                sub,
                reason: unfit.to_string(),
            })),
        }
    }
    let kept_since = configuration::retention(env)?.since(now);
    let audit = Audit {
        env,
        database,
        kept_since,
        now,
    };
    findings.extend(audit.usage(users).await?);
    let reviewer = Reviewer {
        env,
        database,
        prices: configuration.prices()?,
        grace,
        now,
    };
    for payer in audit.payers(after, &next).await? {
        let sub = &payer.auth0_user_id;
        // Without its customer nothing that is said about it can be found.
        if is_about(&findings, Code::UserWithoutCustomer, sub) {
            continue;
        }
        let found = subscriptions(&reviewer, &payer, now).await;
        findings.extend(found);
    }
    Ok(step(findings, checked, next))
}

fn is_about(findings: &[Finding], code: Code, sub: &str) -> bool {
    findings
        .iter()
        .any(|finding| finding.code == code && finding.subject == sub)
}

struct Audit<'a> {
    env: &'a Env,
    database: &'a Database,
    kept_since: Timestamp,
    now: Timestamp,
}

row! {
    /// Who has ever had to do with Stripe.
    struct Payer {
        auth0_user_id: String,
        billing_alerts: Option<String>,
    }
}

impl Audit<'_> {
    /// What is wrong about what users used. Who makes calls while they are looked at is looked at again: what was read at
    /// different moments tells nothing.
    async fn usage(&self, mut users: Vec<StoredUser>) -> Outcome<Vec<Finding>> {
        let mut findings: Vec<Finding> = Vec::new();
        let mut earlier: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
        for look in 0..LOOKS {
            let (snapshots, unseen) = self.snapshots(&users).await?;
            findings.extend(unseen);
            let mut doubtful = Vec::new();
            for snapshot in &snapshots {
                let found = usage::audit(snapshot, self.now);
                let sub = &snapshot.user.sub;
                // Twice the same: nothing happened in between.
                if found.is_empty() || earlier.get(sub) == Some(&found) {
                    findings.extend(found);
                } else {
                    earlier.insert(sub.clone(), found);
                    doubtful.push(sub.clone());
                }
            }
            if doubtful.is_empty() {
                break;
            }
            if look.saturating_add(1) == LOOKS {
                let busy =
                    |sub: &String| Finding::not_examined(sub, "calls are made all the while");
                findings.extend(doubtful.iter().map(busy));
                break;
            }
            users = self.again(&doubtful).await?;
        }
        Ok(findings)
    }

    async fn again(&self, subs: &[String]) -> Outcome<Vec<StoredUser>> {
        let grace = configuration::grace(self.env)?;
        let sql = format!("{SELECT} WHERE auth0_user_id IN (SELECT value FROM json_each(?1))");
        let subs = json!(subs).to_string();
        let statement = Statement::new(&sql, &[Value::Text(&subs)]);
        let results = self.database.batch(vec![statement]).await?;
        decoded("rows of users", results.first(), |row: UserRow| {
            row.decode(grace)
        })
    }

    /// Meters first, which bring their rows to the database; then what the database has.
    async fn snapshots(&self, users: &[StoredUser]) -> Outcome<(Vec<UserSnapshot>, Vec<Finding>)> {
        let called = self.called(users).await?;
        let called = &called;
        let asked = users
            .iter()
            .map(|stored| async move { (stored, self.meter(stored, called).await) });
        let mut inspected = Vec::new();
        let mut unseen = Vec::new();
        for (stored, answer) in join_all(asked).await {
            match answer {
                Ok(meter) => inspected.push((stored, meter)),
                // One meter that does not answer does not keep the others from being looked at.
                Err(failure) => {
                    log::event("audit_meter_not_inspected", &failure);
                    unseen.push(Finding::not_examined(&stored.user.sub, "the meter"));
                }
            }
        }
        let fresh = self.counters(users).await?;
        let mut snapshots = Vec::new();
        let asked: Vec<(u64, Option<Timestamp>)> = inspected
            .iter()
            .map(|(stored, meter)| (stored.user.id, self.rows_since(stored, meter.as_ref())))
            .collect();
        let told = self.told_of_each(&asked).await?;
        for ((stored, meter), told) in inspected.into_iter().zip(told) {
            let snapshot = told.and_then(|told| match (told, fresh.get(&stored.user.id)) {
                (Some(told), Some(stored)) => self.snapshot(stored, &told, meter).map(Some),
                // Who is gone meanwhile is nobody's finding.
                _ => Ok(None),
            });
            match snapshot {
                Ok(snapshot) => snapshots.extend(snapshot),
                // Nor does one who made too many calls to add them up.
                Err(failure) => {
                    log::event("audit_rows_not_read", &failure);
                    unseen.push(Finding::not_examined(&stored.user.sub, "the rows of calls"));
                }
            }
        }
        Ok((snapshots, unseen))
    }

    /// The users as they are once their meters have reported.
    async fn counters(&self, users: &[StoredUser]) -> Outcome<BTreeMap<u64, StoredUser>> {
        let subs: Vec<String> = users.iter().map(|user| user.user.sub.clone()).collect();
        let again = self.again(&subs).await?;
        Ok(by_id(again.into_iter().map(|user| (user.user.id, user))))
    }

    /// Which of the users have ever made a call that has a row.
    async fn called(&self, users: &[StoredUser]) -> Outcome<Vec<u64>> {
        row! {
            struct Called {
                id: u32,
            }
        }
        let ids: Vec<u64> = users.iter().map(|user| user.user.id).collect();
        let sql = "SELECT value AS id FROM json_each(?1) WHERE EXISTS (SELECT 1 FROM api_usage WHERE user_id = value) \
                   OR EXISTS (SELECT 1 FROM mcp_logs WHERE user_id = value)";
        let statement = Statement::new(sql, &[Value::Text(&json!(ids).to_string())]);
        let results = self.database.batch(vec![statement]).await?;
        let called: Vec<Called> = rows("rows of calls", results.first())?;
        Ok(called.into_iter().map(|row| u64::from(row.id)).collect())
    }

    /// What a meter has. One that cannot know its user is not woken for nothing.
    async fn meter(&self, stored: &StoredUser, called: &[u64]) -> Outcome<Option<Inspected>> {
        let counters = stored.counters;
        let untouched = !called.contains(&stored.user.id)
            && counters.used == 0
            && counters.lifetime_used == 0
            && counters.resets_at.is_none()
            && stored.entitlement.version == 0
            && stored.user.updated_at == stored.user.created_at
            && self.now.since(stored.user.created_at) > IDLE_MILLIS;
        match untouched {
            true => Ok(None),
            false => client::inspect(self.env, &stored.user.sub).await,
        }
    }

    fn snapshot(
        &self,
        stored: &StoredUser,
        told: &Told,
        meter: Option<Inspected>,
    ) -> Outcome<UserSnapshot> {
        Ok(UserSnapshot {
            user: stored.user.clone(),
            entitlement: stored.entitlement.clone(),
            plan: stored.columns.plan,
            past_due_since: told.past_due_since,
            counters: stored.counters,
            opening: told.opening(),
            lifetime_rows: Tally {
                used: told.lifetime_used,
                mcp: told.lifetime_mcp,
            },
            period_rows: told.periods()?,
            meter: meter.map(|meter| MeterSnapshot {
                entitlement: meter.entitlement,
                usage: meter.usage,
                asked_at: meter.asked_at,
                lifetime_open: meter.lifetime_open,
                period_open: meter.period_open,
            }),
            subscription: match (told.subscriptions, told.agreed) {
                (0, 0) => KnownSubscription::Unknown,
                _ => KnownSubscription::Known,
            },
            missing_customer: told.missing_customer.clone(),
            kept_since: self.kept_since,
        })
    }

    /// From when on the rows of a user's monthly periods are needed.
    fn rows_since(&self, stored: &StoredUser, meter: Option<&Inspected>) -> Option<Timestamp> {
        match meter {
            Some(meter) => usage::rows_since(&meter.entitlement, &meter.usage, self.now),
            None => usage::rows_since(&stored.entitlement, &stored.account().usage, self.now),
        }
    }

    /// What the database tells about the use of each user: of all at once, or, where that takes too long, of one after the
    /// other.
    async fn told_of_each(
        &self,
        asked: &[(u64, Option<Timestamp>)],
    ) -> Outcome<Vec<Outcome<Option<Told>>>> {
        if let Ok(mut told) = self.told(asked).await {
            let told = asked.iter().map(|(id, _)| Ok(told.remove(id)));
            return Ok(told.collect());
        }
        let mut each = Vec::new();
        for of in asked {
            let told = self.told(std::slice::from_ref(of)).await;
            // A database that answers nothing at all is no fault of the user's.
            if told.is_err() {
                self.told(&[]).await?;
            }
            each.push(told.map(|mut told| told.remove(&of.0)));
        }
        Ok(each)
    }

    async fn told(&self, asked: &[(u64, Option<Timestamp>)]) -> Outcome<BTreeMap<u64, Told>> {
        let asked: Vec<(u64, Option<i64>)> = asked
            .iter()
            .map(|(id, since)| (*id, since.map(Timestamp::millis)))
            .collect();
        let asked = json!(asked).to_string();
        let statement = Statement::new(TOLD, &[Value::Text(&asked)]);
        let results = self.database.batch(vec![statement]).await?;
        let told: Vec<Told> = rows("rows of calls", results.first())?;
        let told = told.into_iter().map(|told| (u64::from(told.id), told));
        Ok(by_id(told))
    }

    /// The payers of a page.
    async fn payers(&self, after: u64, next: &Position) -> Outcome<Vec<Payer>> {
        let last = match next {
            Position::Users { after } => *after,
            _ => u64::from(u32::MAX),
        };
        let sql = "SELECT auth0_user_id, billing_alerts FROM users WHERE id > ?1 AND id <= ?2 AND (stripe_customer_id IS NOT NULL \
                   OR billing_alerts IS NOT NULL OR EXISTS (SELECT 1 FROM stripe_customers WHERE sub = auth0_user_id)) ORDER BY id";
        let values = [Value::Count(after), Value::Count(last)];
        let results = self
            .database
            .batch(vec![Statement::new(sql, &values)])
            .await?;
        rows("rows of users", results.first())
    }
}

/// One after the other: what is collected is sorted first, by code of its own for each type.
fn by_id<T>(values: impl Iterator<Item = (u64, T)>) -> BTreeMap<u64, T> {
    let mut all = BTreeMap::new();
    all.extend(values);
    all
}

/// For how long a meter may still have a call in hand of which no column tells.
const IDLE_MILLIS: i64 = 60 * 60 * 1000;

const TOLD: &str = "SELECT users.id, past_due_since, \
     (SELECT count(*) FROM stripe_customers JOIN subscription_snapshots ON customer_id = stripe_customers.id \
     WHERE sub = auth0_user_id) AS subscriptions, agreed_plan_id IS NOT NULL AS agreed, \
     iif(EXISTS (SELECT 1 FROM stripe_customers WHERE stripe_customers.id = users.stripe_customer_id AND sub IS NOT NULL), \
     NULL, stripe_customer_id) AS missing_customer, \
     opening_balances.lifetime_used AS opening_lifetime_used, opening_balances.lifetime_mcp AS opening_lifetime_mcp, \
     opening_balances.period_end AS opening_period_end, opening_balances.period_used AS opening_period_used, \
     opening_balances.period_mcp AS opening_period_mcp, \
     (SELECT total(cost) FROM api_usage WHERE user_id = users.id AND period_start IS NULL AND opening = 0 AND cost > 0) \
     + (SELECT total(cost) FROM mcp_logs WHERE user_id = users.id AND period_start IS NULL AND opening = 0 AND cost > 0) \
     AS lifetime_used, \
     (SELECT total(cost) FROM api_usage WHERE user_id = users.id AND period_start IS NULL AND opening = 0 AND cost > 0 \
     AND channel = 'mcp') \
     + (SELECT total(cost) FROM mcp_logs WHERE user_id = users.id AND period_start IS NULL AND opening = 0 AND cost > 0) \
     AS lifetime_mcp, \
     (SELECT json_group_array(json_array(period_start, used, mcp)) FROM (SELECT period_start, sum(cost) AS used, \
     sum(iif(channel = 'mcp', cost, 0)) AS mcp FROM api_usage WHERE user_id = users.id AND timestamp >= asked.value ->> 1 \
     AND period_start IS NOT NULL AND opening = 0 GROUP BY period_start UNION ALL SELECT period_start, sum(cost), sum(cost) \
     FROM mcp_logs WHERE user_id = users.id AND timestamp >= asked.value ->> 1 AND period_start IS NOT NULL AND opening = 0 \
     GROUP BY period_start)) AS periods \
     FROM json_each(?1) AS asked JOIN users ON users.id = asked.value ->> 0 LEFT JOIN opening_balances ON opening_balances.user_id = users.id";

row! {
    /// What the database tells about what a user used.
    struct Told {
        id: u32,
        past_due_since: Option<Timestamp>,
        subscriptions: u32,
        agreed: u8,
        missing_customer: Option<String>,
        opening_lifetime_used: Option<u64>,
        opening_lifetime_mcp: Option<u64>,
        opening_period_end: Option<Timestamp>,
        opening_period_used: Option<u64>,
        opening_period_mcp: Option<u64>,
        lifetime_used: u64,
        lifetime_mcp: u64,
        periods: String,
    }
}

impl Told {
    /// What was used, period by period. Who knows it in part knows nothing: what is missing would be repaired away.
    fn periods(&self) -> Outcome<Vec<(Timestamp, Tally)>> {
        let corrupt = |reason: String| Failure::corrupt("sums of calls", reason);
        let rows: Vec<(i64, u64, u64)> =
            json::read(self.periods.as_bytes()).map_err(|error| corrupt(error.to_string()))?;
        let period = |(start, used, mcp)| {
            let start = Timestamp::from_millis(start)?;
            Some((start, Tally { used, mcp }))
        };
        let periods: Option<Vec<_>> = rows.into_iter().map(period).collect();
        periods.ok_or_else(|| corrupt("a period begins at no moment".to_owned()))
    }

    fn opening(&self) -> OpeningBalance {
        let part = |used: Option<u64>, mcp: Option<u64>| Tally {
            used: used.unwrap_or_default(),
            mcp: mcp.unwrap_or_default(),
        };
        OpeningBalance {
            lifetime: part(self.opening_lifetime_used, self.opening_lifetime_mcp),
            period_end: self.opening_period_end,
            period: part(self.opening_period_used, self.opening_period_mcp),
        }
    }
}

/// What is wrong about a payer's billing columns.
async fn subscriptions(reviewer: &Reviewer<'_>, payer: &Payer, now: Timestamp) -> Vec<Finding> {
    let sub = &payer.auth0_user_id;
    let alerts = payer.billing_alerts.as_deref();
    if alerts.is_some_and(|alerts| json::read::<Vec<String>>(alerts.as_bytes()).is_err()) {
        let sub = sub.clone();
        return vec![storage::unreadable(&Unreadable::UserAlerts { sub })];
    }
    match reviewer.review(sub).await {
        Ok(Some(review)) => reviewed(review, reviewer, now),
        Ok(None) => Vec::new(),
        Err(failure) => match reviewer.unreadable_snapshots(sub).await {
            Ok(ids) if !ids.is_empty() => ids
                .into_iter()
                .map(|id| storage::unreadable(&Unreadable::Snapshot { id }))
                .collect(),
            _ => {
                log::event("audit_payer_not_reviewed", &failure);
                vec![Finding::not_examined(sub, "the subscriptions")]
            }
        },
    }
}

fn reviewed(review: Review, reviewer: &Reviewer<'_>, now: Timestamp) -> Vec<Finding> {
    let Review {
        stored,
        right,
        repair,
        gone,
    } = review;
    let mut findings = billing::prices(&stored, reviewer.prices);
    let by_price = findings
        .iter()
        .any(|finding| matches!(finding.repair, Some(Repair::Reconcile { .. })));
    // A price that is known now is why the columns differ.
    if !by_price {
        findings.extend(billing::standing(
            &stored,
            &right,
            repair,
            reviewer.grace,
            now,
        ));
    }
    findings.extend(gone.into_iter().map(|subscription| {
        Finding::new(
            Code::UserWithoutSubscription,
            &stored.sub,
            json!({ "userId": stored.id, "subscription": subscription, "stripe": "not found" }),
        )
    }));
    findings
}
