//! Comparing what the engine gave with what the model expects.

use super::customer::{Cap, Customer, Hold};
use super::policy::Resets;
use super::{Model, Outcome, amount};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

/// Numbers are the same within 1e-9, absolute or relative; a missing field is the same as one at its default.
pub fn same(expected: &Value, got: &Value, tolerance: Decimal) -> bool {
    match (expected, got) {
        (Value::Object(a), Value::Object(b)) => {
            let missing = Value::Null;
            a.keys()
                .chain(b.keys())
                .all(|key| same(a.get(key).unwrap_or(&missing), b.get(key).unwrap_or(&missing), tolerance))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, tolerance)),
        (Value::Null, other) | (other, Value::Null) => empty(other),
        (Value::Number(_) | Value::String(_), Value::Number(_) | Value::String(_)) => {
            match (amount::number(expected), amount::number(got)) {
                (Some(a), Some(b)) => {
                    let scale = Decimal::ONE.max(a.abs()).max(b.abs());
                    (a - b).abs() <= tolerance * scale
                }
                _ => expected == got,
            }
        }
        _ => expected == got,
    }
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(_) => amount::number(value).is_some_and(|n| n.abs() <= nano()),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(empty),
    }
}

fn nano() -> Decimal {
    Decimal::new(1, 9)
}

/// Why the engine's outcome of a step is not the model's; none when it is. `model` is the model after the step.
pub fn difference(model: &Model, step: &Value, expected: &Outcome, got: &Outcome) -> Option<String> {
    if expected.error.is_some() != got.error.is_some() {
        return Some(format!("error: expected {:?}, got {:?}", expected.error, got.error));
    }
    let verb = step.as_object().and_then(|step| step.keys().next()).map(String::as_str).unwrap_or_default();
    if expected.error.is_none() {
        let (a, b) = (result(model, verb, &expected.result), result(model, verb, &got.result));
        // Statistics are floats: the quantile function is an approximation in any implementation, and a rate that nearly
        // cancels out keeps few digits.
        let statistic = matches!(verb, "estimate" | "rate" | "acceleration" | "projected_exhaustion");
        let tolerance = if statistic { Decimal::new(1, 6) } else { nano() };
        if !same(&a, &b, tolerance) {
            return Some(format!("result: expected {a}, got {b}"));
        }
    }
    let names = |outcome: &Outcome| -> Vec<String> {
        outcome.events.iter().map(|e| e.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()).collect()
    };
    if names(expected) != names(got) {
        return Some(format!("events: expected {:?}, got {:?}", names(expected), names(got)));
    }
    expected.events.iter().zip(&got.events).find_map(|(a, b)| event_difference(a, b))
}

/// A result in a form that two implementations can be compared in.
fn result(model: &Model, verb: &str, value: &Value) -> Value {
    match verb {
        // Nothing lays down what these answer.
        "ensure_included_topups" | "set_plan" | "advance" | "now" => Value::Null,
        "create_customer" if value.is_object() => comparable(model, value).write(),
        "add_customer_cap" | "customer_cap" if value.is_object() => cap(model, value),
        "create_customer_override" if value.is_object() => model.policy.read_limit(value).write(),
        "estimate" => pick(value, &["value", "overhead", "samples", "scope"]),
        "customer_margin" => pick(value, &["revenue", "cost", "margin", "entitlements"]),
        "explain" => pick(value, &["allowed", "reason"]),
        // The rest either answers a value, or says true for done and false or nothing for not.
        "apply_customer_topup"
        | "ensure_plan_subscription"
        | "set_customer_refs"
        | "set_alt_customer_id"
        | "set_customer_plan"
        | "remove_alt_customer_id"
        | "delete_customer"
        | "delete_plan" => {
            json!(!value.is_null() && *value != Value::Bool(false))
        }
        _ => value.clone(),
    }
}

fn cap(model: &Model, value: &Value) -> Value {
    let id = value.get("id").and_then(Value::as_str).unwrap_or_default();
    let mut cap = Cap::read(&model.policy, id, value, model.now);
    without_start(&mut cap);
    cap.write()
}

/// What counts is when the period began (`last_reset`). Whether `started` moves with it or stays is not laid down.
pub fn without_start(cap: &mut Cap) {
    cap.started = 0;
}

fn pick(value: &Value, fields: &[&str]) -> Value {
    let Value::Object(map) = value else { return value.clone() };
    let row = |map: &Map<String, Value>, fields: &[&str]| -> Value {
        Value::Object(fields.iter().filter_map(|f| Some(((*f).to_owned(), map.get(*f)?.clone()))).collect())
    };
    let mut out = row(map, fields);
    if let Some(Value::Object(rows)) = out.get_mut("entitlements") {
        for entry in rows.values_mut() {
            if let Value::Object(fields) = entry {
                *entry = row(fields, &["revenue", "cost", "margin"]);
            }
        }
    }
    out
}

