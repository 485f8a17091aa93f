//! The people of a workspace.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::roles::{Permission, Role};
use super::{fields, workspace};
use crate::audit::{self, Entry};
use crate::http::auth::Caller;
use crate::http::body::{Body, Path, Query};
use crate::http::etag::IfMatch;
use crate::http::idempotency::{Begun, Post};
use crate::http::page::{Page, PageQuery, Window};
use crate::http::problem::Problem;
use crate::secret;
use crate::state::App;
use crate::store::Tx;
use crate::time::{Millis, now};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(read, change, remove))
}

/// A person in a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct User {
    pub(crate) id: String,
    email: String,
    name: String,
    role: Role,
    created_at: Millis,
}

#[derive(FromRow)]
struct Row {
    id: String,
    email: String,
    name: String,
    role: String,
    created_at: Millis,
}

impl TryFrom<Row> for User {
    type Error = Problem;

    fn try_from(row: Row) -> Result<Self, Problem> {
        let Row { id, email, name, role, created_at } = row;
        let role = Role::of(&role).ok_or_else(|| Problem::internal(&"a stored role is none"))?;
        Ok(Self { id, email, name, role, created_at })
    }
}

const ONE: &str = "SELECT u.id, u.email, u.name, m.role, m.created_at FROM members m JOIN users u ON u.id = m.user_id \
     WHERE m.workspace = $1 AND m.user_id = $2";
const LIST: &str = "SELECT u.id, u.email, u.name, m.role, m.created_at FROM members m JOIN users u ON u.id = m.user_id \
     WHERE m.workspace = $1 AND u.email > $2 ORDER BY u.email LIMIT $3";

/// Who becomes a member. The password is hashed already.
pub(super) struct NewMember<'a> {
    pub(super) email: &'a str,
    pub(super) name: &'a str,
    pub(super) password: &'a str,
    pub(super) role: Role,
}

pub(super) async fn add(tx: &mut Tx, workspace: &str, new: NewMember<'_>) -> Result<User, Problem> {
    let NewMember { email, name, password, role } = new;
    let (id, created_at) = (secret::id("usr_")?, now());
    let insert = sqlx::query(
        "INSERT INTO users (id, email, name, password, created_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (email) DO NOTHING",
    );
    let insert = insert.bind(&id).bind(email).bind(name).bind(password).bind(created_at);
    if insert.execute(&mut **tx).await?.rows_affected() == 0 {
        return Err(Problem::conflict("email_taken", format!("`{email}` has an account already")).at("email"));
    }
    let member = sqlx::query("INSERT INTO members (workspace, user_id, role, created_at) VALUES ($1, $2, $3, $4)");
    member.bind(workspace).bind(&id).bind(role.as_str()).bind(created_at).execute(&mut **tx).await?;
    Ok(User { id, email: email.to_owned(), name: name.to_owned(), role, created_at })
}

async fn find(tx: &mut Tx, workspace: &str, id: &str) -> Result<User, Problem> {
    let row: Option<Row> = sqlx::query_as(ONE).bind(workspace).bind(id).fetch_optional(&mut **tx).await?;
    row.ok_or_else(|| Problem::not_found("user", id))?.try_into()
}

/// The people of the workspace, by email.
#[utoipa::path(get, path = "/users", tag = "users", params(PageQuery),
    responses((status = 200, description = "A page of users.", body = Page<User>)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(PageQuery { limit, cursor }): Query<PageQuery>,
) -> Result<Json<Page<User>>, Problem> {
    caller.require(Permission::Read)?;
    let window = Window::<String>::new(limit, cursor.as_deref())?;
    let rows: Vec<Row> = sqlx::query_as(LIST)
        .bind(&caller.workspace)
        .bind(window.after.as_deref().unwrap_or_default())
        .bind(window.rows())
        .fetch_all(app.store.read())
        .await?;
    let users = rows.into_iter().map(User::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(window.page(users, |user| user.email.clone())))
}

/// One person.
#[utoipa::path(get, path = "/users/{id}", tag = "users", params(("id" = String, Path)),
    responses((status = 200, description = "The user.", body = User)))]
async fn read(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<Json<User>, Problem> {
    caller.require(Permission::Read)?;
    let row: Option<Row> =
        sqlx::query_as(ONE).bind(&caller.workspace).bind(&id).fetch_optional(app.store.read()).await?;
    Ok(Json(row.ok_or_else(|| Problem::not_found("user", &id))?.try_into()?))
}

/// Somebody to be let in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    email: String,
    /// The email address if not given.
    name: Option<String>,
    role: Role,
    /// To be changed by its owner.
    #[schema(format = Password, min_length = 10, max_length = 200)]
    password: String,
}

