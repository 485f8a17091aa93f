//! Reads: they never meter, and show the current period even before the next call.

use std::sync::Arc;

use super::Limitr;
use crate::Amount;
use crate::decide::{LimitInForce, Site, available, bought, held, limit_in_force, live, owner_of, plan_of, sorted};
use crate::policy::{Compiled, CompiledEntitlement, CompiledPlan, Credit, Entitlement, Limit, Mode, Plan};
use crate::state::{CALLER, Locked, Meter};

/// A metered entitlement of a customer as it stands now.
struct Reading<'a, 'x, 'y, 'p> {
    policy: &'p Compiled,
    people: &'a Locked<'x, 'y>,
    site: Site<'p>,
    limit: LimitInForce<'p>,
    /// Absent when there is none, or a new period has begun since it was last written.
    meter: Option<&'a Meter>,
    /// Start of the current period.
    started: i64,
    now: i64,
}

impl Reading<'_, '_, '_, '_> {
    fn value(&self) -> Amount {
        self.meter.map_or(Amount::ZERO, |meter| meter.value)
    }

    /// Units that grants buy from here; none where they do not count.
    fn bought(&self, grants: bool) -> Amount {
        let owner = self.people.get(self.site.owner).filter(|owner| !owner.grants.is_empty());
        let Some(owner) = owner.filter(|_| grants && self.limit.grants_apply) else { return Amount::ZERO };
        let plan = plan_of(self.policy, self.people, self.site.owner);
        let purse = sorted(self.policy, &self.limit.credit, live(self.policy, plan, owner, self.now));
        let billable = self.value().saturating_sub(self.limit.value).or_zero();
        bought(self.policy, &self.limit.credit, billable, &purse)
    }

    fn remaining(&self, grants: bool) -> Option<Amount> {
        self.whole(grants).map(|whole| whole.saturating_sub(self.value()))
    }

    /// All there is to use, of the limit and of grants; none for observed limits.
    fn whole(&self, grants: bool) -> Option<Amount> {
        if self.limit.mode == Mode::Observe {
            return None;
        }
        let bought = self.bought(grants);
        let limit = self.limit.value;
        Some(if bought.is_positive() { self.value().max(limit).saturating_add(bought) } else { limit })
    }

    fn remaining_percent(&self, grants: bool) -> Option<Amount> {
        let whole = self.whole(grants)?;
        let left = whole.saturating_sub(self.value()).or_zero();
        if !whole.is_positive() {
            return Some(Amount::ZERO);
        }
        Some(left.checked_div(whole)?.saturating_mul(100.into()))
    }
}

/// Units per ms below which usage counts as standing still: what is left of a rate that cancels out is no forecast.
const STANDSTILL: f64 = 1e-12;

impl Limitr {
    /// How much has been used in the current period, in the credit's unit. None for feature flags and unknown names.
    #[must_use]
    pub fn value(&self, customer: &str, entitlement: &str) -> Option<Amount> {
        self.read(customer, entitlement, |reading| Some(reading.value())).map(Amount::rounded)
    }

    /// How much has been used, in percent of the limit (with `grants`, of what grants buy on top of it). None for observed
    /// limits.
    #[must_use]
    pub fn value_percent(&self, customer: &str, entitlement: &str, grants: bool) -> Option<Amount> {
        let remaining = self.read(customer, entitlement, |reading| reading.remaining_percent(grants))?;
        Some(Amount::from(100).saturating_sub(remaining).rounded())
    }

    /// How much is left, counting what grants buy. Negative past a soft limit, none for observed limits.
    #[must_use]
    pub fn remaining(&self, customer: &str, entitlement: &str) -> Option<Amount> {
        self.read(customer, entitlement, |reading| reading.remaining(true)).map(Amount::rounded)
    }

    /// How much is left of the limit alone.
    #[must_use]
    pub fn remaining_without_grants(&self, customer: &str, entitlement: &str) -> Option<Amount> {
        self.read(customer, entitlement, |reading| reading.remaining(false)).map(Amount::rounded)
    }

