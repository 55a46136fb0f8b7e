//! What the MCP gateway makes of messages and answers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should stop"
)]

use legis_core::call::{CallEnd, CallStatus, Settled};
use legis_core::mcp::SigningSecret;
use legis_core::mcp::answer::{Close, Form, Seen, end};
use legis_core::mcp::message::{Headers, Message, Revision, Unreadable, read};
use legis_core::mcp::record::{MAX_BYTES, Recorder};
use legis_core::mcp::session::{open, seal};
use proptest::prelude::*;
use serde_json::{Value, json};

const STATELESS: Headers<'_> = Headers {
    version: Some("2026-07-28"),
    method: Some("tools/call"),
    name: Some("get-bill"),
};

fn calling(name: &str) -> Vec<u8> {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": {"id": "hr1"}}})
        .to_string()
        .into_bytes()
}

#[test]
fn only_a_call_of_a_tool_is_a_call() {
    for revision in [None, Some("2025-03-26"), Some("2025-11-25")] {
        let headers = Headers {
            version: revision,
            // The older revisions know no such headers; what stands there means nothing.
            method: Some("ping"),
            name: Some("other"),
        };
        let Ok(Message::Call(call)) = read(&calling("get-bill"), headers) else {
            panic!("a call")
        };
        assert_eq!(
            (call.tool.as_str(), call.revision),
            ("get-bill", Revision::Sessions)
        );
        assert_eq!(call.arguments, Some(json!({"id": "hr1"})));
    }
    for method in [
        "initialize",
        "tools/list",
        "ping",
        "server/discover",
        "Tools/Call",
        "tools/call ",
    ] {
        let body = json!({"jsonrpc": "2.0", "id": "a", "method": method}).to_string();
        assert_eq!(
            read(body.as_bytes(), Headers::default()),
            Ok(Message::Ask(json!("a")))
        );
    }
    for body in [
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 4, "result": {}}),
        json!({"jsonrpc": "2.0", "id": 4, "error": {"code": 1, "message": ""}}),
    ] {
        assert_eq!(
            read(body.to_string().as_bytes(), Headers::default()),
            Ok(Message::Free)
        );
    }
}

#[test]
fn no_call_passes_as_something_else() {
    let invalid = |body: &str| match read(body.as_bytes(), Headers::default()) {
        Err(unreadable) => unreadable.code(),
        Ok(message) => panic!("{body} is taken for {message:?}"),
    };
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call","params":{"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"} {}",
        "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
        "",
        "tools/call",
    ] {
        assert_eq!(invalid(body), -32700, "{body}");
    }
    for body in [
        r#" [{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}]"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}"#,
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":[1],"method":"tools/call","params":{"name":"a"}}"#,
        // JavaScript would answer these under another id.
        r#"{"jsonrpc":"2.0","id":1.0,"method":"tools/call","params":{"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":1e0,"method":"tools/call","params":{"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":-0,"method":"tools/call","params":{"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/call","params":{"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}"#,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"param\u{17f}\":{}}",
        // A server could take these for the id of a call, and give it up without an answer.
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"RequestId":1}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1.0}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":[1]}}"#,
        r#"{"jsonrpc":"2.0","id":1.0,"method":"resources/read"}"#,
        r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"id":1,"method":"ping"}"#,
        "7",
    ] {
        assert_eq!(invalid(body), -32600, "{body}");
    }
    // An escape is another spelling of the same method.
    let escaped = r#"{"jsonrpc":"2.0","id":1,"method":"tools\/c\u0061ll","params":{"name":"a"}}"#;
    assert!(matches!(
        read(escaped.as_bytes(), Headers::default()),
        Ok(Message::Call(_))
    ));
}

#[test]
fn since_2026_07_28_the_headers_repeat_the_body() {
    let said = |headers| read(&calling("get-bill"), headers).err();
    assert_eq!(said(STATELESS), None);
    for (headers, missing) in [
        (
            Headers {
                method: None,
                ..STATELESS
            },
            "Mcp-Method",
        ),
        (
            Headers {
                method: Some("tools/list"),
                ..STATELESS
            },
            "Mcp-Method",
        ),
        (
            Headers {
                name: None,
                ..STATELESS
            },
            "Mcp-Name",
        ),
        (
            Headers {
                name: Some("get-member"),
                ..STATELESS
            },
            "Mcp-Name",
        ),
    ] {
        let unreadable = Unreadable::Header {
            name: missing,
            id: json!(1),
        };
        assert_eq!(said(headers), Some(unreadable.clone()));
        assert_eq!(unreadable.answer()["error"]["code"], -32020);
        assert_eq!(unreadable.answer()["id"], 1);
    }
    // The body says which revision it is of, whatever the header says.
    let modern = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "get-bill", "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"},
    }});
    let modern = modern.to_string();
    assert!(read(modern.as_bytes(), STATELESS).is_ok());
    for version in [None, Some("2025-11-25"), Some("2027-01-01")] {
        let headers = Headers {
            version,
            ..STATELESS
        };
        let name = "MCP-Protocol-Version";
        let id = json!(1);
        assert_eq!(
            read(modern.as_bytes(), headers),
            Err(Unreadable::Header { name, id })
        );
    }
    let encoded = Headers {
        name: Some("=?base64?w6nDqQ==?="),
        ..STATELESS
    };
    assert!(read(&calling("éé"), encoded).is_ok());
    let resource =
        json!({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "a:b"}})
            .to_string();
    let reading = |name| Headers {
        method: Some("resources/read"),
        name,
        ..STATELESS
    };
    assert!(read(resource.as_bytes(), reading(Some("a:b"))).is_ok());
    assert!(read(resource.as_bytes(), reading(Some("a:c"))).is_err());
}

