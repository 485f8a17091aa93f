//! Reservations hold room for calls whose size is not known yet; what they settle at is learned.

use serde::Serialize;
use serde_json::Value;

use super::Limitr;
use super::enforce::{Call, Enforced};
use crate::decide::{Decided, Request, Silent, Site, Wish, cost, decide, limit_in_force, owner_of, plan_of};
use crate::logic::Person;
use crate::policy::{Compiled, CompiledEntitlement, Unit};
use crate::state::{ALL, CALLER, Hold, Locked, Meter, Sample, learn, quantile_z};
use crate::{Amount, Error, IdSource as _, Quantity};

/// Default of [`EstimateQuery::quantile`] and [`Reserve::quantile`].
const QUANTILE: f64 = 0.9;

/// From here on the square of what is learned per unit of basis leaves the range of a double.
const LARGEST_RATE: f64 = 1e150;

/// Where a sample belongs: explicit, or read from data under the names the entitlement declares.
#[derive(Debug, Clone, Default)]
pub(crate) struct Basis<'a> {
    pub(crate) basis: Option<f64>,
    pub(crate) segment: Option<&'a str>,
    pub(crate) context: Option<&'a Value>,
}

/// Room to hold for a call to come.
#[derive(Debug, Clone)]
#[must_use]
pub struct Reserve<'a> {
    customer: &'a str,
    entitlement: &'a str,
    value: Option<Quantity<'a>>,
    overhead: Option<Quantity<'a>>,
    ttl: Option<i64>,
    quantile: f64,
    basis: Basis<'a>,
}

/// A reserved call that has happened.
#[derive(Debug, Clone)]
#[must_use]
pub struct Settle<'a> {
    call: Call<'a>,
    hold: Option<&'a str>,
}

/// A call to learn from.
#[derive(Debug, Clone)]
#[must_use]
pub struct Observation<'a> {
    customer: &'a str,
    entitlement: &'a str,
    value: Quantity<'a>,
    overhead: Option<Quantity<'a>>,
    basis: Basis<'a>,
}

/// A question about a call to come.
#[derive(Debug, Clone)]
#[must_use]
pub struct EstimateQuery<'a> {
    customer: &'a str,
    entitlement: &'a str,
    quantile: f64,
    basis: Basis<'a>,
}

/// What a call is expected to use.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// Units.
    pub value: Amount,
    /// Runes of cost.
    pub overhead: Amount,
    /// Calls learned from.
    pub samples: u64,
    /// `local` when learned here, else what the policy says.
    pub source: String,
    /// `customer` or `policy`: whose calls it was learned from.
    pub scope: &'static str,
}

macro_rules! basis_setters {
    () => {
        pub(crate) fn under(mut self, basis: Basis<'a>) -> Self {
            self.basis = basis;
            self
        }

        /// Data of the call, in which the declared basis and segment fields are looked up.
        pub fn context(mut self, context: &'a Value) -> Self {
            self.basis.context = Some(context);
            self
        }

        /// What usage is per unit of, instead of the declared field.
        pub fn basis(mut self, basis: f64) -> Self {
            self.basis.basis = Some(basis);
            self
        }

        /// What it is learned under, instead of the declared field.
        pub fn segment(mut self, segment: &'a str) -> Self {
            self.basis.segment = Some(segment);
            self
        }
    };
}

impl<'a> Reserve<'a> {
    /// Room for a call by `customer` on `entitlement`: the predicted amount, else the limit's increment.
    pub fn new(customer: &'a str, entitlement: &'a str) -> Self {
        Self {
            customer,
            entitlement,
            value: None,
            overhead: None,
            ttl: None,
            quantile: QUANTILE,
            basis: Basis::default(),
        }
    }

