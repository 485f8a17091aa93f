//! The pages are true: their policies load, their calls do what the text says, and every denial, error code and event has
//! its heading.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

#[path = "docs/codes.rs"]
mod codes;
#[path = "docs/expressions.rs"]
mod expressions;
#[path = "docs/guide.rs"]
mod guide;
#[path = "docs/pages.rs"]
mod pages;
#[path = "../examples/quick_start.rs"]
#[allow(dead_code)]
mod quick_start;
#[path = "docs/scan.rs"]
mod scan;
#[path = "docs/session.rs"]
mod session;

use limitr::Denial;
use limitr::policy::{Format, parse, parse_document};
use pages::Page;
use serde_json::{Value, json};
use session::{Session, differences};

/// A block that holds a policy: the whole of a document, or a scenario.
fn holds_policy(text: &str) -> bool {
    text.lines().any(|line| line == "policy:" || line.starts_with("policy: "))
}

#[test]
fn every_policy_loads() {
    let mut count = 0;
    for page in pages::all() {
        for block in page.blocks("yaml").into_iter().filter(|block| holds_policy(&block.text)) {
            count += 1;
            let scenario = block.text.lines().any(|line| line.starts_with("steps:"));
            let place = format!("{}:{}", page.path, block.line);
            if scenario {
                let scenario = parse(&block.text, Format::Yaml).unwrap_or_else(|problem| panic!("{place}: {problem}"));
                session::run_scenario(&scenario.to_json()).unwrap_or_else(|failure| panic!("{place}: {failure}"));
            } else if let Err(error) = parse_document(&block.text, Format::Yaml, true) {
                panic!("{place}: {error}");
            }
        }
    }
    assert!(count >= 10, "only {count} policies found");
}

#[test]
fn the_readme_shows_the_example_policy() {
    let page = Page::read("README.md");
    let example = include_str!("../examples/policy.yaml");
    assert_eq!(page.blocks("yaml")[0].text, example);
}

/// What `cargo run --example quick_start` prints.
const QUICK_START: &str = "\
# A hard limit: 10000 tokens a day
ann asks for 4000: allowed, 6000 left
ann asks for 5000: allowed, 1000 left
ann asks for 3000: denied (limit), 1000 left, try again in 24 h
ann asks for 3000: allowed, 7000 left
# A soft limit: 2000000 tokens a month, then 0.00002 a token
acme asks for 1999000: allowed, 1000 left
acme asks for 6000: allowed, 5000 to bill
# A feature of the plan
ann may export: false
acme may export: true
# What to bill
meter-overage: 5000 units, 0.1 runes, \"acme\"
";

#[test]
fn the_quick_start_says_what_it_should() {
    let mut out = Vec::new();
    quick_start::run(&mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), QUICK_START);
}

/// The names of all denials in order of precedence. Serde lists every variant of an enum in what it says about one it does
/// not know, so a new variant is here by itself; a `match` on a `#[non_exhaustive]` enum would let it slip.
fn denials() -> Vec<String> {
    let error = serde_json::from_value::<Denial>(json!("?")).unwrap_err().to_string();
    let names: Vec<String> = error.split('`').skip(3).step_by(2).map(str::to_owned).collect();
    for name in &names {
        let denial: Denial = serde_json::from_value(json!(name)).unwrap();
        assert_eq!(denial.name(), name);
    }
    names
}

#[test]
fn every_denial_has_its_place() {
    let page = Page::read("docs/reference/denials.md");
    let headings: Vec<String> = page.sections("## ").into_iter().map(|section| section.heading).collect();
    assert_eq!(headings, denials());
}

/// Each section of the page makes calls, of which the last is denied for the reason that is its heading.
#[test]
fn denials_happen_as_told() {
    let page = Page::read("docs/reference/denials.md");
    let session = Session::new(&page.policy());
    for section in page.sections("## ") {
        let place = format!("{} `{}`", page.path, section.heading);
        let mut operations = section.operations();
        if section.heading == Denial::Disconnected.name() {
            assert!(operations.is_empty(), "{place}: the engine never says it");
            continue;
        }
        let denied = operations.pop().unwrap_or_else(|| panic!("{place}: no call"));
        for operation in operations {
            session.run(&operation).unwrap_or_else(|error| panic!("{place}: {operation}: {error}"));
        }
        let explained = session.run(&json!({"explain": denied["allow"]})).unwrap();
        assert_eq!(explained["reason"], json!(section.heading), "{place}");
        let before = session.customers();
        session.take_events();
        assert_eq!(session.run(&denied).unwrap(), json!(false), "{place}");
        let event = session.take_events().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let told = section.line("Event: ").trim_end_matches('.');
        let sent = if event.is_empty() { "none".to_owned() } else { format!("`{}`", event.join("`, `")) };
        assert_eq!(told, sent, "{place}");
        if section.line("Changed: ") == "nothing." {
            assert_eq!(session.customers(), before, "{place}");
        }
    }
}

