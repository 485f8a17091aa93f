//! What is known of a value before there is one.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde_json::Value as Json;

/// The type of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Type {
    /// Known only when it is there.
    Any,
    Null,
    Bool,
    Int,
    Double,
    Text,
    /// A type itself, as `type()` gives it.
    Kind,
    List(Box<Type>),
    /// A map from text to values of one type.
    Map(Box<Type>),
    /// A map whose fields are known.
    Shape(Arc<Shape>),
}

/// The fields of a map.
#[derive(Debug)]
pub(crate) struct Shape {
    fields: Vec<(Cow<'static, str>, Type)>,
    /// What any field may be: asked for by every index into a rate table, which may be large.
    any: OnceLock<Type>,
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.fields == other.fields
    }
}

impl Shape {
    /// Most fields of one that is made of two: tables whose rows have little in common stay cheap to check.
    const MOST_JOINED: usize = 64;

    fn new(fields: Vec<(Cow<'static, str>, Type)>) -> Self {
        Self { fields, any: OnceLock::new() }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Type> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, kind)| kind)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.fields.iter().map(|(name, _)| &**name)
    }

    fn any(&self) -> Type {
        self.any.get_or_init(|| join_all(self.fields.iter().map(|(_, kind)| kind.clone()))).clone()
    }
}

impl Type {
    /// A map with these fields.
    pub(crate) fn shape(fields: impl IntoIterator<Item = (impl Into<Cow<'static, str>>, Self)>) -> Self {
        Self::Shape(Arc::new(Shape::new(fields.into_iter().map(|(name, kind)| (name.into(), kind)).collect())))
    }

    pub(crate) fn list(items: Self) -> Self {
        Self::List(Box::new(items))
    }

    /// The type of data that is already there, such as a rate table.
    pub(crate) fn of(data: &Json) -> Self {
        match data {
            Json::Null => Self::Null,
            Json::Bool(_) => Self::Bool,
            Json::Number(_) => Self::Double,
            Json::String(_) => Self::Text,
            Json::Array(items) => Self::list(join_all(items.iter().map(Self::of))),
            Json::Object(fields) => Self::shape(fields.iter().map(|(name, value)| (name.clone(), Self::of(value)))),
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Any | Self::Int | Self::Double)
    }

    /// Whether a value of this type may stand where `wanted` is.
    pub(crate) fn fits(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (Self::Any, _) | (_, Self::Any) | (Self::Int, Self::Double) => true,
            (Self::List(one), Self::List(two)) => one.fits(two),
            (Self::Map(one), Self::Map(two)) => one.fits(two),
            (Self::Shape(_), Self::Map(_) | Self::Shape(_)) => true,
            _ => self == wanted,
        }
    }

    /// Whether values of both types can be equal.
    pub(super) fn comparable(&self, other: &Self) -> bool {
        match (self, other) {
            // Anything can turn out to be null.
            (Self::Null, _) | (_, Self::Null) => true,
            (Self::Shape(_) | Self::Map(_), Self::Shape(_) | Self::Map(_)) => true,
            (Self::List(one), Self::List(two)) => one.comparable(two),
            _ => self.fits(other) || other.fits(self),
        }
    }

    /// What a value of this or that type is.
    pub(super) fn join(self, other: Self) -> Self {
        match (self, other) {
            (one, two) if one == two => one,
            (Self::Int, Self::Double) | (Self::Double, Self::Int) => Self::Double,
            (Self::List(one), Self::List(two)) => Self::list(one.join(*two)),
            (Self::Shape(one), Self::Shape(two)) => one.join(&two),
            (one, two) => match (one.elements(), two.elements()) {
                (Some(one), Some(two)) => Self::Map(Box::new(one.join(two))),
                _ => Self::Any,
            },
        }
    }

    /// What lies in a map of this type.
    fn elements(&self) -> Option<Self> {
        match self {
            Self::Map(values) => Some((**values).clone()),
            Self::Shape(shape) => Some(shape.any()),
            _ => None,
        }
    }

    /// What an index gives.
    pub(super) fn indexed(&self) -> Option<Self> {
        match self {
            Self::Any => Some(Self::Any),
            Self::List(items) => Some((**items).clone()),
            _ => self.elements(),
        }
    }

    /// What a macro such as `all` runs over: items of a list, keys of a map.
    pub(super) fn iterated(&self) -> Option<Self> {
        match self {
            Self::Any => Some(Self::Any),
            Self::List(items) => Some((**items).clone()),
            Self::Map(_) | Self::Shape(_) => Some(Self::Text),
            _ => None,
        }
    }
}

impl Shape {
    /// A map that has the fields of either.
    fn join(&self, other: &Self) -> Type {
        if self.fields.len().max(other.fields.len()) > Self::MOST_JOINED {
            return Type::Any;
        }
        let mut fields = self.fields.clone();
        for (name, kind) in &other.fields {
            match fields.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known = known.clone().join(kind.clone()),
                None => fields.push((name.clone(), kind.clone())),
            }
        }
        Type::Shape(Arc::new(Self::new(fields)))
    }
}

pub(super) fn join_all(kinds: impl Iterator<Item = Type>) -> Type {
    kinds.reduce(Type::join).unwrap_or(Type::Any)
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any value",
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Int | Self::Double => "a number",
            Self::Text => "text",
            Self::Kind => "a type",
            Self::List(_) => "a list",
            Self::Map(_) | Self::Shape(_) => "a map",
        })
    }
}
