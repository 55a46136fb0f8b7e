//! UTC time in milliseconds, and the billing calendar.
//!
//! Outside, a moment is an ISO 8601 string; inside it is a [`Timestamp`].

use crate::digits::push_digits;
use chrono::{DateTime, Datelike, Months, Timelike};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::Display;

/// A moment in UTC, in milliseconds since 1970-01-01T00:00:00Z, up to the end of the year 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "ts", derive(tsify::Tsify), tsify(type = "string"))]
pub struct Timestamp(i64);

/// A day.
pub const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// The last representable millisecond, 9999-12-31T23:59:59.999Z.
const MAX: i64 = 253_402_300_799_999;

impl Timestamp {
    /// The earliest moment, 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The moment `millis` milliseconds after the epoch; `None` outside of 1970 to 9999.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Option<Self> {
        if millis < 0 || millis > MAX {
            return None;
        }
        Some(Self(millis))
    }

    /// The moment a JavaScript number of milliseconds stands for, its fraction cut off.
    #[must_use]
    pub fn from_js(millis: f64) -> Option<Self> {
        crate::whole::from_f64(millis.trunc())
            .and_then(|millis| i64::try_from(millis).ok())
            .and_then(Self::from_millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// `millis` later, held within the representable range.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis).clamp(0, MAX))
    }

    /// Milliseconds from `earlier` to `self`; negative when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `months` calendar months later, clamped to the month's last day, time of day kept.
    ///
    /// ```
    /// use legis_core::time::Timestamp;
    /// let anchor: Timestamp = "2026-01-31T10:15:30.250Z".parse().unwrap();
    /// assert_eq!(anchor.plus_months(1).to_string(), "2026-02-28T10:15:30.250Z");
    /// assert_eq!(anchor.plus_months(2).to_string(), "2026-03-31T10:15:30.250Z");
    /// ```
    #[must_use]
    pub fn plus_months(self, months: u32) -> Self {
        self.date_time()
            .and_then(|moment| moment.checked_add_months(Months::new(months)))
            .map_or(Self(MAX), |moment| {
                Self(moment.timestamp_millis().clamp(0, MAX))
            })
    }

    /// `months` calendar months earlier, clamped to the month's last day, time of day kept.
    #[must_use]
    pub fn minus_months(self, months: u32) -> Self {
        self.date_time()
            .and_then(|moment| moment.checked_sub_months(Months::new(months)))
            .map_or(Self(0), |moment| {
                Self(moment.timestamp_millis().clamp(0, MAX))
            })
    }

    fn date_time(self) -> Option<DateTime<chrono::Utc>> {
        DateTime::from_timestamp_millis(self.0)
    }

    /// As people read it, to the minute.
    ///
    /// ```
    /// use legis_core::time::Timestamp;
    /// let moment: Timestamp = "2026-02-01T09:05:59.999Z".parse().unwrap();
    /// assert_eq!(moment.text(), "1 February 2026, 09:05 UTC");
    /// ```
    #[must_use]
    pub fn text(self) -> String {
        let mut text = String::new();
        self.push_text(&mut text);
        text
    }

    /// As [`Self::text`], at the end of a text.
    pub(crate) fn push_text(self, text: &mut String) {
        const MONTHS: [&str; 12] = [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ];
        let Some(moment) = self.date_time() else {
            return;
        };
        let month = usize::try_from(moment.month0())
            .ok()
            .and_then(|index| MONTHS.get(index))
            .unwrap_or(&"");
        push_digits(text, moment.day(), 1);
        text.push(' ');
        text.push_str(month);
        text.push(' ');
        push_digits(text, moment.year().unsigned_abs(), 1);
        text.push_str(", ");
        push_digits(text, moment.hour(), 2);
        text.push(':');
        push_digits(text, moment.minute(), 2);
        text.push_str(" UTC");
    }
}

impl std::fmt::Display for Timestamp {
    /// `2026-01-31T10:15:30.250Z`, as `Date.prototype.toISOString` writes it.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(moment) = self.date_time() else {
            return Err(std::fmt::Error);
        };
        write!(
            out,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            moment.year(),
            moment.month(),
            moment.day(),
            moment.hour(),
            moment.minute(),
            moment.second(),
            moment.timestamp_subsec_millis()
        )
    }
}

/// Why a text is not a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotATimestamp;

impl std::fmt::Display for NotATimestamp {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("must be a date and time in UTC such as 2026-01-31T10:15:30.250Z")
    }
}

impl std::error::Error for NotATimestamp {}

impl std::str::FromStr for Timestamp {
    type Err = NotATimestamp;

    /// RFC 3339 in UTC (`Z`), with at most three digits of a second's fraction, from 1970 to 9999.
    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        parse(text).ok_or(NotATimestamp)
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let at = |index: usize, expected: u8| (*bytes.get(index)? == expected).then_some(());
    let number = |from: usize, to: usize| {
        bytes.get(from..to)?.iter().try_fold(0_u32, |sum, byte| {
            let digit = char::from(*byte).to_digit(10)?;
            sum.checked_mul(10)?.checked_add(digit)
        })
    };
    at(4, b'-')?;
    at(7, b'-')?;
    at(10, b'T')?;
    at(13, b':')?;
    at(16, b':')?;
    let fraction = match bytes.get(19..)? {
        [b'Z'] => 0,
        [b'.', digits @ .., b'Z'] if matches!(digits.len(), 1..=3) => {
            let scale = [100, 10, 1].get(digits.len().checked_sub(1)?)?;
            number(20, 20_usize.checked_add(digits.len())?)?.checked_mul(*scale)?
        }
        _ => return None,
    };
    let moment = chrono::NaiveDate::from_ymd_opt(
        i32::try_from(number(0, 4)?).ok()?,
        number(5, 7)?,
        number(8, 10)?,
    )?
    .and_hms_milli_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?, fraction)?;
    Timestamp::from_millis(moment.and_utc().timestamp_millis())
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// A moment as a caller may give it: text, or milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrMillis)
    }
}

