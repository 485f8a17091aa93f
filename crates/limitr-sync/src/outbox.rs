//! What an engine has to send: numbered, and kept until the server has stored it.

use std::collections::{BTreeSet, VecDeque};

use limitr::{Effect, Entry, Operation};
use serde_json::{Value, json};

use crate::error::Refusal;
use crate::frame::{MAX_BATCH, MAX_FRAME, batch_text};
use crate::link::Unsent;

/// Longest batch, and so the longest entry, in bytes of text; what is around it fits into a frame too.
const MAX_TEXT: usize = MAX_FRAME - 1024;

/// Most entries on their way that are not acknowledged yet; the others wait, so that a slow server is not buried.
const WINDOW: u64 = 20_000;

/// Entries of the log that the server has not acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// The last entry that the server has.
    acked: u64,
    /// The last entry sent on this connection.
    sent: u64,
    /// Until the server has greeted an engine that goes on where another ended: the last entry of that one. What came after
    /// has no number yet, for the server can have more of the other than is known here.
    numbered: Option<u64>,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// What cannot be sent at all.
    refused: Vec<Refusal>,
}

#[derive(Debug)]
struct Waiting {
    entry: Entry,
    text: String,
}

impl Outbox {
    /// An outbox that goes on where another ended.
    pub(crate) fn resumed(unsent: Unsent) -> Self {
        let Unsent { acknowledged, entries, unnumbered, .. } = unsent;
        let numbered = entries.len().saturating_sub(unnumbered) as u64;
        let numbered = Some(acknowledged.saturating_add(numbered));
        let mut outbox = Self { acked: acknowledged, sent: acknowledged, numbered, ..Self::default() };
        outbox.extend(entries);
        outbox
    }

