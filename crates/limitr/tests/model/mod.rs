//! A deliberately naive second implementation of the whole decision, written from the specification alone. It is the
//! judge of the fast engine, so nothing in it is clever: no caching, no compiled policy, no sharding, no sharing of
//! code with the engine. `check` is `allow` on a copy, calendars are walked day by day, every lookup starts over.
//!
//! Left out: expressions, notifications, capabilities, sync.

#![allow(dead_code, unreachable_pub, missing_docs, clippy::pedantic, clippy::wrong_self_convention)]

pub mod amount;
mod calendar;
pub mod calls;
mod caps;
pub mod compare;
pub mod customer;
mod decide;
pub mod engine;
mod estimates;
pub mod generate;
mod grants;
pub mod policy;
mod pricing;
mod reads;
mod units;
mod verbs;

use customer::{Customer, Estimate};
use decide::Call;
use indexmap::IndexMap;
use policy::{Entitlement, Limit, Plan, Policy};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The policy, every customer and the clock.
#[derive(Clone, Debug)]
pub struct Model {
    pub policy: Policy,
    pub now: i64,
    pub customers: BTreeMap<String, Customer>,
    /// Entitlement and segment -> what is known over all customers.
    policy_estimates: BTreeMap<(String, String), Estimate>,
    /// Customer and idempotency key -> the arguments of the allowed call and when it was.
    keys: IndexMap<(String, String), (Value, i64)>,
    next_id: u64,
    events: Vec<Value>,
}

/// What one step gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub result: Value,
    /// `{name, value}` each, in order.
    pub events: Vec<Value>,
    pub error: Option<String>,
}

/// What the names in a call stand for.
pub struct Resolved {
    pub caller: Customer,
    pub owner: Customer,
    pub plan: String,
    /// None: a feature flag.
    pub limit: Option<Limit>,
}

impl Model {
    /// A model over the contents of a document's `policy:` key.
    pub fn new(policy: &Value, now: i64) -> Model {
        let mut model = Model {
            policy: Policy::read(policy),
            now,
            customers: BTreeMap::new(),
            policy_estimates: BTreeMap::new(),
            keys: IndexMap::new(),
            next_id: 0,
            events: Vec::new(),
        };
        for (entitlement, segments) in policy::entries(policy, "estimates") {
            for (segment, estimate) in segments.as_object().into_iter().flatten() {
                let key = (entitlement.clone(), segment.clone());
                model.policy_estimates.insert(key, Estimate::read(estimate));
            }
        }
        for (_, record) in policy::entries(policy, "customers") {
            let customer = Customer::read(&model.policy, record, now);
            model.customers.insert(customer.id.clone(), customer);
        }
        model
    }

    pub fn set_now(&mut self, ms: i64) {
        self.now = ms;
    }

    /// Every record, in the snapshot format, with every field written out.
    pub fn customers(&self) -> Value {
        let all: Map<_, _> = self.customers.iter().map(|(id, c)| (id.clone(), c.write())).collect();
        Value::Object(all)
    }

    /// One scenario step: `{"allow": {"customer": ..., ...}}`.
    pub fn step(&mut self, step: &Value) -> Outcome {
        self.events.clear();
        let answer = match step.as_object().and_then(|step| step.iter().next()) {
            Some((verb, args)) => self.verb(verb, args),
            None => Err("a step is an object with one verb".to_owned()),
        };
        let events = std::mem::take(&mut self.events);
        match answer {
            Ok(result) => Outcome { result, events, error: None },
            Err(error) => Outcome { result: Value::Null, events, error: Some(error) },
        }
    }

