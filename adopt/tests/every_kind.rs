//! Old databases of every kind: both shapes, partial, edited by hand, with values of any type anywhere. Whatever is in them,
//! nothing is lost, and adopting again changes nothing.

mod common;

use common::{Memory, adopt};
use legis_adopt::adoption::{Does, Outcome};
use legis_core::time::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use rusqlite::Connection;
use rusqlite::types::Value;
use std::path::{Path, PathBuf};

/// A table as somebody left it.
#[derive(Debug, Clone)]
struct OldTable {
    name: &'static str,
    columns: Vec<&'static str>,
    key: Key,
    rows: Vec<Vec<Value>>,
}

/// What became of the table's key.
#[derive(Debug, Clone, Copy)]
enum Key {
    /// As it was made.
    Id,
    /// Lost, as `CREATE TABLE … AS SELECT` loses it.
    None,
    /// Text.
    Text,
}

const TABLES: [(&str, &[&str]); 8] = [
    (
        "users",
        &[
            "id",
            "auth0_user_id",
            "email",
            "name",
            "plan",
            "role",
            "api_calls_limit",
            "stripe_customer_id",
            "current_plan_id",
            "subscription_status",
            "subscription_period_end",
            "api_calls_count",
            "api_calls_reset_at",
            "is_admin",
            "created_at",
            "updated_at",
            "shoe_size",
        ],
    ),
    (
        "plans",
        &[
            "id",
            "name",
            "slug",
            "billing_frequency",
            "stripe_price_id",
            "stripe_product_id",
            "amount",
            "features",
        ],
    ),
    (
        "auth_config",
        &[
            "id",
            "config_name",
            "auth0_domain",
            "auth0_client_id",
            "auth0_audience",
            "auth0_scope",
            "allowed_callback_urls",
            "allowed_logout_urls",
            "allowed_origins",
            "is_active",
        ],
    ),
    (
        "stripe_webhook_logs",
        &[
            "id",
            "stripe_event_id",
            "event_type",
            "processing_status",
            "error_message",
            "raw_payload",
            "processed_at",
            "created_at",
        ],
    ),
    (
        "payment_history",
        &[
            "id",
            "user_id",
            "stripe_invoice_id",
            "amount",
            "currency",
            "status",
            "created_at",
        ],
    ),
    (
        "api_usage",
        &[
            "id",
            "user_id",
            "endpoint",
            "method",
            "status_code",
            "response_time_ms",
            "error_message",
            "ip_address",
            "user_agent",
            "timestamp",
            "region",
        ],
    ),
    (
        "mcp_logs",
        &[
            "id",
            "user_id",
            "tool_name",
            "request_data",
            "response_data",
            "status",
            "error_message",
            "response_time_ms",
            "tokens_used",
            "timestamp",
        ],
    ),
    ("notes", &["id", "body"]),
];

/// Columns that only shape B has, and those that only shape A has.
const OF_B: [&str; 6] = [
    "stripe_customer_id",
    "current_plan_id",
    "subscription_status",
    "subscription_period_end",
    "api_calls_reset_at",
    "is_admin",
];
const OF_A: [&str; 3] = ["plan", "role", "api_calls_limit"];

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// What nobody expected there.
fn junk() -> BoxedStrategy<Value> {
    prop_oneof![
        4 => Just(Value::Null),
        2 => select(vec![
            "", " ", "it's; -- not", "BEGIN TRANSACTION; COMMIT;", "a\0b", "\u{1f4a9}", "NULL", "-1", "2026-02-30", "{oops",
        ]).prop_map(text),
        1 => any::<i64>().prop_map(Value::Integer),
        1 => any::<f64>().prop_map(Value::Real),
        1 => proptest::collection::vec(any::<u8>(), 0..6).prop_map(Value::Blob),
        1 => ".{0,12}".prop_map(Value::Text),
    ]
    .boxed()
}

fn moment() -> BoxedStrategy<Value> {
    let seconds = 1_740_000_000_i64..1_775_000_000;
    prop_oneof![
        4 => (0..13_u32, 1..29_u32, 0..24_u32).prop_map(|(month, day, hour)| {
            let (year, month) = if month < 9 { (2026, month + 1) } else { (2025, month) };
            text(&format!("{year}-{month:02}-{day:02} {hour:02}:10:11"))
        }),
        1 => (1..13_u32).prop_map(|month| text(&format!("2025-{month:02}-11T10:11:12.5+02:00"))),
        1 => (1..13_u32).prop_map(|month| text(&format!("2025/{month:02}/11"))),
        1 => seconds.clone().prop_map(Value::Integer),
        1 => seconds.clone().prop_map(|at| Value::Integer(at * 1000)),
        1 => seconds.prop_map(|at| text(&at.to_string())),
    ]
    .boxed()
}

