//! `Idempotency-Key`.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::client::{Client, Node, PASSWORD, send};
use crate::database::Kind;
use crate::on_both;

on_both!(a_repetition_gets_the_same_answer, a_secret_is_not_repeated, two_at_once_happen_once, keys_are_forgotten);

fn keyed(client: &Client, path: &str, key: &str, body: &Value) -> RequestBuilder {
    client.request(Method::POST, path).header("Idempotency-Key", key).json(body)
}

fn user(email: &str) -> Value {
    json!({"email": email, "role": "viewer", "password": PASSWORD})
}

async fn count(client: &Client, path: &str) -> usize {
    client.get(path).await.expect(200).body["items"].as_array().unwrap().len()
}

async fn a_repetition_gets_the_same_answer(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let path = "/api/v1/users";
    let first = send(keyed(&owner, path, "k1", &user("a@example.com"))).await.expect(201);
    assert!(!first.headers.contains_key("idempotency-replayed"));
    let again = send(keyed(&owner, path, "k1", &user("a@example.com"))).await.expect(201);
    assert_eq!((&again.text, again.header("idempotency-replayed")), (&first.text, "true"));
    assert_eq!(again.header("content-type"), "application/json");
    assert_eq!(count(&owner, path).await, 2);

    let other = send(keyed(&owner, path, "k1", &user("b@example.com"))).await.problem(422, "key_reused");
    assert_eq!(other.body["path"], "Idempotency-Key");
    send(keyed(&owner, "/api/v1/tokens", "k1", &json!({"name": "t", "scope": "read"})))
        .await
        .problem(422, "key_reused");

    // A failed attempt leaves no claim.
    send(keyed(&owner, path, "k2", &user("a@example.com"))).await.problem(409, "email_taken");
    send(keyed(&owner, path, "k2", &user("c@example.com"))).await.expect(201);

    // An answer without a body.
    let new = "another horse battery";
    let change = json!({"current": PASSWORD, "new": new});
    for _ in 0..2 {
        send(keyed(&owner, "/api/v1/me/password", "k3", &change)).await.expect(204);
    }
    // Who may not do it gets no answer of who may.
    let viewer = node.log_in("a@example.com", PASSWORD).await;
    send(keyed(&viewer, path, "k1", &user("a@example.com"))).await.problem(403, "forbidden");
    for wrong in ["", &"x".repeat(201)] {
        send(keyed(&owner, path, wrong, &user("d@example.com"))).await.problem(400, "invalid_key");
    }
}

async fn a_secret_is_not_repeated(kind: Kind) {
    let (_node, owner) = Node::ready(kind).await;
    let new = json!({"name": "t", "scope": "read"});
    let first = send(keyed(&owner, "/api/v1/tokens", "k", &new)).await.expect(201);
    let again = send(keyed(&owner, "/api/v1/tokens", "k", &new)).await.expect(201);
    assert!(first.body["token"].is_string());
    assert_eq!((&again.body["token"], again.id()), (&Value::Null, first.id()));
    assert_eq!(count(&owner, "/api/v1/tokens").await, 1);
}

async fn two_at_once_happen_once(kind: Kind) {
    let (_node, owner) = Node::ready(kind).await;
    let new = user("a@example.com");
    let attempts = (0..8).map(|_| tokio::spawn(send(keyed(&owner, "/api/v1/users", "k", &new)))).collect::<Vec<_>>();
    let mut answers = Vec::new();
    for attempt in attempts {
        answers.push(attempt.await.unwrap().expect(201));
    }
    assert!(answers.iter().all(|answer| answer.text == answers[0].text));
    let replayed = answers.iter().filter(|answer| answer.headers.contains_key("idempotency-replayed")).count();
    assert_eq!((replayed, count(&owner, "/api/v1/users").await), (7, 2));
}

async fn keys_are_forgotten(kind: Kind) {
    let (mut node, owner) = Node::ready(kind).await;
    for key in ["old", "new"] {
        send(keyed(&owner, "/api/v1/tokens", key, &json!({"name": key, "scope": "read"}))).await.expect(201);
    }
    let pool = node.pool().await;
    let age = sqlx::query("UPDATE idempotency SET created_at = created_at - 86400000 WHERE key = 'old'");
    age.execute(&pool).await.unwrap();
    for table in ["sessions", "tickets", "setups"] {
        let sql = format!("UPDATE {table} SET expires_at = 1");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    }
    // A server sweeps when it starts.
    node.stop().await;
    let again = limitr_server::Server::start(node.config.clone()).await.unwrap();
    let mut left: Vec<(String,)> = Vec::new();
    for _ in 0..100 {
        left = sqlx::query_as("SELECT key FROM idempotency").fetch_all(&pool).await.unwrap();
        if left.len() == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(left, [("new".to_owned(),)]);
    let sessions: (i64,) = sqlx::query_as("SELECT COUNT(*) FROM sessions").fetch_one(&pool).await.unwrap();
    assert_eq!(sessions.0, 0);
    again.stop().await;
}
