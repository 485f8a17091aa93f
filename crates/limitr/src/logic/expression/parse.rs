//! Tokens into a syntax tree, by the grammar of the [language definition](https://github.com/google/cel-spec/blob/master/doc/langdef.md).

use super::Mistake;
use super::lex::{Lexer, Token};
use crate::Amount;

/// Most bytes of an expression.
pub(super) const MAX_BYTES: usize = 16 * 1024;
/// Most levels of one, which bounds the stack of everything that walks it.
const MAX_DEPTH: usize = 96;

/// A node of the tree.
#[derive(Debug)]
pub(super) struct Syntax {
    pub(super) kind: SyntaxKind,
    pub(super) at: usize,
    depth: usize,
}

#[derive(Debug)]
pub(super) enum SyntaxKind {
    Null,
    Bool(bool),
    Int(i64),
    Double(Amount),
    Text(String),
    Name(String),
    /// `operand.field`
    Select(Box<Syntax>, String),
    /// `operand[index]`
    Index(Box<[Syntax; 2]>),
    /// `name(arguments)` or `target.name(arguments)`
    Call(Option<Box<Syntax>>, String, Vec<Syntax>),
    Not(Box<Syntax>),
    Negate(Box<Syntax>),
    Binary(Operator, Box<[Syntax; 2]>),
    /// `condition ? then : otherwise`
    Conditional(Box<[Syntax; 3]>),
    List(Vec<Syntax>),
    Map(Vec<[Syntax; 2]>),
}

/// What stands between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    AtMost,
    More,
    AtLeast,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    /// Operators by how tightly they bind, the loosest first.
    const LEVELS: [&'static [(&'static str, Self)]; 5] = [
        &[("||", Self::Or)],
        &[("&&", Self::And)],
        &[
            ("==", Self::Equal),
            ("!=", Self::NotEqual),
            ("<", Self::Less),
            ("<=", Self::AtMost),
            (">", Self::More),
            (">=", Self::AtLeast),
            ("in", Self::In),
        ],
        &[("+", Self::Add), ("-", Self::Subtract)],
        &[("*", Self::Multiply), ("/", Self::Divide), ("%", Self::Remainder)],
    ];

    /// As it is written.
    pub(super) fn mark(self) -> &'static str {
        let known = Self::LEVELS.iter().flat_map(|level| level.iter()).find(|(_, operator)| *operator == self);
        known.map_or("", |(mark, _)| mark)
    }
}

