//! Every parser that reads what a stranger sent, on what is almost right: a document of the right form, spoilt in a few
//! places. Nothing may stop the reading, and what is refused is an error. `LEGIS_FUZZ` says how many cases; the reader of
//! JSON has tests of its own (`reader.rs`).
#![allow(clippy::unwrap_used, reason = "a test that fails should stop")]

mod fuzzed;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fuzzed::cases;
use legis_core::auth::claims;
use legis_core::auth::jwks::KeySet;
use legis_core::auth::token;
use legis_core::idempotency::KeyedCall;
use legis_core::mcp::answer::{Close, Form, Seen, end};
use legis_core::mcp::message::{Headers, read as read_message};
use legis_core::mcp::record::Recorder;
use legis_core::stripe::event::{envelope, fetched, read as read_event};
use legis_core::stripe::signature::{Secrets, sign, verify};
use legis_core::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A change of a text that was right.
#[derive(Debug, Clone)]
enum Spoil {
    Replace(prop::sample::Index, u8),
    Cut(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
    Insert(prop::sample::Index, &'static str),
}

/// What a parser may take for something else.
const BITS: [&str; 22] = [
    "null",
    "true",
    "-0",
    "1e999",
    "-1",
    "9007199254740993",
    "0.1",
    "\"\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "{}",
    "[]",
    "{",
    "]",
    ",",
    ":",
    "\"__proto__\":1,",
    "\u{feff}",
    "\u{2028}",
    ".",
    "=",
    "\r\n\r\n",
];

fn spoil() -> impl Strategy<Value = Spoil> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Spoil::Replace(at, byte)),
        (at(), 1..40_usize).prop_map(|(at, length)| Spoil::Cut(at, length)),
        (at(), 1..40_usize).prop_map(|(at, length)| Spoil::Repeat(at, length)),
        (at(), prop::sample::select(BITS.to_vec())).prop_map(|(at, bit)| Spoil::Insert(at, bit)),
    ]
}

fn spoilt(text: &[u8], spoils: &[Spoil]) -> Vec<u8> {
    spoils.iter().fold(text.to_vec(), |mut text, spoil| {
        if text.is_empty() {
            return text;
        }
        match spoil {
            Spoil::Replace(at, byte) => {
                let at = at.index(text.len());
                text.splice(at..=at, [*byte]);
            }
            Spoil::Cut(at, length) => {
                let at = at.index(text.len());
                let end = at.saturating_add(*length).min(text.len());
                text.drain(at..end);
            }
            Spoil::Repeat(at, length) => {
                let at = at.index(text.len());
                let end = at.saturating_add(*length).min(text.len());
                let part: Vec<u8> = text.drain(at..end).collect();
                text.splice(at..at, [part.clone(), part].concat());
            }
            Spoil::Insert(at, bit) => {
                let at = at.index(text.len().saturating_add(1));
                text.splice(at..at, bit.bytes());
            }
        }
        text
    })
}

fn spoils() -> impl Strategy<Value = Vec<Spoil>> {
    prop::collection::vec(spoil(), 0..4)
}

fn now() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().unwrap()
}

fn claims() -> Value {
    json!({
        "iss": "https://example.auth0.com/", "sub": "auth0|ada", "aud": ["urn:legis-api", "other"], "iat": 1772323200, "exp": 1772326800,
        "azp": "client", "scope": "openid read:bills", "email": "ada@example.com", "email_verified": true, "name": "Ada"
    })
}

fn event() -> Value {
    json!({
        "id": "evt_1", "object": "event", "type": "customer.subscription.updated", "created": 1772323200, "livemode": false,
        "data": {
            "object": subscription(),
            "previous_attributes": {"status": "trialing", "items": {"data": [{"price": {"id": "price_0"}}]}}
        }
    })
}

