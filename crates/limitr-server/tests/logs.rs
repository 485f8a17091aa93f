//! Logs and traces, in which there is never a secret.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]
#![allow(dead_code, reason = "the client of the other tests has more than is needed here")]

#[path = "support/client.rs"]
mod client;
#[path = "support/database.rs"]
mod database;

use std::io::{self, Read as _, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use client::{EMAIL, Node, PASSWORD, send};
use database::BOTH;
use limitr_server::{LogFormat, LogLevel, Server};
use reqwest::Method;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a server of this configuration logs in a process of its own, where it is the first to say how.
fn logged_by(test: &str, collector: &str) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--ignored", "--nocapture"]).env("COLLECTOR", collector);
    let child = child.output().unwrap();
    let log = String::from_utf8(child.stderr).unwrap();
    assert!(child.status.success(), "{log}");
    log
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process that other tests start"]
async fn serve_with_json() {
    let mut node = Node::start_with(database::Kind::Sqlite, |config| {
        config.log_format = LogFormat::Json;
        config.log_level = LogLevel::Info;
    })
    .await;
    let owner = node.set_up().await;
    send(owner.request(Method::GET, "/api/v1/users/usr_x?limit=1").header("X-Request-Id", "given")).await.expect(404);
    node.stop().await;
}

#[test]
fn logs_are_lines_of_json() {
    let log = logged_by("serve_with_json", "");
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let says = |message: &str| lines.iter().filter(|line| line["message"] == message).collect::<Vec<_>>();
    assert!(!says("listening").is_empty() && !says("stopped").is_empty(), "{log}");
    let answered = says("answered");
    let one = answered.iter().find(|line| line["span"]["id"] == "given").unwrap_or_else(|| panic!("{log}"));
    assert_eq!((&one["status"], &one["level"]), (&json!(404), &json!("INFO")));
    let span = &one["span"];
    assert_eq!((&span["method"], &span["route"]), (&json!("GET"), &json!("/api/v1/users/{id}")));
    assert!(
        span["workspace"].as_str().unwrap().starts_with("ws_") && span["actor"].as_str().unwrap().starts_with("usr_")
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process that other tests start"]
async fn serve_with_traces() {
    let mut node = Node::start_with(database::Kind::Sqlite, |config| {
        config.log_level = LogLevel::Info;
        config.otlp_endpoint = Some(std::env::var("COLLECTOR").unwrap());
    })
    .await;
    node.client().get("/healthz?ticket=s3cret").await.expect(200);
    node.stop().await;
}

#[test]
fn traces_are_sent_to_a_collector() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/traces", collector.local_addr().unwrap());
    let collected = thread::spawn(move || {
        let (mut stream, _) = collector.accept().unwrap();
        let (mut got, mut chunk) = (Vec::new(), [0; 4096]);
        // Until the whole body is there, whose length stands in the head.
        loop {
            let count = stream.read(&mut chunk).unwrap();
            got.extend_from_slice(&chunk[..count]);
            let text = String::from_utf8_lossy(&got).into_owned();
            let length = text.to_lowercase();
            let length = length.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(usize::MAX / 2);
            let head = got.windows(4).position(|four| four == b"\r\n\r\n");
            if head.is_some_and(|head| got.len() >= head + 4 + length) {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
                return text;
            }
        }
    });
    logged_by("serve_with_traces", &endpoint);
    let collected = collected.join().unwrap();
    assert!(collected.starts_with("POST /v1/traces HTTP/1.1"), "{collected}");
    assert!(collected.contains("GET /healthz") && collected.contains("service.name"), "{collected}");
    assert!(!collected.contains("s3cret"), "{collected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    // All that anything logs, but for the client that this test calls with: it is not part of the server.
    let everything = EnvFilter::new("trace,cookie_store=off,reqwest=off");
    tracing_subscriber::fmt().with_env_filter(everything).with_writer(move || writer.clone()).with_ansi(false).init();
    let mut secrets = Vec::new();
    for kind in BOTH {
        let (mut node, owner) = Node::ready(kind).await;
        let answer = node.client().post("/api/v1/login", &json!({"email": EMAIL, "password": PASSWORD})).await;
        let cookie = answer.header("set-cookie").split(['=', ';']).nth(1).unwrap().to_owned();
        let wrong = "a wrong but telling password";
        node.client().post("/api/v1/login", &json!({"email": EMAIL, "password": wrong})).await.expect(401);
        let new = "another horse battery";
        owner.post("/api/v1/me/password", &json!({"current": PASSWORD, "new": new})).await.expect(204);
        let request = owner.request(Method::POST, "/api/v1/tokens").header("Idempotency-Key", "one");
        let made = send(request.json(&json!({"name": "t", "scope": "engine"}))).await.expect(201);
        let token = made.body["token"].as_str().unwrap().to_owned();
        node.with_token(&token).get("/api/v1/me").await.expect(200);
        let ticket = node.client().post("/wss/ticket", &json!({"token": token})).await.expect(200);
        let ticket = ticket.body["ticket"].as_str().unwrap().to_owned();
        // Where a secret does not belong.
        node.client().get(&format!("/wss?ticket={ticket}")).await;
        node.client().get(&format!("/{token}?token={token}")).await.expect(404);
        node.client().post("/api/v1/login", &json!({"email": EMAIL, "password": PASSWORD, token.as_str(): 1})).await;
        secrets.extend([PASSWORD.to_owned(), wrong.to_owned(), new.to_owned(), cookie, token, ticket]);
        secrets.extend([owner.csrf.clone().unwrap(), node.setup_secret()]);
        node.stop().await;
    }
    let mut dev = Node::start_with(database::Kind::Sqlite, |config| config.dev = true).await;
    let made = dev.running().dev().unwrap();
    secrets.extend([&made.password, &made.admin_token, &made.engine_token].map(Clone::clone));
    dev.stop().await;
    // Nor the password of a database, whatever is wrong with it.
    for url in ["postgres://ann:s3cret@127.0.0.1:1/x", "postgres://ann:s3cret@127.0.0.1:1/x?sslmode=nonsense"] {
        let mut config = dev.config.clone();
        config.database = limitr_server::Database::parse(url).unwrap();
        assert!(Server::start(config).await.is_err());
    }
    secrets.push("s3cret".to_owned());

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("answered") && log.contains("/api/v1/tokens"), "nothing was logged");
    for secret in secrets {
        if let Some(at) = log.find(&secret) {
            let line = log[..at].lines().next_back().unwrap_or_default();
            panic!("{secret} is logged: {line}{secret}");
        }
    }
}
