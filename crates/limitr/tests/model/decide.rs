//! The decision: allow, step by step as in "allow" of 2-engine.md.

use super::Model;
use super::amount::{self, at_most, below, past, positive, rounded};
use super::caps::Amounts;
use super::customer::{Cap, Customer, Meter};
use super::policy::{Limit, entries, flag, text};
use super::pricing;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

/// The arguments of one call of allow.
#[derive(Clone, Debug)]
pub struct Call {
    pub customer: String,
    pub entitlement: String,
    pub value: Value,
    pub events: bool,
    pub data: Value,
    pub overhead: Option<Decimal>,
    pub caps: Vec<Cap>,
    pub force: bool,
}

/// Everything that is known about a call before it is decided, for its event.
struct Facts {
    plan: String,
    entitlement: String,
    caller: String,
    owner: String,
    limit: Limit,
    credit: String,
    data: Value,
    /// The credit as the document has it.
    definition: Value,
    /// The meter in its current period, before the call.
    meter: Meter,
    new: Decimal,
    delta: Decimal,
    overhead: Decimal,
    price_diff: Option<Decimal>,
    overage: Decimal,
}

impl Call {
    /// From a step's arguments.
    pub fn read(model: &Model, args: &Value) -> Call {
        let mut caps = Vec::new();
        match args.get("cap") {
            Some(Value::Array(list)) => {
                for cap in list {
                    let credit = text(cap, "credit").unwrap_or_else(|| "rune".to_owned());
                    let id = text(cap, "id").unwrap_or_else(|| format!("tmp-{credit}"));
                    caps.push(Cap::read(&model.policy, &id, cap, model.now));
                }
            }
            Some(Value::Object(_)) => {
                for (credit, ceiling) in entries(args, "cap") {
                    let cap = json!({"credit": credit, "value": ceiling});
                    caps.push(Cap::read(&model.policy, &format!("tmp-{credit}"), &cap, model.now));
                }
            }
            _ => {}
        }
        Call {
            customer: text(args, "customer").unwrap_or_default(),
            entitlement: text(args, "entitlement").unwrap_or_default(),
            value: args.get("value").filter(|v| !v.is_null()).cloned().unwrap_or_else(|| json!(0)),
            events: args.get("event") != Some(&Value::Bool(false)),
            data: ["event", "context"]
                .iter()
                .filter_map(|f| args.get(*f))
                .find(|d| d.is_object())
                .cloned()
                .unwrap_or(Value::Null),
            overhead: args.get("overhead").and_then(amount::number),
            caps,
            force: flag(args, "force", false),
        }
    }
}

impl Model {
    /// Decides and applies. `check` is this on a copy of the model that is thrown away.
    pub fn allow(&mut self, call: &Call) -> Result<(), &'static str> {
        // 1. Resolve, 2. limit.
        let found = self.resolve(&call.customer, &call.entitlement)?;
        let Some(limit) = found.limit else { return Ok(()) };
        let credit = self.policy.credits.get(&limit.credit).cloned().ok_or("unknown_entitlement")?;

        // The value comes before the period: an unusable one rolls nothing.
        let value = amount::quantity(&call.value, &credit.unit).ok_or("invalid_value")?;

        // 3. Period.
        let (meter, ended) = self.current_meter(&found.owner, &call.entitlement, &limit);

        // 4. Amounts.
        let sum = meter.value.checked_add(value).ok_or("invalid_value")?;
        let new = if value.is_zero() { meter.value } else { sum.max(limit.minimum.unwrap_or(sum)) };
        let delta = new - meter.value;
        let position = meter.value - limit.value;
        let billable = past(meter.value, limit.value);
        let counts_overage = delta > Decimal::ZERO && !limit.observe() && !limit.trailing();
        let (before, included) = (meter.value, meter.value.max(limit.value));
        let overage_of = |units: Decimal| match counts_overage {
            true => past(before + units, included),
            false => Decimal::ZERO,
        };
        let facts = Facts {
            plan: found.plan,
            entitlement: call.entitlement.clone(),
            caller: found.caller.id.clone(),
            owner: found.owner.id.clone(),
            credit: limit.credit.clone(),
            data: call.data.clone(),
            definition: credit.definition.clone(),
            overhead: call.overhead.unwrap_or_else(|| credit.cost(delta, &call.data)),
            price_diff: credit
                .priced()
                .then(|| pricing::total(&credit, past(new, limit.value)) - pricing::total(&credit, billable)),
            overage: overage_of(delta),
            new,
            delta,
            limit,
            meter,
        };
        let limit = &facts.limit;
        let meter = &facts.meter;

