//! Connecting, and how connections are set up.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Once};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, ConnectOptions as _, Connection as _, Executor as _};
use tokio::time::timeout;

use super::{Dialect, Store};
use crate::config::Config;
use crate::error::Error;
use crate::files;

const READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 8;
/// How long a request waits for a connection, and SQLite for its lock.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the first connection may take: longer, so that it is SQLite itself that says it is locked.
const FIRST: Duration = Duration::from_secs(10);

/// Every commit is on the disk when it returns: what is acknowledged is not lost. Pages that a commit changes stay in memory
/// until then (64 MiB). The log is folded into the file beside the commits: see [`Store::checkpoint`]; only one that has
/// become long (64 MiB) is by a commit.
const SQLITE_WRITER: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536; \
     PRAGMA wal_autocheckpoint = 16384;";
const SQLITE_READER: &str = "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;";
/// A statement that hangs holds locks; a node that is gone in the middle of one as well.
const POSTGRES: &str = "SET statement_timeout = '60s'; SET lock_timeout = '20s'; \
     SET idle_in_transaction_session_timeout = '60s'; SET TIME ZONE 'UTC';";

pub(super) async fn connect(config: &Config, create: bool) -> Result<Store, Error> {
    static DRIVERS: Once = Once::new();
    DRIVERS.call_once(sqlx::any::install_default_drivers);
    match (config.database.file(&config.data_dir), config.database.postgres()) {
        (Some(file), _) => {
            if create {
                make_file(&file)?;
            }
            let mode = if create { "rwc" } else { "rw" };
            let writer = pool(&sqlite_url(&file, mode), 1, SQLITE_WRITER, false).await?;
            let reader = pool(&sqlite_url(&file, "rw"), READERS, SQLITE_READER, false).await?;
            Ok(Store { dialect: Dialect::Sqlite, writer, reader, written: Arc::default() })
        }
        (None, Some(address)) => {
            let pool = pool(address.reveal(), POSTGRES_CONNECTIONS, POSTGRES, true).await?;
            Ok(Store { dialect: Dialect::Postgres, writer: pool.clone(), reader: pool, written: Arc::default() })
        }
        (None, None) => Err(Error::new("invalid_config", "no database is named").at("database")),
    }
}

/// `ask` whether a connection is still there before it is used: one over a network may be gone.
async fn pool(url: &str, most: u32, setup: &'static str, ask: bool) -> Result<AnyPool, Error> {
    let options: AnyConnectOptions = url.parse()?;
    try_out(&options, setup).await?;
    let pool = AnyPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(ask)
        .after_connect(move |connection, _| Box::pin(async move { connection.execute(setup).await.map(|_| ()) }))
        .connect_lazy_with(options);
    Ok(pool)
}

/// A connection by itself tells what is wrong, which the pool would hide behind a timeout.
async fn try_out(options: &AnyConnectOptions, setup: &'static str) -> Result<(), Error> {
    let try_out = async {
        let mut connection = options.connect().await?;
        connection.execute(setup).await?;
        connection.close().await
    };
    match timeout(FIRST, try_out).await {
        Ok(tried) => Ok(tried?),
        Err(_) => Err(Error::new("database_unavailable", "it does not answer")
            .hint_at("does it run, and can this machine reach it?")),
    }
}

/// What is in it is nobody else's business on this machine.
fn make_file(file: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| {
        Error::new("database_unavailable", format!("`{}` cannot be made: {error}", file.display()))
            .hint_at("name another place with `data_dir`, or make this one writable")
    };
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    if file.exists() {
        return Ok(());
    }
    files::create(file).map(|_| ()).map_err(failed)
}

/// The driver reads an address, in which a path must not look like anything else.
fn sqlite_url(file: &Path, mode: &str) -> String {
    let mut url = "sqlite:".to_owned();
    for byte in file.display().to_string().bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url + "?mode=" + mode
}
