//! Customers, caps, topups and plans.

use super::Model;
use super::amount;
use super::customer::{Cap, Customer, Grant, Meter};
use super::decide::Call;
use super::policy::{Limit, Policy, Topup, flag, strings, text};
use rust_decimal::Decimal;
use serde_json::{Value, json};

impl Model {
    pub fn manage(&mut self, verb: &str, args: &Value) -> Result<Value, String> {
        let customer = text(args, "customer").unwrap_or_default();
        match verb {
            "create_customer" => self.create_customer(args),
            "ensure_customer" => {
                let missing = self.find(&text(args, "id").unwrap_or_default()).is_none();
                if missing {
                    self.create_customer(args)?;
                }
                Ok(json!(missing))
            }
            "set_customer" => {
                let record = args.get("record").unwrap_or(&Value::Null);
                let new = Customer::read(&self.policy, record, self.now);
                let id = new.id.clone();
                self.customers.insert(id.clone(), new);
                self.tell_customer_set(flag(args, "event", true), &id);
                Ok(json!(true))
            }
            "load_customers" => {
                let records: Vec<Value> = match args.get("customers") {
                    Some(Value::Array(list)) => list.clone(),
                    Some(Value::Object(map)) => map.values().cloned().collect(),
                    _ => Vec::new(),
                };
                for record in &records {
                    let new = Customer::read(&self.policy, record, self.now);
                    self.customers.insert(new.id.clone(), new);
                }
                Ok(json!(records.len()))
            }
            "replace" => {
                self.policy = Policy::read(args.get("policy").unwrap_or(&Value::Null));
                self.emit(true, "policy-updated", || json!({}));
                Ok(json!(true))
            }
            "customer" => {
                let found = self.find(&text(args, "id").unwrap_or_default());
                Ok(found.map_or(Value::Null, |c| c.write()))
            }
            "customers" => Ok(self.customers()),
            "valid" => Ok(json!(true)),
            "delete_customer" => Ok(json!(self.delete_customer(&text(args, "id").unwrap_or_default()))),
            "set_customer_plan" => Ok(json!(self.set_customer_plan(&customer, args).is_some())),
            "set_customer_refs" => {
                let refs = strings(args, "refs");
                Ok(json!(self.change(&customer, |customer| customer.refs = refs)))
            }
            "set_alt_customer_id" => self.set_alt_id(&customer, args),
            "remove_alt_customer_id" => {
                let alt = text(args, "alt").unwrap_or_default();
                let known = self.find(&customer).is_some_and(|c| c.alt_ids.contains(&alt));
                Ok(json!(known && self.change(&customer, |c| c.alt_ids.retain(|id| *id != alt))))
            }
            "create_customer_override" => {
                let new = self.create_override(&customer, args);
                Ok(new.map_or(Value::Null, |limit| limit.write()))
            }
            "remove_customer_override" => {
                let name = text(args, "entitlement").unwrap_or_default();
                let known = self.find(&customer).is_some_and(|c| c.overrides.contains_key(&name));
                Ok(json!(known && self.change(&customer, |c| drop(c.overrides.remove(&name)))))
            }
            "add_customer_cap" => Ok(self.add_cap(&customer, args).map_or(Value::Null, |cap| cap.write())),
            "customer_cap" | "reset_customer_cap" | "remove_customer_cap" => {
                Ok(self.one_cap(verb, &customer, args).unwrap_or(match verb {
                    "customer_cap" => Value::Null,
                    _ => json!(false),
                }))
            }
            "apply_customer_topup" => Ok(json!(self.apply_topup(&customer, args).is_some())),
            "ensure_included_topups" => Ok(json!(self.ensure_topups(&customer, true).is_some())),
            "ensure_plan_subscription" => Ok(json!(self.ensure_subscription(&customer).unwrap_or(false))),
            "set_plan" => {
                let id = text(args, "id").unwrap_or_default();
                let plan = self.policy.read_plan(args.get("plan").unwrap_or(&Value::Null));
                self.policy.plans.insert(id.clone(), plan);
                self.emit(true, "plan-set", || json!({"plan": id}));
                Ok(json!(true))
            }
            "delete_plan" => {
                let id = text(args, "id").unwrap_or_default();
                let known = self.policy.plans.remove(&id).is_some();
                self.emit(known, "plan-removed", || json!({"plan": id}));
                Ok(json!(known))
            }
            _ => Err(format!("the model does not know `{verb}`")),
        }
    }

    /// Changes a customer and says so. False for an unknown one.
    fn change(&mut self, customer: &str, change: impl FnOnce(&mut Customer)) -> bool {
        let Some(found) = self.find_mut(customer) else { return false };
        change(found);
        let id = found.id.clone();
        self.tell_customer_set(true, &id);
        true
    }

