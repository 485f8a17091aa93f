//! Data as the values of functions, and back. Numbers are doubles there.

use std::ops::Deref as _;

use serde_json::{Map, Number, Value as Json};
use stof::imbl::{OrdMap, Vector};
use stof::model::{Field, Graph, NodeRef};
use stof::parser::number::number as crate_number;
use stof::runtime::{NumT, Type, Val, ValRef, Variable};

use super::weigh::{Cells, weigh};
use crate::Amount;
use crate::policy::{Kind, Node};

/// Most levels and values of data that a function is given, or gives back.
const MAX_DEPTH: usize = 24;
const MAX_NODES: usize = 20_000;

const TOO_BIG: &str = "what the function is given is too big";
const TOO_BIG_RESULT: &str = "the result is too big";

/// What a function is called with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Argument<'a> {
    Amount(Amount),
    Text(&'a str),
    Data(&'a Json),
}

/// Puts data into a graph, with ids that are the same each time.
pub(super) struct Builder<'g> {
    pub(super) graph: &'g mut Graph,
    prefix: char,
    count: usize,
    nodes: usize,
    /// The objects that lie in no other of them.
    pub(super) made: Vec<NodeRef>,
}

impl<'g> Builder<'g> {
    pub(super) const fn new(graph: &'g mut Graph, prefix: char) -> Self {
        Self { graph, prefix, count: 0, nodes: 0, made: Vec::new() }
    }

    pub(super) fn id(&mut self) -> NodeRef {
        self.count += 1;
        NodeRef::from_str(format!("{}{}", self.prefix, self.count))
    }

    /// A new object; without a parent it stands alone.
    pub(super) fn object(&mut self, name: &str, parent: Option<&NodeRef>) -> NodeRef {
        let id = self.id();
        self.graph.insert_node_id(name, id, parent.cloned(), false)
    }

    pub(super) fn field(&mut self, object: &NodeRef, name: &str, value: Variable) {
        let id = self.id();
        self.graph.insert_stof_data(object, name, Box::new(Field::new(value, None)), Some(id));
    }

    /// The argument for a parameter of this type.
    pub(super) fn argument(&mut self, argument: Argument<'_>, kind: &Type) -> Result<Val, String> {
        Ok(match (argument, kind) {
            (Argument::Amount(amount), Type::Num(NumT::Int)) => {
                Val::from(amount.truncated().to_i64().unwrap_or_default())
            }
            (Argument::Amount(amount), _) => Val::from(amount.to_f64()),
            (Argument::Text(text), _) => Val::from(text),
            (Argument::Data(data), Type::Map) => self.value(data, 0)?,
            (Argument::Data(data), _) => self.place(data, None, 0)?,
        })
    }

    fn count(&mut self, depth: usize) -> Result<(), String> {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES { Err(TOO_BIG.to_owned()) } else { Ok(()) }
    }

    /// Data with maps.
    fn value(&mut self, data: &Json, depth: usize) -> Result<Val, String> {
        self.count(depth)?;
        Ok(match data {
            Json::Array(items) => {
                let items = items.iter().map(|item| Ok(ValRef::new(self.value(item, depth + 1)?)));
                Val::List(items.collect::<Result<Vector<_>, String>>()?)
            }
            Json::Object(fields) => {
                let mut map = OrdMap::default();
                for (name, value) in fields {
                    map.insert(ValRef::new(Val::from(name.as_str())), ValRef::new(self.value(value, depth + 1)?));
                }
                Val::Map(map)
            }
            _ => scalar(data),
        })
    }

    /// Data with objects.
    pub(super) fn place(&mut self, data: &Json, at: Option<(&str, &NodeRef)>, depth: usize) -> Result<Val, String> {
        self.count(depth)?;
        Ok(match data {
            Json::Array(items) => {
                let items = items.iter().map(|item| Ok(ValRef::new(self.place(item, at, depth + 1)?)));
                Val::List(items.collect::<Result<Vector<_>, String>>()?)
            }
            Json::Object(fields) => {
                let outermost = depth == 0 || at.is_none();
                let object = self.object(at.map_or("argument", |(name, _)| name), at.map(|(_, parent)| parent));
                self.made.extend(outermost.then(|| object.clone()));
                for (name, value) in fields {
                    let value = self.place(value, Some((name, &object)), depth + 1)?;
                    self.field(&object, name, Variable::val(value));
                }
                Val::Obj(object)
            }
            _ => scalar(data),
        })
    }
}

