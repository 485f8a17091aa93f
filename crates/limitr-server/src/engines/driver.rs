//! The task that drives a hub: commands in, works stored one after the other, frames out.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use limitr_sync::{Answer, FromEngine, Hub, HubOptions, Out, PolicyVersion, SessionId, SyncError, Work};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::changes::Authored;
use super::records::{self, Place, Stored};
use super::socket::Backlog;
use crate::error::Error;
use crate::policies;
use crate::secret;
use crate::store::Store;
use crate::time::Millis;

/// Most entries stored in one transaction.
const ENTRIES: usize = 10_000;

/// Most commands taken between two works.
const COMMANDS: usize = 512;

/// How often connections are looked after, at least.
const TICK: Duration = Duration::from_millis(25);
const IDLE_TICK: Duration = Duration::from_secs(1);

/// Pauses after a work that could not be stored.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Failures that time mends, or somebody who looks after the database: what engines sent waits for that.
const PASSING: [&str; 8] = [
    "database_busy",
    "database_corrupt",
    "database_full",
    "database_locked",
    "database_missing",
    "database_read_only",
    "database_refused",
    "database_unavailable",
];

/// After how many other failures in a row jobs are stored one by one, and after how many more one is left out: it must not
/// hold up the others for ever.
const FAILURES: (u32, u32) = (3, 5);

/// How long what is left is worked off when the server stops.
const LAST_WORKS: Duration = Duration::from_secs(5);

/// What a hub is told.
pub(super) enum Command {
    /// An engine has connected, with this token.
    Open { session: SessionId, token: String, outbound: mpsc::Sender<Outbound>, backlog: Arc<Backlog> },
    /// It sent a frame, of so many bytes.
    Frame { session: SessionId, frame: Result<FromEngine, SyncError>, bytes: usize },
    /// It is gone.
    Closed { session: SessionId },
    /// An operation by way of REST, and what is to be written down with it.
    Call { operation: Value, authored: Option<Authored>, reply: oneshot::Sender<Answer> },
    /// A version is in force.
    Policy(PolicyVersion),
    /// The version in force may be another one.
    LookForPolicy,
    /// Other nodes have changed these customers.
    Changed(Vec<String>),
    /// Other nodes may have changed any customer.
    ChangedAny,
    /// Tokens do not hold any more.
    Revoked(Vec<String>),
    /// Which tokens are in use.
    Tokens(oneshot::Sender<Vec<String>>),
}

/// What is sent to an engine.
#[derive(Debug)]
pub(super) enum Outbound {
    Frame(Arc<str>),
    Close,
}

struct Connection {
    token: String,
    outbound: mpsc::Sender<Outbound>,
    /// What of the backlog the engine has taken.
    backlog: Arc<Backlog>,
}

pub(super) struct Driver {
    workspace: String,
    hub: Hub,
    store: Store,
    node: String,
    closing: CancellationToken,
    connections: HashMap<SessionId, Connection>,
    calls: HashMap<u64, oneshot::Sender<Answer>>,
    /// Those of them that are to be written down.
    authored: HashMap<u64, Authored>,
    next_call: u64,
    begun: Instant,
    pause: Duration,
    /// Works in a row that failed in a way that time does not mend.
    failures: u32,
    /// Jobs to be stored one by one: one of them is why.
    singly: usize,
    /// Versions of the policy that engines are pinned to, to be looked up.
    pinned: VecDeque<(SessionId, String)>,
}

