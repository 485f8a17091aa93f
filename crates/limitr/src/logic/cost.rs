//! What a call costs the provider, as the policy computes it.

use std::sync::LazyLock;

use serde_json::Value as Json;

use super::expression::{Mistake, Scope, Type, Unhosted, Value};
use super::functions::{Argument, Functions, Place, Routine};
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

/// How a credit's cost is computed.
#[derive(Debug)]
pub(crate) enum Cost {
    Expression(Program),
    Function(Routine),
}

fn data(given: Option<&Json>) -> Value<'_> {
    Value::of(given.unwrap_or(&NOTHING)).unwrap_or(Value::Null)
}

static NOTHING: LazyLock<Json> = LazyLock::new(|| Json::Object(serde_json::Map::new()));

impl Cost {
    /// What computes the cost of the credit called `name`; none when nothing does.
    pub(crate) fn compile(name: &str, credit: &Credit, functions: &Functions) -> Option<Result<Self, Mistake>> {
        if let Some(function) = functions.find(Place::Overhead(name)) {
            return Some(Ok(Self::Function(function)));
        }
        let text = credit.overhead.as_deref()?;
        let variables = [
            ("units", Type::Double),
            ("context", Type::Any),
            ("data", Type::of(credit.data.as_ref().unwrap_or(&NOTHING))),
            ("customer", person_type()),
        ];
        let scope = Scope { variables: &variables, functions: &[] };
        let program = Program::compile(text, format!("policy.credits.{name}.overhead"), &scope, &Type::Double);
        Some(program.map(Self::Expression))
    }

    /// Runes of cost.
    pub(crate) fn of(&self, credit: &Credit, call: Circumstances<'_>) -> Result<Amount, Box<LogicError>> {
        const NO_NUMBER: &str = "the result is not a number";
        match self {
            Self::Expression(program) => {
                let variables = [
                    Value::Double(call.units),
                    data(call.context),
                    data(credit.data.as_ref()),
                    Value::Record(call.customer),
                ];
                let result = program.run(&variables, &Unhosted)?;
                result.amount().ok_or_else(|| program.error(NO_NUMBER.to_owned(), None))
            }
            Self::Function(function) => {
                let context = call.context.unwrap_or(&NOTHING);
                let result = function.call(&[Argument::Amount(call.units), Argument::Data(context)])?;
                let amount = result.as_number().and_then(Amount::from_json);
                amount.ok_or_else(|| function.error(NO_NUMBER.to_owned()))
            }
        }
    }

    /// Whether an error of it is to be reported now; it counts as reported then.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        match self {
            Self::Expression(program) => program.is_due(now),
            Self::Function(function) => function.is_due(now),
        }
    }
}
