//! The database: one set of statements for SQLite and PostgreSQL.
//!
//! Statements keep to what both know: numbered parameters (`$1`), `ON CONFLICT`, `RETURNING`, and columns of BIGINT and
//! TEXT. Times are milliseconds, yes and no are 1 and 0. A sum is cast back: `CAST(SUM(units) AS BIGINT)`.
//!
//! ```ignore
//! let mut tx = app.store.begin_write().await?;
//! sqlx::query("UPDATE plans SET name = $1 WHERE id = $2").bind(name).bind(id).execute(&mut *tx).await?;
//! audit::write(&mut tx, &entry).await?;
//! tx.commit().await?;
//! let names: Vec<(String,)> = sqlx::query_as("SELECT name FROM plans").fetch_all(app.store.read()).await?;
//! ```
//!
//! Whoever holds a transaction does not ask for a second one: SQLite has one writer, and would wait for itself.

mod bound;
pub(crate) mod dialect;
mod fault;
mod insert;
mod migrations;
mod open;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::{Any, AnyPool, Executor as _, Transaction};

pub(crate) use self::bound::Bound;
pub(crate) use self::dialect::Dialect;
pub(crate) use self::insert::{Cell, Insert};
pub(crate) use self::migrations::latest;
use crate::config::Config;
use crate::error::Error;

/// A transaction. Dropped without a commit, it is rolled back.
pub(crate) type Tx = Transaction<'static, Any>;

/// The connections. A clone shares them.
#[derive(Clone)]
pub(crate) struct Store {
    dialect: Dialect,
    writer: AnyPool,
    reader: AnyPool,
    /// Whether anything may have been written since the last checkpoint.
    written: Arc<AtomicBool>,
}

impl Store {
    /// Connects and brings the tables up to date.
    pub(crate) async fn open(config: &Config) -> Result<Self, Error> {
        let store = Self::connect(config, true).await?;
        let mut tx = store.begin_write().await?;
        store.migrate(&mut tx, None).await?;
        tx.commit().await?;
        Ok(store)
    }

    /// Connects to the database as it is. `create` makes the file of SQLite.
    pub(crate) async fn connect(config: &Config, create: bool) -> Result<Self, Error> {
        open::connect(config, create).await.map_err(|error| {
            let whence = config.database.to_string();
            Error::new(error.code(), format!("the database {whence} cannot be used: {error}"))
                .at("database")
                .hint_at(error.hint().unwrap_or("is the address right, and may this user write there?"))
        })
    }

    /// Runs the migrations that are missing, up to and including a version.
    pub(crate) async fn migrate(&self, tx: &mut Tx, up_to: Option<i64>) -> Result<(), Error> {
        self.unhurried(tx).await?;
        migrations::run(tx, self.dialect, up_to).await
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// A transaction that may write. On SQLite it is the only one. On PostgreSQL others run beside it: what is read to be
    /// changed is locked first, by an update that changes nothing.
    pub(crate) async fn begin_write(&self) -> sqlx::Result<Tx> {
        self.written.store(true, Ordering::Relaxed);
        self.writer.begin_with(self.dialect.begin_write()).await
    }

    /// Folds SQLite's log into its file, as far as nobody is in the way. Commits go on meanwhile.
    pub(crate) async fn checkpoint(&self) -> sqlx::Result<()> {
        if self.dialect == Dialect::Sqlite && self.written.swap(false, Ordering::Relaxed) {
            self.reader.execute("PRAGMA wal_checkpoint(PASSIVE)").await?;
        }
        Ok(())
    }

    /// For single statements that only read.
    pub(crate) fn read(&self) -> &AnyPool {
        &self.reader
    }

    /// A transaction that only reads, in which every statement sees the same state.
    pub(crate) async fn begin_read(&self) -> sqlx::Result<Tx> {
        self.reader.begin_with(self.dialect.begin_read()).await
    }

    /// Lets this transaction take its time: for what goes over whole tables. Otherwise a statement that hangs is given up.
    pub(crate) async fn unhurried(&self, tx: &mut Tx) -> sqlx::Result<()> {
        if self.dialect == Dialect::Postgres {
            tx.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").await?;
        }
        Ok(())
    }

    /// Tells the metrics how busy the pools are.
    pub(crate) fn measure(&self) {
        for (pool, name) in [(&self.writer, "write"), (&self.reader, "read")] {
            let idle = pool.num_idle().try_into().unwrap_or(u32::MAX);
            metrics::gauge!("limitr_db_connections", "pool" => name, "state" => "idle").set(idle);
            metrics::gauge!("limitr_db_connections", "pool" => name, "state" => "busy")
                .set(pool.size().saturating_sub(idle));
        }
    }

    /// Waits for what is under way and closes the connections; SQLite folds its log into the file.
    pub(crate) async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}
