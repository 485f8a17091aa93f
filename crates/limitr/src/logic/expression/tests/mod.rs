//! Tables of expressions and what comes of them: a value as it would be written, `mistake at 3: ..` or `fault at 3: ..`.

mod bounds;
mod language;
mod mistakes;
mod properties;
mod standard;

use std::fmt::Write as _;
use std::sync::LazyLock;

use serde_json::{Value as Json, json};

use super::*;

/// What the expressions of the tables are run on, besides what each brings itself.
static CONTEXT: LazyLock<Json> = LazyLock::new(|| {
    json!({
        "model": "opus", "tokens": 1200, "ratio": 0.1, "none": null, "yes": true, "empty": {}, "huge": 1e300,
        "list": [1, 2.5, "three", null, [4]], "numbers": [3, 1, 2], "tags": ["a", "b"], "a-b": 7,
        "nested": {"deep": {"er": "here"}}, "copy": {"deep": {"er": "here"}}, "big": 12345678901234567_u64,
    })
});

static RATES: LazyLock<Json> = LazyLock::new(|| {
    json!({
        "opus": {"in": 15, "out": 75.5}, "haiku": {"in": 0.25, "out": 1.25, "batch": 0.5},
        "tiers": [1, 10, 100], "names": ["x", "y"], "note": "of today",
    })
});

/// A record that knows its fields only when asked.
#[derive(Debug)]
struct Customer;

impl Record for Customer {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "id" => "ada".into(),
            "metadata" => Value::owned(json!({"seats": 5}))?,
            "twin" => Value::Record(&Self),
            _ => return None,
        })
    }

    fn to_json(&self) -> Json {
        json!({"id": "ada", "metadata": {"seats": 5}})
    }
}

/// Functions of the host: one that answers, one that cannot.
#[derive(Debug)]
struct Office;

static FUNCTIONS: &[Function] = &[
    Function { name: "double_of", parameters: &[Type::Double], result: Type::Double },
    Function { name: "refuse", parameters: &[], result: Type::Any },
];

impl Host for Office {
    fn call<'a>(&self, index: usize, arguments: &[Value<'a>]) -> Result<Value<'a>, String> {
        match (index, arguments.first().and_then(Value::amount)) {
            (0, Some(amount)) => amount.checked_add(amount).map(Value::Double).ok_or_else(|| "too much".to_owned()),
            _ => Err("the office is closed".to_owned()),
        }
    }
}

fn variables() -> Vec<(&'static str, Type)> {
    let customer = Type::shape([("id", Type::Text), ("metadata", Type::Any), ("twin", Type::Any)]);
    vec![("context", Type::Any), ("rates", Type::of(&RATES)), ("units", Type::Double), ("customer", customer)]
}

fn compiled(text: &str) -> Result<Expression, Mistake> {
    Expression::compile(text, &Scope { variables: &variables(), functions: FUNCTIONS }, &Type::Any)
}

fn values() -> [Value<'static>; 4] {
    let json = |data: &'static Json| Value::of(data).unwrap();
    [json(&CONTEXT), json(&RATES), Value::Double("2.5".parse().unwrap()), Value::Record(&Customer)]
}

/// What comes of an expression.
fn outcome(text: &str) -> String {
    match compiled(text) {
        Ok(expression) => match expression.evaluate(&values(), &Office) {
            Ok(value) => written(&value),
            Err(Fault { at, message }) => format!("fault at {at}: {message}"),
        },
        Err(Mistake { at, message, hint, .. }) => {
            let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("mistake at {at}: {message}{hint}")
        }
    }
}

/// A value as an expression would have it: a whole decimal ends in `.0`.
fn written(value: &Value<'_>) -> String {
    let listed = |items: Vec<String>| items.join(", ");
    match value {
        Value::Null => "null".to_owned(),
        Value::Int(value) => value.to_string(),
        Value::Double(amount) => {
            let digits = amount.to_string();
            if digits.contains('.') { digits } else { digits + ".0" }
        }
        Value::Text(text) => format!("{:?}", &**text),
        Value::List(items) => format!("[{}]", listed(items.iter().map(written).collect())),
        Value::Map(entries) => {
            let entry = |(key, value): &(_, _)| format!("{}: {}", written(key), written(value));
            format!("{{{}}}", listed(entries.iter().map(entry).collect()))
        }
        Value::Type(name) => (*name).to_owned(),
        Value::Bool(_) | Value::Json(_) | Value::Record(_) => value.to_json().to_string(),
    }
}

/// Compares a whole table, so that one look shows all that is wrong.
#[track_caller]
fn agree(table: &[(&str, &str)]) {
    let mut wrong = String::new();
    for (text, wanted) in table {
        let got = outcome(text);
        if got != *wanted {
            write!(wrong, "\n  {text}\n    wanted {wanted}\n    got    {got}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Expressions that are all true.
#[track_caller]
fn hold(table: &[&str]) {
    agree(&table.iter().map(|text| (*text, "true")).collect::<Vec<_>>());
}

#[test]
fn a_result_is_what_is_wanted() {
    let compile = |text: &str, wanted: &Type| {
        let scope = Scope { variables: &variables(), functions: FUNCTIONS };
        Expression::compile(text, &scope, wanted).map(|expression| expression.text().to_owned())
    };
    assert_eq!(compile("units > 1", &Type::Bool), Ok("units > 1".to_owned()));
    for number in ["1", "1.5", "context.tokens", "rates.opus.in * units", "math.abs(-1)"] {
        assert!(compile(number, &Type::Double).is_ok(), "{number}");
    }
    let mistake = compile("1 + units", &Type::Bool).unwrap_err();
    assert_eq!((mistake.code, mistake.at), ("expression_type", 2));
    assert_eq!(mistake.message, "the result must be a boolean, but this is a number");
    for (text, wanted, found) in [
        ("units > 1 ? 'a' : 'b'", Type::Double, "a number, but this is text"),
        ("[1]", Type::Text, "text, but this is a list"),
        ("null", Type::Double, "a number, but this is null"),
        ("rates.opus", Type::list(Type::Any), "a list, but this is a map"),
        ("type(1)", Type::Text, "text, but this is a type"),
    ] {
        assert_eq!(compile(text, &wanted).unwrap_err().message, format!("the result must be {found}"));
    }
    assert_eq!(compile("1 +", &Type::Any).unwrap_err().code, "expression_syntax");
}

#[test]
fn results_as_data_and_as_text() {
    for (text, data, shown) in [
        ("null", json!(null), ""),
        ("1", json!(1), "1"),
        ("2.50", json!(2.5), "2.5"),
        ("1.0 / 3", json!(0.333_333_333_333_333_3), "0.3333333333333333333333333333"),
        ("'a\"b'", json!("a\"b"), "a\"b"),
        ("[1, 'a', null]", json!([1, "a", null]), "[1,\"a\",null]"),
        ("{'a': [true], 1: 2.5}", json!({"a": [true], "1": 2.5}), "{\"a\":[true],\"1\":2.5}"),
        ("context.nested", json!({"deep": {"er": "here"}}), "{\"deep\":{\"er\":\"here\"}}"),
        ("customer", json!({"id": "ada", "metadata": {"seats": 5}}), "{\"id\":\"ada\",\"metadata\":{\"seats\":5}}"),
        ("type(1)", json!("int"), "int"),
        ("context.big", json!(12_345_678_901_234_567.0), "12345678901234567"),
    ] {
        let expression = compiled(text).unwrap();
        let value = expression.evaluate(&values(), &Unhosted).unwrap();
        assert_eq!((value.to_json(), value.shown()), (data, shown.to_owned()), "{text}");
    }
}
