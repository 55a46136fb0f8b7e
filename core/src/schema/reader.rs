//! One pass over a text: grammar, types and rules at once, and where every value lies.

use super::cursor::{Cursor, Step, Stop, Text};
use super::number::{self, Whole, whole};
use super::{Field, MAX_VIOLATIONS, Mark, Node, Presence, Tape, Unknown, Violations};
use crate::payload::format::Format;
use crate::payload::json::{MAX_DEPTH, MAX_VALUES};
use crate::violation::{Code, Segment, Violation};

/// Where a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A caller wrote it.
    Text,
    /// The npm package wrote it from a JavaScript value. What JSON cannot say is written as U+0001 and a letter.
    Value,
}

/// Announces a JavaScript value that JSON cannot say.
const FOREIGN: u8 = 0x01;

pub(super) fn read(
    text: &[u8],
    root: &'static Node,
    origin: Origin,
    tape: &mut Tape,
) -> Result<(), Violations> {
    tape.clear();
    let (document, broken) = match std::str::from_utf8(text) {
        Ok(text) => (text, None),
        Err(error) => ("", Some(error.valid_up_to())),
    };
    let mut reader = Reader {
        cursor: Cursor::new(document),
        origin,
        tape,
        violations: Vec::new(),
    };
    let stop = match broken {
        None => reader.document(root).err(),
        Some(at) => {
            reader.cursor.at = at;
            Some(Stop::Malformed)
        }
    };
    if let Some(stop) = stop {
        let code = match stop {
            Stop::Malformed => Code::Malformed {
                offset: offset(reader.cursor.at),
            },
            Stop::TooDeep => Code::TooDeep { max: MAX_DEPTH },
        };
        return Err(vec![Violation::new(Vec::new(), code)]);
    }
    if reader.violations.is_empty() {
        return Ok(());
    }
    reader.trim();
    Err(reader.violations)
}

struct Reader<'t, 'b> {
    cursor: Cursor<'t>,
    origin: Origin,
    tape: &'b mut Tape,
    violations: Violations,
}

/// Where the reader is, as a chain up the stack: nothing is stored unless something is wrong.
#[derive(Clone, Copy)]
enum Place<'p> {
    Root,
    Name(&'p Place<'p>, &'static str),
    Key(&'p Place<'p>, &'p str),
    Index(&'p Place<'p>, u32),
}

impl Place<'_> {
    fn path(&self) -> Vec<Segment> {
        let (mut path, segment) = match self {
            Self::Root => return Vec::new(),
            Self::Name(parent, name) => (parent.path(), Segment::Key((*name).to_owned())),
            Self::Key(parent, key) => (parent.path(), Segment::Key((*key).to_owned())),
            Self::Index(parent, index) => (parent.path(), Segment::Index(*index)),
        };
        path.push(segment);
        path
    }
}

