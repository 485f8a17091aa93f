//! Exact amounts: quantities of credits and money.

mod text;

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU64;
use std::str::FromStr as _;

use rust_decimal::{Decimal, RoundingStrategy};

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
// Nearly every amount has a mantissa of at most 62 bits: it is kept as an integer, so that sums and comparisons of two at
// one scale are a handful of instructions. Larger ones are kept as the parts of a `Decimal`, which does their arithmetic.
// Two words, and one of them never 0: amounts and optional amounts travel in registers.
#[derive(Clone, Copy)]
pub struct Amount {
    /// The mantissa; of a large amount the low 64 bits of its magnitude.
    mantissa: i64,
    shape: Shape,
}

/// What the mantissa is to be taken for. An amount that can be small is.
///
/// Bit 0 is set, bit 1 says large, bit 2 says large and negative, bits 8 to 15 are the scale, the upper half is the high
/// 32 bits of a large magnitude.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape(NonZeroU64);

impl Shape {
    const LARGE: u64 = 1 << 1;
    const NEGATIVE: u64 = 1 << 2;
    const WHOLE: Self = Self::of(0);

    #[inline]
    const fn of(bits: u64) -> Self {
        match NonZeroU64::new(bits | 1) {
            Some(bits) => Self(bits),
            None => Self(NonZeroU64::MIN),
        }
    }

    #[inline]
    const fn small(scale: u8) -> Self {
        Self::of((scale as u64) << 8)
    }

    const fn large(negative: bool, scale: u8, high: u32) -> Self {
        let sign = if negative { Self::NEGATIVE } else { 0 };
        Self::of(Self::LARGE | sign | (scale as u64) << 8 | (high as u64) << 32)
    }

    #[inline]
    const fn is_small(self) -> bool {
        self.0.get() & Self::LARGE == 0
    }

    #[inline]
    const fn is_negative(self) -> bool {
        self.0.get() & Self::NEGATIVE != 0
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    const fn scale(self) -> u8 {
        (self.0.get() >> 8) as u8
    }

    #[allow(clippy::cast_possible_truncation)]
    const fn high(self) -> u32 {
        (self.0.get() >> 32) as u32
    }
}

/// Text or a number that is not a finite amount in range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a number in the range of an amount")]
pub struct AmountError(pub(crate) String);

impl Amount {
    /// Zero.
    pub const ZERO: Self = Self::small(0, 0);
    /// One.
    pub const ONE: Self = Self::small(1, 0);
    /// Deciding comparisons treat amounts this close (1e-9) as equal.
    pub const EPSILON: Self = Self::small(1, 9);
    /// What "unbounded" reads as: 1e15.
    pub const UNBOUNDED: Self = Self::small(1_000_000_000_000_000, 0);
    /// The largest amount.
    pub const MAX: Self = Self { mantissa: -1, shape: Shape::large(false, 0, u32::MAX) };

    #[inline]
    const fn small(mantissa: i64, scale: u8) -> Self {
        Self { mantissa, shape: Shape::small(scale) }
    }

    /// An amount of any `i64` mantissa.
    #[inline]
    const fn of(mantissa: i64, scale: u8) -> Self {
        if mantissa.unsigned_abs() <= SMALL { Self::small(mantissa, scale) } else { Self::beyond(mantissa, scale) }
    }

    #[cold]
    const fn beyond(mantissa: i64, scale: u8) -> Self {
        Self { mantissa: mantissa.unsigned_abs().cast_signed(), shape: Shape::large(mantissa < 0, scale, 0) }
    }

    #[inline]
    const fn is_small(self) -> bool {
        self.shape.is_small()
    }

    #[inline]
    const fn scale(self) -> u8 {
        self.shape.scale()
    }

    /// As the general decimal that does what integers cannot.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) const fn decimal(self) -> Decimal {
        let magnitude = if self.is_small() { self.mantissa.unsigned_abs() } else { self.mantissa.cast_unsigned() };
        let (low, middle) = (magnitude as u32, (magnitude >> 32) as u32);
        Decimal::from_parts(low, middle, self.shape.high(), self.is_negative(), self.scale() as u32)
    }

    /// The exact amount that the shortest text of `value` names; `None` for NaN, infinities and magnitudes out of range.
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Self> {
        // Whole numbers, the common case from JSON and JavaScript, need no text.
        const WHOLE: f64 = 9_007_199_254_740_992.0;
        if value.abs() < WHOLE && value.fract() == 0.0 {
            #[allow(clippy::cast_possible_truncation)]
            return Some(Self::small(value as i64, 0));
        }
        if !value.is_finite() || value.abs() >= 8e28 {
            return None;
        }
        // Decimals of 15 digits are further apart than doubles: the one that reads as this double is its shortest text.
        for (scale, power) in (0_u8..).zip(POWERS).skip(1).take(PLACES) {
            let mantissa = (value * power).round();
            if mantissa.abs() >= FIFTEEN_DIGITS {
                break;
            }
            #[allow(clippy::float_cmp)]
            if mantissa / power == value {
                #[allow(clippy::cast_possible_truncation)]
                return Some(Self::small(mantissa as i64, scale));
            }
        }
        Decimal::from_str(&value.to_string()).ok().map(|amount| amount.normalize().into())
    }

