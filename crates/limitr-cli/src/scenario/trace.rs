//! All that a scenario comes to on this engine, for other implementations to compare themselves with.

use limitr::{Clock as _, Format, SequentialIds};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Scenario, Step};
use crate::session::{Happened, Reply, Session, SessionClock, StepError};

/// What a scenario comes to, whatever it expects.
///
/// What goes into the engine and what comes out of it is JSON text, so that no reader changes a digit of it.
#[derive(Debug, Clone, Serialize)]
pub struct Trace {
    /// What it shows.
    pub name: String,
    /// The clock at the start, ms since 1970.
    pub now: i64,
    /// The policy document.
    pub policy: String,
    /// Whether loading validates.
    pub validate: bool,
    /// Whether loading must succeed.
    pub valid: bool,
    /// Why the policy was not loaded, where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<limitr::Error>,
    /// What each step came to.
    pub steps: Vec<TracedStep>,
    /// Every customer's record at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customers: Option<String>,
}

/// What a step came to.
#[derive(Debug, Clone, Serialize)]
pub struct TracedStep {
    /// The operation's name, or `advance` or `now`.
    pub verb: String,
    /// Its arguments, with the results that `$name` stands for.
    pub args: String,
    /// The clock when it ran; for `advance` and `now` what they made it show.
    pub now: i64,
    /// Its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<StepError>,
    /// The events it sent, in order.
    pub events: Vec<TracedEvent>,
}

/// An event that a step sent.
#[derive(Debug, Clone, Serialize)]
pub struct TracedEvent {
    /// Its name.
    pub name: String,
    /// Its payload.
    pub value: String,
}

/// Runs all of a scenario's steps.
#[must_use]
pub fn trace(scenario: &Scenario) -> Trace {
    let Scenario { name, now, validate, valid, .. } = scenario;
    let policy = json!({"policy": scenario.policy.to_json()}).to_string();
    let clock = SessionClock::at(*now);
    let session = Session::new(clock.clone(), SequentialIds::default(), |builder| {
        builder.validate(*validate).policy(&policy, Format::Json)
    });
    let mut trace = Trace {
        name: name.clone(),
        now: *now,
        policy,
        validate: *validate,
        valid: *valid,
        refused: None,
        steps: Vec::new(),
        customers: None,
    };
    match session {
        Ok(mut session) => {
            trace.steps = scenario.steps.iter().map(|step| take(&mut session, &clock, step)).collect();
            trace.customers = limitr::call(session.engine(), &json!({"customers": {}})).ok().map(|all| all.to_string());
        }
        Err(error) => trace.refused = Some(error),
    }
    trace
}

fn take(session: &mut Session, clock: &SessionClock, step: &Step) -> TracedStep {
    let operation = &step.operation;
    let args = session.arguments(operation).unwrap_or_else(|_| operation.arguments.clone()).to_string();
    let Reply { mut result, events } = session.run(operation);
    if let (Ok(kept), Some(name)) = (&result, &step.save) {
        result = session.save(name, kept.clone()).and(result);
    }
    TracedStep {
        verb: operation.verb.clone(),
        args,
        now: clock.now(),
        result: result.as_ref().ok().map(Value::to_string),
        error: result.err(),
        events: events
            .into_iter()
            .map(|Happened { name, value }| TracedEvent { name, value: value.to_string() })
            .collect(),
    }
}
