//! The forms of texts ([`Format`]) as regular expressions (ECMA-262), for those who do not know our names of them.

use crate::payload::format::Format;
use crate::plan;
use serde_json::Value;

/// The form as a regular expression, where it can be said so.
fn pattern(format: Format) -> Option<String> {
    const ATOM: &str = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
    const LABEL: &str = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
    const TOP: &str = "[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])";
    Some(match format {
        Format::Line => r"^[^\u0000-\u001f\u007f-\u009f]*$".to_owned(),
        Format::Email => format!(r"^{ATOM}(\.{ATOM})*@({LABEL}\.)+{TOP}$"),
        Format::PlanName => plan_names(),
        Format::ToolName => r"^[A-Za-z0-9_.:/-]*$".to_owned(),
        Format::Path => r"^/[^\s\u0000-\u001f\u007f-\u009f?#]*$".to_owned(),
        Format::Method => "^[A-Z]*$".to_owned(),
        Format::Token => "^[!-~]*$".to_owned(),
        Format::Scopes => "^[!-~]+( [!-~]+)*$".to_owned(),
        Format::DateTime => {
            r"^(19[7-9]\d|[2-9]\d{3})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,3})?Z$"
                .to_owned()
        }
        Format::Any | Format::Ip | Format::Host | Format::Url | Format::Origin => return None,
    })
}

/// Any name of a plan, in any case, with spaces around it.
fn plan_names() -> String {
    let mut names: Vec<String> = plan::plans()
        .into_iter()
        .flat_map(|plan| plan.names)
        .map(str::to_lowercase)
        .collect();
    names.sort_unstable();
    names.dedup();
    let any_case = |name: &String| -> String {
        let letters = name.chars();
        letters
            .map(|c| format!("[{}{c}]", c.to_ascii_uppercase()))
            .collect()
    };
    let names: Vec<String> = names.iter().map(any_case).collect();
    format!("^ *({}) *$", names.join("|"))
}

/// The schema with a pattern beside each form that has one, and null where a member may be absent: the reader takes one for
/// the other.
pub(super) fn spelled_out(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(spelled_out).collect(),
        Value::Object(members) => {
            let mut spelled: serde_json::Map<String, Value> = members
                .iter()
                .filter(|(name, _)| *name != "$schema")
                .map(|(name, value)| (name.clone(), spelled_out(value)))
                .collect();
            let name = members.get("format").and_then(Value::as_str);
            let format = Format::ALL
                .into_iter()
                .find(|format| Some(format.name()) == name);
            if let Some(pattern) = format.and_then(pattern) {
                spelled.insert("pattern".to_owned(), pattern.into());
            }
            or_null(&mut spelled, &required(members));
            Value::Object(spelled)
        }
        other => other.clone(),
    }
}

/// The names of the members that must be there.
fn required(object: &serde_json::Map<String, Value>) -> Vec<&str> {
    let names = object.get("required").and_then(Value::as_array);
    names
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn or_null(object: &mut serde_json::Map<String, Value>, required: &[&str]) {
    let properties = object.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        if let Some(kind) = property.get_mut("type")
            && kind.is_string()
            && !required.contains(&name.as_str())
        {
            *kind = serde_json::json!([kind.clone(), "null"]);
        }
    }
}
