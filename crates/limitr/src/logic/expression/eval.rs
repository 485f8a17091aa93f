//! Running a program within a budget of steps, to which everything that takes time or memory is charged.

use std::cmp::Ordering;

use super::check::{Kind, Macro, Node, Run};
use super::library;
use super::parse::Operator;
use super::value::{Found, Value};
use crate::Amount;
use crate::policy::quoted;

/// Most steps of one run: a few milliseconds at worst, some megabytes at most.
const STEPS: usize = 50_000;
/// Bytes of text that are looked at or made in one step.
const BYTES_PER_STEP: usize = 16;

/// Steps for each call of a function of the host, which may look at the whole state of a customer.
const STEPS_PER_CALL: usize = 100;

/// Why a run gave no result, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Bytes from the beginning of the expression.
    pub(crate) at: usize,
    pub(crate) message: String,
}

/// Answers the functions of a scope.
pub(crate) trait Host {
    /// The result of the function at `index` in the scope; `Err` says why there is none.
    fn call<'a>(&self, index: usize, arguments: &[Value<'a>]) -> Result<Value<'a>, String>;
}

/// The host of a scope without functions.
#[derive(Debug)]
pub(crate) struct Unhosted;

impl Host for Unhosted {
    fn call<'a>(&self, _: usize, _: &[Value<'a>]) -> Result<Value<'a>, String> {
        Err("there are no functions here".to_owned())
    }
}

/// What a run may still spend.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
}

/// The budget is spent.
#[derive(Debug)]
pub(super) struct Spent;

impl Budget {
    #[inline]
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), Spent> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                // Nothing else is affordable either, whatever the expression makes of this failure.
                self.left = 0;
                Err(Spent)
            }
        }
    }

    pub(super) fn spend_bytes(&mut self, bytes: usize) -> Result<(), Spent> {
        self.spend(bytes / BYTES_PER_STEP)
    }
}

/// Runs `root` on the variables of its scope.
pub(super) fn run<'a>(root: &'a Node, variables: &[Value<'a>], host: &dyn Host) -> Result<Value<'a>, Fault> {
    let mut run = Evaluation { variables, host, locals: Vec::new(), budget: Budget { left: STEPS } };
    let result = run.node(root).map_err(|fault| *fault)?;
    // Its parts may be shared so often that it could never be written out.
    result.charge(&mut run.budget).map_err(|Spent| *spent(root.at))?;
    Ok(result)
}

struct Evaluation<'a, 'r> {
    variables: &'r [Value<'a>],
    host: &'r dyn Host,
    locals: Vec<Value<'a>>,
    budget: Budget,
}

// Boxed, for a result is passed through every level.
type Evaluated<'a> = Result<Value<'a>, Box<Fault>>;

#[cold]
fn fault(at: usize, message: impl Into<String>) -> Box<Fault> {
    Box::new(Fault { at, message: message.into() })
}

#[cold]
fn spent(at: usize) -> Box<Fault> {
    fault(at, format!("the expression takes more than {STEPS} steps"))
}

