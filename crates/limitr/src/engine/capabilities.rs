//! Logic of the policy that programs and language models call.

use serde_json::{Map, Value, json};

use super::{Limitr, announce};
use crate::error::ErrorKind;
use crate::logic::{self, Host, Person, Skill};
use crate::policy::{
    Capability, Compiled, ParameterType, nearest, quoted, read_capabilities_value, read_notifications_value,
};
use crate::state::{CALLER, Customer, Name};
use crate::{Amount, Error};

impl Limitr {
    /// Puts other notifications in the place of the policy's: a map by name, as in the policy document.
    ///
    /// # Errors
    /// Kind `Policy`, listing every problem; the policy stays as it was.
    pub fn set_notifications(&self, notifications: &Value) -> Result<(), Error> {
        let notifications = read_notifications_value(notifications)?;
        self.change_policy(|policy| policy.notifications = notifications)
    }

    /// Puts other capabilities in the place of the policy's: a map by name, as in the policy document.
    ///
    /// # Errors
    /// Kind `Policy`, listing every problem; the policy stays as it was.
    pub fn set_capabilities(&self, capabilities: &Value) -> Result<(), Error> {
        let functions = self.current_policy().source.functions.clone();
        let capabilities = read_capabilities_value(capabilities, &functions)?;
        self.change_policy(|policy| policy.capabilities = capabilities)
    }

    /// A capability's definition, by its name in the policy or its name as a tool.
    #[must_use]
    pub fn capability(&self, name: &str) -> Option<Capability> {
        find(&self.current_policy(), name).map(|(_, capability)| capability.clone())
    }

    /// Runs a capability: checks `arguments` (a map) against its parameters and answers with its result.
    ///
    /// `customer` is whom it is run for: the result can ask for that customer's usage, and a capability kept for certain
    /// plans or customers is there for nobody else.
    ///
    /// ```
    /// # use limitr::{Limitr, NewCustomer};
    /// let limitr = Limitr::from_yaml(
    ///     "
    /// policy:
    ///   credits: {token: {}}
    ///   plans: {free: {default: true, entitlements: {chat: {limit: {credit: token, value: 1000}}}}}
    ///   capabilities:
    ///     can_afford:
    ///       description: Whether a call of this many tokens would be allowed
    ///       parameters: [{name: tokens, type: integer, required: true}]
    ///       result: check('chat', input.tokens)
    /// ",
    /// )?;
    /// limitr.create_customer(NewCustomer::new("c1"))?;
    /// let answer = limitr.run_capability("can_afford", &serde_json::json!({"tokens": 1200}), Some("c1"))?;
    /// assert_eq!(answer, false);
    /// # Ok::<(), limitr::Error>(())
    /// ```
    ///
    /// # Errors
    /// `unknown_capability`, `unknown_customer`, `bad_argument` naming the parameter, `capability_failed`.
    pub fn run_capability(&self, name: &str, arguments: &Value, customer: Option<&str>) -> Result<Value, Error> {
        let policy = self.current_policy();
        let person = self.person(&policy, customer)?;
        let offered = find(&policy, name).filter(|(_, capability)| is_offered(capability, person.as_ref()));
        let Some((key, capability)) = offered else { return Err(unknown(&policy, name, person.as_ref())) };
        let input = checked(name, capability, arguments)?;
        let Some(skill) = policy.skills.get(key) else {
            return Err(Error::argument("capability_failed", format!("the capability `{name}` has no result")));
        };
        let shown = person.as_ref().map(|(customer, plan)| Person { customer, plan: plan.as_deref() });
        let host = Reads { limitr: self, customer: person.as_ref().map(|(customer, _)| &*customer.id) };
        skill.run(&input, shown.as_ref(), &host).map_err(|error| {
            if self.heard() && skill.is_due(self.clock.now()) {
                let customer = person.as_ref().map(|(customer, _)| customer.clone());
                self.tell(vec![announce::logic_error(&error, customer, None)]);
            }
            let message = format!("the capability `{name}` failed: {}", error.message);
            Error::argument("capability_failed", message).at(error.place)
        })
    }

