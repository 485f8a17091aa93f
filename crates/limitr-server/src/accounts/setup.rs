//! The first start: a link that makes the workspace and its owner, once.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::roles::Role;
use super::sessions::Me;
use super::users::NewMember;
use super::workspace::Workspace;
use super::{fields, sessions, users, workspace};
use crate::audit::{self, Actor, ActorKind, Entry};
use crate::error::Error;
use crate::http::body::Body;
use crate::http::peer::Peer;
use crate::http::problem::Problem;
use crate::secret::{self, Secret};
use crate::state::App;
use crate::store::{Store, Tx};
use crate::time::{DAY, now};

const PREFIX: &str = "limitr_setup_";
const LIFETIME: i64 = DAY;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(redeem))
}

/// Makes a setup secret, as long as there is no workspace. Each start makes another one; the first one redeemed ends all.
pub(crate) async fn offer(store: &Store) -> Result<Option<Secret>, Error> {
    let mut tx = store.begin_write().await?;
    if exists(&mut tx).await? {
        return Ok(None);
    }
    let offered = Secret::random(PREFIX)?;
    let insert = sqlx::query("INSERT INTO setups (hash, expires_at) VALUES ($1, $2)");
    insert.bind(offered.hash()).bind(now() + LIFETIME).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(Some(offered))
}

async fn exists(tx: &mut Tx) -> sqlx::Result<bool> {
    let (count,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM workspaces").fetch_one(&mut **tx).await?;
    Ok(count > 0)
}

/// The secret of the setup link, and the workspace to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Setup {
    /// What stands behind the `#` of the link that the server printed.
    secret: String,
    /// The name of the workspace.
    workspace: String,
    email: String,
    /// The owner's name. The email address if not given.
    name: Option<String>,
    #[schema(format = Password, min_length = 10, max_length = 200)]
    password: String,
}

#[derive(FromRow)]
struct Offered {
    hash: String,
    expires_at: i64,
}

/// Redeems the setup link: makes the workspace and its owner, and logs the owner in.
#[utoipa::path(post, path = "/setup", tag = "account", security(()), request_body = Setup,
    responses((status = 201, description = "Set up; the cookie is set.", body = Me)))]
async fn redeem(State(app): State<Arc<App>>, peer: Peer, body: Body<Setup>) -> Result<Response, Problem> {
    let Body(Setup { secret, workspace, email, name, password }) = body;
    app.limits.login_from.take(&peer.0)?;
    let workspace = fields::name("workspace", &workspace)?;
    let email = fields::email(&email)?;
    let name = name.map_or_else(|| Ok(email.clone()), |name| fields::name("name", &name))?;
    fields::password("password", &password)?;
    let password = secret::hash_password(password).await?;
    let mut tx = app.store.begin_write().await?;
    // All of them at once: of two that are redeemed at the same time, the second finds none.
    let offered: Vec<Offered> =
        sqlx::query_as("DELETE FROM setups RETURNING hash, expires_at").fetch_all(&mut *tx).await?;
    let hash = secret::hash(&secret);
    let valid = offered.iter().any(|offer| secret::same(&offer.hash, &hash) && offer.expires_at > now());
    if !valid || exists(&mut tx).await? {
        return Err(Problem::forbidden("the setup link is unknown, used or expired")
            .at("secret")
            .hint("restart the server: it prints a new one as long as there is no workspace"));
    }
    let founder = Founder { workspace: &workspace, email: &email, name: &name, password: &password };
    let (workspace, user) = found(&mut tx, secret::id("ws_")?, founder).await?;
    let cookie = sessions::begin(&mut tx, &workspace, &user).await?;
    tx.commit().await?;
    let role = Some(Role::Owner);
    let me = Me { id: user, email: Some(email), name, workspace, role, scope: None, csrf: None };
    sessions::welcome(&app, StatusCode::CREATED, &cookie, me)
}

/// Who founds a workspace. The password is hashed already.
pub(crate) struct Founder<'a> {
    pub(crate) workspace: &'a str,
    pub(crate) email: &'a str,
    pub(crate) name: &'a str,
    pub(crate) password: &'a str,
}

/// Makes a workspace and its owner: their ids.
pub(crate) async fn found(tx: &mut Tx, id: String, founder: Founder<'_>) -> Result<(String, String), Problem> {
    let Founder { workspace: label, email, name, password } = founder;
    let workspace: Workspace = workspace::create(tx, id, label).await?;
    let new = NewMember { email, name, password, role: Role::Owner };
    let owner = users::add(tx, &workspace.id, new).await?;
    let actor = Actor { kind: ActorKind::User, id: owner.id.clone(), name: email.to_owned() };
    audit::write(tx, &Entry::new(&workspace.id, &actor, "workspace.create", &workspace.id).after(&workspace)).await?;
    audit::write(tx, &Entry::new(&workspace.id, &actor, "user.create", &owner.id).after(&owner)).await?;
    Ok((workspace.id, owner.id))
}
