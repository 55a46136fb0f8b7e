//! The old `users`: who they are, and what they had paid for.

use super::plans::PlanNames;
use super::{Carried, OldRow, OldValue, Reason, Refused};
use crate::account::is_sub;
use crate::entitlement::Subscription;
use crate::payload::text::{Email, PersonName, StripeId};
use crate::plan::{PlanId, Sold, legacy_limit};
use crate::subscription::{Standing, Status};
use crate::time::Timestamp;

/// What an old row says of its user's plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanSaid {
    /// A plan of the catalog, or nothing, which is the free one.
    Known,
    /// One that nobody knows: the user is carried over on the free plan.
    Unknown,
}

/// Whether a user was an administrator of the old services. It is not carried over: nothing there ever checked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// One of many.
    User,
    /// By `role` or by `is_admin`.
    Administrator,
}

/// A row of the old `users`.
#[derive(Debug, Clone, PartialEq)]
pub struct OldUser {
    /// What the rows of other tables refer to it by.
    pub id: String,
    /// The key of its user everywhere.
    pub sub: String,
    /// Where to reach them.
    pub email: Option<String>,
    /// What to call them.
    pub name: Option<String>,
    /// Their plan, and how often it is paid.
    pub sold: Sold,
    /// Whether that is what the row says.
    pub plan_said: PlanSaid,
    /// What their subscription is.
    pub status: Status,
    /// The end of the period that is paid.
    pub period_end: Option<Timestamp>,
    /// Stripe's id of them.
    pub customer: Option<String>,
    /// Whether they were an administrator.
    pub rank: Rank,
    /// When they registered.
    pub created_at: Option<Timestamp>,
    /// When they were changed last.
    pub updated_at: Option<Timestamp>,
    /// How many calls were counted.
    pub counter: u64,
    /// When that count was to begin anew.
    pub resets_at: Option<Timestamp>,
}

/// Reads a row of `users`.
///
/// # Errors
/// When nobody could sign in as this user.
pub fn read(row: &OldRow, plans: &PlanNames) -> Result<Carried<OldUser>, Refused> {
    let mut reading = row.read();
    let sub = reading
        .text_that("auth0_user_id", is_sub)
        .ok_or_else(|| Refused::new(Reason::NoIdentity, "auth0_user_id"))?;
    let id = reading.value("id", OldValue::key);
    let by_id = reading.value("current_plan_id", |value| plans.of_id(value));
    let by_name = reading.value("plan", |value| plans.of_name(value));
    let said = by_id.or(by_name);
    let says_some = !reading.peek("current_plan_id").is_empty() || !reading.peek("plan").is_empty();
    let sold = said.unwrap_or(Sold::FREE);
    reading.place("plan", by_name.is_some_and(|named| named.plan == sold.plan));
    let limit = legacy_limit(sold.plan.allowance());
    reading.value("api_calls_limit", |value| {
        (*value == OldValue::Integer(limit)).then_some(())
    });
    let status = match reading.text("subscription_status") {
        Some(word) => Status::parse(&word.trim().to_lowercase()),
        // The older file knew of a plan only that it is held; that is kept.
        None if sold.plan != PlanId::Free => Status::Active,
        None => Status::Free,
    };
    let rank = rank(&mut reading);
    let user = OldUser {
        id: id.unwrap_or_else(|| row.key.clone()),
        sub: sub.to_owned(),
        email: reading.text_that("email", Email::holds).map(str::to_owned),
        name: reading
            .text_that("name", PersonName::holds)
            .map(str::to_owned),
        sold,
        plan_said: match said.is_none() && says_some {
            true => PlanSaid::Unknown,
            false => PlanSaid::Known,
        },
        status,
        period_end: reading.moment("subscription_period_end"),
        customer: reading
            .text_that("stripe_customer_id", StripeId::holds)
            .map(str::to_owned),
        rank,
        created_at: reading.moment("created_at"),
        updated_at: reading.moment("updated_at"),
        counter: reading
            .whole("api_calls_count", crate::whole::MAX)
            .unwrap_or(0),
        resets_at: reading.moment("api_calls_reset_at"),
    };
    Ok(Carried {
        row: user,
        aside: reading.aside(),
    })
}

