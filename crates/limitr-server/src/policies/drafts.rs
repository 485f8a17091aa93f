//! Drafts: policies being written, by several people if they like.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use limitr::Format;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{Any, Executor, FromRow};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::documents::DocumentFormat;
use super::{ACTIVE, Author, versions};
use crate::accounts::fields;
use crate::accounts::roles::Permission;
use crate::audit::{self, Entry};
use crate::http::auth::Caller;
use crate::http::body::{Body, Path, Query};
use crate::http::etag::IfMatch;
use crate::http::idempotency::{Begun, Post};
use crate::http::page::{Page, PageQuery, Window};
use crate::http::problem::{Details, Problem};
use crate::secret;
use crate::state::App;
use crate::store::Tx;
use crate::time::{Millis, now};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(read, change, remove))
}

/// A draft, without its document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyDraftSummary)]
struct Summary {
    #[schema(example = "drf_0GJ7cK3mQ2aXz5R8u")]
    id: String,
    name: String,
    /// `yaml`, `json`, `toml` or `stof`.
    #[schema(example = "yaml")]
    format: String,
    /// Goes up with every change.
    revision: i64,
    /// The published version that it follows. Once another one is in force, it is published by force alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    base_version: Option<String>,
    /// Who began it.
    author: Author,
    created_at: Millis,
    updated_at: Millis,
}

/// A draft.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyDraft)]
pub(super) struct Draft {
    #[serde(flatten)]
    summary: Summary,
    pub(super) document: String,
}

#[derive(FromRow)]
struct Row {
    id: String,
    name: String,
    format: String,
    document: String,
    revision: i64,
    base_version: Option<String>,
    author: String,
    author_name: String,
    created_at: Millis,
    updated_at: Millis,
}

impl From<Row> for Draft {
    fn from(row: Row) -> Self {
        let Row { id, name, format, document, revision, base_version, author, author_name, created_at, updated_at } =
            row;
        let author = Author { id: author, name: author_name };
        Self { summary: Summary { id, name, format, revision, base_version, author, created_at, updated_at }, document }
    }
}

impl Draft {
    pub(super) fn format(&self) -> Result<Format, Problem> {
        Ok(self.summary.format.parse::<Format>().map_err(limitr::Error::from)?)
    }

    pub(super) fn base_version(&self) -> Option<&str> {
        self.summary.base_version.as_deref()
    }

    /// For the audit: documents would fill it with every word that is typed.
    fn audited(&self) -> Value {
        json!({"draft": self.summary, "hash": secret::hash(&self.document)})
    }

    /// Writes what has been changed of it, as the next revision, unless somebody else was faster.
    async fn save(&mut self, tx: &mut Tx, workspace: &str) -> Result<(), Problem> {
        let known = self.summary.revision;
        (self.summary.revision, self.summary.updated_at) = (known + 1, now());
        let update = sqlx::query(
            "UPDATE drafts SET name = $1, format = $2, document = $3, base_version = $4, revision = $5, \
             updated_at = $6 WHERE workspace = $7 AND id = $8 AND revision = $9",
        );
        let update = update
            .bind(&self.summary.name)
            .bind(&self.summary.format)
            .bind(&self.document)
            .bind(&self.summary.base_version)
            .bind(self.summary.revision)
            .bind(self.summary.updated_at)
            .bind(workspace)
            .bind(&self.summary.id)
            .bind(known);
        if update.execute(&mut **tx).await?.rows_affected() == 1 {
            return Ok(());
        }
        Err(Problem::conflict("changed", "somebody else has just changed the draft").hint("read it again"))
    }

    /// It has been published: what comes next follows that version.
    pub(super) async fn published(&mut self, tx: &mut Tx, workspace: &str, version: &str) -> Result<(), Problem> {
        self.summary.base_version = Some(version.to_owned());
        self.save(tx, workspace).await
    }
}

