//! Setup, sessions, people, roles, the audit.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, EMAIL, Node, PASSWORD, send};
use crate::database::Kind;
use crate::on_both;

on_both!(
    setup_works_once,
    sessions_begin_and_end,
    changes_need_the_csrf_token,
    wrong_passwords_are_limited,
    a_new_password_ends_other_sessions,
    roles_may_what_they_may,
    a_workspace_keeps_an_owner,
    removed_people_are_out_at_once,
    every_change_is_in_the_audit,
    no_secret_is_in_the_database,
);

async fn setup_works_once(kind: Kind) {
    let mut node = Node::start(kind).await;
    let client = node.client();
    let setup = |secret: &str| json!({"secret": secret, "workspace": " Acme ", "email": "Ann@Example.com", "name": "Ann", "password": PASSWORD});
    client.post("/api/v1/setup", &setup("limitr_setup_wrong")).await.problem(403, "forbidden");
    let mut weak = setup(&node.setup_secret());
    weak["password"] = json!("short");
    let answer = client.post("/api/v1/setup", &weak).await.problem(422, "invalid_value");
    assert_eq!(answer.body["path"], "password");

    let answer = client.post("/api/v1/setup", &setup(&node.setup_secret())).await.expect(201);
    assert_eq!(answer.body["email"], EMAIL);
    assert_eq!(answer.body["role"], "owner");
    assert_eq!(client.get("/api/v1/me").await.expect(200).body["name"], "Ann");
    let workspace = client.get("/api/v1/workspace").await.expect(200);
    assert_eq!(workspace.body["name"], "Acme");
    assert_eq!(workspace.body["id"], answer.body["workspace"]);

    client.post("/api/v1/setup", &setup(&node.setup_secret())).await.problem(403, "forbidden");
    // With a workspace there is nothing to set up any more.
    node.stop().await;
    let again = limitr_server::Server::start(node.config.clone()).await.unwrap();
    assert_eq!(again.setup_link(), None);
    again.stop().await;
}

async fn sessions_begin_and_end(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let client = node.client();
    client.get("/api/v1/me").await.problem(401, "unauthenticated");
    let answer = client.post("/api/v1/login", &json!({"email": "ANN@example.com ", "password": PASSWORD})).await;
    let cookie = answer.header("set-cookie").to_owned();
    assert!(cookie.starts_with("limitr="), "{cookie}");
    for attribute in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Max-Age=1209600"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    // It would not come back over plain HTTP.
    assert!(!cookie.contains("Secure"));
    let me = client.get("/api/v1/me").await.expect(200);
    assert_eq!(me.body["csrf"], answer.body["csrf"]);

    let client = client.with_csrf(me.body["csrf"].as_str());
    client.post("/api/v1/logout", &json!({})).await.expect(204);
    client.get("/api/v1/me").await.problem(401, "unauthenticated");
    // The cookie itself is worth nothing either.
    let stolen = cookie.split(';').next().unwrap();
    send(node.client().request(Method::GET, "/api/v1/me").header("Cookie", stolen)).await.problem(401, "session_ended");
    owner.get("/api/v1/me").await.expect(200);

    let pool = node.pool().await;
    sqlx::query("UPDATE sessions SET expires_at = 1").execute(&pool).await.unwrap();
    owner.get("/api/v1/me").await.problem(401, "session_ended");
}

async fn changes_need_the_csrf_token(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let csrf = owner.csrf.clone();
    let without = owner.with_csrf(None);
    let change = json!({"name": "Other"});
    without.patch("/api/v1/workspace", &change).await.problem(403, "csrf");
    without.post("/api/v1/logout", &json!({})).await.problem(403, "csrf");
    without.delete("/api/v1/users/usr_x").await.problem(403, "csrf");
    without.get("/api/v1/workspace").await.expect(200);
    let wrong = without.with_csrf(Some(&"x".repeat(43)));
    wrong.patch("/api/v1/workspace", &change).await.problem(403, "csrf");
    // Nor that of another session.
    let other = node.log_in(EMAIL, PASSWORD).await;
    let mixed = wrong.with_csrf(other.csrf.as_deref());
    mixed.patch("/api/v1/workspace", &change).await.problem(403, "csrf");
    let right = mixed.with_csrf(csrf.as_deref());
    right.patch("/api/v1/workspace", &change).await.expect(200);
}

