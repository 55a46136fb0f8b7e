//! The single-pass reader against garde and serde, from whose attributes its tables are generated: on every document
//! they accept the same, and where serde can read the document they refuse the same places by the same rules.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that fails should stop"
)]

use garde::Validate;
use legis_core::evaluate::DecisionRequest;
use legis_core::payload::format::{Format, Plain};
use legis_core::payload::stripe::StripeEvent;
use legis_core::payload::{
    AuthConfig, CallRequest, CallSettlement, CheckoutRequest, PlanFeatures, PortalRequest,
    Registration, ToolCall, UsageRecord,
};
use legis_core::schema::{NAMES, Origin, Reading, SCHEMAS, by_name, write};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// garde's message as our code.
fn code(message: &str) -> &str {
    match message {
        _ if message.starts_with("length is lower") => "too_short",
        _ if message.starts_with("length is greater") => "too_long",
        _ if message.starts_with("lower") => "too_small",
        _ if message.starts_with("greater") => "too_large",
        own => own,
    }
}

type Places = BTreeSet<(String, String)>;

/// The names of the members of a schema's document; those of Rust that are not among them are written otherwise.
fn wire_names(schema: &str) -> BTreeSet<&'static str> {
    let camel = [
        "callRequest",
        "callSettlement",
        "checkoutRequest",
        "portalRequest",
    ]
    .contains(&schema);
    NAMES
        .iter()
        .copied()
        .filter(|name| !camel || !name.contains('_'))
        .collect()
}

/// The name that a document has for a member: garde knows Rust's.
fn on_the_wire(schema: &str, member: &str) -> String {
    let member = member.trim_start_matches("r#");
    if wire_names(schema).contains(member) {
        return member.to_owned();
    }
    let mut words = member.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(word.len().min(1));
        name + &initial.to_uppercase() + rest
    })
}

/// What garde says: one broken rule for each place. `None` when serde cannot read the document.
fn oracle<T: for<'de> serde::Deserialize<'de> + Validate<Context = ()>>(
    name: &str,
    text: &str,
) -> Option<Places> {
    let value: T = serde_json::from_str(text).ok()?;
    // serde also reads a struct from a list of its members; no caller means that. Half of a surrogate pair, which a member
    // that is passed over may have, is no reason not to look.
    let document: Value = serde_json::from_str(&text.replace("\\ud800", "-")).unwrap_or_default();
    let is_list = |pointer: &&str| document.pointer(pointer).is_some_and(Value::is_array);
    let objects = [
        "/data",
        "/data/object",
        "/data/object/items",
        "/data/object/items/data/0",
        "/data/object/items/data/0/price",
        "/data/object/items/data/0/price/recurring",
    ];
    if name == "stripeEvent" && objects.iter().any(is_list) {
        return None;
    }
    if name != "planFeatures" && text.trim_start().starts_with('[') {
        return None;
    }
    // And a word of an enum from an object that has it as its only member, with null.
    let words = [
        "/status",
        "/source",
        "/config_name",
        "/fault",
        "/interval",
        "/plan",
    ];
    let is_object = |pointer: &&str| document.pointer(pointer).is_some_and(Value::is_object);
    if words.iter().any(is_object) {
        return None;
    }
    let Err(report) = value.validate() else {
        return Some(Places::new());
    };
    let mut places = std::collections::BTreeMap::new();
    for (path, error) in report.iter() {
        let message = error.message();
        let pointer = path
            .to_string()
            .split(['.', '[', ']'])
            .filter(|part| !part.is_empty())
            .map(|part| format!("/{}", on_the_wire(name, part)))
            .collect::<String>();
        // Of items beyond the most allowed, only that they are too many is said.
        let beyond = |part: &str| part.parse::<u32>().is_ok_and(|index| index >= 50);
        if pointer.split('/').any(beyond) {
            continue;
        }
        // Of a text too long or too short nobody asks the form.
        let known = places.entry(pointer).or_insert("format");
        if *known == "format" {
            *known = code(message);
        }
    }
    let owned = |(pointer, code): (String, &str)| (pointer, code.to_owned());
    Some(places.into_iter().map(owned).collect())
}

