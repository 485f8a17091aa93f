//! The commands, one file each.

#[cfg(feature = "server")]
pub(crate) mod backup;
#[cfg(feature = "cloud")]
pub(crate) mod cloud;
mod completions;
mod convert;
mod demo;
mod diff;
mod exec;
mod explain;
#[cfg(feature = "server")]
pub(crate) mod serve;
mod test;
mod validate;

use std::io::Write;

use limitr_cli::session::{Operation, Session, SessionClock};
use serde_json::json;

use crate::cli::{Command, World};
use crate::input;
use crate::outcome::{Outcome, Trouble};

/// Runs a command, writing to `out`.
pub(crate) fn run(command: Command, out: &mut dyn Write) -> Outcome {
    match command {
        Command::Validate(arguments) => validate::run(&arguments, out),
        Command::Test(arguments) => test::run(&arguments, out),
        Command::Exec(arguments) => exec::run(&arguments, out),
        Command::Explain(arguments) => explain::run(&arguments, out),
        Command::Diff(arguments) => diff::run(&arguments, out),
        Command::Convert(arguments) => convert::run(&arguments, out),
        #[cfg(feature = "server")]
        Command::Serve(arguments) => serve::run(&arguments, out),
        #[cfg(feature = "server")]
        Command::Backup(arguments) => backup::run(&arguments, out),
        #[cfg(feature = "server")]
        Command::Restore(arguments) => backup::restore(&arguments, out),
        #[cfg(feature = "cloud")]
        Command::Cloud(arguments) => cloud::run(&arguments, out),
        Command::Demo(arguments) => demo::run(&arguments, out),
        Command::Completions(arguments) => completions::run(&arguments, out),
    }
}

/// A runtime, for the commands that need one. The others do without.
#[cfg(any(feature = "cloud", feature = "server"))]
fn runtime(mut builder: tokio::runtime::Builder) -> Outcome<tokio::runtime::Runtime> {
    builder.enable_all().build().map_err(|error| Trouble::new(format!("cannot begin: {error}")))
}

/// An engine on the policy with the customers in place.
fn session(world: &World, ids: impl limitr::IdSource + 'static) -> Outcome<Session> {
    let source = input::read(&world.policy, world.format.map(Into::into))?;
    let clock = world.now.map_or_else(SessionClock::system, SessionClock::at);
    let session = Session::new(clock, ids, |builder| builder.policy(&source.text, source.format));
    let session = session.map_err(|error| Trouble::findings(source, &error))?;
    if let Some(path) = &world.state {
        let customers = input::json(path)?;
        let load = Operation { verb: "load_customers".to_owned(), arguments: json!({"customers": customers}) };
        let loaded = session.run(&load).result;
        loaded.map_err(|error| {
            Trouble::new(format!("cannot load the customers of `{}`: {error}", path.display()))
                .hint("a snapshot is what `{\"customers\": {}}` answers: records in a map by id, or in a list")
        })?;
    }
    Ok(session)
}
