//! Jobs done: what is to be stored in one transaction, and what is said once it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use limitr::{Amount, Customer, Effect, Entry, Error, Operation};
use serde_json::Value;
use serde_json::value::RawValue;

use super::work::{Job, Work};
use super::{Answer, Cached, Hub, Names, Out, SessionId};
use crate::error::{Refusal, SyncError};
use crate::frame::{Batch, FromServer, MAX_ID, PROTOCOL, customer_text};

/// What is stored of an engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineRow {
    /// Its id.
    pub engine: String,
    /// The last of its entries that is stored.
    pub through: u64,
    /// How often it has connected.
    pub epoch: i64,
    /// Its library, and the version of that.
    pub sdk: String,
}

impl EngineRow {
    /// An engine that nothing is stored of.
    #[must_use]
    pub fn new(engine: &str) -> Self {
        Self { engine: engine.to_owned(), ..Self::default() }
    }
}

/// A customer to be written, or removed.
#[derive(Debug, Clone)]
pub struct Write {
    /// Its id.
    pub id: String,
    /// The version to write: the one stored plus one. A customer that is not stored begins with the time, so that no
    /// version comes back when it is made again.
    pub version: i64,
    /// The record; none to remove it.
    pub record: Option<Arc<RawValue>>,
    /// Its alternate ids, from now on its only ones; none when they are as they were.
    pub alt_ids: Option<Vec<String>>,
    names: Arc<Names>,
}

/// A line to be added to the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerLine {
    /// The engine where it happened; none for the server.
    pub engine: Option<String>,
    /// The entry's number there.
    pub entry: u64,
    /// What happened.
    pub effect: Effect,
    /// Whether the customer was there to count it.
    pub counted: bool,
}

/// What is to be stored in one transaction.
#[derive(Debug, Default)]
pub struct Commit {
    /// Customers to be written.
    pub customers: Vec<Write>,
    /// Engines to be written.
    pub engines: Vec<EngineRow>,
    /// Lines for the ledger.
    pub ledger: Vec<LedgerLine>,
    /// What became of the customers that were asked about: see [`Hub::change`].
    pub changes: Vec<Change>,
    replies: Vec<Reply>,
    touched: BTreeMap<String, Origin>,
}

impl Commit {
    /// Whether there is nothing to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty() && self.engines.is_empty() && self.ledger.is_empty()
    }
}

/// A customer around an operation.
#[derive(Debug, Clone)]
pub struct Change {
    /// The operation's.
    pub ticket: u64,
    /// How it was; none if it was not there.
    pub before: Option<Customer>,
    /// How it is; none if it is not there any more, or still not.
    pub after: Option<Customer>,
}

/// Whose entries changed a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Calls of this one, which has counted them itself.
    One(SessionId),
    /// Several, or an operation: its outcome is news to everybody.
    Many,
}

#[derive(Debug)]
enum Reply {
    Welcome { session: SessionId, epoch: i64, through: u64 },
    Stored { session: SessionId, through: u64, refused: Vec<Refusal> },
    Fetched { session: SessionId, names: Vec<String> },
    Hold { session: SessionId, customer: String },
    Answered { ticket: u64, answer: Answer },
    Expelled { session: SessionId, error: SyncError },
    Dealt { session: SessionId, cost: usize },
}

