//! Files and standard input, read within bounds.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use limitr::Format;
use serde_json::Value;

use crate::outcome::{Outcome, Trouble};

/// Most bytes read of one file. More than any document may have, so that the engine says what is too large about it.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// A text with its name and format.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its path as given, or `standard input`.
    pub(crate) name: String,
    /// Its text.
    pub(crate) text: String,
    /// Its format.
    pub(crate) format: Format,
}

/// Reads a file, or standard input for `-`. The format comes from the file's extension unless it is given.
pub(crate) fn read(path: &Path, format: Option<Format>) -> Outcome<Source> {
    let name = name(path);
    let known = format.or_else(|| Format::from_extension(path.extension()?.to_str()?));
    let Some(format) = known else {
        // A file that is not there is the first thing to say.
        if !is_stdin(path) {
            text(path)?;
        }
        return Err(Trouble::new(format!("cannot tell the format of `{name}`"))
            .hint("give it with `--format`: yaml, json, toml or stof"));
    };
    Ok(Source { text: text(path)?, name, format })
}

/// Reads a JSON file, or standard input for `-`.
pub(crate) fn json(path: &Path) -> Outcome<Value> {
    let text = text(path)?;
    serde_json::from_str(&text).map_err(|error| Trouble::new(format!("`{}` is not JSON: {error}", name(path))))
}

/// Whether the path means standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn name(path: &Path) -> String {
    if is_stdin(path) { "standard input".to_owned() } else { path.display().to_string() }
}

fn text(path: &Path) -> Outcome<String> {
    let cannot = |error: &dyn std::fmt::Display| Trouble::new(format!("cannot read `{}`: {error}", name(path)));
    let bytes = if is_stdin(path) { bounded(io::stdin().lock()) } else { File::open(path).and_then(bounded) };
    let bytes = bytes.map_err(|error| cannot(&error))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(cannot(&format_args!("it has more than {MOST_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        cannot(&format_args!("it is not UTF-8 text (byte {at})"))
    })
}

fn bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
