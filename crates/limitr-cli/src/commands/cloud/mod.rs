//! `limitr cloud`: work with a server, over its REST API.

mod api;
mod customers;
mod login;
mod policies;
mod problem;
mod reports;
mod shown;
mod status;
mod table;
mod tokens;

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::Value;

use self::api::Api;
use crate::outcome::{Exit, Outcome};

pub(crate) const EXAMPLES: &str = "\
Examples:
  limitr cloud login --server https://limits.example.com
  limitr cloud publish policy.yaml --note 'more chat for pro'
  limitr cloud diff policy.yaml
  limitr cloud usage --by customer,entitlement --from 2026-01-01

A token in LIMITR_TOKEN is used instead of the login. `publish` exits with 1 when the policy is not
valid, `diff` when there are differences.";

#[derive(Debug, Args)]
pub(crate) struct Cloud {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: Command,
}

/// Which server, as whom, and for whom.
#[derive(Debug, Args)]
struct Target {
    /// The server [default: LIMITR_SERVER, or http://127.0.0.1:7070]
    #[arg(long, value_name = "URL", global = true, help_heading = "Server")]
    server: Option<String>,
    /// A token to use instead of the login. Others on this machine can see it here: better in LIMITR_TOKEN
    #[arg(long, value_name = "TOKEN", global = true, help_heading = "Server")]
    token: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Log in, and stay logged in on this machine
    Login(login::Login),
    /// Log out
    Logout,
    /// Show who is logged in where, and the policy in force
    Status,
    /// Publish a policy: it is in force from then on, in every engine
    Publish(policies::Publish),
    /// List the published versions of the policy
    Versions(Most),
    /// Print a published policy
    Show(policies::Show),
    /// Show what differs between two policies in meaning
    ///
    /// With one argument, between the version in force and that one. Without any, what the last publication changed.
    Diff(policies::Diff),
    /// Publish an old version again
    Rollback(policies::Rollback),
    /// List, make and revoke API tokens
    Tokens(tokens::Tokens),
    /// List customers
    Customers(customers::List),
    /// Show a customer
    Customer(customers::One),
    /// Add up what was used
    Usage(reports::Report),
    /// Add up what was earned
    Margin(reports::Report),
    /// List who changed what
    Audit(reports::Audit),
}

/// How long a list may get.
#[derive(Debug, Args)]
struct Most {
    /// Most rows shown
    #[arg(long = "limit", value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    most: u32,
}

pub(super) fn run(arguments: &Cloud, out: &mut dyn Write) -> Outcome {
    let Cloud { target, command } = arguments;
    let api = Api::new(target)?;
    let mut shown = Shown { json: target.json, out };
    match command {
        Command::Login(arguments) => login::log_in(&api, arguments, &mut shown),
        Command::Logout => login::log_out(&api, &mut shown),
        Command::Status => status::run(&api, &mut shown),
        Command::Publish(arguments) => policies::publish(&api, arguments, &mut shown),
        Command::Versions(most) => policies::versions(&api, most.most, &mut shown),
        Command::Show(arguments) => policies::show(&api, arguments, &mut shown),
        Command::Diff(arguments) => policies::diff(&api, arguments, &mut shown),
        Command::Rollback(arguments) => policies::rollback(&api, arguments, &mut shown),
        Command::Tokens(arguments) => tokens::run(&api, arguments, &mut shown),
        Command::Customers(arguments) => customers::list(&api, arguments, &mut shown),
        Command::Customer(arguments) => customers::one(&api, arguments, &mut shown),
        Command::Usage(arguments) => reports::usage(&api, arguments, &mut shown),
        Command::Margin(arguments) => reports::margin(&api, arguments, &mut shown),
        Command::Audit(arguments) => reports::audit(&api, arguments, &mut shown),
    }
}

/// Where answers go: to people or to programs.
struct Shown<'o> {
    json: bool,
    out: &'o mut dyn Write,
}

impl Shown<'_> {
    /// An answer: as JSON, or as `text` says it.
    fn answer(&mut self, answer: &Value, text: impl FnOnce(&Value) -> String) -> Outcome {
        if self.json {
            writeln!(self.out, "{answer}")?;
        } else {
            self.out.write_all(text(answer).as_bytes())?;
        }
        Ok(Exit::Fine)
    }
}
