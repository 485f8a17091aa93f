//! Databases that cannot be used say why, and what to do. None says its password.

use std::fs;
use std::time::Duration;

use limitr_server::{Config, Database as Address, Error, Server};
use sqlx::{AnyConnection, Connection as _, Executor as _};

use crate::client::{Node, config};
use crate::database::{Database, Kind};

async fn refused(config: &Config) -> Error {
    let error = Server::start(config.clone()).await.err().unwrap();
    let told = format!("{error} {error:?} {:?}", error.hint());
    assert!(!told.contains("s3cret"), "{told}");
    assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "{error}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_used() {
    let database = Database::new(Kind::Sqlite).await;
    let mut config = config(&database);
    let file = database.directory().join("test.db");

    fs::write(&file, "this is no database, however long it may be. ".repeat(100)).unwrap();
    let error = refused(&config).await;
    assert_eq!((error.code(), error.path()), ("database_corrupt", Some("database")));
    assert!(error.to_string().contains("test.db"), "{error}");
    assert!(fs::read_to_string(&file).unwrap().starts_with("this is no database"));
    fs::remove_file(&file).unwrap();

    fs::create_dir(&file).unwrap();
    assert_eq!(refused(&config).await.code(), "database_unavailable");
    fs::remove_dir(&file).unwrap();

    fs::write(database.directory().join("plain"), "").unwrap();
    config.data_dir = database.directory().join("plain");
    config.database = Address::parse("sqlite:x.db").unwrap();
    assert_eq!(refused(&config).await.code(), "database_unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_somebody_else_holds() {
    let mut node = Node::start(Kind::Sqlite).await;
    node.stop().await;
    let mut other = AnyConnection::connect(&node.database.url).await.unwrap();
    other.execute("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").await.unwrap();
    let error = refused(&node.config).await;
    assert_eq!(error.code(), "database_locked", "{error}");
    other.execute("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
    Server::start(node.config.clone()).await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_reached() {
    let database = Database::new(Kind::Postgres).await;
    let mut config = config(&database);
    for (url, code) in [
        ("postgres://ann:s3cret@127.0.0.1:1/limitr", "database_unavailable"),
        ("postgres://ann:s3cret@127.0.0.1:1/limitr?sslmode=nonsense&password=s3cret", "invalid_config"),
        ("postgres://ann:s3cret@[::z]/limitr", "invalid_config"),
        ("postgres://ann:s3cret@nowhere.invalid/limitr", "database_unavailable"),
    ] {
        config.database = Address::parse(url).unwrap();
        assert_eq!(refused(&config).await.code(), code, "{url}");
    }
    let missing = database.url.replace("limitr_test_", "limitr_missing_");
    config.database = Address::parse(&missing).unwrap();
    assert_eq!(refused(&config).await.code(), "database_missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_is_told_and_forgiven() {
    let (node, owner) = Node::ready(Kind::Postgres).await;
    owner.get("/readyz").await.expect(200);
    let name = node.database.url.rsplit('/').next().unwrap().to_owned();
    let mut admin = AnyConnection::connect(&node.database.url.replace(&name, "postgres")).await.unwrap();
    let sql = format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false");
    admin.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    let cut = format!("SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'");
    admin.execute(sqlx::AssertSqlSafe(cut)).await.unwrap();
    let answer = owner.get("/readyz").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    owner.get("/healthz").await.expect(200);
    owner.get("/api/v1/me").await.expect(503);
    let sql = format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true");
    admin.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    for _ in 0..50 {
        if owner.get("/readyz").await.status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    owner.get("/api/v1/me").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken() {
    let node = Node::start(Kind::Sqlite).await;
    let mut config = node.config.clone();
    config.listen = node.running().addr().to_string();
    let error = refused(&config).await;
    assert_eq!((error.code(), error.path()), ("cannot_listen", Some("listen")));
    config.listen = "nonsense".to_owned();
    assert_eq!(refused(&config).await.code(), "cannot_listen");
}
