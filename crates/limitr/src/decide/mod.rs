//! The decision: (policy, state, call, now) in, an outcome and its effects out. Nothing here changes anything.
//!
//! Steps in the order of the engine reference: resolve, limit, period, amounts, caps, governor, limit. `allow` applies the
//! effects, `check` drops them, `explain` records the steps on the way; so the three cannot disagree (I1).

mod caps;
mod effects;
mod grants;
mod resolve;
mod trace;

use serde_json::Value;

use crate::amount::Amount;
use crate::logic::{Circumstances, LogicError, Person};
use crate::policy::{Bucket, Compiled, CompiledCredit, CompiledEntitlement, CompiledLimit, CompiledPlan, Mode};
use crate::state::{BucketState, Cap, Locked, Meter};
use crate::{Denial, Quantity};

pub(crate) use caps::{CapMove, Holder};
pub(crate) use effects::{Change, apply, keep, note};
pub(crate) use grants::{Drawn, Live, bought, live, remaining_in, sorted};
pub(crate) use resolve::{inherited_plan, owner_of, plan_of};
pub use trace::Step;
pub(crate) use trace::{Recorder, Silent, Trace};

/// What a call asks for.
#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    pub(crate) entitlement: &'a str,
    pub(crate) wish: &'a Wish<'a>,
    /// The call's cost in runes, instead of the credit's rate.
    pub(crate) overhead: Option<Amount>,
    /// The call's event data, which its cost may follow from.
    pub(crate) data: Option<&'a Value>,
    /// Ceilings of this call alone.
    pub(crate) caps: &'a [Cap],
    /// It has already happened: record it.
    pub(crate) force: bool,
}

/// How much.
#[derive(Debug, Clone)]
pub(crate) enum Wish<'a> {
    Units(Quantity<'a>),
    /// The limit's increment, up or down.
    Increment,
    Decrement,
    /// Whatever brings the meter to this value.
    To(Quantity<'a>),
}

/// A decision with everything that follows from it.
#[derive(Debug)]
pub(crate) struct Decided<'p> {
    pub(crate) denied: Option<Denial>,
    /// Where the call ended up, once resolved.
    pub(crate) site: Option<Site<'p>>,
    /// The limit and the amounts, once known; absent for a feature flag.
    pub(crate) metered: Option<Metered<'p>>,
    /// The time it was decided at; 0 where time plays no part.
    pub(crate) now: i64,
}

/// The plan's entitlement, and whose meter counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'p> {
    pub(crate) plan: &'p CompiledPlan,
    pub(crate) entitlement: &'p CompiledEntitlement,
    pub(crate) owner: usize,
}

/// The limit in force: the plan's, or the owner's override.
#[derive(Debug)]
pub(crate) enum LimitInForce<'p> {
    Plan(&'p CompiledLimit),
    Override(Box<CompiledLimit>),
}

impl std::ops::Deref for LimitInForce<'_> {
    type Target = CompiledLimit;

    fn deref(&self) -> &CompiledLimit {
        match self {
            Self::Plan(limit) => limit,
            Self::Override(limit) => limit,
        }
    }
}

/// A call's amounts, all in the credit's unit, and its effects.
#[derive(Debug)]
pub(crate) struct Metered<'p> {
    pub(crate) limit: LimitInForce<'p>,
    /// Start of the new period, when one began.
    pub(crate) roll: Option<i64>,
    /// Start of the period counted.
    pub(crate) started: i64,
    /// The meter's final value in the period that ended, or its value.
    pub(crate) stored: Amount,
    /// The meter in the current period, before and after.
    pub(crate) before: Amount,
    pub(crate) after: Amount,
    pub(crate) delta: Amount,
    pub(crate) overhead_before: Amount,
    pub(crate) overhead_after: Amount,
    /// Runes of cost.
    pub(crate) overhead: Amount,
    /// Why the cost is the credit's rate and not what the policy computes.
    pub(crate) cost_error: Option<Box<LogicError>>,
    /// Units past the limit, before grants.
    pub(crate) overage: Amount,
    /// What the units past the limit are worth at list price; none without a price.
    pub(crate) price_diff: Option<Amount>,
    /// What grants gave, when any were considered.
    pub(crate) drawn: Option<Drawn>,
    /// Caps that start over or move.
    pub(crate) caps: Vec<CapMove>,
    /// The cap without room.
    pub(crate) blocking: Option<Holder>,
    /// Tokens there were, when governed.
    pub(crate) tokens: Option<Amount>,
}