async fn wrong_passwords_are_limited(kind: Kind) {
    let node = Node::start_with(kind, |config| config.login_attempts = 4).await;
    // One of the address's four.
    node.set_up().await;
    let client = node.client();
    let login = |email: &str, password: &str| json!({"email": email, "password": password});
    let wrong = client.post("/api/v1/login", &login(EMAIL, "wrong password")).await.problem(401, "wrong_password");
    let nobody = client.post("/api/v1/login", &login("bob@example.com", "wrong password")).await;
    // Whether there is such an account is not told.
    assert_eq!(nobody.problem(401, "wrong_password").body, wrong.body);
    client.post("/api/v1/login", &login(EMAIL, PASSWORD)).await.expect(200);
    let answer = client.post("/api/v1/login", &login(EMAIL, PASSWORD)).await.problem(429, "rate_limited");
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=15).contains(&wait), "{wait}");
    client
        .post("/api/v1/setup", &json!({"secret": "x", "workspace": "x", "email": EMAIL, "password": PASSWORD}))
        .await
        .problem(429, "rate_limited");
    // What somebody claims about where he comes from changes nothing.
    let lie = client.request(Method::POST, "/api/v1/login").header("X-Forwarded-For", "9.9.9.9");
    send(lie.json(&login(EMAIL, PASSWORD))).await.problem(429, "rate_limited");

    let node = Node::start_with(kind, |config| {
        config.login_attempts = 3;
        config.trusted_proxies = vec!["127.0.0.0/8".to_owned()];
    })
    .await;
    // An account is guarded against many addresses.
    for attempt in 0..4 {
        let from = format!("9.9.9.{attempt}");
        let request = node.client().request(Method::POST, "/api/v1/login").header("X-Forwarded-For", from);
        let answer = send(request.json(&login(EMAIL, "wrong password"))).await;
        answer.expect(if attempt < 3 { 401 } else { 429 });
    }
}

async fn a_new_password_ends_other_sessions(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let other = node.log_in(EMAIL, PASSWORD).await;
    let new = "another horse battery";
    let change = |current: &str, new: &str| json!({"current": current, "new": new});
    let answer = owner.post("/api/v1/me/password", &change("wrong password", new)).await;
    assert_eq!(answer.problem(403, "wrong_password").body["path"], "current");
    let answer = owner.post("/api/v1/me/password", &change(PASSWORD, "short")).await;
    assert_eq!(answer.problem(422, "invalid_value").body["path"], "new");
    other.get("/api/v1/me").await.expect(200);

    owner.post("/api/v1/me/password", &change(PASSWORD, new)).await.expect(204);
    owner.get("/api/v1/me").await.expect(200);
    other.get("/api/v1/me").await.problem(401, "session_ended");
    let login = json!({"email": EMAIL, "password": PASSWORD});
    node.client().post("/api/v1/login", &login).await.problem(401, "wrong_password");
    node.log_in(EMAIL, new).await;
    let token = owner.post("/api/v1/tokens", &json!({"name": "t", "scope": "admin"})).await.expect(201);
    let program = node.with_token(token.body["token"].as_str().unwrap());
    program.post("/api/v1/me/password", &change(new, PASSWORD)).await.problem(403, "forbidden");
}

/// Somebody of this role, logged in.
pub(crate) async fn member(node: &Node, owner: &Client, role: &str) -> (String, Client) {
    let email = format!("{role}@example.com");
    let new = json!({"email": email, "name": role, "role": role, "password": PASSWORD});
    let id = owner.post("/api/v1/users", &new).await.expect(201).id();
    (id, node.log_in(&email, PASSWORD).await)
}