impl Driver {
    pub(super) fn new(
        workspace: &str,
        options: HubOptions,
        store: Store,
        node: String,
        closing: CancellationToken,
    ) -> Result<Self, Error> {
        let ids = || secret::id("").unwrap_or_default();
        let hub = Hub::new(options, Ids(ids)).map_err(|error| Error::new("internal", error.to_string()))?;
        Ok(Self {
            workspace: workspace.to_owned(),
            hub,
            store,
            node,
            closing,
            connections: HashMap::new(),
            calls: HashMap::new(),
            authored: HashMap::new(),
            next_call: 0,
            begun: Instant::now(),
            pause: PAUSES.0,
            failures: 0,
            singly: 0,
            pinned: VecDeque::new(),
        })
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        self.look_for_policy().await;
        loop {
            let idle = self.hub.is_idle();
            let wait = if self.hub.has_news() { TICK } else { IDLE_TICK };
            if idle {
                tokio::select! {
                    command = commands.recv() => match command {
                        Some(command) => self.obey(command).await,
                        None => break,
                    },
                    () = sleep(wait) => {}
                    () = self.closing.cancelled() => break,
                }
            }
            for _ in 0..COMMANDS {
                let Ok(command) = commands.try_recv() else { break };
                self.obey(command).await;
            }
            if self.closing.is_cancelled() {
                break;
            }
            self.work().await;
            let outs = self.hub.tick(self.even());
            self.say(outs);
            self.pin().await;
        }
        commands.close();
        // What has arrived is stored; what has not, engines send again.
        let rest = async {
            while let Some(command) = commands.recv().await {
                self.obey(command).await;
            }
            while !self.hub.is_idle() {
                self.work().await;
            }
        };
        if timeout(LAST_WORKS, rest).await.is_err() {
            tracing::warn!(workspace = self.workspace, "not everything could be stored before the end");
        }
        for connection in self.connections.values() {
            // One that takes nothing any more is closed with the process.
            let _ = connection.outbound.try_send(Outbound::Close);
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Open { session, token, outbound, backlog } => {
                self.connections.insert(session, Connection { token, outbound, backlog });
                self.hub.open(session, self.even());
                metrics::gauge!("limitr_engines_connected").increment(1);
            }
            Command::Frame { session, frame, bytes } => {
                let outs = self.hub.received(session, frame, bytes, self.even());
                self.say(outs);
            }
            Command::Closed { session } => {
                self.hub.close(session);
                self.disconnect(session);
            }
            Command::Call { operation, authored, reply } => {
                self.next_call += 1;
                self.calls.insert(self.next_call, reply);
                match authored {
                    Some(authored) => {
                        self.hub.change(self.next_call, authored.customer.clone(), operation);
                        self.authored.insert(self.next_call, authored);
                    }
                    None => self.hub.call(self.next_call, operation),
                }
            }
            Command::Policy(version) => self.adopt(version),
            Command::LookForPolicy => self.look_for_policy().await,
            Command::Changed(customers) => self.hub.refresh(customers),
            Command::ChangedAny => {
                let held: Vec<String> = self.hub.held().map(str::to_owned).collect();
                self.hub.refresh(held);
            }
            Command::Revoked(tokens) => {
                let using =
                    |(id, connection): (&SessionId, &Connection)| tokens.contains(&connection.token).then_some(*id);
                let sessions: Vec<SessionId> = self.connections.iter().filter_map(using).collect();
                for session in sessions {
                    let error = SyncError::new("token_revoked", "the token of this connection does not hold any more");
                    let outs = self.hub.expel(session, error.hint("connect with another one"));
                    self.say(outs);
                }
            }
            Command::Tokens(reply) => {
                let tokens = self.connections.values().map(|connection| connection.token.clone()).collect();
                // Who asked may have stopped waiting.
                let _ = reply.send(tokens);
            }
        }
    }

    /// Stores some of what waits. One that fails is tried again until it is stored: nobody was told that it is.
    async fn work(&mut self) {
        let most = if self.singly > 0 { 1 } else { ENTRIES };
        let Some(mut work) = self.hub.next_work(most) else { return };
        let begun = Instant::now();
        let place = Place { workspace: &self.workspace, node: &self.node, authored: &self.authored };
        match records::store(&self.store, &mut self.hub, &mut work, &place).await {
            Ok(Stored { commit, lines }) => {
                (self.pause, self.failures) = (PAUSES.0, 0);
                self.singly = self.singly.saturating_sub(1);
                metrics::counter!("limitr_ledger_lines").increment(lines);
                metrics::histogram!("limitr_store_seconds").record(begun.elapsed());
                let outs = self.hub.committed(commit);
                self.say(outs);
            }
            Err(failure) => self.fail(work, failure).await,
        }
    }