impl<'a> Evaluation<'a, '_> {
    fn node(&mut self, node: &'a Node) -> Evaluated<'a> {
        let at = node.at;
        self.budget.spend(1).map_err(|Spent| spent(at))?;
        Ok(match &node.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Int(value) => Value::Int(*value),
            Kind::Double(value) => Value::Double(*value),
            Kind::Text(text) => (&**text).into(),
            Kind::Type(name) => Value::Type(name),
            Kind::Variable(index) => self.variables.get(*index).cloned().into(),
            Kind::Local(index) => self.locals.get(*index).cloned().into(),
            Kind::Select(operand, field) => {
                let operand = self.node(operand)?;
                match self.field(&operand, field, at)? {
                    Found::Value(value) => value,
                    Found::Missing => return Err(missing(field, at)),
                    Found::NoFields => return Err(no_fields(&operand, field, at)),
                }
            }
            Kind::Has(operand, field) => {
                let operand = self.node(operand)?;
                match self.field(&operand, field, at)? {
                    Found::NoFields => return Err(no_fields(&operand, field, at)),
                    found => Value::Bool(matches!(found, Found::Value(_))),
                }
            }
            Kind::Index(parts) => {
                let [operand, index] = &**parts;
                let (operand, index) = (self.node(operand)?, self.node(index)?);
                self.index(&operand, &index, at)?
            }
            Kind::Not(operand) => Value::Bool(!self.bool(operand)?),
            Kind::Negate(operand) => {
                let value = self.node(operand)?;
                let negated = match &value {
                    Value::Int(value) => value.checked_neg().map(Value::Int),
                    Value::Double(amount) => Amount::ZERO.checked_sub(*amount).map(Value::Double),
                    other => return Err(fault(at, format!("expected a number, found {}", kind_of(other)))),
                };
                negated.ok_or_else(|| out_of_range(at))?
            }
            Kind::Binary(Operator::And, operands) => self.both(operands, false)?,
            Kind::Binary(Operator::Or, operands) => self.both(operands, true)?,
            Kind::Binary(operator, operands) => {
                let [left, right] = &**operands;
                let (left, right) = (self.node(left)?, self.node(right)?);
                self.binary(*operator, &left, &right, at)?
            }
            Kind::Conditional(parts) => {
                let [condition, then, otherwise] = &**parts;
                if self.bool(condition)? { self.node(then)? } else { self.node(otherwise)? }
            }
            Kind::List(items) => Value::List(self.nodes(items)?.into()),
            Kind::Map(entries, distinct) => self.map(entries, *distinct)?,
            Kind::Builtin(builtin, arguments) => {
                let arguments = self.nodes(arguments)?;
                library::call(*builtin, &arguments, &mut self.budget).map_err(|failure| match failure {
                    library::Failure::Spent => spent(at),
                    library::Failure::Because(message) => fault(at, message),
                })?
            }
            Kind::Host(index, arguments) => {
                let arguments = self.nodes(arguments)?;
                self.budget.spend(STEPS_PER_CALL).map_err(|Spent| spent(at))?;
                for argument in &arguments {
                    argument.charge(&mut self.budget).map_err(|Spent| spent(at))?;
                }
                self.host.call(*index, &arguments).map_err(|message| fault(at, message))?
            }
            Kind::Matches(operand, pattern) => {
                let value = self.node(operand)?;
                let Some(text) = value.text() else {
                    return Err(fault(at, format!("expected text, found {}", kind_of(&value))));
                };
                self.budget.spend(pattern.steps(text)).map_err(|Spent| spent(at))?;
                Value::Bool(pattern.matches(text))
            }
            Kind::Macro(kind, run) => self.run(*kind, run, at)?,
        })
    }

    fn nodes(&mut self, nodes: &'a [Node]) -> Result<Vec<Value<'a>>, Box<Fault>> {
        nodes.iter().map(|node| self.node(node)).collect()
    }

    fn bool(&mut self, node: &'a Node) -> Result<bool, Box<Fault>> {
        match self.node(node)? {
            Value::Bool(value) => Ok(value),
            other => Err(fault(node.at, format!("expected a boolean, found {}", kind_of(&other)))),
        }
    }

    /// `&&` and `||`: whichever side decides does, even beside a fault of the other.
    fn both(&mut self, [left, right]: &'a [Node; 2], decisive: bool) -> Evaluated<'a> {
        match self.bool(left) {
            Ok(value) if value == decisive => Ok(Value::Bool(decisive)),
            Ok(_) => self.bool(right).map(Value::Bool),
            Err(fault) => match self.bool(right) {
                Ok(value) if value == decisive => Ok(Value::Bool(decisive)),
                _ => Err(fault),
            },
        }
    }

    fn field(&mut self, operand: &Value<'a>, field: &str, at: usize) -> Result<Found<'a>, Box<Fault>> {
        operand.field(field, &mut self.budget).map_err(|Spent| spent(at))
    }

    fn map(&mut self, entries: &'a [[Node; 2]], distinct: bool) -> Evaluated<'a> {
        let mut made: Vec<(Value<'a>, Value<'a>)> = Vec::with_capacity(entries.len());
        for [key, value] in entries {
            let at = key.at;
            let (key, value) = (self.node(key)?, self.node(value)?);
            if !matches!(key, Value::Text(_) | Value::Bool(_) | Value::Int(_) | Value::Double(_)) {
                return Err(fault(at, format!("{} cannot be a key of a map", kind_of(&key))));
            }
            let earlier = if distinct { &[][..] } else { &made };
            for (known, _) in earlier {
                if known.equals(&key, &mut self.budget).map_err(|Spent| spent(at))? {
                    return Err(fault(at, "this key is there already"));
                }
            }
            made.push((key, value));
        }
        Ok(Value::Map(made.into()))
    }

    fn index(&mut self, operand: &Value<'a>, index: &Value<'a>, at: usize) -> Evaluated<'a> {
        if let Some(field) = index.text() {
            match self.field(operand, field, at)? {
                Found::Value(value) => return Ok(value),
                Found::Missing => return Err(missing(field, at)),
                Found::NoFields => {}
            }
        }
        if let Some(position) = index.amount().filter(|_| operand.type_name() == "list") {
            let place = position.to_i64().filter(|place| Amount::from(*place) == position);
            let item = place.and_then(|place| operand.item(usize::try_from(place).ok()?));
            return item.ok_or_else(|| fault(at, format!("the list has no item {}", index.shown())));
        }
        if let Value::Map(entries) = operand {
            for (key, value) in entries.iter() {
                if key.equals(index, &mut self.budget).map_err(|Spent| spent(at))? {
                    return Ok(value.clone());
                }
            }
            return Err(fault(at, "the map does not have this key"));
        }
        Err(fault(at, format!("{} cannot be looked up in {}", kind_of(index), kind_of(operand))))
    }

    fn binary(&mut self, operator: Operator, left: &Value<'a>, right: &Value<'a>, at: usize) -> Evaluated<'a> {
        let mut ordering = |wanted: fn(Ordering) -> bool| match left.order(right, &mut self.budget) {
            Ok(Some(order)) => Ok(Value::Bool(wanted(order))),
            Ok(None) => Err(mismatch(operator, left, right, at)),
            Err(Spent) => Err(spent(at)),
        };
        match operator {
            Operator::Equal | Operator::NotEqual => {
                let equal = left.equals(right, &mut self.budget).map_err(|Spent| spent(at))?;
                Ok(Value::Bool(equal == (operator == Operator::Equal)))
            }
            Operator::Less => ordering(Ordering::is_lt),
            Operator::AtMost => ordering(Ordering::is_le),
            Operator::More => ordering(Ordering::is_gt),
            Operator::AtLeast => ordering(Ordering::is_ge),
            Operator::In => self.contains(right, left, at),
            _ => self.arithmetic(operator, left, right, at),
        }
    }

    /// Whether a list holds the item, or a map the key.
    fn contains(&mut self, whole: &Value<'a>, part: &Value<'a>, at: usize) -> Evaluated<'a> {
        if let Some(field) = part.text() {
            match self.field(whole, field, at)? {
                Found::Value(_) => return Ok(Value::Bool(true)),
                Found::Missing => return Ok(Value::Bool(false)),
                Found::NoFields => {}
            }
        }
        let items = match whole.items(&mut self.budget).map_err(|Spent| spent(at))? {
            Some(items) => items,
            None => match whole.entries(&mut self.budget).map_err(|Spent| spent(at))? {
                Some(entries) => entries.into_iter().map(|(key, _)| key).collect(),
                None => return Err(mismatch(Operator::In, part, whole, at)),
            },
        };
        for item in &items {
            if item.equals(part, &mut self.budget).map_err(|Spent| spent(at))? {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }

    fn arithmetic(&mut self, operator: Operator, left: &Value<'a>, right: &Value<'a>, at: usize) -> Evaluated<'a> {
        let result = match (left, right) {
            (Value::Int(one), Value::Int(two)) => {
                if *two == 0 && matches!(operator, Operator::Divide | Operator::Remainder) {
                    return Err(fault(at, "division by zero"));
                }
                let whole = match operator {
                    Operator::Add => one.checked_add(*two),
                    Operator::Subtract => one.checked_sub(*two),
                    Operator::Multiply => one.checked_mul(*two),
                    Operator::Divide => one.checked_div(*two),
                    _ => one.checked_rem(*two),
                };
                whole.map(Value::Int)
            }
            _ => match (left.amount(), right.amount()) {
                (Some(one), Some(two)) => decimal(operator, one, two, at)?.map(Value::Double),
                _ if operator == Operator::Add => return self.joined(left, right, at),
                _ => return Err(mismatch(operator, left, right, at)),
            },
        };
        result.ok_or_else(|| out_of_range(at))
    }

    /// Text after text, list after list.
    fn joined(&mut self, left: &Value<'a>, right: &Value<'a>, at: usize) -> Evaluated<'a> {
        if let (Some(one), Some(two)) = (left.text(), right.text()) {
            self.budget.spend_bytes(one.len() + two.len()).map_err(|Spent| spent(at))?;
            return Ok([one, two].concat().into());
        }
        let mut items = |list: &Value<'a>| list.items(&mut self.budget).map_err(|Spent| spent(at));
        match (items(left)?, items(right)?) {
            (Some(mut one), Some(two)) => {
                one.extend(two);
                Ok(Value::List(one.into()))
            }
            _ => Err(mismatch(Operator::Add, left, right, at)),
        }
    }

    fn run(&mut self, kind: Macro, run: &'a Run, at: usize) -> Evaluated<'a> {
        let range = self.node(&run.range)?;
        let items = match range.items(&mut self.budget).map_err(|Spent| spent(at))? {
            Some(items) => items,
            None => match range.entries(&mut self.budget).map_err(|Spent| spent(at))? {
                Some(entries) => entries.into_iter().map(|(key, _)| key).collect(),
                None => return Err(fault(at, format!("this cannot run over {}", kind_of(&range)))),
            },
        };
        let (mut made, mut counted, mut failed) = (Vec::new(), 0_usize, None);
        for item in items {
            self.locals.push(item);
            let outcome = self.turn(run);
            let item = self.locals.pop();
            match (kind, outcome) {
                (Macro::All, Ok((false, _))) => return Ok(Value::Bool(false)),
                (Macro::Exists, Ok((true, _))) => return Ok(Value::Bool(true)),
                // As with `&&` and `||`, another item may still decide.
                (Macro::All | Macro::Exists, Err(fault)) if self.budget.left > 0 => failed = failed.or(Some(fault)),
                (_, Err(fault)) => return Err(fault),
                (Macro::ExistsOne, Ok((true, _))) => counted += 1,
                (Macro::Filter, Ok((true, _))) => made.extend(item),
                (Macro::Map, Ok((true, value))) => made.extend(value),
                _ => {}
            }
        }
        match failed {
            Some(fault) => Err(fault),
            None => Ok(match kind {
                Macro::All => Value::Bool(true),
                Macro::Exists => Value::Bool(false),
                Macro::ExistsOne => Value::Bool(counted == 1),
                Macro::Filter | Macro::Map => Value::List(made.into()),
            }),
        }
    }

    /// One turn of a macro: whether the item counts, and what is made of it.
    fn turn(&mut self, run: &'a Run) -> Result<(bool, Option<Value<'a>>), Box<Fault>> {
        let counts = match &run.when {
            Some(when) => self.bool(when)?,
            None => true,
        };
        let made = match &run.then {
            Some(then) if counts => Some(self.node(then)?),
            _ => None,
        };
        Ok((counts, made))
    }
}

/// The result in decimals; none out of range.
fn decimal(operator: Operator, one: Amount, two: Amount, at: usize) -> Result<Option<Amount>, Box<Fault>> {
    if two.is_zero() && matches!(operator, Operator::Divide | Operator::Remainder) {
        return Err(fault(at, "division by zero"));
    }
    Ok(match operator {
        Operator::Add => one.checked_add(two),
        Operator::Subtract => one.checked_sub(two),
        Operator::Multiply => one.checked_mul(two),
        Operator::Divide => one.checked_div(two),
        _ => one.decimal().checked_rem(two.decimal()).map(Amount::from),
    })
}

#[cold]
fn missing(field: &str, at: usize) -> Box<Fault> {
    fault(at, format!("there is no {}", quoted(field)))
}

#[cold]
fn no_fields(operand: &Value<'_>, field: &str, at: usize) -> Box<Fault> {
    fault(at, format!("{} has no field {}", kind_of(operand), quoted(field)))
}

fn mismatch(operator: Operator, left: &Value<'_>, right: &Value<'_>, at: usize) -> Box<Fault> {
    fault(at, format!("`{}` does not work on {} and {}", operator.mark(), kind_of(left), kind_of(right)))
}

fn out_of_range(at: usize) -> Box<Fault> {
    fault(at, "the result is out of range")
}

/// What a message calls a value.
fn kind_of(value: &Value<'_>) -> &'static str {
    match value.type_name() {
        "null_type" => "null",
        "bool" => "a boolean",
        "int" | "double" => "a number",
        "string" => "text",
        "list" => "a list",
        "map" => "a map",
        _ => "a type",
    }
}
