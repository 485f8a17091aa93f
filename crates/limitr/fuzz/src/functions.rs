//! Stof text: what is accepted means the same to the `stof` crate, and functions end within their budget, the same each time.

use std::time::{Duration, Instant};

use ::stof::model::{Field, Func, Graph, NodeRef, Profile};
use ::stof::runtime::{Num, Val};
use limitr::policy::{Format, Kind, Node, parse, parse_document};
use limitr::{Call, call};
use serde_json::json;

use super::engine::{self, START};

/// What a call may take at most in a fuzzing build, which is slow. Without a bound it would take until the fuzzer stops it.
const LONGEST: Duration = Duration::from_secs(2);

/// Reads `input` as a document, then as the body of a function.
pub(super) fn read(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    same_as_the_crate(text);
    let quick = |name: &str, run: &dyn Fn()| {
        let start = Instant::now();
        run();
        assert!(start.elapsed() < LONGEST, "{name} took {:?}", start.elapsed());
    };
    quick("a cost", &|| {
        body("units: float, context: obj", "unknown", "credits.token", "overhead", text, &|limitr| {
            let ask = || Call::new("c", "chat").value(5).event(json!({"model": "a", "n": [1, {"x": 2}], "s": "text"}));
            let checked = limitr.check_with(ask()).expect("no options that fail");
            assert_eq!(limitr.allow_with(ask()).expect("as before"), checked, "I1");
            let cost = meter(limitr);
            let again = limitr.allow_with(ask()).expect("as before");
            // Twice the same: nothing of a call is left in the next.
            if let Some(twice) = cost.checked_add(cost).filter(|_| checked.allowed && again.allowed) {
                assert_eq!(twice, meter(limitr), "{cost}");
            }
        });
    });
    quick("a capability", &|| {
        body("", "", "capabilities.act", "run", text, &|limitr| {
            let run =
                || limitr.run_capability("act", &json!({"of": [1, {"a": "b"}]}), Some("c")).map_err(|e| e.to_string());
            assert_eq!(run(), run());
        });
    });
}

fn meter(limitr: &limitr::Limitr) -> limitr::Amount {
    let meter = call(limitr, &json!({"meter_obj": {"customer": "c", "entitlement": "chat"}})).expect("a meter");
    match meter.get("overhead") {
        Some(serde_json::Value::String(digits)) => digits.parse().expect("an amount"),
        Some(number) => limitr::Amount::from_f64(number.as_f64().expect("a number")).expect("an amount"),
        None => limitr::Amount::default(),
    }
}

fn body(parameters: &str, returns: &str, place: &str, name: &str, text: &str, run: &dyn Fn(&limitr::Limitr)) {
    let arrow = if returns.is_empty() { "" } else { "-> " };
    let function = format!("fn {name}({parameters}) {arrow}{returns} {{ {text} }}\n");
    let at = |here: &str| if place == here { function.as_str() } else { "" };
    let document = format!(
        "policy: {{ credits: {{ token: {{ overhead_cost: 3, data: {{ a: 1.5, list: [1, [2, 3]], rows: [{{ x: 1 }}] }} {} }} }}
plans: {{ free: {{ default: true, entitlements: {{ chat: {{ limit: {{ credit: 'token', value: 1000 }} }} }} }} }}
capabilities: {{ act: {{ parameters: [{{ name: 'of', type: 'array' }}] {} }} }}
}}",
        at("credits.token"),
        at("capabilities.act"),
    );
    // The other place is empty then: a capability without a result is for reading without checks.
    let Ok(document) =
        parse_document(&document, Format::Stof, false).map_err(|error| readable(&error)).map(|_| document)
    else {
        return;
    };
    let limitr = engine::parsed(&document, Format::Stof, &limitr::ManualClock::new(START), false).expect("it was read");
    // The text may have closed the function and gone on with the policy.
    if limitr.create_customer(limitr::NewCustomer::new("c")).is_ok() && limitr.policy().functions.places().len() == 1 {
        run(&limitr);
    }
}

