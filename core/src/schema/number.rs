//! Numbers by their digits. The library's reading of floating-point numbers has a table that is larger than the rest.

/// What a number is, where a whole one is wanted.
pub(super) enum Whole {
    Number(u64),
    Negative,
    Fraction,
    Beyond,
}

/// A number that JSON's grammar allows: its digits without leading and trailing zeros, and where the point is.
struct Decimal<'t> {
    negative: bool,
    before_point: &'t str,
    after_point: &'t str,
    exponent: i64,
}

impl<'t> Decimal<'t> {
    fn of(text: &'t str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (before_point, after_point) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        Self {
            negative,
            before_point,
            after_point,
            exponent: exponent_of(exponent),
        }
    }

    /// The digits, from the first that is not zero on.
    fn digits(&self) -> impl Iterator<Item = u8> {
        let digits = self.before_point.bytes().chain(self.after_point.bytes());
        digits.skip_while(|digit| *digit == b'0')
    }

    fn is_zero(&self) -> bool {
        self.digits().next().is_none()
    }

    /// How many digits the number has before its point; negative when it begins behind it.
    fn magnitude(&self) -> i64 {
        let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
        let all = length(self.before_point).saturating_add(length(self.after_point));
        let leading =
            i64::try_from(self.digits().count()).map_or(0, |count| all.saturating_sub(count));
        length(self.before_point)
            .saturating_sub(leading)
            .saturating_add(self.exponent)
    }
}

fn exponent_of(text: &str) -> i64 {
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    let exponent = digits.iter().fold(0_i64, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(i64::from(digit.saturating_sub(b'0')))
    });
    match negative {
        true => exponent.saturating_neg(),
        false => exponent,
    }
}

/// Which whole number a text is, if it is one: `1`, `1.0` and `1e0` are the same.
pub(super) fn whole(text: &str) -> Whole {
    let number = Decimal::of(text);
    if number.is_zero() {
        return Whole::Number(0);
    }
    if number.negative {
        return Whole::Negative;
    }
    let magnitude = number.magnitude();
    // 2^53 has 16 digits.
    if magnitude > 16 {
        return Whole::Beyond;
    }
    let mut value = 0_u64;
    let mut left = magnitude;
    for digit in number.digits() {
        if left <= 0 {
            if digit != b'0' {
                return Whole::Fraction;
            }
            continue;
        }
        value = push(value, digit.saturating_sub(b'0'));
        left = left.saturating_sub(1);
    }
    while left > 0 {
        value = push(value, 0);
        left = left.saturating_sub(1);
    }
    match value <= crate::whole::MAX {
        true => Whole::Number(value),
        false => Whole::Beyond,
    }
}

fn push(value: u64, digit: u8) -> u64 {
    value.saturating_mul(10).saturating_add(u64::from(digit))
}

/// Whether a number is one that every reader can hold: the largest is about 1.8 times ten to the power of 308.
pub(super) fn is_finite(text: &str) -> bool {
    const LARGEST: &[u8] = b"17976931348623157";
    let number = Decimal::of(text);
    if number.is_zero() {
        return true;
    }
    match number.magnitude() {
        ..309 => true,
        309 => !number.digits().gt(LARGEST.iter().copied()),
        _ => false,
    }
}
