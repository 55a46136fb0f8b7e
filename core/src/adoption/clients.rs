//! The old `auth_config`: who issues tokens for which client.

use super::{Carried, OldRow, OldValue, Reason, Refused};
use crate::evaluate;
use crate::payload::AuthConfig;
use crate::schema::Origin;
use serde_json::{Map, Value, json};

/// Columns that hold JSON arrays of addresses.
const ADDRESSES: [&str; 3] = [
    "allowed_callback_urls",
    "allowed_logout_urls",
    "allowed_origins",
];
/// Columns that hold text.
const TEXTS: [&str; 5] = [
    "config_name",
    "auth0_domain",
    "auth0_client_id",
    "auth0_audience",
    "auth0_scope",
];

/// Reads a row of `auth_config`, by the rules of the payload that configures a client.
///
/// # Errors
/// When it breaks one of them; the detail has the places.
pub fn read(row: &OldRow) -> Result<Carried<AuthConfig>, Refused> {
    let mut reading = row.read();
    let mut config = Map::new();
    for column in TEXTS {
        let text = reading.text(column).unwrap_or_default().trim();
        config.insert(column.to_owned(), json!(text));
    }
    for column in ADDRESSES {
        let list = match reading.peek(column).is_empty() {
            true => json!([]),
            false => reading
                .json(column)
                .and_then(|text| serde_json::from_str::<Value>(text).ok())
                .ok_or_else(|| Refused::new(Reason::InvalidValue, column))?,
        };
        config.insert(column.to_owned(), list);
    }
    let is_active = reading.value("is_active", |value| value.whole(1));
    config.insert("is_active".to_owned(), json!(is_active != Some(0)));
    for column in ["id", "created_at", "updated_at"] {
        reading.place(column, true);
    }
    // A flag that says neither yes nor no is no reason to trust an issuer.
    if is_active.is_none() && *reading.peek("is_active") != OldValue::Null {
        return Err(Refused::new(Reason::InvalidValue, "is_active"));
    }
    let text = Value::Object(config).to_string();
    let config =
        evaluate::decode("authConfig", text.as_bytes(), Origin::Text).map_err(|wrong| {
            let places: Vec<String> = wrong.iter().map(|violation| violation.pointer()).collect();
            Refused::new(Reason::InvalidValue, places.join(", "))
        })?;
    Ok(Carried {
        row: config,
        aside: reading.aside(),
    })
}
