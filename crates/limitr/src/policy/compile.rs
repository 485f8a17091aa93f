//! The policy in the form decisions run on: names looked up once, units converted, price curves summed, chains folded.
//!
//! Immutable. A changed policy is compiled anew and swapped in whole.

use std::sync::Arc;

use super::model::{self, Credit, Mode, Plan, Policy, Reset, ResetMode, Topup};
use super::pairs::pairs;
use super::schedule::Schedule;
use super::units::{Measure, Unit};
use crate::Amount;
use crate::logic::{Alert, Cost, Functions, Handler, Skill};
use crate::pricing::{CurrencyId, Curve, Exchange};
use crate::state::{FixedMap, Name};

/// How many plans are looked at by address.
const FIRST_PLANS: usize = 8;

#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) source: Policy,
    pub(crate) exchange: Exchange,
    credits: FixedMap<Name, Arc<CompiledCredit>>,
    plans: FixedMap<Name, Arc<CompiledPlan>>,
    /// The first few plans again: customers hold their plan's very name, so a look at addresses nearly always finds it.
    first_plans: Vec<Arc<CompiledPlan>>,
    default_plan: Option<Name>,
    /// Notifications that are events of this engine.
    pub(crate) alerts: Vec<Alert>,
    /// What can be called, by its name in the policy.
    pub(crate) skills: FixedMap<Name, Skill>,
    /// Functions that follow events.
    pub(crate) handlers: Vec<Handler>,
}

#[derive(Debug)]
pub(crate) struct CompiledCredit {
    pub(crate) name: Name,
    pub(crate) definition: Arc<Credit>,
    pub(crate) unit: Unit,
    pub(crate) overhead_cost: Amount,
    /// What a call costs, where that is more than a rate.
    pub(crate) cost: Option<Box<Cost>>,
    pub(crate) curve: Option<Arc<Curve>>,
    pub(crate) currency: Option<CurrencyId>,
}

#[derive(Debug)]
pub(crate) struct CompiledPlan {
    pub(crate) name: Name,
    pub(crate) definition: Plan,
    pub(crate) entitlements: FixedMap<Name, CompiledEntitlement>,
    pub(crate) topups: FixedMap<Name, CompiledTopup>,
}

#[derive(Debug)]
pub(crate) struct CompiledEntitlement {
    pub(crate) name: Name,
    pub(crate) scope: Option<Name>,
    pub(crate) limit: Option<CompiledLimit>,
    pub(crate) estimate_basis: Option<String>,
    pub(crate) estimate_segment: Option<String>,
}

/// A limit with every number in its credit's unit.
#[derive(Debug, Clone)]
pub(crate) struct CompiledLimit {
    pub(crate) credit: Arc<CompiledCredit>,
    pub(crate) mode: Mode,
    pub(crate) value: Amount,
    pub(crate) increment: Amount,
    pub(crate) minimum: Option<Amount>,
    pub(crate) hard_trailing: bool,
    /// Whether grants may cover overage: declared, and in a mode that has any.
    pub(crate) grants_apply: bool,
    pub(crate) period: Option<Period>,
    pub(crate) governor: Option<Bucket>,
    pub(crate) ewma_alpha: f64,
}

/// When something starts over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Period {
    /// Every this many ms from a start.
    Every(i64),
    Calendar(Schedule),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    pub(crate) capacity: Amount,
    pub(crate) refill_rate: Amount,
}

#[derive(Debug)]
pub(crate) struct CompiledTopup {
    pub(crate) name: Name,
    pub(crate) definition: Topup,
    pub(crate) credit: Name,
    pub(crate) value: Amount,
    pub(crate) refill: Option<Refill>,
}

/// How a grant's balance starts over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refill {
    pub(crate) period: Period,
    pub(crate) mode: ResetMode,
    pub(crate) value: Amount,
    pub(crate) rollover_pct: Amount,
    pub(crate) rollover_min: Option<Amount>,
    pub(crate) rollover_max: Option<Amount>,
    pub(crate) max_balance: Option<Amount>,
    pub(crate) catchup_cap: Option<u64>,
}

