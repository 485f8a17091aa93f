//! Fields of answers, as people read them.

use limitr::Amount;
use serde_json::Value;

/// Text, or nothing.
pub(super) fn text(answer: &Value, field: &str) -> String {
    match answer.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(flag)) => flag.to_string(),
        _ => String::new(),
    }
}

/// An amount, with all its digits.
pub(super) fn amount(answer: &Value, field: &str) -> String {
    let value = answer.get(field).filter(|value| !value.is_null());
    let amount = value.and_then(|value| serde_json::from_value::<Amount>(value.clone()).ok());
    amount.map_or_else(|| text(answer, field), |amount| amount.to_string())
}

/// A percentage, to two decimals.
pub(super) fn percent(answer: &Value, field: &str) -> String {
    let percent = answer.get(field).and_then(Value::as_f64);
    percent.map_or_else(|| text(answer, field), |percent| format!("{percent:.2}"))
}

/// A time, to the second.
pub(super) fn time(answer: &Value, field: &str) -> String {
    let ms = answer.get(field).and_then(Value::as_i64);
    let time = ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default()
}

/// The texts of a list, with commas.
pub(super) fn texts(answer: &Value, field: &str) -> String {
    let list = answer.get(field).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// The entries of a map.
pub(super) fn entries<'a>(answer: &'a Value, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    answer.get(field).and_then(Value::as_object).into_iter().flatten()
}

/// A version of the policy: `version 3 (pol_...)`.
pub(super) fn version(answer: &Value) -> String {
    format!("version {} ({})", text(answer, "number"), text(answer, "id"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_read_as_they_are_written() {
        let answer = json!({
            "units": 740_000, "price": 0.1, "exact": "12345678901234567890.123456789", "at": 1_768_435_200_999_i64,
            "alts": ["a", "b"], "none": null,
        });
        assert_eq!(amount(&answer, "units"), "740000");
        assert_eq!(amount(&answer, "price"), "0.1");
        assert_eq!(amount(&answer, "exact"), "12345678901234567890.123456789");
        assert_eq!((amount(&answer, "none"), amount(&answer, "missing")), (String::new(), String::new()));
        assert_eq!(time(&answer, "at"), "2026-01-15 00:00:00");
        assert_eq!((time(&answer, "none"), texts(&answer, "alts")), (String::new(), "a, b".to_owned()));
    }
}
