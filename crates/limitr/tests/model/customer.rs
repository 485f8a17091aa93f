//! Customer records: what they hold, and their snapshot form.

use super::amount;
use super::policy::{
    Limit, Policy, Resets, THIRTY_DAYS, amount_of, duration_of, entries, flag, float_of, strings, text,
};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub struct Customer {
    pub id: String,
    pub plan: String,
    pub kind: String,
    pub label: String,
    pub alt_ids: Vec<String>,
    pub refs: Vec<String>,
    pub metadata: Map<String, Value>,
    pub meters: BTreeMap<String, Meter>,
    pub overrides: BTreeMap<String, Limit>,
    pub grants: BTreeMap<String, Grant>,
    pub caps: BTreeMap<String, Cap>,
}

#[derive(Clone, Debug, Default)]
pub struct Meter {
    pub credit: String,
    pub started: i64,
    pub value: Decimal,
    pub overhead: Decimal,
    pub holds: BTreeMap<String, Hold>,
    pub estimates: BTreeMap<String, Estimate>,
    /// The last 3 movements, oldest first.
    pub history: Vec<(i64, Decimal)>,
    pub ewma_rate: f64,
    /// None until the governor first took tokens: a full bucket.
    pub governor_tokens: Option<Decimal>,
    pub governor_last_refill: Option<i64>,
}

#[derive(Clone, Debug, Default)]
pub struct Hold {
    pub value: Decimal,
    pub overhead: Decimal,
    pub expires_on: i64,
    pub segment: Option<String>,
    pub basis: Option<f64>,
}

#[derive(Clone, Debug, Default)]
pub struct Estimate {
    pub samples: u64,
    pub value_mean: f64,
    pub value_var: f64,
    pub overhead_mean: f64,
    pub overhead_var: f64,
    pub source: Option<String>,
    /// The declared basis field it was learned under; none on one that came with the policy.
    pub basis: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Grant {
    pub credit: String,
    pub topup: Option<String>,
    pub created_on: i64,
    pub granted_on: i64,
    pub starting_value: Decimal,
    pub value: Decimal,
    pub expires_on: Option<i64>,
    pub last_reset: Option<i64>,
    pub priority: i64,
    pub resets: Resets,
}

#[derive(Clone, Debug, Default)]
pub struct Cap {
    pub id: String,
    pub credit: String,
    pub value: Decimal,
    pub exchangeable: bool,
    pub overage_only: bool,
    pub ignore_grants: bool,
    pub observe_only: bool,
    pub overhead_cost: bool,
    pub follow_decrements: bool,
    pub hard_trailing: bool,
    pub shared: bool,
    pub shared_with: Vec<String>,
    pub scope: Vec<String>,
    pub resets: bool,
    pub reset_inc: i64,
    pub reset_sch: Option<String>,
    pub expires_on: Option<i64>,
    pub meter_value: Decimal,
    pub created_on: i64,
    pub started: i64,
    /// Start of the current period.
    pub last_reset: i64,
}

impl Customer {
    pub fn read(policy: &Policy, value: &Value, now: i64) -> Customer {
        let map = |field| entries(value, field).into_iter();
        Customer {
            id: text(value, "id").unwrap_or_default(),
            plan: text(value, "plan").unwrap_or_default(),
            kind: text(value, "type").unwrap_or_else(|| "user".to_owned()),
            label: text(value, "label").unwrap_or_else(|| "User".to_owned()),
            alt_ids: strings(value, "alt_ids"),
            refs: strings(value, "refs"),
            metadata: value.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default(),
            meters: map("meters").map(|(name, m)| (name.clone(), Meter::read(policy, m, now))).collect(),
            overrides: map("overrides").map(|(name, l)| (name.clone(), policy.read_limit(l))).collect(),
            grants: map("grants").map(|(id, g)| (id.clone(), Grant::read(policy, g, now))).collect(),
            caps: map("caps").map(|(id, c)| (id.clone(), Cap::read(policy, id, c, now))).collect(),
        }
    }

