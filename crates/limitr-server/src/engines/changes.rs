//! Changes of customers by way of REST: written down in the transaction that makes them, with who made them.

use std::collections::HashMap;

use limitr_sync::Change;
use serde_json::{Map, Value, json};

use crate::audit::{self, Actor, Entry};
use crate::store::Tx;

/// Who changes what.
pub(crate) struct Authored {
    pub(crate) actor: Actor,
    pub(crate) action: &'static str,
    /// Whom, by any of its ids.
    pub(crate) customer: String,
    /// The fields of the record that can change.
    pub(crate) fields: &'static [&'static str],
}

/// Writes down what was changed. What changes nothing is no change.
pub(super) async fn write_down(
    tx: &mut Tx,
    workspace: &str,
    authored: &HashMap<u64, Authored>,
    changes: &[Change],
) -> sqlx::Result<()> {
    for Change { ticket, before, after } in changes {
        let Some(Authored { actor, action, customer, fields }) = authored.get(ticket) else { continue };
        let (was, is) = difference(fields, &json!(before), &json!(after));
        if was == is && before.is_some() == after.is_some() {
            continue;
        }
        let subject = after.as_ref().or(before.as_ref()).map_or(customer.as_str(), |known| &known.id);
        let mut entry = Entry::new(workspace, actor, action, subject);
        if before.is_some() {
            entry = entry.before(&was);
        }
        if after.is_some() {
            entry = entry.after(&is);
        }
        audit::write(tx, &entry).await?;
    }
    Ok(())
}

/// What differs in these fields of two records: of maps only the entries that do.
fn difference(fields: &[&str], before: &Value, after: &Value) -> (Value, Value) {
    let (mut was, mut is) = (Map::new(), Map::new());
    for field in fields {
        let (old, new) = apart(before.get(*field).cloned(), after.get(*field).cloned());
        was.extend(old.map(|old| ((*field).to_owned(), old)));
        is.extend(new.map(|new| ((*field).to_owned(), new)));
    }
    (json!(was), json!(is))
}

fn apart(old: Option<Value>, new: Option<Value>) -> (Option<Value>, Option<Value>) {
    match (old, new) {
        (old, new) if old == new => (None, None),
        (Some(Value::Object(mut old)), Some(Value::Object(mut new))) => {
            let same: Vec<String> = old
                .iter()
                .filter(|(name, value)| new.get(*name) == Some(*value))
                .map(|(name, _)| name.clone())
                .collect();
            for name in same {
                old.shift_remove(&name);
                new.shift_remove(&name);
            }
            (Some(old.into()), Some(new.into()))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let before = json!({"id": "ann", "plan": "free", "grants": {"g1": {"value": 1}, "g2": {"value": 2}}});
        let after = json!({"id": "ann", "plan": "pro", "grants": {"g1": {"value": 1}, "g3": {"value": 3}}});
        let (was, is) = difference(&["plan", "grants", "label"], &before, &after);
        assert_eq!(was, json!({"plan": "free", "grants": {"g2": {"value": 2}}}));
        assert_eq!(is, json!({"plan": "pro", "grants": {"g3": {"value": 3}}}));
        assert_eq!(difference(&["plan"], &after, &after), (json!({}), json!({})));
        assert_eq!(difference(&["plan"], &Value::Null, &after), (json!({}), json!({"plan": "pro"})));
    }
}
