//! What the server has not stored yet, in a form that a program can keep.

use limitr::Entry;
use serde_json::Value;

use crate::error::Error;

/// What happened here and is not stored at the server yet.
///
/// A program that keeps it where it survives, and hands it to [`CloudOptions::resume`](crate::CloudOptions::resume) at its
/// next start, loses nothing over a restart. An old one does no harm: what the server has of it already is not counted
/// again. It is for one program at a time: of two that resume the same one, only the last to connect may send.
///
/// ```
/// use limitr_client::Unsent;
///
/// let unsent = Unsent::from_json(&serde_json::json!({"engine": "eng_1", "acknowledged": 7, "entries": []}))?;
/// assert!(unsent.is_empty());
/// assert_eq!(unsent.to_json()["engine"], "eng_1");
/// # Ok::<(), limitr_client::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Unsent(pub(crate) limitr_sync::Unsent);

impl Unsent {
    /// Whether everything is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.entries.is_empty()
    }

    /// How many entries of the engine's log it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.entries.len()
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.0.to_json()
    }

    /// Reads what [`Unsent::to_json`] gave.
    ///
    /// # Errors
    /// `invalid_unsent` when it is something else.
    pub fn from_json(json: &Value) -> Result<Self, Error> {
        let invalid = |path: &str, why: &str| Error::new("invalid_unsent", format!("{path}: {why}")).at(path);
        let engine = json.get("engine").and_then(Value::as_str).filter(|engine| !engine.is_empty());
        let engine = engine.ok_or_else(|| invalid("engine", "an id is expected"))?;
        let acknowledged = json.get("acknowledged").and_then(Value::as_u64);
        let acknowledged = acknowledged.ok_or_else(|| invalid("acknowledged", "a whole number is expected"))?;
        let entries = json.get("entries").and_then(Value::as_array);
        let entries = entries.ok_or_else(|| invalid("entries", "a list is expected"))?.iter().enumerate();
        let entries = entries.map(|(at, entry)| {
            Entry::from_json(entry).map_err(|error| invalid(&format!("entries[{at}]"), &error.to_string()))
        });
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let unnumbered = json.get("unnumbered").map_or(Some(0), Value::as_u64);
        let unnumbered = unnumbered.and_then(|count| usize::try_from(count).ok());
        let unnumbered = unnumbered.ok_or_else(|| invalid("unnumbered", "a count is expected"))?;
        Ok(Self(limitr_sync::Unsent { engine: engine.to_owned(), acknowledged, entries, unnumbered }))
    }
}
