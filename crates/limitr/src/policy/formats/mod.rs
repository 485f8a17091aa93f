//! The text formats of a document, each read into a [`Node`] within one budget: 8 MB of text, 64 levels, a million nodes
//! counting what YAML aliases expand to. Text outside the budget is refused before it can cost time or memory.

mod json;
mod lines;
pub(crate) mod stof;
mod toml;
mod yaml;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::node::Node;
use super::read::WHOLE;
use crate::logic::Functions;
use crate::{Error, Position, Problem};

/// Most bytes of text.
pub(crate) const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Most levels of lists and maps.
pub(crate) const MAX_DEPTH: usize = 64;
/// Most nodes, counting keys and what aliases expand to.
pub(crate) const MAX_NODES: usize = 1_000_000;

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// JSON.
    Json,
    /// YAML 1.2 with its core schema.
    Yaml,
    /// TOML 1.
    Toml,
    /// Stof: data and functions. Always written; read with the feature `stof`.
    Stof,
}

/// The name of no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown format `{0}`; it is one of `json`, `yaml`, `toml` and `stof`")]
pub struct FormatError(String);

impl Format {
    /// The format of files ending in `extension`: `json`, `yaml`, `yml`, `toml` or `stof`, in any case.
    #[must_use]
    pub fn from_extension(extension: &str) -> Option<Self> {
        let is = |known: &str| extension.eq_ignore_ascii_case(known);
        match () {
            () if is("json") => Some(Self::Json),
            () if is("yaml") || is("yml") => Some(Self::Yaml),
            () if is("toml") => Some(Self::Toml),
            () if is("stof") => Some(Self::Stof),
            () => None,
        }
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(name: &str) -> Result<Self, FormatError> {
        Self::from_extension(name.trim()).ok_or_else(|| FormatError(name.to_owned()))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Toml => "toml",
            Self::Stof => "stof",
        })
    }
}

/// Reads `text` into a tree.
///
/// # Errors
/// Text that is not well formed (`syntax`), empty (`empty_document`), over the budget (`document_too_large`,
/// `document_too_deep`), or Stof that a policy cannot have (`stof_forbidden`, and without the feature `stof` any:
/// `format_unavailable`).
pub fn parse(text: &str, format: Format) -> Result<Node, Problem> {
    parse_with_functions(text, format).map(|(root, _)| root)
}

/// Reads `text` into a tree, and the functions beside it.
pub(super) fn parse_with_functions(text: &str, format: Format) -> Result<(Node, Functions), Problem> {
    if text.len() > MAX_BYTES {
        return Err(too_large(format!("the document has {} bytes, more than the {MAX_BYTES} it may have", text.len())));
    }
    // A byte order mark is no part of the text, nor of its columns.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = lines::Lines::new(text);
    // Nothing else in the text means something to all parsers; YAML's takes it for the end.
    if let Some(offset) = text.bytes().position(|byte| byte == 0) {
        return Err(syntax(lines.position(offset), "the text holds a NUL character"));
    }
    if text.trim().is_empty() {
        return Err(empty());
    }
    let root = match format {
        Format::Json => json::parse(text, &lines),
        Format::Yaml => yaml::parse(text),
        Format::Toml => toml::parse(text, &lines),
        #[cfg(feature = "stof")]
        Format::Stof => return stof::parse(text, &lines).and_then(Functions::load),
        #[cfg(not(feature = "stof"))]
        Format::Stof => Err(unavailable()),
    };
    Ok((root?, Functions::default()))
}

#[cfg(not(feature = "stof"))]
fn unavailable() -> Problem {
    let hint = "turn on the feature `stof` of the crate, or import `limitr/stof`; Stof can be written without";
    text_problem("format_unavailable", None, "Stof cannot be read here".to_owned(), Some(hint))
}

/// Writes `value` as text that [`parse`] reads back. In TOML, entries that are null are left out.
///
/// # Errors
/// Values the format cannot hold.
pub fn write(value: &impl Serialize, format: Format) -> Result<String, Error> {
    let cannot = |error: &dyn fmt::Display| {
        Error::argument("cannot_write", format!("this cannot be written as {format}: {error}"))
    };
    // Flattened fields and amounts are settled here, so that the writers see plain data only.
    let mut value = serde_json::to_value(value).map_err(|error| cannot(&error))?;
    match format {
        Format::Json => serde_json::to_string_pretty(&value).map_err(|error| cannot(&error)),
        Format::Yaml => yaml::write(&value).map_err(|error| cannot(&error)),
        Format::Stof => stof::write(&value).map_err(|error| cannot(&error)),
        Format::Toml => {
            toml::drop_nulls(&mut value);
            ::toml::to_string_pretty(&value).map_err(|error| cannot(&error))
        }
    }
}

fn text_problem(code: &'static str, at: Option<Position>, message: String, hint: Option<&str>) -> Problem {
    Problem { code, path: WHOLE.to_owned(), message, hint: hint.map(str::to_owned), at, within: None }
}

pub(crate) fn syntax(at: Option<Position>, message: impl Into<String>) -> Problem {
    text_problem("syntax", at, message.into(), None)
}

fn empty() -> Problem {
    text_problem("empty_document", None, "the document is empty".to_owned(), Some("a policy starts with `policy:`"))
}

fn too_large(message: String) -> Problem {
    text_problem("document_too_large", None, message, Some("split the policy, or leave customers out of it"))
}

pub(crate) fn too_deep(at: Option<Position>) -> Problem {
    text_problem("document_too_deep", at, format!("the document is nested deeper than {MAX_DEPTH} levels"), None)
}

/// Counts what a document builds against the budget.
#[derive(Default)]
struct Budget {
    nodes: usize,
    bytes: usize,
}

impl Budget {
    /// Takes `nodes` more nodes holding `bytes` more bytes of text.
    fn take(&mut self, nodes: usize, bytes: usize, at: Option<Position>) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.nodes > MAX_NODES {
            return Err(Problem { at, ..too_large(format!("the document has more than {MAX_NODES} values")) });
        }
        // Only aliases can get here: the text itself is smaller.
        if self.bytes > 2 * MAX_BYTES {
            return Err(Problem { at, ..too_large("the document's aliases expand to too much text".to_owned()) });
        }
        Ok(())
    }
}
