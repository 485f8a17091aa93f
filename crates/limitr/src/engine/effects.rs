//! What calls did, as values: engines tell each other, ledgers keep it, and replaying it gives the same state.

use serde::Serialize;
use serde_json::Value;

use super::Limitr;
use crate::decide::{Decided, LimitInForce, Live, Request, Site, available, keep, limit_in_force, live, note, plan_of};
use crate::fields::Fields;
use crate::policy::{Compiled, CompiledLimit, Period};
use crate::state::{BucketState, CALLER, Customer, Locked, Meter, Name};
use crate::{Amount, Denial, Error};

/// What one call did. Of a denied one that is at most that periods ended.
///
/// Adding it to a copy of the customer that has not seen the call gives what the call left, whatever other calls were added
/// in between: effects are sums, not states. Serialises to JSON without losing a digit, leaving out what is nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effect {
    /// When, ms.
    pub at: i64,
    /// Who called.
    pub caller: Name,
    /// Whose meter counted it.
    pub customer: Name,
    /// The caller's plan.
    pub plan: Name,
    /// The entitlement.
    pub entitlement: Name,
    /// The credit metered.
    pub credit: Name,
    /// Start of the meter's period, ms; none where the meter was left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<i64>,
    /// Units added to the meter; negative when some were given back.
    #[serde(skip_serializing_if = "is_zero")]
    pub units: Amount,
    /// What it cost the provider, runes.
    #[serde(skip_serializing_if = "is_zero")]
    pub overhead: Amount,
    /// List price of the units past the limit, runes; none without a price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Amount>,
    /// Units past the limit that grants covered.
    #[serde(skip_serializing_if = "is_zero")]
    pub covered: Amount,
    /// Units past the limit that they did not.
    #[serde(skip_serializing_if = "is_zero")]
    pub overage: Amount,
    /// List price of those, runes; none without a price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charge: Option<Amount>,
    /// Whether it took its units from the limit's token bucket.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub governed: bool,
    /// Whether the grants of the meter's owner were gone through: brought to the day, and cleared of what has ended.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub swept: bool,
    /// What was drawn from them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<GrantDraw>,
    /// What caps counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<CapCount>,
    /// The call's event data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// What a call drew from a grant, in the grant's credit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GrantDraw {
    /// The grant's id.
    pub grant: Name,
    /// The topup it came from: two engines that gave it at the same time gave it under two ids, and one of them counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topup: Option<Name>,
    /// How much.
    pub amount: Amount,
}

/// What a cap counted of a call, in the cap's credit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CapCount {
    /// Its holder.
    pub customer: Name,
    /// Its id.
    pub cap: Name,
    /// Start of the cap's period, ms.
    pub period: i64,
    /// How much.
    pub amount: Amount,
}

impl Limitr {
    /// Adds a call that happened on another engine, or earlier. False when its customer is not here: nothing is changed.
    /// What belongs to a period that is over is not added to the one that runs. Nothing is denied, told or recorded.
    pub(super) fn apply_effect(&self, effect: &Effect) -> bool {
        let applied = self.store.enter(&effect.customer, |policy, people| effect.add_to_owner(policy, people));
        for count in &effect.caps {
            self.store.with(&count.customer, |holder| count.apply(holder));
        }
        applied.is_some()
    }
}

