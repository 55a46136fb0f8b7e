//! The description of the API: every address is described, and what is described is there.
#![cfg(feature = "schema")]

use legis_core::header::{EXPOSED, MCP_SESSION};
use legis_core::openapi::{Payloads, described, document};
use legis_core::route::{Access, NoRoute, route};
use serde_json::Value;
use std::collections::BTreeSet;

/// The path with its parameters filled in.
fn sample(path: &str) -> String {
    path.replace("{client}", "frontend")
        .replace("{schema}", "account")
        .replace("{id}", "1")
        .replace("{name}", "free")
        .replace("{path}", "1")
        .replace("{sub}", "auth0%7C1")
}

/// The names of all headers that answers are described to have.
fn headers(described: &Value, names: &mut BTreeSet<String>) {
    match described {
        Value::Object(members) => {
            for (name, member) in members {
                if let ("headers", Value::Object(headers)) = (name.as_str(), member) {
                    names.extend(headers.keys().cloned());
                }
                headers(member, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| headers(item, names)),
        _ => {}
    }
}

#[test]
fn a_page_of_another_origin_may_read_every_header_that_is_described() {
    let mut names = BTreeSet::new();
    headers(&document(&Payloads::new()), &mut names);
    let exposed: BTreeSet<String> = EXPOSED.map(str::to_owned).into();
    // The session's is the MCP server's, which describes it.
    let ours: BTreeSet<String> = exposed
        .into_iter()
        .filter(|name| name != MCP_SESSION)
        .collect();
    assert_eq!(names, ours);
}

/// The names in `Route::name`, which the compiler holds to have every route.
fn names() -> BTreeSet<&'static str> {
    let source = include_str!("../src/route.rs");
    let named = source.split("fn name(&self)").skip(1);
    let bodies = named.filter_map(|from| from.split("\n    }\n").next());
    bodies
        .flat_map(|body| body.split('"').skip(1).step_by(2))
        .collect()
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let mut found = BTreeSet::new();
    for operation in described(&Payloads::new()) {
        let path = sample(operation.path);
        let route = route(operation.method, &path).expect(&path);
        found.insert(route.name());
    }
    assert_eq!(found, names());
    assert!(found.len() > 25);
}

#[test]
fn who_is_served_is_described_as_it_is_decided() {
    let document = document(&Payloads::new());
    for operation in described(&Payloads::new()) {
        let route = route(operation.method, &sample(operation.path)).expect(operation.path);
        let method = operation.method.to_lowercase();
        let written = &document["paths"][operation.path][method];
        let needs_token = written["security"] != Value::Array(Vec::new());
        // Stripe proves who it is by its signature.
        let is_proven = route.access() == Access::Proven && route.name() != "stripe_webhook";
        assert_eq!(needs_token, is_proven, "{}", operation.path);
        let is_limited = !written["responses"]["429"].is_null();
        assert_eq!(
            is_limited,
            route.access() != Access::Free,
            "{}",
            operation.path
        );
    }
}

#[test]
fn every_method_of_a_path_is_described() {
    let described = described(&Payloads::new());
    for operation in &described {
        let Err(NoRoute::Method(allow)) = route("BREW", &sample(operation.path)) else {
            panic!("{} takes any method", operation.path);
        };
        // HEAD goes without saying: it is GET without the body.
        let allowed: BTreeSet<&str> = allow
            .split(", ")
            .filter(|method| *method != "HEAD")
            .collect();
        let said = described
            .iter()
            .filter(|other| other.path == operation.path)
            .map(|other| other.method)
            .collect();
        assert_eq!(allowed, said, "{}", operation.path);
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_every_reference_leads_somewhere() {
    let document = document(&Payloads::new());
    let mut ids = BTreeSet::new();
    for methods in document["paths"].as_object().expect("paths").values() {
        for operation in methods.as_object().expect("methods").values() {
            assert!(ids.insert(operation["operationId"].as_str().expect("an id")));
        }
    }
    assert_eq!(ids.len(), described(&Payloads::new()).len());
    references(&document, &mut |reference| {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference}");
    });
}

fn references(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found(reference);
            }
            members
                .values()
                .for_each(|member| references(member, found));
        }
        _ => {}
    }
}