impl Metered<'_> {
    /// Where the call starts on the price curve.
    fn position(&self) -> Option<Amount> {
        self.before.checked_sub(self.limit.value)
    }

    /// Units grants covered.
    pub(crate) fn covered(&self) -> Amount {
        self.drawn.as_ref().map_or(Amount::ZERO, |drawn| drawn.covered)
    }

    /// Overage that grants left.
    pub(crate) fn uncovered(&self) -> Amount {
        if self.overage.is_zero() {
            return Amount::ZERO;
        }
        let left = self.overage.saturating_sub(self.covered());
        if left.is_spent() { Amount::ZERO } else { left }
    }

    /// What is left of the limit after the call, not counting grants; none where nothing is ever denied or billed.
    pub(crate) fn remaining(&self, denied: bool) -> Option<Amount> {
        let value = if denied { self.before } else { self.after };
        (self.limit.mode != Mode::Observe).then(|| self.limit.value.saturating_sub(value))
    }

    /// Whether the call left a mark other than a new period.
    pub(crate) fn moved(&self) -> bool {
        !self.delta.is_zero() || !self.overhead.is_zero()
    }
}

impl Decided<'_> {
    /// Before anything is known.
    pub(crate) const fn nothing() -> Self {
        Self { denied: None, site: None, metered: None, now: 0 }
    }
}

/// Decides one call. The clock is read only where time can matter: a feature flag is answered without it.
///
/// The decision is filled in where it lies: it is large, and moving what was just written stalls the processor.
#[inline(always)]
pub(crate) fn decide<'p>(
    decided: &mut Decided<'p>,
    policy: &'p Compiled,
    people: &Locked<'_, '_>,
    request: &Request<'_>,
    clock: impl FnOnce() -> i64,
    trace: &mut impl Trace,
) {
    decided.denied = steps(decided, policy, people, request, clock, trace).err();
}

#[inline(always)]
fn steps<'p>(
    decided: &mut Decided<'p>,
    policy: &'p Compiled,
    people: &Locked<'_, '_>,
    request: &Request<'_>,
    clock: impl FnOnce() -> i64,
    trace: &mut impl Trace,
) -> Result<(), Denial> {
    let site = resolve::site(policy, people, request.entitlement)
        .inspect_err(|denial| trace.step("resolve", || trace::unresolved(*denial, request.entitlement)))?;
    trace.step("resolve", || trace::resolved(&site, people));
    decided.site = Some(site);
    if site.is_flag(people) {
        trace.step("limit", || ("a feature of the plan, without a limit".to_owned(), Vec::new()));
        return Ok(());
    }
    let now = clock();
    decided.now = now;
    let Some(limit) = limit_in_force(policy, people, &site, now) else { return Ok(()) };
    let meter = people.get(site.owner).and_then(|owner| owner.meters.get_name(&site.entitlement.name));
    decided.metered = measure(limit, &site, people, meter, request, now);
    let outcome = match &mut decided.metered {
        Some(metered) => {
            trace.step("amounts", || trace::amounts(metered));
            gates(policy, people, &site, meter, metered, request, now, trace)
        }
        None => Err(Denial::InvalidValue),
    };
    if outcome == Err(Denial::InvalidValue) {
        trace.step("amounts", || ("the amount cannot be used with this credit".to_owned(), Vec::new()));
        // Nothing of a call that cannot be computed is kept, not even the new period.
        decided.metered = None;
    }
    outcome
}

impl Site<'_> {
    /// Whether nothing is metered here, whatever the time.
    fn is_flag(&self, people: &Locked<'_, '_>) -> bool {
        self.entitlement.limit.is_none() && people.get(self.owner).is_none_or(|owner| owner.overrides.is_empty())
    }
}

