//! A hub's works against the database: customers and engines locked and read, and all that came of it written, in one
//! transaction.

use std::collections::{HashMap, HashSet};

use limitr_sync::{Commit, EngineRow, Found, Hub, Loaded, Work, Write};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::changes::{self, Authored};
use super::{ledger, news};
use crate::error::Error;
use crate::store::{Cell, Dialect, Insert, Store, Tx};
use crate::time::{Millis, now};

/// A work that is stored.
pub(super) struct Stored {
    pub(super) commit: Commit,
    /// Lines added to the ledger.
    pub(super) lines: u64,
}

/// A work that is not, or of which nobody knows.
pub(super) struct Failure {
    pub(super) error: Error,
    /// What it would have been, once the hub had applied it.
    pub(super) commit: Option<Commit>,
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: error.into(), commit: None }
    }
}

/// Where works are done.
pub(super) struct Place<'p> {
    pub(super) workspace: &'p str,
    pub(super) node: &'p str,
    /// What is to be written down of calls, by their tickets.
    pub(super) authored: &'p HashMap<u64, Authored>,
}

/// Does a work and stores it.
pub(super) async fn store(store: &Store, hub: &mut Hub, work: &mut Work, place: &Place<'_>) -> Result<Stored, Failure> {
    let workspace = place.workspace;
    let read = work.is_read();
    let mut tx = if read { store.begin_read().await? } else { store.begin_write().await? };
    let locks = if read { "" } else { store.dialect().of("", " FOR UPDATE") };
    let known = engines(&mut tx, store.dialect(), work, workspace, locks).await?;
    loop {
        let names = hub.wants(work);
        if names.is_empty() {
            break;
        }
        let found = find(&mut tx, store.dialect(), workspace, &names, locks).await?;
        let stale = hub.found(work, &names, &found);
        let records = read_records(&mut tx, store.dialect(), workspace, &stale).await?;
        for error in hub.load(work, records) {
            tracing::error!(workspace, %error, "a stored customer cannot be read");
        }
    }
    let at = now();
    let commit = hub.apply(work, at);
    if commit.is_empty() {
        return Ok(Stored { commit, lines: 0 });
    }
    match write(tx, store.dialect(), place, &known, &commit, at).await {
        Ok(()) => {
            let lines = commit.ledger.len() as u64;
            Ok(Stored { commit, lines })
        }
        Err(error) => Err(Failure { error, commit: Some(commit) }),
    }
}

/// Reads and locks the engines concerned. Returns those that have a row.
async fn engines(
    tx: &mut Tx,
    dialect: Dialect,
    work: &mut Work,
    workspace: &str,
    locks: &str,
) -> Result<HashSet<String>, Error> {
    let names: Vec<String> = work.engines().map(str::to_owned).collect();
    if names.is_empty() {
        return Ok(HashSet::new());
    }
    let sql = format!(
        "SELECT engine, through, epoch, sdk FROM engines WHERE workspace = $1 AND engine IN ({}) ORDER BY engine{locks}",
        dialect.listed("$2")
    );
    let rows: Vec<(String, i64, i64, String)> =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(workspace).bind(text(&names)).fetch_all(&mut **tx).await?;
    let mut known = HashSet::new();
    for (engine, through, epoch, sdk) in rows {
        known.insert(engine.clone());
        work.set_engine(EngineRow { engine, through: u64::try_from(through).unwrap_or_default(), epoch, sdk });
    }
    Ok(known)
}

/// Looks up names and locks who has them.
async fn find(
    tx: &mut Tx,
    dialect: Dialect,
    workspace: &str,
    names: &[String],
    locks: &str,
) -> Result<Vec<Found>, Error> {
    let names = text(&names);
    let found = format!(
        "SELECT id, version FROM customers WHERE workspace = $1 AND id IN \
         ({} UNION SELECT customer FROM aliases WHERE workspace = $1 AND alt IN ({})) ORDER BY id{locks}",
        dialect.listed("$2"),
        dialect.listed("$2")
    );
    let sql = dialect.as_json("id, version", &found);
    let rows: String =
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(workspace).bind(names).fetch_one(&mut **tx).await?;
    let rows: Vec<(String, i64)> = listed(&rows)?;
    Ok(rows.into_iter().map(|(id, version)| Found { id, version }).collect())
}

async fn read_records(tx: &mut Tx, dialect: Dialect, workspace: &str, ids: &[String]) -> Result<Vec<Loaded>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql =
        format!("SELECT id, version, record FROM customers WHERE workspace = $1 AND id IN ({})", dialect.listed("$2"));
    let rows: Vec<(String, i64, String)> =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(workspace).bind(text(&ids)).fetch_all(&mut **tx).await?;
    Ok(rows.into_iter().map(|(id, version, record)| Loaded { id, version, record }).collect())
}

