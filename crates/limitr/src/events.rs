//! What the engine tells listeners, after a call's effects are complete.

use std::sync::Arc;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::policy::{Credit, Plan, Severity};
use crate::state::{Cap, Customer, Grant, Name};
use crate::{Amount, Position};

/// The names of all events but those of notifications and functions, which are their own.
pub(crate) const NAMES: &[&str] = &[
    "meter-reset",
    "meter-changed",
    "meter-overage",
    "meter-limit",
    "meter-governed",
    "cap-limit",
    "cap-threshold-crossed",
    "customer-cap-added",
    "customer-cap-reset",
    "customer-cap-removed",
    "customer-set",
    "customer-removed",
    "customer-plan-changed",
    "customer-topup-granted",
    "plan-set",
    "plan-removed",
    "policy-updated",
    "logic-error",
];

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Event {
    name: Name,
    payload: Payload,
}

/// An event's data. Serialises to the payload described in the engine reference; amounts are rounded to nine decimals.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Payload {
    /// `meter-reset`, `meter-changed`, `meter-overage`, `meter-limit`, `meter-governed` and `cap-limit`.
    Meter(Box<MeterEvent>),
    /// `cap-threshold-crossed`, `customer-cap-added`, `customer-cap-reset` and `customer-cap-removed`.
    Cap(Box<CapEvent>),
    /// `customer-set` and `customer-removed`: the record.
    Customer(Box<Customer>),
    /// `customer-plan-changed`.
    PlanChanged(Box<PlanChangedEvent>),
    /// `customer-topup-granted`.
    TopupGranted(Box<TopupGrantedEvent>),
    /// `plan-set` and `plan-removed`.
    Plan(Box<PlanEvent>),
    /// `policy-updated`: what changed.
    Policy(Box<PolicyEvent>),
    /// `logic-error`.
    LogicError(Box<LogicErrorEvent>),
    /// An event of a notification's own name.
    Notification(Box<NotificationEvent>),
    /// An event of the name of one of the policy's functions.
    Function(Box<FunctionEvent>),
}

/// Payload of the meter events.
#[derive(Debug, Clone, Serialize)]
pub struct MeterEvent {
    /// The meter's numbers.
    pub meter: MeterNumbers,
    /// The meter's owner; for `cap-limit` the cap's holder.
    pub customer: Customer,
    /// Who called, for `cap-limit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<Customer>,
    /// The entitlement.
    pub entitlement: Name,
    /// The caller's plan.
    pub plan: Name,
    /// The credit's definition.
    pub credit: Arc<Credit>,
    /// Limit minus value, without grants.
    #[serde(serialize_with = "number")]
    pub remaining: Amount,
    /// The call's event data.
    pub event_data: Option<Value>,
    /// Units that grants covered.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional")]
    pub grant_value_applied: Option<Amount>,
    /// `meter-overage`: units to bill. `meter-limit`: units past the limit.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional")]
    pub overage: Option<Amount>,
    /// `meter-overage`: what they cost, in runes; null without a price.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_price")]
    pub overage_price: Option<Option<Amount>>,
    /// The meter value a denied call would have led to.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional")]
    pub invalid_value: Option<Amount>,
    /// The bucket, for `meter-governed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub governor: Option<GovernorNumbers>,
    /// The cap without room, for `cap-limit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<Cap>,
}

/// A meter's numbers in an event, in the credit's unit and in runes.
#[derive(Debug, Clone, Serialize)]
pub struct MeterNumbers {
    /// Before the call; absent when denied.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional")]
    pub old: Option<Amount>,
    /// Now.
    #[serde(serialize_with = "number")]
    pub value: Amount,
    /// The limit.
    #[serde(serialize_with = "number")]
    pub limit: Amount,
    /// What a denied call would have led to.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional")]
    pub invalid: Option<Amount>,
    /// What the call adds.
    #[serde(serialize_with = "number")]
    pub diff: Amount,
    /// Cost so far in the period, runes.
    #[serde(serialize_with = "number")]
    pub overhead: Amount,
    /// Cost of the call, runes.
    #[serde(serialize_with = "number")]
    pub overhead_diff: Amount,
    /// List price of the units past the limit, runes; null without a price.
    #[serde(serialize_with = "optional")]
    pub price_diff: Option<Amount>,
}

/// A bucket's numbers in an event.
#[derive(Debug, Clone, Serialize)]
pub struct GovernorNumbers {
    /// Tokens there are.
    #[serde(serialize_with = "number")]
    pub tokens: Amount,
    /// Tokens there can be.
    #[serde(serialize_with = "number")]
    pub capacity: Amount,
    /// Tokens asked for.
    #[serde(serialize_with = "number")]
    pub requested: Amount,
}

