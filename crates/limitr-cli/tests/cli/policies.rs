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
    assert_snapshot!(folder.limitr(&["validate", "policy.yaml"]).all(), @"
    unknown_field

      x unknown field `entitlments`
       ,-[policy.yaml:7:7]
     6 |       default: true
     7 |       entitlments:
       :       ^^^^^|^^^^^
       :            `-- policy.plans.free.entitlments
     8 |         chat: {limit: {credit: token, value: 100}}
       `----
      help: did you mean `entitlements`?

    unknown_credit

      x unknown credit `tokn`
        ,-[policy.yaml:13:21]
     12 |           limit:
     13 |             credit: tokn
        :                     ^^|^
        :                       `-- policy.plans.pro.entitlements.chat.limit.credit
     14 |             value: 1000
        `----
      help: did you mean `token`?

    unknown_field

      x unknown field `resset`
        ,-[policy.yaml:15:13]
     14 |             value: 1000
     15 |             resset: true
        :             ^^^|^^
        :                `-- policy.plans.pro.entitlements.chat.limit.resset
     16 |             reset_inc: 1day
        `----
      help: did you mean `resets`?

    3 problems in policy.yaml
    exit 1
    ");
    let json = folder.limitr(&["validate", "policy.yaml", "--json"]);
    assert_snapshot!(json.all(), @r#"
    {"valid":false,"problems":[{"code":"unknown_field","path":"policy.plans.free.entitlments","message":"unknown field `entitlments`","hint":"did you mean `entitlements`?","line":7,"column":7},{"code":"unknown_credit","path":"policy.plans.pro.entitlements.chat.limit.credit","message":"unknown credit `tokn`","hint":"did you mean `token`?","line":13,"column":21},{"code":"unknown_field","path":"policy.plans.pro.entitlements.chat.limit.resset","message":"unknown field `resset`","hint":"did you mean `resets`?","line":15,"column":13}]}
    exit 1
    "#);
}

#[test]
fn validate_counts_what_a_valid_policy_holds() {
    let folder = Folder::new("validate-valid").policy();
    assert_snapshot!(folder.limitr(&["validate", "policy.json"]).all(), @"
    policy.json is valid: 2 plans, 3 credits, 6 entitlements, 1 topup, 4 exchange rates
    exit 0
    ");
    let input = "[policy.credits.token]\n";
    assert_snapshot!(folder.limitr_with(&["validate", "-", "--format", "toml"], input).all(), @"
    standard input is valid: 0 plans, 1 credit
    exit 0
    ");
}

#[test]
fn validate_points_into_long_lines_and_text_that_is_no_ascii() {
    let credits: String = (0..50).map(|index| format!("\"c{index}\": {{}}, ")).collect();
    let text = format!("{{\"policy\": {{\"credits\": {{{credits}\"größe\": {{\"prise\": 1}}}}}}}}");
    let folder =
        Folder::new("validate-long").file("policy.json", text).file("crlf.yaml", "\u{feff}policy:\r\n  planz: {}\r\n");
    assert_snapshot!(folder.limitr(&["validate", "policy.json"]).all(), @r#"
    unknown_field

      x unknown field `prise`
       ,-[policy.json:1:575]
     1 | …: {}, "c46": {}, "c47": {}, "c48": {}, "c49": {}, "größe": {"prise": 1}}}}
       :                                                              ^^^|^^^
       :                                                                 `-- policy.credits.größe.prise
       `----
      help: did you mean `price`?

    1 problem in policy.json
    exit 1
    "#);
    assert_snapshot!(folder.limitr(&["validate", "crlf.yaml"]).all(), @"
    unknown_field

      x unknown field `planz`
       ,-[crlf.yaml:2:3]
     1 | policy:
     2 |   planz: {}
       :   ^^|^^
       :     `-- policy.planz
       `----
      help: did you mean `plans`?

    1 problem in crlf.yaml
    exit 1
    ");
}

#[test]
fn validate_reads_the_customers_too() {
    let text = "policy: {credits: {c: {}}, customers: {a: {id: a, meters: 5}}}";
    let folder = Folder::new("validate-customers").file("policy.yaml", text);
    assert_snapshot!(folder.limitr(&["validate", "policy.yaml"]).all(), @"
    invalid_record

      x customers.a.meters: invalid type: integer `5`, expected a map

    1 problem in policy.yaml
    exit 1
    ");
}

#[test]
fn explain_shows_the_steps() {
    let folder = Folder::new("explain").policy();
    let now = ["--now", "2026-01-15T12:00:00Z"];
    let explain = |arguments: &[&str]| {
        folder.limitr(&[&["explain", "--policy", "policy.json"], now.as_slice(), arguments].concat()).all()
    };
    assert_snapshot!(explain(&["--plan", "starter", "ann", "ai-chat-input", "600000"]), @"
    denied: limit
      resolve  entitlement `ai-chat-input` of plan `starter`, metered on `ann`
      amounts  600000 `claude-sonnet-4-input`                                   meter 0  new 600000  limit 500000  overage 100000  overhead 1.8  price 0.4
      limit    hard limit denies                                                new 600000  held 0  limit 500000  covered 0
    remaining: 500000
    resets at: 2026-01-16T12:00:00Z
    retry after: 86400000 ms
    exit 0
    ");
    assert_snapshot!(explain(&["--plan", "growth", "ann", "ai-chat-input", "800000"]), @"
    allowed
      resolve  entitlement `ai-chat-input` of plan `growth`, metered on `ann`
      amounts  800000 `claude-sonnet-4-input`                                  meter 0  new 800000  limit 700000  overage 100000  overhead 2.4  price 0.4
      limit    soft limit passes                                               new 800000  held 0  limit 700000  covered 0
    remaining: -100000
    metered: 800000
    overage: 100000
    resets at: 2026-01-16T12:00:00Z
    exit 0
    ");
    assert_snapshot!(explain(&["--plan", "starter", "ann", "ai-chat-input", "-5", "--json"]), @r#"
    {"allowed":true,"remaining":500005,"resets_at":1768564800000,"metered":-5,"overage":0,"covered":0,"steps":[{"rule":"resolve","found":"entitlement `ai-chat-input` of plan `starter`, metered on `ann`","numbers":{}},{"rule":"amounts","found":"-5 `claude-sonnet-4-input`","numbers":{"meter":0,"new":-5,"limit":500000,"overage":0,"overhead":-0.000015,"price":0}},{"rule":"limit","found":"hard limit passes","numbers":{"new":-5,"held":0,"limit":500000,"covered":0}}]}
    exit 0
    "#);
    assert_snapshot!(explain(&["ann", "ai-chat-input"]), @"
    denied: unknown_customer
    help: `--state` loads customers, `--plan` makes `ann` on a plan
    exit 0
    ");
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
    assert_snapshot!(explain("state.json"), @"
    allowed
      resolve  entitlement `ai-chat-input` of plan `growth`, metered on `ann`
      amounts  118000 `claude-sonnet-4-input`                                  meter 700000  new 818000  limit 700000  overage 118000  overhead 0.354  price 0.472
      grants   1 grants considered                                             past_limit 118000  covered 118000
      limit    soft limit passes                                               new 818000  held 0  limit 700000  covered 118000
    remaining: -118000
    metered: 118000
    covered by grants: 118000
    resets at: 2026-01-16T00:00:00Z
    exit 0
    ");
    assert_snapshot!(explain("bad.json"), @r#"
    limitr: cannot load the customers of `bad.json`: customers.ann.id: invalid type: integer `5`, expected a string
      help: a snapshot is what `{"customers": {}}` answers: records in a map by id, or in a list
    exit 2
    "#);
}

#[test]
fn diff_tells_the_changes_in_meaning() {
    let folder = Folder::new("diff").policy();
    let same = folder.limitr(&["convert", "policy.json", "--to", "yaml", "--out", "same.yaml"]);
    assert_eq!(same.code, 0, "{}", same.err);
    assert_snapshot!(folder.limitr(&["diff", "policy.json", "same.yaml"]).all(), @"exit 0");
    let other = folder.read("same.yaml").replace("700000", "800000").replace("0.000015", "0.000016");
    let folder = folder.file("other.yaml", other).file("broken.yaml", "policy: {plans: 5}");
    assert_snapshot!(folder.limitr(&["diff", "policy.json", "other.yaml"]).all(), @"
    credits.claude-sonnet-4-output.overhead_cost: 0.000015 -> 0.000016
    plans.growth.entitlements.ai-chat-input.limit.value: 700000 -> 800000
    exit 1
    ");
    assert_snapshot!(folder.limitr(&["diff", "policy.json", "other.yaml", "--json"]).all(), @r#"
    [{"path":"credits.claude-sonnet-4-output.overhead_cost","before":0.000015,"after":0.000016},{"path":"plans.growth.entitlements.ai-chat-input.limit.value","before":700000,"after":800000}]
    exit 1
    "#);
    assert_snapshot!(folder.limitr(&["diff", "policy.json", "broken.yaml"]).all(), @"
    wrong_type

      x expected a map, found `5`
       ,-[broken.yaml:1:17]
     1 | policy: {plans: 5}
       :                 |
       :                 `-- policy.plans
       `----

    1 problem in broken.yaml
    exit 2
    ");
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
fn convert_writes_and_reads_stof() {
    let folder = Folder::new("convert-stof").policy();
    for (from, to, name) in
        [("policy.json", "stof", "a.stof"), ("a.stof", "yaml", "b.yaml"), ("b.yaml", "json", "c.json")]
    {
        let ran = folder.limitr(&["convert", from, "--to", to, "--out", name]);
        assert_eq!(ran.all(), "exit 0", "{from}");
    }
    let json = |name: &str| serde_json::from_str::<serde_json::Value>(&folder.read(name)).unwrap();
    assert_eq!(json("c.json"), json("policy.json"));
    let functions = "policy: { credits: { token: {
    fn overhead(units: float) -> float { return units * 0.5; }
} } }
";
    let folder =
        folder.file("functions.stof", functions).file("hostile.stof", "policy: {\n  fn f() { pln('x'); }\n}\n");
    assert_snapshot!(folder.limitr(&["convert", "functions.stof", "--to", "yaml"]).all(), @"
    limitr: the functions of `functions.stof` cannot be written: `policy.credits.token.overhead()` would be lost
      help: write them as expressions, or leave them out with `--data-only`
    exit 2
    ");
    assert_snapshot!(folder.limitr(&["convert", "functions.stof", "--to", "yaml", "--data-only"]).all(), @"
    policy:
      credits:
        token: {}
    exit 0
    ");
    assert_snapshot!(folder.limitr(&["validate", "hostile.stof"]).all(), @"
    stof_forbidden

      x `pln()` is no function that a policy can call
       ,-[hostile.stof:2:12]
     1 | policy: {
     2 |   fn f() { pln('x'); }
       :            ^^^^|^^^^
       :                `-- document
     3 | }
       `----
      help: a function of the object is `self.name()`

    1 problem in hostile.stof
    exit 1
    ");
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
    assert_snapshot!(folder.limitr(&["convert", "policy.yaml", "--to", "toml"]).all(), @r#"
    [policy.credits.disk]
    stof_units = "MB"
    x-note = "1day"

    [policy.plans.pro.entitlements.disk.limit]
    credit = "disk"
    value = "1.5GB"
    resets = true
    reset_inc = "1day"
    exit 0
    "#);
    let broken = "policy: {credits: {a: {}, a: {}}}";
    assert_snapshot!(folder.limitr_with(&["convert", "-", "--format", "yaml", "--to", "json"], broken).all(), @"
    duplicate_key

      x `a` is given twice
       ,-[standard input:1:27]
     1 | policy: {credits: {a: {}, a: {}}}
       :                           |
       :                           `-- policy.credits.a
       `----
      help: keep one of the two

    1 problem in standard input
    exit 2
    ");
}

#[test]
fn demo_prints_what_the_quick_start_promises() {
    let folder = Folder::new("demo");
    assert_snapshot!(folder.limitr(&["demo"]).all(), @"
    Policy loaded. Customers created.
    Starter limit: 500000
    Growth limit: 700000

    # Enforce a limit

    ✓ Allowed 120,000 input tokens — 380,000 remaining, 54,545 output tokens used
    ✓ Allowed 95,000 input tokens — 285,000 remaining, 97,726 output tokens used
    ✓ Allowed 180,000 input tokens — 105,000 remaining, 179,544 output tokens used
    ✓ Allowed 60,000 input tokens — 45,000 remaining, 206,816 output tokens used
    ✗ Denied 90,000 tokens — limit exceeded (45,000 remaining)

    # Handle an event

    Customer user_starter hit their limit for ai-chat-input.
    Used: 455000 tokens. Total: 500000. Attempted: 545000.
    Plan: starter. Credit: Input tokens for Claude Sonnet 4.

    # Apply a credit grant

    Granted 10 AI tokens; 700,000 input tokens are included
    ✓ Allowed 520,000 input tokens — 180,000 remaining, 10 AI tokens left
    ✓ Allowed 98,000 input tokens — 82,000 remaining, 10 AI tokens left
    ✓ Allowed 200,000 input tokens — 118,000 past the limit: 118,000 covered by the grant, 0 to bill, 9.528 AI tokens left
    ✓ Allowed 60,000 input tokens — 60,000 past the limit: 60,000 covered by the grant, 0 to bill, 9.288 AI tokens left
    ✓ Allowed 900,000 input tokens — 900,000 past the limit: 900,000 covered by the grant, 0 to bill, 5.688 AI tokens left
    Used: 1,778,000 input tokens
    Grant starting value: 10
    Grant current value: 5.69
    exit 0
    ");
    let json = folder.limitr(&["demo", "--json"]);
    let decisions: Vec<serde_json::Value> = json.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json.code, 0);
    assert_eq!(decisions.len(), 19);
    assert_eq!(decisions[1]["value"], 54545.454545454544);
    assert_eq!(decisions[8]["reason"], "limit");
    assert_eq!(decisions[13]["event"]["value"]["meter"]["invalid"], 545_000);
    assert_eq!(decisions[18]["grant"], 5.688);
}
