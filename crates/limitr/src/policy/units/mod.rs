//! Units of measure, quantities written with one, and durations.
//!
//! Factors are exact integers of each dimension's smallest unit, so a conversion is one reduced fraction and `1GB` is
//! exactly `1000MB`. The one irrational factor (radians) carries 29 digits.

mod measure;
mod table;

use std::fmt;

use rust_decimal::Decimal;
use serde::ser::{Serialize, Serializer};

pub(crate) use measure::parse_number;
pub use measure::{Measure, MeasureError, parse_duration};

use crate::Amount;
use table::{Entry, FLOAT, TABLE};

/// What a unit measures. Amounts convert only within a dimension; plain numbers go with everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dimension {
    /// `float` and `int`: no unit at all.
    Number,
    /// Durations.
    Time,
    /// Bits and bytes.
    Data,
    /// Lengths.
    Length,
    /// Masses.
    Mass,
    /// Temperatures, which convert with an offset.
    Temperature,
    /// Angles.
    Angle,
}

/// A unit of the table in the policy reference.
///
/// ```
/// use limitr::policy::Unit;
/// assert_eq!(Unit::parse("megabytes"), Unit::parse("MB"));
/// assert_eq!(Unit::parse("mb"), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Unit(u8);

impl Unit {
    /// A plain number with any decimals.
    pub const FLOAT: Self = Self(0);
    /// A plain whole number; amounts are cut off toward zero.
    pub const INT: Self = Self(1);
    /// Milliseconds, which durations are kept in.
    pub const MS: Self = Self(2);

    fn entry(self) -> &'static Entry {
        TABLE.get(usize::from(self.0)).unwrap_or(&FLOAT)
    }

    /// The unit of this name: a symbol as it is written in the table, or a long name in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim();
        let exact = |entry: &Entry| entry.name == name || entry.symbols.contains(&name);
        let long = |entry: &Entry| entry.names.iter().any(|long| long.eq_ignore_ascii_case(name));
        let found = TABLE.iter().position(exact).or_else(|| TABLE.iter().position(long))?;
        u8::try_from(found).ok().map(Self)
    }

    /// The canonical name: the symbol, or `day`, `week`, `bit`, `float`, `int`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// What this unit measures.
    #[must_use]
    pub fn dimension(self) -> Dimension {
        self.entry().dimension
    }

    /// Every unit, in table order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0u8..).zip(TABLE).map(|(index, _)| Self(index))
    }

    /// `amount` of unit `from`, as an amount of unit `to`.
    ///
    /// To a plain number the unit is dropped (and `int` cuts off toward zero); from a plain number the amount is taken to
    /// be in `to` already.
    ///
    /// # Errors
    /// Units of different dimensions, and results outside the range of an amount.
    pub fn convert(amount: Amount, from: Self, to: Self) -> Result<Amount, UnitError> {
        if to == Self::INT {
            return Ok(amount.truncated());
        }
        let (source, target) = (from.entry(), to.entry());
        if from == to || target.dimension == Dimension::Number || source.dimension == Dimension::Number {
            return Ok(amount);
        }
        let measure = Measure { amount, unit: Some(from) };
        if source.dimension != target.dimension {
            return Err(UnitError::Dimension { measure, to });
        }
        let scaled = scale(amount.decimal(), source, target).ok_or(UnitError::Range { measure, to })?;
        Ok(scaled.normalize().into())
    }
}

/// `(value + source offset) x source factor / target factor - target offset`, exact wherever the digits fit.
fn scale(value: Decimal, source: &Entry, target: &Entry) -> Option<Decimal> {
    let (up, down) = reduced(source.factor, target.factor);
    let (up2, down2) = reduced(target.divisor, source.divisor);
    let (up, down) = reduced(up.checked_mul(up2)?, down.checked_mul(down2)?);
    let (numerator, denominator) = (whole(up)?, whole(down)?);
    let value = value.checked_add(source.offset)?;
    let scaled = if denominator == Decimal::ONE {
        value.checked_mul(numerator)
    } else if let Some(product) = value.checked_mul(numerator) {
        product.checked_div(denominator)
    } else if up >= down {
        // The product alone leaves the range: fold the fraction into whichever side keeps the most digits.
        value.checked_mul(numerator.checked_div(denominator)?)
    } else {
        value.checked_div(denominator.checked_div(numerator)?)
    };
    scaled?.checked_sub(target.offset)
}

fn whole(value: u128) -> Option<Decimal> {
    Decimal::try_from_i128_with_scale(i128::try_from(value).ok()?, 0).ok()
}

