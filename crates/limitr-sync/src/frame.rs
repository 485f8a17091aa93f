//! What engines and their server say to each other: one JSON object a frame, told apart by `type`.
//!
//! Frames of an unknown type and fields of an unknown name are ignored, so that either side can be the newer one.

use limitr::Entry;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{Refusal, SyncError};

/// Version of the protocol. A server refuses an engine that speaks a higher one.
pub const PROTOCOL: u32 = 1;

/// Longest frame that is read or sent, in bytes.
pub const MAX_FRAME: usize = 1 << 20;

/// Most entries in one batch.
pub const MAX_BATCH: usize = 2000;

/// Most customers named in one frame.
pub const MAX_NAMES: usize = 500;

/// Most customers that a server tells one engine of.
pub const MAX_HELD: usize = 100_000;

/// The character NUL as JSON writes it.
const NUL: &str = "\\u0000";

/// Longest id of an engine or customer, in bytes.
pub const MAX_ID: usize = 1024;

/// What an engine says.
#[derive(Debug)]
pub enum FromEngine {
    /// Who it is; the first frame of a connection.
    Hello(Hello),
    /// Asks for customers, by id or alternate id, and to be told of their changes.
    Fetch(Vec<String>),
    /// Need not be told of these any longer.
    Release(Vec<String>),
    /// What happened, under consecutive numbers.
    Batch(Batch),
    /// Asks for a sign of life.
    Ping,
    /// Gives one.
    Pong,
    /// Something newer.
    Unknown,
}

/// Who an engine is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the protocol it speaks.
    pub protocol: u32,
    /// Its id: what it sends is numbered under this.
    pub engine: String,
    /// Number of the first entry that it can still send.
    #[serde(default)]
    pub first: u64,
    /// Name of its library.
    #[serde(default)]
    pub sdk: String,
    /// Version of that.
    #[serde(default)]
    pub version: String,
    /// The published version of the policy to stay on; none for always the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

/// Entries of an engine's log.
#[derive(Debug)]
pub struct Batch {
    /// Number of the first.
    pub first: u64,
    /// The entries. One that cannot be read is an error in its place, so that the numbers hold.
    pub entries: Vec<Result<Entry, SyncError>>,
}

/// What a server says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromServer {
    /// Answers the hello.
    Welcome {
        /// Version of the protocol it speaks.
        protocol: u32,
        /// The last of the engine's entries that it has.
        through: u64,
    },
    /// The policy to decide by.
    Policy(PolicyVersion),
    /// A customer as it is, with the engine's entries up to `through` in it.
    Customer {
        /// The last of this engine's entries in the record.
        through: u64,
        /// The name it was asked for by, where this answers that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Option<String>,
        /// The record.
        record: Value,
    },
    /// There is no such customer.
    CustomerMissing {
        /// The name it was asked for by.
        customer: String,
    },
    /// A customer is gone.
    CustomerRemoved {
        /// Its id.
        customer: String,
    },
    /// From here on the engine is not told of these any more, as it wanted.
    Released {
        /// Their ids, as the engine named them.
        customers: Vec<String>,
    },
    /// Everything up to here is stored.
    Ack {
        /// The last number stored, or refused.
        through: u64,
        /// What was refused among it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        refused: Vec<Refusal>,
    },
    /// Something went wrong; the server closes the connection after it.
    Error(SyncError),
    /// Asks for a sign of life.
    Ping,
    /// Gives one.
    Pong,
    /// Something newer.
    #[serde(other)]
    Unknown,
}

/// A published version of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// Its id, `pol_...`.
    pub id: String,
    /// Its number.
    #[serde(default)]
    pub number: u64,
    /// Format of the document: `yaml`, `json`, `toml` or `stof`.
    pub format: String,
    /// The document.
    pub document: String,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
struct Names {
    customers: Vec<String>,
}

#[derive(Deserialize)]
struct Entries {
    first: u64,
    entries: Vec<Value>,
}

