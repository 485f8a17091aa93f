//! Values that break things.

use serde_json::{Value, json};

use super::bytes::Bytes;

/// A number as documents and calls may hold one: mostly small, sometimes at the ends of the range.
pub(super) fn number(bytes: &mut Bytes<'_>) -> Value {
    match bytes.below(4) {
        0 => json!(bytes.byte()),
        1 => json!(f64::from(bytes.byte()) / 8.0),
        2 => numbers()[bytes.below(48)].clone(),
        _ => odd(bytes),
    }
}

/// A number with or without a unit.
pub(super) fn measure(bytes: &mut Bytes<'_>) -> Value {
    const UNITS: [&str; 14] =
        ["MB", "GB", "B", "s", "min", "day", "KiB", "YB", "bit", "C", "F", "parsecs", " MB ", "hours"];
    if bytes.one_in(4) {
        let number = number(bytes);
        let text = number.as_str().map_or_else(|| number.to_string(), str::to_owned);
        json!(format!("{text}{}", bytes.pick(&UNITS)))
    } else {
        number(bytes)
    }
}

pub(super) fn whole(bytes: &mut Bytes<'_>) -> Value {
    const WHOLE: [i64; 12] =
        [0, 1, -1, 1000, 86_400_000, 2_592_000_000, -86_400_000, i64::MAX, i64::MIN, 1 << 53, 253_402_300_799_999, 7];
    match bytes.below(4) {
        0 | 1 => json!(*bytes.pick(&WHOLE)),
        2 => json!(i64::from(bytes.byte()) * 3_600_000),
        _ => json!(bytes.whole()),
    }
}

pub(super) fn duration(bytes: &mut Bytes<'_>) -> Value {
    const TEXTS: [&str; 10] = ["1day", "10min", "1ms", "0ms", "-1day", "1e6weeks", "9e18ms", "0.5ms", "1MB", "30days"];
    if bytes.one_in(3) { json!(bytes.pick(&TEXTS)) } else { whole(bytes) }
}

pub(super) fn schedule(bytes: &mut Bytes<'_>) -> Value {
    const TEXTS: [&str; 12] = [
        "monthly:1",
        "monthly:31",
        "monthly:last",
        "weekly:mon",
        "weekly:sun",
        "nth_weekday:4:fri",
        "yearly:2-29",
        "yearly:12-31",
        "quarterly:31",
        "monthly:0",
        "daily",
        "",
    ];
    json!(bytes.pick(&TEXTS))
}

/// Anything at all.
pub(super) fn junk(bytes: &mut Bytes<'_>) -> Value {
    match bytes.below(10) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!([]),
        3 => json!({}),
        4 => json!([1, "a", null]),
        5 => json!({"a": {"b": null}, "x-c": 1.5}),
        6 => json!(bytes.text(12)),
        7 => number(bytes),
        8 => measure(bytes),
        _ => whole(bytes),
    }
}

fn odd(bytes: &mut Bytes<'_>) -> Value {
    match bytes.below(4) {
        0 => json!(bytes.whole()),
        #[allow(clippy::cast_sign_loss)]
        1 => json!(f64::from_bits(bytes.whole() as u64)),
        2 => {
            // A decimal of any scale.
            let scale = bytes.below(32);
            json!(format!("{}e-{scale}", bytes.whole()))
        }
        _ => json!(bytes.text(10)),
    }
}

fn numbers() -> [Value; 48] {
    [
        json!(0),
        json!(1),
        json!(2),
        json!(10),
        json!(100),
        json!(1000),
        json!(0.5),
        json!(0.1),
        json!(-1),
        json!(-0.0),
        json!(-100.25),
        json!(1e-9),
        json!(1.1e-9),
        json!(0.9e-9),
        json!(1e-28),
        json!(1e-29),
        json!(5e-324),
        json!(1e15),
        json!(1e15 + 1.0),
        json!(9_007_199_254_740_993_i64),
        json!(1e27),
        json!(1e28),
        json!(7.9e28),
        json!(-7.9e28),
        json!(8e28),
        json!(1e300),
        json!(-1e300),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!("79228162514264337593543950335"),
        json!("-79228162514264337593543950335"),
        json!("79228162514264337593543950336"),
        json!("0.0000000000000000000000000001"),
        json!("-0.0000000000000000000000000001"),
        json!("0.3333333333333333333333333333"),
        json!("7.9228162514264337593543950335"),
        json!("39614081257132168796771975168"),
        json!("1e-28"),
        json!("1E+3"),
        json!("NaN"),
        json!("inf"),
        json!("-.inf"),
        json!(""),
        json!(" 5 "),
        json!("1_000"),
        json!(null),
        json!("1e99999999999999999999"),
    ]
}
