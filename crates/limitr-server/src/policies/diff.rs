//! What differs between two policies in meaning.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use limitr::Format;
use limitr::policy::difference;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::documents::{self, Checked};
use super::{ACTIVE, drafts, versions};
use crate::accounts::roles::Permission;
use crate::http::auth::Caller;
use crate::http::body::Query;
use crate::http::problem::{Details, Problem};
use crate::state::App;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(diff))
}

/// Which two. Each is the id of a version, `active`, or `draft:` and the id of a draft.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Between {
    /// `active`, if not given.
    from: Option<String>,
    /// `active`, if not given.
    to: Option<String>,
}

/// One difference.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicyChange)]
struct Change {
    /// What is different.
    path: String,
    /// What `from` has; nothing where only `to` has it.
    before: Option<Value>,
    /// What `to` has; nothing where only `from` has it.
    after: Option<Value>,
    /// All of that in one line.
    text: String,
}

/// What differs between two policies.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicyDifference)]
struct Difference {
    from: String,
    to: String,
    changes: Vec<Change>,
}

/// What differs between two policies in meaning: names and values, not text.
///
/// `1GB` and `1000` in a credit that keeps MB are the same, as are a default written out and one left out.
#[utoipa::path(get, path = "/policies/diff", tag = "policies", params(Between),
    responses(
        (status = 200, description = "Every difference.", body = Difference, example = json!({
            "from": "pol_0GJ7cK3mQ2aXz5R8u",
            "to": "draft:drf_1H2kTq9vWc4Yx7Zp3",
            "changes": [{
                "path": "plans.pro.entitlements.chat.limit.value",
                "before": 500_000,
                "after": 700_000,
                "text": "plans.pro.entitlements.chat.limit.value: 500000 -> 700000"
            }]
        })),
        (status = 422, description = "A draft is not valid: `problems` lists every finding.", body = Details,
            content_type = "application/problem+json")))]
async fn diff(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(Between { from, to }): Query<Between>,
) -> Result<Json<Difference>, Problem> {
    caller.require(Permission::Read)?;
    let (from, a) = named(&app, &caller.workspace, from.as_deref().unwrap_or(ACTIVE)).await?;
    let (to, b) = named(&app, &caller.workspace, to.as_deref().unwrap_or(ACTIVE)).await?;
    let changes = difference(&a.policy, &b.policy).into_iter().map(|change| {
        let text = change.to_string();
        Change { path: change.path, before: change.before, after: change.after, text }
    });
    Ok(Json(Difference { from, to, changes: changes.collect() }))
}

/// A policy by the name it goes by here, and that name with an id for `active`.
async fn named(app: &App, workspace: &str, name: &str) -> Result<(String, Checked), Problem> {
    let (name, format, document) = match name.strip_prefix("draft:") {
        Some(id) => {
            let draft = drafts::get(app.store.read(), workspace, id).await?;
            (name.to_owned(), draft.format()?, draft.document)
        }
        None => {
            let version = versions::get(app, workspace, name).await?;
            let format: Format = version.summary.format.parse().map_err(limitr::Error::from)?;
            (version.summary.id, format, version.document)
        }
    };
    Ok((name, documents::check(format, document).await??))
}
