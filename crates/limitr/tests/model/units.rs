//! Values with units.

use super::amount::{number, parse};
use rust_decimal::Decimal;
use serde_json::Value;

/// Dimension, size in the dimension's base unit, names.
const UNITS: &[(&str, &str, &[&str])] = &[
    ("time", "0.000001", &["ns", "nanosecond", "nanoseconds"]),
    ("time", "0.001", &["us", "microsecond", "microseconds"]),
    ("time", "1", &["ms", "millisecond", "milliseconds"]),
    ("time", "1000", &["s", "second", "seconds"]),
    ("time", "60000", &["min", "minute", "minutes"]),
    ("time", "3600000", &["h", "hr", "hour", "hours"]),
    ("time", "86400000", &["day", "days"]),
    ("time", "604800000", &["week", "weeks"]),
    ("data", "0.125", &["bit", "bits"]),
    ("data", "1", &["B", "byte", "bytes"]),
    ("data", "1000", &["KB", "kilobyte", "kilobytes"]),
    ("data", "1000000", &["MB", "megabyte", "megabytes"]),
    ("data", "1000000000", &["GB", "gigabyte", "gigabytes"]),
    ("data", "1000000000000", &["TB", "terabyte", "terabytes"]),
    ("data", "1000000000000000", &["PB", "petabyte", "petabytes"]),
    ("data", "1000000000000000000", &["EB", "exabyte", "exabytes"]),
    ("data", "1000000000000000000000", &["ZB", "zettabyte", "zettabytes"]),
    ("data", "1000000000000000000000000", &["YB", "yottabyte", "yottabytes"]),
    ("data", "1024", &["KiB", "kibibyte", "kibibytes"]),
    ("data", "1048576", &["MiB", "mebibyte", "mebibytes"]),
    ("data", "1073741824", &["GiB", "gibibyte", "gibibytes"]),
    ("data", "1099511627776", &["TiB", "tebibyte", "tebibytes"]),
    ("data", "1125899906842624", &["PiB", "pebibyte", "pebibytes"]),
    ("data", "1152921504606846976", &["EiB", "exbibyte", "exbibytes"]),
    ("data", "1180591620717411303424", &["ZiB", "zebibyte", "zebibytes"]),
    ("data", "1208925819614629174706176", &["YiB", "yobibyte", "yobibytes"]),
    ("length", "0.000000001", &["nm", "nanometer", "nanometers"]),
    ("length", "0.000001", &["um", "micrometer", "micrometers"]),
    ("length", "0.001", &["mm", "millimeter", "millimeters"]),
    ("length", "0.01", &["cm", "centimeter", "centimeters"]),
    ("length", "0.1", &["dm", "decimeter", "decimeters"]),
    ("length", "1", &["m", "meter", "meters"]),
    ("length", "10", &["dcm", "decameter", "decameters"]),
    ("length", "100", &["hm", "hectometer", "hectometers"]),
    ("length", "1000", &["km", "kilometer", "kilometers"]),
    ("length", "0.0254", &["in", "inch", "inches"]),
    ("length", "0.3048", &["ft", "foot", "feet"]),
    ("length", "0.9144", &["yd", "yard", "yards"]),
    ("length", "1609.344", &["mi", "mile", "miles"]),
    ("mass", "0.000000000001", &["pg", "picogram", "picograms"]),
    ("mass", "0.000000001", &["ng", "nanogram", "nanograms"]),
    ("mass", "0.000001", &["ug", "microgram", "micrograms"]),
    ("mass", "0.001", &["mg", "milligram", "milligrams"]),
    ("mass", "1", &["g", "gram", "grams"]),
    ("mass", "1000", &["kg", "kilogram", "kilograms"]),
    ("mass", "1000000", &["t", "tonne", "tonnes"]),
    ("mass", "1000000000000", &["Mt", "megatonne", "megatonnes"]),
    ("mass", "1000000000000000", &["Gt", "gigatonne", "gigatonnes"]),
    ("mass", "28.349523125", &["oz", "ounce", "ounces"]),
    ("mass", "453.59237", &["lb", "lbs", "pound", "pounds"]),
    ("mass", "907184.74", &["Ton", "Tons", "ton", "tons"]),
    ("angle", "1", &["rad", "radian", "radians"]),
    ("angle", "0.0174532925199432957692369077", &["deg", "degree", "degrees"]),
];

fn unit(name: &str) -> Option<(&'static str, Decimal)> {
    let (dimension, factor, _) = UNITS.iter().find(|(_, _, names)| names.contains(&name))?;
    Some((*dimension, parse(factor)?))
}

/// Temperatures convert through kelvin, with an offset.
fn kelvin(amount: Decimal, name: &str) -> Option<Decimal> {
    let zero = Decimal::new(27315, 2);
    match name {
        "K" | "kelvin" => Some(amount),
        "C" | "celsius" => Some(amount + zero),
        "F" | "fahrenheit" => Some((amount - Decimal::from(32)) * Decimal::from(5) / Decimal::from(9) + zero),
        _ => None,
    }
}

fn from_kelvin(kelvins: Decimal, name: &str) -> Option<Decimal> {
    let zero = Decimal::new(27315, 2);
    match name {
        "K" | "kelvin" => Some(kelvins),
        "C" | "celsius" => Some(kelvins - zero),
        "F" | "fahrenheit" => Some((kelvins - zero) * Decimal::from(9) / Decimal::from(5) + Decimal::from(32)),
        _ => None,
    }
}

/// Splits `"2.5GB"` into the number and the unit. The longest prefix that is a number wins, so "5EB" is 5 and "EB".
fn split(text: &str) -> Option<(Decimal, &str)> {
    let text = text.trim();
    let mut ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    ends.push(text.len());
    ends.into_iter().rev().find_map(|end| {
        let (head, tail) = text.split_at(end);
        parse(head).map(|number| (number, tail.trim()))
    })
}

/// A value in the unit of a credit (`float`, `int`, or the name of a unit); none when it cannot be used.
pub fn quantity(value: &Value, credit_unit: &str) -> Option<Decimal> {
    let (amount, given) = match value {
        Value::Number(_) => (number(value)?, ""),
        Value::String(text) => split(text)?,
        _ => return None,
    };
    if !given.is_empty() && unit(given).is_none() && kelvin(amount, given).is_none() {
        return None;
    }
    match credit_unit {
        "int" => Some(amount.trunc()),
        "float" => Some(amount),
        _ if given.is_empty() => Some(amount),
        _ => {
            if let Some(kelvins) = kelvin(amount, given) {
                return from_kelvin(kelvins, credit_unit);
            }
            let (from, from_size) = unit(given)?;
            let (to, to_size) = unit(credit_unit)?;
            // Divided first where that keeps large data units in range.
            let factor = if from_size > to_size { from_size / to_size } else { Decimal::ONE / (to_size / from_size) };
            (from == to).then(|| amount.checked_mul(factor))?
        }
    }
}