fn reader(name: &str, text: &str) -> Result<(), Places> {
    let schema = by_name(name).unwrap();
    match schema.read(text.as_bytes(), Origin::Text) {
        Ok(tape) => {
            // What is written from the tape reads as the same value.
            let written = write(text.as_bytes(), &tape).unwrap();
            assert!(schema.read(&written, Origin::Text).is_ok());
            Ok(())
        }
        Err(violations) => Err(violations
            .iter()
            .map(|violation| {
                let code = match violation.code.name() {
                    // garde has one rule for the length of texts and of lists.
                    "too_many" => "too_long",
                    "too_few" => "too_short",
                    code => code,
                };
                (violation.pointer(), code.to_owned())
            })
            .collect()),
    }
}

fn agree<T: for<'de> serde::Deserialize<'de> + Validate<Context = ()>>(
    name: &str,
    text: &str,
) -> Result<(), TestCaseError> {
    match (oracle::<T>(name, text), reader(name, text)) {
        (Some(places), Ok(())) => {
            prop_assert!(places.is_empty(), "only garde refuses {text}: {places:?}")
        }
        (Some(expected), Err(places)) => prop_assert_eq!(expected, places, "{}", text),
        (None, Err(_)) => {}
        // Where unknown members are passed over, serde never sees their names, half of a surrogate pair among them.
        (None, Ok(())) if name == "stripeEvent" => prop_assert!(
            legis_core::evaluate::decode::<T>(name, text.as_bytes(), Origin::Text).is_ok(),
            "not even without its unknown members: {text}"
        ),
        (None, Ok(())) => prop_assert!(false, "only serde refuses {text}"),
    }
    Ok(())
}

/// Texts at the borders of every rule.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        prop::sample::select(vec![
            "ada@example.com",
            "a@b.co",
            "a@b",
            "@b.co",
            "a..b@c.de",
            "ä@b.co",
            "starter",
            " Pro ",
            "gold",
            "web",
            "mcp",
            "success",
            "error",
            "search-bills",
            "bad tool",
            "/api/bills",
            "/a?b",
            "GET",
            "get",
            "127.0.0.1",
            "::1",
            "1.2.3",
            "https://example.com",
            "https://example.com/cb",
            "http://localhost:5173",
            "http://example.com",
            "example.eu.auth0.com",
            "127.0.0.1:8788",
            "host:0",
            "openid profile",
            "two  spaces",
            "2026-01-31T10:15:30.250Z",
            "2026-02-30T00:00:00Z",
            "line\nbreak",
            "\u{1F600}",
            "frontend",
            "mcp_server",
            "free",
            "active",
        ])
        .prop_map(str::to_owned),
        "[a-z]{1,12}",
        (0_usize..260).prop_map(|length| "é".repeat(length)),
        "\\PC{0,20}",
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(|number| json!(number)),
        (-5_i64..700).prop_map(|number| json!(number)),
        prop::sample::select(vec![
            json!(86_400_000),
            json!(86_400_001),
            json!(1_000_000_000),
            json!(1_000_000_001),
            json!(1.0),
            json!(1.5),
            json!(-0.0),
            json!(9_007_199_254_740_991_u64),
            json!(9_007_199_254_740_992_u64),
            json!(1e300),
            json!(99),
            json!(600),
        ]),
    ]
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A sound document with up to four members replaced, removed or added.
fn mutated(sound: Value) -> impl Strategy<Value = Value> {
    let names: Vec<String> = sound
        .as_object()
        .map(|members| members.keys().cloned().collect())
        .unwrap_or_default();
    let change = (
        prop_oneof![
            4 => prop::sample::select(if names.is_empty() { vec!["x".to_owned()] } else { names }),
            1 => text(),
        ],
        prop_oneof![
            1 => Just(None),
            3 => text().prop_map(|text| Some(Value::from(text))),
            2 => number().prop_map(Some),
            1 => prop::collection::vec(text(), 0..60).prop_map(|items| Some(json!(items))),
            3 => anything().prop_map(Some),
        ],
    );
    (
        Just(sound),
        prop::collection::vec(change, 0..4),
        prop::option::weighted(0.1, anything()),
    )
        .prop_map(|(mut document, changes, instead)| {
            if let Some(members) = document.as_object_mut() {
                for (name, value) in changes {
                    match value {
                        Some(value) => members.insert(name, value),
                        None => members.remove(&name),
                    };
                }
            }
            instead.unwrap_or(document)
        })
}

