//! The page about Stof is true: its documents load, and its calls answer what it says.

use limitr::call;
use limitr::policy::Format;
use serde_json::Value;

use super::engine;

const PAGE: &str = include_str!("../../../../docs/reference/stof.md");

/// The blocks of a page: language and text.
fn blocks() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGE.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'))
}

#[test]
fn the_page_is_true() {
    let mut limitr = None;
    let mut answers = 0;
    for (language, text) in blocks() {
        match language {
            "stof" => limitr = Some(engine(text, Format::Stof)),
            "text" => {
                let (limitr, heard, _) = limitr.as_ref().expect("a document before its calls");
                let mut answer = Value::Null;
                let mut operation = String::new();
                for line in text.lines() {
                    if let Some(expected) = line.strip_prefix("= ") {
                        answers += 1;
                        assert_eq!(answer, serde_json::from_str::<Value>(expected).unwrap(), "{line}");
                    } else if let Some(expected) = line.strip_prefix("sends ") {
                        let names: Vec<String> =
                            std::mem::take(&mut *heard.lock().unwrap()).into_iter().map(|(name, _)| name).collect();
                        assert_eq!(names.join(", "), expected);
                    } else {
                        assert!(heard.lock().unwrap().is_empty(), "before {line}");
                        operation += line;
                        if let Ok(whole) = serde_json::from_str(&operation) {
                            answer = call(limitr, &whole).unwrap_or_else(|error| panic!("{operation}: {error}"));
                            operation.clear();
                        }
                    }
                }
            }
            _ => {}
        }
    }
    assert!(answers >= 5);
}

/// The table lists what can be called, and nothing else.
#[test]
fn the_page_lists_what_can_be_called() {
    let source = include_str!("../../src/logic/functions/callable.rs");
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once(" | "));
    let listed = |library: &str| {
        let row = rows
            .clone()
            .find(|(name, functions)| name.split('`').next() == Some(library) && functions.starts_with('`'));
        row.expect("a row").1.replace('`', "")
    };
    let mut libraries = 0;
    for part in source.split("    (").skip(1) {
        let names: Vec<&str> = part.split("];").next().unwrap().split('"').skip(1).step_by(2).collect();
        let Some((library, functions)) = names.split_first() else { continue };
        if functions.is_empty() {
            continue;
        }
        libraries += 1;
        assert_eq!(listed(library), functions.join(" "), "{library}");
    }
    assert_eq!(libraries, 8);
}
