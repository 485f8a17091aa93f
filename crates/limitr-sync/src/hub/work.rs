//! Jobs, and what has to be loaded and locked before they can be done.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use limitr::{Customer, Effect, Entry};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Cached, EngineRow, Hub, Names, SessionId};
use crate::frame::{Batch, Hello};

/// Something to be done with customers.
#[derive(Debug)]
pub(super) enum Job {
    Hello { session: SessionId, hello: Hello, cost: usize },
    Batch { session: SessionId, batch: Batch, cost: usize },
    Fetch { session: SessionId, names: Vec<String>, cost: usize },
    Call { ticket: u64, operation: Value, watched: Option<String> },
    Refresh { customers: Vec<String> },
}

/// Jobs being done together.
#[derive(Debug, Default)]
pub struct Work {
    pub(super) jobs: Vec<Job>,
    /// Names of customers to be looked up still.
    wanted: BTreeSet<String>,
    /// Those that were, in the store or here.
    known: BTreeSet<String>,
    /// The engines concerned, as they are stored.
    pub(super) engines: BTreeMap<String, EngineRow>,
}

/// A customer that the store has under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// The version stored.
    pub version: i64,
}

/// A customer from the store.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Its id.
    pub id: String,
    /// The version stored.
    pub version: i64,
    /// The record, as it was stored.
    pub record: String,
}

impl Work {
    /// The engines whose rows are to be read and locked, in this order; an engine without a row has one of zeros.
    pub fn engines(&self) -> impl Iterator<Item = &str> {
        self.engines.keys().map(String::as_str)
    }

    /// The row of an engine, as it is stored.
    pub fn set_engine(&mut self, row: EngineRow) {
        self.engines.insert(row.engine.clone(), row);
    }

    /// How many jobs it has.
    #[must_use]
    pub fn jobs(&self) -> usize {
        self.jobs.len()
    }

    /// Whether nothing can come of it that has to be stored.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.jobs.iter().all(|job| matches!(job, Job::Fetch { .. } | Job::Refresh { .. }))
    }

    fn want(&mut self, name: &str) {
        if !self.known.contains(name) && !self.wanted.contains(name) {
            self.wanted.insert(name.to_owned());
        }
    }

    fn want_effect(&mut self, effect: &Effect) {
        self.want(&effect.customer);
        effect.caps.iter().for_each(|count| self.want(&count.customer));
    }

    /// Everybody whom an operation names: it may change them, inherit from them, or must not take their names.
    fn want_operation(&mut self, operation: &Value) {
        let Some(arguments) = operation.as_object().and_then(|operation| operation.values().next()) else { return };
        let records = [arguments.get("record"), Some(arguments)];
        for holder in records.into_iter().flatten() {
            for field in ["id", "customer", "alt"] {
                holder.get(field).and_then(Value::as_str).into_iter().for_each(|name| self.want(name));
            }
            for field in ["refs", "alts", "alt_ids"] {
                let names = holder.get(field).and_then(Value::as_array).into_iter().flatten();
                names.filter_map(Value::as_str).for_each(|name| self.want(name));
            }
        }
    }

    /// A customer's refs and alternate ids concern whoever they name.
    fn want_around(&mut self, id: &str, names: &Names) {
        self.known.insert(id.to_owned());
        self.known.extend(names.alt_ids.iter().map(ToString::to_string));
        names.refs.iter().for_each(|name| self.want(name));
    }
}

