//! Reading a whole document: credits, the exchange table, plans, estimates, and the customers that may come with it.

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::plan::plan;
use super::{Reader, nearest, quoted};
use crate::policy::formats::{self, Format};
use crate::policy::model::{Credit, ESTIMATE_ALPHA, Estimate, Exchange, Extensions, Map, Pair, Policy, Price, Tier};
use crate::policy::model::{ESTIMATE_MIN_SAMPLES, HOLD_TTL};
use crate::policy::node::{Key, Kind, Node};
use crate::policy::units::Unit;
use crate::policy::validate::{examine, locate, pinpoint};
use crate::{Amount, Error};

/// What a document holds.
///
/// Serialized it is a document again, the policy under its one key `policy`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    /// The policy.
    pub policy: Policy,
    /// The customer records shipped with it, each with its `id`.
    pub customers: Vec<serde_json::Value>,
    /// `x-` fields beside the key `policy`.
    pub extensions: Extensions,
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Contents<'d> {
            #[serde(flatten)]
            policy: &'d Policy,
            #[serde(skip_serializing_if = "Map::is_empty")]
            customers: Map<&'d serde_json::Value>,
        }
        let id =
            |record: &serde_json::Value| record.get("id").and_then(|id| id.as_str()).unwrap_or_default().to_owned();
        let customers = self.customers.iter().map(|record| (id(record), record)).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("policy", &Contents { policy: &self.policy, customers })?;
        for (name, value) in &self.extensions {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Reads a document, and with `validate` checks all of it.
///
/// Without `validate` only what makes reading impossible is an error: syntax, wrong types, values that mean nothing.
///
/// ```
/// use limitr::policy::{Format, parse_document};
/// let error = parse_document("policy:\n  credits: {token: {unit: 5}}\n  plan: {}\n", Format::Yaml, true).unwrap_err();
/// assert_eq!(error.problems().len(), 2);
/// ```
///
/// # Errors
/// Everything that is wrong with the document, see [`Error::problems`].
pub fn parse_document(text: &str, format: Format, validate: bool) -> Result<Document, Error> {
    let read = formats::parse_with_functions(text, format);
    let (root, functions) = read.map_err(|problem| Error::policy(vec![problem]))?;
    let mut reader = Reader::new("", validate);
    reader.functions = functions;
    let document = reader.root(&root);
    if let Some(policy) = root.get("policy") {
        pinpoint(text, policy, &mut reader.problems);
    }
    reader.finish(document)
}

/// Reads the contents of the key `policy`; see [`parse_document`].
///
/// # Errors
/// Everything that is wrong with the document, see [`Error::problems`].
pub fn read_document(node: &Node, validate: bool) -> Result<Document, Error> {
    let mut reader = Reader::new("policy", validate);
    let (policy, customers) = reader.policy(node);
    reader.finish(Document { policy, customers, extensions: Extensions::default() })
}

/// Reads the contents of the key `policy` from JSON data; see [`parse_document`].
///
/// # Errors
/// Everything that is wrong with the document, see [`Error::problems`].
pub fn read_document_value(value: &serde_json::Value, validate: bool) -> Result<Document, Error> {
    let node = Node::from_json(value).map_err(|problem| Error::policy(vec![problem]))?;
    read_document(&node, validate)
}

const POLICY: &[&str] = &[
    "credits",
    "exchange",
    "plans",
    "notifications",
    "capabilities",
    "customers",
    "estimates",
    "hold_ttl",
    "estimate_min_samples",
];

impl Reader {
    /// The whole document: one key `policy`, and `x-` fields.
    fn root(&mut self, node: &Node) -> Document {
        let fields = self.fields(node, &["policy"]);
        let mut document = Document::default();
        match fields.get("policy") {
            Some(policy) => {
                (document.policy, document.customers) = self.inside("policy", |reader| reader.policy(policy))
            }
            None if fields.readable => self.no_policy(node),
            None => {}
        }
        document.extensions = fields.extensions;
        document
    }

    fn no_policy(&mut self, node: &Node) {
        if self.was_blamed(".policy") {
            return;
        }
        let forgotten = POLICY.iter().find(|name| node.get(name).is_some());
        let hint = forgotten.map(|name| {
            // The fields are not unknown, they are one level too high.
            self.problems.retain(|problem| problem.code != "unknown_field" || !POLICY.contains(&problem.path.as_str()));
            format!("put `{name}` and what stands beside it under one key `policy`")
        });
        let message = "the document has no key `policy`".to_owned();
        self.inside("policy", |reader| reader.report("missing_field", node.at, message, hint));
    }

    /// The contents of `policy`, cross-checked when reading is strict.
    fn policy(&mut self, node: &Node) -> (Policy, Vec<serde_json::Value>) {
        let fields = self.fields(node, POLICY);
        let mut policy = Policy {
            credits: self
                .field(&fields, "credits", |r, node| r.map(node, |r, _, node| Some(r.credit(node))))
                .unwrap_or_default(),
            exchange: self.field(&fields, "exchange", |r, node| Some(r.exchange(node))).unwrap_or_default(),
            plans: self
                .field(&fields, "plans", |r, node| r.map(node, |r, _, node| Some(plan(r, node))))
                .unwrap_or_default(),
            notifications: self.field(&fields, "notifications", Self::notifications).unwrap_or_default(),
            capabilities: self.field(&fields, "capabilities", Self::capabilities).unwrap_or_default(),
            estimates: self.field(&fields, "estimates", Self::estimates).unwrap_or_default(),
            hold_ttl: self.field(&fields, "hold_ttl", Self::duration).unwrap_or(HOLD_TTL),
            estimate_min_samples: self
                .field(&fields, "estimate_min_samples", Self::whole)
                .unwrap_or(ESTIMATE_MIN_SAMPLES),
            extensions: fields.extensions.clone(),
            functions: self.functions.clone(),
        };
        let customers = self.field(&fields, "customers", Self::customers).unwrap_or_default();
        if self.strict {
            let (mut found, more) = examine(&policy);
            locate(node, &mut found);
            self.extend(found, more);
        }
        // Only now: the checks speak of the bands by their place in the document.
        for credit in policy.credits.values_mut() {
            credit.tiers.sort_by_key(|tier| (tier.up_to.is_none(), tier.up_to));
        }
        (policy, customers)
    }

    fn credit(&mut self, node: &Node) -> Credit {
        let fields = self.fields(
            node,
            &[
                "unit",
                "label",
                "description",
                "stof_units",
                "resets",
                "overhead_cost",
                "overhead",
                "pricing_model",
                "price",
                "tiers",
                "data",
            ],
        );
        let default = Credit::default();
        Credit {
            unit: self.field(&fields, "unit", Self::text).unwrap_or(default.unit),
            label: self.field(&fields, "label", Self::text).unwrap_or(default.label),
            description: self.field(&fields, "description", Self::text).unwrap_or(default.description),
            stof_units: self.field(&fields, "stof_units", Self::unit).unwrap_or(Unit::FLOAT),
            resets: self.field(&fields, "resets", Self::bool).unwrap_or(default.resets),
            overhead_cost: self.field(&fields, "overhead_cost", Self::amount).unwrap_or(default.overhead_cost),
            overhead: self.field(&fields, "overhead", Self::expression),
            pricing_model: self.field(&fields, "pricing_model", Self::choice).unwrap_or_default(),
            price: self.field(&fields, "price", Self::price),
            tiers: self.field(&fields, "tiers", Self::tiers).unwrap_or_default(),
            data: self.field(&fields, "data", |reader, node| {
                reader.check_duplicates(node);
                Some(node.to_json())
            }),
            extensions: fields.extensions,
        }
    }

    pub(super) fn price(&mut self, node: &Node) -> Option<Price> {
        if let Kind::Number(text) = &node.kind {
            let hint = Some(format!("write `{{amount: {text}}}`"));
            self.report("wrong_type", node.at, format!("expected a map, found {}", node.shown()), hint);
            return None;
        }
        let fields = self.fields(node, &["amount", "id"]);
        let amount = self.required(&fields, "amount", Self::amount);
        let id = self.field(&fields, "id", Self::text);
        fields.readable.then(|| Price { amount: amount.unwrap_or_default(), id, extensions: fields.extensions })
    }

    fn tiers(&mut self, node: &Node) -> Option<Vec<Tier>> {
        let items = self.list(node)?;
        let tiers = items.iter().enumerate().map(|(index, item)| self.item(index, |reader| reader.tier(item)));
        Some(tiers.collect())
    }

    /// A tier that cannot be read stands in its place all the same: others are spoken of by their index.
    fn tier(&mut self, node: &Node) -> Tier {
        let fields = self.fields(node, &["up_to", "price"]);
        let price = self.required(&fields, "price", Self::price);
        let free = Price { amount: Amount::ZERO, id: None, extensions: Extensions::default() };
        Tier {
            up_to: self.field(&fields, "up_to", Self::amount),
            price: price.unwrap_or(free),
            extensions: fields.extensions,
        }
    }

    fn exchange(&mut self, node: &Node) -> Exchange {
        const STRATEGY: &str = "grant_strategy";
        let mut exchange = Exchange::default();
        for (key, value) in self.entries(node).unwrap_or_default() {
            if key.text.starts_with("x-") {
                let json = self.free(&key.text, value);
                exchange.extensions.insert(key.text.clone(), json);
            } else if key.text == STRATEGY {
                let strategy = self.inside(STRATEGY, |reader| reader.choice(value));
                exchange.grant_strategy = strategy.unwrap_or_default();
            } else if !matches!(value.kind, Kind::Map(_)) && nearest(&key.text, [STRATEGY]).is_some() {
                self.misspelt_strategy(key);
            } else if self.name(key) {
                let pair = self.inside(&key.text, |reader| reader.pair(value));
                exchange.pairs.extend(pair.map(|pair| (key.text.clone(), pair)));
            }
        }
        exchange
    }

    fn misspelt_strategy(&mut self, key: &Key) {
        let hint = Some("did you mean `grant_strategy`?".to_owned());
        let message = format!("unknown field {}", quoted(&key.text));
        self.inside(&key.text, |reader| reader.report("unknown_field", key.at, message, hint));
    }

    fn pair(&mut self, node: &Node) -> Option<Pair> {
        let fields = self.fields(node, &["value", "currency"]);
        let value = self.required(&fields, "value", Self::amount);
        let currency = self.required(&fields, "currency", Self::text);
        fields.readable.then(|| Pair {
            value: value.unwrap_or(Amount::ONE),
            currency: currency.unwrap_or_default(),
            extensions: fields.extensions,
        })
    }

    fn estimates(&mut self, node: &Node) -> Option<Map<Map<Estimate>>> {
        self.map(node, |reader, _, node| reader.segments(node))
    }

    fn segments(&mut self, node: &Node) -> Option<Map<Estimate>> {
        let mut segments = Map::default();
        for (key, value) in self.entries(node)? {
            // The segment of calls that name none is the empty one.
            if key.text.is_empty() || self.name(key) {
                let estimate = self.inside(&key.text, |reader| reader.estimate(value));
                segments.extend(estimate.map(|estimate| (key.text.clone(), estimate)));
            }
        }
        Some(segments)
    }

    fn estimate(&mut self, node: &Node) -> Option<Estimate> {
        let fields = self.fields(
            node,
            &[
                "samples",
                "alpha",
                "value_mean",
                "value_var",
                "overhead_mean",
                "overhead_var",
                "source",
                "updated",
                "basis",
            ],
        );
        let mut double = |name, default| self.field(&fields, name, Self::double).unwrap_or(default);
        let (alpha, value_mean, value_var) =
            (double("alpha", ESTIMATE_ALPHA), double("value_mean", 0.0), double("value_var", 0.0));
        let (overhead_mean, overhead_var) = (double("overhead_mean", 0.0), double("overhead_var", 0.0));
        Some(Estimate {
            samples: self.required(&fields, "samples", Self::whole).unwrap_or_default(),
            alpha,
            value_mean,
            value_var,
            overhead_mean,
            overhead_var,
            source: self.field(&fields, "source", Self::text).unwrap_or_else(|| "local".to_owned()),
            updated: self.field(&fields, "updated", Self::whole).unwrap_or_default(),
            basis: self.field(&fields, "basis", Self::text),
        })
    }

    /// Customer records as JSON data; what is in them is read where they are loaded.
    fn customers(&mut self, node: &Node) -> Option<Vec<serde_json::Value>> {
        let records = self.map(node, |reader, id, node| reader.customer(id, node))?;
        Some(records.into_values().collect())
    }

    fn customer(&mut self, id: &str, node: &Node) -> Option<serde_json::Value> {
        self.entries(node)?;
        self.check_duplicates(node);
        let mut record = node.to_json();
        match node.get("id").map(|given| (&given.kind, given.at)) {
            None | Some((Kind::Null, _)) => {
                if let Some(record) = record.as_object_mut() {
                    record.insert("id".to_owned(), id.into());
                }
            }
            Some((Kind::Text(given), _)) if given == id => {}
            Some((_, at)) => {
                let message = format!("the customer {} has another id in its record", quoted(id));
                let hint = Some("leave `id` out of the record, or give it the record's name".to_owned());
                self.inside("id", |reader| reader.report("id_mismatch", at, message, hint));
                return None;
            }
        }
        Some(record)
    }
}
