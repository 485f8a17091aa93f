//! `GET /audit`: what was changed, by whom.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::roles::Permission;
use crate::http::auth::Caller;
use crate::http::body::Query;
use crate::http::page::{Page, Window};
use crate::http::problem::Problem;
use crate::state::App;
use crate::store::Store;
use crate::time::Millis;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Which entries.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Id, email or token name of who did it.
    actor: Option<String>,
    /// Exactly this, `token.create`, or all of a kind, `token`.
    action: Option<String>,
    /// The id of what was changed.
    subject: Option<String>,
    /// Not before, in ms since 1970.
    from: Option<Millis>,
    /// Before, in ms since 1970.
    to: Option<Millis>,
    /// How many items at most, 1 to 200. 50 if not given.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// Who did something.
#[derive(Serialize, ToSchema)]
struct By {
    /// `user`, `token` or `system`.
    kind: String,
    id: String,
    /// The email address or token name at the time.
    name: String,
}

/// One change.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct Listed {
    pub(crate) id: i64,
    pub(crate) at: Millis,
    actor: By,
    action: String,
    subject: String,
    /// How it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    /// How it was then.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

#[derive(FromRow)]
struct Row {
    id: i64,
    at: Millis,
    actor_kind: String,
    actor: String,
    actor_name: String,
    action: String,
    subject: String,
    before: Option<String>,
    after: Option<String>,
}

impl From<Row> for Listed {
    fn from(row: Row) -> Self {
        let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
        Self {
            id: row.id,
            at: row.at,
            actor: By { kind: row.actor_kind, id: row.actor, name: row.actor_name },
            action: row.action,
            subject: row.subject,
            before: json(row.before),
            after: json(row.after),
        }
    }
}

/// An empty filter lets everything through, so that the statement is one.
const LIST: &str = "SELECT id, at, actor_kind, actor, actor_name, action, subject, before, after FROM audit \
     WHERE workspace = $1 AND id < $2 AND at >= $3 AND at < $4 \
     AND ($5 = '' OR actor = $5 OR actor_name = $5) \
     AND ($6 = '' OR action = $6 OR SUBSTR(action, 1, LENGTH($6) + 1) = $6 || '.') \
     AND ($7 = '' OR subject = $7) \
     ORDER BY id DESC LIMIT $8";

const ABOUT: &str = "SELECT id, at, actor_kind, actor, actor_name, action, subject, before, after FROM audit \
     WHERE workspace = $1 AND subject = $2 AND id < $3 AND SUBSTR(action, 1, LENGTH($4) + 1) = $4 || '.' \
     ORDER BY id DESC LIMIT $5";

/// What was changed about one thing, of this kind and with this id, before the entry with that id.
pub(crate) async fn about(
    store: &Store,
    workspace: &str,
    (kind, subject): (&str, &str),
    before: i64,
    rows: i64,
) -> sqlx::Result<Vec<Listed>> {
    let query = sqlx::query_as(ABOUT).bind(workspace).bind(subject).bind(before).bind(kind).bind(rows);
    let rows: Vec<Row> = query.fetch_all(store.read()).await?;
    Ok(rows.into_iter().map(Listed::from).collect())
}

/// What was changed, latest first.
#[utoipa::path(get, path = "/audit", tag = "audit", params(Filter),
    responses((status = 200, description = "A page of entries.", body = Page<Listed>)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<Page<Listed>>, Problem> {
    caller.require(Permission::Read)?;
    let window = Window::<i64>::new(filter.limit, filter.cursor.as_deref())?;
    let rows: Vec<Row> = sqlx::query_as(LIST)
        .bind(&caller.workspace)
        .bind(window.after.unwrap_or(i64::MAX))
        .bind(filter.from.unwrap_or(Millis::MIN))
        .bind(filter.to.unwrap_or(Millis::MAX))
        .bind(filter.actor.unwrap_or_default())
        .bind(filter.action.unwrap_or_default())
        .bind(filter.subject.unwrap_or_default())
        .bind(window.rows())
        .fetch_all(app.store.read())
        .await?;
    let entries = rows.into_iter().map(Listed::from).collect();
    Ok(Json(window.page(entries, |entry| entry.id)))
}