/// The owner's unexpired override, else the plan's limit; none for a feature flag.
pub(crate) fn limit_in_force<'p>(
    policy: &'p Compiled,
    people: &Locked<'_, '_>,
    site: &Site<'p>,
    now: i64,
) -> Option<LimitInForce<'p>> {
    let own = people.get(site.owner).and_then(|owner| owner.live_override(&site.entitlement.name, now));
    let own = own.and_then(|limit| policy.compile_limit(limit)).map(|limit| LimitInForce::Override(Box::new(limit)));
    own.or(site.entitlement.limit.as_ref().map(LimitInForce::Plan))
}

/// The period and the amounts (steps 3 and 4). `None`: a number cannot be used.
#[inline(always)]
fn measure<'p>(
    limit: LimitInForce<'p>,
    site: &Site<'_>,
    people: &Locked<'_, '_>,
    meter: Option<&Meter>,
    request: &Request<'_>,
    now: i64,
) -> Option<Metered<'p>> {
    let stored = meter.map_or(Amount::ZERO, |meter| meter.value);
    let roll = meter.and_then(|meter| limit.period?.rolled(meter.started, now));
    let (before, overhead_before) = match (meter, roll) {
        (Some(meter), None) => (meter.value, meter.overhead.unwrap_or_default()),
        _ => (Amount::ZERO, Amount::ZERO),
    };
    let unit = limit.credit.unit;
    let requested = match request.wish {
        Wish::Units(quantity) => quantity.in_unit(unit)?,
        Wish::Increment => limit.increment,
        Wish::Decrement => Amount::ZERO.checked_sub(limit.increment)?,
        Wish::To(quantity) => quantity.in_unit(unit)?.checked_sub(before)?,
    };
    let (after, delta) = if requested.is_zero() {
        (before, Amount::ZERO)
    } else {
        let after = before.checked_add(requested)?;
        match limit.minimum {
            Some(minimum) if after < minimum => (minimum, minimum.checked_sub(before)?),
            _ => (after, requested),
        }
    };
    let mut cost_error = None;
    let overhead = match request.overhead {
        Some(overhead) => overhead,
        None if limit.credit.cost.is_some() => {
            let caller = people.caller()?;
            let person = Person { customer: caller, plan: Some(&site.plan.name) };
            cost(&limit.credit, delta, request.data, &person, &mut cost_error)?
        }
        None if limit.credit.overhead_cost.is_zero() => Amount::ZERO,
        None => delta.checked_mul(limit.credit.overhead_cost)?,
    };
    // The sum must be storable too, or the call would be half applied.
    let overhead_after = if overhead.is_zero() { overhead_before } else { overhead_before.checked_add(overhead)? };
    let overage = overage(&limit, before, after)?;
    let price_diff = price_diff(&limit, before, after)?;
    Some(Metered {
        roll,
        started: roll.or(meter.map(|meter| meter.started)).unwrap_or(now),
        stored,
        before,
        after,
        delta,
        overhead_before,
        overhead_after,
        overhead,
        cost_error,
        overage,
        price_diff,
        drawn: None,
        caps: Vec::new(),
        blocking: None,
        tokens: None,
        limit,
    })
}

/// What `units` of a credit cost the provider: by its expression, or where there is none or it fails by its rate. None out of
/// range.
pub(crate) fn cost(
    credit: &CompiledCredit,
    units: Amount,
    data: Option<&Value>,
    customer: &Person<'_>,
    error: &mut Option<Box<LogicError>>,
) -> Option<Amount> {
    // An access check costs nothing.
    if let Some(cost) = credit.cost.as_ref().filter(|_| !units.is_zero()) {
        match cost.of(&credit.definition, Circumstances { units, context: data, customer }) {
            Ok(overhead) => return Some(overhead),
            Err(failed) => *error = Some(failed),
        }
    }
    units.checked_mul(credit.overhead_cost)
}

/// Units past both the limit and the meter; none where nothing past the limit is billed.
fn overage(limit: &CompiledLimit, before: Amount, after: Amount) -> Option<Amount> {
    let billed = limit.mode != Mode::Observe && !limit.hard_trailing;
    if !billed || after <= limit.value || after <= before {
        return Some(Amount::ZERO);
    }
    after.checked_sub(before.max(limit.value))
}

