//! What a function may consist of: its head and its statements. Expressions are beside it.
//!
//! The crate takes exponential time to refuse some malformed bodies, runs the cases of a `switch` while it reads, and takes
//! `letter = 5` for `let ter = 5`. So a body is recognised here first, and the crate is given a canonical text of it: one
//! spelling, no comments, names that nothing can be mistaken for.

use std::collections::HashSet;

use stof::runtime::Units;

use super::Parameter;
use super::text::Cursor;
use crate::Problem;
use crate::policy::node::quoted;

/// Most levels of statements and expressions in a function: the crate's reader recurses for each.
const MAX_LEVELS: usize = 24;
/// Most bytes of all functions together.
const MAX_BYTES: usize = 256 * 1024;
/// Most `switch` statements of a document: the crate takes half a millisecond for each.
const MAX_SWITCHES: usize = 64;

/// Types that parameters, variables and results can have, beside units.
const TYPES: &[&str] = &["int", "float", "str", "bool", "list", "map", "set", "obj", "unknown", "null", "void"];

/// What the crate may take the beginning of a name for.
const KEYWORDS: &[&str] = &[
    "as", "async", "await", "break", "case", "catch", "const", "continue", "data", "default", "else", "false", "fn",
    "for", "if", "import", "in", "let", "loop", "new", "null", "on", "return", "root", "self", "super", "switch",
    "this", "true", "try", "typename", "typeof", "using", "void", "while",
];

/// Variables that a loop over something has beside its own.
const OF_LOOPS: [&str; 5] = ["iterable", "length", "index", "first", "last"];

/// What the first line of a function says, and the function as the crate is given it.
pub(super) struct Header {
    pub(super) name: String,
    pub(super) parameters: Vec<Parameter>,
    pub(super) returns: Option<String>,
    pub(super) canonical: String,
}

/// Reads functions and writes them as the crate is given them.
#[derive(Default)]
pub(super) struct Body {
    pub(super) out: String,
    levels: usize,
    bytes: usize,
    switches: usize,
    /// Names of parameters and variables.
    declared: HashSet<String>,
    /// Names that must be among them, and where they stand.
    pub(super) used: Vec<(String, usize)>,
}

impl Body {
    /// A whole function, from `fn` to its last brace.
    pub(super) fn function(&mut self, cursor: &mut Cursor<'_>) -> Result<Header, Problem> {
        let start = cursor.at;
        self.out.clear();
        self.declared.clear();
        self.used.clear();
        self.keyword(cursor, "fn")?;
        let name_at = cursor.at;
        let name = cursor.word().to_owned();
        if name.is_empty() {
            return Err(cursor.syntax(name_at, format!("expected the name of a function, found {}", cursor.found())));
        }
        self.out.extend(["fn ", &name]);
        let parameters = self.parameters(cursor)?;
        let mut returns = None;
        if self.next(cursor, "->")? {
            returns = Some(self.kind(cursor)?).filter(|kind| kind != "void");
            if let Some(kind) = &returns {
                self.out.extend([" -> ", kind]);
            }
        }
        self.out.push(' ');
        self.block(cursor)?;
        self.bytes += cursor.at - start;
        if self.bytes > MAX_BYTES {
            let message = format!("the functions have more than {MAX_BYTES} bytes together");
            return Err(cursor.forbidden(start, message, None));
        }
        for (name, at) in std::mem::take(&mut self.used) {
            if !self.declared.contains(&name) {
                let message = format!("{} is no parameter or variable of this function", quoted(&name));
                let hint = if name.contains('-') {
                    "`-` is part of names; to subtract, put spaces around it"
                } else {
                    "a field of the object is `self.name`, one of the document `root.policy.name`"
                };
                return Err(cursor.hinted(at, message, hint));
            }
        }
        Ok(Header { name, parameters, returns, canonical: self.out.clone() })
    }

    /// Whether a variable of this name was declared so far.
    pub(super) fn is_declared(&self, name: &str) -> bool {
        self.declared.contains(name)
    }

    fn parameters(&mut self, cursor: &mut Cursor<'_>) -> Result<Vec<Parameter>, Problem> {
        let mut parameters = Vec::new();
        self.expect(cursor, "(")?;
        self.out.push('(');
        while !self.next(cursor, ")")? {
            if !parameters.is_empty() {
                self.out.push_str(", ");
            }
            let name = self.declare(cursor)?;
            let optional = cursor.take("?");
            self.expect(cursor, ":")?;
            let kind = self.kind(cursor)?;
            self.out.extend([if optional { "?: " } else { ": " }, &kind]);
            let default = self.next(cursor, "=")?;
            if default {
                self.out.push_str(" = ");
                self.constant(cursor)?;
            }
            parameters.push(Parameter { name, kind, optional: optional || default });
            if !self.next(cursor, ",")? {
                self.expect(cursor, ")")?;
                break;
            }
        }
        self.out.push(')');
        Ok(parameters)
    }

