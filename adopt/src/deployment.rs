//! What the new database has already.

use crate::script;
use crate::target::{Columns, Row, Target};
use anyhow::{Context, Result, bail};
use legis_core::counters::Counters;
use legis_core::entitlement::{Entitlement, ScheduledChange, Subscription, entitlement};
use legis_core::migration::{Migration, Unfit};
use legis_core::plan::{Interval, Sold};
use legis_core::subscription::{Grace, Status};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// How many rows are read at once.
const PAGE: usize = 20_000;

/// What is there.
pub struct Deployment {
    /// By their `sub`.
    pub users: HashMap<String, KnownUser>,
    /// The ids that are taken.
    pub ids: HashSet<u64>,
    /// Customers of Stripe's that are somebody's.
    pub customers: HashSet<String>,
    /// How many calls of each old user were taken over from this source before, by the old id.
    pub adopted: HashMap<String, u64>,
    /// The clients that are configured, by name.
    pub clients: HashMap<String, Row>,
    /// What the rows of `plans` are sold at, by their ids.
    pub prices: HashMap<u32, Option<String>>,
    /// Whether the source was taken over before, whole or in part.
    pub earlier: Option<Row>,
    /// How many rows of `api_usage` and of `mcp_logs` are part of an opening balance.
    pub opening: Opening,
}

/// How many rows of the history are part of an opening balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    pub api_usage: u64,
    pub mcp_logs: u64,
}

/// A user who is there.
pub struct KnownUser {
    pub id: u64,
    pub subscription: Subscription,
    pub counters: Counters,
    pub has_customer: bool,
}

impl KnownUser {
    /// What they are entitled to.
    pub fn entitlement(&self) -> Entitlement {
        entitlement(&self.subscription, Grace::default())
    }

    /// Whether they never paid here. The version tells nothing of it: a restoration raises everybody's.
    pub fn never_subscribed(&self) -> bool {
        self.subscription.status == Status::Free
    }
}

