//! Ceilings on spend.

use serde::{Deserialize, Serialize};

use super::names::Name;
use crate::Amount;
use crate::policy::{Period, Schedule};

/// A ceiling on what calls consume, in one credit or currency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// Its id.
    pub id: Name,
    /// What it counts in: `rune`, another currency or a credit.
    #[serde(default = "rune")]
    pub credit: Name,
    /// The ceiling.
    pub value: Amount,
    /// Whether calls in other credits are converted and counted.
    #[serde(default = "yes")]
    pub exchangeable: bool,
    /// Counts overage only.
    #[serde(default, skip_serializing_if = "no")]
    pub overage_only: bool,
    /// Does not count what grants cover.
    #[serde(default, skip_serializing_if = "no")]
    pub ignore_grants: bool,
    /// Counts but never denies.
    #[serde(default, skip_serializing_if = "no")]
    pub observe_only: bool,
    /// Counts the provider's cost instead of the price.
    #[serde(default, skip_serializing_if = "no")]
    pub overhead_cost: bool,
    /// Moves down with decrements.
    #[serde(default, skip_serializing_if = "no")]
    pub follow_decrements: bool,
    /// Denies only once the ceiling has been reached.
    #[serde(default, skip_serializing_if = "no")]
    pub hard_trailing: bool,
    /// Binds customers that refer to the holder too.
    #[serde(default, skip_serializing_if = "no")]
    pub shared: bool,
    /// Types of callers it is shared with; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_with: Vec<Name>,
    /// Entitlements it binds; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scope: Vec<Name>,
    /// Whether it starts over ...
    #[serde(default, skip_serializing_if = "no")]
    pub resets: bool,
    /// ... every this many ms from `started`, or
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::policy::duration::optional")]
    pub reset_inc: Option<i64>,
    /// ... on a calendar schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_sch: Option<Schedule>,
    /// When it ends, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_on: Option<i64>,
    /// Spent in the current period.
    #[serde(default)]
    pub meter_value: Amount,
    /// When it was made, ms.
    #[serde(default)]
    pub created_on: i64,
    /// Where its periods count from, ms.
    #[serde(default)]
    pub started: i64,
    /// Start of the current period, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_reset: Option<i64>,
}

impl Cap {
    /// A cap of `value` in `credit` with every other field at its default.
    pub(crate) fn new(id: Name, credit: Name, value: Amount, exchangeable: bool, now: i64) -> Self {
        Self {
            id,
            credit,
            value,
            exchangeable,
            overage_only: false,
            ignore_grants: false,
            observe_only: false,
            overhead_cost: false,
            follow_decrements: false,
            hard_trailing: false,
            shared: false,
            shared_with: Vec::new(),
            scope: Vec::new(),
            resets: false,
            reset_inc: None,
            reset_sch: None,
            expires_on: None,
            meter_value: Amount::ZERO,
            created_on: now,
            started: now,
            last_reset: None,
        }
    }

    pub(crate) fn period(&self) -> Option<Period> {
        Period::new(self.resets, self.reset_inc, self.reset_sch)
    }

    /// Start of the current period when it is later than the one counted: what was counted is over.
    pub(crate) fn rolled(&self, now: i64) -> Option<i64> {
        self.period()?.rolled(self.last_reset.unwrap_or(self.started), now)
    }

    /// Begins the period that starts at `start`, with nothing counted.
    pub(crate) fn restart(&mut self, start: i64) {
        self.meter_value = Amount::ZERO;
        self.last_reset = Some(start);
        if self.reset_sch.is_none() {
            self.started = start;
        }
    }

    /// What is counted in the period that holds `now`.
    pub(crate) fn spent(&self, now: i64) -> Amount {
        if self.rolled(now).is_some() { Amount::ZERO } else { self.meter_value }
    }

    /// When the current period ends.
    pub(crate) fn resets_at(&self, now: i64) -> Option<i64> {
        let start = self.rolled(now).unwrap_or(self.last_reset.unwrap_or(self.started));
        self.period()?.ends(start, now)
    }
}

fn rune() -> Name {
    "rune".into()
}
fn yes() -> bool {
    true
}
#[allow(clippy::trivially_copy_pass_by_ref)]
fn no(value: &bool) -> bool {
    !*value
}
