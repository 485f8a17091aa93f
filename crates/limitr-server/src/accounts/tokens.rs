//! Tokens, with which programs call.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{AssertSqlSafe, FromRow};
use tokio::sync::broadcast;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::fields;
use super::roles::{Permission, Scope};
use crate::audit::{self, Actor, Entry};
use crate::http::auth::Caller;
use crate::http::body::{Path, Query};
use crate::http::idempotency::{Begun, Post};
use crate::http::page::{Page, PageQuery, Window};
use crate::http::problem::Problem;
use crate::secret::{self, Secret};
use crate::state::App;
use crate::store::{Store, Tx};
use crate::time::{MINUTE, Millis, now};

const PREFIX: &str = "limitr_";
/// How much of a token is shown to tell it from others: the rest has 220 bits.
const HINT: usize = PREFIX.len() + 6;
/// The time of its last use is this exact, so that not every request writes.
const USE: Millis = MINUTE;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(read, revoke))
}

/// A token, without what makes it one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Token {
    pub(crate) id: String,
    name: String,
    scope: Scope,
    /// Its first characters.
    hint: String,
    /// The id of the user or token that made it.
    created_by: String,
    created_at: Millis,
    /// To the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Millis>,
}

/// A token as it is answered when it is made.
#[derive(Serialize, ToSchema)]
struct MadeToken {
    #[serde(flatten)]
    record: Token,
    /// The token itself, once: a repetition with the same `Idempotency-Key` is answered without.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    name: String,
    scope: String,
    hint: String,
    created_by: String,
    created_at: Millis,
    last_used_at: Option<Millis>,
    expires_at: Option<Millis>,
    revoked_at: Option<Millis>,
}

impl TryFrom<Row> for Token {
    type Error = Problem;

    fn try_from(row: Row) -> Result<Self, Problem> {
        let Row { id, name, scope, hint, created_by, created_at, last_used_at, expires_at, revoked_at } = row;
        let scope = Scope::of(&scope).ok_or_else(|| Problem::internal(&"a stored scope is none"))?;
        Ok(Self { id, name, scope, hint, created_by, created_at, last_used_at, expires_at, revoked_at })
    }
}

const ONE: &str = "SELECT id, name, scope, hint, created_by, created_at, last_used_at, expires_at, revoked_at \
     FROM tokens WHERE workspace = $1 AND id = $2";
const LIST: &str = "SELECT id, name, scope, hint, created_by, created_at, last_used_at, expires_at, revoked_at \
     FROM tokens WHERE workspace = $1 AND (created_at, id) > ($2, $3) ORDER BY created_at, id LIMIT $4";

/// A token that came with a request and holds.
#[derive(FromRow)]
struct Held {
    id: String,
    workspace: String,
    name: String,
    scope: String,
    last_used_at: Option<Millis>,
}

/// Whose request it is.
#[derive(Debug, Clone)]
pub(crate) struct Valid {
    pub(crate) id: String,
    pub(crate) workspace: String,
    pub(crate) name: String,
    pub(crate) scope: Scope,
}

/// The token with this text, unless it is unknown, revoked or expired.
pub(crate) async fn find_valid(store: &Store, token: &str) -> Result<Option<Valid>, Problem> {
    let at = now();
    let held: Option<Held> = sqlx::query_as(
        "SELECT id, workspace, name, scope, last_used_at FROM tokens \
         WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
    )
    .bind(secret::hash(token))
    .bind(at)
    .fetch_optional(store.read())
    .await?;
    let Some(Held { id, workspace, name, scope, last_used_at }) = held else { return Ok(None) };
    let scope = Scope::of(&scope).ok_or_else(|| Problem::internal(&"a stored scope is none"))?;
    if last_used_at.is_none_or(|used| used < at - USE) {
        // No request waits for it, and none fails because the database has no time for it.
        tokio::spawn(note_use(store.clone(), id.clone(), at));
    }
    Ok(Some(Valid { id, workspace, name, scope }))
}

async fn note_use(store: Store, id: String, at: Millis) {
    let noted = async {
        let mut tx = store.begin_write().await?;
        // Of many requests at once the first one writes.
        sqlx::query(
            "UPDATE tokens SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $3)",
        )
        .bind(at)
        .bind(&id)
        .bind(at - USE)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    };
    if let Err(error) = noted.await {
        tracing::debug!(%error, "the use of a token was not noted");
    }
}

/// The token that a ticket was issued for, unless it was revoked meanwhile.
pub(super) async fn of_ticket(tx: &mut Tx, workspace: &str, id: &str) -> Result<Option<Valid>, Problem> {
    let row: Option<Row> = sqlx::query_as(ONE).bind(workspace).bind(id).fetch_optional(&mut **tx).await?;
    let token = row.map(Token::try_from).transpose()?.filter(|token| token.revoked_at.is_none());
    Ok(token.map(|Token { id, name, scope, .. }| Valid { id, workspace: workspace.to_owned(), name, scope }))
}

/// Tokens that were revoked, for connections that outlive a request.
pub(crate) struct Revocations(broadcast::Sender<String>);

impl Revocations {
    pub(crate) fn new() -> Self {
        // A subscriber that falls so far behind is told that it did, and asks the database instead.
        Self(broadcast::Sender::new(1_024))
    }

    /// The ids of tokens revoked through this node from now on. For those of other nodes see [`revoked`].
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<String> {
        self.0.subscribe()
    }

    fn tell(&self, token: String) {
        // Nobody listens where nobody is connected.
        let _ = self.0.send(token);
    }
}

