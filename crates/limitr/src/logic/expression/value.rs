//! Values while an expression runs. Data from outside is borrowed, never converted as a whole.

use std::cmp::Ordering;
use std::fmt;
use std::rc::Rc;

use serde_json::Value as Json;

use super::eval::{Budget, Spent};
use crate::Amount;

/// A value. Whole numbers and decimals are two types, as in the language; both are exact.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(Amount),
    Text(Text<'a>),
    List(Rc<[Value<'a>]>),
    Map(Rc<[(Value<'a>, Value<'a>)]>),
    /// A list or a map of somebody else's data.
    Json(&'a Json),
    Record(&'a dyn Record),
    /// A type, by name.
    Type(&'static str),
}

/// What looking for a field came to.
#[derive(Debug)]
pub(super) enum Found<'a> {
    Value(Value<'a>),
    Missing,
    /// It is nothing that has fields.
    NoFields,
}

/// Text, borrowed or made here.
#[derive(Debug, Clone)]
pub(crate) enum Text<'a> {
    Borrowed(&'a str),
    Made(Rc<str>),
}

/// Something with fields that are looked up when asked for.
pub(crate) trait Record: fmt::Debug {
    /// A field's value; none where the record does not have it.
    fn field(&self, name: &str) -> Option<Value<'_>>;

    /// The whole record as data, for results and messages.
    fn to_json(&self) -> Json;
}

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Text::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Text::Made(text.into()))
    }
}

impl From<Amount> for Value<'_> {
    fn from(amount: Amount) -> Self {
        Self::Double(amount)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<'a> Value<'a> {
    /// Data as a value; numbers are decimals. None for a number beyond them.
    pub(crate) fn of(data: &'a Json) -> Option<Self> {
        Some(match data {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Double(Amount::from_json(number)?),
            Json::String(text) => text.as_str().into(),
            Json::Array(_) | Json::Object(_) => Self::Json(data),
        })
    }

    /// As [`Value::of`], of data that is nobody else's.
    pub(crate) fn owned(data: Json) -> Option<Self> {
        Some(match data {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => Self::Double(Amount::from_json(&number)?),
            Json::String(text) => text.into(),
            Json::Array(items) => Self::List(items.into_iter().map(Self::owned).collect::<Option<_>>()?),
            Json::Object(fields) => {
                let entry = |(name, value): (String, Json)| Some((name.into(), Self::owned(value)?));
                Self::Map(fields.into_iter().map(entry).collect::<Option<_>>()?)
            }
        })
    }

    /// As data: what a capability answers with.
    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            // To be read, not stored: the nearest number rather than text of all digits.
            Self::Double(amount) => amount.serialize_number(serde_json::value::Serializer).unwrap_or_default(),
            Self::Text(text) => Json::String(text.to_string()),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(entries) => entries
                .iter()
                .map(|(key, value)| (key.shown(), value.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Self::Json(data) => (*data).clone(),
            Self::Record(record) => record.to_json(),
            Self::Type(name) => Json::String((*name).to_owned()),
        }
    }

    /// As text for people: in messages, and what `string()` gives.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Text(text) => text.to_string(),
            Self::Double(amount) => amount.normalized().to_string(),
            Self::Type(name) => (*name).to_owned(),
            other => other.to_json().to_string(),
        }
    }

    pub(crate) fn amount(&self) -> Option<Amount> {
        match self {
            Self::Int(value) => Some((*value).into()),
            Self::Double(amount) => Some(*amount),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The name of its type, as `type()` gives it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::List(_) | Self::Json(Json::Array(_)) => "list",
            Self::Map(_) | Self::Record(_) | Self::Json(_) => "map",
            Self::Type(_) => "type",
        }
    }

    /// A field of a map.
    pub(super) fn field(&self, name: &str, budget: &mut Budget) -> Result<Found<'a>, Spent> {
        /// Entries that are looked through in one step.
        const ENTRIES_PER_STEP: usize = 8;
        budget.spend_bytes(name.len())?;
        let value = match self {
            Self::Record(record) => {
                let value = record.field(name);
                if let Some(made @ (Self::List(_) | Self::Map(_))) = &value {
                    made.charge(budget)?;
                }
                value
            }
            Self::Json(Json::Object(fields)) => fields.get(name).and_then(Value::of),
            Self::Map(entries) => {
                budget.spend(entries.len() / ENTRIES_PER_STEP)?;
                entries.iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value.clone())
            }
            _ => return Ok(Found::NoFields),
        };
        Ok(value.map_or(Found::Missing, Found::Value))
    }

    /// Charges for writing all of it out, what is shared each time that it occurs.
    pub(super) fn charge(&self, budget: &mut Budget) -> Result<(), Spent> {
        budget.spend(1)?;
        match self {
            Self::Text(text) => budget.spend_bytes(text.len()),
            Self::List(items) => items.iter().try_for_each(|item| item.charge(budget)),
            Self::Map(entries) => entries.iter().try_for_each(|(key, value)| {
                key.charge(budget)?;
                value.charge(budget)
            }),
            Self::Json(data) => charge(data, 1, budget),
            Self::Record(record) => charge(&record.to_json(), STEPS_PER_MADE, budget),
            _ => Ok(()),
        }
    }

    /// Whether both are the same; numbers by what they are worth.
    pub(super) fn equals(&self, other: &Self, budget: &mut Budget) -> Result<bool, Spent> {
        budget.spend(1)?;
        if let (Some(one), Some(two)) = (self.amount(), other.amount()) {
            return Ok(one == two);
        }
        Ok(match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(two)) => one == two,
            (Self::Text(one), Self::Text(two)) => {
                budget.spend_bytes(one.len().min(two.len()))?;
                **one == **two
            }
            (Self::Type(one), Self::Type(two)) => one == two,
            _ => self.same_list(other, budget)? || self.same_map(other, budget)?,
        })
    }

    fn same_list(&self, other: &Self, budget: &mut Budget) -> Result<bool, Spent> {
        let (Some(one), Some(two)) = (self.items(budget)?, other.items(budget)?) else { return Ok(false) };
        if one.len() != two.len() {
            return Ok(false);
        }
        for (one, two) in one.iter().zip(&two) {
            if !one.equals(two, budget)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn same_map(&self, other: &Self, budget: &mut Budget) -> Result<bool, Spent> {
        let (Some(one), Some(two)) = (self.entries(budget)?, other.entries(budget)?) else { return Ok(false) };
        if one.len() != two.len() {
            return Ok(false);
        }
        for (key, value) in &one {
            let mut found = false;
            for (other_key, other_value) in &two {
                if key.equals(other_key, budget)? {
                    found = value.equals(other_value, budget)?;
                    break;
                }
            }
            if !found {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The items of a list; none for anything else. A number beyond decimals reads as null.
    pub(super) fn items(&self, budget: &mut Budget) -> Result<Option<Vec<Self>>, Spent> {
        Ok(match self {
            Self::List(items) => {
                budget.spend(items.len())?;
                Some(items.to_vec())
            }
            Self::Json(Json::Array(items)) => {
                budget.spend(items.len())?;
                Some(items.iter().map(|item| Value::of(item).into()).collect())
            }
            _ => None,
        })
    }

    /// The entries of a map; none for anything else.
    pub(super) fn entries(&self, budget: &mut Budget) -> Result<Option<Vec<(Self, Self)>>, Spent> {
        Ok(match self {
            Self::Map(entries) => {
                budget.spend(entries.len())?;
                Some(entries.to_vec())
            }
            Self::Json(Json::Object(fields)) => {
                budget.spend(fields.len())?;
                Some(fields.iter().map(|(name, value)| (name.as_str().into(), Value::of(value).into())).collect())
            }
            Self::Record(record) => {
                let data = record.to_json();
                charge(&data, STEPS_PER_MADE, budget)?;
                match Value::owned(data) {
                    Some(Value::Map(entries)) => Some(entries.to_vec()),
                    _ => None,
                }
            }
            _ => None,
        })
    }

    /// The item of a list at a position from 0.
    pub(super) fn item(&self, position: usize) -> Option<Self> {
        match self {
            Self::List(items) => items.get(position).cloned(),
            Self::Json(Json::Array(items)) => items.get(position).map(|item| Value::of(item).into()),
            _ => None,
        }
    }

    /// How many items, entries or characters.
    pub(super) fn size(&self, budget: &mut Budget) -> Result<Option<usize>, Spent> {
        Ok(match self {
            Self::Text(text) => {
                budget.spend_bytes(text.len())?;
                Some(text.chars().count())
            }
            Self::List(items) => Some(items.len()),
            Self::Map(entries) => Some(entries.len()),
            Self::Json(Json::Array(items)) => Some(items.len()),
            Self::Json(Json::Object(fields)) => Some(fields.len()),
            Self::Record(_) => self.entries(budget)?.map(|entries| entries.len()),
            _ => None,
        })
    }

    /// Which comes first; none for what has no order.
    pub(super) fn order(&self, other: &Self, budget: &mut Budget) -> Result<Option<Ordering>, Spent> {
        if let (Some(one), Some(two)) = (self.amount(), other.amount()) {
            return Ok(Some(one.cmp(&two)));
        }
        Ok(match (self, other) {
            (Self::Bool(one), Self::Bool(two)) => Some(one.cmp(two)),
            (Self::Text(one), Self::Text(two)) => {
                budget.spend_bytes(one.len().min(two.len()))?;
                Some((**one).cmp(&**two))
            }
            _ => None,
        })
    }
}

/// Steps for each part of data that had to be made before it was known how much it is.
const STEPS_PER_MADE: usize = 4;

fn charge(data: &Json, steps: usize, budget: &mut Budget) -> Result<(), Spent> {
    budget.spend(steps)?;
    match data {
        Json::String(text) => budget.spend_bytes(text.len()),
        Json::Array(items) => items.iter().try_for_each(|item| charge(item, steps, budget)),
        Json::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            budget.spend_bytes(name.len())?;
            charge(value, steps, budget)
        }),
        _ => Ok(()),
    }
}