impl Effect {
    /// What a call did, once it is applied; none when it left no mark. All that a denied one leaves is that periods ended.
    pub(super) fn of(decided: &Decided<'_>, people: &Locked<'_, '_>, request: &Request<'_>) -> Option<Self> {
        let (Some(site), Some(metered)) = (&decided.site, &decided.metered) else { return None };
        let allowed = decided.denied.is_none();
        // A governed attempt is remembered, and with the first of them a meter begins.
        let begun = || {
            let meter = people.get(site.owner).and_then(|owner| owner.meters.get_name(&site.entitlement.name));
            decided.denied == Some(Denial::Governor) && meter.is_some_and(|meter| meter.history.entries().len() == 1)
        };
        let touched = (allowed && metered.moved()) || metered.roll.is_some() || begun();
        if !touched && metered.caps.is_empty() {
            return None;
        }
        let taken = |amount: Amount| if allowed { amount } else { Amount::ZERO };
        let limit = &metered.limit;
        let (covered, overage) = (taken(metered.covered()), taken(metered.uncovered()));
        let charge = if overage.is_zero() {
            None
        } else {
            let billable = metered.before.saturating_sub(limit.value).or_zero();
            limit.credit.list_price(overage, billable.saturating_add(covered)).flatten()
        };
        let drawn = metered.drawn.iter().flat_map(|drawn| &drawn.purse).filter(|live| !live.drawn().is_zero());
        let counted = metered.caps.iter().filter_map(|movement| {
            let holder = people.get(movement.holder.position?)?;
            let cap = holder.caps.get(&movement.holder.id)?;
            let period = cap.last_reset.unwrap_or(cap.started);
            Some(CapCount { customer: holder.id.clone(), cap: cap.id.clone(), period, amount: movement.consumed })
        });
        Some(Self {
            at: decided.now,
            caller: people.caller()?.id.clone(),
            customer: people.get(site.owner)?.id.clone(),
            plan: site.plan.name.clone(),
            entitlement: site.entitlement.name.clone(),
            credit: limit.credit.name.clone(),
            period: touched.then_some(metered.started),
            units: taken(metered.delta),
            overhead: taken(metered.overhead),
            price: metered.price_diff.filter(|_| allowed),
            covered,
            overage,
            charge,
            governed: allowed && metered.tokens.is_some() && !metered.delta.is_zero(),
            swept: allowed && metered.drawn.is_some(),
            grants: drawn.map(GrantDraw::of).collect(),
            caps: counted.collect(),
            data: request.data.cloned(),
        })
    }

    /// Reads an effect as it is serialised.
    ///
    /// # Errors
    /// `invalid_effect`, naming the field.
    pub(super) fn from_json(effect: &Value) -> Result<Self, Error> {
        let code = "invalid_effect";
        let mut fields = Fields::new(effect, "effect".to_owned(), code)?;
        let effect = Self {
            at: fields.required("at").whole().unwrap_or_default(),
            caller: fields.text("caller").into(),
            customer: fields.text("customer").into(),
            plan: fields.text("plan").into(),
            entitlement: fields.text("entitlement").into(),
            credit: fields.text("credit").into(),
            period: fields.optional("period").whole(),
            units: fields.given("units").amount().unwrap_or_default(),
            overhead: fields.given("overhead").amount().unwrap_or_default(),
            price: fields.optional("price").amount(),
            covered: fields.given("covered").amount().unwrap_or_default(),
            overage: fields.given("overage").amount().unwrap_or_default(),
            charge: fields.optional("charge").amount(),
            governed: fields.flag("governed", false),
            swept: fields.flag("swept", false),
            grants: fields.given("grants").list(|draw| draw.record(GrantDraw::read)).unwrap_or_default(),
            caps: fields.given("caps").list(|count| count.record(CapCount::read)).unwrap_or_default(),
            data: fields.optional("data").json().cloned(),
        };
        fields.finish().map(|()| effect)
    }

    /// Whether anything was used, or given back: what a ledger keeps.
    #[must_use]
    pub fn is_use(&self) -> bool {
        let amounts = [self.units, self.overhead, self.covered, self.overage];
        amounts.iter().any(|amount| !amount.is_zero()) || !self.grants.is_empty() || !self.caps.is_empty()
    }

    /// Whether it changed this customer.
    #[must_use]
    pub fn touches(&self, customer: &str) -> bool {
        *self.customer == *customer || self.caps.iter().any(|count| *count.customer == *customer)
    }

    /// Adds what belongs to the caller of `people`, and to nobody else.
    pub(super) fn add_to(&self, policy: &Compiled, people: &mut Locked<'_, '_>) {
        let Some(id) = people.caller().map(|customer| customer.id.clone()) else { return };
        if self.customer == id {
            self.add_to_owner(policy, people);
        }
        for count in self.caps.iter().filter(|count| count.customer == id) {
            people.get_mut(CALLER).into_iter().for_each(|holder| count.apply(holder));
        }
    }

