//! JSON, in two passes: serde_json says whether it is well formed (and if not, where and why), then a walk over the text
//! keeps what serde_json's own values do not: positions, the digits of numbers, duplicate keys.

use super::lines::Lines;
use super::{Budget, MAX_DEPTH, syntax, too_deep};
use crate::policy::node::{Key, Kind, Node};
use crate::{Position, Problem};

pub(super) fn parse(text: &str, lines: &Lines<'_>) -> Result<Node, Problem> {
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        return Err(syntax(position(text, lines, &error), message(&error)));
    }
    let mut walk = Walk { text, lines, at: 0, budget: Budget::default() };
    walk.value(0)
}

/// The parser's position, which counts bytes, in characters.
fn position(text: &str, lines: &Lines<'_>, error: &serde_json::Error) -> Option<Position> {
    let line_start = if error.line() <= 1 {
        0
    } else {
        text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').nth(error.line() - 2).map_or(0, |(at, _)| at + 1)
    };
    lines.position(line_start + error.column().saturating_sub(1))
}

/// The parser's message without the position it repeats.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned()
}

struct Walk<'t> {
    text: &'t str,
    lines: &'t Lines<'t>,
    at: usize,
    budget: Budget,
}

impl Walk<'_> {
    fn value(&mut self, depth: usize) -> Result<Node, Problem> {
        let start = self.skip_space();
        let at = self.lines.position(start);
        self.budget.take(1, 0, at)?;
        let kind = match self.peek() {
            Some(b'{' | b'[') if depth >= MAX_DEPTH => return Err(too_deep(at)),
            Some(b'{') => self.map(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Kind::Text(self.string()?),
            _ => match self.word() {
                "null" => Kind::Null,
                "true" => Kind::Bool(true),
                "false" => Kind::Bool(false),
                // Not well formed, which the first pass has ruled out; but the loops above must end.
                "" => return Err(syntax(at, "expected a value")),
                digits => Kind::Number(digits.to_owned()),
            },
        };
        Ok(Node { kind, at })
    }

    fn map(&mut self, depth: usize) -> Result<Kind, Problem> {
        let mut entries = Vec::new();
        self.at += 1;
        while self.skip_separator() != Some(b'}') {
            let at = self.lines.position(self.at);
            self.budget.take(1, 0, at)?;
            let key = Key { text: self.string()?, at };
            self.skip_separator();
            entries.push((key, self.value(depth + 1)?));
        }
        self.at += 1;
        Ok(Kind::Map(entries))
    }

    fn list(&mut self, depth: usize) -> Result<Kind, Problem> {
        let mut items = Vec::new();
        self.at += 1;
        while self.skip_separator() != Some(b']') {
            items.push(self.value(depth + 1)?);
        }
        self.at += 1;
        Ok(Kind::List(items))
    }

    fn string(&mut self) -> Result<String, Problem> {
        let start = self.at;
        let mut escaped = false;
        let rest = self.text.as_bytes().get(start + 1..).unwrap_or_default();
        let length = rest.iter().position(|byte| {
            let ends = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        });
        let token = length.and_then(|length| self.text.get(start..start + length + 2));
        let token = token.ok_or_else(|| syntax(self.lines.position(start), "expected a string"))?;
        self.at += token.len();
        // Escapes, and the surrogates in them, are the parser's business.
        serde_json::from_str(token).map_err(|error| syntax(self.lines.position(start), message(&error)))
    }

    fn word(&mut self) -> &str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.find([',', ']', '}', ':', ' ', '\t', '\r', '\n']).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) -> usize {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.at
    }

    /// Skips to what comes after a comma or colon; the first pass has seen that they are where they belong.
    fn skip_separator(&mut self) -> Option<u8> {
        self.skip_space();
        if matches!(self.peek(), Some(b',' | b':')) {
            self.at += 1;
            self.skip_space();
        }
        self.peek()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, parse};
    use super::*;

    #[test]
    fn what_is_read_is_what_serde_json_reads() {
        for text in [
            r#"{"a": [1, -2.50, 1e3, "x\"\\\n\u00e9\ud83d\ude00", null, true, false, {}, []], "b": {"": 0}}"#,
            "\r\n[ ]\n",
            "\"a\\\\\"",
            "0",
        ] {
            let expected: serde_json::Value = serde_json::from_str(text).unwrap();
            let node = parse(text, Format::Json).unwrap();
            let written = node.to_json().to_string().replace("1000,", "1000.0,");
            assert_eq!(written, expected.to_string(), "{text}");
        }
    }

    #[test]
    fn positions_digits_and_duplicates_are_kept() {
        let node = parse("{\n  \"é\": 0.10, \"é\": [1.0e-2]}", Format::Json).unwrap();
        let Kind::Map(entries) = &node.kind else { panic!() };
        let position = |at: Option<Position>| at.map(|at| (at.line, at.column)).unwrap();
        assert_eq!(entries[0].1.kind, Kind::Number("0.10".to_owned()));
        assert_eq!(position(entries[0].0.at), (2, 3));
        assert_eq!(position(entries[0].1.at), (2, 8));
        assert_eq!(position(entries[1].0.at), (2, 14));
        let Kind::List(items) = &entries[1].1.kind else { panic!() };
        assert_eq!(items[0].kind, Kind::Number("1.0e-2".to_owned()));
        assert_eq!(position(items[0].at), (2, 20));
    }

    #[test]
    fn malformed_text_says_where() {
        let mut seen = String::new();
        for text in ["{\"a\" 1}", "{\"é\": 1,}", "[1, 2", "\"\\ud800\"", "{} x", "[01]", "nope", "[1,\n 2 3]"] {
            let problem = parse(text, Format::Json).unwrap_err();
            let at = problem.at.unwrap();
            seen += &format!("{text:?} {}:{} {}\n", at.line, at.column, problem.message);
        }
        insta::assert_snapshot!(seen, @r#"
        "{\"a\" 1}" 1:6 expected `:`
        "{\"é\": 1,}" 1:9 key must be a string
        "[1, 2" 1:5 EOF while parsing a list
        "\"\\ud800\"" 1:1 unexpected end of hex escape
        "{} x" 1:4 trailing characters
        "[01]" 1:3 invalid number
        "nope" 1:2 expected ident
        "[1,\n 2 3]" 2:4 expected `,` or `]`
        "#);
    }
}