impl Hub {
    /// Does the jobs. `now` is the time of day, ms.
    pub fn apply(&mut self, work: &mut Work, now: i64) -> Commit {
        self.clock.set(now);
        let mut commit = Commit::default();
        let mut rows = std::mem::take(&mut work.engines);
        let mut written: BTreeSet<String> = BTreeSet::new();
        for job in &work.jobs {
            match job {
                Job::Hello { session, hello, cost } => {
                    let Some(row) = rows.get_mut(&hello.engine) else { continue };
                    row.epoch = row.epoch.saturating_add(1);
                    // What an engine has dropped as acknowledged it cannot send: a store restored from a backup goes on
                    // from there.
                    row.through = row.through.max(hello.first.saturating_sub(1));
                    row.sdk = format!("{} {}", hello.sdk, hello.version).trim().to_owned();
                    written.insert(hello.engine.clone());
                    let (epoch, through) = (row.epoch, row.through);
                    commit.replies.push(Reply::Welcome { session: *session, epoch, through });
                    commit.replies.push(Reply::Dealt { session: *session, cost: *cost });
                }
                Job::Batch { session, batch, cost } => {
                    let (engine, epoch) = match (self.sessions.get(session), self.gone.get(session)) {
                        (Some(known), _) => (known.engine.clone().unwrap_or_default(), known.epoch),
                        (None, Some((engine, epoch))) => (engine.clone(), *epoch),
                        (None, None) => continue,
                    };
                    let Some(row) = rows.get_mut(&engine) else { continue };
                    commit.replies.push(Reply::Dealt { session: *session, cost: *cost });
                    if row.epoch != epoch {
                        let error = SyncError::new("superseded", "this engine has connected again, elsewhere");
                        commit.replies.push(Reply::Expelled { session: *session, error });
                        continue;
                    }
                    if batch.first > row.through.saturating_add(1) {
                        let message = format!("entries {} and on are missing", row.through.saturating_add(1));
                        let error = SyncError::new("entries_missing", message);
                        commit.replies.push(Reply::Expelled { session: *session, error });
                        continue;
                    }
                    let refused = self.take_batch(batch, row, *session, now, &mut commit);
                    written.insert(engine);
                    commit.replies.push(Reply::Stored { session: *session, through: row.through, refused });
                }
                Job::Fetch { session, names, cost } => {
                    commit.replies.push(Reply::Fetched { session: *session, names: names.clone() });
                    commit.replies.push(Reply::Dealt { session: *session, cost: *cost });
                }
                Job::Call { ticket, operation, watched } => {
                    let Some(row) = rows.get_mut(&self.name) else { continue };
                    if let Some(answer) = self.doubtful.get(ticket).filter(|_| row.through >= *ticket) {
                        commit.replies.push(Reply::Answered { ticket: *ticket, answer: answer.clone() });
                        continue;
                    }
                    let look = || watched.as_ref().and_then(|customer| self.limitr.customer(customer));
                    let before = look();
                    let answer = limitr::call(&self.limitr, operation);
                    if watched.is_some() {
                        commit.changes.push(Change { ticket: *ticket, before, after: look() });
                    }
                    for entry in self.limitr.take_log() {
                        row.through = *ticket;
                        written.insert(self.name.clone());
                        match entry {
                            Entry::Effect(effect) => commit.enter(None, 0, *effect, None, true),
                            Entry::Operation(operation) => {
                                commit.touched.extend(operation.customer().map(|id| (id.to_owned(), Origin::Many)));
                            }
                        }
                    }
                    commit.replies.push(Reply::Answered { ticket: *ticket, answer });
                }
                Job::Refresh { .. } => {}
            }
        }
        commit.engines = rows.into_values().filter(|row| written.contains(&row.engine)).collect();
        self.write_changes(&mut commit);
        commit
    }

    fn take_batch(
        &self,
        batch: &Batch,
        row: &mut EngineRow,
        session: SessionId,
        now: i64,
        commit: &mut Commit,
    ) -> Vec<Refusal> {
        let mut refused = Vec::new();
        for (entry, number) in batch.entries.iter().zip(batch.first..) {
            if number <= row.through {
                // Stored before; but whether the engine was told of the outcome, nobody knows.
                if let Ok(Entry::Operation(operation)) = entry {
                    self.tell_of(operation, session, commit);
                }
                continue;
            }
            row.through = number;
            let latest = now.saturating_add(self.options.ahead);
            let taken = entry.as_ref().map_err(SyncError::clone).and_then(|entry| {
                sound(entry, latest)?;
                self.take_entry(entry, &row.engine, number, session, commit).map_err(|error| SyncError::from(&error))
            });
            if let Err(SyncError { code, message, .. }) = taken {
                refused.push(Refusal { entry: number, code, message });
            }
        }
        refused
    }

    fn take_entry(
        &self,
        entry: &Entry,
        engine: &str,
        number: u64,
        session: SessionId,
        commit: &mut Commit,
    ) -> Result<(), Error> {
        let applied = self.limitr.apply(entry);
        match entry {
            Entry::Effect(effect) => {
                // What was used was used, whether or not its customer is still there to show it.
                commit.enter(Some(engine), number, Effect::clone(effect), Some(session), applied.is_ok());
                applied.map(|_| ())
            }
            Entry::Operation(operation) => {
                self.tell_of(operation, session, commit);
                for effect in applied? {
                    commit.enter(Some(engine), number, effect, None, true);
                }
                Ok(())
            }
        }
    }

    /// Whatever an operation did, whoever sent it is told how its customer stands then.
    fn tell_of(&self, operation: &Operation, session: SessionId, commit: &mut Commit) {
        let customer = operation.customer().unwrap_or_default();
        let id = self.limitr.customer(customer).map_or_else(|| customer.to_owned(), |known| known.id.to_string());
        commit.touched.insert(id.clone(), Origin::Many);
        commit.replies.push(Reply::Hold { session, customer: id });
    }

