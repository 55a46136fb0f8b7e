//! Past values whose content no rule is about: they must be JSON, and arbitrary JSON has bounds of its own.

use super::cursor::{Cursor, Step};
use super::number;
use super::reader::{FOREIGN, Origin, Reader};

impl<'t> Reader<'t, '_> {
    /// As [`Self::skip`], without a call for what is plain.
    #[inline]
    pub(super) fn pass(&mut self) -> Step {
        if self.cursor.leaf() {
            return Ok(());
        }
        self.skip()
    }

    /// Past any value, whose content does not matter.
    pub(super) fn skip(&mut self) -> Step {
        self.survey(&mut Survey::default())
    }

    /// Past any value.
    pub(super) fn survey(&mut self, survey: &mut Survey) -> Step {
        let mut cursor = self.cursor;
        let mut values = 1_u32;
        match cursor.peek() {
            Some(b'{') => {
                let mut more = cursor.enter(b'}')?;
                while more {
                    cursor = self.name(cursor, survey)?;
                    if cursor.leaf() {
                        values = values.wrapping_add(1);
                    } else {
                        cursor = self.deeper(cursor, survey)?;
                    }
                    more = cursor.more(b'}')?;
                }
            }
            Some(b'[') => {
                let mut more = cursor.enter(b']')?;
                while more {
                    if cursor.leaf() {
                        values = values.wrapping_add(1);
                    } else {
                        cursor = self.deeper(cursor, survey)?;
                    }
                    more = cursor.more(b']')?;
                }
            }
            Some(b'"') if cursor.plain().is_none() => cursor = self.elaborate(cursor, survey)?,
            Some(b'"') => {}
            _ => cursor = self.survey_rest(cursor, survey)?,
        }
        self.cursor = cursor;
        survey.values = survey.values.wrapping_add(values);
        Ok(())
    }

    #[inline]
    fn deeper(&mut self, cursor: Cursor<'t>, survey: &mut Survey) -> Step<Cursor<'t>> {
        self.cursor = cursor;
        self.survey(survey)?;
        Ok(self.cursor)
    }

    #[inline]
    fn name(&mut self, mut cursor: Cursor<'t>, survey: &mut Survey) -> Step<Cursor<'t>> {
        if cursor.name().is_none() {
            cursor = self.elaborate(cursor, survey)?;
            cursor.colon()?;
        }
        Ok(cursor)
    }

    #[cold]
    fn elaborate(&mut self, cursor: Cursor<'t>, survey: &mut Survey) -> Step<Cursor<'t>> {
        self.cursor = cursor;
        survey.half_pair |= self.cursor.elaborate()?.content().is_none();
        Ok(self.cursor)
    }

    /// Past what is neither a string, nor a structure, nor a plain number.
    #[inline(never)]
    fn survey_rest(&mut self, cursor: Cursor<'t>, survey: &mut Survey) -> Step<Cursor<'t>> {
        self.cursor = cursor;
        match self.cursor.peek() {
            Some(b't') => self.cursor.word(b"true")?,
            Some(b'f') => self.cursor.word(b"false")?,
            Some(b'n') => self.cursor.word(b"null")?,
            Some(FOREIGN) if self.origin != Origin::Text => {
                if self.told().is_none() {
                    survey.foreign = Some(foreign(self.cursor.second()));
                }
                self.cursor.step();
                self.cursor.step();
            }
            _ => survey.beyond |= !number::is_finite(self.cursor.number()?),
        }
        Ok(self.cursor)
    }
}

/// What was seen inside arbitrary JSON.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) values: u32,
    pub(super) half_pair: bool,
    pub(super) beyond: bool,
    pub(super) foreign: Option<&'static str>,
}

/// What a letter after [`FOREIGN`] stands for; written by `pkg/src/encode.ts`.
pub(super) fn foreign(letter: Option<u8>) -> &'static str {
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
