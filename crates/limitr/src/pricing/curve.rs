//! The price of billable units as a function of position, and its inverse.
//!
//! `total(n)` is what the first `n` billable units cost; a position `n <= 0` is still inside the included amount. The price
//! of `q` units from position `p` is `total(p + q) - total(p)`, which a cheaper volume band can make negative.

use crate::Amount;
use crate::policy::{Credit, PricingModel};

/// A credit's list price.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Curve {
    Flat(Amount),
    Bands { model: PricingModel, bands: Box<[Band]> },
}

/// A price band over `(from, up_to]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Band {
    from: Amount,
    up_to: Option<Amount>,
    /// Rate per unit, or the fee of a stairstep band.
    rate: Amount,
    /// `total(from)`, for the tiered model.
    before: Amount,
}

impl Curve {
    /// The curve of a credit, or `None` when it has no price or its numbers leave the range.
    pub(crate) fn new(credit: &Credit) -> Option<Self> {
        if credit.pricing_model == PricingModel::Flat {
            return credit.price.as_ref().map(|price| Self::Flat(price.amount));
        }
        let mut bands = Vec::with_capacity(credit.tiers.len());
        let mut from = Amount::ZERO;
        let mut before = Amount::ZERO;
        for tier in &credit.tiers {
            let rate = tier.price.amount;
            bands.push(Band { from, up_to: tier.up_to, rate, before });
            if let Some(up_to) = tier.up_to {
                before = before.checked_add(up_to.checked_sub(from)?.checked_mul(rate)?)?;
                from = up_to;
            }
        }
        if bands.is_empty() {
            return None;
        }
        Some(Self::Bands { model: credit.pricing_model, bands: bands.into() })
    }

    /// Whether this is a stairstep, whose price says nothing about one unit.
    pub(crate) fn is_stairstep(&self) -> bool {
        matches!(self, Self::Bands { model: PricingModel::Stairstep, .. })
    }

    /// The price of `quantity` units from `position`.
    pub(crate) fn price(&self, quantity: Amount, position: Amount) -> Option<Amount> {
        if let Self::Flat(rate) = self {
            return quantity.checked_mul(*rate);
        }
        self.total(position.checked_add(quantity)?)?.checked_sub(self.total(position)?)
    }

    /// What the first `n` billable units cost.
    pub(crate) fn total(&self, n: Amount) -> Option<Amount> {
        match self {
            Self::Flat(rate) => n.checked_mul(*rate),
            Self::Bands { model, bands } => {
                if !n.is_positive() {
                    return match model {
                        PricingModel::Stairstep => Some(Amount::ZERO),
                        _ => n.checked_mul(bands.first()?.rate),
                    };
                }
                let band = bands.iter().find(|band| band.holds(n)).or(bands.last())?;
                band.total(*model, n)
            }
        }
    }

    /// How many units `runes` buy from `position`; [`Amount::UNBOUNDED`] when they never run out.
    ///
    /// Bands are walked forward. The walk stops inside the first band whose end cannot be paid, and before one whose
    /// entry cannot.
    pub(crate) fn units_for(&self, runes: Amount, position: Amount) -> Option<Amount> {
        let (model, bands) = match self {
            Self::Flat(rate) => {
                return if rate.is_zero() { Some(Amount::UNBOUNDED) } else { runes.checked_div(*rate) };
            }
            Self::Bands { model, bands } => (*model, bands),
        };
        if runes.is_negative() {
            // Giving units back: behind position 0 every unit is worth the first band's rate.
            let rate = bands.first()?.rate;
            let free = model == PricingModel::Stairstep || rate.is_zero();
            return if free { Some(Amount::ZERO) } else { runes.checked_div(rate) };
        }
        let paid = self.total(position)?;
        let budget = paid.checked_add(runes)?;
        let mut at = position;
        for band in bands.iter().filter(|band| band.up_to.is_none_or(|up_to| up_to > position)) {
            if model == PricingModel::Stairstep && at.is_negative() {
                at = Amount::ZERO;
            }
            // A band that the position is already inside has been entered and paid for.
            let entering = at <= band.from;
            if entering && !band.entry(model)?.at_most(budget) {
                break;
            }
            match band.up_to {
                Some(up_to) if model == PricingModel::Stairstep || band.total(model, up_to)?.at_most(budget) => {
                    at = up_to;
                }
                None if model == PricingModel::Stairstep || band.rate.is_zero() => {
                    return Some(Amount::UNBOUNDED);
                }
                _ => {
                    let end = match model {
                        PricingModel::Volume => budget.checked_div(band.rate)?,
                        _ => band.from.checked_add(budget.checked_sub(band.before)?.checked_div(band.rate)?)?,
                    };
                    at = at.max(end);
                    break;
                }
            }
        }
        at.checked_sub(position)
    }
}

impl Band {
    fn holds(&self, n: Amount) -> bool {
        self.up_to.is_none_or(|up_to| n <= up_to)
    }

