//! The functions every expression has: the language's own on what it has of types, and `math`, which prices need.

use regex_lite::{Regex, RegexBuilder};
use rust_decimal::RoundingStrategy;

use super::eval::{Budget, Spent};
use super::lex::numeral;
use super::types::Type;
use super::value::Value;
use crate::Amount;

/// A function that is always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Builtin {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Text,
    Int,
    Double,
    Bool,
    Any,
    TypeOf,
    Ceil,
    Floor,
    Round,
    Trunc,
    Abs,
    Greatest,
    Least,
}

/// How a function is called.
#[derive(Debug)]
pub(super) struct Signature {
    /// With a dot before it when it is called on its first parameter.
    name: &'static str,
    pub(super) parameters: &'static [Type],
    pub(super) result: Type,
    pub(super) builtin: Builtin,
}

const ANY: &[Type] = &[Type::Any];
const NUMBER: &[Type] = &[Type::Double];
const TEXTS: &[Type] = &[Type::Text, Type::Text];

const fn signature(name: &'static str, parameters: &'static [Type], result: Type, builtin: Builtin) -> Signature {
    Signature { name, parameters, result, builtin }
}

static FUNCTIONS: &[Signature] = &[
    signature("size", ANY, Type::Int, Builtin::Size),
    signature(".size", ANY, Type::Int, Builtin::Size),
    signature(".contains", TEXTS, Type::Bool, Builtin::Contains),
    signature(".startsWith", TEXTS, Type::Bool, Builtin::StartsWith),
    signature(".endsWith", TEXTS, Type::Bool, Builtin::EndsWith),
    signature("string", ANY, Type::Text, Builtin::Text),
    signature("int", ANY, Type::Int, Builtin::Int),
    signature("double", ANY, Type::Double, Builtin::Double),
    signature("bool", ANY, Type::Bool, Builtin::Bool),
    signature("dyn", ANY, Type::Any, Builtin::Any),
    signature("type", ANY, Type::Kind, Builtin::TypeOf),
    signature("math.ceil", NUMBER, Type::Double, Builtin::Ceil),
    signature("math.floor", NUMBER, Type::Double, Builtin::Floor),
    signature("math.round", NUMBER, Type::Double, Builtin::Round),
    signature("math.trunc", NUMBER, Type::Double, Builtin::Trunc),
    signature("math.abs", NUMBER, Type::Double, Builtin::Abs),
    signature("math.greatest", NUMBER, Type::Double, Builtin::Greatest),
    signature("math.least", NUMBER, Type::Double, Builtin::Least),
];

pub(super) fn find(name: &str) -> Option<&'static Signature> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

pub(super) fn names() -> impl Iterator<Item = &'static str> + Clone {
    FUNCTIONS.iter().map(|function| function.name)
}

/// Why a function gave no result.
pub(super) enum Failure {
    Spent,
    Because(String),
}

impl From<Spent> for Failure {
    fn from(_: Spent) -> Self {
        Self::Spent
    }
}

