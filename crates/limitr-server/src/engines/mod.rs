//! The workspaces' live engines: one hub a workspace on this node, made when it is first needed.
//!
//! A hub is driven by one task (`driver.rs`), so that what is applied, stored and said has one order. It stores through
//! `records.rs` in one transaction a work. Nodes tell each other through the database (`news.rs`).

mod changes;
mod driver;
mod ledger;
mod news;
mod records;
mod socket;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use limitr_sync::{HubOptions, PolicyVersion};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::changes::Authored;
use self::driver::{Command, Driver};
pub(crate) use self::socket::routes;
use crate::error::Error;
use crate::http::problem::Problem;
use crate::secret;
use crate::state::App;
use crate::store::{Dialect, Store};

/// Commands that may wait for a hub before those who send them have to.
const WAITING: usize = 1024;

/// Of what engines sent, the most that waits for the database, in KiB: of all of them, and of one.
const BACKLOG: usize = 256 << 10;
const BACKLOG_OF_ONE: usize = 4 << 10;

/// The engines of the workspaces.
pub(crate) struct Engines {
    store: Store,
    hubs: Mutex<HashMap<String, mpsc::Sender<Command>>>,
    next_session: AtomicU64,
    backlog: Arc<Semaphore>,
    /// Tells what this node announces from what others do.
    node: String,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Engines {
    pub(crate) fn new(store: Store, closing: CancellationToken, tasks: TaskTracker) -> Result<Self, Error> {
        Ok(Self {
            store,
            hubs: Mutex::default(),
            next_session: AtomicU64::new(1),
            backlog: Arc::new(Semaphore::new(BACKLOG)),
            node: secret::id("node_")?,
            closing,
            tasks,
        })
    }

    /// Listens to the other nodes, and closes the connections of tokens that are revoked.
    pub(crate) fn start(&self, app: &Arc<App>) {
        if self.store.dialect() == Dialect::Postgres {
            self.tasks.spawn(news::listen(Arc::clone(app), app.config.database.clone()));
        }
        self.tasks.spawn(news::watch_tokens(Arc::clone(app)));
    }

    /// Runs one engine operation on the workspace's engine; what came of it is stored when this returns.
    pub(crate) async fn call(&self, workspace: &str, operation: Value) -> Result<Value, Problem> {
        self.ask(workspace, operation, None).await
    }

    /// [`Engines::call`] of an operation that changes a customer, which is written down with it.
    pub(crate) async fn change(&self, workspace: &str, operation: Value, authored: Authored) -> Result<Value, Problem> {
        self.ask(workspace, operation, Some(authored)).await
    }

    async fn ask(&self, workspace: &str, operation: Value, authored: Option<Authored>) -> Result<Value, Problem> {
        let (reply, answer) = oneshot::channel();
        self.send(workspace, Command::Call { operation, authored, reply }).await?;
        let unanswered = |_| if self.closing.is_cancelled() { closing() } else { not_stored() };
        Ok(answer.await.map_err(unanswered)??)
    }

    /// A version became active, and that is stored: the engines are told.
    pub(crate) async fn published(&self, workspace: &str, version: PolicyVersion) {
        if let Err(error) = news::announce_policy(&self.store, &self.node, workspace).await {
            tracing::warn!(%error, workspace, "the other nodes were not told of a policy; they look for themselves");
        }
        // One that cannot be told is closing.
        let _ = self.send(workspace, Command::Policy(version)).await;
    }

    /// The hub of a workspace, if it runs here.
    fn running(&self, workspace: &str) -> Option<mpsc::Sender<Command>> {
        self.lock().get(workspace).filter(|hub| !hub.is_closed()).cloned()
    }

    /// Every hub that runs here, and its workspace.
    fn all(&self) -> Vec<(String, mpsc::Sender<Command>)> {
        self.lock().iter().map(|(workspace, hub)| (workspace.clone(), hub.clone())).collect()
    }

    async fn send(&self, workspace: &str, command: Command) -> Result<(), Problem> {
        self.hub(workspace)?.send(command).await.map_err(|_| closing())
    }

    fn hub(&self, workspace: &str) -> Result<mpsc::Sender<Command>, Problem> {
        if self.closing.is_cancelled() {
            return Err(closing());
        }
        if let Some(hub) = self.running(workspace) {
            return Ok(hub);
        }
        let mut hubs = self.lock();
        if let Some(hub) = hubs.get(workspace).filter(|hub| !hub.is_closed()) {
            return Ok(hub.clone());
        }
        let (sender, receiver) = mpsc::channel(WAITING);
        let driver =
            Driver::new(workspace, HubOptions::default(), self.store.clone(), self.node.clone(), self.closing.clone())?;
        self.tasks.spawn(driver.run(receiver));
        hubs.insert(workspace.to_owned(), sender.clone());
        Ok(sender)
    }

    fn session(&self) -> u64 {
        self.next_session.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, mpsc::Sender<Command>>> {
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_stored() -> Problem {
    let message = "the change could not be stored; the server's log says why, and nothing was changed";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "not_stored", message)
}

fn closing() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "this server is stopping").retry_after(1)
}
