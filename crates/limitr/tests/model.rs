//! The engine against a deliberately naive second implementation of the specification (`model/`), on random policies
//! and random calls, and the invariants that can be judged from outside with the same generator.
//!
//! `LIMITR_MODEL_CALLS` sets how many calls each test makes (default 20000), `LIMITR_MODEL_SEED` where it starts. A
//! failure prints a seed that replays just its own session, with the steps shrunk to those that matter.

#![allow(missing_docs, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

#[path = "model/mod.rs"]
mod model;

use fastrand::Rng;
use model::calls::Calls;
use model::compare;
use model::customer::Customer;
use model::engine::Engine;
use model::generate::Shape;
use model::{Model, Outcome};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// 2026-01-15T00:00:00Z.
const START: i64 = 1_768_435_200_000;
const CALLS_PER_POLICY: u64 = 200;
/// How often the whole state is compared.
const SNAPSHOT_EVERY: usize = 10;

fn env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs `session` on enough policies for the wanted number of calls. Each gets its own seed.
fn sessions(test: &str, mut session: impl FnMut(u64, usize)) {
    let calls = env("LIMITR_MODEL_CALLS", 20_000);
    let seed = env("LIMITR_MODEL_SEED", 20_261_120);
    eprintln!("{test}: {calls} calls from LIMITR_MODEL_SEED={seed}");
    for n in 0..calls.div_ceil(CALLS_PER_POLICY) {
        let steps = CALLS_PER_POLICY.min(calls - n * CALLS_PER_POLICY);
        session(seed.wrapping_add(n), steps as usize);
    }
}

fn start(seed: u64) -> (Rng, Shape) {
    let mut rng = Rng::with_seed(seed);
    let shape = Shape::random(&mut rng);
    (rng, shape)
}

#[derive(Clone)]
struct Failure {
    index: usize,
    why: String,
    expected: Outcome,
    got: Outcome,
}

/// One step on both sides; `whole` compares the state too.
fn one(model: &mut Model, engine: &Engine, index: usize, step: &Value, whole: bool) -> Option<Failure> {
    let expected = model.step(step);
    let got = engine.step(step);
    let mut why = compare::difference(model, step, &expected, &got);
    if why.is_none() && whole {
        why = compare::snapshot_difference(model, &model.customers(), &engine.customers());
    }
    why.map(|why| Failure { index, why, expected, got })
}

/// Replays a list of steps from the start, comparing everything after each.
fn replay(policy: &Value, steps: &[Value]) -> Option<Failure> {
    let mut model = Model::new(policy, START);
    let engine = Engine::new(policy, START);
    steps.iter().enumerate().find_map(|(index, step)| one(&mut model, &engine, index, step, true))
}

/// What a difference is about, so that shrinking does not slide into another one: the verb and the field.
fn kind(steps: &[Value], failure: &Failure) -> String {
    let verb = steps.get(failure.index).map(|step| parts(step).0).unwrap_or_default();
    match failure.why.strip_prefix("snapshots: /") {
        // Which customer, grant or meter it is does not matter, only what of it.
        Some(path) => {
            let path = path.split(':').next().unwrap_or_default();
            let parts: Vec<&str> =
                path.split('/').enumerate().filter(|(n, _)| *n != 0 && *n != 2).map(|(_, p)| p).collect();
            format!("{verb} snapshots {}", parts.join("/"))
        }
        None => format!("{verb} {}", failure.why.split(": expected").next().unwrap_or_default()),
    }
}

/// Drops steps, larger pieces first, as long as a difference of the same kind remains.
fn shrink(policy: &Value, mut steps: Vec<Value>) -> Vec<Value> {
    let Some(first) = replay(policy, &steps) else { return steps };
    let wanted = kind(&steps, &first);
    steps.truncate(first.index + 1);
    let mut size = steps.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + size).min(steps.len()));
            match replay(policy, &fewer).filter(|failure| kind(&fewer, failure) == wanted) {
                Some(failure) => {
                    fewer.truncate(failure.index + 1);
                    steps = fewer;
                }
                None => at += size,
            }
        }
        size /= 2;
    }
    steps
}

