//! What is let in: addresses, tokens, keys. And what is said when nothing is.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails should stop"
)]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use legis_core::auth::claims::{CallerKind, verify};
use legis_core::auth::jwks::{KeyChoice, KeySet, choose};
use legis_core::auth::{Scope, Unauthenticated, token};
use legis_core::call::Settler;
use legis_core::payload::AuthConfig;
use legis_core::problem::Problem;
use legis_core::route::{NoRoute, Personal, Route, route};
use legis_core::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_data_route_keeps_its_path_and_needs_the_scope_of_its_first_segment() {
    for (path, scope, below) in [
        ("/api/bills", Scope::ReadBills, "bills"),
        ("/api/bills/hr1-118", Scope::ReadBills, "bills/hr1-118"),
        ("/api/members/S%20x", Scope::ReadMembers, "members/S%20x"),
        ("/api/votes/", Scope::ReadVotes, "votes"),
        (
            "/api/committees/a/b",
            Scope::ReadCommittees,
            "committees/a/b",
        ),
    ] {
        let wanted = Route::Person(Personal::Data {
            scope,
            path: below.to_owned(),
        });
        assert_eq!(route("GET", path), Ok(wanted), "{path}");
    }
}

#[test]
fn no_path_leads_from_one_scope_to_another() {
    for path in [
        "/api/bills/../members",
        "/api/bills/..",
        "/api/bills/./x",
        "/api/bills/%2e%2e/members",
        "/api/bills/%2E./members",
        "/api/bills/%2e%2e%2fmembers",
        "/api/bills/..%5cmembers",
        "/api/bills/..\\members",
        "/api/bills/%252e%252e/members",
        "/api/bills/%00",
        "/api/bills/..;/members",
        "/api/bills/%2e%2e;x=1/members",
        "/api/bills/.%3b/members",
        "/api/../bills",
        "/api/%62ills",
    ] {
        assert_eq!(route("GET", path), Err(NoRoute::NotFound), "{path}");
    }
}

#[test]
fn a_method_that_does_not_apply_is_told_which_do() {
    assert_eq!(
        route("PROPFIND", "/api/me"),
        Err(NoRoute::Method("GET, HEAD"))
    );
    assert_eq!(
        route("DELETE", "/api/users/register"),
        Err(NoRoute::Method("POST"))
    );
    assert_eq!(route("HEAD", "/api/health"), Ok(Route::Health));
}

/// A token from its header, as the worker reads it.
fn read(
    authorization: Option<&str>,
) -> Result<legis_core::auth::token::UnverifiedToken<'_>, Unauthenticated> {
    token::bearer(authorization).and_then(token::parse)
}

proptest! {
    #[test]
    fn any_path_is_routed_or_refused(method in "[A-Z]{1,8}", path in "\\PC{0,60}") {
        let _ = route(&method, &path);
        let _ = route("GET", &format!("/api/{path}"));
    }

    #[test]
    fn any_header_is_read_or_refused(header in "\\PC{0,80}") {
        prop_assert!(read(Some(&header)).is_err());
        let bearer = format!("Bearer {header}");
        prop_assert!(read(Some(&bearer)).is_err());
    }
}

fn bearer(header: &Value) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!(
        "Bearer {}.{}.c2ln",
        part(&header.to_string()),
        part("{\"iss\":\"x\"}")
    )
}

#[test]
fn the_algorithm_is_ours_to_choose() {
    for (header, wrong) in [
        (
            json!({"alg": "none", "kid": "1"}),
            Unauthenticated::Algorithm,
        ),
        (
            json!({"alg": "HS256", "kid": "1"}),
            Unauthenticated::Algorithm,
        ),
        (
            json!({"alg": "rs256", "kid": "1"}),
            Unauthenticated::Algorithm,
        ),
        (json!({"alg": "RS256"}), Unauthenticated::KeyIdMissing),
        (
            json!({"alg": "RS256", "kid": ""}),
            Unauthenticated::KeyIdMissing,
        ),
        (
            json!({"alg": "RS256", "kid": "1", "crit": null}),
            Unauthenticated::Critical,
        ),
        (
            json!({"alg": "RS256", "kid": "1", "crit": ["exp"]}),
            Unauthenticated::Critical,
        ),
        (
            json!({"alg": "RS256", "kid": "1", "typ": "dpop+jwt"}),
            Unauthenticated::Kind,
        ),
        (json!({"kid": "1"}), Unauthenticated::Malformed),
    ] {
        assert_eq!(read(Some(&bearer(&header))), Err(wrong), "{header}");
    }
    let sound = bearer(&json!({"alg": "RS256", "kid": "1", "typ": "AT+JWT"}));
    assert_eq!(read(Some(&sound)).unwrap().key_id, "1");
    assert_eq!(read(None), Err(Unauthenticated::Missing));
    assert_eq!(read(Some("Basic eA==")), Err(Unauthenticated::Scheme));
}

