//! Numbers as documents and calls give them, with and without a unit, and durations.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use super::{Dimension, Unit, UnitError};
use crate::Amount;

/// An amount as a document or a call gives it: a number, or a number with a unit.
///
/// ```
/// use limitr::policy::{Measure, Unit};
/// let measure: Measure = "1.5 GB".parse()?;
/// assert_eq!(measure.in_unit(Unit::parse("MB").unwrap())?, 1500.into());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Measure {
    /// The number.
    pub amount: Amount,
    /// Its unit; none means the unit of whatever it is applied to.
    pub unit: Option<Unit>,
}

/// Text that is not a number, or a number with a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// It does not start with a number, or the number is out of range.
    #[error("`{0}` is not a number in range, or a number with a unit")]
    Number(String),
    /// What follows the number is no unit.
    #[error("unknown unit `{unit}` in `{text}`")]
    Unit {
        /// The whole text.
        text: String,
        /// What should have been a unit.
        unit: String,
    },
    /// A duration given in a unit of something else.
    #[error("`{0}` is not a duration")]
    NotTime(String),
}

impl Measure {
    /// Zero, without a unit.
    pub const ZERO: Self = Self { amount: Amount::ZERO, unit: None };
    /// One, without a unit.
    pub const ONE: Self = Self { amount: Amount::ONE, unit: None };

    /// This as an amount of `target`. Without a unit it is in `target` already; a plain-number target drops the unit;
    /// `int` cuts off toward zero.
    ///
    /// # Errors
    /// A unit of another dimension, and results outside the range of an amount.
    #[inline]
    pub fn in_unit(self, target: Unit) -> Result<Amount, UnitError> {
        if self.unit.is_none() && target != Unit::INT {
            return Ok(self.amount);
        }
        Unit::convert(self.amount, self.unit.unwrap_or(target), target)
    }
}

impl From<Amount> for Measure {
    fn from(amount: Amount) -> Self {
        Self { amount, unit: None }
    }
}

impl FromStr for Measure {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Self, MeasureError> {
        let text = text.trim();
        let not_a_number = || MeasureError::Number(text.to_owned());
        let (number, unit) = text.split_at_checked(number_length(text)).ok_or_else(not_a_number)?;
        let amount = parse_number(number).ok_or_else(not_a_number)?;
        let unit = unit.trim_start();
        if unit.is_empty() {
            return Ok(Self { amount, unit: None });
        }
        match Unit::parse(unit) {
            Some(known) if known.dimension() != Dimension::Number => Ok(Self { amount, unit: Some(known) }),
            _ => Err(MeasureError::Unit { text: text.to_owned(), unit: unit.to_owned() }),
        }
    }
}

/// The amount that `text`, which is a number and nothing else, names. Any notation of the same number gives the same
/// amount: digits past the 28th decimal are rounded away, however far the exponent moves the point.
pub(crate) fn parse_number(text: &str) -> Option<Amount> {
    // Past this an amount is out of range, or 0.
    const FAR: i64 = 100;
    if text.is_empty() || number_length(text) != text.len() {
        return None;
    }
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return text.parse().ok() };
    let exponent: i64 = exponent.parse().ok()?;
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() {
        return None;
    }
    if digits.bytes().all(|digit| digit == b'0') {
        return Some(Amount::ZERO);
    }
    let point = i64::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let zeros = |count: i64| "0".repeat(usize::try_from(count.clamp(0, FAR)).unwrap_or(0));
    let length = i64::try_from(digits.len()).ok()?;
    if point <= 0 {
        return format!("{sign}0.{}{digits}", zeros(-point)).parse().ok();
    }
    match digits.split_at_checked(usize::try_from(point).ok()?) {
        Some((whole, fraction)) => format!("{sign}{whole}.{fraction}0").parse().ok(),
        None => format!("{sign}{digits}{}", zeros(point - length)).parse().ok(),
    }
}

