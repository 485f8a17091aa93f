//! Text into tokens, each with its place.

use super::Mistake;
use crate::Amount;

/// A piece of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'t> {
    /// A whole number of 64 bits; its sign is an operator.
    Int(u64),
    Double(Amount),
    Text(String),
    /// A name, or one of the words `true`, `false`, `null` and `in`.
    Name(&'t str),
    /// A field in backticks, which may have other characters than a name.
    Field(&'t str),
    /// An operator or a bracket.
    Mark(&'static str),
    End,
}

/// Longer marks first: `<=` is not `<`.
const MARKS: &[&str] = &[
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",", "(", ")", "[", "]",
    "{", "}",
];

/// Reads one token after the other.
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next token and where it begins.
    pub(super) fn next(&mut self) -> Result<(Token<'t>, usize), Mistake> {
        self.skip_blanks();
        let at = self.at;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok((Token::End, at)) };
        if first.is_ascii_digit() || (first == '.' && rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit)) {
            return Ok((self.number()?, at));
        }
        if let Some((raw, quote)) = opening(rest) {
            return Ok((self.text(raw, quote)?, at));
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let name = self.take(|char| char.is_ascii_alphanumeric() || char == '_');
            let bytes = matches!(name, "b" | "B" | "br" | "bR" | "Br" | "BR" | "rb" | "rB" | "Rb" | "RB");
            if bytes && self.rest().starts_with(['"', '\'']) {
                return Err(Mistake::syntax(at, "there are no bytes here").hinted(Some("leave the `b` out")));
            }
            return Ok((Token::Name(name), at));
        }
        if first == '`' {
            return Ok((self.field()?, at));
        }
        if let Some(mark) = MARKS.iter().find(|mark| rest.starts_with(**mark)) {
            self.at += mark.len();
            return Ok((Token::Mark(mark), at));
        }
        let hint = match first {
            '=' => Some("write `==` to compare"),
            '&' => Some("write `&&` for and"),
            '|' => Some("write `||` for or"),
            _ => None,
        };
        Err(Mistake::syntax(at, format!("unexpected `{first}`")).hinted(hint))
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            self.at += blank;
            if blank == 0 {
                if !rest.starts_with("//") {
                    return;
                }
                self.at += rest.find('\n').unwrap_or(rest.len());
            }
        }
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|char| !belongs(char)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn number(&mut self) -> Result<Token<'t>, Mistake> {
        let at = self.at;
        let (number, after) = if self.rest().starts_with("0x") || self.rest().starts_with("0X") {
            self.at += 2;
            let digits = self.take(|char| char.is_ascii_hexdigit());
            if digits.is_empty() {
                return Err(Mistake::syntax(at, "this number has no digits"));
            }
            (u64::from_str_radix(digits, 16).ok().map(Token::Int), self.at)
        } else {
            let length = numeral(self.rest());
            let digits = self.rest().get(..length).unwrap_or_default();
            self.at += length;
            let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
            let number = if whole { digits.parse().ok().map(Token::Int) } else { None };
            // A whole number beyond 64 bits is still an exact amount.
            (number.or_else(|| digits.parse().ok().map(Token::Double)), self.at)
        };
        let tail = self.take(|char| char.is_ascii_alphanumeric() || char == '_');
        match (number, tail) {
            (Some(number), "") => Ok(number),
            (Some(_), "u" | "U") => {
                Err(Mistake::syntax(after, "numbers have no `u` here").hinted(Some("leave the `u` out")))
            }
            (Some(_), tail) => Err(Mistake::syntax(after, format!("unexpected `{tail}` after a number"))),
            (None, _) => Err(Mistake::syntax(at, "this number is out of range")),
        }
    }

    /// A field in backticks.
    fn field(&mut self) -> Result<Token<'t>, Mistake> {
        let start = self.at;
        self.at += 1;
        let field = self.take(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '.' | '-' | '/' | ' '));
        if !self.rest().starts_with('`') {
            let mistake = Mistake::syntax(start, "this field has no end");
            return Err(mistake.hinted(Some("look other names up as in `map[\"name\"]`")));
        }
        self.at += 1;
        if field.is_empty() { Err(Mistake::syntax(start, "this field has no name")) } else { Ok(Token::Field(field)) }
    }

    /// Text between quotes, its escapes resolved.
    fn text(&mut self, raw: bool, quote: &'static str) -> Result<Token<'t>, Mistake> {
        let start = self.at;
        self.at += usize::from(raw) + quote.len();
        let mut text = String::new();
        loop {
            let rest = self.rest();
            if rest.starts_with(quote) {
                self.at += quote.len();
                return Ok(Token::Text(text));
            }
            let Some(char) = rest.chars().next() else {
                return Err(Mistake::syntax(start, "this text has no end").hinted(Some("close it with the same quote")));
            };
            if quote.len() == 1 && matches!(char, '\n' | '\r') {
                return Err(Mistake::syntax(start, "this text has no end on its line"));
            }
            if char == '\\' && !raw {
                text.push(self.escape()?);
            } else {
                self.at += char.len_utf8();
                text.push(char);
            }
        }
    }

    fn escape(&mut self) -> Result<char, Mistake> {
        let at = self.at;
        let unknown = || Mistake::syntax(at, "unknown escape in text").hinted(Some("write `\\\\` for a backslash"));
        let kind = self.rest().chars().nth(1).ok_or_else(unknown)?;
        self.at += 1 + kind.len_utf8();
        let plain = match kind {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'v' => '\x0b',
            '\\' | '\'' | '"' | '`' | '?' => kind,
            _ => {
                let (digits, radix) = match kind {
                    'x' | 'X' => (2, 16),
                    'u' => (4, 16),
                    'U' => (8, 16),
                    '0'..='3' => {
                        self.at -= 1;
                        (3, 8)
                    }
                    _ => return Err(unknown()),
                };
                let code = self.rest().get(..digits).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
                let code = code.and_then(|code| u32::from_str_radix(code, radix).ok());
                self.at += digits;
                return code.and_then(char::from_u32).ok_or_else(unknown);
            }
        };
        Ok(plain)
    }
}

/// How many bytes at the beginning are a decimal number.
pub(super) fn numeral(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = digits(0);
    // `1.5`, but `[1].size()` and `1.x` are no numbers with a point.
    if bytes.get(length) == Some(&b'.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + sign);
        if exponent > 0 {
            length += 1 + sign + exponent;
        }
    }
    length
}

/// Whether a text begins here: raw or not, and the quote that ends it.
fn opening(rest: &str) -> Option<(bool, &'static str)> {
    let unprefixed = rest.strip_prefix(['r', 'R']);
    let quoted = unprefixed.unwrap_or(rest);
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| quoted.starts_with(quote))?;
    Some((unprefixed.is_some(), quote))
}
