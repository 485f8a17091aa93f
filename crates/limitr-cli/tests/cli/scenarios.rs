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
    assert_snapshot!(folder.limitr(&["test", "."]).all(), @"");
    assert_snapshot!(folder.limitr(&["test", ".", "--json"]).all(), @"");
    assert_snapshot!(folder.limitr(&["test", ".", "--verbose", "--filter", "b.yaml"]).all(), @"");
}

#[test]
fn every_kind_of_difference_is_told() {
    let steps = "\
  - allow: {customer: c1, entitlement: chat, value: 3}
    events: []
";
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
    assert_snapshot!(folder.limitr(&["test", "."]).all(), @"");
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
        Folder::new("test-none").file("a.yaml", text).file("b.json", "{\"name\": ").file("c.json", b"\xff\xfe");
    assert_snapshot!(folder.limitr(&["test", "."]).all(), @"");
}

#[test]
fn nothing_to_test_is_trouble() {
    let folder = Folder::new("test-nothing").file("notes.md", "").file("a.yaml", PASSING);
    assert_snapshot!(folder.limitr(&["test", "notes.md"]).all(), @"");
    assert_snapshot!(folder.limitr(&["test", "nowhere"]).all(), @"");
    assert_snapshot!(folder.limitr(&["test", "a.yaml", "--filter", "governor"]).all(), @"");
    assert_snapshot!(folder.limitr(&["test", "a.yaml"]).all(), @"");
}
