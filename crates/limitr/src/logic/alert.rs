//! Notifications: which events they look at, whether they match, what they say.

use serde_json::Value as Json;

use super::expression::{Function, Host, Mistake, Record, Scope, Type, Value};
use super::functions::{Argument, Functions, Place, Routine};
use super::program::{LogicError, Program};
use super::records::{Person, person_type, usage_event_type};
use super::template::Template;
use crate::Amount;
use crate::events::{Event, Payload};
use crate::policy::{Notification, Once, Severity};
use crate::state::Name;

/// A compiled notification.
#[derive(Debug)]
pub(crate) struct Alert {
    pub(crate) name: Name,
    pub(crate) severity: Severity,
    pub(crate) once: Once,
    on: Vec<String>,
    when: Option<When>,
    /// What it does when it matches.
    fire: Option<Routine>,
    message: Template,
}

/// When it matches.
#[derive(Debug)]
enum When {
    Expression(Program),
    Function(Routine),
}

/// Functions of the event at hand.
static FUNCTIONS: &[Function] = &[
    Function { name: "crossed", parameters: &[Type::Double], result: Type::Bool },
    Function { name: "percent", parameters: &[], result: Type::Double },
    Function { name: "remaining", parameters: &[], result: Type::Double },
];

/// Whether the event is about a meter or a cap, which is what a notification looks at by default.
pub(crate) fn is_usage(event: &str) -> bool {
    event.starts_with("meter-") || event.starts_with("cap-") || event.starts_with("customer-cap-")
}

impl Alert {
    /// The compiled notification, or what is wrong in which field of it.
    pub(crate) fn compile(
        name: &str,
        definition: &Notification,
        functions: &Functions,
    ) -> Result<Self, Vec<(&'static str, Mistake)>> {
        let usage = definition.on.iter().all(|event| is_usage(event));
        let variables = [
            ("event", if usage { usage_event_type() } else { Type::Any }),
            ("type", Type::Text),
            ("customer", person_type()),
            ("plan", Type::Text),
            ("entitlement", Type::Text),
        ];
        let scope = Scope { variables: &variables, functions: FUNCTIONS };
        let place = |field: &str| format!("policy.notifications.{name}.{field}");
        let when = match (functions.find(Place::Matches(name)), definition.when.as_deref()) {
            (Some(function), _) => Some(Ok(When::Function(function))),
            (None, text) => {
                text.map(|text| Program::compile(text, place("when"), &scope, &Type::Bool).map(When::Expression))
            }
        };
        let message = Template::compile(&definition.message, &place("message"), &scope);
        let (when, message) = match (when.transpose(), message) {
            (Ok(when), Ok(message)) => (when, message),
            (when, message) => {
                let mistakes = [("when", when.err()), ("message", message.err())];
                return Err(mistakes.into_iter().filter_map(|(field, mistake)| Some((field, mistake?))).collect());
            }
        };
        Ok(Self {
            name: name.into(),
            severity: definition.severity,
            once: definition.once,
            on: definition.on.clone(),
            when,
            fire: functions.find(Place::Fire(name)),
            message,
        })
    }

    /// Whether it looks at events of this name.
    pub(crate) fn looks_at(&self, event: &str) -> bool {
        if self.on.is_empty() { is_usage(event) } else { self.on.iter().any(|name| name == event) }
    }

    /// Whether it matches the event; an error only when it is to be reported. `plan` is the plan of the event's customer.
    pub(crate) fn matches(&self, event: &Event, plan: Option<&str>, now: i64) -> Result<bool, Box<LogicError>> {
        const NO_BOOLEAN: &str = "the result is not a boolean";
        let (result, due) = match &self.when {
            None => return Ok(true),
            Some(When::Expression(program)) => {
                let run = |variables: &[Value<'_>]| match program.run(variables, &Happening(event))? {
                    Value::Bool(matches) => Ok(matches),
                    _ => Err(program.error(NO_BOOLEAN.to_owned(), None)),
                };
                let result = with_variables(event, plan, run);
                let due = result.is_err() && program.is_due(now);
                (result, due)
            }
            Some(When::Function(function)) => {
                let result = call(function, event)
                    .and_then(|result| result.as_bool().ok_or_else(|| function.error(NO_BOOLEAN.to_owned())));
                let due = result.is_err() && function.is_due(now);
                (result, due)
            }
        };
        result.or_else(|error| if due { Err(error) } else { Ok(false) })
    }