    /// Adds what happened.
    pub(crate) fn extend(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            match entry {
                Entry::Operation(operation) if operation.name() == "load_customers" => {
                    self.extend_with_records(&operation);
                }
                entry => self.push(entry),
            }
        }
    }

    /// Many records can be more than fits into a frame.
    fn extend_with_records(&mut self, operation: &Operation) {
        let records = operation.operation.get("load_customers").and_then(|load| load.get("customers"));
        let records: Vec<&Value> = match records {
            Some(Value::Object(map)) => map.values().collect(),
            Some(Value::Array(list)) => list.iter().collect(),
            _ => Vec::new(),
        };
        for record in records {
            let one = json!({"set_customer": {"record": record, "event": false}});
            self.push(Entry::Operation(Operation { at: operation.at, ids: Vec::new(), operation: one }));
        }
    }

    fn push(&mut self, mut entry: Entry) {
        let mut text = written(&entry);
        if text.len() > MAX_TEXT
            && let Entry::Effect(effect) = &mut entry
        {
            // The amounts are what counts; data of this size is nothing a ledger keeps.
            effect.data = Some(json!({"omitted_bytes": text.len()}));
            text = written(&entry);
        }
        if text.len() > MAX_TEXT {
            let message = format!("an operation of {} bytes does not fit into a frame", text.len());
            self.refused.push(Refusal { entry: self.last(), code: "frame_too_long".to_owned(), message });
            return;
        }
        self.bytes = self.bytes.saturating_add(text.len());
        self.waiting.push_back(Waiting { entry, text });
    }

    /// What could not be sent at all, since the last time.
    pub(crate) fn take_refused(&mut self) -> Vec<Refusal> {
        std::mem::take(&mut self.refused)
    }

    /// Number of the first entry that is still here.
    pub(crate) const fn first(&self) -> u64 {
        self.acked.saturating_add(1)
    }

    /// Number of the last entry.
    pub(crate) fn last(&self) -> u64 {
        self.acked.saturating_add(self.waiting.len() as u64)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How much waits, as text.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether something can be sent now.
    pub(crate) fn is_ready(&self) -> bool {
        self.sent < self.last() && self.sent.saturating_sub(self.acked) < WINDOW
    }

    /// The server has everything up to here. What it never was sent it cannot have.
    pub(crate) fn acknowledge(&mut self, through: u64) {
        let count = through.min(self.last()).saturating_sub(self.acked);
        for _ in 0..count {
            let gone = self.waiting.pop_front();
            self.bytes = self.bytes.saturating_sub(gone.map_or(0, |gone| gone.text.len()));
        }
        self.acked = self.acked.saturating_add(count);
        self.sent = self.sent.max(self.acked);
    }

    /// On a new connection everything that the server does not have goes out again.
    pub(crate) fn greeted(&mut self, through: u64) {
        let last = self.numbered.take().unwrap_or(u64::MAX);
        self.acknowledge(through.min(last));
        if through > last {
            // More than was kept of it was sent before this engine began; what it did since then comes after that.
            self.acked = through;
        }
        self.sent = self.acked;
    }

    /// The next frame of entries, if there is one.
    pub(crate) fn next_batch(&mut self) -> Option<String> {
        if !self.is_ready() {
            return None;
        }
        let skipped = usize::try_from(self.sent.saturating_sub(self.acked)).ok()?;
        let mut bytes = 0;
        let fits = |waiting: &&Waiting| {
            bytes += waiting.text.len() + 1;
            bytes <= MAX_TEXT + 1
        };
        let texts = self.waiting.iter().skip(skipped).take(MAX_BATCH).take_while(fits).map(|waiting| &*waiting.text);
        let texts: Vec<&str> = texts.collect();
        let first = self.sent.saturating_add(1);
        let frame = batch_text(first, texts.iter().copied());
        self.sent = self.sent.saturating_add(texts.len() as u64);
        Some(frame)
    }

    /// The effects on a customer that come after `through`; none when an operation on it does, whose outcome is the
    /// server's to say.
    pub(crate) fn effects_after(&self, through: u64, names: &[&str]) -> Option<Vec<Effect>> {
        let skipped = usize::try_from(through.saturating_sub(self.acked)).unwrap_or(usize::MAX);
        let mut effects = Vec::new();
        for waiting in self.waiting.iter().skip(skipped) {
            match &waiting.entry {
                Entry::Effect(effect) if names.iter().any(|name| effect.touches(name)) => {
                    effects.push(Effect::clone(effect));
                }
                Entry::Operation(operation) if operation.customer().is_none_or(|name| names.contains(&name)) => {
                    return None;
                }
                Entry::Effect(_) | Entry::Operation(_) => {}
            }
        }
        Some(effects)
    }

    /// Whether an operation on a customer of one of these names waits.
    pub(crate) fn operates_on(&self, names: &[&str]) -> bool {
        self.effects_after(self.acked, names).is_none()
    }

    /// What waits, in order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.waiting.iter().map(|waiting| &waiting.entry)
    }

    /// Everybody whom what waits is about.
    pub(crate) fn customers(&self) -> BTreeSet<&str> {
        let mut customers = BTreeSet::new();
        for entry in self.entries() {
            match entry {
                Entry::Effect(effect) => {
                    customers.extend([&*effect.caller, &*effect.customer]);
                    customers.extend(effect.caps.iter().map(|count| &*count.customer));
                }
                Entry::Operation(operation) => customers.extend(operation.customer()),
            }
        }
        customers
    }

    /// What another engine needs to go on from here.
    pub(crate) fn unsent(&self, engine: &str) -> Unsent {
        let unnumbered = self.numbered.map_or(0, |numbered| self.last().saturating_sub(numbered));
        Unsent {
            engine: engine.to_owned(),
            acknowledged: self.acked,
            entries: self.entries().cloned().collect(),
            unnumbered: unnumbered.try_into().unwrap_or(usize::MAX),
        }
    }
}

fn written(entry: &Entry) -> String {
    // Entries hold only what JSON can hold.
    serde_json::to_string(entry).unwrap_or_default()
}