fn rank(reading: &mut super::value::Reading<'_>) -> Rank {
    let by_role = match reading.peek("role") {
        OldValue::Text(role) => {
            let role = role.trim().to_lowercase();
            reading.place("role", role == "user");
            role == "admin" || role == "super_admin"
        }
        _ => false,
    };
    let by_flag = match reading.peek("is_admin") {
        OldValue::Integer(0) => {
            reading.place("is_admin", true);
            false
        }
        value => {
            value.whole(1) == Some(1)
                || matches!(value, OldValue::Text(word) if word.trim().eq_ignore_ascii_case("true"))
        }
    };
    match by_role || by_flag {
        true => Rank::Administrator,
        false => Rank::User,
    }
}

impl OldUser {
    /// Whether a plan was paid for, as far as the row tells.
    #[must_use]
    pub fn is_payer(&self) -> bool {
        self.sold.plan != PlanId::Free && self.status.standing() != Standing::Free
    }

    /// Their subscription as it is stored here, taken over at `now`.
    ///
    /// Nobody knows since when one that is past due is: the grace begins with the adoption, so that no payer is locked
    /// out by our bookkeeping and it ends all the same.
    #[must_use]
    pub fn subscription(&self, registered_at: Timestamp, now: Timestamp) -> Subscription {
        Subscription {
            plan: self.sold.plan,
            status: self.status.clone(),
            interval: self.sold.interval,
            period_end: self.period_end,
            anchor: self.period_end.and_then(|end| anchor(end, now)),
            past_due_since: (self.status == Status::PastDue).then_some(now),
            scheduled: None,
            registered_at,
            version: 1,
        }
    }
}

