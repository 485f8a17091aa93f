//! One entitlement's running count for one customer.

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::history::History;
use super::names::{Name, NameMap};
use crate::fields::Fields;
use crate::policy::Estimate;
use crate::{Amount, Error};

/// Usage of one entitlement in the current period.
#[derive(Debug, Clone, PartialEq)]
pub struct Meter {
    /// The credit metered.
    pub credit: Name,
    /// Start of the period, ms.
    pub started: i64,
    /// Units used.
    pub value: Amount,
    /// Runes spent. In a customer record none stands for `value x overhead_cost` of the credit.
    pub overhead: Option<Amount>,
    /// The last calls.
    pub history: History,
    /// Smoothed rate, units per ms.
    pub ewma_rate: f64,
    pub(crate) more: Option<Box<More>>,
}

/// What most meters do not have.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct More {
    pub(crate) holds: NameMap<Hold>,
    pub(crate) estimates: NameMap<Estimate>,
    /// None while full and untouched.
    pub(crate) bucket: Option<BucketState>,
}

/// Token bucket of a governed limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BucketState {
    pub(crate) tokens: Amount,
    pub(crate) last_refill: i64,
}

impl Serialize for Meter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("credit", &self.credit)?;
        map.serialize_entry("started", &self.started)?;
        map.serialize_entry("value", &self.value)?;
        if let Some(overhead) = &self.overhead {
            map.serialize_entry("overhead", overhead)?;
        }
        if let Some(more) = &self.more {
            if !more.holds.is_empty() {
                map.serialize_entry("holds", &more.holds)?;
            }
            if !more.estimates.is_empty() {
                map.serialize_entry("estimates", &more.estimates)?;
            }
        }
        if !self.history.is_empty() {
            map.serialize_entry("history", &self.history)?;
        }
        if self.ewma_rate != 0.0 {
            map.serialize_entry("ewma_rate", &self.ewma_rate)?;
        }
        if let Some(bucket) = self.bucket() {
            map.serialize_entry("governor_tokens", &bucket.tokens)?;
            map.serialize_entry("governor_last_refill", &bucket.last_refill)?;
        }
        map.end()
    }
}

/// Room held by a reservation.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Hold {
    /// Units held.
    pub value: Amount,
    /// Runes held.
    pub overhead: Amount,
    /// When it lapses, ms.
    pub expires_on: i64,
    /// What is learned per unit of, when it is settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis: Option<f64>,
    /// What it is learned under, when it is settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
}

impl Hold {
    fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let hold = Self {
            value: fields.required("value").amount().unwrap_or_default(),
            overhead: fields.given("overhead").amount().unwrap_or_default(),
            expires_on: fields.required("expires_on").whole().unwrap_or_default(),
            basis: fields.optional("basis").double(),
            segment: fields.optional("segment").text().map(str::to_owned),
        };
        fields.finish().map(|()| hold)
    }
}

impl Meter {
    /// Reads a meter of a snapshot.
    pub(super) fn read(mut fields: Fields<'_>) -> Result<Self, Error> {
        let started = fields.required("started").whole().unwrap_or_default();
        let refilled = fields.optional("governor_last_refill").whole().unwrap_or(started);
        let tokens = fields.optional("governor_tokens").amount();
        let more = More {
            holds: fields.optional("holds").map(|_, hold| hold.record(Hold::read)).unwrap_or_default(),
            estimates: fields
                .optional("estimates")
                .map(|_, learned| learned.record(Estimate::read))
                .unwrap_or_default(),
            bucket: tokens.map(|tokens| BucketState { tokens, last_refill: refilled }),
        };
        let meter = Self {
            credit: fields.required("credit").name().unwrap_or_default(),
            started,
            value: fields.given("value").amount().unwrap_or_default(),
            overhead: fields.optional("overhead").amount(),
            history: History::read(fields.given("history")),
            ewma_rate: fields.given("ewma_rate").double().unwrap_or_default(),
            more: (more != More::default()).then(|| Box::new(more)),
        };
        fields.finish().map(|()| meter)
    }

    pub(crate) fn new(credit: Name, started: i64) -> Self {
        Self {
            credit,
            started,
            value: Amount::ZERO,
            overhead: None,
            history: History::default(),
            ewma_rate: 0.0,
            more: None,
        }
    }

    /// Begins a period: what was counted is gone, what is held and learned stays.
    pub(crate) fn restart(&mut self, started: i64) {
        self.started = started;
        self.value = Amount::ZERO;
        self.overhead = Some(Amount::ZERO);
        self.history = History::default();
        self.ewma_rate = 0.0;
        if let Some(more) = &mut self.more {
            more.bucket = None;
        }
    }

    /// Unexpired reservations, by id.
    pub fn holds(&self, now: i64) -> impl Iterator<Item = (&str, &Hold)> {
        let holds = self.more.as_deref().map(|more| more.holds.entries()).unwrap_or_default();
        holds.iter().filter(move |(_, hold)| now < hold.expires_on).map(|(id, hold)| (&**id, hold))
    }

    /// Whether it has reservations, expired or not.
    pub(crate) fn has_holds(&self) -> bool {
        self.more.as_deref().is_some_and(|more| !more.holds.is_empty())
    }

    pub(crate) fn holds_mut(&mut self) -> &mut NameMap<Hold> {
        &mut self.more.get_or_insert_default().holds
    }

    pub(crate) fn bucket(&self) -> Option<BucketState> {
        self.more.as_deref().and_then(|more| more.bucket)
    }

    pub(crate) fn set_bucket(&mut self, bucket: BucketState) {
        self.more.get_or_insert_default().bucket = Some(bucket);
    }

    pub(crate) fn estimates(&self) -> Option<&NameMap<Estimate>> {
        self.more.as_deref().map(|more| &more.estimates)
    }

    pub(crate) fn estimates_mut(&mut self) -> &mut NameMap<Estimate> {
        &mut self.more.get_or_insert_default().estimates
    }
}