    /// Finds out who has changed in fact, and what is to be written of it.
    fn write_changes(&self, commit: &mut Commit) {
        let mut changes: BTreeMap<String, Option<Customer>> = BTreeMap::new();
        changes.extend(self.limitr.take_changes().into_iter().map(|(id, record)| (id.to_string(), record)));
        for (id, customer) in changes {
            let cached = self.cache.get(&id);
            let begun = || self.clock.now().saturating_mul(1024);
            let version = cached.map_or_else(begun, |cached| cached.version).saturating_add(1);
            let Some(customer) = customer else {
                if cached.is_some() {
                    let names = Arc::default();
                    commit.customers.push(Write { id, version, record: None, alt_ids: None, names });
                }
                continue;
            };
            let Ok(record) = serde_json::value::to_raw_value(&customer) else { continue };
            if cached.is_some_and(|cached| cached.record.get() == record.get()) {
                continue;
            }
            let names = Names::of(&customer);
            let before = cached.map(|cached| cached.names.alt_ids.as_slice()).unwrap_or_default();
            let changed = before != names.alt_ids;
            let alt_ids = changed.then(|| names.alt_ids.iter().map(ToString::to_string).collect());
            commit.customers.push(Write { id, version, record: Some(record.into()), alt_ids, names });
        }
    }

    /// It is stored: says so to everybody concerned.
    pub fn committed(&mut self, commit: Commit) -> Vec<Out> {
        let Commit { customers, replies, mut touched, .. } = commit;
        for Write { id, version, record, names, .. } in customers {
            touched.entry(id.clone()).or_insert(Origin::Many);
            match record {
                Some(record) => self.cache.insert(id, Cached { version, record, names }),
                None => self.cache.remove(&id),
            };
        }
        // Records have all of the work in them, so what is said of them does too, whichever job it answers.
        for reply in &replies {
            if let Reply::Stored { session, through, .. } = reply
                && let Some(session) = self.sessions.get_mut(session)
            {
                (session.through, session.doubtful) = (*through, false);
            }
        }
        let mut outs = Vec::new();
        for reply in replies {
            self.reply(reply, &mut outs);
        }
        for (id, origin) in touched {
            for holder in self.holders.get(&id).into_iter().flatten() {
                if let Some(session) = self.sessions.get_mut(holder).filter(|_| origin != Origin::One(*holder)) {
                    session.dirty.insert(id.clone());
                }
            }
        }
        let jobs = &self.jobs;
        self.gone.retain(|of, _| jobs.iter().any(|job| matches!(job, Job::Batch { session, .. } if session == of)));
        self.evict();
        outs
    }

    /// It could not be stored, or nobody knows: everything is as it was before, and the jobs come again.
    pub fn failed(&mut self, work: Work, commit: Commit) {
        for reply in commit.replies {
            if let Reply::Answered { ticket, answer } = reply {
                self.doubtful.insert(ticket, answer);
            }
        }
        for Write { id, .. } in commit.customers {
            self.limitr.forget_customer(&id);
            let stored = self.cache.get(&id).and_then(|cached| serde_json::from_str::<Value>(cached.record.get()).ok());
            let stored = stored.and_then(|record| Customer::from_json(&record).ok());
            // One that does not come back is loaded when it is wanted.
            drop(stored.map(|record| self.limitr.restore_customer(record)));
        }
        drop(self.limitr.take_changes());
        drop(self.limitr.take_log());
        for job in &work.jobs {
            if let Job::Batch { session, .. } = job
                && let Some(session) = self.sessions.get_mut(session)
            {
                // Its batch comes again, and with it the truth.
                session.doubtful = true;
            }
        }
        self.put_back(work);
    }

    /// The jobs come again: nothing was done about them.
    pub fn put_back(&mut self, work: Work) {
        for job in work.jobs.into_iter().rev() {
            self.jobs.push_front(job);
        }
    }

    fn reply(&mut self, reply: Reply, outs: &mut Vec<Out>) {
        match reply {
            Reply::Welcome { session: id, epoch, through } => {
                let Some(session) = self.sessions.get_mut(&id) else { return };
                session.greeted = true;
                (session.epoch, session.through) = (epoch, through);
                let (engine, pinned) = (session.engine.clone(), session.pinned.clone());
                outs.push(Out::Send(id, FromServer::Welcome { protocol: PROTOCOL, through }.text().into()));
                match (pinned, &self.policy_frame) {
                    (Some(version), _) => outs.push(Out::Pinned(id, version)),
                    (None, Some(frame)) => outs.push(Out::Send(id, frame.clone())),
                    (None, None) => {
                        let error = SyncError::new("no_policy", "no version of the policy is published");
                        outs.extend(self.expel(id, error.hint("publish one, then connect again")));
                    }
                }
                let older = |(other, known): (&SessionId, &super::Session)| {
                    (*other != id && known.engine == engine && known.greeted).then_some(*other)
                };
                let older: Vec<SessionId> = self.sessions.iter().filter_map(older).collect();
                for other in older {
                    let error = SyncError::new("superseded", "this engine has connected again");
                    outs.extend(self.expel(other, error));
                }
            }
            Reply::Stored { session: id, through, refused } => {
                outs.push(Out::Send(id, FromServer::Ack { through, refused }.text().into()));
            }
            Reply::Fetched { session, names } => {
                if self.sessions.get(&session).is_some_and(|session| session.doubtful) {
                    self.jobs.push_back(Job::Fetch { session, names, cost: 0 });
                    return;
                }
                for name in names {
                    self.answer(session, name, outs);
                }
            }
            Reply::Hold { session: id, customer } => {
                let Some(session) = self.sessions.get_mut(&id) else { return };
                if session.held.len() >= self.options.held && !session.held.contains(&customer) {
                    outs.extend(self.expel_holder(id));
                    return;
                }
                session.dirty.insert(customer.clone());
                self.hold(id, customer);
            }
            Reply::Answered { ticket, answer } => {
                self.doubtful.remove(&ticket);
                outs.push(Out::Answered(ticket, answer));
            }
            Reply::Expelled { session, error } => outs.extend(self.expel(session, error)),
            Reply::Dealt { session, cost } => outs.push(Out::Dealt(session, cost)),
        }
    }

