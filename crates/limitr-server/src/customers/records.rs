//! Customers as they are stored, and as the API shows them.

use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::FromRow;
use utoipa::ToSchema;

use crate::http::problem::Problem;
use crate::store::Store;
use crate::time::Millis;

/// What the engine keeps in a record for itself: answers to retries, and what it said once.
const OWN: [&str; 2] = ["idempotency", "notified"];

/// A customer: its record as the engine writes it, and when it came and changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Customer, example = json!({
    "id": "acme", "plan": "pro", "type": "org", "label": "Acme", "alt_ids": ["cus_9"], "refs": [],
    "metadata": {"region": "eu"}, "meters": {"chat": {"credit": "token", "value": 1200}}, "grants": {},
    "overrides": {}, "caps": {}, "created_at": 1_768_435_200_000_i64, "updated_at": 1_768_435_260_000_i64
}))]
pub(super) struct Customer {
    /// `id`, `plan`, `type`, `label`, `alt_ids`, `refs`, `metadata`, `meters`, `grants`, `overrides` and `caps`, as in
    /// the reference of policies.
    #[serde(flatten)]
    pub(super) record: Map<String, Value>,
    pub(super) created_at: Millis,
    /// When it last changed: usage is a change.
    pub(super) updated_at: Millis,
}

#[derive(FromRow)]
pub(super) struct Row {
    record: String,
    created_at: Millis,
    updated_at: Millis,
}

impl TryFrom<Row> for Customer {
    type Error = Problem;

    fn try_from(row: Row) -> Result<Self, Problem> {
        let mut record: Map<String, Value> =
            serde_json::from_str(&row.record).map_err(|error| Problem::internal(&error))?;
        record.retain(|field, _| !OWN.contains(&field.as_str()));
        Ok(Self { record, created_at: row.created_at, updated_at: row.updated_at })
    }
}

impl Customer {
    pub(super) fn id(&self) -> &str {
        self.text("id")
    }

    pub(super) fn text(&self, field: &str) -> &str {
        self.record.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// A field of the record by name, and what is kept in it under another.
    pub(super) fn entry(&self, field: &str, name: &str) -> Option<&Value> {
        self.record.get(field)?.get(name)
    }
}

/// A customer by its id or an alternate one.
pub(super) async fn find(store: &Store, workspace: &str, id: &str) -> Result<Option<Customer>, Problem> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT record, created_at, updated_at FROM customers WHERE workspace = $1 AND id = \
         COALESCE((SELECT customer FROM aliases WHERE workspace = $1 AND alt = $2), $2)",
    )
    .bind(workspace)
    .bind(id)
    .fetch_optional(store.read())
    .await?;
    row.map(Customer::try_from).transpose()
}

/// [`find`], where there is one.
pub(super) async fn get(store: &Store, workspace: &str, id: &str) -> Result<Customer, Problem> {
    find(store, workspace, id).await?.ok_or_else(|| Problem::not_found("customer", id))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn customer(record: &Value) -> Customer {
        Row { record: record.to_string(), created_at: 1, updated_at: 2 }.try_into().unwrap()
    }

    #[test]
    fn what_the_engine_keeps_for_itself_is_not_shown() {
        let shown = customer(&json!({"id": "ann", "idempotency": {"k": {}}, "notified": {}, "plan": "pro"}));
        assert_eq!(json!(shown), json!({"id": "ann", "plan": "pro", "created_at": 1, "updated_at": 2}));
    }
}
