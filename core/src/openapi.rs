//! The API as an OpenAPI 3.1 document. Native builds only: the worker does not carry it, it is a file beside the page.
//!
//! What is said of an address stands in [`operations`], in the order of [`crate::route::Route`]; what answers look like
//! comes from the types that are sent, problems from [`Problem`].

mod answers;
mod forms;
mod operation;
mod operations;

use crate::problem::Problem;
use operation::{Access, Operation};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub use operation::Operation as Described;

/// The schemas of what is read, by name, as [`crate::schema`] knows them.
pub type Payloads = BTreeMap<&'static str, Value>;

/// Every operation, described.
#[must_use]
pub fn described(payloads: &Payloads) -> Vec<Operation> {
    operations::every(&mut answers::Answers::new(), payloads)
}

/// The document.
#[must_use]
pub fn document(payloads: &Payloads) -> Value {
    let mut answers = answers::Answers::new();
    let mut paths = Map::new();
    let mut refusals = Refusals::default();
    for operation in operations::every(&mut answers, payloads) {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(methods) = path.as_object_mut() {
            methods.insert(
                operation.method.to_lowercase(),
                written(&operation, &mut refusals),
            );
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Legis",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Plans, quotas and validation. Every error is a problem document (RFC 9457) with a stable code.",
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": answers.definitions(),
            "responses": refusals.0,
            "headers": common(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An access token of the configured issuer: GET /api/config/auth/frontend.",
                },
            },
        },
    })
}

/// The problems that are answered, each list of them once.
#[derive(Default)]
struct Refusals(Map<String, Value>);

impl Refusals {
    /// A reference to the answer of a status that several problems share.
    fn refer(&mut self, status: u16, problems: &[&Problem], passes: bool) -> Value {
        let mut codes: Vec<&str> = problems.iter().map(|problem| problem.code()).collect();
        codes.sort_unstable();
        let passed = if passes { "_or_passed_on" } else { "" };
        let name = format!("{status}_{}{passed}", codes.join("_or_"));
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        self.0
            .entry(name)
            .or_insert_with(|| refused(status, problems, &codes, passes));
        reference
    }
}

fn written(operation: &Operation, refusals: &mut Refusals) -> Value {
    let mut responses = Map::new();
    for (status, description, content, headers) in &operation.answers {
        let mut response = json!({ "description": description, "headers": with_common(headers) });
        if let (Some(content), Some(response)) = (content, response.as_object_mut()) {
            response.insert("content".to_owned(), content.clone());
        }
        responses.insert(status.clone(), response);
    }
    for (status, problems) in by_status(&operation.problems) {
        let refused = refusals.refer(status, &problems, operation.passes);
        responses.insert(status.to_string(), refused);
    }
    let mut written = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": operation.parameters,
        "responses": responses,
        "security": match operation.access {
            Access::Anyone => json!([]),
            Access::Person(scope) => {
                let scopes: Vec<&str> = scope.iter().map(|scope| scope.as_str()).collect();
                json!([{ "bearer": scopes }])
            }
        },
    });
    if let (Some(body), Some(written)) = (&operation.body, written.as_object_mut()) {
        written.insert("requestBody".to_owned(), body.clone());
    }
    written
}

fn by_status(problems: &[Problem]) -> BTreeMap<u16, Vec<&Problem>> {
    let mut by_status: BTreeMap<u16, Vec<&Problem>> = BTreeMap::new();
    for problem in problems {
        by_status.entry(problem.status()).or_default().push(problem);
    }
    by_status
}

/// The answer of a status that several problems share, and that a service behind us may answer as well.
fn refused(status: u16, problems: &[&Problem], codes: &[&str], passes: bool) -> Value {
    let titles: Vec<&str> = problems
        .iter()
        .map(|problem| problem.document().title)
        .collect();
    // A header that only some of them have may be absent.
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, _) in problems.iter().flat_map(|problem| problem.headers()) {
        let count = counts.entry(name).or_default();
        *count = count.saturating_add(1);
    }
    let mut headers: Map<String, Value> = counts
        .into_iter()
        .map(|(name, count)| {
            let always = count == problems.len() && !passes;
            let header = json!({ "required": always, "schema": { "type": "string" } });
            (name.to_owned(), header)
        })
        .collect();
    if status == 429 {
        headers.extend(operation::metered());
    }
    let mut content = json!({ crate::problem::MEDIA_TYPE: { "schema": {
        "allOf": [
            { "$ref": "#/components/schemas/ProblemDocument" },
            { "properties": { "status": { "const": status }, "code": { "enum": codes } } },
        ],
    } } });
    if let (true, Some(content)) = (passes, content.as_object_mut()) {
        content.insert("*/*".to_owned(), json!({}));
    }
    json!({
        "description": titles.join("; "),
        "headers": with_common(&headers),
        "content": content,
    })
}

/// The headers of every answer.
const COMMON: [(&str, &str); 2] = [
    (
        "Legis-Contract",
        "Version and fingerprint of plans, rules and schemas.",
    ),
    ("X-Request-Id", "The name of the request in the log."),
];

fn common() -> Map<String, Value> {
    let header = |(name, description): (&str, &str)| {
        let text = json!({ "type": "string" });
        let header = json!({ "required": true, "description": description, "schema": text });
        (name.to_owned(), header)
    };
    COMMON.into_iter().map(header).collect()
}

/// `headers`, and those of every answer.
fn with_common(headers: &Map<String, Value>) -> Map<String, Value> {
    let refer = |(name, _): (&str, &str)| {
        let reference = json!({ "$ref": format!("#/components/headers/{name}") });
        (name.to_owned(), reference)
    };
    COMMON
        .into_iter()
        .map(refer)
        .chain(headers.clone())
        .collect()
}
