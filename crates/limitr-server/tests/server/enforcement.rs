//! Enforcement over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, send};
use crate::customers::ready;
use crate::database::Kind;
use crate::on_both;

on_both!(
    a_call_is_answered_with_its_decision,
    room_is_held_and_settled,
    questions_change_nothing,
    a_call_is_sent_again,
    what_cannot_be_called_is_refused,
);

async fn ask(client: &Client, operation: &str, more: Value) -> Value {
    let mut body = json!({"customer": "ann", "entitlement": "chat"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = client.post(&format!("/api/v1/{operation}"), &body).await.expect(200).body;
    assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
    answer["result"].clone()
}

async fn create(owner: &Client) {
    owner.post("/api/v1/customers", &json!({"id": "ann"})).await.expect(201);
}

async fn a_call_is_answered_with_its_decision(kind: Kind) {
    let (_node, owner) = ready(kind).await;
    let unknown = ask(&owner, "allow", json!({"value": 1})).await;
    assert_eq!((&unknown["allowed"], &unknown["reason"]), (&json!(false), &json!("unknown_customer")));
    create(&owner).await;
    let allowed = ask(&owner, "allow", json!({"value": 7})).await;
    assert_eq!(allowed, json!({"allowed": true, "remaining": 3, "metered": 7, "overage": 0, "covered": 0}));
    let denied = ask(&owner, "allow", json!({"value": "4"})).await;
    assert_eq!((&denied["reason"], &denied["remaining"]), (&json!("limit"), &json!(3)));
    assert_eq!(ask(&owner, "increment", json!({})).await["remaining"], 2);
    assert_eq!(ask(&owner, "decrement", json!({})).await["remaining"], 3);
    assert_eq!(ask(&owner, "set", json!({"value": 2})).await["remaining"], 8);
    assert_eq!(ask(&owner, "allow", json!({"value": -1})).await["remaining"], 9);
    // It is in the ledger, and in what it adds up to.
    let ledger = owner.get("/api/v1/usage/ledger?customer=ann").await.expect(200).body;
    let units: Vec<&Value> = ledger["items"].as_array().unwrap().iter().map(|line| &line["effect"]["units"]).collect();
    assert_eq!(units, [&json!(-1), &json!(-5), &json!(-1), &json!(1), &json!(7)]);
    let usage = owner.get("/api/v1/usage?group=customer").await.expect(200).body;
    assert_eq!((&usage["items"][0]["units"], &usage["items"][0]["calls"]), (&json!(1), &json!(5)));
}

async fn room_is_held_and_settled(kind: Kind) {
    let (_node, owner) = ready(kind).await;
    create(&owner).await;
    let hold = ask(&owner, "reserve", json!({"value": 8, "ttl": "10min"})).await;
    assert!(hold.is_string());
    assert_eq!(ask(&owner, "held", json!({})).await, 8);
    assert_eq!(ask(&owner, "reserve", json!({"value": 8})).await, Value::Null);
    assert_eq!(ask(&owner, "check", json!({"value": 3})).await["allowed"], false);
    let settled = ask(&owner, "settle", json!({"hold": hold, "value": 5})).await;
    assert_eq!((&settled["allowed"], &settled["remaining"]), (&json!(true), &json!(5)));
    let hold = ask(&owner, "reserve", json!({"value": 5})).await;
    assert_eq!(ask(&owner, "release", json!({"hold": hold})).await, true);
    assert_eq!(ask(&owner, "release", json!({"hold": hold})).await, false);
    assert_eq!(ask(&owner, "estimate", json!({})).await["value"], 5);
    assert_eq!(ask(&owner, "observe", json!({"value": 6})).await, true);
}

async fn questions_change_nothing(kind: Kind) {
    let (_node, owner) = ready(kind).await;
    create(&owner).await;
    ask(&owner, "allow", json!({"value": 4})).await;
    for _ in 0..2 {
        assert_eq!(ask(&owner, "check", json!({"value": 6})).await["allowed"], true);
        assert_eq!(ask(&owner, "check_increment", json!({})).await["metered"], 1);
        let explained = ask(&owner, "explain", json!({"value": 7})).await;
        assert_eq!((&explained["reason"], explained["steps"].as_array().is_some()), (&json!("limit"), true));
        assert_eq!(ask(&owner, "remaining", json!({})).await, 6);
        assert_eq!(ask(&owner, "remaining", json!({"percent": true})).await, 60);
        assert_eq!(ask(&owner, "value", json!({})).await, 4);
        assert_eq!(ask(&owner, "limit", json!({})).await, 10);
        assert_eq!(ask(&owner, "limit_obj", json!({})).await["credit"], "token");
        assert_eq!(ask(&owner, "resets", json!({})).await, Value::Null);
    }
    let ledger = owner.get("/api/v1/usage/ledger").await.expect(200).body;
    assert_eq!(ledger["items"].as_array().unwrap().len(), 1);
}

async fn a_call_is_sent_again(kind: Kind) {
    let (_node, owner) = ready(kind).await;
    create(&owner).await;
    let call = |value: u32| {
        let request = owner.request(Method::POST, "/api/v1/allow").header("Idempotency-Key", "r-1");
        send(request.json(&json!({"customer": "ann", "entitlement": "chat", "value": value})))
    };
    let first = call(4).await.expect(200);
    let again = call(4).await.expect(200);
    assert_eq!((&again.body, again.header("idempotency-replayed")), (&first.body, "true"));
    call(5).await.problem(422, "key_reused");
    assert_eq!(ask(&owner, "value", json!({})).await, 4);
    // The engine's own keys do the same, for as long as the customer is there.
    for _ in 0..2 {
        let decision = ask(&owner, "allow", json!({"value": 1, "idempotency_key": "own"})).await;
        assert_eq!(decision["remaining"], 5);
    }
    let body = json!({"customer": "ann", "entitlement": "chat", "value": 2, "idempotency_key": "own"});
    owner.post("/api/v1/allow", &body).await.problem(409, "idempotency_mismatch");
}

async fn what_cannot_be_called_is_refused(kind: Kind) {
    let (_node, owner) = ready(kind).await;
    let wrong = json!({"customer": "ann", "entitlement": "chat", "valeu": 1});
    let refused = owner.post("/api/v1/allow", &wrong).await.problem(422, "bad_operation");
    assert_eq!(refused.body["path"], "valeu");
    assert_eq!(refused.body["detail"], "valeu: unknown field `valeu`, did you mean `value`?");
    owner.post("/api/v1/allow", &json!({"customer": "ann"})).await.problem(422, "bad_operation");
    owner.post("/api/v1/allow", &json!([])).await.problem(422, "invalid_value");
    // What is about the policy, or about everybody, is not called this way.
    for operation in ["set_plan", "delete_plan", "replace", "customers", "load_customers", "set_customer", "stringify"]
    {
        owner.post(&format!("/api/v1/{operation}"), &json!({})).await.expect(if operation == "customers" {
            422
        } else {
            404
        });
    }
}
