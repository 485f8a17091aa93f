//! The workspace.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::fields;
use super::roles::Permission;
use crate::audit::{self, Entry};
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::etag::IfMatch;
use crate::http::problem::Problem;
use crate::state::App;
use crate::store::Tx;
use crate::time::{Millis, now};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(read, change))
}

/// A workspace: policies, customers and people that belong together.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct Workspace {
    pub(crate) id: String,
    name: String,
    created_at: Millis,
    /// The policy version in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    active_version: Option<String>,
}

const COLUMNS: &str = "SELECT id, name, created_at, active_version FROM workspaces WHERE id = $1";

pub(super) async fn create(tx: &mut Tx, id: String, name: &str) -> sqlx::Result<Workspace> {
    let workspace = Workspace { id, name: name.to_owned(), created_at: now(), active_version: None };
    let insert = sqlx::query("INSERT INTO workspaces (id, name, created_at) VALUES ($1, $2, $3)");
    insert.bind(&workspace.id).bind(name).bind(workspace.created_at).execute(&mut **tx).await?;
    Ok(workspace)
}

/// Makes changes to a workspace's people wait for each other, so that a rule over several of them holds.
pub(super) async fn lock(tx: &mut Tx, workspace: &str) -> sqlx::Result<()> {
    sqlx::query("UPDATE workspaces SET id = id WHERE id = $1").bind(workspace).execute(&mut **tx).await?;
    Ok(())
}

/// The workspace of the caller.
#[utoipa::path(get, path = "/workspace", tag = "workspace",
    responses((status = 200, description = "The workspace.", body = Workspace)))]
async fn read(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Workspace>, Problem> {
    caller.require(Permission::Read)?;
    Ok(Json(sqlx::query_as(COLUMNS).bind(&caller.workspace).fetch_one(app.store.read()).await?))
}

/// What can be changed of a workspace. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
}

/// Changes the workspace.
#[utoipa::path(patch, path = "/workspace", tag = "workspace", request_body = Change,
    params(("If-Match" = Option<String>, Header, description = "The ETag of what is to be changed.")),
    responses((status = 200, description = "Changed.", body = Workspace)))]
async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    if_match: IfMatch,
    Body(Change { name }): Body<Change>,
) -> Result<Json<Workspace>, Problem> {
    caller.require(Permission::ManageWorkspace)?;
    let name = name.map(|name| fields::name("name", &name)).transpose()?;
    let mut tx = app.store.begin_write().await?;
    lock(&mut tx, &caller.workspace).await?;
    let before: Workspace = sqlx::query_as(COLUMNS).bind(&caller.workspace).fetch_one(&mut *tx).await?;
    if_match.check(&before)?;
    let Some(name) = name.filter(|name| *name != before.name) else { return Ok(Json(before)) };
    let update = sqlx::query("UPDATE workspaces SET name = $1 WHERE id = $2").bind(&name).bind(&before.id);
    update.execute(&mut *tx).await?;
    let after: Workspace = sqlx::query_as(COLUMNS).bind(&caller.workspace).fetch_one(&mut *tx).await?;
    let entry = Entry::new(&caller.workspace, &caller.actor, "workspace.change", &before.id);
    audit::write(&mut tx, &entry.before(&before).after(&after)).await?;
    tx.commit().await?;
    Ok(Json(after))
}
