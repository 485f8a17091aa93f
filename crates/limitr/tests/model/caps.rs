//! Caps: which ones a call meets, what it consumes of each, and whether there is room.

use super::Model;
use super::amount::{at_most, below, past};
use super::customer::{Cap, Customer};
use rust_decimal::Decimal;

/// What a call (or what is held) asks of caps, in units of its credit.
#[derive(Clone, Copy, Debug)]
pub struct Amounts {
    pub units: Decimal,
    pub overage: Decimal,
    /// What grants cover of the overage.
    pub covered: Decimal,
    pub overhead: Decimal,
    /// Where the meter stands before, counted from the limit.
    pub position: Decimal,
}

/// A cap together with the customer that holds it; none for a cap that the call brought along.
#[derive(Clone, Debug)]
pub struct Held {
    pub holder: Option<String>,
    pub cap: Cap,
}

impl Model {
    /// The caps a call meets, in the order they are asked, in their current period.
    pub fn caps_of(&self, caller: &Customer, entitlement: &str, credit: &str, brought: &[Cap]) -> Vec<Held> {
        let mut caps = Vec::new();
        for cap in caller.caps.values() {
            caps.push(Held { holder: Some(caller.id.clone()), cap: cap.clone() });
        }
        for customer in self.reachable(caller) {
            for cap in customer.caps.values() {
                let for_caller = cap.shared_with.is_empty() || cap.shared_with.contains(&caller.kind);
                if cap.shared && for_caller {
                    caps.push(Held { holder: Some(customer.id.clone()), cap: cap.clone() });
                }
            }
        }
        for cap in brought {
            caps.push(Held { holder: None, cap: cap.clone() });
        }
        caps.retain(|held| {
            let covers = held.cap.scope.is_empty() || held.cap.scope.iter().any(|e| e == entitlement);
            let applies = self.applies(&held.cap, credit).is_some();
            covers && applies && held.cap.expires_on.is_none_or(|at| self.now < at)
        });
        for held in &mut caps {
            held.cap.roll(self.now);
        }
        caps
    }

    /// What usage consumes of a cap, in the cap's credit. None: the cap does not apply to this credit.
    pub fn consumption(&self, cap: &Cap, credit: &str, a: Amounts) -> Option<Decimal> {
        self.applies(cap, credit)?;
        let part = if cap.overage_only { a.overage } else { a.units };
        let covered = if cap.ignore_grants { a.covered } else { Decimal::ZERO };
        if cap.overhead_cost {
            let share = if a.units.is_zero() { Decimal::ZERO } else { (part - covered) / a.units };
            return self.policy.from_runes(&cap.credit, a.overhead * share, Decimal::ZERO);
        }
        if cap.credit == credit {
            return Some(part - covered);
        }
        let billable = a.position.max(Decimal::ZERO);
        let from = if cap.overage_only { billable } else { a.position };
        let runes = self.policy.to_runes(credit, part, from)? - self.policy.to_runes(credit, covered, billable)?;
        self.policy.from_runes(&cap.credit, runes, Decimal::ZERO)
    }

    /// What a decrement takes off a cap that follows decrements.
    pub fn decrement_consumption(
        &self,
        cap: &Cap,
        credit: &str,
        delta: Decimal,
        position: Decimal,
        overhead: Decimal,
    ) -> Option<Decimal> {
        self.applies(cap, credit)?;
        let billable = |position: Decimal| past(position, Decimal::ZERO);
        let overage = billable(position + delta) - billable(position);
        if cap.overhead_cost {
            let share = if cap.overage_only { overage / delta } else { Decimal::ONE };
            return self.policy.from_runes(&cap.credit, overhead * share, Decimal::ZERO);
        }
        if cap.credit == credit {
            return Some(if cap.overage_only { overage } else { delta });
        }
        let runes = match cap.overage_only {
            true => self.policy.to_runes(credit, overage, billable(position))?,
            false => self.policy.to_runes(credit, delta, position)?,
        };
        self.policy.from_runes(&cap.credit, runes, Decimal::ZERO)
    }

    /// What cost without units consumes of a cap.
    pub fn overhead_consumption(&self, cap: &Cap, credit: &str, overhead: Decimal) -> Option<Decimal> {
        self.applies(cap, credit)?;
        if !cap.overhead_cost || cap.overage_only {
            return None;
        }
        self.policy.from_runes(&cap.credit, overhead, Decimal::ZERO)
    }

    /// None: the cap does not apply to usage of this credit.
    pub fn applies(&self, cap: &Cap, credit: &str) -> Option<()> {
        if cap.credit != credit {
            let stairstep = self.policy.credits.get(&cap.credit).is_some_and(|c| c.pricing_model == "stairstep");
            if !cap.exchangeable || stairstep {
                return None;
            }
        }
        // Units of its own credit are taken as they are; anything else has to convert to it.
        if cap.overhead_cost || cap.credit != credit {
            self.policy.from_runes(&cap.credit, Decimal::ZERO, Decimal::ZERO)?;
        }
        if !cap.overhead_cost && cap.credit != credit {
            self.policy.to_runes(credit, Decimal::ZERO, Decimal::ZERO)?;
        }
        Some(())
    }

    /// Is there room in a cap for a call that consumes this much, when holds already take `held` of it?
    pub fn has_room(cap: &Cap, consumption: Decimal, held: Decimal) -> bool {
        if at_most(consumption, Decimal::ZERO) || cap.observe_only {
            return true;
        }
        if cap.hard_trailing {
            return below(cap.meter_value + held, cap.value);
        }
        at_most(cap.meter_value + consumption, cap.value)
    }

    /// Writes a cap back to the customer that holds it; one that the call brought along is dropped.
    pub fn store_cap(&mut self, held: &Held) {
        let holder = held.holder.as_ref().and_then(|id| self.customers.get_mut(id));
        if let Some(customer) = holder {
            customer.caps.insert(held.cap.id.clone(), held.cap.clone());
        }
    }
}
