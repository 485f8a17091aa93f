//! The task that owns the connection: what the link wants done is done here.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use limitr_sync::{Action, Link, SyncError};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::error::Error;
use crate::event::ConnectionEvent;
use crate::shared::{Command, Found, Shared};
use crate::socket::{Failed, Server, Socket};
use crate::unsent::Unsent;

/// How often the engine's log is looked into while something is called, ms.
const BUSY: i64 = 10;

/// And otherwise, for what is called on the engine itself, ms.
const IDLE: i64 = 100;

/// How long a customer that the server has may take to be put in place, ms.
const PLACING: i64 = 1000;

/// How long the server may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// What the server says of this program, not of the moment: connecting again would not help.
const LASTING: [&str; 4] = ["no_policy", "policy_refused", "unknown_protocol", "unknown_version"];

/// How far the task is.
#[derive(Debug, Clone)]
pub(crate) enum Progress {
    /// Not connected for the first time yet; what the last attempt failed for.
    Connecting(Option<Error>),
    /// It will not connect.
    Failed(Error),
    /// There is a policy to decide by.
    Ready,
    /// It has ended; whether everything was stored.
    Ended(bool),
}

/// How the server is reached right now.
enum Way {
    Nowhere,
    Connecting(Pin<Box<dyn Future<Output = Result<Socket, Failed>> + Send>>),
    Open(Box<Socket>),
}

enum News {
    Connected(Result<Socket, Failed>),
    /// None: the connection is gone.
    Frame(Option<String>),
}

impl Way {
    async fn news(&mut self) -> News {
        match self {
            Self::Nowhere => std::future::pending().await,
            Self::Connecting(attempt) => News::Connected(attempt.await),
            Self::Open(socket) => News::Frame(socket.next().await),
        }
    }
}

pub(crate) struct Task {
    shared: Arc<Shared>,
    server: Arc<Server>,
    link: Link,
    start: Instant,
    commands: mpsc::UnboundedReceiver<Command>,
    progress: watch::Sender<Progress>,
    /// How long the server may take to store the last of it, ms.
    patience: i64,
    way: Way,
    /// Whether the link was up when last looked at.
    up: bool,
    /// When the engine's log was last looked into.
    polled: i64,
    /// Whether anything was called since then.
    stirred: bool,
    /// Customers that the server has and the engine has not yet, and until when.
    placing: Vec<(String, i64)>,
    /// Until when the last of it can be stored, once the program wants to close.
    closing: Option<i64>,
}

impl Task {
    pub(crate) fn new(
        shared: Arc<Shared>,
        server: Arc<Server>,
        link: Link,
        commands: mpsc::UnboundedReceiver<Command>,
        progress: watch::Sender<Progress>,
        patience: Duration,
    ) -> Self {
        Self {
            shared,
            server,
            link,
            start: Instant::now(),
            commands,
            progress,
            patience: i64::try_from(patience.as_millis()).unwrap_or(i64::MAX),
            way: Way::Nowhere,
            up: false,
            polled: 0,
            stirred: false,
            placing: Vec::new(),
            closing: None,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut happened = true;
        loop {
            let now = self.now();
            if happened || self.due() <= now {
                self.poll(now);
            }
            if self.closing.is_some_and(|until| self.link.is_settled() || until <= now) {
                return self.end().await;
            }
            let due = self.start + Duration::from_millis(self.due().try_into().unwrap_or_default());
            happened = tokio::select! {
                news = self.way.news() => { self.hear(news); true }
                command = self.commands.recv() => match command {
                    Some(command) => { self.obey(command); true }
                    None => return,
                },
                // Not at once: while calls go on they would be looked at one by one.
                () = self.shared.woken() => { self.stirred = true; false }
                () = sleep_until(due) => true,
            };
        }
    }

    fn now(&self) -> i64 {
        i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn due(&self) -> i64 {
        let hurried = self.stirred || !self.placing.is_empty();
        let look = self.polled.saturating_add(if hurried { BUSY } else { IDLE });
        look.min(self.link.wake_at()).min(self.closing.unwrap_or(i64::MAX))
    }

    fn poll(&mut self, now: i64) {
        (self.polled, self.stirred) = (now, false);
        self.shared.settle();
        let actions = self.link.poll(&self.shared.engine, now);
        self.act(actions);
        let placing = std::mem::take(&mut self.placing);
        for (customer, until) in placing {
            self.place(customer, until, now);
        }
        self.look();
    }

    fn hear(&mut self, news: News) {
        let now = self.now();
        match news {
            News::Connected(Ok(socket)) => {
                self.way = Way::Open(Box::new(socket));
                let actions = self.link.opened(now);
                self.act(actions);
            }
            News::Connected(Err(Failed { error, lasting })) => {
                self.way = Way::Nowhere;
                self.link.closed(now);
                self.trouble(error, lasting);
            }
            News::Frame(Some(text)) => {
                let actions = self.link.received(&self.shared.engine, &text, now);
                self.act(actions);
            }
            News::Frame(None) => {
                self.way = Way::Nowhere;
                self.link.closed(now);
            }
        }
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Connect => self.way = Way::Connecting(Box::pin(Arc::clone(&self.server).connect())),
                Action::Send(text) => {
                    if let Way::Open(socket) = &self.way {
                        socket.send(text);
                    }
                }
                Action::Disconnect => self.way = Way::Nowhere,
                Action::Policy(version) => {
                    // With the flags of a connection that is up.
                    self.look();
                    self.shared.tell(&ConnectionEvent::Policy { id: version.id, number: version.number });
                    self.reach(Progress::Ready);
                }
                Action::Answered { customer, found: true } => {
                    let now = self.now();
                    self.place(customer, now.saturating_add(PLACING), now);
                }
                Action::Answered { customer, found: false } => {
                    let here = self.shared.engine.has_customer(&customer);
                    self.shared.answer(&customer, if here { Found::Here } else { Found::Missing });
                }
                Action::Refused(refused) => self.shared.tell(&ConnectionEvent::Refused(refused)),
                Action::Trouble(error) => {
                    let lasting = is_lasting(&error);
                    self.trouble(error.into(), lasting);
                }
            }
        }
    }