/// The anchor of monthly periods one of which ends at `period_end`: the latest moment, a whole number of months before it
/// and not after `now`, from which counting forward leads there.
fn anchor(period_end: Timestamp, now: Timestamp) -> Option<Timestamp> {
    // From 29 February, counting forward leads back there every four years at the latest.
    (1..=96).find_map(|months| {
        let anchor = period_end.minus_months(months);
        (anchor <= now && anchor.plus_months(months) == period_end).then_some(anchor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::month_containing;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn row(columns: &[(&str, OldValue)]) -> OldRow {
        OldRow {
            key: "1".into(),
            columns: columns.iter().map(|(name, _)| (*name).to_owned()).collect(),
            values: columns.iter().map(|(_, value)| value.clone()).collect(),
        }
    }

    fn text(text: &str) -> OldValue {
        OldValue::Text(text.into())
    }

    fn user(columns: &[(&str, OldValue)]) -> Carried<OldUser> {
        let mut all = vec![("id", OldValue::Integer(1)), ("auth0_user_id", text("a|1"))];
        all.extend_from_slice(columns);
        read(&row(&all), &PlanNames::default()).unwrap()
    }

    #[test]
    fn a_plan_of_the_older_file_is_one_that_is_held() {
        for name in ["developer", "Developer", " starter "] {
            let carried = user(&[("plan", text(name))]);
            assert_eq!(carried.row.sold.plan, PlanId::Developer);
            assert_eq!(carried.row.status, Status::Active);
            assert_eq!(carried.aside, None);
        }
        assert_eq!(user(&[("plan", text("free"))]).row.status, Status::Free);
        assert_eq!(user(&[]).row.status, Status::Free);
    }

    #[test]
    fn no_entitlement_out_of_a_name_nobody_knows() {
        let carried = user(&[("plan", text("platinum"))]);
        assert_eq!(carried.row.sold, Sold::FREE);
        assert_eq!(carried.row.plan_said, PlanSaid::Unknown);
        assert_eq!(carried.aside.as_deref(), Some(r#"{"plan":"platinum"}"#));
        let dangling = user(&[
            ("current_plan_id", OldValue::Integer(9)),
            ("subscription_status", text("active")),
        ]);
        assert_eq!(dangling.row.plan_said, PlanSaid::Unknown);
        assert!(!dangling.row.is_payer());
    }

    #[test]
    fn what_the_operator_says_of_an_id_holds() {
        let names = PlanNames::new([("9".to_owned(), PlanId::Professional)]);
        let row = row(&[
            ("auth0_user_id", text("a|1")),
            ("current_plan_id", OldValue::Integer(9)),
        ]);
        let user = read(&row, &names).unwrap().row;
        assert_eq!(user.sold.plan, PlanId::Professional);
        assert_eq!(user.id, "1");
    }

    #[test]
    fn what_the_operator_says_of_a_name_holds_for_the_row_that_has_it() {
        let mut names = PlanNames::new([("Mystery".to_owned(), PlanId::Professional)]);
        let offered = row(&[
            ("id", OldValue::Integer(9)),
            ("name", text("Mystery")),
            ("slug", text("mystery-box")),
        ]);
        names.learn(&super::super::plans::read(&offered, &names).unwrap().row);
        let row = row(&[
            ("auth0_user_id", text("a|1")),
            ("current_plan_id", OldValue::Integer(9)),
        ]);
        assert_eq!(
            read(&row, &names).unwrap().row.sold.plan,
            PlanId::Professional
        );
    }

    #[test]
    fn nobody_becomes_an_administrator_silently() {
        for columns in [
            ("role", text("super_admin")),
            ("is_admin", OldValue::Integer(1)),
            ("is_admin", text("true")),
        ] {
            let carried = user(&[columns]);
            assert_eq!(carried.row.rank, Rank::Administrator);
            assert!(carried.aside.is_some());
        }
        let carried = user(&[("role", text("user")), ("is_admin", OldValue::Integer(0))]);
        assert_eq!((carried.row.rank, carried.aside), (Rank::User, None));
    }

    #[test]
    fn whoever_cannot_sign_in_is_no_user() {
        for sub in [
            OldValue::Null,
            text("  "),
            text("a\nb"),
            text(&"x".repeat(256)),
            OldValue::Integer(5),
        ] {
            let refused = read(&row(&[("auth0_user_id", sub)]), &PlanNames::default());
            assert_eq!(refused.unwrap_err().reason, Reason::NoIdentity);
        }
    }

    #[test]
    fn a_bad_date_loses_nobody() {
        let carried = user(&[
            ("created_at", text("last spring")),
            ("email", text("nobody")),
        ]);
        assert_eq!(carried.row.created_at, None);
        assert_eq!(carried.row.email, None);
        assert_eq!(
            carried.aside.as_deref(),
            Some(r#"{"created_at":"last spring","email":"nobody"}"#)
        );
    }

    #[test]
    fn months_are_counted_back_from_the_end_of_what_is_paid() {
        let now = at("2026-03-15T00:00:00Z");
        for (end, start) in [
            ("2026-03-31T10:00:00Z", "2026-02-28T10:00:00Z"),
            ("2026-04-10T10:00:00Z", "2026-03-10T10:00:00Z"),
            ("2026-12-31T10:00:00Z", "2026-02-28T10:00:00Z"),
            ("2028-02-29T10:00:00Z", "2026-02-28T10:00:00Z"),
        ] {
            let anchor = anchor(at(end), now).unwrap();
            assert!(anchor <= now);
            assert_eq!(month_containing(anchor, now).start, at(start), "{end}");
            assert_eq!(
                month_containing(anchor, at(end)).start,
                at(end),
                "a period ends at {end}"
            );
        }
    }

    #[test]
    fn a_grace_of_which_nobody_knows_the_beginning_begins_now() {
        let now = at("2026-03-15T00:00:00Z");
        let late = user(&[
            ("plan", text("pro")),
            ("subscription_status", text("past_due")),
        ]);
        let subscription = late.row.subscription(now, now);
        assert_eq!(subscription.past_due_since, Some(now));
        assert_eq!(subscription.anchor, None);
    }
}
