//! The ledger: what was used, call by call.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::roles::Permission;
use crate::http::auth::Caller;
use crate::http::body::Query;
use crate::http::page::{Page, Window};
use crate::http::problem::Problem;
use crate::state::App;
use crate::store::{Bound, Store};
use crate::time::Millis;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Which lines.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only what this customer's meters counted.
    customer: Option<String>,
    /// Only of this entitlement.
    entitlement: Option<String>,
    /// What happened at this time or later, in ms since 1970.
    from: Option<Millis>,
    /// What happened before it, in ms since 1970.
    to: Option<Millis>,
    /// How many items at most, 1 to 200. 50 if not given.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// A line of the ledger.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LedgerLine)]
pub(crate) struct Line {
    pub(crate) id: i64,
    /// When it happened, in ms since 1970.
    at: Millis,
    /// When it was stored.
    pub(crate) stored_at: Millis,
    /// The engine where it happened; none for the server's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<String>,
    /// The number of the entry there.
    entry: i64,
    /// Whose meter counted it.
    customer: String,
    entitlement: String,
    /// Whether the customer was there to count it.
    counted: bool,
    /// All of what happened, exactly as it was stored.
    #[schema(value_type = Object, example = json!({
        "at": 1_768_435_200_000_i64, "caller": "ann", "customer": "acme", "plan": "pro", "entitlement": "chat",
        "credit": "token", "period": 1_768_435_200_000_i64, "units": 1200, "overhead": 0.0036, "price": 0.012,
        "overage": 1200, "charge": 0.012
    }))]
    effect: Box<RawValue>,
}

#[derive(FromRow)]
struct Row {
    id: i64,
    at: Millis,
    stored_at: Millis,
    engine: Option<String>,
    entry: i64,
    customer: String,
    entitlement: String,
    effect: String,
    counted: i64,
}

impl TryFrom<Row> for Line {
    type Error = Problem;

    fn try_from(row: Row) -> Result<Self, Problem> {
        let Row { id, at, stored_at, engine, entry, customer, entitlement, effect, counted } = row;
        let effect = RawValue::from_string(effect).map_err(|error| Problem::internal(&error))?;
        Ok(Self { id, at, stored_at, engine, entry, customer, entitlement, counted: counted == 1, effect })
    }
}

/// Which lines, in the database's terms.
#[derive(Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) customer: Option<&'a str>,
    pub(crate) entitlement: Option<&'a str>,
    /// Not before, and before.
    pub(crate) times: (Option<Millis>, Option<Millis>),
    /// Stored before the line with this id.
    pub(crate) before: Option<i64>,
    pub(crate) rows: i64,
}

/// The lines that were stored last.
pub(crate) async fn lines(store: &Store, workspace: &str, wanted: &Wanted<'_>) -> Result<Vec<Line>, Problem> {
    let mut bound = Bound::default();
    let mut sql = format!(
        "SELECT id, at, stored_at, engine, entry, customer, entitlement, effect, counted FROM ledger \
         WHERE workspace = {}",
        bound.place(workspace)?
    );
    for (column, name) in [("customer", wanted.customer), ("entitlement", wanted.entitlement)] {
        if let Some(name) = name {
            sql.push_str(&format!(" AND {column} = {}", bound.place(name)?));
        }
    }
    for (comparison, number) in [("at >=", wanted.times.0), ("at <", wanted.times.1), ("id <", wanted.before)] {
        if let Some(number) = number {
            sql.push_str(&format!(" AND {comparison} {}", bound.place(number)?));
        }
    }
    sql.push_str(&format!(" ORDER BY id DESC LIMIT {}", bound.place(wanted.rows)?));
    let rows = bound.query::<Row>(sql).fetch_all(store.read()).await?;
    rows.into_iter().map(Line::try_from).collect()
}

/// What was used, call by call, stored last first.
#[utoipa::path(get, path = "/usage/ledger", tag = "usage", params(Filter),
    responses((status = 200, description = "A page of lines.", body = Page<Line>)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<Page<Line>>, Problem> {
    caller.require(Permission::Read)?;
    let window = Window::<i64>::new(filter.limit, filter.cursor.as_deref())?;
    let wanted = Wanted {
        customer: filter.customer.as_deref(),
        entitlement: filter.entitlement.as_deref(),
        times: (filter.from, filter.to),
        before: window.after,
        rows: window.rows(),
    };
    let lines = lines(&app.store, &caller.workspace, &wanted).await?;
    Ok(Json(window.page(lines, |line| line.id)))
}
