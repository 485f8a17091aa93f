//! HTTP: what every route has in common. Routes themselves are with what they are about.

pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod detached;
pub(crate) mod etag;
pub(crate) mod idempotency;
pub(crate) mod limit;
mod observe;
mod openapi;
pub(crate) mod page;
pub(crate) mod peer;
pub(crate) mod problem;
pub(crate) mod serve;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use tokio::time::timeout;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

use self::problem::Problem;
use crate::state::App;
use crate::{accounts, customers, enforcement, engines, operate, policies, usage};

/// Every route of the REST API, relative to `/api/v1`. A module of routes is added here.
fn api() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(accounts::routes())
        .merge(accounts::tickets::routes())
        .merge(policies::routes())
        .merge(customers::routes())
        .merge(enforcement::routes())
        .merge(usage::routes())
}

/// Routes outside of the API.
fn root() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().merge(accounts::tickets::routes()).merge(operate::health::routes()).merge(engines::routes())
}

pub(crate) fn router(app: &Arc<App>) -> Router {
    let routes = OpenApiRouter::with_openapi(openapi::empty()).nest("/api/v1", api()).merge(root());
    let (router, document) = routes.split_for_parts();
    router
        .merge(openapi::pages(openapi::complete(document)))
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_method)
        // From the inside out.
        .layer(from_fn(etag::layer))
        .layer(DefaultBodyLimit::max(app.config.body_bytes))
        .layer(from_fn_with_state(Arc::clone(app), in_time))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(app), secure))
        .layer(from_fn(observe::layer))
        .with_state(Arc::clone(app))
}

async fn unknown_route(uri: Uri) -> Problem {
    let detail = format!("there is nothing at `{}`", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "unknown_route", detail).hint("every route is at /api/v1/docs")
}

async fn unknown_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("`{}` has no {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "unknown_method", detail).hint("`Allow` lists those it has")
}

/// A request that takes too long, be it the client that dawdles with its body or the database, is given up.
async fn in_time(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let most = app.config.request_seconds;
    let late = || {
        let detail = format!("the request took longer than {most} s");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_slow", detail)
            .hint("it may have happened nevertheless: send it again with the same Idempotency-Key")
    };
    timeout(Duration::from_secs(most), next.run(request)).await.unwrap_or_else(|_| late().into_response())
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    // What it said is in the log already, by the hook of the process.
    Problem::internal(&"a handler panicked").into_response()
}

/// Headers for browsers, where a route has not set its own.
async fn secure(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, HeaderValue); 5] = [
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
        (CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
    ];
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    if app.config.is_https() {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}
