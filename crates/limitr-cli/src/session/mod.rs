//! An engine driven one step at a time with JSON: what scenarios and `limitr exec` share.
//!
//! A step is an object with one verb: an operation of the engine, or `advance` and `now`, which move the clock. Its result
//! can be kept under a name (`save`), which later arguments use as `$name`.

mod clock;
mod substitute;
mod verbs;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use limitr::{Builder, IdSource, Limitr};
use serde::Serialize;
use serde_json::{Map, Value};

pub use clock::{SessionClock, parse_time};
pub(crate) use substitute::substitute_known;
pub use verbs::verbs;

use crate::suggest::nearest;

/// Keys of a scenario's step that stand beside its verb.
pub const STEP_KEYS: [&str; 6] = ["expect", "events", "expect_event", "approx", "save", "error_contains"];

/// An engine with its clock, the events it sends, and the results kept so far.
pub struct Session {
    engine: Limitr,
    clock: SessionClock,
    events: Arc<Mutex<Vec<Happened>>>,
    saved: BTreeMap<String, Value>,
}

/// An event that a step sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Happened {
    /// Its name.
    pub name: String,
    /// Its payload.
    pub value: Value,
}

/// What a step came to.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The operation's result; for `advance` and `now` the time it is now.
    pub result: Result<Value, StepError>,
    /// The events it sent, in order.
    pub events: Vec<Happened>,
}

/// Why a step could not be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepError {
    /// A stable code.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A step's verb and arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// The operation's name, or `advance` or `now`.
    pub verb: String,
    /// Its arguments, `$name` not yet replaced.
    pub arguments: Value,
}

impl StepError {
    pub(crate) fn bad_step(message: impl Into<String>) -> Self {
        Self { code: "bad_step", message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for StepError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StepError {}

impl From<limitr::Error> for StepError {
    fn from(error: limitr::Error) -> Self {
        // A policy's problems say their hints themselves.
        let hint = if error.problems().is_empty() { error.hint().map(str::to_owned) } else { None };
        Self { code: error.code(), message: error.to_string(), hint }
    }
}

impl Operation {
    /// The one verb among a step's keys.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn among(keys: &Map<String, Value>) -> Result<Self, StepError> {
        let mut verbs = keys.iter().filter(|(key, _)| !STEP_KEYS.contains(&key.as_str()));
        let Some((verb, arguments)) = verbs.next() else {
            return Err(StepError::bad_step("a step needs a verb")
                .hint("such as {\"allow\": {\"customer\": \"c1\", \"entitlement\": \"chat\", \"value\": 5}}"));
        };
        if let Some(unknown) = keys.keys().find(|key| !known().any(|known| known == key.as_str())) {
            let hint = match nearest(unknown, known()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("a step has one verb and any of {}", STEP_KEYS.join(", ")),
            };
            return Err(StepError::bad_step(format!("unknown verb or key `{}` in a step", shown(unknown))).hint(hint));
        }
        if let Some((second, _)) = verbs.next() {
            return Err(StepError::bad_step(format!("a step has one verb, found `{verb}` and `{second}`")));
        }
        Ok(Self { verb: verb.clone(), arguments: arguments.clone() })
    }
}

/// What a step can have as keys.
fn known() -> impl Iterator<Item = &'static str> {
    verbs().chain(STEP_KEYS)
}

/// Whether a result can be saved under this name.
///
/// # Errors
/// When it cannot stand after a `$`.
pub fn check_name(name: &str) -> Result<(), StepError> {
    if substitute::is_name(name) {
        return Ok(());
    }
    Err(StepError::bad_step(format!("`{}` is no name to save under", shown(name)))
        .hint("use letters, digits, `_` and `-`, a letter first"))
}

/// A name in a message, shortened when it would drown it.
pub(crate) fn shown(name: &str) -> String {
    const SHOWN: usize = 60;
    let mut characters = name.chars();
    let mut shown: String = characters.by_ref().take(SHOWN).collect();
    if characters.next().is_some() {
        shown.push_str("...");
    }
    shown
}

impl Session {
    /// A session on the engine that `build` makes; the clock and the ids are already set.
    ///
    /// # Errors
    /// What `build` returns.
    pub fn new(
        clock: SessionClock,
        ids: impl IdSource + 'static,
        build: impl FnOnce(Builder) -> Result<Limitr, limitr::Error>,
    ) -> Result<Self, limitr::Error> {
        let engine = build(Limitr::builder().clock(clock.clone()).ids(ids))?;
        let events: Arc<Mutex<Vec<Happened>>> = Arc::default();
        let heard = Arc::clone(&events);
        engine.on(move |event| {
            let happened = Happened { name: event.name().to_owned(), value: event.to_json() };
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(happened);
        });
        Ok(Self { engine, clock, events, saved: BTreeMap::new() })
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Limitr {
        &self.engine
    }

    /// The results kept so far.
    #[must_use]
    pub fn saved(&self) -> &BTreeMap<String, Value> {
        &self.saved
    }

    /// Runs one operation.
    pub fn run(&self, operation: &Operation) -> Reply {
        let result = match operation.verb.as_str() {
            "advance" => self.clock.advance(&operation.arguments).map(Value::from),
            "now" => self.clock.set(&operation.arguments).map(Value::from),
            verb => self.arguments(operation).and_then(|arguments| self.call(verb, arguments)),
        };
        let events = std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner));
        Reply { result, events }
    }

    /// An operation's arguments with the results kept so far in the place of `$name`.
    ///
    /// # Errors
    /// A name nothing was kept under, and arguments that become too large.
    pub fn arguments(&self, operation: &Operation) -> Result<Value, StepError> {
        substitute::substitute(&operation.arguments, &self.saved)
    }

    /// Keeps a result for `$name`.
    ///
    /// # Errors
    /// See [`check_name`].
    pub fn save(&mut self, name: &str, result: Value) -> Result<(), StepError> {
        check_name(name)?;
        self.saved.insert(name.to_owned(), result);
        Ok(())
    }

    fn call(&self, verb: &str, arguments: Value) -> Result<Value, StepError> {
        Ok(limitr::call(&self.engine, &Value::Object(Map::from_iter([(verb.to_owned(), arguments)])))?)
    }

    /// Why the engine decides as it does: the explanation of an operation that asks for a decision, as things stand now.
    #[must_use]
    pub fn explanation(&self, operation: &Operation) -> Option<Value> {
        let mut arguments = self.arguments(operation).ok()?;
        let fields = arguments.as_object_mut()?;
        let units = match operation.verb.as_str() {
            "allow" | "check" | "explain" => None,
            "increment" | "check_increment" => Some(self.read("cost", fields)?),
            "decrement" | "check_decrement" => Some(-self.read("cost", fields)?),
            "set" => Some(fields.get("value")?.as_f64()? - self.read("value", fields)?),
            "reserve" => {
                for argument in ["basis", "segment", "ttl", "quantile"] {
                    fields.remove(argument);
                }
                None
            }
            _ => return None,
        };
        if let Some(units) = units {
            fields.insert("value".to_owned(), units.into());
        }
        self.call("explain", arguments).ok()
    }

    fn read(&self, verb: &str, fields: &Map<String, Value>) -> Option<f64> {
        let place = fields.iter().filter(|(key, _)| matches!(key.as_str(), "customer" | "entitlement"));
        let place = place.map(|(key, value)| (key.clone(), value.clone())).collect();
        self.call(verb, Value::Object(place)).ok()?.as_f64()
    }
}
