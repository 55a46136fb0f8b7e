//! The adoption itself: every row is looked at twice, once to find out what becomes of it and what was used, and once to
//! write it.

mod pass;
mod person;
mod rows;
mod tables;

use crate::count::Counts;
use crate::deployment::{Deployment, Opening};
use crate::people::People;
use crate::script::{Script, text};
use crate::source::Source;
use crate::target::{Columns, Target};
use anyhow::{Context, Result, bail};
use legis_core::adoption::plans::{self, PlanNames};
use legis_core::adoption::shape::OldTable;
use legis_core::time::Timestamp;
use pass::Pass;

/// What is to be done.
pub struct Order {
    /// What the old database is called here.
    pub source: String,
    /// What the operator says of plans that nobody knows.
    pub plans: PlanNames,
    pub now: Timestamp,
    pub does: Does,
}

/// Whether anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    Tell,
    Apply,
}

/// What was found, and what was done.
pub struct Outcome {
    pub counts: Counts,
    pub people: People,
    pub notes: Notes,
    /// How many rows of the history are new, where they were written.
    pub new: Option<Opening>,
    /// When the source was first taken over, if it was.
    pub earlier: Option<Timestamp>,
}

/// What an operator should know beside the counts.
#[derive(Debug, Default)]
pub struct Notes {
    /// Prices of Stripe's that differ from the ones that are configured here, by their plan's row.
    pub prices: Vec<u32>,
    /// Clients whose configuration here is kept.
    pub clients: Vec<String>,
    /// Calls that are older than the worker keeps them.
    pub old_calls: u64,
    /// Events that had not been dealt with.
    pub open_events: u64,
}

/// Looks at an old database, and takes it over if that is ordered.
pub fn run(source: &Source, target: &mut dyn Target, mut order: Order) -> Result<Outcome> {
    let deployment = Deployment::read(target, &order.source)?;
    if let Some(table) = source.table(OldTable::Plans) {
        source.each(table, |row| {
            if let Ok(plan) = plans::read(row, &order.plans) {
                order.plans.learn(&plan.row);
            }
            Ok(())
        })?;
    }
    let mut people = People::read(source, &order.plans, &deployment, order.now)?;
    let mut scan = Pass::new(source, &order, &deployment, &mut people, None);
    scan.walk("read")?;
    let (counts, notes) = (scan.counts, scan.notes);
    for (table, count) in &counts.0 {
        if !count.is_whole() {
            bail!("rows of {table} went nowhere: {count:?}; nothing was written");
        }
    }
    let new = match order.does {
        Does::Tell => None,
        Does::Apply => Some(apply(
            source,
            target,
            &order,
            &deployment,
            &mut people,
            &counts,
        )?),
    };
    Ok(Outcome {
        counts,
        people,
        notes,
        new,
        earlier: deployment
            .earlier
            .as_ref()
            .and_then(|row| row.moment("started_at")),
    })
}

/// Writes everything, and makes sure that it is there.
fn apply(
    source: &Source,
    target: &mut dyn Target,
    order: &Order,
    deployment: &Deployment,
    people: &mut People,
    counts: &Counts,
) -> Result<Opening> {
    let name = text(&order.source);
    let now = order.now.millis();
    let mut script = Script::new(target);
    script.statement(&format!(
        "INSERT INTO adoptions (source, shape, started_at) VALUES ({name}, {}, {now}) ON CONFLICT DO NOTHING",
        text(source.recognised.shape.as_str())
    ));
    let mut pass = Pass::new(source, order, deployment, people, Some(script));
    pass.walk("written")?;
    let written = pass.counts;
    let mut script = pass.script.context("nothing to write with")?;
    if written != *counts {
        bail!("the file changed while it was read; run it again");
    }
    let new = verify(script.target()?, &order.source, deployment, people, counts)?;
    let told = text(&counts.json().to_string());
    script.statement(&format!(
        "UPDATE adoptions SET counts = {told}, finished_at = {now} \
         WHERE source = {name} AND (finished_at IS NULL OR counts IS NOT {told})"
    ));
    script.apply()?;
    Ok(new)
}

/// Counts in the target what was counted in the source.
fn verify(
    target: &mut dyn Target,
    source: &str,
    deployment: &Deployment,
    people: &People,
    counts: &Counts,
) -> Result<Opening> {
    let after = Opening::read(target)?;
    let new = Opening {
        api_usage: after.api_usage.saturating_sub(deployment.opening.api_usage),
        mcp_logs: after.mcp_logs.saturating_sub(deployment.opening.mcp_logs),
    };
    let here = |table: OldTable| {
        let count = counts
            .0
            .iter()
            .find(|(name, _)| OldTable::parse(name) == Some(table));
        count.map_or(0, |(_, count)| count.here())
    };
    let is_first = deployment.earlier.is_none();
    for (table, carried, new, after) in [
        (
            OldTable::ApiUsage,
            here(OldTable::ApiUsage),
            new.api_usage,
            after.api_usage,
        ),
        (
            OldTable::McpLogs,
            here(OldTable::McpLogs),
            new.mcp_logs,
            after.mcp_logs,
        ),
    ] {
        if (is_first && new != carried) || after < carried {
            bail!(
                "{}: {carried} rows were written, {new} are new in the target, {after} in all. Run it again.",
                table.as_str()
            );
        }
    }
    let named: usize = people.all.iter().map(|person| person.old_ids.len()).sum();
    let stored = target.rows(&format!(
        "SELECT (SELECT count(*) FROM adopted_users WHERE source = {0}) AS users, \
         (SELECT count(*) FROM quarantine WHERE source = {0} AND reason <> 'values_aside' \
         AND (detail IS NULL OR detail NOT LIKE 'part %')) AS quarantined",
        text(source)
    ))?;
    let stored = stored
        .first()
        .context("the target did not count its rows")?;
    let quarantined: u64 = counts
        .0
        .iter()
        .map(|(_, count)| count.in_quarantine())
        .sum();
    if stored.count("users") < u64::try_from(named)? || stored.count("quarantined") < quarantined {
        bail!(
            "of {named} users {} are in the target, of {quarantined} rows in quarantine {}. Run it again: nothing is taken over twice.",
            stored.count("users"),
            stored.count("quarantined")
        );
    }
    Ok(new)
}
