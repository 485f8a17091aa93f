//! People and programs: workspaces, users, sessions, tokens, tickets, and the record of what they changed.

pub(crate) mod fields;
pub(crate) mod journal;
pub(crate) mod roles;
mod sessions;
pub(crate) mod setup;
pub(crate) mod tickets;
pub(crate) mod tokens;
mod users;
mod workspace;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use crate::state::App;

pub(crate) use self::sessions::{COOKIE, SECURE_COOKIE, Session};

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(setup::routes())
        .merge(sessions::routes())
        .merge(users::routes())
        .merge(tokens::routes())
        .merge(workspace::routes())
        .merge(journal::routes())
}
