//! Customers: created, read, changed, removed.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::announce::{customer_event, record};
use super::{Limitr, balances};
use crate::decide::{Request, Site, Wish, inherited_plan, limit_in_force, owner_of, plan_of};
use crate::events::{Event, Payload, PlanChangedEvent};
use crate::policy::{Compiled, CompiledPlan};
use crate::state::{CALLER, Customer, DEFAULT_LABEL, DEFAULT_TYPE, Meter, Name, NameMap};
use crate::{Amount, Error};

/// Longest id, in bytes: ids are keys, not documents.
const MAX_ID: usize = 1024;

/// A customer to create.
///
/// ```
/// # use limitr::NewCustomer;
/// let ann = NewCustomer::new("ann").plan("pro").kind("user").refs(["acme"]).alt_ids(["ann@acme.test"]);
/// ```
#[derive(Debug, Clone, Default, Serialize)]
#[must_use]
pub struct NewCustomer {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refs: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alt_ids: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Map<String, Value>>,
}

impl NewCustomer {
    /// A customer with this id, on the plan of its refs or else the default plan.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    /// Its own plan; empty for none.
    pub fn plan(mut self, plan: impl Into<String>) -> Self {
        self.plan = Some(plan.into()).filter(|plan| !plan.is_empty());
        self
    }

    /// Its type; `user` by default.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Its label, for people; `User` by default.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Customers it refers to, nearest first.
    pub fn refs(mut self, refs: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.refs = Some(refs.into_iter().map(Into::into).collect());
        self
    }

    /// Other ids it goes by.
    pub fn alt_ids(mut self, alt_ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.alt_ids = Some(alt_ids.into_iter().map(Into::into).collect());
        self
    }

    /// The application's own data.
    pub fn metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.metadata = Some(metadata);
        self
    }
}

impl Limitr {
    /// Creates a customer, with a meter per limited entitlement and the plan's included grants, or updates the one that
    /// has this id (its meters stay). Returns the record.
    ///
    /// # Errors
    /// `unknown_plan`, `no_plan` when none is given, inherited or default, `alt_id_taken`, `invalid_id`.
    pub fn create_customer(&self, new: NewCustomer) -> Result<Customer, Error> {
        self.logged(|| json!({"create_customer": new}), || self.create(&new))
    }

    fn create(&self, new: &NewCustomer) -> Result<Customer, Error> {
        let policy = self.current_policy();
        let now = self.time();
        valid_id(&new.id, "id")?;
        let id: Name = new.id.as_str().into();
        if self.store.is_alt(&id) && self.store.look(&id, |customer| customer.id != id) == Some(true) {
            return Err(taken(&id));
        }
        let existing = self.store.look(&id, |customer| (customer.plan.clone(), customer.refs.clone()));
        let refs: Vec<Name> = match (&new.refs, &existing) {
            (Some(refs), _) => refs.iter().map(|name| name.as_str().into()).collect(),
            (None, Some((_, refs))) => refs.clone(),
            (None, None) => Vec::new(),
        };
        let own = match &new.plan {
            Some(plan) => Some(policy.plan(plan).ok_or_else(|| unknown_plan(plan, &policy))?.name.clone()),
            None => existing.and_then(|(plan, _)| plan).filter(|plan| policy.plan(plan).is_some()),
        };
        let inherits = |name: &Name| {
            let found = self.store.enter(name, |_, people| inherited_plan(&policy, people, CALLER).is_some());
            found.unwrap_or(false)
        };
        let plan = match own {
            Some(own) => Some(own),
            None if refs.iter().any(inherits) => None,
            None => Some(policy.default_plan().ok_or_else(no_plan)?.name.clone()),
        };
        if let Some(alts) = &new.alt_ids {
            let alts: Vec<Name> = alts.iter().map(|alt| alt.as_str().into()).collect();
            alts.iter().try_for_each(|alt| valid_id(alt, "alt_ids"))?;
            self.store.claim(&id, &alts).map_err(|alt| taken(&alt))?;
        }
        let complete = |customer: &mut Customer| {
            customer.plan = plan.clone();
            customer.refs = refs.clone();
            if let Some(kind) = &new.kind {
                customer.kind = kind.as_str().into();
            }
            if let Some(label) = &new.label {
                customer.label = label.as_str().into();
            }
            if let Some(metadata) = &new.metadata {
                customer.metadata = Some(Box::new(metadata.clone())).filter(|metadata| !metadata.is_empty());
            }
        };
        if self.store.with(&id, complete).is_none() {
            let mut customer = Customer::new(id.clone(), self.name_of_type(), self.name_of_label());
            complete(&mut customer);
            customer.alt_ids = new.alt_ids.iter().flatten().map(|alt| alt.as_str().into()).collect();
            self.store.insert(customer);
        }
        let heard = self.heard();
        let result = self.store.enter(&id, |_, people| {
            let plan = plan_of(&policy, people, CALLER).cloned();
            if let (Some(plan), Some(customer)) = (&plan, people.get_mut(CALLER)) {
                add_meters(plan, customer, now);
                balances::include_topups(plan, customer, now, &self.ids);
            }
            let customer = people.caller()?;
            let event = heard.then(|| customer_event("customer-set", &policy, customer));
            Some((record(&policy, customer), event))
        });
        let (record, event) = result.flatten().ok_or_else(no_plan)?;
        self.tell(event.into_iter().collect());
        Ok(record)
    }

