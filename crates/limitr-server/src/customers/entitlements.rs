//! What a customer may do right now.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::records;
use crate::accounts::roles::Permission;
use crate::http::auth::Caller;
use crate::http::body::Path;
use crate::http::problem::Problem;
use crate::state::App;
use crate::time::Millis;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(entitlements))
}

/// What a customer may do, by the plan that applies to it.
#[derive(Serialize, ToSchema)]
#[schema(as = CustomerEntitlements, example = json!({
    "plan": "pro",
    "entitlements": {
        "seats": {"allowed": true},
        "chat": {"allowed": true, "used": 1200, "limit": 500_000, "remaining": 498_800,
            "resets_at": 1_768_521_600_000_i64}
    }
}))]
struct Entitlements {
    /// The plan that applies, its own or that of a ref. None, when none does.
    plan: Option<String>,
    /// By name.
    entitlements: BTreeMap<String, Standing>,
}

/// How a customer stands to an entitlement. Numbers are in the unit of its credit; access without a limit has none.
#[derive(Serialize, ToSchema)]
#[schema(as = EntitlementStanding)]
struct Standing {
    /// Whether there is access at all: to nothing more, a call of 0.
    allowed: bool,
    /// Why not.
    #[schema(value_type = Option<String>, example = "limit")]
    #[serde(skip_serializing_if = "Value::is_null")]
    reason: Value,
    /// Used in the running period.
    #[schema(value_type = Option<f64>)]
    #[serde(skip_serializing_if = "Value::is_null")]
    used: Value,
    /// The limit, with what grants add to it.
    #[schema(value_type = Option<f64>)]
    #[serde(skip_serializing_if = "Value::is_null")]
    limit: Value,
    /// What is left, with grants.
    #[schema(value_type = Option<f64>)]
    #[serde(skip_serializing_if = "Value::is_null")]
    remaining: Value,
    /// When the period ends, in ms since 1970.
    #[schema(value_type = Option<Millis>)]
    #[serde(skip_serializing_if = "Value::is_null")]
    resets_at: Value,
}

/// What a customer may do right now, and how much of it is left.
#[utoipa::path(get, path = "/customers/{id}/entitlements", tag = "customers",
    params(("id" = String, Path, example = "acme")),
    responses((status = 200, description = "Every entitlement of its plan.", body = Entitlements)))]
async fn entitlements(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Entitlements>, Problem> {
    caller.require(Permission::ReadCustomers)?;
    let id = records::get(&app.store, &caller.workspace, &id).await?.id().to_owned();
    let mut plan = app.engines.call(&caller.workspace, json!({"plan_for": {"customer": id}})).await?;
    let names: Vec<String> = plan
        .get("entitlements")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|entitlements| entitlements.keys().cloned())
        .collect();
    // All at once: the engine answers together what is asked together.
    let standings = names.iter().map(|name| standing(&app, &caller, &id, name));
    let standings = try_join_all(standings).await?;
    let plan = plan.get_mut("id").map(Value::take).and_then(|plan| plan.as_str().map(str::to_owned));
    Ok(Json(Entitlements { plan, entitlements: names.into_iter().zip(standings).collect() }))
}

async fn standing(app: &App, caller: &Caller, customer: &str, entitlement: &str) -> Result<Standing, Problem> {
    let place = json!({"customer": customer, "entitlement": entitlement});
    let mut of_check = place.clone();
    if let Some(of_check) = of_check.as_object_mut() {
        of_check.insert("decision".to_owned(), true.into());
    }
    let questions =
        [json!({"check": of_check}), json!({"value": place}), json!({"limit": place}), json!({"remaining": place})];
    let answers = questions.map(|question| app.engines.call(&caller.workspace, question));
    let mut answers = try_join_all(answers).await?.into_iter();
    let mut next = || answers.next().unwrap_or_default();
    let (decision, used, limit, remaining) = (next(), next(), next(), next());
    let of = |field: &str| decision.get(field).cloned().unwrap_or_default();
    Ok(Standing {
        allowed: of("allowed") == Value::Bool(true),
        reason: of("reason"),
        used,
        limit,
        remaining,
        resets_at: of("resets_at"),
    })
}