/// Payload of the cap events.
#[derive(Debug, Clone, Serialize)]
pub struct CapEvent {
    /// The cap.
    pub cap: Cap,
    /// Its holder.
    pub customer: Customer,
    /// Who called, for `cap-threshold-crossed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<Customer>,
    /// The entitlement, for `cap-threshold-crossed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entitlement: Option<Name>,
}

/// Payload of `customer-plan-changed`.
#[derive(Debug, Clone, Serialize)]
pub struct PlanChangedEvent {
    /// The customer, on its new plan.
    pub customer: Customer,
    /// The new plan.
    pub plan: Name,
    /// The plan that applied before, own or inherited.
    pub previous_plan: Option<Name>,
}

/// Payload of `customer-topup-granted`.
#[derive(Debug, Clone, Serialize)]
pub struct TopupGrantedEvent {
    /// The customer, with the grant.
    pub customer: Customer,
    /// The topup.
    pub topup: Name,
    /// The grant.
    pub grant: Grant,
}

/// Payload of `plan-set` and `plan-removed`.
#[derive(Debug, Clone, Serialize)]
pub struct PlanEvent {
    /// The plan's name.
    pub plan: Name,
    /// What it is, or was.
    pub definition: Plan,
}

/// Payload of `policy-updated`.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyEvent {
    /// What is different now.
    pub changes: Vec<crate::policy::Change>,
}

/// Payload of `logic-error`: a piece of the policy's logic gave no result, and its fallback was used.
#[derive(Debug, Clone, Serialize)]
pub struct LogicErrorEvent {
    /// Where it stands: `policy.credits.token.overhead`.
    pub path: String,
    /// Its text.
    pub expression: String,
    /// Why there was no result.
    pub message: String,
    /// Where in its text.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub at: Option<Position>,
    /// The customer it was run for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<Customer>,
    /// The entitlement it was run for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entitlement: Option<Name>,
}

/// Payload of a notification's own event: that of the event it matched, with a field `notification` beside it.
#[derive(Debug, Clone)]
pub struct NotificationEvent {
    /// Which one, and what it says.
    pub notification: Notice,
    /// What it matched.
    pub payload: Payload,
}

impl Serialize for NotificationEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("notification", &self.notification)?;
        if let Ok(Value::Object(fields)) = serde_json::to_value(&self.payload) {
            for (name, value) in &fields {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

/// What a notification says.
#[derive(Debug, Clone, Serialize)]
pub struct Notice {
    /// Its name.
    pub name: Name,
    /// How bad it is.
    pub severity: Severity,
    /// Its message, filled in.
    pub message: String,
    /// The event it matched.
    pub event: Name,
    /// What its function `fire` returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

/// Payload of the event that a function of the policy makes of another.
#[derive(Debug, Clone, Serialize)]
pub struct FunctionEvent {
    /// What it returned: text, or a map.
    pub result: Value,
    /// The payload it was called with.
    pub event: Payload,
}

impl Payload {
    /// The customer an event is about.
    pub(crate) fn customer(&self) -> Option<&Customer> {
        match self {
            Self::Meter(event) => Some(&event.customer),
            Self::Cap(event) => Some(&event.customer),
            Self::Customer(customer) => Some(customer),
            Self::PlanChanged(event) => Some(&event.customer),
            Self::TopupGranted(event) => Some(&event.customer),
            Self::LogicError(event) => event.customer.as_ref(),
            Self::Notification(event) => event.payload.customer(),
            Self::Function(event) => event.event.customer(),
            Self::Plan(_) | Self::Policy(_) => None,
        }
    }
}

impl Event {
    pub(crate) fn new(name: &str, payload: Payload) -> Self {
        Self { name: name.into(), payload }
    }

    /// Its name, such as `meter-changed`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its data.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Its data as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(&self.payload).unwrap_or_default()
    }

    /// Its data as JSON text.
    #[must_use]
    pub fn to_json_string(&self) -> String {
        serde_json::to_string(&self.payload).unwrap_or_default()
    }
}

impl Cap {
    /// The cap as events show it.
    pub(crate) fn in_event(mut self) -> Self {
        self.meter_value = self.meter_value.rounded();
        self
    }
}

/// Event numbers are JSON numbers, rounded: they are to be read, not to be stored and added up again.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn number<S: Serializer>(amount: &Amount, serializer: S) -> Result<S::Ok, S::Error> {
    amount.rounded().serialize_number(serializer)
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn optional<S: Serializer>(amount: &Option<Amount>, serializer: S) -> Result<S::Ok, S::Error> {
    match amount {
        Some(amount) => number(amount, serializer),
        None => serializer.serialize_none(),
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, clippy::option_option)]
fn optional_price<S: Serializer>(price: &Option<Option<Amount>>, serializer: S) -> Result<S::Ok, S::Error> {
    optional(&price.flatten(), serializer)
}
