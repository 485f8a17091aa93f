//! Reading a scenario, reporting everything that is wrong with it at its place in the file.

use limitr::Position;
use limitr::policy::{Format, Key, Kind, Node, parse};
use serde_json::{Map, Value};

use super::{ExpectedEvent, Scenario, Step};
use crate::Finding;
use crate::session::{Operation, check_name, parse_time, shown};
use crate::suggest::nearest;

const KEYS: [&str; 8] = ["name", "covers", "now", "policy", "validate", "valid", "error_contains", "steps"];
const EVENT_KEYS: [&str; 2] = ["name", "fields"];
/// Numbers may be off by this much unless the step says otherwise.
const APPROX: f64 = 1e-9;
/// 2026-01-01T00:00:00Z
const START: i64 = 1_767_225_600_000;

/// Reads a scenario.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(text: &str, format: Format) -> Result<Scenario, Vec<Finding>> {
    let root = parse(text, format).map_err(|problem| {
        // The engine expects a policy and hints at one.
        let hint = None;
        vec![Finding { hint, ..Finding::from(&problem) }]
    })?;
    let mut reader = Reader { path: String::new(), findings: Vec::new() };
    let scenario = reader.scenario(&root);
    match scenario {
        Some(scenario) if reader.findings.is_empty() => Ok(scenario),
        _ => {
            reader.findings.sort_by_key(|finding| finding.at);
            Err(reader.findings)
        }
    }
}

struct Reader {
    path: String,
    findings: Vec<Finding>,
}

impl Reader {
    fn report(&mut self, at: Option<Position>, message: impl Into<String>, hint: Option<String>) {
        let path = if self.path.is_empty() { "scenario".to_owned() } else { self.path.clone() };
        self.findings.push(Finding { code: "bad_scenario".into(), path, message: message.into(), hint, at });
    }

    fn inside<T>(&mut self, segment: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if !self.path.is_empty() && !segment.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(&shown(segment));
        let result = read(self);
        self.path.truncate(length);
        result
    }

    fn scenario(&mut self, root: &Node) -> Option<Scenario> {
        let entries = self.entries(root, "a scenario")?;
        for (key, _) in entries.iter().filter(|(key, _)| !KEYS.contains(&key.text.as_str())) {
            self.unknown(key, &KEYS);
        }
        let name = self.field(root, "name", Self::text);
        if name.is_none() && root.get("name").is_none() {
            self.report(root.at, "a scenario needs a `name`", None);
        }
        let covers = self.field(root, "covers", |reader, node| reader.list(node, Self::text)).unwrap_or_default();
        let now = self.field(root, "now", Self::time).unwrap_or(START);
        let validate = self.field(root, "validate", Self::truth).unwrap_or(true);
        let valid = self.field(root, "valid", Self::truth).unwrap_or(true);
        let error_contains = self.field(root, "error_contains", Self::text);
        let steps = self.field(root, "steps", |reader, node| reader.list(node, Self::step)).unwrap_or_default();
        if let (false, Some(node)) = (valid || steps.is_empty(), root.get("steps")) {
            let hint = "take out `valid: false`, or the steps".to_owned();
            self.report(node.at, "a scenario whose policy is refused has no steps", Some(hint));
        }
        if let (true, Some(node)) = (valid, root.get("error_contains")) {
            let hint = "say `valid: false`, or put it on a step".to_owned();
            self.report(node.at, "`error_contains` is for a policy that is refused", Some(hint));
        }
        let Some(policy) = root.get("policy") else {
            self.report(root.at, "a scenario needs a `policy`", None);
            return None;
        };
        let policy = policy.clone();
        Some(Scenario { name: name?, covers, now, policy, validate, valid, error_contains, steps })
    }

