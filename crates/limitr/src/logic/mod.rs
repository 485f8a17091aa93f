//! Logic inside a policy: what a call costs, when somebody is told, what can be asked.
//!
//! Compiled and checked when the policy loads. What fails when it runs decides nothing: the fallback applies, and a
//! `logic-error` event tells why, at most once a minute for each piece of logic.

mod alert;
mod capability;
mod cost;
mod expression;
mod program;
mod records;
mod template;

pub(crate) use alert::Alert;
pub(crate) use capability::Skill;
pub(crate) use cost::{Circumstances, Cost};
pub(crate) use expression::{Host, Mistake, Value};
pub(crate) use program::LogicError;
pub(crate) use records::Person;
