//! Logic inside a policy: what a call costs, when somebody is told, what can be asked.
//!
//! Compiled and checked when the policy loads. What fails when it runs decides nothing: the fallback applies, and a
//! `logic-error` event tells why, at most once a minute for each piece of logic.

mod alert;
mod capability;
mod cost;
mod expression;
mod functions;
mod program;
mod records;
mod template;

pub(crate) use alert::Alert;
pub(crate) use capability::Skill;
pub(crate) use cost::{Circumstances, Cost};
pub(crate) use expression::{Host, Mistake, Value};
pub use functions::Functions;
#[cfg(feature = "stof")]
pub(crate) use functions::callable;
pub(crate) use functions::{Argument, Handler, Place};
pub(crate) use program::LogicError;
pub(crate) use records::Person;
