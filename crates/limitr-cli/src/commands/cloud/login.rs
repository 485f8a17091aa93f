//! Logging in and out, and where the login is kept.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use reqwest::header::COOKIE;
use reqwest::{RequestBuilder, Url};
use serde_json::{Map, Value, json};

use super::Shown;
use super::api::Api;
use super::problem::Failure;
use super::shown::text;
use crate::outcome::{Outcome, Trouble};

/// Longest password that is read.
const LONGEST: u64 = 4096;

#[derive(Debug, Args)]
pub(super) struct Login {
    /// The account; asked for, if not given
    #[arg(long)]
    email: Option<String>,
    /// Read the password from standard input, instead of asking for it
    #[arg(long, requires = "email")]
    password_stdin: bool,
}

/// A session at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) email: String,
    /// As the header has it.
    pub(super) cookie: String,
    pub(super) csrf: String,
}

impl Session {
    /// A request in this session.
    pub(super) fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        request.header(COOKIE, &self.cookie).header("X-CSRF-Token", &self.csrf)
    }
}

pub(super) fn log_in(api: &Api, arguments: &Login, shown: &mut Shown<'_>) -> Outcome {
    let email = match &arguments.email {
        Some(email) => email.clone(),
        None => ask("email: ")?,
    };
    let password = if arguments.password_stdin { read_password()? } else { ask_password()? };
    let (me, cookie) = api.post_for_cookie(&["login"], &json!({"email": email, "password": password}))?;
    let csrf = text(&me, "csrf");
    let Some(cookie) = cookie.filter(|_| !csrf.is_empty()) else {
        return Err(Failure::Unreachable(format!("{} is no Limitr server: it began no session", api.server())).into());
    };
    keep(api.base(), Some(&Session { email: text(&me, "email"), cookie, csrf }))?;
    let answer = json!({"server": api.server(), "email": me.get("email"), "role": me.get("role")});
    shown.answer(&answer, |answer| {
        format!("logged in to {} as {} ({})\n", api.server(), text(answer, "email"), text(answer, "role"))
    })
}

pub(super) fn log_out(api: &Api, shown: &mut Shown<'_>) -> Outcome {
    let Some(session) = kept(api.base())? else {
        return Err(Trouble::new(format!("nobody is logged in to {}", api.server()))
            .hint("a token is revoked with `limitr cloud tokens revoke`"));
    };
    let ended = api.end(&session);
    // Whatever the server says: here it is over.
    keep(api.base(), None)?;
    match ended {
        Ok(()) => {}
        Err(failure) if failure.is("session_ended") => {}
        Err(failure) => return Err(failure.into()),
    }
    let answer = json!({"server": api.server(), "email": session.email});
    shown.answer(&answer, |_| format!("logged out of {}\n", api.server()))
}

fn ask(question: &str) -> Outcome<String> {
    if !io::stdin().is_terminal() {
        return Err(Trouble::new("there is nobody to ask for the email address").hint("give it with `--email`"));
    }
    let mut err = io::stderr().lock();
    err.write_all(question.as_bytes())?;
    err.flush()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

fn ask_password() -> Outcome<String> {
    if !io::stdin().is_terminal() {
        return Err(Trouble::new("there is nobody to ask for the password").hint("send it with `--password-stdin`"));
    }
    rpassword::prompt_password("password: ").map_err(|error| Trouble::new(format!("cannot read the password: {error}")))
}

fn read_password() -> Outcome<String> {
    let mut password = String::new();
    let read = io::stdin().lock().take(LONGEST).read_to_string(&mut password);
    read.map_err(|error| Trouble::new(format!("cannot read the password: {error}")))?;
    Ok(password.trim_end_matches(['\r', '\n']).to_owned())
}

/// The login kept for a server.
pub(super) fn kept(server: &Url) -> Outcome<Option<Session>> {
    let Some(file) = file() else { return Ok(None) };
    let logins = read(&file)?;
    Ok(logins.get(server.as_str()).map(|login| Session {
        email: text(login, "email"),
        cookie: text(login, "cookie"),
        csrf: text(login, "csrf"),
    }))
}

/// Keeps the login for a server, or forgets it.
fn keep(server: &Url, session: Option<&Session>) -> Outcome<()> {
    let file = file().ok_or_else(|| {
        Trouble::new("there is no place to keep the login").hint("set HOME, or use a token in LIMITR_TOKEN")
    })?;
    let mut logins = read(&file)?;
    match session {
        Some(Session { email, cookie, csrf }) => {
            let login = json!({"email": email, "cookie": cookie, "csrf": csrf});
            logins.insert(server.to_string(), login);
        }
        None => drop(logins.shift_remove(server.as_str())),
    }
    let cannot = |error: io::Error| Trouble::new(format!("cannot write `{}`: {error}", file.display()));
    if logins.is_empty() {
        return match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot(error)),
            _ => Ok(()),
        };
    }
    write(&file, &Value::from(logins)).map_err(cannot)
}

fn read(file: &Path) -> Outcome<Map<String, Value>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Map::new()),
        Err(error) => return Err(Trouble::new(format!("cannot read `{}`: {error}", file.display()))),
    };
    serde_json::from_str(&text).map_err(|_| {
        Trouble::new(format!("`{}` is not what `limitr cloud login` writes", file.display()))
            .hint("remove it, and log in again")
    })
}

/// Under its name there is never half a file, nor one that others can read.
fn write(file: &Path, logins: &Value) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut partial = file.as_os_str().to_owned();
    partial.push(format!(".{}", std::process::id()));
    let partial = PathBuf::from(partial);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&partial).and_then(|mut out| {
        writeln!(out, "{logins:#}")?;
        out.sync_all()
    });
    let written = written.and_then(|()| fs::rename(&partial, file));
    if written.is_err() {
        // What failed is what is told.
        drop(fs::remove_file(&partial));
    }
    written
}

/// In the user's folder for settings.
fn file() -> Option<PathBuf> {
    let set = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = if cfg!(windows) {
        set("APPDATA")
    } else {
        // As the convention has it, only a whole path counts.
        set("XDG_CONFIG_HOME").filter(|path| path.is_absolute()).or_else(|| Some(set("HOME")?.join(".config")))
    };
    Some(folder?.join("limitr").join("logins.json"))
}
