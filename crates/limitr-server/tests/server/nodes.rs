//! Several nodes, and starting.

use limitr_server::{Database as Address, Server};
use serde_json::json;
use sqlx::AnyPool;

use crate::client::{Client, Node, config};
use crate::database::{Database, Kind};
use crate::on_both;

on_both!(nodes_that_start_at_once_migrate_once, nodes_share_what_they_know, dev_makes_what_one_needs_once);

async fn nodes_that_start_at_once_migrate_once(kind: Kind) {
    let database = Database::new(kind).await;
    let starts: Vec<_> = (0..4).map(|_| tokio::spawn(Server::start(config(&database)))).collect();
    let mut nodes = Vec::new();
    for start in starts {
        nodes.push(start.await.unwrap().unwrap());
    }
    let pool = AnyPool::connect(&database.url).await.unwrap();
    let applied: Vec<(i64, String)> =
        sqlx::query_as("SELECT version, name FROM migrations ORDER BY version").fetch_all(&pool).await.unwrap();
    let versions: Vec<i64> = applied.iter().map(|(version, _)| *version).collect();
    assert_eq!(versions, (1..=i64::try_from(applied.len()).unwrap()).collect::<Vec<_>>());
    assert_eq!(applied[0].1, "0001_accounts");
    for node in &nodes {
        Client::to(&format!("http://{}", node.addr())).get("/readyz").await.expect(200);
    }
    for node in nodes {
        node.stop().await;
    }
}

async fn nodes_share_what_they_know(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let second = Server::start(node.config.clone()).await.unwrap();
    let made = owner.post("/api/v1/tokens", &json!({"name": "t", "scope": "engine"})).await.expect(201);
    let token = made.body["token"].as_str().unwrap();
    let mut elsewhere = Client::to(&format!("http://{}", second.addr()));
    elsewhere.post("/wss/ticket", &json!({"token": token})).await.expect(200);
    elsewhere.token = Some(token.to_owned());
    elsewhere.get("/api/v1/me").await.expect(200);
    owner.delete(&format!("/api/v1/tokens/{}", made.id())).await.expect(204);
    elsewhere.get("/api/v1/me").await.problem(401, "invalid_token");
    second.stop().await;
}

async fn dev_makes_what_one_needs_once(kind: Kind) {
    let mut node = Node::start_with(kind, |config| config.dev = true).await;
    let dev = node.running().dev().unwrap();
    assert_eq!(node.running().setup_link(), None);
    let owner = node.log_in(&dev.email, &dev.password).await;
    let workspace = owner.get("/api/v1/workspace").await.expect(200);
    assert_eq!(workspace.body["name"], "dev");
    let admin = node.with_token(&dev.admin_token);
    assert_eq!(admin.get("/api/v1/me").await.expect(200).body["scope"], "admin");
    node.client().post("/wss/ticket", &json!({"token": dev.engine_token})).await.expect(200);
    node.stop().await;
    let again = Server::start(node.config.clone()).await.unwrap();
    assert!(again.dev().is_none());
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_was_changed_is_refused() {
    for kind in crate::database::BOTH {
        let mut node = Node::start(kind).await;
        node.stop().await;
        let pool = node.pool().await;
        sqlx::query("UPDATE migrations SET hash = 'x'").execute(&pool).await.unwrap();
        let error = Server::start(node.config.clone()).await.err().unwrap();
        assert_eq!(error.code(), "database_differs");
        sqlx::query("INSERT INTO migrations (version, name, hash, applied_at) VALUES (9999, 'later', 'x', 1)")
            .execute(&pool)
            .await
            .unwrap();
        let error = Server::start(node.config.clone()).await.err().unwrap();
        assert_eq!(error.code(), "database_newer");
        assert!(error.hint().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_read_as_they_are_written() {
    let database = Database::new(Kind::Sqlite).await;
    let mut config = config(&database);
    // Characters that mean something in an address mean nothing in a path.
    config.data_dir = database.directory().join("a b").join("50% #1");
    config.database = Address::parse("sqlite:my data.db").unwrap();
    let running = Server::start(config.clone()).await.unwrap();
    assert!(config.data_dir.join("my data.db").is_file());
    running.stop().await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(config.data_dir.join("my data.db")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
