//! What calls and the task that talks to the server have in common.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use limitr::Limitr;
use limitr_sync::MAX_ID;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::event::ConnectionEvent;
use crate::unsent::Unsent;

/// Most customers that are being fetched at once.
const MOST_FETCHES: usize = 10_000;

/// The server has greeted this engine.
const UP: u8 = 1;
/// What happens here can still be sent: not too much waits, and nothing is closed.
const ROOM: u8 = 2;

type Listener = Arc<dyn Fn(&ConnectionEvent) + Send + Sync>;
type Waiters = HashMap<String, Vec<oneshot::Sender<Found>>>;

/// What the task is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Fetch a customer; whoever waits for it is in [`Shared`].
    Fetch(String),
    /// Say what is not stored yet.
    Unsent(oneshot::Sender<Unsent>),
    /// Send everything, and end.
    Close,
}

/// What came of fetching a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is here.
    Here,
    /// The server has none.
    Missing,
    /// The server could not be asked, or did not answer.
    Unreachable,
}

pub(crate) struct Shared {
    pub(crate) engine: Limitr,
    deny_unconnected: bool,
    flags: AtomicU8,
    /// Whether anything was called since the task has looked last.
    stirred: AtomicBool,
    wake: Notify,
    commands: mpsc::UnboundedSender<Command>,
    /// Who waits for which customer. A name that is here is being fetched.
    waiting: Mutex<Waiters>,
    listeners: RwLock<Vec<Listener>>,
    /// What was not stored at the end.
    left: Mutex<Unsent>,
}

impl Shared {
    pub(crate) fn new(engine: Limitr, deny_unconnected: bool, commands: mpsc::UnboundedSender<Command>) -> Self {
        Self {
            engine,
            deny_unconnected,
            flags: AtomicU8::new(ROOM),
            stirred: AtomicBool::new(false),
            wake: Notify::new(),
            commands,
            waiting: Mutex::default(),
            listeners: RwLock::default(),
            left: Mutex::default(),
        }
    }

    pub(crate) fn set_flags(&self, up: bool, room: bool) {
        let flags = if up { UP } else { 0 } | if room { ROOM } else { 0 };
        self.flags.store(flags, Ordering::Release);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.flags.load(Ordering::Acquire) & UP != 0
    }

    /// Whether something may be given back, or else be added to what is to be sent.
    pub(crate) fn has_room(&self) -> bool {
        self.flags.load(Ordering::Acquire) & ROOM != 0
    }

    /// Whether something may be used.
    pub(crate) fn may_use(&self) -> bool {
        let needed = if self.deny_unconnected { UP | ROOM } else { ROOM };
        self.flags.load(Ordering::Acquire) & needed == needed
    }

    pub(crate) fn denies_unconnected(&self) -> bool {
        self.deny_unconnected
    }

    /// Something was called: the task is to look into the engine's log. Costs a load where it was told already.
    pub(crate) fn stir(&self) {
        // What this thread has logged, it has logged under the lock that the task takes it under, after it has cleared the
        // flag. So a flag that is still set is one that will be seen.
        if !self.stirred.load(Ordering::Relaxed) && !self.stirred.swap(true, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    /// The task is about to look.
    pub(crate) fn settle(&self) {
        self.stirred.store(false, Ordering::Release);
    }

    /// Resolves when something was called.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    pub(crate) fn command(&self, command: Command) -> bool {
        self.commands.send(command).is_ok()
    }

    /// Begins to fetch a customer unless that is under way. Without a connection nothing is begun.
    pub(crate) fn fetch(&self, customer: &str) {
        let _ = self.ask(customer, None);
    }

    /// Fetches a customer, together with whoever else waits for it.
    pub(crate) fn await_customer(&self, customer: &str) -> Result<oneshot::Receiver<Found>, Found> {
        let (waiter, answer) = oneshot::channel();
        self.ask(customer, Some(waiter)).map(|()| answer)
    }

    fn ask(&self, customer: &str, waiter: Option<oneshot::Sender<Found>>) -> Result<(), Found> {
        if customer.is_empty() || customer.len() > MAX_ID {
            return Err(Found::Missing);
        }
        let mut waiting = self.waiting();
        if let Some(waiters) = waiting.get_mut(customer) {
            waiters.extend(waiter);
            return Ok(());
        }
        // Under the lock: the task answers everybody when the connection goes.
        if !self.is_up() || waiting.len() >= MOST_FETCHES || !self.command(Command::Fetch(customer.to_owned())) {
            return Err(Found::Unreachable);
        }
        waiting.insert(customer.to_owned(), waiter.into_iter().collect());
        Ok(())
    }

    /// Tells everybody who waits for a customer.
    pub(crate) fn answer(&self, customer: &str, found: Found) {
        let waiters = self.waiting().remove(customer);
        for waiter in waiters.into_iter().flatten() {
            // Who has waited too long does not listen any more.
            let _ = waiter.send(found);
        }
    }

    /// The connection is gone: sets the flags, and tells everybody who waits. Returns for whom.
    pub(crate) fn lost(&self, room: bool) -> Vec<String> {
        let waiting = {
            let mut waiting = self.waiting();
            self.set_flags(false, room);
            std::mem::take(&mut *waiting)
        };
        let tell = |(customer, waiters): (String, Vec<oneshot::Sender<Found>>)| {
            for waiter in waiters {
                let _ = waiter.send(Found::Unreachable);
            }
            customer
        };
        waiting.into_iter().map(tell).collect()
    }

    pub(crate) fn on(&self, listener: Listener) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    pub(crate) fn tell(&self, event: &ConnectionEvent) {
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner).clone();
        for listener in listeners {
            // The hook has reported the panic; the connection goes on.
            drop(catch_unwind(AssertUnwindSafe(|| listener(event))));
        }
    }

    pub(crate) fn left(&self) -> MutexGuard<'_, Unsent> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiters> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
