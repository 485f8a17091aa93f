use crate::cli::Completions;
use crate::outcome::{Exit, Outcome};
use std::io::Write;
pub(super) fn run(_arguments: &Completions, _out: &mut dyn Write) -> Outcome {
    Ok(Exit::Fine)
}
