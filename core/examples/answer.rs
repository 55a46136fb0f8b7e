//! Answers the questions of the agreement suite natively: one JSON question a line in, one JSON answer a line out.

use legis_core::evaluate;
use legis_core::schema::{self, Origin};
use legis_core::violation::refused;
use serde::Deserialize;
use std::io::{BufRead, Write};

#[derive(Deserialize)]
struct Question {
    /// A schema, `decision` or `change`.
    about: String,
    text: String,
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let question: Question = serde_json::from_str(&line?)?;
        out.write_all(&answer(&question))?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn answer(question: &Question) -> Vec<u8> {
    let text = question.text.as_bytes();
    if question.about == "decision" {
        return match evaluate::decision_request(text, Origin::Text) {
            Ok(request) => evaluate::json(&evaluate::decision(&request)),
            Err(violations) => refused(&violations),
        };
    }
    if question.about == "change" {
        return match evaluate::decode("changeRequest", text, Origin::Text) {
            Ok(request) => evaluate::json(&evaluate::change(&request).ok()),
            Err(violations) => refused(&violations),
        };
    }
    match schema::by_name(&question.about) {
        Some(schema) => evaluate::payload(schema, text, Origin::Text),
        None => b"null".to_vec(),
    }
}
