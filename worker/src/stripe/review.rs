//! What the events of a user come to, without storing it; and Stripe asked whether that is so.

use super::settings::ApiSettings;
use super::store::{self, Concerned, Written};
use crate::database::{Database, Statement, Value, rows};
use crate::failure::{Failure, Outcome};
use crate::meter::client;
use legis_core::audit::repair::Repair;
use legis_core::problem::Problem;
use legis_core::row;
use legis_core::rows::billing::SnapshotRow;
use legis_core::rows::users::StoredUser;
use legis_core::stripe::apply::{Applied, Payer, Stored, apply};
use legis_core::stripe::event::{Event, Mode, Subject};
use legis_core::stripe::prices::Prices;
use legis_core::stripe::snapshot::Snapshot;
use legis_core::subscription::Grace;
use legis_core::time::Timestamp;
use std::collections::BTreeMap;
use worker::Env;

/// A user's billing columns, and what they should be.
pub(crate) struct Review {
    pub(crate) stored: Payer,
    pub(crate) right: Payer,
    /// What would bring the one to the other.
    pub(crate) repair: Repair,
    /// Subscriptions that the events have and Stripe has not.
    pub(crate) gone: Vec<String>,
}

/// What a review stands on.
pub(crate) struct Reviewer<'r> {
    pub(crate) env: &'r Env,
    pub(crate) database: &'r Database,
    pub(crate) prices: &'r Prices,
    pub(crate) grace: Grace,
    pub(crate) now: Timestamp,
}

impl Reviewer<'_> {
    /// What the events of `sub` come to; where there is a key, what Stripe says of the subscriptions that run.
    pub(crate) async fn review(&self, sub: &str) -> Outcome<Option<Review>> {
        let stored = self.load(sub).await?;
        let Some(payer) = payer(&stored.users, sub) else {
            return Ok(None);
        };
        let repair = Repair::Reconcile {
            sub: sub.to_owned(),
        };
        let applied = self.apply(&stored, &[]);
        let right = payer_after(&applied, &payer);
        let mut review = Review {
            stored: payer,
            right,
            repair,
            gone: Vec::new(),
        };
        if review.stored.billing == review.right.billing {
            self.ask_stripe(&stored, &mut review).await?;
        }
        Ok(Some(review))
    }

    async fn ask_stripe(&self, stored: &Stored, review: &mut Review) -> Outcome<()> {
        let Some(api) = ApiSettings::read(self.env) else {
            return Ok(());
        };
        for (subscription, known) in running(&stored.snapshots) {
            let Some(snapshot) = api.find_subscription(&subscription, known).await? else {
                review.gone.push(subscription);
                continue;
            };
            let applied = self.apply(stored, &[fetched(snapshot)]);
            let right = payer_after(&applied, &review.stored);
            if right.billing != review.stored.billing {
                review.right = right;
                review.repair = Repair::FetchSubscription {
                    sub: review.stored.sub.clone(),
                    subscription,
                };
                return Ok(());
            }
        }
        Ok(())
    }

    /// Stores what Stripe says of a subscription now, and tells the meters of those whom it changes.
    pub(crate) async fn refetch(&self, sub: &str, subscription: &str) -> Outcome<()> {
        let api = ApiSettings::read(self.env).ok_or(Problem::PaymentsNotOffered)?;
        for _ in 0..super::processing::TRIES {
            let stored = self.load(sub).await?;
            let of = |snapshot: &&Snapshot| snapshot.subscription == subscription;
            let known = stored.snapshots.iter().filter(of);
            let known = known.map(|snapshot| snapshot.id.clone()).collect();
            let snapshot = api.subscription(subscription, known).await?;
            let applied = self.apply(&stored, &[fetched(snapshot)]);
            match store::write(self.database, &applied, None, self.grace).await? {
                Written::Overtaken => {}
                Written::Stored(users) => return tell(self.env, users).await,
            }
        }
        Err(Failure::new(Problem::Internal, "overtaken again and again"))
    }

    /// The snapshots of a user that do not decode.
    pub(crate) async fn unreadable_snapshots(&self, sub: &str) -> Outcome<Vec<String>> {
        row! {
            struct Id {
                id: String,
            }
        }
        let sql = "SELECT subscription_snapshots.id, customer_id, subscription_id, kind, facts, facts_before, seen, created_at \
                   FROM subscription_snapshots JOIN stripe_customers ON stripe_customers.id = customer_id WHERE sub = ?1";
        let statement = Statement::new(sql, &[Value::Text(sub)]);
        let results = self.database.batch(vec![statement]).await?;
        let what = "rows of subscription_snapshots";
        let ids: Vec<Id> = rows(what, results.first())?;
        let snapshots: Vec<SnapshotRow> = rows(what, results.first())?;
        let read = ids.into_iter().zip(snapshots);
        Ok(read
            .filter(|(_, snapshot)| snapshot.clone().decode().is_err())
            .map(|(id, _)| id.id)
            .collect())
    }

    async fn load(&self, sub: &str) -> Outcome<Stored> {
        let concerned = Concerned {
            sub: Some(sub),
            ..Concerned::default()
        };
        Ok(store::load(self.database, &concerned).await?.stored)
    }

    fn apply(&self, stored: &Stored, events: &[Event]) -> Applied {
        apply(stored, events, self.prices, self.grace, self.now)
    }
}

/// Tells the meters of users what they are entitled to now. Whoever repairs hears of one that could not be told.
async fn tell(env: &Env, users: Vec<StoredUser>) -> Outcome<()> {
    for user in users {
        client::learn(env, user).await?;
    }
    Ok(())
}

fn payer(payers: &[Payer], sub: &str) -> Option<Payer> {
    payers.iter().find(|payer| payer.sub == sub).cloned()
}

/// Only those whose billing changes are in it.
fn payer_after(applied: &Applied, before: &Payer) -> Payer {
    payer(&applied.users, &before.sub).unwrap_or_else(|| before.clone())
}

/// The subscriptions that are not over, each with the snapshots that are known of it.
fn running(snapshots: &[Snapshot]) -> BTreeMap<String, Vec<String>> {
    let over: Vec<&str> = snapshots
        .iter()
        .filter(|snapshot| snapshot.facts.is_final())
        .map(|snapshot| snapshot.subscription.as_str())
        .collect();
    let mut running: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for snapshot in snapshots {
        if !over.contains(&snapshot.subscription.as_str()) {
            let known = running.entry(snapshot.subscription.clone()).or_default();
            known.push(snapshot.id.clone());
        }
    }
    running
}

/// A snapshot that Stripe gave, as an event.
pub(super) fn fetched(snapshot: Snapshot) -> Event {
    Event {
        id: snapshot.id.clone(),
        kind: "fetched".to_owned(),
        at: snapshot.at,
        mode: Mode::Test,
        subject: Subject::Subscription {
            snapshot: Box::new(snapshot),
            link: None,
        },
    }
}
