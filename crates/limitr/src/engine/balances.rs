//! Grants and caps: balances given to customers, ceilings put on them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Limitr;
use super::announce::record;
use crate::decide::{live, plan_of, remaining_in};
use crate::events::{CapEvent, Event, Payload, TopupGrantedEvent};
use crate::fields::Fields;
use crate::policy::{Compiled, CompiledPlan, CompiledTopup, Schedule};
use crate::state::{CALLER, Cap, Customer, Grant, Name};
use crate::{Amount, Error, IdSource, Quantity};

/// A ceiling to put on a customer.
///
/// ```
/// # use limitr::NewCap;
/// let budget = NewCap::new(100).id("monthly-budget").shared().resets_on("monthly:1".parse()?);
/// # Ok::<(), limitr::ScheduleError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct NewCap<'a> {
    value: Quantity<'a>,
    id: Option<String>,
    credit: Option<String>,
    exchangeable: Option<bool>,
    overage_only: bool,
    ignore_grants: bool,
    observe_only: bool,
    overhead_cost: bool,
    follow_decrements: bool,
    hard_trailing: bool,
    shared: bool,
    shared_with: Vec<String>,
    scope: Vec<String>,
    resets: bool,
    reset_inc: Option<i64>,
    reset_sch: Option<Schedule>,
    expires_on: Option<i64>,
    events: bool,
}

/// A ceiling for one call: an amount in a credit, or a whole [`NewCap`].
#[derive(Debug, Clone)]
#[must_use]
pub struct CallCap<'a>(NewCap<'a>);

impl<'a, V: Into<Quantity<'a>>> From<(&str, V)> for CallCap<'a> {
    fn from((credit, ceiling): (&str, V)) -> Self {
        Self(NewCap::new(ceiling).credit(credit))
    }
}

impl CallCap<'_> {
    /// In a form that equals for equal caps.
    pub(super) fn canonical(&self) -> Value {
        let cap = &self.0;
        json!([
            cap.value.canonical(),
            cap.id,
            cap.credit,
            cap.exchangeable,
            [cap.overage_only, cap.ignore_grants, cap.observe_only, cap.overhead_cost],
            [cap.follow_decrements, cap.hard_trailing, cap.shared, cap.resets],
            cap.shared_with,
            cap.scope,
            cap.reset_inc,
            cap.reset_sch,
            cap.expires_on,
        ])
    }
}

impl<'a> From<NewCap<'a>> for CallCap<'a> {
    fn from(cap: NewCap<'a>) -> Self {
        Self(cap)
    }
}

impl<'a> NewCap<'a> {
    /// A ceiling of `value` runes.
    pub fn new(value: impl Into<Quantity<'a>>) -> Self {
        Self {
            value: value.into(),
            id: None,
            credit: None,
            exchangeable: None,
            overage_only: false,
            ignore_grants: false,
            observe_only: false,
            overhead_cost: false,
            follow_decrements: false,
            hard_trailing: false,
            shared: false,
            shared_with: Vec::new(),
            scope: Vec::new(),
            resets: false,
            reset_inc: None,
            reset_sch: None,
            expires_on: None,
            events: true,
        }
    }

    /// Reads a ceiling given as JSON.
    pub(crate) fn read(fields: &mut Fields<'a>) -> Self {
        let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
        Self {
            value: fields.required("value").quantity().unwrap_or_default(),
            id: fields.optional("id").text().map(str::to_owned),
            credit: fields.optional("credit").text().map(str::to_owned),
            exchangeable: fields.optional("exchangeable").flag(),
            overage_only: fields.flag("overage_only", false),
            ignore_grants: fields.flag("ignore_grants", false),
            observe_only: fields.flag("observe_only", false),
            overhead_cost: fields.flag("overhead_cost", false),
            follow_decrements: fields.flag("follow_decrements", false),
            hard_trailing: fields.flag("hard_trailing", false),
            shared: fields.flag("shared", false),
            shared_with: fields.given("shared_with").texts().map(owned).unwrap_or_default(),
            scope: fields.given("scope").texts().map(owned).unwrap_or_default(),
            resets: fields.flag("resets", false),
            reset_inc: fields.optional("reset_inc").duration(),
            reset_sch: fields.optional("reset_sch").schedule(),
            expires_on: fields.optional("expires_on").whole(),
            events: fields.flag("events", true),
        }
    }

