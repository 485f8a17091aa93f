//! Balances that cover overage.

use serde::{Deserialize, Serialize};

use super::names::Name;
use crate::Amount;
use crate::policy::{Measure, Reset, ResetMode, Schedule};

/// A balance granted to a customer.
///
/// One made from a topup follows the topup's definition in the plan; the fields here then only say how it was granted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "GrantRecord")]
pub struct Grant {
    /// Its id.
    pub id: Name,
    /// The credit of the balance.
    pub credit: Name,
    /// The topup it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topup: Option<Name>,
    /// When the record was made, ms.
    pub created_on: i64,
    /// When the balance was granted, ms: its periods and expiry count from here.
    pub granted_on: i64,
    /// What was granted.
    pub starting_value: Amount,
    /// What is left.
    pub value: Amount,
    /// When it ends, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_on: Option<i64>,
    /// Lower is drawn first.
    #[serde(skip_serializing_if = "is_zero")]
    pub priority: i64,
    /// When and how the balance starts over.
    #[serde(flatten)]
    pub reset: Reset,
    /// Start of the period it was last reset in, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reset: Option<i64>,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// A grant as it stands in a snapshot.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantRecord {
    #[serde(default)]
    id: Option<Name>,
    credit: Name,
    #[serde(default)]
    topup: Option<Name>,
    #[serde(default)]
    created_on: i64,
    #[serde(default)]
    granted_on: Option<i64>,
    #[serde(default)]
    starting_value: Option<Amount>,
    #[serde(default)]
    value: Amount,
    #[serde(default)]
    expires_on: Option<i64>,
    #[serde(default)]
    priority: i64,
    #[serde(default)]
    resets: bool,
    #[serde(default)]
    reset_inc: Option<i64>,
    #[serde(default)]
    reset_sch: Option<Schedule>,
    #[serde(default)]
    reset_mode: ResetMode,
    #[serde(default)]
    rollover_pct: Option<Amount>,
    #[serde(default)]
    rollover_min: Option<Measure>,
    #[serde(default)]
    rollover_max: Option<Measure>,
    #[serde(default)]
    max_balance: Option<Measure>,
    #[serde(default)]
    reset_catchup_cap: Option<u64>,
    #[serde(default)]
    last_reset: Option<i64>,
}

impl From<GrantRecord> for Grant {
    fn from(record: GrantRecord) -> Self {
        Self {
            id: record.id.unwrap_or_default(),
            credit: record.credit,
            topup: record.topup.filter(|topup| !topup.is_empty()),
            created_on: record.created_on,
            granted_on: record.granted_on.unwrap_or(record.created_on),
            starting_value: record.starting_value.unwrap_or(record.value),
            value: record.value,
            expires_on: record.expires_on,
            priority: record.priority,
            reset: Reset {
                resets: record.resets,
                every: record.reset_inc,
                schedule: record.reset_sch,
                mode: record.reset_mode,
                rollover_pct: record.rollover_pct.unwrap_or(Amount::ONE),
                rollover_min: record.rollover_min,
                rollover_max: record.rollover_max,
                max_balance: record.max_balance,
                reset_catchup_cap: record.reset_catchup_cap,
            },
            last_reset: record.last_reset,
        }
    }
}
