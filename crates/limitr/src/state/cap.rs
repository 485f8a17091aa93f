//! Ceilings on spend.

use serde::Serialize;

use super::names::Name;
use crate::fields::Fields;
use crate::policy::{Period, Schedule};
use crate::{Amount, Error};

/// A ceiling on what calls consume, in one credit or currency.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cap {
    /// Its id.
    pub id: Name,
    /// What it counts in: `rune`, another currency or a credit.
    pub credit: Name,
    /// The ceiling.
    pub value: Amount,
    /// Whether calls in other credits are converted and counted.
    pub exchangeable: bool,
    /// Counts overage only.
    #[serde(skip_serializing_if = "no")]
    pub overage_only: bool,
    /// Does not count what grants cover.
    #[serde(skip_serializing_if = "no")]
    pub ignore_grants: bool,
    /// Counts but never denies.
    #[serde(skip_serializing_if = "no")]
    pub observe_only: bool,
    /// Counts the provider's cost instead of the price.
    #[serde(skip_serializing_if = "no")]
    pub overhead_cost: bool,
    /// Moves down with decrements.
    #[serde(skip_serializing_if = "no")]
    pub follow_decrements: bool,
    /// Denies only once the ceiling has been reached.
    #[serde(skip_serializing_if = "no")]
    pub hard_trailing: bool,
    /// Binds customers that refer to the holder too.
    #[serde(skip_serializing_if = "no")]
    pub shared: bool,
    /// Types of callers it is shared with; empty means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shared_with: Vec<Name>,
    /// Entitlements it binds; empty means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scope: Vec<Name>,
    /// Whether it starts over ...
    #[serde(skip_serializing_if = "no")]
    pub resets: bool,
    /// ... every this many ms from `started`, or
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_inc: Option<i64>,
    /// ... on a calendar schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_sch: Option<Schedule>,
    /// When it ends, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_on: Option<i64>,
    /// Spent in the current period.
    pub meter_value: Amount,
    /// When it was made, ms.
    pub created_on: i64,
    /// Where its periods count from, ms.
    pub started: i64,
    /// Start of the current period, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
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

    /// Reads a cap of a snapshot, kept under `id`.
    pub(super) fn read(id: &Name, mut fields: Fields<'_>) -> Result<Self, Error> {
        fields.text("id");
        let cap = Self {
            id: id.clone(),
            credit: fields.given("credit").name().unwrap_or_else(|| "rune".into()),
            value: fields.required("value").amount().unwrap_or_default(),
            exchangeable: fields.flag("exchangeable", true),
            overage_only: fields.flag("overage_only", false),
            ignore_grants: fields.flag("ignore_grants", false),
            observe_only: fields.flag("observe_only", false),
            overhead_cost: fields.flag("overhead_cost", false),
            follow_decrements: fields.flag("follow_decrements", false),
            hard_trailing: fields.flag("hard_trailing", false),
            shared: fields.flag("shared", false),
            shared_with: fields.given("shared_with").names().unwrap_or_default(),
            scope: fields.given("scope").names().unwrap_or_default(),
            resets: fields.flag("resets", false),
            reset_inc: fields.optional("reset_inc").duration(),
            reset_sch: fields.optional("reset_sch").schedule(),
            expires_on: fields.optional("expires_on").whole(),
            meter_value: fields.given("meter_value").amount().unwrap_or_default(),
            created_on: fields.given("created_on").whole().unwrap_or_default(),
            started: fields.given("started").whole().unwrap_or_default(),
            last_reset: fields.optional("last_reset").whole(),
        };
        fields.finish().map(|()| cap)
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

#[allow(clippy::trivially_copy_pass_by_ref)]
fn no(value: &bool) -> bool {
    !*value
}
