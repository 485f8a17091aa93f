//! Revenue against cost: of a customer as it is, of a plan as it might be used, of a stretch of calls.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Limitr, NewCap};
use crate::decide::{LimitInForce, cost, limit_in_force};
use crate::fields::Field;
use crate::logic::Person;
use crate::policy::{Map, Period, PlanPeriod};
use crate::state::{CALLER, Cap, Customer, DEFAULT_LABEL, DEFAULT_TYPE};
use crate::{Amount, Error, Quantity};

/// Revenue, cost and margin, in runes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct EntitlementMargin {
    /// Billable units at list price.
    pub revenue: Amount,
    /// Recorded overhead.
    pub cost: Amount,
    /// Revenue minus cost.
    pub margin: Amount,
    /// Margin in percent of revenue; none without revenue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin_pct: Option<Amount>,
}

/// Margin in total and by entitlement.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct CustomerMargin {
    /// The total.
    #[serde(flatten)]
    pub total: EntitlementMargin,
    /// By entitlement.
    pub entitlements: Map<EntitlementMargin>,
}

/// Hypothetical usage of a plan, by entitlement.
pub type PlanUsage<'a> = Map<UsageItem<'a>>;

/// Hypothetical usage of one entitlement in one of its periods.
#[derive(Debug, Clone)]
pub struct UsageItem<'a> {
    /// Units used.
    pub value: Quantity<'a>,
    /// Another limit than the plan's.
    pub limit: Option<Quantity<'a>>,
    /// Cost in runes, instead of the credit's own.
    pub overhead: Option<Amount>,
    /// Data that the credit's cost may follow from, as a call's event data.
    pub context: Option<&'a Value>,
}

impl<'a> UsageItem<'a> {
    /// Reads an amount, or `{value, limit, overhead}`.
    pub(crate) fn read(field: Field<'_, 'a>) -> Option<Self> {
        match field.json() {
            Some(Value::Object(_)) => field.record(|mut fields| {
                let item = Self {
                    value: fields.required("value").quantity().unwrap_or_default(),
                    limit: fields.optional("limit").quantity(),
                    overhead: fields.optional("overhead").amount(),
                    context: fields.optional("context").json(),
                };
                fields.finish().map(|()| item)
            }),
            Some(Value::Number(_) | Value::String(_)) => field.quantity().map(Self::from),
            _ => {
                field.expected("a number, text with a unit, or {value, limit, overhead, context}");
                None
            }
        }
    }
}

impl<'a, V: Into<Quantity<'a>>> From<V> for UsageItem<'a> {
    fn from(value: V) -> Self {
        Self { value: value.into(), limit: None, overhead: None, context: None }
    }
}

/// What was charged and spent between start and capture, in runes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measurement {
    /// Overage at list price.
    pub charged: Amount,
    /// Overhead.
    pub costs: Amount,
    /// Margin in percent of what was charged; none when nothing was.
    pub margin: Option<Amount>,
    /// Charged minus costs.
    pub raw_margin: Amount,
}

const CHARGED: &str = "margin-charged";
const OVERHEAD: &str = "margin-overhead";

impl Limitr {
    /// A customer's revenue, cost and margin in the current periods; none for an unknown customer.
    #[must_use]
    pub fn customer_margin_snapshot(&self, customer: &str) -> Option<CustomerMargin> {
        let policy = self.current_policy();
        let now = self.clock.now();
        let snapshot = self.store.enter(customer, |_, people| {
            let plan = crate::decide::plan_of(&policy, people, CALLER)?;
            let customer = people.caller()?;
            let mut margin = CustomerMargin::default();
            // In document order, the order people wrote the plan in.
            for name in plan.definition.entitlements.keys() {
                let Some(entitlement) = plan.entitlements.get(name.as_str()) else { continue };
                // What a customer pays for is on its own meter; a scoped one is its owner's.
                let site = crate::decide::Site { plan, entitlement, owner: CALLER };
                let Some(limit) = limit_in_force(&policy, people, &site, now) else { continue };
                let Some(meter) = customer.meters.get(name) else { continue };
                let rolled = limit.period.is_some_and(|period| period.rolled(meter.started, now).is_some());
                let (value, cost) = if rolled {
                    (Amount::ZERO, Amount::ZERO)
                } else {
                    (meter.value, meter.overhead.unwrap_or_default())
                };
                let revenue = revenue(&limit, value, limit.value)?;
                margin.add(name, revenue, cost);
            }
            Some(margin.finished())
        });
        snapshot.flatten()
    }

