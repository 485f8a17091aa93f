//! Customers themselves: created, read, changed, deleted; and what they are called and belong to.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::changes::{self, Change};
use super::records::{self, Customer};
use crate::accounts::roles::Permission;
use crate::http::auth::Caller;
use crate::http::body::{Body, Path};
use crate::http::idempotency::Post;
use crate::http::problem::{Details, Problem};
use crate::state::App;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(read, change, delete))
        .routes(routes!(set_plan))
        .routes(routes!(set_refs))
        .routes(routes!(add_alt, remove_alt))
}

/// A customer to be created.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCustomer, example = json!({
    "id": "acme", "plan": "pro", "type": "org", "label": "Acme", "metadata": {"region": "eu"}
}))]
struct NewCustomer {
    id: String,
    /// Its own plan. Without one it is on the plan of its refs, else on the default plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    /// `user`, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    /// For people. `User`, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// Customers it refers to, nearest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    refs: Option<Vec<String>>,
    /// Other ids it goes by.
    #[serde(skip_serializing_if = "Option::is_none")]
    alt_ids: Option<Vec<String>>,
    /// The application's own data.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Map<String, Value>>,
    /// Whether it is no error that it exists already. It stays as it is then.
    #[serde(default, skip_serializing)]
    ensure: bool,
}

/// Creates a customer, with the grants that its plan includes.
#[utoipa::path(post, path = "/customers", tag = "customers", request_body = NewCustomer,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes repetitions harmless.")),
    responses(
        (status = 201, description = "Created.", body = Customer),
        (status = 200, description = "It was there, and `ensure` was given.", body = Customer),
        (status = 409, description = "`customer_exists`, or `alt_id_taken`.", body = Details,
            content_type = "application/problem+json"),
        (status = 422, description = "`unknown_plan`, `no_plan`, `invalid_id`.", body = Details,
            content_type = "application/problem+json")))]
async fn create(State(app): State<Arc<App>>, caller: Caller, post: Post<NewCustomer>) -> Result<Response, Problem> {
    let Post { body: new, once } = post;
    caller.require(Permission::EditCustomers)?;
    once.apart(app, caller, move |app, caller| async move {
        let change = Change {
            action: "customer.create",
            operation: json!({"ensure_customer": new}),
            fields: &["id", "plan", "type", "label", "alt_ids", "refs", "metadata", "grants"],
        };
        let made = changes::make(&app, &caller, &new.id, change).await?;
        let created = made.result == Value::Bool(true);
        if !created && !new.ensure {
            let detail = format!("there is a customer `{}` already", new.id);
            return Err(Problem::conflict("customer_exists", detail)
                .at("id")
                .hint("with `ensure` that is no error, and the customer stays as it is"));
        }
        let status = if created { StatusCode::CREATED } else { StatusCode::OK };
        Ok((status, made.customer(&new.id)?))
    })
    .await
}

/// A customer, by its id or an alternate one.
#[utoipa::path(get, path = "/customers/{id}", tag = "customers", params(("id" = String, Path, example = "acme")),
    responses(
        (status = 200, description = "The customer.", body = Customer),
        (status = 404, description = "There is none: `not_found`.", body = Details,
            content_type = "application/problem+json")))]
async fn read(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<Json<Customer>, Problem> {
    caller.require(Permission::ReadCustomers)?;
    Ok(Json(records::get(&app.store, &caller.workspace, &id).await?))
}

/// Has a change made of a customer that exists, and answers with the customer.
async fn alter(app: Arc<App>, caller: Caller, id: String, change: Change) -> Result<Json<Customer>, Problem> {
    let made = changes::of_existing(&app, caller, id.clone(), change).await?;
    made.customer(&id).map(Json)
}

/// What can be changed of a customer. What is left out stays.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CustomerChange, example = json!({"label": "Acme Inc.", "metadata": {"region": "eu"}}))]
struct CustomerChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// The application's own data, all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Map<String, Value>>,
}

/// Changes label, type or metadata.
#[utoipa::path(patch, path = "/customers/{id}", tag = "customers", request_body = CustomerChange,
    params(("id" = String, Path, example = "acme")),
    responses((status = 200, description = "Changed.", body = Customer)))]
async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Body(change): Body<CustomerChange>,
) -> Result<Json<Customer>, Problem> {
    caller.require(Permission::EditCustomers)?;
    // Who is created again is changed in what is given, and keeps the rest. That goes by the id, not an alternate one.
    let id = records::get(&app.store, &caller.workspace, &id).await?.id().to_owned();
    let mut again = json!(change);
    if let Some(again) = again.as_object_mut() {
        again.insert("id".to_owned(), id.clone().into());
    }
    let change = Change {
        action: "customer.change",
        operation: json!({"create_customer": again}),
        fields: &["type", "label", "metadata"],
    };
    alter(app, caller, id, change).await
}

