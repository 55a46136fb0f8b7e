//! The same reading for documents that are plain: ASCII, without escapes, right. It takes a fraction of the time, and where
//! a document is not plain it says nothing: then the reader is asked, which knows every rule and says what is wrong.
//! A property test holds what is taken here to what the reader takes.

use super::cursor::plain_ascii;
use super::{Field, Mark, Node, Presence, Tape, Unknown};
use crate::payload::format::Format;
use crate::payload::json::MAX_VALUES;

/// Deeper documents are the reader's.
const MAX_DEPTH: u32 = 16;

/// Reads a plain document onto the tape; `None` when it is not one. Then the tape means nothing.
pub(super) fn read(text: &[u8], root: &'static Node, tape: &mut Tape) -> Option<()> {
    tape.clear();
    let mut fast = Fast {
        bytes: text,
        at: 0,
        tape,
        depth: 0,
        values: 0,
    };
    fast.space();
    fast.value(root)?;
    fast.space();
    (fast.at == text.len()).then_some(())
}

struct Fast<'t, 'b> {
    bytes: &'t [u8],
    at: usize,
    tape: &'b mut Tape,
    depth: u32,
    /// The values of arbitrary JSON so far.
    values: u32,
}

impl<'t> Fast<'t, '_> {
    #[inline]
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn step(&mut self) {
        self.at = self.at.wrapping_add(1);
    }

    #[inline]
    fn space(&mut self) {
        while let b' ' | b'\n' | b'\r' | b'\t' = self.peek() {
            self.step();
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        if self.peek() != byte {
            return None;
        }
        self.step();
        Some(())
    }

    #[inline]
    fn word(&mut self, word: &'static [u8]) -> Option<()> {
        if !self.bytes.get(self.at..)?.starts_with(word) {
            return None;
        }
        self.at = self.at.wrapping_add(word.len());
        Some(())
    }

    /// Past a string; what is in it.
    #[inline]
    fn string(&mut self) -> Option<&'t [u8]> {
        self.expect(b'"')?;
        let rest = self.bytes.get(self.at..)?;
        let length = plain_ascii(rest);
        self.at = self.at.wrapping_add(length);
        self.expect(b'"')?;
        rest.get(..length)
    }

    /// After a member or an item: whether another one follows.
    #[inline]
    fn more(&mut self, close: u8) -> Option<bool> {
        self.space();
        match self.peek() {
            b',' => {
                self.step();
                self.space();
                Some(true)
            }
            byte if byte == close => {
                self.step();
                self.depth = self.depth.wrapping_sub(1);
                Some(false)
            }
            _ => None,
        }
    }

    /// Into an object or an array; whether it has anything.
    #[inline]
    fn enter(&mut self, close: u8) -> Option<bool> {
        self.step();
        self.depth = self.depth.wrapping_add(1);
        if self.depth > MAX_DEPTH {
            return None;
        }
        self.space();
        if self.peek() == close {
            self.step();
            self.depth = self.depth.wrapping_sub(1);
            return Some(false);
        }
        Some(true)
    }

    fn mark(&mut self, mark: Mark, start: usize, end: usize) {
        self.tape
            .extend_from_slice(&[mark as u32, offset(start), offset(end)]);
    }

    fn value(&mut self, node: &'static Node) -> Option<()> {
        match node {
            Node::Object {
                fields,
                unknown,
                lengths,
            } => self.object(fields, unknown, *lengths),
            Node::Array { items, min, max } => self.array(items, *min, *max),
            Node::Text { min, max, format } => self.text(*min, *max, *format),
            Node::Choice(allowed) => {
                let text = self.marked()?;
                allowed
                    .iter()
                    .any(|known| known.as_bytes() == text)
                    .then_some(())
            }
            Node::Integer { min, max } => self.integer(*min, *max),
            Node::Moment { max } => match self.peek() {
                b'"' => self.text(0, u32::MAX, Format::DateTime),
                _ => self.integer(0, *max),
            },
            Node::Boolean => {
                let (mark, word): (_, &[u8]) = match self.peek() {
                    b't' => (Mark::True, b"true"),
                    _ => (Mark::False, b"false"),
                };
                self.tape.push(mark as u32);
                self.word(word)
            }
            Node::AnyObject if self.peek() != b'{' => None,
            Node::AnyObject | Node::Any => {
                let start = self.at;
                let before = self.values;
                self.skip()?;
                if self.values.wrapping_sub(before) > MAX_VALUES {
                    return None;
                }
                self.mark(Mark::Json, start, self.at);
                Some(())
            }
        }
    }

    /// Past a string that is on the tape.
    #[inline]
    fn marked(&mut self) -> Option<&'t [u8]> {
        let text = self.string()?;
        let end = self.at.wrapping_sub(1);
        self.mark(Mark::Plain, end.wrapping_sub(text.len()), end);
        Some(text)
    }

    fn object(&mut self, fields: &'static [Field], unknown: &Unknown, lengths: u64) -> Option<()> {
        if self.peek() != b'{' {
            return None;
        }
        self.tape.extend_from_slice(&[Mark::Object as u32, 0]);
        let slot = self.tape.len().wrapping_sub(1);
        let (mut seen, mut count) = (0_u64, 0_u32);
        let mut more = self.enter(b'}')?;
        while more {
            let key = self.string()?;
            self.space();
            self.expect(b':')?;
            self.space();
            match find(fields, key, lengths) {
                Some((position, field)) => {
                    let bit = 1_u64.wrapping_shl(position);
                    if seen & bit != 0 {
                        return None;
                    }
                    seen |= bit;
                    if self.peek() == b'n' && field.presence == Presence::Optional {
                        self.word(b"null")?;
                    } else {
                        self.tape.push(field.index);
                        self.value(field.node)?;
                        count = count.wrapping_add(1);
                    }
                }
                None if *unknown == Unknown::Refused => return None,
                None => self.skip()?,
            }
            more = self.more(b'}')?;
        }
        let missing = |(position, field): (u32, &Field)| {
            field.presence == Presence::Required && seen & 1_u64.wrapping_shl(position) == 0
        };
        if (0_u32..).zip(fields).any(missing) {
            return None;
        }
        *self.tape.get_mut(slot)? = count;
        Some(())
    }

    fn array(&mut self, items: &'static Node, min: u32, max: u32) -> Option<()> {
        if self.peek() != b'[' {
            return None;
        }
        self.tape.extend_from_slice(&[Mark::Array as u32, 0]);
        let slot = self.tape.len().wrapping_sub(1);
        let mut count = 0_u32;
        let mut more = self.enter(b']')?;
        while more {
            if count == max {
                return None;
            }
            self.value(items)?;
            count = count.wrapping_add(1);
            more = self.more(b']')?;
        }
        if count < min {
            return None;
        }
        *self.tape.get_mut(slot)? = count;
        Some(())
    }

    fn text(&mut self, min: u32, max: u32, format: Format) -> Option<()> {
        let text = self.marked()?;
        let length = offset(text.len());
        (length >= min && length <= max && format.holds_plainly(text)).then_some(())
    }

    /// Past digits; the number, if it has 15 of them at most.
    #[inline]
    fn digits(&mut self) -> Option<u64> {
        let start = self.at;
        let mut number = 0_u64;
        while let digit @ b'0'..=b'9' = self.peek() {
            number = number
                .wrapping_mul(10)
                .wrapping_add(u64::from(digit.wrapping_sub(b'0')));
            self.step();
        }
        let count = self.at.wrapping_sub(start);
        let leading = count > 1 && self.bytes.get(start) == Some(&b'0');
        (matches!(count, 1..=15) && !leading).then_some(number)
    }

    fn integer(&mut self, min: u64, max: u64) -> Option<()> {
        let start = self.at;
        let number = self.digits()?;
        if matches!(self.peek(), b'.' | b'e' | b'E') || number < min || number > max {
            return None;
        }
        self.mark(Mark::Number, start, self.at);
        Some(())
    }

    /// Past any value.
    fn skip(&mut self) -> Option<()> {
        self.values = self.values.wrapping_add(1);
        match self.peek() {
            b'"' => self.string().map(drop),
            b'{' => {
                let mut more = self.enter(b'}')?;
                while more {
                    self.string()?;
                    self.space();
                    self.expect(b':')?;
                    self.space();
                    self.skip()?;
                    more = self.more(b'}')?;
                }
                Some(())
            }
            b'[' => {
                let mut more = self.enter(b']')?;
                while more {
                    self.skip()?;
                    more = self.more(b']')?;
                }
                Some(())
            }
            b'n' => self.word(b"null"),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            _ => self.number(),
        }
    }

    fn number(&mut self) -> Option<()> {
        if self.peek() == b'-' {
            self.step();
        }
        self.digits()?;
        if self.peek() == b'.' {
            self.step();
            let start = self.at;
            while self.peek().is_ascii_digit() {
                self.step();
            }
            if self.at == start {
                return None;
            }
        }
        // Powers of ten may be beyond every number.
        (!matches!(self.peek(), b'e' | b'E')).then_some(())
    }
}

#[inline]
fn find(fields: &'static [Field], key: &[u8], lengths: u64) -> Option<(u32, &'static Field)> {
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX).min(63);
    if lengths & 1_u64.wrapping_shl(length) == 0 {
        return None;
    }
    (0_u32..)
        .zip(fields)
        .find(|(_, field)| field.name.as_bytes() == key)
}

#[inline]
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
