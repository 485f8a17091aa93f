//! A document as a tree that knows no format: what the readers of YAML, JSON and TOML produce and the policy is read from.
//!
//! Numbers keep the document's digits, maps keep their order and even their duplicate keys (so that reading can report
//! them with everything else), and keys have positions of their own.

use crate::policy::formats;
use crate::{Amount, Position, Problem};

/// A value in a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it begins, when it was read from text.
    pub at: Option<Position>,
}

/// What a [`Node`] holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A number, in the document's own decimal digits. May be out of any range, `.inf` or `.nan`.
    Number(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map in document order; a key may appear twice.
    Map(Vec<(Key, Node)>),
}

/// The key of a map's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its text.
    pub text: String,
    /// Where it begins, when it was read from text.
    pub at: Option<Position>,
}

impl Node {
    /// The same tree from JSON data, without positions.
    ///
    /// # Errors
    /// Data nested deeper than a document may be.
    pub fn from_json(value: &serde_json::Value) -> Result<Self, Problem> {
        from_json(value, 0)
    }

    /// The value of `key` when this is a map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|(known, _)| known.text == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// This as JSON data. Of duplicate keys the last counts; numbers a double cannot carry become text of their digits.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(digits) => number(digits),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Kind::Map(entries) => {
                Value::Object(entries.iter().map(|(key, value)| (key.text.clone(), value.to_json())).collect())
            }
        }
    }

    /// What a message calls this: the document's text in backticks, or the kind of a container.
    pub(crate) fn shown(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".to_owned(),
            Kind::Bool(value) => format!("`{value}`"),
            Kind::Number(text) | Kind::Text(text) => quoted(text),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
        }
    }
}

/// The document's text in backticks, shortened when it would drown the message.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(SHOWN).map(|char| if char.is_control() { ' ' } else { char }).collect();
    if chars.next().is_some() {
        shown.push_str("...");
    }
    format!("`{shown}`")
}

fn from_json(value: &serde_json::Value, depth: usize) -> Result<Node, Problem> {
    use serde_json::Value;
    if depth > formats::MAX_DEPTH {
        return Err(formats::too_deep(None));
    }
    let kind = match value {
        Value::Null => Kind::Null,
        Value::Bool(value) => Kind::Bool(*value),
        Value::Number(number) => Kind::Number(number.to_string()),
        Value::String(text) => Kind::Text(text.clone()),
        Value::Array(items) => {
            Kind::List(items.iter().map(|item| from_json(item, depth + 1)).collect::<Result<_, _>>()?)
        }
        Value::Object(entries) => {
            let entry = |(key, value)| Ok((Key { text: String::clone(key), at: None }, from_json(value, depth + 1)?));
            Kind::Map(entries.iter().map(entry).collect::<Result<_, Problem>>()?)
        }
    };
    Ok(Node { kind, at: None })
}

/// A JSON number where a reader of doubles sees the same digits, otherwise their text.
fn number(digits: &str) -> serde_json::Value {
    use serde_json::Value;
    if let Ok(whole) = digits.parse::<i64>() {
        return Value::from(whole);
    }
    let double = digits.parse().ok().filter(|double: &f64| double.is_finite());
    let exact = match (digits.parse::<Amount>(), double) {
        (Ok(amount), Some(double)) => Amount::from_f64(double) == Some(amount),
        // Beyond amounts a double is as good as it gets.
        (Err(_), Some(_)) => true,
        _ => false,
    };
    let carried = double.filter(|_| exact).and_then(serde_json::Number::from_f64);
    carried.map_or_else(|| Value::String(digits.to_owned()), Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_goes_in_and_out() {
        let value = json!({"a": [1, 2.5, "x", null, true], "b": {"c": -7}});
        assert_eq!(Node::from_json(&value).unwrap().to_json(), value);
    }

    #[test]
    fn digits_survive() {
        for (digits, expected) in [
            ("1.50", json!(1.5)),
            ("0.1", json!(0.1)),
            ("9007199254740993", json!(9_007_199_254_740_993_i64)),
            ("0.3333333333333333333333333333", json!("0.3333333333333333333333333333")),
            ("1e300", json!(1e300)),
            (".inf", json!(".inf")),
        ] {
            assert_eq!(number(digits), expected, "{digits}");
        }
    }

    #[test]
    fn deep_data_is_refused() {
        let mut value = json!(1);
        for _ in 0..100 {
            value = json!([value]);
        }
        assert_eq!(Node::from_json(&value).unwrap_err().code, "document_too_deep");
    }

    #[test]
    fn long_text_is_shortened() {
        assert_eq!(quoted(&"x".repeat(100)), format!("`{}...`", "x".repeat(60)));
        assert_eq!(quoted("a\nb"), "`a b`");
    }
}