    /// Creates a customer unless it exists. Returns whether it was created.
    ///
    /// # Errors
    /// As [`Limitr::create_customer`].
    pub fn ensure_customer(&self, new: NewCustomer) -> Result<bool, Error> {
        if self.has_customer(&new.id) {
            return Ok(false);
        }
        self.logged(|| json!({"ensure_customer": new}), || self.create(&new).map(|_| true))
    }

    /// Whether a customer has this id or alternate id.
    #[must_use]
    pub fn has_customer(&self, id: &str) -> bool {
        self.store.contains(id)
    }

    /// A customer's record, by id or alternate id.
    #[must_use]
    pub fn customer(&self, id: &str) -> Option<Customer> {
        let policy = self.current_policy();
        self.store.look(id, |customer| record(&policy, customer))
    }

    /// Every customer's record, by id: the snapshot. Each record is consistent in itself.
    #[must_use]
    pub fn customers(&self) -> NameMap<Customer> {
        let policy = self.current_policy();
        let mut records = Vec::new();
        self.store.for_each(|customer| records.push((customer.id.clone(), record(&policy, customer))));
        records.into_iter().collect()
    }

    /// From now on remembers which customers change, for [`Limitr::take_changes`].
    pub fn track_changes(&self) {
        self.store.track_changes();
    }

    /// The customers that changed since the last call of this, or since [`Limitr::track_changes`]: id and record, or no
    /// record for one that was removed. Those that a change reached through refs are among them, changed or not. Who saves
    /// them all has saved what [`Limitr::customers`] says.
    ///
    /// ```
    /// # use limitr::{Limitr, NewCustomer};
    /// # let limitr = Limitr::from_yaml("policy: {credits: {c: {}}, plans: {free: {default: true, entitlements: {api: {limit: {credit: c, value: 10}}}}}}")?;
    /// limitr.create_customer(NewCustomer::new("c1"))?;
    /// limitr.create_customer(NewCustomer::new("c2"))?;
    /// limitr.track_changes();
    /// let _ = limitr.allow("c1", "api", 4);
    /// let _ = limitr.check("c2", "api", 4);
    /// let changes = limitr.take_changes();
    /// assert_eq!(changes.iter().map(|(id, _)| &**id).collect::<Vec<_>>(), ["c1"]);
    /// assert!(limitr.take_changes().is_empty());
    /// # Ok::<(), limitr::Error>(())
    /// ```
    #[must_use]
    pub fn take_changes(&self) -> Vec<(Arc<str>, Option<Customer>)> {
        let policy = self.current_policy();
        let changes = self.store.take_changes().into_iter();
        changes.map(|(id, customer)| (id, customer.map(|customer| record(&policy, &customer)))).collect()
    }

    /// Puts a whole record in place, with event `customer-set` unless `event` is false.
    ///
    /// # Errors
    /// `invalid_record`, `alt_id_taken`.
    pub fn set_customer(&self, customer: Customer, event: bool) -> Result<(), Error> {
        let id = customer.id.clone();
        let record = self.log.is_on().then(|| json!({"set_customer": {"record": customer}}));
        self.logged(
            || record.unwrap_or_default(),
            || {
                self.put(vec![customer])?;
                if event && self.heard() {
                    let policy = self.current_policy();
                    let event = self.store.look(&id, |customer| customer_event("customer-set", &policy, customer));
                    self.tell(event.into_iter().collect());
                }
                Ok(())
            },
        )
    }

