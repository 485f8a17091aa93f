//! Published versions, as they are stored and read.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use limitr_sync::PolicyVersion;
use serde::Serialize;
use sqlx::{Any, Executor, FromRow};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{ACTIVE, Author};
use crate::accounts::roles::Permission;
use crate::http::auth::Caller;
use crate::http::body::{Path, Query};
use crate::http::page::{Page, PageQuery, Window};
use crate::http::problem::{Details, Problem};
use crate::state::App;
use crate::store::Tx;
use crate::time::Millis;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(read))
}

/// A published version, without its document.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PolicyVersionSummary, example = json!({
    "id": "pol_0GJ7cK3mQ2aXz5R8u",
    "number": 7,
    "format": "yaml",
    "note": "more chat for pro",
    "author": {"id": "usr_1", "name": "ann@example.com"},
    "at": 1_768_435_200_000_i64,
    "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "active": true
}))]
pub(super) struct Summary {
    #[schema(example = "pol_0GJ7cK3mQ2aXz5R8u")]
    pub(super) id: String,
    /// Counts the versions of the workspace, from 1.
    pub(super) number: i64,
    /// `yaml`, `json`, `toml` or `stof`.
    #[schema(example = "yaml")]
    pub(super) format: String,
    /// What its author said about it.
    pub(super) note: String,
    pub(super) author: Author,
    /// When it was published, in ms since 1970.
    pub(super) at: Millis,
    /// SHA-256 of the document, hexadecimal.
    pub(super) hash: String,
    /// The version whose document it published again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rollback_of: Option<String>,
    /// Whether it is the one in force.
    pub(super) active: bool,
}

/// A published version. It never changes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyVersion)]
pub(super) struct Version {
    #[serde(flatten)]
    pub(super) summary: Summary,
    pub(super) document: String,
}

impl Version {
    pub(super) fn for_engines(self) -> PolicyVersion {
        let Summary { id, number, format, .. } = self.summary;
        PolicyVersion { id, number: number.try_into().unwrap_or_default(), format, document: self.document }
    }
}

#[derive(FromRow)]
struct Row {
    id: String,
    number: i64,
    format: String,
    document: String,
    note: String,
    author: String,
    author_name: String,
    at: Millis,
    hash: String,
    rollback_of: Option<String>,
    active: i64,
}

impl From<Row> for Version {
    fn from(row: Row) -> Self {
        let Row { id, number, format, document, note, author, author_name, at, hash, rollback_of, active } = row;
        let (author, active) = (Author { id: author, name: author_name }, active == 1);
        Self { summary: Summary { id, number, format, note, author, at, hash, rollback_of, active }, document }
    }
}

const ONE: &str = "SELECT v.id, number, format, document, note, author, author_name, at, hash, rollback_of, \
     CASE WHEN v.id = w.active_version THEN 1 ELSE 0 END AS active \
     FROM versions v JOIN workspaces w ON w.id = v.workspace \
     WHERE v.workspace = $1 AND v.id = CASE WHEN $2 = 'active' THEN w.active_version ELSE $2 END";
/// A list goes without documents, which can be large.
const LIST: &str = "SELECT v.id, number, format, '' AS document, note, author, author_name, at, hash, rollback_of, \
     CASE WHEN v.id = w.active_version THEN 1 ELSE 0 END AS active \
     FROM versions v JOIN workspaces w ON w.id = v.workspace \
     WHERE v.workspace = $1 AND number < $2 ORDER BY number DESC LIMIT $3";

/// A version by its id, or the one in force as `active`.
pub(super) async fn find<'e>(
    executor: impl Executor<'e, Database = Any>,
    workspace: &str,
    id: &str,
) -> sqlx::Result<Option<Version>> {
    let row: Option<Row> = sqlx::query_as(ONE).bind(workspace).bind(id).fetch_optional(executor).await?;
    Ok(row.map(Version::from))
}

pub(super) async fn get(app: &App, workspace: &str, id: &str) -> Result<Version, Problem> {
    let missing = || {
        let problem = Problem::not_found("published version", id);
        if id == ACTIVE { problem.hint("publish a policy first") } else { problem }
    };
    find(app.store.read(), workspace, id).await?.ok_or_else(missing)
}

/// What a new version is made of.
pub(super) struct New<'a> {
    pub(super) format: String,
    pub(super) document: &'a str,
    pub(super) note: String,
    pub(super) hash: String,
    pub(super) author: Author,
    pub(super) at: Millis,
    pub(super) rollback_of: Option<String>,
}

/// Adds a version and puts it in force. Whoever publishes has the workspace's row, see [`super::publish`].
pub(super) async fn add(tx: &mut Tx, workspace: &str, new: New<'_>) -> Result<Summary, Problem> {
    let (number,): (i64,) =
        sqlx::query_as("SELECT CAST(COALESCE(MAX(number), 0) + 1 AS BIGINT) FROM versions WHERE workspace = $1")
            .bind(workspace)
            .fetch_one(&mut **tx)
            .await?;
    let New { format, document, note, hash, author, at, rollback_of } = new;
    let id = crate::secret::id("pol_")?;
    sqlx::query(
        "INSERT INTO versions \
         (workspace, id, number, format, document, note, author, author_name, at, hash, rollback_of) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(workspace)
    .bind(&id)
    .bind(number)
    .bind(&format)
    .bind(document)
    .bind(&note)
    .bind(&author.id)
    .bind(&author.name)
    .bind(at)
    .bind(&hash)
    .bind(&rollback_of)
    .execute(&mut **tx)
    .await?;
    let update = sqlx::query("UPDATE workspaces SET active_version = $1 WHERE id = $2");
    update.bind(&id).bind(workspace).execute(&mut **tx).await?;
    Ok(Summary { id, number, format, note, author, at, hash, rollback_of, active: true })
}

/// The published versions, latest first, without their documents.
#[utoipa::path(get, path = "/policies/versions", tag = "policies", params(PageQuery),
    responses((status = 200, description = "A page of versions.", body = Page<Summary>)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(PageQuery { limit, cursor }): Query<PageQuery>,
) -> Result<Json<Page<Summary>>, Problem> {
    caller.require(Permission::Read)?;
    let window = Window::<i64>::new(limit, cursor.as_deref())?;
    let list = sqlx::query_as(LIST).bind(&caller.workspace).bind(window.after.unwrap_or(i64::MAX)).bind(window.rows());
    let rows: Vec<Row> = list.fetch_all(app.store.read()).await?;
    let versions = rows.into_iter().map(|row| Version::from(row).summary).collect();
    Ok(Json(window.page(versions, |version| version.number)))
}

/// A published version with its document.
#[utoipa::path(get, path = "/policies/versions/{id}", tag = "policies",
    params(("id" = String, Path, description = "Its id, or `active` for the one in force.", example = "active")),
    responses(
        (status = 200, description = "The version.", body = Version),
        (status = 404, description = "There is none: `not_found`.", body = Details,
            content_type = "application/problem+json")))]
async fn read(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<Json<Version>, Problem> {
    caller.require(Permission::Read)?;
    Ok(Json(get(&app, &caller.workspace, &id).await?))
}
