//! Exact amounts: quantities of credits and money.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::ser::{Serialize, Serializer};

/// An exact decimal: a quantity in some credit's unit, or money in runes.
///
/// 96-bit mantissa, up to 28 decimal places, magnitude below about 7.9e28. Arithmetic is checked: what leaves the
/// range is `None`, never a wrapped or rounded-away number. Two amounts are compared exactly by `==` and `<`;
/// decisions compare at [`Amount::EPSILON`] through [`Amount::at_most`].
///
/// As JSON an amount is a number when a double carries all its digits, otherwise a string of its digits, so that a
/// snapshot never loses one.
///
/// ```
/// use limitr::Amount;
/// let third: Amount = "0.1".parse()?;
/// assert_eq!(third.checked_add("0.2".parse()?), Some("0.3".parse()?));
/// # Ok::<(), limitr::AmountError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Amount(pub(crate) Decimal);

/// Text or a number that is not a finite amount in range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a number in the range of an amount")]
pub struct AmountError(pub(crate) String);

impl Amount {
    /// Zero.
    pub const ZERO: Self = Self(Decimal::ZERO);
    /// One.
    pub const ONE: Self = Self(Decimal::ONE);
    /// Deciding comparisons treat amounts this close (1e-9) as equal.
    pub const EPSILON: Self = Self(Decimal::from_parts(1, 0, 0, false, 9));
    /// What "unbounded" reads as: 1e15.
    pub const UNBOUNDED: Self = Self(Decimal::from_parts(0xA4C6_8000, 0x0003_8D7E, 0, false, 0));
    /// The largest amount.
    pub const MAX: Self = Self(Decimal::MAX);

    /// The exact amount that the shortest text of `value` names; `None` for NaN, infinities and magnitudes out of range.
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Self> {
        // Whole numbers, the common case from JSON and JavaScript, need no text.
        const WHOLE: f64 = 9_007_199_254_740_992.0;
        if value.abs() < WHOLE && value.fract() == 0.0 {
            #[allow(clippy::cast_possible_truncation)]
            return Some(Self(Decimal::from(value as i64)));
        }
        if !value.is_finite() || value.abs() >= 8e28 {
            return None;
        }
        Decimal::from_str(&value.to_string()).ok().map(|amount| Self(amount.normalize()))
    }

