//! A customer: who it is, and everything counted for it.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;

use super::idempotency::Replays;
use super::names::{Name, NameMap};
use super::{Cap, Grant, Meter};
use crate::Error;
use crate::fields::Fields;
use crate::policy::{Limit, read_limit_value};

/// A customer's record: the snapshot format.
///
/// Serialises to, and is read from, the JSON record described in the policy reference; fields at their default are left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Customer {
    /// Its id.
    pub id: Name,
    /// Its own plan; none inherits one.
    pub plan: Option<Name>,
    /// Its type, such as `user` or `org`.
    pub kind: Name,
    /// Label, for people.
    pub label: Name,
    /// Other ids it goes by.
    pub alt_ids: Vec<Name>,
    /// Customers it refers to, such as its organisation.
    pub refs: Vec<Name>,
    /// The application's own data.
    pub metadata: Option<Box<serde_json::Map<String, Value>>>,
    /// Usage, by entitlement.
    pub meters: NameMap<Meter>,
    /// Limits of its own, by entitlement.
    pub overrides: NameMap<Limit>,
    /// Balances, by id.
    pub grants: NameMap<Grant>,
    /// Ceilings, by id.
    pub caps: NameMap<Cap>,
    pub(crate) replays: Option<Box<Replays>>,
    /// Notifications sent once: by their name and the entitlement, the start of the period or when it was.
    pub(crate) notified: Option<Box<NameMap<NameMap<i64>>>>,
}

/// Type of a customer that does not say.
pub(crate) const DEFAULT_TYPE: &str = "user";
/// Label of a customer that does not say.
pub(crate) const DEFAULT_LABEL: &str = "User";

impl Customer {
    pub(crate) fn new(id: Name, kind: Name, label: Name) -> Self {
        Self {
            id,
            plan: None,
            kind,
            label,
            alt_ids: Vec::new(),
            refs: Vec::new(),
            metadata: None,
            meters: NameMap::new(),
            overrides: NameMap::new(),
            grants: NameMap::new(),
            caps: NameMap::new(),
            replays: None,
            notified: None,
        }
    }

    /// Takes over what is no part of what others know of it: what calls hold and learned here, which may be retried, and
    /// what was said once.
    pub(crate) fn take_over(&mut self, own: Self) {
        self.replays = own.replays;
        for (name, meter) in own.meters.into_entries() {
            let Some(more) = meter.more.filter(|more| !more.holds.is_empty() || !more.estimates.is_empty()) else {
                continue;
            };
            let kept = self.meters.get_or_insert_with(&name, || Meter::new(meter.credit, meter.started));
            if let Some(kept) = kept {
                let kept = kept.more.get_or_insert_default();
                (kept.holds, kept.estimates) = (more.holds, more.estimates);
            }
        }
        for (notification, sent) in own.notified.into_iter().flat_map(|notified| notified.into_entries()) {
            let known = self.notified.get_or_insert_default();
            let Some(known) = known.get_or_insert_with(&notification, NameMap::new) else { continue };
            for (place, at) in sent.into_entries() {
                known.get_or_insert_with(&place, || at);
            }
        }
    }

    /// The override on an entitlement, unless it has expired.
    pub(crate) fn live_override(&self, entitlement: &str, now: i64) -> Option<&Limit> {
        if self.overrides.is_empty() {
            return None;
        }
        self.overrides.get(entitlement).filter(|limit| limit.override_expires_on.is_none_or(|end| now < end))
    }

    /// Reads a record, as [`crate::Limitr::customers`] writes it.
    ///
    /// # Errors
    /// `invalid_record`, naming the customer and the field.
    pub fn from_json(record: &Value) -> Result<Self, Error> {
        match record.get("id").and_then(Value::as_str) {
            Some(id) => Self::read(record, &format!("customers.{id}")),
            None => Self::read(record, "customer"),
        }
    }