    /// A type.
    pub(super) fn kind(&mut self, cursor: &mut Cursor<'_>) -> Result<String, Problem> {
        cursor.skip()?;
        let start = cursor.at;
        let word = cursor.word();
        let units = Units::from(word);
        if TYPES.contains(&word) || !word.is_empty() && units.has_units() && !units.is_undefined() {
            return Ok(word.to_owned());
        }
        let found = if word.is_empty() { cursor.found() } else { quoted(word) };
        let hint = "a type is `float`, `int`, `str`, `bool`, `obj`, `map`, `list`, `set`, `unknown` or a unit";
        Err(cursor.hinted(start, format!("expected a type, found {found}"), hint))
    }

    /// The name of a new variable, written out.
    fn declare(&mut self, cursor: &mut Cursor<'_>) -> Result<String, Problem> {
        cursor.skip()?;
        let start = cursor.at;
        let name = cursor.word();
        if name.is_empty() || KEYWORDS.contains(&name) || name.contains('-') {
            let found = if name.is_empty() { cursor.found() } else { quoted(name) };
            return Err(cursor.syntax(start, format!("expected the name of a variable, found {found}")));
        }
        self.declared.insert(name.to_owned());
        let safe = safe(name);
        self.out.push_str(&safe);
        Ok(name.to_owned())
    }

    /// A block: `{ ... }`.
    fn block(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        let open = cursor.at;
        self.expect(cursor, "{")?;
        self.out.push('{');
        while !self.next(cursor, "}")? {
            if cursor.peek().is_none() {
                cursor.at = open;
                cursor.skip()?;
                return Err(cursor.syntax(cursor.at, "this brace is not closed"));
            }
            self.out.push(' ');
            self.statement(cursor)?;
        }
        self.out.push_str(" }");
        Ok(())
    }

    /// One level deeper.
    pub(super) fn deeper(
        &mut self,
        cursor: &mut Cursor<'_>,
        read: impl FnOnce(&mut Self, &mut Cursor<'_>) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        if self.levels >= MAX_LEVELS {
            let message = format!("this function is nested deeper than {MAX_LEVELS} levels");
            return Err(cursor.forbidden(
                cursor.at,
                message,
                Some("name parts of it with `let`, or give them functions"),
            ));
        }
        self.levels += 1;
        let result = read(self, cursor);
        self.levels -= 1;
        result
    }

    fn statement(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        self.deeper(cursor, Self::any_statement)
    }

    fn any_statement(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        cursor.skip()?;
        let start = cursor.at;
        if cursor.peek() == Some(b'{') {
            return self.block(cursor);
        }
        if cursor.take(";") {
            return Ok(());
        }
        let word = cursor.next_word();
        match word {
            "let" | "const" => {
                self.variable(cursor)?;
                self.end(cursor)
            }
            "return" => {
                self.keyword(cursor, word)?;
                self.out.push_str("return");
                if !self.peeks(cursor, ";")? {
                    self.out.push(' ');
                    self.expression(cursor)?;
                }
                self.end(cursor)
            }
            "break" | "continue" => {
                self.keyword(cursor, word)?;
                self.out.push_str(word);
                self.end(cursor)
            }
            "if" => self.conditional(cursor),
            "while" => {
                self.keyword(cursor, word)?;
                self.out.push_str("while ");
                self.test(cursor)?;
                self.branch(cursor)
            }
            "loop" => {
                self.keyword(cursor, word)?;
                self.out.push_str("loop");
                self.branch(cursor)
            }
            "for" => self.counted(cursor),
            "switch" => self.switch(cursor),
            "try" => self.attempt(cursor),
            "fn" | "async" | "new" | "using" | "import" => Err(Self::refuse(cursor, start, word)),
            _ => self.effect(cursor),
        }
    }

    /// Words for what a function of a policy may not do.
    pub(super) fn refuse(cursor: &Cursor<'_>, at: usize, word: &str) -> Problem {
        let (message, hint) = match word {
            "async" | "await" => ("a function of a policy waits for nothing", "leave the word out"),
            "new" => (
                "a function of a policy makes no objects",
                "make a map: `{\"name\": value}`, or `map()` for an empty one",
            ),
            "using" => ("a function of a policy has no `using`", "declare it with `let`"),
            "fn" => ("a function stands beside fields, not in a function", "move it out, and call it as `self.name()`"),
            "import" => ("a policy is one document and imports nothing", "write what it holds into this document"),
            _ => ("this is no part of a policy's functions", "write it in another way"),
        };
        cursor.forbidden(at, message, Some(hint))
    }