    /// Restores records, as [`Limitr::customers`] gave them. No events. All or, on an error, none.
    ///
    /// # Errors
    /// `invalid_record`, `alt_id_taken`.
    pub fn load_customers(&self, customers: impl IntoIterator<Item = Customer>) -> Result<(), Error> {
        let customers: Vec<Customer> = customers.into_iter().collect();
        let records = self.log.is_on().then(|| json!({"load_customers": {"customers": customers}}));
        self.logged(|| records.unwrap_or_default(), || self.put(customers))
    }

    pub(super) fn put(&self, customers: Vec<Customer>) -> Result<(), Error> {
        let policy = self.current_policy();
        // Of several records with one id the last counts.
        let customers: NameMap<Customer> = customers.into_iter().map(|record| (record.id.clone(), record)).collect();
        for customer in customers.values() {
            valid_id(&customer.id, "id")?;
            if let Some(alt) = customer.alt_ids.iter().find(|alt| **alt != customer.id && customers.contains(alt)) {
                return Err(taken(alt));
            }
            if self.store.is_alt(&customer.id)
                && self.store.look(&customer.id, |known| known.id != customer.id) == Some(true)
            {
                return Err(taken(&customer.id));
            }
        }
        let mut claimed: Vec<(Name, Vec<Name>)> = Vec::new();
        for customer in customers.values() {
            let before = self.store.look(&customer.id, |known| known.alt_ids.clone()).unwrap_or_default();
            if before == customer.alt_ids {
                continue;
            }
            if let Err(alt) = self.store.claim(&customer.id, &customer.alt_ids) {
                for (id, alts) in claimed.into_iter().rev() {
                    self.store.release(&id, &alts);
                }
                return Err(taken(&alt));
            }
            claimed.push((customer.id.clone(), before));
        }
        for mut customer in customers {
            complete(&policy, &mut customer);
            let id = customer.id.clone();
            let mut customer = Some(customer);
            self.store.with(&id, |known| {
                if let Some(customer) = customer.take() {
                    *known = customer;
                }
            });
            if let Some(customer) = customer {
                self.store.insert(customer);
            }
        }
        Ok(())
    }

    /// A record ready to take the place of the one that is here. Its alternate ids are its own from now on, also those
    /// that others go by here: they have lost them where the record comes from.
    pub(super) fn admit(&self, mut record: Customer) -> Result<Customer, Error> {
        for alt in &record.alt_ids {
            let holder = self.store.look(alt, |customer| (customer.id.clone(), customer.alt_ids.clone()));
            let Some((id, alts)) = holder.filter(|(id, _)| *id != record.id) else { continue };
            let left: Vec<Name> = alts.into_iter().filter(|known| known != alt).collect();
            self.store.claim(&id, &left).map_err(|alt| taken(&alt))?;
        }
        self.store.claim(&record.id, &record.alt_ids).map_err(|alt| taken(&alt))?;
        complete(&self.current_policy(), &mut record);
        Ok(record)
    }

    /// Removes a customer and its alternate ids; false when there is none.
    pub fn delete_customer(&self, id: &str) -> bool {
        self.logged(
            || json!({"delete_customer": {"id": id}}),
            || {
                let Some(customer) = self.store.remove(id) else { return false };
                if self.heard() {
                    let event = customer_event("customer-removed", &self.current_policy(), &customer);
                    self.tell(vec![event]);
                }
                true
            },
        )
    }

    /// Moves a customer to a plan of its own; with `overwrite_meters` every meter starts over. Grants of the old plan's
    /// topups lapse, those the new plan includes are given. False, and no change, when
    /// that plan already applies or the customer or plan is unknown.
    pub fn set_customer_plan(&self, id: &str, plan: &str, overwrite_meters: bool) -> bool {
        let operation =
            || json!({"set_customer_plan": {"customer": id, "plan": plan, "overwrite_meters": overwrite_meters}});
        self.logged(operation, || self.move_to_plan(id, plan, overwrite_meters))
    }

