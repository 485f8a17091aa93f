//! Stof: data and functions in one text.
//!
//! Written always, read with the feature `stof`. The text is read here and not by the `stof` crate, which runs code while it
//! reads, takes exponential time for some malformed texts, and keeps numbers as doubles only. What is accepted here is
//! Stof, and means the same there: tests and a fuzz target compare the two. The crate is given the functions, one by one, in
//! a canonical form that cannot hold what a policy may not do.

#[cfg(feature = "stof")]
mod expression;
#[cfg(feature = "stof")]
mod grammar;
#[cfg(feature = "stof")]
mod reader;
#[cfg(feature = "stof")]
mod text;
mod write;

#[cfg(feature = "stof")]
pub(super) use reader::parse;
pub(super) use write::write;

#[cfg(feature = "stof")]
use crate::Position;
#[cfg(feature = "stof")]
use crate::policy::node::Node;

/// A document that was read.
#[cfg(feature = "stof")]
pub(crate) struct Reading {
    pub(crate) root: Node,
    pub(crate) functions: Vec<Source>,
    /// Where the tree's text is a number with a unit.
    pub(crate) quantities: std::collections::HashSet<Position>,
}

/// A function in a document.
#[cfg(feature = "stof")]
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The names of the maps it stands in, from the root; an item of a list is `[0]`.
    pub(crate) path: Vec<String>,
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, Option<Position>)>,
    pub(crate) parameters: Vec<Parameter>,
    /// The type it returns; none when it returns nothing.
    pub(crate) returns: Option<String>,
    /// As it is written.
    pub(crate) text: String,
    /// As the crate is given it: one spelling for everything, no comments.
    pub(crate) canonical: String,
    pub(crate) at: Option<Position>,
}

/// A parameter of a function.
#[cfg(feature = "stof")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// Whether a call may leave it out.
    pub(crate) optional: bool,
}
