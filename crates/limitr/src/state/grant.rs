//! Balances that cover overage.

use serde::Serialize;

use super::names::Name;
use crate::fields::Fields;
use crate::policy::Reset;
use crate::{Amount, Error};

/// A balance granted to a customer.
///
/// One made from a topup follows the topup's definition in the plan; the fields here then only say how it was granted.
#[derive(Debug, Clone, PartialEq, Serialize)]
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

impl Grant {
    /// Reads a grant of a snapshot, kept under `id`.
    pub(super) fn read(id: &Name, mut fields: Fields<'_>) -> Result<Self, Error> {
        // The key is the id; records written by hand may leave it out inside.
        fields.optional("id").text();
        let created_on = fields.given("created_on").whole().unwrap_or_default();
        let value = fields.given("value").amount().unwrap_or_default();
        let grant = Self {
            id: id.clone(),
            credit: fields.required("credit").name().unwrap_or_default(),
            topup: fields.optional("topup").name().filter(|topup| !topup.is_empty()),
            created_on,
            granted_on: fields.optional("granted_on").whole().unwrap_or(created_on),
            starting_value: fields.optional("starting_value").amount().unwrap_or(value),
            value,
            expires_on: fields.optional("expires_on").whole(),
            priority: fields.given("priority").whole().unwrap_or_default(),
            reset: Reset {
                resets: fields.flag("resets", false),
                every: fields.optional("reset_inc").whole(),
                schedule: fields.optional("reset_sch").schedule(),
                mode: fields.given("reset_mode").choice().unwrap_or_default(),
                rollover_pct: fields.optional("rollover_pct").amount().unwrap_or(Amount::ONE),
                rollover_min: fields.optional("rollover_min").measure(),
                rollover_max: fields.optional("rollover_max").measure(),
                max_balance: fields.optional("max_balance").measure(),
                reset_catchup_cap: fields.optional("reset_catchup_cap").count(),
            },
            last_reset: fields.optional("last_reset").whole(),
        };
        fields.finish().map(|()| grant)
    }
}
