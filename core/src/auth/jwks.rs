//! The issuer's published keys, and when to ask for them again.

use crate::json;
use crate::time::{DAY_MILLIS, Timestamp};
use serde::{Deserialize, Serialize};

/// How long published keys are used before they are asked for again.
const MAX_AGE_MILLIS: i64 = 10 * 60 * 1000;
/// How long a key nobody knows does not make us ask again.
const COOL_DOWN_MILLIS: i64 = 30 * 1000;
/// How long keys are used when the issuer cannot be reached.
const STALE_MILLIS: i64 = DAY_MILLIS;

/// A key that can check RS256 signatures, as WebCrypto imports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RsaKey {
    /// Always `RSA`.
    pub kty: &'static str,
    /// Always `RS256`.
    pub alg: &'static str,
    /// The modulus, base64url.
    pub n: String,
    /// The exponent, base64url.
    pub e: String,
    #[serde(skip)]
    key_id: String,
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Entry {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

/// What an issuer published, and when we asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<RsaKey>,
    fetched_at: Timestamp,
}

/// What to do about a token's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChoice<'k> {
    /// Check the signature with it.
    Use(&'k RsaKey),
    /// Ask the issuer, then look again.
    Fetch,
    /// The issuer does not publish it.
    Unknown,
}

/// Not a JSON Web Key Set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAKeySet;

impl KeySet {
    /// Reads a JSON Web Key Set (RFC 7517). Keys that cannot check RS256 are left out, so a key is bound to its
    /// algorithm (RFC 8725 §3.2); a modulus of less than 2048 bits is left out as too weak, and what is no key at all
    /// is ignored (RFC 7517 §5).
    ///
    /// # Errors
    /// [`NotAKeySet`] when the text is something else, or no key is left.
    pub fn parse(json: &[u8], fetched_at: Timestamp) -> Result<Self, NotAKeySet> {
        let published: Published = json::read(json).map_err(|_| NotAKeySet)?;
        let keys: Vec<RsaKey> = published
            .keys
            .into_iter()
            .filter_map(|entry| rsa_key(json::read(entry.to_string().as_bytes()).ok()?))
            .collect();
        if keys.is_empty() {
            return Err(NotAKeySet);
        }
        Ok(Self { keys, fetched_at })
    }

    /// The key of that id.
    #[must_use]
    pub fn find(&self, key_id: &str) -> Option<&RsaKey> {
        self.keys.iter().find(|key| key.key_id == key_id)
    }

    /// How many keys there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// Whether the keys need not be asked for again yet.
    #[must_use]
    pub fn fresh(&self, now: Timestamp) -> bool {
        (0..MAX_AGE_MILLIS).contains(&now.since(self.fetched_at))
    }

    /// Whether the keys may still be used when the issuer cannot be reached.
    #[must_use]
    pub fn usable_in_outage(&self, now: Timestamp) -> bool {
        now.since(self.fetched_at) <= STALE_MILLIS
    }
}

fn rsa_key(entry: Entry) -> Option<RsaKey> {
    // 2048 bits are 256 bytes, 342 characters of base64url.
    const MIN_MODULUS: usize = 342;
    let fits = entry.kty == "RSA"
        && entry.purpose.is_none_or(|purpose| purpose == "sig")
        && entry.alg.is_none_or(|alg| alg == "RS256");
    let n = entry.n.filter(|n| n.len() >= MIN_MODULUS)?;
    let (key_id, e) = (entry.kid?, entry.e?);
    fits.then_some(RsaKey {
        kty: "RSA",
        alg: "RS256",
        n,
        e,
        key_id,
    })
}

/// What to do about a token signed with `key_id`.
///
/// Keys older than ten minutes are asked for again. An unknown key makes us ask at most every 30 seconds, so tokens
/// with invented key ids cannot turn us against the issuer.
#[must_use]
pub fn choose<'k>(
    known: Option<&'k KeySet>,
    key_id: &str,
    last_attempt: Option<Timestamp>,
    now: Timestamp,
) -> KeyChoice<'k> {
    let cooled = has_cooled(last_attempt, now);
    let Some(set) = known else {
        return if cooled {
            KeyChoice::Fetch
        } else {
            KeyChoice::Unknown
        };
    };
    let fresh = set.fresh(now);
    match set.find(key_id) {
        Some(key) if fresh || !cooled => KeyChoice::Use(key),
        Some(_) => KeyChoice::Fetch,
        None if cooled => KeyChoice::Fetch,
        None => KeyChoice::Unknown,
    }
}

/// Whether an issuer that was asked at `last_attempt` may be asked again.
#[must_use]
pub fn has_cooled(last_attempt: Option<Timestamp>, now: Timestamp) -> bool {
    // A clock that stepped back waits no longer than the cool-down.
    last_attempt.is_none_or(|at| !(0..COOL_DOWN_MILLIS).contains(&now.since(at)))
}
