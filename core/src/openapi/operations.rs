//! What is said of every address, in the order of [`crate::route::Route`].

use super::Payloads;
use super::answers::Answers;
use super::operation::{Operation, admitted};
use crate::audit;
use crate::auth::Scope;
use crate::ledger::Outcome;
use crate::payload::AuthClient;
use crate::plan::PlanId;
use crate::problem::{Dependency, Problem};
use serde_json::{Value, json};

/// Every operation.
pub(super) fn every(answers: &mut Answers, payloads: &Payloads) -> Vec<Operation> {
    let payload = |name: &str| payloads.get(name).cloned().unwrap_or(Value::Bool(false));
    [
        state(answers),
        user(answers, &payload("registration")),
        reports(answers, &payload("toolCall")),
        calls(answers, &payload("callRequest"), &payload("callSettlement")),
        catalog(answers),
        evaluation(
            answers,
            &payload("decisionRequest"),
            &payload("changeRequest"),
            payloads,
        ),
        money(
            answers,
            &payload("checkoutRequest"),
            &payload("portalRequest"),
        ),
        administration(answers),
        mcp(answers),
        data(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A whole number of a query.
fn number(min: u32, max: u32) -> Value {
    json!({ "type": "integer", "minimum": min, "maximum": max })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn one_of(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

/// What those may answer that ask a user's meter.
fn meter() -> [Problem; 2] {
    [
        Problem::Unavailable(Dependency::Meter),
        Problem::TimedOut(Dependency::Meter),
    ]
}

fn state(answers: &mut Answers) -> Vec<Operation> {
    vec![
        Operation::new(
            "health",
            "GET",
            "/api/health",
            "Whether the process answers",
        )
        .free()
        .answers(200, "It does.", answers.health()),
        Operation::new(
            "health_short",
            "GET",
            "/health",
            "The same, where old clients look for it",
        )
        .free()
        .answers(200, "It does.", answers.health()),
        Operation::new(
            "ready",
            "GET",
            "/api/ready",
            "Whether everything that is needed is there",
        )
        .configured()
        .answers(200, "It is.", answers.ready()),
    ]
}

fn user(answers: &mut Answers, registration: &Value) -> Vec<Operation> {
    vec![
        Operation::new(
            "register",
            "POST",
            "/api/users/register",
            "Registers the caller; again is harmless",
        )
        .person(None)
        .payload(false, registration)
        .refused(meter())
        .answers(200, "The user, new or known.", answers.registered()),
        Operation::new(
            "me",
            "GET",
            "/api/me",
            "The token's claims and where the user stands",
        )
        .person(None)
        .query(
            "check_billing_cycle",
            "Whether to tell of the billing cycle as well.",
            one_of(&["true", "false", "1", "0"]),
        )
        .refused(meter())
        .answers(200, "Claims and quota, flat.", answers.me()),
        Operation::new(
            "profile",
            "GET",
            "/api/user/profile",
            "The user's row joined with the plan's",
        )
        .person(None)
        .refused(meter())
        .answers(200, "The profile.", answers.profile()),
        Operation::new(
            "account",
            "GET",
            "/api/account",
            "Everything a decision needs",
        )
        .person(None)
        .refused(meter())
        .answers(200, "The account.", answers.account()),
    ]
}

/// An operation that reports on so many days.
fn reporting(operation: Operation) -> Operation {
    operation
        .person(None)
        .query(
            "days",
            "How many days back; 30 when absent.",
            number(1, 400),
        )
        .query(
            "limit",
            "How many lines at most; 20 when absent.",
            number(1, 100),
        )
        .query(
            "offset",
            "How many lines to leave out.",
            number(0, 1_000_000),
        )
}

fn reports(answers: &mut Answers, tool_call: &Value) -> Vec<Operation> {
    vec![
        reporting(Operation::new(
            "usage",
            "GET",
            "/api/usage",
            "The calls of the user, by address",
        ))
        .answers(200, "The figures.", answers.usage()),
        reporting(Operation::new(
            "tool_calls",
            "GET",
            "/api/mcp/logs",
            "The tool calls of the user",
        ))
        .answers(200, "A page of them, and figures.", answers.tool_calls()),
        Operation::new(
            "log_tool_call",
            "POST",
            "/api/mcp/logs",
            "Logs a tool call that was made, which costs one call",
        )
        .person(None)
        .payload(true, tool_call)
        .keyed()
        .refused(meter())
        .answers_with(
            201,
            "It is kept, and marked where nothing was left.",
            answers.logged(),
            admitted(true),
        ),
    ]
}

fn calls(answers: &mut Answers, request: &Value, settlement: &Value) -> Vec<Operation> {
    let unsettled = Outcome {
        status: crate::call::CallStatus::Success,
        cost: 1,
    };
    vec![
        Operation::new(
            "reserve_call",
            "POST",
            "/api/calls",
            "Reserves a call that a service is about to make",
        )
        .person(None)
        .payload(false, request)
        .metered()
        .refused(meter())
        .refused([Problem::UnknownClient])
        .answers_with(201, "It may be made.", answers.reserved(), admitted(true)),
        Operation::new(
            "settle_call",
            "PATCH",
            "/api/calls/{id}",
            "Tells how a reserved call ended",
        )
        .person(None)
        .part("id", "The call's.", text())
        .payload(true, settlement)
        .refused(meter())
        .refused([Problem::UnknownCall, Problem::CallSettled(unsettled)])
        .answers(200, "What it cost in the end.", answers.settled()),
    ]
}

fn catalog(answers: &mut Answers) -> Vec<Operation> {
    let clients = [AuthClient::Frontend, AuthClient::McpServer].map(AuthClient::as_str);
    vec![
        Operation::new("plans", "GET", "/api/config/plans", "Every plan")
            .configured()
            .answers(
                200,
                "The plans, in the order they are shown.",
                answers.plans(),
            ),
        Operation::new("plan", "GET", "/api/config/plans/{name}", "One plan")
            .configured()
            .part("name", "Any of its names.", text())
            .refused(PlanId::resolve("").map_err(Problem::UnknownPlan).err())
            .answers(200, "The plan.", answers.plan()),
        Operation::new(
            "auth_config",
            "GET",
            "/api/config/auth/{client}",
            "Where a client gets its tokens",
        )
        .configured()
        .part("client", "Which.", one_of(&clients))
        .refused([Problem::NotFound])
        .answers(
            200,
            "The public part of its configuration.",
            answers.auth_config(),
        ),
    ]
}

fn evaluation(
    answers: &mut Answers,
    decision: &Value,
    change: &Value,
    payloads: &Payloads,
) -> Vec<Operation> {
    let schemas: Vec<&str> = payloads.keys().copied().collect();
    vec![
        Operation::new(
            "evaluate_decision",
            "POST",
            "/api/evaluate/decision",
            "The decision on a call, computed and not counted",
        )
        .payload(true, decision)
        .answers(200, "The decision.", answers.decision()),
        Operation::new(
            "evaluate_change",
            "POST",
            "/api/evaluate/change",
            "What a change of plan would do",
        )
        .payload(true, change)
        .refused(PlanId::resolve("").map_err(Problem::UnknownPlan).err())
        .answers(200, "What it does now and later.", answers.change()),
        Operation::new(
            "evaluate_payload",
            "POST",
            "/api/evaluate/payload/{schema}",
            "Whether a payload keeps its rules",
        )
        .part("schema", "Which rules.", one_of(&schemas))
        .refused([Problem::NotFound])
        .json(false, &json!({}))
        .answers(
            200,
            "What is known of it, or what is wrong.",
            answers.validated(),
        ),
    ]
}

fn money(answers: &mut Answers, checkout: &Value, portal: &Value) -> Vec<Operation> {
    let selling = |operation: Operation| {
        operation.person(None).refused(meter()).refused([
            Problem::NotForAgents,
            Problem::PaymentsNotOffered,
            Problem::InvalidParameter(""),
            Problem::PaymentRefused,
            Problem::Unavailable(Dependency::Stripe),
            Problem::TimedOut(Dependency::Stripe),
        ])
    };
    let signature = json!({
        "name": "Stripe-Signature", "in": "header", "required": true, "schema": text(),
        "description": "Over the raw body, not older than five minutes.",
    });
    let mut webhook = Operation::new(
        "stripe_webhook",
        "POST",
        "/api/webhooks/stripe",
        "Takes an event of Stripe's",
    )
    .configured()
    .json(true, &json!({ "type": "object" }))
    .refused([
        Problem::Unverified,
        Problem::NotAnEvent,
        Problem::WrongMode,
        Problem::EventNotApplied,
    ])
    .answers(
        200,
        "It is stored, and applied or waits.",
        answers.received(),
    );
    webhook.parameters.push(signature);
    vec![
        webhook,
        selling(Operation::new(
            "checkout",
            "POST",
            "/api/billing/checkout",
            "Begins to pay for a plan",
        ))
        .payload(true, checkout)
        .refused(PlanId::resolve("").map_err(Problem::UnknownPlan).err())
        .refused([
            Problem::NotSold,
            Problem::AlreadySubscribed,
            Problem::NotManagedHere,
        ])
        .answers(201, "Where to pay.", answers.payment_page()),
        selling(Operation::new(
            "portal",
            "POST",
            "/api/billing/portal",
            "Opens what changes a subscription",
        ))
        .payload(false, portal)
        .refused([Problem::NoCustomer, Problem::NotManagedHere])
        .answers(201, "Where to change it.", answers.payment_page()),
    ]
}

fn administration(answers: &mut Answers) -> Vec<Operation> {
    let codes: Vec<&str> = audit::Code::ALL.iter().map(|code| code.as_str()).collect();
    let run = "An audit's id.";
    let after = "The next of an answer.";
    vec![
        Operation::new(
            "webhooks",
            "GET",
            "/api/admin/webhooks",
            "Events of Stripe's, the latest first",
        )
        .administrator()
        .query(
            "status",
            "Which; those somebody should look at when absent.",
            one_of(&["failed", "pending", "alerting", "all"]),
        )
        .query("limit", "How many at most; 50 when absent.", number(1, 200))
        .query("before", after, number(1, u32::MAX))
        .answers(200, "A page of them.", answers.webhooks()),
        Operation::new("audit", "GET", "/api/admin/audit", "What an audit found")
            .administrator()
            .query(
                "run",
                "An audit's id; the latest that is finished when absent.",
                text(),
            )
            .query("code", "Only findings of this code.", one_of(&codes))
            .query(
                "limit",
                "How many findings at most; 100 when absent.",
                number(1, 500),
            )
            .query("after", after, text())
            .refused([Problem::NotFound])
            .answers(200, "A page of findings.", answers.audit()),
        Operation::new(
            "run_audit",
            "POST",
            "/api/admin/audit",
            "Begins an audit, or goes on with one",
        )
        .administrator()
        .query("run", "The one to go on with.", text())
        .refused([Problem::NotFound])
        .answers(200, "How far it is.", answers.audited()),
        Operation::new(
            "repair",
            "POST",
            "/api/admin/repair",
            "Makes the repairs of a finished audit, or one of them",
        )
        .administrator()
        .query("run", run, text())
        .required("run")
        .refused([Problem::NotFound])
        .query(
            "code",
            "With subject: the finding to repair.",
            one_of(&codes),
        )
        .query("subject", "With code: the finding to repair.", text())
        .query("after", after, text())
        .answers(200, "What became of each.", answers.repaired()),
        Operation::new(
            "identities",
            "POST",
            "/api/admin/identities",
            "Takes part of a listing of everybody the issuer knows",
        )
        .administrator()
        .query(
            "listing",
            "Which it is part of; a new one when absent.",
            text(),
        )
        .query(
            "last",
            "Whether it is complete with this.",
            one_of(&["true", "false"]),
        )
        .json(
            true,
            &json!({ "type": "array", "items": text(), "maxItems": 5000 }),
        )
        .refused([Problem::NotFound])
        .answers(200, "It is stored.", answers.identities()),
        Operation::new(
            "doctor",
            "GET",
            "/api/admin/doctor",
            "Whether the deployment is as it should be",
        )
        .administrator()
        .answers(200, "Check by check.", answers.doctor()),
        Operation::new(
            "metrics",
            "GET",
            "/api/admin/metrics",
            "What an operator watches, for Prometheus; METRICS_TOKEN is taken as well",
        )
        .administrator()
        .answers_text("The figures.", crate::metrics::MEDIA_TYPE),
        Operation::new(
            "user_of",
            "GET",
            "/api/admin/users/{sub}",
            "Everything that is known of a user; that somebody looked is recorded",
        )
        .administrator()
        .part("sub", "Whose.", text())
        .refused(meter())
        .refused([Problem::NotFound])
        .answers(
            200,
            "As the database has it, and as the meter has it.",
            answers.user_of(),
        ),
    ]
}

fn mcp(answers: &mut Answers) -> Vec<Operation> {
    let gateway = |id, method, summary| {
        Operation::new(id, method, "/mcp", summary)
            .person(Some(crate::mcp::resource::SCOPE))
            .refused(meter())
            .refused([
                Problem::NotFound,
                Problem::ForeignOrigin,
                Problem::UnknownSession,
                Problem::BadGateway(Dependency::McpServer),
                Problem::TimedOut(Dependency::McpServer),
            ])
            .passes_on("What the MCP server answers.", admitted(false))
    };
    let message = json!({
        "type": "object",
        "properties": { "jsonrpc": { "const": "2.0" }, "method": text() },
        "required": ["jsonrpc"],
    });
    let metadata = |id, path| {
        Operation::new(id, "GET", path, "Who issues tokens for it (RFC 9728)")
            .configured()
            .refused([Problem::NotFound])
    };
    vec![
        gateway(
            "mcp",
            "POST",
            "A message to the MCP server; a tool call is metered",
        )
        .json(true, &message)
        .metered(),
        gateway(
            "mcp_stream",
            "GET",
            "What the MCP server has to say by itself",
        ),
        gateway("mcp_end", "DELETE", "Ends a session"),
        metadata("resource_metadata", "/.well-known/oauth-protected-resource").answers(
            200,
            "The metadata of the API.",
            answers.resource(),
        ),
        metadata(
            "resource_metadata_mcp",
            "/.well-known/oauth-protected-resource/mcp",
        )
        .answers(200, "The metadata of the MCP gateway.", answers.resource()),
    ]
}

/// The data routes: both methods of a collection and of what is in it.
fn data() -> Vec<Operation> {
    [
        (Scope::ReadBills, "bills", "/api/bills", "/api/bills/{path}"),
        (Scope::ReadMembers, "members", "/api/members", "/api/members/{path}"),
        (Scope::ReadVotes, "votes", "/api/votes", "/api/votes/{path}"),
        (Scope::ReadCommittees, "committees", "/api/committees", "/api/committees/{path}"),
    ]
    .into_iter()
    .flat_map(|(scope, name, collection, below)| {
        let passed = |id: String, method, path| {
            Operation::new(id, method, path, "Metered, then passed on to the data service, the query included")
                .person(Some(scope))
                .metered()
                .refused(meter())
                .refused([
                    Problem::BadGateway(Dependency::Upstream),
                    Problem::TimedOut(Dependency::Upstream),
                ])
                .passes_on("What the data service answers.", admitted(false))
        };
        // A path of several segments is one as well, which a template cannot say.
        let segment = json!({
            "type": "string", "minLength": 1, "pattern": r"^[^/\\%\u0000-\u001f\u007f-\u009f.][^/\\%\u0000-\u001f\u007f-\u009f]*$",
        });
        let within = |operation: Operation| {
            operation
                .part("path", "What of it.", segment.clone())
                .refused([Problem::NotFound])
        };
        [
            passed(format!("read_{name}"), "GET", collection),
            passed(format!("post_{name}"), "POST", collection),
            within(passed(format!("read_{name}_below"), "GET", below)),
            within(passed(format!("post_{name}_below"), "POST", below)),
        ]
    })
    .collect()
}
