//! Functions at their places: what they are called with, what becomes of what they return, and what happens when they are
//! declared wrong or fail.

use limitr::policy::{Format, parse_document};
use limitr::{Call, call};
use serde_json::{Value, json};

use super::{Heard, engine};

/// A policy with these lines in it.
fn policy(lines: &str) -> String {
    format!(
        "policy: {{
    credits: {{ token: {{ data: {{ per: 0.5, list: [1, 2] }} }}, other: {{}} }}
    plans: {{ free: {{ default: true, entitlements: {{
        chat: {{ limit: {{ credit: 'token', mode: 'soft', value: 100 }} }}
    }} }} }}
{lines}
}}
"
    )
}

/// What is wrong with a policy, a line each.
fn problems(text: &str) -> String {
    let Err(error) = parse_document(text, Format::Stof, true) else { return "valid".to_owned() };
    let lines = error.problems().iter().map(|problem| {
        let at = problem.at.map_or("-".to_owned(), |at| format!("{}:{}", at.line, at.column));
        let hint = problem.hint.as_ref().map_or(String::new(), |hint| format!("\n      {hint}"));
        format!("{at} {} {}\n    {}{hint}", problem.code, problem.path, problem.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn names(heard: &Heard) -> Vec<String> {
    std::mem::take(&mut *heard.lock().unwrap()).into_iter().map(|(name, _)| name).collect()
}

fn run(text: &str, operations: &[Value]) -> Heard {
    let (limitr, heard, _) = engine(text, Format::Stof);
    call(&limitr, &json!({"create_customer": {"id": "ann", "label": "Ann"}})).unwrap();
    for operation in operations {
        call(&limitr, operation).unwrap_or_else(|error| panic!("{operation}: {error}"));
    }
    heard
}

fn allow(value: u32) -> Value {
    json!({"allow": {"customer": "ann", "entitlement": "chat", "value": value}})
}

#[test]
fn fire_says_what_the_notification_carries() {
    let text = policy(
        "notifications: { half: { on: ['meter-changed', 'meter-overage'], once: 'period', message: 'Half of {entitlement}'
        fn matches(type: str, event: map) -> bool { return event.get('meter').get('value') >= 50; }
        fn fire(type: str, event: obj) -> unknown {
            if (event.meter.value > 90) return {'percent': event.meter.value, 'of': [type]};
            return null;
        }
    } }",
    );
    let heard = run(&text, &[allow(40), allow(20), allow(35), allow(1)]);
    let events = heard.lock().unwrap();
    let half: Vec<_> = events.iter().filter(|(name, _)| name == "half").collect();
    // Nothing was sent of the second call: that it could be sent once was not used up.
    assert_eq!(half.len(), 1);
    assert_eq!(half[0].1["meter"]["value"], 95);
    assert_eq!(
        half[0].1["notification"],
        json!({"name": "half", "severity": "info", "message": "Half of chat", "event": "meter-changed",
            "result": {"percent": 95.0, "of": ["meter-changed"]}})
    );
}

#[test]
fn a_notification_whose_function_fails_is_sent_without_its_result() {
    let text = policy(
        "notifications: { all: { on: 'meter-changed'
        fn fire(type: str, event: obj) -> str { return throw('no'); }
    } }",
    );
    let heard = run(&text, &[allow(1), allow(1)]);
    assert_eq!(names(&heard), ["customer-set", "meter-changed", "logic-error", "all", "meter-changed", "all"]);
    let text = policy("notifications: { all: { fn matches(type: str, event: obj) -> unknown { return 5; } } }");
    let heard = run(&text, &[allow(1), allow(1)]);
    assert_eq!(names(&heard), ["customer-set", "meter-changed", "logic-error", "meter-changed"]);
}

