#![doc = include_str!("../../../README.md")]
#![cfg_attr(not(test), forbid(unsafe_code))]

mod amount;
mod call;
mod clock;
mod decide;
mod decision;
mod engine;
mod error;
mod events;
mod fields;
mod logic;
mod pricing;
mod state;
#[cfg(feature = "system")]
mod system;

pub mod policy;

pub use amount::{Amount, AmountError};
pub use call::{call, operations};
pub use clock::{Clock, IdSource, ManualClock, SequentialIds};
pub use decide::Step;
pub use decision::{Decision, Denial, Quantity};
pub use engine::{
    Builder, Call, CallCap, CapCount, CustomerMargin, Effect, EntitlementMargin, Entry, EstimateQuery, Explanation,
    GrantDraw, Limitr, ListenerId, Measurement, NewCap, NewCustomer, Observation, Operation, PlanUsage, Prediction,
    Reserve, Settle, UsageItem,
};
pub use error::{Error, ErrorKind, Position, Problem};
pub use events::{
    CapEvent, Event, FunctionEvent, GovernorNumbers, LogicErrorEvent, MeterEvent, MeterNumbers, Notice,
    NotificationEvent, Payload, PlanChangedEvent, PlanEvent, PolicyEvent, TopupGrantedEvent,
};
pub use policy::{Format, ScheduleError};
pub use state::{Cap, Customer, Grant, History, Hold, Meter, NameMap, Usage};
#[cfg(feature = "system")]
pub use system::{RandomIds, SystemClock};
