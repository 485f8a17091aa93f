//! What was used: the ledger line by line, and its sums by day.

pub(crate) mod amounts;
mod days;
pub(crate) mod ledger;
mod report;
mod rollups;
mod sums;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use crate::state::App;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().merge(ledger::routes()).merge(report::routes())
}
