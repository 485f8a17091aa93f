//! Reading a [`Node`] into the policy, reporting everything that is wrong with it instead of stopping at the first.
//!
//! A value that cannot be read is reported and stands at its default while reading goes on, and its path is remembered, so
//! that the checks that follow do not blame the default.

mod logic;
mod plan;
mod policy;
mod values;

pub(crate) use logic::{read_capabilities_value, read_notifications_value};
pub use plan::{read_limit_over, read_limit_value, read_plan_value};
pub use policy::{Document, parse_document, read_document, read_document_value};
pub(crate) use values::Choice;

use std::collections::HashSet;

use super::model::{Extensions, Functions};
use super::node::{Key, Kind, Node, quoted};
use crate::{Error, Position, Problem};

/// Most problems kept; a document of a million mistakes gets a count of the rest.
pub(super) const MAX_PROBLEMS: usize = 1000;
/// Problems that a similar name is looked up for.
pub(super) const HINTED: usize = 100;
/// The path of the document itself.
pub(super) const WHOLE: &str = "document";
/// Longest name of a credit, plan, entitlement, topup and so on, in bytes.
pub(super) const MAX_NAME: usize = 256;

/// Walks a document, collecting problems.
pub(super) struct Reader {
    path: String,
    /// Whether what can be read but is not right is reported too.
    strict: bool,
    problems: Vec<Problem>,
    dropped: usize,
    /// Paths something was already said about, misspelt fields under their right name included.
    blamed: HashSet<String>,
    /// The document's functions.
    functions: Functions,
}

/// The entries of a map that has a fixed set of fields.
pub(super) struct Fields<'n> {
    at: Option<Position>,
    /// False when it was no map at all, which has been reported.
    readable: bool,
    entries: Vec<(&'static str, &'n Node)>,
    extensions: Extensions,
}

impl<'n> Fields<'n> {
    /// The field's value, unless it is missing or null, which means the same.
    fn get(&self, name: &str) -> Option<&'n Node> {
        let given = self.entries.iter().find(|(known, _)| *known == name).map(|(_, node)| *node);
        given.filter(|node| node.kind != Kind::Null)
    }
}

impl Reader {
    fn new(path: impl Into<String>, strict: bool) -> Self {
        Self {
            path: path.into(),
            strict,
            problems: Vec::new(),
            dropped: 0,
            blamed: HashSet::new(),
            functions: Functions::default(),
        }
    }

    /// Runs `read` with `segment` appended to the path.
    fn inside<T>(&mut self, segment: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if !self.path.is_empty() {
            self.path.push('.');
        }
        // Every problem repeats its path; what is too long for a name is cut.
        self.path.extend(segment.chars().take(MAX_NAME));
        let result = read(self);
        self.path.truncate(length);
        result
    }

    /// Runs `read` with a list's index appended to the path.
    fn item<T>(&mut self, index: usize, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        self.path.push_str(&format!("[{index}]"));
        let result = read(self);
        self.path.truncate(length);
        result
    }