    /// The exact amount of a number in JSON; `None` out of range.
    pub(crate) fn from_json(number: &serde_json::Number) -> Option<Self> {
        let whole = number.as_i64().map(Self::from).or_else(|| number.as_u64().map(Self::from));
        whole.or_else(|| number.as_f64().and_then(Self::from_f64))
    }

    /// The nearest double.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        // Division of two exactly represented numbers is correctly rounded, and the same on every platform.
        const EXACT: u64 = 1 << 53;
        if self.is_small() && self.mantissa.unsigned_abs() <= EXACT {
            #[allow(clippy::cast_precision_loss)]
            let mantissa = self.mantissa as f64;
            if let Some(power) = POWERS.get(usize::from(self.scale())) {
                return if self.scale() == 0 { mantissa } else { mantissa / power };
            }
        }
        self.decimal().to_string().parse().unwrap_or(0.0)
    }

    /// `self + other`, or `None` out of range.
    #[must_use]
    #[inline]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        match self.aligned(other) {
            // Two of 62 bits and a sign: the sum fits.
            Some((one, two, scale)) => Some(Self::of(one + two, scale)),
            None => long_way(self, other, Decimal::checked_add),
        }
    }

    /// `self - other`, or `None` out of range.
    #[must_use]
    #[inline]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        match self.aligned(other) {
            Some((one, two, scale)) => Some(Self::of(one - two, scale)),
            None => long_way(self, other, Decimal::checked_sub),
        }
    }

    /// `self x other`, rounded to 28 places where exact digits do not fit, or `None` out of range.
    #[must_use]
    #[inline]
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        let scale = self.scale() + other.scale();
        if self.is_small()
            && other.is_small()
            && scale <= MAX_SCALE
            && let Some(product) = self.mantissa.checked_mul(other.mantissa)
            && product.unsigned_abs() <= SMALL
        {
            return Some(Self::small(product, scale));
        }
        long_way(self, other, Decimal::checked_mul)
    }

    /// `self / other`, rounded to 28 places, or `None` when `other` is zero or the result is out of range.
    #[must_use]
    pub fn checked_div(self, other: Self) -> Option<Self> {
        if other == Self::ONE {
            return Some(self);
        }
        long_way(self, other, Decimal::checked_div)
    }

    /// `self + other`, held at the ends of the range.
    #[must_use]
    #[inline]
    pub fn saturating_add(self, other: Self) -> Self {
        self.checked_add(other).unwrap_or_else(|| Self::end(self.is_negative()))
    }

    /// `self - other`, held at the ends of the range.
    #[must_use]
    #[inline]
    pub fn saturating_sub(self, other: Self) -> Self {
        self.checked_sub(other).unwrap_or_else(|| Self::end(self.is_negative()))
    }

    /// `self x other`, held at the ends of the range.
    #[must_use]
    #[inline]
    pub fn saturating_mul(self, other: Self) -> Self {
        self.checked_mul(other).unwrap_or_else(|| Self::end(self.is_negative() != other.is_negative()))
    }

    /// The end of the range that a result out of it lies beyond.
    const fn end(negative: bool) -> Self {
        Self { mantissa: -1, shape: Shape::large(negative, 0, u32::MAX) }
    }

    /// The mantissas of two small amounts at one scale.
    #[inline]
    fn aligned(self, other: Self) -> Option<(i64, i64, u8)> {
        if self.shape == other.shape && self.is_small() {
            return Some((self.mantissa, other.mantissa, self.scale()));
        }
        self.rescaled(other)
    }

    /// [`Self::aligned`] for two amounts of different scales.
    fn rescaled(self, other: Self) -> Option<(i64, i64, u8)> {
        if !self.is_small() || !other.is_small() {
            return None;
        }
        let grown = |mantissa: i64, by: u8| {
            let factor = TENS.get(usize::from(by))?;
            mantissa.checked_mul(*factor).filter(|grown| grown.unsigned_abs() <= SMALL)
        };
        let (scale, other_scale) = (self.scale(), other.scale());
        match other_scale.checked_sub(scale) {
            Some(by) => Some((grown(self.mantissa, by)?, other.mantissa, other_scale)),
            None => Some((self.mantissa, grown(other.mantissa, scale - other_scale)?, scale)),
        }
    }

    /// Whether this is 0.
    #[must_use]
    #[inline]
    pub const fn is_zero(self) -> bool {
        // What is large is not 0.
        self.is_small() && self.mantissa == 0
    }

    /// Whether this is above 0.
    #[must_use]
    #[inline]
    pub const fn is_positive(self) -> bool {
        if self.is_small() { self.mantissa > 0 } else { !self.shape.is_negative() }
    }

    /// Whether this is below 0.
    #[must_use]
    #[inline]
    pub const fn is_negative(self) -> bool {
        if self.is_small() { self.mantissa < 0 } else { self.shape.is_negative() }
    }

    /// Whether this is 0, below 0, or so close above 0 (1e-9) that a decision takes it for 0.
    #[must_use]
    #[inline]
    pub fn is_spent(self) -> bool {
        !self.is_positive() || self <= Self::EPSILON
    }

    /// Whether a decision takes this for 0: its magnitude is at most 1e-9.
    pub(crate) fn is_negligible(self) -> bool {
        let magnitude = if self.is_negative() { Self::ZERO.saturating_sub(self) } else { self };
        magnitude.is_spent()
    }

    /// `self <= bound`, taking amounts within 1e-9 as equal.
    #[must_use]
    #[inline]
    pub fn at_most(self, bound: Self) -> bool {
        self <= bound || self.saturating_sub(bound) <= Self::EPSILON
    }

    /// `self < bound`, taking amounts within 1e-9 as equal.
    #[must_use]
    #[inline]
    pub fn below(self, bound: Self) -> bool {
        self < bound && bound.saturating_sub(self) > Self::EPSILON
    }

    /// This, or 0 when negative.
    #[must_use]
    #[inline]
    pub const fn or_zero(self) -> Self {
        if self.is_negative() { Self::ZERO } else { self }
    }

    /// Rounded to nine decimals, half to even: how results and event numbers are given.
    #[must_use]
    #[inline]
    pub fn rounded(self) -> Self {
        if self.scale() <= 9 { self } else { self.rounded_to_nine() }
    }

    fn rounded_to_nine(self) -> Self {
        self.decimal().round_dp_with_strategy(9, RoundingStrategy::MidpointNearestEven).normalize().into()
    }

    /// The whole part, toward zero.
    #[must_use]
    pub fn truncated(self) -> Self {
        if self.scale() == 0 { self } else { self.decimal().trunc().into() }
    }

    /// Without zeros at its end.
    pub(crate) fn normalized(self) -> Self {
        self.decimal().normalize().into()
    }

    /// As a whole number of ms and the like; none when it does not fit.
    pub(crate) fn to_i64(self) -> Option<i64> {
        i64::try_from(self.truncated().decimal().mantissa()).ok()
    }
}

