//! What a customer was granted.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::changes::{self, Change};
use super::records::{self, Customer};
use crate::accounts::roles::Permission;
use crate::http::auth::Caller;
use crate::http::body::{Path, Query};
use crate::http::idempotency::Post;
use crate::http::page::{Page, PageQuery, Window};
use crate::http::problem::{Details, Problem};
use crate::state::App;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(grants)).routes(routes!(apply))
}

fn all(customer: &Customer) -> impl Iterator<Item = (&String, &Value)> {
    customer.record.get("grants").and_then(Value::as_object).into_iter().flatten()
}

/// The balances of a customer, by their ids.
#[utoipa::path(get, path = "/customers/{id}/grants", tag = "customers",
    params(("id" = String, Path, example = "acme"), PageQuery),
    responses((status = 200, description = "A page of grants.", body = Page<Value>, example = json!({"items": [{
        "id": "grn_1", "credit": "token", "topup": "pack", "created_on": 1_768_435_200_000_i64,
        "granted_on": 1_768_435_200_000_i64, "starting_value": 1_000_000, "value": 740_000
    }]}))))]
async fn grants(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(PageQuery { limit, cursor }): Query<PageQuery>,
) -> Result<Json<Page<Value>>, Problem> {
    caller.require(Permission::ReadCustomers)?;
    let window = Window::<String>::new(limit, cursor.as_deref())?;
    let customer = records::get(&app.store, &caller.workspace, &id).await?;
    let mut grants: Vec<(&String, &Value)> =
        all(&customer).filter(|(id, _)| window.after.as_ref().is_none_or(|after| *id > after)).collect();
    grants.sort_by_key(|(id, _)| *id);
    let Page { items, next } = window.page(grants, |(id, _)| (*id).clone());
    Ok(Json(Page { items: items.into_iter().map(|(_, grant)| grant.clone()).collect(), next }))
}

/// A topup to be granted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTopup, example = json!({"topup": "pack"}))]
struct NewTopup {
    /// Its name in the customer's plan.
    topup: String,
}

/// Grants a topup of the customer's plan, once.
#[utoipa::path(post, path = "/customers/{id}/topups", tag = "customers", request_body = NewTopup,
    params(("id" = String, Path, example = "acme"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes repetitions harmless.")),
    responses(
        (status = 201, description = "What was granted.", body = Object),
        (status = 422, description = "The customer's plan has no such topup: `unknown_topup`.", body = Details,
            content_type = "application/problem+json")))]
async fn apply(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    post: Post<NewTopup>,
) -> Result<Response, Problem> {
    let Post { body: NewTopup { topup }, once } = post;
    caller.require(Permission::EditCustomers)?;
    once.apart(app, caller, move |app, caller| async move {
        let before = records::get(&app.store, &caller.workspace, &id).await?;
        let operation = json!({"apply_customer_topup": {"customer": id, "topup": topup}});
        let change = Change { action: "customer.topup", operation, fields: &["grants"] };
        let made = changes::make(&app, &caller, &id, change).await?;
        if made.result != Value::Bool(true) {
            let detail = format!("the customer's plan has no topup `{topup}`");
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_topup", detail).at("topup"));
        }
        let after = made.customer(&id)?;
        let new = |(id, grant): &(&String, &Value)| {
            before.entry("grants", id).is_none() && grant.get("topup").and_then(Value::as_str) == Some(&topup)
        };
        let granted = all(&after).filter(new).map(|(_, grant)| grant.clone()).next();
        Ok((StatusCode::CREATED, granted.unwrap_or_default()))
    })
    .await
}
