//! Sums of rollups. They are exact: what leaves the range of amounts is an error, never a number that is nearly right.

use axum::http::StatusCode;
use limitr::Amount;
use sqlx::FromRow;

use crate::http::problem::Problem;

/// One row of the rollups.
#[derive(FromRow)]
pub(super) struct Row {
    pub(super) day: i64,
    pub(super) customer: String,
    pub(super) plan: String,
    pub(super) entitlement: String,
    pub(super) credit: String,
    calls: i64,
    units: String,
    overhead: String,
    price: String,
    charge: String,
    covered: String,
    overage: String,
}

/// What rows add up to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sums {
    pub(super) calls: i64,
    /// Runes.
    pub(super) overhead: Amount,
    pub(super) price: Amount,
    pub(super) charge: Amount,
    pub(super) units: Units,
}

/// Units of different credits do not add up.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Units {
    #[default]
    None,
    Of {
        credit: String,
        units: Amount,
        covered: Amount,
        overage: Amount,
    },
    Mixed,
}

/// A number of a group, to sort by; none where it has none.
pub(super) type Measure = fn(&Sums) -> Option<Amount>;

impl Sums {
    pub(super) fn add(&mut self, row: &Row) -> Result<(), Problem> {
        self.calls = self.calls.checked_add(row.calls).ok_or_else(out_of_range)?;
        for (sum, text) in
            [(&mut self.overhead, &row.overhead), (&mut self.price, &row.price), (&mut self.charge, &row.charge)]
        {
            add(sum, text)?;
        }
        self.units.add(row)
    }

    /// What is left of the revenue.
    pub(super) fn margin(&self) -> Option<Amount> {
        self.price.checked_sub(self.overhead)
    }

    /// That in percent of the revenue; none without any.
    pub(super) fn margin_pct(&self) -> Option<Amount> {
        self.margin()?.checked_mul(100.into())?.checked_div(self.price).map(Amount::rounded)
    }

    pub(super) fn units(&self) -> Option<Amount> {
        match &self.units {
            Units::Of { units, .. } => Some(*units),
            Units::None | Units::Mixed => None,
        }
    }
}

impl Units {
    fn add(&mut self, row: &Row) -> Result<(), Problem> {
        if matches!(self, Self::None) {
            let zero = Amount::ZERO;
            *self = Self::Of { credit: row.credit.clone(), units: zero, covered: zero, overage: zero };
        }
        match self {
            Self::Of { credit, units, covered, overage } if *credit == row.credit => {
                for (sum, text) in [(units, &row.units), (covered, &row.covered), (overage, &row.overage)] {
                    add(sum, text)?;
                }
            }
            _ => *self = Self::Mixed,
        }
        Ok(())
    }
}

fn add(sum: &mut Amount, text: &str) -> Result<(), Problem> {
    let amount: Amount = text.parse().map_err(|_| Problem::internal(&"a stored amount is none"))?;
    *sum = sum.checked_add(amount).ok_or_else(out_of_range)?;
    Ok(())
}

pub(super) fn out_of_range() -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "out_of_range", "a sum leaves the range of amounts")
        .hint("ask for fewer days, or group by more")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(credit: &str, amount: &str) -> Row {
        let text = || amount.to_owned();
        Row {
            day: 0,
            customer: String::new(),
            plan: String::new(),
            entitlement: String::new(),
            credit: credit.to_owned(),
            calls: 1,
            units: text(),
            overhead: text(),
            price: text(),
            charge: text(),
            covered: text(),
            overage: text(),
        }
    }

    #[test]
    fn sums_are_exact() {
        let mut sums = Sums::default();
        for _ in 0..10 {
            sums.add(&row("a", "0.1")).unwrap();
        }
        assert_eq!(sums.price, Amount::ONE);
        assert_eq!(sums.units(), Some(Amount::ONE));
        assert_eq!((sums.calls, sums.margin(), sums.margin_pct()), (10, Some(Amount::ZERO), Some(Amount::ZERO)));
    }

    #[test]
    fn units_of_two_credits_are_no_sum() {
        let mut sums = Sums::default();
        sums.add(&row("a", "1")).unwrap();
        sums.add(&row("b", "1")).unwrap();
        sums.add(&row("a", "1")).unwrap();
        assert_eq!((sums.units(), sums.price), (None, 3.into()));
    }

    #[test]
    fn what_leaves_the_range_is_an_error() {
        let mut sums = Sums::default();
        sums.add(&row("a", &Amount::MAX.to_string())).unwrap();
        assert_eq!(sums.add(&row("a", "1")).unwrap_err().status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(Sums::default().add(&row("a", "?")).unwrap_err().status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn without_revenue_there_is_no_percentage() {
        assert_eq!(Sums::default().margin_pct(), None);
    }
}
