//! JSON objects read field by field: the arguments of operations and the records of customers.
//!
//! By hand, because code derived for every one of them is a third of the engine on WebAssembly.

use std::fmt;

use serde_json::{Map, Number, Value};

use crate::policy::{Choice, Measure, Schedule, nearest, parse_duration, quoted};
use crate::state::{Name, NameMap};
use crate::{Amount, AmountError, Error, Quantity};

/// The fields of one object.
///
/// A field that cannot be read is remembered and stands at its default while reading goes on, so that
/// [`Fields::finish`] knows every field there is and can tell a misspelt one from a missing one.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// Where the object is.
    path: String,
    /// The code of errors.
    code: &'static str,
    /// The fields asked for so far.
    known: Vec<&'static str>,
    /// Whether others may be there.
    open: bool,
    /// What was wrong first.
    error: Option<Error>,
}

/// The value of one field, of an item in a list or of an entry in a map.
pub(crate) struct Field<'f, 'a> {
    fields: &'f mut Fields<'a>,
    /// Where it is in the object.
    name: &'f str,
    /// None when it was left out.
    value: Option<&'a Value>,
}

impl<'a> Fields<'a> {
    /// The fields of `value`, which is at `path`.
    pub(crate) fn new(value: &'a Value, path: String, code: &'static str) -> Result<Self, Error> {
        match value {
            Value::Object(object) => Ok(Self { object, path, code, known: Vec::new(), open: false, error: None }),
            other => Err(wrong(code, path, &wrong_type(other, "a map"))),
        }
    }

    /// A field that may be left out, but is not null.
    pub(crate) fn given(&mut self, name: &'static str) -> Field<'_, 'a> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        let value = self.object.get(name);
        Field { fields: self, name, value }
    }

    /// A field that may be left out or null, which means the same.
    pub(crate) fn optional(&mut self, name: &'static str) -> Field<'_, 'a> {
        let mut field = self.given(name);
        field.value = field.value.filter(|value| !value.is_null());
        field
    }

    /// A field that has to be there.
    pub(crate) fn required(&mut self, name: &'static str) -> Field<'_, 'a> {
        if !self.object.contains_key(name) {
            let message = format!("missing field `{name}`");
            self.fail(self.path.clone(), &message);
        }
        self.given(name)
    }

    /// A text that has to be there.
    pub(crate) fn text(&mut self, name: &'static str) -> &'a str {
        self.required(name).text().unwrap_or_default()
    }

    /// A yes or no, `default` when left out.
    pub(crate) fn flag(&mut self, name: &'static str, default: bool) -> bool {
        self.given(name).flag().unwrap_or(default)
    }

    /// The name under which a field is given that has others too.
    pub(crate) fn either(&mut self, name: &'static str, others: &[&'static str]) -> &'static str {
        let names = || [name].into_iter().chain(others.iter().copied());
        let mut given = names().filter(|name| self.object.contains_key(*name));
        let first = given.next().unwrap_or(name);
        if let Some(second) = given.next() {
            self.fail(format!("{}.{second}", self.path), &format!("duplicate field `{name}`"));
        }
        self.known.extend(names());
        first
    }

    /// All fields that were not asked for; none is unknown then.
    pub(crate) fn rest(&mut self) -> Map<String, Value> {
        self.open = true;
        let others = self.object.iter().filter(|(name, _)| !self.known.contains(&name.as_str()));
        others.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Ends the reading, with what was wrong if anything was.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let unknown = self.object.keys().find(|name| !self.known.contains(&name.as_str()));
        match unknown.filter(|_| !self.open) {
            // First of all: what is missing may be missing because it is misspelt.
            Some(unknown) => Err(self.unknown(unknown)),
            None => self.error.map_or(Ok(()), Err),
        }
    }

    fn unknown(&self, name: &str) -> Error {
        let known = || self.known.iter().copied();
        let instead = match nearest(name, known()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if self.known.is_empty() => "there are no fields".to_owned(),
            None => format!("expected one of {}", listed(known())),
        };
        let message = format!("unknown field {}, {instead}", quoted(name));
        wrong(self.code, format!("{}.{name}", self.path), &message)
    }

    fn fail(&mut self, path: String, message: &str) {
        let code = self.code;
        self.error.get_or_insert_with(|| wrong(code, path, message));
    }
}

