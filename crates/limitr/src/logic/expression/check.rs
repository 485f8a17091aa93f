//! A tree into a program: every name settled, every type that can be known compared.

use std::collections::HashSet;

use super::Mistake;
use super::library::{self, Builtin, Pattern};
use super::parse::{Operator, Syntax, SyntaxKind};
use super::types::{Type, join_all};
use crate::Amount;

/// What an expression can speak of.
#[derive(Debug, Clone)]
pub(crate) struct Scope<'s> {
    /// Variables, in the order their values are given in.
    pub(crate) variables: &'s [(&'static str, Type)],
    /// Functions of whoever runs the expression.
    pub(crate) functions: &'static [Function],
}

/// A function that the one who runs an expression brings.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) parameters: &'static [Type],
    pub(crate) result: Type,
}

/// A checked tree.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) at: usize,
}

#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Double(Amount),
    Text(Box<str>),
    /// A type by its name.
    Type(&'static str),
    /// A variable of the scope.
    Variable(usize),
    /// What a macro runs over, counted from the outermost macro.
    Local(usize),
    Select(Box<Node>, Box<str>),
    /// Whether a map has the field.
    Has(Box<Node>, Box<str>),
    Index(Box<[Node; 2]>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary(Operator, Box<[Node; 2]>),
    Conditional(Box<[Node; 3]>),
    List(Vec<Node>),
    /// Entries, and whether it is known that no two have one key.
    Map(Vec<[Node; 2]>, bool),
    Builtin(Builtin, Vec<Node>),
    /// A function of the scope.
    Host(usize, Vec<Node>),
    Matches(Box<Node>, Pattern),
    Macro(Macro, Box<Run>),
}

/// The macros that run over a list or the keys of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Macro {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

/// What a macro does.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) range: Node,
    /// Whether an item counts.
    pub(super) when: Option<Node>,
    /// What becomes of one that does.
    pub(super) then: Option<Node>,
}

impl Macro {
    const ALL: [(&'static str, Self); 5] = [
        ("all", Self::All),
        ("exists", Self::Exists),
        ("exists_one", Self::ExistsOne),
        ("filter", Self::Filter),
        ("map", Self::Map),
    ];
}

/// The names of types, which are values too.
const TYPES: [&str; 8] = ["bool", "double", "int", "list", "map", "null_type", "string", "type"];

type Checked = Result<(Node, Type), Mistake>;
type Known = Result<(Kind, Type), Mistake>;

/// Settles names and types; the result must be able to be `wanted`.
pub(super) fn check(syntax: Syntax, scope: &Scope<'_>, wanted: &Type) -> Result<Node, Mistake> {
    let at = syntax.at;
    let (node, kind) = Checker { scope, locals: Vec::new() }.node(syntax)?;
    if kind.fits(wanted) {
        return Ok(node);
    }
    Err(Mistake::kind(at, format!("the result must be {wanted}, but this is {kind}")))
}

struct Checker<'s> {
    scope: &'s Scope<'s>,
    locals: Vec<(String, Type)>,
}

