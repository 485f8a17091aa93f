//! The Cloud under load: `cargo xtask bench cloud`, or here `cargo run --release`.
//!
//! Starts the server as another process, with a database of its own, and connects engines that count as fast as they
//! can, then at half that, then not at all. Prints what it measured; every number is of this machine, with the engines
//! and the database on it too.

mod engine;
mod measure;
mod server;

use std::time::Duration;

use measure::{Table, fetches, idle, load};
use server::{Database, Server};

const HELP: &str =
    "usage: cloud [--postgres URL] [--engines N] [--customers N] [--seconds N] [--idle N] [--only load|idle|fetch]

  --postgres   a server on which databases may be made, such as postgres://root@127.0.0.1:5432?sslmode=disable; it is
               measured with one node and with two, beside SQLite";

/// What is measured.
pub struct Plan {
    pub postgres: Option<String>,
    pub engines: usize,
    pub customers: usize,
    pub seconds: u64,
    pub idle: usize,
    pub only: Option<String>,
}

impl Plan {
    fn read() -> Result<Self, String> {
        let mut plan = Self { postgres: None, engines: 8, customers: 100, seconds: 10, idle: 1000, only: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} has no value\n\n{HELP}"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("`{value}` is no number"));
            match name.as_str() {
                "--postgres" => plan.postgres = Some(value),
                "--engines" => plan.engines = number()? as usize,
                "--customers" => plan.customers = number()? as usize,
                "--seconds" => plan.seconds = number()?,
                "--idle" => plan.idle = number()? as usize,
                "--only" => plan.only = Some(value),
                _ => return Err(format!("unknown argument {name}\n\n{HELP}")),
            }
        }
        Ok(plan)
    }

    fn wants(&self, what: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == what)
    }
}

fn main() {
    if let Some(config) = std::env::var_os(server::CHILD) {
        server::run_child(&config);
        return;
    }
    let plan = Plan::read().unwrap_or_else(|message| {
        eprintln!("{message}");
        std::process::exit(2);
    });
    rustls::crypto::ring::default_provider().install_default().expect("nobody else has chosen one");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure_all(&plan));
}

async fn measure_all(plan: &Plan) {
    let mut table = Table::default();
    let sqlite = Server::start(Database::sqlite(), 1).await;
    if plan.wants("load") {
        let full = load(&sqlite, plan, None).await;
        table.load("SQLite, one node", &full);
        // Half of what was asked for of it, whatever it can do.
        let half = load(&sqlite, plan, Some(25_000)).await;
        table.load("SQLite, one node, 25,000/s", &half);
    }
    if plan.wants("fetch") {
        table.add("first fetch of a customer", &fetches(&sqlite, 1000).await);
    }
    sqlite.stop().await;
    if plan.wants("idle") {
        // One that keeps nothing of what it did before.
        let sqlite = Server::start(Database::sqlite(), 1).await;
        let found = idle(&sqlite, plan.idle).await;
        table.say(
            &format!("{} idle connections", plan.idle),
            &format!("{:.0} MB more, {:.0} MB in all", found.more, found.all),
        );
        table.add("a publication reaches all of them", &found.publication);
        sqlite.stop().await;
    }
    if let Some(url) = &plan.postgres {
        for nodes in [1, 2] {
            let postgres = Server::start(Database::postgres(url).await, nodes).await;
            if plan.wants("load") {
                let full = load(&postgres, plan, None).await;
                table.load(&format!("PostgreSQL, {nodes} node{}", if nodes == 1 { "" } else { "s" }), &full);
            }
            postgres.stop().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    table.print();
}
