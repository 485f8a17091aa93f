//! `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::problem::Problem;
use crate::state::App;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "operation", security(()),
    responses((status = 200, description = "It runs.", body = String, content_type = "text/plain")))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// Requests can be served: the database answers, and the server is not stopping.
#[utoipa::path(get, path = "/readyz", tag = "operation", security(()),
    responses((status = 200, description = "Ready.", body = String, content_type = "text/plain")))]
async fn readyz(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    if app.closing.is_cancelled() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the server is stopping"));
    }
    // Reads a table, so that a database that was swapped for an empty one is noticed.
    let _: (i64,) = sqlx::query_as("SELECT MAX(version) FROM migrations").fetch_one(app.store.read()).await?;
    Ok("ready\n")
}

/// Metrics of this node, as Prometheus reads them.
#[utoipa::path(get, path = "/metrics", tag = "operation", security(()),
    responses((status = 200, description = "Metrics.", body = String, content_type = "text/plain")))]
async fn metrics(State(app): State<Arc<App>>) -> Response {
    app.store.measure();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.render()).into_response()
}
