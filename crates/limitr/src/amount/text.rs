//! Amounts as text and as JSON.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::ser::{Serialize, Serializer};

use super::{Amount, AmountError, Shape};

impl Amount {
    /// Writes a JSON number, the nearest double where no shorter form is exact: for results that are read, not stored.
    pub(crate) fn serialize_number<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_json_integer() {
            Some(whole) => serializer.serialize_i64(whole),
            None => serializer.serialize_f64(self.to_f64()),
        }
    }

    /// As an integer that JavaScript holds exactly too (up to 2^53).
    fn as_json_integer(self) -> Option<i64> {
        let amount = if self.scale() == 0 { self } else { self.normalized() };
        let whole = amount.shape == Shape::WHOLE && amount.mantissa.unsigned_abs() <= 1 << 53;
        whole.then_some(amount.mantissa)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.decimal().normalize(), f)
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
            Decimal::from_str(text).ok().map(|amount| amount.normalize().into())
        };
        parsed.ok_or_else(|| AmountError(text.to_owned()))
    }
}

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
