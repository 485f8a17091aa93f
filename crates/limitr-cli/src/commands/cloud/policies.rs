//! Policies: published, listed, compared, rolled back.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use limitr::policy::{Policy, difference, parse_document};
use serde_json::{Value, json};

use super::Shown;
use super::api::{Api, Listed};
use super::problem::Failure;
use super::shown::{text, time, version};
use super::table::Table;
use crate::cli::Format;
use crate::input::{self, Source};
use crate::outcome::{Exit, Outcome, Trouble};

/// What stands for the version in force.
const ACTIVE: &str = "active";

#[derive(Debug, Args)]
pub(super) struct Publish {
    /// The policy; `-` reads standard input and needs --format
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// What is new, for people
    #[arg(long, default_value = "")]
    note: String,
    /// Publish it also when it is in force already
    #[arg(long)]
    force: bool,
    /// The file's format, instead of its extension's
    #[arg(long)]
    format: Option<Format>,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// Its number, or its id
    #[arg(default_value = ACTIVE)]
    version: String,
}

#[derive(Debug, Args)]
pub(super) struct Diff {
    /// The version before, by number or id, or a file
    from: Option<String>,
    /// The version after, or a file
    to: Option<String>,
    /// The format of files, instead of their extensions'
    #[arg(long)]
    format: Option<Format>,
}

#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// The version to go back to, by number or id
    version: String,
    /// What is new, for people
    #[arg(long, default_value = "")]
    note: String,
    /// Publish it also when its document is in force already
    #[arg(long)]
    force: bool,
}

pub(super) fn publish(api: &Api, arguments: &Publish, shown: &mut Shown<'_>) -> Outcome {
    let Publish { file, note, force, format } = arguments;
    let source = input::read(file, format.map(Into::into))?;
    let body = json!({"format": source.format.to_string(), "document": source.text, "note": note, "force": force});
    match api.post(&["policies", "publish"], &body) {
        Ok(made) => shown.answer(&made, |made| format!("published {} as {}\n", source.name, version(made))),
        Err(failure) => refused(failure, source, shown),
    }
}

/// A document that the server does not take is shown as `limitr validate` shows it.
fn refused(failure: Failure, source: Source, shown: &mut Shown<'_>) -> Outcome {
    let Failure::Problem(problem) = &failure else { return Err(failure.into()) };
    let Some(findings) = problem.findings().map(<[_]>::to_vec) else { return Err(failure.into()) };
    if shown.json {
        writeln!(shown.out, "{}", json!({"valid": false, "problems": findings}))?;
        return Ok(Exit::No);
    }
    Err(Trouble::Findings { source: Box::new(source), findings, exit: Exit::No })
}

pub(super) fn versions(api: &Api, most: u32, shown: &mut Shown<'_>) -> Outcome {
    let Listed { items, more } = api.list(&["policies", "versions"], &[], most)?;
    shown.answer(&items.into(), |versions| {
        let mut table = Table::new(&["", ">VERSION", "ID", "PUBLISHED", "BY", "NOTE"]);
        for version in versions.as_array().into_iter().flatten() {
            let active = version.get("active") == Some(&Value::Bool(true));
            table.row([
                if active { "*" } else { "" }.to_owned(),
                text(version, "number"),
                text(version, "id"),
                time(version, "at"),
                version.get("author").map(|author| text(author, "name")).unwrap_or_default(),
                text(version, "note"),
            ]);
        }
        table.text("no version is published yet: `limitr cloud publish FILE`") + super::reports::more(more)
    })
}

pub(super) fn show(api: &Api, arguments: &Show, shown: &mut Shown<'_>) -> Outcome {
    let found = find(api, &arguments.version)?;
    // The document alone, so that it can go into a file.
    shown.answer(&found, |found| {
        let document = text(found, "document");
        if document.ends_with('\n') { document } else { document + "\n" }
    })
}

pub(super) fn rollback(api: &Api, arguments: &Rollback, shown: &mut Shown<'_>) -> Outcome {
    let Rollback { version: wanted, note, force } = arguments;
    let id = id_of(api, wanted)?;
    let made = api.post(&["policies", "versions", &id, "rollback"], &json!({"note": note, "force": force}))?;
    let wanted = if wanted.parse::<u64>().is_ok() { format!("version {wanted}") } else { wanted.clone() };
    shown.answer(&made, |made| format!("{wanted} is in force again, as {}\n", version(made)))
}

/// The version with this number or id, and its document.
fn find(api: &Api, wanted: &str) -> Outcome<Value> {
    let id = id_of(api, wanted)?;
    Ok(api.get(&["policies", "versions", &id], &[])?)
}

fn id_of(api: &Api, wanted: &str) -> Outcome<String> {
    let Ok(number) = wanted.parse::<u64>() else { return Ok(wanted.to_owned()) };
    // Latest first, and numbered without gaps.
    let latest = api.list(&["policies", "versions"], &[], 1)?;
    let latest = latest.items.first().and_then(|version| version.get("number")).and_then(Value::as_u64);
    let behind = latest.and_then(|latest| latest.checked_sub(number)).filter(|_| number > 0);
    let missing = || {
        let told = Trouble::new(format!("there is no version {number} of the policy"));
        match latest {
            Some(latest) => told.hint(format!("the latest is {latest}; `limitr cloud versions` lists them")),
            None => told.hint("none is published yet: `limitr cloud publish FILE`"),
        }
    };
    let count = behind.and_then(|behind| u32::try_from(behind + 1).ok()).ok_or_else(missing)?;
    let versions = api.list(&["policies", "versions"], &[], count)?.items;
    let found = versions.iter().find(|version| version.get("number").and_then(Value::as_u64) == Some(number));
    found.map(|version| text(version, "id")).ok_or_else(missing)
}

pub(super) fn diff(api: &Api, arguments: &Diff, shown: &mut Shown<'_>) -> Outcome {
    let Diff { from, to, format } = arguments;
    let (before, after) = match (from, to) {
        (Some(from), Some(to)) => (side(api, from, *format)?, side(api, to, *format)?),
        (Some(one), None) => (side(api, ACTIVE, None)?, side(api, one, *format)?),
        (None, _) => {
            let latest = api.list(&["policies", "versions"], &[], 2)?.items;
            let [after, before] = latest.as_slice() else {
                return Err(Trouble::new("there are no two published versions to compare")
                    .hint("name a file: `limitr cloud diff policy.yaml`"));
            };
            (side(api, &text(before, "id"), None)?, side(api, &text(after, "id"), None)?)
        }
    };
    let changes = difference(&before, &after);
    let lines = changes.iter().map(|change| format!("{change}\n")).collect::<String>();
    shown.answer(&json!(changes), |_| lines)?;
    Ok(Exit::yes(changes.is_empty()))
}

/// A policy by its number or id at the server, or from a file. One of such a name can be written as `./3`.
fn side(api: &Api, name: &str, format: Option<Format>) -> Outcome<Policy> {
    let published = name == ACTIVE || name.starts_with("pol_") || name.parse::<u64>().is_ok();
    let source = if published {
        let found = find(api, name)?;
        let format =
            text(&found, "format").parse().map_err(|error| Trouble::new(format!("{}: {error}", version(&found))))?;
        Source { name: version(&found), text: text(&found, "document"), format }
    } else {
        input::read(Path::new(name), format.map(Into::into))?
    };
    match parse_document(&source.text, source.format, true) {
        Ok(document) => Ok(document.policy),
        Err(error) => Err(Trouble::findings(source, &error)),
    }
}