fn config(name: &str, domain: &str, audience: &str, is_active: bool) -> AuthConfig {
    serde_json::from_value(json!({
        "config_name": name, "auth0_domain": domain, "auth0_client_id": "c", "auth0_audience": audience,
        "auth0_scope": "openid", "allowed_callback_urls": [], "allowed_logout_urls": [], "allowed_origins": [],
        "is_active": is_active,
    }))
    .unwrap()
}

#[test]
fn issuer_and_audience_must_fit_one_active_row() {
    let configs = [
        config("frontend", "a.example.com", "urn:api", true),
        config("mcp_server", "a.example.com", "urn:mcp", true),
    ];
    let now = at("2026-01-01T00:00:00Z");
    let claims = |iss: &str, aud: Value| {
        let claims = json!({"iss": iss, "aud": aud, "sub": "u", "exp": now.seconds() + 60, "scope": "read:bills openid"});
        verify(claims.to_string().as_bytes(), &configs, now)
    };
    let issuer = "https://a.example.com/";
    assert!(claims(issuer, json!("urn:api")).is_ok());
    assert!(claims(issuer, json!("urn:mcp")).is_ok());
    let caller = claims(issuer, json!(["urn:mcp", "https://a.example.com/userinfo"])).unwrap();
    assert!(caller.may(Scope::ReadBills) && !caller.may(Scope::ReadVotes));
    assert_eq!(
        claims(issuer, json!("urn:other")),
        Err(Unauthenticated::Audience)
    );
    assert_eq!(claims(issuer, json!([])), Err(Unauthenticated::Audience));
    for other in [
        "https://a.example.com",
        "http://a.example.com/",
        "https://b.example.com/",
        "",
    ] {
        assert_eq!(
            claims(other, json!("urn:api")),
            Err(Unauthenticated::Issuer),
            "{other}"
        );
    }
    let inactive = [config("frontend", "a.example.com", "urn:api", false)];
    let text =
        json!({"iss": issuer, "aud": "urn:api", "sub": "u", "exp": now.seconds() + 60}).to_string();
    assert_eq!(
        verify(text.as_bytes(), &inactive, now),
        Err(Unauthenticated::Issuer)
    );
}

#[test]
fn times_are_held_with_a_minute_of_leeway() {
    let configs = [config("frontend", "a.example.com", "urn:api", true)];
    let now = at("2026-01-01T00:00:00Z");
    let claims = |more: Value| {
        let mut claims =
            json!({"iss": "https://a.example.com/", "aud": "urn:api", "sub": "abc@clients"});
        claims
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        verify(claims.to_string().as_bytes(), &configs, now).map(|caller| caller.kind)
    };
    let second = now.seconds();
    assert_eq!(claims(json!({"exp": second - 59})), Ok(CallerKind::Machine));
    assert_eq!(
        claims(json!({"exp": second - 60})),
        Err(Unauthenticated::Expired)
    );
    assert_eq!(claims(json!({})), Err(Unauthenticated::Malformed));
    assert_eq!(
        claims(json!({"exp": second + 9, "nbf": second + 61})),
        Err(Unauthenticated::NotYet)
    );
    assert_eq!(
        claims(json!({"exp": second + 9, "iat": second + 61})),
        Err(Unauthenticated::NotYet)
    );
    assert_eq!(
        claims(json!({"exp": second + 9, "nbf": second + 60})),
        Ok(CallerKind::Machine)
    );
}

/// Auth0 says so in words of its own; of others a token without a resource owner has its client for a subject (RFC 9068,
/// section 2.2).
#[test]
fn a_programs_own_token_is_known_by_any_of_its_marks() {
    let configs = [config("frontend", "a.example.com", "urn:api", true)];
    let now = at("2026-01-01T00:00:00Z");
    let kind = |more: Value| {
        let mut claims = json!({
            "iss": "https://a.example.com/", "aud": "urn:api", "sub": "auth0|ada", "exp": now.seconds() + 60,
        });
        let members = claims.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        verify(claims.to_string().as_bytes(), &configs, now)
            .unwrap()
            .kind
    };
    for (more, expected) in [
        (json!({}), CallerKind::Person),
        (
            json!({"azp": "page", "client_id": "page"}),
            CallerKind::Person,
        ),
        (json!({"gty": "client-credentials"}), CallerKind::Machine),
        (json!({"sub": "abc@clients"}), CallerKind::Machine),
        (
            json!({"sub": "abc", "client_id": "abc"}),
            CallerKind::Machine,
        ),
        (json!({"sub": "abc", "azp": "abc"}), CallerKind::Machine),
        (
            json!({"sub": "abc", "azp": "page", "client_id": "abc"}),
            CallerKind::Machine,
        ),
    ] {
        assert_eq!(kind(more.clone()), expected, "{more}");
    }
}