        if let Some(old) = ended {
            self.store_meter(&facts.owner, &facts.entitlement, meter.clone());
            self.emit(call.events, "meter-reset", || {
                let reset = json!({"old": rounded(old), "value": 0, "limit": rounded(limit.value)});
                facts.event(reset, Map::new())
            });
        }
        if delta.is_zero() && facts.overhead.is_zero() {
            if ended.is_some() {
                self.emit(call.events, "meter-changed", || facts.changed(meter.overhead, Map::new()));
            }
            return Ok(());
        }

        // Holds of others count like usage when room is asked for, and never when usage is billed.
        let holds = || meter.holds.values().filter(|hold| self.now < hold.expires_on);
        let held: Decimal = holds().map(|hold| hold.value).sum();
        let held_overhead: Decimal = holds().map(|hold| hold.overhead).sum();
        let gate_overage = overage_of(delta + held);
        let grants_apply = limit.uses_grants();
        let coverable = |overage: Decimal| {
            let mut grants = self.standing_grants(&found.owner);
            self.draw(&mut grants, &facts.credit, overage, billable)
        };
        let coverable = |overage: Decimal| match grants_apply && positive(overage) {
            true => coverable(overage),
            false => Decimal::ZERO,
        };
        // Whatever becomes of the call, the caps it meets are in their current period from here on.
        let mut caps = self.caps_of(&found.caller, &call.entitlement, &facts.credit, &call.caps);
        caps.retain(|held| self.applies(&held.cap, &facts.credit).is_some());
        let met = caps.clone();

        let coverable_gate = coverable(gate_overage);
        let held_overage = overage_of(held);
        let coverable_held = coverable(held_overage);
        for held in &met {
            self.store_cap(held);
        }
        let meter = &facts.meter;

        if delta > Decimal::ZERO && !call.force {
            // 5. Caps.
            let gate = Amounts {
                units: delta + held,
                overage: gate_overage,
                covered: coverable_gate,
                overhead: facts.overhead + held_overhead,
                position,
            };
            let waiting = Amounts {
                units: held,
                overage: held_overage,
                covered: coverable_held,
                overhead: held_overhead,
                position,
            };
            let full = caps.iter().find(|held| {
                let consumption = self.consumption(&held.cap, &facts.credit, gate);
                let waiting = self.consumption(&held.cap, &facts.credit, waiting).unwrap_or_default();
                consumption.is_some_and(|amount| !Model::has_room(&held.cap, amount, waiting))
            });
            let full = full.cloned();
            let covered_whole = positive(gate_overage) && at_most(gate_overage, gate.covered);
            if let Some(full) = full {
                self.emit(call.events, "cap-limit", || {
                    let holder = full.holder.clone().unwrap_or_else(|| facts.caller.clone());
                    let mut extra = Map::new();
                    extra.insert("cap".into(), full.cap.write());
                    extra.insert("customer".into(), json!({"id": holder}));
                    extra.insert("caller".into(), json!({"id": facts.caller}));
                    facts.event(facts.denied(), extra)
                });
                return Err("cap");
            }
            // 6. Governor.
            let available = self.tokens(meter, limit);
            if limit.governed() && !at_most(delta, available) {
                let mut tried = meter.clone();
                tried.remember(self.now, delta, limit.ewma_alpha);
                self.store_meter(&facts.owner, &facts.entitlement, tried);
                self.emit(call.events, "meter-governed", || {
                    let bucket = json!({
                        "tokens": rounded(available), "capacity": rounded(limit.governor_capacity),
                        "requested": rounded(delta),
                    });
                    let mut extra = Map::new();
                    extra.insert("governor".into(), bucket);
                    facts.event(facts.denied(), extra)
                });
                return Err("governor");
            }
            // 7. Limit.
            let within = match limit.mode.as_str() {
                "hard" if limit.hard_trailing => below(meter.value + held, limit.value),
                "hard" => at_most(facts.new + held, limit.value),
                _ => true,
            };
            let granted = grants_apply && covered_whole;
            if !within && !granted {
                self.emit(call.events, "meter-limit", || {
                    let mut extra = Map::new();
                    extra.insert("invalid_value".into(), rounded(facts.new));
                    extra.insert("overage".into(), rounded(facts.overage));
                    facts.event(facts.denied(), extra)
                });
                return Err("limit");
            }
        }

