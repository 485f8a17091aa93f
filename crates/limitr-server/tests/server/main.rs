//! The server as programs and people meet it: over HTTP, on both databases.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

#[path = "../support/client.rs"]
mod client;
#[path = "../support/database.rs"]
mod database;

mod accounts;
mod backups;
mod connections;
mod customers;
mod document;
mod enforcement;
mod engines;
mod faults;
mod http;
mod idempotency;
mod nodes;
mod policies;
mod tokens;
mod usage;

/// Runs each test once for each database.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(crate::database::Kind::Sqlite).await; })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(crate::database::Kind::Postgres).await; })*
        }
    };
}
use on_both;
