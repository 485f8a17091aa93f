//! Arguments that several operations share, and what they become.

use serde_json::Value;

use crate::Error;
use crate::engine::{Basis, Call, CallCap, NewCap, NewCustomer};
use crate::fields::Fields;

/// The one argument of operations that have one, a text.
pub(super) fn only<'a>(mut fields: Fields<'a>, name: &'static str) -> Result<&'a str, Error> {
    let text = fields.text(name);
    fields.finish().map(|()| text)
}

/// The one argument of operations that have one, of any type.
pub(super) fn only_json<'a>(mut fields: Fields<'a>, name: &'static str) -> Result<&'a Value, Error> {
    let value = fields.required(name).json();
    fields.finish().map(|()| value.unwrap_or(&Value::Null))
}

/// The two arguments of operations that have two, both texts.
pub(super) fn both<'a>(
    mut fields: Fields<'a>,
    one: &'static str,
    two: &'static str,
) -> Result<(&'a str, &'a str), Error> {
    let texts = (fields.text(one), fields.text(two));
    fields.finish().map(|()| texts)
}

/// `customer` and `entitlement`, where there is nothing else.
pub(super) fn place(fields: Fields<'_>) -> Result<(&str, &str), Error> {
    both(fields, "customer", "entitlement")
}

/// A call with all that can be said about it.
pub(super) fn call<'a>(fields: &mut Fields<'a>) -> Call<'a> {
    let mut call = Call::new(fields.text("customer"), fields.text("entitlement"));
    if let Some(value) = fields.optional("value").quantity() {
        call = call.value(value);
    }
    call = told(fields, call);
    for cap in caps(fields) {
        call = call.cap(cap);
    }
    if fields.flag("force", false) { call.force() } else { call }
}

/// What a call says to listeners, its cost and its key.
pub(super) fn told<'a>(fields: &mut Fields<'a>, mut call: Call<'a>) -> Call<'a> {
    // Data goes by either name; beside `context`, `event` says whether there are events.
    let context = fields.optional("context").json();
    let event = fields.given("event");
    match (event.json(), context) {
        (Some(Value::Bool(false)), _) => call = call.silent(),
        (Some(Value::Bool(true) | Value::Null) | None, _) => {}
        (Some(data), None) => call = call.event(data.clone()),
        (Some(_), Some(_)) => event.expected("true or false, beside `context`"),
    }
    if let Some(data) = context {
        call = call.event(data.clone());
    }
    if let Some(overhead) = fields.optional("overhead").quantity() {
        call = call.overhead(overhead);
    }
    match fields.optional("idempotency_key").text() {
        Some(key) => call.idempotency_key(key),
        None => call,
    }
}

/// Ceilings by credit, in order of their names, or a list of caps.
fn caps<'a>(fields: &mut Fields<'a>) -> Vec<CallCap<'a>> {
    let name = fields.either("cap", &["caps"]);
    let field = fields.optional(name);
    match field.json() {
        Some(Value::Array(_)) => field.list(|cap| cap.record(whole_cap)).unwrap_or_default(),
        Some(Value::Object(_)) => {
            let ceilings = field.map(|credit, ceiling| Some(CallCap::from((&**credit, ceiling.quantity()?))));
            ceilings.unwrap_or_default().into_iter().collect()
        }
        _ => {
            field.expected("a map of credit to ceiling, or a list of caps");
            Vec::new()
        }
    }
}

fn whole_cap(mut fields: Fields<'_>) -> Result<CallCap<'_>, Error> {
    let cap = NewCap::read(&mut fields);
    fields.finish().map(|()| cap.into())
}

/// Where a sample belongs.
pub(super) fn basis<'a>(fields: &mut Fields<'a>) -> Basis<'a> {
    let context = fields.either("context", &["event"]);
    Basis {
        context: fields.optional(context).json(),
        basis: fields.optional("basis").double(),
        segment: fields.optional("segment").text(),
    }
}

/// A customer to create.
pub(super) fn new_customer(mut fields: Fields<'_>) -> Result<NewCustomer, Error> {
    let mut new = NewCustomer::new(fields.text("id")).plan(fields.optional("plan").text().unwrap_or_default());
    if let Some(kind) = fields.optional("type").text() {
        new = new.kind(kind);
    }
    if let Some(label) = fields.optional("label").text() {
        new = new.label(label);
    }
    if let Some(refs) = fields.optional("refs").texts() {
        new = new.refs(refs);
    }
    let alts = fields.either("alts", &["alt_ids"]);
    if let Some(alts) = fields.optional(alts).texts() {
        new = new.alt_ids(alts);
    }
    if let Some(metadata) = fields.optional("metadata").object() {
        new = new.metadata(metadata.clone());
    }
    fields.finish().map(|()| new)
}
