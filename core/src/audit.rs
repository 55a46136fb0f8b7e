//! What an operator must be able to trust: that the tables, the meters, Stripe and the identity issuer say the same.
//!
//! Whoever audits reads, hands over what was read, and gets findings back: each with a code, what it is about, and the
//! repair, where there is one. A repair says all that it will do, and what it stands on; where that is not so any more,
//! nothing is done. Told in `docs/audit.md`.

pub mod billing;
pub mod identity;
pub mod position;
pub mod repair;
pub mod storage;
pub mod usage;

use crate::time::Timestamp;
use repair::Repair;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How long the cron may take to do what is its to do: it runs every hour.
const CRON_MILLIS: i64 = 2 * 60 * 60 * 1000;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Severity {
    /// Somebody pays and is not served, or is served and does not pay.
    Critical,
    /// The tables do not say what is so.
    Warning,
    /// Nothing is wrong yet.
    Notice,
}

impl Severity {
    /// The name used everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

/// What is wrong. The codes are stable: a code that is not needed any more is never used for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AuditCode"))]
pub enum Code {
    /// A row of `plans` is not the catalog's.
    PlanRowDiffers,
    /// A JSON column does not decode, or a row breaks a rule.
    ColumnUnreadable,
    /// A meter has counted less than the rows say.
    MeterBelowDatabase,
    /// A meter has counted more than the rows say.
    CounterAboveRows,
    /// The reported columns are not what the meter counts.
    MeterDiffers,
    /// A period follows from no anchor.
    PeriodOffAnchor,
    /// A meter entitles to something else than the database.
    EntitlementDiffers,
    /// A grace is over and the meter still entitles.
    GraceExpired,
    /// A payment is due since nobody knows when, so its grace would never end.
    GraceUnending,
    /// The billing columns are not what Stripe's events, or Stripe itself, say.
    StandingDiffers,
    /// A plan that is paid for, and no subscription.
    UserWithoutSubscription,
    /// A user's customer that the table of customers does not have.
    UserWithoutCustomer,
    /// A customer that is nobody's.
    CustomerWithoutUser,
    /// A subscription that entitles, and nobody to whom.
    SubscriptionWithoutUser,
    /// A price that no configuration names.
    PriceUnknown,
    /// Rows of calls whose user is not there.
    UsageWithoutUser,
    /// An event that should have been applied long ago.
    EventStuck,
    /// An event that waits for somebody who does not come.
    EventWaiting,
    /// A user whom the identity issuer does not know.
    UserWithoutIdentity,
    /// Somebody whom the identity issuer knows, and who is not registered.
    IdentityWithoutUser,
    /// A user who could not be looked at.
    UserNotExamined,
    /// A list of somebody else's that could not be had.
    SourceNotExamined,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 22] = [
        Self::PlanRowDiffers,
        Self::ColumnUnreadable,
        Self::MeterBelowDatabase,
        Self::CounterAboveRows,
        Self::MeterDiffers,
        Self::PeriodOffAnchor,
        Self::EntitlementDiffers,
        Self::GraceExpired,
        Self::GraceUnending,
        Self::StandingDiffers,
        Self::UserWithoutSubscription,
        Self::UserWithoutCustomer,
        Self::CustomerWithoutUser,
        Self::SubscriptionWithoutUser,
        Self::PriceUnknown,
        Self::UsageWithoutUser,
        Self::EventStuck,
        Self::EventWaiting,
        Self::UserWithoutIdentity,
        Self::IdentityWithoutUser,
        Self::UserNotExamined,
        Self::SourceNotExamined,
    ];