    /// Its id; one is made when there is none.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// What it counts in, instead of runes.
    pub fn credit(mut self, credit: impl Into<String>) -> Self {
        self.credit = Some(credit.into());
        self
    }

    /// Whether calls in other credits are converted and counted; by default they are for money, not for a credit.
    pub fn exchangeable(mut self, exchangeable: bool) -> Self {
        self.exchangeable = Some(exchangeable);
        self
    }

    /// Counts overage only.
    pub fn overage_only(mut self) -> Self {
        self.overage_only = true;
        self
    }

    /// Does not count what grants cover.
    pub fn ignore_grants(mut self) -> Self {
        self.ignore_grants = true;
        self
    }

    /// Counts but never denies.
    pub fn observe_only(mut self) -> Self {
        self.observe_only = true;
        self
    }

    /// Counts the provider's cost instead of the price.
    pub fn overhead_cost(mut self) -> Self {
        self.overhead_cost = true;
        self
    }

    /// Moves down with decrements.
    pub fn follow_decrements(mut self) -> Self {
        self.follow_decrements = true;
        self
    }

    /// Denies only once the ceiling has been reached.
    pub fn hard_trailing(mut self) -> Self {
        self.hard_trailing = true;
        self
    }

    /// Binds customers that refer to the holder too.
    pub fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// Binds customers of these types that refer to the holder too.
    pub fn shared_with(mut self, types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.shared = true;
        self.shared_with = types.into_iter().map(Into::into).collect();
        self
    }

    /// Binds only these entitlements.
    pub fn scope(mut self, entitlements: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.scope = entitlements.into_iter().map(Into::into).collect();
        self
    }

    /// Starts over every so many ms.
    pub fn resets_every(mut self, ms: i64) -> Self {
        (self.resets, self.reset_inc, self.reset_sch) = (true, Some(ms), None);
        self
    }

    /// Starts over on a calendar schedule.
    pub fn resets_on(mut self, schedule: Schedule) -> Self {
        (self.resets, self.reset_inc, self.reset_sch) = (true, None, Some(schedule));
        self
    }

    /// Ends at this time, ms since 1970.
    pub fn expires_on(mut self, ms: i64) -> Self {
        self.expires_on = Some(ms);
        self
    }

    /// Sends no event when it is added.
    pub fn silent(mut self) -> Self {
        self.events = false;
        self
    }