    fn move_to_plan(&self, id: &str, plan: &str, overwrite_meters: bool) -> bool {
        let policy = self.current_policy();
        let Some(plan) = policy.plan(plan).cloned() else { return false };
        let now = self.time();
        let heard = self.heard();
        let changed = self.store.enter(id, |_, people| {
            let previous = plan_of(&policy, people, CALLER).map(|plan| plan.name.clone());
            if previous.as_ref() == Some(&plan.name) {
                return None;
            }
            let customer = people.get_mut(CALLER)?;
            customer.plan = Some(plan.name.clone());
            if overwrite_meters {
                customer.meters = NameMap::new();
            }
            add_meters(&plan, customer, now);
            balances::include_topups(&plan, customer, now, &self.ids);
            let event = heard.then(|| {
                let payload = PlanChangedEvent {
                    customer: record(&policy, customer),
                    plan: plan.name.clone(),
                    previous_plan: previous,
                };
                Event::new("customer-plan-changed", Payload::PlanChanged(Box::new(payload)))
            });
            Some(event)
        });
        let Some(event) = changed.flatten() else { return false };
        self.tell(event.into_iter().collect());
        true
    }

    /// Sets whom a customer refers to, nearest first; false when it is unknown.
    pub fn set_customer_refs(&self, id: &str, refs: impl IntoIterator<Item = impl AsRef<str>>) -> bool {
        let refs: Vec<Name> = refs.into_iter().map(|name| name.as_ref().into()).collect();
        self.logged(
            || json!({"set_customer_refs": {"customer": id, "refs": refs}}),
            || {
                self.change(id, |customer| {
                    customer.refs.clone_from(&refs);
                    true
                })
            },
        )
    }

    /// Gives a customer another id to go by; false when it is unknown or already has it.
    ///
    /// # Errors
    /// `alt_id_taken` when it belongs to another, `invalid_id`.
    pub fn add_alt_id(&self, id: &str, alt: &str) -> Result<bool, Error> {
        self.logged(
            || json!({"add_alt_id": {"customer": id, "alt": alt}}),
            || {
                valid_id(alt, "alt")?;
                let known = self.store.look(id, |customer| (customer.id.clone(), customer.alt_ids.clone()));
                let Some((id, mut alts)) = known else { return Ok(false) };
                if alts.iter().any(|known| **known == *alt) || *id == *alt {
                    return Ok(false);
                }
                alts.push(alt.into());
                self.store.claim(&id, &alts).map_err(|alt| taken(&alt))?;
                Ok(self.change(&id, |_| true))
            },
        )
    }

    /// Takes an alternate id away; false when the customer is unknown or does not have it.
    pub fn remove_alt_id(&self, id: &str, alt: &str) -> bool {
        self.logged(
            || json!({"remove_alt_id": {"customer": id, "alt": alt}}),
            || {
                let known = self.store.look(id, |customer| (customer.id.clone(), customer.alt_ids.clone()));
                let Some((id, alts)) = known else { return false };
                let left: Vec<Name> = alts.iter().filter(|known| ***known != *alt).cloned().collect();
                left.len() < alts.len() && self.store.claim(&id, &left).is_ok() && self.change(&id, |_| true)
            },
        )
    }

    /// The application's data of a customer.
    #[must_use]
    pub fn customer_metadata(&self, id: &str) -> Option<Map<String, Value>> {
        self.store.look(id, |customer| customer.metadata.as_deref().cloned().unwrap_or_default())
    }

    /// Charges the base fee of the customer's own plan: meters the plan's subscription entitlement once per period, after
    /// the trial. Returns whether it did.
    pub fn ensure_plan_subscription(&self, customer: &str) -> bool {
        let operation = || json!({"ensure_plan_subscription": {"customer": customer}});
        self.logged(operation, || self.subscribe(customer))
    }

    fn subscribe(&self, customer: &str) -> bool {
        let now = self.time();
        let heard = self.heard();
        let mut events = Vec::new();
        let charged = self.store.enter(customer, |policy, people| {
            let plan = policy.plan(people.caller()?.plan.as_deref()?)?;
            let subscription = plan.entitlements.get(plan.definition.subscription.as_str())?;
            let owner = owner_of(people, subscription)?;
            let limit = limit_in_force(policy, people, &Site { plan, entitlement: subscription, owner }, now)?;
            let fresh = || Meter::new(limit.credit.name.clone(), now);
            let meter = people.get_mut(owner)?.meters.get_or_insert_with(&subscription.name, fresh)?;
            let in_trial = now.saturating_sub(meter.started) < plan.definition.trial_period.unwrap_or(0);
            let rolled = limit.period.is_some_and(|period| period.rolled(meter.started, now).is_some());
            if in_trial || (!rolled && Amount::ONE.at_most(meter.value)) {
                return None;
            }
            let wish = Wish::Units(Amount::ONE.into());
            let entitlement = &subscription.name;
            let request = Request { entitlement, wish: &wish, overhead: None, data: None, caps: &[], force: false };
            Some(self.commit(policy, people, &request, || now, heard, &mut events).allowed)
        });
        self.tell(events);
        charged.flatten().unwrap_or(false)
    }

