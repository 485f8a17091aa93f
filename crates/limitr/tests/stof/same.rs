//! One policy in YAML with expressions and in Stof with functions: equal outcomes and equal events, call by call.

use limitr::policy::Format;
use limitr::{Call, Limitr, call};
use serde_json::{Value, json};

use super::{Heard, engine};

const YAML: &str = include_str!("policy.yaml");
const STOF: &str = include_str!("policy.stof");

/// What both have in common: not where the cost comes from, and numbers as events round them. Functions compute in doubles.
fn common(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!((number.as_f64().unwrap() * 1e9).round() / 1e9),
        Value::Array(items) => items.iter().map(common).collect(),
        Value::Object(fields) => {
            let failed = fields.contains_key("expression");
            let own = |name: &str, value: &Value| match name {
                "when" | "result" | "path" | "expression" => value.is_string(),
                "overhead" => value.as_str().is_some_and(|text| text.contains("context")),
                "message" | "line" | "column" => failed,
                _ => false,
            };
            let kept = fields.iter().filter(|(name, value)| !own(name, value));
            let kept = kept.map(|(name, value)| match (name.as_str(), value) {
                // More digits than a double has stand in text.
                ("overhead", Value::String(digits)) => (name.clone(), common(&json!(digits.parse::<f64>().unwrap()))),
                _ => (name.clone(), common(value)),
            });
            kept.collect::<serde_json::Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

fn events(heard: &Heard) -> Vec<(String, Value)> {
    std::mem::take(&mut *heard.lock().unwrap()).into_iter().map(|(name, payload)| (name, common(&payload))).collect()
}

fn context(random: &mut fastrand::Rng) -> Value {
    let model = *random.choice(["gpt-4.1", "small", "none"].iter().collect::<Vec<_>>()).unwrap();
    json!({"model": model, "input": random.u32(0..5000), "output": random.u32(0..2000), "tags": ["a", {"b": null}]})
}

#[test]
fn functions_decide_what_expressions_decide() {
    let (yaml, heard_yaml, clock_yaml) = engine(YAML, Format::Yaml);
    let (stof, heard_stof, clock_stof) = engine(STOF, Format::Stof);
    let both = |operation: Value| {
        let one = call(&yaml, &operation).map_err(|error| error.code());
        let two = call(&stof, &operation).map_err(|error| error.code());
        assert_eq!(one.as_ref().map(common), two.as_ref().map(common), "{operation}");
        assert_eq!(events(&heard_yaml), events(&heard_stof), "{operation}");
    };
    both(json!({"create_customer": {"id": "ann", "label": "Ann"}}));
    let mut random = fastrand::Rng::with_seed(7);
    for step in 0..400 {
        let event = context(&mut random);
        let value = if step % 50 == 0 { 900 } else { random.i32(-20..60) };
        let arguments = json!({"customer": "ann", "entitlement": "chat", "value": value, "event": event});
        both(json!({"check": arguments}));
        both(json!({"allow": arguments}));
        both(json!({"allow": {"customer": "ann", "entitlement": "seats", "value": 1}}));
        both(json!({"run_capability": {"name": "price_of", "arguments": {"tokens": random.u32(0..9)}}}));
        if random.u8(0..40) == 0 {
            clock_yaml.advance(86_400_000 * 20);
            clock_stof.advance(86_400_000 * 20);
        }
    }
    both(json!({"run_capability": {"name": "price_of", "arguments": {"tokens": "five"}}}));
    both(json!({"claude_tools": {}}));
    both(json!({"credit_exchange": {"in_currency": "token", "out_currency": "usd", "value": 5}}));
    assert_eq!(common(&stof.record()), common(&yaml.record()));
}

/// The guide shows one policy twice, and says that both are the same.
#[test]
fn the_guide_shows_the_same_policy_twice() {
    const GUIDE: &str = include_str!("../../../../docs/guides/costs-alerts-and-tools.md");
    let block = |language: &str| {
        let mut blocks = GUIDE.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
        blocks.find(|(of, _)| *of == language).expect("a block").1
    };
    let (yaml, heard_yaml, clock_yaml) = engine(block("yaml"), Format::Yaml);
    let (stof, heard_stof, clock_stof) = engine(block("stof"), Format::Stof);
    let both = |operation: Value| {
        let one = call(&yaml, &operation).map_err(|error| error.to_string());
        let two = call(&stof, &operation).map_err(|error| error.to_string());
        assert_eq!(one.as_ref().map(common), two.as_ref().map(common), "{operation}");
        let told = events(&heard_yaml);
        assert_eq!(told, events(&heard_stof), "{operation}");
        told.into_iter().filter(|(name, _)| name == "eighty_percent").count()
    };
    let mut alerts = 0;
    for (id, plan) in [("ann", "free"), ("ada", "pro")] {
        both(json!({"create_customer": {"id": id, "plan": plan, "label": id}}));
    }
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..300 {
        let (id, model) = (["ann", "ada"][random.usize(..2)], ["small", "large", "none"][random.usize(..3)]);
        let event = json!({"model": model, "input": random.u32(1..9000), "output": random.u32(1..2000)});
        let value = if id == "ann" { random.u32(1..4000) } else { random.u32(1..90_000) };
        alerts += both(json!({"allow": {"customer": id, "entitlement": "chat", "value": value, "event": event}}));
        let use_tool = json!({"type": "tool_use", "id": "t", "name": "token_budget", "input": {"tokens": value}});
        both(json!({"claude_tool_use": {"block": use_tool, "customer": id}}));
        clock_yaml.advance(3_600_000);
        clock_stof.advance(3_600_000);
    }
    assert!(alerts > 5, "{alerts} alerts");
    both(json!({"customers": {}}));
}

/// I1: a function sees the same in `check` and in `allow`, and nothing of one call is left in the next.
#[test]
fn i1_check_equals_allow_with_functions() {
    let (limitr, _, _) = engine(STOF, Format::Stof);
    call(&limitr, &json!({"create_customer": {"id": "ann"}})).unwrap();
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..300 {
        let event = context(&mut random);
        let value = random.i32(-50..200);
        let ask = || Call::new("ann", "chat").value(value).event(event.clone());
        let explained = limitr.explain(ask()).unwrap();
        let checked = limitr.check_with(ask()).unwrap();
        let before = overhead(&limitr, "ann");
        assert_eq!(explained.decision, checked);
        assert_eq!(limitr.allow_with(ask()).unwrap(), checked);
        let cost = overhead(&limitr, "ann") - before;
        let again = limitr.check_with(ask()).unwrap();
        assert_eq!(again.metered, checked.metered);
        // The same call costs the same, whatever ran in between.
        let once = overhead(&limitr, "ann");
        assert_eq!(limitr.allow_with(ask()).unwrap().metered, checked.metered);
        assert!((overhead(&limitr, "ann") - once - cost).abs() < 1e-9, "{value} {event}");
    }
}

fn overhead(limitr: &Limitr, customer: &str) -> f64 {
    let meter = call(limitr, &json!({"meter_obj": {"customer": customer, "entitlement": "chat"}})).unwrap();
    meter["overhead"].as_f64().or_else(|| meter["overhead"].as_str()?.parse().ok()).unwrap_or_default()
}

/// Many threads at once get the answers that one gets.
#[test]
fn functions_are_run_by_many_threads_at_once() {
    let (limitr, _, _) = engine(STOF, Format::Stof);
    for id in 0..4 {
        call(&limitr, &json!({"create_customer": {"id": format!("c{id}")}})).unwrap();
    }
    std::thread::scope(|scope| {
        for id in 0..4 {
            let limitr = &limitr;
            scope.spawn(move || {
                let id = format!("c{id}");
                for n in 0..200 {
                    let event = json!({"model": "gpt-4.1", "input": n, "output": 1});
                    let ask = || Call::new(&id, "chat").value(1).event(event.clone());
                    let checked = limitr.check_with(ask()).unwrap();
                    assert_eq!(limitr.allow_with(ask()).unwrap(), checked);
                }
            });
        }
    });
    // 199 * 200 / 2 of input, 200 of output.
    let expected = 19_900.0 * 0.000_002 + 200.0 * 0.000_008;
    assert!((overhead(&limitr, "c3") - expected).abs() < 1e-9);
}
