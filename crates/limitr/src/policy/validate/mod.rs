//! What makes a policy that can be read a valid one: the checks that need more than one field.

mod credits;
mod exchange;
mod functions;
mod locate;
mod logic;
mod plans;

pub(super) use locate::{locate, pinpoint};

use super::model::{Limit, Map, Policy};
use super::node::quoted;
use super::read::{HINTED, MAX_NAME, MAX_PROBLEMS, nearest, not_listed};
use crate::logic::Mistake;
use crate::{Amount, Position, Problem};

/// Everything that is wrong with a policy that could be read. A document's positions are added by
/// [`parse_document`](crate::policy::parse_document); this is for policies that come from elsewhere or were changed.
#[must_use]
pub fn validate(policy: &Policy) -> Vec<Problem> {
    let (mut problems, more) = examine(policy);
    problems.extend(not_listed(more));
    problems
}

/// The problems of a policy, and how many more there are than are kept.
pub(super) fn examine(policy: &Policy) -> (Vec<Problem>, usize) {
    let mut check = Check::new(policy, "policy");
    check.credits();
    check.exchange();
    check.plans();
    check.logic();
    check.functions();
    check.rest();
    (check.problems, check.more)
}

/// Everything that is wrong with a limit that stands alone, such as a customer's override.
#[must_use]
pub fn validate_limit(limit: &Limit, policy: &Policy, path: &str) -> Vec<Problem> {
    let mut check = Check::new(policy, path);
    check.limit(limit);
    check.problems
}

struct Check<'p> {
    policy: &'p Policy,
    path: String,
    problems: Vec<Problem>,
    /// Problems past the most that are kept.
    more: usize,
}

impl<'p> Check<'p> {
    fn new(policy: &'p Policy, path: &str) -> Self {
        Self { policy, path: path.to_owned(), problems: Vec::new(), more: 0 }
    }

    /// Runs `check` with `segment` appended to the path.
    fn inside<T>(&mut self, segment: &str, check: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if !segment.starts_with('[') {
            self.path.push('.');
        }
        self.path.extend(segment.chars().take(MAX_NAME));
        let result = check(self);
        self.path.truncate(length);
        result
    }

    fn report(&mut self, code: &'static str, field: &str, message: String, hint: Option<String>) {
        if self.problems.len() >= MAX_PROBLEMS {
            self.more += 1;
            return;
        }
        let path = if field.is_empty() { self.path.clone() } else { format!("{}.{field}", self.path) };
        self.problems.push(Problem { code, path, message, hint, at: None, within: None });
    }

    /// Reports what is wrong in an expression, with its place in it.
    fn mistake(&mut self, field: &str, text: &str, mistake: Mistake) {
        let listed = self.problems.len();
        self.report(mistake.code, field, mistake.message, mistake.hint);
        if let Some(problem) = self.problems.get_mut(listed) {
            problem.within = Some(Position::in_text(text, mistake.at));
        }
    }

    /// Each entry of a map of names, in its own path.
    fn each<T>(&mut self, map: &'p Map<T>, mut check: impl FnMut(&mut Self, &'p str, &'p T)) {
        for (name, value) in map {
            self.inside(name, |this| {
                if name.trim().is_empty() {
                    this.report("bad_name", "", "a name is empty".to_owned(), None);
                } else if name.len() > MAX_NAME {
                    let message = format!("the name {} has more than {MAX_NAME} bytes", quoted(name));
                    this.report("bad_name", "", message, None);
                }
                check(this, name, value);
            });
        }
    }

    /// A reference to a credit, which must be there.
    fn credit_exists(&mut self, credit: &str) {
        if credit.is_empty() {
            self.report("missing_field", "credit", "the credit is not named".to_owned(), None);
        } else if !self.policy.credits.contains_key(credit) {
            let names = self.policy.credits.keys().map(String::as_str);
            let hint = match self.nearest(credit, names) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if self.policy.credits.is_empty() => "the policy has no credits".to_owned(),
                None => "add it under `policy.credits`".to_owned(),
            };
            self.report("unknown_credit", "credit", format!("unknown credit {}", quoted(credit)), Some(hint));
        }
    }

    /// The name that was probably meant; past the first problems nobody asks.
    fn nearest<'k>(&self, name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
        if self.problems.len() < HINTED { nearest(name, known) } else { None }
    }

    fn not_negative(&mut self, code: &'static str, field: &str, amount: Amount) {
        if amount.is_negative() {
            self.report(code, field, format!("`{field}` is `{amount}`, but cannot be negative"), None);
        }
    }

    fn not_empty(&mut self, field: &str, text: Option<&String>) {
        if text.is_some_and(|text| text.trim().is_empty()) {
            self.report(
                "empty_field",
                field,
                format!("`{field}` is empty"),
                Some("name something, or leave it out".to_owned()),
            );
        }
    }

    fn positive_duration(&mut self, field: &str, ms: Option<i64>) {
        if let Some(ms) = ms.filter(|ms| *ms <= 0) {
            self.report("bad_duration", field, format!("`{field}` is `{ms}` ms, but must be longer than 0"), None);
        }
    }

    /// What is beside credits, exchange and plans.
    fn rest(&mut self) {
        self.positive_duration("hold_ttl", Some(self.policy.hold_ttl));
        self.inside("estimates", |this| {
            this.each(&this.policy.estimates, |this, _, segments| {
                for (segment, estimate) in segments {
                    this.inside(segment, |this| this.fraction("alpha", estimate.alpha));
                }
            });
        });
    }

    fn fraction(&mut self, field: &str, value: f64) {
        if !(0.0..=1.0).contains(&value) {
            self.report("bad_fraction", field, format!("`{field}` is `{value}`, but lies between 0 and 1"), None);
        }
    }
}