    /// Changes a customer and says so with `customer-set`, unless `change` says that nothing was done.
    pub(super) fn change(&self, id: &str, change: impl FnOnce(&mut Customer) -> bool) -> bool {
        let policy = self.current_policy();
        let heard = self.heard();
        let changed = self.store.with(id, |customer| {
            change(customer).then(|| heard.then(|| customer_event("customer-set", &policy, customer)))
        });
        let Some(event) = changed.flatten() else { return false };
        self.tell(event.into_iter().collect());
        true
    }

    fn name_of_type(&self) -> Name {
        self.common_names.0.clone()
    }

    fn name_of_label(&self) -> Name {
        self.common_names.1.clone()
    }
}

/// The names most customers share, kept once.
pub(super) fn common_names() -> (Name, Name) {
    (DEFAULT_TYPE.into(), DEFAULT_LABEL.into())
}

/// Makes of a record what the engine keeps.
fn complete(policy: &Compiled, customer: &mut Customer) {
    intern(policy, customer);
    for meter in customer.meters.values_mut() {
        let rate = policy.credit(&meter.credit).map_or(Amount::ZERO, |credit| credit.overhead_cost);
        meter.overhead.get_or_insert_with(|| meter.value.saturating_mul(rate));
    }
}

/// Lets a record share the policy's own names: less memory, and found by address.
fn intern(policy: &Compiled, customer: &mut Customer) {
    let Some(plan) = customer.plan.as_ref().and_then(|name| policy.plan(name)) else { return };
    customer.plan = Some(plan.name.clone());
    let meters = std::mem::take(&mut customer.meters).into_entries().into_iter().map(|(name, mut meter)| {
        let Some(entitlement) = plan.entitlements.get(&name) else { return (name, meter) };
        if let Some(limit) = entitlement.limit.as_ref().filter(|limit| limit.credit.name == meter.credit) {
            meter.credit = limit.credit.name.clone();
        }
        (entitlement.name.clone(), meter)
    });
    customer.meters = meters.collect();
}

/// A meter for every limited entitlement of the plan that has none yet.
fn add_meters(plan: &CompiledPlan, customer: &mut Customer, now: i64) {
    let limited = plan.entitlements.values().filter_map(|entitlement| {
        let limit = entitlement.limit.as_ref()?;
        Some((entitlement.name.clone(), limit.credit.name.clone()))
    });
    let missing: Vec<_> = limited.filter(|(name, _)| !customer.meters.contains(name)).collect();
    if missing.is_empty() {
        return;
    }
    let mut meters = Vec::with_capacity(customer.meters.len() + missing.len());
    meters.extend(std::mem::take(&mut customer.meters).into_entries());
    meters.extend(missing.into_iter().map(|(name, credit)| (name, Meter::new(credit, now))));
    customer.meters = meters.into_iter().collect();
}

fn valid_id(id: &str, path: &str) -> Result<(), Error> {
    if id.is_empty() || id.len() > MAX_ID {
        return Err(
            Error::argument("invalid_id", format!("an id has 1 to {MAX_ID} bytes, this one has {}", id.len())).at(path)
        );
    }
    Ok(())
}

fn taken(alt: &str) -> Error {
    Error::conflict("alt_id_taken", format!("`{alt}` already names another customer")).at("alt_ids")
}

fn no_plan() -> Error {
    Error::argument("no_plan", "no plan is given, inherited through refs or marked as default")
        .at("plan")
        .hint_at("name a plan, or set `default: true` on one")
}

fn unknown_plan(plan: &str, policy: &Compiled) -> Error {
    let known: Vec<&str> = policy.source.plans.keys().map(String::as_str).collect();
    Error::argument("unknown_plan", format!("unknown plan `{plan}`"))
        .at("plan")
        .hint_at(format!("known plans are {}", known.join(", ")))
}