impl FromEngine {
    /// Reads a frame.
    ///
    /// # Errors
    /// `frame_too_long`, `bad_frame`.
    pub fn read(text: &str) -> Result<Self, SyncError> {
        let Kind { kind } = parse(bounded(text)?)?;
        match &*kind {
            "hello" => {
                let hello: Hello = parse(text)?;
                let texts = [&hello.engine, &hello.sdk, &hello.version];
                if hello.engine.is_empty() || texts.iter().any(|text| text.len() > MAX_ID || text.contains('\0')) {
                    return Err(SyncError::new("bad_frame", "an engine's id has 1 to 1024 bytes"));
                }
                Ok(Self::Hello(hello))
            }
            "fetch" => names(text).map(Self::Fetch),
            "release" => names(text).map(Self::Release),
            "batch" => {
                let Entries { first, entries } = parse(text)?;
                if first == 0 || entries.len() > MAX_BATCH || first.checked_add(entries.len() as u64).is_none() {
                    let message = format!("a batch has up to {MAX_BATCH} entries, counted from 1");
                    return Err(SyncError::new("bad_frame", message));
                }
                // Databases cannot keep the character, so what has it in it is refused before it gets there.
                let suspect = text.contains(NUL);
                let read = |entry: &Value| match suspect && entry.to_string().contains(NUL) {
                    true => Err(SyncError::new("invalid_text", "a text has the character NUL in it")),
                    false => Entry::from_json(entry).map_err(|error| SyncError::from(&error)),
                };
                Ok(Self::Batch(Batch { first, entries: entries.iter().map(read).collect() }))
            }
            "ping" => Ok(Self::Ping),
            "pong" => Ok(Self::Pong),
            _ => Ok(Self::Unknown),
        }
    }
}

impl FromServer {
    /// Reads a frame.
    ///
    /// # Errors
    /// `frame_too_long`, `bad_frame`.
    pub fn read(text: &str) -> Result<Self, SyncError> {
        parse(bounded(text)?)
    }

    /// The frame's text.
    #[must_use]
    pub fn text(&self) -> String {
        written(self)
    }
}

/// The frame that answers with a customer whose record is text already.
pub(crate) fn customer_text(record: &RawValue, through: u64, asked: Option<&str>) -> String {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        through: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        asked: Option<&'a str>,
        record: &'a RawValue,
    }
    written(&Frame { r#type: "customer", through, asked, record })
}

pub(crate) fn hello_text(hello: &Hello) -> String {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        #[serde(flatten)]
        hello: &'a Hello,
    }
    written(&Frame { r#type: "hello", hello })
}

pub(crate) fn names_text(kind: &'static str, customers: &[String]) -> String {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        customers: &'a [String],
    }
    written(&Frame { r#type: kind, customers })
}

/// The frame of entries that are text already.
pub(crate) fn batch_text<'a>(first: u64, entries: impl Iterator<Item = &'a str>) -> String {
    let mut text = format!(r#"{{"type":"batch","first":{first},"entries":["#);
    for (at, entry) in entries.enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(entry);
    }
    text.push_str("]}");
    text
}

fn bounded(text: &str) -> Result<&str, SyncError> {
    if text.len() > MAX_FRAME {
        return Err(SyncError::new("frame_too_long", format!("a frame has at most {MAX_FRAME} bytes")));
    }
    Ok(text)
}

fn names(text: &str) -> Result<Vec<String>, SyncError> {
    let Names { customers } = parse(text)?;
    let unfit = |name: &String| name.is_empty() || name.len() > MAX_ID || name.contains('\0');
    if customers.len() > MAX_NAMES || customers.iter().any(unfit) {
        let message = format!("up to {MAX_NAMES} customers can be named at once, by 1 to {MAX_ID} bytes each");
        return Err(SyncError::new("bad_frame", message));
    }
    Ok(customers)
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, SyncError> {
    serde_json::from_str(text).map_err(|error| SyncError::new("bad_frame", format!("not a frame: {error}")))
}

fn written(frame: &impl Serialize) -> String {
    // Frames hold only what JSON can hold.
    serde_json::to_string(frame).unwrap_or_default()
}
