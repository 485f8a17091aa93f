//! What all routes have in common: problems, pages, ETags, headers, the document.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use crate::client::{Client, Node, PASSWORD, send};
use crate::database::Kind;
use crate::on_both;

on_both!(
    whatever_is_malformed_is_a_problem,
    texts_with_nul_are_refused,
    lists_come_page_by_page,
    reads_have_etags,
    changes_heed_if_match,
);

async fn whatever_is_malformed_is_a_problem(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let json_type = "application/json";
    let valid = r#"{"name": "t", "scope": "read"}"#;
    // Status, code, path.
    let cases: [(&str, &str, u16, &str, &str); 18] = [
        (json_type, "", 422, "missing_field", ""),
        (json_type, "{", 400, "malformed_json", ""),
        (json_type, "nonsense", 400, "malformed_json", ""),
        (json_type, "\u{0}", 400, "malformed_json", ""),
        (json_type, &format!("{valid} {valid}"), 400, "malformed_json", ""),
        (json_type, "[]", 422, "invalid_value", ""),
        (json_type, "null", 422, "invalid_value", ""),
        (json_type, r#"{"name": 7, "scope": "read"}"#, 422, "invalid_value", "name"),
        (json_type, r#"{"name": "t", "scope": "raed"}"#, 422, "invalid_value", "scope"),
        (json_type, r#"{"name": "t"}"#, 422, "missing_field", ""),
        (json_type, r#"{"name": "t", "scope": "read", "naem": 1}"#, 422, "unknown_field", "naem"),
        (json_type, r#"{"name": "t", "name": "u", "scope": "read"}"#, 422, "duplicate_field", ""),
        (json_type, r#"{"name": "", "scope": "read"}"#, 422, "invalid_value", "name"),
        (json_type, r#"{"name": "t", "scope": "read", "expires_at": 1e30}"#, 422, "invalid_value", "expires_at"),
        (json_type, &"[".repeat(100_000), 422, "invalid_value", ""),
        ("text/plain", valid, 415, "not_json", "Content-Type"),
        ("application/x-www-form-urlencoded", valid, 415, "not_json", "Content-Type"),
        (json_type, &format!("\"{}\"", "x".repeat(1024 * 1024)), 413, "body_too_large", ""),
    ];
    for (media_type, body, status, code, path) in cases {
        let shown: String = body.chars().take(80).collect();
        let request = owner.request(Method::POST, "/api/v1/tokens").header("Content-Type", media_type);
        let answer = send(request.body(body.to_owned())).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (status, &json!(code)), "{shown}: {answer:?}");
        let answer = answer.problem(status, code);
        let told = answer.body["path"].as_str().unwrap_or_default();
        assert_eq!(told, path, "{shown}: {answer:?}");
    }
    let body = json!({"name": "t", "scope": "read", "naem": 1});
    let answer = owner.post("/api/v1/tokens", &body).await.problem(422, "unknown_field");
    assert_eq!(answer.body["hint"], "did you mean `name`?");
    // A body without a length is measured while it comes.
    let chunks = futures_util::stream::iter((0..1_025).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1024])));
    let request = owner.request(Method::POST, "/api/v1/tokens").header("Content-Type", json_type);
    send(request.body(reqwest::Body::wrap_stream(chunks))).await.problem(413, "body_too_large");

    let anonymous = node.client();
    for (query, code, path) in [
        ("limit=0", "invalid_parameter", "limit"),
        ("limit=201", "invalid_parameter", "limit"),
        ("limit=x", "invalid_parameter", "limit"),
        ("limit=1&limit=2", "invalid_parameter", ""),
        ("limits=1", "unknown_parameter", "limits"),
        ("cursor=nonsense", "invalid_cursor", "cursor"),
    ] {
        let answer = owner.get(&format!("/api/v1/tokens?{query}")).await.problem(400, code);
        assert_eq!(answer.body["path"].as_str().unwrap_or_default(), path, "{query}: {answer:?}");
        anonymous.get(&format!("/api/v1/tokens?{query}")).await.problem(401, "unauthenticated");
    }
    owner.get("/api/v1/tokens/%FF").await.problem(404, "not_found");
    let answer = owner.get("/api/v1/nowhere").await.problem(404, "unknown_route");
    assert_eq!(answer.body["detail"], "there is nothing at `/api/v1/nowhere`");
    owner.get("/nowhere").await.problem(404, "unknown_route");
    let answer = owner.delete("/api/v1/workspace").await.problem(405, "unknown_method");
    let mut allowed: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "PATCH"]);
    let odd = node.client().request(Method::GET, "/api/v1/me").header("Authorization", b"Bearer \xff".as_slice());
    send(odd).await.problem(401, "invalid_authorization");
}

async fn texts_with_nul_are_refused(kind: Kind) {
    let (_node, owner) = Node::ready(kind).await;
    let answer = owner.patch("/api/v1/workspace", &json!({"name": "a\0b"})).await.problem(422, "invalid_value");
    assert_eq!(answer.body["path"], "name");
    let login = json!({"email": "a\0b@example.com", "password": PASSWORD});
    let answer = owner.post("/api/v1/login", &login).await;
    // PostgreSQL cannot even look for it.
    assert!([401, 422].contains(&answer.status.as_u16()), "{answer:?}");
    let answer = owner.get("/api/v1/audit?actor=%00").await;
    assert!([200, 422].contains(&answer.status.as_u16()), "{answer:?}");
}

async fn lists_come_page_by_page(kind: Kind) {
    let (_node, owner) = Node::ready(kind).await;
    for number in 0..5 {
        owner.post("/api/v1/tokens", &json!({"name": format!("t{number}"), "scope": "read"})).await.expect(201);
    }
    for (list, field) in [("tokens", "id"), ("audit", "id"), ("users", "id")] {
        let whole = owner.get(&format!("/api/v1/{list}?limit=200")).await.expect(200);
        assert!(whole.body.get("next").is_none());
        let (mut seen, mut query, mut pages) = (Vec::new(), "limit=2".to_owned(), 0);
        loop {
            let page = owner.get(&format!("/api/v1/{list}?{query}")).await.expect(200);
            let items = page.body["items"].as_array().unwrap();
            assert!(items.len() <= 2);
            seen.extend(items.iter().cloned());
            pages += 1;
            let Some(next) = page.body["next"].as_str() else { break };
            query = format!("limit=2&cursor={next}");
        }
        assert_eq!(Some(&seen), whole.body["items"].as_array());
        assert_eq!(pages, seen.len().div_ceil(2));
        let ids: BTreeSet<String> = seen.iter().map(|item| item[field].to_string()).collect();
        assert_eq!(ids.len(), seen.len());
    }
    // The cursor of one list is none of another.
    let page = owner.get("/api/v1/tokens?limit=2").await.expect(200);
    let cursor = page.body["next"].as_str().unwrap();
    owner.get(&format!("/api/v1/audit?cursor={cursor}")).await.problem(400, "invalid_cursor");
}

async fn reads_have_etags(kind: Kind) {
    let (_node, owner) = Node::ready(kind).await;
    let first = owner.get("/api/v1/workspace").await.expect(200);
    let tag = first.header("etag").to_owned();
    assert_eq!(owner.get("/api/v1/workspace").await.header("etag"), tag);
    let again = |tag: &str| send(owner.request(Method::GET, "/api/v1/workspace").header("If-None-Match", tag));
    let answer = again(&tag).await.expect(304);
    assert_eq!((answer.text.as_str(), answer.header("etag")), ("", tag.as_str()));
    again(&format!("\"other\", W/{tag}")).await.expect(304);
    again("\"other\"").await.expect(200);
    owner.patch("/api/v1/workspace", &json!({"name": "Other"})).await.expect(200);
    assert_ne!(again(&tag).await.expect(200).header("etag"), tag);
    for path in ["/api/v1/me", "/api/v1/users", "/api/v1/tokens", "/api/v1/audit", "/api/v1/openapi.json"] {
        assert!(owner.get(path).await.expect(200).header("etag").starts_with('"'), "{path}");
    }
    let problem = owner.get("/api/v1/users/none").await.expect(404);
    assert!(!problem.headers.contains_key("etag"));
}

async fn changes_heed_if_match(kind: Kind) {
    let (_node, owner) = Node::ready(kind).await;
    let read = owner.get("/api/v1/workspace").await.expect(200);
    let change = |tag: &str, name: &str| {
        let request = owner.request(Method::PATCH, "/api/v1/workspace").header("If-Match", tag);
        send(request.json(&json!({"name": name})))
    };
    change("\"other\"", "A").await.problem(412, "changed");
    change(read.header("etag"), "A").await.expect(200);
    change(read.header("etag"), "B").await.problem(412, "changed");
    change("*", "B").await.expect(200);
    owner.patch("/api/v1/workspace", &json!({})).await.expect(200);
    let id = owner.get("/api/v1/me").await.id();
    let user = owner.get(&format!("/api/v1/users/{id}")).await.expect(200);
    let request = owner.request(Method::PATCH, &format!("/api/v1/users/{id}"));
    send(request.header("If-Match", user.header("etag")).json(&json!({"role": "owner"}))).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_and_caches_are_told_what_to_do() {
    let (node, owner) = Node::ready(Kind::Sqlite).await;
    for path in ["/api/v1/me", "/healthz", "/nowhere", "/api/v1/docs/"] {
        let answer = owner.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert!(!answer.headers.contains_key("strict-transport-security"));
        assert!(answer.header("x-request-id").starts_with("req_"));
    }
    let given = send(owner.request(Method::GET, "/healthz").header("X-Request-Id", "proxy-17.a")).await;
    assert_eq!(given.header("x-request-id"), "proxy-17.a");
    let odd = send(owner.request(Method::GET, "/healthz").header("X-Request-Id", "a b{}")).await;
    assert!(odd.header("x-request-id").starts_with("req_"));
    // No other origin is let in.
    let cross = owner.request(Method::OPTIONS, "/api/v1/me").header("Origin", "https://evil.example");
    let answer = send(cross.header("Access-Control-Request-Method", "POST")).await;
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
    drop(node);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_in_the_document() {
    let (_node, owner) = Node::ready(Kind::Sqlite).await;
    let document = owner.get("/api/v1/openapi.json").await.expect(200).body;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut operations = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations.insert(format!("{} {path}", method.to_uppercase()));
            assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{method} {path}");
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(problem, "#/components/schemas/Problem", "{method} {path}");
            let public = operation["security"] == json!([{}]);
            let path = path.replace("{id}", "x");
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer = send(Client::to(&owner.base).request(method.clone(), &path)).await;
            assert_ne!(answer.body["code"], "unknown_route", "{method} {path}");
            assert_ne!(answer.body["code"], "unknown_method", "{method} {path}");
            // What needs a caller refuses nobody's request, whatever else is wrong with it.
            assert_eq!(public, answer.status != 401 || path.ends_with("/wss/ticket"), "{method} {path}: {answer:?}");
        }
    }
    for expected in [
        "POST /api/v1/setup",
        "POST /api/v1/login",
        "POST /api/v1/logout",
        "GET /api/v1/me",
        "POST /api/v1/me/password",
        "GET /api/v1/users",
        "POST /api/v1/users",
        "PATCH /api/v1/users/{id}",
        "DELETE /api/v1/users/{id}",
        "GET /api/v1/tokens",
        "POST /api/v1/tokens",
        "DELETE /api/v1/tokens/{id}",
        "GET /api/v1/audit",
        "GET /api/v1/workspace",
        "PATCH /api/v1/workspace",
        "POST /wss/ticket",
        "POST /api/v1/wss/ticket",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
    ] {
        assert!(operations.contains(expected), "{expected}: {operations:?}");
    }
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_needs_nothing_from_elsewhere() {
    let (_node, owner) = Node::ready(Kind::Sqlite).await;
    let page = owner.get("/api/v1/docs").await.expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
    let links = page.text.split(['"', '\'']).filter(|part| part.ends_with(".js") || part.ends_with(".css"));
    let mut count = 0;
    for link in links {
        count += 1;
        assert!(!link.contains("//"), "{link}");
        owner.get(&format!("/api/v1/docs/{}", link.trim_start_matches("./"))).await.expect(200);
    }
    assert!(count >= 3, "{}", page.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_route() {
    let (_node, owner) = Node::ready(Kind::Sqlite).await;
    owner.get("/api/v1/users/usr_unique").await.expect(404);
    owner.get("/made/up").await.expect(404);
    send(owner.request(Method::from_bytes(b"MADEUP").unwrap(), "/healthz")).await.expect(405);
    owner.get("/readyz").await.expect(200);
    let metrics = owner.get("/metrics").await.expect(200).text;
    for line in [
        r#"limitr_http_requests_total{method="GET",route="/api/v1/users/{id}",status="404"}"#,
        r#"limitr_http_requests_total{method="GET",route="none",status="404"}"#,
        r#"limitr_http_requests_total{method="other",route="/healthz",status="405"}"#,
        r#"limitr_http_request_seconds_bucket{method="POST",route="/api/v1/setup",status="201",le="30"}"#,
        r#"limitr_db_connections{pool="write",state="idle"}"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(!metrics.contains("usr_unique") && !metrics.contains("MADEUP"));
}