#[test]
fn functions_follow_events() {
    let text = policy(
        "#[meter-changed]
    #[meter-overage('which')]
    fn usage(event: obj) -> str { return `${event.customer.label}: ${event.meter.value} of ${event.meter.limit}`; }
    x-tools: {
        calls: 3
        #[customer-set]
        fn welcome(event: map) -> map { return {'who': event.get('label'), 'calls': self.calls}; }
        #[customer-set]
        fn nothing(event: map) { }
        #[customer-set]
        fn number() -> int { return 5; }
    }",
    );
    let heard = run(&text, &[allow(60), allow(60)]);
    let events = heard.lock().unwrap();
    let told: Vec<_> = events.iter().map(|(name, payload)| (name.as_str(), &payload["result"])).collect();
    assert_eq!(
        told,
        [
            ("customer-set", &Value::Null),
            ("welcome", &json!({"who": "Ann", "calls": 3})),
            ("meter-changed", &Value::Null),
            ("usage", &json!("Ann: 60 of 100")),
            ("meter-overage", &Value::Null),
            ("usage", &json!("Ann: 120 of 100")),
        ]
    );
    assert_eq!(events[5].1["event"], events[4].1);
}

#[test]
fn capabilities_answer_in_their_output_or_with_what_they_return() {
    let text = policy(
        "capabilities: {
        half: { parameters: [{ name: 'of', type: 'number' }], fn run() -> float { return self.input.of / 2; } }
        table: { parameters: [{ name: 'rows', type: 'array' }]
            fn run(input: map, customer: obj) {
                let n = 0;
                for (let row in input.get('rows')) n += row;
                self.output.sum = n;
                self.output.who = customer?.id ?? 'nobody';
                self.output.seen = self.output.seen ?? 'never';
            }
        }
        text: { fn run() { self.output = `${self.count()} words`; } fn count() -> int { return 3; } }
        wrong: { fn run() { self.output.me = self; } }
        endless: { fn run() { while (true) {} } }
    }",
    );
    let (limitr, heard, _) = engine(&text, Format::Stof);
    call(&limitr, &json!({"create_customer": {"id": "ann"}})).unwrap();
    names(&heard);
    let run = |name: &str, arguments: Value, customer: Option<&str>| {
        limitr.run_capability(name, &arguments, customer).map_err(|error| error.to_string())
    };
    assert_eq!(run("half", json!({"of": 5}), None), Ok(json!(2.5)));
    let rows = json!({"rows": [1, 2, 3.5]});
    assert_eq!(run("table", rows.clone(), None), Ok(json!({"sum": 6.5, "who": "nobody", "seen": "never"})));
    assert_eq!(run("table", rows, Some("ann")), Ok(json!({"sum": 6.5, "who": "ann", "seen": "never"})));
    assert_eq!(run("text", json!({}), None), Ok(json!("3 words")));
    assert_eq!(
        run("wrong", json!({}), None),
        Err("the capability `wrong` failed: an object cannot be put into `output`".to_owned())
    );
    assert_eq!(
        run("endless", json!({}), None),
        Err("the capability `endless` failed: the function took more than 10000 steps".to_owned())
    );
    assert_eq!(names(&heard), ["logic-error", "logic-error"]);
    assert!(limitr.capability("half").unwrap().result.is_none());
}

#[test]
fn get_pair_gives_what_is_not_written() {
    let text = "policy: {
    credits: { token: { price: { amount: 0.5 } }, point: {}, stuck: {}, coin: {} }
    exchange: {
        coin: { value: 4, currency: 'eur' }
        table: { value: 1, currency: 'usd' }
        fn get_pair(currency: str) -> unknown {
            switch (currency) {
                case 'point': return {'value': 0.25, 'currency': 'coin'};
                case 'eur': return {'value': 1.1, 'currency': 'usd'};
                case 'stuck': return 1 + null;
                default: return null;
            }
        }
    }
}";
    let (limitr, _, _) = engine(text, Format::Stof);
    let worth = |currency: &str| {
        call(&limitr, &json!({"credit_exchange": {"in_currency": currency, "out_currency": "rune", "value": 10}}))
            .unwrap()
    };
    assert_eq!(worth("coin"), json!(44));
    assert_eq!(worth("point"), json!(11));
    assert_eq!(worth("token"), json!(5));
    assert_eq!(worth("stuck"), Value::Null);
    // What a function gave is not written: another document may give other worths.
    assert!(limitr.policy().exchange.pairs.keys().eq(["coin", "table"]));
}

