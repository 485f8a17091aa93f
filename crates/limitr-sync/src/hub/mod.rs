//! A workspace at the server: who is connected, what they sent, and how customers stand.
//!
//! What came in waits as jobs. [`Hub::next_work`] takes some of them; the program around loads the customers they are
//! about and locks them ([`Hub::wants`], [`Hub::found`], [`Hub::load`]); [`Hub::apply`] says what to store, all of it in
//! one transaction; then comes [`Hub::committed`], or [`Hub::failed`], after which the same jobs are taken again. Nothing is
//! acknowledged before it is stored. One work at a time.

mod apply;
mod session;
mod work;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use limitr::{Customer, Format, Limitr, ManualClock};
use serde_json::Value;
use serde_json::value::RawValue;

pub use self::apply::{Change, Commit, EngineRow, LedgerLine, Write};
use self::session::Session;
use self::work::Job;
pub use self::work::{Found, Loaded, Work};
use crate::error::SyncError;
use crate::frame::{FromEngine, FromServer, MAX_HELD, PROTOCOL, PolicyVersion, customer_text};
use crate::link::{PING_EVERY, SILENCE};

/// Names a connection.
pub type SessionId = u64;

/// How long changes of customers may wait for company before engines are told, ms.
const GATHER: i64 = 50;

/// How long a connection may take to say hello, ms.
const GREETING: i64 = 10_000;

/// How a hub works.
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// Most customers kept in memory beside those that engines hold.
    pub cached: usize,
    /// Most customers that one engine may hold.
    pub held: usize,
    /// How far ahead of the server's clock an entry may be, ms; one that is further is refused.
    pub ahead: i64,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self { cached: 100_000, held: MAX_HELD, ahead: 86_400_000 }
    }
}

/// What the program around a hub has to do.
#[derive(Debug)]
pub enum Out {
    /// Send a frame.
    Send(SessionId, Arc<str>),
    /// Close a connection, after what was sent before.
    Close(SessionId),
    /// So many bytes of what was received are dealt with.
    Dealt(SessionId, usize),
    /// A connection wants this version of the policy; see [`Hub::pin`].
    Pinned(SessionId, String),
    /// The answer to [`Hub::call`].
    Answered(u64, Answer),
    /// There is none to [`Hub::call`]: see [`Hub::skip`].
    Unanswered(u64),
}

/// What a call gave.
pub type Answer = Result<Value, limitr::Error>;

/// A workspace at the server.
pub struct Hub {
    options: HubOptions,
    /// The engine as which its own calls are stored: no other hub has ever had this name.
    name: String,
    limitr: Limitr,
    clock: ManualClock,
    policy: Option<PolicyVersion>,
    policy_frame: Option<Arc<str>>,
    /// Customers as they are stored.
    cache: BTreeMap<String, Cached>,
    sessions: BTreeMap<SessionId, Session>,
    /// Who is to be told of a customer.
    holders: BTreeMap<String, BTreeSet<SessionId>>,
    jobs: VecDeque<Job>,
    /// Engine and epoch of connections that are gone, whose batches are still to be taken.
    gone: HashMap<SessionId, (String, i64)>,
    /// What calls were answered, by ticket, when nobody learned whether that was stored. Should it have been, they are not
    /// made a second time.
    doubtful: BTreeMap<u64, Answer>,
}

#[derive(Debug, Clone)]
struct Cached {
    version: i64,
    record: Arc<RawValue>,
    names: Arc<Names>,
}

/// What is known of a customer beside its record, without reading that.
#[derive(Debug, Default, PartialEq, Eq)]
struct Names {
    alt_ids: Vec<Arc<str>>,
    refs: Vec<Arc<str>>,
}

impl Names {
    fn of(customer: &Customer) -> Arc<Self> {
        Arc::new(Self { alt_ids: customer.alt_ids.clone(), refs: customer.refs.clone() })
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("sessions", &self.sessions.len()).field("cached", &self.cache.len()).finish()
    }
}

impl Hub {
    /// A hub without a policy, on which nobody is connected. Of `ids`, none may come a second time, from whatever hub.
    ///
    /// # Errors
    /// None that is known: an empty policy is one.
    pub fn new(options: HubOptions, ids: impl limitr::IdSource + 'static) -> Result<Self, limitr::Error> {
        let clock = ManualClock::new(0);
        let name = format!("hub_{}", ids.id());
        let limitr = Limitr::builder().clock(clock.clone()).ids(ids).policy_value(&serde_json::json!({}))?;
        limitr.keep_log();
        limitr.track_changes();
        Ok(Self {
            options,
            name,
            limitr,
            clock,
            policy: None,
            policy_frame: None,
            cache: BTreeMap::new(),
            sessions: BTreeMap::new(),
            holders: BTreeMap::new(),
            jobs: VecDeque::new(),
            gone: HashMap::new(),
            doubtful: BTreeMap::new(),
        })
    }

