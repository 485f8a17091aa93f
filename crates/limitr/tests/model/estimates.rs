//! Reservations and learned estimates.

use super::Model;
use super::amount::{self, float, from_float};
use super::customer::{Estimate, Hold};
use super::decide::Call;
use super::policy::{Entitlement, duration_of, text};
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// What a call says about itself, for estimates.
struct Hints {
    segment: String,
    /// The declared basis field and its value in this call.
    basis: Option<(String, Option<f64>)>,
}

impl Model {
    pub fn reservation(&mut self, verb: &str, args: &Value) -> Result<Value, String> {
        Ok(match verb {
            "reserve" => self.reserve(args).map_or(Value::Null, Value::from),
            "settle" => json!(self.settle(args)),
            "release" => json!(self.release(args)),
            "held" => self.held(args).map_or(Value::Null, amount::rounded),
            "observe" => json!(self.observe(args)),
            _ => self.predict(args).unwrap_or(Value::Null),
        })
    }

    /// Holds room on the owner's meter if allow would give it, next to all the other holds.
    fn reserve(&mut self, args: &Value) -> Option<String> {
        let mut call = Call::read(self, args);
        let found = self.resolve(&call.customer, &call.entitlement).ok()?;
        let limit = found.limit?;
        let hints = self.hints(args, &found.plan, &call.entitlement, None);
        if args.get("value").is_none_or(Value::is_null) {
            let predicted = self.predict(args).and_then(|estimate| estimate.get("value").and_then(amount::number));
            call.value = amount::json(predicted.unwrap_or(limit.increment));
        }
        let credit = self.policy.credits.get(&limit.credit)?.clone();
        let value = amount::quantity(&call.value, &credit.unit)?;
        if value <= Decimal::ZERO || self.clone().allow(&call).is_err() {
            return None;
        }
        let hold = Hold {
            value,
            overhead: call.overhead.unwrap_or_else(|| credit.cost(value, &call.data)),
            expires_on: self.now + duration_of(args, "ttl").unwrap_or(self.policy.hold_ttl),
            segment: Some(hints.segment),
            basis: hints.basis.and_then(|(_, basis)| basis),
        };
        let id = self.take_id();
        let mut meter = self.stored_meter(&found.owner.id, &call.entitlement, &limit.credit);
        meter.holds.insert(id.clone(), hold);
        self.store_meter(&found.owner.id, &call.entitlement, meter);
        Some(id)
    }

    /// The meter as stored (a period that has ended stays), or a fresh one.
    fn stored_meter(&self, owner: &str, entitlement: &str, credit: &str) -> super::customer::Meter {
        let stored = self.customers.get(owner).and_then(|owner| owner.meters.get(entitlement)).cloned();
        stored.unwrap_or_else(|| super::customer::Meter {
            credit: credit.to_owned(),
            started: self.now,
            ..Default::default()
        })
    }

    /// Records what really happened: the hold is gone, the usage counts whatever the limits say, then it is learned.
    fn settle(&mut self, args: &Value) -> bool {
        let mut call = Call::read(self, args);
        call.force = true;
        let Ok(found) = self.resolve(&call.customer, &call.entitlement) else { return false };
        // A value that cannot be used leaves the hold alone.
        let unit = found.limit.as_ref().map(|limit| self.policy.unit_of(&limit.credit));
        if unit.is_some_and(|unit| amount::quantity(&call.value, unit).is_none()) {
            return false;
        }
        // One that has expired is as unknown as one that never was.
        let hold = self.take_hold(&found.owner.id, &call.entitlement, args);
        let hold = hold.filter(|(_, live)| *live).map(|(hold, _)| hold);
        if self.allow(&call).is_err() {
            return false;
        }
        self.learn(args, hold.as_ref());
        true
    }

    fn release(&mut self, args: &Value) -> bool {
        let customer = text(args, "customer").unwrap_or_default();
        let entitlement = text(args, "entitlement").unwrap_or_default();
        let Ok(found) = self.resolve(&customer, &entitlement) else { return false };
        self.take_hold(&found.owner.id, &entitlement, args).is_some_and(|(_, live)| live)
    }

    /// Removes a hold, and says whether it was still live.
    fn take_hold(&mut self, owner: &str, entitlement: &str, args: &Value) -> Option<(Hold, bool)> {
        let id = text(args, "hold")?;
        let hold = self.customers.get_mut(owner)?.meters.get_mut(entitlement)?.holds.remove(&id)?;
        let live = self.now < hold.expires_on;
        Some((hold, live))
    }

    fn held(&self, args: &Value) -> Option<Decimal> {
        let entitlement = text(args, "entitlement")?;
        let found = self.resolve(&text(args, "customer")?, &entitlement).ok()?;
        found.limit?;
        let holds = found.owner.meters.get(&entitlement).map(|meter| meter.holds.values());
        Some(holds.into_iter().flatten().filter(|hold| self.now < hold.expires_on).map(|hold| hold.value).sum())
    }

    fn observe(&mut self, args: &Value) -> bool {
        self.learn(args, None)
    }

