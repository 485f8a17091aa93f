//! Capabilities: logic that programs and language models call by name.

use serde_json::Value as Json;

use super::expression::{Function, Host, Mistake, Scope, Type, Value};
use super::program::{LogicError, Program};
use super::records::{Person, person_type};
use crate::policy::{Capability, Parameter, ParameterType};

/// A compiled capability.
#[derive(Debug)]
pub(crate) struct Skill {
    result: Program,
}

/// What the result can ask of the engine, about the customer it is run for.
static FUNCTIONS: &[Function] = &[
    Function { name: "value", parameters: &[Type::Text], result: Type::Any },
    Function { name: "remaining", parameters: &[Type::Text], result: Type::Any },
    Function { name: "limit", parameters: &[Type::Text], result: Type::Any },
    Function { name: "check", parameters: &[Type::Text, Type::Double], result: Type::Bool },
];

impl Skill {
    /// The name of the function at `index`.
    pub(crate) fn function(index: usize) -> &'static str {
        FUNCTIONS.get(index).map_or("", |function| function.name)
    }

    /// The compiled result; none when it has none.
    pub(crate) fn compile(name: &str, definition: &Capability) -> Option<Result<Self, Mistake>> {
        let text = definition.result.as_deref()?;
        let input =
            Type::shape(definition.parameters.iter().map(|parameter| (parameter.name.clone(), kind_of(parameter))));
        let variables = [("input", input), ("customer", person_type())];
        let scope = Scope { variables: &variables, functions: FUNCTIONS };
        let result = Program::compile(text, format!("policy.capabilities.{name}.result"), &scope, &Type::Any);
        Some(result.map(|result| Self { result }))
    }

    /// The answer.
    pub(crate) fn run(
        &self,
        input: &Json,
        customer: Option<&Person<'_>>,
        host: &dyn Host,
    ) -> Result<Json, Box<LogicError>> {
        let customer = customer.map_or(Value::Null, |customer| Value::Record(customer));
        let variables = [Value::of(input).unwrap_or(Value::Null), customer];
        self.result.run(&variables, host).map(|result| result.to_json())
    }
}

impl Skill {
    /// Whether an error of it is to be reported now; it counts as reported then.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        self.result.is_due(now)
    }
}

fn kind_of(parameter: &Parameter) -> Type {
    match parameter.kind {
        ParameterType::String => Type::Text,
        ParameterType::Number | ParameterType::Integer => Type::Double,
        ParameterType::Boolean => Type::Bool,
        ParameterType::Array => Type::list(Type::Any),
        ParameterType::Object => Type::Any,
    }
}
