//! What was used: as the meter counts it, as the rows say, as the columns report it.

use super::repair::{OpeningBalance, Repair, Tally};
use super::{Code, Finding, text};
use crate::account::User;
use crate::counters::Counters;
use crate::entitlement::Entitlement;
use crate::ledger::is_believed;
use crate::plan::PlanId;
use crate::quota::{LifetimeUsage, PeriodUsage, Usage};
use crate::subscription::Standing;
use crate::time::{Timestamp, month_around, month_containing};
use serde_json::{Value, json};

/// How long the cron may take to bring the columns into a new period: it runs every hour.
const CRON_MILLIS: i64 = 2 * 60 * 60 * 1000;

/// Of a user: what the database has, and what the meter has.
#[derive(Debug, Clone, PartialEq)]
pub struct UserSnapshot {
    /// Who.
    pub user: User,
    /// What the database entitles to.
    pub entitlement: Entitlement,
    /// The plan of the column, whatever became of it since.
    pub plan: PlanId,
    /// Since when a payment is due, as the column says.
    pub past_due_since: Option<Timestamp>,
    /// The reported columns.
    pub counters: Counters,
    /// What was used before rows told it.
    pub opening: OpeningBalance,
    /// What the rows say was charged to the one-time allowance.
    pub lifetime_rows: Tally,
    /// What they say was charged to monthly periods of late, by their starts.
    pub period_rows: Vec<(Timestamp, Tally)>,
    /// What the meter has; none for one that never heard of its user.
    pub meter: Option<MeterSnapshot>,
    /// Whether a subscription is known, from which the billing columns follow.
    pub subscription: KnownSubscription,
    /// The customer of `users`, where the table of customers does not have it.
    pub missing_customer: Option<String>,
    /// From when on rows are kept; older ones were deleted.
    pub kept_since: Timestamp,
}

/// Whether events about a subscription are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownSubscription {
    /// Some are.
    Known,
    /// None are.
    Unknown,
}

/// Of a meter.
#[derive(Debug, Clone, PartialEq)]
pub struct MeterSnapshot {
    /// What it entitles to.
    pub entitlement: Entitlement,
    /// What it counts.
    pub usage: Usage,
    /// When it last asked the database.
    pub asked_at: Timestamp,
    /// What calls that are open were charged of the one-time allowance.
    pub lifetime_open: Tally,
    /// What they were charged in the monthly period.
    pub period_open: Tally,
}

impl UserSnapshot {
    /// What is counted: by the meter, or, while it does not know its user, by the columns that it would begin with.
    #[must_use]
    pub fn usage(&self) -> Usage {
        match &self.meter {
            Some(meter) => meter.usage.clone(),
            None => self.counters.usage(&self.entitlement, self.user.created_at),
        }
    }

    /// What rows say was charged to the period that starts at a moment.
    fn rows_of(&self, start: Timestamp) -> Tally {
        let rows = self.period_rows.iter();
        rows.filter(|(of, _)| *of == start)
            .fold(Tally::default(), |sum, (_, tally)| sum.plus(*tally))
    }

    /// What open calls were charged to the period that is counted in.
    fn period_open(&self) -> Tally {
        let meter = self.meter.as_ref();
        meter.map(|meter| meter.period_open).unwrap_or_default()
    }

    fn entitlement(&self) -> &Entitlement {
        match &self.meter {
            Some(meter) => &meter.entitlement,
            None => &self.entitlement,
        }
    }
}

/// What is wrong about a user's calls and entitlement.
#[must_use]
pub fn audit(user: &UserSnapshot, now: Timestamp) -> Vec<Finding> {
    let entitlement = entitlement(user, now);
    // Of a meter that entitles to something else the columns follow once it is told.
    let reported = match entitlement {
        Some(_) => None,
        None => columns(user, now),
    };
    let mut findings = usage(user, reported, now);
    findings.extend(entitlement);
    findings.extend(unpaid(user, now));
    findings.extend(user.missing_customer.as_ref().map(|customer| {
        let sub = user.user.sub.clone();
        Finding::new(
            Code::UserWithoutCustomer,
            &sub,
            json!({ "userId": user.user.id, "customer": customer }),
        )
        .repaired_by(Repair::LinkCustomer {
            customer: customer.clone(),
            sub,
        })
    }));
    findings
}

