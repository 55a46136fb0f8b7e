//! `legis-core` for JavaScript: conversion at the boundary and nothing else.
//!
//! Text goes in and out through buffers that JavaScript writes and reads in place, so a call crosses once, with
//! numbers. `pkg/src/boundary.ts` is the only caller; why the boundary looks like this is told in
//! `docs/boundary.md`.

use legis_core::schema::{Origin, SCHEMAS};
use legis_core::{account, contract, evaluate, meter, plan, refusal};
use std::cell::RefCell;
use wasm_bindgen::prelude::wasm_bindgen;

/// What JavaScript writes into and reads from.
#[derive(Default)]
struct Buffers {
    input: Vec<u8>,
    output: Vec<u8>,
    tape: Vec<u32>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// Buffers that grew beyond this are given back after use.
const KEPT_BYTES: usize = 1 << 20;

/// Makes room for `length` bytes of input; where to write them.
#[wasm_bindgen]
#[must_use]
pub fn input(length: usize) -> *const u8 {
    BUFFERS.with_borrow_mut(|buffers| {
        if buffers.input.capacity() > KEPT_BYTES && length <= KEPT_BYTES {
            *buffers = Buffers::default();
        }
        buffers.input.resize(length.max(buffers.input.len()), 0);
        buffers.input.as_ptr()
    })
}

/// Where the output of the last call begins.
#[wasm_bindgen]
#[must_use]
pub fn output() -> *const u8 {
    BUFFERS.with_borrow(|buffers| buffers.output.as_ptr())
}

/// Where the tape of the last accepted payload begins.
#[wasm_bindgen]
#[must_use]
pub fn tape() -> *const u32 {
    BUFFERS.with_borrow(|buffers| buffers.tape.as_ptr())
}

/// Answers from the first `length` bytes of input; how long the output is.
fn answer(length: usize, compute: impl FnOnce(&[u8]) -> Vec<u8>) -> usize {
    BUFFERS.with_borrow_mut(|buffers| {
        buffers.output = compute(buffers.input.get(..length).unwrap_or_default());
        buffers.output.len()
    })
}

fn origin(origin: u32) -> Origin {
    match origin {
        0 => Origin::Text,
        _ => Origin::Value,
    }
}

/// Holds the input to the schema at position `schema` of `SCHEMA_NAMES`. Positive: accepted, so many entries are on
/// the tape. Otherwise refused: the output, so many bytes long, says why.
#[wasm_bindgen]
#[must_use]
pub fn check(schema: usize, length: usize, from: u32) -> i32 {
    let signed = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
    BUFFERS.with_borrow_mut(|buffers| {
        let Some(schema) = SCHEMAS.get(schema) else {
            return 0;
        };
        let text = buffers.input.get(..length).unwrap_or_default();
        match schema.read_into(text, origin(from), &mut buffers.tape) {
            Ok(()) => signed(buffers.tape.len()),
            Err(violations) => {
                buffers.output = evaluate::refused(&violations);
                signed(buffers.output.len()).saturating_neg()
            }
        }
    })
}

/// The member names of the schema at position `schema`, as a JSON array.
#[wasm_bindgen]
#[must_use]
pub fn names(schema: usize) -> usize {
    answer(0, |_| {
        evaluate::json(&SCHEMAS.get(schema).map(|schema| schema.names))
    })
}

/// The plans, as a JSON array.
#[wasm_bindgen]
#[must_use]
pub fn plans() -> usize {
    answer(0, |_| evaluate::json(&plan::plans()))
}

/// The position of the plan whose name is the input; -1 when there is none.
#[wasm_bindgen]
#[must_use]
pub fn plan(length: usize) -> i32 {
    BUFFERS.with_borrow(|buffers| {
        std::str::from_utf8(buffers.input.get(..length).unwrap_or_default())
            .ok()
            .and_then(|name| plan::PlanId::resolve(name).ok())
            .map_or(-1, position)
    })
}

/// The position of the cheapest plan that admits so many calls a month.
#[wasm_bindgen]
#[must_use]
pub fn recommend(calls: u32) -> i32 {
    position(plan::recommend(u64::from(calls)))
}

fn position(id: plan::PlanId) -> i32 {
    (0..)
        .zip(plan::PlanId::ALL)
        .find(|(_, known)| *known == id)
        .map_or(-1, |(position, _)| position)
}

/// The contract, as JSON.
#[wasm_bindgen]
#[must_use]
pub fn contract() -> usize {
    answer(0, |_| evaluate::json(&contract::contract()))
}

/// What a change of plan does, as JSON; the input is a `changeRequest`.
#[wasm_bindgen]
#[must_use]
pub fn preview_change(length: usize) -> usize {
    answer(length, |text| {
        match evaluate::decode("changeRequest", text, Origin::Value) {
            Ok(request) => evaluate::json(&evaluate::change(&request).ok()),
            Err(violations) => evaluate::refused(&violations),
        }
    })
}

/// What can be asked about an account at a moment; the input is a `decisionRequest`.
macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident($request:ident) -> $answer:expr;)+) => {$(
        $(#[$doc])*
        #[wasm_bindgen]
        #[must_use]
        pub fn $name(length: usize) -> usize {
            answer(length, |text| match evaluate::decision_request(text, Origin::Value) {
                Ok($request) => evaluate::json(&$answer),
                Err(violations) => evaluate::refused(&violations),
            })
        }
    )+};
}

questions! {
    /// The decision, as JSON.
    decide(request) -> evaluate::decision(&request);
    /// The usage bar, as JSON.
    meter(request) -> meter::meter(&request.account, request.now.0);
    /// The MCP session props, as JSON.
    session_props(request) -> account::session_props(&request.account, request.now.0);
    /// The MCP tool result of a refusal, as JSON; `null` when the call would be admitted.
    tool_refusal(request) -> match evaluate::decision(&request) {
        legis_core::quota::Decision::Refuse(refusal) => Some(refusal::tool_result(&refusal)),
        legis_core::quota::Decision::Admit(_) => None,
    };
}