    /// Puts another version of the policy in force and tells the engines that are not pinned to one.
    ///
    /// # Errors
    /// Kind `Policy`, when it cannot be used: the version before it stays in force.
    pub fn set_policy(&mut self, version: PolicyVersion) -> Result<Vec<Out>, limitr::Error> {
        if self.policy.as_ref() == Some(&version) {
            return Ok(Vec::new());
        }
        let format: Format = version.format.parse().unwrap_or(Format::Json);
        self.limitr.replace(&version.document, format)?;
        let frame: Arc<str> = FromServer::Policy(version.clone()).text().into();
        (self.policy, self.policy_frame) = (Some(version), Some(frame.clone()));
        let unpinned = self.sessions.iter().filter(|(_, session)| session.greeted && session.pinned.is_none());
        Ok(unpinned.map(|(id, _)| Out::Send(*id, frame.clone())).collect())
    }

    /// The version in force.
    #[must_use]
    pub const fn policy(&self) -> Option<&PolicyVersion> {
        self.policy.as_ref()
    }

    /// How many are connected.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.sessions.len()
    }

    /// Customers that engines are told of.
    pub fn held(&self) -> impl Iterator<Item = &str> {
        self.holders.keys().map(String::as_str)
    }

    /// Somebody connects.
    pub fn open(&mut self, session: SessionId, now: i64) {
        self.sessions.insert(session, Session::new(now));
    }

    /// A connection is gone. What it has sent still counts.
    pub fn close(&mut self, session: SessionId) {
        let Some(gone) = self.sessions.remove(&session) else { return };
        for customer in &gone.held {
            self.let_go(session, customer);
        }
        self.jobs.retain(
            |job| !matches!(job, Job::Hello { session: of, .. } | Job::Fetch { session: of, .. } if *of == session),
        );
        if let Some(engine) = gone.engine.filter(|_| gone.greeted) {
            self.gone.insert(session, (engine, gone.epoch));
        }
    }

    fn let_go(&mut self, session: SessionId, customer: &str) {
        let Some(holders) = self.holders.get_mut(customer) else { return };
        holders.remove(&session);
        if holders.is_empty() {
            self.holders.remove(customer);
        }
    }

    /// A frame came, of so many bytes: what [`FromEngine::read`] makes of it, which needs no hub. `now` is the even clock
    /// of connections, not the time of day.
    pub fn received(&mut self, id: SessionId, frame: Result<FromEngine, SyncError>, cost: usize, now: i64) -> Vec<Out> {
        let Some(session) = self.sessions.get_mut(&id) else { return Vec::new() };
        session.heard = now;
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return self.expel(id, error),
        };
        let greeting = matches!(frame, FromEngine::Hello(_) | FromEngine::Ping | FromEngine::Pong);
        if !(session.greeted || greeting || matches!(frame, FromEngine::Unknown)) {
            return self.expel(id, SyncError::new("hello_first", "the first frame of a connection is `hello`"));
        }
        match frame {
            FromEngine::Hello(_) if session.engine.is_some() => {
                return self.expel(id, SyncError::new("bad_frame", "a connection says `hello` once"));
            }
            FromEngine::Hello(hello) if hello.protocol == 0 || hello.protocol > PROTOCOL => {
                let message = format!("this server speaks protocol {PROTOCOL}, the engine {}", hello.protocol);
                let error = SyncError::new("unknown_protocol", message);
                return self.expel(id, error.hint("update the server before its engines"));
            }
            FromEngine::Hello(hello) => {
                session.engine = Some(hello.engine.clone());
                session.pinned.clone_from(&hello.policy);
                self.jobs.push_back(Job::Hello { session: id, hello, cost });
            }
            FromEngine::Fetch(names) => {
                if session.held.len().saturating_add(names.len()) > self.options.held {
                    return self.expel_holder(id);
                }
                self.jobs.push_back(Job::Fetch { session: id, names, cost });
            }
            FromEngine::Release(customers) => {
                for customer in &customers {
                    session.held.remove(customer);
                    session.dirty.remove(customer);
                }
                customers.iter().for_each(|customer| self.let_go(id, customer));
                return vec![Out::Send(id, FromServer::Released { customers }.text().into()), Out::Dealt(id, cost)];
            }
            FromEngine::Batch(batch) => self.jobs.push_back(Job::Batch { session: id, batch, cost }),
            FromEngine::Ping => {
                return vec![Out::Send(id, FromServer::Pong.text().into()), Out::Dealt(id, cost)];
            }
            FromEngine::Pong | FromEngine::Unknown => return vec![Out::Dealt(id, cost)],
        }
        Vec::new()
    }

    /// Ends a connection, saying why. What it sent before still counts.
    pub fn expel(&mut self, session: SessionId, error: SyncError) -> Vec<Out> {
        self.close(session);
        vec![Out::Send(session, FromServer::Error(error).text().into()), Out::Close(session)]
    }

    fn expel_holder(&mut self, session: SessionId) -> Vec<Out> {
        let message = format!("an engine holds at most {} customers", self.options.held);
        self.expel(session, SyncError::new("too_many_customers", message).hint("release those that are not in use"))
    }

    /// Does without the next job, which cannot be stored whatever is tried, so that the others can be. Nothing was done about
    /// it, and who sent it is told so: a connection ends, and its engine sends again what was not acknowledged.
    pub fn skip(&mut self, error: SyncError) -> Vec<Out> {
        match self.jobs.pop_front() {
            Some(Job::Hello { session, .. } | Job::Batch { session, .. } | Job::Fetch { session, .. }) => {
                self.expel(session, error)
            }
            Some(Job::Call { ticket, .. }) => {
                self.doubtful.remove(&ticket);
                vec![Out::Unanswered(ticket)]
            }
            Some(Job::Refresh { .. }) | None => Vec::new(),
        }
    }

    /// The version that a connection is pinned to; none when there is no such version.
    pub fn pin(&mut self, session: SessionId, version: Option<PolicyVersion>) -> Vec<Out> {
        match version {
            Some(version) => vec![Out::Send(session, FromServer::Policy(version).text().into())],
            None => {
                let pinned = self.sessions.get(&session).and_then(|session| session.pinned.clone());
                let message = format!("there is no published version `{}`", pinned.unwrap_or_default());
                self.expel(session, SyncError::new("unknown_version", message))
            }
        }
    }

    /// Runs an operation of the engine, as [`limitr::call`] takes it, on customers. [`Out::Answered`] follows with `ticket`,
    /// which is positive and higher than any before.
    pub fn call(&mut self, ticket: u64, operation: Value) {
        self.jobs.push_back(Job::Call { ticket, operation, watched: None });
    }

    /// As [`Hub::call`], and [`Commit::changes`] tells how a customer that the operation names was before and after it.
    pub fn change(&mut self, ticket: u64, customer: String, operation: Value) {
        self.jobs.push_back(Job::Call { ticket, operation, watched: Some(customer) });
    }

    /// Others have changed these customers in the store.
    pub fn refresh(&mut self, customers: impl IntoIterator<Item = String>) {
        let customers = customers.into_iter().filter(|id| self.cache.contains_key(id) || self.holders.contains_key(id));
        let customers: Vec<String> = customers.collect();
        if !customers.is_empty() {
            self.jobs.push_back(Job::Refresh { customers });
        }
    }

    /// What is due by the clock of connections: signs of life, and what engines are to be told.
    pub fn tick(&mut self, now: i64) -> Vec<Out> {
        let mut outs = Vec::new();
        let mut silent = Vec::new();
        for (id, session) in &mut self.sessions {
            let patience = if session.greeted { SILENCE } else { GREETING };
            if session.heard.saturating_add(patience) <= now {
                silent.push(*id);
                continue;
            }
            if session.heard.max(session.pinged).saturating_add(PING_EVERY) <= now {
                session.pinged = now;
                outs.push(Out::Send(*id, FromServer::Ping.text().into()));
            }
            if session.dirty.is_empty() || session.doubtful || session.told.saturating_add(GATHER) > now {
                continue;
            }
            session.told = now;
            for customer in std::mem::take(&mut session.dirty) {
                let frame = match self.cache.get(&customer) {
                    Some(cached) => customer_text(&cached.record, session.through, None),
                    None => FromServer::CustomerRemoved { customer }.text(),
                };
                outs.push(Out::Send(*id, frame.into()));
            }
        }
        for id in silent {
            outs.extend(self.expel(id, SyncError::new("silent", "nothing was heard for too long")));
        }
        outs
    }

    /// Whether no job waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Whether engines are to be told something.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.sessions.values().any(|session| !session.dirty.is_empty() && !session.doubtful)
    }

    /// Forgets customers that nobody holds, while there are too many.
    fn evict(&mut self) {
        let spare = self.cache.len().saturating_sub(self.holders.len());
        if spare <= self.options.cached {
            return;
        }
        // A tenth at a time, or every work would begin with a search.
        let unheld = self.cache.keys().filter(|id| !self.holders.contains_key(*id));
        let gone: Vec<String> = unheld.take(spare - self.options.cached + self.options.cached / 10).cloned().collect();
        for id in gone {
            self.drop_cached(&id);
        }
        drop(self.limitr.take_changes());
    }

    fn drop_cached(&mut self, id: &str) {
        self.limitr.forget_customer(id);
        self.cache.remove(id);
    }
}
