//! The policy document as typed data, in the document's own names.
//!
//! Reading (with positions and every problem at once) is in `policy/read`; writing is the `Serialize` below, which leaves
//! out what is at its default.

use indexmap::IndexMap;
use serde::{Serialize, Serializer};

mod logic;

pub use logic::{Capability, Notification, Once, Parameter, ParameterType, Severity};

use super::schedule::Schedule;
use super::units::{Measure, Unit};
use crate::Amount;
pub use crate::logic::Functions;

/// Names in document order.
pub type Map<T> = IndexMap<String, T, foldhash::fast::FixedState>;

/// `x-` fields: kept, never interpreted.
pub type Extensions = Map<serde_json::Value>;

/// A whole policy document (the contents of its `policy` key), without customers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Policy {
    /// What is measured.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub credits: Map<Credit>,
    /// Conversion between credits and currencies.
    #[serde(skip_serializing_if = "Exchange::is_default")]
    pub exchange: Exchange,
    /// What customers get.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub plans: Map<Plan>,
    /// Alerts.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub notifications: Map<Notification>,
    /// Logic that can be called.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub capabilities: Map<Capability>,
    /// Learned usage shipped with the document: entitlement, then segment.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub estimates: Map<Map<Estimate>>,
    /// How long an unsettled reservation holds room, in ms.
    #[serde(skip_serializing_if = "is_default_hold_ttl")]
    pub hold_ttl: i64,
    /// Samples before a customer's own estimate is used.
    #[serde(skip_serializing_if = "is_default_min_samples")]
    pub estimate_min_samples: u64,
    /// `x-` fields.
    #[serde(flatten)]
    pub extensions: Extensions,
    /// Functions of the Stof document it came from. They are not data: what is written has none.
    #[serde(skip)]
    pub functions: Functions,
}

/// Default of [`Policy::hold_ttl`]: ten minutes.
pub const HOLD_TTL: i64 = 600_000;
/// Default of [`Policy::estimate_min_samples`].
pub const ESTIMATE_MIN_SAMPLES: u64 = 5;
/// Default of [`Limit::reset_inc`] and [`Reset::every`]: thirty days.
pub const THIRTY_DAYS: i64 = 30 * 86_400_000;

/// What is measured, what it costs and what it is sold for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Credit {
    /// Name of one unit, for people.
    pub unit: String,
    /// Label, for people.
    pub label: String,
    /// Description, for people.
    pub description: String,
    /// The unit meters of this credit keep.
    pub stof_units: Unit,
    /// Informational.
    #[serde(skip_serializing_if = "is_false")]
    pub resets: bool,
    /// What one unit costs the provider, in runes.
    #[serde(skip_serializing_if = "is_zero")]
    pub overhead_cost: Amount,
    /// What a call costs the provider, in runes, instead: an expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overhead: Option<String>,
    /// How billable units are priced.
    pub pricing_model: PricingModel,
    /// Runes per unit (`flat`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Bands of the other models, sorted by `up_to`, the open one last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    /// Free data, for rate tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
    /// `x-` fields.
    #[serde(flatten)]
    pub extensions: Extensions,
}

/// How billable units are priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PricingModel {
    /// The same price for every unit.
    #[default]
    Flat,
    /// Each band's units at that band's rate.
    Tiered,
    /// The band that the total falls in rates all units.
    Volume,
    /// A fixed fee for the band that the total falls in.
    Stairstep,
}

/// An amount of runes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Price {
    /// Runes.
    pub amount: Amount,
    /// The caller's own reference for it (a price id at a payment provider).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `x-` fields.
    #[serde(flatten)]
    pub extensions: Extensions,
}

/// One price band, up to and including `up_to`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tier {
    /// Inclusive upper end; none for the open band.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Amount>,
    /// The band's rate or fee.
    pub price: Price,
    /// `x-` fields.
    #[serde(flatten)]
    pub extensions: Extensions,
}

/// The exchange table.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Exchange {
    /// The order convertible grants are drawn in.
    #[serde(skip_serializing_if = "GrantStrategy::is_default")]
    pub grant_strategy: GrantStrategy,
    /// One unit of the key is worth the pair.
    #[serde(flatten)]
    pub pairs: Map<Pair>,
    /// `x-` fields.
    #[serde(flatten)]
    pub extensions: Extensions,
}

/// The order grants are drawn in, after priority and own-credit-first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantStrategy {
    /// Earliest expiry first.
    #[default]
    ExpiresFirst,
    /// Lowest rune worth of one unit first.
    CheapestFirst,
    /// Highest rune worth of one unit first.
    ValuableFirst,
}

