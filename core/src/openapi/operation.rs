//! How an operation is described.

use crate::auth::{Scope, Unauthenticated};
use crate::entitlement::Entitlement;
use crate::header;
use crate::problem::{Dependency, Problem};
use crate::quota::{Cost, Decision, Usage, decide};
use crate::time::Timestamp;
use serde_json::{Map, Value, json};

/// Who may ask.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access {
    Anyone,
    /// A person, whose token is good for the scope.
    Person(Option<Scope>),
}

/// A status, what it means, the body, and headers.
type Answer = (String, &'static str, Option<Value>, Map<String, Value>);

/// What is said of a method of a path.
#[derive(Debug)]
pub struct Operation {
    pub(super) id: String,
    pub(super) summary: &'static str,
    /// The method.
    pub method: &'static str,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    pub(super) access: Access,
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Value>,
    pub(super) answers: Vec<Answer>,
    pub(super) problems: Vec<Problem>,
    /// Whether what a service behind it answers is handed on.
    pub(super) passes: bool,
}

impl Operation {
    /// An operation for anyone. A fault of ours is always possible, and so is too much of it.
    pub(super) fn new(
        id: impl Into<String>,
        method: &'static str,
        path: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            id: id.into(),
            summary,
            method,
            path,
            access: Access::Anyone,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems: vec![Problem::Internal, Problem::TooManyRequests],
            passes: false,
        }
    }

    /// It may be asked without end.
    pub(super) fn free(mut self) -> Self {
        self.problems
            .retain(|problem| !matches!(problem, Problem::TooManyRequests));
        self
    }

    /// It needs the configuration, and with it the database.
    pub(super) fn configured(self) -> Self {
        self.refused([
            Problem::SchemaMismatch,
            Problem::Misconfigured,
            Problem::Unavailable(Dependency::Database),
            Problem::TimedOut(Dependency::Database),
        ])
    }

    /// It is for people with a token.
    pub(super) fn person(mut self, scope: Option<Scope>) -> Self {
        self.access = Access::Person(scope);
        let scoped = scope.map(Problem::InsufficientScope);
        self.configured()
            .refused([
                Problem::Unauthenticated(Unauthenticated::Missing),
                Problem::MachineCaller,
            ])
            .refused(scoped)
    }

    /// It is for administrators.
    pub(super) fn administrator(self) -> Self {
        self.person(Some(Scope::Admin))
            .refused([Problem::NotAdministrator])
    }

    /// It may be refused because nothing is left, and can be sent again under a key.
    pub(super) fn metered(self) -> Self {
        self.keyed().refused(exhausted())
    }

    /// It can be sent again under a key.
    pub(super) fn keyed(mut self) -> Self {
        self.parameters.push(json!({
            "name": header::IDEMPOTENCY_KEY,
            "in": "header",
            "description": "The caller's name for a call that may be sent twice: it is charged once.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        }));
        self.refused([
            Problem::InvalidParameter(""),
            Problem::KeyReused,
            Problem::KeyWornOut,
            Problem::CallInProgress,
        ])
    }

    /// A parameter of the query.
    pub(super) fn query(mut self, name: &str, description: &str, schema: Value) -> Self {
        self.parameters.push(json!({
            "name": name, "in": "query", "description": description, "schema": schema,
        }));
        self.refused([Problem::InvalidParameter("")])
    }

    /// The query must have the parameter of that name.
    pub(super) fn required(mut self, name: &str) -> Self {
        for parameter in &mut self.parameters {
            if let Some(said) = parameter.as_object_mut()
                && said.get("name").is_some_and(|known| known == name)
            {
                said.insert("required".to_owned(), true.into());
            }
        }
        self
    }

    /// A part of the path.
    pub(super) fn part(mut self, name: &str, description: &str, schema: Value) -> Self {
        self.parameters.push(json!({
            "name": name, "in": "path", "required": true, "description": description, "schema": schema,
        }));
        self
    }

    /// It reads a JSON body, which breaks rules or not.
    pub(super) fn payload(self, required: bool, schema: &Value) -> Self {
        self.json(required, schema).refused([
            Problem::InvalidPayload(Vec::new()),
            Problem::MalformedJson(Vec::new()),
        ])
    }

    /// It reads a JSON body.
    pub(super) fn json(mut self, required: bool, schema: &Value) -> Self {
        self.body = Some(json!({
            "required": required,
            "content": { "application/json": { "schema": super::forms::spelled_out(schema) } },
        }));
        self.refused([
            Problem::BodyTimedOut,
            Problem::PayloadTooLarge(0),
            Problem::UnsupportedMediaType,
        ])
    }

    /// It answers JSON.
    pub(super) fn answers(self, status: u16, description: &'static str, schema: Value) -> Self {
        self.answers_with(status, description, schema, Map::new())
    }

    /// It answers JSON with these headers.
    pub(super) fn answers_with(
        mut self,
        status: u16,
        description: &'static str,
        schema: Value,
        headers: Map<String, Value>,
    ) -> Self {
        let content = json!({ "application/json": { "schema": schema } });
        self.answers
            .push((status.to_string(), description, Some(content), headers));
        self
    }

    /// It answers text of a type.
    pub(super) fn answers_text(mut self, description: &'static str, media_type: &str) -> Self {
        let content = json!({ media_type: { "schema": { "type": "string" } } });
        let status = "200".to_owned();
        self.answers
            .push((status, description, Some(content), Map::new()));
        self
    }

    /// It hands on what a service behind it answers, which nobody here knows.
    pub(super) fn passes_on(
        mut self,
        description: &'static str,
        headers: Map<String, Value>,
    ) -> Self {
        self.passes = true;
        let content = json!({ "*/*": {} });
        for statuses in ["2XX", "default"] {
            self.answers.push((
                statuses.to_owned(),
                description,
                Some(content.clone()),
                headers.clone(),
            ));
        }
        self
    }

    /// It may answer these problems. One of several that share status and code is enough.
    pub(super) fn refused(mut self, problems: impl IntoIterator<Item = Problem>) -> Self {
        for problem in problems {
            if !self
                .problems
                .iter()
                .any(|known| known.code() == problem.code() && known.status() == problem.status())
            {
                self.problems.push(problem);
            }
        }
        self
    }
}

/// The problem of a user who has nothing left.
fn exhausted() -> Option<Problem> {
    let start = Timestamp::from_millis(0)?;
    let mut usage = Usage::none(start);
    usage.lifetime.used = u64::MAX;
    match decide(&Entitlement::free(start), &usage, Cost::ONE, start) {
        Decision::Refuse(refusal) => Some(Problem::QuotaExceeded(Box::new(refusal))),
        Decision::Admit(_) => None,
    }
}

/// The headers of a metered answer (`crate::refusal::headers`). None is sent where the allowance is unlimited.
pub(super) fn metered() -> Map<String, Value> {
    let described = |name: &str, schema: Value| (name.to_owned(), json!({ "schema": schema }));
    let (text, number) = (
        json!({ "type": "string" }),
        json!({ "type": "integer", "minimum": 0 }),
    );
    [
        described(header::RATE_LIMIT_POLICY, text.clone()),
        described(header::RATE_LIMIT, text),
        described(header::LIMIT, number.clone()),
        described(header::REMAINING, number.clone()),
        described(header::RESET, number.clone()),
        described(header::RETRY_AFTER, number),
    ]
    .into_iter()
    .collect()
}

/// Those, and the id of the call.
pub(super) fn admitted(always: bool) -> Map<String, Value> {
    let mut headers = metered();
    headers.remove(header::RETRY_AFTER);
    let id = json!({ "required": always, "schema": { "type": "string", "format": "uuid" } });
    headers.insert(header::CALL.to_owned(), id);
    headers
}
