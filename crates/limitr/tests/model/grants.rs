//! Grants: what a customer holds now, in which order it is drawn, and what it covers.

use super::Model;
use super::amount::{at_most, positive, unbounded};
use super::customer::{Customer, Grant};
use super::policy::Resets;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// A grant as it stands at the moment: expired and orphaned ones left out, started over where due, and with the
/// definition its topup has in the plan today.
#[derive(Clone, Debug)]
pub struct Standing {
    pub id: String,
    /// The record, with the balance and the reset time of now.
    pub grant: Grant,
    pub credit: String,
    expires_on: Option<i64>,
    priority: i64,
    resets: bool,
}

impl Model {
    pub fn standing_grants(&self, owner: &Customer) -> Vec<Standing> {
        owner.grants.iter().filter_map(|(id, grant)| self.standing(owner, id, grant)).collect()
    }

    fn standing(&self, owner: &Customer, id: &str, grant: &Grant) -> Option<Standing> {
        let mut standing = Standing {
            id: id.to_owned(),
            grant: grant.clone(),
            credit: grant.credit.clone(),
            expires_on: grant.expires_on,
            priority: grant.priority,
            resets: grant.resets.resets,
        };
        let (mut resets, mut value) = (grant.resets.clone(), grant.starting_value);
        if let Some(name) = &grant.topup {
            let (_, plan) = self.plan_of(owner)?;
            let topup = plan.topups.get(name)?;
            standing.credit = topup.credit.clone();
            standing.priority = topup.priority;
            standing.resets = topup.resets.resets;
            if let Some(after) = topup.expires_after {
                standing.expires_on = Some(grant.granted_on + after);
            }
            (resets, value) = (topup.resets.clone(), topup.value);
        }
        if standing.expires_on.is_some_and(|at| self.now >= at) {
            return None;
        }
        start_over(&mut standing.grant, &resets, value, self.now);
        Some(standing)
    }

    /// Drawing order for usage of `credit`.
    pub fn order(&self, grants: &mut [Standing], credit: &str) {
        let worth = |g: &Standing| self.policy.to_runes(&g.credit, Decimal::ONE, Decimal::ZERO).unwrap_or_default();
        let strategy = self.policy.grant_strategy.clone();
        grants.sort_by(|a, b| {
            let strategic = match strategy.as_str() {
                "cheapest_first" => worth(a).cmp(&worth(b)),
                "valuable_first" => worth(b).cmp(&worth(a)),
                _ => a.expires_on.unwrap_or(i64::MAX).cmp(&b.expires_on.unwrap_or(i64::MAX)),
            };
            a.priority
                .cmp(&b.priority)
                .then((a.credit != credit).cmp(&(b.credit != credit)))
                .then(strategic)
                .then(a.grant.granted_on.cmp(&b.grant.granted_on))
                .then(a.id.cmp(&b.id))
        });
    }

    /// Takes what `units` of `credit` past the limit, from billable position `from`, cost out of the grants.
    /// Answers how many of the units are covered.
    pub fn draw(&self, grants: &mut [Standing], credit: &str, units: Decimal, from: Decimal) -> Decimal {
        self.order(grants, credit);
        let mut covered = Decimal::ZERO;
        for standing in grants.iter_mut() {
            let (left, position) = (units - covered, from + covered);
            if !positive(left) {
                break;
            }
            let balance = standing.grant.value;
            if !positive(balance) {
                continue;
            }
            let Some((taken, drawn)) = self.draw_one(&standing.credit, balance, credit, left, position) else {
                continue;
            };
            covered += taken;
            standing.grant.value = (balance - drawn).max(Decimal::ZERO);
        }
        covered
    }

    /// What one grant covers of `left` units, and what that takes from its balance. None: not convertible.
    fn draw_one(
        &self,
        held: &str,
        balance: Decimal,
        credit: &str,
        left: Decimal,
        position: Decimal,
    ) -> Option<(Decimal, Decimal)> {
        if held == credit {
            let taken = left.min(balance);
            return Some((taken, taken));
        }
        let cost = |units| {
            let runes = self.policy.to_runes(credit, units, position)?;
            self.policy.from_runes(held, runes, Decimal::ZERO)
        };
        let need = cost(left)?;
        if at_most(need, balance) {
            return Some((left, need.max(Decimal::ZERO)));
        }
        let taken = self.buys(held, balance, credit, position)?.min(left);
        // A step or a dearer band that the balance cannot climb leaves money over; otherwise this is all of it.
        Some((taken, cost(taken)?.max(Decimal::ZERO).min(balance)))
    }

    /// How many units of `credit` a whole balance buys from `position`.
    fn buys(&self, held: &str, balance: Decimal, credit: &str, position: Decimal) -> Option<Decimal> {
        if held == credit {
            return Some(balance);
        }
        let runes = self.policy.to_runes(held, balance, Decimal::ZERO)?;
        self.policy.from_runes(credit, runes, position)
    }

    /// What all grants of a customer buy from a position, for reads.
    pub fn bought(&self, owner: &Customer, credit: &str, from: Decimal) -> Decimal {
        let mut grants = self.standing_grants(owner);
        self.order(&mut grants, credit);
        let mut sum = Decimal::ZERO;
        for standing in grants.iter().filter(|s| positive(s.grant.value)) {
            let bought = self.buys(&standing.credit, standing.grant.value, credit, from + sum);
            sum = (sum + bought.unwrap_or_default()).min(unbounded());
        }
        sum
    }

    /// Stores what a commit made of the grants: expired and orphaned ones are gone, emptied ones that never start
    /// over too.
    pub fn store_grants(&mut self, owner: &str, grants: Vec<Standing>) {
        let kept: BTreeMap<String, Grant> =
            grants.into_iter().filter(|s| positive(s.grant.value) || s.resets).map(|s| (s.id, s.grant)).collect();
        if let Some(customer) = self.customers.get_mut(owner) {
            customer.grants = kept;
        }
    }
}

/// Rolls a grant forward to the period of `now`.
fn start_over(grant: &mut Grant, resets: &Resets, value: Decimal, now: i64) {
    if !resets.resets {
        return;
    }
    let last = grant.last_reset.unwrap_or(grant.granted_on);
    let (times, new_last) = match &resets.sch {
        Some(schedule) => {
            let start = super::calendar::period_start(schedule, now);
            (i64::from(start > last), start.max(last))
        }
        None => {
            let periods = ((now - last) / resets.inc).max(0);
            let times = periods.min(resets.catchup_cap.unwrap_or(i64::MAX));
            (times, last + periods * resets.inc)
        }
    };
    if new_last > last {
        grant.last_reset = Some(new_last);
    }
    for _ in 0..times {
        let before = grant.value;
        let after = match resets.mode.as_str() {
            "add" => before + value,
            "rollover" => {
                let carried = before * resets.rollover_pct;
                let carried = carried.max(resets.rollover_min.unwrap_or(carried));
                carried.min(resets.rollover_max.unwrap_or(carried)) + value
            }
            _ => value,
        };
        grant.value = after.min(resets.max_balance.unwrap_or(after));
        // Once a reset changes nothing, neither do the rest.
        if grant.value == before {
            break;
        }
    }
}
