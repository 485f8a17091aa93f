//! What a command comes to, and its exit code:
//!
//! | code | meaning |
//! |---|---|
//! | 0 | it worked, and the answer is yes: the policy is valid, every scenario passed, the policies are equal |
//! | 1 | it worked, and the answer is no: the policy is not valid, a scenario failed, the policies differ |
//! | 2 | it did not work: wrong usage, a file that is missing or cannot be used |
//!
//! `explain` and `exec` answer 0 also where the engine denies a call: the question was what it decides. A reader that
//! closes the pipe early is no failure.

use std::io;
use std::process::ExitCode;

use limitr_cli::Finding;

use crate::input::Source;

/// A command that worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The answer is yes, or there was no question.
    Fine,
    /// The answer is no.
    No,
    /// It did not work.
    Trouble,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Fine => Self::SUCCESS,
            Exit::No => Self::from(1),
            Exit::Trouble => Self::from(2),
        }
    }
}

impl Exit {
    /// The exit for what clap wants to say: help and the version are no trouble.
    pub(crate) fn from_clap(code: i32) -> Self {
        if code == 0 { Self::Fine } else { Self::Trouble }
    }

    pub(crate) fn yes(answer: bool) -> Self {
        if answer { Self::Fine } else { Self::No }
    }
}

/// Why a command did not get to its end.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Its output could not be written.
    Output(io::Error),
    /// Something it was given cannot be used.
    Unusable {
        /// What and why.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A file it was given is wrong, at these places.
    Findings {
        /// The file.
        source: Box<Source>,
        /// What is wrong with it.
        findings: Vec<Finding>,
        /// Whether that is the answer (no) or keeps the command from working.
        exit: Exit,
    },
}

/// What commands return.
pub(crate) type Outcome<T = Exit> = Result<T, Trouble>;

impl Trouble {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Unusable { message: message.into(), hint: None }
    }

    pub(crate) fn hint(self, text: impl Into<String>) -> Self {
        match self {
            Self::Unusable { message, .. } => Self::Unusable { message, hint: Some(text.into()) },
            other => other,
        }
    }

    /// Something that has a path and a hint of its own, where it has them.
    #[cfg(any(feature = "cloud", feature = "server"))]
    pub(crate) fn told(message: String, path: Option<&str>, hint: Option<&str>) -> Self {
        // The path is often in the message already.
        let message = match path.filter(|path| !message.contains(path)) {
            Some(path) => format!("{path}: {message}"),
            None => message,
        };
        Self::Unusable { message, hint: hint.map(str::to_owned) }
    }

    /// A file that keeps the command from working.
    pub(crate) fn findings(source: Source, error: &limitr::Error) -> Self {
        Self::Findings { source: Box::new(source), findings: Finding::of(error), exit: Exit::Trouble }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Findings { exit, .. } => *exit,
            Self::Output(_) | Self::Unusable { .. } => Exit::Trouble,
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