#[test]
fn functions_stay_with_the_policy_until_it_is_replaced() {
    let text = policy(
        "notifications: { big: { on: 'meter-changed', fn matches(type: str, event: obj) -> bool { return event.meter.diff >= 10; } } }
    #[plan-set] fn planned(event: map) -> str { return event.get('plan'); }",
    )
    .replace("data: {", "fn overhead(units: float) -> float { return units * self.data.per; } data: {");
    let (limitr, heard, _) = engine(&text, Format::Stof);
    call(&limitr, &json!({"create_customer": {"id": "ann"}})).unwrap();
    let cost = || {
        let meter = call(&limitr, &json!({"meter_obj": {"customer": "ann", "entitlement": "chat"}})).unwrap();
        meter.get("overhead").cloned().unwrap_or_default()
    };
    let use_some = || call(&limitr, &allow(10)).unwrap();
    use_some();
    assert_eq!(cost(), json!(5));
    limitr
        .set_plan(
            "free",
            &json!({"default": true, "entitlements": {"chat": {"limit": {"credit": "token", "value": 500}}}}),
        )
        .unwrap();
    use_some();
    assert_eq!(cost(), json!(10));
    assert_eq!(names(&heard), ["customer-set", "meter-changed", "big", "plan-set", "planned", "meter-changed", "big"]);

    // A notification of the same name keeps its function, another has none.
    limitr
        .set_notifications(&json!({"big": {"on": "meter-changed", "message": "Big"}, "any": {"on": "meter-changed"}}))
        .unwrap();
    use_some();
    assert_eq!(names(&heard), ["policy-updated", "meter-changed", "big", "any"]);
    let error = limitr.set_notifications(&json!({"big": {"when": "true"}})).unwrap_err();
    assert_eq!(error.code(), "function_and_field");
    limitr.set_notifications(&json!({})).unwrap();
    use_some();
    assert_eq!(names(&heard), ["policy-updated", "meter-changed"]);
    assert_eq!(limitr.policy().functions.places().len(), 3);

    let other = policy("");
    limitr.replace(&other, Format::Stof).unwrap();
    let events = std::mem::take(&mut *heard.lock().unwrap());
    let paths: Vec<&str> =
        events[0].1["changes"].as_array().unwrap().iter().map(|change| change["path"].as_str().unwrap()).collect();
    assert!(paths.contains(&"credits.token.overhead()"), "{paths:?}");
    let before = cost();
    use_some();
    assert_eq!(cost(), before);
    assert_eq!(limitr.policy().functions.places(), [""; 0]);
}

#[test]
fn a_failing_cost_falls_back_to_the_rate_and_is_reported_once_a_minute() {
    let text = policy("")
        .replace("token: {", "token: { overhead_cost: 2, fn overhead(units: float) -> unknown { return 'dear'; }");
    let (limitr, heard, clock) = engine(&text, Format::Stof);
    call(&limitr, &json!({"create_customer": {"id": "ann"}})).unwrap();
    for _ in 0..3 {
        assert!(limitr.allow("ann", "chat", 1).allowed);
    }
    clock.advance(60_000);
    assert!(limitr.allow("ann", "chat", 1).allowed);
    assert_eq!(
        names(&heard),
        [
            "customer-set",
            "logic-error",
            "meter-changed",
            "meter-changed",
            "meter-changed",
            "logic-error",
            "meter-changed"
        ]
    );
    let meter = call(&limitr, &json!({"meter_obj": {"customer": "ann", "entitlement": "chat"}})).unwrap();
    assert_eq!(meter["overhead"], 8);
}

