//! How engines and their server keep customers in agreement, without I/O.
//!
//! An engine decides by itself and sends what happened: entries of its log, numbered. The server applies each number once,
//! to the customers and to the ledger, and tells the other engines how a customer stands now. An engine shows the
//! server's record with its own entries added that are not in it. So usage adds up, whatever is lost, repeated or late on
//! the way.
//!
//! - [`Link`] is an engine's half of a connection: frames, time and the engine's log in, frames out.
//! - [`Hub`] is a workspace at the server: frames in, what is to be stored in one transaction, frames out.
//!
//! Neither opens a socket, a file or a database, asks for the time, or runs a thread. What a program around them does
//! wrong can be played through: see `tests/simulator.rs`.

mod error;
mod frame;
mod hub;
mod link;
mod outbox;

pub use error::{Refusal, SyncError};
pub use frame::{
    Batch, FromEngine, FromServer, Hello, MAX_BATCH, MAX_FRAME, MAX_HELD, MAX_ID, MAX_NAMES, PROTOCOL, PolicyVersion,
};
pub use hub::{
    Answer, Change, Commit, EngineRow, Found, Hub, HubOptions, LedgerLine, Loaded, Out, SessionId, Work, Write,
};
pub use link::{Action, Link, LinkOptions, PING_EVERY, SILENCE, Unsent};
