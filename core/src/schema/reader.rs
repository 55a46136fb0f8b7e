//! One pass over a text: grammar, types and rules at once, and where every value lies.

use super::cursor::{Cursor, Elaborate, Step, Stop};
use super::number::{Whole, whole};
use super::object::{Field, Object, Presence, Unknown, same};
use super::survey::Survey;
use super::violations::unreadable;
use super::{Mark, Node, Reading, Tape, Violations};
use crate::payload::format::Format;
use crate::payload::json::MAX_VALUES;
use crate::violation::{Code, Path, Segment};
use std::borrow::Cow;

/// Where a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A caller wrote it.
    Text,
    /// The npm package wrote it from a JavaScript value. What JSON cannot say is written as U+0001 and a letter.
    Value,
    /// As `Value`, but members that the npm package knows to be right are left out, and items written as U+0001 and `y`: what
    /// is wrong with the rest is asked for. A member that is missing is written as U+0001 and `m`. When nothing is wrong,
    /// there is no value on the tape.
    Doubts,
}

/// Announces a JavaScript value that JSON cannot say.
pub(super) const FOREIGN: u8 = 0x01;

pub(super) fn read<'r>(
    text: &[u8],
    root: &'static Node,
    origin: Origin,
    reading: &'r mut Reading,
) -> Result<&'r Tape, &'r Violations> {
    let Reading { tape, violations } = reading;
    tape.clear();
    violations.clear();
    let mut reader = Reader {
        cursor: Cursor::new(text),
        origin,
        tape,
        violations,
    };
    if let Err(stop) = reader.document(root) {
        let at = reader.cursor.at;
        reader.violations.clear();
        reader.violations.push(unreadable(text, &stop, at));
    }
    if reader.violations.is_empty() {
        if origin == Origin::Doubts {
            reader.tape.clear();
        }
        return Ok(reader.tape);
    }
    reader.tape.clear();
    reader.trim();
    Err(reader.violations)
}

pub(super) struct Reader<'t, 'b> {
    pub(super) cursor: Cursor<'t>,
    pub(super) origin: Origin,
    tape: &'b mut Tape,
    pub(super) violations: &'b mut Violations,
}

/// Where the reader is, as a chain up the stack: nothing is stored unless something is wrong.
pub(super) enum Place<'p> {
    Root,
    Name(&'p Place<'p>, &'static str),
    Key(&'p Place<'p>, &'p str),
    Index(&'p Place<'p>, u32),
}

impl Place<'_> {
    pub(super) fn path(&self) -> Path {
        let mut path = Path::default();
        self.write(&mut path);
        path
    }

    fn write(&self, path: &mut Path) {
        let (parent, segment) = match self {
            Self::Root => return,
            Self::Name(parent, name) => (parent, Segment::Key(Cow::Borrowed(name))),
            Self::Key(parent, key) => (parent, Segment::Key(Cow::Owned((*key).to_owned()))),
            Self::Index(parent, index) => (parent, Segment::Index(*index)),
        };
        parent.write(path);
        path.push(segment);
    }
}