    /// The nearest double.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        // Division of two exactly represented numbers is correctly rounded, and the same on every platform.
        const EXACT: u64 = 1 << 53;
        if let Some((mantissa, scale)) = self.small().filter(|(mantissa, _)| mantissa.unsigned_abs() <= EXACT) {
            #[allow(clippy::cast_precision_loss)]
            let mantissa = mantissa as f64;
            if let Some(power) = POWERS.get(scale as usize) {
                return if scale == 0 { mantissa } else { mantissa / power };
            }
        }
        self.0.to_string().parse().unwrap_or(0.0)
    }

    /// `self + other`, or `None` out of range.
    #[must_use]
    #[inline]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if let Some((one, two, scale)) = self.aligned(other) {
            return Some(Self::from_small(one + two, scale));
        }
        self.0.checked_add(other.0).map(Self)
    }

    /// `self - other`, or `None` out of range.
    #[must_use]
    #[inline]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        if let Some((one, two, scale)) = self.aligned(other) {
            return Some(Self::from_small(one - two, scale));
        }
        self.0.checked_sub(other.0).map(Self)
    }

    /// `self x other`, rounded to 28 places where exact digits do not fit, or `None` out of range.
    #[must_use]
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        if let (Some((one, scale)), Some((two, other_scale))) = (self.small(), other.small()) {
            let product = one.checked_mul(two).filter(|product| product.unsigned_abs() <= SMALL);
            if let Some(product) = product.filter(|_| scale + other_scale <= 28) {
                return Some(Self::from_small(product, scale + other_scale));
            }
        }
        self.0.checked_mul(other.0).map(Self)
    }

    /// `self / other`, rounded to 28 places, or `None` when `other` is zero or the result is out of range.
    #[must_use]
    pub fn checked_div(self, other: Self) -> Option<Self> {
        if other == Self::ONE {
            return Some(self);
        }
        self.0.checked_div(other.0).map(Self)
    }

    /// `self + other`, held at the ends of the range.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        self.checked_add(other).unwrap_or_else(|| Self(self.0.saturating_add(other.0)))
    }

    /// `self - other`, held at the ends of the range.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        self.checked_sub(other).unwrap_or_else(|| Self(self.0.saturating_sub(other.0)))
    }

    /// `self x other`, held at the ends of the range.
    #[must_use]
    pub fn saturating_mul(self, other: Self) -> Self {
        Self(self.0.saturating_mul(other.0))
    }

    /// Mantissa and scale, where the mantissa is small enough for integer arithmetic: nearly always.
    #[inline]
    fn small(self) -> Option<(i64, u32)> {
        let parts = self.0.unpack();
        if parts.hi != 0 || parts.mid >> 30 != 0 {
            return None;
        }
        let mantissa = i64::from(parts.mid) << 32 | i64::from(parts.lo);
        Some((if parts.negative { -mantissa } else { mantissa }, parts.scale))
    }

    /// Two small mantissas at one scale. Their sum fits an `i64`.
    #[inline]
    fn aligned(self, other: Self) -> Option<(i64, i64, u32)> {
        let ((one, scale), (two, other_scale)) = (self.small()?, other.small()?);
        if scale == other_scale {
            return Some((one, two, scale));
        }
        let grown = |mantissa: i64, by: u32| {
            let factor = TENS.get(by as usize)?;
            mantissa.checked_mul(*factor).filter(|grown| grown.unsigned_abs() <= SMALL)
        };
        if scale < other_scale {
            Some((grown(one, other_scale - scale)?, two, other_scale))
        } else {
            Some((one, grown(two, scale - other_scale)?, scale))
        }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    fn from_small(mantissa: i64, scale: u32) -> Self {
        let magnitude = mantissa.unsigned_abs();
        Self(Decimal::from_parts(magnitude as u32, (magnitude >> 32) as u32, 0, mantissa < 0, scale))
    }

    /// Whether this is 0.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// Whether this is above 0.
    #[must_use]
    pub fn is_positive(self) -> bool {
        !self.0.is_sign_negative() && !self.0.is_zero()
    }

    /// Whether this is below 0.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.0.is_sign_negative() && !self.0.is_zero()
    }

    /// Whether this is 0, below 0, or so close above 0 (1e-9) that a decision takes it for 0.
    #[must_use]
    #[inline]
    pub fn is_spent(self) -> bool {
        !self.is_positive() || self <= Self::EPSILON
    }

    /// Whether a decision takes this for 0: its magnitude is at most 1e-9.
    pub(crate) fn is_negligible(self) -> bool {
        Self(self.0.abs()).is_spent()
    }

    /// `self <= bound`, taking amounts within 1e-9 as equal.
    #[must_use]
    pub fn at_most(self, bound: Self) -> bool {
        self <= bound || self.saturating_sub(bound) <= Self::EPSILON
    }

    /// `self < bound`, taking amounts within 1e-9 as equal.
    #[must_use]
    pub fn below(self, bound: Self) -> bool {
        self < bound && bound.saturating_sub(self) > Self::EPSILON
    }

    /// This, or 0 when negative.
    #[must_use]
    pub fn or_zero(self) -> Self {
        if self.0.is_sign_negative() { Self::ZERO } else { self }
    }

    /// Rounded to nine decimals, half to even: how results and event numbers are given.
    #[must_use]
    pub fn rounded(self) -> Self {
        if self.0.scale() <= 9 {
            return self;
        }
        Self(self.0.round_dp_with_strategy(9, RoundingStrategy::MidpointNearestEven).normalize())
    }

    /// The whole part, toward zero.
    #[must_use]
    pub fn truncated(self) -> Self {
        if self.0.scale() == 0 { self } else { Self(self.0.trunc()) }
    }

    /// As a whole number of ms and the like; none when it does not fit.
    pub(crate) fn to_i64(self) -> Option<i64> {
        i64::try_from(self.truncated().0.mantissa()).ok()
    }

    /// Writes a JSON number, the nearest double where no shorter form is exact: for results that are read, not stored.
    pub(crate) fn serialize_number<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_json_integer() {
            Some(whole) => serializer.serialize_i64(whole),
            None => serializer.serialize_f64(self.to_f64()),
        }
    }

    /// As an integer that JavaScript holds exactly too (up to 2^53).
    fn as_json_integer(self) -> Option<i64> {
        let amount = if self.0.scale() == 0 { self.0 } else { self.0.normalize() };
        if amount.scale() != 0 {
            return None;
        }
        i64::try_from(amount.mantissa()).ok().filter(|whole| whole.unsigned_abs() <= 1 << 53)
    }
}

/// Mantissas up to here (62 bits) take the short way: the sum of two still fits an `i64`.
const SMALL: u64 = (1 << 62) - 1;

/// Powers of ten by which small mantissas are brought to one scale.
const TENS: [i64; 13] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
    100_000_000_000,
    1_000_000_000_000,
];