impl Period {
    /// The period of a `resets`, `reset_inc`, `reset_sch` triple.
    pub(crate) fn new(resets: bool, every: Option<i64>, schedule: Option<Schedule>) -> Option<Self> {
        if !resets {
            return None;
        }
        match (schedule, every) {
            (Some(schedule), _) => Some(Self::Calendar(schedule)),
            (None, every) => Some(Self::Every(every.unwrap_or(model::THIRTY_DAYS))).filter(|period| match period {
                Self::Every(ms) => *ms > 0,
                Self::Calendar(_) => true,
            }),
        }
    }

    /// Start of the period holding `now` when that is later than `started`: the period rolled over.
    pub(crate) fn rolled(self, started: i64, now: i64) -> Option<i64> {
        match self {
            Self::Every(ms) => {
                let elapsed = now.checked_sub(started)?;
                if elapsed < ms {
                    return None;
                }
                started.checked_add(elapsed.checked_div(ms)?.checked_mul(ms)?)
            }
            Self::Calendar(schedule) => schedule.period_start(now).filter(|start| *start > started),
        }
    }

    /// When the period that began at `started` (or, for a calendar, that holds `now`) ends.
    pub(crate) fn ends(self, started: i64, now: i64) -> Option<i64> {
        match self {
            Self::Every(ms) => started.checked_add(ms),
            Self::Calendar(schedule) => schedule.next_boundary(now.max(started)),
        }
    }
}

impl Compiled {
    pub(crate) fn new(source: Policy) -> Self {
        let mut curves: FixedMap<Name, Arc<Curve>> = FixedMap::default();
        for (name, credit) in &source.credits {
            if let Some(curve) = Curve::new(credit) {
                curves.insert(name.as_str().into(), Arc::new(curve));
            }
        }
        let exchange = Exchange::new(&source, &pairs(&source), &curves);
        let mut credits = FixedMap::default();
        for (name, credit) in &source.credits {
            let curve = curves.get(name.as_str()).cloned();
            let credit = CompiledCredit::new(name, credit.clone(), curve, &exchange, &source.functions);
            credits.insert(credit.name.clone(), Arc::new(credit));
        }
        let alerts = source.notifications.iter().filter(|(_, notification)| notification.to.is_empty());
        let alerts = alerts
            .filter_map(|(name, notification)| Alert::compile(name, notification, &source.functions).ok())
            .collect();
        let skills = source.capabilities.iter().filter_map(|(name, capability)| {
            Some((name.as_str().into(), Skill::compile(name, capability, &source.functions)?.ok()?))
        });
        let mut compiled = Self {
            exchange,
            credits,
            plans: FixedMap::default(),
            first_plans: Vec::new(),
            default_plan: None,
            alerts,
            skills: skills.collect(),
            handlers: source.functions.handlers(),
            source,
        };
        for (name, plan) in &compiled.source.plans {
            let plan = compiled.compile_plan(name, plan);
            if plan.definition.default && compiled.default_plan.is_none() {
                compiled.default_plan = Some(plan.name.clone());
            }
            let plan = Arc::new(plan);
            if compiled.first_plans.len() < FIRST_PLANS {
                compiled.first_plans.push(plan.clone());
            }
            compiled.plans.insert(plan.name.clone(), plan);
        }
        compiled
    }

    /// Whether events of its own can follow from others.
    pub(crate) fn is_alert(&self) -> bool {
        !self.alerts.is_empty() || !self.handlers.is_empty()
    }

    pub(crate) fn credit(&self, name: &str) -> Option<&Arc<CompiledCredit>> {
        self.credits.get(name)
    }

    /// The unit balances and ceilings in this credit are kept in: only what is metered is cut to whole numbers.
    pub(crate) fn balance_unit(&self, credit: &str) -> Unit {
        self.credit(credit).map(|credit| credit.unit).filter(|unit| *unit != Unit::INT).unwrap_or(Unit::FLOAT)
    }

    pub(crate) fn plan(&self, name: &str) -> Option<&Arc<CompiledPlan>> {
        self.plans.get(name)
    }

    /// The plan a customer's record names.
    #[inline]
    pub(crate) fn plan_of(&self, name: &Name) -> Option<&Arc<CompiledPlan>> {
        self.first_plans.iter().find(|plan| Arc::ptr_eq(&plan.name, name)).or_else(|| self.plan(name))
    }

    pub(crate) fn default_plan(&self) -> Option<&Arc<CompiledPlan>> {
        self.plan(self.default_plan.as_deref()?)
    }