async fn roles_may_what_they_may(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let (_, admin) = member(&node, &owner, "admin").await;
    let (editor_id, editor) = member(&node, &owner, "editor").await;
    let (_, viewer) = member(&node, &owner, "viewer").await;
    let tokens = json!({"name": "t", "scope": "read"});
    let rename = json!({"name": "Other"});
    for lesser in [&editor, &viewer] {
        for path in ["/api/v1/users", "/api/v1/tokens", "/api/v1/audit", "/api/v1/workspace", "/api/v1/me"] {
            lesser.get(path).await.expect(200);
        }
        let user = json!({"email": "x@example.com", "role": "viewer", "password": PASSWORD});
        lesser.post("/api/v1/users", &user).await.problem(403, "forbidden");
        lesser.post("/api/v1/tokens", &tokens).await.problem(403, "forbidden");
        lesser.patch("/api/v1/workspace", &rename).await.problem(403, "forbidden");
        lesser.patch(&format!("/api/v1/users/{editor_id}"), &json!({"role": "admin"})).await.problem(403, "forbidden");
        lesser.delete(&format!("/api/v1/users/{editor_id}")).await.problem(403, "forbidden");
    }
    admin.post("/api/v1/tokens", &tokens).await.expect(201);
    admin.patch("/api/v1/workspace", &rename).await.expect(200);
    // An admin makes no owners, not even by way of a token.
    let path = format!("/api/v1/users/{editor_id}");
    admin.patch(&path, &json!({"role": "owner"})).await.problem(403, "forbidden");
    let new = json!({"email": "x@example.com", "role": "owner", "password": PASSWORD});
    admin.post("/api/v1/users", &new).await.problem(403, "forbidden");
    let token = admin.post("/api/v1/tokens", &json!({"name": "a", "scope": "admin"})).await.expect(201);
    let program = node.with_token(token.body["token"].as_str().unwrap());
    program.patch(&path, &json!({"role": "owner"})).await.problem(403, "forbidden");
    program.patch(&path, &json!({"role": "viewer"})).await.expect(200);
    // It holds from the next request on.
    owner.patch(&path, &json!({"role": "admin"})).await.expect(200);
    editor.post("/api/v1/tokens", &tokens).await.expect(201);
    let taken = json!({"email": "EDITOR@example.com", "role": "viewer", "password": PASSWORD});
    owner.post("/api/v1/users", &taken).await.problem(409, "email_taken");
    owner
        .post("/api/v1/users", &json!({"email": "x", "role": "viewer", "password": PASSWORD}))
        .await
        .problem(422, "invalid_value");
    let listed = owner.get("/api/v1/users").await.expect(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 4);
    assert!(!listed.text.contains("argon2") && !listed.text.contains("password"), "{}", listed.text);
}

async fn a_workspace_keeps_an_owner(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let id = owner.get("/api/v1/me").await.id();
    let me = format!("/api/v1/users/{id}");
    owner.patch(&me, &json!({"role": "viewer"})).await.problem(409, "last_owner");
    owner.delete(&me).await.problem(409, "last_owner");
    let (second, other) = member(&node, &owner, "owner").await;
    let them = format!("/api/v1/users/{second}");
    // Each takes the other's role away: one comes first, and the other one keeps it.
    let demote = json!({"role": "viewer"});
    let (a, b) = tokio::join!(owner.patch(&them, &demote), other.patch(&me, &demote));
    let mut answers = [a.status.as_u16(), b.status.as_u16()];
    answers.sort_unstable();
    assert!(matches!(answers, [200, 403 | 409]), "{answers:?}");
    let count: (i64,) = sqlx::query_as("SELECT COUNT(*) FROM members WHERE role = 'owner'")
        .fetch_one(&node.pool().await)
        .await
        .unwrap();
    assert_eq!(count.0, 1);
}

async fn removed_people_are_out_at_once(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let (id, editor) = member(&node, &owner, "editor").await;
    editor.get("/api/v1/me").await.expect(200);
    let path = format!("/api/v1/users/{id}");
    assert_eq!(owner.get(&path).await.expect(200).body["role"], "editor");
    owner.delete(&path).await.expect(204);
    owner.delete(&path).await.problem(404, "not_found");
    owner.get(&path).await.problem(404, "not_found");
    editor.get("/api/v1/me").await.problem(401, "session_ended");
    let login = json!({"email": "editor@example.com", "password": PASSWORD});
    node.client().post("/api/v1/login", &login).await.problem(401, "wrong_password");
    // The address is free again.
    member(&node, &owner, "editor").await;
}

