//! Whether what came is what was expected.

use std::fmt;

use limitr::Amount;
use serde_json::Value;

/// A place where the two differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Mismatch {
    /// Where in the result: `meters.chat.value`; empty for the result itself.
    pub path: String,
    /// What was expected there.
    pub expected: Value,
    /// What came; none when nothing is there.
    pub came: Option<Value>,
    /// Why, where the two values do not say it.
    pub why: Option<String>,
}

/// Everywhere `came` differs from `expected`.
///
/// Of an object only the listed fields count, and a field expected to be null may be missing; `not_null` is anything
/// present; lists are compared element by element; numbers, also as text, may be off by `approx`, 0 for not at all.
#[must_use]
pub fn compare(expected: &Value, came: &Value, approx: f64) -> Vec<Mismatch> {
    let mut comparison = Comparison { approx, path: String::new(), mismatches: Vec::new() };
    comparison.compare(expected, Some(came));
    comparison.mismatches
}

struct Comparison {
    approx: f64,
    path: String,
    mismatches: Vec<Mismatch>,
}

impl Comparison {
    fn compare(&mut self, expected: &Value, came: Option<&Value>) {
        let present = came.filter(|came| !came.is_null());
        match (expected, present) {
            (Value::Null, None) => {}
            (Value::String(text), Some(_)) if text == "not_null" => {}
            (Value::Object(fields), Some(Value::Object(came))) => {
                for (field, expected) in fields {
                    let dot = if self.path.is_empty() { "" } else { "." };
                    self.inside(&format!("{dot}{field}"), |inner| inner.compare(expected, came.get(field)));
                }
            }
            (Value::Array(items), Some(Value::Array(others))) => {
                if items.len() != others.len() {
                    let why = format!("expected {} elements, {} came", items.len(), others.len());
                    self.report(expected, came, Some(why));
                    return;
                }
                for (index, (item, other)) in items.iter().zip(others).enumerate() {
                    self.inside(&format!("[{index}]"), |inner| inner.compare(item, Some(other)));
                }
            }
            (expected, Some(present)) if expected == present => {}
            (expected, Some(present)) if self.close(expected, present) => {}
            _ => self.report(expected, came, None),
        }
    }

    fn inside(&mut self, segment: &str, compare: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push_str(segment);
        compare(self);
        self.path.truncate(length);
    }

    fn report(&mut self, expected: &Value, came: Option<&Value>, why: Option<String>) {
        self.mismatches.push(Mismatch {
            path: self.path.clone(),
            expected: expected.clone(),
            came: came.cloned(),
            why,
        });
    }

    /// Whether both are numbers, written as numbers or as their digits, and near enough.
    fn close(&self, expected: &Value, came: &Value) -> bool {
        // Decimals are compared as decimals: a double of the difference is off only in its last digit.
        if let (Some(expected), Some(came)) = (decimal(expected), decimal(came)) {
            return match expected.checked_sub(came) {
                Some(difference) => difference.is_zero() || difference.to_f64().abs() <= self.approx,
                None => false,
            };
        }
        match (expected.as_f64(), came.as_f64()) {
            (Some(expected), Some(came)) => (expected - came).abs() <= self.approx,
            _ => false,
        }
    }
}

fn decimal(value: &Value) -> Option<Amount> {
    match value {
        Value::Number(number) => number.to_string().parse().ok(),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path)?;
        }
        write!(f, "expected {}, ", self.expected)?;
        match &self.came {
            Some(came) => write!(f, "came {came}")?,
            None => f.write_str("nothing is there")?,
        }
        match &self.why {
            Some(why) => write!(f, " ({why})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(expected: Value, came: Value, approx: f64) -> String {
        compare(&expected, &came, approx).iter().map(Mismatch::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn what_matches() {
        for (expected, came) in [
            (json!(null), json!(null)),
            (json!({"a": null}), json!({})),
            (json!({"a": null}), json!({"a": null, "b": 1})),
            (json!("not_null"), json!(0)),
            (json!({"a": {"b": 1}}), json!({"a": {"b": 1.000_000_000_5, "c": 2}, "d": 3})),
            (json!([1, {"a": 2}]), json!([1, {"a": 2, "b": 3}])),
            (json!([]), json!([])),
            (json!(10), json!("10.0")),
            (json!("0.333333333333333333333"), json!("0.3333333333333333333333333333")),
            (json!(1e300), json!(1e300)),
            (json!({}), json!({"a": 1})),
        ] {
            assert_eq!(compare(&expected, &came, 1e-9), [], "{expected} {came}");
        }
    }

    #[test]
    fn what_does_not() {
        assert_eq!(shown(json!(true), json!(false), 1e-9), "expected true, came false");
        assert_eq!(shown(json!("not_null"), json!(null), 1e-9), "expected \"not_null\", came null");
        assert_eq!(shown(json!(1), json!(1.000_000_002), 1e-9), "expected 1, came 1.000000002");
        assert_eq!(shown(json!(1), json!(1.000_000_000_1), 0.0), "expected 1, came 1.0000000001");
        assert_eq!(shown(json!([1]), json!([1, 2]), 1.0), "expected [1], came [1,2] (expected 1 elements, 2 came)");
        assert_eq!(
            shown(json!({"a": {"b": [1, 2]}, "c": 1, "d": null}), json!({"a": {"b": [1, 3]}, "d": 4}), 1e-9),
            "`a.b[1]`: expected 2, came 3; `c`: expected 1, nothing is there; `d`: expected null, came 4"
        );
        assert_eq!(shown(json!("x"), json!(1), 1e-9), "expected \"x\", came 1");
        assert_eq!(shown(json!({"a": 1}), json!(null), 1e-9), "expected {\"a\":1}, came null");
    }
}