    /// The record with every field, also those at their default.
    pub fn write(&self) -> Value {
        let meters: Map<_, _> = self.meters.iter().map(|(name, m)| (name.clone(), m.write())).collect();
        let overrides: Map<_, _> = self.overrides.iter().map(|(name, l)| (name.clone(), l.write())).collect();
        let grants: Map<_, _> = self.grants.iter().map(|(id, g)| (id.clone(), g.write(id))).collect();
        let caps: Map<_, _> = self.caps.iter().map(|(id, c)| (id.clone(), c.write())).collect();
        json!({
            "id": self.id, "plan": self.plan, "type": self.kind, "label": self.label, "alt_ids": self.alt_ids,
            "refs": self.refs, "metadata": self.metadata, "meters": meters, "overrides": overrides,
            "grants": grants, "caps": caps,
        })
    }
}

impl Meter {
    fn read(policy: &Policy, value: &Value, now: i64) -> Meter {
        let credit = text(value, "credit").unwrap_or_default();
        let amount = amount_of(value, "value").unwrap_or_default();
        let cost = policy.credits.get(&credit).map(|c| c.overhead_cost).unwrap_or_default();
        let pairs = |h: &Value| Some((h.get("ts")?.as_i64()?, amount_of(h, "delta")?));
        let history = value.get("history").and_then(Value::as_array);
        Meter {
            started: duration_of(value, "started").unwrap_or(now),
            value: amount,
            overhead: amount_of(value, "overhead").unwrap_or(amount * cost),
            holds: entries(value, "holds").into_iter().map(|(id, h)| (id.clone(), Hold::read(h))).collect(),
            estimates: entries(value, "estimates").into_iter().map(|(s, e)| (s.clone(), Estimate::read(e))).collect(),
            history: history.into_iter().flatten().filter_map(pairs).collect(),
            ewma_rate: float_of(value, "ewma_rate"),
            governor_tokens: amount_of(value, "governor_tokens"),
            governor_last_refill: duration_of(value, "governor_last_refill"),
            credit,
        }
    }

    pub fn write(&self) -> Value {
        let history: Vec<Value> =
            self.history.iter().map(|(ts, delta)| json!({"ts": ts, "delta": amount::json(*delta)})).collect();
        let holds: Map<_, _> = self.holds.iter().map(|(id, hold)| (id.clone(), hold.write())).collect();
        let estimates: Map<_, _> = self.estimates.iter().map(|(s, e)| (s.clone(), e.write())).collect();
        json!({
            "credit": self.credit, "started": self.started, "value": amount::json(self.value),
            "overhead": amount::json(self.overhead), "history": history, "ewma_rate": self.ewma_rate,
            "holds": holds, "estimates": estimates,
            "governor_tokens": self.governor_tokens.map(amount::json),
            "governor_last_refill": self.governor_last_refill,
        })
    }
}

impl Hold {
    fn read(value: &Value) -> Hold {
        Hold {
            value: amount_of(value, "value").unwrap_or_default(),
            overhead: amount_of(value, "overhead").unwrap_or_default(),
            expires_on: duration_of(value, "expires_on").unwrap_or(i64::MAX),
            segment: text(value, "segment"),
            basis: value.get("basis").and_then(Value::as_f64),
        }
    }

    fn write(&self) -> Value {
        json!({
            "value": amount::json(self.value), "overhead": amount::json(self.overhead),
            "expires_on": self.expires_on, "segment": self.segment, "basis": self.basis,
        })
    }
}

impl Estimate {
    pub fn read(value: &Value) -> Estimate {
        let float = |field| float_of(value, field);
        Estimate {
            samples: value.get("samples").and_then(Value::as_u64).unwrap_or(0),
            value_mean: float("value_mean"),
            value_var: float("value_var"),
            overhead_mean: float("overhead_mean"),
            overhead_var: float("overhead_var"),
            source: text(value, "source"),
            basis: text(value, "basis"),
        }
    }

    fn write(&self) -> Value {
        json!({
            "samples": self.samples, "value_mean": self.value_mean, "value_var": self.value_var,
            "overhead_mean": self.overhead_mean, "overhead_var": self.overhead_var,
            "source": self.source, "basis": self.basis,
        })
    }
}

impl Grant {
    fn read(policy: &Policy, value: &Value, now: i64) -> Grant {
        let credit = text(value, "credit").unwrap_or_default();
        let created_on = duration_of(value, "created_on").unwrap_or(now);
        let balance = amount_of(value, "value").unwrap_or_default();
        Grant {
            topup: text(value, "topup").filter(|name| !name.is_empty()),
            created_on,
            granted_on: duration_of(value, "granted_on").unwrap_or(created_on),
            starting_value: amount_of(value, "starting_value").unwrap_or(balance),
            value: balance,
            expires_on: duration_of(value, "expires_on"),
            last_reset: duration_of(value, "last_reset"),
            priority: value.get("priority").and_then(Value::as_i64).unwrap_or(0),
            resets: Resets::read(value, policy.unit_of(&credit)),
            credit,
        }
    }

