//! Every unit: its names and what it is worth in the smallest unit of its dimension.

use rust_decimal::Decimal;

use super::Dimension;

pub(super) struct Entry {
    pub(super) dimension: Dimension,
    /// Canonical name, as written back.
    pub(super) name: &'static str,
    /// Other symbols, case-sensitive like the name.
    pub(super) symbols: &'static [&'static str],
    /// Long names in lower case, matched without regard to case.
    pub(super) names: &'static [&'static str],
    /// In smallest units of the dimension: `factor / divisor`.
    pub(super) factor: u128,
    pub(super) divisor: u128,
    /// Added before the factor is applied (temperatures).
    pub(super) offset: Decimal,
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

pub(super) static FLOAT: Entry = unit(Dimension::Number, "float", &[], &[], 1);

pub(super) static TABLE: &[Entry] = &[
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