impl Checker<'_> {
    // As little as can be on the stack here: this calls itself for every level.
    fn node(&mut self, syntax: Syntax) -> Checked {
        let Syntax { kind, at, .. } = syntax;
        let (kind, result) = match kind {
            SyntaxKind::Select(operand, field) => self.select(*operand, field, at),
            SyntaxKind::Index(parts) => self.index(*parts, at),
            SyntaxKind::Call(target, name, arguments) => self.call(target, &name, arguments, at),
            SyntaxKind::Not(operand) => self.not(*operand),
            SyntaxKind::Negate(operand) => self.negate(*operand),
            SyntaxKind::Binary(operator, operands) => self.binary(operator, *operands, at),
            SyntaxKind::Conditional(parts) => self.conditional(*parts),
            SyntaxKind::List(items) => self.list(items),
            SyntaxKind::Map(entries) => self.map(entries),
            SyntaxKind::Name(name) => self.name(&name, at),
            literal => Ok(plain(literal)),
        }?;
        Ok((Node { kind, at }, result))
    }

    fn select(&mut self, operand: Syntax, field: String, at: usize) -> Known {
        let (operand, kind) = self.node(operand)?;
        let result = field_of(&kind, &field, &operand, self.scope, at)?;
        Ok((Kind::Select(Box::new(operand), field.into()), result))
    }

    fn not(&mut self, operand: Syntax) -> Known {
        Ok((Kind::Not(Box::new(self.wanted(operand, &Type::Bool)?)), Type::Bool))
    }

    fn negate(&mut self, operand: Syntax) -> Known {
        let (operand, kind) = self.fitting(operand, &Type::Double)?;
        Ok((Kind::Negate(Box::new(operand)), kind))
    }

    fn conditional(&mut self, [condition, then, otherwise]: [Syntax; 3]) -> Known {
        let condition = self.wanted(condition, &Type::Bool)?;
        let (then, one) = self.node(then)?;
        let (otherwise, two) = self.node(otherwise)?;
        Ok((Kind::Conditional(Box::new([condition, then, otherwise])), one.join(two)))
    }

    fn list(&mut self, items: Vec<Syntax>) -> Known {
        let (items, kinds): (Vec<_>, Vec<_>) = self.nodes(items)?.into_iter().unzip();
        Ok((Kind::List(items), Type::list(join_all(kinds.into_iter()))))
    }

    fn nodes(&mut self, items: Vec<Syntax>) -> Result<Vec<(Node, Type)>, Mistake> {
        items.into_iter().map(|item| self.node(item)).collect()
    }

    fn fitting(&mut self, syntax: Syntax, wanted: &Type) -> Checked {
        let at = syntax.at;
        let (node, kind) = self.node(syntax)?;
        if kind.fits(wanted) {
            Ok((node, kind))
        } else {
            Err(Mistake::kind(at, format!("expected {wanted}, found {kind}")))
        }
    }

    fn wanted(&mut self, syntax: Syntax, wanted: &Type) -> Result<Node, Mistake> {
        self.fitting(syntax, wanted).map(|(node, _)| node)
    }

    fn name(&self, name: &str, at: usize) -> Known {
        if let Some(local) = self.locals.iter().rposition(|(known, _)| known == name) {
            let kind = self.locals.get(local).map_or(Type::Any, |(_, kind)| kind.clone());
            return Ok((Kind::Local(local), kind));
        }
        if let Some(variable) = self.scope.variables.iter().position(|(known, _)| *known == name) {
            let kind = self.scope.variables.get(variable).map_or(Type::Any, |(_, kind)| kind.clone());
            return Ok((Kind::Variable(variable), kind));
        }
        if let Some(kind) = TYPES.into_iter().find(|kind| *kind == name) {
            return Ok((Kind::Type(kind), Type::Kind));
        }
        let names = self.scope.variables.iter().map(|(name, _)| *name);
        let locals = self.locals.iter().map(|(name, _)| name.as_str());
        let mistake = Mistake::kind(at, format!("unknown variable `{name}`"));
        Err(mistake.meant(name, names.chain(locals)))
    }

    fn index(&mut self, [operand, index]: [Syntax; 2], at: usize) -> Known {
        let (operand, kind) = self.node(operand)?;
        let index_at = index.at;
        let (index, index_kind) = self.node(index)?;
        let wanted = match &kind {
            Type::List(_) => Type::Double,
            Type::Shape(_) | Type::Map(_) => Type::Text,
            _ => Type::Any,
        };
        if !index_kind.fits(&wanted) {
            return Err(Mistake::kind(index_at, format!("{kind} is looked up by {wanted}, not by {index_kind}")));
        }
        let result = match &index.kind {
            Kind::Text(field) => field_of(&kind, field, &operand, self.scope, index_at)?,
            _ => kind.indexed().ok_or_else(|| Mistake::kind(at, format!("{kind} has nothing to look up")))?,
        };
        Ok((Kind::Index(Box::new([operand, index])), result))
    }

    fn map(&mut self, entries: Vec<[Syntax; 2]>) -> Known {
        let mut nodes = Vec::with_capacity(entries.len());
        let mut kinds = Vec::with_capacity(entries.len());
        for [key, value] in entries {
            let key_at = key.at;
            let (key, key_kind) = self.node(key)?;
            if !matches!(key_kind, Type::Any | Type::Text | Type::Bool | Type::Int | Type::Double) {
                return Err(Mistake::kind(key_at, format!("{key_kind} cannot be a key of a map")));
            }
            let (value, kind) = self.node(value)?;
            kinds.push((key_kind, kind));
            nodes.push([key, value]);
        }
        let by_text = !kinds.is_empty() && kinds.iter().all(|(key, _)| *key == Type::Text);
        let values = join_all(kinds.into_iter().map(|(_, kind)| kind));
        let distinct = distinct(&nodes)?;
        Ok((Kind::Map(nodes, distinct), if by_text { Type::Map(Box::new(values)) } else { Type::Any }))
    }

    fn binary(&mut self, operator: Operator, [left, right]: [Syntax; 2], at: usize) -> Known {
        let (left, one) = self.node(left)?;
        let (right, two) = self.node(right)?;
        let result = match operator {
            Operator::Or | Operator::And => (one.fits(&Type::Bool) && two.fits(&Type::Bool)).then_some(Type::Bool),
            Operator::Equal | Operator::NotEqual => one.comparable(&two).then_some(Type::Bool),
            Operator::Less | Operator::AtMost | Operator::More | Operator::AtLeast => {
                let ordered = |kind: &Type| kind.is_number() || matches!(kind, Type::Text | Type::Bool);
                (ordered(&one) && ordered(&two) && one.comparable(&two)).then_some(Type::Bool)
            }
            Operator::In => two.iterated().filter(|item| item.comparable(&one)).map(|_| Type::Bool),
            Operator::Add => match (&one, &two) {
                (Type::Text, Type::Text | Type::Any) | (Type::Any, Type::Text) => Some(Type::Text),
                (Type::List(_), Type::List(_)) => Some(one.clone().join(two.clone())),
                (Type::List(_), Type::Any) | (Type::Any, Type::List(_)) => Some(Type::list(Type::Any)),
                _ => arithmetic(&one, &two),
            },
            Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => arithmetic(&one, &two),
        };
        match result {
            Some(result) => Ok((Kind::Binary(operator, Box::new([left, right])), result)),
            None => {
                let mistake = Mistake::kind(at, format!("`{}` does not work on {one} and {two}", operator.mark()));
                let mixed = operator == Operator::Add && (one == Type::Text || two == Type::Text);
                Err(mistake.hinted(mixed.then_some("make text of it with `string(...)`")))
            }
        }
    }

    fn call(&mut self, target: Option<Box<Syntax>>, name: &str, mut arguments: Vec<Syntax>, at: usize) -> Known {
        if target.is_none() && name == "has" {
            return self.has(arguments, at);
        }
        let target = match target.map(|target| *target) {
            // `math.ceil` is a name with a dot in it.
            Some(Syntax { kind: SyntaxKind::Name(space), .. }) if space == "math" && !self.knows(&space) => {
                return self.builtin(&format!("math.{name}"), arguments, at);
            }
            target => target,
        };
        if let Some(target) = target {
            if let Some((_, kind)) = Macro::ALL.into_iter().find(|(known, _)| *known == name) {
                return self.run(kind, name, target, arguments, at);
            }
            if name == "matches" {
                return self.matches(target, arguments, at);
            }
            arguments.insert(0, target);
            return self.builtin(&format!(".{name}"), arguments, at);
        }
        if let Some(function) = self.scope.functions.iter().position(|function| function.name == name) {
            return self.host(function, arguments, at);
        }
        if name == "matches" && !arguments.is_empty() {
            let target = arguments.remove(0);
            return self.matches(target, arguments, at);
        }
        self.builtin(name, arguments, at)
    }

    fn knows(&self, name: &str) -> bool {
        self.locals.iter().any(|(known, _)| known == name)
            || self.scope.variables.iter().any(|(known, _)| *known == name)
    }

    fn has(&mut self, mut arguments: Vec<Syntax>, at: usize) -> Known {
        let (one, none) = (arguments.pop(), arguments.is_empty());
        match one {
            Some(Syntax { kind: SyntaxKind::Select(operand, field), at, .. }) if none => {
                let (operand, kind) = self.node(*operand)?;
                // A field that cannot be there is a slip too.
                field_of(&kind, &field, &operand, self.scope, at)?;
                Ok((Kind::Has(Box::new(operand), field.into()), Type::Bool))
            }
            _ => Err(Mistake::kind(at, "`has` takes one field, as in `has(context.model)`")),
        }
    }

    fn run(&mut self, kind: Macro, name: &str, range: Syntax, arguments: Vec<Syntax>, at: usize) -> Known {
        let range_at = range.at;
        let (range, over) = self.node(range)?;
        let Some(item) = over.iterated() else {
            return Err(Mistake::kind(range_at, format!("`{name}` runs over a list or a map, not over {over}")));
        };
        let usage = || {
            let example =
                if kind == Macro::Map { "map(item, item * 2)".to_owned() } else { format!("{name}(item, item > 2)") };
            Mistake::kind(at, format!("`{name}` takes a name and what is asked of it, as in `list.{example}`"))
        };
        let mut arguments = arguments.into_iter();
        let (Some(variable), Some(first)) = (arguments.next(), arguments.next()) else { return Err(usage()) };
        let second = arguments.next();
        let SyntaxKind::Name(variable) = variable.kind else { return Err(usage()) };
        if arguments.next().is_some() || (second.is_some() && kind != Macro::Map) {
            return Err(usage());
        }
        self.locals.push((variable, item.clone()));
        let checked = self.body(kind, first, second);
        self.locals.pop();
        let (when, then, made) = checked?;
        let result = match kind {
            Macro::All | Macro::Exists | Macro::ExistsOne => Type::Bool,
            Macro::Filter => Type::list(item),
            Macro::Map => Type::list(made),
        };
        Ok((Kind::Macro(kind, Box::new(Run { range, when, then })), result))
    }

    /// The condition of a macro, what it makes of an item, and the type of that.
    fn body(
        &mut self,
        kind: Macro,
        first: Syntax,
        second: Option<Syntax>,
    ) -> Result<(Option<Node>, Option<Node>, Type), Mistake> {
        match (kind, second) {
            (Macro::Map, None) => {
                let (then, made) = self.node(first)?;
                Ok((None, Some(then), made))
            }
            (Macro::Map, Some(second)) => {
                let when = self.wanted(first, &Type::Bool)?;
                let (then, made) = self.node(second)?;
                Ok((Some(when), Some(then), made))
            }
            _ => Ok((Some(self.wanted(first, &Type::Bool)?), None, Type::Any)),
        }
    }

    fn matches(&mut self, target: Syntax, arguments: Vec<Syntax>, at: usize) -> Known {
        let target = self.wanted(target, &Type::Text)?;
        match arguments.as_slice() {
            [Syntax { kind: SyntaxKind::Text(pattern), at, .. }] => {
                let pattern = Pattern::new(pattern).map_err(|message| Mistake::kind(*at, message))?;
                Ok((Kind::Matches(Box::new(target), pattern), Type::Bool))
            }
            // One made while it runs could be anything, and take any time.
            _ => Err(Mistake::kind(at, "`matches` takes a pattern written out as text")),
        }
    }

    fn host(&mut self, index: usize, arguments: Vec<Syntax>, at: usize) -> Known {
        let Some(function) = self.scope.functions.get(index) else { return Ok((Kind::Null, Type::Null)) };
        let arguments = self.arguments(function.name, function.parameters, arguments, at)?;
        Ok((Kind::Host(index, arguments.into_iter().map(|(node, _)| node).collect()), function.result.clone()))
    }

    fn builtin(&mut self, name: &str, arguments: Vec<Syntax>, at: usize) -> Known {
        let Some(found) = library::find(name) else { return Err(self.unknown_function(name, at)) };
        let arguments = match found.builtin {
            Builtin::Greatest | Builtin::Least => self.numbers(name, arguments, at)?,
            _ => self.arguments(name, found.parameters, arguments, at)?,
        };
        let (arguments, kinds): (Vec<_>, Vec<_>) = arguments.into_iter().unzip();
        let result = match found.builtin {
            // What they give is one of what they take.
            Builtin::Greatest | Builtin::Least | Builtin::Abs => join_all(kinds.into_iter()),
            _ => found.result.clone(),
        };
        Ok((Kind::Builtin(found.builtin, arguments), result))
    }

    /// Numbers, or one list of numbers.
    fn numbers(&mut self, name: &str, arguments: Vec<Syntax>, at: usize) -> Result<Vec<(Node, Type)>, Mistake> {
        let count = arguments.len();
        if count == 0 {
            return Err(Mistake::kind(at, format!("`{name}` takes one number or more")));
        }
        let number = |argument: Syntax| {
            let at = argument.at;
            match self.node(argument)? {
                (node, Type::List(items)) if count == 1 && items.is_number() => Ok((node, *items)),
                (node, kind) if kind.is_number() => Ok((node, kind)),
                (_, kind) => Err(Mistake::kind(at, format!("expected a number, found {kind}"))),
            }
        };
        arguments.into_iter().map(number).collect()
    }

    fn arguments(
        &mut self,
        name: &str,
        parameters: &[Type],
        arguments: Vec<Syntax>,
        at: usize,
    ) -> Result<Vec<(Node, Type)>, Mistake> {
        if arguments.len() != parameters.len() {
            let (target, named) = name.strip_prefix('.').map_or((0, name), |name| (1, name));
            let (wanted, given) = (parameters.len().saturating_sub(target), arguments.len().saturating_sub(target));
            let what = match wanted {
                0 => "nothing".to_owned(),
                1 => "one argument".to_owned(),
                wanted => format!("{wanted} arguments"),
            };
            return Err(Mistake::kind(at, format!("`{named}` takes {what}, but was given {given}")));
        }
        arguments.into_iter().zip(parameters).map(|(argument, wanted)| self.fitting(argument, wanted)).collect()
    }

    fn unknown_function(&self, name: &str, at: usize) -> Mistake {
        let own = self.scope.functions.iter().map(|function| function.name);
        match name.strip_prefix('.') {
            Some(method) => {
                let macros = Macro::ALL.into_iter().map(|(name, _)| name);
                let methods = library::names().filter_map(|name| name.strip_prefix('.'));
                let known = methods.chain(macros).chain(["matches"]);
                Mistake::kind(at, format!("unknown function `{method}`")).meant(method, known)
            }
            None => {
                let known = own.chain(library::names().filter(|name| !name.starts_with('.'))).chain(["has"]);
                Mistake::kind(at, format!("unknown function `{name}`")).meant(name, known)
            }
        }
    }
}

