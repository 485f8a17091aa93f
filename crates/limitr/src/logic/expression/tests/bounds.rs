//! Expressions that would take all there is of time, memory or stack.

use super::{Expression, Scope, Type, Unhosted, Value, outcome};
use serde_json::{Value as Json, json};

const SPENT: &str = "the expression takes more than 50000 steps";

fn list(items: usize) -> String {
    format!("[{}]", (0..items).map(|item| item.to_string()).collect::<Vec<_>>().join(", "))
}

/// What comes of an expression on `data`.
fn on(data: &Json, text: &str) -> String {
    let variables = [("data", Type::Any), ("known", Type::of(data))];
    let expression = Expression::compile(text, &Scope { variables: &variables, functions: &[] }, &Type::Any).unwrap();
    match expression.evaluate(&[Value::of(data).unwrap(), Value::of(data).unwrap()], &Unhosted) {
        Ok(value) => value.shown(),
        Err(fault) => fault.message,
    }
}

#[test]
fn nesting_is_bounded_before_the_stack_is() {
    const LEVELS: usize = 10_000;
    let deep = |text: &str, levels: usize| {
        let text = text.replace("..", "");
        text.repeat(levels)
    };
    for (open, inner, close) in [
        ("(", "1", ")"),
        ("[", "", "]"),
        ("-", "1", ""),
        ("!", "true", ""),
        ("-(", "1", ")"),
        ("{1:", "1", "}"),
        ("string(", "1", ")"),
        ("[1][", "0", "]"),
        ("[1].map(x,", "x", ")"),
        ("true?1:", "1", ""),
        ("(true?", "1", ":1)"),
        ("", "data", ".a"),
        ("", "data", "[0]"),
        ("", "[1]", ".map(x,x)"),
        ("", "1", "+1"),
        ("", "true", "||true"),
        ("1+1*", "1", ""),
        ("true||true&&1==1+1*-(", "1", ")"),
    ] {
        for levels in [97, LEVELS] {
            let text = format!("{}{inner}{}", deep(open, levels), deep(close, levels));
            let got = outcome(&text);
            let long = got == "mistake at 0: an expression has at most 16384 bytes";
            let wanted = if text.len() > 16 * 1024 {
                long
            } else {
                got.ends_with("the expression is nested deeper than 96 levels")
            };
            assert!(wanted, "{levels} of {open}{inner}{close}: {got}");
        }
        // Cut off, it is too deep all the same.
        let open_only = deep(open, LEVELS).chars().take(16_000).collect::<String>();
        assert!(open.is_empty() || outcome(&open_only).ends_with("levels"), "{open}");
    }
}

#[test]
fn what_people_write_is_within_bounds() {
    for (text, wanted) in [
        ("(".repeat(90) + "1" + &")".repeat(90), "1"),
        ("1".to_owned() + &" + 1".repeat(90), "91"),
        ("false || ".repeat(90) + "true", "true"),
        ("false ? 0 : ".repeat(90) + "1", "1"),
        (format!("size({})", list(2000)), "2000"),
        (format!("{}[4]", list(2000)), "4"),
        (format!("4 in {}", list(2000)), "true"),
        (format!("{}.map(x, x * 2).filter(x, x > 10).size()", list(1000)), "994"),
        (format!("{{{}}}.k700", (0..1000).map(|key| format!("'k{key}': {key}")).collect::<Vec<_>>().join(", ")), "700"),
    ] {
        assert_eq!(outcome(&text), wanted, "{text:.60}");
    }
}

#[test]
fn comprehensions_run_out_of_steps() {
    for kind in ["all", "exists", "map", "filter", "exists_one"] {
        for depth in [4, 8, 30] {
            // Nothing is decided before the last item.
            let mut text = if kind == "exists" { "false" } else { "true" }.to_owned();
            for level in 0..depth {
                text = format!("{}.{kind}(x{level}, {text})", list(20));
                if matches!(kind, "filter" | "map") {
                    text += ".size() > 0";
                }
            }
            assert!(outcome(&text).ends_with(SPENT), "{depth} of {kind}");
        }
    }
    // Faults that may still be absorbed do not go on once nothing is left.
    assert!(outcome(&format!("{0}.exists(x, {0}.exists(y, {0}.exists(z, 1 / 0 == z)))", list(100))).ends_with(SPENT));
}

#[test]
fn text_and_lists_do_not_double_for_ever() {
    let doubled = |start: &str, times: usize| format!("[{start}]{}[0].size()", ".map(x, x + x)".repeat(times));
    assert_eq!(outcome(&doubled("'ab'", 15)), "65536");
    assert!(outcome(&doubled("'ab'", 60)).ends_with(SPENT));
    assert_eq!(outcome(&doubled("[1, 2]", 10)), "2048");
    assert!(outcome(&doubled("[1, 2]", 60)).ends_with(SPENT));
    // Ten of ten of ten: cheap to make, impossible to write out.
    let shared = |levels: usize| format!("[1]{}", ".map(x, [x, x, x, x, x, x, x, x, x, x])".repeat(levels));
    assert!(outcome(&format!("{}.size()", shared(20))).ends_with('1'));
    for text in [shared(20), format!("{0} == {0}", shared(20)), format!("{{'a': {}}}", shared(20))] {
        assert!(outcome(&text).ends_with(SPENT));
    }
}