impl<'a> Field<'_, 'a> {
    /// The value as it is.
    pub(crate) fn json(&self) -> Option<&'a Value> {
        self.value
    }

    pub(crate) fn text(self) -> Option<&'a str> {
        let text = self.value?.as_str();
        self.or_expected("a string", text)
    }

    pub(crate) fn name(self) -> Option<Name> {
        self.text().map(Name::from)
    }

    pub(crate) fn flag(self) -> Option<bool> {
        let flag = self.value?.as_bool();
        self.or_expected("a boolean", flag)
    }

    pub(crate) fn whole(self) -> Option<i64> {
        let whole = self.value?.as_i64();
        self.or_expected("a whole number of 64 bits", whole)
    }

    pub(crate) fn count(self) -> Option<u64> {
        let count = self.value?.as_u64();
        self.or_expected("a whole number of 64 bits, 0 or more", count)
    }

    pub(crate) fn double(self) -> Option<f64> {
        let double = self.value?.as_f64();
        self.or_expected("a number", double)
    }

    /// A number, or text of its digits.
    pub(crate) fn amount(self) -> Option<Amount> {
        match self.value? {
            Value::Number(number) => self.parsed(amount(number)),
            Value::String(text) => self.parsed(text.parse()),
            _ => self.or_expected("a number", None),
        }
    }

    /// A number, or text with a unit; what cannot be used as an amount is found out by the call.
    pub(crate) fn quantity(self) -> Option<Quantity<'a>> {
        let quantity = match self.value? {
            Value::Number(number) => match number.as_i64() {
                Some(whole) => Some(whole.into()),
                None => number.as_f64().map(Quantity::from),
            },
            Value::String(text) => Some(text.as_str().into()),
            _ => None,
        };
        self.or_expected("a number, or text such as \"500MB\"", quantity)
    }

    /// A number, or text with a unit.
    pub(crate) fn measure(self) -> Option<Measure> {
        match self.value? {
            Value::Number(number) => self.parsed(amount(number).map(Measure::from)),
            Value::String(text) => self.parsed(text.parse()),
            _ => self.or_expected("a number, or text holding a number with a unit", None),
        }
    }

    /// Ms.
    pub(crate) fn duration(self) -> Option<i64> {
        let value = self.value?;
        match value.as_str() {
            Some(text) => self.parsed(parse_duration(text)),
            None => self.or_expected("a number of ms, or text such as \"1day\"", value.as_i64()),
        }
    }

    pub(crate) fn schedule(self) -> Option<Schedule> {
        match self.value? {
            Value::String(text) => self.parsed(text.parse()),
            _ => self.or_expected("a string", None),
        }
    }

    /// One of the words of `T`.
    pub(crate) fn choice<T: Choice>(self) -> Option<T> {
        let Value::String(text) = self.value? else { return self.or_expected("a string", None) };
        let words = || T::ALL.iter().map(|(word, _)| *word);
        let found = T::ALL.iter().find(|(word, _)| word == text).map(|(_, value)| *value);
        self.parsed(
            found.ok_or_else(|| format!("unknown {} {}, expected one of {}", T::WHAT, quoted(text), listed(words()))),
        )
    }

    pub(crate) fn object(self) -> Option<&'a Map<String, Value>> {
        let object = self.value?.as_object();
        self.or_expected("a map", object)
    }

    pub(crate) fn texts(self) -> Option<Vec<&'a str>> {
        self.list(|item| item.text())
    }

    pub(crate) fn names(self) -> Option<Vec<Name>> {
        self.list(|item| item.name())
    }

    /// A list, each item made into something by `read`.
    pub(crate) fn list<T>(self, read: impl Fn(Field<'_, 'a>) -> Option<T>) -> Option<Vec<T>> {
        self.value?;
        let mut list = Vec::new();
        self.items(&mut |item| list.extend(read(item)));
        Some(list)
    }

    /// A map by name, each value made into something by `read`.
    pub(crate) fn map<T>(self, read: impl Fn(&Name, Field<'_, 'a>) -> Option<T>) -> Option<NameMap<T>> {
        self.value?;
        let mut entries = Vec::new();
        self.entries(&mut |name, value| {
            let name = Name::from(name);
            entries.extend(read(&name, value).map(|value| (name, value)));
        });
        Some(entries.into_iter().collect())
    }

    /// An object of its own, read by `read`.
    pub(crate) fn record<T>(self, read: impl FnOnce(Fields<'a>) -> Result<T, Error>) -> Option<T> {
        let code = self.fields.code;
        self.attempt(|value, path| read(Fields::new(value, path, code)?))
    }

    /// Whatever `read` makes of the value and its path.
    pub(crate) fn attempt<T>(self, read: impl FnOnce(&'a Value, String) -> Result<T, Error>) -> Option<T> {
        match read(self.value?, self.path()) {
            Ok(read) => Some(read),
            Err(error) => {
                self.fields.error.get_or_insert(error);
                None
            }
        }
    }

    fn items(self, read: &mut dyn FnMut(Field<'_, 'a>)) {
        let Some(Value::Array(items)) = self.value else { return self.expected("a sequence") };
        for (at, item) in items.iter().enumerate() {
            read(Field { name: &format!("{}[{at}]", self.name), fields: &mut *self.fields, value: Some(item) });
        }
    }

    /// Has `read` look at every entry of a map, in the order they are given in.
    pub(crate) fn entries(self, read: &mut dyn FnMut(&'a str, Field<'_, 'a>)) {
        let Some(Value::Object(entries)) = self.value else { return self.expected("a map") };
        for (name, value) in entries {
            let field = Field { name: &format!("{}.{name}", self.name), fields: &mut *self.fields, value: Some(value) };
            read(name, field);
        }
    }

    /// Reports that the value, if there is one, is not what was expected.
    pub(crate) fn expected(self, expected: &str) {
        if let Some(value) = self.value {
            self.fields.fail(self.path(), &wrong_type(value, expected));
        }
    }

    /// `read`; none is reported as a value of another type.
    fn or_expected<T>(self, expected: &str, read: Option<T>) -> Option<T> {
        if read.is_none() {
            self.expected(expected);
        }
        read
    }

    fn parsed<T>(self, read: Result<T, impl fmt::Display>) -> Option<T> {
        read.map_err(|error| self.fields.fail(self.path(), &error.to_string())).ok()
    }

    fn path(&self) -> String {
        format!("{}.{}", self.fields.path, self.name)
    }
}

fn amount(number: &Number) -> Result<Amount, AmountError> {
    Amount::from_json(number).ok_or_else(|| AmountError(number.to_string()))
}

fn wrong(code: &'static str, path: String, message: &str) -> Error {
    Error::argument(code, format!("{path}: {message}")).at(path)
}

fn wrong_type(value: &Value, expected: &str) -> String {
    let found = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => format!("boolean `{flag}`"),
        Value::Number(number) if number.is_f64() => format!("floating point `{number}`"),
        Value::Number(number) => format!("integer `{number}`"),
        Value::String(text) => format!("string {}", quoted(text)),
        Value::Array(_) => "sequence".to_owned(),
        Value::Object(_) => "map".to_owned(),
    };
    format!("invalid type: {found}, expected {expected}")
}

/// Names in a message: each in backticks, with commas between.
pub(crate) fn listed(names: impl Iterator<Item = &'static str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