fn ended(status: u16, form: Form, body: &str, close: Close) -> CallEnd {
    let seen = Seen {
        status,
        form,
        bytes: body.as_bytes(),
        length: body.len(),
        close,
    };
    end(
        seen,
        &json!(1),
        Some(&json!({"password": "x"})),
        12,
        &Recorder::parse("password"),
    )
}

#[test]
fn how_an_answer_is_charged() {
    let result = json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "no"}], "isError": true}});
    let error = |code: i32| {
        json!({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "m"}}).to_string()
    };
    let (success, failure) = (CallStatus::Success, CallStatus::Error);
    let (charged, refunded) = (Settled::Charged, Settled::Refunded);
    for (status, body, close, expected) in [
        (
            200,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            Close::Complete,
            (success, charged),
        ),
        (
            200,
            result.to_string().as_str(),
            Close::Complete,
            (failure, charged),
        ),
        (
            200,
            r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required"}}"#,
            Close::Complete,
            (failure, refunded),
        ),
        // What the caller asked for wrongly is theirs; a fault of the server's own is not.
        (
            200,
            error(-32602).as_str(),
            Close::Complete,
            (failure, charged),
        ),
        (
            200,
            error(-32603).as_str(),
            Close::Complete,
            (failure, refunded),
        ),
        (
            400,
            error(-32020).as_str(),
            Close::Complete,
            (failure, charged),
        ),
        (404, "", Close::Complete, (failure, charged)),
        (503, "", Close::Complete, (failure, refunded)),
        (200, "", Close::Complete, (failure, refunded)),
        // Nobody can tell whether it was answered: it is paid.
        (
            200,
            r#"{"jsonrpc":"2.0","id":2,"result":{}}"#,
            Close::Complete,
            (CallStatus::Unknown, charged),
        ),
        (
            200,
            r#"{"jsonrpc":"2.0","id":1,"result":{"text":"\ud83d"}}"#,
            Close::Complete,
            (CallStatus::Unknown, charged),
        ),
        (200, "", Close::Broken, (failure, refunded)),
        (200, "", Close::Silent, (CallStatus::Timeout, refunded)),
        (200, "", Close::Cancelled, (failure, charged)),
        // The answer had come before the caller went.
        (
            200,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            Close::Cancelled,
            (success, charged),
        ),
    ] {
        let end = ended(status, Form::Json, body, close);
        assert_eq!(
            (end.status, end.settled),
            expected,
            "{status} {body} {close:?}"
        );
        assert_eq!((end.status_code, end.millis), (Some(status), Some(12)));
        assert_eq!(end.request_data, Some(json!({"password": "[redacted]"})));
    }
    assert_eq!(
        ended(200, Form::Json, &result.to_string(), Close::Complete)
            .error
            .as_deref(),
        Some("no")
    );
}

#[test]
fn the_answer_is_found_in_a_stream() {
    let message = |value: Value| format!("event: message\r\ndata: {value}\r\n\r\n");
    let progress = message(
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}),
    );
    let asked = message(json!({"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage"}));
    let answer = message(
        json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [], "_meta": {"tokensUsed": 321}}}),
    );
    let stream = format!(": ping\n\n{progress}{asked}{answer}{progress}");
    let end = ended(200, Form::Events, &stream, Close::Complete);
    assert_eq!(
        (end.status, end.tokens_used),
        (CallStatus::Success, Some(321))
    );
    // A stream whose beginning is not kept any more, in the middle of an event.
    let tail = stream.get(30..).unwrap();
    assert_eq!(
        ended(200, Form::Events, tail, Close::Complete).tokens_used,
        Some(321)
    );
    // In which half an event was the last that came.
    let broken = format!("{progress}data: {{\"jsonrpc\":");
    assert_eq!(
        ended(200, Form::Events, &broken, Close::Broken).settled,
        Settled::Refunded
    );
    // Without the answer nothing is paid.
    let end = ended(
        200,
        Form::Events,
        &format!("{progress}{asked}"),
        Close::Complete,
    );
    assert_eq!(end.settled, Settled::Refunded);
    // A stream that can be taken up elsewhere, and one with a message that we cannot read, may have been answered.
    let resumable = format!("id: 7\ndata:\n\n{progress}");
    let unclear = "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1e999}\n\n";
    for stream in [resumable.as_str(), unclear] {
        for close in [Close::Complete, Close::Broken, Close::Silent] {
            assert_eq!(
                ended(200, Form::Events, stream, close).settled,
                Settled::Charged
            );
        }
    }
    // Several lines of data are one text.
    let lines = "data: {\"jsonrpc\":\"2.0\",\"id\":1,\ndata: \"result\":{}}\n\n";
    assert_eq!(
        ended(200, Form::Events, lines, Close::Complete).status,
        CallStatus::Success
    );
    let usage = message(
        json!({"jsonrpc": "2.0", "id": 1, "result": {"_meta": {"usage": {"input_tokens": 3, "output_tokens": 4}}}}),
    );
    assert_eq!(
        ended(200, Form::Events, &usage, Close::Complete).tokens_used,
        Some(7)
    );
}