#[test]
fn data_is_charged_for() {
    let data = json!({
        "long": "a".repeat(1 << 20), "same": "a".repeat(1 << 20), "digits": "1".repeat(1 << 20),
        "many": vec![1; 100_000], "some": vec![1; 1000], "map": (0..2000).map(|key| (key.to_string(), json!(key))).collect::<serde_json::Map<_, _>>(),
    });
    for text in [
        "data.many.map(x, x)",
        "data.many == data.many",
        "data.many + data.many",
        "2 in data.many",
        "data.many",
        "data.long",
        "data.map == data.map",
        "math.greatest(data.many)",
        "data.some.map(x, data.long).size() > 0 && data.long == data.same",
        "data.long < data.same",
        "data.long + data.same",
        "data.long.size()",
        "data.long.contains('b')",
        "data.long.matches('(a+)+b')",
        "data[data.long]",
        "data.long in data",
        "data.some.map(x, data.some)",
        "data.some.all(x, !(2 in data.some))",
    ] {
        assert_eq!(on(&data, text), SPENT, "{text}");
    }
    assert_eq!(on(&data, "int(data.digits)"), "this text is no whole number");
    assert_eq!(on(&data, "double(data.digits)"), "this text is no number");
    assert_eq!(on(&data, "data.many.size() + data.many[99999] + data.map['1999']"), "102000");
    assert_eq!(on(&data, "known.many.size() + known.map['1999']"), "101999");
    assert_eq!(on(&data, "data.many.size() > 10 || data.long == ''"), "true");
}

#[test]
fn patterns_are_charged_for_by_size_and_text() {
    let data = json!({"short": "a".repeat(20), "line": "a".repeat(1000), "long": "a".repeat(20_000)});
    for (text, pattern, wanted) in [
        ("short", "(a+)+$", "true"),
        ("short", "^gpt-4", "false"),
        ("line", "(a+)+$", "true"),
        ("line", "(a|aa|a*)*b", "false"),
        ("long", "^a", "true"),
        ("long", "(a|b|c|aa|bb|cc|aaa|bbb|ccc)*z", SPENT),
        ("long", "a{100}b", SPENT),
        ("line", "a{200}b", "false"),
        ("short", "a{200}b", "false"),
        ("line", "((a?){10}){9}b", SPENT),
    ] {
        assert_eq!(on(&data, &format!("data.{text}.matches('{pattern}')")), wanted, "{pattern}");
    }
    for (pattern, wanted) in [
        ("a{1000}{1000}", "this is no pattern: compiled regex exceeded size limit"),
        ("(((a{50}){50}){50}){50}", "this is no pattern: compiled regex exceeded size limit"),
        (&*format!("{}a{}", "(".repeat(40), ")".repeat(40)), "this is no pattern: pattern has too much nesting"),
        (&*"a".repeat(1001), "a pattern has at most 1000 bytes"),
    ] {
        assert_eq!(outcome(&format!("'a'.matches('{pattern}')")), format!("mistake at 12: {wanted}"));
    }
}

#[test]
fn large_tables_are_checked_quickly() {
    // Rows that have nothing in common: what any of them may be is worked out once, and given up when it grows.
    let rows =
        (0..3000).map(|row| (format!("m{row}"), json!({format!("f{row}"): row}))).collect::<serde_json::Map<_, _>>();
    let variables = [("known", Type::of(&rows.into()))];
    let text = format!("[{}]", "known[string(1)].f1, ".repeat(700));
    let scope = Scope { variables: &variables, functions: &[] };
    assert!(Expression::compile(&text, &scope, &Type::Any).is_ok());
    // Few and alike, they are known.
    let rows = json!({"a": {"in": 1}, "b": {"in": 2, "out": 3}});
    let variables = [("known", Type::of(&rows))];
    let scope = Scope { variables: &variables, functions: &[] };
    let mistake = Expression::compile("known[string(1)].inn", &scope, &Type::Any).unwrap_err();
    assert_eq!((mistake.at, &*mistake.message), (17, "no field `inn`"));
}

#[test]
fn functions_of_the_host_are_charged_for() {
    assert!(outcome(&format!("{}.map(x, double_of(x)).size()", list(1000))).ends_with(SPENT));
    assert_eq!(outcome(&format!("{}.map(x, double_of(x)).size()", list(300))), "300");
}
