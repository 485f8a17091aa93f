//! An engine's half of a connection: what to send when, and what to make of what comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use limitr::{Customer, Entry, Format, Limitr};
use serde_json::{Value, json};

use crate::error::{Refusal, SyncError};
use crate::frame::{FromServer, Hello, MAX_HELD, MAX_NAMES, PROTOCOL, PolicyVersion, hello_text, names_text};
use crate::outbox::Outbox;

/// How long what happened may wait for company before it is sent, ms.
const GATHER: i64 = 10;

/// How long a connection may take to be made and greeted, ms.
const GREETING: i64 = 10_000;

/// How often a quiet connection is asked for a sign of life, ms.
pub const PING_EVERY: i64 = 20_000;

/// How long a peer may be silent, ms.
pub const SILENCE: i64 = 45_000;

/// Shortest and longest pause before connecting again, ms.
const PAUSES: (i64, i64) = (200, 30_000);

/// Most customers kept where nothing else is said: fewer than a server lets an engine hold, for those being asked for.
const HELD: usize = MAX_HELD / 10 * 9;

/// Most bytes of what is not acknowledged where nothing else is said.
const UNSENT: usize = 256 << 20;

/// Who an engine is to its server.
#[derive(Debug, Clone, Default)]
pub struct LinkOptions {
    /// Id of the engine: random, or that of the state it goes on with.
    pub engine: String,
    /// A published version of the policy to stay on; none for always the latest.
    pub policy: Option<String>,
    /// Name of the library.
    pub sdk: String,
    /// Version of that.
    pub version: String,
    /// Where the pauses between attempts begin to vary.
    pub seed: u64,
    /// Most customers that it keeps, or a few more where they refer to each other; those used longest ago make room for
    /// others. Zero for as many as is sensible.
    pub held: usize,
    /// Most bytes of what is not acknowledged before [`Link::is_full`] says so. Zero for 256 MiB.
    pub unsent: usize,
}

/// What an engine has not had acknowledged: what to keep where a restart should lose nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Unsent {
    /// Id of the engine that it is numbered under.
    pub engine: String,
    /// The last number acknowledged.
    pub acknowledged: u64,
    /// The entries after it.
    pub entries: Vec<Entry>,
    /// How many of the last of them have no number yet: they happened after a start that the server has not greeted.
    pub unnumbered: usize,
}

impl Unsent {
    /// As JSON, with its fields' names.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Self { engine, acknowledged, entries, unnumbered } = self;
        json!({"engine": engine, "acknowledged": acknowledged, "entries": entries, "unnumbered": unnumbered})
    }
}

/// What the program around a link has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Connect, and then say [`Link::opened`] or [`Link::closed`].
    Connect,
    /// Send this frame.
    Send(String),
    /// Close the connection; [`Link::closed`] need not be said.
    Disconnect,
    /// A policy is in force: the first one, or another.
    Policy(PolicyVersion),
    /// A customer that was asked for is here, or is not to be had.
    Answered {
        /// The name it was asked for by.
        customer: String,
        /// Whether the server has it.
        found: bool,
    },
    /// The server did not take some entries.
    Refused(Vec<Refusal>),
    /// Something is wrong that the program should hear of.
    Trouble(SyncError),
}

/// An engine's half of a connection.
///
/// Bytes, time and the engine's log come in, actions go out. Time is any clock that runs evenly, in ms; the engine's own
/// need not agree with it, nor with the server's.
#[derive(Debug)]
pub struct Link {
    options: LinkOptions,
    state: State,
    outbox: Outbox,
    /// Customers that the server tells this engine of.
    held: BTreeMap<String, Held>,
    /// Those that it is still to hear that it need not: what it says of them before it has is not meant to last.
    releasing: BTreeSet<String>,
    /// How many may be held before it is worth looking again for some to let go of.
    crowded: usize,
    /// Counts polls: what is used now is used later than what was used then.
    turn: u64,
    /// Names asked for and not answered.
    asked: BTreeSet<String>,
    /// Of those, the ones to ask for on this connection.
    to_ask: Vec<String>,
    /// Records that came while an operation was under way.
    deferred: BTreeMap<String, (u64, Customer)>,
    /// When what waits in the outbox is to be sent.
    due: Option<i64>,
    attempts: u32,
    random: u64,
}

