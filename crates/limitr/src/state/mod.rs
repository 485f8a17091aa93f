//! Customers and everything held for them: meters, grants, caps, holds, estimates.
//!
//! The structs here are also the snapshot format: what serialises is what [`crate::Limitr::customers`] returns and
//! [`crate::Limitr::load_customers`] takes back.

mod cap;
mod customer;
mod estimates;
mod grant;
mod history;
mod idempotency;
mod meter;
mod names;
mod store;

pub use cap::Cap;
pub use customer::Customer;
pub use grant::Grant;
pub use history::{History, Usage};
pub(crate) use idempotency::Replay;
pub use meter::{Hold, Meter};
pub use names::NameMap;

pub(crate) use customer::{DEFAULT_LABEL, DEFAULT_TYPE};
pub(crate) use estimates::{ALL, Learned, Sample, learn, quantile_z};
pub(crate) use idempotency::digest;
pub(crate) use meter::BucketState;
pub(crate) use names::{FixedMap, Name};
pub(crate) use store::{CALLER, Locked, Store};