    /// Adds one sample to the customer's own estimate and to the policy-wide one.
    fn learn(&mut self, args: &Value, hold: Option<&Hold>) -> bool {
        let call = Call::read(self, args);
        let Ok(found) = self.resolve(&call.customer, &call.entitlement) else { return false };
        let Some(limit) = found.limit else { return false };
        let Some(credit) = self.policy.credits.get(&limit.credit).cloned() else { return false };
        let Some(value) = amount::quantity(&call.value, &credit.unit) else { return false };
        let overhead = call.overhead.unwrap_or_else(|| credit.cost(value, &call.data));
        let hints = self.hints(args, &found.plan, &call.entitlement, hold);
        let (field, unit) = match hints.basis {
            None => (None, 1.0),
            Some((field, Some(basis))) => (Some(field), basis),
            Some((_, None)) => return false,
        };
        let (value, overhead) = (float(value) / unit, float(overhead) / unit);
        let mut meter = self.stored_meter(&found.owner.id, &call.entitlement, &limit.credit);
        let own = meter.estimates.entry(hints.segment.clone()).or_default();
        own.add(value, overhead, field.clone());
        self.store_meter(&found.owner.id, &call.entitlement, meter);
        let shared = self.policy_estimates.entry((call.entitlement, hints.segment)).or_default();
        shared.add(value, overhead, field);
        true
    }

    /// estimate(): the customer's own once it has enough samples, else the policy-wide one.
    fn predict(&self, args: &Value) -> Option<Value> {
        let entitlement = text(args, "entitlement")?;
        let caller = self.find(&text(args, "customer")?);
        let (plan, declared) = match caller {
            Some(caller) => self.plan_of(caller)?,
            None => self.default_plan()?,
        };
        let granted = declared.entitlements.get(&entitlement)?;
        // Without a customer of the scope there is no meter to estimate for; a stranger may still become one.
        let owner = match caller {
            Some(caller) => Some(self.owner_of(caller, granted)?),
            None => None,
        };
        let hints = self.hints(args, plan, &entitlement, None);
        let (field, unit) = match hints.basis {
            None => (None, 1.0),
            Some((field, basis)) => (Some(field), basis?),
        };
        // What was learned under another basis means nothing under this one.
        let fits = |estimate: &Estimate| {
            estimate.samples > 0 && (estimate.basis == field || (estimate.basis.is_none() && estimate.shipped()))
        };
        let own = owner
            .and_then(|owner| owner.meters.get(&entitlement)?.estimates.get(&hints.segment).cloned())
            .filter(|estimate| fits(estimate) && estimate.samples >= self.policy.estimate_min_samples);
        let (estimate, scope) = match own {
            Some(own) => (own, "customer"),
            None => {
                let shared = self.policy_estimates.get(&(entitlement, hints.segment))?;
                (shared.clone(), "policy")
            }
        };
        if !fits(&estimate) {
            return None;
        }
        let z = amount::normal_quantile(args.get("quantile").and_then(Value::as_f64).unwrap_or(0.9));
        let predicted = |mean: f64, var: f64| {
            let number = (mean + z * var.max(0.0).sqrt()).max(0.0) * unit;
            from_float(number).map_or_else(|| json!(number), amount::rounded)
        };
        Some(json!({
            "value": predicted(estimate.value_mean, estimate.value_var),
            "overhead": predicted(estimate.overhead_mean, estimate.overhead_var),
            "samples": estimate.samples, "source": estimate.source, "scope": scope,
        }))
    }

    /// Segment and basis: explicit, else from the event data or context, else from the hold.
    fn hints(&self, args: &Value, plan: &str, entitlement: &str, hold: Option<&Hold>) -> Hints {
        let none = Entitlement::default();
        let declared = self.policy.plans.get(plan).and_then(|p| p.entitlements.get(entitlement)).unwrap_or(&none);
        let data = |field: &str| {
            let given = ["context", "event"].iter().find_map(|name| args.get(*name)?.get(field));
            given.filter(|_| !field.is_empty())
        };
        let segment = text(args, "segment")
            .or_else(|| match data(&declared.estimate_segment)? {
                Value::String(name) => Some(name.clone()),
                Value::Null => None,
                other => Some(other.to_string()),
            })
            .or_else(|| hold?.segment.clone())
            .unwrap_or_else(|| "all".to_owned());
        let basis = (!declared.estimate_basis.is_empty()).then(|| {
            let given = args.get("basis").or_else(|| data(&declared.estimate_basis)).and_then(Value::as_f64);
            let basis = given.or_else(|| hold?.basis).filter(|basis| *basis > 0.0);
            (declared.estimate_basis.clone(), basis)
        });
        Hints { segment, basis }
    }
}

impl Estimate {
    /// Came with the policy: taken to be per whatever basis is declared.
    fn shipped(&self) -> bool {
        self.source.is_some()
    }

    /// One more sample: a plain average until the tenth, then the newer count more.
    fn add(&mut self, value: f64, overhead: f64, basis: Option<String>) {
        if self.basis != basis && !(self.basis.is_none() && self.shipped()) {
            *self = Estimate::default();
        }
        self.basis = basis;
        self.samples += 1;
        let weight = (1.0 / self.samples as f64).max(0.1);
        let blend = |mean: &mut f64, var: &mut f64, sample: f64| {
            let off = sample - *mean;
            *mean += weight * off;
            *var = (1.0 - weight) * (*var + weight * off * off);
        };
        blend(&mut self.value_mean, &mut self.value_var, value);
        blend(&mut self.overhead_mean, &mut self.overhead_var, overhead);
    }
}
