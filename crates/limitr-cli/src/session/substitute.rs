//! `$name` in arguments: replaced by the result kept under that name.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{StepError, shown};

/// Saved results can hold saved results, doubling with every step; what comes out is bounded instead.
const MOST_VALUES: usize = 500_000;
const MOST_BYTES: usize = 16 * 1024 * 1024;
const DEEPEST: usize = 128;

/// The value with every text `$name` replaced by the saved result. `$$name` stands for the text `$name`.
///
/// # Errors
/// A name nothing was saved under, and values that become too large or too deep.
pub(super) fn substitute(value: &Value, saved: &BTreeMap<String, Value>) -> Result<Value, StepError> {
    Copier { saved, strict: true, values: 0, bytes: 0 }.copy(value, true, 0)
}

/// [`substitute`] for expectations, where a `$text` that is no saved name is just text.
pub(crate) fn substitute_known(value: &Value, saved: &BTreeMap<String, Value>) -> Result<Value, StepError> {
    Copier { saved, strict: false, values: 0, bytes: 0 }.copy(value, true, 0)
}

/// Whether a result can be saved under this name.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-'))
}

struct Copier<'s> {
    saved: &'s BTreeMap<String, Value>,
    strict: bool,
    values: usize,
    bytes: usize,
}

impl Copier<'_> {
    fn copy(&mut self, value: &Value, replace: bool, depth: usize) -> Result<Value, StepError> {
        self.take(1, 0)?;
        if depth > DEEPEST {
            return Err(StepError::bad_step(format!("the arguments are nested deeper than {DEEPEST} levels")));
        }
        Ok(match value {
            Value::String(text) if replace => return self.text(text, depth),
            Value::String(text) => {
                self.take(0, text.len())?;
                value.clone()
            }
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.copy(item, replace, depth + 1)).collect::<Result<_, _>>()?)
            }
            Value::Object(entries) => {
                let entry = |(key, value): (&String, &Value)| {
                    self.take(0, key.len())?;
                    Ok((key.clone(), self.copy(value, replace, depth + 1)?))
                };
                Value::Object(entries.iter().map(entry).collect::<Result<_, StepError>>()?)
            }
            plain => plain.clone(),
        })
    }

    fn text(&mut self, text: &str, depth: usize) -> Result<Value, StepError> {
        let name = text.strip_prefix('$');
        if let Some(name) = name.filter(|name| is_name(name)) {
            match self.saved.get(name) {
                // What a result holds is data, also where it looks like a name.
                Some(result) => return self.copy(result, false, depth),
                None if self.strict => {
                    return Err(StepError::bad_step(format!("nothing was saved as `{}`", shown(name)))
                        .hint("`save` on an earlier step keeps its result; `$$` writes a plain `$`"));
                }
                None => {}
            }
        }
        self.take(0, text.len())?;
        let escaped = name.filter(|rest| rest.strip_prefix('$').is_some_and(is_name));
        Ok(escaped.unwrap_or(text).into())
    }

    fn take(&mut self, values: usize, bytes: usize) -> Result<(), StepError> {
        self.values += values;
        self.bytes += bytes;
        if self.values > MOST_VALUES || self.bytes > MOST_BYTES {
            return Err(StepError::bad_step("the arguments become too large with the saved results in them"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_replaced_anywhere() {
        let saved = BTreeMap::from([("hold".to_owned(), json!("id1")), ("all".to_owned(), json!({"a": "$hold"}))]);
        let value =
            json!({"hold": "$hold", "in": [1, {"all": "$all"}], "price": "$5", "plain": "$$hold", "$hold": "x$hold"});
        assert_eq!(
            substitute(&value, &saved).unwrap(),
            json!({"hold": "id1", "in": [1, {"all": {"a": "$hold"}}], "price": "$5", "plain": "$hold", "$hold": "x$hold"})
        );
        assert_eq!(substitute(&json!("$other"), &saved).unwrap_err().message, "nothing was saved as `other`");
        assert_eq!(substitute_known(&json!("$other"), &saved).unwrap(), json!("$other"));
    }

    #[test]
    fn growth_is_bounded() {
        let mut saved = BTreeMap::from([("x".to_owned(), json!("text"))]);
        let wide = (0..100).find_map(|_| {
            let doubled = substitute(&json!({"a": "$x", "b": "$x"}), &saved);
            doubled.map(|value| saved.insert("x".to_owned(), value)).err()
        });
        assert!(wide.unwrap().message.contains("too large"));
        saved.insert("x".to_owned(), json!(1));
        let deep = (0..1000).find_map(|_| {
            let nested = substitute(&json!(["$x"]), &saved);
            nested.map(|value| saved.insert("x".to_owned(), value)).err()
        });
        assert!(deep.unwrap().message.contains("deeper"));
    }
}