#[test]
fn every_code_has_its_place() {
    let page = Page::read("docs/reference/errors.md");
    let mut told: Vec<String> = page.sections("### ").into_iter().map(|section| section.heading).collect();
    told.sort();
    let twice = told.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None, "a code has two headings");
    assert_eq!(told, scan::codes());
}

/// The message on the page is the one the engine gives.
#[test]
fn codes_read_as_told() {
    let page = Page::read("docs/reference/errors.md");
    let sections = page.sections("### ");
    let mut wrong = Vec::new();
    for (code, message) in codes::examples() {
        let section = sections.iter().find(|section| section.heading == code);
        let told = section.and_then(|section| section.block("text")).unwrap_or_default();
        if told.trim_end() != message {
            wrong.push(format!("### `{code}`\n```text\n{message}\n```"));
        }
    }
    assert!(wrong.is_empty(), "{} should read\n{}", page.path, wrong.join("\n"));
    let examples: Vec<&str> = codes::examples().into_iter().map(|(code, _)| code).collect();
    for code in scan::codes() {
        assert!(examples.contains(&&*code) || codes::ELSEWHERE.contains(&&*code), "no example of `{code}`");
    }
}

#[test]
fn every_event_has_its_place() {
    let page = Page::read("docs/reference/events.md");
    let mut told: Vec<String> = page.sections("### ").into_iter().map(|section| section.heading).collect();
    told.sort();
    assert_eq!(told, scan::events());
}

/// The page is one story: what its calls send is what it shows.
#[test]
fn events_happen_as_told() {
    let page = Page::read("docs/reference/events.md");
    let session = Session::new(&page.policy());
    let mut wrong = Vec::new();
    for operation in page.before("### ").operations() {
        session.run(&operation).unwrap();
    }
    for section in page.sections("### ") {
        session.take_events();
        for operation in section.operations() {
            session.run(&operation).unwrap_or_else(|error| panic!("`{}`: {operation}: {error}", section.heading));
        }
        let events = session.take_events();
        let Some((_, came)) = events.iter().find(|(name, _)| *name == section.heading) else {
            panic!("`{}` is not sent, but {:?}", section.heading, events);
        };
        let told: Value = serde_json::from_str(&section.block("json").unwrap_or_default()).unwrap_or_default();
        if told != *came {
            wrong.push(format!("### `{}`\n{}\n{}", section.heading, differences(&told, came).join("\n"), came));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// A section for a folder names every file in it, and no other.
#[test]
fn the_architecture_names_every_file() {
    let page = Page::read("ARCHITECTURE.md");
    let sections = page.sections("### ");
    assert!(sections.len() >= 7, "the page has no layout any more");
    for section in sections {
        let mut there = pages::names_in(&section.heading);
        // What a folder's own file is about is what the folder is about.
        there.retain(|name| !["mod.rs", "README.md"].contains(&name.as_str()));
        let is_file = |code: &String| code.ends_with(".rs") || code.ends_with('/');
        let mut named: Vec<String> = section.code().into_iter().filter(is_file).collect();
        named.sort();
        assert_eq!(named, there, "{} `{}`", page.path, section.heading);
    }
}

#[test]
fn the_architecture_names_every_invariant_test() {
    let page = Page::read("ARCHITECTURE.md");
    let is_test = |name: &str| {
        let mut letters = name.chars();
        letters.next() == Some('i') && letters.next().is_some_and(|c| c.is_ascii_digit()) && letters.next() == Some('_')
    };
    let mut named: Vec<String> = page.whole().code().into_iter().filter(|code| is_test(code)).collect();
    named.sort();
    let mut there = scan::test_functions();
    there.retain(|name| is_test(name));
    assert_eq!(named, there);
}

/// No line is too long for a screen.
#[test]
fn lines_are_short() {
    for page in pages::all() {
        for (number, line) in (1..).zip(page.text.lines()) {
            // Tables cannot be wrapped, and messages are what they are.
            let free = line.starts_with('|') || page.in_block(number);
            assert!(free || line.chars().count() <= 120, "{}:{number}: longer than 120 columns", page.path);
        }
    }
}
