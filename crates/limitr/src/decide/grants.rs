//! Grants: what of them is alive, in which order they are drawn, and what they cover.

use std::sync::Arc;

use crate::Amount;
use crate::policy::{Compiled, CompiledCredit, CompiledPlan, GrantStrategy, Period, Refill, ResetMode};
use crate::pricing::CurrencyId;
use crate::state::{Customer, Grant, Name};

/// A grant as it stands now: rolled forward, following its topup.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    id: Name,
    topup: Option<Name>,
    credit: Name,
    currency: Option<CurrencyId>,
    pub(crate) balance: Amount,
    /// What of it the call took.
    drawn: Amount,
    last_reset: Option<i64>,
    resets: bool,
    priority: i64,
    expires_on: Option<i64>,
    granted_on: i64,
}

/// What grants gave a call, and how the purse stands afterwards.
#[derive(Debug)]
pub(crate) struct Drawn {
    /// Units covered.
    pub(crate) covered: Amount,
    /// Every grant that is alive, after the call.
    pub(crate) purse: Vec<Live>,
}

impl Live {
    pub(crate) fn id(&self) -> &Name {
        &self.id
    }

    /// The topup it came from.
    pub(crate) fn topup(&self) -> Option<&Name> {
        self.topup.as_ref()
    }

    /// What the call took of it.
    pub(crate) fn drawn(&self) -> Amount {
        self.drawn
    }

    pub(crate) fn spend(&mut self, amount: Amount) {
        self.balance = self.balance.saturating_sub(amount);
        self.drawn = self.drawn.saturating_add(amount);
    }

    /// Whether nothing is left and nothing will come back.
    pub(crate) fn is_gone(&self) -> bool {
        self.balance.is_spent() && !self.resets
    }

    /// Writes the state back into the stored grant.
    pub(crate) fn store(&self, grant: &mut Grant) {
        grant.value = self.balance;
        grant.last_reset = self.last_reset;
    }
}

/// The customer's unexpired grants, rolled to `now`. Those whose topup the plan no longer has are left out.
pub(crate) fn live(policy: &Compiled, plan: Option<&Arc<CompiledPlan>>, customer: &Customer, now: i64) -> Vec<Live> {
    customer.grants.values().filter_map(|grant| revive(policy, plan, grant, now)).collect()
}

fn revive(policy: &Compiled, plan: Option<&Arc<CompiledPlan>>, grant: &Grant, now: i64) -> Option<Live> {
    let topup = match &grant.topup {
        Some(topup) => Some(plan?.topups.get(topup)?),
        None => None,
    };
    let credit = topup.map_or(&grant.credit, |topup| &topup.credit);
    let expires_on = topup
        .and_then(|topup| topup.definition.expires_after)
        .map_or(grant.expires_on, |life| grant.granted_on.checked_add(life));
    if expires_on.is_some_and(|end| now >= end) {
        return None;
    }
    let refill = match topup {
        Some(topup) => topup.refill,
        None => Refill::new(&grant.reset, grant.starting_value, policy.balance_unit(credit)),
    };
    let mut live = Live {
        id: grant.id.clone(),
        topup: grant.topup.clone(),
        credit: credit.clone(),
        currency: policy.exchange.id(credit),
        balance: grant.value,
        drawn: Amount::ZERO,
        last_reset: grant.last_reset,
        resets: refill.is_some(),
        priority: topup.map_or(grant.priority, |topup| topup.definition.priority),
        expires_on,
        granted_on: grant.granted_on,
    };
    if let Some(refill) = refill {
        live.roll(&refill, now);
    }
    Some(live)
}

impl Live {
    fn roll(&mut self, refill: &Refill, now: i64) {
        let since = self.last_reset.unwrap_or(self.granted_on);
        let Some(start) = refill.period.rolled(since, now) else { return };
        let times = match refill.period {
            Period::Every(ms) => {
                let elapsed = start.saturating_sub(since).checked_div(ms).unwrap_or(1);
                let elapsed = u64::try_from(elapsed).unwrap_or(0);
                refill.catchup_cap.map_or(elapsed, |cap| elapsed.min(cap))
            }
            // A calendar period resets once, however many went by unused.
            Period::Calendar(_) => 1,
        };
        self.balance = refill.apply(self.balance, times);
        self.last_reset = Some(start);
    }
}

/// A reset as a function of the balance: `scale x balance + add`, held between `least` and `most`. Such functions compose
/// into one another, so a million missed periods take twenty compositions.
#[derive(Debug, Clone, Copy)]
struct Affine {
    scale: Amount,
    add: Amount,
    least: Amount,
    most: Amount,
}

impl Affine {
    fn of(self, balance: Amount) -> Amount {
        self.scale.saturating_mul(balance).saturating_add(self.add).max(self.least).min(self.most)
    }

    /// `self` after `first`.
    fn after(self, first: Self) -> Self {
        Self {
            scale: self.scale.saturating_mul(first.scale),
            add: self.scale.saturating_mul(first.add).saturating_add(self.add),
            least: self.of(first.least),
            most: self.of(first.most),
        }
    }
}

impl Refill {
    fn reset(&self) -> Affine {
        let floor = Amount::ZERO.saturating_sub(Amount::MAX);
        let ceiling = self.max_balance.unwrap_or(Amount::MAX);
        let (scale, add, least, most) = match self.mode {
            ResetMode::Hard => (Amount::ZERO, self.value, floor, Amount::MAX),
            ResetMode::Add => (Amount::ONE, self.value, floor, Amount::MAX),
            ResetMode::Rollover => (
                self.rollover_pct.or_zero(),
                self.value,
                self.rollover_min.map_or(floor, |least| least.saturating_add(self.value)),
                self.rollover_max.map_or(Amount::MAX, |most| most.saturating_add(self.value)),
            ),
        };
        Affine { scale, add, least: least.min(ceiling), most: most.min(ceiling) }
    }

