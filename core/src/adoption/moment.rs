//! Moments as old databases write them.

use super::OldValue;
use crate::time::Timestamp;
use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

/// Numbers between these are seconds since 1970: from 2000 to 2100. A thousand times as much is milliseconds.
const SECONDS: std::ops::RangeInclusive<f64> = 946_684_800.0..=4_102_444_800.0;

/// The moment that a value stands for: `2026-01-31 10:15:30` in UTC, with a `T`, with a fraction, without the time or the
/// seconds, with `Z` or an offset; or seconds or milliseconds since 1970. Anything else is none.
///
/// ```
/// use legis_core::adoption::{OldValue, moment::read};
/// let text = |text: &str| read(&OldValue::Text(text.into())).map(|moment| moment.to_string());
/// assert_eq!(text("2026-01-31 10:15:30").unwrap(), "2026-01-31T10:15:30.000Z");
/// assert_eq!(text("2026-01-31T12:15:30.25+02:00").unwrap(), "2026-01-31T10:15:30.250Z");
/// assert_eq!(text("2026-01-31").unwrap(), "2026-01-31T00:00:00.000Z");
/// assert_eq!(text("1769854530"), text("2026-01-31 10:15:30"));
/// assert_eq!(text("yesterday"), None);
/// ```
#[must_use]
pub fn read(value: &OldValue) -> Option<Timestamp> {
    match value {
        #[allow(
            clippy::cast_precision_loss,
            reason = "numbers that lose by it are out of range"
        )]
        OldValue::Integer(number) => number_of(*number as f64),
        OldValue::Real(number) => number_of(*number),
        OldValue::Text(text) => text_of(text.trim()),
        OldValue::Null | OldValue::Blob(_) | OldValue::BrokenText(_) => None,
    }
}

fn number_of(number: f64) -> Option<Timestamp> {
    if SECONDS.contains(&number) {
        Timestamp::from_js((number * 1000.0).round())
    } else if SECONDS.contains(&(number / 1000.0)) {
        Timestamp::from_js(number)
    } else {
        None
    }
}

fn text_of(text: &str) -> Option<Timestamp> {
    if text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return text.parse().ok().and_then(number_of);
    }
    let (day, rest) = text.split_at_checked(10)?;
    let date = date_of(day)?;
    let rest = rest.strip_prefix(['T', 't', ' ']).unwrap_or(rest).trim();
    let (clock, offset) = zone_of(rest)?;
    let moment = NaiveDateTime::new(date, clock_of(clock.trim())?).checked_sub_signed(offset)?;
    Timestamp::from_millis(moment.and_utc().timestamp_millis())
}

/// `2026-01-31` or `2026/01/31`.
fn date_of(text: &str) -> Option<NaiveDate> {
    let separator = text
        .chars()
        .nth(4)
        .filter(|byte| matches!(byte, '-' | '/'))?;
    let mut parts = text.split(separator);
    let year = digits(parts.next()?, 4)?;
    let date = NaiveDate::from_ymd_opt(
        i32::try_from(year).ok()?,
        digits(parts.next()?, 2)?,
        digits(parts.next()?, 2)?,
    );
    date.filter(|_| parts.next().is_none())
}

/// Splits a clock from its offset to UTC: none, `Z`, `UTC`, `GMT`, `+02`, `+0200` or `+02:00`.
fn zone_of(text: &str) -> Option<(&str, TimeDelta)> {
    for utc in ["Z", "z", "UTC", "GMT"] {
        if let Some(clock) = text.strip_suffix(utc) {
            return (!clock.is_empty()).then_some((clock, TimeDelta::zero()));
        }
    }
    let Some(at) = text.find(['+', '-']) else {
        return Some((text, TimeDelta::zero()));
    };
    let (clock, offset) = text.split_at_checked(at)?;
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let offset = offset.get(1..)?.replacen(':', "", 1);
    let (hours, minutes) = offset.split_at_checked(2)?;
    let minutes = match minutes {
        "" => 0,
        minutes => digits(minutes, 2).filter(|minutes| *minutes < 60)?,
    };
    let minutes = digits(hours, 2)
        .filter(|hours| *hours <= 14)?
        .checked_mul(60)?
        .checked_add(minutes)?;
    let delta = TimeDelta::minutes(i64::from(minutes).checked_mul(sign)?);
    (!clock.is_empty()).then_some((clock, delta))
}

/// Nothing (midnight), `10:15`, `10:15:30` or `10:15:30.25`, which is cut to milliseconds.
fn clock_of(text: &str) -> Option<NaiveTime> {
    if text.is_empty() {
        return Some(NaiveTime::MIN);
    }
    let (clock, fraction) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis: String = fraction.chars().chain("00".chars()).take(3).collect();
    let mut parts = clock.split(':');
    let (hours, minutes) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let seconds = parts.next().map_or(Some(0), |seconds| digits(seconds, 2))?;
    let time = NaiveTime::from_hms_milli_opt(hours, minutes, seconds, millis.parse().ok()?);
    time.filter(|_| parts.next().is_none())
}

fn digits(text: &str, count: usize) -> Option<u32> {
    let all = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Option<String> {
        read(&OldValue::Text(text.into())).map(|moment| moment.to_string())
    }

    #[test]
    fn every_spelling_of_one_moment() {
        for spelling in [
            "2026-01-31 10:15:30",
            " 2026-01-31 10:15:30 ",
            "2026-01-31 10:15:30.000",
            "2026-01-31 10:15:30.0000009",
            "2026-01-31T10:15:30Z",
            "2026-01-31T10:15:30",
            "2026-01-31t10:15:30z",
            "2026/01/31 10:15:30",
            "2026-01-31 10:15:30 UTC",
            "2026-01-31T12:15:30+02:00",
            "2026-01-31T12:15:30+0200",
            "2026-01-31 12:15:30 +02",
            "2026-01-31T04:45:30-05:30",
            "1769854530",
            "1769854530.0",
            "1769854530000",
        ] {
            assert_eq!(
                text(spelling).as_deref(),
                Some("2026-01-31T10:15:30.000Z"),
                "{spelling}"
            );
        }
        let expected = text("1769854530");
        for number in [1_769_854_530, 1_769_854_530_000] {
            let said = read(&OldValue::Integer(number)).map(|moment| moment.to_string());
            assert_eq!(said, expected);
        }
        let said = read(&OldValue::Real(1_769_854_530.25)).map(|moment| moment.to_string());
        assert_eq!(said.as_deref(), Some("2026-01-31T10:15:30.250Z"));
    }

    #[test]
    fn what_could_mean_several_moments_means_none() {
        for spelling in [
            "",
            "now",
            "31.01.2026",
            "01/31/2026",
            "2026-02-30",
            "2026-01-31 25:00:00",
            "2026-01-31 10",
            "2026-01-31Z",
            "2026-01-31 10:15:30+99",
            "2026-01-31 10:15:30.",
            "1969-12-31",
            "12",
            "-1769854530",
            "２０２６-01-31",
        ] {
            assert_eq!(text(spelling), None, "{spelling}");
        }
        assert_eq!(read(&OldValue::Integer(0)), None);
        assert_eq!(read(&OldValue::Real(f64::NAN)), None);
    }
}
