//! The `limitr` command. `limitr --help` lists what it does; [`outcome`] says what its exit codes mean.

mod cli;
mod commands;
mod input;
mod outcome;
mod report;

use std::io::{BufWriter, Write as _, stderr, stdout};
use std::process::ExitCode;

use clap::Parser as _;

use outcome::{Exit, Trouble};

fn main() -> ExitCode {
    let arguments = match cli::Cli::try_parse() {
        Ok(arguments) => arguments,
        Err(message) => {
            // Help that nobody reads to its end is no failure.
            drop(message.print());
            return Exit::from_clap(message.exit_code()).into();
        }
    };
    let mut out = BufWriter::new(stdout().lock());
    let result = commands::run(arguments.command, &mut out).and_then(|exit| Ok(out.flush().map(|()| exit)?));
    // What was said before the trouble comes before it.
    drop(out.flush());
    match result {
        Ok(exit) => exit.into(),
        Err(Trouble::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Fine.into(),
        Err(trouble) => {
            let exit = trouble.exit();
            // Without a standard error there is nobody left to tell.
            drop(stderr().lock().write_all(report::trouble(&trouble).as_bytes()));
            exit.into()
        }
    }
}