/// The same document in another spelling: space, escapes, repeated members, or a broken end.
fn spelled(document: impl Strategy<Value = Value>) -> impl Strategy<Value = String> {
    (document, 0_u8..10, any::<prop::sample::Index>()).prop_map(|(document, spelling, place)| {
        let text = document.to_string();
        match spelling {
            0 => serde_json::to_string_pretty(&document).unwrap(),
            1 => text.replace('a', "\\u0061"),
            2 => {
                let cut = text
                    .char_indices()
                    .map(|(at, _)| at)
                    .nth(place.index(text.chars().count()));
                text[..cut.unwrap_or(0)].to_owned()
            }
            3 => text.replacen('{', "{\"status\":\"success\",", 1),
            4 => text.replacen("\"a", "\"\\ud800", 1),
            5 => format!(" \n{text}\t"),
            6 => format!("{text},"),
            _ => text,
        }
    })
}

macro_rules! agreement {
    ($($test:ident: $type:ty = $name:literal from $sound:expr;)+) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]
            $(#[test]
            fn $test(text in spelled(mutated($sound))) {
                agree::<$type>($name, &text)?;
            })+
        }
    };
}

agreement! {
    registration: Registration = "registration" from json!({
        "email": "ada@example.com", "name": "Ada", "plan": "starter", "source": "web",
    });
    tool_call: ToolCall = "toolCall" from json!({
        "tool_name": "search-bills", "status": "success", "request_data": {"q": "tax"}, "response_data": [1, null],
        "error_message": null, "response_time_ms": 12, "tokens_used": 0,
    });
    usage_record: UsageRecord = "usageRecord" from json!({
        "endpoint": "/api/bills", "method": "GET", "status_code": 200, "response_time_ms": 3,
        "ip_address": "::1", "user_agent": "curl/8", "timestamp": "2026-01-31T10:15:30.250Z",
    });
    auth_config: AuthConfig = "authConfig" from json!({
        "config_name": "frontend", "auth0_domain": "example.eu.auth0.com", "auth0_client_id": "abc",
        "auth0_audience": "urn:legis-api", "auth0_scope": "openid profile",
        "allowed_callback_urls": ["https://example.com/cb"], "allowed_logout_urls": [],
        "allowed_origins": ["https://example.com"], "is_active": true,
    });
    call_request: CallRequest = "callRequest" from json!({
        "tool": "get-bill", "endpoint": "/api/bills", "method": "GET", "cost": 3, "idempotencyKey": "k-1",
    });
    call_settlement: CallSettlement = "callSettlement" from json!({
        "status": "error", "fault": "caller", "statusCode": 404, "responseTimeMs": 12, "errorMessage": "none",
        "requestData": {"q": "tax"}, "responseData": [1, null], "tokensUsed": 0,
    });
    checkout_request: CheckoutRequest = "checkoutRequest" from json!({
        "plan": "pro", "interval": "year", "successUrl": "https://example.com/thanks", "cancelUrl": "https://example.com/",
    });
    portal_request: PortalRequest = "portalRequest" from json!({ "returnUrl": "https://example.com/" });
    stripe_event: StripeEvent = "stripeEvent" from json!({
        "id": "evt_1", "type": "customer.subscription.updated", "created": 1_800_000_000, "livemode": false,
        "data": {
            "object": {
                "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active", "cancel_at": null,
                "cancel_at_period_end": false, "billing_cycle_anchor": 1_800_000_000, "metadata": {"sub": "auth0|1"},
                "items": {"data": [{
                    "price": {"id": "price_1", "recurring": {"interval": "month"}}, "quantity": 1,
                    "current_period_start": 1_800_000_000, "current_period_end": 1_802_592_000,
                }]},
            },
            "previous_attributes": {"status": "trialing"},
        },
    });
    plan_features: PlanFeatures = "planFeatures" from json!(["Email support"]);
}

