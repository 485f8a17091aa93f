//! What the `limitr` command is made of and other programs can use: an engine driven with JSON ([`session`]) and the
//! runner of conformance scenarios ([`scenario`]).

mod finding;
pub mod scenario;
pub mod session;
mod suggest;

pub use finding::Finding;