    /// The curve's total at `n`, which this band holds.
    fn total(&self, model: PricingModel, n: Amount) -> Option<Amount> {
        match model {
            PricingModel::Volume | PricingModel::Flat => n.checked_mul(self.rate),
            PricingModel::Stairstep => Some(self.rate),
            PricingModel::Tiered => self.before.checked_add(n.checked_sub(self.from)?.checked_mul(self.rate)?),
        }
    }

    /// The curve's total just inside the band.
    fn entry(&self, model: PricingModel) -> Option<Amount> {
        self.total(model, self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Extensions, Price, Tier};

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    fn curve(model: PricingModel, tiers: &[(&str, &str)]) -> Curve {
        let tiers = tiers
            .iter()
            .map(|(up_to, rate)| Tier {
                up_to: up_to.parse().ok(),
                price: Price { amount: amount(rate), id: None, extensions: Extensions::default() },
                extensions: Extensions::default(),
            })
            .collect();
        Curve::new(&Credit { pricing_model: model, tiers, ..Credit::default() }).unwrap()
    }

    const TIERS: [(&str, &str); 3] = [("100", "1.0"), ("1000", "0.5"), ("open", "0.1")];

    #[test]
    fn the_worked_example_of_the_spec() {
        let tiered = curve(PricingModel::Tiered, &TIERS);
        assert_eq!(tiered.price(150.into(), Amount::ZERO), Some(125.into()));
        assert_eq!(tiered.price(100.into(), 150.into()), Some(50.into()));
        let volume = curve(PricingModel::Volume, &TIERS);
        assert_eq!(volume.price(150.into(), Amount::ZERO), Some(75.into()));
        assert_eq!(volume.price(50.into(), 100.into()), Some((-25).into()));
        let stairstep = curve(PricingModel::Stairstep, &TIERS);
        assert_eq!(stairstep.price(150.into(), Amount::ZERO), Some(amount("0.5")));
    }

    #[test]
    fn positions_inside_the_included_amount() {
        let tiered = curve(PricingModel::Tiered, &TIERS);
        assert_eq!(tiered.price(60.into(), (-50).into()), Some(60.into()));
        let stairstep = curve(PricingModel::Stairstep, &TIERS);
        assert_eq!(stairstep.price(40.into(), (-50).into()), Some(Amount::ZERO));
        assert_eq!(stairstep.price(51.into(), (-50).into()), Some(Amount::ONE));
    }

    #[test]
    fn the_inverse_walks_bands() {
        let tiered = curve(PricingModel::Tiered, &TIERS);
        for (runes, position, units) in [
            ("50", "0", "50"),
            ("100", "0", "100"),
            ("101", "0", "102"),
            ("551", "0", "1010"),
            ("20", "-10", "20"),
            ("10", "75", "10"),
            ("26", "75", "27"),
        ] {
            assert_eq!(
                tiered.units_for(amount(runes), amount(position)),
                Some(amount(units)),
                "{runes} from {position}"
            );
        }
        let volume = curve(PricingModel::Volume, &[("100", "0.01"), ("1000", "0.005"), ("open", "0.001")]);
        assert_eq!(volume.units_for(amount("0.5"), Amount::ZERO), Some(50.into()));
        assert_eq!(volume.units_for(amount("1"), 100.into()), Some(300.into()));
        let stairstep = curve(PricingModel::Stairstep, &[("100", "5"), ("1000", "20"), ("open", "50")]);
        for (runes, position, units) in [
            ("4", "0", "0"),
            ("5", "0", "100"),
            ("30", "0", "1000"),
            ("60", "0", "1000000000000000"),
            ("10", "100", "0"),
            ("0", "40", "60"),
            ("0", "-5", "5"),
        ] {
            assert_eq!(
                stairstep.units_for(amount(runes), amount(position)),
                Some(amount(units)),
                "{runes} from {position}"
            );
        }
    }

    #[test]
    fn a_dearer_volume_band_is_not_entered_without_its_entry_cost() {
        let volume = curve(PricingModel::Volume, &[("10", "1"), ("open", "5")]);
        assert_eq!(volume.units_for(amount("20"), Amount::ZERO), Some(10.into()));
        assert_eq!(volume.units_for(amount("55"), Amount::ZERO), Some(11.into()));
    }

    #[test]
    fn free_units_are_unbounded() {
        assert_eq!(Curve::Flat(Amount::ZERO).units_for(Amount::ONE, Amount::ZERO), Some(Amount::UNBOUNDED));
        let tiered = curve(PricingModel::Tiered, &[("10", "1"), ("open", "0")]);
        assert_eq!(tiered.units_for(amount("9"), Amount::ZERO), Some(9.into()));
        assert_eq!(tiered.units_for(amount("10"), Amount::ZERO), Some(Amount::UNBOUNDED));
    }
}
