//! What happens to a connection.

use limitr_sync::Refusal;

use crate::error::Error;

/// What happened between this program and its server, told to [`Cloud::on`](crate::Cloud::on).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// The server has greeted this engine, for the first time or again.
    Connected,
    /// The connection is gone. It is made again by itself.
    Disconnected,
    /// Another version of the policy is in force here.
    Policy {
        /// Its id, `pol_...`.
        id: String,
        /// Its number.
        number: u64,
    },
    /// The server did not take some of what was sent. It is not sent again.
    Refused(Vec<Refusal>),
    /// An attempt to connect failed, or the server said that something is wrong.
    Trouble(Error),
}
