//! What comes in: bodies, queries and path parameters, each refused with a problem that names the field.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::state::App;
use crate::suggest;

/// The body, as JSON.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

/// The query. Unknown parameters are refused if `T` refuses unknown fields.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

/// Parameters in the path.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        let bytes = read(request, app).await?;
        json(&headers, &bytes).map(Self)
    }
}

/// The whole body, within the limit.
pub(super) async fn read(request: Request, app: &Arc<App>) -> Result<Bytes, Problem> {
    Bytes::from_request(request, app).await.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let most = app.config.body_bytes;
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", format!("a body has at most {most} bytes"))
        }
        _ => Problem::new(StatusCode::BAD_REQUEST, "incomplete_body", "the body did not arrive whole"),
    })
}

/// An empty body is an empty object: for requests whose fields can all be left out.
pub(super) fn json<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Problem> {
    let given = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    // A browser sends this type across origins only after asking, which nobody answers: no form can post here.
    if !bytes.is_empty() && !given.is_some_and(is_json) {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", "the body must be JSON")
            .at("Content-Type")
            .hint("send `Content-Type: application/json`"));
    }
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    // Serde would take a list for a record whose names are left out.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(of_data("the body must be an object, not a list"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value: T = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        let placed = error.is_data() && path != ".";
        let problem = of_json(&error);
        // Where the text is broken off is no field.
        if placed { problem.at(path) } else { problem }
    })?;
    reader.end().map_err(|error| of_json(&error))?;
    Ok(value)
}

fn is_json(media_type: &str) -> bool {
    let name = media_type.split(';').next().unwrap_or_default().trim();
    name.eq_ignore_ascii_case("application/json")
}

fn of_json(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    if error.is_data() {
        // Positions are of use where a person wrote the text; a field's path is of use to a program.
        let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
        return of_data(message);
    }
    Problem::new(StatusCode::BAD_REQUEST, "malformed_json", format!("the body is no JSON: {text}"))
}

fn of_data(message: &str) -> Problem {
    let code = match message {
        _ if message.starts_with("unknown field") => "unknown_field",
        _ if message.starts_with("missing field") => "missing_field",
        _ if message.starts_with("duplicate field") => "duplicate_field",
        _ => "invalid_value",
    };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, message).hint_if(suggest::for_unknown(message))
}

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        let query = query.map_err(|rejection| {
            let text = rejection.body_text();
            let message = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            // `limit: invalid digit found in string`
            match message.split_once(": ") {
                Some((path, message)) if !path.contains(' ') => of_query(message).at(path),
                _ => of_query(message),
            }
        })?;
        Ok(Self(query.0))
    }
}

fn of_query(message: &str) -> Problem {
    let code = if message.starts_with("unknown field") { "unknown_parameter" } else { "invalid_parameter" };
    Problem::new(StatusCode::BAD_REQUEST, code, message).hint_if(suggest::for_unknown(message))
}

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<App>> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, app).await;
        let path = path.map_err(|_| {
            Problem::new(StatusCode::NOT_FOUND, "not_found", "a part of the path is not what belongs there")
        })?;
        Ok(Self(path.0))
    }
}
