//! Work that goes on when whoever waits for it has gone.

use std::future::Future;

use tracing::Instrument as _;

use super::problem::Problem;
use crate::state::App;

/// Does the work to its end, even if the client hangs up or the time for the request runs out in the middle of it: for
/// changes in several steps, of which all are to be made.
pub(crate) async fn detached<T: Send + 'static>(
    app: &App,
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    app.tasks.spawn(work.in_current_span()).await.map_err(|error| Problem::internal(&error))?
}