        // 8. Commit: grants, meter, caps, then events.
        let mut covered = Decimal::ZERO;
        let asked = delta > Decimal::ZERO && !call.force && positive(gate_overage);
        if grants_apply && (asked || positive(facts.overage)) {
            let mut grants = self.standing_grants(&found.owner);
            covered = self.draw(&mut grants, &facts.credit, facts.overage, billable);
            self.store_grants(&facts.owner, grants);
        }
        let mut after = meter.clone();
        after.value = facts.new;
        after.overhead += facts.overhead;
        if !delta.is_zero() {
            after.remember(self.now, delta, limit.ewma_alpha);
        }
        if limit.governed() && delta > Decimal::ZERO && !call.force {
            after.governor_tokens = Some(self.tokens(meter, limit) - delta);
            after.governor_last_refill = Some(self.now.max(meter.governor_last_refill.unwrap_or(self.now)));
        }
        let overhead = after.overhead;
        self.store_meter(&facts.owner, &facts.entitlement, after);

        let own = Amounts { units: delta, overage: facts.overage, covered, overhead: facts.overhead, position };
        let (mut crossed, mut moved) = (Vec::new(), Vec::new());
        for held in &mut caps {
            let consumption = if delta > Decimal::ZERO {
                self.consumption(&held.cap, &facts.credit, own)
            } else if delta.is_zero() {
                self.overhead_consumption(&held.cap, &facts.credit, facts.overhead)
            } else if held.cap.follow_decrements {
                self.decrement_consumption(&held.cap, &facts.credit, delta, position, facts.overhead)
            } else {
                None
            };
            let Some(consumption) = consumption else { continue };
            let holder = held.holder.clone().unwrap_or_else(|| facts.caller.clone());
            let before = held.cap.meter_value;
            held.cap.meter_value += consumption;
            self.store_cap(held);
            // A cap that the call brings along is only asked.
            let stands = held.holder.is_some();
            if stands && below(before, held.cap.value) && at_most(held.cap.value, held.cap.meter_value) {
                crossed.push(held.clone());
            }
            let kept = held.holder.is_some();
            if kept && positive(consumption.abs()) && holder != facts.owner && !moved.contains(&holder) {
                moved.push(holder);
            }
        }