fn subscription() -> Value {
    json!({
        "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active", "billing_cycle_anchor": 1772323200,
        "cancel_at_period_end": false, "metadata": {"legis_sub": "auth0|ada"},
        "items": {"object": "list", "data": [{
            "id": "si_1", "quantity": 1, "current_period_start": 1772323200, "current_period_end": 1775001600,
            "price": {"id": "price_1", "recurring": {"interval": "month", "interval_count": 1}}
        }]}
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_token_that_is_almost_right(in_header in spoils(), in_claims in spoils(), in_token in spoils()) {
        let header = spoilt(br#"{"alg":"RS256","kid":"key","typ":"at+jwt"}"#, &in_header);
        let payload = spoilt(claims().to_string().as_bytes(), &in_claims);
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let whole = format!("{}.{}.{}", part(&header), part(&payload), part(b"signature"));
        let whole = String::from_utf8_lossy(&spoilt(whole.as_bytes(), &in_token)).into_owned();
        let bearer = format!("Bearer {whole}");
        if let Ok(read) = token::bearer(Some(&bearer)).and_then(token::parse) {
            // What is let through has the one algorithm, and a key to ask for.
            let header = read.signed.split(|byte| *byte == b'.').next().unwrap_or_default();
            // What nobody reads in it may look like anything, a lone surrogate for one.
            if let Ok(header) = serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(header).unwrap()) {
                prop_assert_eq!(&header["alg"], "RS256");
                prop_assert!(header.get("crit").is_none());
            }
            prop_assert!(!read.key_id.is_empty());
            let _ = read.claimed_issuer();
            // Nobody is trusted here, so nobody gets in.
            prop_assert!(claims::verify(&read.into_claims_json(), &[], now()).is_err());
        }
    }

    #[test]
    fn keys_that_are_almost_right(spoils in spoils()) {
        let keys = json!({"keys": [{"kty": "RSA", "kid": "key", "alg": "RS256", "use": "sig", "n": URL_SAFE_NO_PAD.encode([0xc5; 256]), "e": "AQAB"}]});
        prop_assert!(KeySet::parse(keys.to_string().as_bytes(), now()).is_ok());
        let _ = KeySet::parse(&spoilt(keys.to_string().as_bytes(), &spoils), now());
    }

    #[test]
    fn a_signature_that_is_almost_right(in_header in spoils(), in_body in spoils()) {
        let body = event().to_string();
        let secrets = Secrets::parse("whsec_test").unwrap();
        let header = sign(body.as_bytes(), "whsec_test", now());
        let spoilt_header = String::from_utf8_lossy(&spoilt(header.as_bytes(), &in_header)).into_owned();
        let spoilt_body = spoilt(body.as_bytes(), &in_body);
        let believed = verify(Some(&spoilt_header), &spoilt_body, &secrets, now()).is_ok();
        // Whatever was done to the header, another body is never believed.
        prop_assert!(!believed || spoilt_body == body.as_bytes());
    }

    #[test]
    fn an_event_that_is_almost_right(spoils in spoils()) {
        prop_assert!(read_event(event().to_string().as_bytes()).is_ok());
        let text = spoilt(event().to_string().as_bytes(), &spoils);
        if let Ok(event) = read_event(&text) {
            prop_assert!(!event.id.is_empty() && event.id.is_ascii());
            // The envelope is read first by the worker, and is the stricter of the two about moments.
            let envelope = envelope(&text).map_or_else(|| event.id.clone(), |envelope| envelope.id);
            prop_assert_eq!(envelope, event.id);
        }
    }

    #[test]
    fn a_subscription_that_is_almost_right(spoils in spoils()) {
        let text = subscription().to_string();
        prop_assert!(fetched(text.as_bytes(), now(), Vec::new()).is_ok());
        let _ = fetched(&spoilt(text.as_bytes(), &spoils), now(), Vec::new());
    }

    #[test]
    fn a_message_of_mcp_that_is_almost_right(spoils in spoils(), version in prop::sample::select(vec!["2025-11-25", "2026-07-28", "none"])) {
        let message = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "search-bills", "arguments": {"q": "tax"}, "_meta": {"progressToken": "t"}}
        });
        let headers = Headers { version: Some(version), ..Headers::default() };
        let _ = read_message(&spoilt(message.to_string().as_bytes(), &spoils), headers);
    }

    #[test]
    fn an_answer_of_mcp_that_is_almost_right(spoils in spoils(), is_stream in any::<bool>(), close in prop::sample::select(vec![Close::Complete, Close::Broken, Close::Silent, Close::Cancelled])) {
        let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "found"}], "isError": false}});
        let (form, text) = match is_stream {
            true => (Form::Events, format!(": hello\r\nid: 7\r\ndata: {answer}\r\n\r\n")),
            false => (Form::Json, answer.to_string()),
        };
        let bytes = spoilt(text.as_bytes(), &spoils);
        let seen = Seen { status: 200, form, bytes: &bytes, length: bytes.len(), close };
        let _ = end(seen, &json!(1), None, 7, &Recorder::default());
    }

    #[test]
    fn a_key_that_is_almost_right(spoils in spoils()) {
        let key = String::from_utf8_lossy(&spoilt(b"\"0198c1f2-order-17\"", &spoils)).into_owned();
        if let Ok(keyed) = KeyedCall::new(&key, "POST", "/api/calls", b"{}") {
            prop_assert!(!keyed.key.is_empty() && keyed.key.len() <= 255);
        }
    }
}
