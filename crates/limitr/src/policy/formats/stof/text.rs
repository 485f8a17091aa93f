//! The smallest pieces of Stof text: space and comments, names, strings, numbers.

use stof::parser::number::number as crate_number;
use stof::runtime::{Num, Val};

use super::super::lines::Lines;
use super::super::{syntax, text_problem};
use crate::policy::node::quoted;
use crate::{Position, Problem};

/// What comments begin with that document something.
const DOCUMENTING: [&str; 3] = ["///", "/**", "/*!"];

/// A place in a text.
pub(super) struct Cursor<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
    lines: &'t Lines<'t>,
}

/// A number as it is written.
pub(super) struct Number {
    /// Its decimal digits, without what only groups them.
    pub(super) digits: String,
    /// Its unit; empty when it has none.
    pub(super) unit: String,
}

impl<'t> Cursor<'t> {
    pub(super) const fn new(text: &'t str, lines: &'t Lines<'t>) -> Self {
        Self { text, at: 0, lines }
    }

    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn position(&self, offset: usize) -> Option<Position> {
        self.lines.position(offset)
    }

    pub(super) fn starts_with(&self, token: &str) -> bool {
        self.rest().starts_with(token)
    }

    /// Takes `token` when it is next.
    pub(super) fn take(&mut self, token: &str) -> bool {
        let found = self.starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    pub(super) fn syntax(&self, offset: usize, message: impl Into<String>) -> Problem {
        syntax(self.position(offset), message)
    }

    pub(super) fn hinted(&self, offset: usize, message: impl Into<String>, hint: &str) -> Problem {
        text_problem("syntax", self.position(offset), message.into(), Some(hint))
    }

    pub(super) fn forbidden(&self, offset: usize, message: impl Into<String>, hint: Option<&str>) -> Problem {
        text_problem("stof_forbidden", self.position(offset), message.into(), hint)
    }

    /// What a message calls the text that is next.
    pub(super) fn found(&self) -> String {
        match self.rest().chars().next() {
            None => "the end".to_owned(),
            Some(char) if is_name(char) || char.is_ascii_digit() => {
                quoted(self.rest().split(|char: char| !is_name(char)).next().unwrap_or_default())
            }
            Some(char) => quoted(char.encode_utf8(&mut [0; 4])),
        }
    }

    /// Skips white space.
    pub(super) fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    /// Skips white space and comments. Comments that document something stand only before what they document.
    pub(super) fn skip(&mut self) -> Result<(), Problem> {
        self.skip_plain()?;
        if self.is_documentation() {
            let hint = "write `//`, or `/* ... */` with a space";
            return Err(self.hinted(self.at, "this comment documents nothing that follows", hint));
        }
        Ok(())
    }

    /// Skips white space, comments, and one run of comments that document what follows; tells whether there was one.
    pub(super) fn skip_documentation(&mut self) -> Result<bool, Problem> {
        self.skip_plain()?;
        let start = self.at;
        loop {
            self.space();
            if self.starts_with("///") {
                self.line();
            } else if self.starts_with("/**") {
                self.block("/**")?;
            } else {
                break;
            }
        }
        let any = self.text.get(start..self.at).is_some_and(|text| text.contains('/'));
        self.skip_plain()?;
        Ok(any)
    }

    /// Skips comments that document the object around them.
    pub(super) fn skip_inner_documentation(&mut self) -> Result<(), Problem> {
        self.skip_plain()?;
        while self.starts_with("/*!") {
            self.block("/*!")?;
            self.skip_plain()?;
        }
        Ok(())
    }

    /// Skips white space and comments up to one that documents something.
    pub(super) fn skip_plain(&mut self) -> Result<(), Problem> {
        loop {
            self.space();
            if self.is_documentation() {
                return Ok(());
            }
            if self.starts_with("//") {
                self.line();
            } else if self.starts_with("/*") {
                self.block("/*")?;
            } else {
                return Ok(());
            }
        }
    }

    /// Whether a comment is next that documents something.
    pub(super) fn is_documentation(&self) -> bool {
        DOCUMENTING.iter().any(|opening| self.starts_with(opening))
    }

    fn line(&mut self) {
        self.at += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    fn block(&mut self, opening: &str) -> Result<(), Problem> {
        let length = self.rest().get(opening.len()..).and_then(|rest| rest.find("*/"));
        let length = length.ok_or_else(|| self.syntax(self.at, "this comment is not closed"))?;
        self.at += opening.len() + length + 2;
        Ok(())
    }

    /// A name without quotes; empty when there is none.
    pub(super) fn word(&mut self) -> &'t str {
        let rest = self.rest();
        let begins = rest.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_');
        let length = if begins { rest.find(|char: char| !is_name(char)).unwrap_or(rest.len()) } else { 0 };
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// The word that is next, which stays there.
    pub(super) fn next_word(&self) -> &'t str {
        Cursor { text: self.text, at: self.at, lines: self.lines }.word()
    }

    /// Text in single or double quotes, or raw.
    pub(super) fn string(&mut self) -> Result<String, Problem> {
        let start = self.at;
        if self.take("r#\"") {
            let length = self.rest().find("\"#").ok_or_else(|| self.syntax(start, "this text is not closed"))?;
            let text = self.rest().get(..length).unwrap_or_default().to_owned();
            self.at += length + 2;
            return Ok(text);
        }
        let quote = self.rest().chars().next().unwrap_or('"');
        self.at += quote.len_utf8();
        self.until(quote, start)
    }

    /// Text up to a quote, with what a backslash stands for.
    pub(super) fn until(&mut self, quote: char, start: usize) -> Result<String, Problem> {
        let mut text = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((at, char)) = chars.next() {
            match char {
                '\\' => text.push(match chars.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, 'r')) => '\r',
                    Some((_, 't')) => '\t',
                    Some((_, '\\')) => '\\',
                    Some((_, char)) if char == quote => char,
                    escaped => {
                        let shown = escaped.map_or(String::new(), |(_, char)| char.to_string());
                        let message = format!("unknown escape {}", quoted(&format!("\\{shown}")));
                        let hint = "write `\\\\` for a backslash, or raw text: `r#\"...\"#`";
                        return Err(self.hinted(self.at + at, message, hint));
                    }
                }),
                _ if char == quote => {
                    self.at += at + char.len_utf8();
                    return Ok(text);
                }
                _ => text.push(char),
            }
        }
        Err(self.syntax(start, "this text is not closed"))
    }

    /// A number of the data.
    pub(super) fn number(&mut self) -> Result<Number, Problem> {
        self.any_number(false)
    }

    /// A number in an expression, where a method may follow: `5.round()`.
    pub(super) fn number_in_code(&mut self) -> Result<Number, Problem> {
        self.any_number(true)
    }

    fn any_number(&mut self, methods: bool) -> Result<Number, Problem> {
        let start = self.at;
        let negative = self.take("-");
        if !negative {
            self.take("+");
        }
        let sign = if negative { "-" } else { "" };
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
            if self.take(prefix) {
                let digits = self.run(|char| char.is_digit(radix) || char == '_').replace('_', "");
                let whole = u128::from_str_radix(&digits, radix);
                let whole = whole.map_err(|_| self.syntax(start, "this is not a number that can be kept"))?;
                self.no_more(start, methods)?;
                return Ok(Number { digits: format!("{sign}{whole}"), unit: String::new() });
            }
        }
        let is_digit = |char: char| char.is_ascii_digit() || char == '_';
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            let hint = "a number begins with a digit: `0.5`";
            return Err(self.hinted(start, format!("expected a number, found {}", self.found()), hint));
        }
        let mut digits = format!("{sign}{}", self.run(is_digit).replace('_', ""));
        let method = methods && self.rest().strip_prefix('.').is_some_and(|after| !after.starts_with(is_digit));
        if !method && self.take(".") {
            let fraction = self.run(is_digit).replace('_', "");
            if !fraction.is_empty() {
                digits.extend([".", &fraction]);
            }
        }
        let rest = self.rest();
        if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
            let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if unsigned.starts_with(|char: char| char.is_ascii_digit()) {
                self.at += rest.len() - unsigned.len();
                let sign = if exponent.starts_with('-') { "-" } else { "" };
                digits.extend(["e", sign, &self.run(is_digit).replace('_', "")]);
            }
        }
        let unit = self.run(|char| char.is_ascii_alphabetic()).to_owned();
        if !unit.is_empty() && !is_unit(&unit) {
            let literal = self.text.get(start..self.at).unwrap_or_default();
            let message = format!("{} is no number of Stof: it has no unit {}", quoted(literal), quoted(&unit));
            return Err(self.hinted(start, message, &format!("write it as text: `\"{digits}{unit}\"`")));
        }
        self.no_more(start, methods)?;
        Ok(Number { digits, unit })
    }

    /// That a number ends where it seems to.
    fn no_more(&self, start: usize, methods: bool) -> Result<(), Problem> {
        if self.rest().starts_with(|char: char| is_name(char) && char != '-' || char == '.' && !methods) {
            let more = self.rest().find(|char: char| !is_name(char) && char != '.').unwrap_or(self.rest().len());
            let literal = self.text.get(start..self.at + more).unwrap_or_default();
            return Err(self.hinted(start, format!("{} is no number", quoted(literal)), "put text in quotes"));
        }
        Ok(())
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|char: char| !belongs(char)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }
}

/// Whether a character can stand in a name without quotes. Stof takes `@`, `<` and `>` too, which no policy needs.
pub(super) fn is_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '_' | '-')
}

/// Whether Stof takes a number with this unit.
fn is_unit(unit: &str) -> bool {
    matches!(crate_number(&format!("1{unit}")), Ok(("", Val::Num(Num::Units(..)))))
}
