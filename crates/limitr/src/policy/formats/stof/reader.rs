//! A document as data and functions. Nothing in it is run, and of its data only literals are taken: what the `stof` crate
//! would compute on loading is refused where it stands.

use std::collections::HashSet;

use super::super::lines::Lines;
use super::super::{Budget, MAX_DEPTH, text_problem, too_deep};
use super::grammar::Body;
use super::text::{Cursor, is_name};
use super::{Reading, Source};
use crate::policy::node::{Key, Kind, Node, quoted};
use crate::policy::read::MAX_NAME;
use crate::{Position, Problem};

const ONLY_LITERALS: &str = "only literals are data; what is computed goes into a function";

pub(crate) fn parse(text: &str, lines: &Lines<'_>) -> Result<Reading, Problem> {
    let mut read = Read {
        cursor: Cursor::new(text, lines),
        budget: Budget::default(),
        path: Vec::new(),
        body: Body::default(),
        functions: Vec::new(),
        quantities: HashSet::new(),
    };
    let at = lines.position(0);
    // JSON is Stof too.
    read.cursor.skip_plain()?;
    let start = read.cursor.at;
    let braces = read.cursor.take("{");
    let entries = read.statements(0, braces.then_some(start))?;
    read.cursor.skip()?;
    if braces && read.cursor.peek().is_some() {
        return Err(read.cursor.syntax(read.cursor.at, format!("expected the end, found {}", read.cursor.found())));
    }
    Ok(Reading { root: Node { kind: Kind::Map(entries), at }, functions: read.functions, quantities: read.quantities })
}

struct Read<'t> {
    cursor: Cursor<'t>,
    budget: Budget,
    /// The names of what is being read.
    path: Vec<String>,
    body: Body,
    functions: Vec<Source>,
    quantities: HashSet<Position>,
}

/// What stands before a field or function: `#[meter-limit]`.
type Attributes = Vec<(String, Option<Position>)>;

/// Attributes that take what follows them out of the document, by what a profile says.
const CONDITIONS: &[&str] = &["if", "not", "any"];

