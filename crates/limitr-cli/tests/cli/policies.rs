//! validate, explain, diff, convert and demo.

use insta::assert_snapshot;

use super::Folder;

const TYPOS: &str = "\
policy:
  credits:
    token: {price: {amount: 0.01}}
  plans:
    free:
      default: true
      entitlments:
        chat: {limit: {credit: token, value: 100}}
    pro:
      entitlements:
        chat:
          limit:
            credit: tokn
            value: 1000
            resset: true
            reset_inc: 1day
";

#[test]
fn validate_shows_every_problem_at_once() {
    let folder = Folder::new("validate").file("policy.yaml", TYPOS);
    assert_snapshot!(folder.limitr(&["validate", "policy.yaml"]).all(), @"");
    let json = folder.limitr(&["validate", "policy.yaml", "--json"]);
    assert_snapshot!(json.all(), @"");
}

#[test]
fn validate_counts_what_a_valid_policy_holds() {
    let folder = Folder::new("validate-valid").policy();
    assert_snapshot!(folder.limitr(&["validate", "policy.json"]).all(), @"");
    let input = "[policy.credits.token]\n";
    assert_snapshot!(folder.limitr_with(&["validate", "-", "--format", "toml"], input).all(), @"");
}

#[test]
fn validate_points_into_long_lines_and_text_that_is_no_ascii() {
    let credits: String = (0..50).map(|index| format!("\"c{index}\": {{}}, ")).collect();
    let text = format!("{{\"policy\": {{\"credits\": {{{credits}\"größe\": {{\"prise\": 1}}}}}}}}");
    let folder =
        Folder::new("validate-long").file("policy.json", text).file("crlf.yaml", "\u{feff}policy:\r\n  planz: {}\r\n");
    assert_snapshot!(folder.limitr(&["validate", "policy.json"]).all(), @"");
    assert_snapshot!(folder.limitr(&["validate", "crlf.yaml"]).all(), @"");
}

#[test]
fn validate_reads_the_customers_too() {
    let text = "policy: {credits: {c: {}}, customers: {a: {id: a, meters: 5}}}";
    let folder = Folder::new("validate-customers").file("policy.yaml", text);
    assert_snapshot!(folder.limitr(&["validate", "policy.yaml"]).all(), @"");
}

#[test]
fn explain_shows_the_steps() {
    let folder = Folder::new("explain").policy();
    let now = ["--now", "2026-01-15T12:00:00Z"];
    let explain = |arguments: &[&str]| {
        folder.limitr(&[&["explain", "--policy", "policy.json"], now.as_slice(), arguments].concat()).all()
    };
    assert_snapshot!(explain(&["--plan", "starter", "ann", "ai-chat-input", "600000"]), @"");
    assert_snapshot!(explain(&["--plan", "growth", "ann", "ai-chat-input", "800000"]), @"");
    assert_snapshot!(explain(&["--plan", "starter", "ann", "ai-chat-input", "-5", "--json"]), @"");
    assert_snapshot!(explain(&["ann", "ai-chat-input"]), @"");
}

#[test]
fn explain_starts_from_a_snapshot() {
    let folder = Folder::new("explain-state").policy();
    let lines = r#"{"create_customer": {"id": "ann", "plan": "growth"}}
{"apply_customer_topup": {"customer": "ann", "topup": "ai-token-small"}}
{"allow": {"customer": "ann", "entitlement": "ai-chat-input", "value": 700000}}
{"customers": {}}"#;
    let exec = ["exec", "--policy", "policy.json", "--now", "1768435200000", "--sequential-ids"];
    let ran = folder.limitr_with(&exec, lines);
    let answer: serde_json::Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    let folder = folder.file("state.json", answer["result"].to_string()).file("bad.json", r#"{"ann": {"id": 5}}"#);
    let explain = |state: &str| {
        let arguments = ["explain", "--policy", "policy.json", "--state", state, "--now", "1768435200000"];
        folder.limitr(&[arguments.as_slice(), &["ann", "ai-chat-input", "118000"]].concat()).all()
    };
    assert_snapshot!(explain("state.json"), @"");
    assert_snapshot!(explain("bad.json"), @"");
}

#[test]
fn diff_tells_the_changes_in_meaning() {
    let folder = Folder::new("diff").policy();
    let same = folder.limitr(&["convert", "policy.json", "--to", "yaml", "--out", "same.yaml"]);
    assert_eq!(same.code, 0, "{}", same.err);
    assert_snapshot!(folder.limitr(&["diff", "policy.json", "same.yaml"]).all(), @"");
    let other = folder.read("same.yaml").replace("700000", "800000").replace("0.000015", "0.000016");
    let folder = folder.file("other.yaml", other).file("broken.yaml", "policy: {plans: 5}");
    assert_snapshot!(folder.limitr(&["diff", "policy.json", "other.yaml"]).all(), @"");
    assert_snapshot!(folder.limitr(&["diff", "policy.json", "other.yaml", "--json"]).all(), @"");
    assert_snapshot!(folder.limitr(&["diff", "policy.json", "broken.yaml"]).all(), @"");
}

#[test]
fn convert_keeps_the_document() {
    let folder = Folder::new("convert").policy();
    for (from, to, name) in
        [("policy.json", "yaml", "a.yaml"), ("a.yaml", "toml", "b.toml"), ("b.toml", "json", "c.json")]
    {
        let ran = folder.limitr(&["convert", from, "--to", to, "--out", name]);
        assert_eq!(ran.all(), "exit 0", "{from}");
    }
    let json = |name: &str| serde_json::from_str::<serde_json::Value>(&folder.read(name)).unwrap();
    assert_eq!(json("c.json"), json("policy.json"));
    assert_eq!(folder.limitr(&["diff", "policy.json", "b.toml"]).all(), "exit 0");
}

#[test]
fn convert_keeps_the_notation() {
    let yaml = "\
policy:
  credits:
    disk: {stof_units: MB, x-note: '1day'}
  plans:
    pro:
      entitlements:
        disk: {limit: {credit: disk, value: 1.5GB, resets: true, reset_inc: 1day}}
";
    let folder = Folder::new("convert-notation").file("policy.yaml", yaml);
    assert_snapshot!(folder.limitr(&["convert", "policy.yaml", "--to", "toml"]).all(), @"");
    let broken = "policy: {credits: {a: {}, a: {}}}";
    assert_snapshot!(folder.limitr_with(&["convert", "-", "--format", "yaml", "--to", "json"], broken).all(), @"");
}

#[test]
fn demo_prints_what_the_quick_start_promises() {
    let folder = Folder::new("demo");
    assert_snapshot!(folder.limitr(&["demo"]).all(), @"");
    let json = folder.limitr(&["demo", "--json"]);
    let decisions: Vec<serde_json::Value> = json.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json.code, 0);
    assert_eq!(decisions.len(), 19);
    assert_eq!(decisions[1]["value"], 54545.454545454544);
    assert_eq!(decisions[8]["reason"], "limit");
    assert_eq!(decisions[13]["event"]["value"]["meter"]["invalid"], 545_000);
    assert_eq!(decisions[18]["grant"], 5.688);
}
