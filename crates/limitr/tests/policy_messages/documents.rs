//! Documents out of proportion, documents of the conformance suite, and documents written back.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use limitr::policy::{
    Document, Format, Policy, difference, parse, parse_document, read_document_value, read_limit_over,
    read_limit_value, read_plan_value, validate_limit, write,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::problems;

/// The first code, given within seconds even here, hardly optimised and beside other tests; what grows with the square takes minutes.
fn refused(text: &str, format: Format) -> &'static str {
    let begun = Instant::now();
    let error = parse_document(text, format, true).unwrap_err();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?} for {format} beginning {:.60}", text.get(..60).unwrap_or(text));
    error.problems()[0].code
}

#[test]
fn too_much_text_is_refused() {
    let text = "#".repeat(10_000_000);
    for format in [Format::Json, Format::Yaml, Format::Toml] {
        assert_eq!(refused(&text, format), "document_too_large");
    }
    assert_eq!(
        problems(&text, Format::Json),
        "- document_too_large document\n    the document has 10000000 bytes, more than the 8388608 it may have\n      split the policy, or leave customers out of it"
    );
}

#[test]
fn too_many_values_are_refused() {
    let items = "0,".repeat(2_000_000);
    assert_eq!(refused(&format!("[{items}0]"), Format::Json), "document_too_large");
    assert_eq!(refused(&format!("a = [{items}]"), Format::Toml), "document_too_large");
    assert_eq!(refused(&format!("[{items}]"), Format::Yaml), "document_too_large");
    assert_eq!(refused(&"- 0\n".repeat(2_000_000), Format::Yaml), "document_too_large");
}

#[test]
fn deep_nesting_is_refused() {
    const DEEP: usize = 100_000;
    let closed = |open: &str, close: &str| format!("{}1{}", open.repeat(DEEP), close.repeat(DEEP));
    for text in [closed("[", "]"), closed("{\"a\":", "}")] {
        assert_eq!(refused(&text, Format::Json), "document_too_deep");
        assert_eq!(refused(&text, Format::Yaml), "document_too_deep");
    }
    for text in [closed("- ", ""), closed("{a: ", "}"), closed("[[", "")] {
        assert_eq!(refused(&text, Format::Yaml), "document_too_deep", "{:.20}", text);
    }
    assert_eq!(refused(&format!("a = {}", closed("[", "]")), Format::Toml), "document_too_deep");
    assert_eq!(refused(&format!("[{}a]", "a.".repeat(DEEP)), Format::Toml), "document_too_deep");
    // Not closed at all is a question of syntax, answered as fast.
    assert_eq!(refused(&"[".repeat(DEEP), Format::Json), "syntax");
    assert_eq!(refused(&"? ".repeat(DEEP), Format::Yaml), "syntax");
    let staircase: String = (0..100).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    assert_eq!(refused(&staircase, Format::Yaml), "document_too_deep");
}

#[test]
fn alias_bombs_are_refused() {
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..30 {
        let alias = format!("*a{}, ", level - 1).repeat(9);
        laughs += &format!("a{level}: &a{level} [{alias}]\n");
    }
    assert_eq!(refused(&laughs, Format::Yaml), "document_too_large");
    // Few values, but each a large one.
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(4_000_000), "*a, ".repeat(10_000));
    assert_eq!(refused(&text, Format::Yaml), "document_too_large");
    // Levels that only add up where the aliases are.
    let mut tower = "a0: &a0 [[[[[[[[[[1]]]]]]]]]]\n".to_owned();
    for level in 1..10 {
        tower += &format!("a{level}: &a{level} [[[[[[[[[[*a{}]]]]]]]]]]\n", level - 1);
    }
    assert_eq!(refused(&tower, Format::Yaml), "document_too_deep");
    // Anchors within anchors, each a copy.
    let nested = format!(
        "{}{}{}",
        (0..60).map(|at| format!("&n{at} [")).collect::<String>(),
        "1, ".repeat(900_000),
        "]".repeat(60)
    );
    assert_eq!(refused(&nested, Format::Yaml), "document_too_large");
}

