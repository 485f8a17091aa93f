//! Operations that answer a question and change nothing.

use serde_json::Value;

use super::arguments::{both, only, place};
use super::{Operation, json_of, plain};
use crate::fields::Fields;
use crate::policy::Plan;
use crate::{Amount, Error};

pub(super) const OPERATIONS: &[Operation] = &[
    ("value", |limitr, fields| {
        let at = Reading::new(fields)?;
        Ok(plain(if at.percent {
            limitr.value_percent(at.customer, at.entitlement, at.grants)
        } else {
            limitr.value(at.customer, at.entitlement)
        }))
    }),
    ("remaining", |limitr, fields| {
        let at = Reading::new(fields)?;
        Ok(plain(if at.percent {
            limitr.remaining_percent(at.customer, at.entitlement, at.grants)
        } else if at.grants {
            limitr.remaining(at.customer, at.entitlement)
        } else {
            limitr.remaining_without_grants(at.customer, at.entitlement)
        }))
    }),
    ("limit", |limitr, fields| {
        let at = Reading::new(fields)?;
        Ok(plain(limitr.limit(at.customer, at.entitlement, at.grants)))
    }),
    ("held", |limitr, fields| {
        let (customer, entitlement) = place(fields)?;
        Ok(plain(limitr.held(customer, entitlement)))
    }),
    ("allowance", |limitr, fields| {
        let (customer, entitlement) = place(fields)?;
        Ok(plain(limitr.allowance(customer, entitlement)))
    }),
    ("cost", |limitr, fields| {
        let (customer, entitlement) = place(fields)?;
        Ok(plain(limitr.cost(customer, entitlement)))
    }),
    ("resets", |limitr, fields| {
        let (customer, entitlement) = place(fields)?;
        Ok(json_of(limitr.resets(customer, entitlement)))
    }),
    ("rate", |limitr, fields| {
        let (customer, entitlement) = place(fields)?;
        Ok(statistic(limitr.rate(customer, entitlement)))
    }),
    ("acceleration", |limitr, fields| {
        let (customer, entitlement) = place(fields)?;
        Ok(statistic(limitr.acceleration(customer, entitlement)))
    }),
    ("projected_exhaustion", |limitr, mut fields| {
        let smoothed = fields.flag("smoothed", false);
        let (customer, entitlement) = place(fields)?;
        Ok(statistic(limitr.projected_exhaustion(customer, entitlement, smoothed)))
    }),
    ("credit_exchange", |limitr, mut fields| {
        let value = fields.optional("value").amount().unwrap_or(Amount::ONE);
        let (from, to) = both(fields, "in_currency", "out_currency")?;
        Ok(plain(limitr.credit_exchange(from, to, value)))
    }),
    ("credit_remaining", |limitr, fields| {
        let (customer, credit) = both(fields, "customer", "credit")?;
        Ok(plain(limitr.credit_remaining(customer, credit)))
    }),
    ("meter_obj", |limitr, fields| {
        let (customer, entitlement) = place(fields)?;
        Ok(json_of(limitr.meter(customer, entitlement)))
    }),
    ("limit_obj", |limitr, fields| {
        let (customer, entitlement) = place(fields)?;
        Ok(json_of(limitr.limit_definition(customer, entitlement)))
    }),
    ("entitlement", |limitr, fields| {
        let (customer, entitlement) = place(fields)?;
        Ok(json_of(limitr.entitlement(customer, entitlement)))
    }),
    ("credit_for", |limitr, fields| {
        let (customer, entitlement) = place(fields)?;
        Ok(json_of(limitr.credit_for(customer, entitlement)))
    }),
    ("credit", |limitr, fields| Ok(json_of(limitr.credit(only(fields, "id")?)))),
    ("plan", |limitr, fields| Ok(json_of(limitr.plan(only(fields, "id")?)))),
    ("plan_for", |limitr, fields| Ok(named(limitr.plan_for(only(fields, "customer")?)))),
    ("default_plan", |limitr, fields| {
        fields.finish()?;
        Ok(named(limitr.default_plan()))
    }),
    ("customer", |limitr, fields| Ok(json_of(limitr.customer(only(fields, "id")?)))),
    ("customers", |limitr, fields| {
        fields.finish()?;
        Ok(json_of(limitr.customers()))
    }),
    ("customer_metadata", |limitr, fields| Ok(json_of(limitr.customer_metadata(only(fields, "customer")?)))),
    ("valid", |limitr, fields| {
        fields.finish()?;
        Ok(limitr.problems().is_empty().into())
    }),
    ("record", |limitr, fields| {
        fields.finish()?;
        Ok(limitr.record())
    }),
    ("stringify", |limitr, fields| {
        let format = only(fields, "format")?.parse()?;
        limitr.stringify(format).map(Value::from)
    }),
];

/// What is asked about an entitlement, of a customer or as a plan has it.
struct Reading<'a> {
    customer: &'a str,
    entitlement: &'a str,
    percent: bool,
    grants: bool,
}

impl<'a> Reading<'a> {
    fn new(mut fields: Fields<'a>) -> Result<Self, Error> {
        let customer = fields.either("customer", &["plan", "id"]);
        let reading = Self {
            customer: fields.text(customer),
            entitlement: fields.text("entitlement"),
            percent: fields.flag("percent", false),
            grants: fields.flag("grants", true),
        };
        fields.finish().map(|()| reading)
    }
}

/// A statistic, rounded like every result.
fn statistic(value: Option<f64>) -> Value {
    plain(value.and_then(Amount::from_f64))
}

/// A plan's definition with its name.
fn named(plan: Option<(String, Plan)>) -> Value {
    let Some((id, plan)) = plan else { return Value::Null };
    let mut plan = json_of(plan);
    if let Value::Object(plan) = &mut plan {
        plan.shift_insert(0, "id".to_owned(), id.into());
    }
    plan
}
