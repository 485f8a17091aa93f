//! Time and ids come from the caller.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Tells the time, in ms since 1970 UTC. It is asked in the middle of a call and must not call the engine itself.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> i64;
}

/// Makes ids for grants, holds and caps that come without one. It is asked in the middle of a call and must not call the
/// engine itself.
pub trait IdSource: Send + Sync {
    /// An id never given before.
    fn id(&self) -> String;
}

impl<F: Fn() -> i64 + Send + Sync> Clock for F {
    fn now(&self) -> i64 {
        self()
    }
}

/// A clock set by hand. Clones show the same time.
#[derive(Debug, Clone, Default)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: i64) -> Self {
        Self(Arc::new(AtomicI64::new(now)))
    }

    /// The time it shows.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Shows another time, also an earlier one.
    pub fn set(&self, now: i64) {
        self.0.store(now, Ordering::Relaxed);
    }

    /// Moves on by `ms`.
    pub fn advance(&self, ms: i64) {
        self.set(self.now().saturating_add(ms));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> i64 {
        self.now()
    }
}

/// Ids `id1`, `id2`, ...: for tests and replays, where the same calls must give the same ids.
#[derive(Debug, Default)]
pub struct SequentialIds(AtomicU64);

impl IdSource for SequentialIds {
    fn id(&self) -> String {
        format!("id{}", self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