async fn write(
    mut tx: Tx,
    dialect: Dialect,
    place: &Place<'_>,
    known: &HashSet<String>,
    commit: &Commit,
    at: Millis,
) -> Result<(), Error> {
    let Place { workspace, node, authored } = *place;
    write_customers(&mut tx, dialect, workspace, &commit.customers, at).await?;
    write_engines(&mut tx, dialect, workspace, known, &commit.engines, at).await?;
    ledger::append(&mut tx, dialect, workspace, &commit.ledger, at).await?;
    changes::write_down(&mut tx, workspace, authored, &commit.changes).await?;
    if dialect == Dialect::Postgres {
        let changed: Vec<&str> = commit.customers.iter().map(|write| write.id.as_str()).collect();
        news::announce_customers(&mut tx, node, workspace, &changed).await?;
    }
    Ok(tx.commit().await?)
}

async fn write_engines(
    tx: &mut Tx,
    dialect: Dialect,
    workspace: &str,
    known: &HashSet<String>,
    engines: &[EngineRow],
    at: Millis,
) -> Result<(), Error> {
    let (met, new): (Vec<&EngineRow>, Vec<&EngineRow>) = engines.iter().partition(|row| known.contains(&row.engine));
    let update = "ON CONFLICT (workspace, engine) DO UPDATE SET through = excluded.through, epoch = excluded.epoch, \
                  sdk = excluded.sdk, seen_at = excluded.seen_at";
    // Two nodes that meet an engine for the first time at once: one of them fails, and finds it known then.
    for (rows, conflict) in [(met, update), (new, "")] {
        let insert = Insert {
            table: "engines",
            columns: &["workspace", "engine", "through", "epoch", "sdk", "seen_at"],
            conflict,
        };
        let rows = rows.into_iter().map(|row| {
            [
                Cell::Text(workspace),
                Cell::Text(&row.engine),
                Cell::Number(i64::try_from(row.through).unwrap_or(i64::MAX)),
                Cell::Number(row.epoch),
                Cell::Text(&row.sdk),
                Cell::Number(at),
            ]
        });
        insert.rows(tx, dialect, rows).await?;
    }
    Ok(())
}

async fn write_customers(
    tx: &mut Tx,
    dialect: Dialect,
    workspace: &str,
    customers: &[Write],
    at: Millis,
) -> Result<(), Error> {
    let gone: Vec<&str> =
        customers.iter().filter(|write| write.record.is_none()).map(|write| write.id.as_str()).collect();
    if !gone.is_empty() {
        let sql = format!("DELETE FROM customers WHERE workspace = $1 AND id IN ({})", dialect.listed("$2"));
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(workspace).bind(text(&gone)).execute(&mut **tx).await?;
    }
    let rows: Vec<(&str, i64, &str)> = customers
        .iter()
        .filter_map(|write| Some((write.id.as_str(), write.version, write.record.as_ref()?.get())))
        .collect();
    // A version that is not the one that was read means that somebody else has written meanwhile.
    let insert = Insert {
        table: "customers",
        columns: &["workspace", "id", "version", "record", "created_at", "updated_at"],
        conflict: "ON CONFLICT (workspace, id) DO UPDATE \
                   SET version = excluded.version, record = excluded.record, updated_at = excluded.updated_at \
                   WHERE customers.version = excluded.version - 1",
    };
    let cells = rows.iter().map(|(id, version, record)| {
        let record = Cell::Text(record);
        [Cell::Text(workspace), Cell::Text(id), Cell::Number(*version), record, Cell::Number(at), Cell::Number(at)]
    });
    let written = insert.rows(tx, dialect, cells).await?;
    if written != rows.len() as u64 {
        return Err(Error::new("database_conflict", "customers were changed by another node at the same time"));
    }
    write_aliases(tx, dialect, workspace, customers).await
}

async fn write_aliases(tx: &mut Tx, dialect: Dialect, workspace: &str, customers: &[Write]) -> Result<(), Error> {
    let renamed = customers.iter().filter_map(|write| Some((&write.id, write.alt_ids.as_ref()?)));
    let (ids, alts): (Vec<&String>, Vec<&Vec<String>>) = renamed.unzip();
    if ids.is_empty() {
        return Ok(());
    }
    let sql = format!("DELETE FROM aliases WHERE workspace = $1 AND customer IN ({})", dialect.listed("$2"));
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(workspace).bind(text(&ids)).execute(&mut **tx).await?;
    let pairs: Vec<(&str, &str)> =
        ids.iter().zip(alts).flat_map(|(id, alts)| alts.iter().map(|alt| (alt.as_str(), id.as_str()))).collect();
    let insert = Insert { table: "aliases", columns: &["workspace", "alt", "customer"], conflict: "" };
    let rows = pairs.iter().map(|(alt, id)| [Cell::Text(workspace), Cell::Text(alt), Cell::Text(id)]);
    insert.rows(tx, dialect, rows).await?;
    Ok(())
}

/// What [`Dialect::as_json`] gave.
pub(super) fn listed<T: DeserializeOwned>(rows: &str) -> Result<Vec<T>, Error> {
    serde_json::from_str(rows).map_err(|error| Error::new("database_corrupt", format!("a stored value: {error}")))
}

/// What statements are given lists as.
pub(super) fn text(value: &impl Serialize) -> String {
    // Lists of texts and numbers are JSON.
    serde_json::to_string(value).unwrap_or_default()
}
