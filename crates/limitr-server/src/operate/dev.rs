//! `--dev`: the first start makes what one needs to try things out.

use crate::accounts::roles::Scope;
use crate::accounts::setup::{self, Founder};
use crate::accounts::tokens;
use crate::audit::Actor;
use crate::error::Error;
use crate::http::problem::Problem;
use crate::policies;
use crate::secret::{self, Secret};
use crate::store::Store;

const WORKSPACE: &str = "ws_dev";

/// What `--dev` has made, to be shown once.
#[non_exhaustive]
pub struct Dev {
    /// The owner.
    pub email: String,
    /// The owner's password.
    pub password: String,
    /// A token that may do everything.
    pub admin_token: String,
    /// A token for engines.
    pub engine_token: String,
}

/// Makes the workspace `dev`, unless it is there.
pub(crate) async fn prepare(store: &Store) -> Result<Option<Dev>, Error> {
    make(store).await.map_err(|problem| Error::new("dev_failed", problem.to_string()))
}

async fn make(store: &Store) -> Result<Option<Dev>, Problem> {
    let there: Option<(String,)> =
        sqlx::query_as("SELECT id FROM workspaces WHERE id = $1").bind(WORKSPACE).fetch_optional(store.read()).await?;
    if there.is_some() {
        return Ok(None);
    }
    let password = Secret::random("")?;
    let hashed = secret::hash_password(password.reveal().to_owned()).await?;
    let email = "dev@localhost";
    let founder = Founder { workspace: "dev", email, name: "dev", password: &hashed };
    let mut tx = store.begin_write().await?;
    let (workspace, _) = setup::found(&mut tx, WORKSPACE.to_owned(), founder).await?;
    let actor = Actor::system();
    let (_, admin) = tokens::add(&mut tx, &workspace, &actor, ("dev admin".to_owned(), Scope::Admin, None)).await?;
    let (_, engine) = tokens::add(&mut tx, &workspace, &actor, ("dev engine".to_owned(), Scope::Engine, None)).await?;
    policies::publish_first(&mut tx, &workspace).await?;
    tx.commit().await?;
    let reveal = |secret: Secret| secret.reveal().to_owned();
    Ok(Some(Dev {
        email: email.to_owned(),
        password: reveal(password),
        admin_token: reveal(admin),
        engine_token: reveal(engine),
    }))
}
