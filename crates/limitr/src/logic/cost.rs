//! What a call costs the provider, as the policy computes it.

use std::sync::LazyLock;

use serde_json::Value as Json;

use super::expression::{Mistake, Scope, Type, Unhosted, Value};
use super::program::{LogicError, Program};
use super::records::{Person, person_type};
use crate::Amount;
use crate::policy::Credit;

/// What a cost expression sees of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    pub(crate) units: Amount,
    /// The call's event data.
    pub(crate) context: Option<&'a Json>,
    pub(crate) customer: &'a Person<'a>,
}

/// A credit's cost expression.
#[derive(Debug)]
pub(crate) struct Cost {
    program: Program,
}

fn data(given: Option<&Json>) -> Value<'_> {
    Value::of(given.unwrap_or(&NOTHING)).unwrap_or(Value::Null)
}

static NOTHING: LazyLock<Json> = LazyLock::new(|| Json::Object(serde_json::Map::new()));

impl Cost {
    /// The expression of the credit called `name`; none when it has none.
    pub(crate) fn compile(name: &str, credit: &Credit) -> Option<Result<Self, Mistake>> {
        let text = credit.overhead.as_deref()?;
        let variables = [
            ("units", Type::Double),
            ("context", Type::Any),
            ("data", Type::of(credit.data.as_ref().unwrap_or(&NOTHING))),
            ("customer", person_type()),
        ];
        let scope = Scope { variables: &variables, functions: &[] };
        let program = Program::compile(text, format!("policy.credits.{name}.overhead"), &scope, &Type::Double);
        Some(program.map(|program| Self { program }))
    }

    /// Runes of cost.
    pub(crate) fn of(&self, credit: &Credit, call: Circumstances<'_>) -> Result<Amount, Box<LogicError>> {
        let variables =
            [Value::Double(call.units), data(call.context), data(credit.data.as_ref()), Value::Record(call.customer)];
        let result = self.program.run(&variables, &Unhosted)?;
        result.amount().ok_or_else(|| self.program.error("the result is not a number".to_owned(), None))
    }

    /// Whether an error of it is to be reported now; it counts as reported then.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        self.program.is_due(now)
    }
}
