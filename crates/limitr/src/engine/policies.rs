//! The policy under live customers: read, changed plan by plan, replaced whole.

use serde_json::Value;

use super::Limitr;
use crate::Error;
use crate::events::{Event, Payload, PlanEvent, PolicyEvent};
use crate::policy::{
    Change, Compiled, Format, Plan, Policy, difference, parse_document, read_document_value, read_plan_value, validate,
    write,
};

impl Limitr {
    /// The policy as it stands, with what has been learned about usage.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let mut policy = self.current_policy().source.clone();
        policy.estimates = self.learned.all();
        policy
    }

    /// Every problem of the policy as it stands; empty when it is valid. Only an engine built without validation has any.
    #[must_use]
    pub fn problems(&self) -> Vec<crate::Problem> {
        validate(&self.current_policy().source)
    }

    /// Adds a plan or puts it in the place of the one with this name. `plan` is a plan as in the policy document.
    ///
    /// # Errors
    /// Kind `Policy`, listing every problem; the policy stays as it was.
    pub fn set_plan(&self, id: &str, plan: &Value) -> Result<(), Error> {
        let plan = read_plan_value(plan, id)?;
        self.edit(|policy| {
            let mut source = policy.source.clone();
            source.plans.insert(id.to_owned(), plan.clone());
            Ok((checked(source)?, ()))
        })?;
        self.tell(self.plan_event("plan-set", id, plan));
        Ok(())
    }

    /// Removes a plan; false when there is none. Its customers fall through to their refs' plans, then the default.
    pub fn delete_plan(&self, id: &str) -> bool {
        let removed = self.edit(|policy| {
            let mut source = policy.source.clone();
            let plan = source.plans.shift_remove(id).ok_or_else(|| Error::argument("unknown_plan", "unknown plan"))?;
            Ok((Compiled::new(source), plan))
        });
        let Ok(plan) = removed else { return false };
        self.tell(self.plan_event("plan-removed", id, plan));
        true
    }

    /// Puts another policy under the same customers. Meters stay and go with the entitlements of the same name.
    ///
    /// # Errors
    /// Kind `Policy`, listing every problem; the policy stays as it was.
    pub fn replace(&self, text: &str, format: Format) -> Result<(), Error> {
        self.replace_with(parse_document(text, format, true)?.policy)
    }

    /// [`Limitr::replace`] with JSON data: the contents of the document's `policy` key.
    ///
    /// # Errors
    /// As [`Limitr::replace`].
    pub fn replace_value(&self, policy: &Value) -> Result<(), Error> {
        self.replace_with(read_document_value(policy, true)?.policy)
    }

    fn replace_with(&self, policy: Policy) -> Result<(), Error> {
        self.learned.seed(&policy.estimates);
        let changes = self.edit(|before| {
            let changes = difference(&before.source, &policy);
            Ok((Compiled::new(policy), changes))
        })?;
        self.tell_changes(changes);
        Ok(())
    }

    /// Changes the policy's document, and says what is different then.
    pub(super) fn change_policy(&self, change: impl FnOnce(&mut Policy)) -> Result<(), Error> {
        let changes = self.edit(|before| {
            let mut policy = before.source.clone();
            change(&mut policy);
            let changes = difference(&before.source, &policy);
            Ok((checked(policy)?, changes))
        })?;
        self.tell_changes(changes);
        Ok(())
    }

    fn tell_changes(&self, changes: Vec<Change>) {
        if self.heard() {
            self.tell(vec![Event::new("policy-updated", Payload::Policy(Box::new(PolicyEvent { changes })))]);
        }
    }

    /// What is different in `other`, by meaning: names and values, not text.
    #[must_use]
    pub fn difference(&self, other: &Policy) -> Vec<Change> {
        difference(&self.current_policy().source, other)
    }

    /// The document as text, without customers (see [`Limitr::customers`]).
    ///
    /// # Errors
    /// When the format cannot express the policy's free data.
    pub fn stringify(&self, format: Format) -> Result<String, Error> {
        write(&serde_json::json!({"policy": self.record()}), format)
    }

    /// The document as data: the contents of its `policy` key, without customers.
    #[must_use]
    pub fn record(&self) -> Value {
        serde_json::to_value(self.policy()).unwrap_or_default()
    }

    fn plan_event(&self, name: &str, id: &str, plan: Plan) -> Vec<Event> {
        if !self.heard() {
            return Vec::new();
        }
        vec![Event::new(name, Payload::Plan(Box::new(PlanEvent { plan: id.into(), definition: plan })))]
    }
}

fn checked(source: Policy) -> Result<Compiled, Error> {
    let problems = validate(&source);
    if problems.is_empty() { Ok(Compiled::new(source)) } else { Err(Error::policy(problems)) }
}