    fn create_customer(&mut self, args: &Value) -> Result<Value, String> {
        let id = text(args, "id").unwrap_or_default();
        let plan = text(args, "plan").unwrap_or_default();
        if !plan.is_empty() && !self.policy.plans.contains_key(&plan) {
            return Err(format!("unknown plan `{plan}`"));
        }
        let alts = strings(args, "alts");
        if alts.iter().any(|alt| self.find(alt).is_some_and(|other| other.id != id)) {
            return Err("the alternate id belongs to another customer".to_owned());
        }
        let mut customer = self.customers.get(&id).cloned().unwrap_or_default();
        customer.id = id.clone();
        customer.plan = plan;
        customer.kind = text(args, "type").unwrap_or_else(|| "user".to_owned());
        customer.label = text(args, "label").unwrap_or_else(|| "User".to_owned());
        if args.get("refs").is_some() {
            customer.refs = strings(args, "refs");
        }
        if args.get("alts").is_some() {
            customer.alt_ids = alts;
        }
        if let Some(metadata) = args.get("metadata").and_then(Value::as_object) {
            customer.metadata = metadata.clone();
        }
        // A plan found through refs stays theirs; the default plan becomes the customer's own.
        if customer.plan.is_empty() && self.plan_through_refs(&customer).is_none() {
            let (default, _) = self.default_plan().ok_or("no plan for the customer")?;
            customer.plan = default.clone();
        }
        let (_, plan) = self.plan_of(&customer).ok_or("no plan for the customer")?;
        let mut fresh = Vec::new();
        for (name, entitlement) in &plan.entitlements {
            if let Some(limit) = &entitlement.limit {
                fresh.push((name.clone(), limit.credit.clone()));
            }
        }
        for (name, credit) in fresh {
            let started = self.now;
            customer.meters.entry(name).or_insert(Meter { credit, started, ..Meter::default() });
        }
        self.customers.insert(id.clone(), customer);
        self.ensure_topups(&id, false);
        self.tell_customer_set(true, &id);
        Ok(self.customers.get(&id).map_or(Value::Null, |c| c.write()))
    }

    fn delete_customer(&mut self, id: &str) -> bool {
        let Some(id) = self.find(id).map(|c| c.id.clone()) else { return false };
        self.customers.remove(&id);
        self.keys.retain(|(customer, _), _| *customer != id);
        self.emit(true, "customer-removed", || json!({"id": id}));
        true
    }

    fn set_customer_plan(&mut self, customer: &str, args: &Value) -> Option<()> {
        let name = text(args, "plan")?;
        let plan = self.policy.plans.get(&name)?.clone();
        let found = self.find(customer)?.clone();
        let previous = self.plan_of(&found).map(|(name, _)| name.clone());
        if previous.as_ref() == Some(&name) {
            return None;
        }
        let started = self.now;
        let stored = self.customers.get_mut(&found.id)?;
        stored.plan = name.clone();
        if flag(args, "overwrite_meters", false) {
            stored.meters.clear();
        }
        // As on creation: the meters and the included grants that the new plan brings.
        for (entitlement, definition) in &plan.entitlements {
            if let Some(limit) = &definition.limit {
                let fresh = Meter { credit: limit.credit.clone(), started, ..Meter::default() };
                stored.meters.entry(entitlement.clone()).or_insert(fresh);
            }
        }
        self.ensure_topups(&found.id, false);
        self.emit(
            true,
            "customer-plan-changed",
            || json!({"customer": {"id": found.id}, "plan": name, "previous_plan": previous}),
        );
        Some(())
    }

    fn set_alt_id(&mut self, customer: &str, args: &Value) -> Result<Value, String> {
        let alt = text(args, "alt").unwrap_or_default();
        let Some(id) = self.find(customer).map(|c| c.id.clone()) else { return Ok(json!(false)) };
        if self.find(&alt).is_some_and(|other| other.id != id) {
            return Err("the alternate id belongs to another customer".to_owned());
        }
        // One that the customer has already is no change.
        let new = self.find(&alt).is_none();
        Ok(json!(new && self.change(&id, |customer| customer.alt_ids.push(alt))))
    }

    /// Every field that is not given copies the limit in force.
    fn create_override(&mut self, customer: &str, args: &Value) -> Option<Limit> {
        let name = text(args, "entitlement")?;
        let found = self.find(customer)?.clone();
        let (_, plan) = self.plan_of(&found)?;
        let base = self.limit_for(&found, &name, plan.entitlements.get(&name)?);
        let mut fields = base.map_or_else(|| json!({}), |limit| limit.write());
        let (merged, given) = (fields.as_object_mut()?, args.as_object()?);
        // An interval and a schedule exclude each other, so giving one takes the other away.
        if given.contains_key("reset_inc") {
            merged.remove("reset_sch");
        }
        if given.contains_key("reset_sch") {
            merged.remove("reset_inc");
        }
        for (field, value) in given.iter().filter(|(field, _)| *field != "customer" && *field != "entitlement") {
            merged.insert(field.clone(), value.clone());
        }
        text(&fields, "credit")?;
        let limit = self.policy.read_limit(&fields);
        let stored = limit.clone();
        self.change(&found.id, |customer| drop(customer.overrides.insert(name, stored)));
        Some(limit)
    }

