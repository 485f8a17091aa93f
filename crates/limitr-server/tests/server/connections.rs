//! Connections: slow ones, many, encrypted ones, and the end of all.

use std::time::{Duration, Instant};

use limitr_server::Server;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::client::{Client, EMAIL, Node, PASSWORD, config, send};
use crate::database::{Database, Kind};

/// Sends text over a connection of its own, and waits for the server to say its last word.
async fn last_word(node: &Node, text: &str) -> String {
    let mut stream = TcpStream::connect(node.running().addr()).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("it is cut off").unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dawdles_is_cut_off() {
    let node = Node::start_with(Kind::Sqlite, |config| {
        config.header_seconds = 1;
        config.request_seconds = 2;
    })
    .await;
    let start = Instant::now();
    let (nothing, preface, half, idle, slow_body) = tokio::join!(
        last_word(&node, ""),
        last_word(&node, "PRI * HT"),
        last_word(&node, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "),
        last_word(&node, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
        last_word(
            &node,
            "POST /wss/ticket HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        ),
    );
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert_eq!(nothing, "");
    for refused in [preface, half] {
        assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 4"), "{refused}");
    }
    assert!(idle.starts_with("HTTP/1.1 200"), "{idle}");
    assert!(slow_body.starts_with("HTTP/1.1 503") && slow_body.contains("too_slow"), "{slow_body}");
    node.client().get("/healthz").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_a_size() {
    let node = Node::start(Kind::Sqlite).await;
    let long = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(1_000_000));
    let mut stream = TcpStream::connect(node.running().addr()).await.unwrap();
    // The server need not have read all of it.
    let _ = stream.write_all(long.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.expect("it is cut off");
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    node.client().get("/healthz").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_so_many_at_once() {
    let node = Node::start_with(Kind::Sqlite, |config| config.connections = 2).await;
    let addr = node.running().addr();
    let (first, _second) = (TcpStream::connect(addr).await.unwrap(), TcpStream::connect(addr).await.unwrap());
    sleep(Duration::from_millis(100)).await;
    let client = node.client();
    assert!(timeout(Duration::from_millis(300), client.get("/healthz")).await.is_err());
    drop(first);
    timeout(Duration::from_secs(5), client.get("/healthz")).await.unwrap().expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_answered_before_it_stops() {
    let mut node = Node::start(Kind::Sqlite).await;
    let addr = node.running().addr();
    let body = json!({"token": "limitr_x"}).to_string();
    let head = format!(
        "POST /wss/ticket HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut under_way = TcpStream::connect(addr).await.unwrap();
    under_way.write_all(head.as_bytes()).await.unwrap();
    // One that has nothing to do does not hold it up.
    let mut idle = TcpStream::connect(addr).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(200)).await;
    let finish = async {
        sleep(Duration::from_millis(300)).await;
        assert!(TcpStream::connect(addr).await.is_err());
        under_way.write_all(body.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        under_way.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    let start = Instant::now();
    let (answer, ()) = tokio::join!(finish, node.stop());
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_does_not_wait_for_ever() {
    let mut node = Node::start_with(Kind::Sqlite, |config| config.drain_seconds = 1).await;
    let mut stuck = TcpStream::connect(node.running().addr()).await.unwrap();
    stuck.write_all(b"POST /wss/ticket HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    node.stop().await;
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_with_a_certificate() {
    let database = Database::new(Kind::Sqlite).await;
    let mut config = config(&database);
    let (cert, key) = (database.directory().join("cert.pem"), database.directory().join("key.pem"));
    let CertifiedKey { cert: made, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&cert, made.pem()).unwrap();
    std::fs::write(&key, "nonsense").unwrap();
    config.listen = "localhost:0".to_owned();
    config.tls_cert = Some(cert);
    config.tls_key = Some(key.clone());
    let error = Server::start(config.clone()).await.err().unwrap();
    assert_eq!((error.code(), error.path()), ("unusable_certificate", Some("tls_key")));

    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    let running = Server::start(config).await.unwrap();
    let base = format!("https://localhost:{}", running.addr().port());
    let link = running.setup_link().unwrap();
    assert!(link.starts_with("https://"), "{link}");
    let trusted = reqwest::Certificate::from_pem(made.pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder().tls_certs_only([trusted]).cookie_store(true).build().unwrap();
    let secret = link.split_once('#').unwrap().1;
    let setup = json!({"secret": secret, "workspace": "Acme", "email": EMAIL, "password": PASSWORD});
    let answer = send(http.post(format!("{base}/api/v1/setup")).json(&setup)).await.expect(201);
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-limitr=") && cookie.ends_with("; Secure"), "{cookie}");
    assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");
    send(http.get(format!("{base}/api/v1/me"))).await.expect(200);
    // Who speaks no TLS, or nothing at all, is in nobody's way.
    let plain = Client::to(&format!("http://{}", running.addr()));
    assert!(plain.request(Method::GET, "/healthz").send().await.is_err());
    let silent = TcpStream::connect(running.addr()).await.unwrap();
    send(http.get(format!("{base}/healthz"))).await.expect(200);
    drop(silent);
    running.stop().await;
}
