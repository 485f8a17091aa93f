//! The functions of a policy, and one of them ready to be called.

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;

use super::program::{Loaded, Program};
use super::values::Argument;
use super::{Handler, Misplaced, Place};
use crate::events;
use crate::logic::program::{LogicError, Reported};
use crate::policy::{Node, Reading, nearest, quoted};
use crate::{Position, Problem};

/// The functions that came with a policy's document. They stay with the policy through every change of it, until it is
/// replaced as a whole; one that stands on something that is no longer in the policy is not called.
#[derive(Clone, Default)]
pub struct Functions(Option<Arc<Program>>);

/// A function at its place in the policy.
pub(crate) struct Routine {
    program: Arc<Program>,
    index: usize,
    reported: Reported,
}

impl Functions {
    /// The functions of a document that was read, and its data.
    pub(crate) fn load(reading: Reading) -> Result<(Node, Self), Problem> {
        let (root, program) = Program::load(reading)?;
        Ok((root, Self(program.map(Arc::new))))
    }

    #[cfg(test)]
    pub(super) fn program(&self) -> Option<&Program> {
        self.0.as_deref()
    }

    /// Where each stands, in the document's order: `policy.credits.token.overhead()`.
    #[must_use]
    pub fn places(&self) -> Vec<String> {
        self.all().map(|(_, loaded)| loaded.path()).collect()
    }

    fn all(&self) -> impl Iterator<Item = (usize, &Loaded)> {
        self.0.iter().flat_map(|program| program.functions.iter().enumerate())
    }

    fn at(&self, index: usize) -> Option<Routine> {
        Some(Routine { program: self.0.clone()?, index, reported: Reported::default() })
    }

    /// The function at a place, when there is one.
    pub(crate) fn find(&self, place: Place<'_>) -> Option<Routine> {
        let found = self.all().find(|(_, loaded)| loaded.place() == Some(place));
        found.and_then(|(index, _)| self.at(index))
    }

    pub(crate) fn has(&self, place: Place<'_>) -> bool {
        self.all().any(|(_, loaded)| loaded.place() == Some(place))
    }

    /// Those that follow events of the engine.
    pub(crate) fn handlers(&self) -> Vec<Handler> {
        let mut handlers = Vec::new();
        for (index, loaded) in self.all() {
            for (attribute, _) in &loaded.source.attributes {
                if let Some(function) = self.at(index).filter(|_| events::NAMES.contains(&attribute.as_str())) {
                    handlers.push(Handler { event: attribute.clone(), name: loaded.source.name.clone(), function });
                }
            }
        }
        handlers
    }

    /// Where each stands and how it is written.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (Vec<&str>, &str)> {
        self.all().map(|(_, loaded)| (loaded.names(), loaded.source.text.as_str()))
    }

    /// What is wrong with how they are declared.
    pub(crate) fn misplaced(&self) -> Vec<Misplaced> {
        self.all().flat_map(|(_, loaded)| loaded.misplaced()).collect()
    }

    /// Where a function stands in the document, and what it is called in messages.
    pub(crate) fn position(&self, place: Place<'_>) -> Option<(Option<Position>, String)> {
        let (_, loaded) = self.all().find(|(_, loaded)| loaded.place() == Some(place))?;
        Some((loaded.source.at, loaded.path()))
    }
}

impl PartialEq for Functions {
    fn eq(&self, other: &Self) -> bool {
        self.texts().eq(other.texts())
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all().map(|(_, loaded)| loaded.path())).finish()
    }
}

impl Loaded {
    fn names(&self) -> Vec<&str> {
        self.source.path.iter().map(String::as_str).chain([self.source.name.as_str()]).collect()
    }

    fn place(&self) -> Option<Place<'_>> {
        let path: Vec<&str> = self.source.path.iter().map(String::as_str).collect();
        Place::of(&path, &self.source.name)
    }

    /// `policy.credits.token.overhead()`
    fn path(&self) -> String {
        let mut path = String::new();
        for name in self.names() {
            if !path.is_empty() && !name.starts_with('[') {
                path.push('.');
            }
            path.push_str(name);
        }
        path + "()"
    }

    fn report(&self, code: &'static str, at: Option<Position>, message: String, hint: Option<String>) -> Problem {
        Problem { code, path: self.path(), message, hint, at, within: None }
    }

    fn misplaced(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let name = &self.source.name;
        let mut arguments = self.place().map(Place::arguments);
        for (attribute, at) in &self.source.attributes {
            if events::NAMES.contains(&attribute.as_str()) {
                arguments = arguments.or(Some(&["event"]));
                if events::NAMES.contains(&name.as_str()) {
                    let message = format!("`{name}` is the name of an event of the engine");
                    let hint = Some("give the function a name of its own".to_owned());
                    problems.push(self.report("reserved_name", self.source.at, message, hint));
                }
            } else if let Some(meant) = nearest(attribute, events::NAMES.iter().copied()) {
                let message = format!("unknown event {}", quoted(attribute));
                problems.push(self.report("unknown_event", *at, message, Some(format!("did you mean `{meant}`?"))));
            }
        }
        let Some(given) = arguments else { return problems };
        if let Some(beyond) =
            self.source.parameters.get(given.len()..).and_then(|beyond| beyond.iter().find(|one| !one.optional))
        {
            let message = format!("nothing is given for the parameter {}", quoted(&beyond.name));
            let hint = format!("`{name}` is called with {}", given.join(" and "));
            problems.push(self.report("bad_function", self.source.at, message, Some(hint)));
        }
        let answers =
            matches!(self.place(), Some(Place::Overhead(_) | Place::Matches(_) | Place::Fire(_) | Place::GetPair));
        if answers && self.source.returns.is_none() {
            let message = format!("`{name}` returns nothing");
            let hint =
                "say what it returns after its parameters: `-> float`, `-> bool`, `-> map`, `-> unknown`".to_owned();
            problems.push(self.report("bad_function", self.source.at, message, Some(hint)));
        }
        problems
    }
}

impl Routine {
    fn loaded(&self) -> Option<&Loaded> {
        self.program.functions.get(self.index)
    }

    /// What it returns for these arguments.
    pub(crate) fn call(&self, arguments: &[Argument<'_>]) -> Result<Json, Box<LogicError>> {
        self.program.call(self.index, arguments).map_err(|message| self.error(message))
    }

    /// What a capability's function returns, or leaves in `output`.
    pub(crate) fn run(&self, input: &Json, arguments: &[Argument<'_>]) -> Result<Json, Box<LogicError>> {
        self.program.call_capability(self.index, input, arguments).map_err(|message| self.error(message))
    }

    /// An error of this function.
    #[cold]
    pub(crate) fn error(&self, message: String) -> Box<LogicError> {
        let place = self.loaded().map(Loaded::path).unwrap_or_default();
        // Its first line: the rest is known by its place.
        let text = self.loaded().and_then(|loaded| loaded.source.text.split(['{', '\n']).next()).unwrap_or_default();
        Box::new(LogicError { place, expression: text.trim().to_owned(), message, at: None })
    }

    /// Whether an error is to be reported now; it counts as reported then.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        self.reported.is_due(now)
    }
}

impl fmt::Debug for Routine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Function").field(&self.loaded().map(Loaded::path)).finish()
    }
}
