//! Arbitrary JSON inside a payload: arguments and results of tools. Bounded, so that it can be stored.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many values arbitrary JSON may hold, itself included.
pub const MAX_VALUES: u32 = 10_000;

/// How deep a whole document may be nested.
pub const MAX_DEPTH: u32 = 32;

/// Any JSON object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, garde::Validate)]
#[serde(transparent)]
#[garde(transparent)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
pub struct JsonObject(
    #[garde(custom(bounded_object))]
    #[cfg_attr(feature = "ts", tsify(type = "Record<string, unknown>"))]
    pub serde_json::Map<String, Value>,
);

/// Any JSON value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, garde::Validate)]
#[serde(transparent)]
#[garde(transparent)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
pub struct AnyJson(
    #[garde(custom(bounded))]
    #[cfg_attr(feature = "ts", tsify(type = "unknown"))]
    pub Value,
);

fn bounded_object(object: &serde_json::Map<String, Value>, (): &()) -> garde::Result {
    check(1_u32.saturating_add(object.values().map(count).sum()))
}

fn bounded(value: &Value, (): &()) -> garde::Result {
    check(count(value))
}

fn check(values: u32) -> garde::Result {
    if values > MAX_VALUES {
        return Err(garde::Error::new("too_complex"));
    }
    Ok(())
}

fn count(value: &Value) -> u32 {
    let inner = match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0_u32,
    };
    inner.saturating_add(1)
}

#[cfg(feature = "schema")]
mod schema {
    use super::{AnyJson, JsonObject};
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
    use std::borrow::Cow;

    impl JsonSchema for JsonObject {
        fn inline_schema() -> bool {
            true
        }
        fn schema_name() -> Cow<'static, str> {
            "JsonObject".into()
        }
        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "object" })
        }
    }

    impl JsonSchema for AnyJson {
        fn inline_schema() -> bool {
            true
        }
        fn schema_name() -> Cow<'static, str> {
            "AnyJson".into()
        }
        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({})
        }
    }
}
