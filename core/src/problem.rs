//! Every error a caller can get, as a problem document (RFC 9457).

use crate::auth::{Scope, Unauthenticated};
use crate::header;
use crate::ledger::Outcome;
use crate::plan::UnknownPlan;
use crate::quota::Refusal;
use crate::violation::{ProblemError, Violation};
use serde::Serialize;

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong, as a caller needs to know it. What only an operator needs stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The body is JSON that breaks rules.
    InvalidPayload(Vec<Violation>),
    /// The body is not JSON.
    MalformedJson(Vec<Violation>),
    /// The body is longer than so many bytes.
    PayloadTooLarge(usize),
    /// The body is declared as something else than JSON.
    UnsupportedMediaType,
    /// A parameter of the query is wrong.
    InvalidParameter(&'static str),
    /// The key names another call.
    KeyReused,
    /// The key was sent too often.
    KeyWornOut,
    /// The call of that key is still running.
    CallInProgress,
    /// The tool of that key's call ran.
    CallMade,
    /// The token does not say which client it was issued to.
    UnknownClient,
    /// No open call of the caller has that id.
    UnknownCall,
    /// The call was settled before, in another way.
    CallSettled(Outcome),
    /// The body did not come in time.
    BodyTimedOut,
    /// Who calls is not known.
    Unauthenticated(Unauthenticated),
    /// The token lacks a scope.
    InsufficientScope(Scope),
    /// A program's token where only people are served.
    MachineCaller,
    /// The caller is no administrator.
    NotAdministrator,
    /// A page of another origin than those that are allowed.
    ForeignOrigin,
    /// No session of the caller's has that id.
    UnknownSession,
    /// A token of the MCP server's where money is spent.
    NotForAgents,
    /// The payment service does not take what it was asked for.
    PaymentRefused,
    /// A webhook whose signature does not fit.
    Unverified,
    /// A webhook that is no event of Stripe's.
    NotAnEvent,
    /// An event of the other mode than the deployment's.
    WrongMode,
    /// An event that is stored and could not be applied yet.
    EventNotApplied,
    /// Nothing is sold here.
    PaymentsNotOffered,
    /// The plan is not sold by that interval.
    NotSold,
    /// Who has a subscription changes it, and gets no second one.
    AlreadySubscribed,
    /// Who never paid has nothing to look at.
    NoCustomer,
    /// Whoever has a plan that is not paid here changes it elsewhere.
    NotManagedHere,
    /// Nothing is at this address.
    NotFound,
    /// Nothing is at this address for this method: the value of `Allow`.
    MethodNotAllowed(&'static str),
    /// No plan has that name.
    UnknownPlan(UnknownPlan),
    /// Nothing is left.
    QuotaExceeded(Box<Refusal>),
    /// An address sends too much of which nobody knows who sends it.
    TooManyRequests,
    /// The database does not fit this release.
    SchemaMismatch,
    /// A configuration value is missing or wrong; which one stands in the log.
    Misconfigured,
    /// Something we need does not answer.
    Unavailable(Dependency),
    /// Something we need does not answer in time.
    TimedOut(Dependency),
    /// What a call is passed on to cannot be reached.
    BadGateway(Dependency),
    /// A fault of ours.
    Internal,
}

/// What we need to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependency {
    /// The database.
    Database,
    /// The caller's meter.
    Meter,
    /// The identity issuer's keys.
    Issuer,
    /// The data service behind us.
    Upstream,
    /// The MCP server behind us.
    McpServer,
    /// Stripe's API.
    Stripe,
}

impl Dependency {
    const fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Meter => "meter",
            Self::Issuer => "identity issuer",
            Self::Upstream => "data service",
            Self::McpServer => "MCP server",
            Self::Stripe => "payment service",
        }
    }
}

