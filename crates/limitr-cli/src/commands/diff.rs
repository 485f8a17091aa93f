//! `limitr diff`: what differs between two policies in meaning.

use std::io::Write;
use std::path::Path;

use limitr::Format;
use limitr::policy::{Policy, difference, parse_document};

use crate::cli::Diff;
use crate::input;
use crate::outcome::{Exit, Outcome, Trouble};

pub(super) fn run(arguments: &Diff, out: &mut dyn Write) -> Outcome {
    if input::is_stdin(&arguments.a) && input::is_stdin(&arguments.b) {
        return Err(Trouble::new("standard input can be only one of the two policies"));
    }
    let format = arguments.format.map(Into::into);
    let changes = difference(&policy(&arguments.a, format)?, &policy(&arguments.b, format)?);
    if arguments.json {
        let json = serde_json::to_string(&changes).map_err(std::io::Error::from)?;
        writeln!(out, "{json}")?;
    } else {
        for change in &changes {
            writeln!(out, "{change}")?;
        }
    }
    Ok(Exit::yes(changes.is_empty()))
}

/// A valid policy: what means nothing in one that is not would be left out of the comparison.
fn policy(path: &Path, format: Option<Format>) -> Outcome<Policy> {
    let source = input::read(path, format)?;
    match parse_document(&source.text, source.format, true) {
        Ok(document) => Ok(document.policy),
        Err(error) => Err(Trouble::findings(source, &error)),
    }
}
