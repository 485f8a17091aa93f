//! Expressions: whatever is accepted answers or fails within its budget, the same each time.

use std::sync::{Arc, Mutex};

use limitr::policy::{Format, parse_document};
use limitr::{Call, Limitr, ManualClock, NewCustomer};
use serde_json::{Value, json};

use super::engine::{self, START};

/// Puts the text into each place that takes an expression.
pub(super) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let policy = |credit: Value, notification: Value, capability: Value| {
        json!({"policy": {
            "credits": {"token": credit},
            "plans": {"free": {"default": true, "entitlements": {"chat": {"limit": {"credit": "token", "mode": "soft", "value": 20}}}}},
            "notifications": {"n": notification},
            "capabilities": {"act": capability},
        }})
    };
    let credit = json!({"overhead_cost": 3, "data": {"rates": {"a": {"in": 0.5}, "b": {"in": 2, "out": "x"}}, "list": [1, "2", null]}});
    let parameters = json!([{"name": "of", "type": "number"}, {"name": "rows", "type": "array"}, {"name": "text", "type": "string"}]);
    let act = json!({"parameters": parameters, "result": "1"});
    let with = |object: &Value, name: &str| {
        let mut object = object.clone();
        object[name] = text.into();
        object
    };
    costs(&policy(with(&credit, "overhead"), json!({}), act.clone()));
    alerts(&policy(credit.clone(), json!({"when": text}), act.clone()));
    alerts(&policy(credit.clone(), json!({"message": text}), act.clone()));
    answers(&policy(credit, json!({}), with(&act, "result")));
}

/// An engine on the policy with a customer, when the expression is one.
fn engine(policy: &Value) -> Option<Limitr> {
    let text = policy.to_string();
    if let Err(error) = parse_document(&text, Format::Json, true) {
        engine::check_error(&error);
        return None;
    }
    let limitr = engine::parsed(&text, Format::Json, &ManualClock::new(START), true).expect("it is valid");
    limitr.create_customer(NewCustomer::new("c")).expect("there is a plan");
    Some(limitr)
}

fn events() -> [Value; 3] {
    [json!({"model": "a", "n": 3, "tags": ["x", {"y": 1.5}]}), json!({"model": "none"}), Value::Null]
}

fn costs(policy: &Value) {
    let Some(limitr) = engine(policy) else { return };
    for event in events() {
        for value in [1, 30, -2] {
            let ask = || Call::new("c", "chat").value(value).event(event.clone());
            let checked = limitr.check_with(ask()).expect("no options that fail");
            assert_eq!(limitr.allow_with(ask()).expect("no options that fail"), checked, "I1");
        }
    }
}

fn alerts(policy: &Value) {
    let (Some(one), Some(two)) = (engine(policy), engine(policy)) else { return };
    let heard = [listen(&one), listen(&two)];
    for limitr in [&one, &two] {
        for event in events() {
            let _ = limitr.allow_with(Call::new("c", "chat").value(12).event(event));
        }
    }
    let [one, two] = heard.map(|heard| heard.lock().expect("no listener panics").clone());
    assert_eq!(one, two, "the same events");
}

fn listen(limitr: &Limitr) -> Arc<Mutex<Vec<(String, Value)>>> {
    let heard = Arc::<Mutex<Vec<_>>>::default();
    let hears = heard.clone();
    limitr.on(move |event| hears.lock().expect("no listener panics").push((event.name().to_owned(), event.to_json())));
    heard
}

fn answers(policy: &Value) {
    let Some(limitr) = engine(policy) else { return };
    for input in [json!({}), json!({"of": 2.5, "rows": [1, {"a": "b"}], "text": "é"}), json!({"of": -1, "rows": []})] {
        let run = |customer| limitr.run_capability("act", &input, customer).map_err(|error| error.to_string());
        assert_eq!(run(None), run(None));
        assert_eq!(run(Some("c")), run(Some("c")));
    }
}