/// What a field is; a mistake where it is known that there is none.
fn field_of(kind: &Type, field: &str, operand: &Node, scope: &Scope<'_>, at: usize) -> Result<Type, Mistake> {
    match kind {
        Type::Any => Ok(Type::Any),
        Type::Map(values) => Ok((**values).clone()),
        Type::Shape(shape) => shape.field(field).cloned().ok_or_else(|| {
            let whose = match &operand.kind {
                Kind::Variable(index) => scope.variables.get(*index).map(|(name, _)| format!(" in `{name}`")),
                Kind::Select(_, name) => Some(format!(" in `{name}`")),
                _ => None,
            };
            let mistake = Mistake::kind(at, format!("no field `{field}`{}", whose.unwrap_or_default()));
            mistake.meant(field, shape.names())
        }),
        _ => Err(Mistake::kind(at, format!("{kind} has no field `{field}`"))),
    }
}

/// What stands for itself.
fn plain(literal: SyntaxKind) -> (Kind, Type) {
    match literal {
        SyntaxKind::Bool(value) => (Kind::Bool(value), Type::Bool),
        SyntaxKind::Int(value) => (Kind::Int(value), Type::Int),
        SyntaxKind::Double(value) => (Kind::Double(value), Type::Double),
        SyntaxKind::Text(text) => (Kind::Text(text.into()), Type::Text),
        _ => (Kind::Null, Type::Null),
    }
}

/// Whether all keys are known and differ.
fn distinct(entries: &[[Node; 2]]) -> Result<bool, Mistake> {
    #[derive(PartialEq, Eq, Hash)]
    enum Key<'k> {
        Text(&'k str),
        Int(i64),
        Bool(bool),
    }
    let mut known = HashSet::with_capacity(entries.len());
    for [key, _] in entries {
        let constant = match &key.kind {
            Kind::Text(text) => Key::Text(text),
            Kind::Int(value) => Key::Int(*value),
            Kind::Bool(value) => Key::Bool(*value),
            _ => return Ok(false),
        };
        if !known.insert(constant) {
            return Err(Mistake::kind(key.at, "this key is there already"));
        }
    }
    Ok(true)
}

/// The type of a sum, difference, product or quotient.
fn arithmetic(one: &Type, two: &Type) -> Option<Type> {
    if !one.is_number() || !two.is_number() {
        return None;
    }
    Some(match (one, two) {
        (Type::Int, Type::Int) => Type::Int,
        (Type::Any, Type::Any) => Type::Any,
        _ => Type::Double,
    })
}
