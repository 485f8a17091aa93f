//! An engine driven by the operations on a page, with simulated time and counted ids.

use std::sync::{Arc, Mutex};

use limitr::policy::{Format, parse_duration, read_document_value};
use limitr::{Event, Limitr, ManualClock, SequentialIds, call};
use serde_json::{Value, json};

/// 2026-01-15T00:00:00Z
const START: i64 = 1_768_435_200_000;

/// An event's name and payload.
type Told = (String, Value);

pub(crate) struct Session {
    limitr: Limitr,
    clock: ManualClock,
    events: Arc<Mutex<Vec<Told>>>,
}

impl Session {
    /// On a policy given as YAML.
    pub(crate) fn new(policy: &str) -> Self {
        let clock = ManualClock::new(START);
        let builder = Limitr::builder().clock(clock.clone()).ids(SequentialIds::default());
        Self::on(builder.policy(policy, Format::Yaml).unwrap(), clock)
    }

    fn on(limitr: Limitr, clock: ManualClock) -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = events.clone();
        limitr.on(move |event: &Event| heard.lock().unwrap().push((event.name().to_owned(), event.to_json())));
        Self { limitr, clock, events }
    }

    /// Runs one operation; `advance` and `now` move the clock.
    pub(crate) fn run(&self, operation: &Value) -> Result<Value, String> {
        if let Some(by) = operation.get("advance") {
            let text = by.as_str().map_or_else(|| by.to_string(), str::to_owned);
            self.clock.advance(parse_duration(&text).map_err(|error| error.to_string())?);
            return Ok(Value::Null);
        }
        if let Some(time) = operation.get("now") {
            self.clock.set(ms(time)?);
            return Ok(Value::Null);
        }
        call(&self.limitr, operation).map_err(|error| error.to_string())
    }

    /// What was sent since the last time.
    pub(crate) fn take_events(&self) -> Vec<Told> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }

    pub(crate) fn customers(&self) -> Value {
        serde_json::to_value(self.limitr.customers()).unwrap()
    }
}

fn ms(time: &Value) -> Result<i64, String> {
    let text = time.as_str().ok_or_else(|| format!("{time} is no time"))?;
    let time: jiff::Timestamp = text.parse().map_err(|error| format!("{text}: {error}"))?;
    Ok(time.as_millisecond())
}

/// Runs a scenario in the format of `conformance/README.md`, as far as the pages use it.
pub(crate) fn run_scenario(scenario: &Value) -> Result<(), String> {
    let policy = &scenario["policy"];
    read_document_value(policy, true).map_err(|error| error.to_string())?;
    let start = scenario.get("now").map_or(Ok(START), ms)?;
    let clock = ManualClock::new(start);
    let builder = Limitr::builder().clock(clock.clone()).ids(SequentialIds::default());
    let session = Session::on(builder.policy_value(policy).map_err(|error| error.to_string())?, clock);
    for (number, step) in (1..).zip(scenario["steps"].as_array().ok_or("no steps")?) {
        run_step(&session, step).map_err(|why| format!("step {number}, {step}: {why}"))?;
    }
    Ok(())
}

fn run_step(session: &Session, step: &Value) -> Result<(), String> {
    let mut operation = step.as_object().ok_or("no object")?.clone();
    let [expect, events, expect_event] = ["expect", "events", "expect_event"].map(|key| operation.shift_remove(key));
    if operation.len() != 1 {
        return Err("more than the pages' runner knows".to_owned());
    }
    let came = session.run(&Value::Object(operation))?;
    let sent = session.take_events();
    let mut wrong = Vec::new();
    if let Some(expected) = expect {
        wrong.extend(differences(&expected, &came));
    }
    if let Some(names) = events {
        let came: Vec<&String> = sent.iter().map(|(name, _)| name).collect();
        wrong.extend(differences(&names, &json!(came)));
    }
    if let Some(event) = expect_event {
        let payload = sent.iter().find(|(name, _)| event["name"] == **name).map(|(_, payload)| payload);
        wrong.extend(differences(&event["fields"], payload.unwrap_or(&Value::Null)));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Where `came` differs from `expected`: of objects the expected fields count, numbers may be off by 1e-9.
pub(crate) fn differences(expected: &Value, came: &Value) -> Vec<String> {
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    match (expected, came) {
        (Value::Object(expected), Value::Object(came)) => {
            let each = expected.iter().flat_map(|(key, expected)| {
                let found = differences(expected, came.get(key).unwrap_or(&Value::Null));
                found.into_iter().map(move |line| format!("{key}/{line}"))
            });
            each.collect()
        }
        (Value::Array(expected), Value::Array(came)) if expected.len() == came.len() => {
            expected.iter().zip(came).flat_map(|(expected, came)| differences(expected, came)).collect()
        }
        (expected, came) if expected == came => Vec::new(),
        (expected, came) => match (number(expected), number(came)) {
            (Some(a), Some(b)) if (a - b).abs() <= 1e-9 => Vec::new(),
            _ => vec![format!(": expected {expected}, came {came}")],
        },
    }
}