#[test]
fn arguments_are_built_for_the_types_of_the_parameters() {
    let cases = [
        ("(units: float, context: obj) -> float { return context.a.b + context.list[0] + context.rows[0].c; }", 6.0),
        (
            "(units: float, context: map) -> float { return context.get('a').get('b') + context.get('list').len(); }",
            3.0,
        ),
        ("(units: float, context: unknown) -> float { return context.a.b; }", 1.0),
        ("(units: int) -> int { return units / 2; }", 3.0),
        ("(units: float) -> float { return units / 2; }", 3.5),
        ("(units: unknown) -> float { return units; }", 7.0),
        ("(units: str) -> float { return units.len(); }", 1.0),
        ("() -> float { return self.data.per; }", 0.5),
        ("(a: float, b: obj, c: float = 4.5) -> float { return c; }", 4.5),
        ("(a: float, context: obj, c?: float) -> float { return c ?? 9; }", 9.0),
        ("(units: float) -> float { let sum = 0.0; for (const x in self.data.list) { sum += x; } return sum; }", 3.0),
        ("(units: MB) -> float { return units.to_units('KB').remove_units(); }", 7000.0),
        ("(units: float) -> float { return root.policy.credits.token.data.per * super.token.data.per; }", 0.25),
    ];
    for (function, expected) in cases {
        let text = policy("").replace("token: {", &format!("token: {{ fn overhead{function}"));
        let (limitr, heard, _) = engine(&text, Format::Stof);
        call(&limitr, &json!({"create_customer": {"id": "ann"}})).unwrap();
        let event = json!({"a": {"b": 1}, "list": [2, 3], "rows": [{"c": 3}]});
        let _ = limitr.allow_with(Call::new("ann", "chat").value(7).event(event)).unwrap();
        let meter = call(&limitr, &json!({"meter_obj": {"customer": "ann", "entitlement": "chat"}})).unwrap();
        assert_eq!(meter["overhead"].as_f64(), Some(expected), "{function}: {:?}", heard.lock().unwrap().last());
    }
}

#[test]
fn what_is_declared_wrong_is_said_where_it_stands() {
    insta::assert_snapshot!(
        problems(
            "policy: {
    credits: {
        token: {
            fn overhead(units: float, context: obj, customer: obj) -> float { return units; }
        }
        other: {
            fn overhead(units: float) { }
        }
        both: { overhead: 'units'
            fn overheads() -> float { return 1; } }
    }
    notifications: {
        n: { when: 'true'
            fn matches(type: str, event: obj) -> bool { return true; }
            fn fire(type: str, event: obj) { } }
    }
    capabilities: {
        c: { result: '1', fn run() -> int { return 1; } }
        d: { fn runs() -> int { return 1; } }
    }
    exchange: { fn get_pair() { } }
    #[meter-change] fn a(event: map) { }
    #[meter-changed] fn meter-limit(event: map) { }
    #[customer-set] fn b(event: map, more: int) { }
}"
        ),
        @r"
        4:13 bad_function policy.credits.token.overhead()
            nothing is given for the parameter `customer`
              `overhead` is called with units and context
        7:13 bad_function policy.credits.other.overhead()
            `overhead` returns nothing
              say what it returns after its parameters: `-> float`, `-> bool`, `-> map`, `-> unknown`
        14:13 function_and_field policy.notifications.n.matches()
            this function and the field `when` beside it say the same
              keep one of the two
        15:13 bad_function policy.notifications.n.fire()
            `fire` returns nothing
              say what it returns after its parameters: `-> float`, `-> bool`, `-> map`, `-> unknown`
        18:27 function_and_field policy.capabilities.c.run()
            this function and the field `result` beside it say the same
              keep one of the two
        19:12 missing_field policy.capabilities.d.result
            the field `result` is missing
        21:17 bad_function policy.exchange.get_pair()
            `get_pair` returns nothing
              say what it returns after its parameters: `-> float`, `-> bool`, `-> map`, `-> unknown`
        22:7 unknown_event policy.a()
            unknown event `meter-change`
              did you mean `meter-changed`?
        23:22 reserved_name policy.meter-limit()
            `meter-limit` is the name of an event of the engine
              give the function a name of its own
        24:21 bad_function policy.b()
            nothing is given for the parameter `more`
              `b` is called with event
        "
    );
}
