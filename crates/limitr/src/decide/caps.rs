//! Step 5: ceilings on spend, and how far a call moves them.

use super::trace::{self, Trace};
use super::{Held, Metered, Request};
use crate::Amount;
use crate::policy::{Compiled, CompiledCredit};
use crate::pricing::CurrencyId;
use crate::state::{CALLER, Cap, Customer, Locked, Name};

/// Who holds a cap: one of the people, or the call itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Holder {
    /// Position among the people; none for a cap of the call.
    pub(crate) position: Option<usize>,
    pub(crate) id: Name,
}

/// What a call does to a cap.
#[derive(Debug, Clone)]
pub(crate) struct CapMove {
    pub(crate) holder: Holder,
    /// Start of its new period, when one began.
    pub(crate) roll: Option<i64>,
    pub(crate) consumed: Amount,
    /// Whether this call brought it to its ceiling.
    pub(crate) crossed: bool,
}

/// A number left the range of amounts.
#[derive(Debug)]
pub(crate) struct OutOfRange;

/// A cap that the call's credit and entitlement put in play.
#[derive(Debug)]
pub(crate) struct Applicable<'a> {
    holder: Holder,
    cap: &'a Cap,
    currency: CurrencyId,
}

/// The caller's own caps, shared ones of everyone its refs reach, then the call's own.
#[inline(always)]
pub(super) fn applicable<'a>(
    people: &'a Locked<'_, '_>,
    request: &Request<'a>,
    credit: &CompiledCredit,
    policy: &Compiled,
    now: i64,
) -> Vec<Applicable<'a>> {
    let Some(caller) = people.caller() else { return Vec::new() };
    if people.len() == 1 && caller.caps.is_empty() && request.caps.is_empty() {
        return Vec::new();
    }
    search(people, caller, request, credit, policy, now)
}

#[inline(never)]
fn search<'a>(
    people: &'a Locked<'_, '_>,
    caller: &Customer,
    request: &Request<'a>,
    credit: &CompiledCredit,
    policy: &Compiled,
    now: i64,
) -> Vec<Applicable<'a>> {
    let binds = |cap: &Cap| {
        cap.expires_on.is_none_or(|end| now < end)
            && (cap.scope.is_empty() || cap.scope.iter().any(|name| **name == *request.entitlement))
    };
    let shared_with = |cap: &Cap| cap.shared && (cap.shared_with.is_empty() || cap.shared_with.contains(&caller.kind));
    let mut found = Vec::new();
    let exchange = &policy.exchange;
    let has_worth = |currency: CurrencyId| exchange.unit_worth(currency).is_some();
    let mut add = |position: Option<usize>, cap: &'a Cap| {
        let Some(currency) = exchange.id(&cap.credit) else { return };
        let own = cap.credit == credit.name;
        // A stairstep's price says nothing about one unit, so it cannot count other credits.
        let converts = cap.exchangeable && has_worth(currency) && !exchange.is_stairstep(currency);
        let counts = if cap.overhead_cost {
            has_worth(currency) && (own || converts)
        } else {
            own || (converts && credit.currency.is_some_and(has_worth))
        };
        if counts && binds(cap) {
            found.push(Applicable { holder: Holder { position, id: cap.id.clone() }, cap, currency });
        }
    };
    for position in 0..people.len() {
        let caps = people.get(position).into_iter().flat_map(|customer| customer.caps.values());
        caps.filter(|cap| position == CALLER || shared_with(cap)).for_each(|cap| add(Some(position), cap));
    }
    request.caps.iter().for_each(|cap| add(None, cap));
    found
}

/// Where a call stands on its price curve.
pub(super) struct Call<'a> {
    pub(super) policy: &'a Compiled,
    pub(super) credit: &'a CompiledCredit,
    pub(super) position: Amount,
    pub(super) billable: Amount,
}

/// The amounts a gate looks at: the call's own and what is held.
pub(super) struct Gate<'a, 'p> {
    pub(super) metered: &'a Metered<'p>,
    pub(super) held: &'a Held,
    pub(super) gate_overage: Amount,
    pub(super) gate_covered: Amount,
}

/// What is counted against a cap.
#[derive(Debug, Clone, Copy)]
struct Usage {
    units: Amount,
    overage: Amount,
    covered: Amount,
    overhead: Amount,
}