fn describe(outcome: &Outcome) -> String {
    let events: Vec<String> = outcome.events.iter().map(|event| format!("\n    {event}")).collect();
    format!("result {} error {:?} events:{}", outcome.result, outcome.error, events.concat())
}

fn report(seed: u64, policy: &Value, steps: Vec<Value>, failure: &Failure) -> String {
    let tail = |steps: &[Value]| -> String {
        steps[steps.len().saturating_sub(20)..].iter().map(|step| format!("\n  {step}")).collect()
    };
    let before = tail(&steps);
    let small = shrink(policy, steps);
    // A difference that needs the rarer comparison of the session may not show in a replay.
    let smallest = replay(policy, &small);
    let shown = smallest.as_ref().unwrap_or(failure);
    format!(
        "engine and model differ at step {}: {}\n\
         replay with LIMITR_MODEL_SEED={seed} LIMITR_MODEL_CALLS={CALLS_PER_POLICY}\n\
         policy: {policy}\nlast steps:{before}\n\n\
         shrunk to {} steps, different at {}: {}{}\nmodel: {}\nengine: {}",
        failure.index,
        failure.why,
        small.len(),
        shown.index,
        shown.why,
        tail(&small),
        describe(&shown.expected),
        describe(&shown.got),
    )
}

/// With LIMITR_MODEL_KEEP_GOING set, one difference of every kind is reported instead of just the first.
#[test]
fn random_calls_match_the_naive_model() {
    let keep_going = std::env::var("LIMITR_MODEL_KEEP_GOING").is_ok();
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    sessions("random_calls_match_the_naive_model", |seed, count| {
        let (rng, shape) = start(seed);
        let mut calls = Calls::new(rng, &shape);
        let mut model = Model::new(&shape.policy, START);
        let engine = Engine::new(&shape.policy, START);
        let mut steps = Vec::new();
        for index in 0..count {
            let step = calls.next(&model);
            steps.push(step.clone());
            let whole = index % SNAPSHOT_EVERY == SNAPSHOT_EVERY - 1 || index + 1 == count;
            if let Some(failure) = one(&mut model, &engine, index, &step, whole) {
                let kind = kind(&steps, &replay(&shape.policy, &steps).unwrap_or(failure.clone()));
                found.entry(kind).or_insert_with(|| report(seed, &shape.policy, steps, &failure));
                assert!(keep_going, "{}", found.values().next().map(String::as_str).unwrap_or_default());
                return;
            }
        }
    });
    let all: Vec<String> = found.into_iter().map(|(kind, report)| format!("==== {kind}\n{report}")).collect();
    assert!(all.is_empty(), "{}", all.join("\n\n"));
}

/// The verb and the arguments of a step.
fn parts(step: &Value) -> (&str, &Value) {
    let (verb, args) = step.as_object().and_then(|step| step.iter().next()).expect("a step has a verb");
    (verb, args)
}

/// check right before allow gives the same answer, says nothing and changes nothing.
#[test]
fn i1_check_equals_allow() {
    sessions("i1_check_equals_allow", |seed, count| {
        let (rng, shape) = start(seed);
        let mut calls = Calls::new(rng, &shape);
        let mut model = Model::new(&shape.policy, START);
        let engine = Engine::new(&shape.policy, START);
        for index in 0..count {
            let step = calls.next(&model);
            let (verb, args) = parts(&step);
            let asked = match verb {
                "allow" if args.get("idempotency_key").is_none() => Some(json!({"check": args})),
                "increment" | "decrement" => Some(json!({format!("check_{verb}"): args})),
                _ => None,
            };
            let checked = asked.map(|check| {
                let before = engine.customers();
                let checked = engine.step(&check);
                assert_eq!(before, engine.customers(), "seed {seed} step {index}: {check} changed the state");
                assert!(checked.events.is_empty(), "seed {seed} step {index}: {check} sent {:?}", checked.events);
                checked
            });
            let done = engine.step(&step);
            if let Some(checked) = checked {
                assert_eq!(checked.error.is_some(), done.error.is_some(), "seed {seed} step {index}: {step}");
                assert_eq!(checked.result, done.result, "seed {seed} step {index}: {step}\npolicy: {}", shape.policy);
            }
            model.step(&step);
        }
    });
}