    /// A customer that was asked for, after everybody it refers to.
    fn answer(&mut self, session: SessionId, name: String, outs: &mut Vec<Out>) {
        let Some(through) = self.sessions.get(&session).map(|session| session.through) else { return };
        let Some(customer) = self.limitr.customer(&name) else {
            outs.push(Out::Send(session, FromServer::CustomerMissing { customer: name }.text().into()));
            return;
        };
        let mut reached: Vec<Customer> = vec![customer];
        let mut at = 0;
        while let Some(refs) = reached.get(at).map(|customer| customer.refs.clone()) {
            for name in refs {
                let next = self.limitr.customer(&name);
                reached.extend(next.filter(|next| reached.iter().all(|known| known.id != next.id)));
            }
            at += 1;
        }
        for (at, customer) in reached.into_iter().enumerate().rev() {
            let id = customer.id.to_string();
            if let Some(cached) = self.cache.get(&id) {
                let asked = (at == 0).then_some(name.as_str());
                outs.push(Out::Send(session, customer_text(&cached.record, through, asked).into()));
                self.hold(session, id);
            }
        }
    }

    fn hold(&mut self, session: SessionId, customer: String) {
        if let Some(known) = self.sessions.get_mut(&session) {
            known.held.insert(customer.clone());
            self.holders.entry(customer).or_default().insert(session);
        }
    }
}

impl Commit {
    fn enter(&mut self, engine: Option<&str>, entry: u64, effect: Effect, by: Option<SessionId>, counted: bool) {
        let touched = effect.caps.iter().map(|count| &count.customer).chain([&effect.customer]);
        for id in touched {
            let origin = by.map_or(Origin::Many, Origin::One);
            let known = self.touched.entry(id.to_string()).or_insert(origin);
            if *known != origin {
                *known = Origin::Many;
            }
        }
        if effect.is_use() {
            self.ledger.push(LedgerLine { engine: engine.map(str::to_owned), entry, effect, counted });
        }
    }
}

/// Largest amount that an entry may have: what is added up from many of them stays within what amounts can be.
const LARGEST: i64 = 1_000_000_000_000_000_000;

/// Whether an entry can have happened: an engine that means harm must not harm more than its own numbers.
fn sound(entry: &Entry, latest: i64) -> Result<(), SyncError> {
    let refuse = |code: &str, message: &str| Err(SyncError::new(code, message));
    if !(0..=latest).contains(&entry.at()) {
        return refuse("clock_ahead", "it is dated more than a day ahead of the server's clock, or before 1970");
    }
    let Entry::Effect(effect) = entry else { return Ok(()) };
    let names = [&effect.caller, &effect.customer, &effect.plan, &effect.entitlement, &effect.credit];
    if names.iter().any(|name| name.is_empty() || name.len() > MAX_ID) {
        return refuse("invalid_effect", "its names have 1 to 1024 bytes");
    }
    let periods = effect.caps.iter().map(|count| count.period).chain(effect.period);
    if periods.into_iter().any(|period| period > latest) {
        return refuse("clock_ahead", "it belongs to a period that begins more than a day ahead of the server's clock");
    }
    let drawn = effect.grants.iter().map(|draw| draw.amount);
    let counted = effect.caps.iter().map(|count| count.amount);
    let own = [effect.units, effect.overhead, effect.covered, effect.overage];
    let prices = effect.price.into_iter().chain(effect.charge);
    let largest = Amount::from(LARGEST);
    let least = Amount::from(-LARGEST);
    if own.into_iter().chain(prices).chain(drawn).chain(counted).any(|amount| amount > largest || amount < least) {
        return refuse("out_of_range", "its amounts are beyond 10^18");
    }
    Ok(())
}
