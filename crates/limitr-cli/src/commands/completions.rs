//! `limitr completions`: the completions of a shell.

use std::io::Write;

use clap::CommandFactory as _;

use crate::cli::{Cli, Completions};
use crate::outcome::{Exit, Outcome};

pub(super) fn run(arguments: &Completions, out: &mut dyn Write) -> Outcome {
    // The generator panics when it cannot write, which memory always can.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "limitr", &mut script);
    out.write_all(&script)?;
    Ok(Exit::Fine)
}
