//! What the reader says about wrong documents: every problem, with code, place, path, message and hint.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "policy_messages/checks.rs"]
mod checks;
#[path = "policy_messages/documents.rs"]
mod documents;
#[path = "policy_messages/expressions.rs"]
mod expressions;

use limitr::policy::{Format, parse_document};

/// One line for each problem.
fn problems(text: &str, format: Format) -> String {
    let Err(error) = parse_document(text, format, true) else { return "valid".to_owned() };
    let line = |problem: &limitr::Problem| {
        let at = problem.at.map_or_else(|| "-".to_owned(), |at| format!("{}:{}", at.line, at.column));
        let hint = problem.hint.as_ref().map(|hint| format!("\n      {hint}")).unwrap_or_default();
        format!("{at} {} {}\n    {}{hint}", problem.code, problem.path, problem.message)
    };
    error.problems().iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn three_typos_at_once() {
    let text = "policy:
  credits:
    token: {unit: token, overhead_csot: 0.1}
  plans:
    pro:
      defualt: true
      entitlements:
        chat:
          limit: {credit: tokn, value: 10, resets: true}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    3:26 unknown_field policy.credits.token.overhead_csot
        unknown field `overhead_csot`
          did you mean `overhead_cost`?
    6:7 unknown_field policy.plans.pro.defualt
        unknown field `defualt`
          did you mean `default`?
    9:27 unknown_credit policy.plans.pro.entitlements.chat.limit.credit
        unknown credit `tokn`
          did you mean `token`?
    ");
}

#[test]
fn everything_wrong_in_one_limit() {
    let text = "policy:
  credits: {token: {}}
  plans:
    pro:
      entitlements:
        chat:
          limit:
            credit: token
            mode: hrd
            value: lots
            resets: yes
            reset: true
            reset_sch: monthly:40
            governor_capacity: 5 parsecs
            ewma_alpha: .nan
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    9:19 unknown_value policy.plans.pro.entitlements.chat.limit.mode
        unknown mode `hrd`
          did you mean `hard`? it is one of `hard`, `soft`, `observe`
    10:20 wrong_type policy.plans.pro.entitlements.chat.limit.value
        expected a number, or a number with a unit such as `1GB`, found `lots`
    11:21 wrong_type policy.plans.pro.entitlements.chat.limit.resets
        expected `true` or `false`, found `yes`
          write `true`
    12:13 unknown_field policy.plans.pro.entitlements.chat.limit.reset
        unknown field `reset`
          did you mean `resets`?
    13:24 bad_schedule policy.plans.pro.entitlements.chat.limit.reset_sch
        `monthly:40` is not a schedule
          a schedule is `monthly:N` (1 to 31), `monthly:last`, `weekly:mon`, `nth_weekday:N:mon` (1 to 4), `yearly:M-D` or `quarterly:D`
    14:32 bad_unit policy.plans.pro.entitlements.chat.limit.governor_capacity
        unknown unit `parsecs` in `5 parsecs`
    15:25 number_out_of_range policy.plans.pro.entitlements.chat.limit.ewma_alpha
        `.nan` is not a finite number
    ");
}

#[test]
fn a_forgotten_policy_key() {
    let text = "credits: {token: {}}
plans: {}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    1:1 missing_field policy
        the document has no key `policy`
          put `credits` and what stands beside it under one key `policy`
    ");
}

#[test]
fn something_else_at_the_top() {
    let text = "policy: {}
polices: {}
x-note: fine
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    2:1 unknown_field polices
        unknown field `polices`
          did you mean `policy`?
    ");
}

#[test]
fn a_misspelt_policy_key() {
    let text = "polici: {plans: {}}";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    1:1 unknown_field polici
        unknown field `polici`
          did you mean `policy`?
    ");
}

#[test]
fn no_map_at_all() {
    let text = "- 1
- 2
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    1:1 wrong_type document
        expected a map, found a list
    ");
}

#[test]
fn an_empty_document() {
    let text = "# only a comment";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    - empty_document document
        the document is empty
          a policy starts with `policy:`
    ");
}

#[test]
fn two_documents() {
    let text = "policy: {}
---
policy: {}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    2:1 syntax document
        the text holds several documents; a policy is one
    ");
}

#[test]
fn broken_yaml() {
    let text = r#"policy:
  credits:
    token: {unit: "x
"#;
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    3:19 syntax document
        unclosed quote
    ");
}

#[test]
fn a_tab() {
    let text = "policy:
	credits: {}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    2:2 syntax document
        tabs disallowed within this context (block indentation)
    ");
}

#[test]
fn broken_json() {
    let text = r#"{"policy": {"credits": {"token": {"unit": "x",}}}}"#;
    insta::assert_snapshot!(problems(text, Format::Json), @r"
    1:47 syntax document
        key must be a string
    ");
}

#[test]
fn broken_toml() {
    let text = "[policy.credits.token]
unit = x
";
    insta::assert_snapshot!(problems(text, Format::Toml), @r"
    2:8 syntax document
        string values must be quoted, expected literal string
    ");
}

#[test]
fn a_nul() {
    let text = "policy: {}\0\n";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    1:11 syntax document
        the text holds a NUL character
    ");
}

#[test]
fn duplicate_keys() {
    let text = r#"{"policy": {"credits": {"token": {}, "token": {"unit": "x"}}, "x-a": {"b": 1, "b": 2}}}"#;
    insta::assert_snapshot!(problems(text, Format::Json), @r"
    1:38 duplicate_key policy.credits.token
        `token` is given twice
          keep one of the two
    1:79 duplicate_key policy.x-a.b
        `b` is given twice
          keep one of the two
    ");
}

#[test]
fn duplicate_keys_in_toml() {
    let text = r#"[policy.credits.token]
unit = "a"
unit = "b"
"#;
    insta::assert_snapshot!(problems(text, Format::Toml), @r"
    3:1 duplicate_key document
        `unit` is given twice
          keep one of the two
    ");
}

#[test]
fn wrong_types_in_toml() {
    let text = r#"[policy.credits.token]
unit = 5
resets = "off"
overhead_cost = "much"
price = 0.5
tiers = {}

[policy.plans]
pro = true
"#;
    insta::assert_snapshot!(problems(text, Format::Toml), @r"
    2:8 wrong_type policy.credits.token.unit
        expected text, found `5`
          put it in quotes
    3:10 wrong_type policy.credits.token.resets
        expected `true` or `false`, found `off`
          write `false`
    4:17 wrong_type policy.credits.token.overhead_cost
        expected a number, found `much`
    5:9 wrong_type policy.credits.token.price
        expected a map, found `0.5`
          write `{amount: 0.5}`
    6:9 wrong_type policy.credits.token.tiers
        expected a list, found a map
    9:7 wrong_type policy.plans.pro
        expected a map, found `true`
    ");
}

#[test]
fn wrong_types_in_json() {
    let text = r#"{"policy": {
  "credits": {"token": {"label": true, "overhead_cost": "5MB", "price": {"amount": null}}},
  "notifications": {"low": 5},
  "capabilities": [],
  "estimate_min_samples": 1.5,
  "customers": {"ada": {"id": "bob"}, "cy": 1}
}}
"#;
    insta::assert_snapshot!(problems(text, Format::Json), @r"
    2:34 wrong_type policy.credits.token.label
        expected text, found `true`
          put it in quotes
    2:57 wrong_type policy.credits.token.overhead_cost
        expected a number, found `5MB`
    2:73 missing_field policy.credits.token.price.amount
        the field `amount` is missing
    3:28 wrong_type policy.notifications.low
        expected a map, found `5`
    4:19 wrong_type policy.capabilities
        expected a map, found a list
    5:27 wrong_type policy.estimate_min_samples
        expected a whole number, found `1.5`
    6:31 id_mismatch policy.customers.ada.id
        the customer `ada` has another id in its record
          leave `id` out of the record, or give it the record's name
    6:45 wrong_type policy.customers.cy
        expected a map, found `1`
    ");
}

#[test]
fn numbers_out_of_range() {
    let text = "policy:
  hold_ttl: 1e40
  estimate_min_samples: -1
  credits:
    a: {overhead_cost: 1e29}
    b: {overhead_cost: .inf}
    c: {overhead_cost: 0x10}
    d: {price: {amount: -.INF}}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    2:13 number_out_of_range policy.hold_ttl
        `1e40` is out of range
    3:25 number_out_of_range policy.estimate_min_samples
        `-1` is out of range
    5:24 number_out_of_range policy.credits.a.overhead_cost
        `1e29` is out of range
    6:24 number_out_of_range policy.credits.b.overhead_cost
        `.inf` is not a finite number
    8:25 number_out_of_range policy.credits.d.price.amount
        `-.INF` is not a finite number
    ");
}

#[test]
fn a_misspelt_strategy() {
    let text = "policy:
  exchange: {grant_stategy: expires_first}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    2:14 unknown_field policy.exchange.grant_stategy
        unknown field `grant_stategy`
          did you mean `grant_strategy`?
    ");
}

#[test]
fn names() {
    let text = r#"policy:
  credits:
    "": {}
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn": {}
"#;
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    3:5 bad_name policy.credits.
        a name is empty
    4:5 bad_name policy.credits.nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn
        the name `nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn...` has more than 256 bytes
    ");
}

#[test]
fn extensions_are_kept() {
    let text = "policy:
  x-owner: {team: a}
  credits: {token: {x-id: 5}}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @"valid");
}

#[test]
fn unknown_plan_period() {
    let text = "policy: {plans: {pro: {period: quarterly, subscription: 5}}}";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    1:32 unknown_value policy.plans.pro.period
        unknown period `quarterly`
          it is one of `yearly`, `monthly`, `weekly`, `daily`
    1:57 wrong_type policy.plans.pro.subscription
        expected text, found `5`
          put it in quotes
    ");
}

#[test]
fn positions_count_characters() {
    let text = r#"{"policy": {"credits": {"größe": {"unit": "€", "labl": 1}}}}"#;
    insta::assert_snapshot!(problems(text, Format::Json), @r"
    1:48 unknown_field policy.credits.größe.labl
        unknown field `labl`
          did you mean `label`?
    ");
}

#[test]
fn crlf_and_bom() {
    let text = "\u{feff}policy:\r\n  credits:\r\n    token: {unti: x}\r\n";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    3:13 unknown_field policy.credits.token.unti
        unknown field `unti`
          did you mean `unit`?
    ");
}

#[test]
fn an_alias_keeps_its_place() {
    let text = "policy:
  credits: {token: {}}
  x-base: &base {credit: token, valu: 5}
  plans:
    pro: {entitlements: {a: {limit: *base}, b: {limit: {<<: *base, value: 7}}}}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    3:33 unknown_field policy.plans.pro.entitlements.a.limit.valu
        unknown field `valu`
          did you mean `value`?
    3:33 unknown_field policy.plans.pro.entitlements.b.limit.valu
        unknown field `valu`
          did you mean `value`?
    ");
}

#[test]
fn a_list_where_a_name_is_a_map() {
    let text = "policy: {plans: [pro], exchange: 5, estimates: {chat: 5}, customers: [], x-a: null}";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    1:17 wrong_type policy.plans
        expected a map, found a list
    1:34 wrong_type policy.exchange
        expected a map, found `5`
    1:55 wrong_type policy.estimates.chat
        expected a map, found `5`
    1:70 wrong_type policy.customers
        expected a map, found a list
    ");
}

#[test]
fn bad_schedules() {
    let text = r#"policy:
  credits: {token: {}}
  plans:
    pro:
      entitlements:
        a: {limit: {credit: token, resets: true, reset_sch: "yearly:2-30"}}
        b: {limit: {credit: token, resets: true, reset_sch: 5}}
"#;
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    6:61 bad_schedule policy.plans.pro.entitlements.a.limit.reset_sch
        `yearly:2-30` is not a schedule
          a schedule is `monthly:N` (1 to 31), `monthly:last`, `weekly:mon`, `nth_weekday:N:mon` (1 to 4), `yearly:M-D` or `quarterly:D`
    7:61 wrong_type policy.plans.pro.entitlements.b.limit.reset_sch
        expected text, found `5`
          put it in quotes
    ");
}
