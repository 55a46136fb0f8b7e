//! What callers may send. The rules are the garde attributes of these types and nothing else; the tables of the
//! single-pass reader ([`crate::schema`]) and the JSON Schemas are generated from them.

use serde::{Deserialize, Serialize};

mod email;
pub mod format;
pub mod json;
pub mod stripe;
pub mod text;

use crate::plan::Interval;
use crate::quota::Cost;
use json::{AnyJson, JsonObject};
use text::{
    Audience, ClientId, Email, Endpoint, ErrorText, FeatureText, Host, HttpMethod, IdempotencyKey,
    IpAddress, PersonName, PlanName, ScopeList, ToolName, UserAgent, WebOrigin, WebUrl,
};

/// The body of `POST /api/users/register`. All of it is optional: what the token says wins over what is sent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, garde::Validate)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Registration {
    /// Where to reach the user.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub email: Option<Email>,
    /// What to call the user.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub name: Option<PersonName>,
    /// The plan the user is interested in, by any of its names. Registering never changes a plan.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub plan: Option<PlanName>,
    /// Which path the user came by.
    #[garde(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub source: Option<RegistrationSource>,
}

/// Which path a user came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RegistrationSource {
    /// The sign-up form.
    Web,
    /// The MCP server's OAuth callback.
    Mcp,
}

/// The body of `POST /api/mcp/logs`: one tool call that was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, garde::Validate)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ToolCall {
    /// The tool's name.
    #[garde(dive)]
    pub tool_name: ToolName,
    /// How it ended.
    #[garde(skip)]
    pub status: ReportedStatus,
    /// The tool's arguments.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub request_data: Option<JsonObject>,
    /// The tool's result.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub response_data: Option<AnyJson>,
    /// What went wrong.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub error_message: Option<ErrorText>,
    /// How long it took, in milliseconds; a day at most.
    #[garde(range(min = 0, max = 86_400_000))]
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::whole::optional"
    )]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub response_time_ms: Option<u32>,
    /// Tokens of the language model, where the result tells them.
    #[garde(range(min = 0, max = 1_000_000_000))]
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::whole::optional"
    )]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub tokens_used: Option<u32>,
}

/// How a call ended, as whoever made it reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ReportedStatus {
    /// With a result.
    Success,
    /// With an error.
    Error,
    /// Not in time.
    Timeout,
}

/// The body of `POST /api/calls`: one call that a service is about to make for the user.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, garde::Validate)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CallRequest {
    /// The MCP tool that is called; absent for a call of a REST API.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub tool: Option<ToolName>,
    /// The path that is called, for the history. `/api/calls` when absent.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub endpoint: Option<Endpoint>,
    /// The method, for the history. `POST` when absent.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub method: Option<HttpMethod>,
    /// How many calls it costs; 1 when absent.
    #[garde(range(min = 1, max = Cost::MAX))]
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::whole::optional"
    )]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub cost: Option<u32>,
    /// The service's name for the call, where the request may be sent twice. The header `Idempotency-Key` does the same.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub idempotency_key: Option<IdempotencyKey>,
}

/// The body of `PATCH /api/calls/{id}`: how a reserved call ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, garde::Validate)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CallSettlement {
    /// How it ended.
    #[garde(skip)]
    pub status: ReportedStatus,
    /// Whose fault an error is: the caller's is charged, the service's refunded. When absent it is the caller's with a
    /// `statusCode` of 4xx, and the service's otherwise.
    #[garde(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub fault: Option<Fault>,
    /// The HTTP status of the answer.
    #[garde(range(min = 100, max = 599))]
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::whole::optional"
    )]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub status_code: Option<u16>,
    /// How long it took, in milliseconds; a day at most.
    #[garde(range(min = 0, max = 86_400_000))]
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::whole::optional"
    )]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub response_time_ms: Option<u32>,
    /// What went wrong.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub error_message: Option<ErrorText>,
    /// A tool's arguments.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub request_data: Option<JsonObject>,
    /// A tool's result.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub response_data: Option<AnyJson>,
    /// Tokens of the language model, where the result tells them.
    #[garde(range(min = 0, max = 1_000_000_000))]
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::whole::optional"
    )]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub tokens_used: Option<u32>,
}

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Fault {
    /// The caller asked for something that cannot be.
    Caller,
    /// The service, or something behind it, failed.
    Service,
}

