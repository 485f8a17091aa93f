//! Reading plans and what is in them, for whole documents and for the calls that change one plan or one limit.

use super::{Reader, read};
use crate::Error;
use crate::policy::model::{Entitlement, Governor, Limit, Plan, Reset, Topup};
use crate::policy::node::{Kind, Node};
use crate::policy::units::Measure;

/// Reads one plan from JSON data, as it would stand in a document under `policy.plans`. How it fits the policy is
/// [`validate`](crate::policy::validate)'s to say.
///
/// # Errors
/// Everything in it that cannot be read, see [`Error::problems`].
pub fn read_plan_value(value: &serde_json::Value, id: &str) -> Result<Plan, Error> {
    read(value, &format!("policy.plans.{id}"), plan)
}

/// Reads one limit from JSON data; `path` is where problems are said to be. How it fits the policy is
/// [`validate_limit`](crate::policy::validate_limit)'s to say.
///
/// # Errors
/// Everything in it that cannot be read, see [`Error::problems`].
pub fn read_limit_value(value: &serde_json::Value, path: &str) -> Result<Limit, Error> {
    read(value, path, |reader, node| limit(reader, node, None))
}

/// Reads a limit from JSON data in which every field may be left out: those are `base`'s. A period given one way
/// replaces the base's period given the other.
///
/// # Errors
/// Everything in it that cannot be read, see [`Error::problems`].
pub fn read_limit_over(base: &Limit, value: &serde_json::Value, path: &str) -> Result<Limit, Error> {
    read(value, path, |reader, node| limit(reader, node, Some(base)))
}

pub(super) fn plan(reader: &mut Reader, node: &Node) -> Plan {
    let fields = reader.fields(
        node,
        &["label", "default", "hidden", "period", "subscription", "trial_period", "entitlements", "topups"],
    );
    Plan {
        label: reader.field(&fields, "label", Reader::text).unwrap_or_default(),
        default: reader.field(&fields, "default", Reader::bool).unwrap_or_default(),
        hidden: reader.field(&fields, "hidden", Reader::bool).unwrap_or_default(),
        period: reader.field(&fields, "period", Reader::choice).unwrap_or_default(),
        subscription: reader
            .field(&fields, "subscription", Reader::text)
            .unwrap_or_else(|| Plan::default().subscription),
        trial_period: reader.field(&fields, "trial_period", Reader::duration),
        entitlements: reader
            .field(&fields, "entitlements", |r, node| r.map(node, |r, _, node| Some(entitlement(r, node))))
            .unwrap_or_default(),
        topups: reader
            .field(&fields, "topups", |r, node| r.map(node, |r, _, node| Some(topup(r, node))))
            .unwrap_or_default(),
        extensions: fields.extensions,
    }
}

fn entitlement(reader: &mut Reader, node: &Node) -> Entitlement {
    // `feature:` with nothing after it is how a flag is written in YAML.
    let empty = Node { kind: Kind::Map(Vec::new()), at: node.at };
    let node = if node.kind == Kind::Null { &empty } else { node };
    let fields =
        reader.fields(node, &["description", "hidden", "scope", "limit", "estimate_basis", "estimate_segment"]);
    Entitlement {
        description: reader.field(&fields, "description", Reader::text).unwrap_or_default(),
        hidden: reader.field(&fields, "hidden", Reader::bool).unwrap_or_default(),
        scope: reader.field(&fields, "scope", Reader::text),
        limit: reader.field(&fields, "limit", |reader, node| Some(limit(reader, node, None))),
        estimate_basis: reader.field(&fields, "estimate_basis", Reader::text),
        estimate_segment: reader.field(&fields, "estimate_segment", Reader::text),
        extensions: fields.extensions,
    }
}

const LIMIT: &[&str] = &[
    "credit",
    "mode",
    "value",
    "increment",
    "minimum",
    "hard_trailing",
    "grants_apply",
    "resets",
    "reset_inc",
    "reset_sch",
    "governor_enabled",
    "governor_capacity",
    "governor_refill_rate",
    "ewma_alpha",
    "override_expires_on",
];