    /// The capabilities offered to `customer` as tool definitions, the way the Anthropic Messages API takes them.
    ///
    /// # Errors
    /// `unknown_customer`.
    pub fn claude_tools(&self, customer: Option<&str>) -> Result<Vec<Value>, Error> {
        let policy = self.current_policy();
        let person = self.person(&policy, customer)?;
        let offered =
            policy.source.capabilities.iter().filter(|(_, capability)| is_offered(capability, person.as_ref()));
        Ok(offered.map(|(key, capability)| tool(key, capability)).collect())
    }

    /// Answers a `tool_use` block of a message with the `tool_result` block that belongs to it. What goes wrong in the
    /// tool is its result, marked as an error, for the model to read.
    ///
    /// # Errors
    /// `bad_argument` for something that is no `tool_use` block, `unknown_customer`.
    pub fn claude_tool_use(&self, block: &Value, customer: Option<&str>) -> Result<Value, Error> {
        let text = |field: &str| {
            let found = block.get(field).and_then(Value::as_str);
            found.ok_or_else(|| {
                let message = format!("a `tool_use` block has a text `{field}`");
                Error::argument("bad_argument", message).at(format!("block.{field}"))
            })
        };
        if text("type")? != "tool_use" {
            let error = Error::argument("bad_argument", "this block is not of type `tool_use`").at("block.type");
            return Err(error.hint_at("pass on the blocks of that type, and answer the others yourself"));
        }
        let (id, name) = (text("id")?, text("name")?);
        // Whom it is for is the program's to know; the model can do nothing about it.
        self.person(&self.current_policy(), customer)?;
        let empty = Value::Object(Map::new());
        let input = block.get("input").unwrap_or(&empty);
        Ok(match self.run_capability(name, input, customer) {
            Ok(Value::String(text)) => json!({"type": "tool_result", "tool_use_id": id, "content": text}),
            Ok(result) => json!({"type": "tool_result", "tool_use_id": id, "content": result.to_string()}),
            Err(error) => {
                let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
                let content = format!("{error}{hint}");
                json!({"type": "tool_result", "tool_use_id": id, "content": content, "is_error": true})
            }
        })
    }

    /// The customer a capability is run for, with the plan that applies to it.
    fn person(&self, policy: &Compiled, customer: Option<&str>) -> Result<Option<(Customer, Option<Name>)>, Error> {
        let Some(id) = customer else { return Ok(None) };
        let found = self.store.enter(id, |_, people| {
            let plan = crate::decide::plan_of(policy, people, CALLER).map(|plan| plan.name.clone());
            Some((people.caller()?.clone(), plan))
        });
        match found.flatten() {
            Some(person) => Ok(Some(person)),
            None => {
                Err(Error::new(ErrorKind::NotFound, "unknown_customer", format!("there is no customer {}", quoted(id))))
            }
        }
    }
}

/// Answers a capability's questions about its customer.
struct Reads<'l> {
    limitr: &'l Limitr,
    customer: Option<&'l str>,
}

impl Host for Reads<'_> {
    fn call<'a>(&self, index: usize, arguments: &[logic::Value<'a>]) -> Result<logic::Value<'a>, String> {
        let function = Skill::function(index);
        let Some(customer) = self.customer else {
            return Err(format!("`{function}` needs a customer, and none is given"));
        };
        let entitlement =
            arguments.first().and_then(logic::Value::text).ok_or("expected the name of an entitlement")?;
        let amount = || arguments.get(1).and_then(logic::Value::amount).ok_or("expected a number");
        let read = match function {
            "check" => return Ok(logic::Value::Bool(self.limitr.check(customer, entitlement, amount()?).allowed)),
            "value" => self.limitr.value(customer, entitlement),
            "remaining" => self.limitr.remaining(customer, entitlement),
            _ => self.limitr.limit(customer, entitlement, true),
        };
        Ok(read.map(Amount::rounded).into())
    }
}

/// Most characters of a caller's name in the path of an error.
const MAX_SHOWN: usize = 60;

fn find<'p>(policy: &'p Compiled, name: &str) -> Option<(&'p str, &'p Capability)> {
    let all = &policy.source.capabilities;
    let by_key = all.get_key_value(name);
    let found = by_key.or_else(|| all.iter().find(|(_, capability)| capability.name.as_deref() == Some(name)));
    found.map(|(key, capability)| (key.as_str(), capability))
}

