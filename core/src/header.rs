//! The names of headers that more than one side speaks of: the worker that sends them, the description of the API, the npm
//! package that reads them, and browsers, which show a page of another origin none that is not named to them.

/// Version and fingerprint of the rules that answered ([`crate::contract`]).
pub const CONTRACT: &str = "Legis-Contract";
/// The id of the call that was charged.
pub const CALL: &str = "Legis-Call";
/// The id in the log line of the request.
pub const REQUEST_ID: &str = "X-Request-Id";
/// The caller's name for a call that may be sent twice.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// What is left (IETF draft of the RateLimit headers).
pub const RATE_LIMIT: &str = "RateLimit";
/// What is allowed (the same draft).
pub const RATE_LIMIT_POLICY: &str = "RateLimit-Policy";
/// What is allowed, as older clients read it.
pub const LIMIT: &str = "X-RateLimit-Limit";
/// What is left, as older clients read it.
pub const REMAINING: &str = "X-RateLimit-Remaining";
/// When the period ends, in seconds since 1970.
pub const RESET: &str = "X-RateLimit-Reset";
/// In how many seconds to come back (RFC 9110, section 10.2.3).
pub const RETRY_AFTER: &str = "Retry-After";
/// What a token must be good for (RFC 6750, section 3).
pub const AUTHENTICATE: &str = "WWW-Authenticate";
/// The session of an MCP client.
pub const MCP_SESSION: &str = crate::mcp::session::HEADER;

/// The gateway's clock, which the platform tells (RFC 9110, section 6.6.1): whose own is wrong goes by it.
pub const DATE: &str = "Date";

/// What a page of another origin may read of an answer, beside what the Fetch standard shows anyway.
pub const EXPOSED: [&str; 11] = [
    CONTRACT,
    CALL,
    RATE_LIMIT,
    RATE_LIMIT_POLICY,
    RETRY_AFTER,
    LIMIT,
    REMAINING,
    RESET,
    REQUEST_ID,
    MCP_SESSION,
    AUTHENTICATE,
];

/// What a data service's headers may tell the caller, and a page of another origin may read. What is said of quotas, origins
/// and caches is the worker's to say.
pub const HANDED_ON: [&str; 5] = [
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Link",
];

/// What they may tell the caller beside: every page may read it (Fetch standard, CORS-safelisted), or it is exposed as our own.
pub const HANDED_ON_ANYWAY: [&str; 6] = [
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Type",
    "Last-Modified",
    RETRY_AFTER,
];
