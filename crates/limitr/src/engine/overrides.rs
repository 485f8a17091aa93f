//! Limits of a customer's own.

use serde_json::{Value, json};

use super::Limitr;
use super::announce::customer_event;
use crate::Error;
use crate::decide::plan_of;
use crate::policy::{Compiled, Limit, read_limit_over, read_limit_value, validate_limit};
use crate::state::CALLER;

impl Limitr {
    /// Gives a customer a limit of its own on an entitlement. `fields` are limit fields as in the policy document; every
    /// field left out is copied from the limit in force, an unexpired override first. Returns the new limit, none for an
    /// unknown customer or entitlement.
    ///
    /// # Errors
    /// Kind `Policy` when the fields are not those of a valid limit.
    ///
    /// ```
    /// # use limitr::{Limitr, NewCustomer};
    /// # let limitr = Limitr::from_yaml("policy: {credits: {c: {}}, plans: {free: {default: true, entitlements: {api: {limit: {credit: c, value: 10}}}}}}")?;
    /// # limitr.create_customer(NewCustomer::new("c1"))?;
    /// limitr.create_customer_override("c1", "api", &serde_json::json!({"value": 50}))?;
    /// assert_eq!(limitr.remaining("c1", "api"), Some(50.into()));
    /// # Ok::<(), limitr::Error>(())
    /// ```
    pub fn create_customer_override(
        &self,
        customer: &str,
        entitlement: &str,
        fields: &Value,
    ) -> Result<Option<Limit>, Error> {
        let operation =
            || json!({"create_customer_override": {"customer": customer, "entitlement": entitlement, "limit": fields}});
        self.logged(operation, || self.put_override(customer, entitlement, fields))
    }

    fn put_override(&self, customer: &str, entitlement: &str, fields: &Value) -> Result<Option<Limit>, Error> {
        let policy = self.current_policy();
        let now = self.time();
        let heard = self.heard();
        let outcome = self.store.enter(customer, |_, people| {
            let Some(plan) = plan_of(&policy, people, CALLER) else { return Ok::<_, Error>(None) };
            let Some(declared) = plan.definition.entitlements.get(entitlement) else { return Ok(None) };
            let Some(customer) = people.get_mut(CALLER) else { return Ok(None) };
            let in_force = customer.live_override(entitlement, now).or(declared.limit.as_ref());
            let limit = overridden(&policy, in_force, fields)?;
            customer.overrides.insert(entitlement.into(), limit.clone());
            Ok(Some((limit, heard.then(|| customer_event("customer-set", &policy, customer)))))
        });
        let Some((limit, event)) = outcome.unwrap_or(Ok(None))? else { return Ok(None) };
        self.tell(event.into_iter().collect());
        Ok(Some(limit))
    }

    /// Takes a customer's own limit away; false when there is none.
    pub fn remove_customer_override(&self, customer: &str, entitlement: &str) -> bool {
        let operation = || json!({"remove_customer_override": {"customer": customer, "entitlement": entitlement}});
        self.logged(operation, || self.change(customer, |customer| customer.overrides.remove(entitlement).is_some()))
    }
}

/// The limit in force with `fields` laid over it.
fn overridden(policy: &Compiled, in_force: Option<&Limit>, fields: &Value) -> Result<Limit, Error> {
    let limit = match in_force {
        Some(limit) => read_limit_over(limit, fields, "override")?,
        None => read_limit_value(fields, "override")?,
    };
    let problems = validate_limit(&limit, &policy.source, "override");
    if problems.is_empty() { Ok(limit) } else { Err(Error::policy(problems)) }
}