    /// The cap, or what keeps it from being one.
    /// The cap as arguments of the operation that adds it.
    fn arguments(&self, customer: &str) -> Value {
        let mut arguments = json!({
            "customer": customer,
            "value": self.value.canonical(),
            "overage_only": self.overage_only,
            "ignore_grants": self.ignore_grants,
            "observe_only": self.observe_only,
            "overhead_cost": self.overhead_cost,
            "follow_decrements": self.follow_decrements,
            "hard_trailing": self.hard_trailing,
            "shared": self.shared,
            "shared_with": self.shared_with,
            "scope": self.scope,
            "resets": self.resets,
            "events": self.events,
        });
        let optional = [
            ("id", json!(self.id)),
            ("credit", json!(self.credit)),
            ("exchangeable", json!(self.exchangeable)),
            ("reset_inc", json!(self.reset_inc)),
            ("reset_sch", json!(self.reset_sch)),
            ("expires_on", json!(self.expires_on)),
        ];
        if let Some(arguments) = arguments.as_object_mut() {
            arguments.extend(optional.into_iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.into(), v)));
        }
        arguments
    }

    fn build(&self, policy: &Compiled, id: impl FnOnce(&str) -> String, now: i64) -> Result<Cap, Error> {
        let credit = self.credit.as_deref().unwrap_or("rune");
        let Some(currency) = policy.exchange.id(credit) else {
            return Err(
                Error::argument("unknown_credit", format!("unknown credit or currency `{credit}`")).at("credit")
            );
        };
        let refused = |why: &str| Error::argument("refused_cap", format!("a cap in `{credit}` {why}")).at("cap");
        let exchangeable = self.exchangeable.unwrap_or_else(|| policy.exchange.exchanges_by_default(currency));
        if exchangeable && policy.exchange.is_stairstep(currency) {
            return Err(refused("cannot convert other credits: a stairstep has no price per unit"));
        }
        if self.resets && self.reset_inc.is_some() && self.reset_sch.is_some() {
            return Err(refused("has both `reset_inc` and `reset_sch`"));
        }
        if self.reset_inc.is_some_and(|every| every <= 0) {
            return Err(refused("resets every 0 ms or less"));
        }
        let unit = policy.balance_unit(credit);
        let value = self.value.in_unit(unit).ok_or_else(|| refused("has a ceiling that is no amount of it"))?;
        let id = self.id.clone().unwrap_or_else(|| id(credit));
        if id.is_empty() {
            return Err(refused("has an empty id"));
        }
        let mut cap = Cap::new(id.into(), credit.into(), value, exchangeable, now);
        cap.overage_only = self.overage_only;
        cap.ignore_grants = self.ignore_grants;
        cap.observe_only = self.observe_only;
        cap.overhead_cost = self.overhead_cost;
        cap.follow_decrements = self.follow_decrements;
        cap.hard_trailing = self.hard_trailing;
        cap.shared = self.shared;
        cap.shared_with = self.shared_with.iter().map(|kind| kind.as_str().into()).collect();
        cap.scope = self.scope.iter().map(|name| name.as_str().into()).collect();
        cap.resets = self.resets;
        cap.reset_inc = self.reset_inc;
        cap.reset_sch = self.reset_sch;
        cap.expires_on = self.expires_on;
        cap.last_reset = calendar_start(&cap, now);
        Ok(cap)
    }
}

/// What is done to a cap that is there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CapChange {
    Reset,
    Remove,
}

impl Limitr {
    /// Grants a topup of the customer's plan once; false for an unknown customer or topup.
    pub fn apply_customer_topup(&self, customer: &str, topup: &str) -> bool {
        let operation = || json!({"apply_customer_topup": {"customer": customer, "topup": topup}});
        self.logged(operation, || self.grant_topup(customer, topup))
    }

    fn grant_topup(&self, customer: &str, topup: &str) -> bool {
        let policy = self.current_policy();
        let now = self.time();
        let heard = self.heard();
        let granted = self.store.enter(customer, |_, people| {
            let plan = plan_of(&policy, people, CALLER)?.clone();
            let topup = plan.topups.get(topup)?;
            let customer = people.get_mut(CALLER)?;
            let grant = grant_of(topup, &self.ids, now);
            customer.grants.insert(grant.id.clone(), grant.clone());
            Some(heard.then(|| granted_event(&policy, customer, grant)))
        });
        let Some(event) = granted.flatten() else { return false };
        self.tell(event.into_iter().collect());
        true
    }

    /// Grants the included topups of the customer's plan that it does not have, and removes grants its plan or type no
    /// longer gives. Returns whether anything changed.
    pub fn ensure_included_topups(&self, customer: &str) -> bool {
        let operation = || json!({"ensure_included_topups": {"customer": customer}});
        self.logged(operation, || self.grant_included(customer))
    }