/// Which of these tokens do not hold any more. One statement, whatever their number: cheap enough for every few seconds.
pub(crate) async fn revoked(store: &Store, tokens: &[String]) -> sqlx::Result<Vec<String>> {
    if tokens.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT id FROM tokens WHERE (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)) AND id IN ({})",
        store.dialect().listed("$2")
    );
    let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(now()).bind(json!(tokens).to_string());
    let valid: HashSet<String> = query.fetch_all(store.read()).await?.into_iter().collect();
    Ok(tokens.iter().filter(|token| !valid.contains(*token)).cloned().collect())
}

/// Makes a token: what is stored, and what is shown once.
pub(crate) async fn add(
    tx: &mut Tx,
    workspace: &str,
    actor: &Actor,
    new: (String, Scope, Option<Millis>),
) -> Result<(Token, Secret), Problem> {
    let (name, scope, expires_at) = new;
    let made = Secret::random(PREFIX)?;
    let token = Token {
        id: secret::id("tok_")?,
        name,
        scope,
        hint: made.reveal().chars().take(HINT).collect(),
        created_by: actor.id.clone(),
        created_at: now(),
        last_used_at: None,
        expires_at,
        revoked_at: None,
    };
    sqlx::query(
        "INSERT INTO tokens (id, workspace, name, hash, hint, scope, created_by, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&token.id)
    .bind(workspace)
    .bind(&token.name)
    .bind(made.hash())
    .bind(&token.hint)
    .bind(scope.as_str())
    .bind(&token.created_by)
    .bind(token.created_at)
    .bind(expires_at)
    .execute(&mut **tx)
    .await?;
    audit::write(tx, &Entry::new(workspace, actor, "token.create", &token.id).after(&token)).await?;
    Ok((token, made))
}

/// The tokens of the workspace, oldest first, revoked ones too.
#[utoipa::path(get, path = "/tokens", tag = "tokens", params(PageQuery),
    responses((status = 200, description = "A page of tokens.", body = Page<Token>)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(PageQuery { limit, cursor }): Query<PageQuery>,
) -> Result<Json<Page<Token>>, Problem> {
    caller.require(Permission::Read)?;
    let window = Window::<(Millis, String)>::new(limit, cursor.as_deref())?;
    let (at, id) = window.after.clone().unwrap_or((Millis::MIN, String::new()));
    let list = sqlx::query_as(LIST).bind(&caller.workspace).bind(at).bind(id).bind(window.rows());
    let rows: Vec<Row> = list.fetch_all(app.store.read()).await?;
    let tokens = rows.into_iter().map(Token::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(window.page(tokens, |token| (token.created_at, token.id.clone()))))
}

/// One token.
#[utoipa::path(get, path = "/tokens/{id}", tag = "tokens", params(("id" = String, Path)),
    responses((status = 200, description = "The token.", body = Token)))]
async fn read(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<Json<Token>, Problem> {
    caller.require(Permission::Read)?;
    let row: Option<Row> =
        sqlx::query_as(ONE).bind(&caller.workspace).bind(&id).fetch_optional(app.store.read()).await?;
    Ok(Json(row.ok_or_else(|| Problem::not_found("token", &id))?.try_into()?))
}

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// What it is for.
    name: String,
    scope: Scope,
    /// When it ends, in ms since 1970. Never, if not given.
    expires_at: Option<Millis>,
}

/// Makes a token. It is in the answer, and nowhere afterwards.
#[utoipa::path(post, path = "/tokens", tag = "tokens", request_body = NewToken,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes repetitions harmless.")),
    responses((status = 201, description = "Made.", body = MadeToken)))]
async fn create(State(app): State<Arc<App>>, caller: Caller, post: Post<NewToken>) -> Result<Response, Problem> {
    let Post { body: NewToken { name, scope, expires_at }, once } = post;
    caller.require(Permission::ManageTokens)?;
    let name = fields::name("name", &name)?;
    if expires_at.is_some_and(|at| at <= now()) {
        return Err(Problem::invalid("expires_at", "this time has passed").hint("it is in ms since 1970"));
    }
    let mut work = match once.begin(&app, &caller).await? {
        Begun::Done(response) => return Ok(response),
        Begun::Work(work) => work,
    };
    let (record, secret) = add(&mut work.tx, &caller.workspace, &caller.actor, (name, scope, expires_at)).await?;
    let made = MadeToken { record, token: Some(secret.reveal().to_owned()) };
    work.finish_secret(StatusCode::CREATED, &made, &made.record).await
}

/// Revokes a token: requests with it fail from now on, and engines connected with it are dropped.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "tokens", params(("id" = String, Path)),
    responses((status = 204, description = "Revoked.")))]
async fn revoke(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    caller.require(Permission::ManageTokens)?;
    let mut tx = app.store.begin_write().await?;
    let update =
        sqlx::query("UPDATE tokens SET revoked_at = $1 WHERE workspace = $2 AND id = $3 AND revoked_at IS NULL");
    let update = update.bind(now()).bind(&caller.workspace).bind(&id).execute(&mut *tx).await?;
    let row: Option<Row> = sqlx::query_as(ONE).bind(&caller.workspace).bind(&id).fetch_optional(&mut *tx).await?;
    let token: Token = row.ok_or_else(|| Problem::not_found("token", &id))?.try_into()?;
    // Revoking it again changes nothing.
    if update.rows_affected() == 1 {
        sqlx::query("DELETE FROM tickets WHERE token = $1").bind(&id).execute(&mut *tx).await?;
        let entry = Entry::new(&caller.workspace, &caller.actor, "token.revoke", &id);
        audit::write(&mut tx, &entry.after(&token)).await?;
        tx.commit().await?;
        app.revocations.tell(id);
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
