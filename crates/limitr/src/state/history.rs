//! Recent usage of a meter and its smoothed rate. Statistics, so in floating point; no decision on money rests on them.

use serde::Serialize;

use crate::fields::{Field, Fields};
use crate::{Amount, Error};

/// How much a meter moved, and when.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Usage {
    /// Time of the call, ms.
    pub ts: i64,
    /// What it added.
    pub delta: Amount,
}

/// The last three [`Usage`] entries, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct History {
    entries: [Usage; 3],
    len: u8,
}

impl Usage {
    fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let usage = Self {
            ts: fields.required("ts").whole().unwrap_or_default(),
            delta: fields.required("delta").amount().unwrap_or_default(),
        };
        fields.finish().map(|()| usage)
    }
}

impl History {
    /// Reads the history of a snapshot.
    pub(super) fn read(field: Field<'_, '_>) -> Self {
        let entries = field.list(|entry| entry.record(Usage::read)).unwrap_or_default();
        let mut history = Self::default();
        entries.into_iter().for_each(|entry| history.append(entry));
        history
    }

    /// The entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Usage] {
        self.entries.get(..usize::from(self.len)).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Units per ms between the last two entries; 0 with fewer.
    pub(crate) fn rate(&self) -> f64 {
        match self.entries() {
            [.., before, newest] => rate_between(*before, *newest),
            _ => 0.0,
        }
    }

    /// The last rate minus the one before; 0 with fewer than three entries.
    pub(crate) fn acceleration(&self) -> f64 {
        match self.entries() {
            [oldest, before, newest] => rate_between(*before, *newest) - rate_between(*oldest, *before),
            _ => 0.0,
        }
    }

    /// Notes `delta` units at `now`; false for a meter's first. Calls of one ms, and of a clock that went back, merge into
    /// one entry.
    pub(crate) fn push(&mut self, now: i64, delta: Amount) -> bool {
        let newest = self.entries.get_mut(usize::from(self.len).wrapping_sub(1));
        match newest {
            Some(newest) if now <= newest.ts => {
                newest.delta = newest.delta.saturating_add(delta);
                true
            }
            newest => {
                let first = newest.is_none();
                self.append(Usage { ts: now, delta });
                !first
            }
        }
    }

    fn append(&mut self, entry: Usage) {
        if usize::from(self.len) == self.entries.len() {
            self.entries.rotate_left(1);
        } else {
            self.len += 1;
        }
        if let Some(last) = self.entries.get_mut(usize::from(self.len).saturating_sub(1)) {
            *last = entry;
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn rate_between(before: Usage, newest: Usage) -> f64 {
    let elapsed = newest.ts.saturating_sub(before.ts);
    if elapsed <= 0 { 0.0 } else { newest.delta.to_f64() / elapsed as f64 }
}

impl Serialize for History {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.entries())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_entries_are_kept_and_rated() {
        let mut history = History::default();
        assert!(!history.push(0, 1.into()));
        for (second, delta) in [(1, 10_000), (2, 20_000), (3, 40_000)] {
            assert!(history.push(second * 1000, delta.into()));
        }
        assert_eq!(history.entries().len(), 3);
        assert!((history.rate() - 40.0).abs() < 1e-12);
        assert!((history.acceleration() - 20.0).abs() < 1e-12);
    }

    #[test]
    fn one_ms_is_one_entry() {
        let mut history = History::default();
        for (now, delta) in [(5, 1), (5, 2), (4, 3)] {
            history.push(now, delta.into());
        }
        assert_eq!(history.entries(), [Usage { ts: 5, delta: 6.into() }]);
    }
}
