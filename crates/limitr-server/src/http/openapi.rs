//! The document that describes every route, and the page to browse it.

use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, PathItem, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi as _};
use utoipa_swagger_ui::SwaggerUi;

use super::problem::{self, PROBLEM_JSON};
use crate::accounts::COOKIE;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Limitr", description = "Usage limits, metering and billing. Errors are `application/problem+json`."),
    components(schemas(problem::Details)),
    security(("token" = []), ("session" = [])),
    modifiers(&Schemes),
)]
struct Document;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("limitr_...").build();
        components.add_security_scheme("token", SecurityScheme::Http(token));
        let description = "Named `__Host-limitr` over TLS. Changes need the header `X-CSRF-Token` as well.";
        let cookie = ApiKey::Cookie(ApiKeyValue::with_description(COOKIE, description));
        components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    }
}

/// The document before any route.
pub(super) fn empty() -> OpenApi {
    Document::openapi()
}

/// What is true of every operation is said here, once.
pub(super) fn complete(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(name(method, path));
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            let response = ResponseBuilder::new().description("It failed.").content(PROBLEM_JSON, content).build();
            operation.responses.responses.entry("default".to_owned()).or_insert(RefOr::T(response));
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let all = [("get", get), ("put", put), ("post", post), ("delete", delete), ("patch", patch)];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// What a generated client calls an operation: `get_policies_versions_id`. No two have the same.
fn name(method: &str, path: &str) -> String {
    let (place, path) = path.strip_prefix("/api/v1/").map_or((Some("root"), path), |path| (None, path));
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    [method].into_iter().chain(place).chain(words).collect::<Vec<_>>().join("_")
}

/// The document at `/api/v1/openapi.json` and the page at `/api/v1/docs`, which needs nothing from elsewhere.
pub(super) fn pages<S: Clone + Send + Sync + 'static>(document: OpenApi) -> axum::Router<S> {
    let page: axum::Router<S> = SwaggerUi::new("/api/v1/docs").url("/api/v1/openapi.json", document).into();
    // The page sets styles on elements and has its pictures inside of them.
    let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
    page.layer(SetResponseHeaderLayer::overriding(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)))
}