/// A snapshot without what a denied call may change: the rate history, and what a new period starts over.
fn without_period_and_history(model: &Model, snapshot: &Value) -> Value {
    let mut all = compare::snapshot(model, snapshot);
    for record in all.as_object_mut().into_iter().flat_map(|all| all.values_mut()) {
        let mut customer = Customer::read(&model.policy, record, model.now);
        for (name, meter) in customer.meters.clone() {
            let limit = model
                .plan_of(&customer)
                .and_then(|(_, plan)| plan.entitlements.get(&name))
                .and_then(|entitlement| model.limit_for(&customer, &name, entitlement));
            let mut current = limit.map_or(meter, |limit| model.current_meter(&customer, &name, &limit).0);
            current.history.clear();
            current.ewma_rate = 0.0;
            // A governed attempt may be the first thing that a meter ever notes.
            let untouched = current.value.is_zero() && current.overhead.is_zero() && current.holds.is_empty();
            match untouched {
                true => customer.meters.remove(&name),
                false => customer.meters.insert(name, current),
            };
        }
        for cap in customer.caps.values_mut() {
            cap.roll(model.now);
            compare::without_start(cap);
        }
        *record = customer.write();
    }
    all
}

/// A denied call changes nothing but the period, its caps' periods and the rate history of a governed attempt.
#[test]
fn i3_denied_changes_nothing_but_period_and_history() {
    sessions("i3_denied_changes_nothing_but_period_and_history", |seed, count| {
        let (rng, shape) = start(seed);
        let mut calls = Calls::new(rng, &shape);
        let mut model = Model::new(&shape.policy, START);
        let engine = Engine::new(&shape.policy, START);
        for index in 0..count {
            let step = calls.next(&model);
            let (verb, args) = parts(&step);
            let metering = matches!(verb, "allow" | "increment" | "decrement" | "set");
            let before = metering.then(|| engine.customers());
            let reason = (verb == "allow").then(|| engine.step(&json!({"explain": args})).result["reason"].clone());
            let done = engine.step(&step);
            let denied = done.result == json!(false) && done.error.is_none();
            if let Some(before) = before.filter(|_| denied) {
                // The scoped meter of another customer rolls by the caller's plan; the model knows which, here only
                // the owner's own does. So a scoped call is compared when no period began.
                let after = engine.customers();
                let rolled = done.events.iter().any(|event| event["name"] == "meter-reset");
                let scoped = model
                    .resolve(
                        args["customer"].as_str().unwrap_or_default(),
                        args["entitlement"].as_str().unwrap_or_default(),
                    )
                    .is_ok_and(|found| found.owner.id != found.caller.id);
                let silent = args.get("event") == Some(&json!(false));
                if !(scoped && (rolled || silent)) {
                    let (a, b) =
                        (without_period_and_history(&model, &before), without_period_and_history(&model, &after));
                    assert!(
                        compare::same(&a, &b, rust_decimal::Decimal::ZERO),
                        "seed {seed} step {index}: denied {step} changed\n{a}\nto\n{b}\npolicy: {}",
                        shape.policy
                    );
                }
                if reason.as_ref().is_some_and(|reason| reason != "governor") && !rolled && !silent && !scoped {
                    let history = |snapshot: &Value| -> Vec<Value> {
                        let all = compare::snapshot(&model, snapshot);
                        let records = all.as_object().into_iter().flat_map(|all| all.values());
                        records.map(|r| r["meters"].clone()).collect()
                    };
                    assert_eq!(history(&before), history(&after), "seed {seed} step {index}: denied {step}");
                }
            }
            model.step(&step);
        }
    });
}

/// The policy after a step that changes it.
fn changed_policy(policy: &mut Value, step: &Value, done: &Outcome) {
    let (verb, args) = parts(step);
    let id = args.get("id").and_then(Value::as_str).unwrap_or_default();
    match (verb, policy["plans"].as_object_mut()) {
        ("set_plan", Some(plans)) if done.error.is_none() => drop(plans.insert(id.to_owned(), args["plan"].clone())),
        ("delete_plan", Some(plans)) => drop(plans.shift_remove(id)),
        _ => {}
    }
}

