//! Nodes as processes: started, killed, and started again where they were.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use limitr::Amount;
use limitr_client::{Cloud, CloudOptions};
use limitr_server::{Config, Database as Address, LogLevel, Server};
use serde_json::{Value, json};
use sqlx::AnyPool;
use tokio::time::sleep;

use crate::client::Client;
use crate::database::{Database, Kind};

const POLICY: &str = "
policy:
  credits: {token: {price: {amount: 0.02}, overhead_cost: 0.01}}
  plans: {free: {default: true, entitlements: {chat: {limit: {credit: token, value: 1000000000}}}}}
";

/// What the first start of a node lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    None,
    /// Files grow to 2 MB and no further.
    Disk,
}

pub(crate) struct Fleet {
    database: Database,
    ports: Vec<u16>,
    nodes: Vec<Option<Child>>,
    token: String,
    limit: Limit,
}

impl Fleet {
    pub(crate) async fn start(kind: Kind, nodes: usize, limit: Limit) -> Self {
        // Every client of this process uses it; another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database = Database::new(kind).await;
        let ports = (0..nodes).map(|_| free_port()).collect();
        let mut fleet = Self { database, ports, nodes: Vec::new(), token: String::new(), limit };
        for at in 0..nodes {
            fleet.nodes.push(None);
            fleet.revive(at).await;
        }
        let mut admin = fleet.client(0);
        admin.token = Some(fleet.token.clone());
        let body = json!({"format": "yaml", "document": POLICY, "note": "test"});
        admin.post("/api/v1/policies/publish", &body).await.expect(201);
        fleet
    }

    fn client(&self, node: usize) -> Client {
        Client::to(&format!("http://127.0.0.1:{}", self.ports[node]))
    }

    /// Starts a node in the place of one that is dead.
    pub(crate) async fn revive(&mut self, at: usize) {
        let program = std::env::current_exe().unwrap();
        let arguments = ["--exact", "server_process", "--ignored", "--nocapture"];
        let mut command = match self.limit {
            Limit::None => Command::new(&program),
            Limit::Disk => {
                let mut shell = Command::new("sh");
                // Without the trap the first write too many would end the process.
                shell.args(["-c", "trap '' XFSZ; ulimit -f 4096; exec \"$@\"", "sh"]).arg(&program);
                shell
            }
        };
        let mut child = command
            .args(arguments)
            .env("TEST_DATABASE", &self.database.url)
            .env("TEST_PORT", self.ports[at].to_string())
            .env("TEST_DIRECTORY", self.database.directory())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::options().create(true).append(true).open(self.log()).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let token =
            lines.by_ref().map_while(Result::ok).find_map(|line| line.strip_prefix("token ").map(str::to_owned));
        if self.token.is_empty() {
            self.token = token.unwrap_or_else(|| panic!("{}", std::fs::read_to_string(self.log()).unwrap()));
        }
        self.nodes[at] = Some(child);
        for _ in 0..400 {
            if reqwest::get(format!("http://127.0.0.1:{}/readyz", self.ports[at])).await.is_ok() {
                return;
            }
            sleep(Duration::from_millis(25)).await;
        }
        panic!("the node does not come back: {}", std::fs::read_to_string(self.log()).unwrap());
    }

    fn log(&self) -> PathBuf {
        self.database.directory().join("log")
    }

    /// Without a word: SIGKILL.
    pub(crate) fn kill(&mut self, at: usize) {
        if let Some(mut node) = self.nodes[at].take() {
            node.kill().unwrap();
            node.wait().unwrap();
        }
    }

    pub(crate) fn give_room(&mut self) {
        self.limit = Limit::None;
    }

    /// Whether a node has said that it cannot write.
    pub(crate) fn is_refused_room(&self) -> bool {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        log.contains("could not be stored")
    }

    /// An engine that goes on by itself while it is not connected.
    pub(crate) async fn engine(&self, at: usize) -> Cloud {
        connect(&self.token, self.ports[at % self.ports.len()]).await
    }

    pub(crate) fn environment(&self) -> [(&'static str, String); 2] {
        [("TEST_TOKEN", self.token.clone()), ("TEST_PORT", self.ports[0].to_string())]
    }

    /// As a restart of the database does.
    pub(crate) async fn drop_database_connections(&self) {
        let pool = self.pool().await;
        let sql = "SELECT CAST(COUNT(pg_terminate_backend(pid)) AS BIGINT) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let ended: (i64,) = sqlx::query_as(sql).fetch_one(&pool).await.unwrap();
        assert!(ended.0 > 0);
    }

    async fn pool(&self) -> AnyPool {
        sqlx::any::install_default_drivers();
        AnyPool::connect(&self.database.url).await.unwrap()
    }

    /// How many lines there are, and what they add up to.
    pub(crate) async fn ledger(&self) -> (usize, BTreeMap<String, Amount>) {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT customer, effect FROM ledger").fetch_all(&self.pool().await).await.unwrap();
        let units = rows.iter().map(|(customer, effect)| {
            let effect: Value = serde_json::from_str(effect).unwrap();
            (customer.clone(), serde_json::from_value(effect["units"].clone()).unwrap())
        });
        (rows.len(), sum(units))
    }

    pub(crate) async fn rolled_up(&self) -> BTreeMap<String, Amount> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT customer, units FROM rollups").fetch_all(&self.pool().await).await.unwrap();
        sum(rows.into_iter().map(|(customer, units)| (customer, units.parse().unwrap())))
    }

    /// What the customers' records say.
    pub(crate) async fn meters(&self) -> BTreeMap<String, Amount> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT id, record FROM customers").fetch_all(&self.pool().await).await.unwrap();
        sum(rows.into_iter().map(|(customer, record)| {
            let record: Value = serde_json::from_str(&record).unwrap();
            (customer, serde_json::from_value(record["meters"]["chat"]["value"].clone()).unwrap())
        }))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for at in 0..self.nodes.len() {
            self.kill(at);
        }
    }
}

fn sum(amounts: impl Iterator<Item = (String, Amount)>) -> BTreeMap<String, Amount> {
    let mut sums: BTreeMap<String, Amount> = BTreeMap::new();
    for (customer, amount) in amounts {
        let sum = sums.entry(customer).or_default();
        *sum = sum.checked_add(amount).unwrap();
    }
    sums
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn connect(token: &str, port: u16) -> Cloud {
    let options = CloudOptions::new(token)
        .deny_unconnected(false)
        .connect_timeout(Duration::from_secs(20))
        .ws_address(format!("ws://127.0.0.1:{port}"))
        .ticket_address(format!("http://127.0.0.1:{port}"));
    Cloud::connect(options).await.unwrap()
}

/// In an engine's process.
pub(crate) async fn connect_from_environment() -> Cloud {
    let port = std::env::var("TEST_PORT").unwrap().parse().unwrap();
    connect(&std::env::var("TEST_TOKEN").unwrap(), port).await
}

/// In a node's process.
pub(crate) async fn serve_from_environment() {
    let mut config = Config::default();
    config.listen = format!("127.0.0.1:{}", std::env::var("TEST_PORT").unwrap());
    config.database = Address::parse(&std::env::var("TEST_DATABASE").unwrap()).unwrap();
    config.data_dir = std::env::var("TEST_DIRECTORY").unwrap().into();
    config.dev = true;
    config.ticket_attempts = 100_000;
    config.log_level = LogLevel::Warn;
    let running = Server::start(config).await.unwrap();
    let token = running.dev().map(|dev| dev.admin_token.clone());
    println!("token {}", token.unwrap_or_default());
    std::future::pending::<()>().await;
}
