//! Changes of customers: made by the engine, written down with who made them.

use std::sync::Arc;

use serde_json::Value;

use super::records::{self, Customer};
use crate::audit::{self, Entry};
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
    let before = records::find(&app.store, &caller.workspace, id).await?;
    let name = operation.as_object().and_then(|operation| operation.keys().next()).cloned().unwrap_or_default();
    let result = app.engines.call(&caller.workspace, operation).await.map_err(|problem| problem.inside(&name))?;
    let after = records::find(&app.store, &caller.workspace, id).await?;
    let (was, is) = records::difference(fields, before.as_ref(), after.as_ref());
    // What changes nothing is no change; usage that came in between is in other fields.
    if was != is || before.is_some() != after.is_some() {
        let subject = after.as_ref().or(before.as_ref()).map_or(id, Customer::id);
        let mut entry = Entry::new(&caller.workspace, &caller.actor, action, subject);
        if before.is_some() {
            entry = entry.before(&was);
        }
        if after.is_some() {
            entry = entry.after(&is);
        }
        let mut tx = app.store.begin_write().await?;
        audit::write(&mut tx, &entry).await?;
        tx.commit().await?;
    }
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
