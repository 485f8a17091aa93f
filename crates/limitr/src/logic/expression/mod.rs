//! Expressions: the [Common Expression Language](https://cel.dev) over exact decimals, checked when a policy loads and
//! bounded when it runs.
//!
//! Text becomes tokens ([`lex`]), a tree ([`parse`]) and, with every name and type settled ([`check`]), a program that is
//! run within a budget ([`eval`]). What it does not have of the language, because prices have no use for it: unsigned
//! numbers, bytes, timestamps, messages. What it does otherwise: `double` is an exact decimal, so that costs add up; whole
//! numbers and decimals mix; a number out of range is a fault, not an infinity.

mod check;
mod eval;
mod lex;
mod library;
mod parse;
mod types;
mod value;

use crate::policy::nearest;

pub(crate) use check::{Function, Scope};
pub(crate) use eval::{Fault, Host, Unhosted};
pub(crate) use types::Type;
pub(crate) use value::{Record, Value};

/// A checked expression, ready to run.
#[derive(Debug)]
pub(crate) struct Expression {
    text: Box<str>,
    root: check::Node,
}

/// Why text is no expression, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) code: &'static str,
    /// Bytes from the beginning.
    pub(crate) at: usize,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Mistake {
    pub(super) fn syntax(at: usize, message: impl Into<String>) -> Self {
        Self { code: "expression_syntax", at, message: message.into(), hint: None }
    }

    fn kind(at: usize, message: impl Into<String>) -> Self {
        Self { code: "expression_type", at, message: message.into(), hint: None }
    }

    pub(super) fn hinted(mut self, hint: Option<&str>) -> Self {
        self.hint = hint.map(str::to_owned);
        self
    }

    /// Asks whether one of `known` was meant instead of `name`.
    fn meant<'k>(mut self, name: &str, known: impl Iterator<Item = &'k str> + Clone) -> Self {
        self.hint = match nearest(name, known.clone()) {
            Some(meant) => Some(format!("did you mean `{meant}`?")),
            None => {
                const LISTED: usize = 12;
                let listed: Vec<String> = known.take(LISTED).map(|name| format!("`{name}`")).collect();
                (!listed.is_empty()).then(|| format!("there is {}", listed.join(", ")))
            }
        };
        self
    }
}

impl Expression {
    /// Checks `text`, whose result must be able to be `wanted`.
    pub(crate) fn compile(text: &str, scope: &Scope<'_>, wanted: &Type) -> Result<Self, Mistake> {
        let root = check::check(parse::parse(text)?, scope, wanted)?;
        Ok(Self { text: text.into(), root })
    }

    /// As it is written in the policy.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Runs it on the variables of its scope, in the scope's order.
    pub(crate) fn evaluate<'a>(&'a self, variables: &[Value<'a>], host: &dyn Host) -> Result<Value<'a>, Fault> {
        eval::run(&self.root, variables, host)
    }
}

#[cfg(test)]
mod tests;