/// A problem document.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProblemDocument {
    /// The kind of problem, for programs.
    pub r#type: String,
    /// The kind of problem, for people.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What to do about it.
    pub detail: String,
    /// The kind of problem, short.
    pub code: &'static str,
    /// What is wrong with the payload.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub errors: Vec<ProblemError>,
    /// The policies that were violated (RateLimit draft).
    #[serde(rename = "violated-policies", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub violated_policies: Vec<&'static str>,
    /// The refusal, where the quota is the problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub decision: Option<crate::quota::Decision>,
}

impl Problem {
    /// Status, short name and title.
    const fn kind(&self) -> (u16, &'static str, &'static str) {
        match self {
            Self::MalformedJson(_) => (400, "malformed_json", "The body is not JSON"),
            Self::InvalidParameter(_) => (400, "invalid_parameter", "A parameter is wrong"),
            Self::Unverified => (400, "unverified", "The signature does not fit"),
            Self::NotAnEvent => (400, "not_an_event", "The body is no event"),
            Self::WrongMode => (400, "wrong_mode", "The event is of another mode"),
            Self::Unauthenticated(_) => (401, "unauthenticated", "Who calls is not known"),
            Self::InsufficientScope(_) => (403, "insufficient_scope", "The token lacks a scope"),
            Self::MachineCaller => (403, "machine_caller", "This is for people"),
            Self::NotAdministrator => (403, "not_administrator", "This is for administrators"),
            Self::ForeignOrigin => (403, "foreign_origin", "The page's origin is not allowed"),
            Self::UnknownSession => (404, "unknown_session", "No session of yours has that id"),
            Self::UnknownClient => (403, "unknown_client", "The token names no client"),
            Self::NotForAgents => (403, "not_for_agents", "This is for the user"),
            Self::NotSold => (404, "not_sold", "The plan is not sold that way"),
            Self::NoCustomer => (404, "no_customer", "Nothing was paid yet"),
            Self::NotFound => (404, "not_found", "Nothing is at this address"),
            Self::UnknownPlan(_) => (404, "unknown_plan", "No plan has that name"),
            Self::UnknownCall => (404, "unknown_call", "No call of yours has that id"),
            Self::MethodNotAllowed(_) => (405, "method_not_allowed", "The method does not apply"),
            Self::BodyTimedOut => (408, "body_timed_out", "The body did not come in time"),
            Self::CallInProgress => (409, "call_in_progress", "The call is still running"),
            Self::CallMade => (409, "call_made", "The call was made before"),
            Self::CallSettled(_) => (409, "call_settled", "The call was settled before"),
            Self::AlreadySubscribed => {
                (409, "already_subscribed", "There is a subscription already")
            }
            Self::NotManagedHere => (409, "not_managed_here", "The plan is not managed here"),
            Self::PayloadTooLarge(_) => (413, "payload_too_large", "The body is too long"),
            Self::UnsupportedMediaType => (415, "unsupported_media_type", "The body must be JSON"),
            Self::InvalidPayload(_) => (422, "invalid_payload", "The body breaks rules"),
            Self::KeyReused => (422, "idempotency_key_reused", "The key names another call"),
            Self::KeyWornOut => (
                422,
                "idempotency_key_worn_out",
                "The key was sent too often",
            ),
            Self::QuotaExceeded(_) => (429, "quota_exceeded", "The allowance is used up"),
            Self::TooManyRequests => (429, "too_many_requests", "Too many requests"),
            Self::Internal => (500, "internal", "A fault of ours"),
            Self::EventNotApplied => (500, "event_not_applied", "The event is not applied yet"),
            Self::PaymentsNotOffered => (501, "payments_not_offered", "Nothing is sold here"),
            Self::PaymentRefused => (502, "payment_refused", "The payment service refused"),
            Self::BadGateway(_) => (502, "bad_gateway", "The service behind cannot be reached"),
            Self::SchemaMismatch => (503, "schema_mismatch", "The database does not fit"),
            Self::Misconfigured => (503, "misconfigured", "The service is not set up"),
            Self::Unavailable(_) => (503, "unavailable", "Temporarily unavailable"),
            Self::TimedOut(_) => (504, "timed_out", "No answer in time"),
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.kind().0
    }

    /// The short name.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.kind().1
    }

