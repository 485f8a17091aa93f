//! The managed layer of Limitr, self-hosted: one process, and a SQLite file or a PostgreSQL.
//!
//! ```no_run
//! # async fn run() -> Result<(), limitr_server::Error> {
//! let config = limitr_server::Config::load([], std::env::vars(), None)?;
//! let running = limitr_server::Server::start(config).await?;
//! if let Some(link) = running.setup_link() {
//!     eprintln!("set it up at {link}");
//! }
//! running.stop().await;
//! # Ok(())
//! # }
//! ```

mod accounts;
mod audit;
mod config;
mod customers;
#[cfg(test)]
#[path = "../tests/support/database.rs"]
mod database;
mod enforcement;
mod engines;
mod error;
mod files;
mod http;
mod operate;
mod policies;
mod secret;
mod state;
mod store;
mod suggest;
mod time;
mod usage;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::config::{Config, Database, LogFormat, LogLevel};
pub use self::error::Error;
pub use self::operate::backup::{backup, restore};
pub use self::operate::dev::Dev;
use crate::engines::Engines;
use crate::http::limit::Limits;
use crate::http::peer::Proxies;
use crate::http::serve;
use crate::operate::logging::{self, Traces};
use crate::operate::{checkpoint, dev, metrics, sweep};
use crate::state::App;
use crate::store::Store;

/// The server.
#[derive(Debug)]
pub struct Server;

/// A server that runs. Dropping it does not stop it: [`Running::stop`] does.
pub struct Running {
    addr: SocketAddr,
    setup_link: Option<String>,
    dev: Option<Dev>,
    app: Arc<App>,
    traces: Option<Traces>,
}

impl Server {
    /// Reads certificates, binds the address, opens the database, brings its tables up to date, and serves.
    ///
    /// # Errors
    ///
    /// When one of these fails. The error says what to do about it.
    pub async fn start(config: Config) -> Result<Running, Error> {
        config.check()?;
        // For connections that the server makes itself. Somebody may have chosen another one for the process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let traces = logging::start(&config)?;
        let metrics = metrics::install()?;
        let tls = serve::tls(&config)?;
        let listener = serve::bind(&config).await?;
        let addr = listener.local_addr().map_err(|error| Error::new("cannot_listen", error.to_string()))?;
        let store = Store::open(&config).await?;
        let dev = if config.dev { dev::prepare(&store).await? } else { None };
        let base = base_url(&config, addr);
        let offered = accounts::setup::offer(&store).await?;
        let setup_link = offered.map(|secret| format!("{base}/setup#{}", secret.reveal()));
        let (closing, tasks) = (CancellationToken::new(), TaskTracker::new());
        let app = Arc::new(App {
            engines: Engines::new(store.clone(), closing.clone(), tasks.clone())?,
            limits: Limits::new(&config),
            proxies: Proxies(config.networks()?),
            revocations: accounts::tokens::Revocations::new(),
            store,
            metrics,
            closing,
            tasks,
            config,
        });
        let router = http::router(&app);
        app.tasks.spawn(serve::accept(Arc::clone(&app), listener, tls, router));
        app.tasks.spawn(sweep::run(Arc::clone(&app)));
        app.tasks.spawn(checkpoint::run(Arc::clone(&app)));
        app.engines.start(&app);
        tracing::info!(%addr, database = %app.config.database, "listening");
        Ok(Running { addr, setup_link, dev, app, traces })
    }
}

fn base_url(config: &Config, addr: SocketAddr) -> String {
    let scheme = if config.tls_cert.is_some() { "https" } else { "http" };
    let own = || format!("{scheme}://{addr}");
    config.public_url.as_deref().map_or_else(own, |url| url.trim_end_matches('/').to_owned())
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The link that makes the workspace and its owner, once, as long as there is none. It is a secret: show it, do not log
    /// it.
    #[must_use]
    pub fn setup_link(&self) -> Option<&str> {
        self.setup_link.as_deref()
    }

    /// What `dev` has made at this start, if it did. Secrets: show them, do not log them.
    #[must_use]
    pub fn dev(&self) -> Option<&Dev> {
        self.dev.as_ref()
    }

    /// Accepts nothing more, answers what is under way within the time configured for it, and closes the database.
    pub async fn stop(self) {
        let Self { app, traces, .. } = self;
        tracing::info!("stopping");
        app.closing.cancel();
        app.tasks.close();
        let drain = Duration::from_secs(app.config.drain_seconds);
        // A second more than connections have, which end themselves.
        if timeout(drain + Duration::from_secs(1), app.tasks.wait()).await.is_err() {
            tracing::warn!(left = app.tasks.len(), "not everything ended in time");
        }
        app.store.close().await;
        tracing::info!("stopped");
        if let Some(traces) = traces {
            traces.stop().await;
        }
    }
}