    /// What it does with an event that it matches: what its function returns, none where it has none. An error only when
    /// it is to be reported; it sends the notification without a result.
    pub(crate) fn fire(&self, event: &Event, now: i64) -> Result<Option<Json>, Option<Box<LogicError>>> {
        let Some(function) = &self.fire else { return Ok(None) };
        call(function, event).map(Some).map_err(|error| function.is_due(now).then_some(error))
    }

    /// What it says of an event that it matches, and what went wrong in saying it.
    pub(crate) fn message(&self, event: &Event, plan: Option<&str>, now: i64) -> (String, Vec<LogicError>) {
        with_variables(event, plan, |variables| self.message.text(variables, &Happening(event), now))
    }
}

/// Calls a function with an event: its name and its payload.
fn call(function: &Routine, event: &Event) -> Result<Json, Box<LogicError>> {
    function.call(&[Argument::Text(event.name()), Argument::Data(&event.to_json())])
}

/// Runs `evaluate` on the variables of an event. `own` is the plan of its customer.
fn with_variables<R>(event: &Event, own: Option<&str>, evaluate: impl FnOnce(&[Value<'_>]) -> R) -> R {
    // An event of a call has the plan the call was made under, which may be another's than the meter's owner's.
    let (plan, entitlement) = match event.payload() {
        Payload::Meter(meter) => (Some(&*meter.plan), Some(&*meter.entitlement)),
        Payload::Cap(cap) => (None, cap.entitlement.as_deref()),
        Payload::PlanChanged(change) => (Some(&*change.plan), None),
        Payload::Plan(plan) => (Some(&*plan.plan), None),
        _ => (None, None),
    };
    let person = event.payload().customer().map(|customer| Person { customer, plan: own });
    let plan = plan.or(own);
    let other;
    let record: &dyn Record = match event.payload() {
        Payload::Meter(event) => &**event,
        Payload::Cap(event) => &**event,
        payload => {
            other = serde_json::to_value(payload).unwrap_or_default();
            &other
        }
    };
    let customer = person.as_ref().map_or(Value::Null, |person| Value::Record(person));
    evaluate(&[
        Value::Record(record),
        event.name().into(),
        customer,
        plan.unwrap_or_default().into(),
        entitlement.unwrap_or_default().into(),
    ])
}

/// Answers the functions of an event.
struct Happening<'e>(&'e Event);

impl Happening<'_> {
    /// What was counted before, what is counted now, and up to where.
    fn numbers(&self) -> Option<(Option<Amount>, Amount, Amount)> {
        match self.0.payload() {
            Payload::Meter(event) => Some((event.meter.old, event.meter.value, event.meter.limit)),
            Payload::Cap(event) => Some((None, event.cap.meter_value, event.cap.value)),
            _ => None,
        }
    }
}

impl Host for Happening<'_> {
    fn call<'a>(&self, index: usize, arguments: &[Value<'a>]) -> Result<Value<'a>, String> {
        let name = FUNCTIONS.get(index).map_or("", |function| function.name);
        let Some((old, value, limit)) = self.numbers() else {
            return Err(format!("`{name}` is for meter and cap events, not for `{}`", self.0.name()));
        };
        let result = match name {
            "crossed" => {
                let share = arguments.first().and_then(Value::amount).ok_or("expected a number")?;
                let Some(mark) = limit.checked_mul(share) else { return Ok(Value::Bool(false)) };
                // A limit of nothing has no share that could be crossed.
                let crossed = limit.is_positive() && old.is_some_and(|old| old < mark) && mark <= value;
                return Ok(Value::Bool(crossed));
            }
            "percent" if limit.is_zero() => Some(Amount::ZERO),
            "percent" => value.checked_mul(100.into()).and_then(|hundredfold| hundredfold.checked_div(limit)),
            _ => limit.checked_sub(value),
        };
        result.map(|amount| Value::Double(amount.rounded())).ok_or_else(|| "the result is out of range".to_owned())
    }
}
