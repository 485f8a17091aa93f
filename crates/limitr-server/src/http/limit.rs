//! How often somebody may try: passwords, setup links, tickets.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::problem::Problem;
use crate::config::Config;
use crate::time::{MINUTE, Millis};

/// So many keys are remembered at most: a limit's memory does not grow with the number of attackers.
const KEYS: usize = 50_000;

/// The limits of one server.
pub(crate) struct Limits {
    /// Logins and setups from one address.
    pub(crate) login_from: Limit<IpAddr>,
    /// Logins into one account, from wherever.
    pub(crate) login_as: Limit<String>,
    /// Tickets for one address.
    pub(crate) tickets: Limit<IpAddr>,
}

impl Limits {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            login_from: Limit::new(config.login_attempts),
            login_as: Limit::new(config.login_attempts),
            tickets: Limit::new(config.ticket_attempts),
        }
    }
}

/// So many a minute for each key, all at once or spread: a token bucket, kept as the time at which it is full again.
pub(crate) struct Limit<K> {
    interval: Millis,
    start: Instant,
    hasher: RandomState,
    full_at: Mutex<HashMap<u64, Millis>>,
    key: std::marker::PhantomData<fn(K)>,
}

/// What a limit counts by.
pub(crate) trait LimitKey: std::hash::Hash {
    /// The part of it that somebody cannot change at will.
    fn lasting(&self) -> impl std::hash::Hash;
}

impl LimitKey for IpAddr {
    /// Who has one address of version 6 has the 64 bits behind it too.
    fn lasting(&self) -> impl std::hash::Hash {
        match self.to_canonical() {
            Self::V4(address) => u64::from(address.to_bits()),
            Self::V6(address) => u64::try_from(address.to_bits() >> 64).unwrap_or_default(),
        }
    }
}

impl LimitKey for String {
    fn lasting(&self) -> impl std::hash::Hash {
        self.as_str()
    }
}

impl<K: LimitKey> Limit<K> {
    pub(crate) fn new(a_minute: u32) -> Self {
        Self {
            interval: MINUTE / Millis::from(a_minute.max(1)),
            start: Instant::now(),
            hasher: RandomState::new(),
            full_at: Mutex::default(),
            key: std::marker::PhantomData,
        }
    }

    /// Counts an attempt, or refuses it.
    pub(crate) fn take(&self, key: &K) -> Result<(), Problem> {
        self.take_at(key, Millis::try_from(self.start.elapsed().as_millis()).unwrap_or(Millis::MAX))
    }

    fn take_at(&self, key: &K, now: Millis) -> Result<(), Problem> {
        let key = self.hasher.hash_one(key.lasting());
        let mut all = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = all.get(&key).copied().unwrap_or(now).max(now);
        let wait = full_at + self.interval - now - MINUTE;
        if wait > 0 {
            return Err(Problem::too_many(u64::try_from(wait).unwrap_or_default().div_ceil(1_000)));
        }
        if all.len() >= KEYS && !all.contains_key(&key) {
            forget(&mut all, now);
        }
        all.insert(key, full_at + self.interval);
        Ok(())
    }

    /// Forgets the attempts of who turned out to be in the right.
    pub(crate) fn forgive(&self, key: &K) {
        let key = self.hasher.hash_one(key.lasting());
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }
}

/// Forgets those that are full again, and if that makes no room the half that tried least.
fn forget(all: &mut HashMap<u64, Millis>, now: Millis) {
    all.retain(|_, full_at| *full_at > now);
    if all.len() >= KEYS {
        let mut times: Vec<Millis> = all.values().copied().collect();
        let (_, median, _) = times.select_nth_unstable(KEYS / 2);
        let median = *median;
        all.retain(|_, full_at| *full_at > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_minute_and_then_one_at_a_time() {
        let limit = Limit::new(3);
        let ann = "ann".to_owned();
        for _ in 0..3 {
            limit.take_at(&ann, 0).unwrap();
        }
        assert_eq!(limit.take_at(&ann, 0).unwrap_err().status(), 429);
        limit.take_at(&"bob".to_owned(), 0).unwrap();
        assert!(limit.take_at(&ann, 19_999).is_err());
        limit.take_at(&ann, 20_000).unwrap();
        assert!(limit.take_at(&ann, 20_000).is_err());
        limit.forgive(&ann);
        limit.take_at(&ann, 20_000).unwrap();
    }

    #[test]
    fn a_network_of_version_6_counts_as_one() {
        let limit: Limit<IpAddr> = Limit::new(1);
        limit.take_at(&"2001:db8::1".parse().unwrap(), 0).unwrap();
        assert!(limit.take_at(&"2001:db8::ffff:2".parse().unwrap(), 0).is_err());
        limit.take_at(&"2001:db8:0:1::1".parse().unwrap(), 0).unwrap();
        limit.take_at(&"10.0.0.1".parse().unwrap(), 0).unwrap();
        limit.take_at(&"10.0.0.2".parse().unwrap(), 0).unwrap();
        assert!(limit.take_at(&"::ffff:10.0.0.2".parse().unwrap(), 0).is_err());
    }

    #[test]
    fn memory_is_bounded_and_whoever_tried_most_is_remembered() {
        let limit = Limit::new(3);
        let ann = "ann".to_owned();
        for _ in 0..3 {
            limit.take_at(&ann, 0).unwrap();
        }
        for n in 0..3 * KEYS {
            limit.take_at(&n.to_string(), 0).unwrap();
        }
        assert!(limit.full_at.lock().unwrap().len() <= KEYS);
        assert!(limit.take_at(&ann, 0).is_err());
    }
}
