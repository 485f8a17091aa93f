//! What is seen of requests: an id, a span, a line in the log, metrics. Never their headers, bodies or queries.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Instrument as _, info, info_span};

use crate::secret;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_ID: usize = 64;

/// The outermost layer.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = request_id(&request);
    // The pattern, not the path: ids in it would make a metric each, and a stray secret would be logged.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = known_method(request.method().as_str());
    let span = info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        id = id.to_str().unwrap_or_default(),
        method,
        route,
        workspace = Empty,
        actor = Empty,
        status = Empty,
    );
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    let took = start.elapsed();
    span.record("status", status);
    span.in_scope(|| info!(status, ms = took.as_millis(), "answered"));
    let labels = [("method", method.to_owned()), ("route", route), ("status", status.to_string())];
    metrics::counter!("limitr_http_requests_total", &labels).increment(1);
    metrics::histogram!("limitr_http_request_seconds", &labels).record(took);
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// A proxy's own, if it is one that can be logged.
fn request_id(request: &Request) -> HeaderValue {
    let given = request.headers().get(REQUEST_ID).filter(|id| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
        !id.is_empty() && id.len() <= LONGEST_ID && id.as_bytes().iter().all(plain)
    });
    let made = || secret::id("req_").ok().and_then(|id| HeaderValue::from_str(&id).ok());
    given.cloned().or_else(made).unwrap_or(HeaderValue::from_static("none"))
}

/// A client can make up methods, and each would be a metric of its own.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("other")
}
