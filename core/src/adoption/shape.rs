//! Which of the old databases it is, told from the names of its tables and columns.

use std::fmt;

/// Which of the old services' files a database was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The older one: `users` with their plan as text, and `api_usage`.
    A,
    /// The newer one: with `plans`, subscriptions, tool calls, payments, webhooks and configuration.
    B,
    /// Columns of both: a copy that was edited by hand.
    Mixed,
    /// What is there both files have.
    Either,
}

impl Shape {
    /// The value of the column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::Mixed => "mixed",
            Self::Either => "either",
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::A => "shape A, the older file (users with a plan's name, api_usage)",
            Self::B => "shape B, the newer file (plans, subscriptions, tool calls, payments)",
            Self::Mixed => "columns of both old files, edited by hand",
            Self::Either => "what both old files have, and nothing that tells which it was",
        })
    }
}

/// A table of an old database that rows are carried over from, in the order they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OldTable {
    /// `plans`.
    Plans,
    /// `users`.
    Users,
    /// `auth_config`.
    AuthConfig,
    /// `stripe_webhook_logs`.
    Events,
    /// `payment_history`.
    Payments,
    /// `api_usage`.
    ApiUsage,
    /// `mcp_logs`.
    McpLogs,
}

/// Columns of `users` that only the older file has.
const OF_A: [&str; 3] = ["plan", "api_calls_limit", "role"];
/// Columns of `users` that only the newer file has.
const OF_B: [&str; 6] = [
    "stripe_customer_id",
    "current_plan_id",
    "subscription_status",
    "subscription_period_end",
    "api_calls_reset_at",
    "is_admin",
];

impl OldTable {
    /// Every table.
    pub const ALL: [Self; 7] = [
        Self::Plans,
        Self::Users,
        Self::AuthConfig,
        Self::Events,
        Self::Payments,
        Self::ApiUsage,
        Self::McpLogs,
    ];

    /// Its name, old and new.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plans => "plans",
            Self::Users => "users",
            Self::AuthConfig => "auth_config",
            Self::Events => "stripe_webhook_logs",
            Self::Payments => "payment_history",
            Self::ApiUsage => "api_usage",
            Self::McpLogs => "mcp_logs",
        }
    }

    /// The table of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|table| table.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether the older file has it.
    const fn is_of_a(self) -> bool {
        matches!(self, Self::Users | Self::ApiUsage)
    }

    /// The columns that both files have, and those of the newer one.
    const fn columns(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Plans => (
                &[],
                &[
                    "id",
                    "name",
                    "slug",
                    "billing_frequency",
                    "stripe_price_id",
                    "stripe_product_id",
                    "amount",
                    "currency",
                    "features",
                    "highlighted_features",
                    "description",
                    "is_active",
                    "display_order",
                    "mcp_calls_limit",
                    "created_at",
                    "updated_at",
                ],
            ),
            Self::Users => (
                &[
                    "id",
                    "auth0_user_id",
                    "email",
                    "name",
                    "api_calls_count",
                    "created_at",
                    "updated_at",
                ],
                &OF_B,
            ),
            Self::AuthConfig => (
                &[],
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
                    "created_at",
                    "updated_at",
                ],
            ),
            Self::Events => (
                &[],
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
            Self::Payments => (
                &[],
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
            Self::ApiUsage => (
                &[
                    "id",
                    "user_id",
                    "endpoint",
                    "method",
                    "status_code",
                    "response_time_ms",
                    "timestamp",
                ],
                &["error_message", "ip_address", "user_agent"],
            ),
            Self::McpLogs => (
                &[],
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
        }
    }
}

/// A table that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Its columns' names.
    pub columns: Vec<String>,
}

impl Found {
    fn has(&self, column: &str) -> bool {
        self.columns
            .iter()
            .any(|name| name.eq_ignore_ascii_case(column))
    }

    fn has_any(&self, columns: &[&str]) -> bool {
        columns.iter().any(|column| self.has(column))
    }
}

/// What an old database is, and where it is not as its file made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognised {
    /// Which file it was made from.
    pub shape: Shape,
    /// Tables of that file which are not there.
    pub missing_tables: Vec<OldTable>,
    /// Columns of that file which are not there, as `table.column`.
    pub missing_columns: Vec<String>,
    /// Tables that no old file has.
    pub extra_tables: Vec<String>,
    /// Columns that no old file has, as `table.column`.
    pub extra_columns: Vec<String>,
}

/// Why a database is not one of the old services'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unrecognised {
    /// It is one of this product.
    IsNew,
    /// It has neither users nor calls.
    HasNothingKnown,
}

impl fmt::Display for Unrecognised {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::IsNew => {
                "It is a database of this product already: there is nothing to adopt. To move it, export and import it with wrangler."
            }
            Self::HasNothingKnown => {
                "It has neither a table users with auth0_user_id nor a table api_usage, mcp_logs or payment_history with user_id, so it is none of the old services' databases."
            }
        })
    }
}

impl std::error::Error for Unrecognised {}

