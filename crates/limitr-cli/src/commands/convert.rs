use crate::cli::Convert;
use crate::outcome::{Exit, Outcome};
use std::io::Write;
pub(super) fn run(_arguments: &Convert, _out: &mut dyn Write) -> Outcome {
    Ok(Exit::Fine)
}
