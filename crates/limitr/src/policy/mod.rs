//! The policy document: its model, its formats, and what makes one valid.

mod compile;
mod diff;
mod formats;
mod model;
mod node;
mod pairs;
mod read;
mod schedule;
mod units;
mod validate;

pub(crate) use compile::{
    Bucket, Compiled, CompiledCredit, CompiledEntitlement, CompiledLimit, CompiledPlan, CompiledTopup, Period, Refill,
};
pub use diff::{Change, difference};
#[cfg(feature = "stof")]
pub(crate) use formats::stof::{Reading, Source};
#[cfg(feature = "stof")]
pub(crate) use formats::syntax;
pub use formats::{Format, FormatError, parse, write};
pub use model::*;
pub(crate) use node::quoted;
pub use node::{Key, Kind, Node};
pub(crate) use read::{Choice, nearest, read_capabilities_value, read_notifications_value};
pub use read::{
    Document, parse_document, read_document, read_document_value, read_limit_over, read_limit_value, read_plan_value,
};
pub use schedule::{Schedule, ScheduleError};
pub(crate) use units::parse_number;
pub use units::{Dimension, Measure, MeasureError, Unit, UnitError, parse_duration};
pub use validate::{validate, validate_limit};