fn decision_request() -> Value {
    json!({
        "account": {
            "user": {"id": 1, "sub": "a", "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z"},
            "entitlement": {"plan": "free", "standing": "free", "anchor": "2026-01-01T00:00:00Z", "version": 0},
            "usage": {"lifetime": {"start": "2026-01-01T00:00:00Z", "used": 3, "mcp": 0}},
        },
        "now": "2026-02-01T00:00:00Z",
        "cost": 1,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    /// These have no garde attributes: whatever the reader accepts must be readable by serde.
    #[test]
    fn what_the_reader_accepts_as_a_question_can_be_answered(
        member in prop::sample::select(vec!["user", "entitlement", "usage", ""]),
        part in mutated(json!({"id": 1, "sub": "a", "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z",
            "plan": "pro", "standing": "active", "anchor": "2026-01-01T00:00:00Z", "version": 2,
            "changes": [{"plan": "free", "at": "2026-01-01T00:00:00Z"}],
            "lifetime": {"start": "2026-01-01T00:00:00Z", "used": 3, "mcp": 0}})),
    ) {
        let mut request = decision_request();
        if member.is_empty() { request["account"] = part } else { request["account"][member] = part }
        let text = request.to_string();
        let read = by_name("decisionRequest").unwrap().read(text.as_bytes(), Origin::Text);
        if read.is_ok() {
            prop_assert!(serde_json::from_str::<DecisionRequest>(&text).is_ok(), "{}", text);
        }
    }

    /// Nor where the reader looks for a member first, which depends on the one before.
    #[test]
    fn a_document_means_the_same_in_whatever_order_its_members_are(
        document in mutated(json!({
            "tool_name": "a", "status": "success", "error_message": "x", "response_time_ms": 1, "tokens_used": 2,
        })),
        order in any::<prop::sample::Index>(),
    ) {
        let schema = by_name("toolCall").unwrap();
        let Value::Object(members) = &document else { return Ok(()) };
        let members: Vec<String> = members.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
        let mut turned = members.clone();
        turned.rotate_left(if members.is_empty() { 0 } else { order.index(members.len()) });
        let reversed: Vec<String> = members.iter().rev().cloned().collect();
        let read = |members: &[String]| {
            let text = format!("{{{}}}", members.join(","));
            schema.read(text.as_bytes(), Origin::Text).map(|tape| {
                let written = write(text.as_bytes(), &tape).unwrap();
                serde_json::from_slice::<Value>(&written).unwrap()
            })
        };
        prop_assert_eq!(read(&members), read(&reversed));
        prop_assert_eq!(read(&members), read(&turned));
    }

    #[test]
    fn no_bytes_whatsoever_stop_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200), value in any::<bool>()) {
        let origin = if value { Origin::Value } else { Origin::Text };
        for schema in SCHEMAS {
            if let Err(violations) = schema.read(&bytes, origin) {
                prop_assert!(!violations.is_empty());
            }
        }
    }
}

#[test]
fn a_word_is_a_text_and_not_an_object_that_serde_would_take_for_it() {
    let text = r#"{"tool_name":"search-bills","status":{"success":null}}"#;
    assert!(serde_json::from_str::<ToolCall>(text).is_ok());
    let places = Places::from([("/status".to_owned(), "type".to_owned())]);
    assert_eq!(reader("toolCall", text), Err(places));
    assert!(agree::<ToolCall>("toolCall", text).is_ok());
}

#[test]
fn half_a_character_that_is_passed_over_hides_nothing_from_those_who_compare() {
    let text =
        r#"{"":["\ud800"],"created":1,"data":[[]],"id":"evt_1","livemode":false,"type":"a"}"#;
    assert!(agree::<StripeEvent>("stripeEvent", text).is_ok());
}