/// The document's own data: numbers as they are written, whole ones as integers.
pub(super) struct Document<'b, 'g> {
    pub(super) build: &'b mut Builder<'g>,
    /// Whether text at this place is a number with a unit.
    pub(super) is_quantity: &'b dyn Fn(&Node) -> bool,
    pub(super) cells: Cells,
}

impl Document<'_, '_> {
    /// Fills an object with the fields of a map.
    pub(super) fn fill(&mut self, object: &NodeRef, map: &Node) {
        let Kind::Map(entries) = &map.kind else { return };
        for (key, value) in entries {
            let value = Variable::val(self.value(value, &key.text, object));
            self.cells.add(&value.val);
            self.build.field(object, &key.text, value);
        }
    }

    fn value(&mut self, node: &Node, name: &str, parent: &NodeRef) -> Val {
        match &node.kind {
            Kind::Null => Val::Null,
            Kind::Bool(value) => Val::Bool(*value),
            Kind::Number(digits) => match digits.parse::<i64>() {
                Ok(whole) => Val::from(whole),
                Err(_) => Val::from(digits.parse::<f64>().unwrap_or(f64::NAN)),
            },
            Kind::Text(text) if (self.is_quantity)(node) => match crate_number(text) {
                Ok(("", quantity)) => quantity,
                _ => Val::from(text.as_str()),
            },
            Kind::Text(text) => Val::from(text.as_str()),
            Kind::List(items) => {
                Val::List(items.iter().map(|item| ValRef::new(self.value(item, name, parent))).collect())
            }
            Kind::Map(_) => {
                let object = self.build.object(name, Some(parent));
                self.fill(&object, node);
                Val::Obj(object)
            }
        }
    }
}

fn scalar(data: &Json) -> Val {
    match data {
        Json::Bool(value) => Val::Bool(*value),
        // Always a double: whether a program writes 5 or 5.0 must not decide how it is divided.
        Json::Number(number) => Val::from(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Val::from(text.as_str()),
        _ => Val::Null,
    }
}

/// What a function returned, as data.
pub(super) fn to_json(graph: &Graph, value: &Val) -> Result<Json, String> {
    weigh(value).ok_or(TOO_BIG_RESULT)?;
    json(graph, value, 0, &mut 0)
}

fn json(graph: &Graph, value: &Val, depth: usize, seen: &mut usize) -> Result<Json, String> {
    *seen += 1;
    if depth > MAX_DEPTH || *seen > MAX_NODES {
        return Err(TOO_BIG_RESULT.to_owned());
    }
    Ok(match value {
        Val::Void | Val::Null => Json::Null,
        Val::Bool(value) => Json::Bool(*value),
        Val::Num(stof::runtime::Num::Int(whole)) => Json::from(*whole),
        Val::Num(stof::runtime::Num::Float(double)) => {
            let number = Number::from_f64(*double).ok_or("the result is not a finite number")?;
            Json::Number(number)
        }
        Val::Num(quantity) => Json::String(quantity.to_string()),
        Val::Str(text) => Json::String(text.to_string()),
        Val::List(items) | Val::Tup(items) => {
            let items = items.iter().map(|item| json(graph, item.read().deref(), depth + 1, seen));
            Json::Array(items.collect::<Result<_, _>>()?)
        }
        Val::Set(items) => {
            let items = items.iter().map(|item| json(graph, item.read().deref(), depth + 1, seen));
            Json::Array(items.collect::<Result<_, _>>()?)
        }
        Val::Map(entries) => {
            let mut fields = Map::new();
            for (key, value) in entries {
                let name = match json(graph, key.read().deref(), depth + 1, seen)? {
                    Json::String(name) => name,
                    other => other.to_string(),
                };
                fields.insert(name, json(graph, value.read().deref(), depth + 1, seen)?);
            }
            Json::Object(fields)
        }
        Val::Obj(object) => {
            let mut fields = Map::new();
            for (name, data) in object.node(graph).iter().flat_map(|object| &object.data) {
                if let Some(field) = graph.get_stof_data::<Field>(data) {
                    fields.insert(name.clone(), json(graph, field.value.val.read().deref(), depth + 1, seen)?);
                }
            }
            Json::Object(fields)
        }
        _ => return Err("the result is not data".to_owned()),
    })
}
