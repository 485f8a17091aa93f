//! Conformance scenarios: a policy, a clock and a list of steps with what they must come to, one file each.
//!
//! The format is described in `conformance/README.md`. [`read`] reads a file, [`run`] runs it on a fresh engine with a
//! simulated clock and counted ids, so that it always comes to the same. [`trace`] tells all that it comes to.

mod matching;
mod read;
mod run;
mod trace;

use std::path::{Path, PathBuf};

use limitr::policy::Node;
use serde_json::Value;

pub use matching::{Mismatch, compare};
pub use read::read;
pub use run::{FailedStep, Failure, run};
pub use trace::{Trace, TracedEvent, TracedStep, trace};

use crate::session::Operation;

/// A scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What it shows.
    pub name: String,
    /// Tags.
    pub covers: Vec<String>,
    /// The clock at the start, ms since 1970.
    pub now: i64,
    /// The contents of the document's `policy` key.
    pub policy: Node,
    /// Whether loading validates.
    pub validate: bool,
    /// Whether loading must succeed.
    pub valid: bool,
    /// When loading must be refused: what the error must hold.
    pub error_contains: Option<String>,
    /// The calls, in order.
    pub steps: Vec<Step>,
}

/// One step of a scenario.
#[derive(Debug, Clone)]
pub struct Step {
    /// What is done.
    pub operation: Operation,
    /// What must come out.
    pub expect: Option<Value>,
    /// The names of the events sent, in order.
    pub events: Option<Vec<String>>,
    /// Events that must be among them.
    pub expect_events: Vec<ExpectedEvent>,
    /// How far numbers may be off.
    pub approx: f64,
    /// The name to keep the result under.
    pub save: Option<String>,
    /// The step must fail, with an error that holds this.
    pub error_contains: Option<String>,
    /// The line it stands on.
    pub line: Option<u32>,
}

/// An event that a step must send.
#[derive(Debug, Clone)]
pub struct ExpectedEvent {
    /// Its name.
    pub name: String,
    /// Fields of its payload.
    pub fields: Option<Value>,
}

/// Every scenario file (`*.yaml`, `*.yml`, `*.json`) at or below `path`, in the order of their names.
///
/// # Errors
/// Folders that cannot be read.
pub fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if path.is_dir() {
        walk(path, 0, &mut found)?
    } else {
        found.push(path.to_owned())
    }
    Ok(found)
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    // Links to folders are not followed, so only a mistake gets this deep.
    const DEEPEST: usize = 64;
    if depth > DEEPEST {
        return Ok(());
    }
    let mut entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() {
            walk(&path, depth + 1, found)?;
        } else if path.is_file() && is_scenario(&path) {
            found.push(path);
        }
    }
    Ok(())
}

fn is_scenario(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known)))
}
