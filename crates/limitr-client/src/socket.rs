//! The way to the server: a ticket for the token, a WebSocket for the ticket.

use std::sync::Arc;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use limitr_sync::MAX_FRAME;
use reqwest::{Response, StatusCode, Url};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use crate::error::Error;
use crate::options::CloudOptions;

type WebSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Longest answer about a ticket that is looked at, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// Where the server is, and with what to go there.
pub(crate) struct Server {
    http: reqwest::Client,
    tls: Arc<ClientConfig>,
    token: String,
    ticket: Url,
    ws: Url,
}

/// An attempt that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    /// Whether it will fail again.
    pub(crate) lasting: bool,
}

impl Failed {
    fn for_now(error: Error) -> Self {
        Self { error, lasting: false }
    }
}

impl Server {
    pub(crate) fn new(options: &CloudOptions) -> Result<Self, Error> {
        let (ticket, ws) = options.addresses(|variable| std::env::var(variable).ok())?;
        let tls = tls(ticket.scheme() == "https" || ws.scheme() == "wss")?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            // Nobody is to be sent the token but the server; and both ways are the same.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("limitr-client/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::new("cannot_connect", told(&error)))?;
        Ok(Self { http, tls: Arc::new(tls), token: options.token.clone(), ticket, ws })
    }

    /// A new connection.
    pub(crate) async fn connect(self: Arc<Self>) -> Result<Socket, Failed> {
        let ticket = self.ticket().await?;
        let mut url = self.ws.clone();
        url.query_pairs_mut().append_pair("ticket", &ticket);
        let config = WebSocketConfig::default().max_message_size(Some(MAX_FRAME)).max_frame_size(Some(MAX_FRAME));
        let connector = Connector::Rustls(self.tls.clone());
        let connected = connect_async_tls_with_config(url.as_str(), Some(config), true, Some(connector)).await;
        let (socket, _) = connected.map_err(|error| {
            let why = match &error {
                tungstenite::Error::Http(response) => format!("it answered {}", response.status()),
                // Not every error is known to leave out the address, and the ticket with it.
                other => other.to_string().replace(&ticket, "..."),
            };
            Failed::for_now(unreachable(&self.ws, &why))
        })?;
        Ok(Socket::new(socket))
    }

    async fn ticket(&self) -> Result<String, Failed> {
        let request = self.http.post(self.ticket.clone()).json(&json!({"token": self.token}));
        let response = request.send().await;
        let response = response.map_err(|error| Failed::for_now(unreachable(&self.ticket, &told(&error))))?;
        let status = response.status();
        let answer = body(response).await;
        match answer.get("ticket").and_then(Value::as_str) {
            Some(ticket) if status.is_success() => Ok(ticket.to_owned()),
            _ => Err(refused(&self.ticket, status, &answer)),
        }
    }
}

/// TLS by the certificates that the system trusts; without it none of them is read.
fn tls(needed: bool) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let verified = builder.and_then(|builder| {
        Ok(if needed {
            builder.with_platform_verifier()?.with_no_client_auth()
        } else {
            builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        })
    });
    verified.map_err(|error| {
        Error::new("cannot_verify", format!("the certificates of this system cannot be used: {error}"))
            .hint_at("install the system's certificates (`ca-certificates`), or name a file of them in `SSL_CERT_FILE`")
    })
}

async fn body(mut response: Response) -> Value {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_ANSWER {
            return Value::Null;
        }
    }
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// The server, or something in front of it, did not give a ticket.
fn refused(url: &Url, status: StatusCode, answer: &Value) -> Failed {
    let text = |field: &str| answer.get(field).and_then(Value::as_str).map(str::to_owned);
    let patience = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS, StatusCode::TOO_EARLY];
    let lasting = status.is_client_error() && !patience.contains(&status);
    let error = match (text("code"), text("detail")) {
        (Some(code), Some(detail)) => {
            let error = Error::new(code, detail);
            let error = match text("path") {
                Some(path) => error.at(path),
                None => error,
            };
            match text("hint") {
                Some(hint) => error.hint_at(hint),
                None if status == StatusCode::UNAUTHORIZED => error.hint_at("make a token of scope `engine`"),
                None => error,
            }
        }
        _ => unreachable(url, &format!("it answered {status} to the request for a ticket")),
    };
    Failed { error, lasting }
}

fn unreachable(url: &Url, why: &str) -> Error {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let hint = if why.contains("certificate") {
        "`SSL_CERT_FILE` names a file of certificates to trust instead of the system's"
    } else {
        "does the server run there? `ws_address` and `ticket_address` say where it is"
    };
    Error::new("cannot_connect", format!("cannot connect to {}://{host}{port}: {why}", url.scheme())).hint_at(hint)
}

/// What reqwest has to say, down to the cause and without the address, which is said already.
fn told(error: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(next) = source.source() {
        source = next;
    }
    source.to_string()
}

/// An open connection. Dropped, it is gone.
pub(crate) struct Socket {
    incoming: SplitStream<WebSocket>,
    outgoing: mpsc::UnboundedSender<Message>,
    writer: JoinHandle<()>,
}

impl Socket {
    fn new(socket: WebSocket) -> Self {
        let (sink, incoming) = socket.split();
        let (outgoing, frames) = mpsc::unbounded_channel();
        // By itself: a server that is slow to read must not keep this end from reading. How much can wait here is bounded by
        // what a link sends without an acknowledgement.
        let writer = tokio::spawn(write(sink, frames));
        Self { incoming, outgoing, writer }
    }

    pub(crate) fn send(&self, frame: String) {
        // A writer that has ended will be noticed by reading.
        let _ = self.outgoing.send(Message::text(frame));
    }

    /// The next frame; none when the connection is gone.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            match self.incoming.next().await? {
                Ok(Message::Text(text)) => return Some(text.as_str().to_owned()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Says goodbye, after everything that was sent.
    pub(crate) async fn close(mut self) {
        let _ = self.outgoing.send(Message::Close(None));
        while self.next().await.is_some() {}
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

async fn write(mut sink: SplitSink<WebSocket, Message>, mut frames: mpsc::UnboundedReceiver<Message>) {
    while let Some(frame) = frames.recv().await {
        if sink.feed(frame).await.is_err() {
            return;
        }
        while let Ok(frame) = frames.try_recv() {
            if sink.feed(frame).await.is_err() {
                return;
            }
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> Url {
        Url::parse("https://limits.example.com/wss/ticket").unwrap()
    }

    #[test]
    fn what_the_server_says_is_told() {
        let answer = json!({"code": "forbidden", "detail": "no", "path": "token", "hint": "make another"});
        let Failed { error, lasting } = refused(&url(), StatusCode::FORBIDDEN, &answer);
        assert_eq!((error.code(), error.path(), error.hint()), ("forbidden", Some("token"), Some("make another")));
        assert!(lasting);
    }

    #[test]
    fn what_passes_is_tried_again() {
        for (status, lasting) in [(401, true), (404, true), (408, false), (429, false), (500, false), (503, false)] {
            let failed = refused(&url(), StatusCode::from_u16(status).unwrap(), &Value::Null);
            assert_eq!((failed.lasting, failed.error.code()), (lasting, "cannot_connect"), "{status}");
            assert!(failed.error.to_string().starts_with("cannot connect to https://limits.example.com: it answered"));
        }
    }
}
