//! Publishing: a document becomes the next version, and the one in force.
//!
//! Whoever publishes has the workspace's row from the first statement on. So versions are numbered without gaps, and
//! each is compared with the one before it, on however many nodes people publish at once.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use limitr::Format;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::documents::{self, Checked, DocumentFormat};
use super::drafts::{self, Draft};
use super::versions::{self, New, Summary, Version};
use super::{ACTIVE, Author};
use crate::accounts::roles::Permission;
use crate::audit::{self, Actor, Entry};
use crate::http::auth::Caller;
use crate::http::body::Path;
use crate::http::detached::detached;
use crate::http::etag::IfMatch;
use crate::http::idempotency::{Begun, Once, Post};
use crate::http::problem::{Details, Problem};
use crate::secret;
use crate::state::App;
use crate::store::Tx;
use crate::time::now;

const LONGEST_NOTE: usize = 1_000;
/// The policy of the quick start, which `limitr demo` runs.
const DEMO: &str = include_str!("../../../limitr-cli/assets/quick-start.json");

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(publish)).routes(routes!(publish_draft)).routes(routes!(rollback))
}

/// A document to be published.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PolicyPublication, example = json!({
    "format": "yaml",
    "document": "policy:\n  plans: {free: {default: true}}\n",
    "note": "a free plan"
}))]
struct Publication {
    format: DocumentFormat,
    document: String,
    /// What is new, for people.
    #[serde(default)]
    note: String,
    /// Publishes a document that is in force already.
    #[serde(default)]
    force: bool,
}

/// How something that is there is published.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PolicyPublicationOptions, example = json!({"note": "more chat for pro"}))]
struct Options {
    /// What is new, for people.
    #[serde(default)]
    note: String,
    /// Publishes a document that is in force already, and a draft that does not follow the version in force.
    #[serde(default)]
    force: bool,
}

/// Publishes a document: it is in force from now on, in every engine that is not pinned to another version.
#[utoipa::path(post, path = "/policies/publish", tag = "policies", request_body = Publication,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes repetitions harmless.")),
    responses(
        (status = 201, description = "Published.", body = Summary),
        (status = 409, description = "This document is in force already: `unchanged`.", body = Details,
            content_type = "application/problem+json"),
        (status = 422, description = "It is not valid: `problems` lists every finding.", body = Details,
            content_type = "application/problem+json")))]
async fn publish(State(app): State<Arc<App>>, caller: Caller, post: Post<Publication>) -> Result<Response, Problem> {
    let Post { body: Publication { format, document, note, force }, once } = post;
    caller.require(Permission::Publish)?;
    let checked = documents::check(format.into(), document).await??;
    release(app, caller, once, Release { checked, note: checked_note(note)?, force, origin: Origin::Document }).await
}

/// Publishes a draft.
///
/// It stays, and follows the version that was made of it. With `If-Match`, only if it still is what its author read.
#[utoipa::path(post, path = "/policies/drafts/{id}/publish", tag = "policies", request_body = Options,
    params(("id" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The ETag of the draft."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes repetitions harmless.")),
    responses(
        (status = 201, description = "Published.", body = Summary),
        (status = 409, description = "`unchanged`: this document is in force already. `outdated`: another version has \
            been published since the draft was begun. `changed`: somebody changes it in this moment.", body = Details,
            content_type = "application/problem+json"),
        (status = 412, description = "It has been changed since it was read: `changed`.", body = Details,
            content_type = "application/problem+json"),
        (status = 422, description = "It is not valid: `problems` lists every finding.", body = Details,
            content_type = "application/problem+json")))]
async fn publish_draft(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    post: Post<Options>,
) -> Result<Response, Problem> {
    let Post { body: Options { note, force }, once } = post;
    caller.require(Permission::Publish)?;
    let draft = drafts::get(app.store.read(), &caller.workspace, &id).await?;
    let checked = documents::check(draft.format()?, draft.document.clone()).await??;
    let origin = Origin::Draft(Box::new(draft), if_match);
    release(app, caller, once, Release { checked, note: checked_note(note)?, force, origin }).await
}

/// Publishes the document of an old version again, as a new one.
#[utoipa::path(post, path = "/policies/versions/{id}/rollback", tag = "policies", request_body = Options,
    params(("id" = String, Path, description = "The version to go back to."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes repetitions harmless.")),
    responses(
        (status = 201, description = "Published again.", body = Summary),
        (status = 409, description = "This document is in force already: `unchanged`.", body = Details,
            content_type = "application/problem+json")))]
