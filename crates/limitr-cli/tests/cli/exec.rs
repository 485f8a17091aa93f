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
    assert_snapshot!(answers(&folder, lines), @"");
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
    assert_snapshot!(answers(&folder, lines), @"");
}

#[test]
fn long_lines_and_bytes_that_are_no_text_are_refused() {
    let folder = Folder::new("exec-long").file("policy.yaml", POLICY);
    let mut input = b"{\"customer\": {\"id\": \"".to_vec();
    input.resize(5 * 1024 * 1024, b'x');
    input.extend(b"\"}}\n{\"customer\": {\"id\": \"\xff\xfe\"}}\r\n{\"valid\": {}}\r\n");
    input.extend("[".repeat(100_000).bytes());
    input.extend(b"\n{\"valid\": {}}");
    assert_snapshot!(folder.limitr_with(&EXEC, input).all(), @"");
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
    assert_snapshot!(folder.limitr_with(&EXEC, "{\"valid\": {}}").all(), @"");
    assert_snapshot!(folder.limitr(&["exec", "--policy", "-"]).all(), @"");
}