    fn detail(&self) -> String {
        match self {
            Self::InvalidPayload(violations) | Self::MalformedJson(violations) => {
                match violations.as_slice() {
                    [] => "Send a JSON body.".to_owned(),
                    [one] => one.code.message(),
                    many => format!("{} things are wrong; see errors.", many.len()),
                }
            }
            Self::PayloadTooLarge(max) => format!("At most {max} bytes are accepted."),
            Self::UnsupportedMediaType => {
                "Send Content-Type: application/json, and the body as it is.".to_owned()
            }
            Self::InvalidParameter(expected) => (*expected).to_owned(),
            Self::KeyReused => {
                "This Idempotency-Key was sent with another method, address or body. Use a new key for a new call."
                    .to_owned()
            }
            Self::KeyWornOut => format!(
                "A call may be sent again {} times under its Idempotency-Key. Use a new key for a new call.",
                crate::ledger::MAX_REPEATS
            ),
            Self::CallInProgress => {
                "The first call with this Idempotency-Key, or with this id in the MCP session, has no outcome yet. Try again in a moment."
                    .to_owned()
            }
            Self::CallMade => {
                "A tool is not run twice for one Idempotency-Key, and its result is not kept. Use a new key for a new call."
                    .to_owned()
            }
            Self::UnknownClient => {
                "A call is settled by the client that reserved it, so the token must say which that is: azp or client_id."
                    .to_owned()
            }
            Self::UnknownCall => {
                "A call is settled by the client that reserved it, with the same user's token.".to_owned()
            }
            Self::CallSettled(outcome) => format!(
                "Its outcome is {}, {}. An outcome is not changed once it is known.",
                outcome.status.as_str(),
                if outcome.cost > 0 { "charged" } else { "not charged" }
            ),
            Self::BodyTimedOut => "Send the whole body without a pause.".to_owned(),
            Self::Unauthenticated(reason) => reason.advice().to_owned(),
            Self::InsufficientScope(scope) => {
                format!("Ask the issuer for a token with the scope {}.", scope.as_str())
            }
            Self::MachineCaller => {
                "A program's own token has no account. Call with a user's token.".to_owned()
            }
            Self::NotAdministrator => {
                "It takes a token with the scope admin and a user who is an administrator.".to_owned()
            }
            Self::ForeignOrigin => {
                "An operator can add the origin to allowed_origins of auth_config.".to_owned()
            }
            Self::UnknownSession => {
                "Begin a new session: initialize without Mcp-Session-Id.".to_owned()
            }
            Self::NotForAgents => {
                "Plans are bought and changed with the user's own token, not with the MCP server's.".to_owned()
            }
            Self::PaymentRefused => {
                "The payment service did not take the request. Trying again does not help; an operator finds the reason in the log."
                    .to_owned()
            }
            Self::Unverified => {
                "Sign the raw body with the endpoint's secret, and send it within five minutes.".to_owned()
            }
            Self::NotAnEvent => "Send an event as Stripe does.".to_owned(),
            Self::WrongMode => {
                "This deployment takes events of one mode only, live or test. Send it to the other deployment."
                    .to_owned()
            }
            Self::EventNotApplied => {
                "The event is stored, and is applied later. Sending it again may help.".to_owned()
            }
            Self::PaymentsNotOffered => {
                "This deployment has no key of a payment service. Ask its operator for a plan.".to_owned()
            }
            Self::NotSold => "The plans and their prices are at /api/config/plans.".to_owned(),
            Self::AlreadySubscribed => {
                "Change or cancel the subscription in the customer portal: POST /api/billing/portal.".to_owned()
            }
            Self::NoCustomer => "Subscribe first: POST /api/billing/checkout.".to_owned(),
            Self::NotManagedHere => {
                "The plan was agreed with the operator of this service, or is paid in another way. Ask them to change it."
                    .to_owned()
            }
            Self::NotFound => "Check the path and its spelling.".to_owned(),
            Self::MethodNotAllowed(allow) => format!("Allowed here: {allow}."),
            Self::UnknownPlan(unknown) => unknown.to_string(),
            Self::QuotaExceeded(refusal) => refusal.message.clone(),
            Self::TooManyRequests => format!(
                "At most {} requests in {} seconds are answered to an address without a valid token. Nothing was done or charged; wait and try again.",
                crate::burst::REQUESTS,
                crate::burst::SECONDS
            ),
            Self::SchemaMismatch => {
                "The database is not at the version this release needs. An operator must apply the migrations."
                    .to_owned()
            }
            Self::Misconfigured => "An operator must complete the configuration.".to_owned(),
            Self::Unavailable(dependency) => format!(
                "The {} does not answer. Try again in a moment; with an Idempotency-Key nothing is done twice.",
                dependency.name()
            ),
            Self::TimedOut(dependency) => format!(
                "The {} did not answer in time. Try again in a moment.",
                dependency.name()
            ),
            Self::BadGateway(dependency) => format!(
                "The {} cannot be reached. The call is not charged. Try again in a moment.",
                dependency.name()
            ),
            Self::Internal => "Something went wrong on our side. Try again in a moment.".to_owned(),
        }
    }