async fn rollback(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    post: Post<Options>,
) -> Result<Response, Problem> {
    let Post { body: Options { note, force }, once } = post;
    caller.require(Permission::Publish)?;
    let Version { summary: Summary { id, number, format, .. }, document } =
        versions::get(&app, &caller.workspace, &id).await?;
    let format: Format = format.parse().map_err(limitr::Error::from)?;
    // A newer server may be stricter than the one that published it.
    let checked = documents::check(format, document).await??;
    let note = if note.is_empty() { format!("back to version {number}") } else { checked_note(note)? };
    release(app, caller, once, Release { checked, note, force, origin: Origin::Version(id) }).await
}

fn checked_note(note: String) -> Result<String, Problem> {
    if note.chars().count() > LONGEST_NOTE {
        return Err(Problem::invalid("note", format!("a note has at most {LONGEST_NOTE} characters")));
    }
    Ok(note.trim().to_owned())
}

/// A version about to be made.
struct Release {
    checked: Checked,
    note: String,
    force: bool,
    origin: Origin,
}

/// Where its document comes from.
enum Origin {
    Document,
    Draft(Box<Draft>, IfMatch),
    Version(String),
}

async fn release(app: Arc<App>, caller: Caller, once: Once, release: Release) -> Result<Response, Problem> {
    let all = Arc::clone(&app);
    detached(&app, async move {
        let mut work = match once.begin(&all, &caller).await? {
            Begun::Done(response) => return Ok(response),
            Begun::Work(work) => work,
        };
        let version = make(&mut work.tx, &caller.workspace, &caller.actor, release).await?;
        let response = work.finish(StatusCode::CREATED, &version.summary).await?;
        all.engines.published(&caller.workspace, version.for_engines()).await;
        Ok(response)
    })
    .await
}

async fn make(tx: &mut Tx, workspace: &str, actor: &Actor, release: Release) -> Result<Version, Problem> {
    let Release { checked: Checked { format, text, .. }, note, force, origin } = release;
    // Takes the workspace's row: who publishes at the same time waits here.
    let lock = sqlx::query("UPDATE workspaces SET active_version = active_version WHERE id = $1").bind(workspace);
    lock.execute(&mut **tx).await?;
    let before = versions::find(&mut **tx, workspace, ACTIVE).await?.map(|version| version.summary);
    if let Origin::Draft(draft, if_match) = &origin {
        if_match.check(draft)?;
        let active = before.as_ref().map(|version| version.id.as_str());
        if !force && draft.base_version() != active {
            return Err(Problem::conflict("outdated", "the draft does not follow the version that is in force").hint(
                "compare them with `GET /api/v1/policies/diff`, then set `base_version` of the draft to `active`, \
                 or publish it with `force`",
            ));
        }
    }
    let (format, hash) = (format.to_string(), secret::hash(&text));
    if let Some(active) = before.as_ref().filter(|active| !force && active.hash == hash && active.format == format) {
        let detail = format!("version {} has this very document, and is in force", active.number);
        return Err(
            Problem::conflict("unchanged", detail).hint("publish it with `force` to make a version of it all the same")
        );
    }
    let rollback_of = if let Origin::Version(id) = &origin { Some(id.clone()) } else { None };
    let author = Author::from(actor);
    let new = New { format, document: &text, note, hash, author, at: now(), rollback_of };
    let summary = versions::add(tx, workspace, new).await?;
    if let Origin::Draft(mut draft, _) = origin {
        draft.published(tx, workspace, &summary.id).await?;
    }
    // What was in force before, and what is now; documents are with their versions.
    let mut entry = Entry::new(workspace, actor, "policy.publish", &summary.id).after(&summary);
    if let Some(before) = &before {
        entry = entry.before(before);
    }
    audit::write(tx, &entry).await?;
    Ok(Version { summary, document: text })
}

/// Publishes the policy of the quick start, where nothing is published.
pub(crate) async fn publish_first(tx: &mut Tx, workspace: &str) -> Result<(), Problem> {
    if versions::find(&mut **tx, workspace, ACTIVE).await?.is_some() {
        return Ok(());
    }
    let checked = documents::check_now(Format::Json, DEMO.to_owned())?;
    let note = "the policy of the quick start".to_owned();
    let release = Release { checked, note, force: false, origin: Origin::Document };
    make(tx, workspace, &Actor::system(), release).await.map(drop)
}
