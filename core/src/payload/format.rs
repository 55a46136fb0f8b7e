//! The forms a text can be asked to have. Plain loops: a regular expression engine would be larger than the rest.

use crate::plan::PlanId;

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
    pub const fn expectation(self) -> &'static str {
        match self {
            Self::Any => "text",
            Self::Line => "text without control characters",
            Self::Email => "an e-mail address such as name@example.com",
            Self::PlanName => "the name of a plan: free, starter, professional or enterprise",
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
        }
    }

    /// Whether `text` has the form.
    #[must_use]
    pub fn holds(self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Line if text.is_ascii() => !text.bytes().any(|byte| byte.is_ascii_control()),
            Self::Line => !text.chars().any(char::is_control),
            Self::Email => email(text),
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

    /// The same for ASCII, in one pass where that can be done.
    #[must_use]
    pub(crate) fn holds_plainly(self, text: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Line => text.iter().all(|byte| *byte != 0x7f),
            Self::Token => text.iter().all(u8::is_ascii_graphic),
            Self::Method => text.iter().all(u8::is_ascii_uppercase),
            Self::Path => {
                text.first() == Some(&b'/')
                    && text
                        .iter()
                        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#'))
            }
            Self::Email => plain_email(text),
            Self::DateTime => plain_moment(text),
            _ => std::str::from_utf8(text).is_ok_and(|text| self.holds(text)),
        }
    }

    /// A pattern of texts that plainly have the form: ASCII, and no longer than a rule inside the form allows. The npm
    /// package takes such a text without asking; of every other it asks [`Self::holds`]. `None` where it has its own
    /// reader, or always asks.
    #[must_use]
    pub fn plain(self) -> Option<String> {
        const DOMAIN: &str = r"(?:[A-Za-z0-9]{1,30}(?:-[A-Za-z0-9]{1,30})?\.){1,3}[A-Za-z]{2,20}";
        const BYTE: &str = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
        let pattern = match self {
            Self::Any => r"^[\u0000-\ud7ff]*$".to_owned(),
            Self::Line => r"^[ -~\u00a0-\ud7ff]*$".to_owned(),
            Self::Email => {
                format!(r"^[A-Za-z0-9_+-]{{1,30}}(?:\.[A-Za-z0-9_+-]{{1,16}}){{0,2}}@{DOMAIN}$")
            }
            Self::PlanName => {
                let names = PlanId::ALL.into_iter().flat_map(|plan| plan.plan().names);
                format!("^(?:{})$", names.collect::<Vec<_>>().join("|"))
            }
            Self::ToolName => r"^[A-Za-z0-9_./:-]*$".to_owned(),
            Self::Path => r#"^/[!"$->@-~]*$"#.to_owned(),
            Self::Method => "^[A-Z]*$".to_owned(),
            Self::Ip => format!(r"^(?:{BYTE}\.){{3}}{BYTE}$"),
            Self::Host => format!("^{DOMAIN}$"),
            Self::Token => "^[!-~]*$".to_owned(),
            Self::Scopes => "^[!-~]+(?: [!-~]+)*$".to_owned(),
            Self::Url => format!("^https://{DOMAIN}(?:/[!-~]*)?$"),
            Self::Origin => format!("^https://{DOMAIN}$"),
            Self::DateTime => return None,
        };
        Some(pattern)
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

/// The practical part of RFC 5321: an atom or dotted atoms, then a domain of at least two labels.
fn email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let atom = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'/' | b'=' | b'?' | b'^'..=b'`' | b'{'..=b'~'
            )
    };
    local.len() <= 64
        && local
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(atom))
        && domain.contains('.')
        && name(domain)
        && domain
            .rsplit('.')
            .next()
            .is_some_and(|tld| tld.len() >= 2 && !tld.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A dotted name: labels of letters, digits and inner hyphens, at most 63 characters each.
fn name(text: &str) -> bool {
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

/// [`email`] in one pass.
fn plain_email(text: &[u8]) -> bool {
    let Some(at) = text.iter().position(|byte| *byte == b'@') else {
        return false;
    };
    let (Some(local), Some(domain)) = (text.get(..at), text.get(at.wrapping_add(1)..)) else {
        return false;
    };
    let mut before = b'.';
    for byte in local {
        let fits = match byte {
            b'.' => before != b'.',
            b'!'
            | b'#'..=b'\''
            | b'*'
            | b'+'
            | b'-'
            | b'/'
            | b'='
            | b'?'
            | b'^'..=b'`'
            | b'{'..=b'~' => true,
            byte => byte.is_ascii_alphanumeric(),
        };
        if !fits {
            return false;
        }
        before = *byte;
    }
    local.len() <= 64 && before != b'.' && plain_domain(domain)
}

/// A dotted name of at least two labels, the last of which is no number.
fn plain_domain(domain: &[u8]) -> bool {
    let (mut before, mut label, mut letters, mut dots) = (b'.', 0_u32, 0_u32, 0_u32);
    for byte in domain {
        match byte {
            b'.' if before == b'.' || before == b'-' => return false,
            b'.' => {
                dots = dots.wrapping_add(1);
                (label, letters) = (0, 0);
                before = b'.';
                continue;
            }
            b'-' if before == b'.' => return false,
            b'0'..=b'9' => {}
            b'-' | b'a'..=b'z' | b'A'..=b'Z' => letters = letters.wrapping_add(1),
            _ => return false,
        }
        label = label.wrapping_add(1);
        if label > 63 {
            return false;
        }
        before = *byte;
    }
    dots > 0 && label >= 2 && letters > 0 && before != b'-' && domain.len() <= 253
}

/// A moment as every part of the product writes it; of others the parser is asked.
fn plain_moment(text: &[u8]) -> bool {
    let form: &[u8] = b"0000-00-00T00:00:00.000Z";
    let plain = text.len() == form.len()
        && text.iter().zip(form).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte == form,
        });
    let two = |at: usize| {
        let digit = |at: usize| text.get(at).map_or(0, |byte| byte.wrapping_sub(b'0'));
        digit(at)
            .wrapping_mul(10)
            .wrapping_add(digit(at.wrapping_add(1)))
    };
    // Every month has 28 days; of the later ones the calendar is asked.
    let common = plain
        && matches!(two(0), 20)
        && matches!(two(5), 1..=12)
        && matches!(two(8), 1..=28)
        && two(11) < 24
        && two(14) < 60
        && two(17) < 60;
    common
        || std::str::from_utf8(text)
            .is_ok_and(|text| text.parse::<crate::time::Timestamp>().is_ok())
}