// Usage. All findings about it have one repair: what the meter, the columns and the opening balance shall be.

fn usage(user: &UserSnapshot, reported: Option<(Code, Value)>, now: Timestamp) -> Vec<Finding> {
    let from = user.usage();
    let mut found: Vec<(Code, Value)> = Vec::new();
    let mut to = from.clone();
    let mut opening = user.opening;
    let moved = right_period(user.entitlement(), from.period.as_ref(), now);
    if let (Some(wrong), Some(right)) = (&from.period, moved) {
        found.push((
            Code::PeriodOffAnchor,
            json!({
                "anchor": user.entitlement().anchor,
                "from": { "start": wrong.start, "end": wrong.end },
                "to": { "start": right.start, "end": right.end },
            }),
        ));
        // What the rows of the right period do not tell goes into its opening balance.
        let told = match right.start == wrong.start {
            true => user.rows_of(right.start).plus(user.period_open()),
            false => user.rows_of(right.start),
        };
        let counted = tally(&right).max(told);
        opening.period_end = Some(right.end);
        opening.period = counted.over(told);
        to.period = Some(PeriodUsage {
            used: counted.used,
            mcp: counted.mcp,
            ..right
        });
    }
    found.extend(lifetime(user, &mut to.lifetime, &mut opening));
    if moved.is_none() {
        found.extend(period(user, to.period.as_mut(), &mut opening, now));
    }
    found.extend(reported);
    found
        .into_iter()
        .map(|(code, facts)| {
            let repair = Repair::SetUsage {
                sub: user.user.sub.clone(),
                from: from.clone(),
                to: to.clone(),
                opening,
            };
            let mut finding = Finding::new(code, &user.user.sub, facts).repaired_by(repair);
            finding.facts.insert("userId".into(), user.user.id.into());
            finding
        })
        .collect()
}

/// What a counter says against what the rows say. Raises the counter, or the opening balance.
fn compare(
    counter: &'static str,
    counted: Tally,
    told: Tally,
    opening: &mut Tally,
) -> Option<(Code, Value, Tally)> {
    let facts = json!({ "counter": counter, "meter": counted, "rows": told });
    if counted.used < told.used || counted.mcp < told.mcp {
        // Where one figure is above and the other below, the rows' are believed for the one below.
        let right = counted.max(told);
        *opening = opening.plus(right.over(told));
        return Some((Code::MeterBelowDatabase, facts, right));
    }
    if counted != told {
        *opening = opening.plus(counted.over(told));
        return Some((Code::CounterAboveRows, facts, counted));
    }
    None
}

fn lifetime(
    user: &UserSnapshot,
    usage: &mut LifetimeUsage,
    opening: &mut OpeningBalance,
) -> Option<(Code, Value)> {
    let counted = Tally {
        used: usage.used,
        mcp: usage.mcp,
    };
    let open = user.meter.as_ref().map(|meter| meter.lifetime_open);
    let told = opening
        .lifetime
        .plus(user.lifetime_rows)
        .plus(open.unwrap_or_default());
    // Rows that are older than they are kept are missing by right.
    let pruned = user.user.created_at < user.kept_since;
    if pruned && counted.used >= told.used && counted.mcp >= told.mcp {
        return None;
    }
    let (code, facts, right) = compare("lifetime", counted, told, &mut opening.lifetime)?;
    usage.used = right.used;
    usage.mcp = right.mcp;
    Some((code, facts))
}

fn period(
    user: &UserSnapshot,
    usage: Option<&mut PeriodUsage>,
    opening: &mut OpeningBalance,
    now: Timestamp,
) -> Option<(Code, Value)> {
    // A period that is over decides nothing any more.
    let usage = usage.filter(|usage| usage.end > now)?;
    let carried = match opening.period_end == Some(usage.end) {
        true => opening.period,
        false => Tally::default(),
    };
    let told = carried
        .plus(user.rows_of(usage.start))
        .plus(user.period_open());
    let mut balance = carried;
    let (code, facts, right) = compare("period", tally(usage), told, &mut balance)?;
    if balance != carried {
        opening.period_end = Some(usage.end);
        opening.period = balance;
    }
    usage.used = right.used;
    usage.mcp = right.mcp;
    Some((code, facts))
}

