//! What a hostile document could do: each is stopped within its budget, and with a reason.

use std::time::{Duration, Instant};

use limitr::policy::{Format, parse_document};
use limitr::{Limitr, ManualClock, SequentialIds, call};
use serde_json::json;

use super::{Heard, hear};

/// Functions, one a line. Each stands in a policy of its own and follows an event.
const FUNCTIONS: &str = include_str!("hostile.txt");

/// Far more than a function takes in a build that is not optimised, far less than a hang.
const LIMIT: Duration = Duration::from_secs(10);

fn document(function: &str) -> String {
    let data = "list: [[1], [2]], number: 1, object: {value: 1}, rows: [{value: 1}, {value: 2}]";
    let data = data.replace("list", "x-list").replace("number", "x-number").replace("object", "x-object");
    let data = data.replace("rows", "x-rows");
    let function = ["list", "number", "object", "rows"]
        .iter()
        .fold(function.to_owned(), |text, name| text.replace(&format!("self.{name}"), &format!("self.x-{name}")));
    let name = function.trim_start_matches("fn ").split('(').next().unwrap();
    format!(
        "policy: {{ plans: {{free: {{default: true}}}}, {data}\n    {function}\n    #[customer-set]\n    fn fate() -> map {{ return {{'is': self.{name}()}}; }}\n}}\n"
    )
}

/// What becomes of a function: why it is not read, why it fails, or what it returns.
fn fate(function: &str) -> String {
    let builder = Limitr::builder().clock(ManualClock::new(0)).ids(SequentialIds::default());
    let limitr = match builder.policy(&document(function), Format::Stof) {
        Ok(limitr) => limitr,
        Err(error) => {
            let problem = &error.problems()[0];
            return format!("{} at {}: {}", problem.code, problem.at.unwrap().column - 4, problem.message);
        }
    };
    let heard: Heard = hear(&limitr);
    call(&limitr, &json!({"create_customer": {"id": "ann"}})).unwrap();
    let policy = limitr.record();
    let events = std::mem::take(&mut *heard.lock().unwrap());
    let after = events.iter().skip(1).map(|(name, payload)| match name.as_str() {
        "logic-error" => format!("fails: {}", payload["message"].as_str().unwrap()),
        _ => format!("returns {}", payload["result"]["is"]),
    });
    let mut fate = after.collect::<Vec<_>>().join(", ");
    if let Some((end, _)) = fate.char_indices().nth(120) {
        fate.truncate(end);
        fate.push_str("...");
    }
    // Once more: nothing of the first call is left.
    call(&limitr, &json!({"set_customer_plan": {"customer": "ann", "plan": "x"}})).unwrap_or_default();
    assert_eq!(limitr.record(), policy, "{function}");
    if fate.is_empty() { "returns no event".to_owned() } else { fate }
}

#[test]
fn hostile_functions_are_stopped() {
    let mut fates = String::new();
    for function in FUNCTIONS.lines() {
        let start = Instant::now();
        let fate = fate(function);
        let took = start.elapsed();
        assert!(took < LIMIT, "{took:?}: {function}");
        fates += &format!("{}\n    {fate}\n", function.chars().take(110).collect::<String>());
    }
    insta::assert_snapshot!("hostile_functions", fates);
}

/// Neither reading nor running recurses with the text: a small stack is enough, as threads of other languages have.
#[test]
fn hostile_functions_need_little_stack() {
    const STACK: usize = 512 * 1024;
    let run = || {
        let nested = |open: &str, close: &str| format!("fn f() {{ {}1{} }}", open.repeat(23), close.repeat(23));
        let shapes = [
            nested("(", ")"),
            nested("[", "]"),
            nested("{'a': ", "}"),
            nested("f(", ")").replace("f(", "max("),
            nested("-", ""),
            nested("true ? 1 : ", ""),
            nested("1 ?? ", ""),
            nested("if (true) { ", "}").replace('1', "1;"),
            nested("`${", "}`"),
        ];
        for function in FUNCTIONS.lines().map(str::to_owned).chain(shapes) {
            fate(&function);
        }
    };
    std::thread::Builder::new().stack_size(STACK).spawn(run).unwrap().join().unwrap();
}