impl PartialOrd for Amount {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Amount {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        match self.aligned(*other) {
            Some((one, two, _)) => one.cmp(&two),
            None => self.0.cmp(&other.0),
        }
    }
}

const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.normalize(), f)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let text = text.trim();
        let parsed = if text.contains(['e', 'E']) {
            crate::policy::parse_number(text)
        } else {
            Decimal::from_str(text).ok().map(|amount| Self(amount.normalize()))
        };
        parsed.ok_or_else(|| AmountError(text.to_owned()))
    }
}

macro_rules! from_integer {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Amount {
            fn from(value: $integer) -> Self {
                Self(Decimal::from(value))
            }
        }
    )*};
}
from_integer!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(whole) = self.as_json_integer() {
            return serializer.serialize_i64(whole);
        }
        let double = self.to_f64();
        if Self::from_f64(double) == Some(*self) {
            return serializer.serialize_f64(double);
        }
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_i64<E>(self, value: i64) -> Result<Amount, E> {
                Ok(value.into())
            }

            fn visit_u64<E>(self, value: u64) -> Result<Amount, E> {
                Ok(value.into())
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Amount, E> {
                Amount::from_f64(value).ok_or_else(|| E::custom(AmountError(value.to_string())))
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Amount, E> {
                value.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Reader).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    #[test]
    fn unbounded_is_1e15() {
        assert_eq!(Amount::UNBOUNDED, amount("1000000000000000"));
        assert_eq!(Amount::EPSILON, amount("0.000000001"));
    }

    #[test]
    fn doubles_keep_their_shortest_digits() {
        for text in ["0.1", "54545.454545454544", "1e-9", "123456789.12345679", "-2.5", "0"] {
            let double: f64 = text.parse().unwrap();
            assert_eq!(Amount::from_f64(double), Some(amount(text)), "{text}");
            assert!((amount(text).to_f64() - double).abs() == 0.0, "{text}");
        }
        for double in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e29, f64::MAX] {
            assert_eq!(Amount::from_f64(double), None, "{double}");
        }
        assert_eq!(Amount::from_f64(-0.0), Some(Amount::ZERO));
    }

    #[test]
    fn json_loses_no_digit() {
        for (text, json) in [
            ("5", "5"),
            ("5.0", "5"),
            ("0.3", "0.3"),
            ("9007199254740993", "\"9007199254740993\""),
            ("0.3333333333333333333333333333", "\"0.3333333333333333333333333333\""),
        ] {
            assert_eq!(serde_json::to_string(&amount(text)).unwrap(), json);
            assert_eq!(serde_json::from_str::<Amount>(json).unwrap(), amount(text));
        }
    }

    #[test]
    fn the_short_way_and_the_long_way_agree() {
        let texts = [
            "0",
            "1",
            "-1",
            "0.1",
            "-0.000003",
            "123456.789",
            "4611686018427387903",
            "4611686018427387904",
            "-4611686018427387903",
            "9223372036854775807",
            "0.0000000000000000000000000001",
            "7922816251426433759354395033",
        ];
        for one in texts.map(amount) {
            for two in texts.map(amount) {
                assert_eq!(one.checked_add(two), one.0.checked_add(two.0).map(Amount), "{one} + {two}");
                assert_eq!(one.checked_sub(two), one.0.checked_sub(two.0).map(Amount), "{one} - {two}");
                assert_eq!(one.checked_mul(two), one.0.checked_mul(two.0).map(Amount), "{one} x {two}");
                assert_eq!(one.cmp(&two), one.0.cmp(&two.0), "{one} <=> {two}");
            }
        }
    }

    #[test]
    fn comparisons_decide_at_a_billionth() {
        assert!(amount("1.000000001").at_most(amount("1")));
        assert!(!amount("1.0000000011").at_most(amount("1")));
        assert!(!amount("0.9999999999").below(amount("1")));
        assert!(amount("0.99").below(amount("1")));
    }

    #[test]
    fn a_mantissa_of_64_bits_has_no_sign_bit() {
        let large = amount("18446744073709551615");
        assert!(large > Amount::ZERO);
        assert_eq!(large.checked_add(Amount::ONE), Some(amount("18446744073709551616")));
        assert_eq!(amount("1.4000000000000000001").checked_mul(2.into()), Some(amount("2.8000000000000000002")));
    }

    #[test]
    fn results_round_half_to_even_at_nine_decimals() {
        assert_eq!(amount("0.0000000005").rounded(), Amount::ZERO);
        assert_eq!(amount("0.0000000015").rounded(), amount("0.000000002"));
    }
}