const fn tally(period: &PeriodUsage) -> Tally {
    Tally {
        used: period.used,
        mcp: period.mcp,
    }
}

/// The period that should be counted in instead of `period`; none where that is the right one, or over.
fn right_period(
    entitlement: &Entitlement,
    period: Option<&PeriodUsage>,
    now: Timestamp,
) -> Option<PeriodUsage> {
    let period = period.filter(|period| period.end > now)?;
    let month = month_containing(entitlement.anchor, period.start);
    // A period that began before its anchor began under another one, and rules until it ends. It is a month all the same.
    let follows = match entitlement.anchor <= period.start {
        true => month.start == period.start && month.end == period.end,
        false => period.start < period.end && period.end <= period.start.plus_months(1),
    };
    if follows {
        return None;
    }
    let right = month_around(entitlement.anchor, now);
    Some(PeriodUsage {
        start: right.start,
        end: right.end,
        ..*period
    })
}

/// Whether the columns are what the meter counts.
fn columns(user: &UserSnapshot, now: Timestamp) -> Option<(Code, Value)> {
    let expected = Counters::new(user.entitlement(), &user.usage(), now);
    let reported = user.counters;
    let is_crons = reported
        .resets_at
        .is_some_and(|end| end <= now && now.since(end) < CRON_MILLIS);
    if user.meter.is_none() || expected == reported || is_crons {
        return None;
    }
    let shown = |counters: Counters| {
        json!({
            "api_calls_count": counters.used,
            "mcp_calls_count": counters.mcp,
            "api_calls_reset_at": text(counters.resets_at),
            "lifetime_calls_count": counters.lifetime_used,
            "lifetime_mcp_count": counters.lifetime_mcp,
        })
    };
    Some((
        Code::MeterDiffers,
        json!({ "columns": shown(reported), "meter": shown(expected) }),
    ))
}

// Entitlement.

fn entitlement(user: &UserSnapshot, now: Timestamp) -> Option<Finding> {
    let meter = user.meter.as_ref()?;
    let (stored, held) = (&user.entitlement, &meter.entitlement);
    let ahead = held.version > stored.version;
    // One that asks before its next decision tells no lie.
    if held == stored || !(ahead || is_believed(meter.asked_at, now)) {
        return None;
    }
    let lapsed = stored.standing == Standing::PastDue && stored.plan_at(now) == PlanId::Free;
    let code = match lapsed && held.plan_at(now) != PlanId::Free {
        true => Code::GraceExpired,
        false => Code::EntitlementDiffers,
    };
    let shown = |entitlement: &Entitlement| {
        json!({
            "plan": entitlement.plan_at(now),
            "standing": entitlement.standing,
            "anchor": entitlement.anchor,
            "version": entitlement.version,
        })
    };
    let version = match ahead {
        true => held.version.saturating_add(1),
        false => stored.version,
    };
    let sub = user.user.sub.clone();
    Some(
        Finding::new(
            code,
            &sub,
            json!({ "userId": user.user.id, "database": shown(stored), "meter": shown(held) }),
        )
        .repaired_by(Repair::TellMeter { sub, version }),
    )
}

/// What of a user's plan nobody can tell that it is paid.
fn unpaid(user: &UserSnapshot, now: Timestamp) -> Option<Finding> {
    let is_known = user.subscription == KnownSubscription::Known;
    let plan = user.entitlement.plan_at(now);
    if is_known || plan == PlanId::Free {
        return None;
    }
    let sub = user.user.sub.clone();
    let facts =
        json!({ "userId": user.user.id, "plan": plan, "standing": user.entitlement.standing });
    Some(match (user.entitlement.standing, user.past_due_since) {
        (Standing::PastDue, None) => Finding::new(Code::GraceUnending, &sub, facts)
            .repaired_by(Repair::BeginGrace { sub, since: now }),
        _ => Finding::new(Code::UserWithoutSubscription, &sub, facts),
    })
}
