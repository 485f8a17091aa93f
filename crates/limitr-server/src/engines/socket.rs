//! The WebSocket of an engine: frames in and out, with nothing kept that the hub does not want yet.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::{SinkExt as _, StreamExt as _};
use limitr_sync::{FromEngine, MAX_FRAME, SyncError};
use serde::Deserialize;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::BACKLOG_OF_ONE;
use super::driver::{Command, Outbound};
use crate::accounts::tickets;
use crate::accounts::tokens::Valid;
use crate::http::body::Query;
use crate::http::problem::Problem;
use crate::state::App;

/// Frames that may wait for an engine to read them; one further behind is disconnected.
const WAITING: usize = 4_096;

/// How long a peer may take to accept a frame.
const PATIENCE: Duration = Duration::from_secs(45);

/// Most of them is small, and there are many connections.
const BUFFER: usize = 8 << 10;

/// What one engine has sent that is not dealt with, in KiB: it counts against what may wait of all of them.
pub(super) struct Backlog {
    own: Semaphore,
    all: Arc<Semaphore>,
    /// Ends the connection at once, whatever it is waiting for.
    cut: CancellationToken,
}

impl Backlog {
    /// The hub wants nothing more from this engine, nor has it anything to say.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }

    /// Waits until a frame of this size may be passed on.
    async fn take(&self, bytes: usize) -> Option<()> {
        let weight = u32::try_from(weight(bytes)).ok()?;
        self.own.acquire_many(weight).await.ok()?.forget();
        self.all.acquire_many(weight).await.ok()?.forget();
        Some(())
    }

    /// A frame of this size is dealt with.
    pub(super) fn dealt(&self, bytes: usize) {
        self.own.add_permits(weight(bytes));
        self.all.add_permits(weight(bytes));
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.all.add_permits(BACKLOG_OF_ONE.saturating_sub(self.own.available_permits()));
    }
}

fn weight(bytes: usize) -> usize {
    bytes / 1024 + 1
}

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(connect))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Connecting {
    /// From `POST /wss/ticket`.
    ticket: String,
}

/// Connects an engine, by WebSocket: JSON text frames, see the reference of the protocol.
#[utoipa::path(get, path = "/wss", tag = "engines", security(()), params(Connecting),
    responses((status = 101, description = "A WebSocket.")))]
async fn connect(
    State(app): State<Arc<App>>,
    Query(Connecting { ticket }): Query<Connecting>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    // Before the ticket is spent.
    let upgrade = upgrade.map_err(|rejection| {
        Problem::new(StatusCode::BAD_REQUEST, "no_websocket", rejection.body_text())
            .hint("this address is for WebSockets: engines connect to it")
    })?;
    let token = tickets::redeem(&app.store, &ticket).await?;
    let upgrade = upgrade
        .max_message_size(MAX_FRAME)
        .max_frame_size(MAX_FRAME)
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MAX_FRAME);
    Ok(upgrade.on_upgrade(move |socket| serve(app, token, socket)))
}

async fn serve(app: Arc<App>, token: Valid, socket: WebSocket) {
    // The server does not end before the engine has been told.
    let _open = app.tasks.token();
    let session = app.engines.session();
    let (outbound, frames) = mpsc::channel(WAITING);
    let backlog = Arc::new(Backlog {
        own: Semaphore::new(BACKLOG_OF_ONE),
        all: Arc::clone(&app.engines.backlog),
        cut: CancellationToken::new(),
    });
    let open = Command::Open { session, token: token.id, outbound, backlog: Arc::clone(&backlog) };
    let Ok(hub) = app.engines.hub(&token.workspace) else { return };
    if hub.send(open).await.is_err() {
        return;
    }
    let (sink, stream) = socket.split();
    let write = write(sink, frames);
    let read = read(stream, &hub, session, &backlog);
    tokio::pin!(write, read);
    tokio::select! {
        // The hub has closed it, or it takes nothing any more.
        () = &mut write => {}
        () = backlog.cut.cancelled() => {}
        refused = &mut read => {
            if let Some(error) = refused {
                tracing::debug!(session, code = error.code, "a connection was refused");
            }
        }
    }
    let _ = hub.send(Command::Closed { session }).await;
}

/// Reads until the peer is gone or says what nobody understands.
async fn read(
    mut stream: futures_util::stream::SplitStream<WebSocket>,
    hub: &mpsc::Sender<Command>,
    session: u64,
    backlog: &Backlog,
) -> Option<SyncError> {
    while let Some(message) = stream.next().await {
        let text = match message {
            Ok(Message::Text(text)) => text,
            Ok(Message::Ping(_) | Message::Pong(_)) => continue,
            Ok(Message::Close(_)) => return None,
            Ok(Message::Binary(_)) => return Some(SyncError::new("bad_frame", "frames are text")),
            Err(error) => return Some(SyncError::new("bad_frame", error.to_string())),
        };
        // Who sends faster than is stored waits: nothing more is read from it.
        backlog.take(text.len()).await?;
        // Read here, while the hub stores what came before.
        let frame = FromEngine::read(&text);
        hub.send(Command::Frame { session, frame, bytes: text.len() }).await.ok()?;
    }
    None
}

async fn write(mut sink: futures_util::stream::SplitSink<WebSocket, Message>, mut frames: mpsc::Receiver<Outbound>) {
    while let Some(what) = frames.recv().await {
        let sent = match what {
            Outbound::Frame(frame) => timeout(PATIENCE, sink.send(Message::Text((&*frame).into()))).await,
            Outbound::Close => {
                let close = CloseFrame { code: close_code::NORMAL, reason: "".into() };
                let _ = timeout(PATIENCE, sink.send(Message::Close(Some(close)))).await;
                return;
            }
        };
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}