    /// Reads many records: a map by id or a list.
    ///
    /// # Errors
    /// `invalid_record`, naming the customer and the field.
    pub fn list_from_json(records: &Value) -> Result<Vec<Self>, Error> {
        match records {
            Value::Object(map) => {
                map.iter().map(|(id, record)| Self::read(record, &format!("customers.{id}"))).collect()
            }
            Value::Array(list) => {
                let read = |(at, record): (usize, &Value)| match record.get("id").and_then(Value::as_str) {
                    Some(id) => Self::read(record, &format!("customers.{id}")),
                    None => Self::read(record, &format!("customers[{at}]")),
                };
                list.iter().enumerate().map(read).collect()
            }
            _ => Err(Error::argument("invalid_record", "customers are a map by id or a list").at("customers")),
        }
    }

    fn read(record: &Value, path: &str) -> Result<Self, Error> {
        let mut fields = Fields::new(record, path.to_owned(), "invalid_record")?;
        let customer = Self {
            id: fields.text("id").into(),
            plan: fields.optional("plan").name().filter(|plan| !plan.is_empty()),
            kind: fields.optional("type").name().unwrap_or_else(|| DEFAULT_TYPE.into()),
            label: fields.optional("label").name().unwrap_or_else(|| DEFAULT_LABEL.into()),
            alt_ids: fields.given("alt_ids").names().unwrap_or_default(),
            refs: fields.given("refs").names().unwrap_or_default(),
            metadata: fields.optional("metadata").object().filter(|data| !data.is_empty()).cloned().map(Box::new),
            meters: fields.optional("meters").map(|_, meter| meter.record(Meter::read)).unwrap_or_default(),
            grants: fields
                .optional("grants")
                .map(|id, grant| grant.record(|fields| Grant::read(id, fields)))
                .unwrap_or_default(),
            caps: fields.optional("caps").map(|id, cap| cap.record(|fields| Cap::read(id, fields))).unwrap_or_default(),
            replays: Replays::read(fields.optional("idempotency")).map(Box::new),
            notified: fields
                .given("notified")
                .map(|_, sent| sent.map(|_, at| at.whole()))
                .filter(|sent| !sent.is_empty())
                .map(Box::new),
            // Last, for what is wrong with a limit is no matter of records.
            overrides: fields.given("overrides").map(|_, limit| limit.attempt(read_limit)).unwrap_or_default(),
        };
        fields.finish()?;
        if customer.id.is_empty() {
            let path = format!("{path}.id");
            let error = Error::argument("invalid_record", format!("{path}: a customer needs an id")).at(path);
            return Err(error.hint_at("set `id` to a non-empty text"));
        }
        Ok(customer)
    }
}

fn read_limit(limit: &Value, path: String) -> Result<Limit, Error> {
    read_limit_value(limit, &path)
}

impl Serialize for Customer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("plan", self.plan.as_deref().unwrap_or(""))?;
        map.serialize_entry("type", &self.kind)?;
        map.serialize_entry("label", &self.label)?;
        if !self.alt_ids.is_empty() {
            map.serialize_entry("alt_ids", &self.alt_ids)?;
        }
        if !self.refs.is_empty() {
            map.serialize_entry("refs", &self.refs)?;
        }
        if let Some(metadata) = &self.metadata {
            map.serialize_entry("metadata", metadata)?;
        }
        // Always there, even empty: programs walk them.
        map.serialize_entry("meters", &self.meters)?;
        map.serialize_entry("grants", &self.grants)?;
        if !self.overrides.is_empty() {
            map.serialize_entry("overrides", &self.overrides)?;
        }
        if !self.caps.is_empty() {
            map.serialize_entry("caps", &self.caps)?;
        }
        if let Some(replays) = &self.replays {
            map.serialize_entry("idempotency", replays)?;
        }
        if let Some(notified) = &self.notified {
            map.serialize_entry("notified", notified)?;
        }
        map.end()
    }
}
