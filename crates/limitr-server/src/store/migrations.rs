//! The tables, version by version. A version that has been released never changes; the next one is another file.
//!
//! `{identity}` in them is what the database calls a key that it counts up itself.

use sqlx::{AssertSqlSafe, Executor as _};

use super::{Dialect, Tx};
use crate::error::Error;
use crate::secret;
use crate::time::{Millis, now};

struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

macro_rules! migration {
    ($version:literal, $name:literal) => {
        Migration { version: $version, name: $name, sql: include_str!(concat!("../../migrations/", $name, ".sql")) }
    };
}

const ALL: &[Migration] =
    &[migration!(1, "0001_accounts"), migration!(2, "0002_customers"), migration!(3, "0003_policies")];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations (
    version BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    applied_at BIGINT NOT NULL
)";

/// One node migrates at a time. SQLite's write transaction is that lock already. The number is "limitr" in ASCII.
const POSTGRES_LOCK: &str = "SELECT pg_advisory_xact_lock(119208683598962)";

/// The version that this program's tables have.
pub(crate) fn latest() -> i64 {
    ALL.last().map_or(0, |migration| migration.version)
}

/// Runs what is missing, all of it or nothing: both databases can undo the making of tables.
pub(super) async fn run(tx: &mut Tx, dialect: Dialect, up_to: Option<i64>) -> Result<(), Error> {
    if dialect == Dialect::Postgres {
        tx.execute(POSTGRES_LOCK).await?;
    }
    tx.execute(TABLE).await?;
    let applied: Vec<(i64, String)> =
        sqlx::query_as("SELECT version, hash FROM migrations ORDER BY version").fetch_all(&mut **tx).await?;
    if let Some((version, _)) = applied.last().filter(|(version, _)| *version > latest()) {
        let message = format!("the database has version {version}, this program knows versions up to {}", latest());
        return Err(Error::new("database_newer", message).hint_at("a newer limitr has used it: run that one"));
    }
    for migration in ALL.iter().filter(|migration| up_to.is_none_or(|most| migration.version <= most)) {
        let sql = migration.sql.replace("{identity}", dialect.identity());
        let hash = secret::hash(&sql);
        match applied.iter().find(|(version, _)| *version == migration.version) {
            Some((_, known)) if *known == hash => {}
            Some(_) => {
                let message = format!("the database was made by another version of migration {}", migration.name);
                return Err(Error::new("database_differs", message).hint_at("run the limitr that made it"));
            }
            None => {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **tx).await.map_err(|error| {
                    let error = Error::from(error);
                    Error::new(error.code(), format!("migration {}: {error}", migration.name))
                })?;
                record(tx, migration, &hash, now()).await?;
                tracing::info!(version = migration.version, name = migration.name, "migrated");
            }
        }
    }
    Ok(())
}

async fn record(tx: &mut Tx, migration: &Migration, hash: &str, at: Millis) -> sqlx::Result<()> {
    let insert = sqlx::query("INSERT INTO migrations (version, name, hash, applied_at) VALUES ($1, $2, $3, $4)");
    insert.bind(migration.version).bind(migration.name).bind(hash).bind(at).execute(&mut **tx).await?;
    Ok(())
}
