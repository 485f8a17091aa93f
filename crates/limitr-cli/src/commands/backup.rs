//! `limitr backup` and `limitr restore`: what a server keeps, as a file.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use tokio::runtime::Builder;

use super::serve::{Place, trouble};
use crate::outcome::{Exit, Outcome};
use crate::report::counted;

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(arguments: &Backup, out: &mut dyn Write) -> Outcome {
    let config = arguments.place.config(&[])?;
    let backup = limitr_server::backup(&config, &arguments.file);
    let rows = super::runtime(Builder::new_current_thread())?.block_on(backup).map_err(|error| trouble(&error))?;
    let file = arguments.file.display();
    writeln!(out, "{} of {} in {file}", rows_text(rows), config.database)?;
    Ok(Exit::Fine)
}

pub(super) fn restore(arguments: &Backup, out: &mut dyn Write) -> Outcome {
    let config = arguments.place.config(&[])?;
    let restore = limitr_server::restore(&config, &arguments.file);
    let rows = super::runtime(Builder::new_current_thread())?.block_on(restore).map_err(|error| trouble(&error))?;
    let file = arguments.file.display();
    writeln!(out, "{} of {file} in {}", rows_text(rows), config.database)?;
    Ok(Exit::Fine)
}

fn rows_text(rows: u64) -> String {
    counted(rows.try_into().unwrap_or(usize::MAX), "row")
}
