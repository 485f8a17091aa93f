//! What a request is told when it fails: `application/problem+json`, RFC 9457.

use std::fmt;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use limitr::ErrorKind;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Error;

pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// A request that failed. Handlers return it as their error.
#[derive(Debug)]
pub(crate) struct Problem(Box<Details>);

/// The body: what went wrong, for programs (`code`, `path`) and for people.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Details {
    /// Stable, to match on.
    #[schema(value_type = String, example = "unknown_field")]
    code: &'static str,
    /// What the status means.
    #[schema(value_type = String)]
    title: &'static str,
    /// The HTTP status.
    #[schema(value_type = u16)]
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    /// What is wrong with this request.
    detail: String,
    /// Which part of the request: a field of the body, a parameter, a header.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Every finding of a policy document, with `code`, `path`, `message`, `hint`, `line` and `column`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    problems: Vec<limitr::Problem>,
    /// Seconds to wait before trying again.
    #[serde(skip)]
    retry_after: Option<u64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Failed");
        let detail = detail.into();
        let (path, hint, problems, retry_after) = (None, None, Vec::new(), None);
        Self(Box::new(Details { code, title, status, detail, path, hint, problems, retry_after }))
    }

    /// A field or parameter that cannot be used.
    pub(crate) fn invalid(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_value", detail).at(path)
    }

    /// Nobody is logged in, and no token came.
    pub(crate) fn unauthenticated(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// What is asked for is more than the caller may.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// `what` is a noun: "token", "user".
    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no {what} `{id}`"))
    }

    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    pub(crate) fn too_many(seconds: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many attempts")
            .hint("wait as long as `Retry-After` says")
            .retry_after(seconds)
    }

    /// For what should not happen. The cause is logged, not told.
    pub(crate) fn internal(cause: &dyn fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server made a mistake")
            .hint("its log says more, under the request id")
    }

    #[must_use]
    pub(crate) fn at(mut self, path: impl Into<String>) -> Self {
        self.0.path = Some(path.into());
        self
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub(crate) fn hint_if(mut self, hint: Option<String>) -> Self {
        self.0.hint = hint;
        self
    }

    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// With a path that begins inside of `whole`, which is not what the request calls it.
    #[must_use]
    pub(crate) fn inside(mut self, whole: &str) -> Self {
        let within = |text: &str| text.strip_prefix(whole)?.strip_prefix('.').map(str::to_owned);
        if let Some(path) = self.0.path.as_deref().and_then(within) {
            self.0.path = Some(path);
            self.0.detail = within(&self.0.detail).unwrap_or_else(|| self.0.detail.clone());
        }
        self
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl From<limitr::Error> for Problem {
    fn from(error: limitr::Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Policy | ErrorKind::Argument => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            // A kind of a later engine.
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let mut problem = Self::new(status, error.code(), error.to_string());
        problem.0.path = error.path().map(str::to_owned);
        problem.0.hint = error.hint().map(str::to_owned);
        problem.0.problems = error.problems().to_vec();
        problem
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, retry_after) = match error.code() {
            "invalid_text" => (StatusCode::UNPROCESSABLE_ENTITY, None),
            "database_busy" | "database_locked" | "database_unavailable" => (StatusCode::SERVICE_UNAVAILABLE, Some(1)),
            "database_full" => (StatusCode::INSUFFICIENT_STORAGE, None),
            _ => return Self::internal(&error),
        };
        tracing::warn!(code = error.code(), %error, "a request failed");
        let mut problem = Self::new(status, error.code(), error.to_string());
        problem.0.hint = error.hint().map(str::to_owned);
        problem.0.retry_after = retry_after;
        problem
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Error::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Details { status, retry_after, .. } = *self.0;
        let mut response = (status, Json(self.0)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