// Out of line, and for every operation one: what it is called from stays small.
#[cold]
#[inline(never)]
fn long_way(one: Amount, two: Amount, operation: fn(Decimal, Decimal) -> Option<Decimal>) -> Option<Amount> {
    operation(one.decimal(), two.decimal()).map(Amount::from)
}

impl From<Decimal> for Amount {
    fn from(decimal: Decimal) -> Self {
        let parts = decimal.unpack();
        let magnitude = u64::from(parts.mid) << 32 | u64::from(parts.lo);
        // At most 28.
        #[allow(clippy::cast_possible_truncation)]
        let scale = parts.scale as u8;
        let magnitude = magnitude.cast_signed();
        if parts.hi == 0 && magnitude.unsigned_abs() <= SMALL && magnitude >= 0 {
            return Self::small(if parts.negative { -magnitude } else { magnitude }, scale);
        }
        Self { mantissa: magnitude, shape: Shape::large(parts.negative, scale, parts.hi) }
    }
}

/// The most decimal places a [`Decimal`] has.
const MAX_SCALE: u8 = 28;

/// Decimal places up to which a double's digits are looked for by arithmetic, which is faster than by its text.
const PLACES: usize = 12;
const FIFTEEN_DIGITS: f64 = 1e15;

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

impl Default for Amount {
    fn default() -> Self {
        Self::ZERO
    }
}

impl PartialEq for Amount {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Amount {}

impl Hash for Amount {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Equal amounts of different scales have one hash.
        self.decimal().hash(state);
    }
}

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
            None => compare_long(*self, *other),
        }
    }
}

#[cold]
#[inline(never)]
fn compare_long(one: Amount, two: Amount) -> Ordering {
    one.decimal().cmp(&two.decimal())
}

const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

impl From<i64> for Amount {
    #[inline]
    fn from(value: i64) -> Self {
        Self::of(value, 0)
    }
}

macro_rules! from_integers {
    (narrow: $($narrow:ty),*; wide: $($wide:ty),*) => {
        $(impl From<$narrow> for Amount {
            #[inline]
            fn from(value: $narrow) -> Self {
                i64::from(value).into()
            }
        })*
        $(impl From<$wide> for Amount {
            #[inline]
            fn from(value: $wide) -> Self {
                i64::try_from(value).map_or_else(|_| Decimal::from(value).into(), Self::from)
            }
        })*
    };
}
from_integers!(narrow: i8, i16, i32, u8, u16, u32; wide: isize, u64, usize);

#[cfg(test)]
mod tests;
