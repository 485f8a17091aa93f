//! Every operation of the engine as JSON: `{"allow": {"customer": "c1", "entitlement": "chat", "value": 5}}` in, JSON out.
//!
//! One boundary for everything that is not Rust: conformance scenarios, the command line, WebAssembly and HTTP.

mod arguments;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::arguments::*;
use crate::engine::{CapChange, NewCap};
use crate::policy::{Format, read_document_value};
use crate::state::Customer;
use crate::{Amount, Error, Limitr};

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
    let operation: Operation = serde_path_to_error::deserialize(operation).map_err(|error| bad_operation(&error))?;
    operation.run(limitr)
}

fn bad_operation(error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    const HINT: &str = "an operation is an object such as \
                        {\"allow\": {\"customer\": \"c1\", \"entitlement\": \"chat\", \"value\": 5}}";
    let path = error.path().to_string();
    if path == "." {
        return Error::argument("bad_operation", error.inner().to_string()).hint_at(HINT);
    }
    Error::argument("bad_operation", format!("{path}: {}", error.inner())).at(path)
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

/// A number for people and programs: rounded, a JSON number.
struct Plain(Amount);

impl Serialize for Plain {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.rounded().serialize_number(serializer)
    }
}

impl Operation {
    fn run(self, limitr: &Limitr) -> Result<Value, Error> {
        match self {
            Self::Allow(call) => limitr.allow_with(call.call()).map(|decision| decision.allowed.into()),
            Self::Check(call) => limitr.check_with(call.call()).map(|decision| decision.allowed.into()),
            Self::Explain(call) => limitr.explain(call.call()).map(json_of),
            Self::Increment(call) => limitr.allow_with(call.call().increment()).map(|decision| decision.allowed.into()),
            Self::Decrement(call) => limitr.allow_with(call.call().decrement()).map(|decision| decision.allowed.into()),
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
                let released = at.hold.is_some_and(|hold| limitr.release(&at.customer, &at.entitlement, &hold));
                Ok(released.into())
            }
            Self::Estimate(arguments) => Ok(arguments.run(limitr)),
            Self::Observe(arguments) => Ok(arguments.run(limitr).into()),
            other => other.read_or_manage(limitr),
        }
    }

    fn read_or_manage(self, limitr: &Limitr) -> Result<Value, Error> {
        Ok(match self {
            Self::Value(at) if at.percent => plain(limitr.value_percent(&at.customer, &at.entitlement, at.grants)),
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
            Self::RemoveCustomerOverride(at) => limitr.remove_customer_override(&at.customer, &at.entitlement).into(),
            Self::EnsurePlanSubscription(Who { customer }) => limitr.ensure_plan_subscription(&customer).into(),
            Self::EnsureIncludedTopups(Who { customer }) => limitr.ensure_included_topups(&customer).into(),
            Self::ApplyCustomerTopup(at) => limitr.apply_customer_topup(&at.customer, &at.topup).into(),
            Self::AddCustomerCap(add) => {
                let cap = NewCap::deserialize(Value::Object(add.cap));
                let cap = cap.map_err(|error| Error::argument("bad_operation", error.to_string()).at("cap"))?;
                json_of(limitr.add_customer_cap(&add.customer, cap))
            }
            Self::CustomerCap(at) => json_of(limitr.customer_cap(&at.customer, &at.id)),
            Self::ResetCustomerCap(at) => {
                limitr.change_customer_cap(&at.customer, &at.id, CapChange::Reset, at.events).into()
            }
            Self::RemoveCustomerCap(at) => {
                limitr.change_customer_cap(&at.customer, &at.id, CapChange::Remove, at.events).into()
            }
            Self::StartMarginMeasurement(Who { customer }) => limitr.start_margin_measurement(&customer).into(),
            Self::CaptureMarginMeasurement(Who { customer }) => json_of(limitr.capture_margin_measurement(&customer)),
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