    fn verb(&mut self, verb: &str, args: &Value) -> Result<Value, String> {
        match verb {
            "advance" => {
                self.now += amount::duration(args).ok_or("not a duration")?;
                Ok(Value::Null)
            }
            "now" => {
                self.now = args.as_i64().ok_or("not a time")?;
                Ok(Value::Null)
            }
            "allow" => self.allow_once(args),
            "check" => Ok(json!(self.check(&Call::read(self, args)).is_ok())),
            "explain" => {
                let denied = self.check(&Call::read(self, args)).err();
                Ok(json!({"allowed": denied.is_none(), "reason": denied}))
            }
            "increment" => Ok(json!(self.counted(args, false).is_ok_and(|call| self.allow(&call).is_ok()))),
            "decrement" => Ok(json!(self.counted(args, true).is_ok_and(|call| self.allow(&call).is_ok()))),
            "check_increment" => Ok(json!(self.counted(args, false).is_ok_and(|call| self.check(&call).is_ok()))),
            "check_decrement" => Ok(json!(self.counted(args, true).is_ok_and(|call| self.check(&call).is_ok()))),
            "set" => Ok(json!(self.set(args))),
            "reserve" | "settle" | "release" | "held" | "estimate" | "observe" => self.reservation(verb, args),
            _ => match self.read(verb, args) {
                Some(result) => Ok(result),
                None => self.manage(verb, args),
            },
        }
    }

    /// allow, unless an earlier allowed call had the same idempotency key.
    fn allow_once(&mut self, args: &Value) -> Result<Value, String> {
        let call = Call::read(self, args);
        let customer = self.find(&call.customer).map(|c| c.id.clone());
        let key = policy::text(args, "idempotency_key").zip(customer).map(|(key, customer)| (customer, key));
        let Some(key) = key else { return Ok(json!(self.allow(&call).is_ok())) };
        let mut asked = args.clone();
        // Who asks is in the key, and whether events are sent is not what is decided; the data of an event may be.
        if let Some(asked) = asked.as_object_mut() {
            asked.remove("customer");
            asked.retain(|field, value| field != "event" || value.is_object());
        }
        if let Some((earlier, _)) = self.keys.get(&key).filter(|(_, at)| self.now - at < 86_400_000) {
            return match *earlier == asked {
                true => Ok(json!(true)),
                false => Err("idempotency key used with other arguments".to_owned()),
            };
        }
        let allowed = self.allow(&call).is_ok();
        if allowed {
            self.forget_keys(&key.0);
            self.keys.shift_remove(&key);
            self.keys.insert(key, (asked, self.now));
        }
        Ok(json!(allowed))
    }

    /// Keys that expired before the oldest one still kept are gone for good, whatever the clock says later.
    fn forget_keys(&mut self, customer: &str) {
        while let Some(at) = self.keys.iter().position(|((owner, _), _)| owner == customer) {
            match self.keys.get_index(at) {
                Some((_, (_, asked_at))) if self.now - asked_at >= 86_400_000 => self.keys.shift_remove_index(at),
                _ => break,
            };
        }
    }

