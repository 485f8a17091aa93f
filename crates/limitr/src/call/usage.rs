//! Operations that use what customers have, or ask whether they could.

use serde_json::{Value, json};

use super::arguments::{basis, call, told};
use super::{Operation, Plain, json_of};
use crate::engine::{Call, EstimateQuery, Observation, Reserve, Settle};
use crate::fields::Fields;
use crate::{Decision, Error, Limitr};

pub(super) const OPERATIONS: &[Operation] = &[
    ("allow", |limitr, fields| decided(fields, |call| limitr.allow_with(call))),
    ("check", |limitr, fields| decided(fields, |call| limitr.check_with(call))),
    ("explain", explain),
    ("increment", |limitr, fields| decided(fields, |call| limitr.allow_with(call.increment()))),
    ("decrement", |limitr, fields| decided(fields, |call| limitr.allow_with(call.decrement()))),
    ("check_increment", |limitr, fields| decided(fields, |call| limitr.check_with(call.increment()))),
    ("check_decrement", |limitr, fields| decided(fields, |call| limitr.check_with(call.decrement()))),
    ("set", set),
    ("reserve", reserve),
    ("settle", settle),
    ("release", release),
    ("estimate", estimate),
    ("observe", observe),
];

/// A call, answered with whether it is allowed, or with the whole decision where `decision` asks for it.
fn decided<'a>(
    mut fields: Fields<'a>,
    decide: impl FnOnce(Call<'a>) -> Result<Decision, Error>,
) -> Result<Value, Error> {
    let call = call(&mut fields);
    let whole = fields.flag("decision", false);
    fields.finish()?;
    decide(call).map(|decision| told_of(decision, whole))
}

fn told_of(decision: Decision, whole: bool) -> Value {
    if whole { json_of(decision) } else { decision.allowed.into() }
}

fn explain(limitr: &Limitr, mut fields: Fields<'_>) -> Result<Value, Error> {
    let call = call(&mut fields);
    fields.finish()?;
    limitr.explain(call).map(json_of)
}

fn set(limitr: &Limitr, mut fields: Fields<'_>) -> Result<Value, Error> {
    let value = fields.optional("value").quantity().unwrap_or_default();
    decided(fields, |call| limitr.allow_with(call.set_to(value)))
}

fn reserve(limitr: &Limitr, mut fields: Fields<'_>) -> Result<Value, Error> {
    let mut reserve = Reserve::new(fields.text("customer"), fields.text("entitlement")).under(basis(&mut fields));
    if let Some(value) = fields.optional("value").quantity() {
        reserve = reserve.value(value);
    }
    if let Some(ttl) = fields.optional("ttl").duration() {
        reserve = reserve.ttl(ttl);
    }
    if let Some(quantile) = fields.optional("quantile").double() {
        reserve = reserve.quantile(quantile);
    }
    if let Some(overhead) = fields.optional("overhead").quantity() {
        reserve = reserve.overhead(overhead);
    }
    fields.finish()?;
    Ok(json_of(limitr.reserve(reserve)))
}

fn settle(limitr: &Limitr, mut fields: Fields<'_>) -> Result<Value, Error> {
    let call = Call::new(fields.text("customer"), fields.text("entitlement"));
    let call = call.value(fields.given("value").quantity().unwrap_or_default());
    let settle = Settle::new(told(&mut fields, call), fields.optional("hold").text());
    let whole = fields.flag("decision", false);
    fields.finish()?;
    limitr.settle(settle).map(|decision| told_of(decision, whole))
}

fn release(limitr: &Limitr, mut fields: Fields<'_>) -> Result<Value, Error> {
    let (customer, entitlement) = (fields.text("customer"), fields.text("entitlement"));
    let hold = fields.optional("hold").text();
    fields.finish()?;
    Ok(hold.is_some_and(|hold| limitr.release(customer, entitlement, hold)).into())
}

fn estimate(limitr: &Limitr, mut fields: Fields<'_>) -> Result<Value, Error> {
    let mut query = EstimateQuery::new(fields.text("customer"), fields.text("entitlement")).under(basis(&mut fields));
    if let Some(quantile) = fields.optional("quantile").double() {
        query = query.quantile(quantile);
    }
    fields.finish()?;
    let Some(prediction) = limitr.estimate(query) else { return Ok(Value::Null) };
    Ok(json!({
        "value": Plain(prediction.value),
        "overhead": Plain(prediction.overhead),
        "samples": prediction.samples,
        "source": prediction.source,
        "scope": prediction.scope,
    }))
}

fn observe(limitr: &Limitr, mut fields: Fields<'_>) -> Result<Value, Error> {
    let (customer, entitlement) = (fields.text("customer"), fields.text("entitlement"));
    let value = fields.required("value").quantity().unwrap_or_default();
    let mut observation = Observation::new(customer, entitlement, value).under(basis(&mut fields));
    if let Some(overhead) = fields.optional("overhead").quantity() {
        observation = observation.overhead(overhead);
    }
    fields.finish()?;
    Ok(limitr.observe(observation).into())
}