    /// How much is left, in percent of the limit (with `grants`, of what grants buy on top of it).
    #[must_use]
    pub fn remaining_percent(&self, customer: &str, entitlement: &str, grants: bool) -> Option<Amount> {
        self.read(customer, entitlement, |reading| reading.remaining_percent(grants)).map(Amount::rounded)
    }

    /// The limit plus (with `grants`) what grants buy. `id` may be a customer or a plan.
    #[must_use]
    pub fn limit(&self, id: &str, entitlement: &str, grants: bool) -> Option<Amount> {
        let limit =
            self.read(id, entitlement, |reading| Some(reading.limit.value.saturating_add(reading.bought(grants))));
        limit.or_else(|| self.declared(id, entitlement, |limit| limit.value)).map(Amount::rounded)
    }

    /// What a call can use at once: what is left, or less when the governor's bucket holds less.
    #[must_use]
    pub fn allowance(&self, customer: &str, entitlement: &str) -> Option<Amount> {
        let allowance = self.read(customer, entitlement, |reading| {
            let remaining = reading.remaining(true)?;
            match reading.limit.governor {
                Some(bucket) => Some(remaining.min(available(reading.meter, bucket, reading.now))),
                None => Some(remaining),
            }
        });
        allowance.map(Amount::rounded)
    }

    /// The limit's increment. `id` may be a customer or a plan.
    #[must_use]
    pub fn cost(&self, id: &str, entitlement: &str) -> Option<Amount> {
        let cost = self.read(id, entitlement, |reading| Some(reading.limit.increment));
        cost.or_else(|| self.declared(id, entitlement, |limit| limit.increment)).map(Amount::rounded)
    }

    /// When the current period ends, ms since 1970; none for a limit that does not reset.
    #[must_use]
    pub fn resets(&self, customer: &str, entitlement: &str) -> Option<i64> {
        self.read(customer, entitlement, |reading| reading.limit.period?.ends(reading.started, reading.now))
    }

    /// Units per ms between the last two calls; 0 with fewer.
    #[must_use]
    pub fn rate(&self, customer: &str, entitlement: &str) -> Option<f64> {
        self.read(customer, entitlement, |reading| Some(reading.meter.map_or(0.0, |meter| meter.history.rate())))
    }

    /// The last rate minus the one before; 0 with fewer than three calls.
    #[must_use]
    pub fn acceleration(&self, customer: &str, entitlement: &str) -> Option<f64> {
        self.read(customer, entitlement, |reading| {
            Some(reading.meter.map_or(0.0, |meter| meter.history.acceleration()))
        })
    }

    /// In how many ms nothing is left at the current (or the smoothed) rate; none when that is below 1e-12 units per ms (a
    /// unit in 30 years) or nothing ends.
    #[must_use]
    pub fn projected_exhaustion(&self, customer: &str, entitlement: &str, smoothed: bool) -> Option<f64> {
        self.read(customer, entitlement, |reading| {
            let meter = reading.meter?;
            let rate = if smoothed { meter.ewma_rate } else { meter.history.rate() };
            let remaining = reading.remaining(true)?;
            (rate >= STANDSTILL && remaining < Amount::UNBOUNDED).then(|| remaining.or_zero().to_f64() / rate)
        })
    }

    /// Room held by unsettled reservations.
    #[must_use]
    pub fn held(&self, customer: &str, entitlement: &str) -> Option<Amount> {
        self.at(customer, entitlement, |policy, people, site, now| {
            limit_in_force(policy, people, &site, now)?;
            let meter = people.get(site.owner)?.meters.get(entitlement);
            held(meter, now).map(|held| held.value)
        })
        .map(Amount::rounded)
    }

    /// The stored meter, as it is.
    #[must_use]
    pub fn meter(&self, customer: &str, entitlement: &str) -> Option<Meter> {
        self.at(customer, entitlement, |policy, people, site, _| {
            let meter = people.get(site.owner)?.meters.get(entitlement)?;
            let rate = policy.credit(&meter.credit).map_or(Amount::ZERO, |credit| credit.overhead_cost);
            let overhead = meter.overhead.unwrap_or_else(|| meter.value.saturating_mul(rate));
            Some(Meter { overhead: Some(overhead), ..meter.clone() })
        })
    }