    /// Answers who waits for a customer as soon as it is in place: that takes longer where another thread is in the middle
    /// of an operation.
    fn place(&mut self, customer: String, until: i64, now: i64) {
        if self.shared.engine.has_customer(&customer) {
            self.shared.answer(&customer, Found::Here);
        } else if until <= now {
            self.shared.answer(&customer, Found::Unreachable);
        } else {
            self.placing.push((customer, until));
        }
    }

    fn trouble(&self, error: Error, lasting: bool) {
        self.shared.tell(&ConnectionEvent::Trouble(error.clone()));
        self.reach(if lasting { Progress::Failed(error) } else { Progress::Connecting(Some(error)) });
    }

    /// Goes on to another state, as long as the program waits for the first connection.
    fn reach(&self, next: Progress) {
        self.progress.send_if_modified(|progress| {
            let waits = matches!(progress, Progress::Connecting(_));
            if waits {
                *progress = next;
            }
            waits
        });
    }

    /// Shows to calls what the link is up to.
    fn look(&mut self) {
        let (up, room) = (self.link.is_up(), self.closing.is_none() && !self.link.is_full());
        let was_up = std::mem::replace(&mut self.up, up);
        if up {
            self.shared.set_flags(true, room);
        } else {
            for customer in self.shared.lost(room) {
                self.link.give_up(&customer);
            }
            self.placing.clear();
        }
        match (was_up, up) {
            (false, true) => self.shared.tell(&ConnectionEvent::Connected),
            (true, false) => self.shared.tell(&ConnectionEvent::Disconnected),
            _ => {}
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Fetch(customer) if self.link.is_up() => self.link.fetch(&customer),
            Command::Fetch(customer) => self.shared.answer(&customer, Found::Unreachable),
            Command::Unsent(asker) => {
                let now = self.now();
                self.poll(now);
                // Who does not wait any more does not want it.
                let _ = asker.send(Unsent(self.link.unsent()));
            }
            Command::Close => {
                let now = self.now();
                self.closing.get_or_insert(now.saturating_add(self.patience));
                self.link.flush();
            }
        }
    }

    async fn end(mut self) {
        let settled = self.link.is_settled();
        *self.shared.left() = Unsent(self.link.unsent());
        if let Way::Open(socket) = std::mem::replace(&mut self.way, Way::Nowhere) {
            drop(timeout(GOODBYE, socket.close()).await);
        }
        self.progress.send_replace(Progress::Ended(settled));
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // Nothing that happens from now on is sent.
        self.shared.lost(false);
        self.progress.send_if_modified(|progress| {
            let running = !matches!(progress, Progress::Ended(_));
            if running {
                *progress = Progress::Ended(false);
            }
            running
        });
    }
}

fn is_lasting(error: &SyncError) -> bool {
    LASTING.contains(&error.code.as_str())
}
