//! SQLite's log is folded into its file beside the commits, which would otherwise wait for that now and then.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::state::App;

const EVERY: Duration = Duration::from_millis(250);

/// Runs until the server closes. What is not folded by then is when the database is closed.
pub(crate) async fn run(app: Arc<App>) {
    loop {
        tokio::select! {
            () = app.closing.cancelled() => return,
            () = sleep(EVERY) => {}
        }
        if let Err(error) = app.store.checkpoint().await {
            tracing::warn!(%error, "the log of the database could not be folded into its file; it is tried again");
        }
    }
}
