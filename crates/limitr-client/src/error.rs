//! What can go wrong between a program and its server.

use std::borrow::Cow;
use std::fmt;

use limitr_sync::SyncError;

/// A failure, with a stable code and what to do about it. It never contains a token.
///
/// Codes of this crate are `invalid_address`, `cannot_connect`, `cannot_verify`, `connect_timeout`, `disconnected`,
/// `closed` and `invalid_unsent`; the server and the engine have theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    code: Cow<'static, str>,
    message: String,
    path: Option<String>,
    hint: Option<String>,
}

impl Error {
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { code: code.into(), message: message.into(), path: None, hint: None }))
    }

    #[must_use]
    pub(crate) fn at(mut self, path: impl Into<String>) -> Self {
        self.0.path = Some(path.into());
        self
    }

    #[must_use]
    pub(crate) fn hint_at(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub(crate) fn disconnected() -> Self {
        Self::new("disconnected", "the server cannot be asked: there is no connection")
            .hint_at("it is made again by itself; try again later")
    }

    pub(crate) fn closed() -> Self {
        Self::new("closed", "the connection to the server was closed by this program")
    }

    /// A stable code to match on.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// What it is about, when there is one thing: an option, an argument.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// What to do about it, when there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

impl From<limitr::Error> for Error {
    fn from(error: limitr::Error) -> Self {
        let (path, hint) = (error.path().map(str::to_owned), error.hint().map(str::to_owned));
        Self(Box::new(Inner { code: error.code().into(), message: error.to_string(), path, hint }))
    }
}

impl From<SyncError> for Error {
    fn from(SyncError { code, message, hint }: SyncError) -> Self {
        Self(Box::new(Inner { code: code.into(), message, path: None, hint }))
    }
}
