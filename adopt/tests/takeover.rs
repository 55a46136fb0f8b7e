//! What an operator may count on, one by one.

mod common;

use common::{Memory, adopt};
use legis_adopt::adoption::Does;
use legis_core::time::Timestamp;
use rusqlite::Connection;
use std::path::PathBuf;

const USERS: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, auth0_user_id TEXT, email TEXT, plan TEXT, api_calls_count INTEGER, \
     api_calls_reset_at TEXT, subscription_status TEXT, subscription_period_end TEXT, stripe_customer_id TEXT, created_at TEXT);
     CREATE TABLE api_usage (id INTEGER PRIMARY KEY, user_id INTEGER, endpoint TEXT, method TEXT, status_code INTEGER, timestamp TEXT);";

struct Old {
    _folder: tempfile::TempDir,
    file: PathBuf,
}

impl Old {
    fn new(sql: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("old.sqlite");
        let old = Self {
            _folder: folder,
            file,
        };
        old.run(sql);
        old
    }

    fn run(&self, sql: &str) {
        let connection = Connection::open(&self.file).unwrap();
        connection.execute_batch(sql).unwrap();
    }
}

fn now() -> Timestamp {
    "2026-03-15T00:00:00Z".parse().unwrap()
}

#[test]
fn of_whoever_goes_on_using_the_old_service_only_what_is_more_counts() {
    let old = Old::new(&format!(
        "{USERS} INSERT INTO users VALUES (1, 'a|1', NULL, 'free', 10, NULL, NULL, NULL, NULL, '2026-01-01');"
    ));
    let mut target = Memory::new();
    adopt(&old.file, &mut target, Does::Apply, now()).unwrap();
    assert_eq!(target.number("SELECT lifetime_calls_count FROM users"), 10);
    old.run("UPDATE users SET api_calls_count = 14; INSERT INTO api_usage VALUES (1, 1, '/a', 'GET', 200, '2026-03-14')");
    // Meanwhile six were used here, which the meter reported.
    target
        .connection
        .execute_batch("UPDATE users SET api_calls_count = 16, lifetime_calls_count = 16")
        .unwrap();
    for _ in 0..2 {
        adopt(&old.file, &mut target, Does::Apply, now().plus_months(1)).unwrap();
        assert_eq!(target.number("SELECT api_calls_count FROM users"), 20);
        assert_eq!(target.number("SELECT lifetime_calls_count FROM users"), 20);
        assert_eq!(
            target.number("SELECT lifetime_used FROM opening_balances"),
            14
        );
        assert_eq!(target.number("SELECT used FROM adopted_users"), 14);
        assert_eq!(target.number("SELECT count(*) FROM api_usage"), 1);
    }
}

#[test]
fn whoever_registered_here_before_keeps_what_is_known_and_has_what_they_paid_for() {
    let old = Old::new(&format!(
        "{USERS} INSERT INTO users VALUES (7, 'a|1', 'old@example.com', 'pro', 40, '2026-03-20', 'active', '2026-03-20', 'cus_1', '2026-01-01');"
    ));
    let mut target = Memory::new();
    target
        .connection
        .execute_batch(
            // The database was restored once, which raised everybody's version.
            "INSERT INTO users (id, auth0_user_id, email, current_plan_id, api_calls_count, lifetime_calls_count, entitlement_version, \
             created_at, updated_at) VALUES (1, 'a|1', 'new@example.com', 10, 5, 5, 1700000000000, 0, 0)",
        )
        .unwrap();
    for _ in 0..2 {
        adopt(&old.file, &mut target, Does::Apply, now()).unwrap();
        let user = &target.find("SELECT * FROM users")[0];
        assert_eq!(user["email"], "new@example.com");
        assert_eq!(user["current_plan_id"], 30);
        assert_eq!(user["subscription_status"], "active");
        assert_eq!(user["entitlement_version"], 1_700_000_000_001_i64);
        assert_eq!(user["stripe_customer_id"], "cus_1");
        assert_eq!(
            (&user["api_calls_count"], &user["lifetime_calls_count"]),
            (&40.into(), &45.into())
        );
        let customer = &target.find("SELECT * FROM stripe_customers")[0];
        assert_eq!(
            (&customer["sub"], &customer["linked_kind"]),
            (&"a|1".into(), &"users".into())
        );
        let opening = &target.find("SELECT * FROM opening_balances")[0];
        assert_eq!(
            (&opening["lifetime_used"], &opening["period_used"]),
            (&40.into(), &40.into())
        );
    }
}

#[test]
fn the_customer_who_pays_is_linked_whatever_was_known_of_it_before() {
    let old = Old::new(&format!(
        "{USERS} INSERT INTO users VALUES (7, 'a|1', NULL, 'pro', 40, NULL, 'active', '2026-03-20', 'cus_old', '2026-01-01');"
    ));
    let links = |target: &Memory| -> Vec<(String, String)> {
        let rows = target.find("SELECT id, sub FROM stripe_customers ORDER BY id");
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        rows.iter()
            .map(|row| (text(&row["id"]), text(&row["sub"])))
            .collect()
    };
    let linked = |id: &str| (id.to_owned(), "a|1".to_owned());
    // An event of the customer came before its user.
    let mut target = Memory::new();
    target
        .connection
        .execute_batch("INSERT INTO stripe_customers (id, version) VALUES ('cus_old', 1)")
        .unwrap();
    for _ in 0..2 {
        adopt(&old.file, &mut target, Does::Apply, now()).unwrap();
        assert_eq!(links(&target), [linked("cus_old")]);
    }
    // The user opened Checkout here, and never paid.
    let mut target = Memory::new();
    target
        .connection
        .execute_batch(
            "INSERT INTO users (id, auth0_user_id, current_plan_id, stripe_customer_id, created_at, updated_at) \
             VALUES (1, 'a|1', 10, 'cus_new', 0, 0);
             INSERT INTO stripe_customers (id, sub, linked_kind, linked_at, linked_by, version) \
             VALUES ('cus_new', 'a|1', 'metadata', 1, 'evt_1', 1)",
        )
        .unwrap();
    for _ in 0..2 {
        adopt(&old.file, &mut target, Does::Apply, now()).unwrap();
        assert_eq!(links(&target), [linked("cus_new"), linked("cus_old")]);
        assert_eq!(target.number("SELECT current_plan_id FROM users"), 30);
    }
}

