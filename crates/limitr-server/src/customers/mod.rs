//! Customers over HTTP. They are read where they are stored, and changed by the workspace's engine, so that every
//! engine that has them hears of it.

mod balances;
mod changes;
mod entitlements;
mod history;
mod limits;
mod list;
mod people;
mod records;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use crate::state::App;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(list::routes())
        .merge(people::routes())
        .merge(limits::routes())
        .merge(balances::routes())
        .merge(entitlements::routes())
        .merge(history::routes())
}
