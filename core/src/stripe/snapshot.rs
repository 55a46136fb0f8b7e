//! A subscription as an event brought it.

use crate::json;
use crate::payload::stripe::{Seconds, StripeItem, StripeObject, StripePrice};
use crate::plan::Interval;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a rule needs to know of a subscription at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Facts {
    /// Stripe's word.
    pub status: String,
    /// The prices that are paid.
    pub prices: Vec<PaidPrice>,
    /// The period that is paid, or is to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<PaidPeriod>,
    /// Where billing periods are counted from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Timestamp>,
    /// When it will end, as was said when it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_at: Option<Timestamp>,
    /// Whether it ends with the period.
    pub cancel_at_period_end: bool,
}

/// A price and how often it is paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaidPrice {
    /// Stripe's id.
    pub id: String,
    /// How often; absent for intervals by which no plan is sold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// The period it is paid for, where that is another one than the subscription's: an addition may be paid otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<PaidPeriod>,
}

/// A billing period `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaidPeriod {
    /// The first moment.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
}

/// Which step in a subscription's life brought a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotKind {
    /// It was made.
    Created,
    /// Something about it changed, or was announced.
    Updated,
    /// It ended.
    Deleted,
    /// Stripe was asked.
    Fetched,
}

impl SnapshotKind {
    /// The value of the column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Fetched => "fetched",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Created, Self::Updated, Self::Deleted, Self::Fetched]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// A subscription as an event brought it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The event's id, which is the snapshot's too.
    pub id: String,
    /// Whose it is.
    pub customer: String,
    /// Of which subscription.
    pub subscription: String,
    /// When the event happened, to the second.
    pub at: Timestamp,
    /// What the event was.
    pub kind: SnapshotKind,
    /// As it is after the event.
    pub facts: Facts,
    /// As it was before, where the event says so.
    pub before: Option<Facts>,
    /// Of a fetched one: the snapshots that were known when Stripe was asked, which are older than it therefore.
    pub seen: Vec<String>,
}

impl Facts {
    /// Whether nothing comes after it: Stripe never revives such a subscription.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self.status.as_str(), "canceled" | "incomplete_expired")
    }

    /// Reads a subscription; `None` when it has no status.
    ///
    /// Since 2025-03-31 periods are the items', before they were the subscription's. The longest is the subscription's.
    #[must_use]
    pub fn of(subscription: &StripeObject) -> Option<Self> {
        let items = subscription.items.as_ref();
        let items = items.map_or(&[][..], |items| items.data.0.as_slice());
        let own = period(
            subscription.current_period_start,
            subscription.current_period_end,
        );
        let latest = items
            .iter()
            .filter_map(|item| period(item.current_period_start, item.current_period_end))
            .max_by_key(|period| period.end);
        let shared = latest.or(own);
        Some(Self {
            status: subscription.status.as_ref()?.as_str().to_owned(),
            prices: items
                .iter()
                .filter_map(|item| price(item, shared))
                .collect(),
            period: shared,
            anchor: subscription.billing_cycle_anchor.map(moment),
            cancel_at: subscription.cancel_at.map(moment),
            cancel_at_period_end: subscription.cancel_at_period_end.is_some_and(|flag| flag.0),
        })
    }

    /// The subscription as it was before the event whose `previous_attributes` these are; `None` where they cannot be
    /// understood.
    #[must_use]
    pub fn before(after: &StripeObject, previous: &Map<String, Value>) -> Option<Self> {
        let Ok(Value::Object(mut object)) = serde_json::to_value(after) else {
            return None;
        };
        for (name, value) in previous {
            match (name.as_str(), value.pointer("/data")) {
                // Stripe sends the whole list, sometimes with only the changed members of each item.
                ("items", Some(Value::Array(were))) => {
                    let pointer = object
                        .get_mut("items")
                        .and_then(|items| items.get_mut("data"));
                    if let Some(Value::Array(items)) = pointer {
                        items.resize(were.len(), Value::Object(Map::new()));
                        items
                            .iter_mut()
                            .zip(were)
                            .for_each(|(item, was)| overlay(item, was));
                    }
                }
                _ => {
                    object.insert(name.clone(), value.clone());
                }
            }
        }
        let before: StripeObject = json::read(Value::Object(object).to_string().as_bytes()).ok()?;
        Self::of(&before)
    }
}

fn overlay(item: &mut Value, was: &Value) {
    if let (Value::Object(item), Value::Object(was)) = (item, was) {
        item.extend(was.clone());
    }
}

pub(super) fn moment(seconds: Seconds) -> Timestamp {
    moment_of(seconds.get())
}

pub(super) fn moment_of(seconds: u64) -> Timestamp {
    let millis = i64::try_from(seconds)
        .unwrap_or(i64::MAX)
        .saturating_mul(1000);
    Timestamp::EPOCH.plus_millis(millis)
}

fn period(start: Option<Seconds>, end: Option<Seconds>) -> Option<PaidPeriod> {
    Some(PaidPeriod {
        start: moment(start?),
        end: moment(end?),
    })
}

fn price(item: &StripeItem, shared: Option<PaidPeriod>) -> Option<PaidPrice> {
    let price: &StripePrice = item.price.as_ref().or(item.plan.as_ref())?;
    let recurring = price.recurring.as_ref();
    let interval = recurring
        .and_then(|recurring| recurring.interval.as_ref())
        .or(price.interval.as_ref());
    Some(PaidPrice {
        id: price.id.as_str().to_owned(),
        interval: interval.and_then(|word| Interval::parse(word.as_str())),
        period: period(item.current_period_start, item.current_period_end)
            .filter(|own| Some(*own) != shared),
    })
}
