//! `legis-core` for JavaScript: conversion at the boundary and nothing else.
//!
//! Only numbers cross. Text lies in buffers of the module that JavaScript writes and reads in place; what is known of an
//! account, and what is answered about it, lies in slots ([`slots`]). `pkg/src/boundary.ts` is the only caller; why the
//! boundary looks like this is told in `docs/boundary.md`.

mod input;
mod slots;
mod told;

use input::Input;
use legis_core::quota::{self, Cost, Decision};
use legis_core::schema::{NAMES, Origin, Reading, SCHEMAS};
use legis_core::violation::refused;
use legis_core::{change, meter, plan};
use slots::{Account, Answer, SLOTS, interval, plan_of, position};
use std::cell::RefCell;
use told::{Telling, Told};
use wasm_bindgen::prelude::wasm_bindgen;

/// 3 kB smaller under gzip than the one that Rust brings along.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// What JavaScript writes into and reads from.
struct Buffers {
    input: Input,
    output: Vec<u8>,
    reading: Reading,
    slots: [f64; SLOTS],
    told: Told,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = const {
        RefCell::new(Buffers {
            input: Input::new(),
            output: Vec::new(),
            reading: Reading::new(),
            slots: [0.0; SLOTS],
            told: Told::new(),
        })
    };
}

/// Buffers that grew beyond this are given back after use.
const KEPT_BYTES: usize = 1 << 20;

/// Makes room for `length` bytes of input; where to write them, or null where there is no more memory.
#[wasm_bindgen]
#[must_use]
pub fn input(length: usize) -> *const u8 {
    BUFFERS.with_borrow_mut(|buffers| {
        if buffers.input.room() > KEPT_BYTES && length <= KEPT_BYTES {
            buffers.input = Input::new();
            buffers.output = Vec::new();
            buffers.reading = Reading::new();
        }
        buffers.input.make_room(length)
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
    BUFFERS.with_borrow(|buffers| buffers.reading.tape().as_ptr())
}

/// Where the slots begin.
#[wasm_bindgen]
#[must_use]
pub fn slots() -> *const f64 {
    BUFFERS.with_borrow(|buffers| buffers.slots.as_ptr())
}

/// Holds the input to the schema at position `schema` of `SCHEMA_NAMES`. Positive: accepted, so many entries are on
/// the tape. 0: accepted without a value. Otherwise refused. `-1`: the output says why. Less: so it was refused before, or will be again, and that is
/// remembered; from -2 on downwards the places where, when it was; from [`NEW`] on downwards, when the output says why.
#[wasm_bindgen]
#[must_use]
pub fn check(schema: usize, length: usize, from: u32) -> i32 {
    let signed = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
    BUFFERS.with_borrow_mut(|buffers| {
        let Some(schema) = SCHEMAS.get(schema) else {
            return -1;
        };
        let origin = match from {
            0 => Origin::Text,
            1 => Origin::Value,
            _ => Origin::Doubts,
        };
        let text = buffers.input.text(length);
        let violations = match schema.read_into(text, origin, &mut buffers.reading) {
            Ok(tape) => return signed(tape.len()),
            Err(violations) => violations,
        };
        let telling = buffers.told.tell(violations);
        if !matches!(telling, Telling::Again(_)) {
            buffers.output = refused(violations);
        }
        match telling {
            Telling::Once => -1,
            Telling::Again(place) => (-2_i32).saturating_sub(signed(place)),
            Telling::New(place) => NEW.saturating_sub(signed(place)),
        }
    })
}

/// What [`check`] returns for a refusal in the first place that was not told before.
const NEW: i32 = -100;

/// How long the output is.
#[wasm_bindgen]
#[must_use]
pub fn output_length() -> usize {
    BUFFERS.with_borrow(|buffers| buffers.output.len())
}

/// The names that tapes refer to, a line each; how long the output is.
#[wasm_bindgen]
#[must_use]
pub fn names() -> usize {
    BUFFERS.with_borrow_mut(|buffers| {
        buffers.output = NAMES.join("\n").into_bytes();
        buffers.output.len()
    })
}

/// The position of the plan whose name is the input; -1 when there is none.
#[wasm_bindgen]
#[must_use]
pub fn plan(length: usize) -> i32 {
    BUFFERS.with_borrow(|buffers| {
        std::str::from_utf8(buffers.input.text(length))
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

/// Answers about the account in the slots, into the slots; how long the output is, which is the answer's text. -1 when the
/// slots hold no account.
fn answered(answer: impl FnOnce(&Account, &mut Answer<'_>) -> String) -> i32 {
    BUFFERS.with_borrow_mut(|buffers| {
        let Some(account) = Account::read(&buffers.slots) else {
            return -1;
        };
        buffers.output = answer(&account, &mut Answer::new(&mut buffers.slots)).into_bytes();
        i32::try_from(buffers.output.len()).unwrap_or(i32::MAX)
    })
}

/// The decision on a call that costs so many calls.
#[wasm_bindgen]
#[must_use]
pub fn decide(cost: u32) -> i32 {
    let Some(cost) = Cost::new(cost) else {
        return -1;
    };
    answered(|account, answer| {
        match quota::decide(&account.entitlement, &account.usage, cost, account.now) {
            Decision::Admit(admission) => {
                answer.admission(&admission);
                String::new()
            }
            Decision::Refuse(refusal) => {
                answer.refusal(&refusal);
                refusal.message
            }
        }
    })
}

/// The usage bar.
#[wasm_bindgen]
#[must_use]
pub fn meter() -> i32 {
    answered(|account, answer| {
        let bar = meter::meter(&account.entitlement, &account.usage, account.now);
        answer.meter(&bar);
        bar.text
    })
}

/// Where the account stands.
#[wasm_bindgen]
#[must_use]
pub fn balance() -> i32 {
    answered(|account, answer| {
        answer.balance(&quota::balance(
            &account.entitlement,
            &account.usage,
            account.now,
        ));
        String::new()
    })
}

/// What a change does to the plan at a position, paid by an interval: 0 as now, 1 by the month, 2 by the year.
#[wasm_bindgen]
#[must_use]
pub fn preview_change(plan: usize, by: u32) -> i32 {
    let Some(plan) = plan_of(plan) else {
        return -1;
    };
    answered(|account, answer| {
        let preview = change::preview(
            &account.entitlement,
            &account.usage,
            plan,
            interval(f64::from(by)),
            account.now,
        );
        answer.preview(&preview);
        preview.text
    })
}
