//! Every operation of the engine as JSON: `{"allow": {"customer": "c1", "entitlement": "chat", "value": 5}}` in, JSON out.
//!
//! One boundary for everything that is not Rust: conformance scenarios, the command line, WebAssembly and HTTP.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::engine::{
    Call, CallCap, EstimateQuery, NewCap, NewCustomer, Observation, PlanUsage, Reserve, Settle,
};
use crate::policy::{Format, duration, read_document_value};
use crate::state::Customer;
use crate::{Amount, Error, Limitr, Quantity};

/// Runs one operation given as an object with a single key, the operation's name, holding its named arguments.
///
/// The names and arguments are those of the conformance scenarios. Results are `true` or `false` for what is allowed or
/// done, records and numbers for what is read, null for what is not there.
///
/// # Errors
/// `bad_operation` when the object does not name an operation with the arguments it takes, else the operation's own.
///
/// ```
/// # use limitr::{Limitr, call};
/// # use serde_json::json;
/// # let limitr = Limitr::from_yaml("policy: {credits: {c: {}}, plans: {free: {default: true, entitlements: {api: {limit: {credit: c, value: 10}}}}}}")?;
/// call(&limitr, &json!({"create_customer": {"id": "c1"}}))?;
/// assert_eq!(call(&limitr, &json!({"allow": {"customer": "c1", "entitlement": "api", "value": 4}}))?, json!(true));
/// assert_eq!(call(&limitr, &json!({"remaining": {"customer": "c1", "entitlement": "api"}}))?, json!(6));
/// # Ok::<(), limitr::Error>(())
/// ```
pub fn call(limitr: &Limitr, operation: &Value) -> Result<Value, Error> {
    let operation = Operation::deserialize(operation).map_err(|error| {
        Error::argument("bad_operation", error.to_string())
            .hint_at("an operation is an object such as {\"allow\": {\"customer\": \"c1\", \"entitlement\": \"chat\", \"value\": 5}}")
    })?;
    operation.run(limitr)
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Operation {
    Allow(CallArguments),
    Check(CallArguments),
    Explain(CallArguments),
    Increment(CallArguments),
    Decrement(CallArguments),
    CheckIncrement(CallArguments),
    CheckDecrement(CallArguments),
    Set(CallArguments),
    Reserve(ReserveArguments),
    Settle(SettleArguments),
    Release(HoldArguments),
    Held(Place),
    Estimate(EstimateArguments),
    Observe(ObserveArguments),
    Value(ReadArguments),
    Remaining(ReadArguments),
    Limit(ReadArguments),
    Allowance(Place),
    Cost(Place),
    Resets(Place),
    Rate(Place),
    Acceleration(Place),
    ProjectedExhaustion(ProjectionArguments),
    CreditExchange(ExchangeArguments),
    CreditRemaining(CreditOf),
    MeterObj(Place),
    LimitObj(Place),
    Entitlement(Place),
    CreditFor(Place),
    Credit(Id),
    Plan(Id),
    PlanFor(Who),
    DefaultPlan(Nothing),
    CreateCustomer(CustomerArguments),
    EnsureCustomer(CustomerArguments),
    Customer(Id),
    Customers(Nothing),
    SetCustomer(RecordArguments),
    LoadCustomers(RecordsArguments),
    DeleteCustomer(Id),
    SetCustomerPlan(CustomerPlanArguments),
    SetCustomerRefs(RefsArguments),
    #[serde(alias = "add_alt_customer_id", alias = "add_alt_id")]
    SetAltCustomerId(AltArguments),
    #[serde(alias = "remove_alt_id")]
    RemoveAltCustomerId(AltArguments),
    CustomerMetadata(Who),
    CreateCustomerOverride(OverrideArguments),
    RemoveCustomerOverride(Place),
    EnsurePlanSubscription(Who),
    EnsureIncludedTopups(Who),
    ApplyCustomerTopup(TopupArguments),
    AddCustomerCap(CapArguments),
    CustomerCap(CapId),
    ResetCustomerCap(CapId),
    RemoveCustomerCap(CapId),
    StartMarginMeasurement(Who),
    CaptureMarginMeasurement(Who),
    #[serde(alias = "customer_margin_snapshot")]
    CustomerMargin(Who),
    #[serde(alias = "margin_snapshot")]
    PlanMargin(PlanMarginArguments),
    SetPlan(PlanArguments),
    DeletePlan(Id),
    Replace(PolicyArguments),
    Difference(PolicyArguments),
    Valid(Nothing),
    Record(Nothing),
    Stringify(FormatArguments),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Who {
    customer: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    customer: String,
    entitlement: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallArguments {
    customer: String,
    entitlement: String,
    #[serde(default)]
    value: Option<Quantity<'static>>,
    #[serde(default = "yes", alias = "context")]
    event: Value,
    #[serde(default)]
    overhead: Option<Quantity<'static>>,
    #[serde(default, alias = "caps")]
    cap: CallCaps,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    idempotency_key: Option<String>,
}

/// A map of credit to ceiling, or a list of caps.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a map of credit to ceiling, or a list of caps")]
enum CallCaps {
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
struct ReserveArguments {
    customer: String,
    entitlement: String,
    #[serde(default)]
    value: Option<Quantity<'static>>,
    #[serde(default, alias = "event")]
    context: Option<Value>,
    #[serde(default)]
    basis: Option<f64>,
    #[serde(default)]
    segment: Option<String>,
    #[serde(default, deserialize_with = "duration::optional")]
    ttl: Option<i64>,
    #[serde(default)]
    quantile: Option<f64>,
    #[serde(default)]
    overhead: Option<Quantity<'static>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettleArguments {
    customer: String,
    entitlement: String,
    #[serde(default)]
    hold: Option<String>,
    #[serde(default)]
    value: Quantity<'static>,
    #[serde(default = "yes", alias = "context")]
    event: Value,
    #[serde(default)]
    overhead: Option<Quantity<'static>>,
    #[serde(default)]
    idempotency_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldArguments {
    customer: String,
    entitlement: String,
    hold: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EstimateArguments {
    customer: String,
    entitlement: String,
    #[serde(default)]
    quantile: Option<f64>,
    #[serde(default, alias = "event")]
    context: Option<Value>,
    #[serde(default)]
    basis: Option<f64>,
    #[serde(default)]
    segment: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObserveArguments {
    customer: String,
    entitlement: String,
    value: Quantity<'static>,
    #[serde(default, alias = "event")]
    context: Option<Value>,
    #[serde(default)]
    basis: Option<f64>,
    #[serde(default)]
    segment: Option<String>,
    #[serde(default)]
    overhead: Option<Quantity<'static>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadArguments {
    #[serde(alias = "plan", alias = "id")]
    customer: String,
    entitlement: String,
    #[serde(default)]
    percent: bool,
    #[serde(default = "truth")]
    grants: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectionArguments {
    customer: String,
    entitlement: String,
    #[serde(default)]
    smoothed: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExchangeArguments {
    in_currency: String,
    out_currency: String,
    #[serde(default)]
    value: Option<Amount>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreditOf {
    customer: String,
    credit: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CustomerArguments {
    id: String,
    #[serde(default)]
    plan: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    refs: Option<Vec<String>>,
    #[serde(default, alias = "alt_ids")]
    alts: Option<Vec<String>>,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordArguments {
    record: Value,
    #[serde(default = "truth")]
    event: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordsArguments {
    customers: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CustomerPlanArguments {
    customer: String,
    plan: String,
    #[serde(default)]
    overwrite_meters: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefsArguments {
    customer: String,
    refs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AltArguments {
    customer: String,
    alt: String,
}

#[derive(Deserialize)]
struct OverrideArguments {
    customer: String,
    entitlement: String,
    /// The limit's fields, also accepted under one key.
    #[serde(default)]
    limit: Option<Map<String, Value>>,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TopupArguments {
    customer: String,
    topup: String,
}

#[derive(Deserialize)]
struct CapArguments {
    customer: String,
    #[serde(flatten)]
    cap: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CapId {
    customer: String,
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanMarginArguments {
    plan: String,
    entitlements: PlanUsage<'static>,
    #[serde(default = "truth")]
    scaled: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanArguments {
    id: String,
    plan: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyArguments {
    policy: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FormatArguments {
    format: String,
}

fn yes() -> Value {
    Value::Bool(true)
}
fn truth() -> bool {
    true
}

/// A number for people and programs: rounded, a JSON number.
struct Plain(Amount);

impl Serialize for Plain {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.rounded().serialize_number(serializer)
    }
}

impl CallArguments {
    fn call(&self) -> Call<'_> {
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
    fn customer(self) -> NewCustomer {
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

impl Operation {
    fn run(self, limitr: &Limitr) -> Result<Value, Error> {
        match self {
            Self::Allow(call) => limitr.allow_with(call.call()).map(|decision| decision.allowed.into()),
            Self::Check(call) => limitr.check_with(call.call()).map(|decision| decision.allowed.into()),
            Self::Explain(call) => limitr.explain(call.call()).map(json_of),
            Self::Increment(call) => {
                limitr.allow_with(call.call().increment()).map(|decision| decision.allowed.into())
            }
            Self::Decrement(call) => {
                limitr.allow_with(call.call().decrement()).map(|decision| decision.allowed.into())
            }
            Self::CheckIncrement(call) => {
                limitr.check_with(call.call().increment()).map(|decision| decision.allowed.into())
            }
            Self::CheckDecrement(call) => {
                limitr.check_with(call.call().decrement()).map(|decision| decision.allowed.into())
            }
            Self::Set(mut call) => {
                let value = call.value.take().unwrap_or_default();
                limitr.allow_with(call.call().set_to(value)).map(|decision| decision.allowed.into())
            }
            Self::Reserve(arguments) => Ok(arguments.run(limitr)),
            Self::Settle(arguments) => arguments.run(limitr),
            Self::Release(at) => {
                let released =
                    at.hold.is_some_and(|hold| limitr.release(&at.customer, &at.entitlement, &hold));
                Ok(released.into())
            }
            Self::Estimate(arguments) => Ok(arguments.run(limitr)),
            Self::Observe(arguments) => Ok(arguments.run(limitr).into()),
            other => other.read_or_manage(limitr),
        }
    }

    fn read_or_manage(self, limitr: &Limitr) -> Result<Value, Error> {
        Ok(match self {
            Self::Value(at) if at.percent => {
                plain(limitr.value_percent(&at.customer, &at.entitlement, at.grants))
            }
            Self::Value(at) => plain(limitr.value(&at.customer, &at.entitlement)),
            Self::Remaining(at) if at.percent => {
                plain(limitr.remaining_percent(&at.customer, &at.entitlement, at.grants))
            }
            Self::Remaining(at) if at.grants => plain(limitr.remaining(&at.customer, &at.entitlement)),
            Self::Remaining(at) => plain(limitr.remaining_without_grants(&at.customer, &at.entitlement)),
            Self::Limit(at) => plain(limitr.limit(&at.customer, &at.entitlement, at.grants)),
            Self::Held(at) => plain(limitr.held(&at.customer, &at.entitlement)),
            Self::Allowance(at) => plain(limitr.allowance(&at.customer, &at.entitlement)),
            Self::Cost(at) => plain(limitr.cost(&at.customer, &at.entitlement)),
            Self::Resets(at) => json_of(limitr.resets(&at.customer, &at.entitlement)),
            Self::Rate(at) => statistic(limitr.rate(&at.customer, &at.entitlement)),
            Self::Acceleration(at) => statistic(limitr.acceleration(&at.customer, &at.entitlement)),
            Self::ProjectedExhaustion(at) => {
                statistic(limitr.projected_exhaustion(&at.customer, &at.entitlement, at.smoothed))
            }
            Self::CreditExchange(at) => {
                let value = at.value.unwrap_or(Amount::ONE);
                plain(limitr.credit_exchange(&at.in_currency, &at.out_currency, value))
            }
            Self::CreditRemaining(at) => plain(limitr.credit_remaining(&at.customer, &at.credit)),
            Self::MeterObj(at) => json_of(limitr.meter(&at.customer, &at.entitlement)),
            Self::LimitObj(at) => json_of(limitr.limit_definition(&at.customer, &at.entitlement)),
            Self::Entitlement(at) => json_of(limitr.entitlement(&at.customer, &at.entitlement)),
            Self::CreditFor(at) => json_of(limitr.credit_for(&at.customer, &at.entitlement)),
            Self::Credit(Id { id }) => json_of(limitr.credit(&id)),
            Self::Plan(Id { id }) => json_of(limitr.plan(&id)),
            Self::PlanFor(Who { customer }) => named(limitr.plan_for(&customer)),
            Self::DefaultPlan(Nothing {}) => named(limitr.default_plan()),
            other => return other.manage(limitr),
        })
    }

    fn manage(self, limitr: &Limitr) -> Result<Value, Error> {
        Ok(match self {
            Self::CreateCustomer(new) => json_of(limitr.create_customer(new.customer())?),
            Self::EnsureCustomer(new) => limitr.ensure_customer(new.customer())?.into(),
            Self::Customer(Id { id }) => json_of(limitr.customer(&id)),
            Self::Customers(Nothing {}) => json_of(limitr.customers()),
            Self::SetCustomer(set) => {
                limitr.set_customer(Customer::from_json(&set.record)?, set.event)?;
                true.into()
            }
            Self::LoadCustomers(load) => {
                limitr.load_customers(Customer::list_from_json(&load.customers)?)?;
                true.into()
            }
            Self::DeleteCustomer(Id { id }) => limitr.delete_customer(&id).into(),
            Self::SetCustomerPlan(set) => {
                limitr.set_customer_plan(&set.customer, &set.plan, set.overwrite_meters).into()
            }
            Self::SetCustomerRefs(set) => limitr.set_customer_refs(&set.customer, &set.refs).into(),
            Self::SetAltCustomerId(set) => limitr.add_alt_id(&set.customer, &set.alt)?.into(),
            Self::RemoveAltCustomerId(set) => limitr.remove_alt_id(&set.customer, &set.alt).into(),
            Self::CustomerMetadata(Who { customer }) => json_of(limitr.customer_metadata(&customer)),
            Self::CreateCustomerOverride(set) => {
                let fields = Value::Object(set.limit.unwrap_or(set.fields));
                json_of(limitr.create_customer_override(&set.customer, &set.entitlement, &fields)?)
            }
            Self::RemoveCustomerOverride(at) => {
                limitr.remove_customer_override(&at.customer, &at.entitlement).into()
            }
            Self::EnsurePlanSubscription(Who { customer }) => {
                limitr.ensure_plan_subscription(&customer).into()
            }
            Self::EnsureIncludedTopups(Who { customer }) => limitr.ensure_included_topups(&customer).into(),
            Self::ApplyCustomerTopup(at) => limitr.apply_customer_topup(&at.customer, &at.topup).into(),
            Self::AddCustomerCap(add) => {
                let cap = NewCap::deserialize(Value::Object(add.cap));
                let cap =
                    cap.map_err(|error| Error::argument("bad_operation", error.to_string()).at("cap"))?;
                json_of(limitr.add_customer_cap(&add.customer, cap))
            }
            Self::CustomerCap(at) => json_of(limitr.customer_cap(&at.customer, &at.id)),
            Self::ResetCustomerCap(at) => limitr.reset_customer_cap(&at.customer, &at.id).into(),
            Self::RemoveCustomerCap(at) => limitr.remove_customer_cap(&at.customer, &at.id).into(),
            Self::StartMarginMeasurement(Who { customer }) => {
                limitr.start_margin_measurement(&customer).into()
            }
            Self::CaptureMarginMeasurement(Who { customer }) => {
                json_of(limitr.capture_margin_measurement(&customer))
            }
            Self::CustomerMargin(Who { customer }) => json_of(limitr.customer_margin_snapshot(&customer)),
            Self::PlanMargin(at) => json_of(limitr.margin_snapshot(&at.plan, &at.entitlements, at.scaled)?),
            Self::SetPlan(set) => {
                limitr.set_plan(&set.id, &set.plan)?;
                true.into()
            }
            Self::DeletePlan(Id { id }) => limitr.delete_plan(&id).into(),
            Self::Replace(PolicyArguments { policy }) => {
                limitr.replace_value(&policy)?;
                true.into()
            }
            Self::Difference(PolicyArguments { policy }) => {
                json_of(limitr.difference(&read_document_value(&policy, false)?.policy))
            }
            Self::Valid(Nothing {}) => limitr.problems().is_empty().into(),
            Self::Record(Nothing {}) => limitr.record(),
            Self::Stringify(FormatArguments { format }) => {
                let format: Format = format.parse().map_err(|_| {
                    Error::argument("unknown_format", format!("unknown format `{format}`"))
                        .hint_at("json, yaml or toml")
                })?;
                limitr.stringify(format)?.into()
            }
            // The other two stages have taken every other operation.
            _ => Value::Null,
        })
    }
}

impl ReserveArguments {
    fn run(self, limitr: &Limitr) -> Value {
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
    fn run(self, limitr: &Limitr) -> Result<Value, Error> {
        let mut call =
            with_event(Call::new(&self.customer, &self.entitlement).value(self.value), &self.event);
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
    fn run(self, limitr: &Limitr) -> Value {
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
    fn run(self, limitr: &Limitr) -> bool {
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

fn json_of(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn plain(amount: Option<Amount>) -> Value {
    json_of(amount.map(Plain))
}

/// A statistic, rounded like every result.
fn statistic(value: Option<f64>) -> Value {
    plain(value.and_then(Amount::from_f64))
}

/// A plan's definition with its name.
fn named(plan: Option<(String, crate::policy::Plan)>) -> Value {
    let Some((id, plan)) = plan else { return Value::Null };
    let mut plan = json_of(plan);
    if let Value::Object(plan) = &mut plan {
        plan.shift_insert(0, "id".to_owned(), id.into());
    }
    plan
}
