//! What was found and done, in words. People are named by their ids: an address is nobody's business here.

use crate::adoption::{Does, Outcome};
use crate::people::{Here, Person};
use legis_core::adoption::shape::{OldTable, Recognised};
use legis_core::adoption::users::{PlanSaid, Rank};
use legis_core::digits::group;
use legis_core::plan::Allowance;
use legis_core::subscription::Status;
use legis_core::time::Timestamp;
use std::fmt::Write;

/// How many ids are listed.
const LISTED: usize = 12;

/// What a database is.
pub fn shape(file: &str, source: &str, recognised: &Recognised) -> String {
    let mut out = format!("{file}: {}\n", recognised.shape);
    let tables: Vec<String> = recognised
        .missing_tables
        .iter()
        .map(|table| table.as_str().to_owned())
        .collect();
    for (what, names) in [
        ("without the tables", &tables),
        ("without the columns", &recognised.missing_columns),
        ("with tables nobody knows", &recognised.extra_tables),
        ("with columns nobody knows", &recognised.extra_columns),
    ] {
        if !names.is_empty() {
            let _ = writeln!(out, "  {what}: {}", names.join(", "));
        }
    }
    let _ = writeln!(out, "  taken over as: {source}");
    out
}

/// Where the rows went, and what an operator should know.
pub fn outcome(outcome: &Outcome, does: Does, now: Timestamp) -> String {
    let mut out = String::new();
    if let Some(earlier) = outcome.earlier {
        let _ = writeln!(
            out,
            "Taken over before, first on {}. What is there stays as it is.\n",
            earlier.text()
        );
    }
    table(&mut out, outcome, does);
    usage(&mut out, outcome, now);
    notes(&mut out, outcome, now);
    out
}

fn table(out: &mut String, outcome: &Outcome, does: Does) {
    let heading = match does {
        Does::Tell => "to carry",
        Does::Apply => "carried",
    };
    let _ = writeln!(
        out,
        "{:<24}{:>12}{heading:>12}{:>12}{:>12}{:>12}",
        "table", "rows", "merged", "there", "quarantine"
    );
    for (name, count) in &outcome.counts.0 {
        let _ = writeln!(
            out,
            "{name:<24}{:>12}{:>12}{:>12}{:>12}{:>12}",
            group(count.rows),
            group(count.carried),
            group(count.merged),
            group(count.there),
            group(count.in_quarantine()),
        );
        for (reason, count) in &count.quarantined {
            let _ = writeln!(out, "  {:<70}{:>12}", reason.as_str(), group(*count));
        }
        if count.aside > 0 {
            let _ = writeln!(
                out,
                "  {} of them are carried with values that have no place here: kept in quarantine as values_aside",
                group(count.aside)
            );
        }
    }
    let sum = |of: fn(&crate::count::TableCount) -> u64| -> u64 {
        outcome.counts.0.iter().map(|(_, count)| of(count)).sum()
    };
    let (rows, here, aside) = (
        sum(|count| count.rows),
        sum(crate::count::TableCount::here),
        sum(crate::count::TableCount::in_quarantine),
    );
    let sign = if rows == here + aside { "=" } else { "≠" };
    let _ = writeln!(
        out,
        "\n{} rows in {sign} {} here + {} in quarantine",
        group(rows),
        group(here),
        group(aside)
    );
    if let Some(new) = outcome.new {
        let _ = writeln!(
            out,
            "Counted in the target: {} rows of api_usage and {} of mcp_logs are new.",
            group(new.api_usage),
            group(new.mcp_logs)
        );
    }
}

fn usage(out: &mut String, outcome: &Outcome, now: Timestamp) {
    let people = &outcome.people.all;
    if people.is_empty() {
        return;
    }
    let count = |of: &dyn Fn(&Person) -> bool| people.iter().filter(|person| of(person)).count();
    let _ = writeln!(
        out,
        "\nUsers: {} new, {} registered here before, {} taken over before.",
        count(&|person| person.here == Here::New),
        count(&|person| matches!(person.here, Here::Registered { .. })),
        count(&|person| matches!(person.here, Here::Adopted { .. })),
    );
    let adding: Vec<&Person> = people.iter().filter(|person| person.adds()).collect();
    let used_up = |person: &&&Person| {
        let opening = person.opening();
        match person.balance.allowance {
            Allowance::Once { calls } => opening.lifetime >= u64::from(calls),
            Allowance::Monthly { calls } => opening
                .month
                .is_some_and(|month| month.used >= u64::from(calls)),
            Allowance::Unlimited => false,
        }
    };
    let _ = writeln!(
        out,
        "Meters: {} begin with what was used before; of these {} have nothing left until their month ends or they upgrade.",
        adding.len(),
        adding.iter().filter(used_up).count()
    );
    let differing = count(&|person| {
        let counted = person.counters.running + person.counters.undated;
        counted != person.charged.ever
    });
    if differing > 0 {
        let _ = writeln!(
            out,
            "The counters of {differing} users differ from their rows. The larger counts, and what no row dates counts from {}.",
            now.text()
        );
    }
}

