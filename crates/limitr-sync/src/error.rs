//! What can go wrong between an engine and its server.

use serde::{Deserialize, Serialize};

/// An error that one side tells the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncError {
    /// Stable code.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl SyncError {
    /// An error without a hint.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), hint: None }
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

impl From<&limitr::Error> for SyncError {
    fn from(error: &limitr::Error) -> Self {
        Self { code: error.code().to_owned(), message: error.to_string(), hint: error.hint().map(str::to_owned) }
    }
}

impl std::fmt::Display for SyncError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

impl std::error::Error for SyncError {}

/// An entry that the server did not take, and why. It is not sent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The entry's number.
    pub entry: u64,
    /// Stable code.
    pub code: String,
    /// What is wrong with it.
    pub message: String,
}