fn is_offered(capability: &Capability, person: Option<&(Customer, Option<Name>)>) -> bool {
    let listed =
        |list: &[String], name: Option<&str>| list.is_empty() || list.iter().any(|known| Some(&**known) == name);
    listed(&capability.plans, person.and_then(|(_, plan)| plan.as_deref()))
        && listed(&capability.customers, person.map(|(customer, _)| &*customer.id))
}

fn unknown(policy: &Compiled, name: &str, person: Option<&(Customer, Option<Name>)>) -> Error {
    // Who is not offered one is not told that it is there.
    let offered = policy.source.capabilities.iter().filter(|(_, capability)| is_offered(capability, person));
    let names: Vec<&str> = offered.map(|(key, capability)| capability.name.as_deref().unwrap_or(key)).collect();
    let error =
        Error::new(ErrorKind::NotFound, "unknown_capability", format!("there is no capability {}", quoted(name)));
    match nearest(name, names.iter().copied()) {
        Some(meant) => error.hint_at(format!("did you mean `{meant}`?")),
        None if person.is_none() => error.hint_at("give the customer, if it is kept for some of them"),
        None => error,
    }
}

/// The arguments as the result's `input`.
fn checked(name: &str, capability: &Capability, arguments: &Value) -> Result<Value, Error> {
    let bad = |parameter: &str, message: String| {
        let shown: String = parameter.chars().take(MAX_SHOWN).collect();
        Error::argument("bad_argument", message).at(format!("{name}.{shown}"))
    };
    let given = match arguments {
        Value::Object(given) => given.clone(),
        Value::Null => Map::new(),
        _ => return Err(Error::argument("bad_argument", "arguments are a map by parameter").at(name.to_owned())),
    };
    let names = || capability.parameters.iter().map(|parameter| parameter.name.as_str());
    if let Some(unknown) = given.keys().find(|name| !names().any(|known| known == name.as_str())) {
        let error = bad(unknown, format!("`{name}` has no parameter {}", quoted(unknown)));
        return Err(match nearest(unknown, names()) {
            Some(meant) => error.hint_at(format!("did you mean `{meant}`?")),
            None => error,
        });
    }
    for parameter in &capability.parameters {
        let fits = match given.get(&parameter.name) {
            None | Some(Value::Null) if parameter.required => {
                return Err(bad(&parameter.name, format!("`{name}` needs `{}`", parameter.name)));
            }
            None | Some(Value::Null) => true,
            Some(value) => match parameter.kind {
                ParameterType::String => value.is_string(),
                ParameterType::Number => amount(value).is_some(),
                ParameterType::Integer => amount(value).is_some_and(|number| number == number.truncated()),
                ParameterType::Boolean => value.is_boolean(),
                ParameterType::Array => value.is_array(),
                ParameterType::Object => value.is_object(),
            },
        };
        if !fits {
            let message = format!("`{}` must be of type {}", parameter.name, parameter.kind.name());
            return Err(bad(&parameter.name, message));
        }
    }
    // Null means the same as nothing, so that `has` tells the two apart from a value.
    Ok(given.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>().into())
}

/// A number that expressions can work with.
fn amount(value: &Value) -> Option<Amount> {
    value.as_number().and_then(Amount::from_json)
}

fn tool(key: &str, capability: &Capability) -> Value {
    let property = |parameter: &crate::policy::Parameter| {
        let mut property = Map::from_iter([("type".to_owned(), Value::from(parameter.kind.name()))]);
        if !parameter.description.is_empty() {
            property.insert("description".to_owned(), parameter.description.clone().into());
        }
        (parameter.name.clone(), property.into())
    };
    let properties: Map<String, Value> = capability.parameters.iter().map(property).collect();
    let required: Vec<&str> = capability
        .parameters
        .iter()
        .filter(|parameter| parameter.required)
        .map(|parameter| parameter.name.as_str())
        .collect();
    json!({
        "name": capability.name.as_deref().unwrap_or(key),
        "description": capability.description,
        "input_schema": {"type": "object", "properties": properties, "required": required},
    })
}
