//! A server to stand in for the real one: the hub, a store in memory, and sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::ws::{Message, WebSocket};
use axum::extract::{Query, State, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use limitr_client::limitr::{Amount, RandomIds};
use limitr_sync::{Hub, HubOptions, Out, PolicyVersion, SessionId};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::store::Store;

pub const TOKEN: &str = "limitr_test";

pub struct StandIn {
    pub addr: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    _stop: DropGuard,
}

struct Inner {
    hub: Hub,
    store: Store,
    versions: Vec<PolicyVersion>,
    sockets: BTreeMap<SessionId, UnboundedSender<Option<String>>>,
    sessions: SessionId,
    start: Instant,
    /// Nobody gets in, and nobody stays.
    away: bool,
    /// Frames wait for the server to go on.
    paused: Option<Vec<(SessionId, String)>>,
    /// Every frame that came, in order.
    heard: Vec<Value>,
    tickets: usize,
}

fn hub() -> Hub {
    Hub::new(HubOptions::default(), RandomIds).unwrap()
}

impl StandIn {
    pub async fn start(policy: &str) -> Self {
        let server = Self::without_policy().await;
        server.publish(policy);
        server
    }

    pub async fn without_policy() -> Self {
        let inner = Inner {
            hub: hub(),
            store: Store::default(),
            versions: Vec::new(),
            sockets: BTreeMap::new(),
            sessions: 0,
            start: Instant::now(),
            away: false,
            paused: None,
            heard: Vec::new(),
            tickets: 0,
        };
        let inner = Arc::new(Mutex::new(inner));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let routes = Router::new().route("/wss/ticket", post(ticket)).route("/wss", get(upgrade));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let serving = axum::serve(listener, routes.with_state(Arc::clone(&inner)));
        tokio::spawn(async move { serving.with_graceful_shutdown(stopped).await.unwrap() });
        let (ticking, stopped) = (Arc::clone(&inner), stop.clone());
        tokio::spawn(async move {
            while !stopped.is_cancelled() {
                tokio::time::sleep(Duration::from_millis(5)).await;
                lock(&ticking).tick();
            }
        });
        Self { addr, inner, _stop: stop.drop_guard() }
    }

    pub fn publish(&self, document: &str) -> String {
        let mut inner = lock(&self.inner);
        let number = inner.versions.len() as u64 + 1;
        let version = PolicyVersion {
            id: format!("pol_{number}"),
            number,
            format: "yaml".to_owned(),
            document: document.to_owned(),
        };
        inner.versions.push(version.clone());
        let outs = inner.hub.set_policy(version).unwrap();
        inner.out(outs);
        format!("pol_{number}")
    }

    /// Connections break, and no new one is made.
    pub fn go_away(&self) {
        let mut inner = lock(&self.inner);
        inner.away = true;
        inner.cut();
    }

    pub fn come_back(&self) {
        lock(&self.inner).away = false;
    }

    /// Connections break.
    pub fn cut(&self) {
        lock(&self.inner).cut();
    }

    /// Like [`Self::cut`], by a process that ends: only what was stored is left.
    pub fn crash(&self) {
        let mut inner = lock(&self.inner);
        inner.cut();
        inner.hub = hub();
        let last = inner.versions.last().cloned().unwrap();
        inner.hub.set_policy(last).unwrap();
    }

    /// Frames are received and not looked at, until [`Self::go_on`].
    pub fn pause(&self) {
        lock(&self.inner).paused.get_or_insert_default();
    }

    pub fn go_on(&self) {
        let mut inner = lock(&self.inner);
        for (session, text) in inner.paused.take().into_iter().flatten() {
            inner.receive(session, &text);
        }
    }

    /// Runs an operation at the server, as its own API does.
    pub fn call(&self, operation: Value) {
        let mut inner = lock(&self.inner);
        inner.hub.call(0, operation);
        inner.work();
    }

    /// How many frames of a kind have come.
    pub fn heard(&self, kind: &str) -> usize {
        lock(&self.inner).heard.iter().filter(|frame| frame["type"] == kind).count()
    }

    pub fn last_heard(&self, kind: &str) -> Option<Value> {
        lock(&self.inner).heard.iter().rfind(|frame| frame["type"] == kind).cloned()
    }

    pub fn tickets(&self) -> usize {
        lock(&self.inner).tickets
    }

    pub fn connected(&self) -> usize {
        lock(&self.inner).sockets.len()
    }

    pub fn has(&self, customer: &str) -> bool {
        lock(&self.inner).store.customers.contains_key(customer)
    }

    /// What the stored record says was used.
    pub fn value(&self, customer: &str, entitlement: &str) -> Amount {
        let inner = lock(&self.inner);
        let record = inner.store.customers.get(customer).map(|(_, record, _)| record.as_str()).unwrap_or("{}");
        let record: Value = serde_json::from_str(record).unwrap();
        match &record["meters"][entitlement]["value"] {
            Value::Null => Amount::ZERO,
            value => serde_json::from_value(value.clone()).unwrap(),
        }
    }

    /// What the ledger says was used.
    pub fn ledger(&self, customer: &str, entitlement: &str) -> Amount {
        let inner = lock(&self.inner);
        let lines = inner.store.ledger.iter().map(|line| &line.effect);
        let of = lines.filter(|effect| &*effect.customer == customer && &*effect.entitlement == entitlement);
        of.fold(Amount::ZERO, |sum, effect| sum.checked_add(effect.units).unwrap())
    }
}

fn lock(inner: &Arc<Mutex<Inner>>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap()
}

impl Inner {
    fn even(&self) -> i64 {
        self.start.elapsed().as_millis() as i64
    }

    fn cut(&mut self) {
        for (session, _) in std::mem::take(&mut self.sockets) {
            self.hub.close(session);
        }
        if let Some(paused) = &mut self.paused {
            paused.clear();
        }
        self.work();
    }

    fn tick(&mut self) {
        let even = self.even();
        let outs = self.hub.tick(even);
        self.out(outs);
        self.work();
    }

    fn receive(&mut self, session: SessionId, text: &str) {
        if let Some(paused) = &mut self.paused {
            paused.push((session, text.to_owned()));
            return;
        }
        let even = self.even();
        let outs = self.hub.received(session, limitr_sync::FromEngine::read(text), text.len(), even);
        self.out(outs);
        self.work();
    }

    fn work(&mut self) {
        while let Some(mut work) = self.hub.next_work(2000) {
            let engines: Vec<String> = work.engines().map(str::to_owned).collect();
            for engine in engines {
                work.set_engine(self.store.engine(&engine));
            }
            loop {
                let names = self.hub.wants(&mut work);
                if names.is_empty() {
                    break;
                }
                let found = self.store.find(&names);
                let stale = self.hub.found(&mut work, &names, &found);
                let rows = self.store.read(&stale);
                assert!(self.hub.load(&mut work, rows).is_empty());
            }
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
            let commit = self.hub.apply(&mut work, now);
            self.store.commit(&commit);
            let outs = self.hub.committed(commit);
            self.out(outs);
        }
    }

    fn out(&mut self, outs: Vec<Out>) {
        for out in outs {
            match out {
                Out::Send(session, text) => {
                    if let Some(socket) = self.sockets.get(&session) {
                        drop(socket.send(Some(text.to_string())));
                    }
                }
                Out::Close(session) => {
                    if let Some(socket) = self.sockets.remove(&session) {
                        drop(socket.send(None));
                    }
                }
                Out::Pinned(session, wanted) => {
                    let version = self.versions.iter().find(|version| version.id == wanted).cloned();
                    let outs = self.hub.pin(session, version);
                    self.out(outs);
                }
                Out::Answered(_, answer) => drop(answer.unwrap()),
                Out::Dealt(..) | Out::Unanswered(_) => {}
            }
        }
    }
}

async fn ticket(State(inner): State<Arc<Mutex<Inner>>>, Json(body): Json<Value>) -> Response {
    let mut inner = lock(&inner);
    inner.tickets += 1;
    if inner.away {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if body["token"] != TOKEN {
        let problem = json!({
            "code": "invalid_token", "title": "Unauthorized", "status": 401,
            "detail": "the token is unknown, revoked or expired", "path": "token",
        });
        return (StatusCode::UNAUTHORIZED, Json(problem)).into_response();
    }
    Json(json!({"ticket": "limitr_ticket_1", "expires_at": 0})).into_response()
}

async fn upgrade(
    State(inner): State<Arc<Mutex<Inner>>>,
    Query(query): Query<BTreeMap<String, String>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    if query.get("ticket").map(String::as_str) != Some("limitr_ticket_1") || lock(&inner).away {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    upgrade.on_upgrade(|socket| converse(inner, socket))
}

async fn converse(inner: Arc<Mutex<Inner>>, mut socket: WebSocket) {
    let (sender, mut frames) = unbounded_channel();
    let session = {
        let mut inner = lock(&inner);
        inner.sessions += 1;
        let (session, even) = (inner.sessions, inner.even());
        inner.sockets.insert(session, sender);
        inner.hub.open(session, even);
        session
    };
    loop {
        tokio::select! {
            frame = frames.recv() => match frame {
                Some(Some(text)) => {
                    if socket.send(Message::text(text)).await.is_err() {
                        break;
                    }
                }
                // With a goodbye, or like a cable that is pulled.
                Some(None) => {
                    drop(socket.send(Message::Close(None)).await);
                    break;
                }
                None => return,
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    let mut inner = lock(&inner);
                    inner.heard.push(serde_json::from_str(&text).unwrap());
                    inner.receive(session, &text);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            },
        }
    }
    let mut inner = lock(&inner);
    inner.sockets.remove(&session);
    inner.hub.close(session);
    inner.work();
}
