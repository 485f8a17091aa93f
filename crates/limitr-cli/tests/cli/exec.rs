//! exec: the engine as other programs drive it.

use insta::assert_snapshot;

use super::Folder;

const POLICY: &str = "\
policy:
  credits: {token: {price: {amount: 0.5}}}
  plans:
    free:
      default: true
      entitlements:
        chat: {limit: {credit: token, value: 10, resets: true, reset_inc: 1day}}
";
const EXEC: [&str; 6] = ["exec", "--policy", "policy.yaml", "--now", "2026-01-15T00:00:00Z", "--sequential-ids"];

/// The answers, with every event's payload cut down to the meter's value.
fn answers(folder: &Folder, lines: &str) -> String {
    let ran = folder.limitr_with(&EXEC, lines);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let short = |line: &str| {
        let mut answer: serde_json::Value = serde_json::from_str(line).unwrap();
        for event in answer["events"].as_array_mut().unwrap() {
            event["value"] = event["value"]["meter"]["value"].take();
        }
        if answer["result"].is_object() {
            answer["result"] = "{...}".into();
        }
        answer.to_string()
    };
    ran.out.lines().map(short).collect::<Vec<_>>().join("\n")
}

#[test]
fn one_answer_for_each_line() {
    let folder = Folder::new("exec").file("policy.yaml", POLICY);
    let lines = r#"{"create_customer": {"id": "c1"}}
{"allow": {"customer": "c1", "entitlement": "chat", "value": 5}}
{"allow": {"customer": "c1", "entitlement": "chat", "value": 6}}
{"remaining": {"customer": "c1", "entitlement": "chat"}, "expect": 1, "events": []}

{"reserve": {"customer": "c1", "entitlement": "chat", "value": 4}, "save": "hold"}
{"advance": "1min"}
{"settle": {"customer": "c1", "entitlement": "chat", "hold": "$hold", "value": 3}}
{"now": "2026-01-16T00:00:00Z"}
{"allow": {"customer": "c1", "entitlement": "chat", "value": 1}}
{"customer": {"id": "nobody"}}"#;
    assert_snapshot!(answers(&folder, lines), @r#"
    {"result":"{...}","events":[{"name":"customer-set","value":null}],"error":null}
    {"result":true,"events":[{"name":"meter-changed","value":5}],"error":null}
    {"result":false,"events":[{"name":"meter-limit","value":5}],"error":null}
    {"result":5,"events":[],"error":null}
    {"result":"id1","events":[],"error":null}
    {"result":1768435260000,"events":[],"error":null}
    {"result":true,"events":[{"name":"meter-changed","value":8}],"error":null}
    {"result":1768521600000,"events":[],"error":null}
    {"result":true,"events":[{"name":"meter-reset","value":0},{"name":"meter-changed","value":1}],"error":null}
    {"result":null,"events":[],"error":null}
    "#);
}

#[test]
fn a_bad_line_is_answered_and_the_next_one_read() {
    let folder = Folder::new("exec-bad").file("policy.yaml", POLICY);
    let lines = r#"not json
{"allow": 
[1, 2]
5
{}
{"alow": {"customer": "c1", "entitlement": "chat"}}
{"allow": {"customer": "c1", "entitlement": "chat"}, "sav": "x"}
{"allow": {"customer": "c1", "entitlement": "chat"}, "check": {}}
{"allow": {"customer": "c1"}}
{"allow": {"customer": "c1", "entitlement": "chat", "valeu": 5}}
{"allow": {"customer": "c1", "entitlement": "chat", "value": [5]}}
{"allow": {"customer": "nobody", "entitlement": "chat", "value": 1e999}}
{"release": {"customer": "c1", "entitlement": "chat", "hold": "$hold"}}
{"default_plan": {}, "save": "not a name"}
{"default_plan": {}, "save": 5}
{"advance": "1kg"}
{"advance": -1}
{"now": "soon"}
{"advance": 9223372036854775807}
{"create_customer": {"id": "c1", "plan": "gold"}}
{"set_plan": {"id": "x", "plan": {"entitlments": {}}}}
{"default_plan": {}}"#;
    assert_snapshot!(answers(&folder, lines), @r#"
    {"result":null,"events":[],"error":"the line is not JSON: expected ident at line 1 column 2","code":"not_json","hint":"a line is an object such as {\"allow\": {\"customer\": \"c1\", \"entitlement\": \"chat\", \"value\": 5}}"}
    {"result":null,"events":[],"error":"the line is not JSON: EOF while parsing a value at line 1 column 10","code":"not_json","hint":"a line is an object such as {\"allow\": {\"customer\": \"c1\", \"entitlement\": \"chat\", \"value\": 5}}"}
    {"result":null,"events":[],"error":"the line is not a step: invalid type: sequence, expected a map at line 1 column 0","code":"bad_step","hint":"a line is an object such as {\"allow\": {\"customer\": \"c1\", \"entitlement\": \"chat\", \"value\": 5}}"}
    {"result":null,"events":[],"error":"the line is not a step: invalid type: integer `5`, expected a map at line 1 column 1","code":"bad_step","hint":"a line is an object such as {\"allow\": {\"customer\": \"c1\", \"entitlement\": \"chat\", \"value\": 5}}"}
    {"result":null,"events":[],"error":"a step needs a verb","code":"bad_step","hint":"such as {\"allow\": {\"customer\": \"c1\", \"entitlement\": \"chat\", \"value\": 5}}"}
    {"result":null,"events":[],"error":"unknown verb or key `alow` in a step","code":"bad_step","hint":"did you mean `allow`?"}
    {"result":null,"events":[],"error":"unknown verb or key `sav` in a step","code":"bad_step","hint":"did you mean `save`?"}
    {"result":null,"events":[],"error":"a step has one verb, found `allow` and `check`","code":"bad_step"}
    {"result":null,"events":[],"error":"allow: missing field `entitlement`","code":"bad_operation"}
    {"result":null,"events":[],"error":"allow.valeu: unknown field `valeu`, did you mean `value`?","code":"bad_operation"}
    {"result":null,"events":[],"error":"allow.value: invalid type: sequence, expected a number, or text such as \"500MB\"","code":"bad_operation"}
    {"result":null,"events":[],"error":"the line is not JSON: number out of range at line 1 column 70","code":"not_json","hint":"a line is an object such as {\"allow\": {\"customer\": \"c1\", \"entitlement\": \"chat\", \"value\": 5}}"}
    {"result":null,"events":[],"error":"nothing was saved as `hold`","code":"bad_step","hint":"`save` on an earlier step keeps its result; `$$` writes a plain `$`"}
    {"result":null,"events":[],"error":"`not a name` is no name to save under","code":"bad_step","hint":"use letters, digits, `_` and `-`, a letter first"}
    {"result":null,"events":[],"error":"`save` takes a name","code":"bad_step"}
    {"result":null,"events":[],"error":"`1kg` is not a duration","code":"bad_step","hint":"a duration is text such as \"1day\", or a number of ms"}
    {"result":null,"events":[],"error":"cannot advance by `-1` ms","code":"bad_step","hint":"`now` sets an earlier time"}
    {"result":null,"events":[],"error":"`soon` is no time","code":"bad_step","hint":"a time is text such as \"2026-01-15T00:00:00Z\", or ms since 1970"}
    {"result":null,"events":[],"error":"`9223372036854775807` ms go past the end of time","code":"bad_step","hint":"a duration is text such as \"1day\", or a number of ms"}
    {"result":null,"events":[],"error":"unknown plan `gold`","code":"unknown_plan","hint":"known plans are free"}
    {"result":null,"events":[],"error":"policy.plans.x.entitlments: unknown field `entitlments`, did you mean `entitlements`?","code":"unknown_field"}
    {"result":"{...}","events":[],"error":null}
    "#);
}

#[test]
fn long_lines_and_bytes_that_are_no_text_are_refused() {
    let folder = Folder::new("exec-long").file("policy.yaml", POLICY);
    let mut input = b"{\"customer\": {\"id\": \"".to_vec();
    input.resize(5 * 1024 * 1024, b'x');
    input.extend(b"\"}}\n{\"customer\": {\"id\": \"\xff\xfe\"}}\r\n{\"valid\": {}}\r\n");
    input.extend("[".repeat(100_000).bytes());
    input.extend(b"\n{\"valid\": {}}");
    assert_snapshot!(folder.limitr_with(&EXEC, input).all(), @r#"
    {"result":null,"events":[],"error":"the line is longer than the 1048576 bytes it may have","code":"line_too_long"}
    {"result":null,"events":[],"error":"the line is not JSON: invalid unicode code point at line 1 column 22","code":"not_json","hint":"a line is an object such as {\"allow\": {\"customer\": \"c1\", \"entitlement\": \"chat\", \"value\": 5}}"}
    {"result":true,"events":[],"error":null}
    {"result":null,"events":[],"error":"the line is not a step: invalid type: sequence, expected a map at line 1 column 0","code":"bad_step","hint":"a line is an object such as {\"allow\": {\"customer\": \"c1\", \"entitlement\": \"chat\", \"value\": 5}}"}
    {"result":true,"events":[],"error":null}
    exit 0
    "#);
}

#[test]
fn time_is_the_systems_until_it_is_set() {
    let folder = Folder::new("exec-time").file("policy.yaml", POLICY);
    let lines = "{\"create_customer\": {\"id\": \"c1\"}, \"save\": \"c\"}\n{\"now\": 5}\n{\"create_customer\": {\"id\": \"c2\"}}\n";
    let ran = folder.limitr_with(&["exec", "--policy", "policy.yaml"], lines);
    let started: Vec<i64> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter_map(|answer| answer["result"]["meters"]["chat"]["started"].as_i64())
        .collect();
    assert!(matches!(started.as_slice(), [system, 5] if *system > 1_768_435_200_000), "{}", ran.all());
}

#[test]
fn a_policy_that_cannot_be_used_ends_it() {
    let folder = Folder::new("exec-policy").file("policy.yaml", "policy: {plans: 5}");
    assert_snapshot!(folder.limitr_with(&EXEC, "{\"valid\": {}}").all(), @"
    wrong_type

      x expected a map, found `5`
       ,-[policy.yaml:1:17]
     1 | policy: {plans: 5}
       :                 |
       :                 `-- policy.plans
       `----

    1 problem in policy.yaml
    exit 2
    ");
    assert_snapshot!(folder.limitr(&["exec", "--policy", "-"]).all(), @"
    limitr: standard input is for the lines
      help: give the policy and the state as files
    exit 2
    ");
}
