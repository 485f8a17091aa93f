//! What the drivers say, as errors of our own. None of them repeats an address or a value.

use sqlx::Error as Driver;
use sqlx::error::DatabaseError;

use crate::error::Error;

impl From<Driver> for Error {
    fn from(error: Driver) -> Self {
        match error {
            Driver::Database(error) => of_database(&*error),
            Driver::PoolTimedOut => Self::new("database_busy", "no connection to the database came free in time")
                .hint_at("try again; if it stays so, the database is overloaded or cannot be reached"),
            Driver::Io(error) => unavailable(&error.to_string()),
            Driver::Tls(error) => unavailable(&format!("TLS failed: {error}"))
                .hint_at("is the server's certificate trusted? `sslmode` in its address says how it is checked"),
            Driver::Configuration(_) => Self::new("invalid_config", "the address of the database cannot be read")
                .hint_at("write postgres://user:password@host:5432/name, special characters percent-encoded"),
            Driver::PoolClosed | Driver::WorkerCrashed => unavailable("it has been closed"),
            other => Self::new("database_failed", format!("the database failed: {other}")),
        }
    }
}

fn unavailable(what: &str) -> Error {
    Error::new("database_unavailable", format!("the database cannot be reached: {what}"))
        .hint_at("does it run, and can this machine reach it?")
}

fn of_database(error: &dyn DatabaseError) -> Error {
    let code = error.code().unwrap_or_default();
    let sqlite = code.parse::<u32>().ok().filter(|_| code.len() < 5);
    // The extended codes of SQLite have the plain one in their last byte. Those of PostgreSQL have five characters.
    match (sqlite.map(|code| code & 0xFF), &*code) {
        (Some(5 | 6), _) => Error::new("database_locked", "another process holds the database")
            .hint_at("does another server use the same file? One file serves one node; several need PostgreSQL"),
        (Some(13), _) | (_, "53100") => {
            Error::new("database_full", "the disk of the database is full").hint_at("make room; nothing was changed")
        }
        (Some(11 | 26), _) | (_, "XX001" | "XX002") => {
            Error::new("database_corrupt", "the file is no database, or a damaged one")
                .hint_at("name another file, or restore a backup into an empty database: limitr restore")
        }
        (Some(8), _) | (_, "25006") => Error::new("database_read_only", "the database cannot be written to")
            .hint_at("may this user write the file and its directory? Is the address that of a replica?"),
        (Some(14), _) => Error::new("database_unavailable", "the file cannot be opened")
            .hint_at("does its directory exist, and may this user write there?"),
        (Some(10), _) => Error::new("database_unavailable", "reading or writing the file failed")
            .hint_at("is the disk in order? A network file system cannot hold the file"),
        (_, "28P01" | "28000") => Error::new("database_refused", "the database refuses this user or password")
            .hint_at("check user and password in the address"),
        (_, "3D000") => Error::new("database_missing", "there is no database of this name").hint_at("create it first"),
        (_, "42501") => Error::new("database_refused", "this user may not do that in the database")
            .hint_at("the user needs to own the schema, or be allowed to create tables in it"),
        (_, "53300" | "55000" | "57P01" | "57P02" | "57P03") => unavailable("it takes no connections right now"),
        (_, "40001" | "40P01") => {
            Error::new("database_busy", "two changes stood in each other's way").hint_at("try again")
        }
        (_, "22021" | "22P05") => Error::new("invalid_text", "a text holds characters that cannot be stored")
            .hint_at("take the NUL characters out"),
        // The message names tables and columns. What it says of values is in its detail, which is left out.
        _ => Error::new("database_failed", format!("the database failed: {} ({code})", error.message())),
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, Executor as _, SqliteConnection};

    use super::*;
    use crate::http::problem::Problem;

    #[tokio::test]
    async fn a_full_database_says_so_and_is_no_mistake_of_the_server() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        connection.execute("CREATE TABLE t (text TEXT); PRAGMA max_page_count = 4").await.unwrap();
        let text = "x".repeat(100_000);
        let full = sqlx::query("INSERT INTO t VALUES ($1)").bind(text).execute(&mut connection).await.unwrap_err();
        let error = Error::from(full);
        assert_eq!(error.code(), "database_full");
        assert_eq!(Problem::from(error).status(), 507);
    }

    #[test]
    fn what_is_not_known_is_told_to_nobody_but_the_log() {
        let error = Error::from(Driver::RowNotFound);
        assert_eq!(error.code(), "database_failed");
        let problem = Problem::from(error);
        assert_eq!((problem.status().as_u16(), problem.to_string().as_str()), (500, "the server made a mistake"));
    }
}
