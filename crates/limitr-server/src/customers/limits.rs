//! Limits of a customer's own: overrides of its plan's, and caps on what it spends.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::changes::{self, Change};
use super::records;
use crate::accounts::roles::Permission;
use crate::http::auth::Caller;
use crate::http::body::{Body, Path};
use crate::http::idempotency::Post;
use crate::http::problem::{Details, Problem};
use crate::state::App;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(set_override, remove_override))
        .routes(routes!(add_cap))
        .routes(routes!(remove_cap))
        .routes(routes!(reset_cap))
}

/// Gives a customer a limit of its own on an entitlement.
///
/// The fields are those of a limit in the policy; what is left out is as in the limit in force.
#[utoipa::path(put, path = "/customers/{id}/overrides/{entitlement}", tag = "customers",
    request_body(content = Object, example = json!({"value": 1_000_000, "override_expires_on": 1_798_761_600_000_i64})),
    params(("id" = String, Path, example = "acme"), ("entitlement" = String, Path, example = "chat")),
    responses(
        (status = 200, description = "The limit in force from now on.", body = Object),
        (status = 422, description = "It is no valid limit: `problems` lists every finding.", body = Details,
            content_type = "application/problem+json")))]
async fn set_override(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((id, entitlement)): Path<(String, String)>,
    Body(limit): Body<Map<String, Value>>,
) -> Result<Json<Value>, Problem> {
    caller.require(Permission::EditCustomers)?;
    let operation = json!({
        "create_customer_override": {"customer": id, "entitlement": entitlement, "limit": limit}
    });
    let change = Change { action: "customer.override", operation, fields: &["overrides"] };
    let made = changes::of_existing(&app, caller, id, change).await?;
    if made.result.is_null() {
        return Err(Problem::not_found("entitlement", &entitlement).hint("the customer's plan has none of this name"));
    }
    Ok(Json(made.result))
}

/// Takes a customer's own limit away: the plan's is in force again.
#[utoipa::path(delete, path = "/customers/{id}/overrides/{entitlement}", tag = "customers",
    params(("id" = String, Path, example = "acme"), ("entitlement" = String, Path, example = "chat")),
    responses((status = 204, description = "It is gone.")))]
async fn remove_override(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((id, entitlement)): Path<(String, String)>,
) -> Result<Response, Problem> {
    caller.require(Permission::EditCustomers)?;
    let operation = json!({"remove_customer_override": {"customer": id, "entitlement": entitlement}});
    let change = Change { action: "customer.override", operation, fields: &["overrides"] };
    let made = changes::of_existing(&app, caller, id, change).await?;
    done(&made, || Problem::not_found("override", &entitlement))
}

/// Puts a ceiling on what a customer spends.
///
/// Fields: `value`, the ceiling; `id`; `credit`, what it counts in (`rune`); `exchangeable`; `overage_only`;
/// `ignore_grants`; `observe_only`; `overhead_cost`; `follow_decrements`; `hard_trailing`; `shared`; `shared_with`;
/// `scope`; `resets` with `reset_inc` or `reset_sch`; `expires_on`.
#[utoipa::path(post, path = "/customers/{id}/caps", tag = "customers",
    request_body(content = Object, example = json!({
        "value": 50, "credit": "rune", "resets": true, "reset_sch": "monthly:1"
    })),
    params(("id" = String, Path, example = "acme"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes repetitions harmless.")),
    responses(
        (status = 201, description = "The cap, with its id.", body = Object),
        (status = 409, description = "There is a cap of this id: `cap_exists`.", body = Details,
            content_type = "application/problem+json"),
        (status = 422, description = "`unknown_credit`, or `refused_cap`: it cannot work.", body = Details,
            content_type = "application/problem+json")))]
async fn add_cap(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    post: Post<Map<String, Value>>,
) -> Result<Response, Problem> {
    let Post { body: cap, once } = post;
    caller.require(Permission::EditCustomers)?;
    once.apart(app, caller, move |app, caller| async move {
        let customer = records::get(&app.store, &caller.workspace, &id).await?;
        let mut arguments = cap.clone();
        arguments.insert("customer".to_owned(), id.clone().into());
        let operation = json!({"add_customer_cap": arguments});
        let change = Change { action: "customer.cap", operation, fields: &["caps"] };
        let added = changes::make(&app, &caller, &id, change).await?.result;
        if !added.is_null() {
            return Ok((StatusCode::CREATED, added));
        }
        let name = cap.get("id").and_then(Value::as_str).unwrap_or_default();
        if customer.entry("caps", name).is_some() {
            let detail = format!("the customer has a cap `{name}` already");
            return Err(Problem::conflict("cap_exists", detail).at("id"));
        }
        // The engine does not say why it takes no cap of a customer. Of a call it does.
        let why = json!({"check": {"customer": id, "entitlement": "", "caps": [cap]}});
        app.engines.call(&caller.workspace, why).await?;
        Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused_cap", "the cap cannot be used"))
    })
    .await
}

/// Takes a ceiling away.
#[utoipa::path(delete, path = "/customers/{id}/caps/{cap}", tag = "customers",
    params(("id" = String, Path, example = "acme"), ("cap" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
async fn remove_cap(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((id, cap)): Path<(String, String)>,
) -> Result<Response, Problem> {
    caller.require(Permission::EditCustomers)?;
    let operation = json!({"remove_customer_cap": {"customer": id, "id": cap}});
    let change = Change { action: "customer.cap", operation, fields: &["caps"] };
    let made = changes::of_existing(&app, caller, id, change).await?;
    done(&made, || Problem::not_found("cap", &cap))
}

/// Sets what a ceiling has counted to zero, and begins its period anew.
#[utoipa::path(post, path = "/customers/{id}/caps/{cap}/reset", tag = "customers",
    params(("id" = String, Path, example = "acme"), ("cap" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes repetitions harmless.")),
    responses((status = 200, description = "The cap.", body = Object)))]
async fn reset_cap(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((id, cap)): Path<(String, String)>,
    post: Post<Map<String, Value>>,
) -> Result<Response, Problem> {
    caller.require(Permission::EditCustomers)?;
    if let Some(field) = post.body.keys().next() {
        return Err(Problem::invalid(field.as_str(), "nothing is expected in the body"));
    }
    post.once
        .apart(app, caller, move |app, caller| async move {
            records::get(&app.store, &caller.workspace, &id).await?;
            let operation = json!({"reset_customer_cap": {"customer": id, "id": cap}});
            let change = Change { action: "customer.cap", operation, fields: &["caps"] };
            let made = changes::make(&app, &caller, &id, change).await?;
            let reset = made.after.as_ref().and_then(|customer| customer.entry("caps", &cap)).cloned();
            Ok((StatusCode::OK, reset.ok_or_else(|| Problem::not_found("cap", &cap))?))
        })
        .await
}

/// Nothing to show for it, if it was done.
fn done(made: &changes::Made, missing: impl FnOnce() -> Problem) -> Result<Response, Problem> {
    if made.result == Value::Bool(true) { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(missing()) }
}