#[test]
fn of_two_rows_of_one_user_the_paid_one_holds_and_all_their_calls_are_theirs() {
    let old = Old::new(&format!(
        "{USERS} INSERT INTO users VALUES (1, 'a|1', NULL, 'free', 3, NULL, NULL, NULL, NULL, '2026-01-01'), \
         (2, 'a|1', NULL, 'developer', 2, NULL, 'active', NULL, NULL, '2026-02-01');
         INSERT INTO api_usage VALUES (1, 1, '/a', 'GET', 200, '2026-03-14'), (2, 2, '/a', 'GET', 200, '2026-03-14');"
    ));
    let mut target = Memory::new();
    adopt(&old.file, &mut target, Does::Apply, now()).unwrap();
    let user = &target.find("SELECT * FROM users")[0];
    assert_eq!(
        (
            &user["id"],
            &user["current_plan_id"],
            &user["api_calls_count"]
        ),
        (&2.into(), &20.into(), &5.into())
    );
    assert_eq!(
        target.number("SELECT count(*) FROM api_usage WHERE user_id = 2"),
        2
    );
    assert_eq!(
        target.number("SELECT count(*) FROM quarantine WHERE reason = 'duplicate_user'"),
        1
    );
}

#[test]
fn what_no_statement_can_hold_is_carried_in_pieces() {
    let old = Old::new(&format!(
        "{USERS} CREATE TABLE stripe_webhook_logs (stripe_event_id TEXT, event_type TEXT, processing_status TEXT, raw_payload TEXT, created_at TEXT);
         CREATE TABLE blobs (bytes BLOB);"
    ));
    let payload = format!("{{\"it's\": \"{}\"}}", "ä'".repeat(150_000));
    let connection = Connection::open(&old.file).unwrap();
    connection
        .execute(
            "INSERT INTO stripe_webhook_logs VALUES ('evt_1', 'x', 'pending', ?1, '2026-01-01')",
            [&payload],
        )
        .unwrap();
    connection
        .execute("INSERT INTO blobs VALUES (?1)", [vec![7_u8; 1_950_000]])
        .unwrap();
    let mut target = Memory::new();
    adopt(&old.file, &mut target, Does::Apply, now()).unwrap();
    let event = &target.find("SELECT * FROM stripe_webhook_logs")[0];
    assert_eq!(event["raw_payload"], payload.as_str());
    assert_eq!(event["processing_status"], "failed");
    assert!(
        event["next_attempt_at"].is_null() && event["customer_id"].is_null(),
        "nobody applies it by itself"
    );
    let parts = target
        .find("SELECT row_data FROM quarantine WHERE table_name = 'blobs' ORDER BY length(id), id");
    let texts: String = parts
        .iter()
        .map(|row| {
            let part: serde_json::Value =
                serde_json::from_str(row["row_data"].as_str().unwrap()).unwrap();
            part["text"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(
        texts,
        format!("{{\"bytes\":{{\"blob\":\"{}\"}}}}", "07".repeat(1_950_000))
    );
    let once = target.dump();
    adopt(&old.file, &mut target, Does::Apply, now()).unwrap();
    assert_eq!(target.dump(), once);
}

#[test]
fn many_rows_are_streamed() {
    let old = Old::new(&format!(
        "{USERS} INSERT INTO users VALUES (1, 'a|1', NULL, 'pro', 0, NULL, 'active', NULL, NULL, '2026-01-01');
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
         INSERT INTO api_usage SELECT i, 1, '/api/bills', 'GET', iif(i % 10, 200, 500), datetime('2026-03-14', '-' || i || ' minutes') FROM n;"
    ));
    let mut target = Memory::new();
    let outcome = adopt(&old.file, &mut target, Does::Apply, now()).unwrap();
    assert_eq!(outcome.new.unwrap().api_usage, 60_000);
    let charged =
        "SELECT sum(cost) FROM api_usage WHERE timestamp >= unixepoch('2026-03-01') * 1000";
    assert_eq!(
        target.number("SELECT api_calls_count FROM users"),
        target.number(charged)
    );
    // Pruning finds the old ones by their ids, which are in the order of time.
    let disordered = "SELECT count(*) FROM (SELECT timestamp < lag(timestamp) OVER (ORDER BY id) AS back FROM api_usage) WHERE back";
    assert_eq!(target.number(disordered), 0);
}

#[test]
fn a_file_that_is_none_of_them_is_refused() {
    let mut target = Memory::new();
    let none = Old::new("CREATE TABLE songs (title TEXT)");
    let error = adopt(&none.file, &mut target, Does::Apply, now())
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("none of the old services"),
        "{error}"
    );
    std::fs::write(&none.file, "CREATE TABLE users (id);".repeat(99)).unwrap();
    let error = adopt(&none.file, &mut target, Does::Apply, now())
        .err()
        .unwrap();
    assert!(error.to_string().contains("sqlite3 old.sqlite"), "{error}");
}
