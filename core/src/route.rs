//! Every address of the API: which method and path means what, and what it needs.

use crate::auth::Scope;
use crate::payload::AuthClient;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `GET /api/health`, `GET /health`
    Health,
    /// `GET /api/ready`
    Ready,
    /// `GET /api/config/plans`
    Plans,
    /// `GET /api/config/plans/:slug`
    Plan(String),
    /// `GET /api/config/auth/{frontend or mcp_server}`
    AuthConfig(AuthClient),
    /// `POST /api/evaluate/decision`
    EvaluateDecision,
    /// `POST /api/evaluate/change`
    EvaluateChange,
    /// `POST /api/evaluate/payload/{schema}`
    EvaluatePayload(&'static crate::schema::Schema),
    /// `GET /.well-known/oauth-protected-resource`, with the path of the resource behind it
    ResourceMetadata(Resource),
    /// `POST /api/webhooks/stripe`
    StripeWebhook,
    /// `GET /api/admin/metrics`
    Metrics,
    /// `POST /mcp`; `GET` and `DELETE` for the older revisions
    Mcp,
    /// What only people are served.
    Person(Personal),
    /// What only administrators are served.
    Administrator(Administrative),
}

/// What a person asks for, by a token of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Personal {
    /// `POST /api/users/register`
    Register,
    /// `GET /api/me`
    Me,
    /// `GET /api/user/profile`
    Profile,
    /// `GET /api/account`
    Account,
    /// `GET /api/usage`
    Usage,
    /// `GET /api/mcp/logs`
    ToolCalls,
    /// `POST /api/mcp/logs`
    LogToolCall,
    /// `POST /api/calls`
    ReserveCall,
    /// `PATCH /api/calls/{id}`
    SettleCall(String),
    /// `POST /api/billing/checkout`
    Checkout,
    /// `POST /api/billing/portal`
    Portal,
    /// A data route: metered, then passed on to the upstream.
    Data {
        /// What the token must be good for.
        scope: Scope,
        /// The path below the upstream's base, as it came but for a slash at its end.
        path: String,
    },
}

/// What an administrator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Administrative {
    /// `GET /api/admin/webhooks`
    Webhooks,
    /// `GET /api/admin/audit`
    Audit,
    /// `POST /api/admin/audit`
    RunAudit,
    /// `POST /api/admin/repair`
    Repair,
    /// `POST /api/admin/identities`
    Identities,
    /// `GET /api/admin/doctor`
    Doctor,
    /// `GET /api/admin/users/{sub}`
    UserOf(String),
}

impl Route {
    /// Who is served.
    #[must_use]
    pub const fn access(&self) -> Access {
        match self {
            Self::Health => Access::Free,
            Self::Ready
            | Self::Plans
            | Self::Plan(_)
            | Self::AuthConfig(_)
            | Self::EvaluateDecision
            | Self::EvaluateChange
            | Self::EvaluatePayload(_)
            | Self::ResourceMetadata(_) => Access::Public,
            Self::StripeWebhook
            | Self::Metrics
            | Self::Mcp
            | Self::Person(_)
            | Self::Administrator(_) => Access::Proven,
        }
    }

    /// The name in the log.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Ready => "ready",
            Self::Plans => "plans",
            Self::Plan(_) => "plan",
            Self::AuthConfig(_) => "auth_config",
            Self::EvaluateDecision => "evaluate_decision",
            Self::EvaluateChange => "evaluate_change",
            Self::EvaluatePayload(_) => "evaluate_payload",
            Self::ResourceMetadata(_) => "resource_metadata",
            Self::StripeWebhook => "stripe_webhook",
            Self::Metrics => "metrics",
            Self::Mcp => "mcp",
            Self::Person(personal) => personal.name(),
            Self::Administrator(administrative) => administrative.name(),
        }
    }
}

impl Personal {
    const fn name(&self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Me => "me",
            Self::Profile => "profile",
            Self::Account => "account",
            Self::Usage => "usage",
            Self::ToolCalls => "tool_calls",
            Self::LogToolCall => "log_tool_call",
            Self::ReserveCall => "reserve_call",
            Self::SettleCall(_) => "settle_call",
            Self::Checkout => "checkout",
            Self::Portal => "portal",
            Self::Data { .. } => "data",
        }
    }
}

impl Administrative {
    const fn name(&self) -> &'static str {
        match self {
            Self::Webhooks => "webhooks",
            Self::Audit => "audit",
            Self::RunAudit => "run_audit",
            Self::Repair => "repair",
            Self::Identities => "identities",
            Self::Doctor => "doctor",
            Self::UserOf(_) => "user_of",
        }
    }
}

/// Who is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever asks, and it costs nothing to answer.
    Free,
    /// Whoever asks.
    Public,
    /// Who proves who they are, by a token or a signature.
    Proven,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// The whole API.
    Api,
    /// The MCP gateway.
    Mcp,
}

impl Resource {
    /// Its path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Api => "",
            Self::Mcp => "/mcp",
        }
    }
}

/// Why a request asks for nothing we have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoute {
    /// Nothing is there.
    NotFound,
    /// Something is there, for other methods: the value of `Allow`.
    Method(&'static str),
}