impl Call<'_> {
    /// The first enforcing cap without room.
    pub(super) fn blocking(
        &self,
        caps: &[Applicable<'_>],
        gate: &Gate<'_, '_>,
        now: i64,
        trace: &mut impl Trace,
    ) -> Result<Option<Holder>, OutOfRange> {
        let metered = gate.metered;
        let limit = &metered.limit;
        for applicable in caps.iter().filter(|applicable| !applicable.cap.observe_only) {
            let cap = applicable.cap;
            let covered = if cap.ignore_grants && limit.grants_apply { gate.gate_covered } else { Amount::ZERO };
            let usage = Usage {
                units: metered.delta.checked_add(gate.held.value).ok_or(OutOfRange)?,
                overage: gate.gate_overage,
                covered,
                overhead: metered.overhead.checked_add(gate.held.overhead).ok_or(OutOfRange)?,
            };
            let consumed = self.consumed(applicable, &usage)?;
            let spent = cap.spent(now);
            let room = if consumed.is_spent() {
                true
            } else if cap.hard_trailing {
                spent.checked_add(self.consumed_by_held(applicable, gate)?).ok_or(OutOfRange)?.below(cap.value)
            } else {
                spent.checked_add(consumed).ok_or(OutOfRange)?.at_most(cap.value)
            };
            trace.step("cap", || trace::cap(cap, spent, consumed, room));
            if !room {
                return Ok(Some(applicable.holder.clone()));
            }
        }
        Ok(None)
    }

    /// What the holds alone would have consumed.
    fn consumed_by_held(&self, applicable: &Applicable<'_>, gate: &Gate<'_, '_>) -> Result<Amount, OutOfRange> {
        if gate.held.value.is_zero() {
            return Ok(Amount::ZERO);
        }
        let limit = &gate.metered.limit;
        let before = gate.metered.before;
        let after = before.checked_add(gate.held.value).ok_or(OutOfRange)?;
        let overage = super::overage(limit, before, after).ok_or(OutOfRange)?;
        let covered = if applicable.cap.ignore_grants && limit.grants_apply {
            overage.min(gate.gate_covered)
        } else {
            Amount::ZERO
        };
        let usage = Usage { units: gate.held.value, overage, covered, overhead: gate.held.overhead };
        self.consumed(applicable, &usage)
    }

    /// How an allowed call moves its caps.
    pub(super) fn moves(
        &self,
        caps: &[Applicable<'_>],
        metered: &Metered<'_>,
        now: i64,
    ) -> Result<Vec<CapMove>, OutOfRange> {
        let mut moves = Vec::new();
        let past = |value: Amount| value.checked_sub(metered.limit.value).map(Amount::or_zero);
        for applicable in caps {
            let cap = applicable.cap;
            let usage = Usage {
                units: metered.delta,
                overage: if metered.delta.is_negative() {
                    let before = past(metered.before).ok_or(OutOfRange)?;
                    past(metered.after).and_then(|after| after.checked_sub(before)).ok_or(OutOfRange)?
                } else {
                    metered.overage
                },
                covered: if cap.ignore_grants { metered.covered() } else { Amount::ZERO },
                overhead: metered.overhead,
            };
            let follows = !metered.delta.is_negative() || cap.follow_decrements;
            let consumed = if follows { self.consumed(applicable, &usage)? } else { Amount::ZERO };
            let roll = cap.rolled(now);
            if consumed.is_zero() && roll.is_none() {
                continue;
            }
            let spent = cap.spent(now);
            let total = spent.checked_add(consumed).ok_or(OutOfRange)?;
            let crossed = spent.below(cap.value) && cap.value.at_most(total);
            moves.push(CapMove { holder: applicable.holder.clone(), roll, consumed, crossed });
        }
        Ok(moves)
    }

    /// What `usage` consumes of a cap, in the cap's credit.
    fn consumed(&self, applicable: &Applicable<'_>, usage: &Usage) -> Result<Amount, OutOfRange> {
        let (cap, currency) = (applicable.cap, applicable.currency);
        let exchange = &self.policy.exchange;
        let counted = if cap.overage_only { usage.overage } else { usage.units };
        let consumed = if cap.overhead_cost {
            let runes = if usage.units.is_zero() {
                // Cost without units is no overage.
                if cap.overage_only { Amount::ZERO } else { usage.overhead }
            } else {
                let counted = counted.checked_sub(usage.covered).ok_or(OutOfRange)?;
                if counted == usage.units { usage.overhead } else { share(usage.overhead, counted, usage.units)? }
            };
            exchange.runes_into(runes, currency, Amount::ZERO)
        } else if cap.credit == self.credit.name {
            counted.checked_sub(usage.covered)
        } else {
            let used = self.credit.currency.ok_or(OutOfRange)?;
            let from = if cap.overage_only { self.billable } else { self.position };
            if usage.covered.is_zero() {
                exchange.convert(counted, used, from, currency, Amount::ZERO)
            } else {
                let whole = exchange.to_runes(counted, used, from).ok_or(OutOfRange)?;
                let paid = exchange.to_runes(usage.covered, used, self.billable).ok_or(OutOfRange)?;
                whole.checked_sub(paid).and_then(|runes| exchange.runes_into(runes, currency, Amount::ZERO))
            }
        };
        consumed.ok_or(OutOfRange)
    }
}

/// The caps whose period ended, restarted: what a denied call leaves of step 5.
pub(super) fn rolls(caps: &[Applicable<'_>], now: i64) -> Vec<CapMove> {
    let rolled = |applicable: &Applicable<'_>| {
        let roll = applicable.cap.rolled(now)?;
        Some(CapMove { holder: applicable.holder.clone(), roll: Some(roll), consumed: Amount::ZERO, crossed: false })
    };
    caps.iter().filter_map(rolled).collect()
}

/// `part / whole` of `amount`.
fn share(amount: Amount, part: Amount, whole: Amount) -> Result<Amount, OutOfRange> {
    amount.checked_mul(part).and_then(|product| product.checked_div(whole)).ok_or(OutOfRange)
}