    /// How much to hold.
    pub fn value(mut self, value: impl Into<Quantity<'a>>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// Runes of cost to hold against caps on cost, instead of the credit's rate.
    pub fn overhead(mut self, runes: impl Into<Quantity<'a>>) -> Self {
        self.overhead = Some(runes.into());
        self
    }

    /// How long, in ms, instead of the policy's `hold_ttl`.
    pub fn ttl(mut self, ms: i64) -> Self {
        self.ttl = Some(ms);
        self
    }

    /// Which quantile of past calls to predict, 0 to 1.
    pub fn quantile(mut self, quantile: f64) -> Self {
        self.quantile = quantile;
        self
    }

    basis_setters!();
}

impl<'a> Settle<'a> {
    /// What `hold` turned out to be; without one, or with a lapsed one, the usage is recorded all the same. The call is
    /// recorded with [`Call::force`].
    pub fn new(call: Call<'a>, hold: Option<&'a str>) -> Self {
        Self { call: call.force(), hold }
    }
}

impl<'a> Observation<'a> {
    /// A call by `customer` on `entitlement` that used `value`.
    pub fn new(customer: &'a str, entitlement: &'a str, value: impl Into<Quantity<'a>>) -> Self {
        Self { customer, entitlement, value: value.into(), overhead: None, basis: Basis::default() }
    }

    /// What it cost, in runes, instead of the credit's rate.
    pub fn overhead(mut self, runes: impl Into<Quantity<'a>>) -> Self {
        self.overhead = Some(runes.into());
        self
    }

    basis_setters!();
}

impl<'a> EstimateQuery<'a> {
    /// A call by `customer` on `entitlement`.
    pub fn new(customer: &'a str, entitlement: &'a str) -> Self {
        Self { customer, entitlement, quantile: QUANTILE, basis: Basis::default() }
    }

    /// Which quantile of past calls, 0 to 1.
    pub fn quantile(mut self, quantile: f64) -> Self {
        self.quantile = quantile;
        self
    }

    basis_setters!();
}

impl Limitr {
    /// Holds room for a call: the id of the hold, or none when the call would be denied or is for nothing.
    ///
    /// ```
    /// # use limitr::{Call, Limitr, NewCustomer, Reserve, Settle};
    /// # let limitr = Limitr::from_yaml("policy: {credits: {token: {}}, plans: {free: {default: true, entitlements: {chat: {limit: {credit: token, value: 1000}}}}}}")?;
    /// # limitr.create_customer(NewCustomer::new("c1"))?;
    /// let hold = limitr.reserve(Reserve::new("c1", "chat").value(800)).expect("there is room");
    /// assert!(!limitr.check("c1", "chat", 300).allowed);
    /// limitr.settle(Settle::new(Call::new("c1", "chat").value(650), Some(&hold)))?;
    /// assert_eq!(limitr.remaining("c1", "chat"), Some(350.into()));
    /// # Ok::<(), limitr::Error>(())
    /// ```
    pub fn reserve(&self, reserve: Reserve<'_>) -> Option<String> {
        let policy = self.current_policy();
        let now = self.clock.now();
        let overhead = match &reserve.overhead {
            Some(overhead) => Some(overhead.in_unit(Unit::FLOAT)?),
            None => None,
        };
        let wish = match reserve.value {
            Some(value) => Wish::Units(value),
            None => {
                match self.predict(&policy, reserve.customer, reserve.entitlement, reserve.quantile, &reserve.basis) {
                    Some(prediction) => Wish::Units(prediction.value.into()),
                    None => Wish::Increment,
                }
            }
        };
        let (entitlement, data) = (reserve.entitlement, reserve.basis.context);
        let request = Request { entitlement, wish: &wish, overhead, data, caps: &[], force: false };
        let ttl = reserve.ttl.unwrap_or(policy.source.hold_ttl);
        if ttl <= 0 {
            return None;
        }
        let expires_on = now.saturating_add(ttl);
        self.store
            .enter(reserve.customer, |_, people| {
                let mut decided = Decided::nothing();
                decide(&mut decided, &policy, people, &request, || now, &mut Silent);
                let (None, Some(site), Some(metered)) = (decided.denied, &decided.site, &decided.metered) else {
                    return None;
                };
                if !metered.delta.is_positive() {
                    return None;
                }
                let (basis, segment) = reserve.basis.resolve(site.entitlement);
                let hold = Hold {
                    value: metered.delta,
                    overhead: metered.overhead,
                    expires_on,
                    basis,
                    segment: (segment != ALL).then(|| segment.to_owned()),
                };
                let credit = metered.limit.credit.name.clone();
                let owner = people.get_mut(site.owner)?;
                let meter = owner.meters.get_or_insert_with(&site.entitlement.name, || Meter::new(credit, now))?;
                let id = self.ids.id();
                let holds = meter.holds_mut();
                // Lapsed holds go as new ones come, or abandoned ones would pile up.
                holds.retain(|_, hold| now < hold.expires_on);
                holds.insert(id.as_str().into(), hold);
                Some(id)
            })
            .flatten()
    }

