//! JSON's grammar (RFC 8259), one step at a time: where the next byte is, and past what it begins.

use super::object::same;
use crate::payload::json::MAX_DEPTH;
use std::borrow::Cow;

/// Why reading ended before the document did.
pub(super) enum Stop {
    Malformed,
    TooDeep,
}

pub(super) type Step<T = ()> = Result<T, Stop>;

/// A place in a document. Copied into the function that reads, where it lies in registers: what is looked at rarely takes
/// it by value and gives it back.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'t> {
    bytes: &'t [u8],
    pub(super) at: usize,
    depth: u32,
}

/// A string that is not plain: beyond ASCII, or with escapes.
pub(super) struct Elaborate<'t> {
    /// Between the quotes.
    pub(super) raw: &'t str,
    pub(super) escaped: bool,
}

impl<'t> Elaborate<'t> {
    /// The characters; `None` when they hold half of a surrogate pair.
    pub(super) fn content(&self) -> Option<Cow<'t, str>> {
        if self.escaped {
            return unescape(self.raw).map(Cow::Owned);
        }
        Some(Cow::Borrowed(self.raw))
    }
}

impl<'t> Cursor<'t> {
    pub(super) fn new(bytes: &'t [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            depth: 0,
        }
    }

    pub(super) fn ended(&self) -> bool {
        self.at >= self.bytes.len()
    }

    #[inline(always)]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The byte after the next one.
    pub(super) fn second(&self) -> Option<u8> {
        self.bytes.get(self.at.wrapping_add(1)).copied()
    }

    /// Places never pass the end of the document by more than one, so they cannot overflow.
    #[inline(always)]
    pub(super) fn step(&mut self) {
        self.at = self.at.wrapping_add(1);
    }

    /// Past white space, of which what programs write has none.
    #[inline(always)]
    pub(super) fn space(&mut self) {
        if self.peek().is_some_and(|byte| byte <= b' ') {
            *self = self.after_space();
        }
    }

    #[cold]
    fn after_space(mut self) -> Self {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.step();
        }
        self
    }

    #[inline(always)]
    fn over(&mut self, byte: u8) -> Step {
        if self.peek() != Some(byte) {
            return Err(Stop::Malformed);
        }
        self.step();
        Ok(())
    }

    #[inline(always)]
    pub(super) fn word(&mut self, word: &'static [u8]) -> Step {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(Stop::Malformed);
        }
        self.at = self.at.wrapping_add(word.len());
        Ok(())
    }

    /// Into an object or an array; whether it has anything.
    #[inline(always)]
    pub(super) fn enter(&mut self, close: u8) -> Step<bool> {
        self.depth = self.depth.wrapping_add(1);
        if self.depth > MAX_DEPTH {
            return Err(Stop::TooDeep);
        }
        self.step();
        self.space();
        if self.peek() == Some(close) {
            self.leave();
            return Ok(false);
        }
        Ok(true)
    }

    #[inline(always)]
    fn leave(&mut self) {
        self.depth = self.depth.wrapping_sub(1);
        self.step();
    }

    /// After a member or an item: whether another one follows. Past the end if none does.
    #[inline(always)]
    pub(super) fn more(&mut self, close: u8) -> Step<bool> {
        self.space();
        let byte = self.peek();
        if byte == Some(b',') {
            self.step();
            self.space();
            return Ok(true);
        }
        if byte == Some(close) {
            self.leave();
            return Ok(false);
        }
        Err(Stop::Malformed)
    }

    /// From the name of a member to its value.
    #[inline(always)]
    pub(super) fn colon(&mut self) -> Step {
        self.space();
        self.over(b':')?;
        self.space();
        Ok(())
    }

    /// Past a string of ASCII without escapes, as nearly all are; where there is none, nothing happens.
    #[inline(always)]
    pub(super) fn plain(&mut self) -> Option<&'t [u8]> {
        let rest = match self.bytes.get(self.at..)? {
            [b'"', rest @ ..] => rest,
            _ => return None,
        };
        let length = plain_ascii(rest);
        if rest.get(length) != Some(&b'"') {
            return None;
        }
        self.at = self.at.wrapping_add(length).wrapping_add(2);
        rest.get(..length)
    }

    /// Past a value that is plain and has none inside; where there is none, nothing happens.
    #[inline(always)]
    pub(super) fn leaf(&mut self) -> bool {
        match self.peek() {
            Some(b'"') => self.plain().is_some(),
            Some(b'n') => self.word(b"null").is_ok(),
            Some(b't') => self.word(b"true").is_ok(),
            Some(b'f') => self.word(b"false").is_ok(),
            // What is empty is as deep as what is not.
            Some(b'[') => self.depth < MAX_DEPTH && self.word(b"[]").is_ok(),
            Some(b'{') => self.depth < MAX_DEPTH && self.word(b"{}").is_ok(),
            _ => self.digits().is_some(),
        }
    }

    /// Past this name of a member to its value; if another one is here, nothing happens.
    #[inline(always)]
    pub(super) fn named(&mut self, name: &str) -> bool {
        let rest = match self.bytes.get(self.at..) {
            Some([b'"', rest @ ..]) => rest,
            _ => return false,
        };
        let Some((given, [b'"', b':', ..])) = rest.split_at_checked(name.len()) else {
            return false;
        };
        if !same(given, name.as_bytes()) {
            return false;
        }
        self.at = self.at.wrapping_add(name.len()).wrapping_add(3);
        self.space();
        true
    }

    /// Past the name of a member to its value, if the name is plain and its colon follows at once, as nearly all do.
    #[inline(always)]
    pub(super) fn name(&mut self) -> Option<&'t [u8]> {
        let rest = match self.bytes.get(self.at..)? {
            [b'"', rest @ ..] => rest,
            _ => return None,
        };
        let length = plain_ascii(rest);
        let (name, rest) = rest.split_at_checked(length)?;
        let [b'"', b':', ..] = rest else {
            return None;
        };
        self.at = self.at.wrapping_add(length).wrapping_add(3);
        self.space();
        Some(name)
    }

    /// Past any other string.
    #[cold]
    pub(super) fn elaborate(&mut self) -> Step<Elaborate<'t>> {
        self.over(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let end = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | ..0x20));
            self.at = self.at.wrapping_add(end.unwrap_or(rest.len()));
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.step();
                    self.escape()?;
                }
                _ => return Err(Stop::Malformed),
            }
        }
        let raw = self.text(start, self.at)?;
        self.step();
        Ok(Elaborate { raw, escaped })
    }

    fn text(&self, start: usize, end: usize) -> Step<&'t str> {
        let bytes = self.bytes.get(start..end).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| Stop::Malformed)
    }

    /// Past the part of an escape that follows the backslash.
    fn escape(&mut self) -> Step {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.step(),
            Some(b'u') => {
                self.step();
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(Stop::Malformed);
                    }
                    self.step();
                }
            }
            _ => return Err(Stop::Malformed),
        }
        Ok(())
    }

    /// Past a number of at most 15 digits and nothing else, as nearly all are; where there is none, nothing happens.
    #[inline(always)]
    pub(super) fn digits(&mut self) -> Option<u64> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let mut number = 0_u64;
        let mut count = 0_usize;
        for byte in rest {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
            count = count.wrapping_add(1);
        }
        let leading = count > 1 && rest.first() == Some(&b'0');
        let whole = !matches!(rest.get(count), Some(b'.' | b'e' | b'E'));
        if !matches!(count, 1..=15) || leading || !whole {
            return None;
        }
        self.at = self.at.wrapping_add(count);
        Some(number)
    }

    fn some_digits(&mut self) -> Step {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.step();
        }
        if self.at == start {
            return Err(Stop::Malformed);
        }
        Ok(())
    }

    /// Past a number; its text.
    pub(super) fn number(&mut self) -> Step<&'t str> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.step();
        }
        if self.peek() == Some(b'0') {
            self.step();
        } else {
            self.some_digits()?;
        }
        if self.peek() == Some(b'.') {
            self.step();
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.step();
            if let Some(b'+' | b'-') = self.peek() {
                self.step();
            }
            self.some_digits()?;
        }
        self.text(start, self.at)
    }
}

