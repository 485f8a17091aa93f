//! What every request can reach.

use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::tokens::Revocations;
use crate::config::Config;
use crate::engines::Engines;
use crate::http::limit::Limits;
use crate::http::peer::Proxies;
use crate::store::Store;

/// One running server, behind an `Arc`.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) store: Store,
    /// The engines of the workspaces, and who is connected to them.
    pub(crate) engines: Engines,
    pub(crate) revocations: Revocations,
    pub(crate) limits: Limits,
    pub(crate) proxies: Proxies,
    pub(crate) metrics: PrometheusHandle,
    /// Cancelled when the server begins to stop: who waits for something else gives up then.
    pub(crate) closing: CancellationToken,
    /// What the server waits for before it stops: connections, and whatever is spawned here.
    pub(crate) tasks: TaskTracker,
}