pub(super) fn call<'a>(builtin: Builtin, arguments: &[Value<'a>], budget: &mut Budget) -> Result<Value<'a>, Failure> {
    let because = |message: &str| Failure::Because(message.to_owned());
    let Some(value) = arguments.first() else { return Err(because("an argument is missing")) };
    let number = || value.amount().ok_or_else(|| because("expected a number"));
    let texts = || match (value.text(), arguments.get(1).and_then(Value::text)) {
        (Some(one), Some(two)) => Ok((one, two)),
        _ => Err(because("expected text")),
    };
    let in_range =
        |amount: Option<Amount>| amount.map(Value::Double).ok_or_else(|| because("the result is out of range"));
    Ok(match builtin {
        Builtin::Size => {
            let size = value.size(budget)?.ok_or_else(|| because("`size` is of text, a list or a map"))?;
            Value::Int(i64::try_from(size).unwrap_or(i64::MAX))
        }
        Builtin::Contains | Builtin::StartsWith | Builtin::EndsWith => {
            let (text, part) = texts()?;
            budget.spend_bytes(text.len() + part.len())?;
            Value::Bool(match builtin {
                Builtin::Contains => text.contains(part),
                Builtin::StartsWith => text.starts_with(part),
                _ => text.ends_with(part),
            })
        }
        Builtin::Text => match value {
            Value::Text(_) => value.clone(),
            Value::Bool(_) | Value::Int(_) | Value::Double(_) => value.shown().into(),
            _ => return Err(because("this cannot be made text")),
        },
        Builtin::Int => match value {
            Value::Text(text) => Value::Int(whole(text).ok_or_else(|| because("this text is no whole number"))?),
            _ => Value::Int(number()?.to_i64().ok_or_else(|| because("the result is out of range"))?),
        },
        Builtin::Double => match value {
            Value::Text(text) => Value::Double(decimal(text).ok_or_else(|| because("this text is no number"))?),
            _ => Value::Double(number()?),
        },
        Builtin::Bool => match value {
            Value::Bool(_) => value.clone(),
            Value::Text(text) if matches!(&**text, "true" | "TRUE" | "True" | "t" | "1") => Value::Bool(true),
            Value::Text(text) if matches!(&**text, "false" | "FALSE" | "False" | "f" | "0") => Value::Bool(false),
            _ => return Err(because("this is neither `true` nor `false`")),
        },
        Builtin::Any => value.clone(),
        Builtin::TypeOf => Value::Type(value.type_name()),
        Builtin::Ceil => in_range(step(number()?, true))?,
        Builtin::Floor => in_range(step(number()?, false))?,
        // As the language says.
        Builtin::Round => {
            let rounding = RoundingStrategy::MidpointAwayFromZero;
            Value::Double(number()?.decimal().round_dp_with_strategy(0, rounding).into())
        }
        Builtin::Trunc => Value::Double(number()?.truncated()),
        Builtin::Abs => match value {
            Value::Int(value) => Value::Int(value.checked_abs().ok_or_else(|| because("the result is out of range"))?),
            _ => {
                let number = number()?;
                in_range(if number.is_negative() { Amount::ZERO.checked_sub(number) } else { Some(number) })?
            }
        },
        Builtin::Greatest | Builtin::Least => {
            let listed = if arguments.len() == 1 { value.items(budget)? } else { None };
            let mut best: Option<(Amount, &Value<'a>)> = None;
            for value in listed.as_deref().unwrap_or(arguments) {
                let amount = value.amount().ok_or_else(|| because("expected a number"))?;
                let better = |(than, _)| if builtin == Builtin::Greatest { amount > than } else { amount < than };
                if best.is_none_or(better) {
                    best = Some((amount, value));
                }
            }
            best.ok_or_else(|| because("the list is empty"))?.1.clone()
        }
    })
}

/// More text than this is no number: nobody writes one so long, and reading it would take its time.
const LONGEST_NUMBER: usize = 100;

/// The whole number that `text` is.
fn whole(text: &str) -> Option<i64> {
    if text.len() > LONGEST_NUMBER { None } else { text.parse().ok() }
}

/// The number that `text` is, written as in an expression.
fn decimal(text: &str) -> Option<Amount> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let number = !digits.is_empty() && digits.len() <= LONGEST_NUMBER && numeral(digits) == digits.len();
    if number { text.parse().ok() } else { None }
}

/// The next whole number up or down.
fn step(number: Amount, up: bool) -> Option<Amount> {
    let whole = number.truncated();
    match up {
        true if whole < number => whole.checked_add(Amount::ONE),
        false if whole > number => whole.checked_sub(Amount::ONE),
        _ => Some(whole),
    }
}

/// A regular expression, compiled when the policy loads.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    /// Bytes it has at most once compiled.
    size: usize,
}

impl Pattern {
    /// Sizes that a pattern may have once compiled, in bytes: what it costs to match goes with it.
    const SIZES: [usize; 8] = [1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15];

    pub(super) fn new(text: &str) -> Result<Self, String> {
        const LONGEST: usize = 1000;
        if text.len() > LONGEST {
            return Err(format!("a pattern has at most {LONGEST} bytes"));
        }
        let mut last = String::new();
        for size in Self::SIZES {
            match RegexBuilder::new(text).size_limit(size).nest_limit(32).build() {
                Ok(regex) => return Ok(Self { regex, size }),
                Err(error) => last = error.to_string(),
            }
        }
        Err(format!("this is no pattern: {last}"))
    }

    /// What matching `text` takes at most.
    pub(super) fn steps(&self, text: &str) -> usize {
        // At worst every instruction of the pattern is at work at every byte.
        const SIZE_PER_STEP: usize = 256;
        1 + text.len().saturating_mul(self.size) / SIZE_PER_STEP
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}
