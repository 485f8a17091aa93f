//! A server node: a hub, and what is around it when it works and when it does not.

use fastrand::Rng;
use limitr_sync::{FromEngine, Hub, HubOptions, Out, PolicyVersion, SessionId};

use super::engine::Ids;
use super::store::Store;

pub struct Node {
    pub hub: Hub,
    /// Which start of a node this is.
    pub life: u64,
    /// Customers that other nodes have changed, and when this node hears of it.
    pub notices: Vec<(i64, Vec<String>)>,
    pub up: bool,
    pub down_until: i64,
}

/// What comes out of a turn of a node.
#[derive(Default)]
pub struct Turn {
    pub outs: Vec<Out>,
    /// Customers it changed, for the other nodes.
    pub changed: Vec<String>,
    pub failed: u64,
    pub unknown: u64,
}

impl Node {
    pub fn new(policy: &PolicyVersion, life: u64) -> Self {
        let options = HubOptions { cached: 3, ..HubOptions::default() };
        let mut hub = Hub::new(options, Ids::of(&format!("n{life}"))).unwrap();
        hub.set_policy(policy.clone()).unwrap();
        Self { hub, life, notices: Vec::new(), up: true, down_until: 0 }
    }

    /// Works off some of what waits, as a real node does: lock, load, apply, store.
    pub fn turn(&mut self, store: &mut Store, rng: &mut Rng, even: i64, day: i64, faults: bool) -> Turn {
        let mut turn = Turn::default();
        let due = self.notices.iter().position(|(at, _)| *at <= even);
        if let Some(at) = due {
            let (_, customers) = self.notices.remove(at);
            self.hub.refresh(customers);
        }
        if let Some(mut work) = self.hub.next_work(rng.usize(1..40)) {
            let engines: Vec<String> = work.engines().map(str::to_owned).collect();
            for engine in engines {
                work.set_engine(store.engine(&engine));
            }
            loop {
                let names = self.hub.wants(&mut work);
                if names.is_empty() {
                    break;
                }
                let found = store.find(&names);
                let stale = self.hub.found(&mut work, &names, &found);
                let rows = store.read(&stale);
                assert!(self.hub.load(&mut work, rows).is_empty());
            }
            if faults && rng.u8(..) < 4 {
                self.hub.put_back(work);
                turn.failed += 1;
            } else {
                let commit = self.hub.apply(&mut work, day);
                if faults && rng.u8(..) < 10 {
                    // The connection to the database is gone. Whether it stored the work, nobody knows.
                    if rng.bool() {
                        store.commit(&commit);
                        turn.changed = commit.customers.iter().map(|write| write.id.clone()).collect();
                        turn.unknown += 1;
                    }
                    turn.failed += 1;
                    self.hub.failed(work, commit);
                } else {
                    store.commit(&commit);
                    turn.changed = commit.customers.iter().map(|write| write.id.clone()).collect();
                    turn.outs = self.hub.committed(commit);
                }
            }
        }
        turn.outs.extend(self.hub.tick(even));
        turn
    }

    pub fn receive(&mut self, session: SessionId, text: &str, even: i64) -> Vec<Out> {
        self.hub.received(session, FromEngine::read(text), text.len(), even)
    }
}