const ONE: &str = "SELECT id, name, format, document, revision, base_version, author, author_name, created_at, \
     updated_at FROM drafts WHERE workspace = $1 AND id = $2";
/// A list goes without documents, which can be large.
const LIST: &str = "SELECT id, name, format, '' AS document, revision, base_version, author, author_name, created_at, \
     updated_at FROM drafts WHERE workspace = $1 AND (created_at, id) < ($2, $3) \
     ORDER BY created_at DESC, id DESC LIMIT $4";

pub(super) async fn get<'e>(
    executor: impl Executor<'e, Database = Any>,
    workspace: &str,
    id: &str,
) -> Result<Draft, Problem> {
    let row: Option<Row> = sqlx::query_as(ONE).bind(workspace).bind(id).fetch_optional(executor).await?;
    row.map(Draft::from).ok_or_else(|| Problem::not_found("draft", id))
}

/// The id of the version that a draft is to follow, which may be given as `active`.
async fn base(tx: &mut Tx, workspace: &str, wanted: &str) -> Result<String, Problem> {
    let found = versions::find(&mut **tx, workspace, wanted).await?;
    let missing = || Problem::invalid("base_version", format!("there is no published version `{wanted}`"));
    found.map(|version| version.summary.id).ok_or_else(missing)
}

/// The drafts, latest first, without their documents.
#[utoipa::path(get, path = "/policies/drafts", tag = "policies", params(PageQuery),
    responses((status = 200, description = "A page of drafts.", body = Page<Summary>)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(PageQuery { limit, cursor }): Query<PageQuery>,
) -> Result<Json<Page<Summary>>, Problem> {
    caller.require(Permission::Read)?;
    let window = Window::<(Millis, String)>::new(limit, cursor.as_deref())?;
    let (at, id) = window.after.clone().unwrap_or((Millis::MAX, String::new()));
    let list = sqlx::query_as(LIST).bind(&caller.workspace).bind(at).bind(id).bind(window.rows());
    let rows: Vec<Row> = list.fetch_all(app.store.read()).await?;
    let drafts = rows.into_iter().map(|row| Draft::from(row).summary).collect();
    Ok(Json(window.page(drafts, |draft| (draft.created_at, draft.id.clone()))))
}

/// A draft to be begun. Its document need not be valid yet.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPolicyDraft, example = json!({
    "name": "prices for autumn",
    "format": "yaml",
    "document": "policy:\n  plans: {free: {default: true}}\n"
}))]
struct NewDraft {
    /// What it is about.
    name: String,
    format: DocumentFormat,
    document: String,
    /// The published version that it follows: its id, or `active`. The one in force, if not given.
    base_version: Option<String>,
}

/// Begins a draft.
#[utoipa::path(post, path = "/policies/drafts", tag = "policies", request_body = NewDraft,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes repetitions harmless.")),
    responses((status = 201, description = "Begun.", body = Draft)))]
async fn create(State(app): State<Arc<App>>, caller: Caller, post: Post<NewDraft>) -> Result<Response, Problem> {
    let Post { body: NewDraft { name, format, document, base_version }, once } = post;
    caller.require(Permission::EditDrafts)?;
    let name = fields::name("name", &name)?;
    let mut work = match once.begin(&app, &caller).await? {
        Begun::Done(response) => return Ok(response),
        Begun::Work(work) => work,
    };
    let base_version = match base_version {
        Some(wanted) => Some(base(&mut work.tx, &caller.workspace, &wanted).await?),
        None => versions::find(&mut *work.tx, &caller.workspace, ACTIVE).await?.map(|version| version.summary.id),
    };
    let (id, format, at) = (secret::id("drf_")?, Format::from(format).to_string(), now());
    let author = Author::from(&caller.actor);
    let summary = Summary { id, name, format, revision: 1, base_version, author, created_at: at, updated_at: at };
    let draft = Draft { summary, document };
    sqlx::query(
        "INSERT INTO drafts (workspace, id, name, format, document, revision, base_version, author, author_name, \
         created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
    )
    .bind(&caller.workspace)
    .bind(&draft.summary.id)
    .bind(&draft.summary.name)
    .bind(&draft.summary.format)
    .bind(&draft.document)
    .bind(draft.summary.revision)
    .bind(&draft.summary.base_version)
    .bind(&draft.summary.author.id)
    .bind(&draft.summary.author.name)
    .bind(at)
    .execute(&mut *work.tx)
    .await?;
    let entry = Entry::new(&caller.workspace, &caller.actor, "draft.create", &draft.summary.id);
    audit::write(&mut work.tx, &entry.after(&draft.audited())).await?;
    work.finish(StatusCode::CREATED, &draft).await
}

