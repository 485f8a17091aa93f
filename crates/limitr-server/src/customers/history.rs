//! What happened to a customer: who changed it, and what it used.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::records;
use crate::accounts::journal::{self, Listed};
use crate::accounts::roles::Permission;
use crate::http::auth::Caller;
use crate::http::body::{Path, Query};
use crate::http::page::{Page, PageQuery, Window};
use crate::http::problem::Problem;
use crate::state::App;
use crate::usage::ledger::{self, Line, Wanted};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(history))
}

/// Something that happened to a customer.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = CustomerMoment)]
enum Moment {
    /// Somebody changed it.
    Change(Listed),
    /// It was used.
    Usage(Line),
}

/// How far a list of two sources has come: the ids of what was shown last of each.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Mark {
    change: i64,
    usage: i64,
}

/// What happened to a customer, latest first: changes from the audit, usage from the ledger.
///
/// It stays when the customer is deleted.
#[utoipa::path(get, path = "/customers/{id}/history", tag = "customers",
    params(("id" = String, Path, example = "acme"), PageQuery),
    responses((status = 200, description = "A page of what happened.", body = Page<Moment>)))]
async fn history(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(PageQuery { limit, cursor }): Query<PageQuery>,
) -> Result<Json<Page<Moment>>, Problem> {
    caller.require(Permission::ReadCustomers)?;
    let window = Window::<Mark>::new(limit, cursor.as_deref())?;
    let customer = records::find(&app.store, &caller.workspace, &id).await?;
    let known = customer.as_ref().map_or(id.as_str(), |customer| customer.id());
    let mut mark = window.after.unwrap_or(Mark { change: i64::MAX, usage: i64::MAX });
    let changes =
        journal::about(&app.store, &caller.workspace, ("customer", known), mark.change, window.rows()).await?;
    let wanted = Wanted { customer: Some(known), before: Some(mark.usage), rows: window.rows(), ..Wanted::default() };
    let usage = ledger::lines(&app.store, &caller.workspace, &wanted).await?;
    if customer.is_none() && window.after.is_none() && changes.is_empty() && usage.is_empty() {
        return Err(Problem::not_found("customer", &id));
    }
    // Within a source the order is that of its ids, in which they were stored.
    let (mut changes, mut usage) = (changes.into_iter().peekable(), usage.into_iter().peekable());
    let mut moments = Vec::new();
    loop {
        let use_first = match (changes.peek(), usage.peek()) {
            (Some(change), Some(used)) => used.stored_at > change.at,
            (change, _) => change.is_none(),
        };
        let next = if use_first { usage.next().map(Moment::Usage) } else { changes.next().map(Moment::Change) };
        let Some(moment) = next else { break };
        match &moment {
            Moment::Change(entry) => mark.change = entry.id,
            Moment::Usage(line) => mark.usage = line.id,
        }
        moments.push((mark, moment));
    }
    moments.truncate(usize::try_from(window.rows()).unwrap_or(usize::MAX));
    let Page { items, next } = window.page(moments, |(mark, _)| *mark);
    Ok(Json(Page { items: items.into_iter().map(|(_, moment)| moment).collect(), next }))
}
