//! Operations on the policy's logic: notifications and capabilities.

use serde_json::Value;

use super::arguments::only_json;
use super::{Operation, json_of};
use crate::Error;
use crate::fields::Fields;

pub(super) const OPERATIONS: &[Operation] = &[
    ("set_notifications", |limitr, fields| {
        limitr.set_notifications(only_json(fields, "notifications")?)?;
        Ok(true.into())
    }),
    ("set_capabilities", |limitr, fields| {
        limitr.set_capabilities(only_json(fields, "capabilities")?)?;
        Ok(true.into())
    }),
    ("capability", |limitr, fields| Ok(json_of(limitr.capability(super::arguments::only(fields, "name")?)))),
    ("run_capability", |limitr, mut fields| {
        let name = fields.text("name");
        let spelling = fields.either("arguments", &["args", "input"]);
        let arguments = fields.optional(spelling).json().unwrap_or(&Value::Null);
        limitr.run_capability(name, arguments, customer(fields)?)
    }),
    ("claude_tools", |limitr, fields| limitr.claude_tools(customer(fields)?).map(json_of)),
    ("claude_tool_use", |limitr, mut fields| {
        let block = fields.required("block").json().unwrap_or(&Value::Null);
        limitr.claude_tool_use(block, customer(fields)?)
    }),
];

/// The customer it is for, the last argument of all of these.
fn customer(mut fields: Fields<'_>) -> Result<Option<&str>, Error> {
    let customer = fields.optional("customer").text();
    fields.finish().map(|()| customer)
}