    /// The name used everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.described().0
    }

    /// How much it matters.
    #[must_use]
    pub const fn severity(self) -> Severity {
        self.described().1
    }

    /// What it means.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        self.described().2
    }

    /// What the repair does, or what is left for an operator to do.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        self.described().3
    }

    /// Findings that tell nothing while this one about the same subject stands, and whose repair could do harm: a meter is
    /// not told what the database says while that is wrong.
    #[must_use]
    pub const fn supersedes(self) -> &'static [Self] {
        match self {
            Self::StandingDiffers => &[Self::EntitlementDiffers, Self::GraceExpired],
            _ => &[],
        }
    }

    /// The code of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    const fn described(self) -> (&'static str, Severity, &'static str, &'static str) {
        use Severity::{Critical, Notice, Warning};
        match self {
            Self::PlanRowDiffers => (
                "plan_row_differs",
                Critical,
                "A row of `plans` is not what the catalog says. Nothing but repairs is served meanwhile.",
                "The row is written from the catalog; its price id stays.",
            ),
            Self::ColumnUnreadable => (
                "column_unreadable",
                Warning,
                "A JSON column does not decode, or a row breaks a rule that every row keeps.",
                "Alerts are cleared and computed anew; logs become a JSON text; a snapshot goes to the quarantine. Anything else must be mended by hand.",
            ),
            Self::MeterBelowDatabase => (
                "meter_below_database",
                Critical,
                "The rows and the opening balance say that more was used than the meter counts: calls are given away.",
                "The meter is raised.",
            ),
            Self::CounterAboveRows => (
                "counter_above_rows",
                Warning,
                "The meter counts more than the rows and the opening balance say: rows are missing.",
                "The meter is believed; the difference becomes part of the opening balance.",
            ),
            Self::MeterDiffers => (
                "meter_differs",
                Warning,
                "The reported columns of `users` are not what the meter counts.",
                "The columns are written from the meter.",
            ),
            Self::PeriodOffAnchor => (
                "period_off_anchor",
                Critical,
                "The monthly period that is counted in follows from no billing anchor: it ends before it begins, is longer than a month, or begins days ahead.",
                "It becomes the one that follows from the anchor, with what was used in it.",
            ),
            Self::EntitlementDiffers => (
                "entitlement_differs",
                Critical,
                "The meter entitles to something else than the database, and would not ask before it does.",
                "The meter is told what the database says.",
            ),
            Self::GraceExpired => (
                "grace_expired",
                Critical,
                "A payment is due for longer than the grace, and the meter still entitles to the plan.",
                "The meter is told what the database says.",
            ),
            Self::GraceUnending => (
                "grace_unending",
                Critical,
                "A payment is due, and nobody knows since when: its grace would never end.",
                "The grace begins with the repair.",
            ),
            Self::StandingDiffers => (
                "standing_differs",
                Critical,
                "The billing columns of a user are not what Stripe's events, or Stripe itself, say.",
                "The events are applied again; where Stripe was asked, what it said is stored and applied.",
            ),
            Self::UserWithoutSubscription => (
                "user_without_subscription",
                Warning,
                "A user has a plan that is paid for, and neither a subscription is known nor an agreement. Of adopted payers none is until their next event, or until an audit could ask Stripe.",
                "None: set STRIPE_API_KEY and audit again, find the subscription at Stripe and have it send an event, write down what was agreed (docs/operating.md), or set the plan back.",
            ),
            Self::UserWithoutCustomer => (
                "user_without_customer",
                Warning,
                "The customer of a user is not in `stripe_customers`: its events would wait for nobody.",
                "The customer is written there, linked to the user.",
            ),
            Self::CustomerWithoutUser => (
                "customer_without_user",
                Warning,
                "A customer of Stripe's belongs to no user.",
                "None: set `metadata.sub` of the customer at Stripe, which sends an event.",
            ),
            Self::SubscriptionWithoutUser => (
                "subscription_without_user",
                Critical,
                "A subscription entitles, and its customer belongs to no registered user: somebody pays for nothing. Before they register it is only Stripe that tells: set STRIPE_API_KEY.",
                "None: set `metadata.sub` of the customer at Stripe, which sends an event; or the user has to sign in once.",
            ),
            Self::PriceUnknown => (
                "price_unknown",
                Critical,
                "A subscription has a price that neither `plans` nor STRIPE_PRICES ever named. The plan was kept.",
                "Once the price is configured, with `null` where it is no plan's, the events are applied again.",
            ),
            Self::UsageWithoutUser => (
                "usage_without_user",
                Warning,
                "Rows of calls refer to a user who is not there.",
                "They are moved to the quarantine.",
            ),
            Self::EventStuck => (
                "event_stuck",
                Critical,
                "An event of Stripe's is stored and should have been applied long ago.",
                "It is applied again. One that was adopted is not, because what is known is later than it: have Stripe send it again, which it does for 30 days; then it is left out here.",
            ),
            Self::EventWaiting => (
                "event_waiting",
                Notice,
                "An event of Stripe's waits for a week for somebody who has not registered.",
                "None: it is applied when they register, or when the customer is linked.",
            ),
            Self::UserWithoutIdentity => (
                "user_without_identity",
                Warning,
                "A user is not in the listing of the identity issuer: nobody can sign in as this user.",
                "None: whether the account was deleted on purpose only its owner knows.",
            ),
            Self::IdentityWithoutUser => (
                "identity_without_user",
                Notice,
                "Somebody is known to the identity issuer, and not registered here.",
                "They are registered, on the free plan.",
            ),
            Self::UserNotExamined => (
                "user_not_examined",
                Warning,
                "A user could not be looked at: the meter or Stripe did not answer, or calls were made all the while.",
                "None: audit again; the log says why.",
            ),
            Self::SourceNotExamined => (
                "source_not_examined",
                Warning,
                "The identity issuer's list of users, or Stripe's of subscriptions, could not be had: what only it tells was not looked at.",
                "None: the reason names what to set right; the next audit asks again.",
            ),
        }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What.
    pub code: Code,
    /// What it is about: the same from audit to audit, one finding of each code for it.
    pub subject: String,
    /// What was found. Ids and figures, never a name or an address.
    pub facts: Map<String, Value>,
    /// What would mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<Repair>,
}

impl Finding {
    /// A finding about a subject. `facts` is an object.
    #[must_use]
    pub fn new(code: Code, subject: impl Into<String>, facts: Value) -> Self {
        Self {
            code,
            subject: subject.into(),
            facts: match facts {
                Value::Object(facts) => facts,
                _ => Map::new(),
            },
            repair: None,
        }
    }

    /// About a list that could not be had.
    #[must_use]
    pub fn source_not_examined(source: &str, reason: &str) -> Self {
        let facts = serde_json::json!({ "reason": reason });
        Self::new(Code::SourceNotExamined, source, facts)
    }

    /// About a user who could not be looked at.
    #[must_use]
    pub fn not_examined(sub: &str, reason: &str) -> Self {
        let facts = serde_json::json!({ "reason": reason });
        Self::new(Code::UserNotExamined, sub, facts)
    }

    /// With a repair.
    #[must_use]
    pub fn repaired_by(mut self, repair: Repair) -> Self {
        self.repair = Some(repair);
        self
    }
}

/// Of a moment that may be unknown: its text, or null.
fn text(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| Value::String(at.to_string()))
}
