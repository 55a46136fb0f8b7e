//! A metered call: what is known when it is admitted, how it ends, and whether its charge is taken back.

use crate::mcp::record::Recorder;
use crate::payload::text::{Endpoint, ErrorText, HttpMethod, IpAddress, ToolName, UserAgent};
use crate::payload::{CallRequest, CallSettlement, Fault, ReportedStatus, ToolCall};
use crate::quota::{Channel, Cost};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is known of a call when it is admitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallStart {
    /// What was called.
    pub called: Called,
    /// The caller's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// The caller's program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// What was called: it decides which table the call's row is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Called {
    /// An address of the REST API.
    Endpoint {
        /// The method.
        method: String,
        /// The path, without its query.
        path: String,
    },
    /// An MCP tool.
    Tool(String),
}

impl CallStart {
    /// The start of a call, its texts held to what the tables keep.
    #[must_use]
    pub fn new(called: Called, ip_address: Option<&str>, user_agent: Option<&str>) -> Self {
        Self {
            called: match called {
                Called::Endpoint { method, path } => Called::Endpoint {
                    method: cut(&method, HttpMethod::MAX),
                    path: cut(&path, Endpoint::MAX),
                },
                Called::Tool(name) => Called::Tool(cut(&name, ToolName::MAX)),
            },
            ip_address: ip_address.map(|address| cut(address, IpAddress::MAX)),
            user_agent: user_agent.map(|agent| cut(agent, UserAgent::MAX)),
        }
    }
}

/// The first `chars` characters.
pub(crate) fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// What a call takes from the allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Toll {
    /// Its cost.
    Charged {
        /// How many calls.
        cost: Cost,
        /// Who makes them.
        channel: Channel,
    },
    /// Nothing: it is made on the way of a tool call, which has a toll of its own. It needs a call left, or a tool
    /// call under way.
    WithinToolCall,
}

impl Toll {
    /// One call to the REST API.
    pub const REST: Self = Self::Charged {
        cost: Cost::ONE,
        channel: Channel::Rest,
    };
    /// One tool call.
    pub const TOOL: Self = Self::Charged {
        cost: Cost::ONE,
        channel: Channel::Mcp,
    };

    /// Who makes the call.
    #[must_use]
    pub const fn channel(self) -> Channel {
        match self {
            Self::Charged { channel, .. } => channel,
            Self::WithinToolCall => Channel::Mcp,
        }
    }
}

/// Who says how a call ended; nobody else may, or a user could take back the calls they made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Settler {
    /// The gateway that passed it on.
    Gateway,
    /// The service that reserved it: the client its token was issued to.
    Client(String),
    /// Nobody: the token does not say which client it was issued to, and every user's own would fit.
    Nobody,
}

/// How a call ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum CallStatus {
    /// It was answered.
    Success,
    /// It failed.
    Error,
    /// It was not answered in time.
    Timeout,
    /// Nobody ever said.
    Unknown,
}

impl CallStatus {
    /// The word for an HTTP status.
    #[must_use]
    pub const fn of(status_code: u64) -> Self {
        match status_code {
            ..400 => Self::Success,
            504 => Self::Timeout,
            _ => Self::Error,
        }
    }

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether the charge of a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Settled {
    /// It was made.
    Charged,
    /// Our side or the upstream failed it: nobody pays.
    Refunded,
}

/// How a call ended, in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallEnd {
    /// In one word.
    pub status: CallStatus,
    /// Whether the charge stands.
    pub settled: Settled,
    /// The status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u32>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the tool was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_data: Option<Value>,
    /// What the tool answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_data: Option<Value>,
    /// Tokens of the language model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_used: Option<u32>,
}

impl CallEnd {
    pub(crate) const fn bare(status: CallStatus, settled: Settled) -> Self {
        Self {
            status,
            settled,
            status_code: None,
            millis: None,
            error: None,
            request_data: None,
            response_data: None,
            tokens_used: None,
        }
    }

