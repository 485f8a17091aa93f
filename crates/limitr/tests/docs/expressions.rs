//! The reference of the expression language: every expression on it has the result that stands beside it.

use serde_json::{Value, json};

use crate::pages::Page;
use crate::session::{Session, differences};

const PAGE: &str = "docs/reference/expressions.md";

/// The cells of a table's row.
fn cells(row: &str) -> Vec<String> {
    let row = row.replace("\\|", "\u{1}");
    let inner = row.trim().trim_start_matches('|').trim_end_matches('|');
    inner.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect()
}

/// Rows of the tables with this heading, each with its line.
fn rows(page: &Page, heading: &str) -> Vec<(usize, Vec<String>)> {
    let mut rows = Vec::new();
    let mut inside = false;
    for (number, line) in (1..).zip(page.text.lines()) {
        if line == heading {
            inside = true;
        } else if !line.starts_with('|') {
            inside = false;
        } else if inside && !line.starts_with("|---") {
            rows.push((number, cells(line)));
        }
    }
    rows
}

fn code(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`').filter(|inner| !inner.contains('`'))
}

#[test]
fn expressions_result_as_told() {
    let page = Page::read(PAGE);
    let session = Session::new(&page.policy());
    for operation in page.before("## ").operations() {
        session.run(&operation).unwrap();
    }
    let arguments: Value = serde_json::from_str(&page.blocks("json")[0].text).unwrap();
    let record = session.run(&json!({"record": {}})).unwrap();
    let rows = rows(&page, "| expression | result |");
    assert!(rows.len() > 70, "only {} expressions found", rows.len());
    let mut wrong = Vec::new();
    for (line, cells) in rows {
        let mut capabilities = record["policy"]["capabilities"].clone();
        if capabilities.is_null() {
            capabilities = record["capabilities"].clone();
        }
        capabilities["try"]["result"] = json!(code(&cells[0]).unwrap_or_else(|| panic!("{PAGE}:{line}: no code")));
        let run = json!({"run_capability": {"name": "try", "customer": "ann", "arguments": arguments}});
        let loaded = session.run(&json!({"set_capabilities": {"capabilities": capabilities}}));
        let came = loaded.and_then(|_| session.run(&run));
        let as_told = match (code(&cells[1]), &came) {
            (Some(told), Ok(came)) => {
                let told: Value = serde_json::from_str(told).unwrap_or_else(|error| panic!("{PAGE}:{line}: {error}"));
                differences(&told, came).is_empty() && told.is_string() == came.is_string()
            }
            (None, Err(error)) => error.contains(cells[1].as_str()),
            _ => false,
        };
        if !as_told {
            wrong.push(format!("{PAGE}:{line}: `{}` comes to {came:?}, not {}", cells[0], cells[1]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The bounds on the page are those of the engine.
#[test]
fn limits_are_as_told() {
    let page = Page::read(PAGE);
    let session = Session::new(&page.policy());
    let run = |result: String, arguments: Value| {
        let parameters = json!([{"name": "tags", "type": "array"}]);
        let capabilities = json!({"capabilities": {"try": {"parameters": parameters, "result": result}}});
        session.run(&json!({"set_capabilities": capabilities}))?;
        session.run(&json!({"run_capability": {"name": "try", "arguments": arguments}}))
    };
    let told = |what: &str, number: &str| {
        let row = rows(&page, "| what | at most | beyond |").into_iter().find(|(_, cells)| cells[0].contains(what));
        assert!(row.is_some_and(|(_, cells)| cells[1].contains(number)), "{what}: {number}");
    };
    told("length", "16,384 bytes");
    let long = |bytes: usize| format!("'{}'", "x".repeat(bytes - 2));
    assert!(run(long(16_384), Value::Null).is_ok());
    assert!(run(long(16_385), Value::Null).unwrap_err().contains("16384 bytes"));
    told("nesting", "96 levels");
    assert!(run(format!("1{}", " + 1".repeat(95)), Value::Null).is_ok());
    assert!(run(format!("1{}", " + 1".repeat(96)), Value::Null).unwrap_err().contains("96 levels"));
    told("pattern", "1,000 bytes");
    assert!(run(format!("'a'.matches('{}')", "x".repeat(1001)), Value::Null).unwrap_err().contains("1000 bytes"));
    told("one run", "50,000 steps");
    let list = |length: usize| json!({"tags": vec![1; length]});
    assert!(run("input.tags.map(x, x).size()".to_owned(), list(1000)).is_ok());
    let error = run("input.tags.map(x, input.tags.map(y, x)).size()".to_owned(), list(1000)).unwrap_err();
    assert!(error.contains("50000 steps"), "{error}");
}
