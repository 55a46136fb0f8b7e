//! Whole numbers as JSON writes them: `1`, `1.0` and `1e0` are the same number, so all three are read as one.

use serde::de::{Deserializer, Error, Unexpected, Visitor};

/// The largest whole number that JavaScript holds exactly, 2^53 - 1.
pub(crate) const MAX: u64 = 9_007_199_254_740_991;

/// The whole number that `value` is, if it is one between 0 and 2^53 - 1.
#[must_use]
pub fn from_f64(value: f64) -> Option<u64> {
    // 2^53 - 1 is exact in f64, so the comparison is too; the cast below then loses nothing.
    #[allow(clippy::cast_precision_loss, reason = "2^53 - 1 is exact in f64")]
    let max = MAX as f64;
    if value.fract() != 0.0 || !(0.0..=max).contains(&value) {
        return None;
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be whole and in range"
    )]
    let whole = value as u64;
    Some(whole)
}

/// Reads a required whole number.
pub(crate) fn required<'de, D: Deserializer<'de>, T: TryFrom<u64>>(
    deserializer: D,
) -> Result<T, D::Error> {
    narrow(deserializer.deserialize_u64(Whole)?)
}

/// Reads a whole number that may be absent or `null`.
pub(crate) fn optional<'de, D: Deserializer<'de>, T: TryFrom<u64>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    struct Optional;
    impl<'de> Visitor<'de> for Optional {
        type Value = Option<u64>;
        fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str("a whole number or null")
        }
        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Self::Value, D::Error> {
            inner.deserialize_u64(Whole).map(Some)
        }
    }
    deserializer
        .deserialize_option(Optional)?
        .map(narrow)
        .transpose()
}

fn narrow<T: TryFrom<u64>, E: Error>(value: u64) -> Result<T, E> {
    T::try_from(value).map_err(|_| {
        E::invalid_value(
            Unexpected::Unsigned(value),
            &"a whole number that fits the field",
        )
    })
}

struct Whole;

impl Visitor<'_> for Whole {
    type Value = u64;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a whole number from 0 to 2^53 - 1")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<u64, E> {
        if value > MAX {
            return Err(E::invalid_value(Unexpected::Unsigned(value), &self));
        }
        Ok(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<u64, E> {
        u64::try_from(value).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<u64, E> {
        from_f64(value).ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
    }
}
