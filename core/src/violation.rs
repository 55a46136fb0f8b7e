//! What is wrong with a payload: where, which rule, and in words.

use serde::Serialize;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::ops::Deref;

/// One step from a document to a value inside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Segment {
    /// The position in an array.
    Index(u32),
    /// The name of a member.
    Key(Cow<'static, str>),
}

/// The steps from a document to a value inside it. Most are few, and lie where the path lies: what is wrong is told without
/// asking for memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(SmallVec<[Segment; 3]>);

impl Path {
    /// One step further.
    pub fn push(&mut self, segment: Segment) {
        self.0.push(segment);
    }
}

impl Deref for Path {
    type Target = [Segment];

    fn deref(&self) -> &[Segment] {
        &self.0
    }
}

impl<const N: usize> From<[Segment; N]> for Path {
    fn from(segments: [Segment; N]) -> Self {
        Self(segments.into_iter().collect())
    }
}

/// One broken rule of a payload.
///
/// Ordered by place, then by code, so that the list of a payload is the same whatever order its keys came in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Where the value is; for a missing member, where it should be.
    pub path: Path,
    /// Which rule was broken.
    pub code: Code,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $({ $($param:ident: $type:ty),+ })? = $name:literal, $text:expr;)+) => {
        /// The rules a payload can break, each with the figures a message needs. The names are stable.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $variant $({
                $(#[doc = "A figure of the message."] $param: $type),+
            })?,)+
        }

        impl Code {
            /// Every stable name, in alphabetical order of the variants as declared.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// The stable name.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $name),+ }
            }

            /// A sentence fit for a form field.
            #[must_use]
            #[allow(unused_variables, reason = "not every figure is part of its sentence")]
            pub fn message(&self) -> String {
                match self { $(Self::$variant $({ $($param),+ })? => $text,)+ }
            }

            /// The figures of the message, for those who write their own.
            #[must_use]
            pub fn params(&self) -> Params<'_> {
                match self {
                    $(Self::$variant $({ $($param),+ })? => {
                        Params(vec![$($((stringify!($param), Param::from($param))),+)?])
                    })+
                }
            }
        }
    };
}

/// The ending of so many.
const fn ending(many: u32) -> &'static str {
    if many == 1 { "" } else { "s" }
}

codes! {
    /// The text is not JSON.
    Malformed { offset: u32 } = "malformed_json", format!("Not valid JSON at byte {offset}.");
    /// Nested deeper than any payload needs.
    TooDeep { max: u32 } = "too_deep", format!("Nested more than {max} levels deep.");
    /// Another JSON type than the one expected.
    Type { expected: &'static str, received: &'static str } = "type", format!("Expected {expected}, got {received}.");
    /// A required member is missing.
    Required = "required", "This field is required.".to_owned();
    /// A member nobody knows.
    UnknownField = "unknown_field", "This field is not known.".to_owned();
    /// The same member twice.
    DuplicateKey = "duplicate_key", "This field appears more than once.".to_owned();
    /// None of the allowed values.
    Choice { allowed: Vec<&'static str> } = "choice", format!("Must be one of: {}.", allowed.join(", "));
    /// Fewer characters than allowed.
    TooShort { min: u32 } = "too_short", format!("Must have at least {min} character{}.", ending(*min));
    /// More characters than allowed.
    TooLong { max: u32 } = "too_long", format!("Must have at most {max} character{}.", ending(*max));
    /// A number below the least allowed.
    TooSmall { min: u64 } = "too_small", format!("Must be at least {min}.");
    /// A number above the greatest allowed.
    TooLarge { max: u64 } = "too_large", format!("Must be at most {max}.");
    /// A number with a fraction where a whole one is needed.
    Integer = "integer", "Must be a whole number.".to_owned();
    /// Fewer items than allowed.
    TooFew { min: u32 } = "too_few", format!("Must have at least {min} item{}.", ending(*min));
    /// More items than allowed.
    TooMany { max: u32 } = "too_many", format!("Must have at most {max} item{}.", ending(*max));
    /// Half of a surrogate pair: not a character.
    Unicode = "unicode", "Contains half of a surrogate pair, which is not a character.".to_owned();
    /// A text that does not have the form its field asks for.
    Format { format: &'static str, expectation: Cow<'static, str> } = "format", format!("Must be {expectation}.");
    /// Arbitrary JSON with more values than is stored.
    TooComplex { max: u32 } = "too_complex", format!("Must not hold more than {max} values.");
}

/// The figures of a message, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params<'v>(Vec<(&'static str, Param<'v>)>);

/// One figure of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Param<'v> {
    /// A limit.
    Number(u64),
    /// A word.
    Word(&'v str),
    /// The allowed values.
    Words(&'v [&'static str]),
}

impl From<&u32> for Param<'_> {
    fn from(number: &u32) -> Self {
        Self::Number(u64::from(*number))
    }
}

impl From<&u64> for Param<'_> {
    fn from(number: &u64) -> Self {
        Self::Number(*number)
    }
}

impl From<&&'static str> for Param<'_> {
    fn from(word: &&'static str) -> Self {
        Self::Word(word)
    }
}