    fn end(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        self.expect(cursor, ";")?;
        self.out.push(';');
        Ok(())
    }

    /// `let x: int = 5`, without what ends it.
    fn variable(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        let word = cursor.word();
        self.out.extend([word, " "]);
        self.declare(cursor)?;
        if self.next(cursor, ":")? {
            let kind = self.kind(cursor)?;
            self.out.extend([": ", &kind]);
        }
        if word == "let" && self.peeks(cursor, ";")? {
            return Ok(());
        }
        self.expect(cursor, "=")?;
        self.out.push_str(" = ");
        self.expression(cursor)
    }

    /// A condition in parentheses.
    fn test(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        self.expect(cursor, "(")?;
        self.out.push('(');
        self.expression(cursor)?;
        self.expect(cursor, ")")?;
        self.out.push(')');
        Ok(())
    }

    /// What is done under a condition, always as a block.
    fn branch(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        self.out.push(' ');
        if self.peeks(cursor, "{")? {
            return self.block(cursor);
        }
        self.out.push_str("{ ");
        self.statement(cursor)?;
        self.out.push_str(" }");
        Ok(())
    }

    fn conditional(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        let mut branches = 0;
        loop {
            branches += 1;
            Self::not_too_long(cursor, branches)?;
            self.keyword(cursor, "if")?;
            self.out.push_str("if ");
            self.test(cursor)?;
            self.branch(cursor)?;
            cursor.skip()?;
            if cursor.next_word() != "else" {
                return Ok(());
            }
            self.keyword(cursor, "else")?;
            self.out.push_str(" else");
            if cursor.next_word() != "if" {
                return self.branch(cursor);
            }
            self.out.push(' ');
        }
    }

    /// `for (let x in list)`, or with a counter: `for (let i = 0; i < 5; i += 1)`.
    fn counted(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        self.keyword(cursor, "for")?;
        self.expect(cursor, "(")?;
        self.out.push_str("for (");
        cursor.skip()?;
        let word = cursor.next_word();
        if matches!(word, "let" | "const") {
            let before = self.out.len();
            let start = cursor.at;
            self.keyword(cursor, word)?;
            self.out.extend([word, " "]);
            self.declare(cursor)?;
            if self.next(cursor, ":")? {
                let kind = self.kind(cursor)?;
                self.out.extend([": ", &kind]);
            }
            cursor.skip()?;
            if cursor.next_word() == "in" {
                self.keyword(cursor, "in")?;
                self.out.push_str(" in ");
                self.expression(cursor)?;
                self.expect(cursor, ")")?;
                self.out.push(')');
                self.declared.extend(OF_LOOPS.map(str::to_owned));
                return self.branch(cursor);
            }
            self.out.truncate(before);
            cursor.at = start;
            self.variable(cursor)?;
        } else if !word.is_empty() {
            let hint = "write `for (let name in list)`";
            return Err(cursor.hinted(cursor.at, "a loop declares its variable with `let` or `const`", hint));
        }
        self.end(cursor)?;
        self.out.push(' ');
        if !self.peeks(cursor, ";")? {
            self.expression(cursor)?;
        }
        self.end(cursor)?;
        self.out.push(' ');
        if !self.peeks(cursor, ")")? {
            let start = cursor.at;
            if !self.assignment(cursor)? {
                return Err(cursor.hinted(start, "expected an assignment", "write for example `i += 1`"));
            }
        }
        self.expect(cursor, ")")?;
        self.out.push(')');
        self.branch(cursor)
    }

    fn switch(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        self.switches += 1;
        if self.switches > MAX_SWITCHES {
            let message = format!("the document has more than {MAX_SWITCHES} `switch` statements");
            return Err(cursor.forbidden(cursor.at, message, Some("look values up in a map")));
        }
        self.keyword(cursor, "switch")?;
        self.out.push_str("switch ");
        self.test(cursor)?;
        self.expect(cursor, "{")?;
        self.out.push_str(" {");
        let mut default = false;
        while !self.next(cursor, "}")? {
            let start = cursor.at;
            match cursor.next_word() {
                "case" if !default => {
                    self.keyword(cursor, "case")?;
                    self.out.push_str(" case ");
                    self.constant(cursor)?;
                }
                "default" if !default => {
                    self.keyword(cursor, "default")?;
                    self.out.push_str(" default");
                    default = true;
                }
                _ => {
                    let message = format!("expected `case`, `default` at the end, or `}}`, found {}", cursor.found());
                    return Err(cursor.syntax(start, message));
                }
            }
            self.expect(cursor, ":")?;
            self.out.push(':');
            cursor.skip()?;
            if matches!(cursor.next_word(), "case" | "default") && !default {
                continue;
            }
            self.branch(cursor)?;
        }
        self.out.push_str(" }");
        Ok(())
    }

