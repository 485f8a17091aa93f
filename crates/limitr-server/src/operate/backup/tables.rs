//! Which tables there are, as the database itself says: a new migration needs no change here.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;
use crate::store::{Dialect, Tx};

/// Not in a backup: what the tables are at is in its head, the rest lives for a while only.
const LEFT_OUT: [&str; 4] = ["migrations", "sessions", "tickets", "setups"];

const SQLITE_TABLES: &str = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
const POSTGRES_TABLES: &str = "SELECT CAST(table_name AS TEXT) FROM information_schema.tables \
     WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'";

const SQLITE_REFERENCES: &str = "SELECT t.name, r.\"table\" FROM sqlite_master t \
     JOIN pragma_foreign_key_list(t.name) r WHERE t.type = 'table'";
const POSTGRES_REFERENCES: &str = "SELECT CAST(a.relname AS TEXT), CAST(b.relname AS TEXT) FROM pg_constraint c \
     JOIN pg_class a ON a.oid = c.conrelid JOIN pg_class b ON b.oid = c.confrelid \
     WHERE c.contype = 'f' AND c.connamespace = current_schema()::regnamespace";

const POSTGRES_COUNTERS: &str = "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) \
     FROM information_schema.columns WHERE table_schema = current_schema() AND is_identity = 'YES'";

/// The tables of a backup, each behind those that it refers to.
pub(super) async fn in_order(tx: &mut Tx, dialect: Dialect) -> Result<Vec<String>, Error> {
    let tables: Vec<(String,)> =
        sqlx::query_as(dialect.of(SQLITE_TABLES, POSTGRES_TABLES)).fetch_all(&mut **tx).await?;
    let references: Vec<(String, String)> =
        sqlx::query_as(dialect.of(SQLITE_REFERENCES, POSTGRES_REFERENCES)).fetch_all(&mut **tx).await?;
    let names = tables.into_iter().map(|(name,)| name).filter(|name| !LEFT_OUT.contains(&name.as_str()));
    Ok(sorted(names.collect(), &references))
}

fn sorted(mut left: BTreeSet<String>, references: &[(String, String)]) -> Vec<String> {
    let mut order = Vec::new();
    while !left.is_empty() {
        let waits = |name: &String| {
            references.iter().any(|(from, to)| from == name && to != name && left.contains(to.as_str()))
        };
        let mut ready: Vec<String> = left.iter().filter(|name| !waits(name)).cloned().collect();
        if ready.is_empty() {
            // Tables in a circle have no order; deferred constraints are theirs to have.
            ready = left.iter().cloned().collect();
        }
        left.retain(|name| !ready.contains(name));
        order.append(&mut ready);
    }
    order
}

/// The version of the last migration, if there was one.
pub(super) async fn version(tx: &mut Tx, dialect: Dialect) -> Result<Option<i64>, Error> {
    let tables: Vec<(String,)> =
        sqlx::query_as(dialect.of(SQLITE_TABLES, POSTGRES_TABLES)).fetch_all(&mut **tx).await?;
    if !tables.iter().any(|(name,)| name == "migrations") {
        return Ok(None);
    }
    let (version,): (Option<i64>,) = sqlx::query_as("SELECT MAX(version) FROM migrations").fetch_one(&mut **tx).await?;
    Ok(version)
}

/// Columns that count by themselves, by table. SQLite goes on behind the largest value of its own accord.
pub(super) async fn counters(tx: &mut Tx, dialect: Dialect) -> Result<BTreeMap<String, String>, Error> {
    if dialect == Dialect::Sqlite {
        return Ok(BTreeMap::new());
    }
    let counters: Vec<(String, String)> = sqlx::query_as(POSTGRES_COUNTERS).fetch_all(&mut **tx).await?;
    Ok(counters.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_come_behind_those_they_refer_to() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let references = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
        };
        let order = sorted(names(&["a", "b", "c"]), &references(&[("a", "b"), ("b", "c"), ("c", "c"), ("a", "gone")]));
        assert_eq!(order, ["c", "b", "a"]);
        let circle = sorted(names(&["a", "b"]), &references(&[("a", "b"), ("b", "a")]));
        assert_eq!(circle, ["a", "b"]);
    }
}