    /// The limit in force for a customer, or a plan's.
    #[must_use]
    pub fn limit_definition(&self, id: &str, entitlement: &str) -> Option<Limit> {
        let own = self.at(id, entitlement, |_, people, site, now| {
            let own = people.get(site.owner)?.live_override(entitlement, now).cloned();
            own.or_else(|| site.plan.definition.entitlements.get(entitlement)?.limit.clone())
        });
        own.or_else(|| self.plan(id)?.entitlements.get(entitlement)?.limit.clone())
    }

    /// The definition of an entitlement of a customer's plan, or of a plan.
    #[must_use]
    pub fn entitlement(&self, id: &str, entitlement: &str) -> Option<Entitlement> {
        let plan = self.plan_for(id).map(|(_, plan)| plan).or_else(|| self.plan(id))?;
        plan.entitlements.get(entitlement).cloned()
    }

    /// A credit's definition.
    #[must_use]
    pub fn credit(&self, name: &str) -> Option<Arc<Credit>> {
        self.current_policy().credit(name).map(|credit| credit.definition.clone())
    }

    /// The credit that an entitlement is metered in, for a customer or a plan.
    #[must_use]
    pub fn credit_for(&self, id: &str, entitlement: &str) -> Option<Arc<Credit>> {
        self.credit(&self.limit_definition(id, entitlement)?.credit)
    }

    /// A plan's definition.
    #[must_use]
    pub fn plan(&self, name: &str) -> Option<Plan> {
        self.current_policy().plan(name).map(|plan| plan.definition.clone())
    }

    /// The plan that applies to a customer, its own, inherited or default, with its name.
    #[must_use]
    pub fn plan_for(&self, customer: &str) -> Option<(String, Plan)> {
        let policy = self.current_policy();
        let plan = self.store.enter(customer, |_, people| plan_of(&policy, people, CALLER).cloned());
        plan.flatten().map(|plan| (plan.name.to_string(), plan.definition.clone()))
    }

    /// The default plan, with its name.
    #[must_use]
    pub fn default_plan(&self) -> Option<(String, Plan)> {
        let policy = self.current_policy();
        policy.default_plan().map(|plan| (plan.name.to_string(), plan.definition.clone()))
    }

    fn read<R>(
        &self,
        customer: &str,
        entitlement: &str,
        read: impl FnOnce(&Reading<'_, '_, '_, '_>) -> Option<R>,
    ) -> Option<R> {
        self.at(customer, entitlement, |policy, people, site, now| {
            let limit = limit_in_force(policy, people, &site, now)?;
            let stored = people.get(site.owner).and_then(|owner| owner.meters.get(entitlement));
            let rolled = stored.and_then(|meter| limit.period?.rolled(meter.started, now));
            let started = rolled.or(stored.map(|meter| meter.started)).unwrap_or(now);
            let meter = stored.filter(|_| rolled.is_none());
            read(&Reading { policy, people, site, limit, meter, started, now })
        })
    }

    /// Runs `work` where an entitlement of a customer leads.
    pub(super) fn at<R>(
        &self,
        customer: &str,
        entitlement: &str,
        work: impl for<'p> FnOnce(&'p Compiled, &Locked<'_, '_>, Site<'p>, i64) -> Option<R>,
    ) -> Option<R> {
        let policy = self.current_policy();
        let now = self.clock.now();
        let found = self.store.enter(customer, |_, people| {
            let plan = plan_of(&policy, people, CALLER)?;
            let entitlement = plan.entitlements.get(entitlement)?;
            let owner = owner_of(people, entitlement)?;
            work(&policy, people, Site { plan, entitlement, owner }, now)
        });
        found.flatten()
    }

    fn declared(
        &self,
        plan: &str,
        entitlement: &str,
        read: impl FnOnce(&crate::policy::CompiledLimit) -> Amount,
    ) -> Option<Amount> {
        let policy = self.current_policy();
        let plan: &CompiledPlan = policy.plan(plan)?;
        let entitlement: &CompiledEntitlement = plan.entitlements.get(entitlement)?;
        entitlement.limit.as_ref().map(read)
    }
}
