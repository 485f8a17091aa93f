//! Reading alerts and callable logic.

use super::{Reader, read, read_beside};
use crate::Error;
use crate::logic::Place;
use crate::policy::model::{Capability, Functions, Map, Notification, Parameter};
use crate::policy::node::{Kind, Node};

/// Reads the notifications of a policy from JSON data, as they would stand in a document.
///
/// # Errors
/// Everything in them that cannot be read, see [`Error::problems`].
pub(crate) fn read_notifications_value(value: &serde_json::Value) -> Result<Map<Notification>, Error> {
    read(value, "policy.notifications", |reader, node| reader.notifications(node).unwrap_or_default())
}

/// Reads the capabilities of a policy from JSON data, as they would stand in a document with these functions.
///
/// # Errors
/// Everything in them that cannot be read, see [`Error::problems`].
pub(crate) fn read_capabilities_value(
    value: &serde_json::Value,
    functions: &Functions,
) -> Result<Map<Capability>, Error> {
    read_beside(value, "policy.capabilities", functions, |reader, node| reader.capabilities(node).unwrap_or_default())
}

impl Reader {
    pub(super) fn notifications(&mut self, node: &Node) -> Option<Map<Notification>> {
        self.map(node, |reader, _, node| Some(reader.notification(node)))
    }

    pub(super) fn capabilities(&mut self, node: &Node) -> Option<Map<Capability>> {
        self.map(node, |reader, name, node| Some(reader.capability(name, node)))
    }

    fn notification(&mut self, node: &Node) -> Notification {
        let fields = self.fields(node, &["on", "when", "once", "severity", "message", "to"]);
        Notification {
            on: self.field(&fields, "on", Self::names).unwrap_or_default(),
            when: self.field(&fields, "when", Self::expression),
            once: self.field(&fields, "once", Self::choice).unwrap_or_default(),
            severity: self.field(&fields, "severity", Self::choice).unwrap_or_default(),
            message: self.field(&fields, "message", Self::text).unwrap_or_default(),
            to: self.field(&fields, "to", Self::names).unwrap_or_default(),
            extensions: fields.extensions,
        }
    }

    fn capability(&mut self, name: &str, node: &Node) -> Capability {
        let answered = self.functions.has(Place::Run(name));
        let fields =
            self.fields(node, &["name", "description", "version", "parameters", "plans", "customers", "result"]);
        Capability {
            name: self.field(&fields, "name", Self::text),
            description: self.field(&fields, "description", Self::text).unwrap_or_default(),
            version: self.field(&fields, "version", Self::text).unwrap_or_default(),
            parameters: self.field(&fields, "parameters", Self::parameters).unwrap_or_default(),
            plans: self.field(&fields, "plans", Self::names).unwrap_or_default(),
            customers: self.field(&fields, "customers", Self::names).unwrap_or_default(),
            result: if answered {
                self.field(&fields, "result", Self::expression)
            } else {
                self.required(&fields, "result", Self::expression)
            },
            extensions: fields.extensions,
        }
    }

    fn parameters(&mut self, node: &Node) -> Option<Vec<Parameter>> {
        let items = self.list(node)?;
        Some(items.iter().enumerate().map(|(index, item)| self.item(index, |reader| reader.parameter(item))).collect())
    }

    /// One that cannot be read stands in its place all the same: others are spoken of by their index.
    fn parameter(&mut self, node: &Node) -> Parameter {
        let fields = self.fields(node, &["name", "description", "type", "required"]);
        Parameter {
            name: self.required(&fields, "name", Self::text).unwrap_or_default(),
            description: self.field(&fields, "description", Self::text).unwrap_or_default(),
            kind: self.field(&fields, "type", Self::choice).unwrap_or_default(),
            required: self.field(&fields, "required", Self::bool).unwrap_or_default(),
            extensions: fields.extensions,
        }
    }

    /// An expression, of which a bare number or truth value is one too: `overhead: 0.5`.
    pub(super) fn expression(&mut self, node: &Node) -> Option<String> {
        match &node.kind {
            Kind::Number(digits) => Some(digits.clone()),
            Kind::Bool(value) => Some(value.to_string()),
            _ => self.text(node),
        }
    }

    /// One name, or a list of them.
    fn names(&mut self, node: &Node) -> Option<Vec<String>> {
        match &node.kind {
            Kind::Text(name) => Some(vec![name.clone()]),
            _ => self.texts(node),
        }
    }
}
