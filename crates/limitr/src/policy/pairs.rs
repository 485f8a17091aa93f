//! The exchange table's pairs: those that are written, and those that a function gives.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::Value;

use super::model::{Extensions, Map, Pair, Policy};
use super::units::parse_number;
use crate::Amount;
use crate::logic::{Argument, Place};

/// Most currencies that a function is asked for.
const MOST_ASKED: usize = 1_000;
/// Failures after which it is not asked again: each may take its whole budget.
const MOST_FAILURES: usize = 8;
/// Currencies whose worth is known without a pair.
const BUILT_IN: [&str; 2] = ["rune", "usd"];

/// The pairs of a policy. `get_pair(currency)` is asked for every credit and every currency that has none, also for those it
/// names itself; where it fails or answers nothing of use, there is no pair.
pub(super) fn pairs(policy: &Policy) -> Cow<'_, Map<Pair>> {
    let written = &policy.exchange.pairs;
    let Some(function) = policy.functions.find(Place::GetPair) else { return Cow::Borrowed(written) };
    let mut pairs = written.clone();
    let named = policy.credits.keys().chain(written.values().map(|pair| &pair.currency));
    let mut waiting: Vec<String> = named.cloned().collect();
    waiting.reverse();
    let mut asked = HashSet::new();
    let mut failures = 0;
    while let Some(currency) = waiting.pop() {
        let known = pairs.contains_key(&currency) || BUILT_IN.contains(&currency.as_str());
        if known
            || currency.is_empty()
            || failures >= MOST_FAILURES
            || asked.len() >= MOST_ASKED
            || !asked.insert(currency.clone())
        {
            continue;
        }
        let answer = function.call(&[Argument::Text(&currency)]);
        failures += usize::from(answer.is_err());
        if let Some(pair) = answer.ok().as_ref().and_then(pair) {
            waiting.push(pair.currency.clone());
            pairs.insert(currency, pair);
        }
    }
    Cow::Owned(pairs)
}

fn pair(answer: &Value) -> Option<Pair> {
    let value = match answer.get("value")? {
        Value::Number(number) => Amount::from_json(number)?,
        Value::String(digits) => parse_number(digits)?,
        _ => return None,
    };
    let currency = answer.get("currency")?.as_str()?.to_owned();
    value.is_positive().then(|| Pair { value, currency, extensions: Extensions::default() })
}
