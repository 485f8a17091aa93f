//! Tokens and tickets.

use reqwest::Method;
use serde_json::json;

use crate::client::{Client, Node, send};
use crate::database::Kind;
use crate::on_both;

on_both!(
    a_token_is_shown_once,
    tokens_end,
    scopes_allow_what_they_say,
    tickets_are_for_tokens_that_connect,
    tickets_are_limited,
);

async fn a_token_is_shown_once(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let made = owner.post("/api/v1/tokens", &json!({"name": " engine 1 ", "scope": "engine"})).await.expect(201);
    let token = made.body["token"].as_str().unwrap();
    let random = token.strip_prefix("limitr_").unwrap();
    assert!(random.len() == 43 && random.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{token}");
    assert_eq!(made.body["name"], "engine 1");
    assert_eq!(made.body["hint"], token[..13]);
    let mut record = made.body.clone();
    record.as_object_mut().unwrap().remove("token");

    let read = owner.get(&format!("/api/v1/tokens/{}", made.id())).await.expect(200);
    assert_eq!(read.body, record);
    let list = owner.get("/api/v1/tokens").await.expect(200);
    assert_eq!(list.body, json!({"items": [record]}));

    let program = node.with_token(token);
    let me = program.get("/api/v1/me").await.expect(200);
    assert_eq!(me.body["scope"], "engine");
    let path = format!("/api/v1/tokens/{}", made.id());
    let used = async || owner.get(&path).await.expect(200).body["last_used_at"].as_i64();
    // It is noted beside the request.
    let mut first = used().await;
    for _ in 0..200 {
        if first.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        first = used().await;
    }
    assert!(first.unwrap() >= made.body["created_at"].as_i64().unwrap());
    // To the minute: the next request does not write.
    program.get("/api/v1/me").await.expect(200);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(used().await, first);

    for wrong in ["limitr_x", "", "limitr_"] {
        send(node.client().request(Method::GET, "/api/v1/me").header("Authorization", format!("Bearer {wrong}")))
            .await
            .expect(401);
    }
    let basic = node.client().request(Method::GET, "/api/v1/me").header("Authorization", "Basic YTpi");
    let answer = send(basic).await.problem(401, "invalid_authorization");
    assert_eq!(answer.header("www-authenticate"), "Bearer");
}

async fn tokens_end(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let made = owner.post("/api/v1/tokens", &json!({"name": "a", "scope": "read"})).await.expect(201);
    let program = node.with_token(made.body["token"].as_str().unwrap());
    program.get("/api/v1/workspace").await.expect(200);
    let path = format!("/api/v1/tokens/{}", made.id());
    owner.delete(&path).await.expect(204);
    program.get("/api/v1/workspace").await.problem(401, "invalid_token");
    let revoked = owner.get(&path).await.expect(200).body["revoked_at"].clone();
    assert!(revoked.is_i64());
    owner.delete(&path).await.expect(204);
    assert_eq!(owner.get(&path).await.body["revoked_at"], revoked);
    owner.delete("/api/v1/tokens/tok_none").await.problem(404, "not_found");

    let past = owner.post("/api/v1/tokens", &json!({"name": "a", "scope": "read", "expires_at": 1})).await;
    assert_eq!(past.problem(422, "invalid_value").body["path"], "expires_at");
    let soon = made.body["created_at"].as_i64().unwrap() + 3_600_000;
    let made =
        owner.post("/api/v1/tokens", &json!({"name": "a", "scope": "read", "expires_at": soon})).await.expect(201);
    let program = node.with_token(made.body["token"].as_str().unwrap());
    program.get("/api/v1/workspace").await.expect(200);
    sqlx::query("UPDATE tokens SET expires_at = 1").execute(&node.pool().await).await.unwrap();
    program.get("/api/v1/workspace").await.problem(401, "invalid_token");
}

async fn scopes_allow_what_they_say(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let mut clients: Vec<Client> = Vec::new();
    for scope in ["read", "engine", "admin"] {
        let made = owner.post("/api/v1/tokens", &json!({"name": scope, "scope": scope})).await.expect(201);
        clients.push(node.with_token(made.body["token"].as_str().unwrap()));
    }
    let [read, engine, admin] = clients.as_slice() else { panic!() };
    let new = json!({"name": "t", "scope": "read"});
    read.get("/api/v1/tokens").await.expect(200);
    read.post("/api/v1/tokens", &new).await.problem(403, "forbidden");
    engine.get("/api/v1/tokens").await.problem(403, "forbidden");
    engine.post("/api/v1/tokens", &new).await.problem(403, "forbidden");
    // A program has no cookie that a browser could be tricked with: no CSRF token.
    admin.post("/api/v1/tokens", &new).await.expect(201);
    admin.post("/api/v1/logout", &json!({})).await.problem(403, "forbidden");
}

async fn tickets_are_for_tokens_that_connect(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let mut tokens = Vec::new();
    for scope in ["engine", "read"] {
        let made = owner.post("/api/v1/tokens", &json!({"name": scope, "scope": scope})).await.expect(201);
        tokens.push((made.id(), made.body["token"].clone()));
    }
    let client = node.client();
    let mut tickets = Vec::new();
    for path in ["/wss/ticket", "/api/v1/wss/ticket"] {
        let answer = client.post(path, &json!({"token": tokens[0].1})).await.expect(200);
        let ticket = answer.body["ticket"].as_str().unwrap().to_owned();
        assert!(ticket.starts_with("limitr_ticket_") && ticket.len() > 50, "{ticket}");
        tickets.push(ticket);
        client.post(path, &json!({"token": tokens[1].1})).await.problem(403, "forbidden");
        let answer = client.post(path, &json!({"token": "limitr_x"})).await.problem(401, "invalid_token");
        assert_eq!(answer.body["path"], "token");
    }
    assert_ne!(tickets[0], tickets[1]);
    let pool = node.pool().await;
    let left: Vec<(String, i64)> =
        sqlx::query_as("SELECT token, expires_at FROM tickets").fetch_all(&pool).await.unwrap();
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|(token, ends)| *token == tokens[0].0 && (now + 20_000..=now + 30_000).contains(ends)));
    // With the token go its tickets.
    owner.delete(&format!("/api/v1/tokens/{}", tokens[0].0)).await.expect(204);
    let left: (i64,) = sqlx::query_as("SELECT COUNT(*) FROM tickets").fetch_one(&pool).await.unwrap();
    assert_eq!(left.0, 0);
    client.post("/wss/ticket", &json!({"token": tokens[0].1})).await.problem(401, "invalid_token");
}

async fn tickets_are_limited(kind: Kind) {
    let node = Node::start_with(kind, |config| config.ticket_attempts = 2).await;
    let client = node.client();
    for status in [401, 401, 429] {
        client.post("/wss/ticket", &json!({"token": "limitr_x"})).await.expect(status);
    }
}
