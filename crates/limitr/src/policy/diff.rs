//! What differs between two policies in meaning: by name, with defaults filled in, whatever the order or the notation.

use std::fmt;

use serde::Serialize;
use serde_json::{Map as Object, Value, json};

use super::model::{Credit, Entitlement, Extensions, Governor, Limit, Plan, Policy, Price, Reset, THIRTY_DAYS, Topup};
use super::units::{Measure, Unit};

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// What changed: `plans.pro.entitlements.chat.limit.value`.
    pub path: String,
    /// The first policy's value, in the units of its credit; none when only the second has it.
    pub before: Option<Value>,
    /// The second policy's value; none when only the first has it.
    pub after: Option<Value>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |value: &Option<Value>| matches!(value, Some(Value::Object(_) | Value::Array(_)));
        let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "none".to_owned(), Value::to_string);
        match (&self.before, &self.after) {
            (None, after) if whole(after) => write!(f, "{}: added", self.path),
            (before, None) if whole(before) => write!(f, "{}: removed", self.path),
            (before, after) => write!(f, "{}: {} -> {}", self.path, shown(before), shown(after)),
        }
    }
}

/// Every difference in meaning from `a` to `b`: what `a` has in its order, then what only `b` has.
///
/// `1GB` and `1000` in a credit that keeps MB are the same, as are a default written out and one left out.
#[must_use]
pub fn difference(a: &Policy, b: &Policy) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(String::new(), Some(settled(a)), Some(settled(b)), &mut changes);
    changes
}

fn compare(path: String, before: Option<Value>, after: Option<Value>, changes: &mut Vec<Change>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(mut after))) => {
            let inner = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            for (key, value) in before {
                // What is taken leaves a null behind, which compares as nothing below.
                let other = after.get_mut(&key).map(Value::take);
                compare(inner(&key), given(value), other.and_then(given), changes);
            }
            for (key, value) in after {
                compare(inner(&key), None, given(value), changes);
            }
        }
        (before, after) => changes.push(Change { path, before, after }),
    }
}

/// A field without a value and no field are the same.
fn given(value: Value) -> Option<Value> {
    Some(value).filter(|value| !value.is_null())
}

/// The policy as data in which equal meaning is equal data.
fn settled(policy: &Policy) -> Value {
    let plans = |(name, plan): (&String, &Plan)| (name.clone(), settled_plan(plan, policy));
    let mut settled = json!({
        "credits": object(policy.credits.iter().map(|(name, credit)| (name.clone(), settled_credit(credit)))),
        "exchange": policy.exchange,
        "plans": object(policy.plans.iter().map(plans)),
        "notifications": policy.notifications,
        "capabilities": policy.capabilities,
        "estimates": policy.estimates,
        "hold_ttl": policy.hold_ttl,
        "estimate_min_samples": policy.estimate_min_samples,
    });
    if let Some(Value::Object(exchange)) = settled.get_mut("exchange") {
        exchange.insert("grant_strategy".to_owned(), json!(policy.exchange.grant_strategy));
    }
    for (path, text) in policy.functions.texts() {
        function(&mut settled, &path, text);
    }
    with(settled, &policy.extensions)
}

/// Puts a function's text where it stands: one on something that is no longer there means nothing.
fn function(settled: &mut Value, path: &[&str], text: &str) {
    let Some((name, ["policy", objects @ ..])) = path.split_last() else { return };
    let object = objects.iter().try_fold(settled, |object, name| object.get_mut(name));
    if let Some(Value::Object(fields)) = object {
        fields.insert(format!("{name}()"), text.into());
    }
}

