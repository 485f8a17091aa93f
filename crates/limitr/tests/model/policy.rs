//! The policy document, read into plain structs. Nothing is validated: only valid policies are given to the model.

use super::amount;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub const THIRTY_DAYS: i64 = 30 * 86_400_000;

#[derive(Clone, Debug, Default)]
pub struct Policy {
    pub credits: BTreeMap<String, Credit>,
    pub pairs: BTreeMap<String, Pair>,
    pub grant_strategy: String,
    pub plans: BTreeMap<String, Plan>,
    pub hold_ttl: i64,
    pub estimate_min_samples: u64,
    /// Kept as read; the estimates themselves are state and live in the model.
    pub estimates: Value,
}

#[derive(Clone, Debug)]
pub struct Pair {
    pub value: Decimal,
    pub currency: String,
}

#[derive(Clone, Debug, Default)]
pub struct Credit {
    /// `float`, `int` or the name of a unit.
    pub unit: String,
    pub overhead_cost: Decimal,
    /// Whether its cost is [`COST`].
    pub computed: bool,
    pub pricing_model: String,
    pub price: Option<Decimal>,
    /// Sorted by bound, the open one last.
    pub tiers: Vec<Tier>,
    /// As the document has it.
    pub definition: Value,
}

#[derive(Clone, Debug)]
pub struct Tier {
    pub up_to: Option<Decimal>,
    pub amount: Decimal,
}

/// The one cost expression policies of the model have.
pub const COST: &str = "units * 0.25 + (has(context.input) ? context.input * 0.125 : 0.5)";

impl Credit {
    /// What a call costs that says nothing of it.
    pub fn cost(&self, units: Decimal, data: &Value) -> Decimal {
        if !self.computed || units.is_zero() {
            return units * self.overhead_cost;
        }
        let flat = amount_of(data, "input").map_or(Decimal::new(5, 1), |input| input * Decimal::new(125, 3));
        units * Decimal::new(25, 2) + flat
    }

    pub fn priced(&self) -> bool {
        self.price.is_some() || !self.tiers.is_empty()
    }
}

#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub default: bool,
    pub period: String,
    pub subscription: String,
    pub trial_period: i64,
    pub entitlements: BTreeMap<String, Entitlement>,
    pub topups: BTreeMap<String, Topup>,
}

#[derive(Clone, Debug, Default)]
pub struct Entitlement {
    pub scope: String,
    pub limit: Option<Limit>,
    pub estimate_basis: String,
    pub estimate_segment: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    pub credit: String,
    pub mode: String,
    pub value: Decimal,
    pub increment: Decimal,
    pub minimum: Option<Decimal>,
    pub hard_trailing: bool,
    pub grants_apply: bool,
    pub resets: bool,
    pub reset_inc: i64,
    pub reset_sch: Option<String>,
    pub governor_enabled: bool,
    pub governor_capacity: Decimal,
    pub governor_refill_rate: Decimal,
    pub ewma_alpha: f64,
    pub override_expires_on: Option<i64>,
}

#[derive(Clone, Debug)]
pub struct Topup {
    pub credit: String,
    pub value: Decimal,
    pub included: bool,
    pub included_scopes: Vec<String>,
    pub resets: Resets,
    pub expires_after: Option<i64>,
    pub priority: i64,
}

/// How a grant starts over; the fields a topup and a grant's record share.
#[derive(Clone, Debug)]
pub struct Resets {
    pub resets: bool,
    pub inc: i64,
    pub sch: Option<String>,
    pub mode: String,
    pub rollover_pct: Decimal,
    pub rollover_min: Option<Decimal>,
    pub rollover_max: Option<Decimal>,
    pub max_balance: Option<Decimal>,
    pub catchup_cap: Option<i64>,
}

pub fn text(value: &Value, field: &str) -> Option<String> {
    value.get(field).and_then(Value::as_str).map(str::to_owned)
}

pub fn flag(value: &Value, field: &str, default: bool) -> bool {
    value.get(field).and_then(Value::as_bool).unwrap_or(default)
}

pub fn amount_of(value: &Value, field: &str) -> Option<Decimal> {
    value.get(field).and_then(amount::number)
}

/// A statistic: a number, or a string holding one. Never through a decimal, which would cost the last bit.
pub fn float_of(value: &Value, field: &str) -> f64 {
    match value.get(field) {
        Some(Value::String(text)) => text.parse().unwrap_or(0.0),
        other => other.and_then(Value::as_f64).unwrap_or(0.0),
    }
}

