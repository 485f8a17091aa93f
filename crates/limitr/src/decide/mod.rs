//! The decision: (policy, state, call, now) in, an outcome and its effects out. Nothing here changes anything.
//!
//! Steps in the order of the engine reference: resolve, limit, period, amounts, caps, governor, limit. `allow` applies the
//! effects, `check` drops them, `explain` records the steps on the way; so the three cannot disagree (I1).

mod caps;
mod effects;
mod grants;
mod resolve;
mod trace;

use crate::amount::Amount;
use crate::policy::{Compiled, CompiledEntitlement, CompiledLimit, CompiledPlan, Mode};
use crate::state::{BucketState, Cap, Locked, Meter};
use crate::{Denial, Quantity};

pub(crate) use caps::{CapMove, Holder};
pub(crate) use effects::{Change, apply};
pub(crate) use grants::{Drawn, bought, live, remaining_in, sorted};
pub(crate) use resolve::{inherited_plan, owner_of, plan_of};
pub use trace::Step;
pub(crate) use trace::{Recorder, Silent, Trace};

/// What a call asks for.
#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    pub(crate) entitlement: &'a str,
    pub(crate) wish: Wish<'a>,
    /// The call's cost in runes, instead of the credit's rate.
    pub(crate) overhead: Option<Amount>,
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

