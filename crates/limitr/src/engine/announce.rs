//! Events of a call, built only when somebody listens and while the customers are still locked.

use serde_json::Value;

use crate::decide::{Change, Decided, Metered, Request, Site};
use crate::events::{CapEvent, Event, GovernorNumbers, LogicErrorEvent, MeterEvent, MeterNumbers, Payload};
use crate::logic::LogicError;
use crate::policy::Compiled;
use crate::state::{CALLER, Cap, Customer, Locked, Name};
use crate::{Amount, Denial};

/// The events of one call, in order: meter-reset, the call's own, cap-threshold-crossed, customer-set.
pub(super) fn call(
    policy: &Compiled,
    decided: &Decided<'_>,
    change: &Change,
    people: &Locked<'_, '_>,
    request: &Request<'_>,
) -> Vec<Event> {
    let (Some(site), Some(metered)) = (&decided.site, &decided.metered) else { return Vec::new() };
    let Some(owner) = people.get(site.owner) else { return Vec::new() };
    let scene = Scene { policy, site, metered, data: request.data };
    let mut events = Vec::new();
    if let (Some(error), Some(cost)) = (&metered.cost_error, &metered.limit.credit.cost)
        && cost.is_due(decided.now)
    {
        let caller = people.caller().map(|caller| record(policy, caller));
        events.push(logic_error(error, caller, Some(site.entitlement.name.clone())));
    }
    if metered.roll.is_some() {
        events.push(scene.reset(owner));
    }
    match decided.denied {
        None if metered.moved() || metered.roll.is_some() => events.push(scene.moved(owner)),
        None => {}
        Some(Denial::Limit) => events.push(scene.denied("meter-limit", owner, |event| {
            event.overage = Some(metered.overage);
        })),
        Some(Denial::Governor) => events.push(scene.denied("meter-governed", owner, |event| {
            let bucket = metered.limit.governor;
            event.governor = Some(GovernorNumbers {
                tokens: metered.tokens.unwrap_or_default(),
                capacity: bucket.map_or(Amount::ZERO, |bucket| bucket.capacity),
                requested: metered.delta,
            });
        })),
        Some(Denial::Cap) => events.extend(scene.capped(people, request)),
        Some(_) => {}
    }
    if decided.denied.is_none() {
        for movement in metered.caps.iter().filter(|movement| movement.crossed) {
            let position = movement.holder.position;
            let holder = position.and_then(|position| people.get(position));
            let cap = holder.and_then(|holder| holder.caps.get(&movement.holder.id));
            if let (Some(holder), Some(cap), Some(caller)) = (holder, cap, people.caller()) {
                let payload = CapEvent {
                    cap: cap.clone().in_event(),
                    customer: record(policy, holder),
                    caller: Some(record(policy, caller)),
                    entitlement: Some(site.entitlement.name.clone()),
                };
                events.push(Event::new("cap-threshold-crossed", Payload::Cap(Box::new(payload))));
            }
        }
        for position in change.moved.iter().filter(|position| **position != site.owner) {
            if let Some(customer) = people.get(*position) {
                events.push(customer_event("customer-set", policy, customer));
            }
        }
    }
    events
}

/// An event whose payload is a customer's record.
pub(super) fn customer_event(name: &str, policy: &Compiled, customer: &Customer) -> Event {
    Event::new(name, Payload::Customer(Box::new(record(policy, customer))))
}

/// What is sent of a piece of logic that gave no result.
pub(super) fn logic_error(error: &LogicError, customer: Option<Customer>, entitlement: Option<Name>) -> Event {
    let LogicError { place, expression, message, at, .. } = error.clone();
    let payload = LogicErrorEvent { path: place, expression, message, at, customer, entitlement };
    Event::new("logic-error", Payload::LogicError(Box::new(payload)))
}

