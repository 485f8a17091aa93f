//! What nodes tell each other, through PostgreSQL's LISTEN and NOTIFY: which customers changed, and that a policy did.
//!
//! News may get lost with a connection: whoever listens anew looks at everything that is in use.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::postgres::PgListener;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::driver::Command;
use crate::accounts::tokens;
use crate::config::Database;
use crate::error::Error;
use crate::state::App;
use crate::store::{Dialect, Store, Tx};

const CHANNEL: &str = "limitr";

/// PostgreSQL takes less than 8,000 bytes at once.
const LONGEST: usize = 7_000;

/// How often tokens in use are looked at: one revoked on another node is found by then.
const TOKENS_EVERY: Duration = Duration::from_secs(5);

const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize, Deserialize)]
struct News {
    node: String,
    workspace: String,
    /// None when it is the policy.
    customers: Option<Vec<String>>,
}

/// Tells the other nodes, once the transaction is stored, which customers it changed.
pub(super) async fn announce_customers(
    tx: &mut Tx,
    node: &str,
    workspace: &str,
    customers: &[&str],
) -> Result<(), Error> {
    let mut rest = customers;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|id| {
            // Every character may be escaped.
            bytes += id.len() * 6 + 3;
            bytes < LONGEST
        });
        let (now, later) = rest.split_at(fits.count().clamp(1, rest.len()));
        let customers = Some(now.iter().map(|id| (*id).to_owned()).collect());
        notify(tx, &News { node: node.to_owned(), workspace: workspace.to_owned(), customers }).await?;
        rest = later;
    }
    Ok(())
}

/// Tells the other nodes that another version of the policy is in force.
pub(super) async fn announce_policy(store: &Store, node: &str, workspace: &str) -> Result<(), Error> {
    if store.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let mut tx = store.begin_write().await?;
    notify(&mut tx, &News { node: node.to_owned(), workspace: workspace.to_owned(), customers: None }).await?;
    Ok(tx.commit().await?)
}

async fn notify(tx: &mut Tx, news: &News) -> Result<(), Error> {
    let payload = serde_json::to_string(news).map_err(|error| Error::new("internal", error.to_string()))?;
    // It answers with nothing, of a type that is not asked for.
    sqlx::query("SELECT CAST(pg_notify($1, $2) AS TEXT)").bind(CHANNEL).bind(payload).execute(&mut **tx).await?;
    Ok(())
}

/// Passes the news of other nodes on to the hubs here, for as long as the server runs.
pub(super) async fn listen(app: Arc<App>, database: Database) {
    let Some(url) = database.postgres() else { return };
    let closing = app.closing.clone();
    let hear = async {
        loop {
            if let Err(error) = hear(&app, url.reveal()).await {
                let error = Error::from(error);
                tracing::warn!(%error, "the other nodes cannot be heard");
            }
            sleep(AGAIN).await;
        }
    };
    tokio::select! {
        () = hear => {}
        () = closing.cancelled() => {}
    }
}

async fn hear(app: &App, url: &str) -> sqlx::Result<()> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen(CHANNEL).await?;
    // What was said before this is unknown.
    look_at_everything(app).await;
    loop {
        let Some(notification) = listener.try_recv().await? else {
            look_at_everything(app).await;
            continue;
        };
        let Ok(news) = serde_json::from_str::<News>(notification.payload()) else { continue };
        if news.node == app.engines.node {
            continue;
        }
        let Some(hub) = app.engines.running(&news.workspace) else { continue };
        let command = news.customers.map_or(Command::LookForPolicy, Command::Changed);
        // A hub that is gone has nothing to be told.
        let _ = hub.send(command).await;
    }
}

async fn look_at_everything(app: &App) {
    for (_, hub) in app.engines.all() {
        let _ = hub.send(Command::LookForPolicy).await;
        let _ = hub.send(Command::ChangedAny).await;
    }
}

/// Ends connections whose tokens are revoked: at once here, within seconds elsewhere.
pub(super) async fn watch_tokens(app: Arc<App>) {
    let mut revoked_here = app.revocations.subscribe();
    loop {
        let revoked = tokio::select! {
            revoked = revoked_here.recv() => revoked.map(|token| vec![token]).unwrap_or_default(),
            () = sleep(TOKENS_EVERY) => revoked_elsewhere(&app).await,
            () = app.closing.cancelled() => return,
        };
        if revoked.is_empty() {
            continue;
        }
        for (_, hub) in app.engines.all() {
            let _ = hub.send(Command::Revoked(revoked.clone())).await;
        }
    }
}

async fn revoked_elsewhere(app: &App) -> Vec<String> {
    let mut revoked = Vec::new();
    for (_, hub) in app.engines.all() {
        let (reply, answer) = oneshot::channel();
        if hub.send(Command::Tokens(reply)).await.is_err() {
            continue;
        }
        let mut tokens = answer.await.unwrap_or_default();
        tokens.sort_unstable();
        tokens.dedup();
        match tokens::revoked(&app.store, &tokens).await {
            Ok(found) => revoked.extend(found),
            Err(error) => tracing::warn!(%error, "tokens in use could not be looked at"),
        }
    }
    revoked
}
