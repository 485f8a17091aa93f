use crate::cli::Demo;
use crate::outcome::{Exit, Outcome};
use std::io::Write;
pub(super) fn run(_arguments: &Demo, _out: &mut dyn Write) -> Outcome {
    Ok(Exit::Fine)
}
