//! What Cloudflare's paid plan charges a month and where its limits are, as its documentation said in November 2026
//! (Workers, D1 and Durable Objects: "Pricing" and "Limits"). SQLite is the storage of both.

/// A month, in days.
pub const MONTH: f64 = 30.0;

/// So many for nothing, then dollars for each million.
pub struct Price {
    included: f64,
    per_million: f64,
}

impl Price {
    /// What `amount` a month costs, in dollars.
    pub fn of(&self, amount: f64) -> f64 {
        (amount - self.included).max(0.0) * self.per_million / 1e6
    }
}

/// The plan itself.
pub const PLAN: f64 = 5.0;
pub const WORKER_REQUESTS: Price = price(10e6, 0.30);
/// Milliseconds of CPU.
pub const WORKER_CPU: Price = price(30e6, 0.02);
/// Messages and alarms.
pub const OBJECT_REQUESTS: Price = price(1e6, 0.15);
/// GB·s; an object that works has 128 MB, whatever it uses.
pub const OBJECT_DURATION: Price = price(400e3, 12.50);
/// The same for a Durable Object and for D1; each has its own.
pub const ROWS_WRITTEN: Price = price(50e6, 1.00);
/// Bytes: $0.75 for each GB of D1.
pub const DATABASE_STORAGE: Price = price(5e9, 0.000_75);

/// Requests that an object serves in a second; a soft limit.
pub const OBJECT_CALLS_PER_SECOND: u64 = 1_000;
/// Bytes of one database of D1.
pub const DATABASE_BYTES: f64 = 10e9;

const fn price(included: f64, per_million: f64) -> Price {
    Price {
        included,
        per_million,
    }
}