    fn step(&mut self, node: &Node) -> Option<Step> {
        let entries = self.entries(node, "a step")?;
        let keys: Map<String, Value> = entries.iter().map(|(key, value)| (key.text.clone(), value.to_json())).collect();
        let operation = Operation::among(&keys).map_err(|error| self.report(node.at, error.message, error.hint)).ok();
        let expect = node.get("expect").map(Node::to_json);
        let events = self.field(node, "events", |reader, node| reader.list(node, Self::text));
        let expect_events = self.field(node, "expect_event", |reader, node| match &node.kind {
            Kind::List(_) => reader.list(node, Self::event),
            _ => reader.event(node).map(|event| vec![event]),
        });
        let approx = self.field(node, "approx", |reader, node| {
            let number = node.to_json().as_f64().filter(|number| *number >= 0.0);
            if number.is_none() {
                reader.report(node.at, "a tolerance is a number that is not negative", None);
            }
            number
        });
        let save = self.field(node, "save", |reader, node| {
            let name = reader.text(node)?;
            check_name(&name).map_err(|error| reader.report(node.at, error.message, error.hint)).ok().map(|()| name)
        });
        let error_contains = self.field(node, "error_contains", Self::text);
        if let (Some(_), Some(expect)) = (&error_contains, node.get("expect")) {
            self.report(expect.at, "a step that must fail has no result to expect", None);
        }
        Some(Step {
            operation: operation?,
            expect,
            events,
            expect_events: expect_events.unwrap_or_default(),
            approx: approx.unwrap_or(APPROX),
            save,
            error_contains,
            line: node.at.map(|at| at.line),
        })
    }

    fn event(&mut self, node: &Node) -> Option<ExpectedEvent> {
        let entries = self.entries(node, "an expected event")?;
        for (key, _) in entries.iter().filter(|(key, _)| !EVENT_KEYS.contains(&key.text.as_str())) {
            self.unknown(key, &EVENT_KEYS);
        }
        let Some(name) = node.get("name") else {
            self.report(node.at, "an expected event needs a `name`", None);
            return None;
        };
        Some(ExpectedEvent { name: self.text(name)?, fields: node.get("fields").map(Node::to_json) })
    }

    fn unknown(&mut self, key: &Key, known: &[&'static str]) {
        let hint = nearest(&key.text, known.iter().copied()).map(|meant| format!("did you mean `{meant}`?"));
        let hint = hint.unwrap_or_else(|| format!("it is one of {}", known.join(", ")));
        self.inside(&key.text, |reader| {
            reader.report(key.at, format!("unknown key `{}`", shown(&key.text)), Some(hint));
        });
    }

    /// A map's entries, none of them twice.
    fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [(Key, Node)]> {
        let Kind::Map(entries) = &node.kind else {
            self.report(node.at, format!("{what} is a map"), None);
            return None;
        };
        let mut seen = std::collections::HashSet::new();
        for (key, _) in entries.iter().filter(|(key, _)| !seen.insert(key.text.as_str())) {
            self.report(key.at, format!("`{}` is given twice", shown(&key.text)), None);
        }
        Some(entries)
    }

    fn field<T>(&mut self, node: &Node, name: &str, read: impl FnOnce(&mut Self, &Node) -> Option<T>) -> Option<T> {
        let value = node.get(name)?;
        self.inside(name, |reader| read(reader, value))
    }

    fn list<T>(&mut self, node: &Node, mut read: impl FnMut(&mut Self, &Node) -> Option<T>) -> Option<Vec<T>> {
        let Kind::List(items) = &node.kind else {
            self.report(node.at, "a list is expected", None);
            return None;
        };
        let item = |(index, item)| self.inside(&format!("[{index}]"), |reader| read(reader, item));
        // Every item is read, so that all that is wrong is reported.
        let items: Vec<Option<T>> = items.iter().enumerate().map(item).collect();
        items.into_iter().collect()
    }

    fn text(&mut self, node: &Node) -> Option<String> {
        match &node.kind {
            Kind::Text(text) | Kind::Number(text) => Some(text.clone()),
            _ => {
                self.report(node.at, "text is expected", None);
                None
            }
        }
    }

    fn truth(&mut self, node: &Node) -> Option<bool> {
        match node.kind {
            Kind::Bool(value) => Some(value),
            _ => {
                self.report(node.at, "true or false is expected", None);
                None
            }
        }
    }

    fn time(&mut self, node: &Node) -> Option<i64> {
        parse_time(&node.to_json()).map_err(|error| self.report(node.at, error.message, error.hint)).ok()
    }
}
