//! Every operation of the engine as JSON: `{"allow": {"customer": "c1", "entitlement": "chat", "value": 5}}` in, JSON out.
//!
//! One boundary for everything that is not Rust: conformance scenarios, the command line, WebAssembly and HTTP.

mod arguments;
mod logic;
mod management;
mod reads;
mod usage;

use serde::Serialize;
use serde_json::Value;

use crate::fields::{Fields, listed};
use crate::policy::{nearest, quoted};
use crate::{Amount, Error, Limitr};

/// An operation: its name, and what reads its arguments and runs it. One with several names is there under each.
type Operation = (&'static str, fn(&Limitr, Fields<'_>) -> Result<Value, Error>);

fn table() -> impl Iterator<Item = &'static Operation> + Clone {
    [usage::OPERATIONS, reads::OPERATIONS, management::OPERATIONS, logic::OPERATIONS].into_iter().flatten()
}

/// The names of all operations that [`call`] runs; some operations have several.
pub fn operations() -> impl Iterator<Item = &'static str> + Clone {
    table().map(|(name, _)| *name)
}

/// Runs one operation given as an object with a single key, the operation's name, holding its named arguments.
///
/// The names ([`operations`]) and arguments are those of the conformance scenarios. Results are `true` or `false` for what
/// is allowed or done, records and numbers for what is read, null for what is not there.
///
/// # Errors
/// `bad_operation` when the object does not name an operation with the arguments it takes, else the operation's own.
///
/// ```
/// # use limitr::{Limitr, call};
/// # use serde_json::json;
/// # let limitr = Limitr::from_yaml("policy: {credits: {c: {}}, plans: {free: {default: true, entitlements: {api: {limit: {credit: c, value: 10}}}}}}")?;
/// call(&limitr, &json!({"create_customer": {"id": "c1"}}))?;
/// assert_eq!(call(&limitr, &json!({"allow": {"customer": "c1", "entitlement": "api", "value": 4}}))?, json!(true));
/// assert_eq!(call(&limitr, &json!({"remaining": {"customer": "c1", "entitlement": "api"}}))?, json!(6));
/// # Ok::<(), limitr::Error>(())
/// ```
pub fn call(limitr: &Limitr, operation: &Value) -> Result<Value, Error> {
    let single = operation.as_object().filter(|object| object.len() == 1);
    let Some((name, arguments)) = single.and_then(|object| object.iter().next()) else {
        return Err(bad_operation("an operation is an object with a single key, its name"));
    };
    let Some((_, run)) = table().find(|(known, _)| known == name) else {
        return Err(unknown(name));
    };
    run(limitr, Fields::new(arguments, name.clone(), "bad_operation")?)
}

fn unknown(name: &str) -> Error {
    let instead = match nearest(name, operations()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("expected one of {}", listed(operations())),
    };
    bad_operation(&format!("unknown operation {}, {instead}", quoted(name)))
}

fn bad_operation(message: &str) -> Error {
    const HINT: &str = "an operation is an object such as \
                        {\"allow\": {\"customer\": \"c1\", \"entitlement\": \"chat\", \"value\": 5}}";
    Error::argument("bad_operation", message).hint_at(HINT)
}

/// A number for people and programs: rounded, a JSON number.
struct Plain(Amount);

impl Serialize for Plain {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.rounded().serialize_number(serializer)
    }
}

