//! A backup put into an empty database: all of it or nothing.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use sqlx::error::ErrorKind;

use super::{End, FORMAT, Head, Table, tables};
use crate::config::Config;
use crate::error::Error;
use crate::store::{Store, Tx, latest};

/// Puts a backup into an empty database, whichever of the two it was taken from, and brings its tables up to date. The
/// answer is the number of rows.
///
/// # Errors
///
/// When the file is no whole backup, is of a newer version, or the database has something in it already. Nothing is changed
/// then.
pub async fn restore(config: &Config, file: &Path) -> Result<u64, Error> {
    let mut lines = Lines::open(file)?;
    let head: Head = lines.next()?.ok_or_else(|| lines.damaged("it is empty"))?;
    if head.format != FORMAT {
        return Err(lines.damaged(&format!("its format is `{}`, not `{FORMAT}`", head.format)));
    }
    if head.version > latest() {
        let message =
            format!("the backup is at version {}, this program knows versions up to {}", head.version, latest());
        return Err(Error::new("backup_newer", message).hint_at("a newer limitr has made it: run that one"));
    }
    let store = Store::connect(config, true).await?;
    let restored = load(&store, &mut lines, &head).await;
    store.close().await;
    restored
}

async fn load(store: &Store, lines: &mut Lines<'_>, head: &Head) -> Result<u64, Error> {
    let dialect = store.dialect();
    let mut tx = store.begin_write().await?;
    let found = tables::version(&mut tx, dialect).await?.unwrap_or(0);
    if found > head.version {
        let message = format!("the database is at version {found}, the backup at {}", head.version);
        return Err(Error::new("database_newer", message).hint_at("restore into a database that was never used"));
    }
    store.migrate(&mut tx, Some(head.version)).await?;
    let known = tables::in_order(&mut tx, dialect).await?;
    for table in &known {
        let (count,): (i64,) =
            sqlx::query_as(AssertSqlSafe(format!("SELECT COUNT(*) FROM \"{table}\""))).fetch_one(&mut *tx).await?;
        if count > 0 {
            return Err(Error::new("database_not_empty", format!("the table `{table}` has something in it"))
                .at("database")
                .hint_at("a restore never overwrites: name an empty database"));
        }
    }
    let rows = load_tables(&mut tx, lines, &known).await?;
    for (table, column) in tables::counters(&mut tx, dialect).await? {
        let sql = format!(
            "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), \
             (SELECT COALESCE(MAX({column}), 0) + 1 FROM \"{table}\"), false)"
        );
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *tx).await?;
    }
    store.migrate(&mut tx, None).await?;
    tx.commit().await?;
    Ok(rows)
}

async fn load_tables(tx: &mut Tx, lines: &mut Lines<'_>, known: &[String]) -> Result<u64, Error> {
    let mut rows = 0;
    let mut table: Option<Table> = None;
    while let Some(line) = lines.next::<Value>()? {
        if let Value::Array(values) = line {
            let Some(table) = table.as_ref().filter(|table| table.columns.len() == values.len()) else {
                return Err(lines.damaged("a row is not as long as its table is wide"));
            };
            insert(tx, lines, table, values).await?;
            rows += 1;
        } else if let Ok(end) = End::deserialize(&line) {
            if end.rows != rows || lines.next::<Value>()?.is_some() {
                return Err(lines.damaged("it does not have as many rows as it says"));
            }
            return Ok(rows);
        } else {
            let next = Table::deserialize(&line).map_err(|error| lines.damaged(&error.to_string()))?;
            let plain = |name: &String| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            if !known.contains(&next.table) || !next.columns.iter().all(plain) {
                return Err(lines.damaged(&format!("there is no table `{}` with such columns", next.table)));
            }
            table = Some(next);
        }
    }
    Err(lines.damaged("it was cut short"))
}

async fn insert(tx: &mut Tx, lines: &Lines<'_>, table: &Table, values: Vec<Value>) -> Result<(), Error> {
    let mut places = Vec::with_capacity(values.len());
    let mut bound = 0;
    for value in &values {
        // Nothing has no type, which a parameter must have.
        if value.is_null() {
            places.push("NULL".to_owned());
        } else {
            bound += 1;
            places.push(format!("${bound}"));
        }
    }
    let columns = table.columns.join("\", \"");
    // Names of the known tables, and of columns that are plain words.
    let sql = format!("INSERT INTO \"{}\" (\"{columns}\") VALUES ({})", table.table, places.join(", "));
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for value in values {
        query = match value {
            Value::Null => query,
            Value::String(text) => query.bind(text),
            Value::Number(number) if number.is_i64() => query.bind(number.as_i64()),
            other => return Err(lines.damaged(&format!("`{other}` is neither a text nor a whole number"))),
        };
    }
    query.execute(&mut **tx).await.map(|_| ()).map_err(|error| match &error {
        // A row of another table is missing, or this one is there twice.
        sqlx::Error::Database(rule) if rule.kind() != ErrorKind::Other => lines.damaged(rule.message()),
        _ => error.into(),
    })
}

/// A file read line by line.
struct Lines<'a> {
    lines: std::io::Lines<BufReader<File>>,
    path: &'a Path,
    number: usize,
}

impl<'a> Lines<'a> {
    fn open(path: &'a Path) -> Result<Self, Error> {
        let file = File::open(path)
            .map_err(|error| Error::new("unreadable_file", format!("`{}` cannot be read: {error}", path.display())))?;
        Ok(Self { lines: BufReader::new(file).lines(), path, number: 0 })
    }

    fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        self.number += 1;
        let Some(line) = self.lines.next() else { return Ok(None) };
        let line = line.map_err(|error| self.damaged(&error.to_string()))?;
        serde_json::from_str(&line).map(Some).map_err(|error| self.damaged(&error.to_string()))
    }

    fn damaged(&self, what: &str) -> Error {
        let place = format!("{}:{}", self.path.display(), self.number);
        Error::new("damaged_backup", format!("{place}: this is no whole backup: {what}"))
            .hint_at("take another one; nothing was changed")
    }
}