#[test]
fn a_thousand_problems_are_enough() {
    let fields: String = (0..300_000).map(|at| format!("  nonsense{at}: 1\n")).collect();
    let text = format!("policy:\n{fields}");
    assert_eq!(refused(&text, Format::Yaml), "unknown_field");
    let error = parse_document(&text, Format::Yaml, true).unwrap_err();
    let last = error.problems().last().unwrap();
    assert_eq!((error.problems().len(), last.code), (1001, "too_many_problems"));
    assert_eq!(last.message, "299000 more problems are not listed");
}

#[test]
fn large_wrong_policies_are_answered_quickly() {
    let limits: String = (0..30_000).map(|at| format!("a{at}: {{limit: {{credit: tokne{at}}}}},")).collect();
    let credits: String = (0..30_000).map(|at| format!("token{at}: {{}},")).collect();
    let text = format!("policy: {{credits: {{{credits}}}, plans: {{pro: {{entitlements: {{{limits}}}}}}}}}");
    assert_eq!(refused(&text, Format::Yaml), "unknown_credit");
    let chain: String = (0..100_000).map(|at| format!("c{at}: {{value: 1, currency: c{}}},", at + 1)).collect();
    assert_eq!(refused(&format!("policy: {{exchange: {{{chain}}}}}"), Format::Yaml), "not_convertible");
    let tiers: String = (1..=40_000).map(|at| format!("{{up_to: {at}, price: {{amount: 1}}}},")).collect();
    let text = format!("policy: {{credits: {{a: {{pricing_model: tiered, tiers: [{tiers}]}}}}}}");
    assert_eq!(refused(&text, Format::Yaml), "open_tier");
    let name = "n".repeat(3_000_000);
    let twice = "\"a\": 1, ".repeat(2000);
    let text = format!(r#"{{"policy": {{"x-{name}": {{{twice}"b": 1}}, "plans": {{"{name}": {{"a": 1}}}}}}}}"#);
    assert_eq!(refused(&text, Format::Json), "duplicate_key");
    let long: usize = problems(&text, Format::Json).lines().map(str::len).max().unwrap();
    assert!(long < 400, "{long}");
}

fn scenarios() -> Vec<(PathBuf, Value)> {
    fn collect(directory: &Path, found: &mut Vec<(PathBuf, Value)>) {
        let mut entries: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, parse(&text, Format::Yaml).unwrap().to_json()));
            }
        }
    }
    let mut found = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/cases"), &mut found);
    assert!(!found.is_empty());
    found
}

#[test]
fn scenarios_are_as_valid_as_they_say() {
    for (path, scenario) in scenarios() {
        let Some(policy) = scenario.get("policy") else { continue };
        let valid = scenario.get("valid") != Some(&json!(false));
        match read_document_value(policy, scenario.get("validate") != Some(&json!(false))) {
            Ok(_) => assert!(valid, "{} should not be valid", path.display()),
            Err(error) => {
                assert!(!valid, "{}: {error}", path.display());
                let expected = scenario.get("error_contains").and_then(Value::as_str).unwrap_or_default();
                assert!(error.to_string().contains(expected), "{}: {error}", path.display());
            }
        }
    }
}

/// Written in `format` and read again, the document is the same.
fn comes_back(document: &Document, format: Format) {
    let text = write(document, format).unwrap();
    let back = parse_document(&text, format, false).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(&back, document, "{text}");
    assert_eq!(difference(&back.policy, &document.policy), []);
}

/// Those that can be read: Stof with its feature.
const FORMATS: &[Format] = &[
    Format::Json,
    Format::Yaml,
    Format::Toml,
    #[cfg(feature = "stof")]
    Format::Stof,
];

#[test]
fn documents_come_back_in_every_format() {
    let mut documents: Vec<Document> = scenarios()
        .iter()
        .filter_map(|(_, scenario)| read_document_value(scenario.get("policy")?, true).ok())
        .collect();
    assert!(documents.len() > 50);
    documents.push(parse_document(RICH, Format::Yaml, true).unwrap());
    documents.push(Document::default());
    for document in &documents {
        for format in FORMATS {
            comes_back(document, *format);
        }
    }
}

