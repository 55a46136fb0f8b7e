//! The forms a text can be asked to have. Plain loops: a regular expression engine would be larger than the rest.

use super::email;
use crate::plan::{PlanId, slugs};
use std::borrow::Cow;

/// A form a text can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Anything.
    Any,
    /// No control characters.
    Line,
    /// `local@domain.tld`
    Email,
    /// Any name of a plan.
    PlanName,
    /// Letters, digits and `_ . : / -`, as MCP tools are named.
    ToolName,
    /// Begins with `/`, no white space, no query.
    Path,
    /// Upper-case letters.
    Method,
    /// IPv4 or IPv6.
    Ip,
    /// A host name or address, with an optional port.
    Host,
    /// Visible ASCII.
    Token,
    /// Visible ASCII words between single spaces.
    Scopes,
    /// An absolute https address; http on this machine.
    Url,
    /// The origin of such an address.
    Origin,
    /// A moment in UTC.
    DateTime,
}

impl Format {
    /// Every form, for those who generate tables.
    pub const ALL: [Self; 14] = [
        Self::Any,
        Self::Line,
        Self::Email,
        Self::PlanName,
        Self::ToolName,
        Self::Path,
        Self::Method,
        Self::Ip,
        Self::Host,
        Self::Token,
        Self::Scopes,
        Self::Url,
        Self::Origin,
        Self::DateTime,
    ];

    /// The name in JSON Schemas and in issues.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "text",
            Self::Line => "line",
            Self::Email => "email",
            Self::PlanName => "plan-name",
            Self::ToolName => "tool-name",
            Self::Path => "path",
            Self::Method => "method",
            Self::Ip => "ip",
            Self::Host => "host",
            Self::Token => "token",
            Self::Scopes => "scopes",
            Self::Url => "web-url",
            Self::Origin => "web-origin",
            Self::DateTime => "date-time",
        }
    }

    /// What is expected, to follow "Must be".
    #[must_use]
    pub fn expectation(self) -> Cow<'static, str> {
        let expected = match self {
            Self::Any => "text",
            Self::Line => "text without control characters",
            Self::Email => "an e-mail address such as name@example.com",
            Self::PlanName => return format!("the name of a plan: {}", slugs(" or ")).into(),
            Self::ToolName => "a tool name of letters, digits and _ . : / -",
            Self::Path => "a path that begins with / and has no query",
            Self::Method => "an HTTP method in capital letters",
            Self::Ip => "an IPv4 or IPv6 address",
            Self::Host => "a host name, with a port where it is not 443",
            Self::Token => "visible ASCII characters without spaces",
            Self::Scopes => "scopes separated by single spaces",
            Self::Url => "an https address (http for this machine only)",
            Self::Origin => "an https origin without a path (http for this machine only)",
            Self::DateTime => "a date and time in UTC such as 2026-01-31T10:15:30.250Z",
        };
        expected.into()
    }

    /// Whether `text` has the form.
    #[must_use]
    pub fn holds(self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Line if text.is_ascii() => !text.bytes().any(|byte| byte.is_ascii_control()),
            Self::Line => !text.chars().any(char::is_control),
            Self::Email => email::holds(text),
            Self::PlanName => PlanId::resolve(text).is_ok(),
            Self::ToolName => text.bytes().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'..=b'/' | b':')
            }),
            Self::Path => {
                text.starts_with('/')
                    && !text
                        .chars()
                        .any(|c| c.is_whitespace() || c.is_control() || c == '?' || c == '#')
            }
            Self::Method => text.bytes().all(|byte| byte.is_ascii_uppercase()),
            Self::Ip => text.parse::<std::net::IpAddr>().is_ok(),
            Self::Host => host(text),
            Self::Token => text.bytes().all(|byte| byte.is_ascii_graphic()),
            Self::Scopes => text
                .split(' ')
                .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic())),
            Self::Url => {
                web(text).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_graphic()))
            }
            Self::Origin => web(text).is_some_and(str::is_empty),
            Self::DateTime => text.parse::<crate::time::Timestamp>().is_ok(),
        }
    }

    /// Whether a text of ASCII without control characters has the form. A "no" may be wrong: then [`Self::holds`] is
    /// asked, which a right text seldom needs.
    #[must_use]
    #[inline]
    pub(crate) fn holds_plainly(self, text: &[u8]) -> bool {
        match self {
            Self::Any => true,
            // The only control character that JSON takes as it is.
            Self::Line => !has_delete(text),
            Self::Token => all(text, GRAPHIC),
            Self::ToolName => all(text, TOOL),
            Self::Method => all(text, UPPER),
            Self::Path => text.first() == Some(&b'/') && all(text, PATH),
            Self::Email => email::holds_plainly(text),
            Self::DateTime => plain_moment(text),
            Self::PlanName => PlanId::ALL.into_iter().any(|plan| plan.is_named(text)),
            Self::Ip => plain_ip(text),
            Self::Scopes | Self::Host | Self::Url | Self::Origin => false,
        }
    }

    /// Which texts plainly have the form. The npm package takes such a text without asking; of every other it asks
    /// [`Self::holds`]. `None` where it has its own reader.
    #[must_use]
    pub fn plain(self) -> Option<Plain> {
        const DOMAIN: &str = r"(?:[A-Za-z0-9]{1,30}(?:-[A-Za-z0-9]{1,30})?\.){1,3}[A-Za-z]{2,20}";
        const BYTE: &str = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
        let pattern = |pattern| Plain::Pattern { pattern, max: None };
        Some(match self {
            Self::Any => Plain::Only(r"\u0000-\ud7ff"),
            Self::Line => Plain::Only(r" -~\u00a0-\ud7ff"),
            // No part of a short text is too long: to count each would take half of the time.
            Self::Email => Plain::Pattern {
                pattern: r"^[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*\.[A-Za-z]{2,20}$"
                    .to_owned(),
                max: Some(63),
            },
            Self::PlanName => Plain::OneOf(
                PlanId::ALL
                    .into_iter()
                    .flat_map(|plan| plan.plan().names)
                    .collect(),
            ),
            Self::ToolName => Plain::Only("A-Za-z0-9_./:-"),
            Self::Path => pattern(r#"^/[!"$->@-~]*$"#.to_owned()),
            Self::Method => Plain::Only("A-Z"),
            Self::Ip => pattern(format!(r"^(?:{BYTE}\.){{3}}{BYTE}$")),
            Self::Host => pattern(format!("^{DOMAIN}$")),
            Self::Token => Plain::Only("!-~"),
            Self::Scopes => pattern("^[!-~]+(?: [!-~]+)*$".to_owned()),
            Self::Url => pattern(format!("^https://{DOMAIN}(?:/[!-~]*)?$")),
            Self::Origin => pattern(format!("^https://{DOMAIN}$")),
            Self::DateTime => return None,
        })
    }

    /// The form as a garde rule.
    pub(crate) fn rule(self) -> impl FnOnce(&String, &()) -> garde::Result {
        move |text, ()| {
            if self.holds(text) {
                Ok(())
            } else {
                Err(garde::Error::new("format"))
            }
        }
    }
}

