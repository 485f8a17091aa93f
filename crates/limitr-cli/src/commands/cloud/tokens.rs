//! API tokens.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::api::{Api, Listed};
use super::reports::more;
use super::shown::{text, time};
use super::table::{Table, lines};
use super::{Most, Shown};
use crate::outcome::Outcome;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Tokens {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    most: Most,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a token; it is shown this once
    Create(Create),
    /// Revoke a token: what uses it is refused from then on
    Revoke(Revoke),
}

#[derive(Debug, Args)]
struct Create {
    /// What it is for
    name: String,
    /// What it may do
    #[arg(long)]
    scope: Scope,
    /// When it ends: text such as 2027-01-01T00:00:00Z, or ms since 1970; never, if not given
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time)]
    expires: Option<i64>,
}

#[derive(Debug, Args)]
struct Revoke {
    /// Its id, `tok_...`
    id: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scope {
    /// Connect, enforce, and work with customers: for programs
    Engine,
    /// Read everything
    Read,
    /// Do everything
    Admin,
}

pub(super) fn run(api: &Api, arguments: &Tokens, shown: &mut Shown<'_>) -> Outcome {
    match &arguments.command {
        None => list(api, arguments.most.most, shown),
        Some(Command::Create(create)) => self::create(api, create, shown),
        Some(Command::Revoke(Revoke { id })) => {
            api.delete(&["tokens", id])?;
            shown.answer(&json!({"revoked": id}), |_| format!("{id} is revoked\n"))
        }
    }
}

fn list(api: &Api, most: u32, shown: &mut Shown<'_>) -> Outcome {
    let Listed { items, more: left } = api.list(&["tokens"], &[], most)?;
    shown.answer(&items.into(), |tokens| {
        let mut table = Table::new(&["ID", "NAME", "SCOPE", "TOKEN", "MADE", "LAST USED", "EXPIRES", "REVOKED"]);
        for token in tokens.as_array().into_iter().flatten() {
            table.row([
                text(token, "id"),
                text(token, "name"),
                text(token, "scope"),
                format!("{}...", text(token, "hint")),
                time(token, "created_at"),
                time(token, "last_used_at"),
                time(token, "expires_at"),
                time(token, "revoked_at"),
            ]);
        }
        table.text("there are no tokens: `limitr cloud tokens create NAME --scope engine`") + more(left)
    })
}

fn create(api: &Api, create: &Create, shown: &mut Shown<'_>) -> Outcome {
    let scope = match create.scope {
        Scope::Engine => "engine",
        Scope::Read => "read",
        Scope::Admin => "admin",
    };
    let mut new = json!({"name": create.name, "scope": scope});
    if let (Some(expires), Value::Object(new)) = (create.expires, &mut new) {
        new.insert("expires_at".to_owned(), expires.into());
    }
    let made = api.post(&["tokens"], &new)?;
    shown.answer(&made, |made| {
        let shown = lines(&[
            ("token", text(made, "token")),
            ("id", text(made, "id")),
            ("scope", text(made, "scope")),
            ("expires", time(made, "expires_at")),
        ]);
        format!("{shown}\nKeep it now: it is not shown again.\n")
    })
}