/// How many bytes of `text` are a number: sign, digits, fraction, exponent. `5EB` is 5 exabytes, `5E3` is 5000.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let sign_at = |at: usize| usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
    let mut end = sign_at(0);
    end += digits(end);
    if bytes.get(end) == Some(&b'.') {
        end += 1 + digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let exponent = end + 1 + sign_at(end + 1);
        let length = digits(exponent);
        if length > 0 {
            end = exponent + length;
        }
    }
    end
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.amount, f)?;
        self.unit.map_or(Ok(()), |unit| f.write_str(unit.name()))
    }
}

impl Serialize for Measure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.unit.is_none() { self.amount.serialize(serializer) } else { serializer.collect_str(self) }
    }
}

impl<'de> Deserialize<'de> for Measure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Measure;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or text holding a number with a unit")
            }

            fn visit_i64<E>(self, value: i64) -> Result<Measure, E> {
                Ok(Amount::from(value).into())
            }

            fn visit_u64<E>(self, value: u64) -> Result<Measure, E> {
                Ok(Amount::from(value).into())
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Measure, E> {
                let amount = Amount::from_f64(value);
                amount.map(Measure::from).ok_or_else(|| E::custom(MeasureError::Number(value.to_string())))
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Measure, E> {
                value.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A duration in milliseconds: `1day`, `50ms`, `10min`; a bare number is milliseconds. Fractions of one are cut off.
///
/// # Errors
/// Text that is not a number with a unit of time, and durations of more than an `i64` of milliseconds.
pub fn parse_duration(text: &str) -> Result<i64, MeasureError> {
    let measure: Measure = text.parse()?;
    let ms = measure.in_unit(Unit::MS).map_err(|error| match error {
        UnitError::Dimension { .. } => MeasureError::NotTime(text.trim().to_owned()),
        UnitError::Range { .. } => MeasureError::Number(text.trim().to_owned()),
    })?;
    ms.to_i64().ok_or_else(|| MeasureError::Number(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    #[test]
    fn every_notation_of_a_number_is_the_same_amount() {
        for (text, expected) in [
            ("1.0e-28", "0.0000000000000000000000000001"),
            ("1e28", "10000000000000000000000000000"),
            ("0.00001e30", "10000000000000000000000000"),
            ("1234e-2", "12.34"),
            ("-1.5E+3", "-1500"),
            ("+.5e1", "5"),
            ("5.", "5"),
            (".5", "0.5"),
            ("+5", "5"),
            ("0e999", "0"),
            ("1e-999", "0"),
            ("0.33333333333333333333333333333333333333", "0.3333333333333333333333333333"),
        ] {
            assert_eq!(parse_number(text), Some(amount(expected)), "{text}");
        }
        let long = format!("{}e-9000", "7".repeat(9000));
        assert_eq!(parse_number(&long), Some(amount("0.7777777777777777777777777778")));
        for text in
            ["1e29", "8e28", "1e999", "1e99999999999999999999", ".", "e5", ".e5", "-", "", "1e", "1_0", "1e1_0", " 1"]
        {
            assert_eq!(parse_number(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_milliseconds() {
        for (text, ms) in
            [("1day", 86_400_000), ("50ms", 50), ("10min", 600_000), ("7", 7), ("1.5 h", 5_400_000), ("1us", 0)]
        {
            assert_eq!(parse_duration(text), Ok(ms), "{text}");
        }
        for text in ["5MB", "abc", "1e20", "9e27weeks", ""] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_measure_is_written_as_it_reads() {
        for (text, json) in [("12", "12"), ("1 GB", "\"1GB\""), ("0.10 hours", "\"0.1hr\"")] {
            let measure: Measure = text.parse().unwrap();
            assert_eq!(serde_json::to_string(&measure).unwrap(), json);
            assert_eq!(serde_json::from_str::<Measure>(json).unwrap(), measure);
        }
    }
}
