//! Checks of functions: where they stand, and what stands beside them.

use super::Check;
use crate::Problem;
use crate::logic::Place;
use crate::policy::read::MAX_PROBLEMS;

impl Check<'_> {
    pub(super) fn functions(&mut self) {
        let policy = self.policy;
        for problem in policy.functions.misplaced() {
            self.found(problem);
        }
        for (name, credit) in &policy.credits {
            self.alone(Place::Overhead(name), "overhead", credit.overhead.is_some());
        }
        for (name, notification) in &policy.notifications {
            self.alone(Place::Matches(name), "when", notification.when.is_some());
        }
        for (name, capability) in &policy.capabilities {
            self.alone(Place::Run(name), "result", capability.result.is_some());
        }
    }

    /// That a field does not say what a function says too.
    fn alone(&mut self, place: Place<'_>, field: &str, given: bool) {
        let Some((at, path)) = self.policy.functions.position(place).filter(|_| given) else { return };
        let message = format!("this function and the field `{field}` beside it say the same");
        let hint = Some("keep one of the two".to_owned());
        self.found(Problem { code: "function_and_field", path, message, hint, at, within: None });
    }

    fn found(&mut self, problem: Problem) {
        if self.problems.len() >= MAX_PROBLEMS {
            self.more += 1;
        } else {
            self.problems.push(problem);
        }
    }
}
