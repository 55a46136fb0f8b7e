//! What answers look like: core's types by reference, and the few objects that the worker puts together, spelled out.

use crate::{
    account, audit, auth, call, change, contract, doctor, mcp, plan, problem, quota, report, time,
    violation,
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// The schemas of answers, and those they refer to.
pub(super) struct Answers(SchemaGenerator);

/// An object with members that are always there and members that may be absent.
fn object(required: Value, optional: Value) -> Value {
    let members = |value| match value {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let mut properties = members(required);
    let names: Vec<String> = properties.keys().cloned().collect();
    properties.extend(members(optional));
    json!({ "type": "object", "properties": properties, "required": names })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn word(choices: &[&str]) -> Value {
    json!({ "enum": choices })
}

/// The schema, or null.
fn nullable(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

impl Answers {
    pub(super) fn new() -> Self {
        let settings = SchemaSettings::draft2020_12()
            .for_serialize()
            .with(|settings| settings.definitions_path = "/components/schemas".into());
        let mut answers = Self(settings.into_generator());
        answers.of::<problem::ProblemDocument>();
        answers
    }

    /// The schemas that were referred to.
    pub(super) fn definitions(mut self) -> Map<String, Value> {
        self.0.take_definitions(true)
    }

    /// A type of core's.
    fn of<T: JsonSchema>(&mut self) -> Value {
        self.0.subschema_for::<T>().to_value()
    }

    fn moment(&mut self) -> Value {
        self.of::<time::Timestamp>()
    }

    pub(super) fn health(&mut self) -> Value {
        object(
            json!({ "status": word(&["ok"]), "timestamp": self.moment() }),
            json!({}),
        )
    }

    pub(super) fn ready(&mut self) -> Value {
        let run = object(
            json!({
                "task": text(),
                "outcome": word(&["running", "succeeded", "failed"]),
                "startedAt": self.moment(),
                "finishedAt": nullable(self.moment()),
            }),
            json!({}),
        );
        object(
            json!({
                "status": word(&["ok"]),
                "timestamp": self.moment(),
                "schema": text(),
                "contract": self.of::<contract::Contract>(),
                "cron": list(run),
                "webhooks": object(json!({ "failed": count(), "pending": count() }), json!({})),
            }),
            json!({}),
        )
    }

    pub(super) fn registered(&mut self) -> Value {
        object(
            json!({ "user": self.of::<account::RegisteredUser>() }),
            json!({}),
        )
    }

    /// The claims of the token are members as well, whatever they are.
    pub(super) fn me(&mut self) -> Value {
        let claims = object(json!({ "sub": text() }), json!({}));
        let cycle = object(
            json!({}),
            json!({
                "billing_cycle_end": nullable(self.moment()),
                "days_until_reset": { "type": ["integer", "null"] },
                "has_usage_left": flag(),
                "usage_percent": { "type": "number" },
            }),
        );
        json!({ "allOf": [claims, self.of::<account::MeQuota>(), cycle] })
    }

    pub(super) fn profile(&mut self) -> Value {
        self.of::<account::Profile>()
    }

    pub(super) fn account(&mut self) -> Value {
        self.of::<account::Account>()
    }

    pub(super) fn usage(&mut self) -> Value {
        object(
            json!({ "stats": self.of::<Vec<report::EndpointUsage>>() }),
            json!({}),
        )
    }

    pub(super) fn tool_calls(&mut self) -> Value {
        self.of::<report::ToolCalls>()
    }

    pub(super) fn logged(&mut self) -> Value {
        let log = json!({ "id": text(), "timestamp": self.moment(), "over_limit": flag() });
        object(
            json!({ "success": { "const": true }, "log": object(log, json!({})) }),
            json!({}),
        )
    }

    pub(super) fn reserved(&mut self) -> Value {
        object(
            json!({ "id": text(), "decision": self.of::<quota::Decision>() }),
            json!({}),
        )
    }

    pub(super) fn settled(&mut self) -> Value {
        let status = self.of::<call::CallStatus>();
        object(
            json!({ "id": text(), "status": status, "cost": count() }),
            json!({}),
        )
    }

    pub(super) fn plans(&mut self) -> Value {
        let plans = self.of::<Vec<plan::Plan>>();
        object(
            json!({ "success": { "const": true }, "plans": plans }),
            json!({}),
        )
    }

    pub(super) fn plan(&mut self) -> Value {
        let plan = self.of::<plan::Plan>();
        object(
            json!({ "success": { "const": true }, "plan": plan }),
            json!({}),
        )
    }

    pub(super) fn auth_config(&mut self) -> Value {
        self.of::<auth::issuer::PublicAuthConfig>()
    }

    pub(super) fn decision(&mut self) -> Value {
        self.of::<quota::Decision>()
    }

    pub(super) fn change(&mut self) -> Value {
        self.of::<change::ChangePreview>()
    }

    /// What the package's `validate` says.
    pub(super) fn validated(&mut self) -> Value {
        let issues = self.of::<Vec<violation::Issue<'static>>>();
        json!({ "oneOf": [
            object(json!({ "ok": { "const": true }, "value": {} }), json!({})),
            object(json!({ "ok": { "const": false }, "issues": issues }), json!({})),
        ] })
    }

    pub(super) fn received(&mut self) -> Value {
        object(json!({ "received": { "const": true } }), json!({}))
    }

    /// A page of the payment service's.
    pub(super) fn payment_page(&mut self) -> Value {
        object(
            json!({ "url": { "type": "string", "format": "uri" } }),
            json!({}),
        )
    }

    pub(super) fn webhooks(&mut self) -> Value {
        let event = object(
            json!({
                "event": text(),
                "type": text(),
                "status": word(&["pending", "processed", "failed"]),
                "attempts": count(),
                "alerts": list(text()),
                "receivedAt": self.moment(),
            }),
            json!({
                "error": text(),
                "customer": text(),
                "nextAttemptAt": self.moment(),
                "processedAt": self.moment(),
            }),
        );
        object(json!({ "events": list(event) }), json!({ "next": count() }))
    }

    fn run(&mut self) -> Value {
        object(
            json!({ "id": text(), "startedAt": self.moment(), "checked": count() }),
            json!({ "finishedAt": self.moment() }),
        )
    }

    /// How often each code was found.
    fn counts(&mut self) -> Value {
        list(object(
            json!({
                "code": self.of::<audit::Code>(),
                "severity": self.of::<audit::Severity>(),
                "findings": count(),
                "repairable": count(),
                "repaired": count(),
            }),
            json!({}),
        ))
    }

    pub(super) fn audit(&mut self) -> Value {
        let finding = object(
            json!({
                "code": self.of::<audit::Code>(),
                "subject": text(),
                "severity": self.of::<audit::Severity>(),
                "meaning": text(),
                "facts": { "type": "object" },
                "remedy": text(),
            }),
            json!({ "repair": self.of::<audit::repair::Repair>(), "repairedAt": self.moment() }),
        );
        object(
            json!({ "counts": self.counts(), "findings": list(finding) }),
            json!({ "run": self.run(), "done": flag(), "next": text() }),
        )
    }

    pub(super) fn audited(&mut self) -> Value {
        object(
            json!({ "run": self.run(), "done": flag(), "counts": self.counts() }),
            json!({}),
        )
    }

    pub(super) fn repaired(&mut self) -> Value {
        let repair = object(
            json!({
                "code": self.of::<audit::Code>(),
                "subject": text(),
                "repair": text(),
                "outcome": word(&["repaired", "stale", "failed"]),
            }),
            json!({}),
        );
        object(
            json!({ "repairs": list(repair) }),
            json!({ "next": text() }),
        )
    }

    pub(super) fn identities(&mut self) -> Value {
        object(json!({ "listing": text(), "received": count() }), json!({}))
    }

    pub(super) fn user_of(&mut self) -> Value {
        let event = object(
            json!({
                "event": text(),
                "type": text(),
                "status": word(&["pending", "processed", "failed"]),
                "receivedAt": self.moment(),
            }),
            json!({}),
        );
        let billing = object(
            json!({
                "status": text(),
                "alerts": list(text()),
                "events": list(event),
            }),
            json!({ "customer": text() }),
        );
        let finding = object(
            json!({ "code": self.of::<audit::Code>(), "repaired": flag() }),
            json!({}),
        );
        let action = object(
            json!({ "action": text(), "by": text(), "at": self.moment() }),
            json!({}),
        );
        let meter = object(
            json!({ "account": self.account(), "askedAt": self.moment() }),
            json!({}),
        );
        object(
            json!({
                "database": self.account(),
                "administrator": flag(),
                "billing": billing,
                "findings": list(finding),
                "actions": list(action),
            }),
            json!({ "meter": meter }),
        )
    }

    pub(super) fn doctor(&mut self) -> Value {
        object(
            json!({
                "timestamp": self.moment(),
                "origins": list(text()),
                "mode": { "enum": ["test", "live", null] },
                "checks": self.of::<Vec<doctor::Check>>(),
            }),
            json!({}),
        )
    }

    pub(super) fn resource(&mut self) -> Value {
        self.of::<mcp::resource::ResourceMetadata>()
    }
}
