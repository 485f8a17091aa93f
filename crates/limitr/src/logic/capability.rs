//! Capabilities: logic that programs and language models call by name.

use serde_json::Value as Json;

use super::expression::{Function, Host, Mistake, Scope, Type, Value};
use super::functions::{Argument, Functions, Place, Routine};
use super::program::{LogicError, Program};
use super::records::{Person, person_type};
use crate::policy::{Capability, Parameter, ParameterType};

/// A compiled capability.
#[derive(Debug)]
pub(crate) enum Skill {
    Expression(Program),
    Function(Routine),
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
    pub(crate) fn compile(name: &str, definition: &Capability, functions: &Functions) -> Option<Result<Self, Mistake>> {
        if let Some(function) = functions.find(Place::Run(name)) {
            return Some(Ok(Self::Function(function)));
        }
        let text = definition.result.as_deref()?;
        let input =
            Type::shape(definition.parameters.iter().map(|parameter| (parameter.name.clone(), kind_of(parameter))));
        let variables = [("input", input), ("customer", person_type())];
        let scope = Scope { variables: &variables, functions: FUNCTIONS };
        let result = Program::compile(text, format!("policy.capabilities.{name}.result"), &scope, &Type::Any);
        Some(result.map(Self::Expression))
    }

    /// The answer.
    pub(crate) fn run(
        &self,
        input: &Json,
        customer: Option<&Person<'_>>,
        host: &dyn Host,
    ) -> Result<Json, Box<LogicError>> {
        match self {
            Self::Expression(program) => {
                let customer = customer.map_or(Value::Null, |customer| Value::Record(customer));
                let variables = [Value::of(input).unwrap_or(Value::Null), customer];
                program.run(&variables, host).map(|result| result.to_json())
            }
            Self::Function(function) => {
                let customer = customer.map_or(Json::Null, |customer| Value::Record(customer).to_json());
                function.run(input, &[Argument::Data(input), Argument::Data(&customer)])
            }
        }
    }
}

impl Skill {
    /// Whether an error of it is to be reported now; it counts as reported then.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        match self {
            Self::Expression(program) => program.is_due(now),
            Self::Function(function) => function.is_due(now),
        }
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