/// `Some(None)` without a price, `None` out of range.
#[inline(always)]
fn price_diff(limit: &CompiledLimit, before: Amount, after: Amount) -> Option<Option<Amount>> {
    let Some(curve) = &limit.credit.curve else { return Some(None) };
    if before <= limit.value && after <= limit.value {
        return Some(Some(Amount::ZERO));
    }
    let past = |value: Amount| value.checked_sub(limit.value).map(Amount::or_zero);
    let from = past(before)?;
    curve.price(past(after)?.checked_sub(from)?, from).map(Some)
}

/// What steps 5 to 7 look at.
struct Gates<'a, 'p> {
    policy: &'p Compiled,
    meter: Option<&'a Meter>,
    now: i64,
    /// Whether the call asks for something and may be denied it.
    gated: bool,
    held: Held,
    /// The overage, and what of it grants can cover, if everything held happened too.
    gate_overage: Amount,
    gate_covered: Amount,
    caps: &'a [caps::Applicable<'a>],
    /// Where on the price curve the call starts; only where grants or caps ask.
    position: Amount,
}

/// Steps 5 to 7, and what a passing call draws and moves. A denial by `InvalidValue` leaves `metered` unusable.
#[allow(clippy::too_many_arguments)]
fn gates<'p>(
    policy: &'p Compiled,
    people: &Locked<'_, '_>,
    site: &Site<'p>,
    meter: Option<&Meter>,
    metered: &mut Metered<'p>,
    request: &Request<'_>,
    now: i64,
    trace: &mut impl Trace,
) -> Result<(), Denial> {
    let gated = metered.delta.is_positive() && !request.force;
    let held = match meter {
        Some(meter) if gated && meter.has_holds() => held(Some(meter), now).ok_or(Denial::InvalidValue)?,
        _ => Held::default(),
    };
    let gate_overage = gate_overage(metered, &held).ok_or(Denial::InvalidValue)?;
    let caps = caps::applicable(people, request, &metered.limit.credit, policy, now);
    let priced = !gate_overage.is_zero() || !caps.is_empty();
    let position = if priced { metered.position().ok_or(Denial::InvalidValue)? } else { Amount::ZERO };
    let gate_covered = Amount::ZERO;
    let mut gates = Gates { policy, meter, now, gated, held, gate_overage, gate_covered, caps: &caps, position };
    gates.draw_grants(people, site, metered, trace);
    let passed = gates
        .ask_caps(metered, trace)
        .and_then(|()| gates.ask_governor(metered, trace))
        .and_then(|()| gates.ask_limit(metered, trace));
    if passed.is_err() {
        // All that is left of a denied call is that periods ended.
        metered.drawn = None;
        metered.caps = caps::rolls(gates.caps, now);
    } else if !gates.caps.is_empty() && metered.moved() {
        metered.caps = gates.cap_call(metered).moves(gates.caps, metered, now)?;
    }
    passed
}

impl Gates<'_, '_> {
    /// What grants can do is asked for only where something may lie past the limit.
    fn draw_grants(
        &mut self,
        people: &Locked<'_, '_>,
        site: &Site<'_>,
        metered: &mut Metered<'_>,
        trace: &mut impl Trace,
    ) {
        if self.gate_overage.is_spent() || !metered.limit.grants_apply {
            return;
        }
        let Some(owner) = people.get(site.owner).filter(|owner| !owner.grants.is_empty()) else { return };
        let (policy, credit, billable) = (self.policy, &metered.limit.credit, self.position.or_zero());
        let purse = sorted(policy, credit, live(policy, plan_of(policy, people, site.owner), owner, self.now));
        let room = |purse| grants::draw(policy, credit, self.gate_overage, billable, purse).covered;
        let held_room = (!self.held.value.is_zero()).then(|| room(purse.clone()));
        let drawn = grants::draw(policy, credit, metered.overage, billable, purse);
        self.gate_covered = held_room.unwrap_or(drawn.covered);
        trace.step("grants", || trace::grants(self.gate_overage, &drawn));
        metered.drawn = Some(drawn);
    }