impl PartialEq for crate::schema::Schema {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for crate::schema::Schema {}

/// What `method path` asks for. `path` has no query and is still percent-encoded.
///
/// # Errors
/// [`NoRoute`] when nothing is there.
pub fn route(method: &str, path: &str) -> Result<Route, NoRoute> {
    let segments: Vec<&str> = path
        .trim_start_matches('/')
        .trim_end_matches('/')
        .split('/')
        .collect();
    let (route, allow) = match segments.as_slice() {
        ["health"] | ["api", "health"] => (Route::Health, GET),
        ["api", "ready"] => (Route::Ready, GET),
        ["api", "users", "register"] => (Route::Person(Personal::Register), POST),
        ["api", "me"] => (Route::Person(Personal::Me), GET),
        ["api", "user", "profile"] => (Route::Person(Personal::Profile), GET),
        ["api", "account"] => (Route::Person(Personal::Account), GET),
        ["api", "usage"] => (Route::Person(Personal::Usage), GET),
        ["api", "mcp", "logs"] if method == POST => {
            (Route::Person(Personal::LogToolCall), GET_POST)
        }
        ["api", "mcp", "logs"] => (Route::Person(Personal::ToolCalls), GET_POST),
        ["api", "calls"] => (Route::Person(Personal::ReserveCall), POST),
        ["api", "calls", id] => (Route::Person(Personal::SettleCall(decode(id))), PATCH),
        ["api", "config", "plans"] => (Route::Plans, GET),
        ["api", "config", "plans", name] => (Route::Plan(decode(name)), GET),
        ["api", "config", "auth", client] => match AuthClient::parse(client) {
            Some(client) => (Route::AuthConfig(client), GET),
            None => return Err(NoRoute::NotFound),
        },
        ["api", "evaluate", "decision"] => (Route::EvaluateDecision, POST),
        ["api", "evaluate", "change"] => (Route::EvaluateChange, POST),
        ["api", "webhooks", "stripe"] => (Route::StripeWebhook, POST),
        ["api", "billing", "checkout"] => (Route::Person(Personal::Checkout), POST),
        ["api", "billing", "portal"] => (Route::Person(Personal::Portal), POST),
        ["api", "admin", "webhooks"] => (Route::Administrator(Administrative::Webhooks), GET),
        ["api", "admin", "audit"] if method == POST => {
            (Route::Administrator(Administrative::RunAudit), GET_POST)
        }
        ["api", "admin", "audit"] => (Route::Administrator(Administrative::Audit), GET_POST),
        ["api", "admin", "repair"] => (Route::Administrator(Administrative::Repair), POST),
        ["api", "admin", "identities"] => (Route::Administrator(Administrative::Identities), POST),
        ["api", "admin", "doctor"] => (Route::Administrator(Administrative::Doctor), GET),
        ["api", "admin", "metrics"] => (Route::Metrics, GET),
        ["api", "admin", "users", sub] => (
            Route::Administrator(Administrative::UserOf(decode(sub))),
            GET,
        ),
        ["api", "evaluate", "payload", name] => match crate::schema::by_name(name) {
            Some(schema) => (Route::EvaluatePayload(schema), POST),
            None => return Err(NoRoute::NotFound),
        },
        ["mcp"] => (Route::Mcp, GET_POST_DELETE),
        [".well-known", "oauth-protected-resource"] => {
            (Route::ResourceMetadata(Resource::Api), GET)
        }
        [".well-known", "oauth-protected-resource", "mcp"] => {
            (Route::ResourceMetadata(Resource::Mcp), GET)
        }
        ["api", below @ ..] => (data(below)?, GET_POST),
        _ => return Err(NoRoute::NotFound),
    };
    if allow.split(", ").any(|allowed| allowed == method) {
        Ok(route)
    } else {
        Err(NoRoute::Method(allow))
    }
}

/// The data route of a path. A segment that could lead elsewhere once someone normalises the path is not there: the
/// scope that was checked must be the scope of what is answered.
fn data(below: &[&str]) -> Result<Route, NoRoute> {
    let scope = match below.first() {
        Some(&"bills") => Scope::ReadBills,
        Some(&"members") => Scope::ReadMembers,
        Some(&"votes") => Scope::ReadVotes,
        Some(&"committees") => Scope::ReadCommittees,
        _ => return Err(NoRoute::NotFound),
    };
    let strays = |segment: &&str| {
        let segment = decode(segment);
        // Some servers take what follows a semicolon for the segment's parameters.
        let name = segment.split(';').next().unwrap_or_default();
        matches!(name, "." | "..")
            || segment
                .chars()
                .any(|c| c == '/' || c == '\\' || c == '%' || c.is_control())
    };
    if below.iter().any(strays) {
        return Err(NoRoute::NotFound);
    }
    Ok(Route::Person(Personal::Data {
        scope,
        path: below.join("/"),
    }))
}

const GET: &str = "GET, HEAD";
const POST: &str = "POST";
const PATCH: &str = "PATCH";
const GET_POST: &str = "GET, HEAD, POST";
const GET_POST_DELETE: &str = "GET, POST, DELETE";

/// A path segment, or a value of a query, with its percent-encoding undone; left as it is where that does not yield text.
#[must_use]
pub fn decode(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |index: usize| {
            after
                .get(index)
                .and_then(|byte| char::from(*byte).to_digit(16))
        };
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                let byte = high.saturating_mul(16).saturating_add(low);
                bytes.push(u8::try_from(byte).unwrap_or(b'?'));
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| segment.to_owned())
}
