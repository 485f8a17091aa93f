//! ETags: reads that need not be sent again, and changes that do not overwrite what their author has not seen.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::Body as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::problem::Problem;
use crate::secret;

/// The tag of a representation: of the very bytes that are sent.
fn of_bytes(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    format!("\"{}\"", secret::hex(digest.get(..16).unwrap_or_default()))
}

/// Gives every read of JSON its tag, and answers 304 to who has it already.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    if request.method() != Method::GET {
        return next.run(request).await;
    }
    let known = request.headers().get(IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    let json = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == "application/json");
    // A stream has no known size, and is not held up to be measured.
    if response.status() != StatusCode::OK || !json || response.body().size_hint().exact().is_none() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let bytes = match to_bytes(body, usize::MAX).await {
        Ok(bytes) => bytes,
        Err(error) => return Problem::internal(&error).into_response(),
    };
    let tag = of_bytes(&bytes);
    let same = known.as_ref().and_then(|known| known.to_str().ok()).is_some_and(|known| names(known, &tag));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        parts.headers.insert(ETAG, tag);
    }
    if same {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(CONTENT_TYPE);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

/// Is `tag` one of a header's list? A weak tag of the same content will do for reads.
fn names(list: &str, tag: &str) -> bool {
    let mut tags = list.split(',').map(str::trim);
    tags.any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// The header `If-Match` of a change.
#[derive(Debug)]
pub(crate) struct IfMatch(Option<String>);

impl IfMatch {
    /// Refuses a change to a record that is no longer what its author saw. `current` is the record as `GET` shows it.
    pub(crate) fn check(&self, current: &impl Serialize) -> Result<(), Problem> {
        let Some(wanted) = &self.0 else { return Ok(()) };
        let bytes = serde_json::to_vec(current).map_err(|error| Problem::internal(&error))?;
        if names(wanted, &of_bytes(&bytes)) {
            return Ok(());
        }
        let detail = "it has been changed since it was read";
        Err(Problem::new(StatusCode::PRECONDITION_FAILED, "changed", detail).at("If-Match").hint("read it again"))
    }

    fn of(headers: &HeaderMap) -> Self {
        Self(headers.get(IF_MATCH).map(|value| value.to_str().unwrap_or_default().to_owned()))
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_tags_is_read() {
        let tag = of_bytes(b"{}");
        assert!(names(&tag, &tag));
        assert!(names(&format!("\"x\", W/{tag}"), &tag));
        assert!(names("*", &tag));
        assert!(!names("\"x\"", &tag));
        assert!(!names("", &tag));
    }

    #[test]
    fn a_change_needs_the_tag_of_what_is_there() {
        let record = serde_json::json!({"name": "a"});
        let header = |tag: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_MATCH, tag.parse().unwrap());
            IfMatch::of(&headers)
        };
        header(&of_bytes(br#"{"name":"a"}"#)).check(&record).unwrap();
        IfMatch(None).check(&record).unwrap();
        let problem = header("\"x\"").check(&record).unwrap_err();
        assert_eq!(problem.status(), StatusCode::PRECONDITION_FAILED);
    }
}
