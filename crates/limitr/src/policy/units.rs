//! Units of measure, quantities written with one, and durations.
//!
//! Factors are exact integers of each dimension's smallest unit, so a conversion is one reduced fraction and `1GB` is
//! exactly `1000MB`. The one irrational factor (radians) carries 29 digits.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::Amount;

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

struct Entry {
    dimension: Dimension,
    /// Canonical name, as written back.
    name: &'static str,
    /// Other symbols, case-sensitive like the name.
    symbols: &'static [&'static str],
    /// Long names in lower case, matched without regard to case.
    names: &'static [&'static str],
    /// In smallest units of the dimension: `factor / divisor`.
    factor: u128,
    divisor: u128,
    /// Added before the factor is applied (temperatures).
    offset: Decimal,
}

const fn unit(
    dimension: Dimension,
    name: &'static str,
    symbols: &'static [&'static str],
    names: &'static [&'static str],
    factor: u128,
) -> Entry {
    Entry { dimension, name, symbols, names, factor, divisor: 1, offset: Decimal::ZERO }
}

const fn decimal(hundredths: u32) -> Decimal {
    Decimal::from_parts(hundredths, 0, 0, false, 2)
}

/// Bits in a byte; data is kept in bits.
const BYTE: u128 = 8;
/// Picograms in a gram; mass is kept in picograms.
const GRAM: u128 = 1_000_000_000_000;
/// Nanometres in a metre; length is kept in nanometres.
const METER: u128 = 1_000_000_000;

static FLOAT: Entry = unit(Dimension::Number, "float", &[], &[], 1);