impl Hub {
    /// Takes jobs to be done together: at least one, if there is any, and not many more entries than `most`.
    pub fn next_work(&mut self, most: usize) -> Option<Work> {
        let mut work = Work::default();
        let mut entries = 0;
        while entries < most {
            let Some(job) = self.jobs.pop_front() else { break };
            match &job {
                Job::Hello { hello, .. } => {
                    work.engines.insert(hello.engine.clone(), EngineRow::new(&hello.engine));
                }
                Job::Batch { session, batch, .. } => {
                    entries += batch.entries.len();
                    let engine = self.sessions.get(session).and_then(|session| session.engine.as_ref());
                    let Some(engine) = engine.or_else(|| self.gone.get(session).map(|(engine, _)| engine)) else {
                        continue;
                    };
                    work.engines.insert(engine.clone(), EngineRow::new(engine));
                    for entry in batch.entries.iter().flatten() {
                        match entry {
                            Entry::Effect(effect) => work.want_effect(effect),
                            Entry::Operation(operation) => work.want_operation(&operation.operation),
                        }
                    }
                }
                Job::Fetch { names, .. } => names.iter().for_each(|name| work.want(name)),
                Job::Call { operation, watched, .. } => {
                    entries += 1;
                    work.engines.insert(self.name.clone(), EngineRow::new(&self.name));
                    work.want_operation(operation);
                    watched.iter().for_each(|customer| work.want(customer));
                }
                Job::Refresh { customers } => customers.iter().for_each(|name| work.want(name)),
            }
            entries += 1;
            work.jobs.push(job);
        }
        (!work.jobs.is_empty()).then_some(work)
    }

    /// Names to look up in the store, by id or alternate id, and to lock there. To be asked again after the answer, until
    /// there are none: customers refer to customers.
    pub fn wants(&self, work: &mut Work) -> Vec<String> {
        let names: Vec<String> = std::mem::take(&mut work.wanted).into_iter().collect();
        work.known.extend(names.iter().cloned());
        names
    }

    /// What the store has under the names that were wanted. Returns the ids of those that must be read.
    pub fn found(&mut self, work: &mut Work, names: &[String], found: &[Found]) -> Vec<String> {
        let mut stale = Vec::new();
        for Found { id, version } in found {
            match self.cache.get(id) {
                Some(cached) if cached.version == *version && self.limitr.has_customer(id) => {
                    work.want_around(id, &cached.names);
                }
                _ => stale.push(id.clone()),
            }
        }
        let found: HashSet<&str> = found.iter().map(|found| found.id.as_str()).collect();
        for name in names {
            // Somebody else has removed it.
            if self.cache.contains_key(name) && !found.contains(name.as_str()) {
                self.drop_cached(name);
                self.changed_elsewhere(name);
            }
        }
        stale
    }

    /// Takes customers in as they are stored. Returns what is wrong with records that cannot be read: theirs are unknown
    /// customers then.
    pub fn load(&mut self, work: &mut Work, customers: Vec<Loaded>) -> Vec<limitr::Error> {
        // Alternate ids may have moved from one of them to another.
        for loaded in &customers {
            self.limitr.forget_customer(&loaded.id);
        }
        let mut unreadable = Vec::new();
        for loaded in customers {
            let id = loaded.id.clone();
            if let Err(error) = self.load_one(work, loaded) {
                // Not one that was removed here: it stays in the store as it is.
                self.cache.remove(&id);
                unreadable.push(error);
            }
        }
        unreadable
    }

    fn load_one(&mut self, work: &mut Work, loaded: Loaded) -> Result<(), limitr::Error> {
        let Loaded { id, version, record } = loaded;
        let value: Value = serde_json::from_str(&record).unwrap_or_default();
        let customer = Customer::from_json(&value)?;
        let names = Names::of(&customer);
        work.want_around(&id, &names);
        self.make_way(work, &customer);
        self.limitr.restore_customer(customer)?;
        let known = self.cache.contains_key(&id);
        if let Ok(record) = RawValue::from_string(record) {
            self.cache.insert(id.clone(), Cached { version, record: record.into(), names });
        }
        if known {
            // Changed elsewhere: whoever holds it here has not seen that.
            self.changed_elsewhere(&id);
        }
        Ok(())
    }

    /// Whoever goes by an alternate id of a customer here has lost it in the store, and is to be loaded again.
    fn make_way(&mut self, work: &mut Work, customer: &Customer) {
        for alt in &customer.alt_ids {
            let Some(other) = self.limitr.customer(alt).filter(|other| other.id != customer.id) else { continue };
            self.limitr.forget_customer(&other.id);
            work.known.remove(&*other.id);
            work.want(&other.id);
        }
    }

    fn changed_elsewhere(&mut self, id: &str) {
        for session in self.holders.get(id).into_iter().flatten() {
            if let Some(session) = self.sessions.get_mut(session) {
                session.dirty.insert(id.to_owned());
            }
        }
    }
}
