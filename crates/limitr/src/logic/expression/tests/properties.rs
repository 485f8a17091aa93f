//! What holds of every expression.

use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::Value as Json;

use super::{Expression, FUNCTIONS, Office, Scope, Type, Unhosted, Value};

/// Compiles and runs `text` on any data; the places it names are in the text.
fn run(text: &str, data: &Json, known: &Json) {
    let variables = [("data", Type::Any), ("known", Type::of(known)), ("record", Type::Any)];
    let scope = Scope { variables: &variables, functions: FUNCTIONS };
    match Expression::compile(text, &scope, &Type::Any) {
        Ok(expression) => {
            let Some(value) = Value::of(data) else { return };
            let values = [value, Value::of(known).unwrap_or(Value::Null), Value::Record(data)];
            match expression.evaluate(&values, &Office) {
                Ok(value) => drop((value.to_json(), value.shown())),
                Err(fault) => assert!(fault.at <= text.len() && !fault.message.is_empty()),
            }
        }
        Err(mistake) => assert!(mistake.at <= text.len() && text.is_char_boundary(mistake.at), "{mistake:?}"),
    }
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        (-1000_i64..1000).prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "[a-c]{0,2}|.*".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let field = prop_oneof![Just("a".to_owned()), Just("b".to_owned()), "[a-d]{0,2}".prop_map(String::from)];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::vec((field, inner), 0..6).prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

/// Pieces of expressions in any order.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "1",
        "2.5",
        "0x1F",
        "1e5",
        "'a'",
        "\"b\"",
        "'''c'''",
        "r'\\'",
        "'\\x41'",
        "'\\",
        "true",
        "null",
        "in",
        "data",
        "known",
        "x",
        ".a",
        ".`a-b`",
        ".size()",
        ".map(x,",
        ".all(x,",
        ".exists(x,",
        "has(",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "?",
        "+",
        "-",
        "*",
        "/",
        "%",
        "!",
        "&&",
        "||",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "=",
        "&",
        " ",
        "\n",
        "//",
        "int(",
        "string(",
        "math.round(",
        "math.greatest(",
        ".matches('a+')",
        "refuse()",
        "é",
        "😀",
        "\0",
        "9223372036854775808",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Expressions that read well, whatever their types.
fn well_formed() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "data",
        "known",
        "record",
        "data.a",
        "data.b",
        "known.a",
        "record.a",
        "record.b.a",
        "data[0]",
        "1",
        "0",
        "-1",
        "2.5",
        "1e20",
        "9223372036854775807",
        "0.0000000000000000000000000001",
        "''",
        "'a'",
        "'b'",
        "true",
        "false",
        "null",
        "[]",
        "{}",
        "[1, 2.5, 'a', null]",
        "{'a': 1, 'b': [2]}",
        "{1: 2, true: 3}",
        "int",
        "x",
        "y",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 16, 3, |inner| {
        let operator =
            prop::sample::select(vec!["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||"]);
        let function = prop::sample::select(vec![
            "size",
            "string",
            "int",
            "double",
            "bool",
            "dyn",
            "type",
            "math.ceil",
            "math.floor",
            "math.round",
            "math.trunc",
            "math.abs",
            "math.greatest",
            "math.least",
            "-",
            "!",
            "double_of",
        ]);
        let method = prop::sample::select(vec!["contains", "startsWith", "endsWith"]);
        let run = prop::sample::select(vec!["all", "exists", "exists_one", "filter", "map"]);
        let variable = prop::sample::select(vec!["x", "y"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(one, is, two)| format!("(dyn({one}) {is} dyn({two}))")),
            // Few pairs can be added; any two can be compared, and one that is wrong be passed over.
            (inner.clone(), inner.clone()).prop_map(|(one, two)| format!("(dyn({one}) == dyn({two}))")),
            (inner.clone(), inner.clone()).prop_map(|(one, two)| format!("(dyn({one}) in [1, {two}] || true)")),
            (function, inner.clone()).prop_map(|(name, one)| format!("{name}(dyn({one}))")),
            (inner.clone(), method, inner.clone())
                .prop_map(|(one, name, two)| format!("dyn({one}).{name}(dyn({two}))")),
            (inner.clone(), run, variable, inner.clone())
                .prop_map(|(one, name, item, two)| format!("dyn({one}).{name}({item}, dyn({two}))")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(one, two, three)| format!("(type({one}) == type({two}) ? {two} : {three})")),
            (inner.clone(), inner.clone()).prop_map(|(one, two)| format!("dyn({one})[dyn({two})]")),
            (inner.clone(), inner.clone()).prop_map(|(one, two)| format!("[{one}, {two}]")),
            (inner.clone(), inner.clone()).prop_map(|(one, two)| format!("{{dyn({one}): {two}}}")),
            inner.clone().prop_map(|one| format!("has(dyn({one}).a)")),
            inner.clone().prop_map(|one| format!("dyn({one}).matches('^(a|b)*$')")),
        ]
    })
    // So that most of them have all their names.
    .prop_map(|text| format!("[1, data].map(x, ['a', known].map(y, {text}))"))
}

/// Arithmetic with its result, worked out as plainly as can be.
#[derive(Debug, Clone)]
enum Sum {
    Number(String),
    Negated(Box<Sum>),
    Of(char, Box<Sum>, Box<Sum>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Whole(i64),
    Decimal(Decimal),
}

impl Sum {
    fn tightness(&self) -> u8 {
        match self {
            Self::Of('+' | '-', ..) => 0,
            Self::Of(..) => 1,
            Self::Negated(_) => 2,
            Self::Number(_) => 3,
        }
    }

