//! Recent usage of a meter and its smoothed rate. Statistics, so in floating point; no decision on money rests on them.

use serde::{Deserialize, Serialize};

use crate::Amount;

/// How much a meter moved, and when.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// The history and the smoothed rate after a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trend {
    pub(crate) history: History,
    pub(crate) ewma_rate: f64,
}

impl History {
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

    fn push(&mut self, entry: Usage) {
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

impl Trend {
    /// The trend after `delta` units at `now`. Calls of one ms, and of a clock that went back, merge into one entry.
    pub(crate) fn after(self, now: i64, delta: Amount, alpha: f64) -> Self {
        let mut history = self.history;
        if history.is_empty() {
            history.push(Usage { ts: now, delta });
            return Self { history, ewma_rate: self.ewma_rate };
        }
        let newest = history.entries.get_mut(usize::from(history.len).saturating_sub(1));
        match newest {
            Some(newest) if now <= newest.ts => newest.delta = newest.delta.saturating_add(delta),
            _ => history.push(Usage { ts: now, delta }),
        }
        Self { history, ewma_rate: alpha * history.rate() + (1.0 - alpha) * self.ewma_rate }
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

impl<'de> Deserialize<'de> for History {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Vec::<Usage>::deserialize(deserializer)?;
        let mut history = Self::default();
        entries.into_iter().for_each(|entry| history.push(entry));
        Ok(history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trend_starts_at_zero_and_smooths() {
        let mut trend = Trend { history: History::default(), ewma_rate: 0.0 };
        for second in 0..3 {
            trend = trend.after(second * 1000, 10_000.into(), 0.2);
        }
        assert!((trend.ewma_rate - 3.6).abs() < 1e-12);
        assert_eq!(trend.history.entries().len(), 3);
    }

    #[test]
    fn one_ms_is_one_entry() {
        let trend = Trend { history: History::default(), ewma_rate: 0.0 };
        let trend = trend.after(5, 1.into(), 0.2).after(5, 2.into(), 0.2).after(4, 3.into(), 0.2);
        assert_eq!(trend.history.entries(), [Usage { ts: 5, delta: 6.into() }]);
    }
}
