//! `limitr convert`: a policy in another format.

use std::fs;
use std::io::Write;

use limitr::policy::{Format, parse, parse_document, write};

use crate::cli::Convert;
use crate::input;
use crate::outcome::{Exit, Outcome, Trouble};

pub(super) fn run(arguments: &Convert, out: &mut dyn Write) -> Outcome {
    let source = input::read(&arguments.file, arguments.format.map(Into::into))?;
    // The tree, not the policy, is written: durations, units and what is left out stay as they are. What a valid policy
    // cannot hold (a key given twice, a value of no meaning) might not survive.
    let tree = match parse_document(&source.text, source.format, true).and_then(|_| {
        // It was just read.
        Ok(parse(&source.text, source.format).map(|node| node.to_json()).unwrap_or_default())
    }) {
        Ok(tree) => tree,
        Err(error) => return Err(Trouble::findings(source, &error)),
    };
    let to = Format::from(arguments.to);
    let mut text = write(&tree, to).map_err(|error| Trouble::new(error.to_string()))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    match &arguments.out {
        Some(path) => fs::write(path, text)
            .map_err(|error| Trouble::new(format!("cannot write `{}`: {error}", path.display())))?,
        None => out.write_all(text.as_bytes())?,
    }
    Ok(Exit::Fine)
}
