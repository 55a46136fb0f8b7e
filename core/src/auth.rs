//! Who may do what: access tokens, their claims and scopes, and the issuers that are trusted.
//!
//! Everything but the RSA signature itself is decided here (RFC 8725); the worker only asks WebCrypto whether a
//! signature fits a key.

pub mod claims;
pub mod issuer;
pub mod jwks;
pub mod secret;
pub mod token;

use serde::{Deserialize, Serialize};

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
pub enum Scope {
    /// Bills.
    #[serde(rename = "read:bills")]
    ReadBills,
    /// Members of Congress.
    #[serde(rename = "read:members")]
    ReadMembers,
    /// Votes.
    #[serde(rename = "read:votes")]
    ReadVotes,
    /// Committees.
    #[serde(rename = "read:committees")]
    ReadCommittees,
    /// Administration; the database must agree.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// Those that read data.
    pub const READING: [Self; 4] = [
        Self::ReadBills,
        Self::ReadMembers,
        Self::ReadVotes,
        Self::ReadCommittees,
    ];

    /// The name in a token.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadBills => "read:bills",
            Self::ReadMembers => "read:members",
            Self::ReadVotes => "read:votes",
            Self::ReadCommittees => "read:committees",
            Self::Admin => "admin",
        }
    }
}

/// Why a caller is not let in. The caller hears one sentence; the operator's log has the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unauthenticated {
    /// No `Authorization` header.
    Missing,
    /// Another scheme than `Bearer`.
    Scheme,
    /// Longer than 8 KB.
    TooLong,
    /// Not three base64url parts holding JSON.
    Malformed,
    /// Another algorithm than RS256, `none` and HMAC among them.
    Algorithm,
    /// Not an access token by its `typ`.
    Kind,
    /// Critical extensions that nobody here understands.
    Critical,
    /// No key id.
    KeyIdMissing,
    /// A key id that the issuer does not publish.
    KeyUnknown,
    /// The signature does not fit.
    Signature,
    /// Another issuer.
    Issuer,
    /// Another audience.
    Audience,
    /// Over.
    Expired,
    /// Not valid yet.
    NotYet,
    /// No subject, or one too long.
    Subject,
}

impl Unauthenticated {
    /// The name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Scheme => "scheme",
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::Kind => "kind",
            Self::Critical => "critical",
            Self::KeyIdMissing => "key_id_missing",
            Self::KeyUnknown => "key_unknown",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Subject => "subject",
        }
    }

    /// What the caller can do about it. Says nothing that helps to forge a token.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Missing => "Send an access token: Authorization: Bearer <token>.",
            Self::Scheme => "Only bearer tokens are accepted: Authorization: Bearer <token>.",
            Self::Expired => "The access token has expired. Get a new one and try again.",
            Self::Audience => {
                "The access token was not issued for this API. Ask the issuer for this API's audience."
            }
            _ => "The access token is not valid for this API.",
        }
    }
}