fn notes(out: &mut String, outcome: &Outcome, now: Timestamp) {
    let people = &outcome.people;
    let fresh = |person: &Person| !matches!(person.here, Here::Adopted { .. });
    let list = |of: &dyn Fn(&Person) -> bool| {
        ids(people
            .all
            .iter()
            .filter(|person| fresh(person) && of(person)))
    };
    let mut note = |ids: Option<String>, says: &str| {
        if let Some(ids) = ids {
            let _ = writeln!(out, "\n{says}\n  users {ids}");
        }
    };
    note(
        list(&|person| person.user.plan_said == PlanSaid::Unknown),
        "Their plan is one that nobody knows. They are carried over on the free plan; what was said is in quarantine. \
         If you know it, say so: --plan OLD=NAME, such as --plan 3=professional.",
    );
    note(
        list(&|person| person.lacks_payment()),
        "They have a plan, but their subscription's status says that nothing is paid: the free plan holds for them.",
    );
    note(
        list(&|person| {
            person.user.is_payer() && person.user.period_end.is_some_and(|end| end < now)
        }),
        "What they paid for ended before today, yet their subscription is called active. They keep their plan; Stripe's next event tells.",
    );
    note(
        list(&|person| person.user.status == Status::PastDue),
        "Their payment is past due, and nobody knows since when. The grace begins now.",
    );
    note(
        list(&|person| person.user.customer != person.customer && person.here == Here::New),
        "Their customer at Stripe is somebody else's too. It stays with whoever comes first.",
    );
    note(
        list(&|person| person.old_ids.len() > 1),
        "They had several rows. The oldest holds, or the one that is paid for; what was counted in all of them is theirs.",
    );
    note(
        list(&|person| person.user.rank == Rank::Administrator),
        "They were administrators, which nothing ever checked. They are not any more. To make one: UPDATE users SET is_admin = 1 WHERE id = …",
    );
    note(
        ids(people
            .all
            .iter()
            .filter(|person| person.adds() && !matches!(person.here, Here::New))),
        "Their meters may be running here already. They take over what is added with: cargo xtask audit --repair",
    );
    if people.sharing_an_address > 0 {
        let _ = writeln!(
            out,
            "\n{} users share an e-mail address with another. That is no mistake: the identity is the key.",
            people.sharing_an_address
        );
    }
    let notes = &outcome.notes;
    if !notes.prices.is_empty() {
        let _ = writeln!(
            out,
            "\nThe rows {:?} of plans are sold at other prices of Stripe's here. Those here are kept.",
            notes.prices
        );
    }
    if !notes.clients.is_empty() {
        let _ = writeln!(
            out,
            "\nThe configuration of {} here differs and is kept.",
            notes.clients.join(" and ")
        );
    }
    if notes.open_events > 0 {
        let _ = writeln!(
            out,
            "\n{} events of Stripe's were not processed. They are carried over as failed and not applied; have Stripe send them again: stripe events resend EVENT.",
            group(notes.open_events)
        );
    }
    if notes.old_calls > 0 {
        let _ = writeln!(
            out,
            "\n{} calls are older than 400 days. The worker removes them in its next hour, unless RETENTION_DAYS says otherwise first.",
            group(notes.old_calls)
        );
    }
    let orphans = outcome
        .counts
        .0
        .iter()
        .any(|(name, count)| OldTable::parse(name) == Some(OldTable::Users) && count.rows == 0);
    if orphans {
        let _ = writeln!(
            out,
            "\nThere are no users in it, so nothing else has an owner."
        );
    }
}

fn ids<'p>(people: impl Iterator<Item = &'p Person>) -> Option<String> {
    let all: Vec<String> = people.map(|person| person.id.to_string()).collect();
    let more = all.len().saturating_sub(LISTED);
    let listed = all.get(..LISTED.min(all.len()))?.join(", ");
    match (all.is_empty(), more) {
        (true, _) => None,
        (_, 0) => Some(listed),
        (_, more) => Some(format!("{listed} and {more} more")),
    }
}