#[test]
fn hostile_documents_are_stopped() {
    let shapes: Vec<(&str, String)> = vec![
        ("lists", format!("a: {}{}", "[".repeat(200_000), "]".repeat(200_000))),
        ("lists that do not end", format!("a: {}", "[".repeat(60))),
        ("lists of an expression", format!("a: {}1+{}", "[".repeat(60), "]".repeat(60))),
        ("maps that do not end", "{a: ".repeat(200_000)),
        ("fields that do not end", format!("a: {}", "{a: ".repeat(200_000))),
        ("parentheses", format!("fn f() {{ {}1{}; }}", "(".repeat(100_000), ")".repeat(100_000))),
        ("parentheses that do not end", format!("fn f() {{ {}1", "(".repeat(20))),
        ("maps in a function", format!("fn f() {{ return {}1 + {}; }}", "{'a': ".repeat(20), "}".repeat(20))),
        ("lists in a function", format!("fn f() {{ return {}1 + {}; }}", "[".repeat(20), "]".repeat(20))),
        ("blocks", format!("fn f() {{ {}{} }}", "{".repeat(1000), "}".repeat(1000))),
        ("else", format!("fn f() {{ {}x + ;{} }}", "if (a) {} else { ".repeat(20), "}".repeat(20))),
        ("else if", format!("fn f() {{ {} }}", vec!["if (true) { 1; }"; 2000].join(" else "))),
        ("signs", format!("fn f() -> int {{ return {}1; }}", "-".repeat(5000))),
        ("negations", format!("fn f() -> int {{ return {}true; }}", "!".repeat(5000))),
        ("a sum", format!("fn f() -> int {{ return {}1; }}", "1 + ".repeat(20_000))),
        ("a long text", format!("fn f() -> str {{ return `{}`; }}", "${1}".repeat(20_000))),
        ("a chain", format!("fn f(a: obj) -> int {{ return a{}; }}", ".b()".repeat(20_000))),
        ("choices", format!("fn f() -> int {{ return {}1; }}", "null ?? ".repeat(5000))),
        ("templates", format!("fn f() -> str {{ return {}1{}; }}", "`${".repeat(60), "}`".repeat(60))),
        ("types", format!("fn f(x: {}int{}) {{}}", "(".repeat(100), ")".repeat(100))),
        ("switches", format!("fn f() {{ {} }}", "switch (1) { case 1: return; } ".repeat(5000))),
        ("attributes", format!("#[a({}{})] a: 1", "[".repeat(100), "]".repeat(100))),
        ("comments", "/*".repeat(100_000)),
        ("many comments", "/**/".repeat(100_000)),
        ("backslashes", format!("a: \"{}", "\\".repeat(1_000_001))),
        ("many functions", (0..2000).map(|n| format!("fn f{n}() {{}}\n")).collect()),
        ("a long function", format!("fn f() {{ {} }}", "let x = 1; ".repeat(100_000))),
        ("many functions beside many fields", {
            let functions: String = (0..900).map(|n| format!("fn g{n}() {{}} ")).collect();
            functions + &(0..300_000).map(|n| format!("f{n}: 1 ")).collect::<String>()
        }),
        (
            "a long name over everything",
            format!("\"{}\": {{ {} fn f() {{}} }}", "x".repeat(1_000_000), "a: {} ".repeat(1000)),
        ),
        ("a deep function", format!("{}fn f() {{}}{}", "a: {".repeat(60), "}".repeat(60))),
        ("many fields", (0..300_000).map(|n| format!("f{n}: 1 ")).collect()),
        ("a file", "import \"/etc/passwd\";".to_owned()),
        ("a file as text", "import text \"/etc/passwd\" as self.x;".to_owned()),
        ("a package", "import pkg \"http://localhost/x.pkg\" as self.x;".to_owned()),
        ("a call", "a: self.f()\nfn f() -> int { while (true) {} return 1; }".to_owned()),
        ("a call on loading", "#[init]\nfn f() { while (true) {} }\npolicy: {}".to_owned()),
        ("a block of data", "data@v1 |1,2,3,4,5,6,7,8,9,10,11,12|;".to_owned()),
        ("an unnamed block of data", "|1,2,3|".to_owned()),
        ("an object in itself", "a: {x: 1, me: self}".to_owned()),
        ("an object of another's id", "a: { (root) x: 1 }".to_owned()),
        ("another root", "root Other { a: 1 }".to_owned()),
        ("a set for an object", "a: {1, 2}\nb: 3".to_owned()),
        ("a set after a comment", "a: /* a set */ {}\n".to_owned()),
        ("a condition", "#[if(false)]\na: 1".to_owned()),
        ("an attribute that is run", "#[a(self.f())]\na: 1".to_owned()),
        ("a word in a name", "constant: 1".to_owned()),
        ("a name of letters", "é: 1".to_owned()),
        ("a unit there is not", "a: 5GBx".to_owned()),
        ("a unit of limitr only", "a: 1week".to_owned()),
        ("a value of another type", "MB a: 1GB".to_owned()),
        ("a function twice", "fn f() {}\nfn f() {}".to_owned()),
        ("a function and a field", "f: 1\nfn f() {}".to_owned()),
        ("an async function", "async fn f() {}".to_owned()),
        ("a version", "a: 1.2.3".to_owned()),
        ("a sum for a value", "a: 1 + 2".to_owned()),
        ("a method for a value", "a: 'x'.upper()".to_owned()),
        ("a cast", "a: 5 as str".to_owned()),
        ("an arrow", "a: (x: int): int => x".to_owned()),
        ("text that does not end", "a: 'x".to_owned()),
        ("an unknown escape", r#"a: "\d""#.to_owned()),
        ("more than the document", "{\"policy\": {}} x: 1".to_owned()),
    ];
    let mut fates = String::new();
    for (name, text) in shapes {
        let start = Instant::now();
        let fate = match parse_document(&text, Format::Stof, true) {
            Ok(_) => "is read".to_owned(),
            Err(error) => {
                let problem = &error.problems()[0];
                let at = problem.at.map_or("-".to_owned(), |at| format!("{}:{}", at.line, at.column));
                let hint = problem.hint.as_deref().map_or(String::new(), |hint| format!("; {hint}"));
                format!("{at} {} {}{hint}", problem.code, problem.message)
            }
        };
        let took = start.elapsed();
        assert!(took < LIMIT * 4, "{took:?}: {name}");
        fates += &format!("{name}\n    {fate}\n");
    }
    insta::assert_snapshot!("hostile_documents", fates);
}
