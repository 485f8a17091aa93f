//! The expressions of functions.

use super::grammar::{Body, is_keyword, safe};
use super::text::Cursor;
use crate::Problem;
use crate::logic::callable;
use crate::policy::node::quoted;

/// What stands between operands, longest first. Precedence is the crate's business: the order stays.
const OPERATORS: &[&str] = &["&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%"];
/// Those that the crate has too, and that make it panic when the right side is large.
const BITWISE: &[&str] = &["<<", ">>", "&", "|", "^"];

/// Most operands of an expression, and most branches of an `if`.
const MAX_JOINED: usize = 256;

impl Body {
    /// `a + b as float ?? c ? d : e`
    pub(super) fn expression(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        self.deeper(cursor, Self::any_expression)
    }

    fn any_expression(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        self.operand(cursor)?;
        let mut joined = 0;
        loop {
            cursor.skip()?;
            if cursor.starts_with("=>") {
                return Err(Self::arrow(cursor));
            }
            if BITWISE.iter().any(|operator| cursor.starts_with(operator))
                && !cursor.starts_with("&&")
                && !cursor.starts_with("||")
            {
                return Err(cursor.forbidden(cursor.at, "a function of a policy does not compute with bits", None));
            }
            let Some(operator) = OPERATORS.iter().find(|operator| cursor.starts_with(operator)) else { break };
            joined += 1;
            Self::not_too_long(cursor, joined)?;
            cursor.at += operator.len();
            self.out.extend([" ", operator, " "]);
            self.operand(cursor)?;
        }
        if cursor.next_word() == "as" {
            self.keyword(cursor, "as")?;
            let kind = self.kind(cursor)?;
            self.out.extend([" as ", &kind]);
            cursor.skip()?;
        }
        if cursor.take("??") {
            self.out.push_str(" ?? ");
            return self.expression(cursor);
        }
        if cursor.take("?") {
            self.out.push_str(" ? ");
            self.expression(cursor)?;
            self.expect(cursor, ":")?;
            self.out.push_str(" : ");
            return self.expression(cursor);
        }
        Ok(())
    }

    /// That the crate can let go of what was joined: each part lies in the next, and it recurses through them.
    pub(super) fn not_too_long(cursor: &Cursor<'_>, joined: usize) -> Result<(), Problem> {
        if joined <= MAX_JOINED {
            return Ok(());
        }
        let message = format!("more than {MAX_JOINED} parts are joined here");
        Err(cursor.forbidden(cursor.at, message, Some("name some of them with `let`, or look values up in a map")))
    }

    fn arrow(cursor: &Cursor<'_>) -> Problem {
        let hint = "write a loop, or a function beside this one";
        cursor.forbidden(cursor.at, "a function of a policy makes no functions", Some(hint))
    }

    /// What an operator joins.
    fn operand(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        cursor.skip()?;
        let start = cursor.at;
        match cursor.peek() {
            Some(b'!') => {
                cursor.at += 1;
                self.out.push_str("!(");
                self.deeper(cursor, Self::operand)?;
                self.out.push(')');
                Ok(())
            }
            Some(b'-') => self.negative(cursor),
            Some(b'0'..=b'9') => self.number(cursor),
            Some(b'"' | b'\'') => self.text(cursor),
            Some(b'r') if cursor.starts_with("r#\"") => self.text(cursor),
            Some(b'`') => self.template(cursor),
            Some(b'[') => self.list(cursor),
            Some(b'{') => self.map(cursor),
            Some(b'(') => self.parentheses(cursor),
            Some(b'&') => {
                let message = "a function of a policy has no references";
                Err(cursor.forbidden(start, message, Some("leave the `&` out")))
            }
            Some(b'|') => Err(cursor.forbidden(start, "a function of a policy has no binary data", None)),
            _ => self.named(cursor),
        }
    }

