//! Exact amounts and the tolerance that decisions are made at.

use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use serde_json::Value;
use std::str::FromStr;

pub use super::units::quantity;

/// What a grant buys at most, and what "unbounded" reads as.
pub fn unbounded() -> Decimal {
    Decimal::from(1_000_000_000_000_000i64)
}

fn tolerance() -> Decimal {
    Decimal::new(1, 9)
}

/// `a <= b`, as far as decisions are concerned.
pub fn at_most(a: Decimal, b: Decimal) -> bool {
    a - b <= tolerance()
}

/// `a < b`, as far as decisions are concerned.
pub fn below(a: Decimal, b: Decimal) -> bool {
    b - a > tolerance()
}

/// `a > 0`, as far as decisions are concerned.
pub fn positive(a: Decimal) -> bool {
    a > tolerance()
}

pub fn past(value: Decimal, limit: Decimal) -> Decimal {
    (value - limit).max(Decimal::ZERO)
}

pub fn float(amount: Decimal) -> f64 {
    amount.to_f64().unwrap_or(0.0)
}

pub fn from_float(number: f64) -> Option<Decimal> {
    Decimal::from_f64(number)
}

/// A decimal written out, with or without an exponent.
pub fn parse(text: &str) -> Option<Decimal> {
    let text = text.trim();
    Decimal::from_str(text).or_else(|_| Decimal::from_scientific(text)).ok()
}

/// A JSON number, or a string holding a plain number.
pub fn number(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(n) => parse(&n.to_string()),
        Value::String(s) => parse(s),
        _ => None,
    }
}

/// The JSON form of an amount: a number where that is exact, else a string.
pub fn json(amount: Decimal) -> Value {
    let amount = amount.normalize();
    let exact = amount.to_f64().filter(|f| parse(&Value::from(*f).to_string()) == Some(amount));
    match (amount.to_i64(), exact) {
        (Some(whole), _) if amount.is_integer() => Value::from(whole),
        (_, Some(f)) => Value::from(f),
        _ => Value::from(amount.to_string()),
    }
}

/// Results of reads and numbers in events are rounded to 1e-9.
pub fn rounded(amount: Decimal) -> Value {
    json(amount.round_dp(9))
}

/// A duration in ms: a bare number is ms.
pub fn duration(value: &Value) -> Option<i64> {
    quantity(value, "ms").and_then(|ms| ms.to_i64())
}

/// The z value that a normal variable stays below with probability `p`, by bisection over the error function's
/// series: slow, but with nothing to get wrong.
pub fn normal_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-9.0f64, 9.0f64);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if normal_cdf(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// Phi(x) = 1/2 + phi(x) * (x + x^3/3 + x^5/(3*5) + ...).
fn normal_cdf(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    for n in 1..500 {
        term *= x * x / f64::from(2 * n + 1);
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}