    fn attempt(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        self.keyword(cursor, "try")?;
        self.out.push_str("try");
        self.branch(cursor)?;
        cursor.skip()?;
        if cursor.next_word() != "catch" {
            return Err(cursor.syntax(cursor.at, format!("expected `catch`, found {}", cursor.found())));
        }
        self.keyword(cursor, "catch")?;
        self.out.push_str(" catch");
        if self.next(cursor, "(")? {
            self.out.push_str(" (");
            self.declare(cursor)?;
            if self.next(cursor, ":")? {
                let kind = self.kind(cursor)?;
                self.out.extend([": ", &kind]);
            }
            self.expect(cursor, ")")?;
            self.out.push(')');
        }
        self.branch(cursor)
    }

    /// An assignment or an expression. An expression that ends a block without `;` is what the function returns.
    fn effect(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Problem> {
        if self.assignment(cursor)? {
            return self.end(cursor);
        }
        self.expression(cursor)?;
        if self.next(cursor, ";")? {
            self.out.push(';');
        } else if !self.peeks(cursor, "}")? {
            return Err(cursor.syntax(cursor.at, format!("expected `;`, found {}", cursor.found())));
        }
        Ok(())
    }

    /// Whether an assignment is next; it is taken then.
    fn assignment(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, Problem> {
        cursor.skip()?;
        let start = cursor.at;
        let mut path = cursor.word().to_owned();
        while !path.is_empty() && cursor.peek() == Some(b'.') {
            cursor.at += 1;
            path.extend([".", cursor.word()]);
        }
        cursor.skip()?;
        let operators = ["+=", "-=", "*=", "/=", "%=", "="];
        let operator = operators.into_iter().find(|operator| cursor.starts_with(operator));
        let Some(operator) = operator.filter(|_| !path.is_empty() && !cursor.starts_with("==")) else {
            cursor.at = start;
            return Ok(false);
        };
        if path.contains('.') && path != "self.output" && !path.starts_with("self.output.") {
            let hint = "change a variable of the function; a capability answers in `self.output`";
            return Err(cursor.forbidden(
                start,
                "a function changes nothing of the policy or of what it is given",
                Some(hint),
            ));
        }
        if !path.contains('.') {
            self.used.push((path.clone(), start));
            path = safe(&path);
        }
        cursor.at += operator.len();
        self.out.extend([&path, " ", operator, " "]);
        self.expression(cursor)?;
        Ok(true)
    }

    /// Takes a word that is known to be next, and what follows it of space.
    pub(super) fn keyword(&mut self, cursor: &mut Cursor<'_>, word: &str) -> Result<(), Problem> {
        cursor.take(word);
        cursor.skip()
    }

    /// Whether `token` is next after space.
    pub(super) fn peeks(&mut self, cursor: &mut Cursor<'_>, token: &str) -> Result<bool, Problem> {
        cursor.skip()?;
        Ok(cursor.starts_with(token))
    }

    /// Takes `token` when it is next after space.
    pub(super) fn next(&mut self, cursor: &mut Cursor<'_>, token: &str) -> Result<bool, Problem> {
        cursor.skip()?;
        Ok(cursor.take(token))
    }

    pub(super) fn expect(&mut self, cursor: &mut Cursor<'_>, token: &str) -> Result<(), Problem> {
        if self.next(cursor, token)? {
            return Ok(());
        }
        Err(cursor.syntax(cursor.at, format!("expected `{token}`, found {}", cursor.found())))
    }
}

/// The name of a variable as the crate is given it: nothing can be mistaken for a word of the language, nor, like `_0`, for
/// a number.
pub(super) fn safe(name: &str) -> String {
    const PREFIX: &str = "v_";
    let mistaken = name == "r" || name.starts_with('_') || KEYWORDS.iter().any(|keyword| name.starts_with(keyword));
    // What has the prefix already gets another, so that two names stay two.
    if mistaken || name.starts_with(PREFIX) { format!("{PREFIX}{name}") } else { name.to_owned() }
}

/// Whether the word cannot be a name.
pub(super) fn is_keyword(word: &str) -> bool {
    KEYWORDS.contains(&word)
}
