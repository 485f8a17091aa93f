//! POSTs whose change is committed elsewhere: by the workspace's engine, in a transaction of its own.
//!
//! The key is claimed before, and gets its answer after. A server that is stopped in between leaves a claim without an
//! answer; what was asked for is not done a second time then, for nobody knows about the first.

use std::future::Future;
use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::{Begun, Once};
use crate::http::auth::Caller;
use crate::http::detached::detached;
use crate::http::problem::Problem;
use crate::state::App;

impl Once {
    /// Does the work, unless this key has done it. Work that fails has changed nothing, and gives the key free again.
    pub(crate) async fn apart<T, F>(
        self,
        app: Arc<App>,
        caller: Caller,
        work: impl FnOnce(Arc<App>, Caller) -> F + Send + 'static,
    ) -> Result<Response, Problem>
    where
        T: Serialize + Send + Sync + 'static,
        F: Future<Output = Result<(StatusCode, T), Problem>> + Send,
    {
        let all = Arc::clone(&app);
        detached(&all, async move {
            let Some(key) = self.0.as_ref().map(|key| key.key.clone()) else {
                let (status, answer) = work(app, caller).await?;
                return Ok((status, Json(answer)).into_response());
            };
            match self.begin(&app, &caller).await? {
                Begun::Done(response) => return Ok(response),
                Begun::Work(begun) => begun.tx.commit().await?,
            }
            let claim = (caller.workspace.clone(), key);
            match work(Arc::clone(&app), caller).await {
                Ok((status, answer)) => {
                    let stored = serde_json::to_string(&answer).map_err(|error| Problem::internal(&error))?;
                    settle(&app, &claim, status, &stored).await?;
                    Ok((status, Json(answer)).into_response())
                }
                Err(problem) => {
                    release(&app, &claim).await?;
                    Err(problem)
                }
            }
        })
        .await
    }
}

async fn settle(app: &App, (workspace, key): &(String, String), status: StatusCode, stored: &str) -> sqlx::Result<()> {
    let mut tx = app.store.begin_write().await?;
    super::answer(&mut tx, (workspace, key), status, stored).await?;
    tx.commit().await
}

async fn release(app: &App, (workspace, key): &(String, String)) -> sqlx::Result<()> {
    let mut tx = app.store.begin_write().await?;
    let delete = sqlx::query("DELETE FROM idempotency WHERE workspace = $1 AND key = $2");
    delete.bind(workspace).bind(key).execute(&mut *tx).await?;
    tx.commit().await
}