/// What a column held, mostly.
fn usual(table: &str, column: &str) -> BoxedStrategy<Value> {
    let words =
        |words: &[&str]| select(words.iter().map(|word| text(word)).collect::<Vec<_>>()).boxed();
    match (table, column) {
        (_, "auth0_user_id") => (0..7_u32).prop_map(|n| text(&format!("auth0|{n}"))).boxed(),
        (_, "email") => words(&["a@example.com", "b@example.com", "A@example.com"]),
        (_, "plan") => words(&[
            "free",
            "developer",
            "starter",
            "Professional",
            "enterprise",
            "platinum",
        ]),
        (_, "role") => words(&["user", "admin", "super_admin"]),
        (_, "subscription_status") => words(&[
            "free", "active", "canceled", "past_due", "trialing", "unpaid", "odd",
        ]),
        (_, "stripe_customer_id") => words(&["cus_1", "cus_2", "cus_3", "cus_4"]),
        (
            _,
            "subscription_period_end"
            | "api_calls_reset_at"
            | "created_at"
            | "updated_at"
            | "timestamp"
            | "processed_at",
        ) => moment(),
        (_, "current_plan_id") => (1..7_i64).prop_map(Value::Integer).boxed(),
        (_, "user_id") => prop_oneof![
            8 => (1..9_i64).prop_map(Value::Integer),
            1 => (1..9_i64).prop_map(|id| text(&id.to_string())),
            1 => (1..9_u32).prop_map(|id| Value::Real(f64::from(id))),
        ]
        .boxed(),
        (_, "api_calls_count") => (0..300_i64).prop_map(Value::Integer).boxed(),
        (_, "api_calls_limit") => select(vec![
            Value::Integer(100),
            Value::Integer(1000),
            Value::Integer(-1),
        ])
        .boxed(),
        (_, "is_admin" | "is_active") => (0..2_i64).prop_map(Value::Integer).boxed(),
        (_, "status_code") => select(
            [200, 201, 404, 429, 500, 503, 504, 99, 1000]
                .map(Value::Integer)
                .to_vec(),
        )
        .boxed(),
        (_, "response_time_ms" | "tokens_used" | "amount" | "shoe_size") => {
            (-3..5000_i64).prop_map(Value::Integer).boxed()
        }
        ("plans", "slug") => words(&["free", "starter", "professional", "enterprise", "gold"]),
        (_, "billing_frequency") => words(&["one_time", "monthly", "yearly"]),
        (_, "stripe_price_id") => words(&["price_1", "price_2", "price_3"]),
        (_, "config_name") => words(&["frontend", "mcp_server", "other"]),
        (_, "auth0_domain") => words(&["legis.auth0.com", "not a host"]),
        (_, "auth0_client_id" | "auth0_audience") => words(&["urn:legis-api"]),
        (_, "auth0_scope") => words(&["openid profile"]),
        (_, "allowed_callback_urls" | "allowed_logout_urls" | "allowed_origins") => words(&[
            "[]",
            "[\"https://legis.example\"]",
            "[1]",
            "https://legis.example",
        ]),
        (_, "stripe_event_id") => (0..9_u32).prop_map(|n| text(&format!("evt_{n}"))).boxed(),
        (_, "processing_status") => words(&["pending", "processed", "failed", "lost"]),
        (_, "raw_payload" | "request_data" | "response_data") => {
            words(&["{}", "{\"id\":\"evt_1\",\"it's\":[1]}", "[]", "not json"])
        }
        (_, "stripe_invoice_id") => (0..9_u32).prop_map(|n| text(&format!("in_{n}"))).boxed(),
        (_, "currency") => words(&["usd", "USD", "euro"]),
        ("payment_history", "status") => words(&["succeeded", "failed", "pending", "refunded"]),
        ("mcp_logs", "status") => words(&["success", "error", "timeout", "weird"]),
        _ => words(&["/api/bills", "GET", "search-bills", "it's a name"]),
    }
}

