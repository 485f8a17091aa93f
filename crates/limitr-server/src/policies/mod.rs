//! Policies: drafts that change, and published versions that do not, one of them in force.

mod diff;
mod documents;
mod drafts;
mod publish;
mod versions;

use std::sync::Arc;

use limitr_sync::PolicyVersion;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

pub(crate) use self::publish::publish_first;
use crate::audit::Actor;
use crate::state::App;
use crate::store::Store;

/// What stands for the version in force where an id is expected.
const ACTIVE: &str = "active";

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(documents::routes())
        .merge(drafts::routes())
        .merge(publish::routes())
        .merge(versions::routes())
        .merge(diff::routes())
}

/// The version in force.
pub(crate) async fn active(store: &Store, workspace: &str) -> sqlx::Result<Option<PolicyVersion>> {
    version(store, workspace, ACTIVE).await
}

/// A published version.
pub(crate) async fn version(store: &Store, workspace: &str, id: &str) -> sqlx::Result<Option<PolicyVersion>> {
    let version = versions::find(store.read(), workspace, id).await?;
    Ok(version.map(|version| version.for_engines()))
}

/// Who wrote something.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Author {
    id: String,
    /// The email address or token name at the time.
    name: String,
}

impl From<&Actor> for Author {
    fn from(actor: &Actor) -> Self {
        Self { id: actor.id.clone(), name: actor.name.clone() }
    }
}