/// Lets somebody in, with a first password.
#[utoipa::path(post, path = "/users", tag = "users", request_body = NewUser,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes repetitions harmless.")),
    responses((status = 201, description = "Let in.", body = User)))]
async fn create(State(app): State<Arc<App>>, caller: Caller, post: Post<NewUser>) -> Result<Response, Problem> {
    let Post { body: NewUser { email, name, role, password }, once } = post;
    caller.require(Permission::ManageUsers)?;
    may_give(&caller, role)?;
    let email = fields::email(&email)?;
    let name = name.map_or_else(|| Ok(email.clone()), |name| fields::name("name", &name))?;
    fields::password("password", &password)?;
    let password = secret::hash_password(password).await?;
    let mut work = match once.begin(&app, &caller).await? {
        Begun::Done(response) => return Ok(response),
        Begun::Work(work) => work,
    };
    let new = NewMember { email: &email, name: &name, password: &password, role };
    let user = add(&mut work.tx, &caller.workspace, new).await?;
    let entry = Entry::new(&caller.workspace, &caller.actor, "user.create", &user.id);
    audit::write(&mut work.tx, &entry.after(&user)).await?;
    work.finish(StatusCode::CREATED, &user).await
}

/// What can be changed of a person. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    role: Option<Role>,
}

/// Changes what somebody may do, at once.
#[utoipa::path(patch, path = "/users/{id}", tag = "users", request_body = Change,
    params(
        ("id" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The ETag of what is to be changed."),
    ),
    responses((status = 200, description = "Changed.", body = User)))]
async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(Change { role }): Body<Change>,
) -> Result<Json<User>, Problem> {
    caller.require(Permission::ManageUsers)?;
    let mut tx = app.store.begin_write().await?;
    workspace::lock(&mut tx, &caller.workspace).await?;
    let before = find(&mut tx, &caller.workspace, &id).await?;
    if_match.check(&before)?;
    let Some(role) = role.filter(|role| *role != before.role) else { return Ok(Json(before)) };
    may_give(&caller, before.role)?;
    may_give(&caller, role)?;
    keep_an_owner(&mut tx, &caller.workspace, &before).await?;
    let update = sqlx::query("UPDATE members SET role = $1 WHERE workspace = $2 AND user_id = $3");
    update.bind(role.as_str()).bind(&caller.workspace).bind(&id).execute(&mut *tx).await?;
    let after = find(&mut tx, &caller.workspace, &id).await?;
    let entry = Entry::new(&caller.workspace, &caller.actor, "user.change", &id);
    audit::write(&mut tx, &entry.before(&before).after(&after)).await?;
    tx.commit().await?;
    Ok(Json(after))
}

/// Takes somebody out of the workspace, whose sessions end.
#[utoipa::path(delete, path = "/users/{id}", tag = "users", params(("id" = String, Path)),
    responses((status = 204, description = "Removed.")))]
async fn remove(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Result<Response, Problem> {
    caller.require(Permission::ManageUsers)?;
    let mut tx = app.store.begin_write().await?;
    workspace::lock(&mut tx, &caller.workspace).await?;
    let before = find(&mut tx, &caller.workspace, &id).await?;
    may_give(&caller, before.role)?;
    keep_an_owner(&mut tx, &caller.workspace, &before).await?;
    for statement in [
        "DELETE FROM sessions WHERE workspace = $1 AND user_id = $2",
        "DELETE FROM members WHERE workspace = $1 AND user_id = $2",
    ] {
        sqlx::query(statement).bind(&caller.workspace).bind(&id).execute(&mut *tx).await?;
    }
    // Nobody keeps an account who is nowhere a member.
    let homeless = "DELETE FROM users WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM members WHERE user_id = $1)";
    sqlx::query(homeless).bind(&id).execute(&mut *tx).await?;
    let entry = Entry::new(&caller.workspace, &caller.actor, "user.remove", &id);
    audit::write(&mut tx, &entry.before(&before)).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Owners make owners, and unmake them.
fn may_give(caller: &Caller, role: Role) -> Result<(), Problem> {
    if role == Role::Owner { caller.require(Permission::ManageOwners) } else { Ok(()) }
}

async fn keep_an_owner(tx: &mut Tx, workspace: &str, user: &User) -> Result<(), Problem> {
    if user.role != Role::Owner {
        return Ok(());
    }
    let count =
        sqlx::query_as("SELECT COUNT(*) FROM members WHERE workspace = $1 AND role = 'owner' AND user_id <> $2");
    let (others,): (i64,) = count.bind(workspace).bind(&user.id).fetch_one(&mut **tx).await?;
    if others > 0 {
        return Ok(());
    }
    let detail = format!("`{}` is the only owner", user.email);
    Err(Problem::conflict("last_owner", detail).hint("make somebody else an owner first"))
}