/// Tells what a database is.
///
/// # Errors
/// [`Unrecognised`] when it is none of the old services'.
pub fn recognise(tables: &[Found]) -> Result<Recognised, Unrecognised> {
    let of = |wanted: OldTable| {
        tables
            .iter()
            .find(|table| table.name.eq_ignore_ascii_case(wanted.as_str()))
    };
    if tables.iter().any(|table| {
        matches!(
            table.name.as_str(),
            "migration_checksums" | "opening_balances"
        )
    }) {
        return Err(Unrecognised::IsNew);
    }
    let has_users = of(OldTable::Users).is_some_and(|users| users.has("auth0_user_id"));
    let has_calls = [OldTable::ApiUsage, OldTable::McpLogs, OldTable::Payments]
        .into_iter()
        .any(|table| of(table).is_some_and(|found| found.has("user_id")));
    if !has_users && !has_calls {
        return Err(Unrecognised::HasNothingKnown);
    }
    let like_a = of(OldTable::Users).is_some_and(|users| users.has_any(&OF_A));
    let like_b = of(OldTable::Users).is_some_and(|users| users.has_any(&OF_B))
        || OldTable::ALL
            .into_iter()
            .any(|table| !table.is_of_a() && of(table).is_some());
    let shape = match (like_a, like_b) {
        (true, true) => Shape::Mixed,
        (true, false) => Shape::A,
        (false, true) => Shape::B,
        (false, false) => Shape::Either,
    };
    Ok(departures(shape, tables))
}

/// Where a database is not as its file made it.
fn departures(shape: Shape, tables: &[Found]) -> Recognised {
    let mut recognised = Recognised {
        shape,
        missing_tables: Vec::new(),
        missing_columns: Vec::new(),
        extra_tables: Vec::new(),
        extra_columns: Vec::new(),
    };
    let newer = matches!(shape, Shape::B | Shape::Mixed);
    for table in OldTable::ALL {
        let found = tables
            .iter()
            .find(|found| found.name.eq_ignore_ascii_case(table.as_str()));
        let (both, of_b) = table.columns();
        let Some(found) = found else {
            if newer || table.is_of_a() {
                recognised.missing_tables.push(table);
            }
            continue;
        };
        let wanted = both.iter().chain(if newer { of_b } else { &[] });
        // Not every copy of the newer file has these two.
        let missing = wanted.filter(|column| {
            !found.has(column)
                && (table.is_of_a() || !matches!(**column, "created_at" | "updated_at"))
        });
        recognised
            .missing_columns
            .extend(missing.map(|column| format!("{}.{column}", table.as_str())));
        let known = |column: &String| {
            let is = |name: &&str| name.eq_ignore_ascii_case(column);
            both.iter().any(is)
                || of_b.iter().any(is)
                || (table == OldTable::Users && OF_A.iter().any(is))
        };
        let extra = found.columns.iter().filter(|column| !known(column));
        recognised
            .extra_columns
            .extend(extra.map(|column| format!("{}.{column}", found.name)));
    }
    recognised.extra_tables = tables
        .iter()
        .filter(|found| OldTable::parse(&found.name).is_none())
        .map(|found| found.name.clone())
        .collect();
    recognised
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, columns: &str) -> Found {
        Found {
            name: name.to_owned(),
            columns: columns.split(' ').map(str::to_owned).collect(),
        }
    }

    const USERS_A: &str =
        "id auth0_user_id email name plan api_calls_count api_calls_limit created_at updated_at";
    const USAGE_A: &str = "id user_id endpoint method status_code response_time_ms timestamp";

    #[test]
    fn the_older_file_whole_and_with_a_role() {
        let whole = recognise(&[table("users", USERS_A), table("api_usage", USAGE_A)]).unwrap();
        assert_eq!(whole.shape, Shape::A);
        assert_eq!(
            (
                &whole.missing_tables,
                &whole.missing_columns,
                &whole.extra_columns
            ),
            (&Vec::new(), &Vec::new(), &Vec::new())
        );
        let role = recognise(&[table("Users", &format!("{USERS_A} role"))]).unwrap();
        assert_eq!(role.shape, Shape::A);
        assert_eq!(role.missing_tables, [OldTable::ApiUsage]);
        assert!(role.extra_columns.is_empty());
    }

    #[test]
    fn partial_and_edited_copies() {
        let found = recognise(&[
            table("users", "id auth0_user_id current_plan_id shoe_size"),
            table("notes", "text"),
        ])
        .unwrap();
        assert_eq!(found.shape, Shape::B);
        assert_eq!(found.extra_tables, ["notes"]);
        assert_eq!(found.extra_columns, ["users.shoe_size"]);
        assert!(found.missing_columns.contains(&"users.email".to_owned()));
        assert!(found.missing_tables.contains(&OldTable::McpLogs));
        let mixed = recognise(&[table("users", "auth0_user_id plan stripe_customer_id")]).unwrap();
        assert_eq!(mixed.shape, Shape::Mixed);
        let either = recognise(&[table("users", "id auth0_user_id email")]).unwrap();
        assert_eq!(either.shape, Shape::Either);
        assert!(recognise(&[table("api_usage", USAGE_A)]).is_ok());
    }

    #[test]
    fn what_is_none_of_them() {
        assert_eq!(recognise(&[]), Err(Unrecognised::HasNothingKnown));
        assert_eq!(
            recognise(&[table("users", "id login")]),
            Err(Unrecognised::HasNothingKnown)
        );
        assert_eq!(
            recognise(&[
                table("users", USERS_A),
                table("migration_checksums", "name")
            ]),
            Err(Unrecognised::IsNew)
        );
    }
}