fn table(
    name: &'static str,
    columns: &'static [&'static str],
    shape: usize,
) -> BoxedStrategy<Option<OldTable>> {
    let is_there = match (name, shape) {
        ("users", _) => 95,
        ("api_usage", _) => 90,
        ("notes", _) => 30,
        (_, 0) => 5,
        _ => 85,
    };
    let shaped: Vec<&'static str> = columns
        .iter()
        .copied()
        .filter(|column| match shape {
            0 => !OF_B.contains(column),
            1 => !OF_A.contains(column),
            _ => true,
        })
        .collect();
    let kept = proptest::collection::vec(proptest::bool::weighted(0.96), shaped.len());
    let key = select(vec![Key::Id, Key::Id, Key::Id, Key::None, Key::Text]);
    (
        proptest::bool::weighted(f64::from(is_there) / 100.0),
        kept,
        key,
    )
        .prop_flat_map(move |(is_there, kept, key)| {
            let columns: Vec<&'static str> = shaped
                .iter()
                .zip(&kept)
                // Without these it is not recognised at all.
                .filter(|(column, kept)| **kept || matches!(**column, "auth0_user_id" | "user_id"))
                .map(|(column, _)| *column)
                .collect();
            let cells: Vec<BoxedStrategy<Value>> = columns
                .iter()
                .map(|column| prop_oneof![9 => usual(name, column), 1 => junk()].boxed())
                .collect();
            // SQLite knows no table without a column.
            let is_there = is_there && !columns.is_empty();
            proptest::collection::vec(cells, 0..14).prop_map(move |rows| {
                is_there.then(|| OldTable {
                    name,
                    columns: columns.clone(),
                    key,
                    rows,
                })
            })
        })
        .boxed()
}

fn database() -> BoxedStrategy<Vec<OldTable>> {
    (0..3_usize)
        .prop_flat_map(|shape| {
            let tables: Vec<_> = TABLES
                .iter()
                .map(|(name, columns)| table(name, columns, shape))
                .collect();
            tables.prop_map(|tables| tables.into_iter().flatten().collect::<Vec<_>>())
        })
        .prop_filter("it is an old database", |tables| {
            tables.iter().any(|table| {
                table.columns.contains(&"auth0_user_id") || table.columns.contains(&"user_id")
            })
        })
        .boxed()
}