impl<'t> Reader<'t, '_> {
    fn document(&mut self, root: &'static Node) -> Step {
        self.cursor.space();
        self.value(root, Place::Root)?;
        self.cursor.space();
        if !self.cursor.ended() {
            return Err(Stop::Malformed);
        }
        Ok(())
    }

    // What is wrong.

    fn report(&mut self, place: Place<'_>, code: Code) {
        self.violations.push(Violation::new(place.path(), code));
        // A hostile document cannot make the list long, and which part of it is kept does not depend on its order.
        if self.violations.len() >= MAX_VIOLATIONS.saturating_mul(8) {
            self.trim();
        }
    }

    fn trim(&mut self) {
        // By insertion: they are few, and mostly in order. A sort of the library's would be as large as the reader.
        let mut sorted: Violations = Vec::with_capacity(self.violations.len());
        for violation in self.violations.drain(..) {
            let at = sorted.partition_point(|known| *known < violation);
            if sorted.get(at) != Some(&violation) {
                sorted.insert(at, violation);
            }
        }
        sorted.truncate(MAX_VIOLATIONS);
        self.violations = sorted;
    }

    // The rules.

    fn value(&mut self, node: &'static Node, place: Place<'_>) -> Step {
        match (node, self.cursor.peek()) {
            (
                Node::Object {
                    fields, unknown, ..
                },
                Some(b'{'),
            ) => self.object(fields, unknown, place),
            (Node::Array { items, min, max }, Some(b'[')) => self.array(items, *min, *max, place),
            (Node::Text { min, max, format }, Some(b'"')) => {
                self.text_value(*min, *max, *format, place)
            }
            (Node::Choice(allowed), Some(b'"')) => self.choice(allowed, place),
            (Node::Integer { min, max }, Some(b'-' | b'0'..=b'9')) => {
                self.integer(*min, *max, place)
            }
            (Node::Moment { .. }, Some(b'"')) => {
                self.text_value(0, u32::MAX, Format::DateTime, place)
            }
            (Node::Moment { max }, Some(b'-' | b'0'..=b'9')) => self.integer(0, *max, place),
            (Node::Boolean, Some(b't')) => {
                self.mark(Mark::True, &[]);
                self.cursor.word(b"true")
            }
            (Node::Boolean, Some(b'f')) => {
                self.mark(Mark::False, &[]);
                self.cursor.word(b"false")
            }
            (Node::AnyObject, Some(b'{')) | (Node::Any, _) => self.any(place),
            (node, _) => self.mismatch(node, place),
        }
    }

    fn mark(&mut self, mark: Mark, operands: &[usize]) {
        self.tape.push(mark as u32);
        self.tape
            .extend(operands.iter().map(|operand| offset(*operand)));
    }

    /// Pushes a mark whose count is not known yet; [`Self::counted`] fills it in.
    fn open(&mut self, mark: Mark) -> usize {
        self.tape.push(mark as u32);
        self.tape.push(0);
        self.tape.len().saturating_sub(1)
    }

    fn counted(&mut self, slot: usize, count: u32) {
        if let Some(entry) = self.tape.get_mut(slot) {
            *entry = count;
        }
    }

    fn object(&mut self, fields: &'static [Field], unknown: &Unknown, place: Place<'_>) -> Step {
        // One bit for each field; the generator refuses schemas with more.
        let mut seen = 0_u64;
        let mut count = 0_u32;
        let slot = self.open(Mark::Object);
        self.cursor.enter()?;
        if self.cursor.peek() != Some(b'}') {
            loop {
                let key = self.cursor.key()?;
                let known = key
                    .content
                    .as_deref()
                    .and_then(|name| (0_u32..).zip(fields).find(|(_, field)| field.name == name));
                if let Some((position, field)) = known {
                    let bit = 1_u64.checked_shl(position).unwrap_or(0);
                    count = count.saturating_add(self.member(field, seen & bit != 0, place)?);
                    seen |= bit;
                } else {
                    self.stranger(&key, unknown, place)?;
                }
                if !self.cursor.more(b'}')? {
                    break;
                }
            }
        }
        self.cursor.leave();
        for (position, field) in (0_u32..).zip(fields) {
            let bit = 1_u64.checked_shl(position).unwrap_or(0);
            if field.presence == Presence::Required && seen & bit == 0 {
                self.report(Place::Name(&place, field.name), Code::Required);
            }
        }
        self.counted(slot, count);
        Ok(())
    }

    /// Reads the value of a known member; how many entries it adds to the object.
    fn member(&mut self, field: &'static Field, again: bool, place: Place<'_>) -> Step<u32> {
        let place = Place::Name(&place, field.name);
        let added = if again {
            self.report(place, Code::DuplicateKey);
            self.skip()?;
            0
        } else if field.presence == Presence::Optional && self.cursor.peek() == Some(b'n') {
            self.cursor.word(b"null")?;
            0
        } else {
            self.tape.push(field.index);
            self.value(field.node, place)?;
            1
        };
        Ok(added)
    }

    fn stranger(&mut self, key: &Text<'t>, unknown: &Unknown, place: Place<'_>) -> Step {
        if *unknown == Unknown::Refused {
            // Half a surrogate pair cannot be written in a pointer; the replacement character stands for it.
            let name = key.content.as_deref().unwrap_or("\u{fffd}");
            self.report(Place::Key(&place, name), Code::UnknownField);
        }
        self.skip()
    }

    fn array(&mut self, items: &'static Node, min: u32, max: u32, place: Place<'_>) -> Step {
        let mut count = 0_u32;
        let slot = self.open(Mark::Array);
        self.cursor.enter()?;
        if self.cursor.peek() != Some(b']') {
            loop {
                if count < max {
                    self.value(items, Place::Index(&place, count))?;
                } else {
                    self.skip()?;
                }
                count = count.saturating_add(1);
                if !self.cursor.more(b']')? {
                    break;
                }
            }
        }
        self.cursor.leave();
        if count < min {
            self.report(place, Code::TooFew { min });
        }
        if count > max {
            self.report(place, Code::TooMany { max });
        }
        self.counted(slot, count);
        Ok(())
    }

    fn text_value(&mut self, min: u32, max: u32, format: Format, place: Place<'_>) -> Step {
        let text = self.cursor.string()?;
        match &text.content {
            None => self.report(place, Code::Unicode),
            Some(content) => {
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
        }
        self.mark_text(&text);
        Ok(())
    }

    fn mark_text(&mut self, text: &Text<'_>) {
        if text.escaped {
            let (start, end) = (text.start.saturating_sub(1), text.end.saturating_add(1));
            self.mark(Mark::Escaped, &[start, end]);
        } else {
            self.mark(Mark::Plain, &[text.start, text.end]);
        }
    }

    fn choice(&mut self, allowed: &'static [&'static str], place: Place<'_>) -> Step {
        let text = self.cursor.string()?;
        let known = text
            .content
            .as_deref()
            .is_some_and(|content| allowed.contains(&content));
        if !known {
            self.report(
                place,
                Code::Choice {
                    allowed: allowed.to_vec(),
                },
            );
        }
        self.mark_text(&text);
        Ok(())
    }

    fn integer(&mut self, min: u64, max: u64, place: Place<'_>) -> Step {
        let start = self.cursor.at;
        let text = self.cursor.number()?;
        match whole(text) {
            Whole::Fraction => self.report(place, Code::Integer),
            Whole::Negative => self.report(place, Code::TooSmall { min }),
            Whole::Number(number) if number < min => self.report(place, Code::TooSmall { min }),
            Whole::Number(number) if number > max => self.report(place, Code::TooLarge { max }),
            Whole::Beyond => self.report(place, Code::TooLarge { max }),
            Whole::Number(_) => {}
        }
        self.mark(Mark::Number, &[start, self.cursor.at]);
        Ok(())
    }

    fn any(&mut self, place: Place<'_>) -> Step {
        let start = self.cursor.at;
        let mut survey = Survey::default();
        self.survey(&mut survey)?;
        if survey.values > MAX_VALUES {
            self.report(place, Code::TooComplex { max: MAX_VALUES });
        }
        if survey.half_pair {
            self.report(place, Code::Unicode);
        }
        if survey.beyond {
            self.report(
                place,
                Code::TooLarge {
                    max: crate::whole::MAX,
                },
            );
        }
        if let Some(received) = survey.foreign {
            self.report(
                place,
                Code::Type {
                    expected: "JSON",
                    received,
                },
            );
        }
        self.mark(Mark::Json, &[start, self.cursor.at]);
        Ok(())
    }

    fn mismatch(&mut self, node: &Node, place: Place<'_>) -> Step {
        let expected = match node {
            Node::Object { .. } | Node::AnyObject => "an object",
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
        self.skip()?;
        self.report(place, Code::Type { expected, received });
        Ok(())
    }

    /// Past any value, whose content does not matter.
    fn skip(&mut self) -> Step {
        self.survey(&mut Survey::default())
    }

    fn survey(&mut self, survey: &mut Survey) -> Step {
        survey.values = survey.values.saturating_add(1);
        match self.cursor.peek() {
            Some(open @ (b'{' | b'[')) => {
                let close = if open == b'{' { b'}' } else { b']' };
                self.cursor.enter()?;
                if self.cursor.peek() != Some(close) {
                    loop {
                        if open == b'{' {
                            survey.half_pair |= self.cursor.key()?.content.is_none();
                        }
                        self.survey(survey)?;
                        if !self.cursor.more(close)? {
                            break;
                        }
                    }
                }
                self.cursor.leave();
                Ok(())
            }
            Some(b'"') => {
                survey.half_pair |= self.cursor.string()?.content.is_none();
                Ok(())
            }
            Some(b't') => self.cursor.word(b"true"),
            Some(b'f') => self.cursor.word(b"false"),
            Some(b'n') => self.cursor.word(b"null"),
            Some(FOREIGN) if self.origin == Origin::Value => {
                self.cursor.step();
                survey.foreign = Some(foreign(self.cursor.peek()));
                self.cursor.step();
                Ok(())
            }
            _ => {
                let text = self.cursor.number()?;
                survey.beyond |= !number::is_finite(text);
                Ok(())
            }
        }
    }
}

/// What was seen inside arbitrary JSON.
#[derive(Default)]
struct Survey {
    values: u32,
    half_pair: bool,
    beyond: bool,
    foreign: Option<&'static str>,
}

/// What a letter after [`FOREIGN`] stands for; written by `pkg/src/encode.ts`.
fn foreign(letter: Option<u8>) -> &'static str {
    match letter {
        Some(b'u') => "undefined",
        Some(b'n') => "a number that is not finite",
        Some(b'b') => "a bigint",
        Some(b'f') => "a function",
        Some(b's') => "a symbol",
        Some(b'd') => "an invalid date",
        Some(b'e') => "a property that throws",
        _ => "a value JSON cannot say",
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

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