    async fn fail(&mut self, work: Work, failure: records::Failure) {
        let records::Failure { error, commit } = failure;
        tracing::warn!(workspace = self.workspace, code = error.code(), %error, "what engines sent could not be stored");
        metrics::counter!("limitr_store_failures").increment(1);
        let jobs = work.jobs();
        match commit {
            Some(commit) => self.hub.failed(work, commit),
            None => self.hub.put_back(work),
        }
        if !PASSING.contains(&error.code()) {
            self.failures += 1;
            if self.singly == 0 && self.failures >= FAILURES.0 {
                (self.singly, self.failures, self.pause) = (jobs, 0, PAUSES.0);
            } else if self.singly > 0 && self.failures >= FAILURES.1 {
                (self.singly, self.failures) = (self.singly - 1, 0);
                tracing::error!(workspace = self.workspace, code = error.code(), %error, "a job is left out");
                let error = SyncError::new("not_stored", "the server cannot store what was sent");
                let outs = self.hub.skip(error.hint("its log says why; nothing was changed"));
                self.say(outs);
            }
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
    }

    async fn look_for_policy(&mut self) {
        match policies::active(&self.store, &self.workspace).await {
            Ok(Some(version)) => self.adopt(version),
            Ok(None) => {}
            Err(error) => tracing::warn!(workspace = self.workspace, %error, "the policy could not be read"),
        }
    }

    fn adopt(&mut self, version: PolicyVersion) {
        // Of two that come in the wrong order the later one holds.
        if self.hub.policy().is_some_and(|known| known.number > version.number) {
            return;
        }
        let number = version.number;
        match self.hub.set_policy(version) {
            Ok(outs) => self.say(outs),
            Err(error) => tracing::error!(workspace = self.workspace, number, %error, "a published policy is refused"),
        }
    }

    /// Looks up the versions that engines are pinned to.
    async fn pin(&mut self) {
        while let Some((session, id)) = self.pinned.pop_front() {
            match policies::version(&self.store, &self.workspace, &id).await {
                Ok(version) => {
                    let outs = self.hub.pin(session, version);
                    self.say(outs);
                }
                Err(error) => {
                    tracing::warn!(workspace = self.workspace, %error, "a version of the policy could not be read");
                    self.pinned.push_back((session, id));
                    sleep(self.pause).await;
                    return;
                }
            }
        }
    }

    fn say(&mut self, outs: Vec<Out>) {
        for out in outs {
            match out {
                Out::Send(session, frame) => self.send(session, Outbound::Frame(frame)),
                Out::Close(session) => {
                    self.send(session, Outbound::Close);
                    self.disconnect(session);
                }
                Out::Dealt(session, bytes) => {
                    if let Some(connection) = self.connections.get(&session) {
                        connection.backlog.dealt(bytes);
                    }
                }
                Out::Pinned(session, version) => self.pinned.push_back((session, version)),
                // Who asked hears that there will be no answer.
                Out::Unanswered(call) => {
                    self.calls.remove(&call);
                    self.authored.remove(&call);
                }
                Out::Answered(call, answer) => {
                    self.authored.remove(&call);
                    if let Some(reply) = self.calls.remove(&call) {
                        // Who asked may have stopped waiting; it is stored all the same.
                        let _ = reply.send(answer);
                    }
                }
            }
        }
    }

    /// An engine that does not read what it is sent is disconnected: it asks for everything when it comes back.
    fn send(&mut self, session: SessionId, what: Outbound) {
        let Some(connection) = self.connections.get(&session) else { return };
        if connection.outbound.try_send(what).is_err() {
            connection.backlog.cut();
            self.hub.close(session);
            self.disconnect(session);
        }
    }

    fn disconnect(&mut self, session: SessionId) {
        if self.connections.remove(&session).is_some() {
            metrics::gauge!("limitr_engines_connected").decrement(1);
        }
    }

    /// A clock that runs evenly, ms.
    fn even(&self) -> Millis {
        i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// Ids for what the server makes.
struct Ids<F>(F);

impl<F: Fn() -> String + Send + Sync> limitr::IdSource for Ids<F> {
    fn id(&self) -> String {
        (self.0)()
    }
}
