//! An expression at its place in the policy.

use std::sync::atomic::{AtomicI64, Ordering};

use super::expression::{Expression, Host, Mistake, Scope, Type, Value};
use crate::Position;

/// How often one piece of logic is reported, in ms.
const REPORTED_EVERY: i64 = 60_000;

/// An expression that knows where it stands, and when it was last reported.
#[derive(Debug)]
pub(crate) struct Program {
    expression: Expression,
    place: Box<str>,
    reported: Reported,
}

/// When a piece of logic was last reported.
#[derive(Debug)]
pub(crate) struct Reported(AtomicI64);

/// A piece of logic that gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogicError {
    /// Path in the policy: `policy.credits.token.overhead`.
    pub(crate) place: String,
    /// Its text; of a function the first line.
    pub(crate) expression: String,
    pub(crate) message: String,
    /// Where in the text.
    pub(crate) at: Option<Position>,
}

impl Program {
    pub(super) fn compile(text: &str, place: String, scope: &Scope<'_>, wanted: &Type) -> Result<Self, Mistake> {
        let expression = Expression::compile(text, scope, wanted)?;
        Ok(Self { expression, place: place.into(), reported: Reported::default() })
    }

    /// Runs it on the variables of its scope.
    pub(super) fn run<'a>(&'a self, variables: &[Value<'a>], host: &dyn Host) -> Result<Value<'a>, Box<LogicError>> {
        self.expression.evaluate(variables, host).map_err(|fault| self.error(fault.message, Some(fault.at)))
    }

    /// An error of this program; `at` is in bytes of its text.
    #[cold]
    pub(super) fn error(&self, message: String, at: Option<usize>) -> Box<LogicError> {
        let expression = self.expression.text();
        Box::new(LogicError {
            place: self.place.to_string(),
            expression: expression.to_owned(),
            message,
            at: at.map(|at| Position::in_text(expression, at)),
        })
    }

    /// Whether an error is to be reported now; it counts as reported then.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        self.reported.is_due(now)
    }
}

impl Default for Reported {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl Reported {
    /// Whether an error is to be reported now; it counts as reported then.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        let due = |last: i64| (last == i64::MIN || now < last || now - last >= REPORTED_EVERY).then_some(now);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok()
    }
}