/// That an error is not one of the crate with what was recognised before.
fn readable(error: &limitr::Error) {
    assert!(!error.to_string().contains("cannot be read:"), "{error}");
}

/// What is accepted is what the crate would read.
fn same_as_the_crate(text: &str) {
    let node = match parse(text, Format::Stof) {
        Ok(node) => node,
        Err(problem) => {
            assert!(!problem.message.contains("cannot be read:"), "{problem}");
            return;
        }
    };
    // Attributes are run by the crate, types need definitions, and of two fields of one name it keeps the second.
    if text.contains('#') || has_types(text) || has_duplicates(&node) {
        return;
    }
    let mut graph = Graph::default();
    if let Err(error) = graph.parse_stof_src(text, None, Profile::default()) {
        // A type that the check above did not see.
        assert!(error.to_string().contains("cast error"), "not to the crate: {error}");
        return;
    }
    let root = graph.main_root().expect("a document");
    same_map(&graph, &node, &root, "");
}

/// Whether a name may have a type before it: two words in a row, outside of functions too many to tell.
fn has_types(text: &str) -> bool {
    text.split(['\n', '{', ',', ';', '}', '[']).any(|part| {
        let before = part.split(':').next().unwrap_or_default().trim();
        part.contains(':') && before.contains(char::is_whitespace) && !before.starts_with("fn ")
    })
}

fn has_duplicates(node: &Node) -> bool {
    match &node.kind {
        Kind::Map(entries) => {
            let mut names: Vec<_> = entries.iter().map(|(key, _)| &key.text).collect();
            names.sort();
            names.windows(2).any(|pair| pair[0] == pair[1]) || entries.iter().any(|(_, value)| has_duplicates(value))
        }
        Kind::List(items) => items.iter().any(has_duplicates),
        _ => false,
    }
}

fn same_map(graph: &Graph, node: &Node, object: &NodeRef, path: &str) {
    let Kind::Map(entries) = &node.kind else { panic!("{path} is no map") };
    let object = object.node(graph).expect("an object");
    let fields = object.data.iter().filter(|(_, data)| graph.get_stof_data::<Func>(data).is_none());
    assert_eq!(fields.count(), entries.len(), "{path}: {:?}", object.data.keys().collect::<Vec<_>>());
    for (key, value) in entries {
        let path = format!("{path}.{}", key.text);
        let data = object.data.get(&key.text).unwrap_or_else(|| panic!("{path} is not there"));
        let field = graph.get_stof_data::<Field>(data).unwrap_or_else(|| panic!("{path} is no field"));
        same(graph, value, &field.value.val.read(), &path);
    }
}

fn same(graph: &Graph, node: &Node, value: &Val, path: &str) {
    match (&node.kind, value) {
        (Kind::Null, Val::Null) => {}
        (Kind::Bool(one), Val::Bool(two)) => assert_eq!(one, two, "{path}"),
        (Kind::Number(digits), Val::Num(number)) => {
            let double = digits.parse::<f64>().expect("digits");
            let same = (number.float(None) - double).abs() <= double.abs() * 1e-12;
            // Whole numbers beyond those of the crate are at its bounds.
            assert!(same || !double.is_finite() || double.abs() > 9e18, "{path}: {digits} {number:?}");
        }
        (Kind::Text(text), Val::Str(other)) => assert_eq!(text.as_str(), other.as_str(), "{path}"),
        (Kind::Text(text), Val::Num(Num::Units(..))) => {
            let unit = text.trim_start_matches(|char: char| !char.is_ascii_alphabetic() || char == 'e' || char == 'E');
            assert!(!unit.is_empty() || text.ends_with(['e', 'E']), "{path}: {text}");
        }
        (Kind::List(items), Val::List(values)) => {
            assert_eq!(items.len(), values.len(), "{path}");
            for (index, (item, value)) in items.iter().zip(values.iter()).enumerate() {
                same(graph, item, &value.read(), &format!("{path}[{index}]"));
            }
        }
        (Kind::Map(_), Val::Obj(object)) => same_map(graph, node, object, path),
        (kind, value) => panic!("{path}: {kind:?} is {value:?} to the crate"),
    }
}