/// Worth of one unit: `value` units of `currency`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// How many units of `currency`.
    pub value: Amount,
    /// A credit, another pair, `rune` or `usd`.
    pub currency: String,
    /// `x-` fields.
    #[serde(flatten)]
    pub extensions: Extensions,
}

/// What a customer of the plan gets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Label, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// Whether customers created without a plan get this one.
    #[serde(skip_serializing_if = "is_false")]
    pub default: bool,
    /// Not shown by pricing pages.
    #[serde(skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// Billing period.
    pub period: PlanPeriod,
    /// Entitlement metered once per period as the base fee.
    pub subscription: String,
    /// Delay before the subscription is charged, in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_period: Option<i64>,
    /// What may be used, and how much of it.
    pub entitlements: Map<Entitlement>,
    /// Balances that can be granted.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub topups: Map<Topup>,
    /// `x-` fields.
    #[serde(flatten)]
    pub extensions: Extensions,
}

/// A plan's billing period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanPeriod {
    /// 365 days in margin arithmetic.
    Yearly,
    /// 30 days in margin arithmetic.
    #[default]
    Monthly,
    /// 7 days.
    Weekly,
    /// One day.
    Daily,
}

/// A feature flag, or with a limit a metered right.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Entitlement {
    /// Description, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Not shown by pricing pages.
    #[serde(skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// Customer type whose meter is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Absent: a feature flag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// Event-data field that usage is learned per unit of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate_basis: Option<String>,
    /// Event-data field that separates what is learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate_segment: Option<String>,
    /// `x-` fields.
    #[serde(flatten)]
    pub extensions: Extensions,
}

/// How much, in which credit, and what happens past it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Limit {
    /// The credit metered.
    pub credit: String,
    /// What happens past the limit.
    pub mode: Mode,
    /// The limit.
    pub value: Measure,
    /// Step of increment and decrement.
    pub increment: Measure,
    /// The meter never goes below this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Measure>,
    /// Hard only: allow while the meter is under the limit before the call.
    #[serde(skip_serializing_if = "is_false")]
    pub hard_trailing: bool,
    /// Whether grants may cover overage.
    #[serde(skip_serializing_if = "is_true")]
    pub grants_apply: bool,
    /// Whether a new period ever begins.
    #[serde(skip_serializing_if = "is_false")]
    pub resets: bool,
    /// Length of a period in ms, counted from the meter's start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_inc: Option<i64>,
    /// Calendar schedule instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_sch: Option<Schedule>,
    /// A token bucket in front of a hard limit.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub governor: Option<Governor>,
    /// Smoothing of the rate trend, 0 to 1.
    #[serde(skip_serializing_if = "is_default_alpha")]
    pub ewma_alpha: f64,
    /// On customer overrides only: when the override ends, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_expires_on: Option<i64>,
    /// `x-` fields.
    #[serde(flatten)]
    pub extensions: Extensions,
}

/// Default of [`Limit::ewma_alpha`].
pub const EWMA_ALPHA: f64 = 0.2;

/// What happens past a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Denied.
    #[default]
    Hard,
    /// Allowed, the overage reported.
    Soft,
    /// Never denied, no overage.
    Observe,
}

/// A token bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Governor {
    /// Whether it is in force (a document may keep a disabled one).
    pub enabled: bool,
    /// Bucket size.
    pub capacity: Option<Measure>,
    /// Tokens per ms.
    pub refill_rate: Option<Amount>,
}

impl Serialize for Governor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("governor_enabled", &self.enabled)?;
        if let Some(capacity) = &self.capacity {
            map.serialize_entry("governor_capacity", capacity)?;
        }
        if let Some(rate) = &self.refill_rate {
            map.serialize_entry("governor_refill_rate", rate)?;
        }
        map.end()
    }
}

/// A balance that can be granted to customers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Topup {
    /// Description, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The credit of the balance.
    pub credit: String,
    /// How much is granted.
    pub value: Measure,
    /// What it is sold for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Given to every customer of the plan ...
    #[serde(skip_serializing_if = "is_false")]
    pub included: bool,
    /// ... of these types; empty means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub included_scopes: Vec<String>,
    /// When and how the balance starts over.
    #[serde(flatten)]
    pub reset: Reset,
    /// Life of a grant in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<i64>,
    /// Lower is drawn first.
    #[serde(skip_serializing_if = "is_zero_i64")]
    pub priority: i64,
    /// `x-` fields.
    #[serde(flatten)]
    pub extensions: Extensions,
}