/// Decides one call. The clock is read only where time can matter: a feature flag is answered without it.
#[inline]
pub(crate) fn decide<'p>(
    policy: &'p Compiled,
    people: &Locked<'_, '_>,
    request: &Request<'_>,
    clock: impl FnOnce() -> i64,
    trace: &mut impl Trace,
) -> Decided<'p> {
    let mut decided = Decided { denied: None, site: None, metered: None, now: 0 };
    let site = match resolve::site(policy, people, request.entitlement) {
        Ok(site) => site,
        Err(denial) => {
            trace.step("resolve", || trace::unresolved(denial, request.entitlement));
            decided.denied = Some(denial);
            return decided;
        }
    };
    trace.step("resolve", || trace::resolved(&site, people));
    decided.site = Some(site);
    if site.is_flag(people) {
        trace.step("limit", || ("a feature of the plan, without a limit".to_owned(), Vec::new()));
        return decided;
    }
    let now = clock();
    decided.now = now;
    let Some(limit) = limit_in_force(policy, people, &site, now) else { return decided };
    let meter = people.get(site.owner).and_then(|owner| owner.meters.get_name(&site.entitlement.name));
    decided.metered = measure(limit, meter, request, now);
    decided.denied = match &mut decided.metered {
        Some(metered) => {
            trace.step("amounts", || trace::amounts(metered));
            gates(policy, people, &site, meter, metered, request, now, trace)
        }
        None => Some(Denial::InvalidValue),
    };
    if decided.denied == Some(Denial::InvalidValue) {
        trace.step("amounts", || ("the amount cannot be used with this credit".to_owned(), Vec::new()));
        // Nothing of a call that cannot be computed is kept, not even the new period.
        decided.metered = None;
    }
    decided
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
fn measure<'p>(limit: LimitInForce<'p>, meter: Option<&Meter>, request: &Request<'_>, now: i64) -> Option<Metered<'p>> {
    let stored = meter.map_or(Amount::ZERO, |meter| meter.value);
    let roll = meter.and_then(|meter| limit.period?.rolled(meter.started, now));
    let (before, overhead_before) = match (meter, roll) {
        (Some(meter), None) => (meter.value, meter.overhead.unwrap_or_default()),
        _ => (Amount::ZERO, Amount::ZERO),
    };
    let unit = limit.credit.unit;
    let requested = match &request.wish {
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
    let overhead = match request.overhead {
        Some(overhead) => overhead,
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
        overage,
        price_diff,
        drawn: None,
        caps: Vec::new(),
        blocking: None,
        tokens: None,
        limit,
    })
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
fn price_diff(limit: &CompiledLimit, before: Amount, after: Amount) -> Option<Option<Amount>> {
    let Some(curve) = &limit.credit.curve else { return Some(None) };
    if before <= limit.value && after <= limit.value {
        return Some(Some(Amount::ZERO));
    }
    let past = |value: Amount| value.checked_sub(limit.value).map(Amount::or_zero);
    let from = past(before)?;
    curve.price(past(after)?.checked_sub(from)?, from).map(Some)
}

/// Steps 5 to 7, and what a passing call draws and moves. Returns the denial, if any.
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
) -> Option<Denial> {
    let gated = metered.delta.is_positive() && !request.force;
    let held = if gated { held(meter, now) } else { Some(Held::default()) };
    let Some(held) = held else { return Some(Denial::InvalidValue) };
    let Some(gate_overage) = gate_overage(metered, &held) else { return Some(Denial::InvalidValue) };
    let out_of_range = Some(Denial::InvalidValue);
    let applicable = caps::applicable(people, request, &metered.limit.credit, policy, now);
    // Where on the price curve the call starts matters only to grants and caps.
    let priced = !gate_overage.is_zero() || !applicable.is_empty();
    let Some(position) = (if priced { metered.position() } else { Some(Amount::ZERO) }) else { return out_of_range };
    let billable = position.or_zero();

    // What grants can do is asked for only where something may lie past the limit.
    let mut gate_covered = Amount::ZERO;
    if !gate_overage.is_spent()
        && metered.limit.grants_apply
        && let Some(owner) = people.get(site.owner).filter(|owner| !owner.grants.is_empty())
    {
        let plan = plan_of(policy, people, site.owner);
        let purse = sorted(policy, &metered.limit.credit, live(policy, plan, owner, now));
        if !held.value.is_zero() {
            let room = grants::draw(policy, &metered.limit.credit, gate_overage, billable, purse.clone());
            gate_covered = room.covered;
        }
        let drawn = grants::draw(policy, &metered.limit.credit, metered.overage, billable, purse);
        if held.value.is_zero() {
            gate_covered = drawn.covered;
        }
        trace.step("grants", || trace::grants(gate_overage, &drawn));
        metered.drawn = Some(drawn);
    }

    if gated && !applicable.is_empty() {
        let call = caps::Call { policy, credit: &metered.limit.credit, position, billable };
        let gate = caps::Gate { metered, held: &held, gate_overage, gate_covered };
        match call.blocking(&applicable, &gate, now, trace) {
            Err(caps::OutOfRange) => return out_of_range,
            Ok(Some(holder)) => {
                metered.caps = caps::rolls(&applicable, now);
                metered.blocking = Some(holder);
                metered.drawn = None;
                return Some(Denial::Cap);
            }
            Ok(None) => {}
        }
    }

    if let Some(bucket) = metered.limit.governor.filter(|_| gated) {
        let Some(tokens) = available(meter.filter(|_| metered.roll.is_none()), bucket, now) else {
            return out_of_range;
        };
        metered.tokens = Some(tokens);
        let enough = metered.delta.at_most(tokens);
        trace.step("governor", || trace::governor(metered.delta, tokens, bucket.capacity, enough));
        if !enough {
            metered.caps = caps::rolls(&applicable, now);
            metered.drawn = None;
            return Some(Denial::Governor);
        }
    }

    if gated && metered.limit.mode == Mode::Hard {
        let limit = &metered.limit;
        let fits = if limit.hard_trailing {
            metered.before.saturating_add(held.value).below(limit.value)
        } else {
            gate_overage.at_most(gate_covered)
        };
        trace.step("limit", || trace::limit(metered, &held, fits));
        if !fits {
            metered.caps = caps::rolls(&applicable, now);
            metered.drawn = None;
            return Some(Denial::Limit);
        }
    } else {
        trace.step("limit", || trace::limit(metered, &held, true));
    }
    if !applicable.is_empty() && metered.moved() {
        let call = caps::Call { policy, credit: &metered.limit.credit, position, billable };
        match call.moves(&applicable, metered, now) {
            Ok(moves) => metered.caps = moves,
            Err(caps::OutOfRange) => return out_of_range,
        }
    }
    None
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
pub(crate) fn available(meter: Option<&Meter>, bucket: crate::policy::Bucket, now: i64) -> Option<Amount> {
    let Some(state) = meter.and_then(Meter::bucket) else { return Some(bucket.capacity) };
    let elapsed = Amount::from(now.saturating_sub(state.last_refill).max(0));
    let refilled = state.tokens.saturating_add(elapsed.saturating_mul(bucket.refill_rate));
    Some(refilled.min(bucket.capacity))
}

/// The bucket after a governed call took its tokens.
fn spend(metered: &Metered<'_>, meter: Option<&Meter>, now: i64) -> Option<BucketState> {
    let tokens = metered.tokens?.saturating_sub(metered.delta);
    // A clock that went back must not refill the same time twice.
    let last =
        meter.filter(|_| metered.roll.is_none()).and_then(Meter::bucket).map_or(now, |bucket| bucket.last_refill);
    Some(BucketState { tokens, last_refill: last.max(now) })
}