impl Read<'_> {
    /// Fields and functions, up to the brace that closes the one at `open`, or to the end.
    fn statements(&mut self, depth: usize, open: Option<usize>) -> Result<Vec<(Key, Node)>, Problem> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let first = self.functions.len();
        loop {
            self.cursor.skip_inner_documentation()?;
            let start = self.cursor.at;
            let documented = self.cursor.skip_documentation()?;
            if documented && matches!(self.cursor.peek(), None | Some(b'}')) {
                self.cursor.at = start;
                self.cursor.skip()?;
            }
            match (self.cursor.peek(), open) {
                (None, None) => break,
                (None, Some(open)) => return Err(self.cursor.syntax(open, "this brace is not closed")),
                (Some(b'}'), Some(_)) => {
                    self.cursor.at += 1;
                    break;
                }
                _ => {}
            }
            let mut attributes = self.attributes()?;
            self.cursor.skip_documentation()?;
            attributes.extend(self.attributes()?);
            self.cursor.skip()?;
            if let Some((key, node)) = self.statement(depth, attributes)? {
                entries.push((key, node));
            }
        }
        self.no_clash(&entries, first)?;
        Ok(entries)
    }

    /// That no function has the name of another, or of a field beside it.
    fn no_clash(&self, entries: &[(Key, Node)], first: usize) -> Result<(), Problem> {
        let here = self.functions.get(first..).unwrap_or_default();
        let here: Vec<&Source> = here.iter().filter(|function| function.path == self.path).collect();
        if here.is_empty() {
            return Ok(());
        }
        let mut seen: HashSet<&str> = entries.iter().map(|(key, _)| key.text.as_str()).collect();
        for function in here {
            if !seen.insert(&function.name) {
                let message = format!("{} is given twice", quoted(&function.name));
                return Err(text_problem("duplicate_key", function.at, message, Some("keep one of the two")));
            }
        }
        Ok(())
    }

    fn attributes(&mut self) -> Result<Attributes, Problem> {
        let mut attributes = Vec::new();
        loop {
            // A comment that documents something may follow once more.
            let before = self.cursor.at;
            if self.cursor.skip().is_err() || !self.cursor.take("#[") {
                self.cursor.at = before;
                return Ok(attributes);
            }
            self.cursor.space();
            let start = self.cursor.at;
            let name = self.cursor.word();
            if name.is_empty() {
                return Err(self.cursor.syntax(start, format!("expected a name, found {}", self.cursor.found())));
            }
            if CONDITIONS.contains(&name) {
                let message = format!("the attribute {} decides what is in a document", quoted(name));
                return Err(self.cursor.forbidden(start, message, Some("write what applies, and nothing else")));
            }
            if self.cursor.take("(") {
                // What it says means nothing here, but it has to be a literal: others are run on loading.
                self.cursor.space();
                self.literal(MAX_DEPTH)?;
                self.cursor.space();
                self.expect(")")?;
            }
            self.cursor.space();
            self.expect("]")?;
            attributes.push((name.to_owned(), self.cursor.position(start)));
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), Problem> {
        if self.cursor.take(token) {
            return Ok(());
        }
        let message = format!("expected `{token}`, found {}", self.cursor.found());
        Err(self.cursor.syntax(self.cursor.at, message))
    }

    /// A field; none for a function.
    fn statement(&mut self, depth: usize, attributes: Attributes) -> Result<Option<(Key, Node)>, Problem> {
        let start = self.cursor.at;
        if self.at_quote() {
            let name = self.cursor.string()?;
            return self.field(name, start, None, depth).map(Some);
        }
        let word = self.cursor.word();
        let after = self.cursor.at;
        self.cursor.space();
        let named = self.cursor.starts_with(":");
        if word.starts_with("const") && (named || word != "const") {
            let message = format!("Stof takes the beginning of {} for its word `const`", quoted(word));
            return Err(self.cursor.hinted(start, message, "put the name in quotes"));
        }
        match word {
            _ if named && !word.is_empty() => {
                self.cursor.at = after;
                return self.field(word.to_owned(), start, None, depth).map(Some);
            }
            "fn" => {
                self.cursor.at = start;
                self.function(attributes, depth)?;
                return Ok(None);
            }
            "async" => {
                let hint = Some("leave `async` out: it is answered before the call goes on");
                return Err(self.cursor.forbidden(start, "a function of a policy cannot be `async`", hint));
            }
            "import" => {
                let hint = Some("write what it holds into this document");
                return Err(self.cursor.forbidden(start, "a policy is one document and imports nothing", hint));
            }
            "root" => {
                let hint = Some("put it under `policy`, or under a name that begins with `x-`");
                return Err(self.cursor.forbidden(start, "a policy has no other `root`", hint));
            }
            "data" if matches!(self.cursor.peek(), Some(b'@' | b'|')) => {
                return Err(self.cursor.forbidden(start, "a policy holds no blocks of binary data", None));
            }
            "const" => return self.statement(depth, attributes),
            "" => return Err(self.no_name(start)),
            _ => {}
        }
        // A type before the name.
        let (typed, name_at) = (word, self.cursor.at);
        let name = if self.at_quote() { self.cursor.string()? } else { self.cursor.word().to_owned() };
        if self.cursor.at == name_at || after == name_at || typed == "as" {
            let found = self.found_at(after);
            return Err(self.cursor.syntax(after, format!("expected `:` after {}, found {found}", quoted(word))));
        }
        self.field(name, name_at, Some((typed, start)), depth).map(Some)
    }

    fn found_at(&mut self, offset: usize) -> String {
        self.cursor.at = offset;
        self.cursor.space();
        self.cursor.found()
    }

    fn no_name(&self, start: usize) -> Problem {
        let found = self.cursor.found();
        match self.cursor.rest().chars().next() {
            Some('|') => self.cursor.forbidden(start, "a policy holds no blocks of binary data", None),
            Some(char) if is_name(char) || matches!(char, '{' | '[' | '(') => {
                let hint = "in braces stand `name: value`; a list is written in brackets";
                self.cursor.hinted(start, format!("expected a name, found {found}"), hint)
            }
            Some('.' | '+' | '*' | '/' | '%' | '?' | '!' | '=' | '<' | '>' | '&' | '^') => {
                self.cursor.hinted(start, format!("expected a name, found {found}"), ONLY_LITERALS)
            }
            _ => self.cursor.hinted(start, format!("expected a name, found {found}"), "put other names in quotes"),
        }
    }

    fn at_quote(&self) -> bool {
        matches!(self.cursor.peek(), Some(b'"' | b'\''))
    }

    fn field(
        &mut self,
        name: String,
        start: usize,
        typed: Option<(&str, usize)>,
        depth: usize,
    ) -> Result<(Key, Node), Problem> {
        let at = self.cursor.position(start);
        self.budget.take(1, 0, at)?;
        self.cursor.space();
        if !self.cursor.take(":") {
            let message = format!("expected `:` after {}, found {}", quoted(&name), self.cursor.found());
            return Err(self.cursor.syntax(self.cursor.at, message));
        }
        self.cursor.space();
        let colon = self.cursor.at;
        self.cursor.skip()?;
        if self.cursor.at > colon && matches!(self.cursor.peek(), Some(b'{' | b'[')) {
            // Stof would take what follows for an expression.
            let hint = "put it before the field";
            return Err(self.cursor.hinted(colon, "a comment cannot stand between `:` and what opens here", hint));
        }
        let key = Key { text: name, at };
        self.path.push(key.text.clone());
        let value = self.value(depth + 1)?;
        self.path.pop();
        if let Some((typed, at)) = typed {
            self.fits(typed, at, &value)?;
        }
        self.cursor.space();
        let _ = self.cursor.take(",") || self.cursor.take(";");
        self.ended()?;
        Ok((key, value))
    }

    /// That what follows a value can begin something new; what Stof would take for more of the value is refused.
    fn ended(&mut self) -> Result<(), Problem> {
        self.cursor.skip_plain()?;
        let more = matches!(
            self.cursor.peek(),
            Some(
                b'.' | b'+' | b'-' | b'*' | b'/' | b'%' | b'?' | b'!' | b'=' | b'<' | b'>' | b'&' | b'^' | b'(' | b'|'
            )
        );
        if more && !self.cursor.is_documentation() {
            let message = format!("{} makes an expression of this value", self.cursor.found());
            return Err(self.cursor.hinted(self.cursor.at, message, ONLY_LITERALS));
        }
        Ok(())
    }

    /// A type before a name says nothing that the value does not say; one that would change it is refused.
    fn fits(&self, typed: &str, at: usize, value: &Node) -> Result<(), Problem> {
        let fits = match &value.kind {
            Kind::Map(_) => !matches!(typed, "int" | "float" | "str" | "bool" | "list" | "map" | "set"),
            Kind::List(_) => typed == "list",
            Kind::Text(_) => typed == "str" && !value.at.is_some_and(|at| self.quantities.contains(&at)),
            Kind::Bool(_) => typed == "bool",
            Kind::Number(digits) => typed == "float" || typed == "int" && !digits.contains(['.', 'e']),
            Kind::Null => true,
        };
        if fits {
            return Ok(());
        }
        let message = format!("the type {} is not that of its value", quoted(typed));
        Err(self.cursor.hinted(at, message, "leave the type out, and write the value as it is meant"))
    }

    fn value(&mut self, depth: usize) -> Result<Node, Problem> {
        let start = self.cursor.at;
        let at = self.cursor.position(start);
        match self.cursor.peek() {
            Some(b'{' | b'[') if depth >= MAX_DEPTH => Err(too_deep(at)),
            Some(b'{') => {
                self.budget.take(1, 0, at)?;
                self.cursor.at += 1;
                Ok(Node { kind: Kind::Map(self.statements(depth, Some(start))?), at })
            }
            Some(b'[') => {
                self.budget.take(1, 0, at)?;
                self.cursor.at += 1;
                Ok(Node { kind: Kind::List(self.items(depth, start)?), at })
            }
            _ => self.literal(depth),
        }
    }

    fn items(&mut self, depth: usize, open: usize) -> Result<Vec<Node>, Problem> {
        let mut items = Vec::new();
        loop {
            self.cursor.skip()?;
            if self.cursor.take("]") {
                return Ok(items);
            }
            if self.cursor.peek().is_none() {
                return Err(self.cursor.syntax(open, "this bracket is not closed"));
            }
            self.path.push(format!("[{}]", items.len()));
            items.push(self.value(depth + 1)?);
            self.path.pop();
            self.ended()?;
            if !self.cursor.take(",") && self.cursor.peek() != Some(b']') && self.cursor.peek().is_some() {
                let message = format!("expected `,` or `]`, found {}", self.cursor.found());
                return Err(self.cursor.syntax(self.cursor.at, message));
            }
        }
    }

    /// A value that holds no others.
    fn literal(&mut self, depth: usize) -> Result<Node, Problem> {
        let start = self.cursor.at;
        let at = self.cursor.position(start);
        self.budget.take(1, 0, at)?;
        let kind = match self.cursor.peek() {
            Some(b'"' | b'\'') => Kind::Text(self.cursor.string()?),
            Some(b'r') if self.cursor.starts_with("r#\"") => Kind::Text(self.cursor.string()?),
            Some(b'0'..=b'9' | b'-' | b'+' | b'.') => {
                let number = self.cursor.number()?;
                if number.unit.is_empty() {
                    Kind::Number(number.digits)
                } else {
                    self.quantities.extend(at);
                    Kind::Text(number.digits + &number.unit)
                }
            }
            _ => match self.cursor.word() {
                "true" => Kind::Bool(true),
                "false" => Kind::Bool(false),
                "null" => Kind::Null,
                "" if matches!(self.cursor.peek(), None | Some(b'}' | b']' | b',' | b';' | b')')) => {
                    return Err(self.cursor.syntax(start, format!("expected a value, found {}", self.cursor.found())));
                }
                "" if self.cursor.peek() == Some(b'{') && depth >= MAX_DEPTH => return Err(too_deep(at)),
                "" => {
                    let message = format!("{} begins an expression", self.cursor.found());
                    return Err(self.cursor.hinted(start, message, ONLY_LITERALS));
                }
                word => {
                    let message = format!("{} is an expression, not a value", quoted(word));
                    return Err(self.cursor.hinted(start, message, "put text in quotes; only literals are data"));
                }
            },
        };
        Ok(Node { kind, at })
    }

    fn function(&mut self, attributes: Attributes, depth: usize) -> Result<(), Problem> {
        let start = self.cursor.at;
        let at = self.cursor.position(start);
        self.budget.take(1, 0, at)?;
        if depth >= MAX_DEPTH {
            return Err(too_deep(at));
        }
        if self.path.iter().any(|name| name.len() > MAX_NAME) {
            let message = format!("a function cannot stand under a name of more than {MAX_NAME} bytes");
            return Err(self.cursor.syntax(start, message));
        }
        let header = self.body.function(&mut self.cursor)?;
        let text = self.cursor.text.get(start..self.cursor.at).unwrap_or_default().to_owned();
        self.functions.push(Source {
            path: self.path.clone(),
            name: header.name,
            attributes,
            parameters: header.parameters,
            returns: header.returns,
            text,
            canonical: header.canonical,
            at,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Format, parse};

    fn read(text: &str) -> Result<String, String> {
        parse(text, Format::Stof).map(|node| node.to_json().to_string()).map_err(|problem| problem.message)
    }

    #[test]
    fn literals_are_read_in_every_notation() {
        for (text, expected) in [
            ("a: 4_005, b: +0.10; c: -1.", r#"{"a":4005,"b":0.1,"c":-1}"#),
            ("a: 1e3 b: 1.5E-7 c: 0x1F d: -0b11 e: 0o17", r#"{"a":1000.0,"b":1.5e-7,"c":31,"d":-3,"e":15}"#),
            ("a: 1GB b: -1.50days c: 1EB", r#"{"a":"1GB","b":"-1.50days","c":"1EB"}"#),
            (r#"a: 'it"s' b: "\t\"\\""#, r#"{"a":"it\"s","b":"\t\"\\"}"#),
            ("a: r#\"\\raw\"#", r#"{"a":"\\raw"}"#),
            ("a: [1, [], {b: true,}, null,]", r#"{"a":[1,[],{"b":true},null]}"#),
            ("{\"a\": {\"b c\": 'é'}}", r#"{"a":{"b c":"é"}}"#),
            ("/// doc\na: 1 // line\n/* block */ /** doc */ b: /* five */ 5", r#"{"a":1,"b":5}"#),
            (
                "Limitr policy: {} str a: 'x' const b: 1 const int c: 5 float d: 5 list e: []",
                r#"{"policy":{},"a":"x","b":1,"c":5,"d":5,"e":[]}"#,
            ),
            (
                "fn: 1 root: 2 import: 3 data: 4 async: 5 self: 6",
                r#"{"fn":1,"root":2,"import":3,"data":4,"async":5,"self":6}"#,
            ),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn positions_digits_and_duplicates_are_kept() {
        let node = parse("a: 'é', b: 0.10\n  a: [{ c: 1GB }]", Format::Stof).unwrap();
        let Kind::Map(entries) = &node.kind else { panic!() };
        let place = |at: Option<Position>| at.map(|at| (at.line, at.column)).unwrap();
        assert_eq!(entries.iter().map(|(key, _)| place(key.at)).collect::<Vec<_>>(), [(1, 1), (1, 9), (2, 3)]);
        assert_eq!(entries[1].1.kind, Kind::Number("0.10".to_owned()));
        assert_eq!(place(entries[1].1.at), (1, 12));
        let Kind::List(items) = &entries[2].1.kind else { panic!() };
        assert_eq!(place(items[0].get("c").unwrap().at), (2, 12));
    }

    #[test]
    fn functions_are_given_to_the_crate_in_one_spelling() {
        let canonical = |text: &str| {
            let lines = Lines::new(text);
            parse_reading(text, &lines).functions.pop().unwrap().canonical
        };
        for (text, expected) in [
            (
                "fn f(letter: float /* of */, b?: obj = null) -> float { // why\n if (letter<b.x[0]) return -letter; else { 5.abs() } }",
                "fn f(v_letter: float, b?: obj = null) -> float { if (v_letter < b.x.at((0))) { return -(v_letter); } else { (5).abs() } }",
            ),
            (
                "fn g() { let s = `a ${self.x} \\$`; for (let _i=0;_i<5;_i+=1) s += [{'k': !true}]; }",
                "fn g() { let s = (\"\" + \"a \" + str(self.x) + \" $\"); for (let v__i = (0); v__i < (5); v__i += (1)) { s += ([({\"k\": !(true)})]); } }",
            ),
            (
                "fn h(a: int) -> unknown { switch (a) { case 1: case 'x': return Num.abs(a); default: return a as float ?? max(1,2) ? 1 : 2; } }",
                "fn h(a: int) -> unknown { switch (a) { case 1: case \"x\": { return Num::abs(a); } default: { return a as float ?? max((1), (2)) ? (1) : (2); } } }",
            ),
        ] {
            assert_eq!(canonical(text), expected);
        }
    }

    fn parse_reading(text: &str, lines: &Lines<'_>) -> Reading {
        super::parse(text, lines).unwrap_or_else(|problem| panic!("{problem}"))
    }
}
