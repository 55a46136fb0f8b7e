//! Texts of a payload: how long they may be, in characters, and what form they have.

use super::format::Format;
use serde::{Deserialize, Serialize};

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $min:literal to $max:literal, $format:ident = $tag:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, garde::Validate)]
        #[serde(transparent)]
        #[garde(transparent)]
        #[cfg_attr(feature = "ts", derive(tsify::Tsify))]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[cfg_attr(feature = "schema", schemars(inline, extend("format" = $tag)))]
        pub struct $name(
            #[garde(length(chars, min = $min, max = $max), custom(Format::$format.rule()))] String,
        );

        impl $name {
            /// The most characters it has.
            pub const MAX: usize = $max;

            /// Whether a text may be one.
            #[must_use]
            pub fn holds(text: &str) -> bool {
                ($min..=Self::MAX).contains(&text.chars().count()) && Format::$format.holds(text)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, owned.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0
            }
        }
    )+};
}

texts! {
    /// An e-mail address.
    Email: 3 to 254, Email = "email";
    /// A person's name.
    PersonName: 1 to 200, Line = "line";
    /// Any name of a plan.
    PlanName: 1 to 50, PlanName = "plan-name";
    /// An MCP tool's name.
    ToolName: 1 to 128, ToolName = "tool-name";
    /// What went wrong, in words.
    ErrorText: 0 to 2000, Any = "text";
    /// A path of the API, without its query.
    Endpoint: 1 to 2048, Path = "path";
    /// An HTTP method.
    HttpMethod: 1 to 20, Method = "method";
    /// A caller's name for a call that may be sent twice.
    IdempotencyKey: 1 to 255, Token = "token";
    /// An IPv4 or IPv6 address.
    IpAddress: 2 to 45, Ip = "ip";
    /// A User-Agent header.
    UserAgent: 0 to 512, Line = "line";
    /// An issuer's host, with its port where it is not 443.
    Host: 1 to 253, Host = "host";
    /// A client's id at the issuer.
    ClientId: 1 to 128, Token = "token";
    /// An audience of access tokens.
    Audience: 1 to 200, Token = "token";
    /// Scopes, separated by single spaces.
    ScopeList: 1 to 1000, Scopes = "scopes";
    /// An address of the web: https, or http on this machine.
    WebUrl: 1 to 2048, Url = "web-url";
    /// Scheme, host and port of a page: https, or http on this machine.
    WebOrigin: 1 to 262, Origin = "web-origin";
    /// An id of Stripe's.
    StripeId: 1 to 255, Token = "token";
    /// One of Stripe's words: a status, a type, a currency.
    StripeWord: 1 to 100, Token = "token";
    /// What a Checkout session was given to tell whose it is.
    StripeReference: 0 to 500, Any = "text";
    /// One feature of a plan.
    FeatureText: 1 to 200, Line = "line";
}
