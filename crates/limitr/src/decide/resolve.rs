//! Step 1: whose plan, which entitlement, whose meter.

use std::sync::Arc;

use super::Site;
use crate::Denial;
use crate::policy::{Compiled, CompiledEntitlement, CompiledPlan};
use crate::state::{CALLER, Locked};

#[inline]
pub(super) fn site<'p>(policy: &'p Compiled, people: &Locked<'_, '_>, entitlement: &str) -> Result<Site<'p>, Denial> {
    let plan = plan_of(policy, people, CALLER).ok_or(Denial::UnknownEntitlement)?;
    let entitlement = plan.entitlements.get(entitlement).ok_or(Denial::UnknownEntitlement)?;
    let owner = owner_of(people, entitlement).ok_or(Denial::NoScopeCustomer)?;
    Ok(Site { plan, entitlement, owner })
}

/// The plan of a customer: its own, else the first found through its refs depth first, else the default.
#[inline]
pub(crate) fn plan_of<'p>(
    policy: &'p Compiled,
    people: &Locked<'_, '_>,
    customer: usize,
) -> Option<&'p Arc<CompiledPlan>> {
    inherited_plan(policy, people, customer).or_else(|| policy.default_plan())
}

/// As [`plan_of`], without the default.
#[inline]
pub(crate) fn inherited_plan<'p>(
    policy: &'p Compiled,
    people: &Locked<'_, '_>,
    customer: usize,
) -> Option<&'p Arc<CompiledPlan>> {
    let own = |position: usize| policy.plan_of(people.get(position)?.plan.as_ref()?);
    match own(customer) {
        Some(plan) => Some(plan),
        None if people.len() == 1 => None,
        None => referred_plan(people, customer, own),
    }
}

fn referred_plan<'p>(
    people: &Locked<'_, '_>,
    customer: usize,
    own: impl Fn(usize) -> Option<&'p Arc<CompiledPlan>>,
) -> Option<&'p Arc<CompiledPlan>> {
    let mut seen = vec![false; people.len()];
    let mut stack = vec![customer];
    while let Some(at) = stack.pop() {
        match seen.get_mut(at) {
            Some(seen) if !*seen => *seen = true,
            _ => continue,
        }
        if let Some(plan) = own(at) {
            return Some(plan);
        }
        stack.extend(people.refs(at).iter().rev());
    }
    None
}

/// Whose meter an entitlement counts on: the caller's, or the nearest customer's of the scope's type.
pub(crate) fn owner_of(people: &Locked<'_, '_>, entitlement: &CompiledEntitlement) -> Option<usize> {
    let Some(scope) = &entitlement.scope else { return Some(CALLER) };
    // People are in breadth-first order, so the first match is the nearest; the caller itself is at its head.
    (0..people.len()).find(|position| people.get(*position).is_some_and(|customer| customer.kind == *scope))
}
