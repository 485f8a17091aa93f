//! Price curves, and the exchange between credits, currencies and runes.

use super::amount::{at_most, unbounded};
use super::policy::{Credit, Policy, Tier};
use rust_decimal::Decimal;

/// What the first `n` billable units cost. Included units (n < 0) have the first tier's rate, or no fee at all.
pub fn total(credit: &Credit, n: Decimal) -> Decimal {
    let first = credit.tiers.first().map_or(Decimal::ZERO, |tier| tier.amount);
    match credit.pricing_model.as_str() {
        "flat" => credit.price.unwrap_or_default() * n,
        "stairstep" if n <= Decimal::ZERO => Decimal::ZERO,
        _ if n <= Decimal::ZERO => first * n,
        "stairstep" => band_of(credit, n).amount,
        "volume" => band_of(credit, n).amount * n,
        _ => {
            let (mut sum, mut from) = (Decimal::ZERO, Decimal::ZERO);
            for tier in &credit.tiers {
                let to = tier.up_to.unwrap_or(n).min(n);
                if to > from {
                    sum += (to - from) * tier.amount;
                    from = to;
                }
            }
            sum
        }
    }
}

/// The band that a quantity above 0 falls in: (previous bound, bound].
fn band_of(credit: &Credit, n: Decimal) -> Tier {
    let free = Tier { up_to: None, amount: Decimal::ZERO };
    credit.tiers.iter().find(|tier| tier.up_to.is_none_or(|bound| n <= bound)).cloned().unwrap_or(free)
}

/// What `q` units cost from position `p`.
pub fn price(credit: &Credit, q: Decimal, p: Decimal) -> Decimal {
    total(credit, p + q) - total(credit, p)
}

/// How many units `runes` buy from position `p`.
pub fn units_for(credit: &Credit, runes: Decimal, p: Decimal) -> Decimal {
    if credit.tiers.is_empty() {
        let rate = credit.price.unwrap_or_default();
        return if rate.is_zero() { unbounded() } else { runes / rate };
    }
    // Money given back (a negative amount) undoes included units, which have the first tier's rate.
    if runes < Decimal::ZERO {
        let rate = credit.tiers.first().map_or(Decimal::ZERO, |tier| tier.amount);
        return if rate.is_zero() || credit.pricing_model == "stairstep" { Decimal::ZERO } else { runes / rate };
    }
    let (mut at, mut left) = (p, runes);
    for tier in &credit.tiers {
        // A band that ends at or before the position is behind us.
        if tier.up_to.is_some_and(|bound| bound <= at) {
            continue;
        }
        // Entering the band: the fee or the new rate for everything so far.
        let entry = match credit.pricing_model.as_str() {
            "stairstep" => tier.amount - total(credit, at),
            "volume" => tier.amount * at - total(credit, at),
            _ => Decimal::ZERO,
        };
        if !at_most(entry, left) {
            break;
        }
        if credit.pricing_model == "stairstep" {
            let Some(bound) = tier.up_to else { return unbounded() };
            left -= entry;
            at = bound;
        } else {
            let to_end = tier.up_to.map(|bound| price(credit, bound - at, at));
            match (tier.up_to, to_end) {
                (Some(bound), Some(cost)) if at_most(cost, left) => {
                    left -= cost;
                    at = bound;
                }
                // The last band, or one whose end costs too much: as far as the money goes.
                _ if tier.amount.is_zero() => return unbounded(),
                _ => {
                    at += (left - entry).max(Decimal::ZERO) / tier.amount;
                    break;
                }
            }
        }
    }
    (at - p).max(Decimal::ZERO).min(unbounded())
}

/// Where a chain of exchange pairs ends: in runes, or in a priced credit that has no pair.
enum End<'a> {
    Runes,
    Priced(&'a Credit),
}

impl Policy {
    /// Follows the pairs of a credit or currency: how many units of the end one unit is.
    fn chain(&self, name: &str) -> Option<(Decimal, End<'_>)> {
        let mut factor = Decimal::ONE;
        let mut at = name.to_owned();
        // A chain longer than the table of pairs is a cycle.
        for _ in 0..=self.pairs.len() + 1 {
            if at == "rune" {
                return Some((factor, End::Runes));
            }
            if let Some(pair) = self.pairs.get(&at) {
                factor *= pair.value;
                at = pair.currency.clone();
                continue;
            }
            // A pair written for the rune says what a rune is worth in another currency.
            if let Some(rune) = self.pairs.get("rune").filter(|rune| rune.currency == at && !rune.value.is_zero()) {
                return Some((factor / rune.value, End::Runes));
            }
            if at == "usd" {
                return Some((factor, End::Runes));
            }
            return self.credits.get(&at).filter(|credit| credit.priced()).map(|c| (factor, End::Priced(c)));
        }
        None
    }

    /// What `q` units are worth from position `p`, in runes; none when not convertible.
    pub fn to_runes(&self, name: &str, q: Decimal, p: Decimal) -> Option<Decimal> {
        match self.chain(name)? {
            (factor, End::Runes) => Some(q * factor),
            (factor, End::Priced(credit)) => Some(price(credit, q * factor, p * factor)),
        }
    }

    /// How many units `runes` are from position `p`; none when not convertible.
    pub fn from_runes(&self, name: &str, runes: Decimal, p: Decimal) -> Option<Decimal> {
        let (factor, end) = self.chain(name)?;
        if factor.is_zero() {
            return None;
        }
        match end {
            End::Runes => Some(runes / factor),
            End::Priced(credit) => Some(units_for(credit, runes, p * factor) / factor),
        }
    }

    /// `value` of one credit or currency in another, both at the start of their curves.
    pub fn exchange(&self, from: &str, to: &str, value: Decimal) -> Option<Decimal> {
        if from == to {
            return self.known(from).then_some(value);
        }
        self.from_runes(to, self.to_runes(from, value, Decimal::ZERO)?, Decimal::ZERO)
    }

    pub fn known(&self, name: &str) -> bool {
        let priced_in = self.pairs.get("rune").is_some_and(|rune| rune.currency == name);
        name == "rune" || name == "usd" || priced_in || self.credits.contains_key(name) || self.pairs.contains_key(name)
    }
}