    /// A limit in its credit's unit. `None` when a number does not convert, which validation has refused.
    pub(crate) fn compile_limit(&self, limit: &model::Limit) -> Option<CompiledLimit> {
        let credit = self.credits.get(limit.credit.as_str()).cloned();
        // Only a policy loaded without validation names a credit that is not there: a plain unpriced one stands in.
        let credit = credit.unwrap_or_else(|| {
            let (credit, functions) = (Credit::default(), Functions::default());
            Arc::new(CompiledCredit::new(&limit.credit, credit, None, &self.exchange, &functions))
        });
        let unit = credit.unit;
        let hard = limit.mode == Mode::Hard;
        let governor = limit.governor.as_ref().filter(|governor| governor.enabled && hard);
        let governor = match governor {
            Some(governor) => {
                Some(Bucket { capacity: governor.capacity?.in_unit(unit).ok()?, refill_rate: governor.refill_rate? })
            }
            None => None,
        };
        Some(CompiledLimit {
            mode: limit.mode,
            value: limit.value.in_unit(unit).ok()?,
            increment: limit.increment.in_unit(unit).ok()?,
            minimum: optional(limit.minimum, unit)?,
            hard_trailing: limit.hard_trailing && hard,
            grants_apply: limit.grants_apply && limit.mode != Mode::Observe && !(limit.hard_trailing && hard),
            period: Period::new(limit.resets, limit.reset_inc, limit.reset_sch),
            governor,
            ewma_alpha: limit.ewma_alpha,
            credit,
        })
    }

    fn compile_plan(&self, name: &str, plan: &Plan) -> CompiledPlan {
        let mut entitlements = FixedMap::default();
        for (name, entitlement) in &plan.entitlements {
            let name: Name = name.as_str().into();
            let compiled = CompiledEntitlement {
                name: name.clone(),
                scope: entitlement.scope.as_deref().map(Name::from),
                limit: entitlement.limit.as_ref().and_then(|limit| self.compile_limit(limit)),
                estimate_basis: entitlement.estimate_basis.clone(),
                estimate_segment: entitlement.estimate_segment.clone(),
            };
            entitlements.insert(name, compiled);
        }
        let mut topups = FixedMap::default();
        for (name, topup) in &plan.topups {
            let unit = self.balance_unit(&topup.credit);
            let Ok(value) = topup.value.in_unit(unit) else { continue };
            let compiled = CompiledTopup {
                name: name.as_str().into(),
                credit: topup.credit.as_str().into(),
                value,
                refill: Refill::new(&topup.reset, value, unit),
                definition: topup.clone(),
            };
            topups.insert(compiled.name.clone(), compiled);
        }
        CompiledPlan { name: name.into(), definition: plan.clone(), entitlements, topups }
    }
}

impl CompiledCredit {
    fn new(name: &str, credit: Credit, curve: Option<Arc<Curve>>, exchange: &Exchange, functions: &Functions) -> Self {
        Self {
            name: name.into(),
            unit: credit.stof_units,
            overhead_cost: credit.overhead_cost,
            // Only a policy loaded without validation has one that does not compile; the rate stands in.
            cost: Cost::compile(name, &credit, functions).and_then(Result::ok).map(Box::new),
            curve,
            currency: exchange.id(name),
            definition: Arc::new(credit),
        }
    }

    /// `units` at list price from `position`; `None` without a price, `Some(None)` out of range.
    pub(crate) fn list_price(&self, units: Amount, position: Amount) -> Option<Option<Amount>> {
        self.curve.as_ref().map(|curve| curve.price(units, position))
    }
}

impl Refill {
    pub(crate) fn new(reset: &Reset, value: Amount, unit: Unit) -> Option<Self> {
        let period = Period::new(reset.resets, reset.every, reset.schedule)?;
        Some(Self {
            period,
            mode: reset.mode,
            value,
            rollover_pct: reset.rollover_pct,
            rollover_min: optional(reset.rollover_min, unit)?,
            rollover_max: optional(reset.rollover_max, unit)?,
            max_balance: optional(reset.max_balance, unit)?,
            catchup_cap: reset.reset_catchup_cap,
        })
    }
}

/// `Some(None)` for an absent measure, `None` for one that does not convert.
fn optional(measure: Option<Measure>, unit: Unit) -> Option<Option<Amount>> {
    match measure {
        Some(measure) => measure.in_unit(unit).ok().map(Some),
        None => Some(None),
    }
}