/// A draft with its document.
#[utoipa::path(get, path = "/policies/drafts/{id}", tag = "policies", params(("id" = String, Path)),
    responses((status = 200, description = "The draft.", body = Draft)))]
async fn read(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<Json<Draft>, Problem> {
    caller.require(Permission::Read)?;
    Ok(Json(get(app.store.read(), &caller.workspace, &id).await?))
}

/// What can be changed of a draft. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PolicyDraftChange)]
struct Change {
    name: Option<String>,
    format: Option<DocumentFormat>,
    document: Option<String>,
    /// The published version that it follows from now on: its id, or `active`.
    base_version: Option<String>,
}

/// Changes a draft.
///
/// With `If-Match`, only if it still is what its author has read.
#[utoipa::path(patch, path = "/policies/drafts/{id}", tag = "policies", request_body = Change,
    params(("id" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The ETag of what is to be changed.")),
    responses(
        (status = 200, description = "Changed.", body = Draft),
        (status = 409, description = "Somebody else changed it in the same moment: `changed`.", body = Details,
            content_type = "application/problem+json"),
        (status = 412, description = "It has been changed since it was read: `changed`.", body = Details,
            content_type = "application/problem+json")))]
async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(change): Body<Change>,
) -> Result<Json<Draft>, Problem> {
    caller.require(Permission::EditDrafts)?;
    let Change { name, format, document, base_version } = change;
    let mut tx = app.store.begin_write().await?;
    let mut draft = get(&mut *tx, &caller.workspace, &id).await?;
    if_match.check(&draft)?;
    let before = draft.audited();
    if let Some(name) = name {
        draft.summary.name = fields::name("name", &name)?;
    }
    if let Some(format) = format {
        draft.summary.format = Format::from(format).to_string();
    }
    if let Some(document) = document {
        draft.document = document;
    }
    if let Some(wanted) = base_version {
        draft.summary.base_version = Some(base(&mut tx, &caller.workspace, &wanted).await?);
    }
    if draft.audited() == before {
        return Ok(Json(draft));
    }
    draft.save(&mut tx, &caller.workspace).await?;
    let entry = Entry::new(&caller.workspace, &caller.actor, "draft.change", &id);
    audit::write(&mut tx, &entry.before(&before).after(&draft.audited())).await?;
    tx.commit().await?;
    Ok(Json(draft))
}

/// Throws a draft away.
#[utoipa::path(delete, path = "/policies/drafts/{id}", tag = "policies",
    params(("id" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The ETag of what is to be thrown away.")),
    responses((status = 204, description = "It is gone.")))]
async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    caller.require(Permission::EditDrafts)?;
    let mut tx = app.store.begin_write().await?;
    let draft = get(&mut *tx, &caller.workspace, &id).await?;
    if_match.check(&draft)?;
    let delete = sqlx::query("DELETE FROM drafts WHERE workspace = $1 AND id = $2").bind(&caller.workspace).bind(&id);
    delete.execute(&mut *tx).await?;
    let entry = Entry::new(&caller.workspace, &caller.actor, "draft.delete", &id);
    audit::write(&mut tx, &entry.before(&draft.audited())).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