/// A user's own token would fit a call of a service's as well, if neither said which client it was issued to.
#[test]
fn who_does_not_say_which_client_they_are_settles_nothing() {
    let configs = [config("frontend", "a.example.com", "urn:api", true)];
    let now = at("2026-01-01T00:00:00Z");
    let caller = |more: Value| {
        let mut claims = json!({
            "iss": "https://a.example.com/", "aud": "urn:api", "sub": "auth0|ada", "exp": now.seconds() + 60,
        });
        let members = claims.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        verify(claims.to_string().as_bytes(), &configs, now)
    };
    let settler = |more: Value| caller(more).unwrap().settler();
    assert_eq!(settler(json!({})), Settler::Nobody);
    assert_eq!(settler(json!({"azp": ""})), Settler::Nobody);
    let page = Settler::Client("page".to_owned());
    assert_eq!(settler(json!({"azp": "page"})), page);
    assert_eq!(settler(json!({"client_id": "page"})), page);
    // Nor is somebody called what no text of ours could hold, and a name is a line.
    assert_eq!(
        caller(json!({"sub": "auth0|a\nb"})),
        Err(Unauthenticated::Subject)
    );
    assert_eq!(caller(json!({"name": "a\nb"})).unwrap().identity.name, None);
}

fn key(id: &str) -> Value {
    json!({"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": "n".repeat(342), "e": "AQAB"})
}

#[test]
fn of_published_keys_only_those_for_rs256_are_kept() {
    let now = at("2026-01-01T00:00:00Z");
    let weak = json!({"kty": "RSA", "kid": "weak", "n": "n".repeat(171), "e": "AQAB"});
    let other =
        json!({"kty": "RSA", "kid": "other", "alg": "RS512", "n": "n".repeat(342), "e": "AQAB"});
    let octets = json!({"kty": "oct", "kid": "oct", "k": "secret"});
    let published = json!({"keys": [weak, other, octets, {"odd": true}, key("1")]}).to_string();
    let set = KeySet::parse(published.as_bytes(), now).unwrap();
    assert!(matches!(
        choose(Some(&set), "1", Some(now), now),
        KeyChoice::Use(_)
    ));
    for id in ["weak", "other", "oct"] {
        assert_eq!(
            choose(Some(&set), id, Some(now), now),
            KeyChoice::Unknown,
            "{id}"
        );
    }
    assert!(
        KeySet::parse(b"{\"keys\":[]}", now).is_err(),
        "an empty set replaces nothing"
    );
}

#[test]
fn keys_are_asked_for_every_ten_minutes_and_for_unknown_ones_every_thirty_seconds() {
    let start = at("2026-01-01T00:00:00Z");
    let set = KeySet::parse(json!({"keys": [key("1")]}).to_string().as_bytes(), start).unwrap();
    let later = |seconds: i64| start.plus_millis(seconds.saturating_mul(1000));
    assert_eq!(choose(None, "1", None, start), KeyChoice::Fetch);
    assert_eq!(
        choose(None, "1", Some(start), later(29)),
        KeyChoice::Unknown
    );
    assert!(matches!(
        choose(Some(&set), "1", Some(start), later(599)),
        KeyChoice::Use(_)
    ));
    assert_eq!(
        choose(Some(&set), "1", Some(start), later(600)),
        KeyChoice::Fetch
    );
    assert_eq!(
        choose(Some(&set), "2", Some(start), later(29)),
        KeyChoice::Unknown
    );
    assert_eq!(
        choose(Some(&set), "2", Some(start), later(30)),
        KeyChoice::Fetch
    );
    assert!(set.usable_in_outage(later(86_400)) && !set.usable_in_outage(later(86_401)));
}

#[test]
fn the_entry_of_the_worker_says_of_a_trap_what_core_says_of_a_fault() {
    let entry = include_str!("../../worker/entry.js");
    let document = Problem::Internal.document();
    for text in [
        document.r#type.as_str(),
        document.title,
        &document.detail,
        document.code,
    ] {
        assert!(entry.contains(&format!("\"{text}\"")), "{text}");
    }
}