/// Texts that plainly have a form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Plain {
    /// These.
    OneOf(Vec<&'static str>),
    /// Those of nothing but these characters, which are the inside of a class of JavaScript's regular expressions.
    Only(&'static str),
    /// Those that a regular expression of JavaScript finds, and that have so many characters at most.
    Pattern {
        /// The regular expression.
        pattern: String,
        /// How many characters a text may have of which no part is too long for the form.
        max: Option<u32>,
    },
}

/// A dotted name: labels of letters, digits and inner hyphens, at most 63 characters each.
pub(super) fn name(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

fn host(text: &str) -> bool {
    match text.split_once(':') {
        None => name(text),
        Some((host, port)) => name(host) && self::port(port),
    }
}

fn port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Whether a host, with or without a port, is this machine: there, http is as private as https elsewhere.
#[must_use]
pub fn loopback(host: &str) -> bool {
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    name == "localhost"
        || name
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

/// What follows the origin of an absolute web address.
fn web(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end)?;
    let allowed = match scheme {
        "https" => host(authority),
        "http" => host(authority) && loopback(authority),
        _ => false,
    };
    allowed.then_some(rest)
}

/// What a byte may be part of, a bit each.
const GRAPHIC: u8 = 1;
const TOOL: u8 = 2;
const UPPER: u8 = 4;
const PATH: u8 = 8;
const DIGIT: u8 = 16;

/// The classes of every byte.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut rest: &mut [u8] = &mut classes;
    let mut byte = 0_u8;
    while let Some((class, others)) = rest.split_first_mut() {
        *class = classes_of(byte);
        rest = others;
        byte = byte.wrapping_add(1);
    }
    classes
};

const fn classes_of(byte: u8) -> u8 {
    let letter = byte.is_ascii_alphanumeric();
    (if byte.is_ascii_graphic() { GRAPHIC } else { 0 })
        | (if letter || matches!(byte, b'_' | b'-'..=b'/' | b':') {
            TOOL
        } else {
            0
        })
        | (if byte.is_ascii_uppercase() { UPPER } else { 0 })
        | (if byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#') {
            PATH
        } else {
            0
        })
        | (if byte.is_ascii_digit() { DIGIT } else { 0 })
}