struct TextOrMillis;

impl serde::de::Visitor<'_> for TextOrMillis {
    type Value = Moment;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        NotATimestamp.fmt(out)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Moment, E> {
        text.parse().map(Moment).map_err(E::custom)
    }

    fn visit_u64<E: serde::de::Error>(self, millis: u64) -> Result<Moment, E> {
        i64::try_from(millis)
            .ok()
            .and_then(Timestamp::from_millis)
            .map(Moment)
            .ok_or_else(|| E::custom(NotATimestamp))
    }

    fn visit_f64<E: serde::de::Error>(self, millis: f64) -> Result<Moment, E> {
        crate::whole::from_f64(millis).map_or_else(
            || Err(E::custom(NotATimestamp)),
            |millis| self.visit_u64(millis),
        )
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Moment {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moment".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "integer"], "format": "date-time", "minimum": 0, "maximum": MAX,
        })
    }
}

/// A stretch of time `[start, end)`; a one-time allowance's period has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first moment of the period.
    pub start: Timestamp,
    /// The first moment after the period.
    pub end: Option<Timestamp>,
}

/// The monthly period that contains `now`: period k starts at `anchor` + k months, always counted from the anchor.
///
/// Before the anchor there is no period; a clock that runs behind is given the first one.
///
/// ```
/// use legis_core::time::{month_containing, Timestamp};
/// let at = |text: &str| text.parse::<Timestamp>().unwrap();
/// let period = month_containing(at("2026-01-31T00:00:00Z"), at("2026-03-05T00:00:00Z"));
/// assert_eq!(period.start, at("2026-02-28T00:00:00Z"));
/// assert_eq!(period.end, at("2026-03-31T00:00:00Z"));
/// ```
#[must_use]
pub fn month_containing(anchor: Timestamp, now: Timestamp) -> Month {
    let guess = months_between(anchor, now);
    let index = if anchor.plus_months(guess) > now {
        guess.saturating_sub(1)
    } else {
        guess
    };
    Month {
        index,
        start: anchor.plus_months(index),
        end: anchor.plus_months(index.saturating_add(1)),
    }
}

/// The month that contains `now`, counted from the anchor both ways: before the anchor too there are months, the last of
/// which ends there. Their `index` is 0.
///
/// ```
/// use legis_core::time::{month_around, Timestamp};
/// let at = |text: &str| text.parse::<Timestamp>().unwrap();
/// let period = month_around(at("2026-03-31T00:00:00Z"), at("2026-03-05T00:00:00Z"));
/// assert_eq!(period.start, at("2026-02-28T00:00:00Z"));
/// assert_eq!(period.end, at("2026-03-31T00:00:00Z"));
/// ```
#[must_use]
pub fn month_around(anchor: Timestamp, now: Timestamp) -> Month {
    if now >= anchor {
        return month_containing(anchor, now);
    }
    // As many months back as it takes; rounding down may be one too few, never more.
    let back = months_between(now, anchor);
    let back = match anchor.minus_months(back) > now {
        true => back.saturating_add(1),
        false => back,
    };
    Month {
        index: 0,
        start: anchor.minus_months(back),
        end: anchor.minus_months(back.saturating_sub(1)),
    }
}

/// When the month began that ends at `end`: as the anchor has it where it is one of its ends, and otherwise, as another anchor
/// was there then, a month before. So what runs has begun, whichever anchor it runs under, but
/// for the days by which a short month lets two anchors end at the same moment.
///
/// ```
/// use legis_core::time::{Timestamp, month_start};
/// let at = |text: &str| text.parse::<Timestamp>().unwrap();
/// let anchor = at("2026-01-31T00:00:00Z");
/// assert_eq!(month_start(anchor, at("2026-03-31T00:00:00Z")), at("2026-02-28T00:00:00Z"));
/// assert_eq!(month_start(anchor, at("2026-03-05T00:00:00Z")), at("2026-02-05T00:00:00Z"));
/// ```
#[must_use]
pub fn month_start(anchor: Timestamp, end: Timestamp) -> Timestamp {
    let month = month_around(anchor, end.plus_millis(-1));
    match month.end == end {
        true => month.start,
        false => end.minus_months(1),
    }
}

/// One month of the billing calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month {
    /// How many periods came before it.
    pub index: u32,
    /// The first moment of the period.
    pub start: Timestamp,
    /// The first moment after the period.
    pub end: Timestamp,
}

/// Calendar months from `from`'s month to `to`'s, days ignored; 0 when `to` lies in an earlier month.
fn months_between(from: Timestamp, to: Timestamp) -> u32 {
    let count = |moment: Timestamp| {
        moment.date_time().map_or(0, |moment| {
            i64::from(moment.year())
                .saturating_mul(12)
                .saturating_add(i64::from(moment.month0()))
        })
    };
    u32::try_from(count(to).saturating_sub(count(from))).unwrap_or(0)
}
