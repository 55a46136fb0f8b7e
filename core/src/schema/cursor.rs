//! JSON's grammar (RFC 8259), one step at a time: where the next byte is, and past what it begins.

use crate::payload::json::MAX_DEPTH;
use std::borrow::Cow;

/// Why reading ended before the document did.
pub(super) enum Stop {
    Malformed,
    TooDeep,
}

pub(super) type Step<T = ()> = Result<T, Stop>;

/// A place in a text.
pub(super) struct Cursor<'t> {
    text: &'t str,
    bytes: &'t [u8],
    pub(super) at: usize,
    depth: u32,
}

/// A string as it lies in the text.
pub(super) struct Text<'t> {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) escaped: bool,
    /// The content; `None` when it holds half of a surrogate pair.
    pub(super) content: Option<Cow<'t, str>>,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            depth: 0,
        }
    }

    /// The byte after the next one.
    pub(super) fn second(&self) -> Option<u8> {
        self.bytes.get(self.at.saturating_add(1)).copied()
    }

    pub(super) fn ended(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    pub(super) fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.step();
        }
    }

    fn expect(&mut self, byte: u8) -> Step {
        if self.peek() != Some(byte) {
            return Err(Stop::Malformed);
        }
        self.step();
        Ok(())
    }

    pub(super) fn word(&mut self, word: &'static [u8]) -> Step {
        let end = self.at.saturating_add(word.len());
        if self.bytes.get(self.at..end) != Some(word) {
            return Err(Stop::Malformed);
        }
        self.at = end;
        Ok(())
    }

    pub(super) fn enter(&mut self) -> Step {
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_DEPTH {
            return Err(Stop::TooDeep);
        }
        self.step();
        self.space();
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.step();
    }

    /// After a member or an item: whether another one follows.
    pub(super) fn more(&mut self, close: u8) -> Step<bool> {
        self.space();
        match self.peek() {
            Some(b',') => {
                self.step();
                self.space();
                // A comma promises another one.
                if self.peek() == Some(close) {
                    return Err(Stop::Malformed);
                }
                Ok(true)
            }
            Some(byte) if byte == close => Ok(false),
            _ => Err(Stop::Malformed),
        }
    }

    pub(super) fn key(&mut self) -> Step<Text<'t>> {
        if self.peek() != Some(b'"') {
            return Err(Stop::Malformed);
        }
        let key = self.string()?;
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(key)
    }

    pub(super) fn string(&mut self) -> Step<Text<'t>> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            self.at = self.at.saturating_add(plain(rest));
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
        let end = self.at;
        self.step();
        let raw = self.text.get(start..end).ok_or(Stop::Malformed)?;
        let content = if escaped {
            unescape(raw).map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(raw))
        };
        Ok(Text {
            start,
            end,
            escaped,
            content,
        })
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

    fn digits(&mut self) -> Step {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(Stop::Malformed);
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.step();
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
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.step();
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.step();
            if let Some(b'+' | b'-') = self.peek() {
                self.step();
            }
            self.digits()?;
        }
        self.text.get(start..self.at).ok_or(Stop::Malformed)
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// How many bytes lie before the first that ends a string, begins an escape, or does not belong into one.
#[inline]
fn plain(bytes: &[u8]) -> usize {
    before(bytes, 0, |byte| matches!(byte, b'"' | b'\\' | ..0x20))
}

/// The same, or is not ASCII.
#[inline]
pub(super) fn plain_ascii(bytes: &[u8]) -> usize {
    before(bytes, HIGH, |byte| {
        matches!(byte, b'"' | b'\\' | ..0x20 | 0x80..)
    })
}

/// Eight bytes at a time: in a byte's highest bit stands whether it is one of those that are looked for.
#[inline]
fn before(bytes: &[u8], also: u64, is_end: impl Fn(u8) -> bool) -> usize {
    let repeated = |byte: u8| ONES.wrapping_mul(u64::from(byte));
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut at: usize = 0;
    let (words, _) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let quotes = zeros(word ^ repeated(b'"'));
        let escapes = zeros(word ^ repeated(b'\\'));
        let controls = word.wrapping_sub(repeated(0x20)) & !word & HIGH;
        let found = quotes | escapes | controls | (word & also);
        if found != 0 {
            // The lowest one is never false: what is borrowed from comes after it.
            let byte = usize::try_from(found.trailing_zeros() / 8).unwrap_or(0);
            return at.wrapping_add(byte);
        }
        at = at.wrapping_add(8);
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let end = rest.iter().position(|byte| is_end(*byte));
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
