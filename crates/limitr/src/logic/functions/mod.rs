//! Functions of Stof documents, run by the `stof` crate within bounds.
//!
//! They are loaded with the document ([`program`]), of which they see the data as it was read, and run one instruction at a
//! time ([`machine`]) with what is [`callable`], on values that are weighed ([`weigh`]). Without the feature `stof` there are
//! none ([`absent`]), and nothing of it is compiled.

#[cfg(not(feature = "stof"))]
mod absent;
#[cfg(feature = "stof")]
pub(crate) mod callable;
#[cfg(feature = "stof")]
mod function;
#[cfg(feature = "stof")]
mod machine;
mod place;
#[cfg(feature = "stof")]
mod program;
#[cfg(feature = "stof")]
mod values;
#[cfg(feature = "stof")]
mod weigh;

#[cfg(not(feature = "stof"))]
pub use absent::Functions;
#[cfg(not(feature = "stof"))]
pub(crate) use absent::{Argument, Routine};
#[cfg(feature = "stof")]
pub use function::Functions;
#[cfg(feature = "stof")]
pub(crate) use function::Routine;
pub(crate) use place::Place;
#[cfg(feature = "stof")]
pub(crate) use values::Argument;

use crate::Problem;

/// A function that is called when an event of this name is sent.
#[derive(Debug)]
pub(crate) struct Handler {
    pub(crate) event: String,
    /// The name of the function, and of the event that follows.
    pub(crate) name: String,
    pub(crate) function: Routine,
}

/// What is wrong with where a function stands, or with how it is declared.
pub(crate) type Misplaced = Problem;