impl<'v> From<&'v Cow<'static, str>> for Param<'v> {
    fn from(word: &'v Cow<'static, str>) -> Self {
        Self::Word(word)
    }
}

impl<'v> From<&'v Vec<&'static str>> for Param<'v> {
    fn from(words: &'v Vec<&'static str>) -> Self {
        Self::Words(words)
    }
}

impl Params<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Params<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, param)| (*name, *param)))
    }
}

/// `{"ok":false,"issues":[…]}`, written without a serializer: in the npm package it would be most of the module. A test
/// holds it to what the serializer writes.
#[must_use]
pub fn refused(violations: &[Violation]) -> Vec<u8> {
    let mut out = String::from(r#"{"ok":false,"issues":["#);
    for (index, violation) in violations.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        issue(&mut out, violation);
    }
    out.push_str("]}");
    out.into_bytes()
}

fn issue(out: &mut String, violation: &Violation) {
    out.push_str(r#"{"pointer":"#);
    quoted(out, &violation.pointer());
    out.push_str(r#","path":["#);
    for (index, segment) in violation.path.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match segment {
            Segment::Index(index) => number(out, u64::from(*index)),
            Segment::Key(key) => quoted(out, key),
        }
    }
    out.push_str(r#"],"code":"#);
    quoted(out, violation.code.name());
    out.push_str(r#","message":"#);
    quoted(out, &violation.code.message());
    let Params(params) = violation.code.params();
    for (index, (name, param)) in params.iter().enumerate() {
        out.push_str(if index == 0 { r#","params":{"# } else { "," });
        quoted(out, name);
        out.push(':');
        match param {
            Param::Number(value) => number(out, *value),
            Param::Word(word) => quoted(out, word),
            Param::Words(words) => {
                out.push('[');
                for (index, word) in words.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    quoted(out, word);
                }
                out.push(']');
            }
        }
    }
    out.push_str(if params.is_empty() { "}" } else { "}}" });
}

/// A whole number in decimal digits.
fn number(out: &mut String, mut value: u64) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0'.saturating_add(u8::try_from(value % 10).unwrap_or(0));
        value /= 10;
        start = start.saturating_sub(1);
        if value == 0 {
            break;
        }
    }
    out.extend(digits.iter().skip(start).map(|digit| char::from(*digit)));
}

/// A text as JSON writes it (RFC 8259).
fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control @ '\0'..='\u{1f}' => {
                out.push_str("\\u00");
                for shift in [4_u32, 0] {
                    let digit = (u32::from(control) >> shift) & 0xf;
                    out.extend(char::from_digit(digit, 16));
                }
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

impl Violation {
    /// The violation of `code` at `path`.
    #[must_use]
    pub const fn new(path: Path, code: Code) -> Self {
        Self { path, code }
    }

    /// The place as a JSON Pointer (RFC 6901); empty for the whole document.
    ///
    /// ```
    /// use legis_core::violation::{Code, Segment, Violation};
    /// let path = [Segment::Key("a/b".into()), Segment::Index(0)];
    /// assert_eq!(Violation::new(path.into(), Code::Required).pointer(), "/a~1b/0");
    /// ```
    #[must_use]
    pub fn pointer(&self) -> String {
        let mut pointer = String::new();
        for segment in &*self.path {
            pointer.push('/');
            match segment {
                Segment::Index(index) => pointer.push_str(&index.to_string()),
                Segment::Key(key) => pointer.push_str(&key.replace('~', "~0").replace('/', "~1")),
            }
        }
        pointer
    }
}

/// A violation as the npm package reports it, in the shape Standard Schema asks for.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Issue<'v> {
    /// JSON Pointer (RFC 6901) to the value.
    pub pointer: String,
    /// The same place as a list of keys and positions.
    #[cfg_attr(feature = "ts", tsify(type = "(string | number)[]"))]
    pub path: &'v [Segment],
    /// Stable name of the broken rule.
    #[cfg_attr(feature = "ts", tsify(type = "IssueCode"))]
    pub code: &'static str,
    /// A sentence fit for a form field.
    pub message: String,
    /// The figures of the message.
    #[serde(skip_serializing_if = "Params::is_empty")]
    #[cfg_attr(feature = "ts", tsify(type = "Record<string, unknown>", optional))]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "serde_json::Map<String, serde_json::Value>")
    )]
    pub params: Params<'v>,
}

impl<'v> From<&'v Violation> for Issue<'v> {
    fn from(violation: &'v Violation) -> Self {
        Self {
            pointer: violation.pointer(),
            path: &violation.path,
            code: violation.code.name(),
            message: violation.code.message(),
            params: violation.code.params(),
        }
    }
}

/// A violation as a problem document lists it.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProblemError {
    /// JSON Pointer (RFC 6901) to the value.
    pub pointer: String,
    /// Stable name of the broken rule.
    #[cfg_attr(feature = "ts", tsify(type = "IssueCode"))]
    pub code: &'static str,
    /// A sentence fit for a form field.
    pub detail: String,
}

impl From<&Violation> for ProblemError {
    fn from(violation: &Violation) -> Self {
        Self {
            pointer: violation.pointer(),
            code: violation.code.name(),
            detail: violation.code.message(),
        }
    }
}
