//! Connections: accepted up to a number, given little time to say what they want, and drained at the end.
//!
//! HTTP/1.1, which WebSockets need and proxies speak: without a second version there is no guessing, which would have no
//! timeout of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::config::Config;
use crate::error::Error;
use crate::state::App;

/// Binds the address; port 0 takes any that is free.
pub(crate) async fn bind(config: &Config) -> Result<TcpListener, Error> {
    let listen = &config.listen;
    TcpListener::bind(listen).await.map_err(|error| {
        Error::new("cannot_listen", format!("cannot listen on {listen}: {error}"))
            .at("listen")
            .hint_at("is another server running there? Name another port: 127.0.0.1:7071")
    })
}

/// Reads certificate and key, if there are any.
pub(crate) fn tls(config: &Config) -> Result<Option<TlsAcceptor>, Error> {
    let (Some(cert), Some(key)) = (&config.tls_cert, &config.tls_key) else { return Ok(None) };
    let unusable = |path: &'static str, file: &Path, error: &dyn std::fmt::Display| {
        Error::new("unusable_certificate", format!("`{}` cannot be used: {error}", file.display()))
            .at(path)
            .hint_at("a certificate chain and its private key in PEM are needed")
    };
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| unusable("tls_cert", cert, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable("tls_key", key, &error))?;
    let server = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, private);
    let mut server = server.map_err(|error| unusable("tls_cert", cert, &error))?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(server))))
}

/// Accepts until the server closes.
pub(crate) async fn accept(app: Arc<App>, listener: TcpListener, tls: Option<TlsAcceptor>, router: Router) {
    let places = Arc::new(Semaphore::new(app.config.connections.min(Semaphore::MAX_PERMITS)));
    loop {
        // With all places taken the next ones wait in the system's queue.
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((place, listener.accept().await))
        };
        let accepted = tokio::select! {
            () = app.closing.cancelled() => return,
            accepted = accepted => accepted,
        };
        match accepted {
            Some((place, Ok((stream, peer)))) => {
                let connection = serve(Arc::clone(&app), stream, peer, tls.clone(), router.clone(), place);
                app.tasks.spawn(connection);
            }
            Some((_, Err(error))) => {
                // Out of file descriptors, mostly: it passes when others close.
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(100)).await;
            }
            None => return,
        }
    }
}

async fn serve(
    app: Arc<App>,
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    place: OwnedSemaphorePermit,
) {
    // Answers are small and wanted at once.
    let _ = stream.set_nodelay(true);
    match tls {
        None => converse(&app, stream, peer, router).await,
        Some(tls) => match timeout(Duration::from_secs(app.config.header_seconds), tls.accept(stream)).await {
            Ok(Ok(stream)) => converse(&app, stream, peer, router).await,
            Ok(Err(error)) => tracing::debug!(%error, "no TLS"),
            Err(_) => tracing::debug!("no TLS in time"),
        },
    }
    drop(place);
}

async fn converse<S>(app: &App, stream: S, peer: SocketAddr, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(app.config.header_seconds));
    let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = app.closing.cancelled() => {
            // What is under way is answered, and nothing after it.
            connection.as_mut().graceful_shutdown();
            let drain = Duration::from_secs(app.config.drain_seconds);
            timeout(drain, connection).await.unwrap_or_else(|_| {
                tracing::warn!("a connection was cut off: it was not done in time");
                Ok(())
            })
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}