impl<'t> Reader<'t, '_> {
    fn document(&mut self, root: &'static Node) -> Step {
        self.cursor.space();
        self.value(root, &Place::Root)?;
        self.cursor.space();
        if !self.cursor.ended() {
            return Err(Stop::Malformed);
        }
        Ok(())
    }

    fn value(&mut self, node: &'static Node, place: &Place<'_>) -> Step {
        match (node, self.cursor.peek()) {
            (Node::Object(object), Some(b'{')) => self.object(object, place),
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
                self.tape.push(Mark::True as u32);
                self.cursor.word(b"true")
            }
            (Node::Boolean, Some(b'f')) => {
                self.tape.push(Mark::False as u32);
                self.cursor.word(b"false")
            }
            (Node::AnyObject, Some(b'{')) | (Node::Any, _) => self.any(place),
            (node, _) => self.mismatch(node, place),
        }
    }

    #[inline]
    fn mark(&mut self, mark: Mark, start: usize, end: usize) {
        self.tape
            .extend_from_slice(&[mark as u32, offset(start), offset(end)]);
    }

    /// Pushes a mark whose count is not known yet; [`Self::counted`] fills it in.
    #[inline]
    fn open(&mut self, mark: Mark) -> usize {
        self.tape.extend_from_slice(&[mark as u32, 0]);
        self.tape.len().wrapping_sub(1)
    }

    #[inline]
    fn counted(&mut self, slot: usize, count: u32) {
        if let Some(entry) = self.tape.get_mut(slot) {
            *entry = count;
        }
    }

    fn object(&mut self, object: &'static Object, place: &Place<'_>) -> Step {
        // One bit for each field; the generator refuses schemas with more.
        let mut seen = 0_u64;
        let mut count = 0_u32;
        let slot = self.open(Mark::Object);
        let mut cursor = self.cursor;
        let mut more = cursor.enter(b'}')?;
        // Where all members are known they mostly come in the order of the schema; elsewhere none is expected.
        let nowhere = match object.unknown {
            Unknown::Refused => 0,
            Unknown::Ignored => u32::MAX,
        };
        let mut next = nowhere;
        while more {
            let found = match object.at(next).filter(|field| cursor.named(field.name)) {
                Some(field) => Some(Ok((next, field))),
                None => cursor.name().map(|name| object.find(name).ok_or(name)),
            };
            self.cursor = cursor;
            match found {
                Some(Ok((position, field))) => {
                    next = position.wrapping_add(1) | nowhere;
                    let bit = 1_u64.wrapping_shl(position);
                    let again = seen & bit != 0;
                    seen |= bit;
                    if let (false, Some(after)) = (again, self.plainly(field, cursor)) {
                        count = count.wrapping_add(1);
                        self.cursor = after;
                    } else {
                        let added = self.member(field, again, place)?;
                        count = count.wrapping_add(added);
                    }
                }
                Some(Err(name)) => match object.unknown {
                    Unknown::Ignored => self.pass()?,
                    Unknown::Refused => self.stranger(object, name, place)?,
                },
                None => {
                    let added;
                    (seen, added) = self.elaborate_member(object, seen, place)?;
                    count = count.wrapping_add(added);
                }
            }
            cursor = self.cursor;
            more = cursor.more(b'}')?;
        }
        self.cursor = cursor;
        if object.required & !seen != 0 && self.origin != Origin::Doubts {
            self.missing(object, seen, place);
        }
        self.counted(slot, count);
        Ok(())
    }

    /// Past a member that is plainly right, as nearly all are; for every other one nothing happens, and it goes the long way.
    #[inline]
    fn plainly(&mut self, field: &'static Field, mut cursor: Cursor<'t>) -> Option<Cursor<'t>> {
        let start = cursor.at;
        let (mark, start, end) = match field.node {
            Node::Text { min, max, format } => {
                let bytes = cursor.plain()?;
                let length = offset(bytes.len());
                if length < *min || length > *max || !format.holds_plainly(bytes) {
                    return None;
                }
                (
                    Mark::Plain,
                    start.wrapping_add(1),
                    cursor.at.wrapping_sub(1),
                )
            }
            Node::Choice(allowed) => {
                let bytes = cursor.plain()?;
                if !allowed.iter().any(|known| same(known.as_bytes(), bytes)) {
                    return None;
                }
                (
                    Mark::Plain,
                    start.wrapping_add(1),
                    cursor.at.wrapping_sub(1),
                )
            }
            Node::Integer { min, max } => {
                let number = cursor.digits()?;
                if number < *min || number > *max {
                    return None;
                }
                (Mark::Number, start, cursor.at)
            }
            Node::Boolean => {
                let (mark, word): (_, &'static [u8]) = match cursor.peek() {
                    Some(b't') => (Mark::True, b"true"),
                    _ => (Mark::False, b"false"),
                };
                cursor.word(word).ok()?;
                self.tape.extend_from_slice(&[field.index, mark as u32]);
                return Some(cursor);
            }
            _ => return None,
        };
        let entries = [field.index, mark as u32, offset(start), offset(end)];
        self.tape.extend_from_slice(&entries);
        Some(cursor)
    }

    /// A member whose name is not plain: what was seen with it, and how many were added.
    #[cold]
    fn elaborate_member(
        &mut self,
        object: &'static Object,
        seen: u64,
        place: &Place<'_>,
    ) -> Step<(u64, u32)> {
        let name = self.cursor.elaborate()?;
        // Half a surrogate pair cannot be written in a pointer; the replacement character stands for it.
        let name = name.content().unwrap_or(Cow::Borrowed("\u{fffd}"));
        self.cursor.colon()?;
        let Some((position, field)) = object.find(name.as_bytes()) else {
            self.stranger(object, name.as_bytes(), place)?;
            return Ok((seen, 0));
        };
        let bit = 1_u64.wrapping_shl(position);
        let added = self.member(field, seen & bit != 0, place)?;
        Ok((seen | bit, added))
    }

    /// Reads the value of a known member; how many entries it adds to the object.
    fn member(&mut self, field: &'static Field, again: bool, place: &Place<'_>) -> Step<u32> {
        let place = &Place::Name(place, field.name);
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

    /// Past the value of a member nobody knows.
    fn stranger(&mut self, object: &'static Object, name: &[u8], place: &Place<'_>) -> Step {
        if object.unknown == Unknown::Refused {
            let name = String::from_utf8_lossy(name);
            self.report(&Place::Key(place, &name), Code::UnknownField);
        }
        self.skip()
    }

    fn array(&mut self, items: &'static Node, min: u32, max: u32, place: &Place<'_>) -> Step {
        let mut count = 0_u32;
        let slot = self.open(Mark::Array);
        let mut more = self.cursor.enter(b']')?;
        while more {
            if count < max {
                self.value(items, &Place::Index(place, count))?;
            } else {
                self.skip()?;
            }
            count = count.saturating_add(1);
            more = self.cursor.more(b']')?;
        }
        if count < min {
            self.report(place, Code::TooFew { min });
        }
        if count > max {
            self.report(place, Code::TooMany { max });
        }
        self.counted(slot, count);
        Ok(())
    }

    fn text_value(&mut self, min: u32, max: u32, format: Format, place: &Place<'_>) -> Step {
        match self.marked()? {
            Marked::Plain(bytes) => {
                let content = std::str::from_utf8(bytes).ok();
                self.judge(content, min, max, format, place);
            }
            Marked::Elaborate(text) => {
                self.judge(text.content().as_deref(), min, max, format, place);
            }
        }
        Ok(())
    }

    /// Past a string that is on the tape.
    #[inline(always)]
    fn marked(&mut self) -> Step<Marked<'t>> {
        if let Some(bytes) = self.cursor.plain() {
            let end = self.cursor.at.wrapping_sub(1);
            self.mark(Mark::Plain, end.wrapping_sub(bytes.len()), end);
            return Ok(Marked::Plain(bytes));
        }
        let start = self.cursor.at;
        let text = self.cursor.elaborate()?;
        let end = self.cursor.at;
        if text.escaped {
            self.mark(Mark::Escaped, start, end);
        } else {
            self.mark(Mark::Plain, start.wrapping_add(1), end.wrapping_sub(1));
        }
        Ok(Marked::Elaborate(text))
    }

    fn choice(&mut self, allowed: &'static [&'static str], place: &Place<'_>) -> Step {
        let is_allowed = |given: &[u8]| allowed.iter().any(|known| same(known.as_bytes(), given));
        let known = match self.marked()? {
            Marked::Plain(bytes) => is_allowed(bytes),
            Marked::Elaborate(text) => text
                .content()
                .is_some_and(|given| is_allowed(given.as_bytes())),
        };
        if !known {
            self.report(
                place,
                Code::Choice {
                    allowed: allowed.to_vec(),
                },
            );
        }
        Ok(())
    }

    fn integer(&mut self, min: u64, max: u64, place: &Place<'_>) -> Step {
        let start = self.cursor.at;
        let number = match self.cursor.digits() {
            Some(number) => Whole::Number(number),
            None => whole(self.cursor.number()?),
        };
        self.mark(Mark::Number, start, self.cursor.at);
        match number {
            Whole::Number(number) if number >= min && number <= max => {}
            Whole::Fraction => self.report(place, Code::Integer),
            Whole::Number(number) if number < min => self.report(place, Code::TooSmall { min }),
            Whole::Negative => self.report(place, Code::TooSmall { min }),
            Whole::Number(_) | Whole::Beyond => self.report(place, Code::TooLarge { max }),
        }
        Ok(())
    }

    fn any(&mut self, place: &Place<'_>) -> Step {
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
        self.mark(Mark::Json, start, self.cursor.at);
        Ok(())
    }

    /// What the npm package tells of a value instead of writing it.
    pub(super) fn told(&self) -> Option<Told> {
        match (self.origin, self.cursor.peek(), self.cursor.second()) {
            (Origin::Doubts, Some(FOREIGN), Some(b'y')) => Some(Told::Right),
            (Origin::Doubts, Some(FOREIGN), Some(b'm')) => Some(Told::Missing),
            _ => None,
        }
    }
}

/// See [`Origin::Doubts`].
pub(super) enum Told {
    Right,
    Missing,
}

/// A string, as far as it has been read.
enum Marked<'t> {
    Plain(&'t [u8]),
    Elaborate(Elaborate<'t>),
}

pub(super) fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