const RESERVED: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// The tree of a whole expression.
pub(super) fn parse(text: &str) -> Result<Syntax, Mistake> {
    if text.len() > MAX_BYTES {
        return Err(Mistake::syntax(0, format!("an expression has at most {MAX_BYTES} bytes")));
    }
    let mut lexer = Lexer::new(text);
    let (token, at) = lexer.next()?;
    let mut parser = Parser { lexer, token, at, depth: 0 };
    if parser.token == Token::End {
        return Err(Mistake::syntax(0, "the expression is empty"));
    }
    let tree = parser.expression()?;
    match parser.token {
        Token::End => Ok(tree),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    token: Token<'t>,
    at: usize,
    /// Calls of [`Parser::deeper`] under way.
    depth: usize,
}

type Parsed = Result<Syntax, Mistake>;

impl<'t> Parser<'t> {
    fn advance(&mut self) -> Result<Token<'t>, Mistake> {
        let (token, at) = self.lexer.next()?;
        self.at = at;
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn is(&self, mark: &str) -> bool {
        matches!(&self.token, Token::Mark(here) if *here == mark)
    }

    /// Takes `mark` if it is next.
    fn take(&mut self, mark: &str) -> Result<bool, Mistake> {
        let here = self.is(mark);
        if here {
            self.advance()?;
        }
        Ok(here)
    }

    fn expect(&mut self, mark: &'static str) -> Result<(), Mistake> {
        if self.take(mark)? { Ok(()) } else { Err(self.unexpected(&format!("`{mark}`"))) }
    }

    fn unexpected(&self, expected: &str) -> Mistake {
        let found = match &self.token {
            Token::Int(_) | Token::Double(_) => "a number".to_owned(),
            Token::Text(_) => "text".to_owned(),
            Token::Name(name) => format!("`{name}`"),
            Token::Field(name) => format!("`{name}` in backticks"),
            Token::Mark(mark) => format!("`{mark}`"),
            Token::End => "the end".to_owned(),
        };
        Mistake::syntax(self.at, format!("expected {expected}, found {found}"))
    }

    fn node(at: usize, kind: SyntaxKind) -> Parsed {
        let depth = 1 + kind.children().map(|child| child.depth).max().unwrap_or_default();
        if depth > MAX_DEPTH { Err(too_deep(at)) } else { Ok(Syntax { kind, at, depth }) }
    }

    /// Runs `parse` one level deeper.
    fn deeper(&mut self, parse: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        if self.depth >= MAX_DEPTH {
            return Err(too_deep(self.at));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn expression(&mut self) -> Parsed {
        self.deeper(Self::conditional)
    }

    fn conditional(&mut self) -> Parsed {
        let condition = self.binary(0)?;
        let at = self.at;
        if !self.take("?")? {
            return Ok(condition);
        }
        let then = self.binary(0)?;
        self.expect(":")?;
        let otherwise = self.expression()?;
        Self::node(at, SyntaxKind::Conditional(Box::new([condition, then, otherwise])))
    }

    /// Operands with operators between them that bind at least as tightly as those at `loosest`.
    fn binary(&mut self, loosest: usize) -> Parsed {
        let mut left = self.prefixed()?;
        while let Some((operator, level)) = self.operator().filter(|(_, level)| *level >= loosest) {
            let at = self.at;
            self.advance()?;
            let right = self.deeper(|this| this.binary(level + 1))?;
            left = Self::node(at, SyntaxKind::Binary(operator, Box::new([left, right])))?;
        }
        Ok(left)
    }

    /// The operator that is next, and how tightly it binds.
    fn operator(&self) -> Option<(Operator, usize)> {
        let here = match &self.token {
            Token::Mark(mark) => *mark,
            Token::Name("in") => "in",
            _ => return None,
        };
        let mut levels = Operator::LEVELS.iter().zip(0..);
        levels.find_map(|(level, tightness)| {
            level.iter().find(|(mark, _)| *mark == here).map(|(_, operator)| (*operator, tightness))
        })
    }

    fn prefixed(&mut self) -> Parsed {
        let at = self.at;
        if self.take("!")? {
            let operand = self.deeper(Self::prefixed)?;
            return Self::node(at, SyntaxKind::Not(Box::new(operand)));
        }
        if self.take("-")? {
            // The one whole number that exists only with its sign.
            if self.token == Token::Int(i64::MIN.unsigned_abs()) {
                self.advance()?;
                return Self::node(at, SyntaxKind::Int(i64::MIN));
            }
            let operand = self.deeper(Self::prefixed)?;
            return Self::node(at, SyntaxKind::Negate(Box::new(operand)));
        }
        self.member()
    }

    /// A value and what is selected of it.
    fn member(&mut self) -> Parsed {
        let mut operand = self.primary()?;
        loop {
            operand = match self.token {
                Token::Mark(".") => self.selected(operand)?,
                Token::Mark("[") => self.indexed(operand)?,
                Token::Mark("{") => {
                    let mistake = Mistake::syntax(self.at, "messages cannot be made here");
                    return Err(mistake.hinted(Some("write a map alone")));
                }
                _ => return Ok(operand),
            };
        }
    }

    fn selected(&mut self, operand: Syntax) -> Parsed {
        self.advance()?;
        let at = self.at;
        let quoted = matches!(self.token, Token::Field(_));
        let name = self.field()?;
        if quoted || !self.take("(")? {
            return Self::node(at, SyntaxKind::Select(Box::new(operand), name));
        }
        let arguments = self.list(")")?;
        Self::node(at, SyntaxKind::Call(Some(Box::new(operand)), name, arguments))
    }

    fn indexed(&mut self, operand: Syntax) -> Parsed {
        self.advance()?;
        let at = self.at;
        let index = self.expression()?;
        self.expect("]")?;
        Self::node(at, SyntaxKind::Index(Box::new([operand, index])))
    }

    fn field(&mut self) -> Result<String, Mistake> {
        match self.token {
            Token::Name(name) | Token::Field(name) => {
                self.advance()?;
                Ok(name.to_owned())
            }
            _ => Err(self.unexpected("a field")),
        }
    }

    fn primary(&mut self) -> Parsed {
        match self.token {
            Token::Mark("(") => self.grouped(),
            Token::Mark("[") => self.listed(),
            Token::Mark("{") => self.map(),
            Token::Name(_) => self.named(),
            _ => self.literal(),
        }
    }

    fn literal(&mut self) -> Parsed {
        let at = self.at;
        let kind = match self.advance()? {
            // Beyond 64 bits it is still an exact amount.
            Token::Int(value) => {
                i64::try_from(value).map_or_else(|_| SyntaxKind::Double(value.into()), SyntaxKind::Int)
            }
            Token::Double(value) => SyntaxKind::Double(value),
            Token::Text(text) => SyntaxKind::Text(text),
            token => {
                (self.token, self.at) = (token, at);
                return Err(self.unexpected("a value"));
            }
        };
        Self::node(at, kind)
    }

    /// A variable, a call, or a word of the language.
    fn named(&mut self) -> Parsed {
        let at = self.at;
        let Token::Name(name) = self.advance()? else { return Err(self.unexpected("a value")) };
        let kind = match name {
            "true" => SyntaxKind::Bool(true),
            "false" => SyntaxKind::Bool(false),
            "null" => SyntaxKind::Null,
            word if word == "in" || RESERVED.contains(&word) => {
                return Err(Mistake::syntax(at, format!("`{word}` is a reserved word")));
            }
            name if self.take("(")? => SyntaxKind::Call(None, name.to_owned(), self.list(")")?),
            name => SyntaxKind::Name(name.to_owned()),
        };
        Self::node(at, kind)
    }

    fn grouped(&mut self) -> Parsed {
        self.advance()?;
        let inner = self.expression()?;
        self.expect(")")?;
        Ok(inner)
    }

    fn listed(&mut self) -> Parsed {
        let at = self.at;
        self.advance()?;
        let items = self.list("]")?;
        Self::node(at, SyntaxKind::List(items))
    }

    /// Expressions up to `end`, with commas between them.
    fn list(&mut self, end: &'static str) -> Result<Vec<Syntax>, Mistake> {
        let mut items = Vec::new();
        while !self.take(end)? {
            if !items.is_empty() {
                self.expect(",")?;
                // A comma may stand at the end of a list, not of arguments.
                if end == "]" && self.take(end)? {
                    break;
                }
            }
            items.push(self.expression()?);
        }
        Ok(items)
    }

    fn map(&mut self) -> Parsed {
        let at = self.at;
        self.advance()?;
        let mut entries = Vec::new();
        while !self.take("}")? {
            if !entries.is_empty() {
                self.expect(",")?;
                if self.take("}")? {
                    break;
                }
            }
            let key = self.expression()?;
            self.expect(":")?;
            entries.push([key, self.expression()?]);
        }
        Self::node(at, SyntaxKind::Map(entries))
    }
}

impl SyntaxKind {
    fn children(&self) -> Box<dyn Iterator<Item = &Syntax> + '_> {
        match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Double(_) | Self::Text(_) | Self::Name(_) => {
                Box::new(std::iter::empty())
            }
            Self::Select(one, _) | Self::Not(one) | Self::Negate(one) => Box::new(std::iter::once(&**one)),
            Self::Index(two) | Self::Binary(_, two) => Box::new(two.iter()),
            Self::Conditional(three) => Box::new(three.iter()),
            Self::Call(target, _, arguments) => Box::new(target.as_deref().into_iter().chain(arguments)),
            Self::List(items) => Box::new(items.iter()),
            Self::Map(entries) => Box::new(entries.iter().flatten()),
        }
    }
}

fn too_deep(at: usize) -> Mistake {
    Mistake::syntax(at, format!("the expression is nested deeper than {MAX_DEPTH} levels"))
}