/// Fails unless every migration of `folder` was applied, and none beside them.
pub fn check_schema(target: &mut dyn Target, folder: &Path) -> Result<()> {
    let lists = target.rows("SELECT name FROM sqlite_schema WHERE name = 'd1_migrations'")?;
    let applied = match lists.is_empty() {
        true => Vec::new(),
        false => target.rows("SELECT name FROM d1_migrations")?,
    };
    let applied: Vec<&str> = applied.iter().filter_map(|row| row.text("name")).collect();
    let mut released = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .map(|entry| {
            Ok(Migration {
                name: entry?.file_name().to_string_lossy().into_owned(),
                // That none of them was another file the worker checks before it serves.
                sha256: String::new(),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    released.sort_by(|one, other| one.name.cmp(&other.name));
    match legis_core::migration::fits(&applied, &released, &released) {
        Ok(()) => Ok(()),
        Err(Unfit::Behind(name)) => {
            bail!("The target lacks the migration {name}.\n  Apply it first: cargo xtask deploy")
        }
        Err(unfit) => bail!("{unfit}"),
    }
}

impl Deployment {
    /// Reads what is there.
    pub fn read(target: &mut dyn Target, source: &str) -> Result<Self> {
        let source = script::text(source);
        let answers = target.ask(&[
            &format!("SELECT * FROM adoptions WHERE source = {source}"),
            Opening::QUERY,
            "SELECT id FROM stripe_customers WHERE sub IS NOT NULL",
            "SELECT * FROM auth_config",
            "SELECT id, stripe_price_id FROM plans",
        ])?;
        let [adoptions, opening, customers, clients, plans] = <[Vec<Row>; 5]>::try_from(answers)
            .map_err(|_| anyhow::anyhow!("the target did not answer every question"))?;
        let mut deployment = Self {
            users: HashMap::new(),
            ids: HashSet::new(),
            customers: texts(&customers, "id"),
            adopted: HashMap::new(),
            clients: HashMap::new(),
            prices: HashMap::new(),
            earlier: adoptions.into_iter().next(),
            opening: Opening::decode(&opening)?,
        };
        for row in clients {
            let name = row.text("config_name").unwrap_or_default().to_owned();
            deployment.clients.insert(name, row);
        }
        for row in plans {
            let price = row.text("stripe_price_id").map(str::to_owned);
            deployment
                .prices
                .insert(u32::try_from(row.count("id"))?, price);
        }
        deployment.read_users(target)?;
        if deployment.earlier.is_some() {
            deployment.read_adopted(target, &source)?;
        }
        Ok(deployment)
    }

    fn read_adopted(&mut self, target: &mut dyn Target, source: &str) -> Result<()> {
        pages(
            target,
            |after| {
                format!(
                    "SELECT old_id, used FROM adopted_users WHERE source = {source} AND old_id > {after} ORDER BY old_id"
                )
            },
            script::text(""),
            |row| {
                let old_id = row
                    .text("old_id")
                    .context("a row of adopted_users without old_id")?;
                self.adopted.insert(old_id.to_owned(), row.count("used"));
                Ok(script::text(old_id))
            },
        )
    }

    fn read_users(&mut self, target: &mut dyn Target) -> Result<()> {
        pages(
            target,
            |after| format!("SELECT * FROM users WHERE id > {after} ORDER BY id"),
            "0".to_owned(),
            |row| {
                let user = known(&row)?;
                let sub = row
                    .text("auth0_user_id")
                    .context("a row of users without auth0_user_id")?;
                let id = user.id;
                self.ids.insert(id);
                self.customers
                    .extend(row.text("stripe_customer_id").map(str::to_owned));
                self.users.insert(sub.to_owned(), user);
                Ok(id.to_string())
            },
        )
    }
}

impl Opening {
    const QUERY: &str = "SELECT (SELECT count(*) FROM api_usage WHERE opening = 1) AS api_usage, \
         (SELECT count(*) FROM mcp_logs WHERE opening = 1) AS mcp_logs";

    pub fn read(target: &mut dyn Target) -> Result<Self> {
        Self::decode(&target.rows(Self::QUERY)?)
    }

    fn decode(rows: &[Row]) -> Result<Self> {
        let row = rows.first().context("the target did not count its rows")?;
        Ok(Self {
            api_usage: row.count("api_usage"),
            mcp_logs: row.count("mcp_logs"),
        })
    }
}

fn texts(rows: &[Row], column: &str) -> HashSet<String> {
    rows.iter()
        .filter_map(|row| row.text(column).map(str::to_owned))
        .collect()
}

/// Reads page by page: `sql` has the rows after a key, `take` says which key a row has.
fn pages(
    target: &mut dyn Target,
    sql: impl Fn(&str) -> String,
    mut after: String,
    mut take: impl FnMut(Row) -> Result<String>,
) -> Result<()> {
    loop {
        let rows = target.rows(&format!("{} LIMIT {PAGE}", sql(&after)))?;
        let count = rows.len();
        for row in rows {
            after = take(row)?;
        }
        if count < PAGE {
            return Ok(());
        }
    }
}

fn known(row: &Row) -> Result<KnownUser> {
    let sold = |column: &str| {
        row.number(column)
            .and_then(|id| u32::try_from(id).ok())
            .and_then(Sold::of_row)
    };
    let registered_at = row
        .moment("created_at")
        .context("a row of users without created_at")?;
    let scheduled = sold("scheduled_plan_id")
        .zip(row.moment("scheduled_at"))
        .map(|(sold, at)| ScheduledChange {
            plan: sold.plan,
            at,
        });
    Ok(KnownUser {
        id: row.count("id"),
        subscription: Subscription {
            plan: sold("current_plan_id").unwrap_or(Sold::FREE).plan,
            status: Status::parse(row.text("subscription_status").unwrap_or("free")),
            interval: row.text("billing_interval").and_then(Interval::parse),
            period_end: row.moment("subscription_period_end"),
            anchor: row.moment("billing_anchor"),
            past_due_since: row.moment("past_due_since"),
            scheduled,
            registered_at,
            version: row.count("entitlement_version"),
        },
        counters: Counters {
            used: row.count("api_calls_count"),
            mcp: row.count("mcp_calls_count"),
            resets_at: row.moment("api_calls_reset_at"),
            lifetime_used: row.count("lifetime_calls_count"),
            lifetime_mcp: row.count("lifetime_mcp_count"),
        },
        has_customer: row.text("stripe_customer_id").is_some(),
    })
}
