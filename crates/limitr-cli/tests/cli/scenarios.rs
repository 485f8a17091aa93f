//! test: scenarios that pass, fail, or are none.

use insta::assert_snapshot;

use super::Folder;

const PASSING: &str = "\
name: Ten are included
covers: [hard-limit]
policy:
  credits: {token: {}}
  plans: {free: {default: true, entitlements: {chat: {limit: {credit: token, value: 10}}}}}
steps:
  - create_customer: {id: c1}
  - allow: {customer: c1, entitlement: chat, value: 10}
    expect: true
    events: [meter-changed]
    expect_event: {name: meter-changed, fields: {meter: {value: 10}, event_data: null, plan: not_null}}
  - reserve: {customer: c1, entitlement: chat, value: 1}
    expect: null
  - customer: {id: c1}
    save: record
  - set_customer: {record: $record}
  - advance: 1day
    expect: 1767312000000
  - now: 1768435200000
  - set_alt_customer_id: {customer: c1, alt: c1, nonsense: 1}
    error_contains: nonsense
";

#[test]
fn a_failing_scenario_says_what_was_expected_and_why_it_came_otherwise() {
    let failing = PASSING.replace("value: 10}\n    expect", "value: 11}\n    expect");
    let folder = Folder::new("test-failing").file("a.yaml", failing).file("b.yaml", PASSING);
    assert_snapshot!(folder.limitr(&["test", "."]).all(), @r#"
    FAIL ./a.yaml: Ten are included
      step 2 on line 8: {"allow":{"customer":"c1","entitlement":"chat","value":11}}
        expected true, came false
        events: expected [meter-changed], came [meter-limit]
        events: expected `meter-changed`, came meter-limit
        denied: limit
          resolve  entitlement `chat` of plan `free`, metered on `c1`
          amounts  11 `token`                                          meter 0  new 11  limit 10  overage 1  overhead 0
          limit    hard limit denies                                   new 11  held 0  limit 10  covered 0
        remaining: 10

    1 passed, 1 failed
    exit 1
    "#);
    assert_snapshot!(folder.limitr(&["test", ".", "--json"]).all(), @r#"
    {"file":"./a.yaml","name":"Ten are included","passed":false,"failure":{"step":2,"line":8,"content":{"allow":{"customer":"c1","entitlement":"chat","value":11}},"differences":["expected true, came false","events: expected [meter-changed], came [meter-limit]","events: expected `meter-changed`, came meter-limit"],"explanation":{"allowed":false,"reason":"limit","remaining":10,"metered":0,"overage":0,"covered":0,"steps":[{"rule":"resolve","found":"entitlement `chat` of plan `free`, metered on `c1`","numbers":{}},{"rule":"amounts","found":"11 `token`","numbers":{"meter":0,"new":11,"limit":10,"overage":1,"overhead":0}},{"rule":"limit","found":"hard limit denies","numbers":{"new":11,"held":0,"limit":10,"covered":0}}]}}}
    {"file":"./b.yaml","name":"Ten are included","passed":true}
    {"passed":1,"failed":1}
    exit 1
    "#);
    assert_snapshot!(folder.limitr(&["test", ".", "--verbose", "--filter", "b.yaml"]).all(), @"
    ok   ./b.yaml: Ten are included
    1 passed, 0 failed
    exit 0
    ");
}

#[test]
fn every_kind_of_difference_is_told() {
    let steps = "  - allow: {customer: c1, entitlement: chat, value: 3}\n    events: []\n";
    let with = |steps: &str| PASSING.split_once("  - allow").unwrap().0.to_owned() + steps;
    let folder = Folder::new("test-differences")
        .file("events.yaml", with(steps))
        .file(
            "event.yaml",
            with(
                &steps.replace(
                    "events: []",
                    "expect_event: {name: meter-changed, fields: {meter: {value: 4, old: null}}}",
                ),
            ),
        )
        .file("no-event.yaml", with(&steps.replace("events: []", "expect_event: [{name: meter-reset}]")))
        .file("error.yaml", with("  - allow: {customer: c1}\n"))
        .file("no-error.yaml", with("  - customer: {id: nobody}\n    error_contains: nobody\n"))
        .file("other-error.yaml", with("  - allow: {customer: c1}\n    error_contains: nobody\n"))
        .file("increment.yaml", with("  - increment: {customer: c1, entitlement: chat}\n    expect: false\n"))
        .file("approx.yaml", with("  - limit: {customer: c1, entitlement: chat}\n    expect: 10.5\n    approx: 0.4\n"))
        .file("loads.yaml", "name: x\nvalid: false\npolicy: {}\n")
        .file("refused.yaml", "name: x\npolicy: {plan: {}}\n")
        .file("refused-otherwise.yaml", "name: x\nvalid: false\nerror_contains: moon\npolicy: {plan: {}}\n")
        .file("twice.yaml", "name: x\nvalid: false\nerror_contains: twice\npolicy: {plans: {a: {}, a: {}}}\n");
    assert_snapshot!(folder.limitr(&["test", "."]).all(), @r#"
    FAIL ./approx.yaml: Ten are included
      step 2 on line 8: {"limit":{"customer":"c1","entitlement":"chat"}}
        expected 10.5, came 10

    FAIL ./error.yaml: Ten are included
      step 2 on line 8: {"allow":{"customer":"c1"}}
        expected no error, came: allow: missing field `entitlement`

    FAIL ./event.yaml: Ten are included
      step 2 on line 8: {"allow":{"customer":"c1","entitlement":"chat","value":3}}
        event `meter-changed`: `meter.value`: expected 4, came 3
        event `meter-changed`: `meter.old`: expected null, came 0
        allowed
          resolve  entitlement `chat` of plan `free`, metered on `c1`
          amounts  3 `token`                                           meter 0  new 3  limit 10  overage 0  overhead 0
          limit    hard limit passes                                   new 3  held 0  limit 10  covered 0
        remaining: 7
        metered: 3

    FAIL ./events.yaml: Ten are included
      step 2 on line 8: {"allow":{"customer":"c1","entitlement":"chat","value":3}}
        events: expected [], came [meter-changed]
        allowed
          resolve  entitlement `chat` of plan `free`, metered on `c1`
          amounts  3 `token`                                           meter 0  new 3  limit 10  overage 0  overhead 0
          limit    hard limit passes                                   new 3  held 0  limit 10  covered 0
        remaining: 7
        metered: 3

    FAIL ./increment.yaml: Ten are included
      step 2 on line 8: {"increment":{"customer":"c1","entitlement":"chat"}}
        expected false, came true
        allowed
          resolve  entitlement `chat` of plan `free`, metered on `c1`
          amounts  1 `token`                                           meter 0  new 1  limit 10  overage 0  overhead 0
          limit    hard limit passes                                   new 1  held 0  limit 10  covered 0
        remaining: 9
        metered: 1

    FAIL ./loads.yaml: x
      expected the policy to be refused, but it loads

    FAIL ./no-error.yaml: Ten are included
      step 2 on line 8: {"customer":{"id":"nobody"}}
        expected an error holding `nobody`, came null

    FAIL ./no-event.yaml: Ten are included
      step 2 on line 8: {"allow":{"customer":"c1","entitlement":"chat","value":3}}
        events: expected `meter-reset`, came meter-changed
        allowed
          resolve  entitlement `chat` of plan `free`, metered on `c1`
          amounts  3 `token`                                           meter 0  new 3  limit 10  overage 0  overhead 0
          limit    hard limit passes                                   new 3  held 0  limit 10  covered 0
        remaining: 7
        metered: 3

    FAIL ./other-error.yaml: Ten are included
      step 2 on line 8: {"allow":{"customer":"c1"}}
        expected an error holding `nobody`, came the error: allow: missing field `entitlement`

    FAIL ./refused-otherwise.yaml: x
      expected the policy to be refused with an error holding `moon`, came
      policy.plan: unknown field `plan`, did you mean `plans`? (line 4, column 10)

    FAIL ./refused.yaml: x
      expected the policy to load, but it is refused
    unknown_field

      x unknown field `plan`
       ,-[./refused.yaml:2:10]
     1 | name: x
     2 | policy: {plan: {}}
       :          ^^|^
       :            `-- policy.plan
       `----
      help: did you mean `plans`?

    1 passed, 11 failed
    exit 1
    "#);
}

#[test]
fn a_file_that_is_no_scenario_fails_with_its_problems() {
    let text = "\
nam: x
polcy: {}
covers: all
now: yesterday
steps:
  - alow: {customer: c1}
    expcet: true
  - allow: {}
    check: {}
  - expect: 5
  - 7
  - customer: {id: c1}
    approx: -1
    save: a b
    expect_event: {nme: x}
    events: meter-changed
";
    let folder =
        Folder::new("test-none").file("a.yaml", text).file("b.json", "{\"name\": 5").file("c.json", b"\xff\xfe");
    assert_snapshot!(folder.limitr(&["test", "."]).all(), @r#"
    FAIL ./a.yaml: this is no scenario
    bad_scenario

      x unknown key `nam`
       ,-[./a.yaml:1:1]
     1 | nam: x
       : ^|^
       :  `-- nam
     2 | polcy: {}
       `----
      help: did you mean `name`?

    bad_scenario

      x a scenario needs a `name`
       ,-[./a.yaml:1:1]
     1 | nam: x
       : ^|^
       :  `-- scenario
     2 | polcy: {}
       `----

    bad_scenario

      x a scenario needs a `policy`
       ,-[./a.yaml:1:1]
     1 | nam: x
       : ^|^
       :  `-- scenario
     2 | polcy: {}
       `----

    bad_scenario

      x unknown key `polcy`
       ,-[./a.yaml:2:1]
     1 | nam: x
     2 | polcy: {}
       : ^^|^^
       :   `-- polcy
     3 | covers: all
       `----
      help: did you mean `policy`?

    bad_scenario

      x a list is expected
       ,-[./a.yaml:3:9]
     2 | polcy: {}
     3 | covers: all
       :         ^|^
       :          `-- covers
     4 | now: yesterday
       `----

    bad_scenario

      x `yesterday` is no time
       ,-[./a.yaml:4:6]
     3 | covers: all
     4 | now: yesterday
       :      ^^^^|^^^^
       :          `-- now
     5 | steps:
       `----
      help: a time is text such as "2026-01-15T00:00:00Z", or ms since 1970

    bad_scenario

      x unknown verb or key `alow` in a step
       ,-[./a.yaml:6:5]
     5 | steps:
     6 |   - alow: {customer: c1}
       :     ^^|^
       :       `-- steps[0]
     7 |     expcet: true
       `----
      help: did you mean `allow`?

    bad_scenario

      x a step has one verb, found `allow` and `check`
       ,-[./a.yaml:8:5]
     7 |     expcet: true
     8 |   - allow: {}
       :     ^^|^^
       :       `-- steps[1]
     9 |     check: {}
       `----

    bad_scenario

      x a step needs a verb
        ,-[./a.yaml:10:5]
      9 |     check: {}
     10 |   - expect: 5
        :     ^^^|^^
        :        `-- steps[2]
     11 |   - 7
        `----
      help: such as {"allow": {"customer": "c1", "entitlement": "chat", "value": 5}}

    bad_scenario

      x a step is a map
        ,-[./a.yaml:11:5]
     10 |   - expect: 5
     11 |   - 7
        :     |
        :     `-- steps[3]
     12 |   - customer: {id: c1}
        `----

    bad_scenario

      x a tolerance is a number that is not negative
        ,-[./a.yaml:13:13]
     12 |   - customer: {id: c1}
     13 |     approx: -1
        :             ^|
        :              `-- steps[4].approx
     14 |     save: a b
        `----

    bad_scenario

      x `a b` is no name to save under
        ,-[./a.yaml:14:11]
     13 |     approx: -1
     14 |     save: a b
        :           |
        :           `-- steps[4].save
     15 |     expect_event: {nme: x}
        `----
      help: use letters, digits, `_` and `-`, a letter first

    bad_scenario

      x an expected event needs a `name`
        ,-[./a.yaml:15:19]
     14 |     save: a b
     15 |     expect_event: {nme: x}
        :                   |
        :                   `-- steps[4].expect_event
     16 |     events: meter-changed
        `----

    bad_scenario

      x unknown key `nme`
        ,-[./a.yaml:15:20]
     14 |     save: a b
     15 |     expect_event: {nme: x}
        :                    ^|^
        :                     `-- steps[4].expect_event.nme
     16 |     events: meter-changed
        `----
      help: did you mean `name`?

    bad_scenario

      x a list is expected
        ,-[./a.yaml:16:13]
     15 |     expect_event: {nme: x}
     16 |     events: meter-changed
        :             ^^^^^^|^^^^^^
        :                   `-- steps[4].events
        `----

    FAIL ./b.json: this is no scenario
    syntax

      x EOF while parsing an object
       ,-[./b.json:1:10]
     1 | {"name": 5
       :          |
       :          `-- document
       `----

    FAIL ./c.json: this is no scenario
    unreadable

      x cannot read `./c.json`: it is not UTF-8 text (byte 0)

    0 passed, 3 failed
    exit 1
    "#);
}

#[test]
fn nothing_to_test_is_trouble() {
    let folder = Folder::new("test-nothing").file("notes.md", "").file("a.yaml", PASSING);
    assert_snapshot!(folder.limitr(&["test", "notes.md"]).all(), @"
    limitr: `notes.md` is no scenario
      help: scenarios are *.yaml, *.yml and *.json files
    exit 2
    ");
    assert_snapshot!(folder.limitr(&["test", "nowhere"]).all(), @"
    limitr: cannot read `nowhere`: No such file or directory (os error 2)
    exit 2
    ");
    assert_snapshot!(folder.limitr(&["test", "a.yaml", "--filter", "governor"]).all(), @"
    0 passed, 0 failed
    limitr: no scenario holds `governor` in its path, name or tags
    exit 2
    ");
    assert_snapshot!(folder.limitr(&["test", "a.yaml"]).all(), @"
    1 passed, 0 failed
    exit 0
    ");
}

#[test]
fn a_trace_has_all_that_scenarios_come_to() {
    let steps = "\
steps:
  - create_customer: {id: c1}
  - check: {customer: c1, entitlement: chat, value: 11}
    expect: true
  - advance: 1s
  - reserve: {customer: c1, entitlement: chat, value: 0.5}
    save: hold
  - release: {customer: c1, entitlement: chat, hold: $hold}
  - allow: {customer: c1}
";
    let folder = Folder::new("test-trace")
        .file("a.yaml", PASSING.split_once("steps").unwrap().0.to_owned() + steps)
        .file("b.yaml", "name: Refused\nvalid: false\npolicy: {plan: {}}\n")
        .file("c.yaml", "name: No scenario\n");
    let ran = folder.limitr(&["test", ".", "--trace", "trace.jsonl", "--json"]);
    assert!(ran.out.ends_with("{\"passed\":1,\"failed\":2}\n"), "{}", ran.out);
    assert_snapshot!(folder.read("trace.jsonl"), @r#"
    {"file":"./a.yaml","name":"Ten are included","now":1767225600000,"policy":"{\"policy\":{\"credits\":{\"token\":{}},\"plans\":{\"free\":{\"default\":true,\"entitlements\":{\"chat\":{\"limit\":{\"credit\":\"token\",\"value\":10}}}}}}}","validate":true,"valid":true,"steps":[{"verb":"create_customer","args":"{\"id\":\"c1\"}","now":1767225600000,"result":"{\"id\":\"c1\",\"plan\":\"free\",\"type\":\"user\",\"label\":\"User\",\"meters\":{\"chat\":{\"credit\":\"token\",\"started\":1767225600000,\"value\":0}},\"grants\":{}}","events":[{"name":"customer-set","value":"{\"id\":\"c1\",\"plan\":\"free\",\"type\":\"user\",\"label\":\"User\",\"meters\":{\"chat\":{\"credit\":\"token\",\"started\":1767225600000,\"value\":0}},\"grants\":{}}"}]},{"verb":"check","args":"{\"customer\":\"c1\",\"entitlement\":\"chat\",\"value\":11}","now":1767225600000,"result":"false","events":[]},{"verb":"advance","args":"\"1s\"","now":1767225601000,"result":"1767225601000","events":[]},{"verb":"reserve","args":"{\"customer\":\"c1\",\"entitlement\":\"chat\",\"value\":0.5}","now":1767225601000,"result":"\"id1\"","events":[]},{"verb":"release","args":"{\"customer\":\"c1\",\"entitlement\":\"chat\",\"hold\":\"id1\"}","now":1767225601000,"result":"true","events":[]},{"verb":"allow","args":"{\"customer\":\"c1\"}","now":1767225601000,"error":{"code":"bad_operation","message":"allow: missing field `entitlement`"},"events":[]}],"customers":"{\"c1\":{\"id\":\"c1\",\"plan\":\"free\",\"type\":\"user\",\"label\":\"User\",\"meters\":{\"chat\":{\"credit\":\"token\",\"started\":1767225600000,\"value\":0}},\"grants\":{}}}"}
    {"file":"./b.yaml","name":"Refused","now":1767225600000,"policy":"{\"policy\":{\"plan\":{}}}","validate":true,"valid":false,"refused":{"kind":"policy","code":"unknown_field","message":"policy.plan: unknown field `plan`, did you mean `plans`? (line 1, column 12)","path":"policy.plan","hint":"did you mean `plans`?","problems":[{"code":"unknown_field","path":"policy.plan","message":"unknown field `plan`","hint":"did you mean `plans`?","line":1,"column":12}]},"steps":[]}
    "#);
    assert_snapshot!(folder.limitr(&["test", ".", "--trace", "nowhere/trace.jsonl"]).all(), @"
    limitr: cannot write `nowhere/trace.jsonl`: No such file or directory (os error 2)
    exit 2
    ");
}
