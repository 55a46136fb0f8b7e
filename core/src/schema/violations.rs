//! What is wrong with a document, and where. All of it is cold: most documents are right.

use super::cursor::{Step, Stop};
use super::object::Object;
use super::reader::{FOREIGN, Place, Reader, Told, offset};
use super::survey::foreign;
use super::{MAX_VIOLATIONS, Node, Violations};
use crate::payload::format::Format;
use crate::payload::json::MAX_DEPTH;
use crate::violation::{Code, Path, Violation};

/// What is wrong with a text that is no document. First of all it must be UTF-8.
#[cold]
pub(super) fn unreadable(text: &[u8], stop: &Stop, at: usize) -> Violation {
    let malformed = |at| Code::Malformed { offset: offset(at) };
    let code = match (std::str::from_utf8(text), stop) {
        (Err(error), _) => malformed(error.valid_up_to()),
        (Ok(_), Stop::Malformed) => malformed(at),
        (Ok(_), Stop::TooDeep) => Code::TooDeep { max: MAX_DEPTH },
    };
    Violation::new(Path::default(), code)
}

impl Reader<'_, '_> {
    #[cold]
    pub(super) fn report(&mut self, place: &Place<'_>, code: Code) {
        self.violations.push(Violation::new(place.path(), code));
        // A hostile document cannot make the list long, and which part of it is kept does not depend on its order.
        if self.violations.len() >= MAX_VIOLATIONS.saturating_mul(8) {
            self.trim();
        }
    }

    pub(super) fn trim(&mut self) {
        if self.violations.is_sorted_by(|one, next| one < next) {
            self.violations.truncate(MAX_VIOLATIONS);
            return;
        }
        // By insertion: they are few, and mostly in order. A sort of the library's would be as large as the reader.
        let mut sorted: Violations = Vec::with_capacity(self.violations.len());
        for violation in self.violations.drain(..) {
            let at = sorted.partition_point(|known| *known < violation);
            if sorted.get(at) != Some(&violation) {
                sorted.insert(at, violation);
            }
        }
        sorted.truncate(MAX_VIOLATIONS);
        *self.violations = sorted;
    }

    #[cold]
    pub(super) fn missing(&mut self, object: &'static Object, seen: u64, place: &Place<'_>) {
        for (position, field) in (0_u32..).zip(object.fields) {
            let bit = 1_u64.wrapping_shl(position);
            if object.required & !seen & bit != 0 {
                self.report(&Place::Name(place, field.name), Code::Required);
            }
        }
    }

    /// What is wrong with a text, if anything. `None` is one that holds half of a surrogate pair.
    #[cold]
    pub(super) fn judge(
        &mut self,
        content: Option<&str>,
        min: u32,
        max: u32,
        format: Format,
        place: &Place<'_>,
    ) {
        let Some(content) = content else {
            self.report(place, Code::Unicode);
            return;
        };
        let chars = length(content);
        if chars < min {
            self.report(place, Code::TooShort { min });
        } else if chars > max {
            self.report(place, Code::TooLong { max });
        } else if !format.holds(content) {
            self.report(
                place,
                Code::Format {
                    format: format.name(),
                    expectation: format.expectation(),
                },
            );
        }
    }

    #[cold]
    pub(super) fn mismatch(&mut self, node: &Node, place: &Place<'_>) -> Step {
        let expected = match node {
            Node::Object(_) | Node::AnyObject => "an object",
            Node::Array { .. } => "an array",
            Node::Text { .. } | Node::Choice(_) => "a string",
            Node::Integer { .. } => "a number",
            Node::Moment { .. } => "a string or a number",
            Node::Boolean => "a boolean",
            Node::Any => "JSON",
        };
        let received = match self.cursor.peek() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            Some(FOREIGN) => foreign(self.cursor.second()),
            _ => "a number",
        };
        let told = self.told();
        self.skip()?;
        match told {
            Some(Told::Right) => return Ok(()),
            Some(Told::Missing) => {
                self.report(place, Code::Required);
                return Ok(());
            }
            None => {}
        }
        self.report(place, Code::Type { expected, received });
        Ok(())
    }
}

/// The number of characters.
fn length(text: &str) -> u32 {
    let chars = if text.is_ascii() {
        text.len()
    } else {
        text.chars().count()
    };
    offset(chars)
}
