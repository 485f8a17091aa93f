//! Operations that change customers and the policy, and those that measure margins.

use serde_json::Value;

use super::arguments::{both, new_customer, only, only_json, place};
use super::{Operation, json_of};
use crate::engine::{CapChange, NewCap, PlanUsage, UsageItem};
use crate::fields::Fields;
use crate::policy::read_document_value;
use crate::state::Customer;
use crate::{Error, Limitr};

pub(super) const OPERATIONS: &[Operation] = &[
    ("create_customer", |limitr, fields| limitr.create_customer(new_customer(fields)?).map(json_of)),
    ("ensure_customer", |limitr, fields| limitr.ensure_customer(new_customer(fields)?).map(Value::from)),
    ("set_customer", |limitr, mut fields| {
        let record = fields.required("record").json();
        let event = fields.flag("event", true);
        fields.finish()?;
        limitr.set_customer(Customer::from_json(record.unwrap_or(&Value::Null))?, event)?;
        Ok(true.into())
    }),
    ("load_customers", |limitr, fields| {
        limitr.load_customers(Customer::list_from_json(only_json(fields, "customers")?)?)?;
        Ok(true.into())
    }),
    ("delete_customer", |limitr, fields| Ok(limitr.delete_customer(only(fields, "id")?).into())),
    ("set_customer_plan", |limitr, mut fields| {
        let overwrite = fields.flag("overwrite_meters", false);
        let (customer, plan) = both(fields, "customer", "plan")?;
        Ok(limitr.set_customer_plan(customer, plan, overwrite).into())
    }),
    ("set_customer_refs", |limitr, mut fields| {
        let refs = fields.required("refs").texts().unwrap_or_default();
        let customer = only(fields, "customer")?;
        Ok(limitr.set_customer_refs(customer, refs).into())
    }),
    ("set_alt_customer_id", add_alt_id),
    ("add_alt_customer_id", add_alt_id),
    ("add_alt_id", add_alt_id),
    ("remove_alt_customer_id", remove_alt_id),
    ("remove_alt_id", remove_alt_id),
    ("create_customer_override", create_customer_override),
    ("remove_customer_override", |limitr, fields| {
        let (customer, entitlement) = place(fields)?;
        Ok(limitr.remove_customer_override(customer, entitlement).into())
    }),
    ("ensure_plan_subscription", |limitr, fields| {
        Ok(limitr.ensure_plan_subscription(only(fields, "customer")?).into())
    }),
    ("ensure_included_topups", |limitr, fields| Ok(limitr.ensure_included_topups(only(fields, "customer")?).into())),
    ("apply_customer_topup", |limitr, fields| {
        let (customer, topup) = both(fields, "customer", "topup")?;
        Ok(limitr.apply_customer_topup(customer, topup).into())
    }),
    ("add_customer_cap", |limitr, mut fields| {
        let customer = fields.text("customer");
        let cap = NewCap::read(&mut fields);
        fields.finish()?;
        Ok(json_of(limitr.add_customer_cap(customer, cap)))
    }),
    ("customer_cap", |limitr, fields| {
        let cap = CapId::new(fields)?;
        Ok(json_of(limitr.customer_cap(cap.customer, cap.id)))
    }),
    ("reset_customer_cap", |limitr, fields| {
        let cap = CapId::new(fields)?;
        Ok(limitr.change_customer_cap(cap.customer, cap.id, CapChange::Reset, cap.events).into())
    }),
    ("remove_customer_cap", |limitr, fields| {
        let cap = CapId::new(fields)?;
        Ok(limitr.change_customer_cap(cap.customer, cap.id, CapChange::Remove, cap.events).into())
    }),
    ("start_margin_measurement", |limitr, fields| {
        Ok(limitr.start_margin_measurement(only(fields, "customer")?).into())
    }),
    ("capture_margin_measurement", |limitr, fields| {
        Ok(json_of(limitr.capture_margin_measurement(only(fields, "customer")?)))
    }),
    ("customer_margin", customer_margin),
    ("customer_margin_snapshot", customer_margin),
    ("plan_margin", plan_margin),
    ("margin_snapshot", plan_margin),
    ("set_plan", |limitr, mut fields| {
        let plan = fields.required("plan").json();
        let id = only(fields, "id")?;
        limitr.set_plan(id, plan.unwrap_or(&Value::Null))?;
        Ok(true.into())
    }),
    ("delete_plan", |limitr, fields| Ok(limitr.delete_plan(only(fields, "id")?).into())),
    ("replace", |limitr, fields| {
        limitr.replace_value(only_json(fields, "policy")?)?;
        Ok(true.into())
    }),
    ("difference", |limitr, fields| {
        let other = read_document_value(only_json(fields, "policy")?, false)?;
        Ok(json_of(limitr.difference(&other.policy)))
    }),
];

fn add_alt_id(limitr: &Limitr, fields: Fields<'_>) -> Result<Value, Error> {
    let (customer, alt) = both(fields, "customer", "alt")?;
    limitr.add_alt_id(customer, alt).map(Value::from)
}

fn remove_alt_id(limitr: &Limitr, fields: Fields<'_>) -> Result<Value, Error> {
    let (customer, alt) = both(fields, "customer", "alt")?;
    Ok(limitr.remove_alt_id(customer, alt).into())
}

fn create_customer_override(limitr: &Limitr, mut fields: Fields<'_>) -> Result<Value, Error> {
    let (customer, entitlement) = (fields.text("customer"), fields.text("entitlement"));
    // The limit's fields stand beside them, or under one key.
    let limit = fields.optional("limit").object().cloned();
    let others = fields.rest();
    fields.finish()?;
    let limit = Value::Object(limit.unwrap_or(others));
    limitr.create_customer_override(customer, entitlement, &limit).map(json_of)
}

fn customer_margin(limitr: &Limitr, fields: Fields<'_>) -> Result<Value, Error> {
    Ok(json_of(limitr.customer_margin_snapshot(only(fields, "customer")?)))
}

fn plan_margin(limitr: &Limitr, mut fields: Fields<'_>) -> Result<Value, Error> {
    let plan = fields.text("plan");
    let mut usage = PlanUsage::default();
    fields.required("entitlements").entries(&mut |entitlement, item| {
        usage.extend(UsageItem::read(item).map(|item| (entitlement.to_owned(), item)));
    });
    let scaled = fields.flag("scaled", true);
    fields.finish()?;
    limitr.margin_snapshot(plan, &usage, scaled).map(json_of)
}

/// A cap of a customer, and whether what is done to it is told.
struct CapId<'a> {
    customer: &'a str,
    id: &'a str,
    events: bool,
}

impl<'a> CapId<'a> {
    fn new(mut fields: Fields<'a>) -> Result<Self, Error> {
        let (customer, id) = (fields.text("customer"), fields.text("id"));
        let events = fields.flag("events", true);
        fields.finish().map(|()| Self { customer, id, events })
    }
}
