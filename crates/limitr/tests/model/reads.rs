//! Reads: what a customer has left, in the current period, without metering anything.

use super::Model;
use super::amount::{self, float, from_float, past, positive, rounded, unbounded};
use super::customer::{Customer, Meter};
use super::policy::{Limit, amount_of, entries, flag, text};
use super::pricing;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

/// What a read of an entitlement looks at.
struct Reading {
    owner: Customer,
    limit: Limit,
    meter: Meter,
}

impl Model {
    /// The result of a read; none when the verb is not a read.
    pub fn read(&self, verb: &str, args: &Value) -> Option<Value> {
        let known = [
            "value",
            "remaining",
            "limit",
            "allowance",
            "cost",
            "resets",
            "rate",
            "acceleration",
            "projected_exhaustion",
            "meter_obj",
        ];
        if known.contains(&verb) {
            return Some(self.read_entitlement(verb, args).unwrap_or(Value::Null));
        }
        match verb {
            "credit_exchange" => Some(self.credit_exchange(args).map_or(Value::Null, rounded)),
            "credit_remaining" => Some(self.credit_remaining(args).map_or(Value::Null, rounded)),
            "customer_margin" => Some(self.customer_margin(args).unwrap_or(Value::Null)),
            "plan_margin" => Some(self.plan_margin(args).unwrap_or(Value::Null)),
            _ => None,
        }
    }

    fn reading(&self, customer: &str, entitlement: &str) -> Option<Reading> {
        let found = self.resolve(customer, entitlement).ok()?;
        let limit = found.limit?;
        let (meter, _) = self.current_meter(&found.owner, entitlement, &limit);
        Some(Reading { owner: found.owner, limit, meter })
    }

    fn read_entitlement(&self, verb: &str, args: &Value) -> Option<Value> {
        let customer = text(args, "customer")?;
        let entitlement = text(args, "entitlement")?;
        let percent = flag(args, "percent", false);
        let grants = flag(args, "grants", true);
        // Instead of a customer, limit and cost take a plan.
        if self.find(&customer).is_none() {
            let limit = self.policy.plans.get(&customer)?.entitlements.get(&entitlement)?.limit.as_ref()?;
            return match verb {
                "limit" => Some(rounded(limit.value)),
                "cost" => Some(rounded(limit.increment)),
                _ => None,
            };
        }
        if verb == "meter_obj" {
            let owner = self.resolve(&customer, &entitlement).ok()?.owner;
            return Some(owner.meters.get(&entitlement)?.write());
        }
        let r = self.reading(&customer, &entitlement)?;
        let bought = self.bought_by(&r, grants);
        let remaining = remaining(&r, bought);
        match verb {
            "value" if percent => Some(rounded(Decimal::ONE_HUNDRED - remaining_percent(&r, bought)?)),
            "value" => Some(rounded(r.meter.value)),
            "remaining" if percent => Some(rounded(remaining_percent(&r, bought)?)),
            "remaining" => remaining.map(rounded),
            "limit" => Some(rounded(r.limit.value + bought)),
            "allowance" => {
                let remaining = remaining?;
                let room = match r.limit.governed() {
                    true => remaining.min(self.tokens(&r.meter, &r.limit)),
                    false => remaining,
                };
                Some(rounded(room))
            }
            "cost" => Some(rounded(r.limit.increment)),
            "resets" => r.limit.resets.then(|| match &r.limit.reset_sch {
                Some(schedule) => json!(super::calendar::next_start(schedule, self.now.max(r.meter.started))),
                None => json!(r.meter.started + r.limit.reset_inc),
            }),
            "rate" => Some(rounded(r.meter.rate())),
            "acceleration" => Some(rounded(acceleration(&r.meter))),
            _ => {
                let rate = match flag(args, "smoothed", false) {
                    true => r.meter.ewma_rate,
                    false => float(r.meter.rate()),
                };
                let remaining = remaining.filter(|left| *left < unbounded() && rate >= 1e-12)?;
                let ms = float(remaining.max(Decimal::ZERO)) / rate;
                Some(from_float(ms).map_or_else(|| json!(ms), rounded))
            }
        }
    }

    /// What the owner's grants add to a limit.
    fn bought_by(&self, r: &Reading, grants: bool) -> Decimal {
        if !grants || !r.limit.uses_grants() {
            return Decimal::ZERO;
        }
        self.bought(&r.owner, &r.limit.credit, past(r.meter.value, r.limit.value))
    }

    fn credit_exchange(&self, args: &Value) -> Option<Decimal> {
        let value = amount_of(args, "value").unwrap_or(Decimal::ONE);
        self.policy.exchange(&text(args, "in_currency")?, &text(args, "out_currency")?, value)
    }

