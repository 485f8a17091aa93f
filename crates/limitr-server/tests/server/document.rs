//! The OpenAPI document holds together: whoever generates a client from it gets one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::client::Node;
use crate::database::Kind;

#[tokio::test(flavor = "multi_thread")]
async fn the_document_holds_together() {
    let node = Node::start(Kind::Sqlite).await;
    let document = node.client().get("/api/v1/openapi.json").await.expect(200).body;
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    for reference in &references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{} {path}", method.to_uppercase());
            let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{place} has no id")).to_owned();
            if let Some(other) = ids.insert(id.clone(), place.clone()) {
                panic!("{place} and {other} are both called {id}");
            }
            assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{place}");
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let names = |place: &str| -> BTreeSet<String> {
                let those = parameters.iter().filter(|parameter| parameter["in"] == place);
                those.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
            };
            let in_path: BTreeSet<String> = path
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
                .map(str::to_owned)
                .collect();
            assert_eq!(names("path"), in_path, "{place}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2') || status == "101"), "{place}");
            if path.starts_with("/api/v1/") {
                // A list is one that can be read page by page.
                let listed = operation.pointer("/responses/200/content/application~1json/schema/$ref");
                if listed.and_then(Value::as_str).is_some_and(|name| name.contains("/Page_")) {
                    assert!(names("query").is_superset(&["limit", "cursor"].map(str::to_owned).into()), "{place}");
                }
            }
            described.insert(place);
        }
    }
    for expected in [
        "POST /api/v1/policies/validate",
        "GET /api/v1/policies/drafts",
        "POST /api/v1/policies/drafts",
        "GET /api/v1/policies/drafts/{id}",
        "PATCH /api/v1/policies/drafts/{id}",
        "DELETE /api/v1/policies/drafts/{id}",
        "POST /api/v1/policies/drafts/{id}/publish",
        "POST /api/v1/policies/publish",
        "GET /api/v1/policies/versions",
        "GET /api/v1/policies/versions/{id}",
        "POST /api/v1/policies/versions/{id}/rollback",
        "GET /api/v1/policies/diff",
        "GET /api/v1/customers",
        "POST /api/v1/customers",
        "GET /api/v1/customers/{id}",
        "PATCH /api/v1/customers/{id}",
        "DELETE /api/v1/customers/{id}",
        "PUT /api/v1/customers/{id}/plan",
        "PUT /api/v1/customers/{id}/refs",
        "PUT /api/v1/customers/{id}/alts/{alt}",
        "DELETE /api/v1/customers/{id}/alts/{alt}",
        "PUT /api/v1/customers/{id}/overrides/{entitlement}",
        "DELETE /api/v1/customers/{id}/overrides/{entitlement}",
        "POST /api/v1/customers/{id}/topups",
        "GET /api/v1/customers/{id}/grants",
        "POST /api/v1/customers/{id}/caps",
        "POST /api/v1/customers/{id}/caps/{cap}/reset",
        "DELETE /api/v1/customers/{id}/caps/{cap}",
        "GET /api/v1/customers/{id}/entitlements",
        "GET /api/v1/customers/{id}/history",
        "POST /api/v1/allow",
        "POST /api/v1/check",
        "POST /api/v1/reserve",
        "POST /api/v1/settle",
        "POST /api/v1/explain",
        "GET /api/v1/usage",
        "GET /api/v1/usage/ledger",
        "GET /api/v1/margin",
    ] {
        assert!(described.contains(expected), "{expected}");
    }
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| collect(field, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}