const RICH: &str = r#"
x-team: {name: "yes", size: 3}
policy:
  hold_ttl: 1hour
  estimate_min_samples: 7
  x-note: "1e3"
  credits:
    token:
      unit: token
      label: "true"
      description: "with: colon, # hash\nand a line"
      overhead_cost: 0.0000000000000000000000000001
      price: {amount: 79228162514264337593543950335, id: price_1, x-a: [1, {b: c}]}
      data: {gpt: {in: 0.15, out: 0.6}, "~": {}}
    disk:
      stof_units: MB
      resets: true
      pricing_model: tiered
      tiers: [{price: {amount: 0.1}}, {up_to: 100, price: {amount: 1}}, {up_to: 1000, price: {amount: 0.5}}]
    seat: {stof_units: int}
    "with.dot [0]": {}
  exchange:
    grant_strategy: cheapest_first
    seat: {value: 3.5, currency: eur}
    eur: {value: 1.1, currency: usd}
    rune: {value: 100, currency: cents}
    x-source: ecb
  plans:
    free: {default: true, entitlements: {chat: }}
    pro:
      label: Pro
      period: yearly
      subscription: base
      trial_period: 14days
      entitlements:
        chat:
          description: chat
          scope: org
          estimate_basis: tokens
          estimate_segment: model
          limit:
            credit: token
            mode: soft
            value: 9007199254740993
            minimum: -5
            grants_apply: false
            resets: true
            reset_sch: nth_weekday:2:tue
            ewma_alpha: 0.3333
        disk:
          hidden: true
          limit:
            credit: disk
            value: 1.5GB
            increment: 50 MB
            resets: true
            reset_inc: 1day
            governor_enabled: true
            governor_capacity: 2GiB
            governor_refill_rate: 0.001
        off: {limit: {credit: token, governor_capacity: 5}}
        seats: {limit: {credit: "with.dot [0]", hard_trailing: true}}
      topups:
        pack:
          credit: disk
          value: 1TB
          price: {amount: 9.99}
          included: true
          included_scopes: [user, "no"]
          resets: true
          reset_sch: yearly:2-29
          reset_mode: rollover
          rollover_pct: 0.5
          rollover_min: 1MB
          rollover_max: 1GB
          max_balance: 2TB
          reset_catchup_cap: 3
          expires_after: 1week
          priority: -2
  notifications: {low: {when: "remaining() < 5", "on": meter-changed, once: ever, message: "{customer.label}: {{low}}"}}
  capabilities: {grow: {parameters: [{name: by, type: number}], result: "has(input.by)\n  ? input.by : 1\n"}}
  estimates: {chat: {"": {samples: 3, value_mean: 1.5}, gpt: {samples: 9, alpha: 0.5, basis: tokens, updated: 17}}}
  customers:
    ada: {plan: pro, meters: {chat: {credit: token, started: 1700000000000, value: "0.3333333333333333333333333333"}}}
    bob: {id: bob}
"#;

#[test]
fn a_rich_document_is_read_in_full() {
    let document = parse_document(RICH, Format::Yaml, true).unwrap();
    assert_eq!(document.policy.notifications["low"].on, ["meter-changed"]);
    assert_eq!(document.policy.capabilities["grow"].result.as_deref(), Some("has(input.by)\n  ? input.by : 1\n"));
    assert_eq!(document.customers[1], json!({"id": "bob"}));
    let ends: Vec<_> = document.policy.credits["disk"].tiers.iter().map(|tier| tier.up_to).collect();
    assert_eq!(ends, [Some(100.into()), Some(1000.into()), None]);
    let plan = &document.policy.plans["free"];
    assert!(plan.default && plan.entitlements["chat"].limit.is_none());
}

#[test]
fn nulls_in_free_data_stay_where_the_format_has_them() {
    let text = "policy: {x-a: {b: null, c: 1}, plans: {p: {label: null}}}";
    let document = parse_document(text, Format::Yaml, true).unwrap();
    assert_eq!(document.policy.extensions["x-a"], json!({"b": null, "c": 1}));
    comes_back(&document, Format::Json);
    comes_back(&document, Format::Yaml);
    let toml = write(&document, Format::Toml).unwrap();
    let back = parse_document(&toml, Format::Toml, true).unwrap();
    assert_eq!(back.policy.extensions["x-a"], json!({"c": 1}));
    let list = json!({"a": [null]});
    assert_eq!(write(&list, Format::Toml).unwrap_err().code(), "cannot_write");
}

