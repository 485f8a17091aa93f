//! Running a scenario.

use limitr::SequentialIds;
use limitr::policy::read_document;
use serde_json::{Map, Value};

use super::{Mismatch, Scenario, Step, compare};
use crate::Finding;
use crate::session::{Happened, Reply, Session, SessionClock, substitute_known};

/// What a scenario failed at.
#[derive(Debug, Clone)]
pub enum Failure {
    /// The policy was refused, though it should load.
    Refused(Vec<Finding>),
    /// The policy was loaded, though it should be refused.
    Loaded,
    /// The policy was refused, but the error does not hold this text.
    RefusedOtherwise {
        /// What the error should hold.
        expected: String,
        /// The error.
        came: String,
    },
    /// A step did not come to what it should.
    Step(Box<FailedStep>),
}

/// A step that did not come to what it should.
#[derive(Debug, Clone)]
pub struct FailedStep {
    /// Its number, from 1.
    pub number: usize,
    /// The line it stands on.
    pub line: Option<u32>,
    /// The verb with its arguments.
    pub content: Value,
    /// What was expected and what came, one difference each.
    pub differences: Vec<String>,
    /// How the engine decides this step, for steps that ask for a decision.
    pub explanation: Option<Value>,
}

/// Runs a scenario to its end or its first failing step.
///
/// # Errors
/// What it failed at.
pub fn run(scenario: &Scenario) -> Result<(), Failure> {
    let mut session = match (load(scenario), scenario.valid) {
        (Ok(session), true) => session,
        (Ok(_), false) => return Err(Failure::Loaded),
        (Err(error), true) => return Err(Failure::Refused(Finding::of(&error))),
        (Err(error), false) => {
            let came = error.to_string();
            return match &scenario.error_contains {
                Some(text) if !came.contains(text.as_str()) => {
                    Err(Failure::RefusedOtherwise { expected: text.clone(), came })
                }
                _ => Ok(()),
            };
        }
    };
    for (index, step) in scenario.steps.iter().enumerate() {
        let differences = take(&mut session, step);
        if !differences.is_empty() {
            return Err(Failure::Step(Box::new(FailedStep {
                number: index + 1,
                line: step.line,
                content: content(step),
                differences,
                explanation: explain(scenario, index),
            })));
        }
    }
    Ok(())
}

fn load(scenario: &Scenario) -> Result<Session, limitr::Error> {
    // The tree knows what JSON does not: keys given twice, and where everything stands.
    read_document(&scenario.policy, scenario.validate)?;
    Session::new(SessionClock::at(scenario.now), SequentialIds::default(), |builder| {
        builder.validate(scenario.validate).policy_value(&scenario.policy.to_json())
    })
}

fn content(step: &Step) -> Value {
    let operation = &step.operation;
    Value::Object(Map::from_iter([(operation.verb.clone(), operation.arguments.clone())]))
}

/// The explanation of a step as things stood before it. Only a failing scenario pays for it, by running again up to there.
fn explain(scenario: &Scenario, index: usize) -> Option<Value> {
    let mut session = load(scenario).ok()?;
    for step in scenario.steps.iter().take(index) {
        take(&mut session, step);
    }
    session.explanation(&scenario.steps.get(index)?.operation)
}

/// Runs a step and says what is different from what it should come to.
fn take(session: &mut Session, step: &Step) -> Vec<String> {
    let Reply { result, events } = session.run(&step.operation);
    let mut differences = Vec::new();
    match (result, &step.error_contains) {
        (Ok(result), None) => {
            if let Some(expect) = &step.expect {
                match substitute_known(expect, session.saved()) {
                    Ok(expect) => {
                        differences.extend(compare(&expect, &result, step.approx).iter().map(Mismatch::to_string))
                    }
                    Err(error) => differences.push(error.to_string()),
                }
            }
            if let Some(name) = &step.save {
                differences.extend(session.save(name, result).err().map(|error| error.to_string()));
            }
        }
        (Ok(result), Some(text)) => differences.push(format!("expected an error holding `{text}`, came {result}")),
        (Err(error), Some(text)) if error.message.contains(text.as_str()) => {}
        (Err(error), Some(text)) => {
            differences.push(format!("expected an error holding `{text}`, came the error: {error}"))
        }
        (Err(error), None) => {
            let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            differences.push(format!("expected no error, came: {error}{hint}"));
        }
    }
    differences.extend(events_differ(step, &events, session));
    differences
}

fn events_differ(step: &Step, events: &[Happened], session: &Session) -> Vec<String> {
    let mut differences = Vec::new();
    let came: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    if let Some(expected) = step.events.as_ref().filter(|expected| **expected != came) {
        differences.push(format!("events: expected [{}], came [{}]", expected.join(", "), came.join(", ")));
    }
    for expected in &step.expect_events {
        let named: Vec<&Happened> = events.iter().filter(|event| event.name == expected.name).collect();
        if named.is_empty() {
            let came = if came.is_empty() { "none".to_owned() } else { came.join(", ") };
            differences.push(format!("events: expected `{}`, came {came}", expected.name));
            continue;
        }
        let Some(fields) = &expected.fields else { continue };
        let fields = substitute_known(fields, session.saved()).unwrap_or_else(|_| fields.clone());
        let mismatches = named.iter().map(|event| compare(&fields, &event.value, step.approx));
        // Of several events of that name the nearest is the one that was meant.
        if let Some(nearest) = mismatches.min_by_key(Vec::len) {
            differences.extend(nearest.iter().map(|mismatch| format!("event `{}`: {mismatch}", expected.name)));
        }
    }
    differences
}