    /// Drops a hold, records what happened and learns from it. An unknown hold records all the same.
    ///
    /// # Errors
    /// As [`Limitr::allow_with`].
    pub fn settle(&self, settle: Settle<'_>) -> Result<crate::Decision, Error> {
        let Settle { call, hold } = settle;
        let now = self.clock.now();
        let Enforced { decision, dropped, again } = self.enforce(&call, hold)?;
        // A lapsed hold may or may not have been swept: it counts as unknown either way.
        let dropped = dropped.filter(|hold| now < hold.expires_on);
        if decision.allowed && !again {
            let basis = Basis { basis: None, segment: None, context: call.data.as_ref() };
            if let Wish::Units(value) = call.wish {
                self.learn(call.customer, call.entitlement, &value, call.overhead.as_ref(), &basis, dropped.as_ref());
            }
        }
        Ok(decision)
    }

    /// Drops a hold; true only for a live one.
    pub fn release(&self, customer: &str, entitlement: &str, hold: &str) -> bool {
        let now = self.clock.now();
        self.drop_hold(customer, entitlement, hold).is_some_and(|hold| now < hold.expires_on)
    }

    /// What a call is expected to use, from the customer's own calls once there are enough, else from everybody's; none
    /// before the first, or when the declared basis is missing. A customer that does not exist is taken to be on the
    /// default plan.
    pub fn estimate(&self, query: EstimateQuery<'_>) -> Option<Prediction> {
        let policy = self.current_policy();
        self.predict(&policy, query.customer, query.entitlement, query.quantile, &query.basis)
    }

    /// Learns from a call that was not reserved; false when nothing was learned: the names are unknown, the value cannot
    /// be used, or the declared basis is missing.
    pub fn observe(&self, observation: Observation<'_>) -> bool {
        let Observation { customer, entitlement, value, overhead, basis } = observation;
        self.learn(customer, entitlement, &value, overhead.as_ref(), &basis, None)
    }

    pub(super) fn drop_hold(&self, customer: &str, entitlement: &str, hold: &str) -> Option<Hold> {
        self.store.enter(customer, |policy, people| take_hold(policy, people, entitlement, hold)).flatten()
    }

    fn predict(
        &self,
        policy: &Compiled,
        customer: &str,
        entitlement: &str,
        quantile: f64,
        basis: &Basis<'_>,
    ) -> Option<Prediction> {
        let found = self.store.enter(customer, |_, people| {
            let plan = plan_of(policy, people, CALLER)?;
            let declared = plan.entitlements.get(entitlement)?;
            let owner = owner_of(people, declared)?;
            let (_, segment) = basis.resolve(declared);
            let own = people.get(owner)?.meters.get(entitlement).and_then(Meter::estimates);
            Some((declared, own.and_then(|estimates| estimates.get(segment)).cloned()))
        });
        let (declared, own) = match found {
            Some(found) => found?,
            None => (policy.default_plan()?.entitlements.get(entitlement)?, None),
        };
        let (per, segment) = basis.resolve(declared);
        let per = if declared.estimate_basis.is_some() { per? } else { 1.0 };
        let fits = |estimate: &crate::policy::Estimate| {
            estimate.samples > 0 && estimate.fits(declared.estimate_basis.as_deref())
        };
        let own = own.filter(|own| own.samples >= policy.source.estimate_min_samples && fits(own));
        let (estimate, scope) = match own {
            Some(own) => (own, "customer"),
            None => (self.learned.get(entitlement, segment).filter(fits)?, "policy"),
        };
        let z = quantile_z(quantile);
        let at = |mean: f64, variance: f64| {
            let value = (mean + z * libm::sqrt(variance.max(0.0))) * per;
            Amount::from_f64(value.max(0.0)).map(Amount::rounded)
        };
        Some(Prediction {
            value: at(estimate.value_mean, estimate.value_var)?,
            overhead: at(estimate.overhead_mean, estimate.overhead_var)?,
            samples: estimate.samples,
            source: estimate.source,
            scope,
        })
    }

