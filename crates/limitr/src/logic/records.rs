//! Customers and events as expressions see them.

use serde_json::{Value as Json, json};

use super::expression::{Record, Type, Value};
use crate::Amount;
use crate::events::{CapEvent, GovernorNumbers, MeterEvent, MeterNumbers};
use crate::state::Customer;

/// A customer and the plan that applies to it.
#[derive(Debug)]
pub(crate) struct Person<'a> {
    pub(crate) customer: &'a Customer,
    pub(crate) plan: Option<&'a str>,
}

/// What [`Person`] has.
pub(super) fn person_type() -> Type {
    Type::shape([
        ("id", Type::Text),
        ("plan", Type::Text),
        ("type", Type::Text),
        ("label", Type::Text),
        ("metadata", Type::Any),
    ])
}

impl Record for Person<'_> {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "id" => (&*self.customer.id).into(),
            "plan" => self.plan.or(self.customer.plan.as_deref()).unwrap_or_default().into(),
            "type" => (&*self.customer.kind).into(),
            "label" => (&*self.customer.label).into(),
            "metadata" => Value::Record(&self.customer.metadata),
            _ => return None,
        })
    }

    fn to_json(&self) -> Json {
        let Self { customer, plan } = self;
        json!({
            "id": customer.id,
            "plan": plan.or(customer.plan.as_deref()).unwrap_or_default(),
            "type": customer.kind,
            "label": customer.label,
            "metadata": Record::to_json(&customer.metadata),
        })
    }
}

/// A customer's metadata, a map even where there is none.
type Metadata = Option<Box<serde_json::Map<String, Json>>>;

impl Record for Metadata {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        Value::of(self.as_ref()?.get(name)?)
    }

    fn to_json(&self) -> Json {
        self.as_ref().map_or_else(Default::default, |data| (**data).clone()).into()
    }
}

/// What a meter or cap event has; which of it is there depends on the event.
pub(super) fn usage_event_type() -> Type {
    let number = |name| (name, Type::Double);
    let numbers = ["old", "value", "limit", "invalid", "diff", "overhead", "overhead_diff"];
    let meter = Type::shape(numbers.map(number).into_iter().chain([("price_diff", Type::Any)]));
    Type::shape([
        ("meter", meter),
        ("customer", Type::Any),
        ("caller", Type::Any),
        ("entitlement", Type::Text),
        ("plan", Type::Text),
        ("credit", Type::Any),
        ("cap", Type::Any),
        ("event_data", Type::Any),
        number("remaining"),
        number("grant_value_applied"),
        number("overage"),
        ("overage_price", Type::Any),
        number("invalid_value"),
        ("governor", Type::shape(["tokens", "capacity", "requested"].map(number))),
    ])
}

/// A number as events carry it.
fn number<'a>(amount: Amount) -> Value<'a> {
    Value::Double(amount.rounded())
}

/// Something that is written out only when it is asked for.
fn whole<'a>(value: impl serde::Serialize) -> Option<Value<'a>> {
    Value::owned(serde_json::to_value(value).ok()?)
}

impl Record for MeterEvent {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "meter" => Value::Record(&self.meter),
            "customer" => Value::Record(&self.customer),
            "caller" => Value::Record(self.caller.as_ref()?),
            "entitlement" => (&*self.entitlement).into(),
            "plan" => (&*self.plan).into(),
            "credit" => return whole(&self.credit),
            "cap" => return whole(self.cap.as_ref()?),
            "event_data" => self.event_data.as_ref().and_then(Value::of).into(),
            "remaining" => number(self.remaining),
            "grant_value_applied" => number(self.grant_value_applied?),
            "overage" => number(self.overage?),
            "overage_price" => self.overage_price?.map(number).into(),
            "invalid_value" => number(self.invalid_value?),
            "governor" => Value::Record(self.governor.as_ref()?),
            _ => return None,
        })
    }

    fn to_json(&self) -> Json {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl Record for MeterNumbers {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "old" => number(self.old?),
            "value" => number(self.value),
            "limit" => number(self.limit),
            "invalid" => number(self.invalid?),
            "diff" => number(self.diff),
            "overhead" => number(self.overhead),
            "overhead_diff" => number(self.overhead_diff),
            "price_diff" => self.price_diff.map(number).into(),
            _ => return None,
        })
    }

    fn to_json(&self) -> Json {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl Record for GovernorNumbers {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "tokens" => number(self.tokens),
            "capacity" => number(self.capacity),
            "requested" => number(self.requested),
            _ => return None,
        })
    }

    fn to_json(&self) -> Json {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl Record for CapEvent {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "cap" => return whole(&self.cap),
            "customer" => Value::Record(&self.customer),
            "caller" => Value::Record(self.caller.as_ref()?),
            "entitlement" => (&**self.entitlement.as_ref()?).into(),
            _ => return None,
        })
    }

    fn to_json(&self) -> Json {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl Record for Customer {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "id" => (&*self.id).into(),
            "plan" => self.plan.as_deref().unwrap_or_default().into(),
            "type" => (&*self.kind).into(),
            "label" => (&*self.label).into(),
            "metadata" => Value::Record(&self.metadata),
            "alt_ids" => return whole(&self.alt_ids),
            "refs" => return whole(&self.refs),
            "meters" => return whole(&self.meters),
            "overrides" => return whole(&self.overrides),
            "grants" => return whole(&self.grants),
            "caps" => return whole(&self.caps),
            _ => return None,
        })
    }

    fn to_json(&self) -> Json {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Data that stands for itself.
impl Record for Json {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        Value::of(self.get(name)?)
    }

    fn to_json(&self) -> Json {
        self.clone()
    }
}
