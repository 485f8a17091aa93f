//! What a call asks for and what it is told.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::fields::Fields;
use crate::policy::{Choice, Measure, Unit};
use crate::{Amount, Error};

/// Why a call was denied. In order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Denial {
    /// No customer has this id or alternate id.
    UnknownCustomer,
    /// The customer's plan does not have the entitlement, or no plan applies.
    UnknownEntitlement,
    /// The entitlement counts on another type of customer, and no ref leads to one.
    NoScopeCustomer,
    /// The amount is not a number, has a unit of another dimension, or leaves the range of amounts.
    InvalidValue,
    /// A cap has no room for the call.
    Cap,
    /// The governor's bucket has too few tokens.
    Governor,
    /// The limit is reached and grants do not cover the rest.
    Limit,
    /// The engine is not connected to its server and decides conservatively.
    Disconnected,
}

impl Denial {
    /// Its stable name, as in events and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownCustomer => "unknown_customer",
            Self::UnknownEntitlement => "unknown_entitlement",
            Self::NoScopeCustomer => "no_scope_customer",
            Self::InvalidValue => "invalid_value",
            Self::Cap => "cap",
            Self::Governor => "governor",
            Self::Limit => "limit",
            Self::Disconnected => "disconnected",
        }
    }
}

impl Choice for Denial {
    const WHAT: &'static str = "denial";
    const ALL: &'static [(&'static str, Self)] = &[
        (Self::UnknownCustomer.name(), Self::UnknownCustomer),
        (Self::UnknownEntitlement.name(), Self::UnknownEntitlement),
        (Self::NoScopeCustomer.name(), Self::NoScopeCustomer),
        (Self::InvalidValue.name(), Self::InvalidValue),
        (Self::Cap.name(), Self::Cap),
        (Self::Governor.name(), Self::Governor),
        (Self::Limit.name(), Self::Limit),
        (Self::Disconnected.name(), Self::Disconnected),
    ];
}

impl std::fmt::Display for Denial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The outcome of a call.
///
/// ```
/// # use limitr::{Denial, Limitr, NewCustomer};
/// # let limitr = Limitr::from_yaml("policy: {credits: {c: {}}, plans: {free: {default: true, entitlements: {api: {limit: {credit: c, value: 10}}}}}}")?;
/// # limitr.create_customer(NewCustomer::new("c1"))?;
/// let decision = limitr.allow("c1", "api", 11);
/// assert!(!decision.allowed);
/// assert_eq!(decision.reason, Some(Denial::Limit));
/// assert_eq!(decision.remaining, Some(10.into()));
/// # Ok::<(), limitr::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[must_use = "a denied call must not go ahead"]
pub struct Decision {
    /// Whether the call may go ahead (and has been metered).
    pub allowed: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Denial>,
    /// What is left of the limit in the credit's unit, without grants; negative past a soft limit, none for feature
    /// flags and observed limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining: Option<Amount>,
    /// When the limit's period ends, ms since 1970; none when it does not reset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<i64>,
    /// In how many ms the same call may pass, as far as time alone decides that; none when it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<i64>,
    /// Units metered, in the credit's unit; 0 when denied.
    pub metered: Amount,
    /// Units past the limit to bill, after grants; 0 when denied.
    pub overage: Amount,
    /// Units that grants covered; 0 when denied.
    pub covered: Amount,
}

impl Decision {
    /// Reads a decision of a snapshot.
    pub(crate) fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let decision = Self {
            allowed: fields.required("allowed").flag().unwrap_or_default(),
            reason: fields.optional("reason").choice(),
            remaining: fields.optional("remaining").amount(),
            resets_at: fields.optional("resets_at").whole(),
            retry_after: fields.optional("retry_after").whole(),
            metered: fields.given("metered").amount().unwrap_or_default(),
            overage: fields.given("overage").amount().unwrap_or_default(),
            covered: fields.given("covered").amount().unwrap_or_default(),
        };
        fields.finish().map(|()| decision)
    }

    /// A call that was denied before any limit was looked at.
    ///
    /// ```
    /// use limitr::{Decision, Denial};
    ///
    /// let decision = Decision::denied(Denial::Disconnected);
    /// assert!(!decision.allowed && decision.remaining.is_none());
    /// ```
    pub const fn denied(reason: Denial) -> Self {
        Self {
            allowed: false,
            reason: Some(reason),
            remaining: None,
            resets_at: None,
            retry_after: None,
            metered: Amount::ZERO,
            overage: Amount::ZERO,
            covered: Amount::ZERO,
        }
    }
}

/// How much: a number, or text with a unit such as `"1.5GB"`.
///
/// Made from integers, `f64`, [`Amount`] and text. What cannot be used (NaN, infinities, text that is no number) is carried
/// along and denies the call with [`Denial::InvalidValue`].
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity<'a>(Inner<'a>);

#[derive(Debug, Clone, PartialEq)]
enum Inner<'a> {
    Number(Amount),
    Text(Cow<'a, str>),
    Unusable(f64),
}

impl Quantity<'_> {
    /// Zero: an access check.
    pub const ZERO: Self = Self(Inner::Number(Amount::ZERO));

    /// The amount in `unit`; none when it cannot be used with it.
    pub(crate) fn in_unit(&self, unit: Unit) -> Option<Amount> {
        let measure = match &self.0 {
            Inner::Number(amount) => Measure::from(*amount),
            Inner::Text(text) => text.parse().ok()?,
            Inner::Unusable(_) => return None,
        };
        measure.in_unit(unit).ok()
    }

    /// The same quantity, owning its text.
    pub(crate) fn canonical(&self) -> String {
        match &self.0 {
            Inner::Number(amount) => amount.to_string(),
            Inner::Text(text) => text.trim().to_owned(),
            Inner::Unusable(number) => number.to_string(),
        }
    }
}

impl Default for Quantity<'_> {
    fn default() -> Self {
        Self::ZERO
    }
}

impl From<Amount> for Quantity<'_> {
    fn from(amount: Amount) -> Self {
        Self(Inner::Number(amount))
    }
}

impl From<f64> for Quantity<'_> {
    fn from(number: f64) -> Self {
        Self(Amount::from_f64(number).map_or(Inner::Unusable(number), Inner::Number))
    }
}

impl<'a> From<&'a str> for Quantity<'a> {
    fn from(text: &'a str) -> Self {
        Self(Inner::Text(text.into()))
    }
}

impl From<String> for Quantity<'_> {
    fn from(text: String) -> Self {
        Self(Inner::Text(text.into()))
    }
}

macro_rules! from_integer {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Quantity<'_> {
            fn from(value: $integer) -> Self {
                Amount::from(value).into()
            }
        }
    )*};
}
from_integer!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_denial_can_be_read() {
        // What serde says of a name that it does not know lists every one it does.
        let error = serde_json::from_value::<Denial>("?".into()).unwrap_err().to_string();
        let names: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
        assert_eq!(Denial::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
    }
}