    /// With no bracket more than it takes.
    fn written(&self) -> String {
        let within = |sum: &Self, least: u8| {
            if sum.tightness() < least { format!("({})", sum.written()) } else { sum.written() }
        };
        match self {
            Self::Number(digits) => digits.clone(),
            Self::Negated(sum) => format!("-{}", within(sum, 2)),
            Self::Of(operator, one, two) => {
                let here = self.tightness();
                format!("{} {operator} {}", within(one, here), within(two, here + 1))
            }
        }
    }

    /// None for a fault.
    fn result(&self) -> Option<Number> {
        let decimal = |number| match number {
            Number::Whole(whole) => Decimal::from(whole),
            Number::Decimal(decimal) => decimal,
        };
        let whole = |result: i128| i64::try_from(result).ok().map(Number::Whole);
        match self {
            Self::Number(digits) => Some(match digits.parse() {
                Ok(number) => Number::Whole(number),
                Err(_) => Number::Decimal(digits.parse().ok()?),
            }),
            Self::Negated(sum) => match sum.result()? {
                Number::Whole(number) => whole(-i128::from(number)),
                Number::Decimal(number) => Some(Number::Decimal(-number)),
            },
            Self::Of(operator, one, two) => match (one.result()?, two.result()?) {
                (Number::Whole(one), Number::Whole(two)) => {
                    let (one, two) = (i128::from(one), i128::from(two));
                    whole(match operator {
                        '+' => one + two,
                        '-' => one - two,
                        '*' => one * two,
                        '/' => one.checked_div(two)?,
                        _ => {
                            // What is left of a division that itself is out of range is out of range too.
                            whole(one.checked_div(two)?)?;
                            one % two
                        }
                    })
                }
                (one, two) => {
                    let (one, two) = (decimal(one), decimal(two));
                    let result = match operator {
                        '+' => one.checked_add(two),
                        '-' => one.checked_sub(two),
                        '*' => one.checked_mul(two),
                        '/' => one.checked_div(two),
                        _ => one.checked_rem(two),
                    };
                    result.map(Number::Decimal)
                }
            },
        }
    }
}

fn sums() -> impl Strategy<Value = Sum> {
    let number = prop_oneof![
        (0_i64..20).prop_map(|whole| whole.to_string()),
        (0..=i64::MAX).prop_map(|whole| whole.to_string()),
        (0_u32..2000, 1_u32..6).prop_map(|(digits, places)| Decimal::new(digits.into(), places).to_string()),
        (any::<u64>(), 0_u32..28).prop_map(|(digits, places)| {
            let number = Decimal::from_i128_with_scale(digits.into(), places).to_string();
            if number.contains('.') { number } else { number + ".0" }
        }),
        Just("9223372036854775807".to_owned()),
        Just("79228162514264337593543950335.0".to_owned()),
        Just("0.0000000000000000000000000001".to_owned()),
    ];
    number.prop_map(Sum::Number).prop_recursive(6, 40, 2, |inner| {
        prop_oneof![
            1 => inner.clone().prop_map(|sum| Sum::Negated(Box::new(sum))),
            5 => (prop::sample::select(vec!['+', '-', '*', '/', '%']), inner.clone(), inner)
                .prop_map(|(operator, one, two)| Sum::Of(operator, Box::new(one), Box::new(two))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in ".*", data in json()) {
        run(&text, &data, &Json::Null);
    }

    #[test]
    fn any_pieces_are_answered(text in soup(), data in json()) {
        run(&text, &data, &data);
    }

    #[test]
    fn what_compiles_runs_on_any_data(text in well_formed(), data in json(), known in json()) {
        run(&text, &data, &known);
    }

    #[test]
    fn any_pattern_is_answered(pattern in "[ab.*+?(){}|^$\\[\\]0-9,\\\\dw-]{0,30}", text in "[ab0]{0,200}") {
        run(&format!("data.matches(r'{pattern}')"), &Json::from(text), &Json::Null);
    }

    #[test]
    fn arithmetic_is_exact(sum in sums()) {
        let text = sum.written();
        let scope = Scope { variables: &[], functions: &[] };
        let expression = Expression::compile(&text, &scope, &Type::Double).unwrap();
        let got = match expression.evaluate(&[], &Unhosted) {
            Ok(Value::Int(whole)) => Some(Number::Whole(whole)),
            Ok(Value::Double(amount)) => Some(Number::Decimal(amount.decimal())),
            Ok(other) => panic!("{text} is {other:?}"),
            Err(_) => None,
        };
        prop_assert_eq!(got, sum.result(), "{}", text);
    }

    #[test]
    fn data_equals_its_copy(data in json(), other in json()) {
        let variables = [("one", Type::Any), ("two", Type::Any), ("copy", Type::Any)];
        let scope = Scope { variables: &variables, functions: &[] };
        let ask = |text: &str| {
            let (Some(one), Some(two), Some(copy)) = (Value::of(&data), Value::of(&other), Value::owned(data.clone())) else {
                return true;
            };
            let expression = Expression::compile(text, &scope, &Type::Bool).unwrap();
            matches!(expression.evaluate(&[one, two, copy], &Unhosted), Ok(Value::Bool(true)))
        };
        prop_assert!(ask("one == copy && copy == one && [one] == [copy] && one in [copy]"));
        prop_assert!(ask("(one == two) == (two == one) && (one != two) == !(one == two)"));
        prop_assert_eq!(ask("one == two"), ask("copy == two"));
    }
}
