//! A connection, as the server sees it.

use std::collections::BTreeSet;

/// One connection of one engine.
#[derive(Debug)]
pub(super) struct Session {
    /// The engine's id, once it has said it.
    pub(super) engine: Option<String>,
    /// Whether it was welcomed.
    pub(super) greeted: bool,
    /// Counts the connections of its engine: an older one has no say any more.
    pub(super) epoch: i64,
    /// The last of its entries that is stored.
    pub(super) through: u64,
    /// Whether `through` may be behind what is stored: nothing is said about customers until that is known.
    pub(super) doubtful: bool,
    /// The version of the policy that it stays on.
    pub(super) pinned: Option<String>,
    /// Customers it is told of.
    pub(super) held: BTreeSet<String>,
    /// Of those, the ones that changed since it was told.
    pub(super) dirty: BTreeSet<String>,
    /// When it was told last.
    pub(super) told: i64,
    pub(super) heard: i64,
    pub(super) pinged: i64,
}

impl Session {
    pub(super) fn new(now: i64) -> Self {
        Self {
            engine: None,
            greeted: false,
            epoch: 0,
            through: 0,
            doubtful: false,
            pinned: None,
            held: BTreeSet::new(),
            dirty: BTreeSet::new(),
            told: i64::MIN,
            heard: now,
            pinged: now,
        }
    }
}