    /// The document that the caller gets.
    #[must_use]
    pub fn document(&self) -> ProblemDocument {
        let (status, code, title) = self.kind();
        let (errors, decision) = match self {
            Self::InvalidPayload(violations) | Self::MalformedJson(violations) => {
                (violations.iter().map(ProblemError::from).collect(), None)
            }
            Self::QuotaExceeded(refusal) => (
                Vec::new(),
                Some(crate::quota::Decision::Refuse(refusal.as_ref().clone())),
            ),
            _ => (Vec::new(), None),
        };
        ProblemDocument {
            r#type: match self {
                Self::QuotaExceeded(_) => {
                    "https://iana.org/assignments/http-problem-types#quota-exceeded".to_owned()
                }
                _ => format!("urn:legis-edge:problem:{code}"),
            },
            title,
            status,
            detail: self.detail(),
            code,
            errors,
            violated_policies: match self {
                Self::QuotaExceeded(_) => vec![crate::refusal::POLICY],
                _ => Vec::new(),
            },
            decision,
        }
    }

    /// The headers that belong to the problem.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Unauthenticated(Unauthenticated::Missing | Unauthenticated::Scheme) => {
                vec![(header::AUTHENTICATE, "Bearer".to_owned())]
            }
            Self::Unauthenticated(_) => vec![(
                header::AUTHENTICATE,
                "Bearer error=\"invalid_token\"".to_owned(),
            )],
            Self::InsufficientScope(scope) => vec![(
                header::AUTHENTICATE,
                format!(
                    "Bearer error=\"insufficient_scope\", scope=\"{}\"",
                    scope.as_str()
                ),
            )],
            Self::MethodNotAllowed(allow) => vec![("Allow", (*allow).to_owned())],
            Self::SchemaMismatch | Self::Misconfigured => {
                vec![(header::RETRY_AFTER, "30".to_owned())]
            }
            Self::CallInProgress => vec![(header::RETRY_AFTER, "1".to_owned())],
            Self::TooManyRequests => vec![(header::RETRY_AFTER, crate::burst::SECONDS.to_string())],
            Self::Unavailable(_) | Self::TimedOut(_) | Self::BadGateway(_) => {
                vec![(header::RETRY_AFTER, "5".to_owned())]
            }
            _ => Vec::new(),
        }
    }
}
