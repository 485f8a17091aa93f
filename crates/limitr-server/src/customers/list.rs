//! `GET /customers`: the list, and the search.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::records::{Customer, Row};
use crate::accounts::roles::Permission;
use crate::http::auth::Caller;
use crate::http::body::Query;
use crate::http::page::{Page, Window};
use crate::http::problem::Problem;
use crate::state::App;
use crate::store::{Bound, Dialect};
use crate::time::Millis;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Which customers.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// How an id or alternate id begins, or what a label contains, in any case.
    search: Option<String>,
    /// How many items at most, 1 to 200. 50 if not given.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// A customer in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CustomerSummary, example = json!({
    "id": "acme", "plan": "pro", "type": "org", "label": "Acme", "alt_ids": ["cus_9"], "refs": [],
    "created_at": 1_768_435_200_000_i64, "updated_at": 1_768_435_260_000_i64
}))]
struct Summary {
    id: String,
    /// Its own plan; empty where it is on the plan of one of its refs.
    plan: String,
    r#type: String,
    label: String,
    /// Other ids it goes by.
    alt_ids: Vec<String>,
    /// Customers it refers to.
    refs: Vec<String>,
    created_at: Millis,
    updated_at: Millis,
}

impl From<&Customer> for Summary {
    fn from(customer: &Customer) -> Self {
        let texts = |field| {
            let list = customer.record.get(field).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            id: customer.id().to_owned(),
            plan: customer.text("plan").to_owned(),
            r#type: customer.text("type").to_owned(),
            label: customer.text("label").to_owned(),
            alt_ids: texts("alt_ids"),
            refs: texts("refs"),
            created_at: customer.created_at,
            updated_at: customer.updated_at,
        }
    }
}

/// The label in a record. PostgreSQL reads no JSON with a NUL in it.
const fn label(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "LOWER(json_extract(record, '$.label'))",
        Dialect::Postgres => {
            "CASE WHEN POSITION('\\u0000' IN record) > 0 THEN '' ELSE LOWER(CAST(record AS JSON) ->> 'label') END"
        }
    }
}

/// Customers, by id.
#[utoipa::path(get, path = "/customers", tag = "customers", params(Filter),
    responses((status = 200, description = "A page of customers.", body = Page<Summary>)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(Filter { search, limit, cursor }): Query<Filter>,
) -> Result<Json<Page<Summary>>, Problem> {
    caller.require(Permission::ReadCustomers)?;
    let window = Window::<String>::new(limit, cursor.as_deref())?;
    let mut bound = Bound::default();
    let workspace = bound.place(&caller.workspace)?;
    let after = bound.place(window.after.clone().unwrap_or_default())?;
    let mut sql =
        format!("SELECT record, created_at, updated_at FROM customers WHERE workspace = {workspace} AND id > {after}");
    if let Some(search) = search.filter(|search| !search.is_empty()) {
        let prefix = bound.place(search.clone())?;
        let within = bound.place(search.to_lowercase())?;
        let found = app.store.dialect().of("INSTR({label}, {within}) > 0", "POSITION({within} IN {label}) > 0");
        let found = found.replace("{label}", label(app.store.dialect())).replace("{within}", &within);
        sql.push_str(&format!(
            " AND (SUBSTR(id, 1, LENGTH({prefix})) = {prefix} \
             OR id IN (SELECT customer FROM aliases WHERE workspace = {workspace} \
                 AND SUBSTR(alt, 1, LENGTH({prefix})) = {prefix}) \
             OR {found})"
        ));
    }
    sql.push_str(&format!(" ORDER BY id LIMIT {}", bound.place(window.rows())?));
    let rows = bound.query::<Row>(sql).fetch_all(app.store.read()).await?;
    let customers = rows.into_iter().map(|row| Customer::try_from(row).map(|customer| Summary::from(&customer)));
    Ok(Json(window.page(customers.collect::<Result<Vec<_>, _>>()?, |customer| customer.id.clone())))
}