fn settled_credit(credit: &Credit) -> Value {
    let mut tiers = credit.tiers.clone();
    tiers.sort_by_key(|tier| (tier.up_to.is_none(), tier.up_to));
    let tiers: Vec<Value> = tiers
        .iter()
        .map(|tier| with(json!({"up_to": tier.up_to, "price": settled_price(Some(&tier.price))}), &tier.extensions))
        .collect();
    let settled = json!({
        "unit": credit.unit,
        "label": credit.label,
        "description": credit.description,
        "stof_units": credit.stof_units,
        "resets": credit.resets,
        "overhead_cost": credit.overhead_cost,
        "overhead": credit.overhead,
        "pricing_model": credit.pricing_model,
        "price": settled_price(credit.price.as_ref()),
        "tiers": Some(tiers).filter(|tiers| !tiers.is_empty()),
        "data": credit.data,
    });
    with(settled, &credit.extensions)
}

fn settled_price(price: Option<&Price>) -> Value {
    price.map_or(Value::Null, |price| with(json!({"amount": price.amount, "id": price.id}), &price.extensions))
}

fn settled_plan(plan: &Plan, policy: &Policy) -> Value {
    let entitlement =
        |(name, entitlement): (&String, &Entitlement)| (name.clone(), settled_entitlement(entitlement, policy));
    let topup = |(name, topup): (&String, &Topup)| (name.clone(), settled_topup(topup, policy));
    let settled = json!({
        "label": plan.label,
        "default": plan.default,
        "hidden": plan.hidden,
        "period": plan.period,
        "subscription": plan.subscription,
        "trial_period": plan.trial_period,
        "entitlements": object(plan.entitlements.iter().map(entitlement)),
        "topups": object(plan.topups.iter().map(topup)),
    });
    with(settled, &plan.extensions)
}

fn settled_entitlement(entitlement: &Entitlement, policy: &Policy) -> Value {
    let settled = json!({
        "description": entitlement.description,
        "hidden": entitlement.hidden,
        "scope": entitlement.scope,
        "limit": entitlement.limit.as_ref().map(|limit| settled_limit(limit, policy)),
        "estimate_basis": entitlement.estimate_basis,
        "estimate_segment": entitlement.estimate_segment,
    });
    with(settled, &entitlement.extensions)
}

fn settled_limit(limit: &Limit, policy: &Policy) -> Value {
    let unit = policy.credits.get(&limit.credit).map(|credit| credit.stof_units);
    let none = Governor { enabled: false, capacity: None, refill_rate: None };
    let governor = limit.governor.as_ref().unwrap_or(&none);
    let settled = json!({
        "credit": limit.credit,
        "mode": limit.mode,
        "value": amount(limit.value, unit),
        "increment": amount(limit.increment, unit),
        "minimum": limit.minimum.map(|minimum| amount(minimum, unit)),
        "hard_trailing": limit.hard_trailing,
        "grants_apply": limit.grants_apply,
        "resets": limit.resets,
        "reset_inc": every(limit.reset_inc, limit.reset_sch.is_some()),
        "reset_sch": limit.reset_sch,
        "governor_enabled": governor.enabled,
        "governor_capacity": governor.capacity.map(|capacity| amount(capacity, unit)),
        "governor_refill_rate": governor.refill_rate,
        "ewma_alpha": limit.ewma_alpha,
        "override_expires_on": limit.override_expires_on,
    });
    with(settled, &limit.extensions)
}

fn settled_topup(topup: &Topup, policy: &Policy) -> Value {
    let unit = policy.credits.get(&topup.credit).map(|credit| credit.stof_units);
    let mut scopes = topup.included_scopes.clone();
    scopes.sort();
    scopes.dedup();
    let Reset {
        resets,
        every: each,
        schedule,
        mode,
        rollover_pct,
        rollover_min,
        rollover_max,
        max_balance,
        reset_catchup_cap,
    } = &topup.reset;
    let bound = |measure: &Option<Measure>| measure.map(|measure| amount(measure, unit));
    let settled = json!({
        "description": topup.description,
        "credit": topup.credit,
        "value": amount(topup.value, unit),
        "price": settled_price(topup.price.as_ref()),
        "included": topup.included,
        "included_scopes": scopes,
        "resets": resets,
        "reset_inc": every(*each, schedule.is_some()),
        "reset_sch": schedule,
        "reset_mode": mode,
        "rollover_pct": rollover_pct,
        "rollover_min": bound(rollover_min),
        "rollover_max": bound(rollover_max),
        "max_balance": bound(max_balance),
        "reset_catchup_cap": reset_catchup_cap,
        "expires_after": topup.expires_after,
        "priority": topup.priority,
    });
    with(settled, &topup.extensions)
}

