//! What quantities are worth: price curves of single credits, and the exchange between credits and money.
//!
//! Pure arithmetic on [`crate::Amount`]; `None` everywhere means "out of range" or "not convertible", never a guess.

mod curve;
mod exchange;

pub(crate) use curve::Curve;
pub(crate) use exchange::{CurrencyId, Exchange};