    /// The same decision as allow, with nothing kept.
    fn check(&self, call: &Call) -> Result<(), &'static str> {
        self.clone().allow(call)
    }

    /// The call that increment or decrement stands for.
    fn counted(&self, args: &Value, down: bool) -> Result<Call, &'static str> {
        let mut call = Call::read(self, args);
        let found = self.resolve(&call.customer, &call.entitlement)?;
        let step = found.limit.map(|limit| limit.increment).unwrap_or_default();
        call.value = amount::json(if down { -step } else { step });
        Ok(call)
    }

    /// Moves the meter to a value: allow with the difference.
    fn set(&mut self, args: &Value) -> bool {
        let mut call = Call::read(self, args);
        let Ok(found) = self.resolve(&call.customer, &call.entitlement) else { return false };
        if let Some(limit) = found.limit {
            let unit = self.policy.unit_of(&limit.credit);
            let Some(target) = amount::quantity(&call.value, unit) else { return false };
            let (meter, _) = self.current_meter(&found.owner, &call.entitlement, &limit);
            call.value = amount::json(target - meter.value);
        }
        self.allow(&call).is_ok()
    }

    pub fn take_id(&mut self) -> String {
        self.next_id += 1;
        format!("id{}", self.next_id)
    }

    pub fn emit(&mut self, wanted: bool, name: &str, payload: impl FnOnce() -> Value) {
        if wanted {
            self.events.push(json!({"name": name, "value": payload()}));
        }
    }

    /// The event for a record that changed, with the record.
    pub fn tell_customer_set(&mut self, wanted: bool, id: &str) {
        let record = self.customers.get(id).map_or(Value::Null, |customer| customer.write());
        self.emit(wanted, "customer-set", || record);
    }

    /// A customer by id, then by alternate id.
    pub fn find(&self, id: &str) -> Option<&Customer> {
        let by_alt_id = || self.customers.values().find(|c| c.alt_ids.iter().any(|alt| alt == id));
        self.customers.get(id).or_else(by_alt_id)
    }

    pub fn find_mut(&mut self, id: &str) -> Option<&mut Customer> {
        let id = self.find(id)?.id.clone();
        self.customers.get_mut(&id)
    }

    /// The plan of a customer: its own, the first through its refs (depth first), the default one.
    pub fn plan_of(&self, customer: &Customer) -> Option<(&String, &Plan)> {
        self.plan_through_refs(customer).or_else(|| self.default_plan())
    }

    pub fn default_plan(&self) -> Option<(&String, &Plan)> {
        self.policy.plans.iter().find(|(_, plan)| plan.default)
    }

    pub fn plan_through_refs(&self, customer: &Customer) -> Option<(&String, &Plan)> {
        self.plan_depth_first(customer, &mut Vec::new())
    }

    fn plan_depth_first(&self, customer: &Customer, seen: &mut Vec<String>) -> Option<(&String, &Plan)> {
        if let Some(own) = self.policy.plans.get_key_value(&customer.plan) {
            return Some(own);
        }
        seen.push(customer.id.clone());
        for id in &customer.refs {
            let next = self.find(id).filter(|next| !seen.contains(&next.id));
            if let Some(plan) = next.and_then(|next| self.plan_depth_first(next, seen)) {
                return Some(plan);
            }
        }
        None
    }

    /// Customers that can be reached through refs, nearest first, without the customer itself.
    pub fn reachable(&self, customer: &Customer) -> Vec<&Customer> {
        let mut found: Vec<&Customer> = Vec::new();
        let mut ring = vec![customer];
        while !ring.is_empty() {
            let mut next = Vec::new();
            for from in ring {
                for to in from.refs.iter().filter_map(|id| self.find(id)) {
                    if to.id != customer.id && !found.iter().any(|seen| seen.id == to.id) {
                        found.push(to);
                        next.push(to);
                    }
                }
            }
            ring = next;
        }
        found
    }

    /// The customer whose meter an entitlement of `customer` uses.
    pub fn owner_of(&self, customer: &Customer, entitlement: &Entitlement) -> Option<Customer> {
        if entitlement.scope.is_empty() || entitlement.scope == customer.kind {
            return Some(customer.clone());
        }
        self.reachable(customer).into_iter().find(|other| other.kind == entitlement.scope).cloned()
    }

    /// The limit in force: the owner's unexpired override, else the entitlement's.
    pub fn limit_for(&self, owner: &Customer, name: &str, entitlement: &Entitlement) -> Option<Limit> {
        let own = owner.overrides.get(name).filter(|limit| !limit.expired(self.now));
        own.or(entitlement.limit.as_ref()).cloned()
    }

    /// What the names in a call stand for, or the reason it is denied.
    pub fn resolve(&self, customer: &str, entitlement: &str) -> Result<Resolved, &'static str> {
        let caller = self.find(customer).ok_or("unknown_customer")?.clone();
        let (plan, granted) = self
            .plan_of(&caller)
            .and_then(|(name, plan)| Some((name.clone(), plan.entitlements.get(entitlement)?)))
            .ok_or("unknown_entitlement")?;
        let owner = self.owner_of(&caller, granted).ok_or("no_scope_customer")?;
        let limit = self.limit_for(&owner, entitlement, granted);
        Ok(Resolved { caller, owner, plan, limit })
    }
}