fn json_of(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn plain(amount: Option<Amount>) -> Value {
    json_of(amount.map(Plain))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::{Map, json};

    use super::*;

    fn error(limitr: &Limitr, operation: &Value) -> String {
        call(limitr, operation).unwrap_err().to_string()
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_refuses_arguments_it_does_not_know() {
        let limitr = Limitr::from_yaml("policy: {}").unwrap();
        let mut seen = HashSet::new();
        for name in operations() {
            assert!(seen.insert(name), "`{name}` twice");
            let arguments = json!({"no such argument": 5});
            let said = error(&limitr, &Value::Object(Map::from_iter([(name.to_owned(), arguments)])));
            // An override takes the fields of a limit, whatever they are, on top of its own.
            let expected = match name {
                "create_customer_override" => format!("{name}: missing field `customer`"),
                _ => format!("{name}.no such argument: unknown field `no such argument`, "),
            };
            assert!(said.starts_with(&expected), "{said}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let limitr = Limitr::from_yaml("policy: {}").unwrap();
        let allow = |extra: Value| {
            let mut arguments = json!({"customer": "c1", "entitlement": "chat"});
            arguments.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            let error = call(&limitr, &json!({"allow": arguments})).unwrap_err();
            assert_eq!(error.code(), "bad_operation");
            let (path, message) = (error.path().unwrap().to_owned(), error.to_string());
            message.strip_prefix(&format!("{path}: ")).map(|message| (path, message.to_owned())).unwrap()
        };
        for (arguments, path, message) in [
            (json!({"customer": 5}), "allow.customer", "invalid type: integer `5`, expected a string"),
            (json!({"force": null}), "allow.force", "invalid type: null, expected a boolean"),
            (json!({"valeu": 5, "customer": 5}), "allow.valeu", "unknown field `valeu`, did you mean `value`?"),
            (
                json!({"event": 1, "context": 2}),
                "allow.event",
                "invalid type: integer `1`, expected true or false, beside `context`",
            ),
            (
                json!({"caps": [{"value": 1, "scope": ["a", 2]}]}),
                "allow.caps[0].scope[1]",
                "invalid type: integer `2`, expected a string",
            ),
            (json!({"caps": [{"credit": "c"}]}), "allow.caps[0]", "missing field `value`"),
            (
                json!({"cap": {"c": false}}),
                "allow.cap.c",
                "invalid type: boolean `false`, expected a number, or text such as \"500MB\"",
            ),
            (
                json!({"cap": "c"}),
                "allow.cap",
                "invalid type: string `c`, expected a map of credit to ceiling, or a list of caps",
            ),
        ] {
            assert_eq!(allow(arguments), (path.to_owned(), message.to_owned()));
        }
    }

    #[test]
    fn a_call_can_be_answered_with_the_whole_decision() {
        let policy = "policy: {credits: {c: {}}, plans: {p: {default: true, \
                      entitlements: {api: {limit: {credit: c, value: 10, resets: false}}}}}}";
        let limitr = Limitr::from_yaml(policy).unwrap();
        call(&limitr, &json!({"create_customer": {"id": "c1"}})).unwrap();
        let decision = |name: &str, value: i64| {
            let arguments = json!({"customer": "c1", "entitlement": "api", "value": value, "decision": true});
            call(&limitr, &Value::Object(Map::from_iter([(name.to_owned(), arguments)]))).unwrap()
        };
        let allowed = json!({"allowed": true, "remaining": 6, "metered": 4, "overage": 0, "covered": 0});
        assert_eq!(decision("allow", 4), allowed);
        let denied = json!({
            "allowed": false, "reason": "limit", "remaining": 6, "metered": 0, "overage": 0, "covered": 0
        });
        assert_eq!(decision("check", 7), denied);
        assert_eq!(decision("set", 3)["remaining"], 7);
        assert_eq!(decision("settle", 20)["overage"], 13);
    }

    #[test]
    fn an_operation_is_an_object_with_a_known_name() {
        let limitr = Limitr::from_yaml("policy: {}").unwrap();
        for odd in [json!(null), json!("customers"), json!([]), json!({}), json!({"valid": {}, "record": {}})] {
            assert_eq!(error(&limitr, &odd), "an operation is an object with a single key, its name");
        }
        assert_eq!(error(&limitr, &json!({"alow": {}})), "unknown operation `alow`, did you mean `allow`?");
        assert!(
            error(&limitr, &json!({"?": {}})).starts_with("unknown operation `?`, expected one of `allow`, `check`")
        );
        assert_eq!(error(&limitr, &json!({"valid": null})), "valid: invalid type: null, expected a map");
    }
}
