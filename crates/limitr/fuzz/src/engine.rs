//! Engines for the targets, and what can be asked of any of them.

use std::sync::OnceLock;

use limitr::policy::Format;
use limitr::{Error, Limitr, ManualClock, SequentialIds, call};
use serde_json::{Value, json};

const POLICIES: [&str; 3] = [
    include_str!("../policies/rich.yaml"),
    include_str!("../policies/money.yaml"),
    include_str!("../policies/extreme.yaml"),
];
/// 2026-01-15T00:00:00Z.
pub(super) const START: i64 = 1_768_435_200_000;

pub(super) fn parsed(text: &str, format: Format, clock: &ManualClock, validate: bool) -> Result<Limitr, Error> {
    Limitr::builder().clock(clock.clone()).ids(SequentialIds::default()).validate(validate).policy(text, format)
}

pub(super) fn built(policy: &Value, clock: &ManualClock, validate: bool) -> Result<Limitr, Error> {
    Limitr::builder().clock(clock.clone()).ids(SequentialIds::default()).validate(validate).policy_value(policy)
}

/// The policies of `policies/`, the one with everything first.
pub(super) fn policies() -> &'static [Value] {
    static READ: OnceLock<Vec<Value>> = OnceLock::new();
    READ.get_or_init(|| {
        let read = |text: &&str| {
            let limitr = parsed(text, Format::Yaml, &ManualClock::new(START), true);
            limitr.unwrap_or_else(|error| panic!("a fixed policy: {error}")).record()
        };
        POLICIES.iter().map(read).collect()
    })
}

/// Every customer's record, sorted by id.
pub(super) fn customers(limitr: &Limitr) -> Value {
    serde_json::to_value(limitr.customers()).expect("customers are data")
}

/// Every customer is found by its id and alternate ids, and nobody by a name that is not its own.
pub(super) fn lookups(limitr: &Limitr, state: &Value, names: &[&str]) {
    let found = |name: &str| said(call(limitr, &json!({"customer": {"id": name}})));
    let goes_by = |record: &Value, name: &str| {
        record["alt_ids"].as_array().is_some_and(|alts| alts.iter().any(|alt| alt == name))
    };
    for (id, record) in state.as_object().into_iter().flatten() {
        assert_eq!(&record["id"], id);
        assert_eq!(found(id), *record);
        let call = said(call(limitr, &json!({"explain": {"customer": id, "entitlement": "nope"}})));
        assert_ne!(call["reason"], "unknown_customer", "{id} calls");
        for alt in record["alt_ids"].as_array().into_iter().flatten() {
            assert_eq!(found(alt.as_str().unwrap_or_default()), *record, "by {alt}");
        }
    }
    for name in names {
        let record = found(name);
        assert!(record.is_null() || record["id"] == *name || goes_by(&record, name), "{name} finds {record}");
    }
}

/// Every read of every entitlement of every customer.
pub(super) fn reads(limitr: &Limitr, customers: &[String], entitlements: &[String]) -> Vec<Value> {
    const PLACES: [&str; 14] = [
        "value",
        "remaining",
        "limit",
        "held",
        "allowance",
        "cost",
        "resets",
        "rate",
        "acceleration",
        "meter_obj",
        "limit_obj",
        "entitlement",
        "credit_for",
        "projected_exhaustion",
    ];
    let mut seen = Vec::new();
    let mut ask = |operation: Value| seen.push(said(call(limitr, &operation)));
    for customer in customers {
        for entitlement in entitlements {
            let place = json!({"customer": customer, "entitlement": entitlement});
            for verb in PLACES {
                ask(json!({verb: place}));
            }
            for verb in ["value", "remaining", "limit"] {
                ask(json!({verb: {"customer": customer, "entitlement": entitlement, "grants": false}}));
                ask(json!({verb: {"customer": customer, "entitlement": entitlement, "percent": true}}));
            }
            ask(json!({"estimate": place}));
            ask(
                json!({"estimate": {"customer": customer, "entitlement": entitlement, "quantile": 0.99, "basis": 1e9}}),
            );
            ask(json!({"check": {"customer": customer, "entitlement": entitlement, "value": 1}}));
            ask(json!({"explain": {"customer": customer, "entitlement": entitlement, "value": 1e6, "force": true}}));
        }
        for verb in ["plan_for", "customer_metadata", "customer_margin"] {
            ask(json!({verb: {"customer": customer}}));
        }
    }
    seen
}

/// A result as one value: what was returned, or the error.
pub(super) fn said(result: Result<Value, Error>) -> Value {
    match result {
        Ok(value) => value,
        Err(error) => {
            check_error(&error);
            json!({"error": error.code(), "message": error.to_string()})
        }
    }
}

/// An error says something, and a policy's says it about every problem.
pub(super) fn check_error(error: &Error) {
    assert!(!error.code().is_empty() && !error.to_string().is_empty());
    assert_eq!(error.problems().is_empty(), error.kind() != limitr::ErrorKind::Policy, "{error:?}");
    for problem in error.problems() {
        assert!(!problem.message.is_empty() && !problem.path.is_empty(), "{problem:?}");
        if let Some(at) = problem.at {
            assert!(at.line > 0 && at.column > 0, "{problem:?}");
        }
    }
}
