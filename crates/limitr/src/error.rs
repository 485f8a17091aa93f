//! Errors: what went wrong, where, and what to do about it.

use std::fmt;

use serde::Serialize;

use crate::policy::FormatError;

/// What failed, coarsely. A denied call is not an error; see [`crate::Decision`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// A policy document could not be read or does not validate; [`Error::problems`] lists every finding.
    Policy,
    /// An argument has the wrong shape or cannot be used.
    Argument,
    /// The call conflicts with what the engine holds: a taken alternate id, a reused idempotency key.
    Conflict,
    /// Something named by the call does not exist and cannot be left out.
    NotFound,
}

/// One error type for the whole engine.
///
/// Every error has a [`kind`](Error::kind), a stable [`code`](Error::code) to match on, a message for people, and where it
/// applies a [`path`](Error::path) and a [`hint`](Error::hint). An operation that returns an error has changed nothing.
///
/// Serialises to `{kind, code, message, path, hint, problems}`, leaving out what it does not have.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, Serialize)]
struct Inner {
    kind: ErrorKind,
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Problem>,
}

/// One finding in a policy document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Stable code, for example `unknown_field`.
    pub code: &'static str,
    /// Where in the document: `policy.plans.pro.entitlements.chat.limit.credit`.
    pub path: String,
    /// What is wrong, lower case, with the document's own text in backticks.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where in the text, when the format has positions.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub at: Option<Position>,
    /// Where in the value at the path, when that is an expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Position>,
}

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Position {
    /// Where the byte at `offset` of `text` is.
    pub(crate) fn in_text(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.split('\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self { line: number(line), column: number(column) }
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, code, message: message.into(), path: None, hint: None, problems: Vec::new() }))
    }

    /// An argument that cannot be used.
    pub(crate) fn argument(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Argument, code, message)
    }

    /// A clash with what the engine holds.
    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, code, message)
    }

    /// The findings of a document, of which there is at least one.
    pub(crate) fn policy(problems: Vec<Problem>) -> Self {
        let (code, message) = match problems.as_slice() {
            [only] => (only.code, only.to_string()),
            many => {
                let lines: Vec<String> = many.iter().map(|problem| format!("\n  {problem}")).collect();
                ("invalid_policy", format!("{} problems in the policy:{}", many.len(), lines.concat()))
            }
        };
        let mut error = Self::new(ErrorKind::Policy, code, message);
        error.0.path = problems.first().map(|problem| problem.path.clone());
        error.0.hint = problems.first().and_then(|problem| problem.hint.clone());
        error.0.problems = problems;
        error
    }

    #[must_use]
    pub(crate) fn at(mut self, path: impl Into<String>) -> Self {
        self.0.path = Some(path.into());
        self
    }

    #[must_use]
    pub(crate) fn hint_at(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// What failed, coarsely.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// A stable code to match on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The place it is about, when there is one: a path in the document or the name of an argument.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// What to do about it, when there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Every finding of a policy document; empty for other kinds.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }
}

impl From<FormatError> for Error {
    fn from(error: FormatError) -> Self {
        Self::argument("unknown_format", error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)?;
        let question = self.hint.as_deref().filter(|hint| hint.starts_with("did you mean"));
        if let Some(question) = question {
            write!(f, ", {question}")?;
        }
        if let Some(at) = self.at {
            write!(f, " (line {}, column {})", at.line, at.column)?;
        } else if let Some(within) = self.within {
            write!(f, " (at {}:{} of it)", within.line, within.column)?;
        }
        match &self.hint {
            Some(hint) if question.is_none() => write!(f, "; {hint}"),
            _ => Ok(()),
        }
    }
}
