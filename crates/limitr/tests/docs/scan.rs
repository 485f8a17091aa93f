//! What the engine's source names: error codes and events.

use std::collections::BTreeSet;
use std::path::Path;

/// What a code follows.
const OPENERS: [&str; 8] = [
    ".report(",
    "Error::argument(",
    "Self::argument(",
    "Error::conflict(",
    "Error::new(ErrorKind::NotFound,",
    "text_problem(",
    ".not_negative(",
    "code: ",
];
/// What stands there instead where the code is handed on; those have been seen where they come from.
const HANDED_ON: [&str; 4] = ["code", "only.code", "mistake.code", "&'static"];
/// Statements that choose between codes.
const CHOICES: [(&str, &str); 2] = [("let code = ", ";"), ("let (code, message) = ", "\n        };")];

/// Every stable code of errors and problems, sorted.
pub(crate) fn codes() -> Vec<String> {
    let mut codes = BTreeSet::new();
    each_file("src", &mut |path, text| {
        for opener in OPENERS {
            for (at, _) in text.match_indices(opener) {
                let rest = text[at + opener.len()..].trim_start();
                if let Some(code) = literal(rest) {
                    codes.insert(code.to_owned());
                } else {
                    let end = rest.find([',', ')', ':', ' ']).unwrap_or(rest.len());
                    let name = &rest[..end];
                    assert!(HANDED_ON.contains(&name), "{path}: what code is `{opener}{name}`? Teach this scanner.");
                }
            }
        }
        for (start, end) in CHOICES {
            for (at, _) in text.match_indices(start) {
                let statement = text[at..].split(end).next().unwrap_or_default();
                codes.extend(literals(statement).filter(|name| is_name(name, '_')).map(str::to_owned));
            }
        }
    });
    codes.into_iter().collect()
}

/// The name of every event, sorted.
pub(crate) fn events() -> Vec<String> {
    let mut events = BTreeSet::new();
    each_file("src/engine", &mut |_, text| {
        // Ids that the engine gives to things of its own are constants.
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("const ")).collect();
        let text = lines.join("\n");
        events.extend(literals(&text).filter(|name| name.contains('-') && is_name(name, '-')).map(str::to_owned));
    });
    events.into_iter().collect()
}

/// The functions in the engine's tests, sorted.
pub(crate) fn test_functions() -> Vec<String> {
    let mut functions = BTreeSet::new();
    each_file("tests", &mut |_, text| {
        let names = text.lines().filter_map(|line| line.strip_prefix("fn ")?.split('(').next());
        functions.extend(names.map(str::to_owned));
    });
    functions.into_iter().collect()
}

/// Calls `visit` with every file below `folder`, without comments and tests.
fn each_file(folder: &str, visit: &mut dyn FnMut(&str, &str)) {
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{folder}/{}", path.file_name().unwrap().to_string_lossy());
        if path.is_dir() {
            each_file(&name, visit);
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let product = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
            let code: Vec<&str> = product.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            visit(&name, &code.join("\n"));
        }
    }
}

/// The literal that `text` starts with.
fn literal(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.split('"').next()
}

/// The literals of a text that has none with quotes in them that matter here.
fn literals(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('"').skip(1).step_by(2))
}

fn is_name(text: &str, joint: char) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == joint)
}
