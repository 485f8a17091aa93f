//! Documents: what is read is what is written, in every format, and an engine runs on whatever is valid.

use limitr::policy::{Document, Format, difference, parse_document, read_document_value, validate, write};
use limitr::{Limitr, ManualClock, call};
use serde_json::{Value, json};

use super::bytes::Bytes;
use super::engine::{self, START};
use super::generate;

/// Those that can be read: Stof with its feature.
const FORMATS: &[Format] = &[
    Format::Json,
    Format::Yaml,
    Format::Toml,
    #[cfg(feature = "stof")]
    Format::Stof,
];

/// Reads `input` as a text, both ways.
pub(super) fn read(input: &[u8], format: Format) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let strict = parse_document(text, format, true);
    let loose = parse_document(text, format, false);
    match (&strict, &loose) {
        (Ok(strict), Ok(loose)) => assert_eq!(strict, loose, "validation changes nothing"),
        (Ok(_), Err(error)) => panic!("valid, but not without validation: {error}"),
        (Err(error), _) => {
            engine::check_error(error);
            // YAML ends lines at a lone carriage return too.
            let lines = u32::try_from(text.split(['\n', '\r']).count()).unwrap_or(u32::MAX);
            for problem in error.problems() {
                assert!(problem.at.is_none_or(|at| at.line <= lines + 1), "{problem:?} of {lines} lines");
            }
        }
    }
    if let Err(error) = &loose {
        engine::check_error(error);
    }
    match (strict, loose) {
        (Ok(document), _) => valid(&document),
        (Err(_), Ok(document)) => unvalidated(&document),
        _ => {}
    }
}

/// Reads a policy made from the bytes as data.
pub(super) fn generated(input: &[u8]) {
    let policy = generate::policy(&mut Bytes::new(input));
    let strict = read_document_value(&policy, true);
    let loose = read_document_value(&policy, false);
    for error in [&strict, &loose].into_iter().filter_map(|read| read.as_ref().err()) {
        engine::check_error(error);
    }
    match (strict, loose) {
        (Ok(strict), Ok(loose)) => {
            assert_eq!(strict, loose);
            valid(&strict);
        }
        (Ok(_), Err(error)) => panic!("valid, but not without validation: {error}"),
        (Err(_), Ok(document)) => unvalidated(&document),
        _ => {}
    }
}

fn valid(document: &Document) {
    assert_eq!(validate(&document.policy), [], "a valid document has no problems");
    if !document.policy.functions.places().is_empty() {
        // What is written has no functions, and something may have needed them.
        return;
    }
    for &format in FORMATS {
        let text = match write(document, format) {
            Ok(text) => text,
            Err(error) => {
                assert_eq!(format, Format::Toml, "{error}");
                continue;
            }
        };
        let back = parse_document(&text, format, true)
            .unwrap_or_else(|error| panic!("written as {format}, but: {error}\n{text}"));
        same(document, &back, format, &text);
    }
    let clock = ManualClock::new(START);
    let text = write(document, Format::Json).expect("JSON holds everything");
    match engine::parsed(&text, Format::Json, &clock, true) {
        Ok(limitr) => {
            for &format in FORMATS {
                let Ok(text) = limitr.stringify(format) else {
                    assert_eq!(format, Format::Toml);
                    continue;
                };
                let back = parse_document(&text, format, true)
                    .unwrap_or_else(|error| panic!("stringified as {format}, but: {error}\n{text}"));
                let mut expected = document.policy.clone();
                expected.estimates = back.policy.estimates.clone();
                same_data(&json!(expected), &json!(back.policy), format, &text);
            }
            assert_eq!(limitr.problems(), []);
            exercise(&limitr, &clock);
        }
        Err(error) => {
            assert!(!document.customers.is_empty(), "a valid policy compiles: {error}");
            engine::check_error(&error);
        }
    }
}

/// What was not validated may be wrong, never harmful.
fn unvalidated(document: &Document) {
    let _ = validate(&document.policy);
    for &format in FORMATS {
        if let Ok(text) = write(document, format) {
            let _ = parse_document(&text, format, false);
        }
    }
    let Ok(text) = write(document, Format::Json) else { return };
    let clock = ManualClock::new(START);
    if let Ok(limitr) = engine::parsed(&text, Format::Json, &clock, false) {
        exercise(&limitr, &clock);
    }
}

fn same(document: &Document, back: &Document, format: Format, text: &str) {
    same_data(&json!(document), &json!(back), format, text);
    if format != Format::Toml {
        assert_eq!(document, back, "as {format}:\n{text}");
        let changes = difference(&document.policy, &back.policy);
        assert!(changes.is_empty(), "{changes:?} as {format}:\n{text}");
    }
}

fn same_data(document: &Value, back: &Value, format: Format, text: &str) {
    let (mut document, mut back) = (document.clone(), back.clone());
    if format == Format::Toml {
        drop_nulls(&mut document);
        drop_nulls(&mut back);
    }
    assert_eq!(document, back, "as {format}:\n{text}");
}

/// TOML has none.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// A little of everything, on every plan of the policy.
fn exercise(limitr: &Limitr, clock: &ManualClock) {
    const SOME: usize = 2;
    let policy = limitr.policy();
    let credits: Vec<&String> = policy.credits.keys().chain(policy.exchange.pairs.keys()).take(SOME).collect();
    for from in &credits {
        for to in credits.iter().copied().chain([&"rune".to_owned(), &"usd".to_owned()]) {
            for value in ["1", "-3.5", "1e-9", "79228162514264337593543950335"] {
                ask(limitr, json!({"credit_exchange": {"in_currency": from, "out_currency": to, "value": value}}));
            }
        }
    }
    for (id, plan) in policy.plans.iter().take(SOME) {
        let customer = format!("of {id}");
        ask(limitr, json!({"create_customer": {"id": customer, "plan": id}}));
        ask(limitr, json!({"ensure_plan_subscription": {"customer": customer}}));
        for topup in plan.topups.keys().take(SOME) {
            ask(limitr, json!({"apply_customer_topup": {"customer": customer, "topup": topup}}));
        }
        for credit in &credits {
            ask(
                limitr,
                json!({"add_customer_cap": {"customer": customer, "id": credit, "credit": credit, "value": 1e6}}),
            );
            ask(limitr, json!({"credit_remaining": {"customer": customer, "credit": credit}}));
        }
        let mut usage = serde_json::Map::new();
        for entitlement in plan.entitlements.keys().take(SOME) {
            usage.insert(entitlement.clone(), json!(10));
            for value in
                [json!(1), json!("1e15"), json!(-1), json!("0.000000001"), json!("79228162514264337593543950335")]
            {
                let arguments = json!({"customer": customer, "entitlement": entitlement, "value": value});
                let check = ask(limitr, json!({"check": arguments}));
                assert_eq!(ask(limitr, json!({"allow": arguments})), check, "I1: {arguments}");
                clock.advance(86_400_000 * 11);
            }
            ask(limitr, json!({"increment": {"customer": customer, "entitlement": entitlement}}));
            ask(limitr, json!({"reserve": {"customer": customer, "entitlement": entitlement}}));
        }
        ask(limitr, json!({"plan_margin": {"plan": id, "entitlements": usage}}));
        let entitlements: Vec<String> = plan.entitlements.keys().take(SOME).cloned().collect();
        engine::reads(limitr, &[customer], &entitlements);
    }
}

fn ask(limitr: &Limitr, operation: Value) -> Value {
    engine::said(call(limitr, &operation))
}