async fn every_change_is_in_the_audit(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let me = owner.get("/api/v1/me").await.id();
    let (viewer, _) = member(&node, &owner, "viewer").await;
    owner.patch(&format!("/api/v1/users/{viewer}"), &json!({"role": "editor"})).await.expect(200);
    let token = owner.post("/api/v1/tokens", &json!({"name": "ci", "scope": "admin"})).await.expect(201);
    let program = node.with_token(token.body["token"].as_str().unwrap());
    program.patch("/api/v1/workspace", &json!({"name": "Other"})).await.expect(200);
    // Nothing is changed, nothing is written.
    program.patch("/api/v1/workspace", &json!({"name": "Other"})).await.expect(200);
    owner.delete(&format!("/api/v1/tokens/{}", token.id())).await.expect(204);
    owner.delete(&format!("/api/v1/tokens/{}", token.id())).await.expect(204);

    let entries = |answer: &Value| answer["items"].as_array().unwrap().clone();
    let all = owner.get("/api/v1/audit").await.expect(200);
    let actions: Vec<String> =
        entries(&all.body).iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect();
    let expected = [
        "token.revoke",
        "workspace.change",
        "token.create",
        "user.change",
        "session.begin",
        "user.create",
        "user.create",
        "workspace.create",
    ];
    assert_eq!(actions, expected);
    let found = entries(&owner.get("/api/v1/audit?action=user.change").await.expect(200).body);
    let [entry] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(entry["actor"], json!({"kind": "user", "id": me, "name": EMAIL}));
    assert_eq!(entry["subject"], viewer);
    assert_eq!((&entry["before"]["role"], &entry["after"]["role"]), (&json!("viewer"), &json!("editor")));
    let found = entries(&owner.get("/api/v1/audit?actor=ci").await.expect(200).body);
    let [entry] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((&entry["actor"]["kind"], &entry["actor"]["id"]), (&json!("token"), &json!(token.id())));
    assert_eq!((&entry["before"]["name"], &entry["after"]["name"]), (&json!("Acme"), &json!("Other")));

    let count = async |query: &str| entries(&owner.get(&format!("/api/v1/audit?{query}")).await.expect(200).body).len();
    assert_eq!(count("action=token").await, 2);
    assert_eq!(count("action=tok").await, 0);
    assert_eq!(count(&format!("subject={}", token.id())).await, 2);
    assert_eq!(count(&format!("actor={me}&action=user")).await, 3);
    let last = entry["at"].as_i64().unwrap();
    assert_eq!(count(&format!("to={}", i64::MIN)).await, 0);
    assert_eq!(count(&format!("from={}", last + 3_600_000)).await, 0);
    assert_eq!(count(&format!("from={last}&to={}&actor=ci", last + 1)).await, 1);
}

async fn no_secret_is_in_the_database(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let request = owner.request(Method::POST, "/api/v1/tokens").header("Idempotency-Key", "one");
    let token = send(request.json(&json!({"name": "engine", "scope": "engine"}))).await.expect(201);
    let token = token.body["token"].as_str().unwrap();
    let ticket = node.client().post("/wss/ticket", &json!({"token": token})).await.expect(200);
    let csrf = owner.csrf.clone().unwrap();
    let mut dump = node.dump().await;
    // Not part of a backup, but of the database.
    let pool = node.pool().await;
    for hashes in ["SELECT hash FROM sessions", "SELECT hash FROM tickets"] {
        let rows: Vec<(String,)> = sqlx::query_as(hashes).fetch_all(&pool).await.unwrap();
        assert!(rows.iter().all(|(hash,)| hash.len() == 64) && !rows.is_empty());
        dump.extend(rows.into_iter().map(|(hash,)| hash));
    }
    assert!(dump.contains("$argon2id$") && dump.contains(EMAIL));
    for secret in [PASSWORD, token, ticket.body["ticket"].as_str().unwrap(), &csrf, &node.setup_secret()] {
        assert!(!dump.contains(secret), "{secret} is in {dump}");
    }
}
