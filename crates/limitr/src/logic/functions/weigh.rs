//! How big values are: bigger ones than a function needs are refused before the crate walks through them.

use std::collections::HashSet;
use std::ops::Deref as _;
use std::sync::Arc;

use stof::runtime::{Val, ValRef};

/// Most levels of a value. It counts what is met more than once each time, so that a cycle is too deep.
const MAX_DEPTH: usize = 24;
/// Most values in a value, where text counts as one for each [`TEXT`] bytes.
const MAX_NODES: usize = 2_000;
const TEXT: usize = 256;

/// What is in a value.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Weight {
    pub(super) nodes: usize,
    /// Whether it holds an object or a function, which are not values but places in the document.
    pub(super) places: bool,
}

/// The weight of a value; none when it is too big.
pub(super) fn weigh(value: &Val) -> Option<Weight> {
    let mut weight = Weight::default();
    add(value, 0, &mut weight).then_some(weight)
}

fn add(value: &Val, depth: usize, weight: &mut Weight) -> bool {
    weight.nodes += 1;
    if depth > MAX_DEPTH || weight.nodes > MAX_NODES {
        return false;
    }
    let mut inside = |value: &ValRef<Val>| add(value.read().deref(), depth + 1, weight);
    match value {
        Val::Str(text) => {
            weight.nodes += text.len() / TEXT;
            weight.nodes <= MAX_NODES
        }
        Val::List(items) | Val::Tup(items) => items.len() <= MAX_NODES && items.iter().all(inside),
        Val::Set(items) => items.len() <= MAX_NODES && items.iter().all(inside),
        Val::Map(entries) => {
            entries.len() <= MAX_NODES && entries.iter().all(|(key, value)| inside(key) && inside(value))
        }
        Val::Obj(_) | Val::Fn(_) => {
            weight.places = true;
            true
        }
        Val::Void | Val::Null | Val::Bool(_) | Val::Num(_) => true,
        Val::Promise(..) | Val::Blob(_) | Val::Prompt(_) | Val::Ver(..) | Val::Data(_) => false,
    }
}

/// Whether `cell` is somewhere in a value.
pub(super) fn holds(value: &Val, cell: &ValRef<Val>) -> bool {
    holds_within(value, cell, &mut 0)
}

fn holds_within(value: &Val, cell: &ValRef<Val>, seen: &mut usize) -> bool {
    *seen += 1;
    if *seen > MAX_NODES {
        return true;
    }
    let mut inside =
        |value: &ValRef<Val>| Arc::ptr_eq(&value.0, &cell.0) || holds_within(value.read().deref(), cell, seen);
    match value {
        Val::List(items) | Val::Tup(items) => items.iter().any(inside),
        Val::Set(items) => items.iter().any(inside),
        Val::Map(entries) => entries.iter().any(|(key, value)| inside(key) || inside(value)),
        _ => false,
    }
}

/// The cells of the document's values: what is loaded from one is a copy, so that a function cannot change the document.
#[derive(Debug, Default, Clone)]
pub(super) struct Cells(HashSet<usize>);

impl Cells {
    pub(super) fn contains(&self, cell: &ValRef<Val>) -> bool {
        self.0.contains(&address(cell))
    }

    /// Adds a cell and what is in it.
    pub(super) fn add(&mut self, cell: &ValRef<Val>) {
        self.0.insert(address(cell));
        match cell.read().deref() {
            Val::List(items) | Val::Tup(items) => items.iter().for_each(|item| self.add(item)),
            _ => {}
        }
    }
}

fn address(cell: &ValRef<Val>) -> usize {
    Arc::as_ptr(&cell.0).addr()
}
