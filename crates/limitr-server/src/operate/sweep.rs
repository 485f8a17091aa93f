//! What has run out is swept away. It is refused long before: sweeping only makes room.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::state::App;
use crate::store::Store;
use crate::time::{DAY, now};

const EVERY: Duration = Duration::from_secs(60);
/// How long the answers to idempotent requests are kept.
const REMEMBERED: i64 = DAY;

/// Runs until the server closes.
pub(crate) async fn run(app: Arc<App>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.closing.cancelled() => return,
            _ = ticks.tick() => {}
        }
        app.metrics.run_upkeep();
        if let Err(error) = sweep(&app.store, now()).await {
            tracing::warn!(%error, "sweeping failed; it is tried again in a minute");
        }
    }
}

async fn sweep(store: &Store, now: i64) -> sqlx::Result<()> {
    let mut tx = store.begin_write().await?;
    for (statement, before) in [
        ("DELETE FROM sessions WHERE expires_at <= $1", now),
        ("DELETE FROM tickets WHERE expires_at <= $1", now),
        ("DELETE FROM setups WHERE expires_at <= $1", now),
        ("DELETE FROM idempotency WHERE created_at <= $1", now - REMEMBERED),
    ] {
        sqlx::query(statement).bind(before).execute(&mut *tx).await?;
    }
    tx.commit().await
}
