//! The values of an accepted document as a list of numbers, in the order of the text.

use super::NAMES;

/// The kinds of entries of a tape. Each is followed by its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Mark {
    /// Number of members; then for each the position of its name, and its value.
    Object = 0,
    /// Number of items; then the items.
    Array = 1,
    /// Start and end of a string without its quotes and without escapes.
    Plain = 2,
    /// Start and end of a string with its quotes, holding escapes.
    Escaped = 3,
    /// Start and end of a number.
    Number = 4,
    /// `true`
    True = 5,
    /// `false`
    False = 6,
    /// Start and end of arbitrary JSON.
    Json = 7,
}

impl Mark {
    const ALL: [Self; 8] = [
        Self::Object,
        Self::Array,
        Self::Plain,
        Self::Escaped,
        Self::Number,
        Self::True,
        Self::False,
        Self::Json,
    ];
}

/// Writes the value of an accepted document as JSON: known members only, `null` members left out, no space between.
/// `None` when `tape` was not made from `text`.
#[must_use]
pub fn write(text: &[u8], tape: &[u32]) -> Option<Vec<u8>> {
    let mut writer = Writer {
        text,
        tape: tape.iter(),
        out: Vec::with_capacity(text.len()),
    };
    writer.value()?;
    Some(writer.out)
}

struct Writer<'a> {
    text: &'a [u8],
    tape: std::slice::Iter<'a, u32>,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn next(&mut self) -> Option<usize> {
        usize::try_from(*self.tape.next()?).ok()
    }

    fn span(&mut self) -> Option<()> {
        let (start, end) = (self.next()?, self.next()?);
        self.out.extend_from_slice(self.text.get(start..end)?);
        Some(())
    }

    fn value(&mut self) -> Option<()> {
        match Mark::ALL.get(self.next()?)? {
            Mark::Object => {
                self.out.push(b'{');
                for index in 0..self.next()? {
                    if index > 0 {
                        self.out.push(b',');
                    }
                    let name = self.next()?;
                    let name = NAMES.get(name)?;
                    self.out.push(b'"');
                    self.out.extend_from_slice(name.as_bytes());
                    self.out.extend_from_slice(b"\":");
                    self.value()?;
                }
                self.out.push(b'}');
            }
            Mark::Array => {
                self.out.push(b'[');
                for index in 0..self.next()? {
                    if index > 0 {
                        self.out.push(b',');
                    }
                    self.value()?;
                }
                self.out.push(b']');
            }
            Mark::Plain => {
                self.out.push(b'"');
                self.span()?;
                self.out.push(b'"');
            }
            Mark::Escaped | Mark::Number | Mark::Json => self.span()?,
            Mark::True => self.out.extend_from_slice(b"true"),
            Mark::False => self.out.extend_from_slice(b"false"),
        }
        Some(())
    }
}
