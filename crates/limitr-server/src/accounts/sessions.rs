//! Logging in and out, and one's own account.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::fields;
use super::roles::{Role, Scope};
use crate::audit::{self, Actor, ActorKind, Entry};
use crate::http::auth::{Authority, Caller};
use crate::http::body::Body;
use crate::http::idempotency::{Begun, Post};
use crate::http::peer::Peer;
use crate::http::problem::Problem;
use crate::secret::{self, Secret};
use crate::state::App;
use crate::store::{Store, Tx};
use crate::time::{DAY, Millis, SECOND, now};

pub(crate) const COOKIE: &str = "limitr";
/// Over TLS the browser itself sees to it that no other host and no plain connection has set it.
pub(crate) const SECURE_COOKIE: &str = "__Host-limitr";
const LIFETIME: Millis = 14 * DAY;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(login))
        .routes(routes!(logout))
        .routes(routes!(me))
        .routes(routes!(set_password))
}

/// A session under way: who it is, where, and as what right now.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) hash: String,
    pub(crate) user: String,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) workspace: String,
    pub(crate) role: Role,
    /// What a page of the same origin can know and another cannot.
    pub(crate) csrf: String,
}

#[derive(FromRow)]
struct Row {
    user_id: String,
    email: String,
    name: String,
    workspace: String,
    role: String,
}

impl Session {
    /// The session of a cookie. A person who is no member any more has none.
    pub(crate) async fn find(store: &Store, cookie: &str) -> Result<Option<Self>, Problem> {
        let hash = secret::hash(cookie);
        let row: Option<Row> = sqlx::query_as(
            "SELECT s.user_id, u.email, u.name, s.workspace, m.role FROM sessions s \
             JOIN users u ON u.id = s.user_id \
             JOIN members m ON m.user_id = s.user_id AND m.workspace = s.workspace \
             WHERE s.hash = $1 AND s.expires_at > $2",
        )
        .bind(&hash)
        .bind(now())
        .fetch_optional(store.read())
        .await?;
        let Some(Row { user_id: user, email, name, workspace, role }) = row else { return Ok(None) };
        let role = Role::of(&role).ok_or_else(|| Problem::internal(&"a stored role is none"))?;
        let csrf = csrf(cookie);
        Ok(Some(Self { hash, user, email, name, workspace, role, csrf }))
    }
}

/// It follows from the secret in the cookie, so it need not be stored.
fn csrf(cookie: &str) -> String {
    secret::derive("csrf", cookie)
}

/// Begins a session. The secret goes into the cookie.
pub(super) async fn begin(tx: &mut Tx, workspace: &str, user: &str) -> Result<Secret, Problem> {
    let cookie = Secret::random("")?;
    let at = now();
    sqlx::query("INSERT INTO sessions (hash, user_id, workspace, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(cookie.hash())
        .bind(user)
        .bind(workspace)
        .bind(at)
        .bind(at + LIFETIME)
        .execute(&mut **tx)
        .await?;
    Ok(cookie)
}

/// The answer that begins a session in the browser.
pub(super) fn welcome(app: &App, status: StatusCode, cookie: &Secret, mut me: Me) -> Result<Response, Problem> {
    me.csrf = Some(csrf(cookie.reveal()));
    with_cookie(app, (status, Json(me)).into_response(), cookie.reveal(), LIFETIME / SECOND)
}

fn with_cookie(app: &App, mut response: Response, value: &str, seconds: i64) -> Result<Response, Problem> {
    let (name, secure) = if app.config.is_https() { (SECURE_COOKIE, "; Secure") } else { (COOKIE, "") };
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    let mut header = HeaderValue::from_str(&cookie).map_err(|error| Problem::internal(&error))?;
    header.set_sensitive(true);
    response.headers_mut().insert(SET_COOKIE, header);
    Ok(response)
}

/// Who calls, and as what.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Me {
    /// The user or token.
    pub(super) id: String,
    /// Absent for a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<String>,
    pub(super) name: String,
    pub(super) workspace: String,
    /// Of a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<Role>,
    /// Of a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scope: Option<Scope>,
    /// For the header `X-CSRF-Token` of every change made with the session's cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) csrf: Option<String>,
}

/// Email and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    email: String,
    #[schema(format = Password)]
    password: String,
}

#[derive(FromRow)]
struct Account {
    id: String,
    name: String,
    password: String,
    workspace: String,
    role: String,
}

/// Begins a session, which is kept in a cookie.
#[utoipa::path(post, path = "/login", tag = "account", security(()), request_body = Login,
    responses((status = 200, description = "Logged in; the cookie is set.", body = Me)))]
