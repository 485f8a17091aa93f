//! The named arguments of operations, and what they become.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Plain, json_of};
use crate::engine::{Call, CallCap, EstimateQuery, NewCap, NewCustomer, Observation, PlanUsage, Reserve, Settle};
use crate::policy::duration;
use crate::{Amount, Error, Limitr, Quantity};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Id {
    pub(super) id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Who {
    pub(super) customer: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    pub(super) customer: String,
    pub(super) entitlement: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallArguments {
    pub(super) customer: String,
    pub(super) entitlement: String,
    #[serde(default)]
    pub(super) value: Option<Quantity<'static>>,
    #[serde(default = "yes", alias = "context")]
    pub(super) event: Value,
    #[serde(default)]
    pub(super) overhead: Option<Quantity<'static>>,
    #[serde(default, alias = "caps")]
    pub(super) cap: CallCaps,
    #[serde(default)]
    pub(super) force: bool,
    #[serde(default)]
    pub(super) idempotency_key: Option<String>,
}

/// A map of credit to ceiling, or a list of caps.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a map of credit to ceiling, or a list of caps")]
pub(super) enum CallCaps {
    Ceilings(std::collections::BTreeMap<String, Quantity<'static>>),
    Caps(Vec<NewCap<'static>>),
    None(()),
}

impl Default for CallCaps {
    fn default() -> Self {
        Self::None(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReserveArguments {
    pub(super) customer: String,
    pub(super) entitlement: String,
    #[serde(default)]
    pub(super) value: Option<Quantity<'static>>,
    #[serde(default, alias = "event")]
    pub(super) context: Option<Value>,
    #[serde(default)]
    pub(super) basis: Option<f64>,
    #[serde(default)]
    pub(super) segment: Option<String>,
    #[serde(default, deserialize_with = "duration::optional")]
    pub(super) ttl: Option<i64>,
    #[serde(default)]
    pub(super) quantile: Option<f64>,
    #[serde(default)]
    pub(super) overhead: Option<Quantity<'static>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SettleArguments {
    pub(super) customer: String,
    pub(super) entitlement: String,
    #[serde(default)]
    pub(super) hold: Option<String>,
    #[serde(default)]
    pub(super) value: Quantity<'static>,
    #[serde(default = "yes", alias = "context")]
    pub(super) event: Value,
    #[serde(default)]
    pub(super) overhead: Option<Quantity<'static>>,
    #[serde(default)]
    pub(super) idempotency_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldArguments {
    pub(super) customer: String,
    pub(super) entitlement: String,
    pub(super) hold: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EstimateArguments {
    pub(super) customer: String,
    pub(super) entitlement: String,
    #[serde(default)]
    pub(super) quantile: Option<f64>,
    #[serde(default, alias = "event")]
    pub(super) context: Option<Value>,
    #[serde(default)]
    pub(super) basis: Option<f64>,
    #[serde(default)]
    pub(super) segment: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ObserveArguments {
    pub(super) customer: String,
    pub(super) entitlement: String,
    pub(super) value: Quantity<'static>,
    #[serde(default, alias = "event")]
    pub(super) context: Option<Value>,
    #[serde(default)]
    pub(super) basis: Option<f64>,
    #[serde(default)]
    pub(super) segment: Option<String>,
    #[serde(default)]
    pub(super) overhead: Option<Quantity<'static>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadArguments {
    #[serde(alias = "plan", alias = "id")]
    pub(super) customer: String,
    pub(super) entitlement: String,
    #[serde(default)]
    pub(super) percent: bool,
    #[serde(default = "truth")]
    pub(super) grants: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProjectionArguments {
    pub(super) customer: String,
    pub(super) entitlement: String,
    #[serde(default)]
    pub(super) smoothed: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExchangeArguments {
    pub(super) in_currency: String,
    pub(super) out_currency: String,
    #[serde(default)]
    pub(super) value: Option<Amount>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreditOf {
    pub(super) customer: String,
    pub(super) credit: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomerArguments {
    pub(super) id: String,
    #[serde(default)]
    pub(super) plan: Option<String>,
    #[serde(default, rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) label: Option<String>,
    #[serde(default)]
    pub(super) refs: Option<Vec<String>>,
    #[serde(default, alias = "alt_ids")]
    pub(super) alts: Option<Vec<String>>,
    #[serde(default)]
    pub(super) metadata: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordArguments {
    pub(super) record: Value,
    #[serde(default = "truth")]
    pub(super) event: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordsArguments {
    pub(super) customers: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomerPlanArguments {
    pub(super) customer: String,
    pub(super) plan: String,
    #[serde(default)]
    pub(super) overwrite_meters: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefsArguments {
    pub(super) customer: String,
    pub(super) refs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AltArguments {
    pub(super) customer: String,
    pub(super) alt: String,
}

#[derive(Deserialize)]
pub(super) struct OverrideArguments {
    pub(super) customer: String,
    pub(super) entitlement: String,
    /// The limit's fields, also accepted under one key.
    #[serde(default)]
    pub(super) limit: Option<Map<String, Value>>,
    #[serde(flatten)]
    pub(super) fields: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopupArguments {
    pub(super) customer: String,
    pub(super) topup: String,
}

#[derive(Deserialize)]
pub(super) struct CapArguments {
    pub(super) customer: String,
    #[serde(flatten)]
    pub(super) cap: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CapId {
    pub(super) customer: String,
    pub(super) id: String,
    #[serde(default = "truth")]
    pub(super) events: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanMarginArguments {
    pub(super) plan: String,
    pub(super) entitlements: PlanUsage<'static>,
    #[serde(default = "truth")]
    pub(super) scaled: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanArguments {
    pub(super) id: String,
    pub(super) plan: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyArguments {
    pub(super) policy: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FormatArguments {
    pub(super) format: String,
}

fn yes() -> Value {
    Value::Bool(true)
}
fn truth() -> bool {
    true
}

impl CallArguments {
    pub(super) fn call(&self) -> Call<'_> {
        let mut call = with_event(Call::new(&self.customer, &self.entitlement), &self.event);
        if let Some(value) = &self.value {
            call = call.value(value.clone());
        }
        if let Some(overhead) = &self.overhead {
            call = call.overhead(overhead.clone());
        }
        match &self.cap {
            CallCaps::Ceilings(ceilings) => {
                for (credit, ceiling) in ceilings {
                    call = call.cap((credit.as_str(), ceiling.clone()));
                }
            }
            CallCaps::Caps(caps) => {
                for cap in caps {
                    call = call.cap(CallCap::from(cap.clone()));
                }
            }
            CallCaps::None(()) => {}
        }
        if self.force {
            call = call.force();
        }
        if let Some(key) = &self.idempotency_key {
            call = call.idempotency_key(key);
        }
        call
    }
}

fn with_event<'a>(call: Call<'a>, event: &Value) -> Call<'a> {
    match event {
        Value::Bool(true) | Value::Null => call,
        Value::Bool(false) => call.silent(),
        data => call.event(data.clone()),
    }
}

impl CustomerArguments {
    pub(super) fn customer(self) -> NewCustomer {
        let mut new = NewCustomer::new(self.id).plan(self.plan.unwrap_or_default());
        if let Some(kind) = self.kind {
            new = new.kind(kind);
        }
        if let Some(label) = self.label {
            new = new.label(label);
        }
        if let Some(refs) = self.refs {
            new = new.refs(refs);
        }
        if let Some(alts) = self.alts {
            new = new.alt_ids(alts);
        }
        if let Some(metadata) = self.metadata {
            new = new.metadata(metadata);
        }
        new
    }
}

impl ReserveArguments {
    pub(super) fn run(self, limitr: &Limitr) -> Value {
        let mut reserve = Reserve::new(&self.customer, &self.entitlement);
        if let Some(value) = self.value {
            reserve = reserve.value(value);
        }
        if let Some(context) = &self.context {
            reserve = reserve.context(context);
        }
        if let Some(basis) = self.basis {
            reserve = reserve.basis(basis);
        }
        if let Some(segment) = &self.segment {
            reserve = reserve.segment(segment);
        }
        if let Some(ttl) = self.ttl {
            reserve = reserve.ttl(ttl);
        }
        if let Some(quantile) = self.quantile {
            reserve = reserve.quantile(quantile);
        }
        if let Some(overhead) = self.overhead {
            reserve = reserve.overhead(overhead);
        }
        json_of(limitr.reserve(reserve))
    }
}

impl SettleArguments {
    pub(super) fn run(self, limitr: &Limitr) -> Result<Value, Error> {
        let mut call = with_event(Call::new(&self.customer, &self.entitlement).value(self.value), &self.event);
        if let Some(overhead) = self.overhead {
            call = call.overhead(overhead);
        }
        if let Some(key) = &self.idempotency_key {
            call = call.idempotency_key(key);
        }
        limitr.settle(Settle::new(call, self.hold.as_deref())).map(|decision| decision.allowed.into())
    }
}

impl EstimateArguments {
    pub(super) fn run(self, limitr: &Limitr) -> Value {
        let mut query = EstimateQuery::new(&self.customer, &self.entitlement);
        if let Some(quantile) = self.quantile {
            query = query.quantile(quantile);
        }
        if let Some(context) = &self.context {
            query = query.context(context);
        }
        if let Some(basis) = self.basis {
            query = query.basis(basis);
        }
        if let Some(segment) = &self.segment {
            query = query.segment(segment);
        }
        let plain = |prediction: crate::Prediction| {
            json!({
                "value": Plain(prediction.value),
                "overhead": Plain(prediction.overhead),
                "samples": prediction.samples,
                "source": prediction.source,
                "scope": prediction.scope,
            })
        };
        limitr.estimate(query).map_or(Value::Null, plain)
    }
}

impl ObserveArguments {
    pub(super) fn run(self, limitr: &Limitr) -> bool {
        let mut observation = Observation::new(&self.customer, &self.entitlement, self.value);
        if let Some(context) = &self.context {
            observation = observation.context(context);
        }
        if let Some(basis) = self.basis {
            observation = observation.basis(basis);
        }
        if let Some(segment) = &self.segment {
            observation = observation.segment(segment);
        }
        if let Some(overhead) = self.overhead {
            observation = observation.overhead(overhead);
        }
        limitr.observe(observation)
    }
}
