//! Databases for tests: a file, or a database of one's own on a PostgreSQL that runs. Both are gone afterwards.

use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

pub(crate) const BOTH: [Kind; 2] = [Kind::Sqlite, Kind::Postgres];

/// An empty database.
pub(crate) struct Database {
    /// As the server is told.
    pub(crate) url: String,
    directory: TempDir,
    postgres: Option<String>,
}

impl Database {
    pub(crate) async fn new(kind: Kind) -> Self {
        let directory = tempfile::tempdir().unwrap();
        match kind {
            Kind::Sqlite => {
                let url = format!("sqlite:{}", directory.path().join("test.db").display());
                Self { url, directory, postgres: None }
            }
            Kind::Postgres => {
                static NUMBER: AtomicU32 = AtomicU32::new(0);
                sweep().await;
                let name = format!("{PREFIX}{}_{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
                administer(&format!("CREATE DATABASE {name} TEMPLATE template0")).await;
                Self { url: address(&name), directory, postgres: Some(name) }
            }
        }
    }

    /// A directory that goes with the database.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some(name) = self.postgres.take() else { return };
        // Dropping cannot wait for a future of the runtime it is in.
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(administer(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")));
        });
        // A failing test is to fail for its own reason.
        let _ = dropped.join();
    }
}

const PREFIX: &str = "limitr_test_";

fn address(database: &str) -> String {
    let server = std::env::var("LIMITR_TEST_POSTGRES").unwrap_or_else(|_| "postgres://root@127.0.0.1:5432".to_owned());
    format!("{}/{database}", server.trim_end_matches('/'))
}

async fn connect() -> PgConnection {
    PgConnection::connect(&address("postgres")).await.unwrap_or_else(|error| {
        panic!(
            "these tests need a PostgreSQL that lets them create databases: {error}.\n\
             Start one (`docker run --rm -p 5432:5432 -e POSTGRES_USER=root -e POSTGRES_HOST_AUTH_METHOD=trust postgres`), \
             or name another with LIMITR_TEST_POSTGRES=postgres://user:password@host:port"
        )
    })
}

async fn administer(sql: &str) {
    let mut connection = connect().await;
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
}

/// Drops what tests that were killed have left.
async fn sweep() {
    static ONCE: Once = Once::new();
    let mut first = false;
    ONCE.call_once(|| first = true);
    if !first {
        return;
    }
    let mut connection = connect().await;
    let found: Vec<(String,)> =
        sqlx::query_as("SELECT datname::text FROM pg_database WHERE datname LIKE 'limitr_test_%'")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    for (name,) in found {
        let id = name.strip_prefix(PREFIX).and_then(|rest| rest.split('_').next()).unwrap_or_default();
        let runs = std::path::Path::new("/proc").join(id).exists();
        if !runs && cfg!(target_os = "linux") {
            connection.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))).await.unwrap();
        }
    }
}
