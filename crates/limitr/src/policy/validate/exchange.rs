//! Checks of the exchange table: every pair must lead to runes.

use std::collections::HashMap;

use super::Check;
use crate::policy::model::{Map, Pair, Policy};
use crate::policy::node::quoted;
use crate::policy::pairs::pairs;

const RUNE: &str = "rune";
const USD: &str = "usd";

/// Where following pairs from a currency ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leads {
    /// Being followed right now.
    Open,
    ToRunes,
    Nowhere,
}

impl Check<'_> {
    pub(super) fn exchange(&mut self) {
        let exchange = &self.policy.exchange;
        self.inside("exchange", |this| {
            this.each(&exchange.pairs, |this, _, pair| {
                if !pair.value.is_positive() {
                    let message = format!("`value` is `{}`, but must be above 0", pair.value);
                    this.report("bad_pair_value", "value", message, None);
                }
                if pair.currency.is_empty() {
                    this.report("missing_field", "currency", "the currency is not named".to_owned(), None);
                }
            });
            // Each currency is followed once, however long the chains are.
            let mut known = HashMap::new();
            let all = pairs(this.policy);
            for name in exchange.pairs.keys() {
                this.follow(name, &all, &mut known);
            }
        });
    }

    /// Follows pairs from `name`, reporting a dead end or a cycle where it is first met.
    fn follow<'x>(&mut self, name: &'x str, pairs: &'x Map<Pair>, known: &mut HashMap<&'x str, Leads>) {
        let mut chain: Vec<&'x str> = Vec::new();
        let mut at = name;
        let end = loop {
            match known.get(at) {
                Some(Leads::Open) => {
                    self.cycle(chain.iter().copied().skip_while(|name| *name != at).collect());
                    break Leads::Nowhere;
                }
                Some(leads) => break *leads,
                None => {}
            }
            if at == RUNE || defined_by_rune(at, pairs) {
                break Leads::ToRunes;
            }
            let Some(pair) = pairs.get(at) else {
                if at == USD || is_priced(at, self.policy) {
                    break Leads::ToRunes;
                }
                self.dead_end(chain.last().copied().unwrap_or(at), at);
                break Leads::Nowhere;
            };
            known.insert(at, Leads::Open);
            chain.push(at);
            at = &pair.currency;
        };
        for name in chain {
            known.insert(name, end);
        }
    }

    fn cycle(&mut self, members: Vec<&str>) {
        const SHOWN: usize = 8;
        let shown: Vec<String> = members.iter().take(SHOWN).map(|name| quoted(name)).collect();
        let more = if members.len() > SHOWN { " ..." } else { "" };
        let first = members.first().copied().unwrap_or_default();
        let message =
            format!("{} never reaches runes: it leads in a circle over {}{more}", quoted(first), shown.join(", "));
        let hint = Some("give one of them a `currency` of `rune` or `usd`".to_owned());
        self.inside(first, |this| this.report("pair_cycle", "currency", message, hint));
    }

    fn dead_end(&mut self, pair: &str, currency: &str) {
        if currency.is_empty() {
            return;
        }
        let policy = self.policy;
        let (message, hint) = if policy.credits.contains_key(currency) {
            (
                format!(
                    "{} never reaches runes: the credit {} has no price and no pair",
                    quoted(pair),
                    quoted(currency)
                ),
                format!("give {} a price, or a pair of its own", quoted(currency)),
            )
        } else {
            let names = policy.credits.keys().chain(policy.exchange.pairs.keys()).map(String::as_str);
            let hint = match self.nearest(currency, names.chain([RUNE, USD]).filter(|name| *name != pair)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("give {} a pair of its own", quoted(currency)),
            };
            (format!("{} never reaches runes: unknown currency {}", quoted(pair), quoted(currency)), hint)
        };
        self.inside(pair, |this| this.report("not_convertible", "currency", message, Some(hint)));
    }
}

/// The pair written for the rune itself gives its currency a worth and leads nowhere.
fn defined_by_rune(name: &str, pairs: &Map<Pair>) -> bool {
    pairs.get(RUNE).is_some_and(|pair| pair.currency == name) && !pairs.contains_key(name)
}

fn is_priced(name: &str, policy: &Policy) -> bool {
    policy.credits.get(name).is_some_and(|credit| credit.price.is_some() || !credit.tiers.is_empty())
}