fn limit(reader: &mut Reader, node: &Node, base: Option<&Limit>) -> Limit {
    let fields = reader.fields(node, LIMIT);
    let credit = match base {
        Some(_) => reader.field(&fields, "credit", Reader::text),
        None => reader.required(&fields, "credit", Reader::text),
    };
    let mut limit = base.cloned().unwrap_or_else(|| Limit::new(""));
    set(&mut limit.credit, credit);
    set(&mut limit.mode, reader.field(&fields, "mode", Reader::choice));
    set(&mut limit.value, reader.field(&fields, "value", Reader::measure));
    set(&mut limit.increment, reader.field(&fields, "increment", Reader::measure));
    set_some(&mut limit.minimum, reader.field(&fields, "minimum", Reader::measure));
    set(&mut limit.hard_trailing, reader.field(&fields, "hard_trailing", Reader::bool));
    set(&mut limit.grants_apply, reader.field(&fields, "grants_apply", Reader::bool));
    set(&mut limit.resets, reader.field(&fields, "resets", Reader::bool));
    let every = reader.field(&fields, "reset_inc", Reader::duration);
    let schedule = reader.field(&fields, "reset_sch", Reader::schedule);
    if every.is_some() || schedule.is_some() {
        (limit.reset_inc, limit.reset_sch) = (every, schedule);
    }
    let enabled = reader.field(&fields, "governor_enabled", Reader::bool);
    let capacity = reader.field(&fields, "governor_capacity", Reader::measure);
    let refill_rate = reader.field(&fields, "governor_refill_rate", Reader::amount);
    if enabled.is_some() || capacity.is_some() || refill_rate.is_some() {
        let governor = limit.governor.get_or_insert(Governor { enabled: false, capacity: None, refill_rate: None });
        set(&mut governor.enabled, enabled);
        set_some(&mut governor.capacity, capacity);
        set_some(&mut governor.refill_rate, refill_rate);
    }
    set(&mut limit.ewma_alpha, reader.field(&fields, "ewma_alpha", Reader::double));
    set_some(&mut limit.override_expires_on, reader.field(&fields, "override_expires_on", Reader::whole));
    limit.extensions.extend(fields.extensions);
    limit
}

fn set<T>(slot: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *slot = value;
    }
}

fn set_some<T>(slot: &mut Option<T>, given: Option<T>) {
    if given.is_some() {
        *slot = given;
    }
}

fn topup(reader: &mut Reader, node: &Node) -> Topup {
    let fields = reader.fields(
        node,
        &[
            "description",
            "credit",
            "value",
            "price",
            "included",
            "included_scopes",
            "resets",
            "reset_inc",
            "reset_sch",
            "reset_mode",
            "rollover_pct",
            "rollover_min",
            "rollover_max",
            "max_balance",
            "reset_catchup_cap",
            "expires_after",
            "priority",
        ],
    );
    let default = Reset::default();
    let reset = Reset {
        resets: reader.field(&fields, "resets", Reader::bool).unwrap_or(default.resets),
        every: reader.field(&fields, "reset_inc", Reader::duration),
        schedule: reader.field(&fields, "reset_sch", Reader::schedule),
        mode: reader.field(&fields, "reset_mode", Reader::choice).unwrap_or_default(),
        rollover_pct: reader.field(&fields, "rollover_pct", Reader::amount).unwrap_or(default.rollover_pct),
        rollover_min: reader.field(&fields, "rollover_min", Reader::measure),
        rollover_max: reader.field(&fields, "rollover_max", Reader::measure),
        max_balance: reader.field(&fields, "max_balance", Reader::measure),
        reset_catchup_cap: reader.field(&fields, "reset_catchup_cap", Reader::whole),
    };
    Topup {
        description: reader.field(&fields, "description", Reader::text).unwrap_or_default(),
        credit: reader.required(&fields, "credit", Reader::text).unwrap_or_default(),
        value: reader.required(&fields, "value", Reader::measure).unwrap_or(Measure::ZERO),
        price: reader.field(&fields, "price", Reader::price),
        included: reader.field(&fields, "included", Reader::bool).unwrap_or_default(),
        included_scopes: reader.field(&fields, "included_scopes", Reader::texts).unwrap_or_default(),
        reset,
        expires_after: reader.field(&fields, "expires_after", Reader::duration),
        priority: reader.field(&fields, "priority", Reader::whole).unwrap_or_default(),
        extensions: fields.extensions,
    }
}