/// One REST call that was made: a row of `api_usage`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, garde::Validate)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageRecord {
    /// The path that was called, without its query.
    #[garde(dive)]
    pub endpoint: Endpoint,
    /// The method.
    #[garde(dive)]
    pub method: HttpMethod,
    /// The status of the answer.
    #[garde(range(min = 100, max = 599))]
    #[serde(deserialize_with = "crate::whole::required")]
    pub status_code: u16,
    /// How long it took, in milliseconds; a day at most.
    #[garde(range(min = 0, max = 86_400_000))]
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::whole::optional"
    )]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub response_time_ms: Option<u32>,
    /// What went wrong.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub error_message: Option<ErrorText>,
    /// The caller's address.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub ip_address: Option<IpAddress>,
    /// The caller's program.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub user_agent: Option<UserAgent>,
    /// When.
    #[garde(skip)]
    pub timestamp: crate::time::Timestamp,
}

/// Rows of `api_usage`, many at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, garde::Validate)]
#[serde(transparent)]
#[garde(transparent)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageRecords(#[garde(length(max = 1000), dive)] pub Vec<UsageRecord>);

/// The body of `POST /api/billing/checkout`: the plan that a user wants to pay for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, garde::Validate)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckoutRequest {
    /// The plan, by any of its names.
    #[garde(dive)]
    pub plan: PlanName,
    /// How often it is to be paid; by the month when absent.
    #[garde(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub interval: Option<Interval>,
    /// Where the user comes back to after paying; the page that asks when absent.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub success_url: Option<WebUrl>,
    /// Where the user comes back to without paying; the page that asks when absent.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub cancel_url: Option<WebUrl>,
}

/// The body of `POST /api/billing/portal`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, garde::Validate)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PortalRequest {
    /// Where the user comes back to; the page that asks when absent.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", tsify(optional))]
    pub return_url: Option<WebUrl>,
}

/// A row of `auth_config`: who issues tokens for one kind of client, and where that client lives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, garde::Validate)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuthConfig {
    /// Which kind of client.
    #[garde(skip)]
    pub config_name: AuthClient,
    /// The issuer's host; a port belongs to it where it is not 443.
    #[garde(dive)]
    pub auth0_domain: Host,
    /// The client's id at the issuer.
    #[garde(dive)]
    pub auth0_client_id: ClientId,
    /// The audience that access tokens must name.
    #[garde(dive)]
    pub auth0_audience: Audience,
    /// The scopes the client asks for, separated by spaces.
    #[garde(dive)]
    pub auth0_scope: ScopeList,
    /// Where the issuer may send a user after signing in.
    #[garde(length(max = 50), dive)]
    pub allowed_callback_urls: Vec<WebUrl>,
    /// Where the issuer may send a user after signing out.
    #[garde(length(max = 50), dive)]
    pub allowed_logout_urls: Vec<WebUrl>,
    /// Which pages may call the API from a browser.
    #[garde(length(max = 50), dive)]
    pub allowed_origins: Vec<WebOrigin>,
    /// Whether the row is in use.
    #[garde(skip)]
    pub is_active: bool,
}

/// The kinds of clients that are configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AuthClient {
    /// The web page.
    Frontend,
    /// The MCP server.
    McpServer,
}

impl AuthClient {
    /// The name in the table and in addresses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::McpServer => "mcp_server",
        }
    }

    /// The client of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "frontend" => Some(Self::Frontend),
            "mcp_server" => Some(Self::McpServer),
            _ => None,
        }
    }
}

/// The JSON of `plans.features` and `plans.highlighted_features`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, garde::Validate)]
#[serde(transparent)]
#[garde(transparent)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlanFeatures(#[garde(length(max = 50), dive)] pub Vec<FeatureText>);