static TABLE: &[Entry] = &[
    unit(Dimension::Number, "float", &[], &[], 1),
    unit(Dimension::Number, "int", &[], &[], 1),
    unit(Dimension::Time, "ms", &[], &["millisecond", "milliseconds"], 1_000_000),
    unit(Dimension::Time, "ns", &[], &["nanosecond", "nanoseconds"], 1),
    unit(Dimension::Time, "us", &[], &["microsecond", "microseconds"], 1_000),
    unit(Dimension::Time, "s", &[], &["second", "seconds"], 1_000_000_000),
    unit(Dimension::Time, "min", &[], &["minute", "minutes"], 60_000_000_000),
    unit(Dimension::Time, "hr", &["h"], &["hour", "hours"], 3_600_000_000_000),
    unit(Dimension::Time, "day", &[], &["day", "days"], 86_400_000_000_000),
    unit(Dimension::Time, "week", &[], &["week", "weeks"], 604_800_000_000_000),
    unit(Dimension::Data, "bit", &[], &["bit", "bits"], 1),
    unit(Dimension::Data, "B", &[], &["byte", "bytes"], BYTE),
    unit(Dimension::Data, "KB", &[], &["kilobyte", "kilobytes"], BYTE * 1_000),
    unit(Dimension::Data, "MB", &[], &["megabyte", "megabytes"], BYTE * 1_000_000),
    unit(Dimension::Data, "GB", &[], &["gigabyte", "gigabytes"], BYTE * 1_000_000_000),
    unit(Dimension::Data, "TB", &[], &["terabyte", "terabytes"], BYTE * 1_000_000_000_000),
    unit(Dimension::Data, "PB", &[], &["petabyte", "petabytes"], BYTE * 1_000_000_000_000_000),
    unit(Dimension::Data, "EB", &[], &["exabyte", "exabytes"], BYTE * 1_000_000_000_000_000_000),
    unit(Dimension::Data, "ZB", &[], &["zettabyte", "zettabytes"], BYTE * 1_000_000_000_000_000_000_000),
    unit(Dimension::Data, "YB", &[], &["yottabyte", "yottabytes"], BYTE * 1_000_000_000_000_000_000_000_000),
    unit(Dimension::Data, "KiB", &[], &["kibibyte", "kibibytes"], BYTE << 10),
    unit(Dimension::Data, "MiB", &[], &["mebibyte", "mebibytes"], BYTE << 20),
    unit(Dimension::Data, "GiB", &[], &["gibibyte", "gibibytes"], BYTE << 30),
    unit(Dimension::Data, "TiB", &[], &["tebibyte", "tebibytes"], BYTE << 40),
    unit(Dimension::Data, "PiB", &[], &["pebibyte", "pebibytes"], BYTE << 50),
    unit(Dimension::Data, "EiB", &[], &["exbibyte", "exbibytes"], BYTE << 60),
    unit(Dimension::Data, "ZiB", &[], &["zebibyte", "zebibytes"], BYTE << 70),
    unit(Dimension::Data, "YiB", &[], &["yobibyte", "yobibytes"], BYTE << 80),
    unit(Dimension::Length, "nm", &[], &["nanometer", "nanometers"], 1),
    unit(Dimension::Length, "um", &[], &["micrometer", "micrometers"], 1_000),
    unit(Dimension::Length, "mm", &[], &["millimeter", "millimeters"], METER / 1_000),
    unit(Dimension::Length, "cm", &[], &["centimeter", "centimeters"], METER / 100),
    unit(Dimension::Length, "dm", &[], &["decimeter", "decimeters"], METER / 10),
    unit(Dimension::Length, "m", &[], &["meter", "meters"], METER),
    unit(Dimension::Length, "dcm", &[], &["decameter", "decameters"], METER * 10),
    unit(Dimension::Length, "hm", &[], &["hectometer", "hectometers"], METER * 100),
    unit(Dimension::Length, "km", &[], &["kilometer", "kilometers"], METER * 1_000),
    unit(Dimension::Length, "in", &[], &["inch", "inches"], 25_400_000),
    unit(Dimension::Length, "ft", &[], &["foot", "feet"], 304_800_000),
    unit(Dimension::Length, "yd", &[], &["yard", "yards"], 914_400_000),
    unit(Dimension::Length, "mi", &[], &["mile", "miles"], 1_609_344_000_000),
    unit(Dimension::Mass, "pg", &[], &["picogram", "picograms"], 1),
    unit(Dimension::Mass, "ng", &[], &["nanogram", "nanograms"], 1_000),
    unit(Dimension::Mass, "ug", &[], &["microgram", "micrograms"], 1_000_000),
    unit(Dimension::Mass, "mg", &[], &["milligram", "milligrams"], GRAM / 1_000),
    unit(Dimension::Mass, "g", &[], &["gram", "grams"], GRAM),
    unit(Dimension::Mass, "kg", &[], &["kilogram", "kilograms"], GRAM * 1_000),
    unit(Dimension::Mass, "t", &[], &["tonne", "tonnes"], GRAM * 1_000_000),
    unit(Dimension::Mass, "Mt", &[], &["megatonne", "megatonnes"], GRAM * 1_000_000_000_000),
    unit(Dimension::Mass, "Gt", &[], &["gigatonne", "gigatonnes"], GRAM * 1_000_000_000_000_000),
    unit(Dimension::Mass, "oz", &[], &["ounce", "ounces"], 28_349_523_125_000),
    unit(Dimension::Mass, "lb", &["lbs"], &["pound", "pounds"], 453_592_370_000_000),
    // The American short ton of 2000 lb; the metric one is `t`.
    unit(Dimension::Mass, "Ton", &[], &["ton", "tons"], 907_184_740_000_000_000),
    unit(Dimension::Temperature, "K", &[], &["kelvin", "kelvins"], 1),
    Entry {
        offset: decimal(27_315),
        ..unit(Dimension::Temperature, "C", &[], &["celsius", "degree celsius", "degrees celsius"], 1)
    },
    Entry {
        divisor: 9,
        offset: decimal(45_967),
        ..unit(Dimension::Temperature, "F", &[], &["fahrenheit", "degree fahrenheit", "degrees fahrenheit"], 5)
    },
    unit(Dimension::Angle, "deg", &[], &["degree", "degrees"], 1),
    Entry {
        // 180 / pi.
        divisor: 1_000_000_000_000_000_000_000_000_000,
        ..unit(Dimension::Angle, "rad", &[], &["radian", "radians"], 57_295_779_513_082_320_876_798_154_814)
    },
];

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
        scale(amount.0, source, target)
            .map(|scaled| Amount(scaled.normalize()))
            .ok_or(UnitError::Range { measure, to })
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
    if x == 0 { (a, b) } else { (a / x, b / x) }
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
    pub fn in_unit(self, target: Unit) -> Result<Amount, UnitError> {
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
        let amount = number.parse().map_err(|_| not_a_number())?;
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
    i64::try_from(ms.truncated().0).map_err(|_| MeasureError::Number(text.trim().to_owned()))
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
        let half_turn = Unit::convert(amount("3.141592653589793238462643383"), Unit::parse("rad").unwrap(), Unit::parse("deg").unwrap());
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

    #[test]
    fn durations_are_milliseconds() {
        for (text, ms) in [("1day", 86_400_000), ("50ms", 50), ("10min", 600_000), ("7", 7), ("1.5 h", 5_400_000), ("1us", 0)] {
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