    fn learn(
        &self,
        customer: &str,
        entitlement: &str,
        value: &Quantity<'_>,
        overhead: Option<&Quantity<'_>>,
        basis: &Basis<'_>,
        hold: Option<&Hold>,
    ) -> bool {
        let policy = self.current_policy();
        let now = self.clock.now();
        let learned = self.store.enter(customer, |_, people| {
            let plan = plan_of(&policy, people, CALLER)?;
            let declared = plan.entitlements.get(entitlement)?;
            let owner = owner_of(people, declared)?;
            let site = Site { plan, entitlement: declared, owner };
            let limit = limit_in_force(&policy, people, &site, now)?;
            let value = value.in_unit(limit.credit.unit)?;
            let overhead = match overhead {
                Some(overhead) => overhead.in_unit(Unit::FLOAT)?,
                None => {
                    let person = Person { customer: people.caller()?, plan: Some(&plan.name) };
                    cost(&limit.credit, value, basis.context, &person, &mut None)?
                }
            };
            let (from_data, segment) = basis.resolve(declared);
            let segment = match (segment, hold.and_then(|hold| hold.segment.as_deref())) {
                (ALL, Some(held)) => held,
                (segment, _) => segment,
            };
            let per = match &declared.estimate_basis {
                Some(_) => from_data.or(hold.and_then(|hold| hold.basis)).filter(|per| *per > 0.0)?,
                None => 1.0,
            };
            // A basis so small that its statistics would be infinite is none.
            let rate = |amount: Amount| Some(amount.to_f64() / per).filter(|rate| rate.abs() < LARGEST_RATE);
            let sample = Sample {
                value: rate(value)?,
                overhead: rate(overhead)?,
                segment,
                basis: declared.estimate_basis.as_deref(),
                at: now,
            };
            let fresh = || Meter::new(limit.credit.name.clone(), now);
            let owner = people.get_mut(owner)?;
            let meter = owner.meters.get_or_insert_with(&declared.name, fresh)?;
            if learn(meter.estimates_mut(), &sample) {
                self.learned.learn(&declared.name, &sample);
            }
            Some(())
        });
        learned.flatten().is_some()
    }
}

impl Basis<'_> {
    /// The basis (positive and finite) and the segment that apply to an entitlement.
    fn resolve(&self, declared: &CompiledEntitlement) -> (Option<f64>, &str) {
        let field = |name: &Option<String>| self.context?.get(name.as_deref()?);
        let basis = self.basis.or_else(|| match field(&declared.estimate_basis)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        });
        let segment = self.segment.or_else(|| field(&declared.estimate_segment)?.as_str());
        let segment = segment.filter(|segment| !segment.is_empty()).unwrap_or(ALL);
        (basis.filter(|basis| basis.is_finite() && *basis > 0.0), segment)
    }
}

/// Takes a hold off the meter that it is on.
pub(super) fn take_hold(policy: &Compiled, people: &mut Locked<'_, '_>, entitlement: &str, hold: &str) -> Option<Hold> {
    let owner = owner(policy, people, entitlement)?;
    let meter = people.get_mut(owner)?.meters.get_mut(entitlement)?;
    meter.more.as_mut()?.holds.remove(hold)
}

fn owner(policy: &Compiled, people: &Locked<'_, '_>, entitlement: &str) -> Option<usize> {
    let declared = plan_of(policy, people, CALLER)?.entitlements.get(entitlement)?;
    owner_of(people, declared)
}