#[test]
fn the_violations_do_not_depend_on_the_order_of_members() {
    let schema = by_name("registration").unwrap();
    let one = schema.read(br#"{"b":1,"a":2,"email":3}"#, Origin::Text);
    let other = schema.read(br#"{"email":3,"a":2,"b":1}"#, Origin::Text);
    assert_eq!(one, other);
}

#[test]
fn a_hostile_document_yields_a_bounded_list() {
    let members: Vec<String> = (0..50_000).map(|n| format!("\"k{n}\":{n}")).collect();
    let text = format!("{{{}}}", members.join(","));
    let violations = by_name("registration")
        .unwrap()
        .read(text.as_bytes(), Origin::Text)
        .unwrap_err();
    assert_eq!(violations.len(), 100);
}

#[test]
fn nesting_is_bounded() {
    let text = format!("{{\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let violations = by_name("account")
        .unwrap()
        .read(text.as_bytes(), Origin::Text)
        .unwrap_err();
    assert_eq!(violations[0].code.name(), "too_deep");
}

#[test]
fn what_is_empty_is_as_deep_as_what_is_not() {
    for (inner, empty) in [
        ("[", "[]"),
        ("[", "[ ]"),
        ("{\"a\":", "{}"),
        ("{\"a\":", "{ }"),
    ] {
        let close = if inner == "[" { "]" } else { "}" };
        // The document is the first level, and the innermost is empty.
        for (levels, verdict) in [(30, Ok(())), (31, Err("too_deep"))] {
            let value = format!("{}{empty}{}", inner.repeat(levels), close.repeat(levels));
            for (schema, member) in [("account", "stranger"), ("toolCall", "response_data")] {
                let rest = match schema {
                    "toolCall" => r#","tool_name":"t","status":"success""#,
                    _ => "",
                };
                let text = format!("{{\"{member}\":{value}{rest}}}");
                let read = by_name(schema).unwrap().read(text.as_bytes(), Origin::Text);
                let code = read.map(|_| ()).map_err(|wrong| wrong[0].code.name());
                let found = match (schema, code) {
                    // The account lacks its members, which is told when it can be read at all.
                    ("account", Err("required")) => Ok(()),
                    (_, code) => code,
                };
                assert_eq!(found, verdict, "{text}");
            }
        }
    }
}

#[test]
fn a_comma_promises_another_one() {
    for text in [
        r#"{"plan":"free",}"#,
        r#"{"plan":"free" , }"#,
        r#"{"stranger":[1,]}"#,
        r#"{"stranger":[[],]}"#,
        r#"{"stranger":{"a":1,}}"#,
        r#"{"stranger":[,1]}"#,
    ] {
        let violations = by_name("registration")
            .unwrap()
            .read(text.as_bytes(), Origin::Text)
            .unwrap_err();
        assert_eq!(violations[0].code.name(), "malformed_json", "{text}");
    }
    let records = by_name("usageRecords")
        .unwrap()
        .read(b"[{},]", Origin::Text)
        .unwrap_err();
    assert_eq!(records[0].code.name(), "malformed_json");
}

#[test]
fn arbitrary_json_is_bounded() {
    let items = vec!["1"; 10_001].join(",");
    let text =
        format!("{{\"tool_name\":\"t\",\"status\":\"success\",\"response_data\":[{items}]}}");
    let violations = by_name("toolCall")
        .unwrap()
        .read(text.as_bytes(), Origin::Text)
        .unwrap_err();
    assert_eq!(violations[0].code.name(), "too_complex");
}

#[test]
fn what_json_cannot_say_is_refused_where_it_stands() {
    let text = b"{\"tool_name\":\"t\",\"status\":\"success\",\"response_time_ms\":\x01n,\"response_data\":{\"a\":\x01b}}";
    let schema = by_name("toolCall").unwrap();
    let violations = schema.read(text, Origin::Value).unwrap_err();
    let places: Vec<(String, &str)> = violations
        .iter()
        .map(|v| (v.pointer(), v.code.name()))
        .collect();
    assert_eq!(
        places,
        [
            ("/response_data".to_owned(), "type"),
            ("/response_time_ms".to_owned(), "type")
        ]
    );
    // A caller who writes the mark into JSON text is told that it is not JSON.
    assert_eq!(
        schema.read(text, Origin::Text).unwrap_err()[0].code.name(),
        "malformed_json"
    );
}

#[test]
fn of_doubts_only_what_is_wrong_is_told() {
    let doubts = |schema: &str, text: &[u8]| {
        let read = by_name(schema).unwrap().read(text, Origin::Doubts);
        read.map_err(|wrong| {
            let places = wrong
                .iter()
                .map(|v| format!("{} {}", v.pointer(), v.code.name()));
            places.collect::<Vec<_>>().join(", ")
        })
    };
    // What is left out is right, and what is missing is said to be.
    let told = doubts(
        "stripeEvent",
        b"{\"created\":\"then\",\"data\":{\"object\":{\"customer\":7}},\"id\":\x01m}",
    );
    let expected = "/created type, /data/object/customer type, /id required";
    assert_eq!(told, Err(expected.to_owned()));
    let told = doubts("usageRecords", b"[\x01y,{\"method\":\"get\"},\x01y]");
    assert_eq!(told, Err("/1/method format".to_owned()));
    // Nothing is wrong: there is no value.
    assert_eq!(doubts("stripeEvent", b"{}"), Ok(Vec::new()));
    assert_eq!(doubts("registration", b"\x01y"), Ok(Vec::new()));
    let of_any_kind = b"{\"data\":{\"object\":{\"metadata\":\x01y,\"items\":\x01y}}}";
    assert_eq!(doubts("stripeEvent", of_any_kind), Ok(Vec::new()));
    // Nobody else can say so.
    for origin in [Origin::Text, Origin::Value] {
        for text in [&b"{\"name\":\x01y}"[..], b"\x01y", b"{\"name\":\x01m}"] {
            assert!(by_name("registration").unwrap().read(text, origin).is_err());
        }
    }
}

proptest! {
    /// What is written by hand, for its size, is what the serializer writes.
    #[test]
    fn issues_are_written_as_the_serializer_writes_them(
        name in prop::sample::select(SCHEMAS.iter().map(|schema| schema.name).collect::<Vec<_>>()),
        document in json_value(),
        key in "\\PC{0,6}|[\\x00-\\x1f\"\\\\/~é😀]{0,6}",
    ) {
        let document = json!({ "email": document.clone(), "plan": document.clone(), "data": { "object": document }, key: 1 });
        if let Err(violations) = by_name(name).unwrap().read(document.to_string().as_bytes(), Origin::Text) {
            let issues: Vec<_> = violations.iter().map(legis_core::violation::Issue::from).collect();
            let expected = serde_json::to_string(&issues).unwrap();
            let written = String::from_utf8(legis_core::violation::refused(&violations)).unwrap();
            prop_assert_eq!(format!("{{\"ok\":false,\"issues\":{}}}", expected), written);
        }
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// What the package takes without asking is what core would take.
    #[test]
    fn what_plainly_has_a_form_has_it(
        (format, text) in prop::sample::select(
            Format::ALL
                .into_iter()
                .filter_map(|format| Some((format, format.plain()?)))
                .collect::<Vec<_>>(),
        )
        .prop_flat_map(|(format, plain)| (Just(format), plain_texts(plain))),
    ) {
        prop_assert!(format.holds(&text), "{:?}: {text:?}", format);
    }
}

fn plain_texts(plain: Plain) -> BoxedStrategy<String> {
    // Rust writes \u{…} where JavaScript writes \u….
    let matching = |pattern: &str| {
        let pattern = pattern
            .replace(r"\u0000", r"\x00")
            .replace(r"\u00a0", r"\u{a0}")
            .replace(r"\ud7ff", r"\u{d7ff}");
        prop::string::string_regex(pattern.trim_start_matches('^').trim_end_matches('$')).unwrap()
    };
    match plain {
        Plain::OneOf(names) => prop::sample::select(names).prop_map(str::to_owned).boxed(),
        Plain::Only(class) => matching(&format!("[{class}]*")).boxed(),
        Plain::Pattern { pattern, max } => {
            let Some(max) = max else {
                return matching(&pattern).boxed();
            };
            // Parts that are short, or hardly a text would be.
            matching(&pattern.replace("]+", "]{1,7}").replace(")*", "){0,2}"))
                .prop_filter("no longer than it may be", move |text| {
                    text.chars().count() <= max as usize
                })
                .boxed()
        }
    }
}

fn sound(name: &str) -> Value {
    match name {
        "registration" => {
            json!({"email": "ada@example.com", "name": "Ada", "plan": "starter", "source": "web"})
        }
        "usageRecords" => json!([{
            "endpoint": "/api/bills", "method": "GET", "status_code": 200, "response_time_ms": 3,
            "ip_address": "::1", "user_agent": "curl/8", "timestamp": "2026-01-31T10:15:30.250Z",
        }]),
        "toolCall" => json!({
            "tool_name": "search-bills", "status": "success", "request_data": {"q": ["tax", 1.5, -2, null, true]},
            "response_data": [1, {"a": {"b": []}}], "error_message": null, "response_time_ms": 12, "tokens_used": 0,
        }),
        _ => decision_request(),
    }
}

/// The document with every character of every text as an escape.
fn in_escapes(document: &Value) -> String {
    let quoted = |text: &str| {
        let units: String = text
            .encode_utf16()
            .map(|unit| format!("\\u{unit:04x}"))
            .collect();
        format!("\"{units}\"")
    };
    match document {
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            format!(
                "[{}]",
                items.iter().map(in_escapes).collect::<Vec<_>>().join(",")
            )
        }
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                format!("{}:{}", quoted(name), in_escapes(value))
            };
            format!(
                "{{{}}}",
                members.iter().map(member).collect::<Vec<_>>().join(",")
            )
        }
        other => other.to_string(),
    }
}

fn judged_alike(name: &str, document: &Value) -> Result<(), TestCaseError> {
    let schema = by_name(name).unwrap();
    let judged = |text: String| -> Result<Value, _> {
        let tape = schema.read(text.as_bytes(), Origin::Text)?;
        Ok::<_, Vec<_>>(serde_json::from_slice(&write(text.as_bytes(), &tape).unwrap()).unwrap())
    };
    prop_assert_eq!(
        judged(document.to_string()),
        judged(in_escapes(document)),
        "{}",
        document
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A document is judged alike whether its texts are written plainly, which is read fast, or in escapes.
    #[test]
    fn how_a_text_is_written_changes_nothing(
        (name, document) in prop::sample::select(vec!["registration", "usageRecords", "toolCall", "decisionRequest"])
            .prop_flat_map(|name| (Just(name), mutated(sound(name)))),
    ) {
        judged_alike(name, &document)?;
    }

    /// The same at the borders of each form.
    #[test]
    fn a_form_is_seen_fast_as_it_is_seen_slowly(
        email in "[a-z.!-]{0,4}[@]{0,2}[a-z0-9.-]{0,9}\\.[a-z0-9-]{0,3}|[a-z]{60,66}@[a-z]{60,66}\\.de",
        moment in "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,4})?Z|[0-9T:.Z-]{18,26}",
        path in "/?[a-z?# /\\x7f]{0,6}",
    ) {
        for (name, member, text) in [
            ("registration", "email", &email), ("registration", "name", &path), ("usageRecord", "timestamp", &moment),
            ("usageRecord", "endpoint", &path), ("usageRecord", "method", &path), ("callRequest", "idempotencyKey", &path),
        ] {
            let mut document = json!({"endpoint": "/", "method": "GET", "status_code": 200, "timestamp": "2026-01-31T10:15:30.250Z"});
            if name != "usageRecord" {
                document = json!({});
            }
            document[member] = text.as_str().into();
            judged_alike(name, &document)?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A number is whole, and finite, exactly when the library's reading of it is: as far as that is exact.
    #[test]
    fn numbers_are_read_by_their_digits_as_by_the_library(
        text in "-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,6})?([eE]([+]?[0-9]{1,3}|-[0-9]{1,2}))?",
    ) {
        let number: f64 = text.parse().unwrap();
        let any = by_name("toolCall").unwrap();
        let document = format!(r#"{{"tool_name":"a","status":"error","response_data":{text}}}"#);
        let mut reading = Reading::new();
        let taken = any.read_into(document.as_bytes(), Origin::Text, &mut reading).is_ok();
        prop_assert_eq!(taken, number.is_finite());
        let document = format!(r#"{{"tool_name":"a","status":"error","tokens_used":{text}}}"#);
        let digits = text.chars().filter(char::is_ascii_digit).count();
        if digits <= 15 || !number.is_finite() {
            let taken = any.read_into(document.as_bytes(), Origin::Text, &mut reading).is_ok();
            prop_assert_eq!(taken, number.fract() == 0.0 && (0.0..=1e9).contains(&number), "{}", text);
        }
    }
}