#[test]
fn without_validation_what_can_be_read_is_read() {
    let text = "policy:\n  credits: {usd: {overhead_cost: -1, nonsense: 1}}\n  plans: {p: {entitlements: {a: {limit: {}}}}}\nmore: 1\n";
    let document = parse_document(text, Format::Yaml, false).unwrap();
    assert_eq!(document.policy.plans["p"].entitlements["a"].limit.as_ref().unwrap().credit, "");
    assert_eq!(parse_document(text, Format::Yaml, true).unwrap_err().problems().len(), 5);
    for text in ["policy: {plans: []}", "policy: {plans: {p: {period: x}}}", "policy: [", "{}"] {
        assert!(parse_document(text, Format::Yaml, false).is_err(), "{text}");
    }
}

#[test]
fn plans_and_limits_are_read_alone() {
    let plan = read_plan_value(&json!({"entitlements": {"a": {"limit": {"credit": "token", "value": "5GB"}}}}), "pro");
    assert!(plan.unwrap().entitlements["a"].limit.is_some());
    let error = read_plan_value(&json!({"entitlement": {}}), "pro").unwrap_err();
    assert_eq!(
        error.to_string(),
        "policy.plans.pro.entitlement: unknown field `entitlement`, did you mean `entitlements`?"
    );
    let base = read_limit_value(
        &json!({"credit": "token", "value": 5, "resets": true, "reset_sch": "monthly:1", "governor_enabled": true,
            "governor_capacity": 5, "governor_refill_rate": 1}),
        "override",
    );
    let base = base.unwrap();
    let over =
        read_limit_over(&base, &json!({"value": 7, "reset_inc": "1day", "governor_capacity": 9}), "override").unwrap();
    assert_eq!((over.value.amount, over.reset_inc, over.reset_sch), (7.into(), Some(86_400_000), None));
    let governor = over.governor.as_ref().unwrap();
    assert!(governor.enabled && governor.refill_rate == Some(1.into()));
    assert_eq!(read_limit_over(&base, &json!({}), "override").unwrap(), base);
    let codes = validate_limit(&over, &Policy::default(), "override");
    assert_eq!(codes.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["unknown_credit"]);
}

/// Text that trips writers of YAML and TOML.
fn awkward() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}",
        "[-0-9+.eExobnyNY~ ]{1,6}",
        "[\\PC\n\t]{0,12}",
        Just("null".to_owned()),
        Just("<<".to_owned()),
        Just("x: y".to_owned()),
    ]
}

fn free_data() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9f64..1e9).prop_map(Value::from),
        awkward().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(awkward(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_names_text_and_data_come_back(
        name in awkward().prop_filter("a name", |name| !name.trim().is_empty() && name != "rune" && name != "usd" && !name.starts_with("x-")),
        label in awkward(),
        data in free_data(),
        value in -1_000_000_000i64..1_000_000_000,
        scale in 0u32..20,
    ) {
        let digits = format!("{value}e-{scale}");
        let mut document = Document::default();
        let credits = json!({&name: {"label": &label, "data": &data, "overhead_cost": "0.5"}});
        let limit = json!({"limit": {"credit": &name, "value": digits, "minimum": 0}});
        let policy = json!({"credits": credits, "plans": {&name: {"label": label, "entitlements": {&name: limit}}}});
        document.policy = read_document_value(&policy, true).unwrap().policy;
        document.extensions.insert("x-data".to_owned(), data);
        for format in FORMATS {
            comes_back(&document, *format);
        }
    }

    #[test]
    fn no_text_panics(text in "[\\[\\]{}:,\"'&*!|>?#%@\\-\\.0-9a-c \n\t=é]{0,60}") {
        for format in FORMATS {
            let _ = parse_document(&text, *format, true);
        }
    }

    #[test]
    fn no_shape_of_policy_panics(field in awkward(), data in free_data()) {
        let known = ["credits", "exchange", "plans", "estimates", "customers", "notifications", "hold_ttl"];
        for outer in known {
            let _ = read_document_value(&json!({outer: &data}), true);
            let _ = read_document_value(&json!({outer: {&field: &data}}), false);
        }
        for inner in ["entitlements", "topups"] {
            let _ = read_document_value(&json!({"plans": {"p": {inner: {&field: &data}}}}), true);
        }
    }
}