fn reduced(a: u128, b: u128) -> (u128, u128) {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a.checked_div(x).unwrap_or(a), b.checked_div(x).unwrap_or(b))
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Unit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Why an amount has no value in another unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// The units measure different things.
    #[error("cannot convert `{measure}` to `{to}`")]
    Dimension {
        /// What was to be converted.
        measure: Measure,
        /// The unit asked for.
        to: Unit,
    },
    /// The converted amount leaves the range of an amount.
    #[error("`{measure}` in `{to}` is out of range")]
    Range {
        /// What was to be converted.
        measure: Measure,
        /// The unit asked for.
        to: Unit,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    fn convert(text: &str, unit: &str) -> Result<String, String> {
        let measure: Measure = text.parse().map_err(|error: MeasureError| error.to_string())?;
        let converted = measure.in_unit(Unit::parse(unit).unwrap());
        converted.map(|amount| amount.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_constants_are_where_they_say() {
        assert_eq!(Unit::parse("float"), Some(Unit::FLOAT));
        assert_eq!(Unit::parse("int"), Some(Unit::INT));
        assert_eq!(Unit::parse("ms"), Some(Unit::MS));
    }

    #[test]
    fn every_name_is_found_and_means_one_unit() {
        for unit in Unit::all() {
            let entry = unit.entry();
            for name in entry.symbols.iter().chain(entry.names).chain([&entry.name]) {
                assert_eq!(Unit::parse(name), Some(unit), "{name}");
            }
            for name in entry.names {
                assert_eq!(Unit::parse(&name.to_uppercase()), Some(unit), "{name}");
            }
        }
        for (text, name) in [("hours", "hr"), ("h", "hr"), ("Tons", "Ton"), ("Bytes", "B"), ("lbs", "lb")] {
            assert_eq!(Unit::parse(text).map(Unit::name), Some(name));
        }
        for text in ["mb", "Kb", "gb", "", "x", "GBs", "HR", "S"] {
            assert_eq!(Unit::parse(text), None, "{text}");
        }
    }

    #[test]
    fn conversions_are_exact() {
        for (text, unit, expected) in [
            ("1GB", "MB", "1000"),
            ("1.5 GB", "MB", "1500"),
            ("1GiB", "B", "1073741824"),
            ("1MB", "MiB", "0.95367431640625"),
            ("8bits", "bytes", "1"),
            ("1YiB", "bit", "9671406556917033397649408"),
            ("1bit", "YB", "0.000000000000000000000000125"),
            ("30days", "ms", "2592000000"),
            ("1week", "day", "7"),
            ("1mi", "ft", "5280"),
            ("1lb", "oz", "16"),
            ("1Ton", "lb", "2000"),
            ("1t", "kg", "1000"),
            ("0C", "K", "273.15"),
            ("212F", "C", "100"),
            ("-40C", "F", "-40"),
            ("180deg", "deg", "180"),
            ("5", "MB", "5"),
            ("5.9", "int", "5"),
            ("-5.9", "int", "-5"),
            ("5.9GB", "int", "5"),
            ("5.9GB", "float", "5.9"),
            ("1e3MB", "GB", "1"),
            ("5EB", "EB", "5"),
            ("5E3", "EB", "5000"),
            (".5GB", "MB", "500"),
            ("+2GB", "GB", "2"),
        ] {
            assert_eq!(convert(text, unit), Ok(expected.to_owned()), "{text} in {unit}");
        }
        let half_turn = Unit::convert(
            amount("3.141592653589793238462643383"),
            Unit::parse("rad").unwrap(),
            Unit::parse("deg").unwrap(),
        );
        assert_eq!(half_turn.unwrap().rounded(), amount("180"));
        let back = Unit::convert(amount("180"), Unit::parse("deg").unwrap(), Unit::parse("rad").unwrap());
        assert_eq!(back.unwrap().rounded(), amount("3.141592654"));
    }

    #[test]
    fn what_does_not_convert_says_so() {
        assert_eq!(convert("5s", "MB"), Err("cannot convert `5s` to `MB`".to_owned()));
        assert_eq!(convert("1.50 hours", "kg"), Err("cannot convert `1.5hr` to `kg`".to_owned()));
        assert_eq!(convert("70000YB", "bit"), Err("`70000YB` in `bit` is out of range".to_owned()));
        assert_eq!(convert("5 parsecs", "m"), Err("unknown unit `parsecs` in `5 parsecs`".to_owned()));
        for text in ["", "abc", "-", ".", "1e99", "NaN", "inf", "1_000", "0x10", "5int", "1 2", "½", "5é"] {
            assert!(text.parse::<Measure>().is_err(), "{text}");
        }
    }
}