        let uncovered = facts.overage - covered;
        let mut extra = Map::new();
        if positive(covered) {
            extra.insert("grant_value_applied".into(), rounded(covered));
        }
        let name = if positive(uncovered) { "meter-overage" } else { "meter-changed" };
        if positive(uncovered) {
            let end = past(facts.new, limit.value);
            let price = || pricing::price(&credit, uncovered, end - uncovered);
            extra.insert("overage".into(), rounded(uncovered));
            extra.insert("overage_price".into(), credit.priced().then(price).map_or(Value::Null, rounded));
        }
        self.emit(call.events, name, || facts.changed(overhead, extra));
        for held in &crossed {
            self.emit(call.events, "cap-threshold-crossed", || {
                json!({
                    "cap": held.cap.write(), "customer": {"id": held.holder.as_ref().unwrap_or(&facts.caller)},
                    "caller": {"id": facts.caller},
                    "entitlement": facts.entitlement,
                })
            });
        }
        for holder in moved {
            self.tell_customer_set(call.events, &holder);
        }
        Ok(())
    }

    /// The meter in the period of now, and the old value when a new period began.
    pub fn current_meter(&self, owner: &Customer, entitlement: &str, limit: &Limit) -> (Meter, Option<Decimal>) {
        let Some(stored) = owner.meters.get(entitlement) else {
            let fresh = Meter { credit: limit.credit.clone(), started: self.now, ..Meter::default() };
            return (fresh, None);
        };
        let start = limit.current_start(stored.started, self.now);
        if start == stored.started {
            return (stored.clone(), None);
        }
        let rolled = Meter {
            credit: stored.credit.clone(),
            started: start,
            holds: stored.holds.clone(),
            estimates: stored.estimates.clone(),
            ..Meter::default()
        };
        (rolled, Some(stored.value))
    }

    pub fn store_meter(&mut self, owner: &str, entitlement: &str, meter: Meter) {
        if let Some(customer) = self.customers.get_mut(owner) {
            customer.meters.insert(entitlement.to_owned(), meter);
        }
    }

    /// What the governor's bucket holds now.
    pub fn tokens(&self, meter: &Meter, limit: &Limit) -> Decimal {
        let (Some(tokens), Some(last)) = (meter.governor_tokens, meter.governor_last_refill) else {
            return limit.governor_capacity;
        };
        let elapsed = Decimal::from((self.now - last).max(0));
        limit.governor_capacity.min(tokens + limit.governor_refill_rate * elapsed)
    }
}

impl Meter {
    /// Notes a movement in the rate history and the trend.
    pub fn remember(&mut self, now: i64, delta: Decimal, alpha: f64) {
        let first = self.history.is_empty();
        match self.history.last_mut() {
            Some((ts, sum)) if now <= *ts => *sum += delta,
            _ => self.history.push((now, delta)),
        }
        if self.history.len() > 3 {
            self.history.remove(0);
        }
        if !first {
            self.ewma_rate = alpha * amount::float(self.rate()) + (1.0 - alpha) * self.ewma_rate;
        }
    }

    pub fn rate(&self) -> Decimal {
        match self.history.as_slice() {
            [.., (before, _), (ts, delta)] => *delta / Decimal::from(ts - before),
            _ => Decimal::ZERO,
        }
    }
}

impl Facts {
    fn event(&self, meter: Value, mut extra: Map<String, Value>) -> Value {
        let value = meter.get("value").and_then(amount::number).unwrap_or_default();
        let mut out = json!({
            "meter": meter, "entitlement": self.entitlement, "plan": self.plan, "credit": self.definition,
            "event_data": self.data,
        });
        if !self.limit.observe() {
            extra.insert("remaining".into(), rounded(self.limit.value - value));
        }
        if let Some(out) = out.as_object_mut() {
            out.insert("customer".into(), json!({"id": self.owner}));
            out.append(&mut extra);
        }
        out
    }

    fn changed(&self, overhead: Decimal, extra: Map<String, Value>) -> Value {
        let meter = json!({
            "old": rounded(self.meter.value), "value": rounded(self.new), "limit": rounded(self.limit.value),
            "diff": rounded(self.delta), "overhead": rounded(overhead), "overhead_diff": rounded(self.overhead),
            "price_diff": self.price_diff.map_or(Value::Null, rounded),
        });
        self.event(meter, extra)
    }

    fn denied(&self) -> Value {
        json!({
            "value": rounded(self.meter.value), "limit": rounded(self.limit.value), "invalid": rounded(self.new),
            "diff": rounded(self.delta), "overhead": rounded(self.meter.overhead),
            "overhead_diff": rounded(self.overhead), "price_diff": self.price_diff.map_or(Value::Null, rounded),
        })
    }
}