    fn grant_included(&self, customer: &str) -> bool {
        let policy = self.current_policy();
        let now = self.time();
        let heard = self.heard();
        let changed = self.store.enter(customer, |_, people| {
            let plan = plan_of(&policy, people, CALLER)?.clone();
            let customer = people.get_mut(CALLER)?;
            let before = customer.grants.len();
            let granted = include_topups(&plan, customer, now, &self.ids);
            let changed = !granted.is_empty() || customer.grants.len() != before;
            let granted = if heard { granted } else { Vec::new() };
            Some((changed, granted.into_iter().map(|grant| granted_event(&policy, customer, grant)).collect()))
        });
        let (changed, events) = changed.flatten().unwrap_or_default();
        self.tell(events);
        changed
    }

    /// The customer's balances in `credit` (or any currency): all grants, others converted.
    #[must_use]
    pub fn credit_remaining(&self, customer: &str, credit: &str) -> Option<Amount> {
        let policy = self.current_policy();
        let currency = policy.exchange.id(credit)?;
        let now = self.clock.now();
        let remaining = self.store.enter(customer, |_, people| {
            let plan = plan_of(&policy, people, CALLER);
            Some(remaining_in(&policy, currency, &live(&policy, plan, people.caller()?, now)))
        });
        remaining.flatten().map(Amount::rounded)
    }

    /// What `value` of one credit or currency is worth in another, from position 0; none when it does not convert.
    #[must_use]
    pub fn credit_exchange(&self, from: &str, to: &str, value: Amount) -> Option<Amount> {
        let policy = self.current_policy();
        let exchange = &policy.exchange;
        let converted = exchange.convert(value, exchange.id(from)?, Amount::ZERO, exchange.id(to)?, Amount::ZERO);
        converted.map(Amount::rounded)
    }

    /// Puts a ceiling on a customer. None, and no change, for an unknown customer or credit, a used id, or a cap that
    /// cannot work (exchangeable in a stairstep credit, contradictory resets).
    pub fn add_customer_cap(&self, customer: &str, cap: NewCap<'_>) -> Option<Cap> {
        self.logged(|| json!({"add_customer_cap": cap.arguments(customer)}), || self.put_cap(customer, &cap))
    }

    fn put_cap(&self, customer: &str, cap: &NewCap<'_>) -> Option<Cap> {
        let policy = self.current_policy();
        let now = self.time();
        let heard = self.heard() && cap.events;
        let added = self.store.with(customer, |customer| {
            if cap.id.as_ref().is_some_and(|id| customer.caps.contains(id)) {
                return None;
            }
            let cap = cap.build(&policy, |_| self.ids.id(), now).ok()?;
            customer.caps.insert(cap.id.clone(), cap.clone());
            let event = heard.then(|| cap_event("customer-cap-added", &policy, cap.clone(), customer));
            Some((cap, event))
        });
        let (cap, event) = added.flatten()?;
        self.tell(event.into_iter().collect());
        Some(cap)
    }

    /// A ceiling of a customer, as stored.
    #[must_use]
    pub fn customer_cap(&self, customer: &str, id: &str) -> Option<Cap> {
        self.store.look(customer, |customer| customer.caps.get(id).cloned()).flatten()
    }

    /// Sets a ceiling's count to zero and starts its period anew; false when there is none.
    pub fn reset_customer_cap(&self, customer: &str, id: &str) -> bool {
        self.change_customer_cap(customer, id, CapChange::Reset, true)
    }

    /// Takes a ceiling away; false when there is none.
    pub fn remove_customer_cap(&self, customer: &str, id: &str) -> bool {
        self.change_customer_cap(customer, id, CapChange::Remove, true)
    }

    pub(crate) fn change_customer_cap(&self, customer: &str, id: &str, change: CapChange, events: bool) -> bool {
        let name = match change {
            CapChange::Reset => "reset_customer_cap",
            CapChange::Remove => "remove_customer_cap",
        };
        let operation = || json!({name: {"customer": customer, "id": id}});
        self.logged(operation, || self.change_cap(customer, id, change, events))
    }

