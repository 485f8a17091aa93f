//! Expressions and what holds them: every problem, and where in the text it is.

use limitr::policy::{Format, parse_document, read_document_value};
use serde_json::json;

use super::problems;

#[test]
fn what_costs_cannot_be() {
    let text = "policy:
  credits:
    empty: {overhead: \"\"}
    cut: {overhead: units *}
    open: {overhead: (units}
    assigned: {overhead: units = 2}
    misspelt: {overhead: contxt.tokens * 2.0}
    field: {overhead: units * data.rates.smal, data: {rates: {small: 0.1, large: 0.2}}}
    kind: {overhead: customer.plan}
    mixed: {overhead: units + customer.id}
    branches: {overhead: \"units ? 1 : 2\"}
    elsewhere: {overhead: remaining() * 2.0}
    spelling: {overhead: math.cel(units)}
    arguments: {overhead: \"math.floor(units, 2)\"}
    unsigned: {overhead: 5u * units}
    huge: {overhead: 1e40}
    word: {overhead: units * for}
    message: {overhead: \"Cost{amount: 5}\"}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    3:23 expression_syntax policy.credits.empty.overhead
        the expression is empty
    4:28 expression_syntax policy.credits.cut.overhead
        expected a value, found the end
    5:28 expression_syntax policy.credits.open.overhead
        expected `)`, found the end
    6:32 expression_syntax policy.credits.assigned.overhead
        unexpected `=`
          write `==` to compare
    7:26 expression_type policy.credits.misspelt.overhead
        unknown variable `contxt`
          did you mean `context`?
    8:42 expression_type policy.credits.field.overhead
        no field `smal` in `rates`
          did you mean `small`?
    9:31 expression_type policy.credits.kind.overhead
        the result must be a number, but this is text
    10:29 expression_type policy.credits.mixed.overhead
        `+` does not work on a number and text
          make text of it with `string(...)`
    11:27 expression_type policy.credits.branches.overhead
        expected a boolean, found a number
    12:27 expression_type policy.credits.elsewhere.overhead
        unknown function `remaining`
          there is `size`, `string`, `int`, `double`, `bool`, `dyn`, `type`, `math.ceil`, `math.floor`, `math.round`, `math.trunc`, `math.abs`
    13:31 expression_type policy.credits.spelling.overhead
        unknown function `math.cel`
          did you mean `math.ceil`?
    14:33 expression_type policy.credits.arguments.overhead
        `math.floor` takes one argument, but was given 2
    15:27 expression_syntax policy.credits.unsigned.overhead
        numbers have no `u` here
          leave the `u` out
    16:22 expression_syntax policy.credits.huge.overhead
        this number is out of range
    17:30 expression_syntax policy.credits.word.overhead
        `for` is a reserved word
    18:30 expression_syntax policy.credits.message.overhead
        messages cannot be made here
          write a map alone
    ");
}

#[test]
fn what_notifications_cannot_be() {
    let text = "policy:
  notifications:
    meter-changed: {}
    event: {on: [meter-changd, nothing-like-it]}
    fields: {ons: meter-changed, once: weekly, severity: fatal, to: [5]}
    kind: {when: percent()}
    arguments: {when: crossed()}
    share: {when: \"crossed('80%')\"}
    payload: {when: event.metr.value > 5}
    person: {when: \"customer.tier == 'gold'\"}
    open: {message: \"{customer.label used\"}
    closed: {message: \"customer.label} used\"}
    inside: {message: \"{customer.label} used {percnt()}% of {entitlement}\"}
    empty: {message: \"{}\"}
    anything: {on: customer-plan-changed, when: event.metr.value == 5}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    3:20 reserved_name policy.notifications.meter-changed
        `meter-changed` is the name of an event of the engine
          give the notification a name of its own
    4:18 unknown_event policy.notifications.event.on[0]
        unknown event `meter-changd`
          did you mean `meter-changed`?
    4:32 unknown_event policy.notifications.event.on[1]
        unknown event `nothing-like-it`
    5:14 unknown_field policy.notifications.fields.ons
        unknown field `ons`
          did you mean `on`?
    5:40 unknown_value policy.notifications.fields.once
        unknown frequency `weekly`
          it is one of `none`, `period`, `ever`
    5:58 unknown_value policy.notifications.fields.severity
        unknown severity `fatal`
          it is one of `info`, `warning`, `critical`
    5:70 wrong_type policy.notifications.fields.to[0]
        expected text, found `5`
          put it in quotes
    6:18 expression_type policy.notifications.kind.when
        the result must be a boolean, but this is a number
    7:23 expression_type policy.notifications.arguments.when
        `crossed` takes one argument, but was given 0
    8:28 expression_type policy.notifications.share.when
        expected a number, found text
    9:27 expression_type policy.notifications.payload.when
        no field `metr` in `event`
          did you mean `meter`?
    10:30 expression_type policy.notifications.person.when
        no field `tier` in `customer`
          there is `id`, `plan`, `type`, `label`, `metadata`
    11:22 expression_syntax policy.notifications.open.message
        this brace is not closed
          write `{{` for a brace itself
    12:38 expression_syntax policy.notifications.closed.message
        this brace closes nothing
          write `}}` for a brace itself
    13:47 expression_type policy.notifications.inside.message
        unknown function `percnt`
          did you mean `percent`?
    14:24 expression_syntax policy.notifications.empty.message
        the expression is empty
    ");
}

#[test]
fn what_capabilities_cannot_be() {
    let text = "policy:
  plans: {free: {}, pro: {}}
  capabilities:
    none: {}
    not a tool: {result: 1}
    first: {name: same, result: 1}
    second: {name: same, result: 1}
    long: {name: nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn, result: 1}
    access: {plans: [prro, free], customers: [7], result: 1}
    parameters:
      parameters: [{name: a}, {name: a}, {name: \" \"}, {type: float}, {name: b, required: maybe}, 5]
      result: input.a
    unknown: {parameters: [{name: tokens, type: integer}], result: input.token + 1}
    kinds: {parameters: [{name: tokens, type: integer}, {name: model}], result: input.tokens + input.model}
    read: {result: remaining(5)}
    asked: {result: \"check('chat')\"}
    pattern: {parameters: [{name: s}], result: \"input.s.matches('a(b')\"}
    made: {parameters: [{name: s}], result: \"input.s.matches(input.s)\"}
    macro: {parameters: [{name: list, type: array}], result: \"input.list.map(x * 2)\"}
    over: {parameters: [{name: n, type: number}], result: \"input.n.exists(x, x > 2)\"}
    has: {parameters: [{name: n, type: number}], result: has(input)}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    4:11 missing_field policy.capabilities.none.result
        the field `result` is missing
    5:17 bad_name policy.capabilities.not a tool
        `not a tool` cannot be the name of a tool
          use at most 64 letters, digits, `_` and `-`, in the field `name` when the key must stay
    7:20 duplicate_name policy.capabilities.second.name
        two capabilities are called `same`
    8:18 bad_name policy.capabilities.long.name
        `nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn...` cannot be the name of a tool
          use at most 64 letters, digits, `_` and `-`, in the field `name` when the key must stay
    9:22 unknown_plan policy.capabilities.access.plans[0]
        unknown plan `prro`
          did you mean `pro`?
    9:47 wrong_type policy.capabilities.access.customers[0]
        expected text, found `7`
          put it in quotes
    11:38 duplicate_name policy.capabilities.parameters.parameters[1].name
        two parameters are called `a`
    11:49 bad_name policy.capabilities.parameters.parameters[2].name
        a name is empty
    11:55 missing_field policy.capabilities.parameters.parameters[3].name
        the field `name` is missing
    11:62 unknown_value policy.capabilities.parameters.parameters[3].type
        unknown parameter type `float`
          it is one of `string`, `number`, `integer`, `boolean`, `array`, `object`
    11:90 wrong_type policy.capabilities.parameters.parameters[4].required
        expected `true` or `false`, found `maybe`
    11:98 wrong_type policy.capabilities.parameters.parameters[5]
        expected a map, found `5`
    13:74 expression_type policy.capabilities.unknown.result
        no field `token` in `input`
          did you mean `tokens`?
    14:94 expression_type policy.capabilities.kinds.result
        `+` does not work on a number and text
          make text of it with `string(...)`
    15:30 expression_type policy.capabilities.read.result
        expected text, found a number
    16:22 expression_type policy.capabilities.asked.result
        `check` takes 2 arguments, but was given 1
    17:65 expression_type policy.capabilities.pattern.result
        this is no pattern: found open group without closing ')'
    18:54 expression_type policy.capabilities.made.result
        `matches` takes a pattern written out as text
    19:74 expression_type policy.capabilities.macro.result
        `map` takes a name and what is asked of it, as in `list.map(item, item * 2)`
    20:66 expression_type policy.capabilities.over.result
        `exists` runs over a list or a map, not over a number
    21:58 expression_type policy.capabilities.has.result
        `has` takes one field, as in `has(context.model)`
    ");
}

#[test]
fn too_long_and_too_deep() {
    let overhead = |expression: String| json!({"credits": {"token": {"overhead": expression}}});
    let message = |expression: String| read_document_value(&overhead(expression), true).unwrap_err().to_string();
    let deep = |levels: usize| format!("{}units{}", "(".repeat(levels), ")".repeat(levels));
    insta::assert_snapshot!(message(format!("units{}", " + units".repeat(3000))), @"policy.credits.token.overhead: an expression has at most 16384 bytes (at 1:1 of it)");
    insta::assert_snapshot!(message(deep(96)), @"policy.credits.token.overhead: the expression is nested deeper than 96 levels (at 1:97 of it)");
    assert!(read_document_value(&overhead(deep(95)), true).is_ok());
    for (open, close) in
        [("-", ""), ("!", ""), ("[", "]"), ("{1: ", "}"), ("size(", ")"), ("1 + (", ")"), ("x ? 1 : ", "")]
    {
        let text = format!("{}units{}", open.repeat(2000), close.repeat(2000));
        assert!(message(text).contains("deeper than 96 levels"), "{open}");
    }
    assert!(message(format!("units{}", ".a".repeat(2000))).contains("deeper than 96 levels"));
}

/// The one problem of the text is where `oops` stands.
#[track_caller]
fn at_oops(text: &str, format: Format) {
    let (line, row) = (1..).zip(text.lines()).find(|(_, row)| row.contains("oops")).unwrap();
    let column = row.split("oops").next().unwrap().chars().count() + 1;
    let error = parse_document(text, format, true).unwrap_err();
    let [problem] = error.problems() else { panic!("{error}") };
    assert_eq!(problem.code, "expression_type", "{error}");
    let at = problem.at.unwrap();
    assert_eq!((at.line as usize, at.column as usize), (line, column), "{error}\n{text}");
}

#[test]
fn places_in_yaml() {
    let credit =
        |value: &str| format!("policy:\n  credits:\n    token:\n      overhead: {value}\n      overhead_cost: 1\n");
    let message =
        |value: &str| format!("policy:\n  notifications:\n    low:\n      message: {value}\n      once: ever\n");
    for value in [
        // As it is, on one line and on several.
        "units * oops",
        "units * 2.0 +\n        oops * 3.0",
        "units\n\n        * oops",
        // In single quotes, of which two stand for one.
        "'units * oops'",
        "'customer.id == \"it''s\" || customer.id == ''x'' ? units : oops'",
        "'units *\n        oops'",
        // In double quotes, with escapes.
        "\"units * oops\"",
        "\"customer.id == \\\"x\\\" ? units : oops\"",
        "\"customer.id == 'a\\\\\\\\b' ? units : oops\"",
        "\"units *\n        oops\"",
        // As a block that keeps its lines, or folds them.
        "|\n        units *\n        // a remark\n        oops",
        "|-\n\n        units *\n          oops\n",
        ">\n        units *\n        oops",
        ">-\n        units\n\n        *\n          oops",
        "|2\n        units * oops",
        // Beside a remark, a tag, an anchor.
        "units * oops # oops",
        "!!str units * oops",
        "&cost units * oops",
        // Beyond letters of one byte.
        "size('größe €') + oops",
    ] {
        at_oops(&credit(value), Format::Yaml);
    }
    for value in [
        "'{customer.label} has {oops}'",
        "\"{customer.label} has {oops}\"",
        "'{{not this}} {customer.label} {oops}'",
        "it's about {oops}",
        "|\n        Dear {customer.label},\n        {oops} is left.",
        ">\n        Dear {customer.label},\n        {remaining() + oops} is left.",
    ] {
        at_oops(&message(value), Format::Yaml);
    }
    at_oops("policy: {credits: {a: {overhead: units}, b: {overhead: units * oops}}}", Format::Yaml);
    at_oops("policy:\r\n  credits:\r\n    a:\r\n      overhead: units *\r\n        oops\r\n", Format::Yaml);
    at_oops("\u{feff}policy: {credits: {a: {overhead: units * oops}}}", Format::Yaml);
}

#[test]
fn places_in_json() {
    for value in [
        r#""units * oops""#,
        r#""customer.id == \"x\" ? units : oops""#,
        r#""customer.id == 'a\\\\b' ? units : oops""#,
        r#""customer.id == 'größe €' ? units : oops""#,
        r#""customer.id == 'a\/b' ? units : oops""#,
        r#""units *\n\t oops""#,
        r#""\u0075nits * oops""#,
    ] {
        at_oops(
            &format!("{{\"policy\": {{\n  \"credits\": {{\"token\": {{\"overhead\": {value}}}}}\n}}}}"),
            Format::Json,
        );
    }
}

#[test]
fn places_in_toml() {
    for value in [
        "\"units * oops\"",
        "'units * oops'",
        "\"customer.id == \\\"x\\\" ? units : oops\"",
        "'customer.id == \"x\" ? units : oops'",
        "\"\"\"\nunits *\n  oops\"\"\"",
        "\"\"\"units *\n  oops\"\"\"",
        "'''\nunits *\n  oops'''",
    ] {
        at_oops(&format!("[policy.credits.token]\noverhead_cost = 1\noverhead = {value}\n"), Format::Toml);
    }
}

/// Data without text has the place in the expression.
#[test]
fn places_in_data() {
    let error = read_document_value(&json!({"credits": {"token": {"overhead": "units *\n  oops"}}}), true).unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"policy.credits.token.overhead: unknown variable `oops` (at 2:3 of it); there is `units`, `context`, `data`, `customer`");
}

#[test]
fn numbers_and_truth_values_are_expressions() {
    let text = "policy:
  credits: {token: {overhead: 0.5}}
  notifications: {all: {on: meter-changed, when: true}}
  capabilities: {answer: {result: 42}, yes: {result: true}}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @"valid");
    insta::assert_snapshot!(problems("policy: {credits: {token: {overhead: true}}}", Format::Yaml), @r"
    1:38 expression_type policy.credits.token.overhead
        the result must be a number, but this is a boolean
    ");
    insta::assert_snapshot!(problems("policy: {credits: {token: {overhead: [1]}}}", Format::Yaml), @r"
    1:38 wrong_type policy.credits.token.overhead
        expected text, found a list
    ");
}

/// Of an expression the first mistake is told, beside everything else.
#[test]
fn one_problem_an_expression() {
    let text = "policy:
  credits: {token: {overhead: oops + ooops, overhead_cost: -1}}
  notifications: {low: {when: oops}, high: {message: \"{oops} {oops}\"}}
";
    insta::assert_snapshot!(problems(text, Format::Yaml), @r"
    2:31 expression_type policy.credits.token.overhead
        unknown variable `oops`
          there is `units`, `context`, `data`, `customer`
    2:60 negative_overhead policy.credits.token.overhead_cost
        `overhead_cost` is `-1`, but cannot be negative
    3:31 expression_type policy.notifications.low.when
        unknown variable `oops`
          there is `event`, `type`, `customer`, `plan`, `entitlement`
    3:56 expression_type policy.notifications.high.message
        unknown variable `oops`
          there is `event`, `type`, `customer`, `plan`, `entitlement`
    ");
}
