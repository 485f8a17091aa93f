//! What the operations take.

use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type};

/// One named argument.
#[derive(Debug)]
pub(super) struct Argument {
    pub(super) name: &'static str,
    kind: Kind,
    pub(super) required: bool,
    about: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    /// A number, or text with a unit.
    Quantity,
    Number,
    Flag,
    Data,
    /// True, false, or data.
    Event,
    /// Ceilings by credit, or a list of caps.
    Caps,
    /// Milliseconds, or text such as `10min`.
    Duration,
}

const fn must(name: &'static str, kind: Kind, about: &'static str) -> Argument {
    Argument { name, kind, required: true, about }
}

const fn may(name: &'static str, kind: Kind, about: &'static str) -> Argument {
    Argument { name, kind, required: false, about }
}

const CUSTOMER: Argument = must("customer", Kind::Text, "Its id, or an alternate one.");
const NAME: Argument = must("entitlement", Kind::Text, "The entitlement's name.");
const VALUE: Argument = may(
    "value",
    Kind::Quantity,
    "How much, in the credit's unit or one of its own: `1.5GB`. 0 asks for access alone, less than 0 gives back.",
);
const EVENT: Argument = may("event", Kind::Event, "Data for costs and notifications, or false to send no event.");
const CONTEXT: Argument = may("context", Kind::Data, "Data for costs, where `event` is true or false.");
const OVERHEAD: Argument =
    may("overhead", Kind::Quantity, "What it costs to provide, in runes, instead of the credit's rate.");
const CAP: Argument = may("cap", Kind::Caps, "Ceilings for this call alone: by credit, or a list of caps.");
const FORCE: Argument = may("force", Kind::Flag, "Records what has happened already: neither caps nor governor deny.");
const KEY: Argument = may(
    "idempotency_key",
    Kind::Text,
    "The engine's own key: for 24 hours the customer's next call with it has the outcome of this one.",
);
const BASIS: Argument =
    may("basis", Kind::Number, "What usage is per unit of, instead of the field that the policy names.");
const SEGMENT: Argument =
    may("segment", Kind::Text, "What it is learned under, instead of the field that the policy names.");
const LEARNED_FROM: Argument = may("context", Kind::Data, "Data in which those fields are looked up.");
const QUANTILE: Argument = may("quantile", Kind::Number, "Which quantile of past calls to expect, 0 to 1.");

pub(super) const CALL: &[Argument] = &[CUSTOMER, NAME, VALUE, EVENT, CONTEXT, OVERHEAD, CAP, FORCE, KEY];
pub(super) const STEP: &[Argument] = &[CUSTOMER, NAME, EVENT, CONTEXT, OVERHEAD, CAP, FORCE, KEY];
pub(super) const RESERVE: &[Argument] = &[
    CUSTOMER,
    NAME,
    may("value", Kind::Quantity, "How much. What is expected, if not given."),
    may("ttl", Kind::Duration, "How long the hold lasts: ms, or `10min`."),
    OVERHEAD,
    LEARNED_FROM,
    BASIS,
    SEGMENT,
    QUANTILE,
];
pub(super) const SETTLE: &[Argument] = &[
    CUSTOMER,
    NAME,
    may("hold", Kind::Text, "The id that `reserve` gave."),
    may("value", Kind::Quantity, "How much it was."),
    EVENT,
    CONTEXT,
    OVERHEAD,
    KEY,
];
pub(super) const RELEASE: &[Argument] = &[CUSTOMER, NAME, must("hold", Kind::Text, "The id that `reserve` gave.")];
pub(super) const ESTIMATE: &[Argument] = &[CUSTOMER, NAME, LEARNED_FROM, BASIS, SEGMENT, QUANTILE];
pub(super) const OBSERVE: &[Argument] =
    &[CUSTOMER, NAME, must("value", Kind::Quantity, "How much it was."), OVERHEAD, LEARNED_FROM, BASIS, SEGMENT];
pub(super) const READ: &[Argument] = &[
    CUSTOMER,
    NAME,
    may("percent", Kind::Flag, "In percent of the limit."),
    may("grants", Kind::Flag, "Whether grants count. They do, if not given."),
];
pub(super) const ENTITLEMENT: &[Argument] = &[CUSTOMER, NAME];

/// A type, or null.
pub(super) fn or_null(kind: Type) -> RefOr<Schema> {
    RefOr::T(ObjectBuilder::new().schema_type(SchemaType::from_iter([kind, Type::Null])).build().into())
}

impl Argument {
    pub(super) fn schema(&self) -> RefOr<Schema> {
        let of = |kind: Type| ObjectBuilder::new().schema_type(kind).build();
        let either = |kinds: &[Type]| {
            let either = kinds.iter().fold(OneOfBuilder::new(), |either, kind| either.item(of(kind.clone())));
            RefOr::T(Schema::OneOf(either.description(Some(self.about)).build()))
        };
        let plain =
            |kind: Type| RefOr::T(ObjectBuilder::new().schema_type(kind).description(Some(self.about)).build().into());
        match self.kind {
            Kind::Text => plain(Type::String),
            Kind::Number => plain(Type::Number),
            Kind::Flag => plain(Type::Boolean),
            Kind::Data => plain(Type::Object),
            Kind::Quantity | Kind::Duration => either(&[Type::Number, Type::String]),
            Kind::Event => either(&[Type::Boolean, Type::Object]),
            Kind::Caps => either(&[Type::Object, Type::Array]),
        }
    }

    /// For the example, of the arguments that are in most calls.
    pub(super) fn example(&self) -> Option<Value> {
        match self.name {
            "customer" => Some(json!("acme")),
            "entitlement" => Some(json!("chat")),
            "value" => Some(json!(1200)),
            "hold" => Some(json!("0GJ7cK3mQ2aXz5R8u")),
            _ => None,
        }
    }

    #[cfg(test)]
    pub(super) fn any(&self) -> Value {
        match self.kind {
            Kind::Text => json!("text"),
            Kind::Quantity => json!("1.5"),
            Kind::Number => json!(0.5),
            Kind::Flag => json!(true),
            Kind::Data => json!({"model": "m-1"}),
            Kind::Event => json!({"model": "m-1"}),
            Kind::Caps => json!({"rune": 5}),
            Kind::Duration => json!("10min"),
        }
    }
}