/// When and how a balance starts over.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reset {
    /// Whether it ever does.
    #[serde(skip_serializing_if = "is_false")]
    pub resets: bool,
    /// Every this many ms (thirty days when neither is given).
    #[serde(rename = "reset_inc", skip_serializing_if = "Option::is_none")]
    pub every: Option<i64>,
    /// On a calendar schedule instead.
    #[serde(rename = "reset_sch", skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// What happens to the balance.
    #[serde(rename = "reset_mode", skip_serializing_if = "ResetMode::is_default")]
    pub mode: ResetMode,
    /// Fraction of the balance carried over (`rollover`).
    #[serde(skip_serializing_if = "is_one")]
    pub rollover_pct: Amount,
    /// Least carried over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollover_min: Option<Measure>,
    /// Most carried over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollover_max: Option<Measure>,
    /// The balance never resets above this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_balance: Option<Measure>,
    /// Most periods caught up at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_catchup_cap: Option<u64>,
}

impl Default for Reset {
    fn default() -> Self {
        Self {
            resets: false,
            every: None,
            schedule: None,
            mode: ResetMode::Hard,
            rollover_pct: Amount::ONE,
            rollover_min: None,
            rollover_max: None,
            max_balance: None,
            reset_catchup_cap: None,
        }
    }
}

/// What a reset does to a balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ResetMode {
    /// Back to the topup's value.
    #[default]
    Hard,
    /// The topup's value is added.
    Add,
    /// Part of the balance is carried, the value added.
    Rollover,
}

/// Learned usage of one entitlement and segment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// Calls learned from.
    pub samples: u64,
    /// Weight of a new sample once there are more than ten.
    #[serde(skip_serializing_if = "is_default_estimate_alpha")]
    pub alpha: f64,
    /// Mean of value (per unit of basis, when the entitlement declares one).
    pub value_mean: f64,
    /// Variance of value.
    pub value_var: f64,
    /// Mean of overhead, runes.
    #[serde(skip_serializing_if = "is_zero_f64")]
    pub overhead_mean: f64,
    /// Variance of overhead.
    #[serde(skip_serializing_if = "is_zero_f64")]
    pub overhead_var: f64,
    /// Where it comes from: `local` when learned here.
    pub source: String,
    /// When it last learned, ms.
    #[serde(skip_serializing_if = "is_zero_i64")]
    pub updated: i64,
    /// The basis field it was learned per unit of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
}

/// Default of [`Estimate::alpha`].
pub const ESTIMATE_ALPHA: f64 = 0.1;

#[allow(clippy::float_cmp)]
fn is_default_estimate_alpha(alpha: &f64) -> bool {
    *alpha == ESTIMATE_ALPHA
}
#[allow(clippy::float_cmp)]
fn is_default_alpha(alpha: &f64) -> bool {
    *alpha == EWMA_ALPHA
}
fn is_zero_f64(value: &f64) -> bool {
    *value == 0.0
}
fn is_zero_i64(value: &i64) -> bool {
    *value == 0
}
fn is_default_hold_ttl(ttl: &i64) -> bool {
    *ttl == HOLD_TTL
}
fn is_default_min_samples(samples: &u64) -> bool {
    *samples == ESTIMATE_MIN_SAMPLES
}
fn is_false(value: &bool) -> bool {
    !*value
}
fn is_true(value: &bool) -> bool {
    *value
}
fn is_zero(amount: &Amount) -> bool {
    amount.is_zero()
}
fn is_one(amount: &Amount) -> bool {
    *amount == Amount::ONE
}

impl Default for Credit {
    fn default() -> Self {
        Self {
            unit: "credit".to_owned(),
            label: "Credit".to_owned(),
            description: String::new(),
            stof_units: Unit::FLOAT,
            resets: false,
            overhead_cost: Amount::ZERO,
            overhead: None,
            pricing_model: PricingModel::Flat,
            price: None,
            tiers: Vec::new(),
            data: None,
            extensions: Extensions::default(),
        }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            label: String::new(),
            default: false,
            hidden: false,
            period: PlanPeriod::Monthly,
            subscription: "subscription".to_owned(),
            trial_period: None,
            entitlements: Map::default(),
            topups: Map::default(),
            extensions: Extensions::default(),
        }
    }
}

impl Limit {
    /// A limit of 0 in `credit` with every other field at its default.
    #[must_use]
    pub fn new(credit: impl Into<String>) -> Self {
        Self {
            credit: credit.into(),
            mode: Mode::Hard,
            value: Measure::ZERO,
            increment: Measure::ONE,
            minimum: None,
            hard_trailing: false,
            grants_apply: true,
            resets: false,
            reset_inc: None,
            reset_sch: None,
            governor: None,
            ewma_alpha: EWMA_ALPHA,
            override_expires_on: None,
            extensions: Extensions::default(),
        }
    }
}

impl Exchange {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl GrantStrategy {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl ResetMode {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
