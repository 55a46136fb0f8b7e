//! Writes an old database of shape B with so many users and calls: what `docs/adoption.md` was measured with.
//!
//! `cargo run -p legis-adopt --profile adopt --example old_database -- FILE.sqlite USERS CALLS`

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| {
        arguments
            .next()
            .ok_or_else(|| anyhow::anyhow!("{what} is missing: FILE.sqlite USERS CALLS"))
    };
    let file = next("FILE.sqlite")?;
    let (users, calls): (u64, u64) = (next("USERS")?.parse()?, next("CALLS")?.parse()?);
    let connection = rusqlite::Connection::open(file)?;
    connection.execute_batch(&format!(
        "CREATE TABLE plans (id INTEGER PRIMARY KEY, name TEXT, slug TEXT, billing_frequency TEXT, amount INTEGER, mcp_calls_limit INTEGER);
         INSERT INTO plans VALUES (1, 'Free', 'free', 'one_time', 0, 100), (2, 'Developer', 'starter', 'monthly', 999, 1000);
         CREATE TABLE users (id INTEGER PRIMARY KEY, auth0_user_id TEXT UNIQUE, email TEXT, name TEXT, stripe_customer_id TEXT,
           current_plan_id INTEGER, subscription_status TEXT, subscription_period_end TEXT, api_calls_count INTEGER,
           api_calls_reset_at TEXT, is_admin INTEGER, created_at TEXT, updated_at TEXT);
         CREATE TABLE api_usage (id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER, endpoint TEXT, method TEXT,
           status_code INTEGER, response_time_ms INTEGER, error_message TEXT, ip_address TEXT, user_agent TEXT, timestamp TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {users})
         INSERT INTO users SELECT i, 'auth0|' || i, 'user' || i || '@example.com', 'User ' || i, iif(i % 3, NULL, 'cus_' || i),
           iif(i % 3, 1, 2), iif(i % 3, 'free', 'active'), iif(i % 3, NULL, datetime('now', '+' || (i % 28) || ' days')),
           {calls} / {users}, NULL, 0, datetime('now', '-300 days'), datetime('now', '-1 days') FROM n;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {calls})
         INSERT INTO api_usage (user_id, endpoint, method, status_code, response_time_ms, ip_address, user_agent, timestamp)
         SELECT 1 + i % ({users} + 1), '/api/bills/' || i % 1000, 'GET', iif(i % 50, 200, 502), i % 900, '192.0.2.' || i % 250,
           'Mozilla/5.0 (X11; Linux x86_64)', datetime('now', '-' || (i % 300) || ' days', '-' || (i % 86400) || ' seconds') FROM n;"
    ))?;
    Ok(())
}