#[test]
fn an_answer_too_large_to_look_at_is_one_all_the_same() {
    let seen = Seen {
        status: 200,
        form: Form::Json,
        bytes: b"...}}",
        length: 5_000_000,
        close: Close::Complete,
    };
    let end = end(seen, &json!(1), None, 1, &Recorder::default());
    assert_eq!(
        (end.status, end.settled),
        (CallStatus::Success, Settled::Charged)
    );
    assert_eq!(
        end.response_data,
        Some(json!({"truncated": true, "bytes": 5_000_000}))
    );
}

#[test]
fn a_secret_in_json_in_a_text_is_a_secret_too() {
    let kept = Recorder::parse("password").record(&json!({
        "content": [{"type": "text", "text": " {\"password\": \"hidden\", \"n\": 1}"}, {"type": "text", "text": "{not JSON"}],
    }));
    assert_eq!(
        kept["content"][0]["text"],
        r#"{"n":1,"password":"[redacted]"}"#
    );
    assert_eq!(kept["content"][1]["text"], "{not JSON");
}

/// `tests/mcp-wrapper.test.ts` holds the wrapper of the npm package to the same.
#[test]
fn what_is_kept_is_what_the_wrapper_keeps() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("data/records.json")).unwrap();
    assert!(vectors.len() > 8);
    for vector in vectors {
        let recorder = Recorder::parse(vector["secret"].as_str().unwrap());
        assert_eq!(
            recorder.record(&vector["value"]),
            vector["kept"],
            "{vector}"
        );
    }
}

/// `tests/mcp-wrapper.test.ts` holds the wrapper of the npm package to the same.
#[test]
fn how_a_call_ended_is_what_the_wrapper_says() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("data/results.json")).unwrap();
    assert!(vectors.len() > 12);
    for vector in vectors {
        let answer = json!({"jsonrpc": "2.0", "id": 1, "result": vector["result"]}).to_string();
        let seen = Seen {
            status: 200,
            form: Form::Json,
            bytes: answer.as_bytes(),
            length: answer.len(),
            close: Close::Complete,
        };
        let end = end(seen, &json!(1), None, 1, &Recorder::default());
        let told = json!({
            "status": end.status, "charged": end.settled == Settled::Charged,
            "message": end.error, "tokens": end.tokens_used,
        });
        let expected = json!({
            "status": vector["status"], "charged": vector["charged"],
            "message": vector["message"], "tokens": vector["tokens"],
        });
        assert_eq!(told, expected, "{}", vector["why"]);
    }
}

proptest! {
    #[test]
    fn what_is_kept_is_bounded_and_holds_no_secret(words in prop::collection::vec("\\PC{0,3000}", 0..12), secret in "[a-z]{8}") {
        let value = json!({"words": words, "deep": [{"TOKEN": secret.clone(), "token": {"x": secret.clone()}}]});
        let kept = Recorder::parse("token").record(&value).to_string();
        prop_assert!(kept.len() <= MAX_BYTES);
        prop_assert!(words.iter().any(|word| word.contains(&secret)) || !kept.contains(&secret));
    }

    #[test]
    fn a_session_is_one_users(id in "[!-~]{1,40}", sub in "[a-z|0-9]{1,20}", other in "[a-z|0-9]{1,20}", spoilt in any::<prop::sample::Index>()) {
        let secret = SigningSecret::parse(&"s".repeat(32)).unwrap();
        let sealed = seal(&id, &sub, &secret);
        prop_assert_eq!(open(&sealed, &sub, &secret), Some(id.as_str()));
        prop_assert_eq!(open(&sealed, &other, &secret).is_some(), sub == other);
        let mut bytes = sealed.clone().into_bytes();
        let at = spoilt.index(bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte = if *byte == b'x' { b'y' } else { b'x' };
        }
        let forged = String::from_utf8(bytes).unwrap();
        prop_assert_eq!(open(&forged, &sub, &secret), None);
    }

    #[test]
    fn no_bytes_whatsoever_stop_the_reading(body in prop::collection::vec(any::<u8>(), 0..200), events in any::<bool>()) {
        let _ = read(&body, STATELESS);
        let _ = read(&body, Headers::default());
        let form = if events { Form::Events } else { Form::Json };
        let seen = Seen { status: 200, form, bytes: &body, length: body.len(), close: Close::Complete };
        let _ = end(seen, &json!(1), None, 0, &Recorder::default());
    }
}
