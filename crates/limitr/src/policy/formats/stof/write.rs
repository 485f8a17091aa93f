//! Writing data as Stof: what is written reads back the same, to the digit.

use std::fmt::Write as _;

use serde_json::Value;

/// Widest list or map that stands on one line.
const WIDTH: usize = 100;

/// Writes the fields of a map as a document.
pub(in crate::policy::formats) fn write(value: &Value) -> Result<String, &'static str> {
    let Value::Object(fields) = value else { return Err("a Stof document is a map") };
    let mut out = String::new();
    for (name, value) in fields {
        field(&mut out, name, value, 0)?;
        out.push('\n');
    }
    Ok(out)
}

fn field(out: &mut String, key: &str, value: &Value, depth: usize) -> Result<(), &'static str> {
    indent(out, depth);
    name(out, key)?;
    out.push_str(": ");
    any(out, value, depth)
}

/// A value, over several lines when it is long or holds more than literals.
fn any(out: &mut String, value: &Value, depth: usize) -> Result<(), &'static str> {
    let start = out.len();
    let nested = match value {
        Value::Array(items) => items.iter().any(is_container),
        Value::Object(fields) => depth < 2 || fields.values().any(is_container),
        _ => false,
    };
    let empty = value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(serde_json::Map::is_empty);
    if !nested || empty {
        flat(out, value)?;
        if empty || !is_container(value) || out.len() - start + depth * 4 <= WIDTH {
            return Ok(());
        }
        out.truncate(start);
    }
    let (open, close) = if value.is_array() { ('[', ']') } else { ('{', '}') };
    out.push(open);
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "\n" } else { ",\n" });
                indent(out, depth + 1);
                any(out, item, depth + 1)?;
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                out.push('\n');
                field(out, name, value, depth + 1)?;
            }
        }
        _ => {}
    }
    out.push('\n');
    indent(out, depth);
    out.push(close);
    Ok(())
}

const fn is_container(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_))
}

/// A value on one line.
fn flat(out: &mut String, value: &Value) -> Result<(), &'static str> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => drop(write!(out, "{number}")),
        Value::String(value) => text(out, value),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                flat(out, item)?;
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (index, (key, value)) in fields.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                name(out, key)?;
                out.push_str(": ");
                flat(out, value)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("    ", depth));
}

/// A name, in quotes unless it is plain. Stof takes the beginning of `constant` for a word of its own.
fn name(out: &mut String, name: &str) -> Result<(), &'static str> {
    let plain = !name.starts_with("const")
        && name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
        && name.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-'));
    if plain {
        out.push_str(name);
    } else {
        text(out, name);
    }
    Ok(())
}

/// Text in double quotes.
fn text(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ => out.push(char),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_text_are_quoted_where_they_must_be() {
        let value = json!({"policy": {
            "credits": {"ai-chat": {"unit": "a \"b\"\n", "price": {"amount": 0.000_001}}, "gpt 4.1": {}, "constant": {}},
            "fn": [1, "1GB", null, true],
            "rows": [{"a": []}, [2.50, [3]]],
        }});
        let text = write(&value).unwrap();
        insta::assert_snapshot!(text, @r#"
        policy: {
            credits: {
                ai-chat: {
                    unit: "a \"b\"\n"
                    price: {amount: 1e-6}
                }
                "gpt 4.1": {}
                "constant": {}
            }
            fn: [1, "1GB", null, true]
            rows: [
                {
                    a: []
                },
                [
                    2.5,
                    [3]
                ]
            ]
        }
        "#);
        assert!(write(&json!([1])).is_err());
        #[cfg(feature = "stof")]
        assert_eq!(crate::policy::parse(&text, crate::policy::Format::Stof).unwrap().to_json(), value);
    }
}