/// A customer as records show it: what follows from the policy's rates is left out.
pub(super) fn record(policy: &Compiled, customer: &Customer) -> Customer {
    let mut record = customer.clone();
    for meter in record.meters.values_mut() {
        let rate = policy.credit(&meter.credit).map_or(Amount::ZERO, |credit| credit.overhead_cost);
        let by_rate = if rate.is_zero() { Some(Amount::ZERO) } else { meter.value.checked_mul(rate) };
        if meter.overhead.is_none_or(|overhead| Some(overhead) == by_rate) {
            meter.overhead = None;
        }
    }
    record
}

struct Scene<'a, 'p> {
    policy: &'a Compiled,
    site: &'a Site<'p>,
    metered: &'a Metered<'p>,
    data: Option<&'a Value>,
}

impl Scene<'_, '_> {
    fn event(&self, customer: &Customer, meter: MeterNumbers) -> Box<MeterEvent> {
        Box::new(MeterEvent {
            remaining: self.metered.limit.value.saturating_sub(meter.value),
            meter,
            customer: record(self.policy, customer),
            caller: None,
            entitlement: self.site.entitlement.name.clone(),
            plan: self.site.plan.name.clone(),
            credit: self.metered.limit.credit.definition.clone(),
            event_data: self.data.cloned(),
            grant_value_applied: None,
            overage: None,
            overage_price: None,
            invalid_value: None,
            governor: None,
            cap: None,
        })
    }

    /// The old period's end: from its final value to nothing.
    fn reset(&self, owner: &Customer) -> Event {
        let metered = self.metered;
        let numbers = MeterNumbers {
            old: Some(metered.stored),
            value: Amount::ZERO,
            limit: metered.limit.value,
            invalid: None,
            diff: Amount::ZERO.saturating_sub(metered.stored),
            overhead: Amount::ZERO,
            overhead_diff: Amount::ZERO,
            price_diff: metered.price_diff.map(|_| Amount::ZERO),
        };
        Event::new("meter-reset", Payload::Meter(self.event(owner, numbers)))
    }

    fn moved(&self, owner: &Customer) -> Event {
        let metered = self.metered;
        let numbers = MeterNumbers {
            old: Some(metered.before),
            value: metered.after,
            limit: metered.limit.value,
            invalid: None,
            diff: metered.delta,
            overhead: metered.overhead_after,
            overhead_diff: metered.overhead,
            price_diff: metered.price_diff,
        };
        let mut event = self.event(owner, numbers);
        let (covered, uncovered) = (metered.covered(), metered.uncovered());
        event.grant_value_applied = covered.is_positive().then_some(covered);
        if uncovered.is_zero() {
            return Event::new("meter-changed", Payload::Meter(event));
        }
        // Grants pay for the first units past the limit; the bill starts where they stopped.
        let billable = metered.before.saturating_sub(metered.limit.value).or_zero();
        let price = metered.limit.credit.list_price(uncovered, billable.saturating_add(covered));
        event.overage = Some(uncovered);
        event.overage_price = Some(price.flatten());
        Event::new("meter-overage", Payload::Meter(event))
    }

    fn denied(&self, name: &str, customer: &Customer, complete: impl FnOnce(&mut MeterEvent)) -> Event {
        let metered = self.metered;
        let numbers = MeterNumbers {
            old: None,
            value: metered.before,
            limit: metered.limit.value,
            invalid: Some(metered.after),
            diff: metered.delta,
            overhead: metered.overhead_before,
            overhead_diff: metered.overhead,
            price_diff: metered.price_diff,
        };
        let mut event = self.event(customer, numbers);
        event.invalid_value = Some(metered.after);
        complete(&mut event);
        Event::new(name, Payload::Meter(event))
    }

    fn capped(&self, people: &Locked<'_, '_>, request: &Request<'_>) -> Option<Event> {
        let blocking = self.metered.blocking.as_ref()?;
        let caller = people.caller()?;
        let holder = people.get(blocking.position.unwrap_or(CALLER))?;
        let cap = match blocking.position {
            Some(_) => holder.caps.get(&blocking.id),
            None => request.caps.iter().find(|cap| cap.id == blocking.id),
        };
        let cap = cap.cloned().map(Cap::in_event);
        Some(self.denied("cap-limit", holder, |event| {
            event.caller = Some(record(self.policy, caller));
            event.cap = cap;
        }))
    }
}