    /// Revenue, cost and margin of a plan under hypothetical usage. With `scaled`, each entitlement counts as often as its
    /// reset period fits into the plan's period (a month is 30 days, a year 365; calendar schedules count once).
    ///
    /// None for an unknown plan.
    ///
    /// # Errors
    /// `unknown_entitlement`, `invalid_value`.
    pub fn margin_snapshot(
        &self,
        plan: &str,
        usage: &PlanUsage<'_>,
        scaled: bool,
    ) -> Result<Option<CustomerMargin>, Error> {
        let policy = self.current_policy();
        let Some(plan) = policy.plan(plan) else { return Ok(None) };
        let mut margin = CustomerMargin::default();
        let anybody = Customer::new("".into(), DEFAULT_TYPE.into(), DEFAULT_LABEL.into());
        let person = Person { customer: &anybody, plan: Some(&plan.name) };
        for (name, item) in usage {
            let path = format!("entitlements.{name}");
            let Some(entitlement) = plan.entitlements.get(name.as_str()) else {
                let message = format!("plan `{}` has no entitlement `{name}`", plan.name);
                return Err(Error::argument("unknown_entitlement", message).at(path));
            };
            let Some(limit) = entitlement.limit.as_ref().map(LimitInForce::Plan) else { continue };
            let out_of_range =
                || Error::argument("invalid_value", "the usage is not an amount of the credit").at(path.clone());
            let unit = limit.credit.unit;
            let value = item.value.in_unit(unit).ok_or_else(out_of_range)?;
            let bound = match &item.limit {
                Some(bound) => bound.in_unit(unit).ok_or_else(out_of_range)?,
                None => limit.value,
            };
            let times = if scaled { periods(plan.definition.period, limit.period) } else { Amount::ONE };
            let cost = match item.overhead {
                Some(cost) => cost,
                None => cost(&limit.credit, value, item.context, &person, &mut None).ok_or_else(out_of_range)?,
            };
            let revenue = revenue(&limit, value, bound).and_then(|revenue| revenue.checked_mul(times));
            margin.add(name, revenue.ok_or_else(out_of_range)?, cost.checked_mul(times).ok_or_else(out_of_range)?);
        }
        Ok(Some(margin.finished()))
    }

    /// Begins measuring what a customer is charged and costs, by two observing caps; false for an unknown customer. A
    /// measurement already under way starts over.
    pub fn start_margin_measurement(&self, customer: &str) -> bool {
        let operation = || json!({"start_margin_measurement": {"customer": customer}});
        self.logged(operation, || self.observe_margin(customer))
    }

    fn observe_margin(&self, customer: &str) -> bool {
        for id in [CHARGED, OVERHEAD] {
            let removed = self.store.with(customer, |customer| drop(customer.caps.remove(id)));
            if removed.is_none() {
                return false;
            }
        }
        let observing = |id| NewCap::new(Amount::MAX).id(id).observe_only().follow_decrements().silent();
        let charged = self.add_customer_cap(customer, observing(CHARGED).overage_only());
        let overhead = self.add_customer_cap(customer, observing(OVERHEAD).overhead_cost());
        charged.is_some() && overhead.is_some()
    }

    /// Ends a measurement; none when none is under way.
    pub fn capture_margin_measurement(&self, customer: &str) -> Option<Measurement> {
        let operation = || json!({"capture_margin_measurement": {"customer": customer}});
        self.logged(operation, || self.observed_margin(customer))
    }

    fn observed_margin(&self, customer: &str) -> Option<Measurement> {
        let captured = self.store.with(customer, |customer| {
            let charged = customer.caps.remove(CHARGED)?;
            let overhead = customer.caps.remove(OVERHEAD);
            Some((charged.meter_value, overhead.map_or(Amount::ZERO, |cap: Cap| cap.meter_value)))
        });
        let (charged, costs) = captured.flatten()?;
        let raw = charged.saturating_sub(costs);
        Some(Measurement {
            charged: charged.rounded(),
            costs: costs.rounded(),
            margin: percent(raw, charged),
            raw_margin: raw.rounded(),
        })
    }
}

impl CustomerMargin {
    fn add(&mut self, entitlement: &str, revenue: Amount, cost: Amount) {
        self.total.revenue = self.total.revenue.saturating_add(revenue);
        self.total.cost = self.total.cost.saturating_add(cost);
        self.entitlements.insert(entitlement.to_owned(), EntitlementMargin { revenue, cost, ..Default::default() });
    }

    /// With margins taken and everything rounded, last of all.
    fn finished(mut self) -> Self {
        for margin in self.entitlements.values_mut().chain([&mut self.total]) {
            let difference = margin.revenue.saturating_sub(margin.cost);
            margin.margin = difference.rounded();
            margin.margin_pct = percent(difference, margin.revenue);
            margin.revenue = margin.revenue.rounded();
            margin.cost = margin.cost.rounded();
        }
        self
    }
}

fn percent(margin: Amount, revenue: Amount) -> Option<Amount> {
    margin.checked_div(revenue)?.checked_mul(100.into()).map(Amount::rounded)
}

/// Units past the limit at list price; 0 without a price, none out of range.
fn revenue(limit: &LimitInForce<'_>, value: Amount, bound: Amount) -> Option<Amount> {
    let billable = value.checked_sub(bound)?.or_zero();
    limit.credit.curve.as_ref().map_or(Some(Amount::ZERO), |curve| curve.price(billable, Amount::ZERO))
}

/// How often a limit's period fits into a plan's.
fn periods(plan: PlanPeriod, limit: Option<Period>) -> Amount {
    const DAY: i64 = 86_400_000;
    let plan = match plan {
        PlanPeriod::Yearly => 365 * DAY,
        PlanPeriod::Monthly => 30 * DAY,
        PlanPeriod::Weekly => 7 * DAY,
        PlanPeriod::Daily => DAY,
    };
    match limit {
        Some(Period::Every(ms)) => Amount::from(plan).checked_div(ms.into()).unwrap_or(Amount::ONE),
        Some(Period::Calendar(_)) | None => Amount::ONE,
    }
}