const METER: &[&str] = &["old", "value", "limit", "diff", "overhead", "overhead_diff", "price_diff"];
const TOP: &[&str] = &["remaining", "overage", "overage_price", "grant_value_applied", "entitlement"];
/// Compared where both have them.
const LOOSE: &[&str] = &[
    "/meter/invalid",
    "/invalid_value",
    "/governor/tokens",
    "/governor/capacity",
    "/governor/requested",
    "/cap/id",
    "/cap/meter_value",
    "/cap/value",
    "/customer/id",
    "/caller/id",
    "/previous_plan",
    "/id",
    "/topup",
];

/// The first documented field in which two events of the same name differ.
fn event_difference(expected: &Value, got: &Value) -> Option<String> {
    let name = expected.get("name").and_then(Value::as_str).unwrap_or_default();
    let (a, b) = (expected.get("value")?, got.get("value")?);
    let strict = matches!(name, "meter-changed" | "meter-overage");
    let differs = |path: &str, strict: bool| {
        let (x, y) = (a.pointer(path), b.pointer(path));
        let comparable = match (x, y) {
            (Some(_), Some(_)) => true,
            (None, None) => false,
            _ => strict,
        };
        let (x, y) = (x.unwrap_or(&Value::Null), y.unwrap_or(&Value::Null));
        (comparable && !same(x, y, nano())).then(|| format!("event {name} {path}: expected {x}, got {y}"))
    };
    // Whether an observe limit has a `remaining` in events is left open.
    let meters = METER.iter().find_map(|field| differs(&format!("/meter/{field}"), strict));
    let tops = || TOP.iter().find_map(|field| differs(&format!("/{field}"), strict && *field != "remaining"));
    // The events of plans carry the definition there, not a name.
    let plan = || differs("/plan", strict).filter(|_| b.get("plan").is_none_or(Value::is_string));
    let loose = || LOOSE.iter().find_map(|path| differs(path, false));
    meters.or_else(tops).or_else(plan).or_else(loose)
}

/// A snapshot as records by id, in the model's full form. Takes a map of records or a list of them.
pub fn snapshot(model: &Model, value: &Value) -> Value {
    let records: Vec<&Value> = match value {
        Value::Array(list) => list.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => Vec::new(),
    };
    let customers = records.into_iter().map(|record| comparable(model, record));
    Value::Object(customers.map(|customer| (customer.id.clone(), customer.write())).collect())
}

/// A customer from either side's record, without what no page lays down.
pub fn comparable(model: &Model, record: &Value) -> Customer {
    let mut customer = Customer::read(&model.policy, record, model.now);
    customer.alt_ids.sort();
    customer.caps.values_mut().for_each(without_start);
    for grant in customer.grants.values_mut() {
        // The reset fields of a grant with a topup follow the plan, whatever the record says.
        if grant.topup.is_some() {
            grant.resets = Resets::read(&Value::Null, "float");
            grant.priority = 0;
        }
        grant.last_reset = grant.last_reset.or(Some(grant.granted_on));
    }
    // Whether a billionth of a unit left is empty may hang on the 28th digit of a division: below the comparison's own
    // tolerance, a grant that is there and one that is gone are the same.
    customer.grants.retain(|_, grant| grant.value > Decimal::new(11, 10));
    for meter in customer.meters.values_mut() {
        // When an expired hold is swept away is nobody's business, and neither is the rest of a hold's record.
        meter.holds.retain(|_, hold| model.now < hold.expires_on);
        for hold in meter.holds.values_mut() {
            *hold = Hold { value: hold.value, ..Hold::default() };
        }
        for estimate in meter.estimates.values_mut() {
            estimate.source = None;
            estimate.basis = None;
        }
    }
    customer
}

/// Where two snapshots differ: the paths, with both values.
pub fn snapshot_difference(model: &Model, expected: &Value, got: &Value) -> Option<String> {
    let (a, b) = (snapshot(model, expected), snapshot(model, got));
    let mut found = Vec::new();
    walk("", &a, &b, &mut found);
    (!found.is_empty()).then(|| format!("snapshots: {}", found.join("; ")))
}

fn walk(path: &str, a: &Value, b: &Value, found: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            for key in x.keys().chain(y.keys().filter(|key| !x.contains_key(*key))) {
                match (x.get(key), y.get(key)) {
                    (Some(x), Some(y)) => walk(&format!("{path}/{key}"), x, y, found),
                    (x, y) => found.push(format!("{path}/{key}: expected {x:?}, got {y:?}")),
                }
            }
        }
        _ if same(a, b, nano()) => {}
        _ => found.push(format!("{path}: expected {a}, got {b}")),
    }
}
