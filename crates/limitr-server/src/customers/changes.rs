//! Changes of customers: made by the engine, written down with who made them.

use std::sync::Arc;

use serde_json::Value;

use super::records::{self, Customer};
use crate::engines::Authored;
use crate::http::auth::Caller;
use crate::http::detached::detached;
use crate::http::problem::Problem;
use crate::state::App;

/// A change to be made.
pub(super) struct Change {
    pub(super) action: &'static str,
    /// As the engine takes it.
    pub(super) operation: Value,
    /// The fields of the record that it can change, for the audit.
    pub(super) fields: &'static [&'static str],
}

/// A change that was made, or came to nothing.
pub(super) struct Made {
    /// What the engine answered.
    pub(super) result: Value,
    pub(super) after: Option<Customer>,
}

/// Has a change made of a customer, who may not exist yet, or not any more afterwards.
pub(super) async fn make(app: &App, caller: &Caller, id: &str, change: Change) -> Result<Made, Problem> {
    let Change { action, operation, fields } = change;
    let name = operation.as_object().and_then(|operation| operation.keys().next()).cloned().unwrap_or_default();
    let authored = Authored { actor: caller.actor.clone(), action, customer: id.to_owned(), fields };
    let result = app.engines.change(&caller.workspace, operation, authored).await;
    let result = result.map_err(|problem| problem.inside(&name))?;
    let after = records::find(&app.store, &caller.workspace, id).await?;
    Ok(Made { result, after })
}

/// Has a change made of a customer that exists, whether or not the client waits for it.
pub(super) async fn of_existing(app: &Arc<App>, caller: Caller, id: String, change: Change) -> Result<Made, Problem> {
    let all = Arc::clone(app);
    detached(app, async move {
        records::get(&all.store, &caller.workspace, &id).await?;
        make(&all, &caller, &id, change).await
    })
    .await
}

impl Made {
    /// The customer, who was there before and still is.
    pub(super) fn customer(self, id: &str) -> Result<Customer, Problem> {
        self.after.ok_or_else(|| Problem::not_found("customer", id))
    }
}
