//! The schemas of payloads as data, and the single-pass reader that holds a text to them.
//!
//! The tables (`tables.rs`) are generated from the garde attributes of [`crate::payload`] and its like by
//! `cargo xtask generate`; nothing about a payload is written here.

mod cursor;
mod number;
mod object;
mod reader;
mod survey;
mod tables;
mod tape;
mod violations;

use crate::payload::format::Format;
use crate::violation::Violation;
use object::Object;

pub use object::{NONE, place};
pub use reader::Origin;
pub use tables::{FINGERPRINT, NAMES, SCHEMAS};
pub use tape::{Mark, write};

/// A schema by its name in the npm package.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// The name.
    pub name: &'static str,
    /// What the document must be.
    root: &'static Node,
}

/// What a value must be.
#[derive(Debug)]
enum Node {
    Object(Object),
    Array {
        items: &'static Node,
        min: u32,
        max: u32,
    },
    Text {
        min: u32,
        max: u32,
        format: Format,
    },
    Choice(&'static [&'static str]),
    Integer {
        min: u64,
        max: u64,
    },
    /// A text that is a moment, or a number of milliseconds.
    Moment {
        max: u64,
    },
    Boolean,
    AnyObject,
    Any,
}

/// A document that was accepted: where its values lie in the text that was read.
pub type Tape = Vec<u32>;

/// Why a document was not accepted. Ordered and without repetition; at most [`MAX_VIOLATIONS`].
pub type Violations = Vec<Violation>;

/// What the last document that was read in this place was: its tape, or what is wrong with it.
#[derive(Debug, Default)]
pub struct Reading {
    tape: Tape,
    violations: Violations,
}

impl Reading {
    /// Of no document yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            tape: Tape::new(),
            violations: Violations::new(),
        }
    }

    /// The tape of the last document; empty if it was refused.
    #[must_use]
    pub fn tape(&self) -> &[u32] {
        &self.tape
    }
}

/// How many violations of a document are reported.
pub const MAX_VIOLATIONS: usize = 100;

/// The schema of that name in the npm package.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Schema> {
    SCHEMAS.iter().find(|schema| schema.name == name)
}

impl Schema {
    /// Reads `text` once and either says where its values lie or everything that is wrong with it.
    ///
    /// ```
    /// use legis_core::schema::{by_name, Origin};
    /// let registration = by_name("registration").unwrap();
    /// assert!(registration.read(br#"{"email":"ada@example.com"}"#, Origin::Text).is_ok());
    /// let violations = registration.read(br#"{"email":"ada"}"#, Origin::Text).unwrap_err();
    /// assert_eq!(violations[0].pointer(), "/email");
    /// assert_eq!(violations[0].code.name(), "format");
    /// ```
    ///
    /// # Errors
    /// What is wrong, in the order of the places.
    pub fn read(&self, text: &[u8], origin: Origin) -> Result<Tape, Violations> {
        let mut reading = Reading::new();
        match self.read_into(text, origin, &mut reading) {
            Ok(_) => Ok(reading.tape),
            Err(_) => Err(reading.violations),
        }
    }

    /// The same where documents were read before: memory is asked for once, not with every document.
    ///
    /// # Errors
    /// What is wrong, in the order of the places.
    pub fn read_into<'r>(
        &self,
        text: &[u8],
        origin: Origin,
        reading: &'r mut Reading,
    ) -> Result<&'r Tape, &'r Violations> {
        reader::read(text, self.root, origin, reading)
    }
}
