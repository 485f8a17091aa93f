//! Outcomes remembered under idempotency keys.

use std::collections::VecDeque;

use serde::ser::{Serialize, Serializer};

use super::names::{FixedMap, Name};
use crate::fields::{Field, Fields};
use crate::{Decision, Denial, Error};

/// How long a key is kept.
const KEPT_MS: i64 = 24 * 3_600_000;
/// How many keys a customer keeps.
const KEPT: usize = 10_000;

/// The outcome of an earlier call.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(crate) struct Replay {
    /// When the call was, ms.
    pub(crate) at: i64,
    /// Digest of its arguments.
    pub(crate) call: String,
    /// What was decided.
    pub(crate) decision: Decision,
}

/// Remembered outcomes, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Replays {
    order: VecDeque<Name>,
    by_key: FixedMap<Name, Replay>,
}

impl Replay {
    fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let decision = fields.required("decision").record(Decision::read);
        let replay = Self {
            at: fields.required("at").whole().unwrap_or_default(),
            call: fields.text("call").to_owned(),
            // One that cannot be read has been reported.
            decision: decision.unwrap_or(Decision::denied(Denial::Disconnected)),
        };
        fields.finish().map(|()| replay)
    }
}

impl Replays {
    /// Reads what a snapshot remembers.
    pub(super) fn read(field: Field<'_, '_>) -> Option<Self> {
        let mut entries = field.map(|_, replay| replay.record(Replay::read))?.into_entries();
        // A snapshot's map may come back in any order; time is the order that matters.
        entries.sort_by_key(|(_, replay)| replay.at);
        let mut replays = Self::default();
        entries.into_iter().for_each(|(key, replay)| replays.insert(key, replay));
        Some(replays)
    }

    /// The outcome under `key`, unless it is too old.
    pub(crate) fn get(&self, key: &str, now: i64) -> Option<&Replay> {
        self.by_key.get(key).filter(|replay| fresh(replay, now))
    }

    /// Whether any outcome is not too old.
    pub(crate) fn any(&self, now: i64) -> bool {
        self.order.back().is_some_and(|newest| self.get(newest, now).is_some())
    }

    /// Remembers an outcome, forgetting those too old and, when full, the oldest.
    pub(crate) fn insert(&mut self, key: Name, replay: Replay) {
        while let Some(oldest) = self.order.front() {
            let keep = self.order.len() < KEPT && self.by_key.get(oldest).is_some_and(|old| fresh(old, replay.at));
            if keep {
                break;
            }
            self.by_key.remove(oldest);
            self.order.pop_front();
        }
        if self.by_key.insert(key.clone(), replay).is_some() {
            self.order.retain(|known| *known != key);
        }
        self.order.push_back(key);
    }
}

fn fresh(replay: &Replay, now: i64) -> bool {
    now.saturating_sub(replay.at) < KEPT_MS
}

/// Digest of a call's arguments: FNV-1a, 128 bits, the same on every platform. Keys come from the caller's own retries, so
/// nobody gains by a collision.
pub(crate) fn digest(arguments: &str) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = arguments.bytes().fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    format!("{hash:032x}")
}

impl Serialize for Replays {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.order.iter().filter_map(|key| self.by_key.get_key_value(key)))
    }
}