    /// Adds what belongs to the meter's owner, who is the caller of `people`.
    fn add_to_owner(&self, policy: &Compiled, people: &mut Locked<'_, '_>) {
        let purse = self.swept.then(|| self.purse(policy, people));
        let limit = self.limit(policy, people);
        if let Some(owner) = people.get_mut(CALLER) {
            self.count(owner, limit.as_deref());
            if let Some(purse) = purse {
                keep(owner, &purse);
            }
        }
    }

    fn limit<'p>(&self, policy: &'p Compiled, people: &Locked<'_, '_>) -> Option<LimitInForce<'p>> {
        let plan = policy.plan(&self.plan)?;
        let entitlement = plan.entitlements.get(&self.entitlement)?;
        limit_in_force(policy, people, &Site { plan, entitlement, owner: CALLER }, self.at)
    }

    /// The owner's grants as they stood at the time of the call, and what it drew taken off.
    fn purse(&self, policy: &Compiled, people: &Locked<'_, '_>) -> Vec<Live> {
        let plan = plan_of(policy, people, CALLER);
        let mut purse = people.caller().map(|owner| live(policy, plan, owner, self.at)).unwrap_or_default();
        for draw in &self.grants {
            let known = purse.iter().position(|live| *live.id() == draw.grant);
            let alike = || purse.iter().position(|live| draw.topup.is_some() && live.topup() == draw.topup.as_ref());
            let found = known.or_else(alike);
            found.and_then(|at| purse.get_mut(at)).into_iter().for_each(|live| live.spend(draw.amount));
        }
        purse
    }

    fn count(&self, owner: &mut Customer, limit: Option<&CompiledLimit>) {
        let Some(period) = self.period else { return };
        let fresh = || Meter::new(self.credit.clone(), period);
        let Some(meter) = owner.meters.get_or_insert_with(&self.entitlement, fresh) else { return };
        match belongs(limit.and_then(|limit| limit.period), meter.started, period) {
            Belongs::Before => return,
            Belongs::After => meter.restart(period),
            Belongs::Here => {}
        }
        meter.value = meter.value.saturating_add(self.units);
        meter.overhead = Some(meter.overhead.unwrap_or_default().saturating_add(self.overhead));
        if let Some(limit) = limit.filter(|_| !self.units.is_zero()) {
            note(meter, self.units, limit.ewma_alpha, self.at);
            if let Some(bucket) = limit.governor.filter(|_| self.governed) {
                let tokens = available(Some(meter), bucket, self.at).saturating_sub(self.units);
                let last = meter.bucket().map_or(self.at, |state| state.last_refill.max(self.at));
                meter.set_bucket(BucketState { tokens, last_refill: last });
            }
        }
    }
}

impl GrantDraw {
    fn of(live: &Live) -> Self {
        Self { grant: live.id().clone(), topup: live.topup().cloned(), amount: live.drawn() }
    }

    fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let draw = Self {
            grant: fields.text("grant").into(),
            topup: fields.optional("topup").name(),
            amount: fields.required("amount").amount().unwrap_or_default(),
        };
        fields.finish().map(|()| draw)
    }
}

impl CapCount {
    fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let count = Self {
            customer: fields.text("customer").into(),
            cap: fields.text("cap").into(),
            period: fields.required("period").whole().unwrap_or_default(),
            amount: fields.required("amount").amount().unwrap_or_default(),
        };
        fields.finish().map(|()| count)
    }

    fn apply(&self, holder: &mut Customer) {
        let Some(cap) = holder.caps.get_mut(&self.cap) else { return };
        match belongs(cap.period(), cap.last_reset.unwrap_or(cap.started), self.period) {
            Belongs::Before => return,
            Belongs::After => cap.restart(self.period),
            Belongs::Here => {}
        }
        cap.meter_value = cap.meter_value.saturating_add(self.amount);
    }
}

/// Where what was counted in one period stands to what is counted in another.
enum Belongs {
    Before,
    Here,
    After,
}

/// Compares by boundaries, not by starts: two engines may have begun to count in one period at different times.
fn belongs(period: Option<Period>, running: i64, counted: i64) -> Belongs {
    match period {
        Some(period) if period.rolled(running, counted).is_some() => Belongs::After,
        Some(period) if period.rolled(counted, running).is_some() => Belongs::Before,
        _ => Belongs::Here,
    }
}

fn is_zero(amount: &Amount) -> bool {
    amount.is_zero()
}
