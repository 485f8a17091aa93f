//! For every code an input that earns it.

use limitr::policy::{Format, parse_document};
use limitr::{Call, Entry, Error, Limitr, NewCap, NewCustomer, SequentialIds, call};
use serde_json::json;

/// A policy that is fine.
const GOOD: &str = "policy: {credits: {token: {}}, plans: {free: {default: true, entitlements: {chat: {limit: \
                    {credit: token, value: 10}}}}}}";

/// Each code with a message that carries it, as the engine writes it.
pub(crate) fn examples() -> Vec<(&'static str, String)> {
    let documents = documents().into_iter().map(|(code, text)| (code, problem(code, &text, Format::Yaml)));
    let stof = STOF.iter().map(|(code, text)| (*code, problem(code, text, Format::Stof)));
    let errors = errors().into_iter().map(|(code, error)| {
        assert_eq!(error.code(), code, "{error}");
        (code, error.to_string())
    });
    documents.chain(stof).chain(errors).collect()
}

/// The first line with this code among everything that is wrong with a document.
fn problem(code: &str, text: &str, format: Format) -> String {
    let error = parse_document(text, format, true).map(drop).expect_err(code);
    let found = error.problems().iter().find(|problem| problem.code == code);
    found.unwrap_or_else(|| panic!("no `{code}` in {error}")).to_string()
}

/// Codes that need another build of the engine.
#[cfg(feature = "stof")]
pub(crate) const ELSEWHERE: &[&str] = &["missing_environment", "format_unavailable"];
#[cfg(not(feature = "stof"))]
pub(crate) const ELSEWHERE: &[&str] = &["missing_environment", "stof_forbidden", "bad_function", "function_and_field"];

#[cfg(feature = "stof")]
const STOF: &[(&str, &str)] = &[
    ("stof_forbidden", "import './rates';"),
    ("bad_function", "policy: {exchange: { fn get_pair(currency: str) { return {'value': 1}; } }}"),
    ("function_and_field", "policy: {capabilities: {act: { result: \"1\" fn run() -> int { return 1; } }}}"),
];
#[cfg(not(feature = "stof"))]
const STOF: &[(&str, &str)] = &[("format_unavailable", "policy: {}")];

fn documents() -> Vec<(&'static str, String)> {
    let credit = |fields: &str| format!("policy:\n  credits:\n    token: {fields}\n");
    let exchange = |pairs: &str| format!("policy:\n  credits:\n    token: {{}}\n  exchange:\n{pairs}");
    let plan = |fields: &str| format!("policy:\n  credits: {{token: {{}}}}\n  plans:\n    pro: {fields}\n");
    let limit = |fields: &str| {
        format!(
            "policy:\n  credits: {{token: {{}}, storage: {{stof_units: MB}}}}\n  plans:\n    pro:\n      \
             entitlements:\n        chat:\n          limit: {fields}\n"
        )
    };
    let topup = |fields: &str| {
        format!(
            "policy:\n  credits: {{token: {{}}}}\n  plans:\n    pro:\n      topups:\n        pack: {{credit: token, \
             {fields}}}\n"
        )
    };
    vec![
        ("syntax", "policy: {credits: {token: {}}".to_owned()),
        ("empty_document", " \n".to_owned()),
        ("document_too_large", " ".repeat(8 * 1024 * 1024 + 1)),
        ("document_too_deep", format!("policy: {}{}", "[".repeat(70), "]".repeat(70))),
        ("duplicate_key", "policy:\n  credits:\n    token: {}\n    token: {}\n".to_owned()),
        ("too_many_problems", format!("policy:\n{}", (0..1002).map(|n| format!("  q{n}: 1\n")).collect::<String>())),
        ("unknown_field", limit("{credit: token, resset: true}")),
        ("missing_field", limit("{value: 10}")),
        ("empty_field", plan("{entitlements: {chat: {scope: \"\"}}}")),
        ("wrong_type", credit("{price: 5}")),
        ("unknown_value", limit("{credit: token, mode: hrd}")),
        ("number_out_of_range", limit("{credit: token, value: 1e40}")),
        ("bad_fraction", limit("{credit: token, ewma_alpha: 2}")),
        ("bad_unit", limit("{credit: storage, value: 5s}")),
        ("bad_duration", limit("{credit: token, resets: true, reset_inc: 0}")),
        ("bad_schedule", limit("{credit: token, resets: true, reset_sch: \"monthly:40\"}")),
        ("bad_name", "policy:\n  credits:\n    \"\": {}\n".to_owned()),
        ("expression_syntax", credit("{overhead: context.tokens * }")),
        ("expression_type", credit("{overhead: contxt.tokens * 0.1}")),
        ("unknown_event", "policy:\n  notifications:\n    low: {on: [meter-chnaged]}\n".to_owned()),
        (
            "duplicate_name",
            "policy:\n  capabilities:\n    one: {name: quota, result: 1}\n    two: {name: quota, result: 2}\n"
                .to_owned(),
        ),
        ("reserved_name", "policy:\n  credits:\n    usd: {}\n".to_owned()),
        ("negative_overhead", credit("{overhead_cost: -1}")),
        ("negative_price", credit("{price: {amount: -1}}")),
        ("tiers_with_flat", credit("{tiers: [{price: {amount: 1}}]}")),
        ("price_with_tiers", credit("{pricing_model: tiered, price: {amount: 1}, tiers: [{price: {amount: 1}}]}")),
        ("missing_tiers", credit("{pricing_model: volume}")),
        ("open_tier", credit("{pricing_model: volume, tiers: [{up_to: 10, price: {amount: 1}}]}")),
        ("tier_bound", credit("{pricing_model: volume, tiers: [{up_to: 0, price: {amount: 1}}]}")),
        (
            "equal_tiers",
            credit("{pricing_model: volume, tiers: [{up_to: 5, price: {amount: 2}}, {up_to: 5, price: {amount: 1}}]}"),
        ),
        ("bad_pair_value", exchange("    token: {value: 0, currency: usd}\n")),
        ("pair_cycle", exchange("    a: {value: 1, currency: b}\n    b: {value: 1, currency: a}\n")),
        ("not_convertible", exchange("    token: {value: 1, currency: eur}\n")),
        ("two_defaults", "policy:\n  plans:\n    free: {default: true}\n    pro: {default: true}\n".to_owned()),
        ("unknown_credit", limit("{credit: tokn}")),
        ("two_periods", limit("{credit: token, resets: true, reset_inc: 1day, reset_sch: \"monthly:1\"}")),
        ("trailing_not_hard", limit("{credit: token, mode: soft, hard_trailing: true}")),
        (
            "bad_governor",
            limit("{credit: token, governor_enabled: true, governor_capacity: 0, governor_refill_rate: 1}"),
        ),
        ("override_only", limit("{credit: token, override_expires_on: 1768435200000}")),
        ("bad_topup_value", topup("value: 0")),
        ("negative_rollover", topup("value: 1, rollover_pct: -1")),
        ("rollover_bounds", topup("value: 1, rollover_min: 5, rollover_max: 2")),
        ("negative_balance", topup("value: 1, max_balance: -1")),
        ("id_mismatch", "policy:\n  customers:\n    ann: {id: bob}\n".to_owned()),
    ]
}