/// Takes no id, and needs nothing that is not in the snapshot (policy-wide estimates).
fn needs_only_the_snapshot(step: &Value) -> bool {
    let (verb, args) = parts(step);
    match verb {
        "reserve"
        | "estimate"
        | "apply_customer_topup"
        | "ensure_included_topups"
        | "create_customer"
        | "ensure_customer"
        | "set_customer_plan" => false,
        "add_customer_cap" => args.get("id").is_some(),
        _ => true,
    }
}

/// customers() -> a new engine -> the same answers, events and state from there on.
#[test]
fn i4_snapshot_restored_is_indistinguishable() {
    sessions("i4_snapshot_restored_is_indistinguishable", |seed, count| {
        let (rng, shape) = start(seed);
        let mut calls = Calls::new(rng, &shape);
        let mut model = Model::new(&shape.policy, START);
        let engine = Engine::new(&shape.policy, START);
        let mut policy = shape.policy.clone();
        let mut restored: Option<Engine> = None;
        for index in 0..count {
            let step = calls.next(&model);
            // Every so often a copy takes over from the last one and lives next to the original for a while.
            if index % 40 == 20 {
                let copy = Engine::new(&policy, engine.now());
                let snapshot = engine.customers();
                copy.load_customers(&snapshot);
                assert_eq!(
                    snapshot,
                    copy.customers(),
                    "seed {seed} step {index}: the snapshot did not come back whole"
                );
                restored = Some(copy);
            }
            if !needs_only_the_snapshot(&step) && restored.is_some() {
                continue;
            }
            let done = engine.step(&step);
            if let Some(copy) = &restored {
                let again = copy.step(&step);
                assert_eq!(done, again, "seed {seed} step {index}: {step}\npolicy: {policy}");
                assert_eq!(engine.customers(), copy.customers(), "seed {seed} step {index}: {step}\npolicy: {policy}");
            }
            changed_policy(&mut policy, &step, &done);
            model.step(&step);
        }
    });
}

/// A second engine that sees nothing but the log, the policy's changes and the time answers alike.
#[test]
fn i6_replaying_the_log_gives_the_same_state() {
    sessions("i6_replaying_the_log_gives_the_same_state", |seed, count| {
        let (rng, shape) = start(seed);
        let mut calls = Calls::new(rng, &shape);
        let mut model = Model::new(&shape.policy, START);
        let (engine, replica) = (Engine::new(&shape.policy, START), Engine::new(&shape.policy, START));
        engine.keep_log();
        for index in 0..count {
            let step = calls.next(&model);
            let (verb, arguments) = step.as_object().and_then(|step| step.iter().next()).unwrap();
            // What is held and learned is each engine's own.
            if ["reserve", "settle", "release", "observe", "estimate"].contains(&verb.as_str()) {
                continue;
            }
            model.step(&step);
            engine.step(&step);
            let log = engine.take_log();
            if ["advance", "now", "set_plan", "delete_plan", "replace"].contains(&verb.as_str()) {
                assert_eq!(log, Vec::<Value>::new(), "{step}");
                replica.step(&step);
            }
            log.iter().for_each(|entry| replica.apply(entry));
            assert_eq!(engine.what_stands(), replica.what_stands(), "seed {seed} step {index}: {step}");
            if let (Some(customer), Some(entitlement)) = (arguments.get("customer"), arguments.get("entitlement")) {
                for value in [1, 40] {
                    let question =
                        json!({"explain": {"customer": customer, "entitlement": entitlement, "value": value}});
                    // What is over is there until a call sweeps it: periods, and grants.
                    let said = |engine: &Engine| {
                        let mut answer = engine.step(&question).result;
                        if let Some(steps) = answer["steps"].as_array_mut() {
                            steps.retain(|step| step["found"] != "0 grants considered");
                        }
                        answer.to_string().replace(", in a new period", "")
                    };
                    let (one, two) = (said(&engine), said(&replica));
                    assert_eq!(one, two, "seed {seed} step {index}: {step}\npolicy: {}", shape.policy);
                }
            }
        }
    });
}
