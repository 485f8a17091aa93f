//! A program's own engine, connected to a Limitr server.
//!
//! The policy comes from the server and follows what is published there. Calls are decided in this process, at the speed of
//! the engine; what they used is sent in the background, and what other processes used arrives the same way.
//!
//! ```no_run
//! # async fn run() -> Result<(), limitr_client::Error> {
//! use limitr_client::{Cloud, CloudOptions, NewCustomer};
//!
//! let token = std::env::var("LIMITR_TOKEN").unwrap_or_default();
//! let cloud = Cloud::connect(CloudOptions::new(token)).await?;
//!
//! cloud.ensure_customer(NewCustomer::new("ann").plan("starter")).await?;
//! if cloud.allow("ann", "chat", 4_200).allowed {
//!     // Serve the request.
//! }
//!
//! // When the program ends: sends what is left and waits until it is stored.
//! cloud.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! A `Cloud` is shared in an `Arc` or a `static`: every method takes `&self`.
//!
//! # Without a connection
//!
//! It is made again by itself. Until then calls that use something are denied with [`Denial::Disconnected`]; with
//! [`CloudOptions::deny_unconnected`] set to false they are decided by what is known here, and sent later.
//!
//! # Customers
//!
//! A customer is fetched when it is needed first, and kept up to date from then on. [`Cloud::allow`] does not wait for that:
//! it denies the call of a customer that is not here yet, and fetches it in the background. [`Cloud::allow_async`] waits, and
//! [`Cloud::ensure_customer`] also creates who is nowhere.

mod cloud;
mod error;
mod event;
mod options;
mod shared;
mod socket;
mod task;
mod unsent;

pub use cloud::Cloud;
pub use error::Error;
pub use event::ConnectionEvent;
pub use options::CloudOptions;
pub use unsent::Unsent;

pub use limitr::{self, Call, Decision, Denial, Limitr, NewCustomer, Quantity, Reserve};
pub use limitr_sync::Refusal;
