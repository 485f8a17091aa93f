//! The engine behind WebAssembly: what the TypeScript SDK calls.
//!
//! Thin on purpose. The few calls that sit on an application's hot path take and return plain numbers and text; everything
//! else goes through [`limitr::call`], as JSON. Time comes in with every call and randomness as a seed, so that the module
//! imports nothing from its host.

mod ids;
mod link;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use ids::SeededIds;
use limitr::policy::FormatError;
use limitr::{Decision, Event, Limitr, ListenerId, ManualClock, SequentialIds};
use serde_json::{Map, Value};
use wasm_bindgen::prelude::*;

/// What [`Engine::allow`] and its kin return: whether the call may go ahead.
const ALLOWED: u32 = 1;
/// Added to the above when listeners have something to hear: [`Engine::take_events`].
const EVENTS: u32 = 2;

/// One engine.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Engine {
    limitr: Limitr,
    clock: ManualClock,
    events: Events,
    listener: Option<ListenerId>,
}

/// Events not taken yet: a name and a payload as JSON, each on a line of its own.
#[derive(Debug, Clone, Default)]
struct Events(Arc<Mutex<Lines>>);

/// JSON text, which is UTF-8.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        // JSON is written in pieces of a few bytes, for which copying memory costs more than it copies.
        if bytes.len() <= 16 {
            bytes.iter().for_each(|byte| self.0.push(*byte));
        } else {
            self.0.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[wasm_bindgen]
impl Engine {
    /// An engine on a policy document, at `now` ms since 1970. Ids are random from `seed`; without one they are `id1`,
    /// `id2`, .. for tests.
    ///
    /// # Errors
    /// A `limitr::Error` as JSON text, as everywhere here.
    #[wasm_bindgen(constructor)]
    pub fn new(text: &str, format: &str, validate: bool, now: f64, seed: Option<Box<[u64]>>) -> Result<Engine, String> {
        let clock = ManualClock::new(0);
        set(&clock, now);
        let builder = Limitr::builder().clock(clock.clone()).validate(validate);
        let builder = match seed.as_deref() {
            Some(&[one, two]) => builder.ids(SeededIds::new(one, two)),
            _ => builder.ids(SequentialIds::default()),
        };
        let format = format.parse().map_err(|error: FormatError| json(&error.into()))?;
        let limitr = builder.policy(text, format).map_err(|error| json(&error))?;
        Ok(Self { limitr, clock, events: Events::default(), listener: None })
    }

    /// `limitr::Limitr::allow` of a number.
    pub fn allow(&self, customer: &str, entitlement: &str, value: f64, now: f64) -> u32 {
        set(&self.clock, now);
        self.outcome(&self.limitr.allow(customer, entitlement, value))
    }

    /// `limitr::Limitr::check` of a number.
    pub fn check(&self, customer: &str, entitlement: &str, value: f64, now: f64) -> u32 {
        set(&self.clock, now);
        self.outcome(&self.limitr.check(customer, entitlement, value))
    }

    /// `limitr::Limitr::increment`.
    pub fn increment(&self, customer: &str, entitlement: &str, now: f64) -> u32 {
        set(&self.clock, now);
        self.outcome(&self.limitr.increment(customer, entitlement))
    }

    /// `limitr::Limitr::decrement`.
    pub fn decrement(&self, customer: &str, entitlement: &str, now: f64) -> u32 {
        set(&self.clock, now);
        self.outcome(&self.limitr.decrement(customer, entitlement))
    }

    /// Any operation as JSON text; its result as JSON text.
    ///
    /// # Errors
    /// The operation's.
    pub fn call(&self, operation: &str, now: f64) -> Result<String, String> {
        set(&self.clock, now);
        let operation: Value = serde_json::from_str(operation).map_err(|error| unreadable(&error))?;
        let result = limitr::call(&self.limitr, &operation).map_err(|error| json(&error))?;
        Ok(result.to_string())
    }

    /// Begins to keep events for [`Engine::take_events`], or stops.
    pub fn listen(&mut self, on: bool) {
        if let Some(listener) = self.listener.take() {
            self.limitr.off(listener);
        }
        if on {
            let events = self.events.clone();
            self.listener = Some(self.limitr.on(move |event| events.push(event)));
        }
    }

    /// Whether there are events to take.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// The events so far, oldest first: a line with the name, a line with the payload as JSON, for each.
    pub fn take_events(&self) -> String {
        self.events.take()
    }

    /// Whether a customer of this id or alternate id is here.
    pub fn has_customer(&self, id: &str) -> bool {
        self.limitr.has_customer(id)
    }

    /// What is wrong with the policy, as a JSON list of problems.
    pub fn problems(&self) -> String {
        serde_json::to_string(&self.limitr.problems()).unwrap_or_default()
    }

    /// Begins to remember who changes, for [`Engine::take_changes`].
    pub fn track_changes(&self) {
        self.limitr.track_changes();
    }

    /// Who changed since the last call: a JSON object of id to record, null for who was removed.
    pub fn take_changes(&self) -> String {
        let changes = self.limitr.take_changes().into_iter();
        // By way of a value, as every record that is not an event's: one writer of each kind is enough.
        let record = |customer| serde_json::to_value(customer).unwrap_or_default();
        let changes: Map<_, _> = changes.map(|(id, customer)| (id.to_string(), record(customer))).collect();
        Value::Object(changes).to_string()
    }

    fn outcome(&self, decision: &Decision) -> u32 {
        let events = if self.events.is_empty() { 0 } else { EVENTS };
        if decision.allowed { events | ALLOWED } else { events }
    }
}

impl Events {
    fn push(&self, event: &Event) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.0.extend_from_slice(event.name().as_bytes());
        lines.0.push(b'\n');
        // Written here, not by `Event::to_json_string`: this crate is compiled for speed, the engine for size.
        if serde_json::to_writer(&mut *lines, event.payload()).is_err() {
            lines.0.extend_from_slice(b"null");
        }
        lines.0.push(b'\n');
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.is_empty()
    }

    fn take(&self) -> String {
        let lines = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8(lines.0).unwrap_or_default()
    }
}

/// JavaScript's times are doubles; what is no time there is the limit here.
#[allow(clippy::cast_possible_truncation)]
fn set(clock: &ManualClock, now: f64) {
    clock.set(now as i64);
}

/// JSON that is nested too deeply, for one.
fn unreadable(error: &serde_json::Error) -> String {
    let message = format!("the arguments cannot be read: {error}");
    serde_json::json!({"kind": "argument", "code": "bad_operation", "message": message}).to_string()
}

fn json(error: &limitr::Error) -> String {
    serde_json::to_string(error).unwrap_or_default()
}
