//! The steps of a decision, written down only when somebody asks why.

use serde::Serialize;

use super::{Drawn, Held, Metered, Site};
use crate::policy::Mode;
use crate::state::{Cap, Locked};
use crate::{Amount, Denial};

/// One step of a decision and the numbers it looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The rule: `resolve`, `amounts`, `grants`, `cap`, `governor` or `limit`.
    pub rule: &'static str,
    /// What it found, in words.
    pub found: String,
    /// The numbers, by name.
    #[serde(serialize_with = "as_map")]
    pub numbers: Vec<(&'static str, Amount)>,
}

/// Receives the steps of a decision.
pub(crate) trait Trace {
    fn step(&mut self, rule: &'static str, step: impl FnOnce() -> (String, Vec<(&'static str, Amount)>));
}

/// Nobody asks; the steps are never built.
pub(crate) struct Silent;

impl Trace for Silent {
    #[inline]
    fn step(&mut self, _: &'static str, _: impl FnOnce() -> (String, Vec<(&'static str, Amount)>)) {}
}

/// Keeps every step.
#[derive(Default)]
pub(crate) struct Recorder(pub(crate) Vec<Step>);

impl Trace for Recorder {
    fn step(&mut self, rule: &'static str, step: impl FnOnce() -> (String, Vec<(&'static str, Amount)>)) {
        let (found, numbers) = step();
        let numbers = numbers.into_iter().map(|(name, amount)| (name, amount.rounded())).collect();
        self.0.push(Step { rule, found, numbers });
    }
}

type Found = (String, Vec<(&'static str, Amount)>);

pub(super) fn unresolved(denial: Denial, entitlement: &str) -> Found {
    let found = match denial {
        Denial::NoScopeCustomer => {
            format!("`{entitlement}` counts on another type of customer, and no ref leads to one")
        }
        _ => format!("the customer's plan has no entitlement `{entitlement}`"),
    };
    (found, Vec::new())
}

pub(super) fn resolved(site: &Site<'_>, people: &Locked<'_, '_>) -> Found {
    let owner = people.get(site.owner).map(|owner| owner.id.to_string()).unwrap_or_default();
    (format!("entitlement `{}` of plan `{}`, metered on `{owner}`", site.entitlement.name, site.plan.name), Vec::new())
}

pub(super) fn amounts(metered: &Metered<'_>) -> Found {
    let mut numbers = vec![
        ("meter", metered.before),
        ("new", metered.after),
        ("limit", metered.limit.value),
        ("overage", metered.overage),
        ("overhead", metered.overhead),
    ];
    numbers.extend(metered.price_diff.map(|price| ("price", price)));
    let period = if metered.roll.is_some() { ", in a new period" } else { "" };
    let failed = metered.cost_error.as_ref();
    let failed = failed.map_or_else(String::new, |error| format!(", cost by the fixed rate: {}", error.message));
    (format!("{} `{}`{period}{failed}", metered.delta, metered.limit.credit.name), numbers)
}

pub(super) fn grants(asked: Amount, drawn: &Drawn) -> Found {
    let numbers = vec![("past_limit", asked), ("covered", drawn.covered)];
    (format!("{} grants considered", drawn.purse.len()), numbers)
}

pub(super) fn cap(cap: &Cap, spent: Amount, consumed: Amount, room: bool) -> Found {
    let found = format!("cap `{}` in `{}` has {}", cap.id, cap.credit, if room { "room" } else { "no room" });
    (found, vec![("spent", spent), ("consumed", consumed), ("ceiling", cap.value)])
}

pub(super) fn governor(requested: Amount, tokens: Amount, capacity: Amount, enough: bool) -> Found {
    let found = if enough { "enough tokens" } else { "not enough tokens" };
    (found.to_owned(), vec![("requested", requested), ("tokens", tokens), ("capacity", capacity)])
}

pub(super) fn limit(metered: &Metered<'_>, held: &Held, fits: bool) -> Found {
    let mode = match metered.limit.mode {
        Mode::Hard if metered.limit.hard_trailing => "hard trailing",
        Mode::Hard => "hard",
        Mode::Soft => "soft",
        Mode::Observe => "observed",
    };
    let numbers = vec![
        ("new", metered.after),
        ("held", held.value),
        ("limit", metered.limit.value),
        ("covered", metered.covered()),
    ];
    (format!("{mode} limit {}", if fits { "passes" } else { "denies" }), numbers)
}

fn as_map<S: serde::Serializer>(numbers: &[(&'static str, Amount)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(numbers.iter().copied())
}