    /// Reports a problem with what is at the current path.
    fn report(&mut self, code: &'static str, at: Option<Position>, message: String, hint: Option<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            self.blamed.insert(self.path.clone());
            let path = if self.path.is_empty() { WHOLE } else { &self.path };
            self.problems.push(Problem { code, path: path.to_owned(), message, hint, at, within: None });
        } else {
            self.dropped += 1;
        }
    }

    /// Adds what the checks after reading found, except where reading already complained.
    fn extend(&mut self, found: Vec<Problem>, more: usize) {
        self.dropped += more;
        for problem in found {
            if self.was_blamed(&problem.path) || self.follows_from_blamed(&problem) {
                continue;
            }
            if self.problems.len() < MAX_PROBLEMS {
                self.problems.push(problem);
            } else {
                self.dropped += 1;
            }
        }
    }

    /// Whether something was said about `path` or about what it lies in.
    fn was_blamed(&self, path: &str) -> bool {
        let ends = path.match_indices(['.', '[']).map(|(at, _)| at).chain([path.len()]);
        ends.filter_map(|end| path.get(..end)).any(|ancestor| self.blamed.contains(ancestor))
    }

    /// Whether what the problem is about could not be read, so that it may be no problem at all.
    fn follows_from_blamed(&self, problem: &Problem) -> bool {
        match problem.code {
            "unknown_credit" => self.blamed.contains("policy.credits"),
            // A band whose end could not be read looks open.
            "open_tier" => {
                let tiers = problem.path.split_once(".tiers").map_or("", |(credit, _)| credit);
                self.blamed.iter().any(|path| path.strip_prefix(tiers).is_some_and(|rest| rest.starts_with(".tiers[")))
            }
            _ => false,
        }
    }

    /// The value, or everything that was reported, in document order.
    fn finish<T>(mut self, value: T) -> Result<T, Error> {
        if self.problems.is_empty() {
            return Ok(value);
        }
        // Without positions the order of reading stays.
        self.problems.sort_by_key(|problem| problem.at);
        self.problems.extend(not_listed(self.dropped));
        Err(Error::policy(self.problems))
    }

    /// The map's entries by field, reporting a wrong type, duplicate keys and unknown fields.
    fn fields<'n>(&mut self, node: &'n Node, known: &[&'static str]) -> Fields<'n> {
        let mut fields = Fields { at: node.at, readable: true, entries: Vec::new(), extensions: Extensions::default() };
        let Some(entries) = self.entries(node) else {
            fields.readable = false;
            return fields;
        };
        for (key, value) in entries {
            if let Some(name) = known.iter().find(|name| **name == key.text) {
                fields.entries.push((*name, value));
            } else if key.text.starts_with("x-") {
                let json = self.free(&key.text, value);
                fields.extensions.insert(key.text.clone(), json);
            } else if self.strict {
                self.unknown_field(key, known);
            }
        }
        fields
    }

    fn unknown_field(&mut self, key: &Key, known: &[&'static str]) {
        let nearest = if self.problems.len() < HINTED { nearest(&key.text, known.iter().copied()) } else { None };
        if let Some(meant) = nearest {
            // Whatever is missing under the right name is missing because of the wrong one.
            self.blamed.insert(format!("{}.{meant}", self.path));
        }
        let hint = nearest.map(|meant| format!("did you mean `{meant}`?"));
        let message = format!("unknown field {}", quoted(&key.text));
        self.inside(&key.text, |reader| reader.report("unknown_field", key.at, message, hint));
    }

    /// A map's entries, reporting a wrong type and duplicate keys (of which the first counts).
    fn entries<'n>(&mut self, node: &'n Node) -> Option<Vec<(&'n Key, &'n Node)>> {
        let Kind::Map(entries) = &node.kind else {
            self.wrong_type("a map", node);
            return None;
        };
        let mut seen = HashSet::with_capacity(entries.len());
        let mut unique = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            if seen.insert(key.text.as_str()) {
                unique.push((key, value));
            } else {
                let message = format!("{} is given twice", quoted(&key.text));
                let hint = Some("keep one of the two".to_owned());
                self.inside(&key.text, |reader| reader.report("duplicate_key", key.at, message, hint));
            }
        }
        Some(unique)
    }

    /// Free data, kept as it is; duplicate keys are reported all the same.
    fn free(&mut self, name: &str, node: &Node) -> serde_json::Value {
        self.inside(name, |reader| reader.check_duplicates(node));
        node.to_json()
    }

    fn check_duplicates(&mut self, node: &Node) {
        match &node.kind {
            Kind::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.item(index, |reader| reader.check_duplicates(item));
                }
            }
            Kind::Map(_) => {
                for (key, value) in self.entries(node).unwrap_or_default() {
                    self.inside(&key.text, |reader| reader.check_duplicates(value));
                }
            }
            _ => {}
        }
    }

    fn wrong_type(&mut self, expected: &str, node: &Node) {
        self.report("wrong_type", node.at, format!("expected {expected}, found {}", node.shown()), None);
    }
}

/// Reads a part of a policy from JSON data; `path` is where it would stand.
pub(super) fn read<T>(
    value: &serde_json::Value,
    path: &str,
    read: impl FnOnce(&mut Reader, &Node) -> T,
) -> Result<T, Error> {
    read_beside(value, path, &Functions::default(), read)
}

/// As [`read`], for a policy with these functions.
fn read_beside<T>(
    value: &serde_json::Value,
    path: &str,
    functions: &Functions,
    read: impl FnOnce(&mut Reader, &Node) -> T,
) -> Result<T, Error> {
    let node = Node::from_json(value).map_err(|problem| Error::policy(vec![problem]))?;
    let mut reader = Reader::new(path, true);
    reader.functions = functions.clone();
    let value = read(&mut reader, &node);
    reader.finish(value)
}

/// What stands at the end of a list that is cut short.
pub(super) fn not_listed(more: usize) -> Option<Problem> {
    (more > 0).then(|| Problem {
        code: "too_many_problems",
        path: WHOLE.to_owned(),
        message: format!("{more} more problems are not listed"),
        hint: None,
        at: None,
        within: None,
    })
}

/// The known name that `name` is probably a misspelling of.
pub(crate) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // Long names and long lists are not worth the time; nobody reads the thousandth hint either.
    const LONGEST: usize = 64;
    const MOST: usize = 1000;
    if name.len() > LONGEST {
        return None;
    }
    // Half a word is a slip too: `cheapest` for `cheapest_first`.
    const STEM: usize = 4;
    let folded = name.to_ascii_lowercase().replace(['-', ' '], "_");
    let allowed = match folded.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        length => length / 3,
    };
    let near = |candidate: &'k str| {
        if candidate.len().abs_diff(folded.len()) > folded.len() {
            return None;
        }
        // A transposition, the commonest slip, counts once.
        let distance = strsim::osa_distance(&folded, &candidate.to_ascii_lowercase());
        let stem = folded.len() >= STEM && candidate.starts_with(folded.as_str());
        let distance = if stem { distance.min(allowed) } else { distance };
        (distance <= allowed && distance < candidate.chars().count()).then_some((distance, candidate))
    };
    let candidates = known.into_iter().take(MOST).filter(|candidate| candidate.len() <= LONGEST && *candidate != name);
    candidates.filter_map(near).min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}
