//! Text with expressions in braces: `{customer.label} used 80% of {entitlement}`.

use super::expression::{Host, Mistake, Scope, Type, Value};
use super::program::{LogicError, Program};

/// A message's text and what stands in its braces.
#[derive(Debug, Default)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Program(Program),
}

impl Template {
    /// Reads `text`; a brace that is meant as one is doubled.
    pub(super) fn compile(text: &str, place: &str, scope: &Scope<'_>) -> Result<Self, Mistake> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(char) = rest.chars().next() {
            let at = text.len() - rest.len();
            let after = rest.get(char.len_utf8()..).unwrap_or_default();
            match char {
                '{' | '}' if after.starts_with(char) => {
                    plain.push(char);
                    rest = after.get(1..).unwrap_or_default();
                }
                '{' => {
                    let length = closing(after).ok_or_else(|| {
                        Mistake::syntax(at, "this brace is not closed").hinted(Some("write `{{` for a brace itself"))
                    })?;
                    let (inner, outer) = after.split_at_checked(length).unwrap_or_default();
                    let program = Program::compile(inner, place.to_owned(), scope, &Type::Any);
                    let program = program.map_err(|mistake| Mistake { at: mistake.at + at + 1, ..mistake })?;
                    parts.extend((!plain.is_empty()).then(|| Part::Text(std::mem::take(&mut plain))));
                    parts.push(Part::Program(program));
                    rest = outer.get(1..).unwrap_or_default();
                }
                '}' => {
                    let mistake = Mistake::syntax(at, "this brace closes nothing");
                    return Err(mistake.hinted(Some("write `}}` for a brace itself")));
                }
                _ => {
                    plain.push(char);
                    rest = after;
                }
            }
        }
        parts.extend((!plain.is_empty()).then_some(Part::Text(plain)));
        Ok(Self { parts })
    }

    /// The text, and what is to be reported of it; what failed stands there as it is written.
    pub(super) fn text<'a>(&'a self, variables: &[Value<'a>], host: &dyn Host, now: i64) -> (String, Vec<LogicError>) {
        let (mut text, mut errors) = (String::new(), Vec::new());
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Program(program) => match program.run(variables, host) {
                    Ok(value) => text.push_str(&value.shown()),
                    Err(error) => {
                        text.extend(["{", &error.expression, "}"]);
                        errors.extend(program.is_due(now).then_some(*error));
                    }
                },
            }
        }
        (text, errors)
    }
}

/// Where the brace is that ends what begins here: not one in quotes, nor one that closes another.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    for (at, char) in text.char_indices() {
        match (quote, char) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if open == char => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(char),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(at),
            (None, '}') => depth -= 1,
            _ => {}
        }
    }
    None
}