/// Writes it.
fn write(tables: &[OldTable], file: &Path) {
    let connection = Connection::open(file).unwrap();
    for table in tables {
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| match (*column, table.key) {
                ("id", Key::Id) => "id INTEGER PRIMARY KEY".to_owned(),
                ("id", Key::Text) => "id TEXT PRIMARY KEY".to_owned(),
                _ => format!("\"{column}\""),
            })
            .collect();
        let has_key = table.columns.contains(&"id") && matches!(table.key, Key::Text);
        let options = if has_key { "WITHOUT ROWID" } else { "" };
        connection
            .execute_batch(&format!(
                "CREATE TABLE {} ({}) {options}",
                table.name,
                columns.join(", ")
            ))
            .unwrap();
        let marks = vec!["?"; table.columns.len()].join(", ");
        let insert = format!("INSERT INTO {} VALUES ({marks})", table.name);
        for (number, row) in (1_i64..).zip(&table.rows) {
            let values =
                row.iter()
                    .zip(&table.columns)
                    .map(|(value, column)| match (*column, table.key) {
                        ("id", Key::Id) => Value::Integer(number),
                        ("id", Key::Text) => Value::Text(number.to_string()),
                        // Some share an id, some have none.
                        ("id", Key::None) => Value::Integer(number - number / 9),
                        _ => value.clone(),
                    });
            connection
                .execute(&insert, rusqlite::params_from_iter(values))
                .unwrap();
        }
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn rows_in(file: &Path, table: &str) -> u64 {
    let connection = Connection::open(file).unwrap();
    let sql = format!("SELECT count(*) FROM {table}");
    connection
        .query_row(&sql, [], |row| row.get::<_, i64>(0))
        .unwrap() as u64
}

/// Somebody who registered here before the adoption, and used something.
const REGISTERED: &str = "INSERT INTO users (id, auth0_user_id, current_plan_id, api_calls_count, lifetime_calls_count, created_at, updated_at) \
     VALUES (3, 'auth0|1', 10, 30, 30, 1760000000000, 1760000000000)";

fn nothing_is_lost(file: &Path, tables: &[OldTable], target: &Memory, outcome: &Outcome) {
    for table in tables {
        let (_, count) = outcome
            .counts
            .0
            .iter()
            .find(|(name, _)| name == table.name)
            .unwrap();
        assert_eq!(count.rows, rows_in(file, table.name), "{}", table.name);
        assert!(count.is_whole(), "{}: {count:?}", table.name);
        let stored = target.number(&format!(
            "SELECT count(*) FROM quarantine WHERE table_name = '{}' AND reason <> 'values_aside'",
            table.name
        ));
        assert_eq!(stored as u64, count.in_quarantine(), "{}", table.name);
        let aside = target.number(&format!(
            "SELECT count(*) FROM quarantine WHERE table_name = '{}' AND reason = 'values_aside'",
            table.name
        ));
        assert_eq!(aside as u64, count.aside, "{}", table.name);
        let here = match table.name {
            "api_usage" | "mcp_logs" => {
                format!("SELECT count(*) FROM {} WHERE opening = 1", table.name)
            }
            "stripe_webhook_logs" | "payment_history" | "auth_config" => {
                format!("SELECT count(*) FROM {}", table.name)
            }
            "users" => "SELECT count(DISTINCT user_id) FROM adopted_users".to_owned(),
            _ => continue,
        };
        assert_eq!(target.number(&here) as u64, count.here(), "{}", table.name);
    }
}

/// What holds of every database, whatever was adopted.
fn the_target_is_sound(target: &Memory) {
    assert!(target.find("PRAGMA foreign_key_check").is_empty());
    assert_eq!(
        target
            .find("SELECT * FROM quarantine WHERE source <> 'old'")
            .len(),
        0,
        "no pieces are left"
    );
    // Nobody gets a fresh allowance: what rows charge is used, and the opening balance says the same as the columns.
    let short = target.find(
        "SELECT users.id FROM users WHERE api_calls_reset_at IS NULL AND lifetime_calls_count < \
         (SELECT coalesce(sum(cost), 0) FROM api_usage WHERE user_id = users.id)",
    );
    assert!(short.is_empty(), "{short:?}");
    let differing = target.find(
        "SELECT users.id FROM users JOIN adopted_users ON adopted_users.user_id = users.id LEFT JOIN opening_balances ON opening_balances.user_id = users.id \
         WHERE auth0_user_id <> 'auth0|1' AND (coalesce(lifetime_used, 0) <> lifetime_calls_count \
         OR (api_calls_reset_at IS NOT NULL AND coalesce(period_used, 0) <> api_calls_count))",
    );
    assert!(differing.is_empty(), "{differing:?}");
    let impostors = target.find("SELECT id FROM users WHERE is_admin = 1");
    assert!(impostors.is_empty());
    let unpaid = target.find(
        "SELECT id FROM users WHERE current_plan_id <> 10 AND subscription_status NOT IN ('free', 'unpaid', 'canceled') \
         AND billing_anchor IS NULL AND created_at IS NULL",
    );
    assert!(unpaid.is_empty());
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.sqlite");
    (folder, file)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_lost_and_twice_is_once(tables in database(), registered in any::<bool>(), breaks_after in 0..9_u32) {
        let (_folder, file) = folder();
        write(&tables, &file);
        let now = at("2026-03-15T00:00:00Z");
        let start = || {
            let target = Memory::new();
            if registered {
                target.connection.execute_batch(REGISTERED).unwrap();
            }
            target
        };

        let mut target = start();
        let before = target.dump();
        let told = adopt(&file, &mut target, Does::Tell, now).unwrap();
        prop_assert_eq!(&target.dump(), &before, "telling writes nothing");

        let done = adopt(&file, &mut target, Does::Apply, now).unwrap();
        prop_assert_eq!(&told.counts, &done.counts, "what was told is what was done");
        nothing_is_lost(&file, &tables, &target, &done);
        the_target_is_sound(&target);

        let once = target.dump();
        adopt(&file, &mut target, Does::Apply, now).unwrap();
        prop_assert_eq!(&target.dump(), &once, "again changes nothing");
        adopt(&file, &mut target, Does::Apply, at("2026-05-02T00:00:00Z")).unwrap();
        prop_assert_eq!(&target.dump(), &once, "and nothing in another month");

        // Broken off anywhere and done again, it is as if it had not been.
        let mut broken = start();
        broken.breaks_after = Some(breaks_after);
        let _ = adopt(&file, &mut broken, Does::Apply, now);
        broken.breaks_after = None;
        adopt(&file, &mut broken, Does::Apply, now).unwrap();
        let quiet = |dump: Vec<String>| {
            // The numbers that the target gave, in another order perhaps.
            dump.into_iter().filter(|line| !line.starts_with("adoptions")).collect::<Vec<_>>()
        };
        prop_assert_eq!(quiet(broken.dump()), quiet(once));
    }
}
