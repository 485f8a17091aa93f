//! The server under load, as processes of its own.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use limitr_server::{Config, Database as Address};
use serde_json::{Value, json};

/// Set in the processes that are servers: their configuration.
pub const CHILD: &str = "LIMITR_BENCH_SERVER";

const POLICY: &str = "
policy:
  credits: {token: {price: {amount: 0.02}, overhead_cost: 0.01}}
  plans:
    free: {default: true, entitlements: {chat: {limit: {credit: token, value: 1000000000000}}}}
";

pub struct Database {
    url: String,
    directory: tempfile::TempDir,
    drop: Option<(String, String)>,
}

impl Database {
    pub fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite:{}", directory.path().join("load.db").display());
        Self { url, directory, drop: None }
    }

    pub async fn postgres(server: &str) -> Self {
        let name = format!("limitr_bench_{}", std::process::id());
        for sql in [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name}")] {
            administer(server, &sql).await;
        }
        let directory = tempfile::tempdir().expect("a directory");
        Self { url: named(server, &name), directory, drop: Some((server.to_owned(), name)) }
    }
}

/// The address of a database on a server whose address may have parameters.
fn named(server: &str, database: &str) -> String {
    match server.split_once('?') {
        Some((server, parameters)) => format!("{server}/{database}?{parameters}"),
        None => format!("{server}/{database}"),
    }
}

async fn administer(server: &str, sql: &str) {
    use sqlx::{Connection as _, Executor as _};
    let mut connection = sqlx::PgConnection::connect(&named(server, "postgres")).await.expect("a PostgreSQL");
    connection.execute(sqlx::AssertSqlSafe(sql.to_owned())).await.expect("a database");
}

/// One or more nodes on one database.
pub struct Server {
    nodes: Vec<Child>,
    pub addresses: Vec<String>,
    pub token: String,
    database: Database,
    http: reqwest::Client,
}

impl Server {
    pub async fn start(database: Database, nodes: usize) -> Self {
        let http = reqwest::Client::new();
        let mut server = Self { nodes: Vec::new(), addresses: Vec::new(), token: String::new(), database, http };
        for at in 0..nodes {
            let port = free_port();
            let directory = server.database.directory.path().join(format!("node{at}"));
            let config =
                json!({"database": server.database.url, "data_dir": directory, "listen": format!("127.0.0.1:{port}")});
            let child = Command::new(std::env::current_exe().expect("a program"))
                .env(CHILD, config.to_string())
                .stdout(Stdio::piped())
                .spawn()
                .expect("a process");
            server.nodes.push(child);
            server.addresses.push(format!("127.0.0.1:{port}"));
            server.ready(at).await;
            if at == 0 {
                server.token = first_line(&mut server.nodes[0]);
            }
        }
        server.publish(POLICY).await;
        server
    }

    async fn ready(&self, node: usize) {
        let address = format!("http://{}/readyz", self.addresses[node]);
        for _ in 0..200 {
            if self.http.get(&address).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server does not start");
    }

    pub async fn publish(&self, document: &str) {
        let body = json!({"format": "yaml", "document": document, "note": "load"});
        self.post("/api/v1/policies/publish", &body).await;
    }

    /// Publishes another policy that says the same.
    pub async fn publish_again(&self) {
        self.publish(&format!("{POLICY}\n# again\n")).await;
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("http://{}{path}", self.addresses[0])).bearer_auth(&self.token);
        let answer = request.json(body).send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub async fn ticket(&self, node: usize) -> String {
        let request = self.http.post(format!("http://{}/wss/ticket", self.addresses[node]));
        let answer = request.json(&json!({"token": self.token})).send().await.expect("an answer");
        let text = answer.text().await.expect("a body");
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        body["ticket"].as_str().unwrap_or_else(|| panic!("no ticket: {text}")).to_owned()
    }

    /// What the first node holds of the machine's memory, MB.
    pub fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.nodes[0].id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0
    }

    pub async fn stop(mut self) {
        for node in &mut self.nodes {
            let _ = node.kill();
            let _ = node.wait();
        }
        if let Some((server, name)) = self.database.drop.take() {
            administer(&server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        }
    }
}

fn first_line(child: &mut Child) -> String {
    use std::io::BufRead as _;
    let stdout = child.stdout.as_mut().expect("its output");
    let mut line = String::new();
    std::io::BufReader::new(stdout).read_line(&mut line).expect("a line");
    line.trim().to_owned()
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// The server's own process.
pub fn run_child(config: &std::ffi::OsStr) {
    let told: Value = serde_json::from_str(&config.to_string_lossy()).expect("a configuration");
    let text = |name: &str| told[name].as_str().expect("a text").to_owned();
    let mut config = Config::default();
    config.listen = text("listen");
    config.database = Address::parse(&text("database")).expect("an address");
    config.data_dir = text("data_dir").into();
    std::fs::create_dir_all(&config.data_dir).expect("a directory");
    config.dev = true;
    config.ticket_attempts = 1_000_000;
    config.log_level = limitr_server::LogLevel::Error;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let running = limitr_server::Server::start(config).await.unwrap_or_else(|error| panic!("{error}"));
        println!("{}", running.dev().map(|dev| dev.admin_token.clone()).unwrap_or_default());
        std::future::pending::<()>().await;
    });
}