    fn write(&self, id: &str) -> Value {
        let reset = &self.resets;
        let number = |amount: Option<Decimal>| amount.map_or(Value::Null, amount::json);
        json!({
            "priority": self.priority, "resets": reset.resets, "reset_inc": reset.inc, "reset_sch": reset.sch,
            "reset_mode": reset.mode, "rollover_pct": amount::json(reset.rollover_pct),
            "rollover_min": number(reset.rollover_min), "rollover_max": number(reset.rollover_max),
            "max_balance": number(reset.max_balance), "reset_catchup_cap": reset.catchup_cap,
            "id": id, "credit": self.credit, "topup": self.topup, "created_on": self.created_on,
            "granted_on": self.granted_on, "starting_value": amount::json(self.starting_value),
            "value": amount::json(self.value), "expires_on": self.expires_on,
            "last_reset": self.last_reset.unwrap_or(self.granted_on),
        })
    }
}

impl Cap {
    /// A cap from its record, or from the arguments of add_customer_cap: a new cap starts now.
    pub fn read(policy: &Policy, id: &str, value: &Value, now: i64) -> Cap {
        let credit = text(value, "credit").unwrap_or_else(|| "rune".to_owned());
        let started = duration_of(value, "started").unwrap_or(now);
        let unit = policy.unit_of(&credit);
        let quantity = |field: &str| {
            value.get(field).and_then(|v| amount::quantity(v, if unit == "int" { "float" } else { unit }))
        };
        let reset_sch = text(value, "reset_sch");
        let begun = match &reset_sch {
            Some(schedule) => super::calendar::period_start(schedule, started),
            None => started,
        };
        Cap {
            id: id.to_owned(),
            value: quantity("value").unwrap_or_default(),
            exchangeable: flag(value, "exchangeable", !policy.credits.contains_key(&credit)),
            overage_only: flag(value, "overage_only", false),
            ignore_grants: flag(value, "ignore_grants", false),
            observe_only: flag(value, "observe_only", false),
            overhead_cost: flag(value, "overhead_cost", false),
            follow_decrements: flag(value, "follow_decrements", false),
            hard_trailing: flag(value, "hard_trailing", false),
            shared: flag(value, "shared", false),
            shared_with: strings(value, "shared_with"),
            scope: strings(value, "scope"),
            resets: flag(value, "resets", false),
            reset_inc: duration_of(value, "reset_inc").unwrap_or(THIRTY_DAYS),
            expires_on: duration_of(value, "expires_on"),
            meter_value: quantity("meter_value").unwrap_or_default(),
            created_on: duration_of(value, "created_on").unwrap_or(now),
            started,
            last_reset: duration_of(value, "last_reset").unwrap_or(begun),
            reset_sch,
            credit,
        }
    }

    pub fn write(&self) -> Value {
        let mut out = json!({
            "id": self.id, "credit": self.credit, "value": amount::json(self.value),
            "exchangeable": self.exchangeable, "overage_only": self.overage_only,
            "ignore_grants": self.ignore_grants, "observe_only": self.observe_only,
            "overhead_cost": self.overhead_cost, "follow_decrements": self.follow_decrements,
            "hard_trailing": self.hard_trailing, "shared": self.shared, "shared_with": self.shared_with,
            "scope": self.scope, "resets": self.resets, "reset_sch": self.reset_sch,
            "expires_on": self.expires_on, "meter_value": amount::json(self.meter_value),
            "created_on": self.created_on, "started": self.started,
        });
        // A cap that never starts over has no period to speak of.
        if let (true, Some(out)) = (self.resets, out.as_object_mut()) {
            out.insert("last_reset".into(), json!(self.last_reset));
            if self.reset_sch.is_none() {
                out.insert("reset_inc".into(), json!(self.reset_inc));
            }
        }
        out
    }

    /// Starts over when its period has ended.
    pub fn roll(&mut self, now: i64) {
        if !self.resets {
            return;
        }
        let start = match &self.reset_sch {
            Some(schedule) => super::calendar::period_start(schedule, now),
            None => self.last_reset + ((now - self.last_reset) / self.reset_inc).max(0) * self.reset_inc,
        };
        if start > self.last_reset {
            self.last_reset = start;
            self.started = start;
            self.meter_value = Decimal::ZERO;
        }
    }

    /// Zero, and a period that starts now (on a schedule: with the current calendar period).
    pub fn restart(&mut self, now: i64) {
        self.meter_value = Decimal::ZERO;
        self.started = now;
        self.last_reset = match &self.reset_sch {
            Some(schedule) => super::calendar::period_start(schedule, now),
            None => now,
        };
    }
}
