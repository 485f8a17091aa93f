//! The engine under test, behind the same steps as the model. Everything that depends on the shape of the engine's
//! API is in this file.

use super::Outcome;
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

pub struct Engine {
    engine: limitr::Limitr,
    clock: limitr::ManualClock,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Engine {
    pub fn new(policy: &Value, now: i64) -> Engine {
        let clock = limitr::ManualClock::new(now);
        let engine = limitr::Limitr::builder()
            .clock(clock.clone())
            .ids(limitr::SequentialIds::default())
            .policy_value(policy)
            .unwrap_or_else(|error| panic!("the generated policy is refused: {error}\n{policy:#}"));
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&events);
        engine.on(move |event: &limitr::Event| {
            let payload = json!({"name": event.name(), "value": event.to_json()});
            if let Ok(mut seen) = seen.lock() {
                seen.push(payload);
            }
        });
        Engine { engine, clock, events }
    }

    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// One step. Time steps are taken here; a panic inside the engine is an outcome too, so that it can be shrunk.
    pub fn step(&self, step: &Value) -> Outcome {
        if let Some(by) = step.get("advance").and_then(super::amount::duration) {
            self.clock.set(self.clock.now() + by);
            return Outcome { result: Value::Null, events: Vec::new(), error: None };
        }
        if let Some(ms) = step.get("now").and_then(Value::as_i64) {
            self.clock.set(ms);
            return Outcome { result: Value::Null, events: Vec::new(), error: None };
        }
        let answer = catch_unwind(AssertUnwindSafe(|| limitr::call(&self.engine, step)));
        let events = self.events.lock().map(|mut seen| std::mem::take(&mut *seen)).unwrap_or_default();
        match answer {
            Ok(Ok(result)) => Outcome { result, events, error: None },
            Ok(Err(error)) => Outcome { result: Value::Null, events, error: Some(error.to_string()) },
            Err(_) => Outcome { result: json!("the engine panicked"), events, error: Some("panic".to_owned()) },
        }
    }

    /// Keeps what happens from now on.
    pub fn keep_log(&self) {
        self.engine.keep_log();
    }

    /// What happened since the last time, as it would cross a wire.
    pub fn take_log(&self) -> Vec<Value> {
        self.engine.take_log().iter().map(|entry| json!(entry)).collect()
    }

    /// Applies what happened on another engine.
    pub fn apply(&self, entry: &Value) {
        let read = limitr::Entry::from_json(entry).unwrap_or_else(|error| panic!("{error}: {entry}"));
        assert_eq!(json!(read), *entry, "an entry came back another");
        self.engine.apply(&read).unwrap_or_else(|error| panic!("{error}: {entry}"));
    }

    /// The snapshot of every customer: a map by id, or a list of records.
    pub fn customers(&self) -> Value {
        limitr::call(&self.engine, &json!({"customers": {}})).unwrap_or(Value::Null)
    }

    /// Of every customer what operations set: not usage, which the period it belongs to may have left.
    pub fn what_stands(&self) -> Value {
        let mut customers = self.customers();
        for customer in customers.as_object_mut().into_iter().flat_map(|map| map.values_mut()) {
            for usage in ["meters", "grants", "caps", "idempotency", "notified"] {
                customer.as_object_mut().map(|customer| customer.remove(usage));
            }
        }
        customers
    }

    pub fn load_customers(&self, snapshot: &Value) {
        limitr::call(&self.engine, &json!({"load_customers": {"customers": snapshot}}))
            .unwrap_or_else(|error| panic!("the engine's own snapshot is refused: {error}"));
    }
}