/// The interval, which has a default only without a schedule.
fn every(every: Option<i64>, scheduled: bool) -> Option<i64> {
    every.or((!scheduled).then_some(THIRTY_DAYS))
}

/// In the unit of its credit where it has one there, else as it is written.
fn amount(measure: Measure, unit: Option<Unit>) -> Value {
    let settled = unit.and_then(|unit| measure.in_unit(unit).ok());
    settled.map_or_else(|| json!(measure), |amount| json!(amount))
}

fn object(entries: impl Iterator<Item = (String, Value)>) -> Value {
    Value::Object(entries.collect())
}

fn with(mut settled: Value, extensions: &Extensions) -> Value {
    if let Value::Object(fields) = &mut settled {
        let more: Object<String, Value> =
            extensions.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        fields.extend(more);
    }
    settled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::read_document_value;

    fn policy(value: &Value) -> Policy {
        read_document_value(value, true).unwrap().policy
    }

    fn shown(a: &Value, b: &Value) -> String {
        let changes = difference(&policy(a), &policy(b));
        changes.iter().map(Change::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn another_notation_is_no_difference() {
        let a = json!({
            "credits": {"mb": {"stof_units": "MB"}, "token": {"price": {"amount": 1}, "resets": false}},
            "plans": {"pro": {"entitlements": {
                "disk": {"limit": {"credit": "mb", "value": "1GB", "reset_inc": "30days"}},
                "chat": {"limit": {"credit": "token", "value": 5.0}}}}}
        });
        let b = json!({
            "plans": {"pro": {"period": "monthly", "topups": {}, "entitlements": {
                "chat": {"limit": {"value": "5", "credit": "token", "mode": "hard", "governor_enabled": false}},
                "disk": {"limit": {"credit": "mb", "value": 1000}}}}},
            "hold_ttl": "10min",
            "exchange": {},
            "credits": {"token": {"price": {"amount": "1.00"}}, "mb": {"stof_units": "megabytes"}}
        });
        assert_eq!(shown(&a, &b), "");
    }

    #[test]
    fn changes_are_told_by_path() {
        let a = json!({
            "credits": {"token": {}},
            "plans": {
                "pro": {"entitlements": {"chat": {"limit": {"credit": "token", "value": 500_000}}}},
                "old": {}
            }
        });
        let b = json!({
            "credits": {"token": {"overhead_cost": 0.1}},
            "exchange": {"token": {"value": 2, "currency": "usd"}},
            "plans": {"pro": {
                "entitlements": {"chat": {"scope": "org", "limit": {"credit": "token", "value": 700_000, "resets": true, "minimum": 0}}},
                "topups": {"pack": {"credit": "token", "value": 5}}
            }},
            "x-note": "new"
        });
        insta::assert_snapshot!(shown(&a, &b), @r#"
        credits.token.overhead_cost: 0 -> 0.1
        exchange.token: added
        plans.pro.entitlements.chat.scope: none -> "org"
        plans.pro.entitlements.chat.limit.value: 500000 -> 700000
        plans.pro.entitlements.chat.limit.minimum: none -> 0
        plans.pro.entitlements.chat.limit.resets: false -> true
        plans.pro.topups.pack: added
        plans.old: removed
        x-note: none -> "new"
        "#);
        insta::assert_snapshot!(shown(&b, &a), @r#"
        credits.token.overhead_cost: 0.1 -> 0
        exchange.token: removed
        plans.pro.entitlements.chat.scope: "org" -> none
        plans.pro.entitlements.chat.limit.value: 700000 -> 500000
        plans.pro.entitlements.chat.limit.minimum: 0 -> none
        plans.pro.entitlements.chat.limit.resets: true -> false
        plans.pro.topups.pack: removed
        plans.old: added
        x-note: "new" -> none
        "#);
    }
}
