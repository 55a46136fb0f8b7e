//! What was used: as the meter counts it, as the rows say, as the columns report it.

use super::billing::KnownSubscription;
use super::repair::{OpeningBalance, Repair, Tally, UsageCorrection};
use super::{CRON_MILLIS, Code, Finding, text};
use crate::account::User;
use crate::counters::Counters;
use crate::entitlement::Entitlement;
use crate::ledger::is_believed;
use crate::plan::{Allowance, PlanId};
use crate::quota::{LifetimeUsage, PeriodUsage, Usage};
use crate::subscription::Standing;
use crate::time::{DAY_MILLIS, Timestamp, month_around, month_start};
use serde_json::{Value, json};

/// The longest month.
const LONGEST_MILLIS: i64 = 31 * DAY_MILLIS;
/// How far a clock may have been ahead when a period began, or behind when a call was made.
const CLOCK_MILLIS: i64 = DAY_MILLIS;

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

    /// What rows and open calls say was charged to the period that starts at a moment.
    fn told_of(&self, start: Timestamp) -> Tally {
        let meter = self.meter.as_ref();
        // The calls that are open were charged to the period that is counted in.
        let open = meter
            .filter(|meter| meter.usage.period.is_some_and(|of| of.start == start))
            .map(|meter| meter.period_open);
        self.rows_of(start).plus(open.unwrap_or_default())
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
        let told = user.told_of(right.start);
        let counted = tally(&right).max(told.plus(carried(&opening, now)));
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
        found.extend(period(user, &mut to, &mut opening, now));
    }
    found.extend(reported);
    found
        .into_iter()
        .map(|(code, facts)| {
            let repair = Repair::SetUsage(Box::new(UsageCorrection {
                sub: user.user.sub.clone(),
                from: from.clone(),
                to: to.clone(),
                opening_from: user.opening,
                opening_to: opening,
            }));
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
    usage: &mut Usage,
    opening: &mut OpeningBalance,
    now: Timestamp,
) -> Option<(Code, Value)> {
    // Rows of a plan without a limit are not added up: they may be millions, and decide nothing.
    rows_since(user.entitlement(), &user.usage(), now)?;
    let carried = carried(opening, now);
    // A period that is over decides nothing any more; who has none and carries something begins it with that.
    let counted = match usage.period.filter(|period| period.end > now) {
        Some(period) => period,
        None => carried_period(user, opening, now).filter(|_| carried != Tally::default())?,
    };
    let told = carried.plus(user.told_of(counted.start));
    let mut balance = carried;
    let (code, facts, right) = compare("period", tally(&counted), told, &mut balance)?;
    opening.period_end = Some(counted.end);
    opening.period = balance;
    usage.period = Some(PeriodUsage {
        used: right.used,
        mcp: right.mcp,
        ..counted
    });
    Some((code, facts))
}

/// What is carried into a month that runs. It counts until that is over, whichever month is counted in.
fn carried(opening: &OpeningBalance, now: Timestamp) -> Tally {
    let running = opening.period_end.filter(|end| *end > now);
    running.map_or(Tally::default(), |_| opening.period)
}

/// The month that is carried into, with nothing counted yet, for whom calls are counted by the month.
fn carried_period(
    user: &UserSnapshot,
    opening: &OpeningBalance,
    now: Timestamp,
) -> Option<PeriodUsage> {
    let entitlement = user.entitlement();
    match entitlement.plan_at(now).allowance() {
        Allowance::Monthly { .. } => {}
        Allowance::Once { .. } | Allowance::Unlimited => return None,
    }
    let end = opening.period_end?;
    Some(PeriodUsage {
        start: month_start(entitlement.anchor, end),
        end,
        used: 0,
        mcp: 0,
    })
}

/// From when on the rows of monthly periods are needed, to compare them with what is counted; none where they decide nothing.
#[must_use]
pub fn rows_since(entitlement: &Entitlement, usage: &Usage, now: Timestamp) -> Option<Timestamp> {
    if entitlement.plan_at(now).allowance() == Allowance::Unlimited {
        return None;
    }
    let right = month_around(entitlement.anchor, now).start;
    let running = usage.period.filter(|period| period.end > now);
    let start = running.map_or(right, |period| period.start.min(right));
    // Where somebody changed the period, its start tells nothing.
    let oldest = now.plus_millis(LONGEST_MILLIS.saturating_mul(-2));
    Some(start.max(oldest).plus_millis(CLOCK_MILLIS.saturating_neg()))
}

const fn tally(period: &PeriodUsage) -> Tally {
    Tally {
        used: period.used,
        mcp: period.mcp,
    }
}

/// The period that should be counted in instead of `period`, where that is one that no anchor can have made. Whatever else
/// began under an anchor that was there before, and rules until it ends.
fn right_period(
    entitlement: &Entitlement,
    period: Option<&PeriodUsage>,
    now: Timestamp,
) -> Option<PeriodUsage> {
    let period = period.filter(|period| period.end > now)?;
    let length = period.end.since(period.start);
    let is_possible =
        0 < length && length <= LONGEST_MILLIS && period.start.since(now) <= CLOCK_MILLIS;
    if is_possible {
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
    match (user.entitlement.standing, user.past_due_since) {
        (Standing::PastDue, None) => Some(
            Finding::new(Code::GraceUnending, &sub, facts).repaired_by(Repair::BeginGrace { sub }),
        ),
        _ => Some(Finding::new(Code::UserWithoutSubscription, &sub, facts)),
    }
}
