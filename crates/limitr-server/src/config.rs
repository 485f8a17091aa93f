//! What the server is told: flags, then the environment, then a file, then defaults.

mod database;
mod keys;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

pub use self::database::Database;
use crate::error::Error;
use crate::suggest;

/// Everything the server can be told. [`Config::load`] reads it from where settings come from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Address and port to listen on. Port 0 takes any that is free.
    pub listen: String,
    /// `sqlite:<file>`, the file being relative to the data directory, or `postgres://...`.
    pub database: Database,
    /// Where the server keeps its files.
    pub data_dir: PathBuf,
    /// Certificate chain in PEM. Needs `tls_key`.
    pub tls_cert: Option<PathBuf>,
    /// Private key in PEM. Needs `tls_cert`.
    pub tls_key: Option<PathBuf>,
    /// How people reach the server, when it is not the listen address: `https://limits.example.com`.
    pub public_url: Option<String>,
    /// Proxies whose `X-Forwarded-For` is believed: addresses or networks such as `10.0.0.0/8`.
    pub trusted_proxies: Vec<String>,
    /// Makes a workspace, its owner and tokens at the first start.
    pub dev: bool,
    /// How logs look.
    pub log_format: LogFormat,
    /// How much is logged.
    pub log_level: LogLevel,
    /// Where traces are sent as OTLP over HTTP, for example `http://localhost:4318/v1/traces`.
    pub otlp_endpoint: Option<String>,
    /// Days for which raw ledger entries are kept. Without it they stay.
    pub ledger_retention_days: Option<u32>,
    /// The largest body of a request.
    pub body_bytes: usize,
    /// The most connections at once.
    pub connections: usize,
    /// Seconds a client may take to send the head of a request, and to shake hands.
    pub header_seconds: u64,
    /// Seconds a request may take from its head to its response.
    pub request_seconds: u64,
    /// Logins a minute from one address, and for one account.
    pub login_attempts: u32,
    /// Tickets a minute for one address.
    pub ticket_attempts: u32,
    /// Seconds that requests under way are given at shutdown.
    pub drain_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7070".to_owned(),
            database: Database::default(),
            data_dir: PathBuf::from("."),
            tls_cert: None,
            tls_key: None,
            public_url: None,
            trusted_proxies: Vec::new(),
            dev: false,
            log_format: LogFormat::Pretty,
            log_level: LogLevel::Info,
            otlp_endpoint: None,
            ledger_retention_days: None,
            body_bytes: 1024 * 1024,
            connections: 10_000,
            header_seconds: 10,
            request_seconds: 30,
            login_attempts: 10,
            ticket_attempts: 600,
            drain_seconds: 10,
        }
    }
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogLevel {
    /// What failed.
    Error,
    /// And what looks wrong.
    Warn,
    /// And every request.
    Info,
    /// And what the server does.
    Debug,
    /// And how.
    Trace,
}

impl Config {
    /// Reads the settings: `flags` win over `environment` (variables named `LIMITR_<SETTING>`), which wins over `file`.
    ///
    /// Values of flags and variables are texts; lists are separated by commas.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, a setting is unknown, or a value cannot be used. The error's path is the setting.
    pub fn load<F, E>(flags: F, environment: E, file: Option<&Path>) -> Result<Self, Error>
    where
        F: IntoIterator<Item = (String, String)>,
        E: IntoIterator<Item = (String, String)>,
    {
        let mut table = file.map_or_else(|| Ok(Table::new()), read)?;
        for (variable, text) in environment {
            if let Some(key) = keys::of_variable(&variable)? {
                table.insert(key.to_owned(), keys::value(key, &text, &variable)?);
            }
        }
        for (key, text) in flags {
            let flag = format!("--{}", key.replace('_', "-"));
            let value = keys::value(&key, &text, &flag)?;
            table.insert(key, value);
        }
        let config = Self::from_table(table, "the settings")?;
        config.check()?;
        Ok(config)
    }

    fn from_table(table: Table, whence: &str) -> Result<Self, Error> {
        serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
            let path = error.path().to_string();
            let message = error.inner().message().trim().to_owned();
            let unknown = suggest::for_unknown(&message);
            let mut told = Error::new("invalid_config", format!("{whence}: {message}")).at(path);
            if let Some(hint) = unknown {
                told = told.hint_at(hint);
            }
            told
        })
    }

    /// The checks that need more than the type of one setting.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let invalid = |path: &str, message: &str| Err(Error::new("invalid_config", message).at(path));
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => return invalid("tls_key", "`tls_cert` needs `tls_key` beside it"),
            (None, Some(_)) => return invalid("tls_cert", "`tls_key` needs `tls_cert` beside it"),
            _ => {}
        }
        if let Some(url) = &self.public_url
            && !(url.starts_with("https://") || url.starts_with("http://"))
        {
            return invalid("public_url", "`public_url` begins with `https://` or `http://`");
        }
        for (path, zero) in [
            ("body_bytes", self.body_bytes == 0),
            ("connections", self.connections == 0),
            ("header_seconds", self.header_seconds == 0),
            ("request_seconds", self.request_seconds == 0),
            ("login_attempts", self.login_attempts == 0),
            ("ticket_attempts", self.ticket_attempts == 0),
            ("ledger_retention_days", self.ledger_retention_days == Some(0)),
        ] {
            if zero {
                return invalid(path, &format!("`{path}` must be more than 0"));
            }
        }
        self.networks().map(|_| ())
    }

    /// The trusted proxies, read: address and number of leading bits that count.
    pub(crate) fn networks(&self) -> Result<Vec<(IpAddr, u32)>, Error> {
        let read = |text: &String| {
            let (address, bits) = text.split_once('/').map_or((text.as_str(), None), |(a, bits)| (a, Some(bits)));
            let address: IpAddr = address.trim().parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Some(most), |bits| bits.trim().parse().ok().filter(|bits| *bits <= most))?;
            Some((address, bits))
        };
        let unread = |text: &String| {
            Error::new("invalid_config", format!("`{text}` is no address and no network"))
                .at("trusted_proxies")
                .hint_at("write `10.0.0.7` or `10.0.0.0/8`")
        };
        self.trusted_proxies.iter().map(|text| read(text).ok_or_else(|| unread(text))).collect()
    }

    /// Do people reach it over TLS, here or at a proxy?
    pub(crate) fn is_https(&self) -> bool {
        self.tls_cert.is_some() || self.public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }
}

fn read(file: &Path) -> Result<Table, Error> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Error::new("unreadable_config", format!("`{name}` cannot be read: {error}")).at(&name))?;
    let table: Table = toml::from_str(&text).map_err(|error| {
        let line = error.span().map(|span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
        let place = line.map_or_else(|| name.clone(), |line| format!("{name}:{line}"));
        Error::new("invalid_config", format!("{place}: {}", error.message())).at(&name)
    })?;
    // So that what is wrong with the file is told of the file, even where a flag hides it.
    Config::from_table(table.clone(), &name)?;
    Ok(table)
}

#[cfg(test)]
mod tests;