async fn login(State(app): State<Arc<App>>, peer: Peer, body: Body<Login>) -> Result<Response, Problem> {
    let Body(Login { email, password }) = body;
    let email = email.trim().to_lowercase();
    app.limits.login_from.take(&peer.0)?;
    app.limits.login_as.take(&email)?;
    let account: Option<Account> = sqlx::query_as(
        "SELECT u.id, u.name, u.password, m.workspace, m.role FROM users u JOIN members m ON m.user_id = u.id \
         WHERE u.email = $1 ORDER BY m.created_at LIMIT 1",
    )
    .bind(&email)
    .fetch_optional(app.store.read())
    .await?;
    let stored = account.as_ref().map(|account| account.password.clone());
    let verified = secret::verify_password(password, stored).await?;
    let Some(account) = account.filter(|_| verified) else {
        return Err(Problem::unauthenticated("wrong_password", "there is no account with this email and password"));
    };
    app.limits.login_as.forgive(&email);
    let role = Role::of(&account.role).ok_or_else(|| Problem::internal(&"a stored role is none"))?;
    let actor = Actor { kind: ActorKind::User, id: account.id.clone(), name: email.clone() };
    let mut tx = app.store.begin_write().await?;
    let cookie = begin(&mut tx, &account.workspace, &account.id).await?;
    audit::write(&mut tx, &Entry::new(&account.workspace, &actor, "session.begin", &account.id)).await?;
    tx.commit().await?;
    let Account { id, name, workspace, .. } = account;
    let me = Me { id, email: Some(email), name, workspace, role: Some(role), scope: None, csrf: None };
    welcome(&app, StatusCode::OK, &cookie, me)
}

/// Ends the session.
#[utoipa::path(post, path = "/logout", tag = "account", security(("session" = [])),
    responses((status = 204, description = "Logged out.")))]
async fn logout(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Problem> {
    let session = caller.person()?;
    let mut tx = app.store.begin_write().await?;
    sqlx::query("DELETE FROM sessions WHERE hash = $1").bind(&session.hash).execute(&mut *tx).await?;
    audit::write(&mut tx, &Entry::new(&caller.workspace, &caller.actor, "session.end", &session.user)).await?;
    tx.commit().await?;
    with_cookie(&app, StatusCode::NO_CONTENT.into_response(), "", 0)
}

/// Who calls.
#[utoipa::path(get, path = "/me", tag = "account",
    responses((status = 200, description = "Who calls.", body = Me)))]
async fn me(caller: Caller) -> Json<Me> {
    let Caller { workspace, actor, authority } = caller;
    Json(match authority {
        Authority::Person(session) => Me {
            id: session.user,
            email: Some(session.email),
            name: session.name,
            workspace,
            role: Some(session.role),
            scope: None,
            csrf: Some(session.csrf),
        },
        Authority::Token(scope) => {
            Me { id: actor.id, email: None, name: actor.name, workspace, role: None, scope: Some(scope), csrf: None }
        }
    })
}

/// The password in use, and the one to come.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    #[schema(format = Password)]
    current: String,
    #[schema(format = Password, min_length = 10, max_length = 200)]
    new: String,
}

/// Changes one's own password, and ends one's other sessions.
#[utoipa::path(post, path = "/me/password", tag = "account", security(("session" = [])), request_body = NewPassword,
    responses((status = 204, description = "Changed.")))]
async fn set_password(
    State(app): State<Arc<App>>,
    caller: Caller,
    post: Post<NewPassword>,
) -> Result<Response, Problem> {
    let session = caller.person()?;
    let Post { body: NewPassword { current, new }, once } = post;
    fields::password("new", &new)?;
    // Who has found an open browser is not to guess on.
    app.limits.login_as.take(&session.email)?;
    let stored: (String,) = sqlx::query_as("SELECT password FROM users WHERE id = $1")
        .bind(&session.user)
        .fetch_one(app.store.read())
        .await?;
    let verified = secret::verify_password(current, Some(stored.0)).await?;
    let hash = secret::hash_password(new).await?;
    let mut work = match once.begin(&app, &caller).await? {
        Begun::Done(response) => return Ok(response),
        Begun::Work(work) => work,
    };
    if !verified {
        return Err(Problem::new(StatusCode::FORBIDDEN, "wrong_password", "this is not the password").at("current"));
    }
    app.limits.login_as.forgive(&session.email);
    let update = sqlx::query("UPDATE users SET password = $1 WHERE id = $2").bind(hash).bind(&session.user);
    update.execute(&mut *work.tx).await?;
    let others = sqlx::query("DELETE FROM sessions WHERE user_id = $1 AND hash <> $2").bind(&session.user);
    others.bind(&session.hash).execute(&mut *work.tx).await?;
    audit::write(&mut work.tx, &Entry::new(&caller.workspace, &caller.actor, "user.password", &session.user)).await?;
    work.finish_empty().await
}
