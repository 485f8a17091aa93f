//! Programs connected to the server itself.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use limitr_client::limitr::Amount;
use limitr_client::{Cloud, CloudOptions, NewCustomer};
use limitr_server::{Config, LogLevel, Running, Server};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};
use tempfile::TempDir;

const POLICY: &str = "
policy:
  credits: {token: {price: {amount: 1}}}
  plans:
    free:
      default: true
      entitlements:
        chat: {limit: {credit: token, value: 1000000}}
";

/// A server with a workspace, and what speaks to its API.
struct World {
    running: Option<Running>,
    config: Config,
    url: String,
    admin: String,
    engine: String,
    http: reqwest::Client,
    _data: TempDir,
}

impl World {
    async fn start() -> Self {
        let world = Self::with(|_, _| ()).await;
        world.post("policies/publish", &json!({"format": "yaml", "document": POLICY})).await;
        world
    }

    async fn with(change: impl FnOnce(&mut Config, &Path)) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.listen = "127.0.0.1:0".to_owned();
        config.data_dir = data.path().to_owned();
        config.log_level = LogLevel::Error;
        config.dev = true;
        change(&mut config, data.path());
        let running = Server::start(config.clone()).await.unwrap();
        // The same place when it comes back.
        config.listen = running.addr().to_string();
        let dev = running.dev().unwrap();
        let (admin, engine) = (dev.admin_token.clone(), dev.engine_token.clone());
        let url = format!("http://{}", running.addr());
        let http = reqwest::Client::new();
        Self { running: Some(running), config, url, admin, engine, http, _data: data }
    }

    fn options(&self) -> CloudOptions {
        CloudOptions::new(&self.engine).ticket_address(&self.url)
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}/api/v1/{path}", self.url)).bearer_auth(&self.admin).json(body);
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.text().await.unwrap());
        response.json().await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}/api/v1/{path}", self.url)).bearer_auth(&self.admin);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// What the ledger adds up to.
    async fn used(&self) -> Amount {
        let usage = self.get("usage?customer=ann").await;
        usage["items"][0].get("units").map_or(Amount::ZERO, |units| serde_json::from_value(units.clone()).unwrap())
    }

    async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    async fn start_again(&mut self) {
        self.running = Some(Server::start(self.config.clone()).await.unwrap());
    }
}

async fn until(so: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !so().await {
        assert!(start.elapsed() < Duration::from_secs(20), "it does not come to be so");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_share_a_customer_and_totals_add_up() {
    let world = World::start().await;
    let (a, b) = (Cloud::connect(world.options()).await.unwrap(), Cloud::connect(world.options()).await.unwrap());
    assert!(a.ensure_customer(NewCustomer::new("ann")).await.unwrap());
    until(async || b.fetch("ann").await.unwrap()).await;
    let mut total: i64 = 0;
    for value in 1..=100_i64 {
        total += value * i64::from(a.allow("ann", "chat", value).allowed);
        total += 2 * value * i64::from(b.allow("ann", "chat", 2 * value).allowed);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(total, 3 * 5050);
    let total = Amount::from(total);
    until(async || [&a, &b].iter().all(|cloud| cloud.engine().value("ann", "chat") == Some(total))).await;
    assert!(a.close().await && b.close().await);
    assert_eq!(world.used().await, total);
    assert_eq!(world.get("customers/ann").await["meters"]["chat"]["value"], json!(total));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_counted_twice_over_a_restart_of_the_server() {
    let mut world = World::start().await;
    let cloud = Cloud::connect(world.options().deny_unconnected(false)).await.unwrap();
    cloud.ensure_customer(NewCustomer::new("ann")).await.unwrap();
    let mut total: i64 = 0;
    for _ in 0..2 {
        for _ in 0..200 {
            total += i64::from(cloud.allow("ann", "chat", 1).allowed);
        }
        world.stop().await;
        for _ in 0..200 {
            total += i64::from(cloud.allow("ann", "chat", 1).allowed);
        }
        world.start_again().await;
        until(async || cloud.is_connected()).await;
    }
    assert_eq!(total, 800);
    assert!(cloud.close().await);
    assert_eq!(world.used().await, total.into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publications_and_changes_at_the_server_arrive() {
    let world = World::start().await;
    let cloud = Cloud::connect(world.options()).await.unwrap();
    world.post("customers", &json!({"id": "ann", "alt_ids": ["ann@x"]})).await;
    assert!(cloud.allow_async("ann@x", "chat", 10).await.allowed);
    let next = POLICY.replace("1000000", "15");
    world.post("policies/publish", &json!({"format": "yaml", "document": next})).await;
    let published = Instant::now();
    until(async || !cloud.check("ann", "chat", 6).allowed).await;
    assert!(published.elapsed() < Duration::from_secs(1), "{:?}", published.elapsed());
    world.post("allow", &json!({"customer": "ann", "entitlement": "chat", "value": 5})).await;
    until(async || !cloud.check("ann", "chat", 1).allowed).await;
    // A version that is pinned, and a token that may not.
    let first = world.get("policies/versions").await["items"][1]["id"].as_str().unwrap().to_owned();
    let pinned = Cloud::connect(world.options().policy(first)).await.unwrap();
    assert!(pinned.allow_async("ann", "chat", 100).await.allowed);
    let error = Cloud::connect(world.options().policy("pol_none")).await.unwrap_err();
    assert_eq!(error.code(), "unknown_version");
    let reader = world.post("tokens", &json!({"name": "reader", "scope": "read"})).await;
    let reader = CloudOptions::new(reader["token"].as_str().unwrap()).ticket_address(&world.url);
    let error = Cloud::connect(reader).await.unwrap_err();
    assert_eq!((error.code(), error.hint()), ("forbidden", Some("make one of scope `engine`")));
    let error = Cloud::connect(CloudOptions::new("limitr_none").ticket_address(&world.url)).await.unwrap_err();
    assert_eq!(error.code(), "invalid_token");
}

/// What the child is told.
const PLACE: &str = "LIMITR_TEST_PLACE";

/// Whom to trust is read from the environment, which a test has together with all others: a process of its own connects.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_verified() {
    if let Ok(place) = std::env::var(PLACE) {
        let (url, token) = place.split_once(' ').unwrap();
        let cloud = Cloud::connect(CloudOptions::new(token).ticket_address(url)).await.unwrap();
        assert!(cloud.ensure_customer(NewCustomer::new("ann")).await.unwrap() && cloud.close().await);
        return;
    }
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut trusted = None;
    let world = World::with(|config, folder| {
        let (chain, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&chain, cert.pem()).unwrap();
        std::fs::write(&key, signing_key.serialize_pem()).unwrap();
        trusted = Some(chain.clone());
        (config.tls_cert, config.tls_key) = (Some(chain), Some(key));
    })
    .await;
    let url = world.config.listen.replace("127.0.0.1", "https://localhost");
    let unknown = CloudOptions::new(&world.engine).ticket_address(&url).connect_timeout(Duration::from_millis(500));
    let error = Cloud::connect(unknown).await.unwrap_err();
    assert!(
        ["cannot_connect", "cannot_verify"].contains(&error.code()) && error.to_string().contains("certificate"),
        "{error}"
    );
    let mut child = Command::new(std::env::current_exe().unwrap());
    let child = child.args(["--exact", "a_certificate_is_verified"]).env("SSL_CERT_FILE", trusted.unwrap());
    // The server has a thread of its own to answer it on.
    let child = child.env(PLACE, format!("{url} {}", world.engine)).output().unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}