    fn negative(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        cursor.at += 1;
        if cursor.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            cursor.at -= 1;
            return self.number(cursor);
        }
        self.out.push_str("-(");
        self.deeper(cursor, Self::operand)?;
        self.out.push(')');
        Ok(())
    }

    fn number(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        let number = cursor.number_in_code()?;
        self.out.extend(["(", &number.digits, &number.unit, ")"]);
        self.methods(cursor)
    }

    fn text(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        let text = cursor.string()?;
        self.quote(&text);
        self.methods(cursor)
    }

    fn quote(&mut self, text: &str) {
        self.out.push('"');
        for char in text.chars() {
            match char {
                '"' | '\\' => self.out.extend(['\\', char]),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                _ => self.out.push(char),
            }
        }
        self.out.push('"');
    }

    /// `` `used ${percent} %` ``, written as the sum that it is.
    fn template(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        let start = cursor.at;
        cursor.at += 1;
        self.out.push('(');
        let mut plain = String::new();
        self.out.push_str("\"\"");
        let mut joined = 0;
        loop {
            let Some(char) = cursor.rest().chars().next() else {
                return Err(cursor.syntax(start, "this text is not closed"));
            };
            if cursor.take("`") {
                break;
            }
            if cursor.take("${") {
                joined += 2;
                Self::not_too_long(cursor, joined)?;
                self.out.push_str(" + ");
                self.quote(&std::mem::take(&mut plain));
                self.out.push_str(" + str(");
                let inner = cursor.at;
                self.expression(cursor)?;
                if cursor.text.get(inner..cursor.at).is_some_and(|inner| inner.contains(['\\', '`'])) {
                    // Stof would read them twice.
                    let hint = "declare it with `let` before";
                    return Err(cursor.hinted(inner, "a backslash or a backquote cannot stand in `${}`", hint));
                }
                self.expect(cursor, "}")?;
                self.out.push(')');
                continue;
            }
            cursor.at += char.len_utf8();
            if char != '\\' {
                plain.push(char);
                continue;
            }
            let escaped = cursor.rest().chars().next();
            plain.push(match escaped {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some(char @ ('\\' | '`' | '$')) => char,
                _ => return Err(cursor.hinted(cursor.at - 1, "unknown escape", "write `\\\\` for a backslash")),
            });
            cursor.at += 1;
        }
        self.out.push_str(" + ");
        self.quote(&plain);
        self.out.push(')');
        self.methods(cursor)
    }

    fn list(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        self.expect(cursor, "[")?;
        self.out.push_str("([");
        self.arguments(cursor, "]")?;
        self.out.push_str("])");
        self.methods(cursor)
    }

    /// Expressions up to what closes them.
    fn arguments(&mut self, cursor: &mut Cursor<'_>, close: &str) -> Result<(), Problem> {
        let mut any = false;
        while !self.next(cursor, close)? {
            if any {
                self.out.push_str(", ");
            }
            any = true;
            self.expression(cursor)?;
            if !self.next(cursor, ",")? {
                if self.peeks(cursor, "=")? {
                    let hint = "write the values in the order of the parameters";
                    return Err(cursor.forbidden(cursor.at, "arguments are not named in a policy", Some(hint)));
                }
                return self.expect(cursor, close);
            }
        }
        Ok(())
    }

    fn map(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        let start = cursor.at;
        self.expect(cursor, "{")?;
        if self.peeks(cursor, "}")? {
            return Err(cursor.hinted(
                start,
                "empty braces are an empty set, or an empty map?",
                "write `map()` or `set()`",
            ));
        }
        self.out.push_str("({");
        let mut any = false;
        while !self.next(cursor, "}")? {
            if any {
                self.out.push_str(", ");
            }
            any = true;
            let key = cursor.at;
            if !matches!(cursor.peek(), Some(b'"' | b'\'' | b'0'..=b'9')) {
                let hint = "the keys of a map are written as text: `{\"name\": value}`";
                return Err(cursor.hinted(key, format!("expected a key, found {}", cursor.found()), hint));
            }
            self.constant(cursor)?;
            if self.peeks(cursor, ",")? || self.peeks(cursor, "}")? {
                return Err(cursor.hinted(start, "a set in braces could be taken for an object", "write `set(1, 2)`"));
            }
            self.expect(cursor, ":")?;
            self.out.push_str(": ");
            self.expression(cursor)?;
            if !self.next(cursor, ",")? {
                self.expect(cursor, "}")?;
                break;
            }
        }
        self.out.push_str("})");
        self.methods(cursor)
    }

    /// `(a + b)`, or a tuple.
    fn parentheses(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        let start = cursor.at;
        self.expect(cursor, "(")?;
        self.out.push('(');
        self.expression(cursor)?;
        if self.peeks(cursor, ",")? || self.peeks(cursor, ":")? {
            let after = self.peeks(cursor, ":")?;
            let message = if after {
                "a function of a policy makes no functions"
            } else {
                "a function of a policy has no tuples"
            };
            let hint = if after { "write a loop, or a function beside this one" } else { "make a list: `[a, b]`" };
            return Err(cursor.forbidden(start, message, Some(hint)));
        }
        self.expect(cursor, ")")?;
        self.out.push(')');
        self.methods(cursor)
    }

    /// A value that is known without running anything.
    pub(super) fn constant(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        cursor.skip()?;
        let start = cursor.at;
        match cursor.peek() {
            Some(b'"' | b'\'') => {
                let text = cursor.string()?;
                self.quote(&text);
            }
            Some(b'0'..=b'9' | b'-') => {
                let number = cursor.number()?;
                self.out.extend([number.digits, number.unit]);
            }
            _ => match cursor.word() {
                word @ ("true" | "false" | "null") => self.out.push_str(word),
                _ => {
                    cursor.at = start;
                    let message = format!("expected a literal, found {}", cursor.found());
                    return Err(cursor.hinted(start, message, "what is run on loading is refused"));
                }
            },
        }
        Ok(())
    }

    /// What begins with a name: a word of the language, a variable, a path, a call.
    fn named(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        let start = cursor.at;
        let word = cursor.word();
        match word {
            "" => return Err(cursor.syntax(start, format!("expected a value, found {}", cursor.found()))),
            "true" | "false" | "null" => {
                self.out.push_str(word);
                return Ok(());
            }
            "typeof" | "typename" => {
                self.out.extend(["(", word, " "]);
                self.deeper(cursor, Self::operand)?;
                self.out.push(')');
                return Ok(());
            }
            "self" | "super" | "root" => {}
            _ if is_keyword(word) => return Err(Self::refuse(cursor, start, word)),
            _ => {}
        }
        let after = cursor.at;
        cursor.skip()?;
        if cursor.take("::") || cursor.peek() == Some(b'(') {
            return self.library(cursor, word, start, after);
        }
        cursor.at = after;
        if matches!(word, "self" | "super" | "root") {
            self.out.push_str(word);
        } else if callable::is_library(word) && cursor.starts_with(".") && !self.is_declared(word) {
            cursor.at += 1;
            return self.library(cursor, word, start, after);
        } else {
            self.used.push((word.to_owned(), start));
            self.out.push_str(&safe(word));
        }
        self.chain(cursor)
    }

    /// `max(a, b)`, `Num::round(x)`, `Num.round(x)`.
    fn library(&mut self, cursor: &mut Cursor<'_>, word: &str, start: usize, after: usize) -> Result<(), Problem> {
        let bare = cursor.peek() == Some(b'(')
            && cursor.text.get(after..cursor.at).is_some_and(|text| !text.contains(['.', ':']));
        let (library, function) = if bare { ("Std", word) } else { (word, cursor.word()) };
        if !callable::is_function(library, function) {
            let shown = if bare { function.to_owned() } else { format!("{library}.{function}") };
            let message = format!("{} is no function that a policy can call", quoted(&format!("{shown}()")));
            let hint =
                if bare { "a function of the object is `self.name()`" } else { "the reference lists those there are" };
            return Err(cursor.forbidden(start, message, Some(hint)));
        }
        if bare {
            self.out.push_str(function);
        } else {
            self.out.extend([library, "::", function]);
        }
        self.expect(cursor, "(")?;
        self.out.push('(');
        self.arguments(cursor, ")")?;
        self.out.push(')');
        self.chain(cursor)
    }

    /// What may follow a value that is written out.
    fn methods(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        if cursor.starts_with("?.") {
            return Err(cursor.hinted(cursor.at, "`?.` follows a name", "name the value with `let` before"));
        }
        self.chain(cursor)
    }

    /// `.field`, `?.field`, `.method(...)`, `[index]`, any number of them.
    fn chain(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        loop {
            let start = cursor.at;
            if cursor.take("[") {
                self.out.push_str(".at(");
                self.expression(cursor)?;
                self.expect(cursor, "]")?;
                self.out.push(')');
                continue;
            }
            let dot = if cursor.take("?.") { "?." } else { "." };
            if dot == "." && !cursor.take(".") {
                return Ok(());
            }
            let name = cursor.word();
            if name.is_empty() {
                return Err(cursor.syntax(start, format!("expected the name of a field, found {}", cursor.found())));
            }
            self.out.extend([dot, name]);
            if cursor.take("(") {
                self.out.push('(');
                self.arguments(cursor, ")")?;
                self.out.push(')');
            }
        }
    }
}