pub fn duration_of(value: &Value, field: &str) -> Option<i64> {
    value.get(field).and_then(amount::duration)
}

pub fn strings(value: &Value, field: &str) -> Vec<String> {
    let list = value.get(field).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

pub fn entries<'a>(value: &'a Value, field: &str) -> Vec<(&'a String, &'a Value)> {
    value.get(field).and_then(Value::as_object).map(|map| map.iter().collect()).unwrap_or_default()
}

impl Policy {
    pub fn read(value: &Value) -> Policy {
        let mut policy = Policy {
            hold_ttl: duration_of(value, "hold_ttl").unwrap_or(600_000),
            estimate_min_samples: value.get("estimate_min_samples").and_then(Value::as_u64).unwrap_or(5),
            grant_strategy: "expires_first".to_owned(),
            estimates: value.get("estimates").cloned().unwrap_or(Value::Null),
            ..Policy::default()
        };
        for (name, credit) in entries(value, "credits") {
            policy.credits.insert(name.clone(), Credit::read(credit));
        }
        for (name, pair) in entries(value, "exchange") {
            if name == "grant_strategy" {
                policy.grant_strategy = pair.as_str().unwrap_or_default().to_owned();
            } else if let (Some(value), Some(currency)) = (amount_of(pair, "value"), text(pair, "currency")) {
                policy.pairs.insert(name.clone(), Pair { value, currency });
            }
        }
        for (name, plan) in entries(value, "plans") {
            let plan = policy.read_plan(plan);
            policy.plans.insert(name.clone(), plan);
        }
        policy
    }

    pub fn read_plan(&self, value: &Value) -> Plan {
        let mut plan = Plan {
            default: flag(value, "default", false),
            period: text(value, "period").unwrap_or_else(|| "monthly".to_owned()),
            subscription: text(value, "subscription").unwrap_or_else(|| "subscription".to_owned()),
            trial_period: duration_of(value, "trial_period").unwrap_or(0),
            ..Plan::default()
        };
        for (name, entitlement) in entries(value, "entitlements") {
            let entitlement = Entitlement {
                scope: text(entitlement, "scope").unwrap_or_default(),
                limit: entitlement.get("limit").filter(|l| !l.is_null()).map(|l| self.read_limit(l)),
                estimate_basis: text(entitlement, "estimate_basis").unwrap_or_default(),
                estimate_segment: text(entitlement, "estimate_segment").unwrap_or_default(),
            };
            plan.entitlements.insert(name.clone(), entitlement);
        }
        for (name, topup) in entries(value, "topups") {
            plan.topups.insert(name.clone(), self.read_topup(topup));
        }
        plan
    }

    /// The unit meters of a credit keep; currencies are plain numbers.
    pub fn unit_of(&self, credit: &str) -> &str {
        self.credits.get(credit).map_or("float", |c| c.unit.as_str())
    }

    pub fn read_limit(&self, value: &Value) -> Limit {
        let credit = text(value, "credit").unwrap_or_default();
        let unit = self.unit_of(&credit).to_owned();
        let quantity = |field: &str| value.get(field).and_then(|v| amount::quantity(v, &unit));
        // Only the value, the increment and the minimum of a limit are rounded to whole numbers.
        let bucket = if unit == "int" { "float" } else { unit.as_str() };
        Limit {
            mode: text(value, "mode").unwrap_or_else(|| "hard".to_owned()),
            value: quantity("value").unwrap_or_default(),
            increment: quantity("increment").unwrap_or(Decimal::ONE),
            minimum: quantity("minimum"),
            hard_trailing: flag(value, "hard_trailing", false),
            grants_apply: flag(value, "grants_apply", true),
            resets: flag(value, "resets", false),
            reset_inc: duration_of(value, "reset_inc").unwrap_or(THIRTY_DAYS),
            reset_sch: text(value, "reset_sch"),
            governor_enabled: flag(value, "governor_enabled", false),
            governor_capacity: value
                .get("governor_capacity")
                .and_then(|v| amount::quantity(v, bucket))
                .unwrap_or_default(),
            governor_refill_rate: amount_of(value, "governor_refill_rate").unwrap_or_default(),
            ewma_alpha: value.get("ewma_alpha").and_then(Value::as_f64).unwrap_or(0.2),
            override_expires_on: duration_of(value, "override_expires_on"),
            credit,
        }
    }

