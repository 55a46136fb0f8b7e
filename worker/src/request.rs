//! A request as it came: its head is read once, its body when somebody needs it.

use crate::failure::{Failure, Outcome};
use crate::platform;
use js_sys::{Array, Uint8Array};
use legis_core::header;
use legis_core::problem::Problem;
use std::time::Duration;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

/// The longest body that is read.
const MAX_BODY: usize = 1 << 20;
/// How long a body may take to come.
const TIME_LIMIT: Duration = Duration::from_secs(15);

macro_rules! headers {
    ($($variant:ident = $name:expr,)+) => {
        /// A header that somebody here reads. Others are not looked at.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Header { $($variant,)+ }

        impl Header {
            const NAMES: &'static [&'static str] = &[$($name),+];

            /// Its name.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

headers! {
    Authorization = "Authorization",
    Origin = "Origin",
    IdempotencyKey = header::IDEMPOTENCY_KEY,
    ConnectingIp = "CF-Connecting-IP",
    ContentEncoding = "Content-Encoding",
    ContentLength = "Content-Length",
    ContentType = "Content-Type",
    UserAgent = "User-Agent",
    Accept = "Accept",
    AcceptLanguage = "Accept-Language",
    IfModifiedSince = "If-Modified-Since",
    IfNoneMatch = "If-None-Match",
    Range = "Range",
    Traceparent = "Traceparent",
    Tracestate = "Tracestate",
    StripeSignature = "Stripe-Signature",
    AccessControlRequestHeaders = "Access-Control-Request-Headers",
    LastEventId = "Last-Event-ID",
    McpMethod = "Mcp-Method",
    McpName = "Mcp-Name",
    McpProtocolVersion = "MCP-Protocol-Version",
    McpSessionId = header::MCP_SESSION,
}

thread_local! {
    static NAMES: Array = platform::names(Header::NAMES);
}

/// A request.
pub(crate) struct Request {
    /// As it came; the platform's own type takes every method it does not know for GET.
    pub(crate) method: String,
    /// Scheme and host of the address.
    pub(crate) origin: String,
    pub(crate) path: String,
    pub(crate) query: String,
    headers: Vec<Option<String>>,
    inner: web_sys::Request,
}

impl Request {
    pub(crate) fn new(inner: web_sys::Request) -> Self {
        let head = NAMES.with(|names| platform::read(&inner, names));
        let (origin, path, query) = target(&head.url);
        Self {
            method: head.method,
            origin,
            path,
            query,
            headers: head.headers,
            inner,
        }
    }

    pub(crate) fn header(&self, header: Header) -> Option<&str> {
        self.headers.get(header as usize)?.as_deref()
    }

    /// The platform's own.
    pub(crate) fn inner(&self) -> &web_sys::Request {
        &self.inner
    }

    /// The body that nobody has read, to be passed on.
    pub(crate) fn stream(&self) -> Option<web_sys::ReadableStream> {
        self.inner.body()
    }

    /// The body, if it is JSON of a decent length. Empty when there is none.
    pub(crate) async fn json(&self) -> Outcome<Vec<u8>> {
        let body = self.bytes().await?;
        let is_json = self.header(Header::ContentType).is_none_or(|media_type| {
            let essence = media_type.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json")
        });
        let coding = self.header(Header::ContentEncoding).unwrap_or("identity");
        let is_readable = is_json && coding.eq_ignore_ascii_case("identity");
        if !body.is_empty() && !is_readable {
            return Err(Problem::UnsupportedMediaType.into());
        }
        Ok(body)
    }

    /// The length that the body is declared to have.
    fn declared(&self) -> Option<usize> {
        self.header(Header::ContentLength)?.parse().ok()
    }

    /// Reads the body: at once where its length is known, otherwise chunk by chunk, so that it cannot fill the memory.
    pub(crate) async fn bytes(&self) -> Outcome<Vec<u8>> {
        if self.inner.body().is_none() {
            return Ok(Vec::new());
        }
        match self.declared() {
            Some(length) if length > MAX_BODY => {
                return Err(Problem::PayloadTooLarge(MAX_BODY).into());
            }
            Some(_) => return self.whole().await,
            None => {}
        }
        platform::within(TIME_LIMIT, platform::body_of(&self.inner, MAX_BODY))
            .await
            .ok_or(Problem::BodyTimedOut)?
            .map_err(broken)?
            .ok_or_else(|| Problem::PayloadTooLarge(MAX_BODY).into())
    }
}

impl Request {
    async fn whole(&self) -> Outcome<Vec<u8>> {
        let read = JsFuture::from(self.inner.array_buffer().map_err(broken)?);
        let body = platform::within(TIME_LIMIT, read)
            .await
            .ok_or(Problem::BodyTimedOut)?;
        Ok(Uint8Array::new(&body.map_err(broken)?).to_vec())
    }
}

/// A body that breaks off is the caller's to send again; nobody else hears of it.
fn broken(_: JsValue) -> Failure {
    Failure::new(Problem::BodyTimedOut, "the body broke off")
}

/// Origin, path and query as they came. The platform has parsed the address; parsing it again would cost as much as the
/// rest.
fn target(url: &str) -> (String, String, String) {
    let host = url.find("://").map_or(0, |at| at.saturating_add(3));
    let rest = url.get(host..).unwrap_or_default();
    let end = host.saturating_add(rest.find('/').unwrap_or(rest.len()));
    let (origin, path) = url.split_at_checked(end).unwrap_or((url, ""));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let path = if path.is_empty() { "/" } else { path };
    (origin.to_owned(), path.to_owned(), query.to_owned())
}

/// The value of a parameter of the query, as it came.
pub(crate) fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}