    fn cap_call<'m>(&'m self, metered: &'m Metered<'_>) -> caps::Call<'m> {
        let (position, billable) = (self.position, self.position.or_zero());
        caps::Call { policy: self.policy, credit: &metered.limit.credit, position, billable }
    }

    /// Step 5.
    fn ask_caps(&self, metered: &mut Metered<'_>, trace: &mut impl Trace) -> Result<(), Denial> {
        if !self.gated || self.caps.is_empty() {
            return Ok(());
        }
        let gate =
            caps::Gate { metered, held: &self.held, gate_overage: self.gate_overage, gate_covered: self.gate_covered };
        match self.cap_call(metered).blocking(self.caps, &gate, self.now, trace)? {
            Some(holder) => {
                metered.blocking = Some(holder);
                Err(Denial::Cap)
            }
            None => Ok(()),
        }
    }

    /// Step 6.
    fn ask_governor(&self, metered: &mut Metered<'_>, trace: &mut impl Trace) -> Result<(), Denial> {
        let Some(bucket) = metered.limit.governor.filter(|_| self.gated) else { return Ok(()) };
        let tokens = available(self.meter.filter(|_| metered.roll.is_none()), bucket, self.now);
        metered.tokens = Some(tokens);
        let enough = metered.delta.at_most(tokens);
        trace.step("governor", || trace::governor(metered.delta, tokens, bucket.capacity, enough));
        if enough { Ok(()) } else { Err(Denial::Governor) }
    }

    /// Step 7.
    fn ask_limit(&self, metered: &Metered<'_>, trace: &mut impl Trace) -> Result<(), Denial> {
        let limit = &metered.limit;
        let fits = if !self.gated || limit.mode != Mode::Hard {
            true
        } else if limit.hard_trailing {
            metered.before.saturating_add(self.held.value).below(limit.value)
        } else {
            self.gate_overage.at_most(self.gate_covered)
        };
        trace.step("limit", || trace::limit(metered, &self.held, fits));
        if fits { Ok(()) } else { Err(Denial::Limit) }
    }
}

impl From<caps::OutOfRange> for Denial {
    fn from(_: caps::OutOfRange) -> Self {
        Self::InvalidValue
    }
}

/// Room held on a meter by reservations.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) value: Amount,
    pub(crate) overhead: Amount,
}

pub(crate) fn held(meter: Option<&Meter>, now: i64) -> Option<Held> {
    let mut held = Held::default();
    for (_, hold) in meter.into_iter().flat_map(|meter| meter.holds(now)) {
        held.value = held.value.checked_add(hold.value)?;
        held.overhead = held.overhead.checked_add(hold.overhead)?;
    }
    Some(held)
}

/// The overage the call would cause if everything held happened too.
fn gate_overage(metered: &Metered<'_>, held: &Held) -> Option<Amount> {
    if held.value.is_zero() {
        return Some(metered.overage);
    }
    overage(&metered.limit, metered.before, metered.after.checked_add(held.value)?)
}

/// Tokens in the bucket now; a bucket never used is full.
pub(crate) fn available(meter: Option<&Meter>, bucket: Bucket, now: i64) -> Amount {
    let Some(state) = meter.and_then(Meter::bucket) else { return bucket.capacity };
    let elapsed = Amount::from(now.saturating_sub(state.last_refill).max(0));
    state.tokens.saturating_add(elapsed.saturating_mul(bucket.refill_rate)).min(bucket.capacity)
}

/// The bucket after a governed call took its tokens.
fn spend(metered: &Metered<'_>, meter: Option<&Meter>, now: i64) -> Option<BucketState> {
    let tokens = metered.tokens?.saturating_sub(metered.delta);
    // A clock that went back must not refill the same time twice.
    let last =
        meter.filter(|_| metered.roll.is_none()).and_then(Meter::bucket).map_or(now, |bucket| bucket.last_refill);
    Some(BucketState { tokens, last_refill: last.max(now) })
}
