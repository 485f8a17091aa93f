//! Applying a decision: the only place where a call writes to customers.

use std::sync::Arc;

use super::{Decided, Live, spend};
use crate::Amount;
use crate::policy::EWMA_ALPHA;
use crate::state::{Customer, Locked, Meter, Name};

/// What applying a decision changed beyond the meter, for events.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// Customers whose caps moved, by position.
    pub(crate) moved: Vec<usize>,
}

/// Writes the effects of a decision into the locked customers.
pub(crate) fn apply(decided: &Decided<'_>, people: &mut Locked<'_, '_>) -> Change {
    let mut change = Change::default();
    let (Some(site), Some(metered)) = (&decided.site, &decided.metered) else { return change };
    let allowed = decided.denied.is_none();
    let attempted = decided.denied == Some(crate::Denial::Governor);
    if let Some(owner) = people.get_mut(site.owner) {
        let writes = metered.roll.is_some() || attempted || (allowed && metered.moved());
        if writes {
            write_meter(owner, &site.entitlement.name, decided);
        }
        if let Some(drawn) = metered.drawn.as_ref().filter(|_| allowed) {
            keep(owner, &drawn.purse);
        }
    }
    for movement in &metered.caps {
        let Some(position) = movement.holder.position else { continue };
        let cap = people.get_mut(position).and_then(|holder| holder.caps.get_mut(&movement.holder.id));
        let Some(cap) = cap else { continue };
        if let Some(start) = movement.roll {
            cap.restart(start);
        }
        if !movement.consumed.is_zero() {
            cap.meter_value = cap.meter_value.saturating_add(movement.consumed);
            if !movement.consumed.is_negligible() && !change.moved.contains(&position) {
                change.moved.push(position);
            }
        }
    }
    change
}

/// Writes what is alive of the owner's grants, and clears away the rest.
pub(crate) fn keep(owner: &mut Customer, purse: &[Live]) {
    owner.grants.retain(|id, grant| match purse.iter().find(|live| **live.id() == *id) {
        Some(live) => {
            live.store(grant);
            !live.is_gone()
        }
        // Expired, or its topup is gone from the plan.
        None => false,
    });
}

fn write_meter(owner: &mut Customer, entitlement: &Name, decided: &Decided<'_>) {
    let now = decided.now;
    let Some(metered) = &decided.metered else { return };
    let limit = &metered.limit;
    let fresh = || Meter::new(limit.credit.name.clone(), metered.started);
    let Some(meter) = owner.meters.get_or_insert_with(entitlement, fresh) else { return };
    if let Some(start) = metered.roll {
        meter.restart(start);
    }
    match decided.denied {
        None => {
            if !metered.delta.is_zero() {
                meter.value = metered.after;
                note(meter, metered.delta, limit.ewma_alpha, now);
                if metered.tokens.is_some() {
                    // The bucket was read before the restart, which already counts as full.
                    if let Some(bucket) = spend(metered, Some(meter), now) {
                        meter.set_bucket(bucket);
                    }
                }
            }
            if metered.moved() {
                // Names are shared by all customers: writing to their counts on every call would have threads wait for
                // one another.
                if !Arc::ptr_eq(&meter.credit, &limit.credit.name) {
                    meter.credit = limit.credit.name.clone();
                }
                meter.overhead = Some(metered.overhead_after);
            }
        }
        Some(crate::Denial::Governor) => note(meter, metered.delta, limit.ewma_alpha, now),
        Some(_) => {}
    }
}

pub(crate) fn note(meter: &mut Meter, delta: Amount, alpha: f64, now: i64) {
    let alpha = if alpha.is_finite() { alpha } else { EWMA_ALPHA };
    if meter.history.push(now, delta) {
        let trend = alpha * meter.history.rate() + (1.0 - alpha) * meter.ewma_rate;
        // A record may bring an alpha no validation has seen; it must not leave an infinity in the next one.
        if trend.is_finite() {
            meter.ewma_rate = trend;
        }
    }
}