    fn add_cap(&mut self, customer: &str, args: &Value) -> Option<Cap> {
        let found = self.find(customer)?.clone();
        let credit = text(args, "credit").unwrap_or_else(|| "rune".to_owned());
        let given = text(args, "id");
        if !self.policy.known(&credit) || given.as_ref().is_some_and(|id| found.caps.contains_key(id)) {
            return None;
        }
        let mut cap = Cap::read(&self.policy, "", args, self.now);
        let stairstep = self.policy.credits.get(&credit).is_some_and(|c| c.pricing_model == "stairstep");
        if cap.exchangeable && stairstep {
            return None;
        }
        cap.id = given.unwrap_or_else(|| self.take_id());
        let stored = cap.clone();
        self.customers.get_mut(&found.id)?.caps.insert(cap.id.clone(), stored);
        self.emit(flag(args, "events", true), "customer-cap-added", || cap_event(&found.id, &cap));
        Some(cap)
    }

    fn one_cap(&mut self, verb: &str, customer: &str, args: &Value) -> Option<Value> {
        let now = self.now;
        let id = text(args, "id")?;
        let found = self.find_mut(customer)?;
        let holder = found.id.clone();
        let (cap, event) = match verb {
            "customer_cap" => return Some(found.caps.get(&id)?.write()),
            "reset_customer_cap" => {
                let cap = found.caps.get_mut(&id)?;
                cap.restart(now);
                (cap.clone(), "customer-cap-reset")
            }
            _ => (found.caps.remove(&id)?, "customer-cap-removed"),
        };
        self.emit(flag(args, "events", true), event, || cap_event(&holder, &cap));
        Some(json!(true))
    }

    fn apply_topup(&mut self, customer: &str, args: &Value) -> Option<()> {
        let name = text(args, "topup")?;
        let found = self.find(customer)?.clone();
        let (_, plan) = self.plan_of(&found)?;
        let topup = plan.topups.get(&name)?.clone();
        self.grant(&found.id, &name, &topup, true);
        Some(())
    }

    fn grant(&mut self, customer: &str, name: &str, topup: &Topup, events: bool) {
        let id = self.take_id();
        let now = self.now;
        let Some(customer) = self.customers.get_mut(customer) else { return };
        let grant = Grant {
            credit: topup.credit.clone(),
            topup: Some(name.to_owned()),
            created_on: now,
            granted_on: now,
            starting_value: topup.value,
            value: topup.value,
            expires_on: topup.expires_after.map(|after| now + after),
            last_reset: None,
            priority: topup.priority,
            resets: topup.resets.clone(),
        };
        customer.grants.insert(id.clone(), grant);
        let holder = customer.id.clone();
        let value = amount::rounded(topup.value);
        self.emit(
            events,
            "customer-topup-granted",
            || json!({"customer": {"id": holder}, "topup": name, "grant": {"id": id, "value": value}}),
        );
    }

    /// Included topups come and go with the plan and the customer's type; grants of topups that are gone go too.
    fn ensure_topups(&mut self, customer: &str, events: bool) -> Option<()> {
        let found = self.find(customer)?.clone();
        let (_, plan) = self.plan_of(&found)?;
        let topups = plan.topups.clone();
        let for_type = |topup: &Topup| topup.included_scopes.is_empty() || topup.included_scopes.contains(&found.kind);
        let stored = self.customers.get_mut(&found.id)?;
        stored.grants.retain(|_, grant| match &grant.topup {
            Some(name) => topups.get(name).is_some_and(|topup| !topup.included || for_type(topup)),
            None => true,
        });
        let held: Vec<String> = stored.grants.values().filter_map(|grant| grant.topup.clone()).collect();
        for (name, topup) in &topups {
            if topup.included && for_type(topup) && !held.contains(name) {
                self.grant(&found.id, name, topup, events);
            }
        }
        Some(())
    }

    /// Charges the plan's base fee once per period, when the trial is over.
    fn ensure_subscription(&mut self, customer: &str) -> Option<bool> {
        let found = self.find(customer)?.clone();
        let plan = self.policy.plans.get(&found.plan)?.clone();
        let resolved = self.resolve(&found.id, &plan.subscription).ok()?;
        let limit = resolved.limit?;
        let (meter, _) = self.current_meter(&resolved.owner, &plan.subscription, &limit);
        // A trial is counted from the meter's start, so there has to be a meter from the first time on.
        if !resolved.owner.meters.contains_key(&plan.subscription) {
            self.store_meter(&resolved.owner.id, &plan.subscription, meter.clone());
        }
        // The start as stored: a new period does not bring a new trial by itself.
        let started = resolved.owner.meters.get(&plan.subscription).map_or(self.now, |stored| stored.started);
        if !amount::below(meter.value, Decimal::ONE) || self.now - started < plan.trial_period {
            return Some(false);
        }
        let call = json!({"customer": found.id, "entitlement": plan.subscription, "value": 1});
        Some(self.allow(&Call::read(self, &call)).is_ok())
    }
}

fn cap_event(holder: &str, cap: &Cap) -> Value {
    json!({"cap": cap.write(), "customer": {"id": holder}})
}