    /// The upstream answered. A 4xx is an answer; a 5xx is a failure, which nobody pays for.
    ///
    /// ```
    /// use legis_core::call::{CallEnd, CallStatus, Settled};
    /// assert_eq!(CallEnd::answered(404, 7).settled, Settled::Charged);
    /// assert_eq!(CallEnd::answered(503, 7).settled, Settled::Refunded);
    /// ```
    #[must_use]
    pub fn answered(status_code: u16, millis: u32) -> Self {
        let (settled, error) = match status_code {
            500.. => (
                Settled::Refunded,
                Some("the data service failed".to_owned()),
            ),
            _ => (Settled::Charged, None),
        };
        Self {
            status_code: Some(status_code),
            millis: Some(millis),
            error,
            ..Self::bare(CallStatus::of(status_code.into()), settled)
        }
    }

    /// There was no answer of the upstream: our side or the way failed.
    #[must_use]
    pub fn failed(status_code: u16, millis: u32, error: &str) -> Self {
        Self {
            status_code: Some(status_code),
            millis: Some(millis),
            error: Some(error.to_owned()),
            ..Self::bare(CallStatus::of(status_code.into()), Settled::Refunded)
        }
    }

    /// Nobody ever said. Charged: the call may have been answered.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            error: Some("outcome unknown".to_owned()),
            ..Self::bare(CallStatus::Unknown, Settled::Charged)
        }
    }

    /// What the service that reserved a call says of it. A failure is the service's own, and refunded, unless it says
    /// that it was the caller's: by name, or by a status of 4xx.
    #[must_use]
    pub fn reported(said: CallSettlement) -> Self {
        let callers = match (said.fault, said.status_code) {
            (Some(Fault::Caller), _) | (None, Some(400..=499)) => true,
            (Some(Fault::Service) | None, _) => false,
        };
        let (status, settled) = match said.status {
            ReportedStatus::Success => (CallStatus::Success, Settled::Charged),
            ReportedStatus::Error if callers => (CallStatus::Error, Settled::Charged),
            ReportedStatus::Error => (CallStatus::Error, Settled::Refunded),
            ReportedStatus::Timeout => (CallStatus::Timeout, Settled::Refunded),
        };
        Self {
            status_code: said.status_code,
            millis: said.response_time_ms,
            error: said.error_message.map(ErrorText::into_string),
            // As much as of a call that passes the gateway: one database keeps what everybody reports.
            request_data: said.request_data.map(|data| kept(&Value::Object(data.0))),
            response_data: said.response_data.map(|data| kept(&data.0)),
            tokens_used: said.tokens_used,
            ..Self::bare(status, settled)
        }
    }

    /// What a log of the old wire says of a tool call that was made: it costs one call, unless there was no answer in
    /// time.
    #[must_use]
    pub fn logged(said: ToolCall) -> Self {
        Self::reported(CallSettlement {
            status: said.status,
            // Who logs after the fact cannot say whose fault an error was; the call was made.
            fault: Some(Fault::Caller),
            status_code: None,
            response_time_ms: said.response_time_ms,
            error_message: said.error_message,
            request_data: said.request_data,
            response_data: said.response_data,
            tokens_used: said.tokens_used,
        })
    }
}

fn kept(data: &Value) -> Value {
    Recorder::default().record(data)
}

impl CallRequest {
    /// What is called. Without a tool it is the REST API's, by the address the service names.
    #[must_use]
    pub fn called(&self) -> Called {
        match &self.tool {
            Some(tool) => Called::Tool(tool.as_str().to_owned()),
            None => Called::Endpoint {
                method: self
                    .method
                    .as_ref()
                    .map_or("POST", HttpMethod::as_str)
                    .to_owned(),
                path: self
                    .endpoint
                    .as_ref()
                    .map_or("/api/calls", Endpoint::as_str)
                    .to_owned(),
            },
        }
    }

    /// What it takes from the allowance.
    #[must_use]
    pub fn toll(&self) -> Toll {
        Toll::Charged {
            cost: self.cost.and_then(Cost::new).unwrap_or(Cost::ONE),
            channel: match self.tool {
                Some(_) => Channel::Mcp,
                None => Channel::Rest,
            },
        }
    }
}

impl ToolCall {
    /// What was called.
    #[must_use]
    pub fn called(&self) -> Called {
        Called::Tool(ToolName::as_str(&self.tool_name).to_owned())
    }
}