/// Deletes a customer, with its meters, grants and caps. What it has used stays in the ledger.
#[utoipa::path(delete, path = "/customers/{id}", tag = "customers", params(("id" = String, Path, example = "acme")),
    responses((status = 204, description = "It is gone.")))]
async fn delete(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    caller.require(Permission::EditCustomers)?;
    let id = records::get(&app.store, &caller.workspace, &id).await?.id().to_owned();
    let change = Change {
        action: "customer.delete",
        operation: json!({"delete_customer": {"id": id}}),
        fields: &[
            "id",
            "plan",
            "type",
            "label",
            "alt_ids",
            "refs",
            "metadata",
            "meters",
            "grants",
            "overrides",
            "caps",
        ],
    };
    changes::of_existing(&app, caller, id, change).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A plan to move to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CustomerPlan, example = json!({"plan": "pro"}))]
struct NewPlan {
    plan: String,
    /// Whether every meter starts over.
    #[serde(default)]
    overwrite_meters: bool,
}

/// Moves a customer to a plan of its own.
///
/// Grants of the old plan's topups lapse, those that the new one includes are given.
#[utoipa::path(put, path = "/customers/{id}/plan", tag = "customers", request_body = NewPlan,
    params(("id" = String, Path, example = "acme")),
    responses(
        (status = 200, description = "It is on the plan.", body = Customer),
        (status = 422, description = "The policy has no such plan: `unknown_plan`.", body = Details,
            content_type = "application/problem+json")))]
async fn set_plan(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Body(NewPlan { plan, overwrite_meters }): Body<NewPlan>,
) -> Result<Json<Customer>, Problem> {
    caller.require(Permission::EditCustomers)?;
    if app.engines.call(&caller.workspace, json!({"plan": {"id": plan}})).await?.is_null() {
        let detail = format!("the policy has no plan `{plan}`");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_plan", detail).at("plan"));
    }
    let operation = json!({
        "set_customer_plan": {"customer": id, "plan": plan, "overwrite_meters": overwrite_meters}
    });
    let fields: &[&str] = if overwrite_meters { &["plan", "grants", "meters"] } else { &["plan", "grants"] };
    alter(app, caller, id, Change { action: "customer.plan", operation, fields }).await
}

/// Customers to refer to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CustomerRefs, example = json!({"refs": ["acme"]}))]
struct NewRefs {
    /// All of them, nearest first.
    refs: Vec<String>,
}

/// Sets the customers that one refers to, such as its organisation.
#[utoipa::path(put, path = "/customers/{id}/refs", tag = "customers", request_body = NewRefs,
    params(("id" = String, Path, example = "ann")),
    responses((status = 200, description = "Set.", body = Customer)))]
async fn set_refs(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Body(NewRefs { refs }): Body<NewRefs>,
) -> Result<Json<Customer>, Problem> {
    caller.require(Permission::EditCustomers)?;
    let operation = json!({"set_customer_refs": {"customer": id, "refs": refs}});
    alter(app, caller, id, Change { action: "customer.refs", operation, fields: &["refs"] }).await
}

/// Gives a customer another id to go by.
#[utoipa::path(put, path = "/customers/{id}/alts/{alt}", tag = "customers",
    params(("id" = String, Path, example = "acme"), ("alt" = String, Path, example = "cus_9")),
    responses(
        (status = 200, description = "It goes by it.", body = Customer),
        (status = 409, description = "Another customer goes by it: `alt_id_taken`.", body = Details,
            content_type = "application/problem+json")))]
async fn add_alt(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((id, alt)): Path<(String, String)>,
) -> Result<Json<Customer>, Problem> {
    caller.require(Permission::EditCustomers)?;
    let operation = json!({"add_alt_id": {"customer": id, "alt": alt}});
    alter(app, caller, id, Change { action: "customer.alt", operation, fields: &["alt_ids"] }).await
}

/// Takes an alternate id away. What is not there is no error.
#[utoipa::path(delete, path = "/customers/{id}/alts/{alt}", tag = "customers",
    params(("id" = String, Path, example = "acme"), ("alt" = String, Path, example = "cus_9")),
    responses((status = 200, description = "It does not go by it.", body = Customer)))]
async fn remove_alt(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((id, alt)): Path<(String, String)>,
) -> Result<Json<Customer>, Problem> {
    caller.require(Permission::EditCustomers)?;
    // By its own id: it would not be found afterwards by the one that it loses.
    let id = records::get(&app.store, &caller.workspace, &id).await?.id().to_owned();
    let operation = json!({"remove_alt_id": {"customer": id, "alt": alt}});
    alter(app, caller, id, Change { action: "customer.alt", operation, fields: &["alt_ids"] }).await
}