fn errors() -> Vec<(&'static str, Error)> {
    let limitr = engine(GOOD);
    limitr.create_customer(NewCustomer::new("ann").alt_ids(["ann@acme.test"])).unwrap();
    limitr.create_customer(NewCustomer::new("bob")).unwrap();
    assert!(limitr.allow_with(Call::new("ann", "chat").value(1).idempotency_key("req-7")).unwrap().allowed);
    let no_default = engine("policy: {plans: {pro: {}}}");
    let tiers = "policy: {credits: {fee: {pricing_model: stairstep, tiers: [{price: {amount: 1}}]}}}";
    let stairstep = engine(tiers);
    let capable = engine(
        "policy: {capabilities: {quota: {parameters: [{name: tokens, type: integer, required: true}], \
         result: 1000 / input.tokens}}}",
    );
    let unwritable = engine("policy: {credits: {token: {data: [null]}}}");
    vec![
        ("invalid_policy", Limitr::from_yaml("policy: {credit: {}, plan: {}}").unwrap_err()),
        ("bad_operation", run(&limitr, "{\"allow\": {\"customer\": \"ann\"}}")),
        ("invalid_id", limitr.create_customer(NewCustomer::new("")).unwrap_err()),
        ("invalid_record", run(&limitr, "{\"set_customer\": {\"record\": {\"id\": \"ann\", \"plan\": 5}}}")),
        ("invalid_effect", Entry::from_json(&json!({"at": 1700000000000_i64, "caller": 5})).unwrap_err()),
        ("alt_id_taken", limitr.add_alt_id("bob", "ann@acme.test").unwrap_err()),
        ("unknown_plan", limitr.create_customer(NewCustomer::new("cid").plan("gold")).unwrap_err()),
        ("no_plan", no_default.create_customer(NewCustomer::new("cid")).unwrap_err()),
        (
            "idempotency_mismatch",
            limitr.allow_with(Call::new("ann", "chat").value(2).idempotency_key("req-7")).unwrap_err(),
        ),
        (
            "refused_cap",
            stairstep
                .check_with(Call::new("ann", "chat").cap(NewCap::new(5).credit("fee").exchangeable(true)))
                .unwrap_err(),
        ),
        (
            "unknown_entitlement",
            run(&limitr, "{\"plan_margin\": {\"plan\": \"free\", \"entitlements\": {\"seats\": 3}}}"),
        ),
        (
            "invalid_value",
            run(&limitr, "{\"plan_margin\": {\"plan\": \"free\", \"entitlements\": {\"chat\": \"lots\"}}}"),
        ),
        ("unknown_capability", capable.run_capability("quotas", &json!({}), None).unwrap_err()),
        ("unknown_customer", capable.run_capability("quota", &json!({}), Some("zoe")).unwrap_err()),
        ("bad_argument", capable.run_capability("quota", &json!({"tokens": "many"}), None).unwrap_err()),
        ("capability_failed", capable.run_capability("quota", &json!({"tokens": 0}), None).unwrap_err()),
        ("cannot_write", unwritable.stringify(Format::Toml).unwrap_err()),
        ("unknown_format", run(&limitr, "{\"stringify\": {\"format\": \"xml\"}}")),
    ]
}

fn engine(policy: &str) -> Limitr {
    Limitr::builder().ids(SequentialIds::default()).policy(policy, Format::Yaml).unwrap()
}

fn run(limitr: &Limitr, operation: &str) -> Error {
    let operation = serde_json::from_str(operation).unwrap_or(json!(null));
    call(limitr, &operation).expect_err("it is wrong")
}
