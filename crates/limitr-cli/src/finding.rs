//! Something wrong at a place in a file.

use std::borrow::Cow;

use limitr::{Position, Problem};
use serde::Serialize;

/// Something wrong at a place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable code.
    pub code: Cow<'static, str>,
    /// Where in the document: `policy.plans.pro`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where in the text.
    #[serde(flatten)]
    pub at: Option<Position>,
}

impl From<&Problem> for Finding {
    fn from(problem: &Problem) -> Self {
        let Problem { code, path, message, hint, at, .. } = problem.clone();
        Self { code: code.into(), path, message, hint, at }
    }
}

impl Finding {
    /// The findings of an error; one without a place where the error has no problems of its own.
    #[must_use]
    pub fn of(error: &limitr::Error) -> Vec<Self> {
        if error.problems().is_empty() {
            let hint = error.hint().map(str::to_owned);
            let path = error.path().unwrap_or_default().to_owned();
            return vec![Self { code: error.code().into(), path, message: error.to_string(), hint, at: None }];
        }
        error.problems().iter().map(Self::from).collect()
    }
}