/// A byte in every place of a word.
const fn repeated(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

const HIGH: u64 = repeated(0x80);

/// How many bytes lie before the first that ends a string, begins an escape, does not belong into one, or is not ASCII.
///
/// Eight bytes at a time: in a byte's highest bit stands whether it is one of those. What is borrowed from comes after the
/// first of them, so the lowest is never false.
#[inline(always)]
fn plain_ascii(bytes: &[u8]) -> usize {
    let mut at: usize = 0;
    let (words, _) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        // With its second bit turned, the quote is just above the control characters.
        let quotes_and_controls = (word ^ repeated(2)).wrapping_sub(repeated(0x21));
        let escapes = (word ^ repeated(b'\\')).wrapping_sub(repeated(1));
        let found = (quotes_and_controls | escapes | word) & HIGH;
        if found != 0 {
            return at.wrapping_add(usize::try_from(found.trailing_zeros() / 8).unwrap_or(0));
        }
        at = at.wrapping_add(8);
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | ..0x20 | 0x80..));
    at.wrapping_add(end.unwrap_or(rest.len()))
}

/// The characters an escaped string stands for; `None` for half of a surrogate pair. The escapes are well formed.
fn unescape(raw: &str) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut chars = escape.chars();
        let character = match chars.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let high = hex(&mut chars)?;
                if (0xD800..0xDC00).contains(&high) {
                    let ('\\', 'u') = (chars.next()?, chars.next()?) else {
                        return None;
                    };
                    let low = hex(&mut chars)?;
                    char::decode_utf16([high, low]).next()?.ok()?
                } else {
                    char::from_u32(u32::from(high))?
                }
            }
            other => other,
        };
        text.push(character);
        rest = chars.as_str();
    }
    text.push_str(rest);
    Some(text)
}

fn hex(chars: &mut std::str::Chars<'_>) -> Option<u16> {
    (0..4).try_fold(0_u16, |sum, _| {
        let digit = u16::try_from(chars.next()?.to_digit(16)?).ok()?;
        sum.checked_mul(16)?.checked_add(digit)
    })
}
