//! Conversion between credits and currencies.
//!
//! Every currency is folded at load into a rate towards its *root*: the rune, or a priced credit without a pair, which then
//! converts through its price curve at a position. Rates are kept as a fraction, so that converting there and back is exact
//! wherever the digits allow.

use std::sync::Arc;

use super::Curve;
use crate::Amount;
use crate::policy::{GrantStrategy, Map, Pair, Policy};
use crate::state::{FixedMap, Name};

/// A currency the policy knows: `rune`, `usd`, a credit or a pair's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CurrencyId(u32);

/// The compiled exchange table.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) strategy: GrantStrategy,
    ids: FixedMap<Name, CurrencyId>,
    currencies: Vec<Currency>,
}

#[derive(Debug)]
struct Currency {
    /// `None`: nothing leads from it to runes.
    worth: Option<Worth>,
    /// A credit of the policy, as opposed to a currency of the exchange table alone.
    is_credit: bool,
    /// The worth of one unit at position 0, for ordering grants.
    unit_worth: Option<Amount>,
}

/// One unit = `mul / div` units of `root`.
#[derive(Debug, Clone)]
struct Worth {
    mul: Amount,
    div: Amount,
    root: Root,
}

#[derive(Debug, Clone)]
enum Root {
    Rune,
    Priced { credit: CurrencyId, curve: Arc<Curve> },
}

const RUNE: &str = "rune";
const USD: &str = "usd";
/// Longest chain of pairs followed; a longer one can only be a cycle.
const MAX_CHAIN: usize = 1000;

impl Exchange {
    /// The table of `pairs`, which are the policy's own and what its function answered.
    pub(crate) fn new(policy: &Policy, pairs: &Map<Pair>, curves: &FixedMap<Name, Arc<Curve>>) -> Self {
        let mut ids = FixedMap::default();
        let names = [RUNE, USD].into_iter();
        let names = names.chain(policy.credits.keys().map(String::as_str));
        let names = names.chain(pairs.keys().map(String::as_str));
        let names = names.chain(pairs.values().map(|pair| pair.currency.as_str()));
        let mut order: Vec<Name> = Vec::new();
        for name in names {
            if !ids.contains_key(name) {
                let name: Name = name.into();
                ids.insert(name.clone(), CurrencyId(u32::try_from(order.len()).unwrap_or(u32::MAX)));
                order.push(name);
            }
        }
        let currencies = order
            .iter()
            .map(|name| {
                let worth = resolve(pairs, curves, &ids, name);
                let unit_worth = worth.as_ref().and_then(|worth| worth.runes(Amount::ONE, Amount::ZERO));
                Currency { worth, is_credit: policy.credits.contains_key(&**name), unit_worth }
            })
            .collect();
        Self { strategy: policy.exchange.grant_strategy, ids, currencies }
    }

    pub(crate) fn id(&self, name: &str) -> Option<CurrencyId> {
        self.ids.get(name).copied()
    }

    /// Whether a cap in this currency converts other credits when it does not say.
    pub(crate) fn exchanges_by_default(&self, id: CurrencyId) -> bool {
        self.get(id).is_some_and(|currency| !currency.is_credit)
    }

    /// Whether amounts of this currency can be turned into runes and back at a rate per unit.
    pub(crate) fn is_stairstep(&self, id: CurrencyId) -> bool {
        let worth = self.get(id).and_then(|currency| currency.worth.as_ref());
        worth.is_some_and(|worth| matches!(&worth.root, Root::Priced { curve, .. } if curve.is_stairstep()))
    }

    /// The worth of one unit in runes at position 0.
    pub(crate) fn unit_worth(&self, id: CurrencyId) -> Option<Amount> {
        self.get(id)?.unit_worth
    }

    /// What `quantity` of `from`, starting at `position`, is worth in runes.
    pub(crate) fn to_runes(&self, quantity: Amount, from: CurrencyId, position: Amount) -> Option<Amount> {
        let worth = self.get(from)?.worth.as_ref()?;
        // A position is a place on the call's own curve; a credit reached through pairs is taken from its start.
        let own = matches!(&worth.root, Root::Priced { credit, .. } if *credit == from);
        worth.runes(quantity, if own { position } else { Amount::ZERO })
    }

    /// How much of `to` these runes buy from `position`.
    pub(crate) fn runes_into(&self, runes: Amount, to: CurrencyId, position: Amount) -> Option<Amount> {
        let worth = self.get(to)?.worth.as_ref()?;
        match &worth.root {
            Root::Rune => runes.checked_mul(worth.div)?.checked_div(worth.mul),
            Root::Priced { credit, curve } => {
                let position = if *credit == to { position } else { Amount::ZERO };
                let units = curve.units_for(runes, position)?;
                if *credit == to { Some(units) } else { units.checked_mul(worth.div)?.checked_div(worth.mul) }
            }
        }
    }

    /// `quantity` of `from` at `from_position` as units of `to` at `to_position`.
    pub(crate) fn convert(
        &self,
        quantity: Amount,
        from: CurrencyId,
        from_position: Amount,
        to: CurrencyId,
        to_position: Amount,
    ) -> Option<Amount> {
        if from == to {
            return Some(quantity);
        }
        let (source, target) = (self.get(from)?.worth.as_ref()?, self.get(to)?.worth.as_ref()?);
        if source.same_root(target) {
            let over = quantity.checked_mul(source.mul)?.checked_mul(target.div)?;
            return over.checked_div(source.div.checked_mul(target.mul)?);
        }
        self.runes_into(self.to_runes(quantity, from, from_position)?, to, to_position)
    }

    fn get(&self, id: CurrencyId) -> Option<&Currency> {
        self.currencies.get(id.0 as usize)
    }
}

impl Worth {
    fn runes(&self, quantity: Amount, position: Amount) -> Option<Amount> {
        let units = quantity.checked_mul(self.mul)?.checked_div(self.div)?;
        match &self.root {
            Root::Rune => Some(units),
            Root::Priced { curve, .. } => curve.price(units, position),
        }
    }

    fn same_root(&self, other: &Self) -> bool {
        match (&self.root, &other.root) {
            (Root::Rune, Root::Rune) => true,
            (Root::Priced { credit: one, .. }, Root::Priced { credit: two, .. }) => one == two,
            _ => false,
        }
    }
}

/// Follows pairs from `name` until a root; `None` for a dead end or a cycle.
fn resolve(
    pairs: &Map<Pair>,
    curves: &FixedMap<Name, Arc<Curve>>,
    ids: &FixedMap<Name, CurrencyId>,
    name: &str,
) -> Option<Worth> {
    let mut at = name;
    let (mut mul, mut div) = (Amount::ONE, Amount::ONE);
    for _ in 0..MAX_CHAIN {
        if at == RUNE {
            return Some(Worth { mul, div, root: Root::Rune });
        }
        if let Some(pair) = pairs.get(at) {
            mul = mul.checked_mul(pair.value)?;
            at = &pair.currency;
            continue;
        }
        // A pair written for the rune gives its worth in that currency: one unit of it is 1 / value rune.
        if let Some(rune) = pairs.get(RUNE).filter(|rune| rune.currency == at) {
            div = div.checked_mul(rune.value)?;
            return Some(Worth { mul, div, root: Root::Rune });
        }
        if let Some(curve) = curves.get(at) {
            let credit = *ids.get(at)?;
            return Some(Worth { mul, div, root: Root::Priced { credit, curve: curve.clone() } });
        }
        if at == USD {
            return Some(Worth { mul, div, root: Root::Rune });
        }
        return None;
    }
    None
}
