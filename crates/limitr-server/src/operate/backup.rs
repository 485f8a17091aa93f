//! Backups: every table as lines of JSON, the same for both databases, so that a backup of one restores into the other.
//!
//! The first line says what the file is, the last how many rows it has: a file that was cut short is noticed. Between them
//! each table begins with its name and columns, and a row is a list.

mod restore;
mod tables;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::any::{AnyRow, AnyTypeInfoKind};
use sqlx::{AssertSqlSafe, Column as _, Row as _, ValueRef as _};

pub use self::restore::restore;
use crate::config::Config;
use crate::error::Error;
use crate::files;
use crate::store::{Store, Tx};
use crate::time::{Millis, now};

const FORMAT: &str = "limitr backup 1";

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    /// The migration that the tables are at.
    version: i64,
    at: Millis,
}

/// What a table begins with.
#[derive(Serialize, Deserialize)]
struct Table {
    table: String,
    columns: Vec<String>,
}

/// The last line.
#[derive(Serialize, Deserialize)]
struct End {
    rows: u64,
}

/// Writes everything that is in the database into a new file, as it was at one moment. The server may run meanwhile.
/// Sessions, tickets and setup links are left out: they live for a while only. The answer is the number of rows.
///
/// # Errors
///
/// When the file exists or cannot be written, or the database cannot be read.
pub async fn backup(config: &Config, file: &Path) -> Result<u64, Error> {
    if file.exists() {
        let message = format!("`{}` is there already", file.display());
        return Err(Error::new("file_exists", message).hint_at("a backup never overwrites: name another file"));
    }
    let store = Store::connect(config, false).await?;
    // Under the name that was asked for there is never half a backup.
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = write(&store, &partial).await;
    store.close().await;
    let rows = match written {
        Ok(rows) => rows,
        Err(error) => {
            // What failed is what is told.
            let _ = std::fs::remove_file(&partial);
            return Err(error);
        }
    };
    std::fs::rename(&partial, file).map_err(|error| unwritable(file, &error))?;
    Ok(rows)
}

fn unwritable(file: &Path, error: &std::io::Error) -> Error {
    Error::new("unwritable_file", format!("`{}` cannot be written: {error}", file.display()))
        .hint_at("is there room, and may this user write there?")
}

async fn write(store: &Store, file: &Path) -> Result<u64, Error> {
    let mut out = Lines::new(file)?;
    let mut tx = store.begin_read().await?;
    store.unhurried(&mut tx).await?;
    let version = tables::version(&mut tx, store.dialect()).await?.ok_or_else(|| {
        Error::new("database_empty", "there is nothing to back up: no server has used this database")
            .hint_at("name the database that the server uses")
    })?;
    out.line(&Head { format: FORMAT.to_owned(), version, at: now() })?;
    let mut rows = 0;
    for table in tables::in_order(&mut tx, store.dialect()).await? {
        rows += write_table(&mut tx, &mut out, table).await?;
    }
    out.line(&End { rows })?;
    out.finish()?;
    Ok(rows)
}

async fn write_table(tx: &mut Tx, out: &mut Lines<'_>, table: String) -> Result<u64, Error> {
    // A name from the database's own list of tables.
    let select = AssertSqlSafe(format!("SELECT * FROM \"{table}\""));
    let mut stream = sqlx::query(select).fetch(&mut **tx);
    let mut rows = 0;
    while let Some(row) = stream.try_next().await? {
        if rows == 0 {
            let columns = row.columns().iter().map(|column| column.name().to_owned()).collect();
            out.line(&Table { table: table.clone(), columns })?;
        }
        out.line(&values(&row)?)?;
        rows += 1;
    }
    Ok(rows)
}

fn values(row: &AnyRow) -> Result<Vec<Value>, Error> {
    let value = |column: usize| -> sqlx::Result<Value> {
        let kind = row.try_get_raw(column)?.type_info().kind();
        Ok(match kind {
            AnyTypeInfoKind::Null => Value::Null,
            AnyTypeInfoKind::Text => row.try_get::<String, _>(column)?.into(),
            _ => row.try_get::<i64, _>(column)?.into(),
        })
    };
    Ok((0..row.len()).map(value).collect::<sqlx::Result<_>>()?)
}

/// A file written line by line.
struct Lines<'a> {
    out: BufWriter<File>,
    path: &'a Path,
}

impl<'a> Lines<'a> {
    fn new(path: &'a Path) -> Result<Self, Error> {
        let out = files::create_new(path).map_err(|error| unwritable(path, &error))?;
        Ok(Self { out: BufWriter::new(out), path })
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), Error> {
        let written = serde_json::to_writer(&mut self.out, line).map_err(std::io::Error::from);
        written.and_then(|()| self.out.write_all(b"\n")).map_err(|error| unwritable(self.path, &error))
    }

    fn finish(self) -> Result<(), Error> {
        let file = self.out.into_inner().map_err(std::io::IntoInnerError::into_error);
        file.and_then(|file| file.sync_all()).map_err(|error| unwritable(self.path, &error))
    }
}