/// Whether every byte is of a class.
#[inline]
fn all(text: &[u8], class: u8) -> bool {
    text.iter().all(|byte| is(*byte, class))
}

#[inline]
fn is(byte: u8, class: u8) -> bool {
    CLASSES
        .get(usize::from(byte))
        .is_some_and(|classes| classes & class != 0)
}

/// Whether U+007F is among bytes of ASCII, eight at a time.
#[inline]
fn has_delete(text: &[u8]) -> bool {
    const DELETE: u8 = 0x7f;
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let (words, rest) = text.as_chunks::<8>();
    let in_word = |word: &[u8; 8]| {
        // One more than it is the first with its highest bit set.
        let above = u64::from_le_bytes(*word).wrapping_add(u64::from_le_bytes([1; 8]));
        above & HIGH != 0
    };
    words.iter().any(in_word) || rest.contains(&DELETE)
}

/// How many bytes at the beginning are of a class.
#[inline]
fn run(text: &[u8], class: u8) -> usize {
    let end = text.iter().position(|byte| !is(*byte, class));
    end.unwrap_or(text.len())
}

/// Four numbers below 256 (RFC 6943, section 3.1.1, the strict form).
fn plain_ip(text: &[u8]) -> bool {
    let mut rest = text;
    for last in [false, false, false, true] {
        let length = run(rest, DIGIT);
        let (digits, after) = rest.split_at_checked(length).unwrap_or_default();
        let number = digits.iter().fold(0_u32, |number, digit| {
            number
                .wrapping_mul(10)
                .wrapping_add(u32::from(digit.wrapping_sub(b'0')))
        });
        let leading = length > 1 && digits.first() == Some(&b'0');
        if !matches!(length, 1..=3) || leading || number > 255 {
            return false;
        }
        rest = match after.split_first() {
            None => return last,
            Some((b'.', after)) => after,
            Some(_) => return false,
        };
    }
    false
}

/// A moment as every part of the product writes it: `2026-01-31T10:15:30.250Z`, on a day that every month has.
fn plain_moment(text: &[u8]) -> bool {
    const FORM: [u64; 3] = words(b"0000-00-00T00:00:00.000Z");
    const DIGITS: [u64; 3] = words(
        b"\xff\xff\xff\xff\0\xff\xff\0\xff\xff\0\xff\xff\0\xff\xff\0\xff\xff\0\xff\xff\xff\0",
    );
    let Ok(text) = <&[u8; 24]>::try_from(text) else {
        return false;
    };
    let forms = FORM.iter().zip(DIGITS);
    let formed = words(text).iter().zip(forms).all(|(word, (form, digits))| {
        let value = (word ^ form) & digits;
        // What a digit is worth is less than ten: six more, and it still is less than sixteen.
        let above = value | value.wrapping_add(0x0606_0606_0606_0606);
        word & !digits == form & !digits && above & digits & 0xf0f0_f0f0_f0f0_f0f0 == 0
    });
    let two = |at: usize| {
        let digit = |at: usize| text.get(at).map_or(0, |byte| byte.wrapping_sub(b'0'));
        digit(at)
            .wrapping_mul(10)
            .wrapping_add(digit(at.wrapping_add(1)))
    };
    formed
        && two(0) == 20
        && matches!(two(5), 1..=12)
        && matches!(two(8), 1..=28)
        && two(11) < 24
        && two(14) < 60
        && two(17) < 60
}

/// Twenty-four bytes as three numbers.
const fn words(text: &[u8; 24]) -> [u64; 3] {
    let (words, _) = text.as_chunks::<8>();
    match words {
        [one, two, three] => [
            u64::from_le_bytes(*one),
            u64::from_le_bytes(*two),
            u64::from_le_bytes(*three),
        ],
        _ => [0; 3],
    }
}
