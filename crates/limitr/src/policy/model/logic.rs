//! Alerts and callable logic, as the document has them.

use serde::Serialize;

use super::{Extensions, is_false};

/// An alert: what it looks at, when it matches, what it says.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Notification {
    /// Names of the events it looks at; empty means every meter and cap event.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<String>,
    /// When it matches, an expression; none means always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// How often it is sent.
    #[serde(skip_serializing_if = "Once::is_default")]
    pub once: Once,
    /// How bad it is.
    #[serde(skip_serializing_if = "Severity::is_default")]
    pub severity: Severity,
    /// What it says, with expressions in braces.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Channels of the server it goes to; empty means it is an event of this engine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// `x-` fields.
    #[serde(flatten)]
    pub extensions: Extensions,
}

/// How often an alert is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Once {
    /// Every time it matches.
    #[default]
    None,
    /// Once per customer, entitlement and period.
    Period,
    /// Once per customer and entitlement.
    Ever,
}

/// How bad what an alert says is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    #[default]
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody must act.
    Critical,
}

/// Logic of the policy that programs and language models can call.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Capability {
    /// Its name as a tool, instead of its name in the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it does, for whoever decides to call it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// What it takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// Plans whose customers may call it; empty means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<String>,
    /// Ids of customers who may call it; empty means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub customers: Vec<String>,
    /// What it answers, an expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// `x-` fields.
    #[serde(flatten)]
    pub extensions: Extensions,
}

/// What a capability takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What values it may have.
    #[serde(rename = "type")]
    pub kind: ParameterType,
    /// Whether it must be given.
    #[serde(skip_serializing_if = "is_false")]
    pub required: bool,
    /// `x-` fields.
    #[serde(flatten)]
    pub extensions: Extensions,
}

/// The type of a parameter, as JSON Schema names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ParameterType {
    /// Text.
    #[default]
    String,
    /// Any number.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A list.
    Array,
    /// A map.
    Object,
}

impl Once {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Severity {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl ParameterType {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}