    /// All balances of a customer, in one credit. What cannot be converted is not counted.
    fn credit_remaining(&self, args: &Value) -> Option<Decimal> {
        let customer = self.find(&text(args, "customer")?)?;
        let credit = text(args, "credit").filter(|name| self.policy.known(name))?;
        let held = self.standing_grants(customer);
        let balances = held.iter().filter(|s| positive(s.grant.value));
        Some(balances.filter_map(|s| self.policy.exchange(&s.credit, &credit, s.grant.value)).sum())
    }

    /// Revenue and cost of the current periods, over the customer's own meters.
    fn customer_margin(&self, args: &Value) -> Option<Value> {
        let customer = self.find(&text(args, "customer")?)?;
        let (_, plan) = self.plan_of(customer)?;
        let mut rows = Vec::new();
        for (name, entitlement) in &plan.entitlements {
            let Some(limit) = self.limit_for(customer, name, entitlement) else { continue };
            let Some(credit) = self.policy.credits.get(&limit.credit) else { continue };
            if customer.meters.contains_key(name) {
                let (meter, _) = self.current_meter(customer, name, &limit);
                let revenue = pricing::total(credit, past(meter.value, limit.value));
                rows.push((name.clone(), revenue, meter.overhead));
            }
        }
        Some(margin(rows))
    }

    /// The same for hypothetical usage of a plan.
    fn plan_margin(&self, args: &Value) -> Option<Value> {
        let plan = self.policy.plans.get(&text(args, "plan")?)?;
        let period = Decimal::from(match plan.period.as_str() {
            "yearly" => 360i64,
            "weekly" => 7,
            "daily" => 1,
            _ => 30,
        }) * Decimal::from(86_400_000i64);
        let mut rows = Vec::new();
        for (name, usage) in entries(args, "entitlements") {
            let Some(mut limit) = plan.entitlements.get(name).and_then(|e| e.limit.clone()) else { continue };
            let Some(credit) = self.policy.credits.get(&limit.credit) else { continue };
            let detailed = usage.is_object();
            let value = if detailed { usage.get("value").cloned().unwrap_or(json!(0)) } else { usage.clone() };
            let value = amount::quantity(&value, &credit.unit)?;
            limit.value = amount_of(usage, "limit").unwrap_or(limit.value);
            let factor = match flag(args, "scaled", true) && limit.resets && limit.reset_sch.is_none() {
                true => period / Decimal::from(limit.reset_inc),
                false => Decimal::ONE,
            };
            let context = usage.get("context").unwrap_or(&Value::Null);
            let cost = amount_of(usage, "overhead").unwrap_or_else(|| credit.cost(value, context));
            let revenue = pricing::total(credit, past(value, limit.value));
            rows.push((name.clone(), revenue * factor, cost * factor));
        }
        Some(margin(rows))
    }
}

fn margin(rows: Vec<(String, Decimal, Decimal)>) -> Value {
    let revenue: Decimal = rows.iter().map(|(_, revenue, _)| *revenue).sum();
    let cost: Decimal = rows.iter().map(|(_, _, cost)| *cost).sum();
    let row = |revenue: Decimal, cost: Decimal| json!({"revenue": rounded(revenue), "cost": rounded(cost), "margin": rounded(revenue - cost)});
    let entitlements: Map<_, _> = rows.into_iter().map(|(name, r, c)| (name, row(r, c))).collect();
    let mut out = row(revenue, cost);
    if let Some(out) = out.as_object_mut() {
        out.insert("entitlements".into(), Value::Object(entitlements));
        if !revenue.is_zero() {
            let percent = (revenue - cost) / revenue * Decimal::ONE_HUNDRED;
            out.insert("margin_pct".into(), rounded(percent));
        }
    }
    out
}

/// None for an observe limit.
fn remaining(r: &Reading, bought: Decimal) -> Option<Decimal> {
    if r.limit.observe() {
        return None;
    }
    Some(capacity(r, bought) - r.meter.value)
}

/// What the meter can reach: the limit, or wherever grants carry it from here.
fn capacity(r: &Reading, bought: Decimal) -> Decimal {
    if bought > Decimal::ZERO { r.meter.value.max(r.limit.value) + bought } else { r.limit.value }
}

fn remaining_percent(r: &Reading, bought: Decimal) -> Option<Decimal> {
    let remaining = remaining(r, bought)?.max(Decimal::ZERO);
    let capacity = capacity(r, bought);
    if capacity.is_zero() {
        return Some(Decimal::ZERO);
    }
    Some(remaining / capacity * Decimal::ONE_HUNDRED)
}

fn acceleration(meter: &Meter) -> Decimal {
    match meter.history.as_slice() {
        [(first, _), (second, middle), (third, newest)] => {
            newest / Decimal::from(third - second) - middle / Decimal::from(second - first)
        }
        _ => Decimal::ZERO,
    }
}
