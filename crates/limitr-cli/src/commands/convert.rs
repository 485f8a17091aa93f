//! `limitr convert`: a policy in another format.

use std::fs;
use std::io::Write;

use limitr::policy::{Format, parse, parse_document, write};

use crate::cli::Convert;
use crate::input;
use crate::outcome::{Exit, Outcome, Trouble};

pub(super) fn run(arguments: &Convert, out: &mut dyn Write) -> Outcome {
    let source = input::read(&arguments.file, arguments.format.map(Into::into))?;
    // What a valid policy cannot hold (a key given twice, a value of no meaning) might not survive.
    let document = match parse_document(&source.text, source.format, true) {
        Ok(document) => document,
        Err(error) => return Err(Trouble::findings(source, &error)),
    };
    if let Some(first) = document.policy.functions.places().first().filter(|_| !arguments.data_only) {
        let message = format!("the functions of `{}` cannot be written: `{first}` would be lost", source.name);
        return Err(Trouble::new(message).hint("write them as expressions, or leave them out with `--data-only`"));
    }
    // The tree, not the policy, is written: durations, units and what is left out stay as they are.
    let tree = parse(&source.text, source.format).map_err(|problem| Trouble::new(problem.to_string()))?.to_json();
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
