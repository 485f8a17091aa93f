//! TOML, through the `toml` crate's own tree, which keeps spans and the digits of numbers.

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

use super::lines::Lines;
use super::{Budget, MAX_DEPTH, syntax, text_problem, too_deep};
use crate::Problem;
use crate::policy::node::{Key, Kind, Node, quoted};

pub(super) fn parse(text: &str, lines: &Lines<'_>) -> Result<Node, Problem> {
    let document = DeTable::parse(text).map_err(|error| {
        let at = error.span().and_then(|span| lines.position(span.start));
        match error.message() {
            message if message.contains("recursion") => too_deep(at),
            message if message.starts_with("duplicate key") => {
                let key = error.span().and_then(|span| text.get(span)).unwrap_or("a key");
                text_problem(
                    "duplicate_key",
                    at,
                    format!("{} is given twice", quoted(key)),
                    Some("keep one of the two"),
                )
            }
            message => syntax(at, message),
        }
    })?;
    let mut build = Build { lines, budget: Budget::default() };
    Ok(Node { kind: build.table(document.get_ref(), 0)?, at: lines.position(0) })
}

struct Build<'t> {
    lines: &'t Lines<'t>,
    budget: Budget,
}

impl Build<'_> {
    fn table(&mut self, table: &DeTable<'_>, depth: usize) -> Result<Kind, Problem> {
        let mut entries: Vec<_> = table.iter().collect();
        // The crate keeps keys by name; the document's order is where they were written.
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut read = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let at = self.lines.position(key.span().start);
            self.budget.take(1, 0, at)?;
            let key = Key { text: key.get_ref().clone().into_owned(), at };
            read.push((key, self.value(value, depth + 1)?));
        }
        Ok(Kind::Map(read))
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, depth: usize) -> Result<Node, Problem> {
        let at = self.lines.position(value.span().start);
        self.budget.take(1, 0, at)?;
        if depth >= MAX_DEPTH && matches!(value.get_ref(), DeValue::Array(_) | DeValue::Table(_)) {
            return Err(too_deep(at));
        }
        let kind = match value.get_ref() {
            DeValue::String(text) => Kind::Text(text.clone().into_owned()),
            DeValue::Integer(number) if number.radix() == 10 => Kind::Number(number.as_str().to_owned()),
            DeValue::Integer(number) => {
                let whole = u128::from_str_radix(number.as_str(), number.radix());
                Kind::Number(whole.map_or_else(|_| number.to_string(), |whole| whole.to_string()))
            }
            DeValue::Float(number) => Kind::Number(number.as_str().to_owned()),
            DeValue::Boolean(value) => Kind::Bool(*value),
            // A policy has no dates of its own; in free data they are their text.
            DeValue::Datetime(moment) => Kind::Text(moment.to_string()),
            DeValue::Array(items) => {
                let items = items.iter().map(|item| self.value(item, depth + 1));
                Kind::List(items.collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => self.table(table, depth)?,
        };
        Ok(Node { kind, at })
    }
}

/// Takes out what TOML has no word for.
pub(super) fn drop_nulls(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(drop_nulls);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, parse};
    use super::*;
    use crate::Position;

    #[test]
    fn order_digits_and_positions_are_kept() {
        let text = "z = 1_000\n[b]\nx = 0.10\nh = 0x10\n[[a]]\nd = 2025-01-01\n[[a]]\nf = inf\ng = +1.5e3\n";
        let node = parse(text, Format::Toml).unwrap();
        assert_eq!(
            node.to_json().to_string(),
            r#"{"z":1000,"b":{"x":0.1,"h":16},"a":[{"d":"2025-01-01"},{"f":"inf","g":1500.0}]}"#
        );
        assert_eq!(node.get("b").unwrap().get("x").unwrap().kind, Kind::Number("0.10".to_owned()));
        assert_eq!(node.get("b").unwrap().get("x").unwrap().at, Some(Position { line: 3, column: 5 }));
        let Kind::Map(entries) = &node.kind else { panic!() };
        assert_eq!(entries[1].0.at, Some(Position { line: 2, column: 2 }));
    }

    #[test]
    fn malformed_text_says_where() {
        for (text, code, at) in [
            ("a = ", "syntax", (1, 5)),
            ("a = 1\na = 2", "duplicate_key", (2, 1)),
            ("[a\nb = 1", "syntax", (1, 3)),
            ("a = nope", "syntax", (1, 5)),
        ] {
            let problem = parse(text, Format::Toml).unwrap_err();
            assert_eq!(problem.code, code, "{text}: {}", problem.message);
            assert_eq!(problem.at.map(|at| (at.line, at.column)), Some(at), "{text}: {}", problem.message);
        }
    }
}