/// A customer that the server tells this engine of.
#[derive(Debug, Default)]
struct Held {
    /// The turn in which it was used or told of last.
    used: u64,
    refs: Vec<Arc<str>>,
    alt_ids: Vec<Arc<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Down {
        retry: i64,
    },
    Connecting {
        since: i64,
    },
    /// Connected, and not greeted yet.
    Greeting {
        since: i64,
    },
    Up {
        heard: i64,
        pinged: i64,
    },
}

impl Link {
    /// A link that connects at once.
    #[must_use]
    pub fn new(options: LinkOptions, now: i64) -> Self {
        Self::resume(options, Unsent::default(), now)
    }

    /// A link that goes on where another one ended; the engine's id is that of `unsent`, where it has one.
    #[must_use]
    pub fn resume(mut options: LinkOptions, unsent: Unsent, now: i64) -> Self {
        let outbox = if unsent.engine.is_empty() {
            Outbox::default()
        } else {
            options.engine.clone_from(&unsent.engine);
            Outbox::resumed(unsent)
        };
        for (option, usual) in [(&mut options.held, HELD), (&mut options.unsent, UNSENT)] {
            if *option == 0 {
                *option = usual;
            }
        }
        Self {
            random: options.seed | 1,
            options,
            state: State::Down { retry: now },
            held: outbox.entries().filter_map(operated_on).map(|customer| (customer, Held::default())).collect(),
            releasing: BTreeSet::new(),
            crowded: 0,
            turn: 0,
            outbox,
            asked: BTreeSet::new(),
            to_ask: Vec::new(),
            deferred: BTreeMap::new(),
            due: None,
            attempts: 0,
        }
    }

