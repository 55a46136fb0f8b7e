//! Who sent this? The signature over a webhook's raw bytes.
//!
//! <https://docs.stripe.com/webhooks/signature>

use crate::auth::secret::hmac;
use crate::time::Timestamp;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt::Write;

/// How far the sender's clock may be off, either way.
const TOLERANCE_SECONDS: u64 = 300;

/// The secrets of an endpoint: several while they are exchanged for others.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets(Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// Reads secrets that are separated by commas or white space; `None` when there is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let secrets: Vec<String> = text
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|secret| !secret.is_empty())
            .map(str::to_owned)
            .collect();
        (!secrets.is_empty()).then_some(Self(secrets))
    }

    /// Whether each of them looks like a signing secret of Stripe's.
    #[must_use]
    pub fn are_well_formed(&self) -> bool {
        let rest = |secret: &String| secret.strip_prefix("whsec_").map(str::len);
        self.0
            .iter()
            .all(|secret| rest(secret).is_some_and(|length| length > 0))
    }
}

/// Why a webhook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unverified {
    /// Without a signature.
    Missing,
    /// A header that is not `t=…,v1=…`.
    Malformed,
    /// Signed too long ago, or in the future.
    Stale,
    /// No signature fits.
    Mismatch,
}

impl Unverified {
    /// The name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Stale => "stale",
            Self::Mismatch => "mismatch",
        }
    }
}

/// Whether `header` signs `body` with one of the secrets, at about `now`. Any `v1` may fit; other schemes are ignored.
///
/// ```
/// use legis_core::stripe::signature::{Secrets, sign, verify};
/// let now = "2026-03-01T00:00:00Z".parse().unwrap();
/// let secrets = Secrets::parse("whsec_old whsec_new").unwrap();
/// let header = sign(b"{}", "whsec_new", now);
/// assert!(verify(Some(&header), b"{}", &secrets, now).is_ok());
/// assert!(verify(Some(&header), b"[]", &secrets, now).is_err());
/// ```
///
/// # Errors
/// [`Unverified`] says why not.
pub fn verify(
    header: Option<&str>,
    body: &[u8],
    secrets: &Secrets,
    now: Timestamp,
) -> Result<(), Unverified> {
    let header = header.ok_or(Unverified::Missing)?;
    let (mut signed_at, mut candidates) = (None, Vec::new());
    for (name, value) in header.split(',').filter_map(|part| part.split_once('=')) {
        match name.trim() {
            "t" if signed_at.is_none() => signed_at = Some(value.trim()),
            "v1" => candidates.push(hex(value.trim()).ok_or(Unverified::Malformed)?),
            _ => {}
        }
    }
    let signed_at = signed_at
        .filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .ok_or(Unverified::Malformed)?;
    if candidates.is_empty() {
        return Err(Unverified::Malformed);
    }
    // Compared before the time is looked at: who does not know the secret learns nothing of our clock.
    let fits = |secret: &String| {
        candidates
            .iter()
            .any(|candidate| mac(signed_at, body, secret).verify_slice(candidate).is_ok())
    };
    if !secrets.0.iter().any(fits) {
        return Err(Unverified::Mismatch);
    }
    let seconds: i64 = signed_at.parse().map_err(|_| Unverified::Stale)?;
    if now.seconds().abs_diff(seconds) > TOLERANCE_SECONDS {
        return Err(Unverified::Stale);
    }
    Ok(())
}

/// The header that signs `body` with `secret` at `at`, as Stripe makes it.
#[must_use]
pub fn sign(body: &[u8], secret: &str, at: Timestamp) -> String {
    let signed_at = at.seconds().to_string();
    let mut header = format!("t={signed_at},v1=");
    for byte in mac(&signed_at, body, secret).finalize().into_bytes() {
        let _ = write!(header, "{byte:02x}");
    }
    header
}

fn mac(signed_at: &str, body: &[u8], secret: &str) -> Hmac<Sha256> {
    hmac(secret.as_bytes(), &[signed_at.as_bytes(), b".", body])
}

/// The bytes of a SHA-256 in hexadecimal.
fn hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => {
                let value = digit(*high)?.checked_mul(16)?.checked_add(digit(*low)?)?;
                u8::try_from(value).ok()
            }
            _ => None,
        })
        .collect()
}