    fn apply(&self, balance: Amount, times: u64) -> Amount {
        // Few resets are applied one by one, with exact digits; many are composed by squaring.
        const FEW: u64 = 64;
        let reset = self.reset();
        if times <= FEW {
            return (0..times).fold(balance, |balance, _| reset.of(balance));
        }
        let (mut balance, mut power, mut left) = (balance, reset, times);
        while left > 0 {
            if left & 1 == 1 {
                balance = power.of(balance);
            }
            power = power.after(power);
            left >>= 1;
        }
        balance
    }
}

/// Grants in the order they are drawn for usage of `credit`.
pub(crate) fn sorted(policy: &Compiled, credit: &CompiledCredit, mut purse: Vec<Live>) -> Vec<Live> {
    let exchange = &policy.exchange;
    let worth = |grant: &Live| grant.currency.and_then(|currency| exchange.unit_worth(currency));
    // What has no worth covers nothing, so its place among the convertible does not matter: last.
    let by_worth = |one: &Live, two: &Live| match (worth(one), worth(two)) {
        (Some(one), Some(two)) => one.cmp(&two),
        (one, two) => one.is_none().cmp(&two.is_none()),
    };
    purse.sort_by(|one, two| {
        let strategy = || match exchange.strategy {
            GrantStrategy::ExpiresFirst => {
                let end = |grant: &Live| grant.expires_on.unwrap_or(i64::MAX);
                end(one).cmp(&end(two))
            }
            GrantStrategy::CheapestFirst => by_worth(one, two),
            GrantStrategy::ValuableFirst => match (worth(one), worth(two)) {
                (Some(one), Some(two)) => two.cmp(&one),
                _ => by_worth(one, two),
            },
        };
        one.priority
            .cmp(&two.priority)
            .then_with(|| (one.credit != credit.name).cmp(&(two.credit != credit.name)))
            .then_with(strategy)
            .then_with(|| one.granted_on.cmp(&two.granted_on))
            .then_with(|| one.id.cmp(&two.id))
    });
    purse
}

/// Draws up to `overage` units of `credit` from position `billable`. `purse` is in drawing order.
pub(crate) fn draw(
    policy: &Compiled,
    credit: &CompiledCredit,
    overage: Amount,
    billable: Amount,
    mut purse: Vec<Live>,
) -> Drawn {
    let mut covered = Amount::ZERO;
    for grant in &mut purse {
        let left = overage.saturating_sub(covered);
        if left.is_spent() {
            break;
        }
        if let Some((units, spent)) = grant.cover(policy, credit, left, billable.saturating_add(covered)) {
            grant.spend(spent);
            covered = covered.saturating_add(units);
        }
    }
    Drawn { covered: covered.min(overage), purse }
}

impl Live {
    /// How many of `left` units from `position` the balance covers, and what of it they take.
    fn cover(
        &self,
        policy: &Compiled,
        credit: &CompiledCredit,
        left: Amount,
        position: Amount,
    ) -> Option<(Amount, Amount)> {
        if self.balance.is_spent() {
            return None;
        }
        if self.credit == credit.name {
            let units = left.min(self.balance);
            return Some((units, units));
        }
        let (used, own) = (credit.currency?, self.currency?);
        let cost =
            |units: Amount| policy.exchange.convert(units, used, position, own, Amount::ZERO).map(Amount::or_zero);
        // A cheaper volume band can make units cost less than nothing; drawing never adds balance.
        if let Some(need) = cost(left).filter(|need| need.at_most(self.balance)) {
            return Some((left, need.min(self.balance)));
        }
        let units = policy.exchange.convert(self.balance, own, Amount::ZERO, used, position)?.min(left);
        if !units.is_positive() {
            return None;
        }
        let spent = cost(units)?.min(self.balance);
        let rest = self.balance.saturating_sub(spent);
        Some((units, if rest.is_spent() { self.balance } else { spent }))
    }
}

/// Units of `credit` that the whole purse buys from `billable` on; at most [`Amount::UNBOUNDED`].
pub(crate) fn bought(policy: &Compiled, credit: &CompiledCredit, billable: Amount, purse: &[Live]) -> Amount {
    let mut bought = Amount::ZERO;
    for grant in purse.iter().filter(|grant| !grant.balance.is_spent()) {
        let position = billable.saturating_add(bought);
        let units = if grant.credit == credit.name {
            Some(grant.balance)
        } else {
            let convert = |own, used| policy.exchange.convert(grant.balance, own, Amount::ZERO, used, position);
            grant.currency.zip(credit.currency).and_then(|(own, used)| convert(own, used))
        };
        bought = bought.saturating_add(units.unwrap_or_default().or_zero()).min(Amount::UNBOUNDED);
    }
    bought
}

/// The purse's balances as units of `currency`, each converted from position 0.
pub(crate) fn remaining_in(policy: &Compiled, currency: CurrencyId, purse: &[Live]) -> Amount {
    purse.iter().filter(|grant| !grant.balance.is_spent()).fold(Amount::ZERO, |sum, grant| {
        let convert = |own| policy.exchange.convert(grant.balance, own, Amount::ZERO, currency, Amount::ZERO);
        sum.saturating_add(grant.currency.and_then(convert).unwrap_or_default())
    })
}