    /// Whether the server has greeted this engine.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// Whether so much waits to be sent that nothing should be added: the server was away for long.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.outbox.bytes() > self.options.unsent
    }

    /// Whether everything that happened is stored at the server.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.outbox.is_empty()
    }

    /// What is not acknowledged yet.
    #[must_use]
    pub fn unsent(&self) -> Unsent {
        self.outbox.unsent(&self.options.engine)
    }

    /// Asks for a customer by id or alternate id. [`Action::Answered`] follows, once there is a connection.
    pub fn fetch(&mut self, customer: &str) {
        if self.asked.insert(customer.to_owned()) {
            self.to_ask.push(customer.to_owned());
        }
    }

    /// Nobody waits any longer for a customer asked for.
    pub fn give_up(&mut self, customer: &str) {
        self.asked.remove(customer);
    }

    /// A connection is there.
    pub fn opened(&mut self, now: i64) -> Vec<Action> {
        self.state = State::Greeting { since: now };
        let hello = Hello {
            protocol: PROTOCOL,
            engine: self.options.engine.clone(),
            first: self.outbox.first(),
            sdk: self.options.sdk.clone(),
            version: self.options.version.clone(),
            policy: self.options.policy.clone(),
        };
        vec![Action::Send(hello_text(&hello))]
    }

    /// The connection is gone, or could not be made.
    pub fn closed(&mut self, now: i64) {
        let (least, most) = PAUSES;
        let pause = least.saturating_mul(1_i64 << self.attempts.min(20)).min(most);
        // Half of it to all of it, so that engines that lost their server together do not come back together.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let part = i64::try_from(self.random % 1000).unwrap_or_default();
        let pause = pause / 2 + pause / 2 * part / 1000;
        self.attempts = self.attempts.saturating_add(1);
        self.state = State::Down { retry: now.saturating_add(pause) };
    }

    /// What is to be done now. To be called whenever something happened, and at [`Link::wake_at`].
    pub fn poll(&mut self, limitr: &Limitr, now: i64) -> Vec<Action> {
        self.turn = self.turn.saturating_add(1);
        self.gather(limitr.take_log());
        let mut actions = Vec::new();
        let refused = self.outbox.take_refused();
        if !refused.is_empty() {
            actions.push(Action::Refused(refused));
        }
        match self.state {
            State::Down { retry } if retry <= now => {
                self.state = State::Connecting { since: now };
                actions.push(Action::Connect);
            }
            State::Connecting { since } | State::Greeting { since } if since.saturating_add(GREETING) <= now => {
                self.closed(now);
                actions.push(Action::Disconnect);
            }
            State::Up { heard, .. } if heard.saturating_add(SILENCE) <= now => {
                self.closed(now);
                actions.push(Action::Disconnect);
            }
            State::Up { heard, pinged } => {
                for (_, (through, record)) in std::mem::take(&mut self.deferred) {
                    self.merge(limitr, through, record, &mut actions);
                }
                if heard.max(pinged).saturating_add(PING_EVERY) <= now {
                    self.state = State::Up { heard, pinged: now };
                    actions.push(Action::Send(r#"{"type":"ping"}"#.to_owned()));
                }
                self.release(limitr, &mut actions);
                self.ask(&mut actions);
                self.send(now, &mut actions);
            }
            State::Down { .. } | State::Connecting { .. } | State::Greeting { .. } => {}
        }
        actions
    }

    /// When [`Link::poll`] has something to do next, if nothing happens before.
    #[must_use]
    pub fn wake_at(&self) -> i64 {
        match self.state {
            State::Down { retry } => retry,
            State::Connecting { since } | State::Greeting { since } => since.saturating_add(GREETING),
            State::Up { heard, pinged } => {
                let silence = heard.saturating_add(SILENCE);
                let ping = heard.max(pinged).saturating_add(PING_EVERY);
                self.due.unwrap_or(silence).min(silence).min(ping)
            }
        }
    }

    /// Sends what waits without waiting for company.
    pub fn flush(&mut self) {
        self.due = Some(i64::MIN);
    }

    /// A frame came.
    pub fn received(&mut self, limitr: &Limitr, text: &str, now: i64) -> Vec<Action> {
        if let State::Up { heard, .. } = &mut self.state {
            *heard = now;
        }
        let mut actions = Vec::new();
        match FromServer::read(text) {
            Ok(frame) => self.take(limitr, frame, now, &mut actions),
            Err(error) => actions.push(Action::Trouble(error)),
        }
        actions
    }

    fn take(&mut self, limitr: &Limitr, frame: FromServer, now: i64, actions: &mut Vec<Action>) {
        match frame {
            FromServer::Welcome { through, .. } => {
                self.state = State::Up { heard: now, pinged: now };
                self.attempts = 0;
                self.gather(limitr.take_log());
                self.outbox.greeted(through);
                self.flush();
                self.releasing.clear();
                // What others did meanwhile was told to nobody.
                self.to_ask = self.asked.iter().chain(self.held.keys()).cloned().collect();
            }
            FromServer::Policy(version) => match self.adopt(limitr, &version) {
                Ok(()) => actions.push(Action::Policy(version)),
                Err(error) => actions.push(Action::Trouble(error)),
            },
            FromServer::Customer { through, asked, record } => {
                match Customer::from_json(&record) {
                    Ok(record) if self.releasing.contains(&*record.id) => {
                        self.to_ask.extend(asked);
                        return;
                    }
                    Ok(record) => {
                        let (refs, alt_ids) = (record.refs.clone(), record.alt_ids.clone());
                        self.held.insert(record.id.to_string(), Held { used: self.turn, refs, alt_ids });
                        self.merge(limitr, through, record, actions);
                    }
                    Err(error) => actions.push(trouble(&error)),
                }
                self.answer(asked, true, actions);
            }
            FromServer::CustomerMissing { customer } => {
                // One that was made here is not known there yet, one that was known has gone meanwhile.
                if self.held.contains_key(&customer) && !self.outbox.operates_on(&[&customer]) {
                    self.forget(limitr, &customer);
                }
                self.answer(Some(customer), false, actions);
            }
            FromServer::CustomerRemoved { customer } => {
                if !self.outbox.operates_on(&[&customer]) {
                    self.forget(limitr, &customer);
                }
            }
            FromServer::Released { customers } => {
                for customer in customers {
                    self.releasing.remove(&customer);
                }
            }
            FromServer::Ack { through, refused } => {
                self.outbox.acknowledge(through);
                if !refused.is_empty() {
                    actions.push(Action::Refused(refused));
                }
            }
            FromServer::Error(error) => {
                actions.push(Action::Trouble(error));
                self.closed(now);
                actions.push(Action::Disconnect);
            }
            FromServer::Ping => actions.push(Action::Send(r#"{"type":"pong"}"#.to_owned())),
            FromServer::Pong | FromServer::Unknown => {}
        }
    }

    fn adopt(&self, limitr: &Limitr, version: &PolicyVersion) -> Result<(), SyncError> {
        let refused = |error: &limitr::Error| {
            let message = format!("version {} of the policy cannot be used here: {error}", version.number);
            SyncError::new("policy_refused", message)
                .hint("this engine stays on the version it has; update its library")
        };
        let format: Format = version.format.parse().map_err(|_| {
            SyncError::new("policy_refused", format!("`{}` is no format of policies known here", version.format))
        })?;
        limitr.replace(&version.document, format).map_err(|error| refused(&error))
    }

    /// Puts a record in place, with what this engine did and the server has not counted yet.
    fn merge(&mut self, limitr: &Limitr, through: u64, record: Customer, actions: &mut Vec<Action>) {
        let id = record.id.to_string();
        let alts = record.alt_ids.clone();
        let names: Vec<&str> = alts.iter().map(|alt| &**alt).chain([id.as_str()]).collect();
        let (mut asked, mut operated) = (false, false);
        let merged = limitr.merge_customer(record.clone(), |taken| {
            asked = true;
            self.gather(taken);
            let unseen = self.outbox.effects_after(through, &names);
            operated = unseen.is_none();
            unseen
        });
        match merged {
            // An operation is under way on another thread.
            Ok(false) if !asked => drop(self.deferred.insert(id, (through, record))),
            // With the outcome of the operation another record comes.
            Ok(_) => {}
            Err(error) => actions.push(trouble(&error)),
        }
    }

    fn gather(&mut self, entries: Vec<Entry>) {
        for entry in &entries {
            // Whom it operates on it holds: the outcome may get lost on the way.
            if let Some(customer) = operated_on(entry) {
                self.held.entry(customer).or_default().used = self.turn;
            }
            if let Entry::Effect(effect) = entry
                && let Some(held) = self.held.get_mut(&*effect.caller)
            {
                held.used = self.turn;
            }
        }
        self.outbox.extend(entries);
    }

    /// Lets go of customers that were not used for long, where there are too many.
    fn release(&mut self, limitr: &Limitr, actions: &mut Vec<Action>) {
        if self.held.len() <= self.options.held.max(self.crowded) {
            return;
        }
        let busy = self.outbox.customers();
        let refs: BTreeSet<&str> = self.held.values().flat_map(|held| &held.refs).map(|name| &**name).collect();
        let spare = |(id, held): &(&String, &Held)| {
            let names = || held.alt_ids.iter().map(|alt| &**alt).chain([id.as_str()]);
            !(self.releasing.contains(*id) || names().any(|name| refs.contains(name) || busy.contains(name)))
        };
        let spare = self.held.iter().filter(spare).filter(|(id, _)| !limitr.has_reservations(id));
        // One with keys comes last: without them a retry would count again.
        let mut spare: Vec<(bool, u64, String)> =
            spare.map(|(id, held)| (limitr.has_keys(id), held.used, id.clone())).collect();
        spare.sort_unstable();
        // A tenth at a time, or every customer that comes would cost a search.
        let most = self.options.held - self.options.held / 10;
        let wanted = self.held.len().saturating_sub(most);
        // Nor should every one that comes while nobody can go.
        self.crowded = if spare.len() < wanted { self.held.len() + self.options.held / 100 } else { 0 };
        spare.truncate(wanted);
        let gone: Vec<String> = spare.into_iter().map(|(.., id)| id).collect();
        for customer in &gone {
            self.forget(limitr, customer);
        }
        for names in gone.chunks(MAX_NAMES) {
            actions.push(Action::Send(names_text("release", names)));
        }
        self.releasing.extend(gone);
    }

    fn forget(&mut self, limitr: &Limitr, customer: &str) {
        limitr.forget_customer(customer);
        self.held.remove(customer);
        self.deferred.remove(customer);
    }

    fn answer(&mut self, asked: Option<String>, found: bool, actions: &mut Vec<Action>) {
        let Some(customer) = asked.filter(|customer| self.asked.remove(customer)) else { return };
        actions.push(Action::Answered { customer, found });
    }

    fn ask(&mut self, actions: &mut Vec<Action>) {
        for names in std::mem::take(&mut self.to_ask).chunks(MAX_NAMES) {
            actions.push(Action::Send(names_text("fetch", names)));
        }
    }

    fn send(&mut self, now: i64, actions: &mut Vec<Action>) {
        if !self.outbox.is_ready() {
            self.due = None;
            return;
        }
        if *self.due.get_or_insert(now.saturating_add(GATHER)) > now {
            return;
        }
        while let Some(batch) = self.outbox.next_batch() {
            actions.push(Action::Send(batch));
        }
        self.due = None;
    }
}

fn operated_on(entry: &Entry) -> Option<String> {
    match entry {
        Entry::Operation(operation) => operation.customer().map(str::to_owned),
        Entry::Effect(_) => None,
    }
}

fn trouble(error: &limitr::Error) -> Action {
    Action::Trouble(error.into())
}