    fn change_cap(&self, customer: &str, id: &str, change: CapChange, events: bool) -> bool {
        let policy = self.current_policy();
        let now = self.time();
        let heard = self.heard() && events;
        let changed = self.store.with(customer, |customer| {
            let (name, cap) = match change {
                CapChange::Reset => {
                    let cap = customer.caps.get_mut(id)?;
                    cap.meter_value = Amount::ZERO;
                    cap.started = now;
                    cap.last_reset = calendar_start(cap, now);
                    ("customer-cap-reset", cap.clone())
                }
                CapChange::Remove => ("customer-cap-removed", customer.caps.remove(id)?),
            };
            Some(heard.then(|| cap_event(name, &policy, cap, customer)))
        });
        let Some(event) = changed.flatten() else { return false };
        self.tell(event.into_iter().collect());
        true
    }

    /// The caps a call brings along; their ids are `tmp-<credit>` where they have none.
    pub(super) fn call_caps(&self, caps: &[CallCap<'_>], now: i64) -> Result<Vec<Cap>, Error> {
        if caps.is_empty() {
            return Ok(Vec::new());
        }
        let policy = self.current_policy();
        caps.iter().map(|CallCap(cap)| cap.build(&policy, |credit| format!("tmp-{credit}"), now)).collect()
    }
}

/// Brings a customer's topup grants in line with its plan: removes those the plan or the customer's type no longer gives,
/// grants the included ones that are missing. Returns the new grants.
pub(super) fn include_topups(
    plan: &Arc<CompiledPlan>,
    customer: &mut Customer,
    now: i64,
    ids: &dyn IdSource,
) -> Vec<Grant> {
    let kind = customer.kind.clone();
    let given = |topup: &CompiledTopup| {
        let scopes = &topup.definition.included_scopes;
        scopes.is_empty() || scopes.iter().any(|scope| **scope == *kind)
    };
    customer.grants.retain(|_, grant| match &grant.topup {
        Some(name) => plan.topups.get(name).is_some_and(|topup| !topup.definition.included || given(topup)),
        None => true,
    });
    let mut granted = Vec::new();
    // In document order, so that ids come out the same everywhere.
    for name in plan.definition.topups.keys() {
        let Some(topup) = plan.topups.get(name.as_str()).filter(|topup| topup.definition.included) else {
            continue;
        };
        let has = customer.grants.values().any(|grant| grant.topup.as_ref() == Some(&topup.name));
        if given(topup) && !has {
            let grant = grant_of(topup, ids, now);
            customer.grants.insert(grant.id.clone(), grant.clone());
            granted.push(grant);
        }
    }
    granted
}

fn grant_of(topup: &CompiledTopup, ids: &dyn IdSource, now: i64) -> Grant {
    Grant {
        id: ids.id().into(),
        credit: topup.credit.clone(),
        topup: Some(topup.name.clone()),
        created_on: now,
        granted_on: now,
        starting_value: topup.value,
        value: topup.value,
        expires_on: topup.definition.expires_after.map(|life| now.saturating_add(life)),
        priority: topup.definition.priority,
        reset: topup.definition.reset.clone(),
        last_reset: None,
    }
}

/// A scheduled cap's `last_reset` is the start of its calendar period.
fn calendar_start(cap: &Cap, now: i64) -> Option<i64> {
    cap.reset_sch.filter(|_| cap.resets).and_then(|schedule| schedule.period_start(now))
}

fn granted_event(policy: &Compiled, customer: &Customer, grant: Grant) -> Event {
    let topup: Name = grant.topup.clone().unwrap_or_default();
    let payload = TopupGrantedEvent { customer: record(policy, customer), topup, grant };
    Event::new("customer-topup-granted", Payload::TopupGranted(Box::new(payload)))
}

fn cap_event(name: &str, policy: &Compiled, cap: Cap, customer: &Customer) -> Event {
    let payload = CapEvent { cap: cap.in_event(), customer: record(policy, customer), caller: None, entitlement: None };
    Event::new(name, Payload::Cap(Box::new(payload)))
}
