//! What stands in the place of functions where Stof cannot be read: there are none.

use serde_json::Value as Json;

use super::{Handler, Misplaced, Place};
use crate::logic::program::LogicError;
use crate::{Amount, Position};

/// The functions of a policy. There are none: the feature `stof` is off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Functions(());

/// A function that there cannot be.
#[derive(Debug)]
pub(crate) enum Routine {}

/// What a function is called with.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code)]
pub(crate) enum Argument<'a> {
    Amount(Amount),
    Text(&'a str),
    Data(&'a Json),
}

#[allow(clippy::unused_self)]
impl Functions {
    /// Where each stands: nowhere.
    #[must_use]
    pub const fn places(&self) -> Vec<String> {
        Vec::new()
    }

    pub(crate) const fn find(&self, _: Place<'_>) -> Option<Routine> {
        None
    }

    pub(crate) const fn has(&self, _: Place<'_>) -> bool {
        false
    }

    pub(crate) const fn handlers(&self) -> Vec<Handler> {
        Vec::new()
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = (Vec<&str>, &str)> {
        std::iter::empty()
    }

    pub(crate) const fn misplaced(&self) -> Vec<Misplaced> {
        Vec::new()
    }

    pub(crate) const fn position(&self, _: Place<'_>) -> Option<(Option<Position>, String)> {
        None
    }
}

impl Routine {
    pub(crate) const fn call(&self, _: &[Argument<'_>]) -> Result<Json, Box<LogicError>> {
        match *self {}
    }

    pub(crate) const fn run(&self, _: &Json, _: &[Argument<'_>]) -> Result<Json, Box<LogicError>> {
        match *self {}
    }

    pub(crate) const fn error(&self, _: String) -> Box<LogicError> {
        match *self {}
    }

    pub(crate) const fn is_due(&self, _: i64) -> bool {
        match *self {}
    }
}