    fn read_topup(&self, value: &Value) -> Topup {
        let credit = text(value, "credit").unwrap_or_default();
        let unit = self.unit_of(&credit).to_owned();
        Topup {
            value: value.get("value").and_then(|v| grant_amount(v, &unit)).unwrap_or_default(),
            included: flag(value, "included", false),
            included_scopes: strings(value, "included_scopes"),
            resets: Resets::read(value, &unit),
            expires_after: duration_of(value, "expires_after"),
            priority: value.get("priority").and_then(Value::as_i64).unwrap_or(0),
            credit,
        }
    }
}

/// An amount of a credit that is not metered: units convert, an `int` credit does not round it.
fn grant_amount(value: &Value, unit: &str) -> Option<Decimal> {
    amount::quantity(value, if unit == "int" { "float" } else { unit })
}

impl Resets {
    pub fn read(value: &Value, unit: &str) -> Resets {
        let quantity = |field: &str| value.get(field).and_then(|v| grant_amount(v, unit));
        Resets {
            resets: flag(value, "resets", false),
            inc: duration_of(value, "reset_inc").unwrap_or(THIRTY_DAYS),
            sch: text(value, "reset_sch"),
            mode: text(value, "reset_mode").unwrap_or_else(|| "hard".to_owned()),
            rollover_pct: amount_of(value, "rollover_pct").unwrap_or(Decimal::ONE),
            rollover_min: quantity("rollover_min"),
            rollover_max: quantity("rollover_max"),
            max_balance: quantity("max_balance"),
            catchup_cap: value.get("reset_catchup_cap").and_then(Value::as_i64),
        }
    }
}

impl Credit {
    fn read(value: &Value) -> Credit {
        let price = |v: &Value| v.get("price").and_then(|p| amount_of(p, "amount"));
        let mut tiers: Vec<Tier> = value
            .get("tiers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|tier| Some(Tier { up_to: amount_of(tier, "up_to"), amount: price(tier)? }))
            .collect();
        tiers.sort_by_key(|tier| tier.up_to.unwrap_or(Decimal::MAX));
        Credit {
            unit: text(value, "stof_units").unwrap_or_else(|| "float".to_owned()),
            overhead_cost: amount_of(value, "overhead_cost").unwrap_or_default(),
            computed: text(value, "overhead").as_deref() == Some(COST),
            pricing_model: text(value, "pricing_model").unwrap_or_else(|| "flat".to_owned()),
            price: price(value),
            tiers,
            definition: value.clone(),
        }
    }
}

impl Limit {
    pub fn hard(&self) -> bool {
        self.mode == "hard"
    }

    pub fn observe(&self) -> bool {
        self.mode == "observe"
    }

    pub fn trailing(&self) -> bool {
        self.hard() && self.hard_trailing
    }

    /// Where grants cover overage and count in reads.
    pub fn uses_grants(&self) -> bool {
        self.grants_apply && !self.observe() && !self.trailing()
    }

    pub fn governed(&self) -> bool {
        self.hard() && self.governor_enabled
    }

    pub fn expired(&self, now: i64) -> bool {
        self.override_expires_on.is_some_and(|at| now >= at)
    }

    /// Start of the period that holds `now`, for a meter started at `started`: unchanged when none began since.
    pub fn current_start(&self, started: i64, now: i64) -> i64 {
        if !self.resets {
            return started;
        }
        match &self.reset_sch {
            Some(schedule) => started.max(super::calendar::period_start(schedule, now)),
            None if now - started >= self.reset_inc => started + (now - started) / self.reset_inc * self.reset_inc,
            None => started,
        }
    }

    /// Every field, in the form `read_limit` takes.
    pub fn write(&self) -> Value {
        let mut out = Map::new();
        out.insert("credit".into(), json!(self.credit));
        out.insert("mode".into(), json!(self.mode));
        out.insert("value".into(), amount::json(self.value));
        out.insert("increment".into(), amount::json(self.increment));
        out.insert("minimum".into(), self.minimum.map_or(Value::Null, amount::json));
        out.insert("hard_trailing".into(), json!(self.hard_trailing));
        out.insert("grants_apply".into(), json!(self.grants_apply));
        out.insert("resets".into(), json!(self.resets));
        out.insert("reset_sch".into(), json!(self.reset_sch));
        if self.reset_sch.is_none() {
            out.insert("reset_inc".into(), json!(self.reset_inc));
        }
        out.insert("governor_enabled".into(), json!(self.governor_enabled));
        out.insert("governor_capacity".into(), amount::json(self.governor_capacity));
        out.insert("governor_refill_rate".into(), amount::json(self.governor_refill_rate));
        out.insert("ewma_alpha".into(), json!(self.ewma_alpha));
        out.insert("override_expires_on".into(), json!(self.override_expires_on));
        Value::Object(out)
    }
}
